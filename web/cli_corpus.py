"""The command ``wentiao corpus``: what a maintainer does to an index, and what it holds."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from corpus.messages import message, printable
from retrieval.datatypes import Language

if TYPE_CHECKING:
    from corpus.datatypes import Outline, Policy
    from corpus.intake import Intake
    from index.encoder import Encoder
    from index.maintain import Outcome
    from index.manifest import Version

_POLICY_WORDS = re.compile("个人信息|個人資|[隐隱]私|用户信息|privacy|personal (?:data|information)", re.IGNORECASE)

SHOWN = 60  # characters of a clause in an outline
PREFIX = 12  # characters of a hash in a list: as many as tell any two apart


@dataclass(frozen=True)
class Workbench:
    """What the commands work with: the index when none is named, the model, the reader's language, a progress bar.

    ``prepare`` makes sure that the index without a name is there before something is added to it.
    """

    index: Path
    load_encoder: Callable[[], Encoder]
    prepare: Callable[[], None]
    language: Language
    progress: Callable[[int, int], None]
    out: TextIO
    err: TextIO


def take_corpus(corpus: argparse.ArgumentParser) -> None:
    """Give the parser of ``wentiao corpus`` its actions."""
    actions = corpus.add_subparsers(dest="action", required=True, metavar="ACTION")

    def take(name: str, about: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=about, description=about)
        take_index(parser)
        return parser

    add = take("add", "add apps from files (.txt .md .html .docx .pdf), folders and .zip archives")
    add.add_argument("files", nargs="+", type=Path, metavar="FILE|FOLDER|ZIP")
    _take_statements(add)
    update = take("update", "give apps a new version from files; without a file, correct what is stated about --app")
    update.add_argument("files", nargs="*", type=Path, metavar="FILE|FOLDER|ZIP")
    _take_statements(update)
    update.add_argument(
        "--drop-alias", action="append", default=[], metavar="NAME", help="a name to take away; may be repeated"
    )
    remove = take("remove", "take apps with all their versions out of the index")
    remove.add_argument("apps", nargs="+", metavar="APP")
    listed = take("list", "list the apps, their versions and dates")
    listed.add_argument("--json", action="store_true", help="print as JSON")
    show = take("show", "show what is stated about an app, and its versions")
    show.add_argument("app", metavar="APP")
    show.add_argument("--version", help="a version: its number, its date or the beginning of its id")
    show.add_argument("--outline", action="store_true", help="show every heading and clause as it is indexed")
    show.add_argument("--json", action="store_true", help="print as JSON")
    export = take("export", "write every app's text and a catalog.toml to a folder, for wentiao index build")
    export.add_argument("folder", type=Path, metavar="FOLDER")
    diff = take("diff", "show clause by clause what changed between two versions (default: the last two)")
    diff.add_argument("app", metavar="APP")
    diff.add_argument("versions", nargs="*", metavar="VERSION", help="number, date or beginning of the id; one or two")
    diff.add_argument("--json", action="store_true", help="print as JSON")
    snapshot = take("snapshot", "name the present state of the index")
    snapshot.add_argument("name", metavar="NAME")
    take("snapshots", "list the named states")
    restore = take("restore", "go back to a named state")
    restore.add_argument("name", metavar="NAME")
    forget = take("forget", "take the name from a named state, so that prune may delete it")
    forget.add_argument("name", metavar="NAME")
    prune = take("prune", "delete what neither the present nor a named state of the index needs")
    prune.add_argument(
        "--quarantine", action="store_true", help="delete what was damaged and set aside, too (see: wentiao doctor)"
    )


def take_index(parser: argparse.ArgumentParser) -> None:
    """Let a command name its index."""
    parser.add_argument(
        "--index", type=Path, metavar="PATH", help="the index (default: WENTIAO_INDEX, else the one serve uses)"
    )


def _take_statements(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--app", metavar="NAME", help="the app's name (default: catalogue, title or file name)")
    parser.add_argument("--alias", action="append", default=[], metavar="NAME", help="a further name; may be repeated")
    parser.add_argument("--operator", help="who runs the app")
    parser.add_argument("--updated", metavar="YYYY-MM-DD", help="when the text was last updated")
    parser.add_argument("--effective", metavar="YYYY-MM-DD", help="when the text takes effect")
    parser.add_argument("--source", help="where the text is from")
    parser.add_argument("--contact", help="how to reach the operator")
    parser.add_argument("--dry-run", action="store_true", help="show the outline that would be indexed, change nothing")


def run_corpus(options: argparse.Namespace, bench: Workbench) -> int:
    """Run one action; return the exit code: 1 if a part of what was asked for could not be done, or of a diff, changes.

    :raises ValueError: if the action was given something that it cannot take.
    """
    out = options.index or bench.index
    changes = options.action in ("add", "update", "remove", "snapshot")
    # What reads the default index makes it too, as a question does, where it was never opened; a dry run makes nothing,
    # nor does what makes room: a first build may have filled the disk.
    reads = options.action != "prune"
    wanted = not getattr(options, "dry_run", False) and (changes or (reads and not (out / "CURRENT").exists()))
    if options.index is None and wanted:
        bench.prepare()
    return _ACTIONS[options.action](options, out, bench)


def _add(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import add_policies, read_current, update_policies

    policies, refused = _take_files(options, options.files, bench)
    held = _current(out)
    known = [one for one in policies if one.app in held and held[one.app].policy_id != one.policy_id]
    for policy in known:
        _say_error(bench, "in_index", app=policy.app)
    new = [policy for policy in policies if policy.app not in held]
    # The text is there already: what is stated by hand corrects what was known of it.
    same = [_correct(read_current(out, one.app), options) for one in policies if one.app in held and one not in known]
    if options.dry_run:
        _show_outlines([*new, *same], bench)
        return 1 if refused or known else 0
    if new:
        _say_outcomes(add_policies(out, new, bench.load_encoder(), progress=bench.progress), bench)
    if same:
        _say_outcomes(update_policies(out, same, bench.load_encoder(), progress=bench.progress), bench)
    return 1 if refused or known else 0


def _update(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import AppError, find_app, read_current, succeed_policy, update_policies

    if not options.files:
        if not options.app:
            raise ValueError("say which app: --app NAME, with a file for a new version or without to correct it")
        policies = [_correct(read_current(out, options.app), options)]
        refused = unknown = 0
    else:
        held = _current(out)
        if options.app and held:
            with suppress(AppError):
                options.app = find_app(out, options.app)
        taken, refused = _take_files(options, options.files, bench)
        unknown = sum(policy.app not in held for policy in taken)
        for policy in taken:
            if policy.app not in held:
                _say_error(bench, "not_in_index", app=policy.app, apps="、".join(list(held)[:10]))
        policies = [
            _correct(succeed_policy(read_current(out, policy.app), policy), options)
            for policy in taken
            if policy.app in held
        ]
    if options.dry_run:
        _show_outlines(policies, bench)
    elif policies:
        _say_outcomes(update_policies(out, policies, bench.load_encoder(), progress=bench.progress), bench)
    return 1 if refused or unknown else 0


def _remove(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import find_app, remove_apps

    _say_outcomes(remove_apps(out, [find_app(out, app) for app in options.apps]), bench)
    return 0


def _list(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.manifest import read_manifest

    manifest = read_manifest(out)
    counts = {one.app: sum(other.app == one.app for other in manifest.versions) for one in manifest.current}
    if options.json:
        _print_json([{**_version_record(one), "versions": counts[one.app]} for one in manifest.current], bench)
        return 0
    for one in manifest.current:
        _say(
            bench,
            "listed",
            app=one.app,
            date=one.date or message("cli.no_date", bench.language),
            versions=counts[one.app],
            version=one.policy_id[:PREFIX],
        )
    return 0


def _show(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from corpus.parser import parse_policy
    from index.manifest import find_version
    from index.store import read_version

    versions = _versions_of(out, options.app)
    version = find_version(versions, options.version) if options.version else versions[-1]
    policy, clauses = read_version(out, version)
    if options.json:
        record: dict[str, object] = {**_statements(policy), "policy_id": policy.policy_id, "sha256": policy.sha256}
        record["versions"] = [_version_record(one) for one in versions]
        if options.outline:
            record["clauses"] = [
                {
                    "clause_id": one.clause_id,
                    "path": one.address,
                    "label": one.label,
                    "kind": one.kind,
                    "text": one.text,
                }
                for one in clauses
            ]
        _print_json(record, bench)
        return 0
    _write_statements(policy, bench)
    for number, one in enumerate(versions, start=1):
        _say(
            bench,
            "version_current" if one.is_current else "version_old",
            number=number,
            version=one.policy_id,
            date=one.date or message("cli.no_date", bench.language),
            added=one.added,
        )
    if options.outline:
        _write(bench, f"\n{format_outline(policy, parse_policy(policy))}")
    return 0


def _export(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import export_policies

    _say(bench, "exported", count=len(export_policies(out, options.folder)), folder=options.folder)
    return 0


def _diff(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from corpus.versions import diff_headings, diff_outlines
    from index.manifest import find_version
    from index.store import read_version
    from web.cli_diff import format_changes

    versions = _versions_of(out, options.app)
    if len(options.versions) > 2:
        raise ValueError(f"give one version or two, got {len(options.versions)}")
    chosen = [find_version(versions, wanted) for wanted in options.versions]
    if not chosen and len(versions) < 2:
        if not options.json:
            _say(bench, "one_version", app=versions[0].app)
            return 0
        chosen = versions
    older, newer = chosen if len(chosen) == 2 else [*chosen, versions[-1]] if chosen else versions[-2:]
    old, new = read_version(out, older), read_version(out, newer)
    changes, headings = diff_outlines(old, new), diff_headings(old, new)
    if options.json:
        record = {"app": newer.app, "from": _version_record(older), "to": _version_record(newer)}
        _print_json({**record, "headings": headings, "changes": changes}, bench)
    else:
        _write(bench, format_changes(changes, bench.language, headings))
    return 1 if changes or headings else 0


def _snapshot(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import take_snapshot

    snapshot = take_snapshot(out, options.name)
    _say(bench, "snapshot", name=snapshot.name, count=len(snapshot.apps))
    return 0


def _snapshots(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import list_snapshots

    for snapshot in list_snapshots(out):
        _say(bench, "snapshot", name=snapshot.name, count=len(snapshot.apps))
    return 0


def _restore(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import restore_snapshot

    snapshot = restore_snapshot(out, options.name, bench.load_encoder(), progress=bench.progress)
    _say(bench, "restored", name=snapshot.name, count=len(snapshot.apps))
    return 0


def _forget(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import forget_snapshot

    forget_snapshot(out, options.name)
    return 0


def _prune(options: argparse.Namespace, out: Path, bench: Workbench) -> int:
    from index.maintain import prune_index

    _say(bench, "pruned", mib=f"{prune_index(out, quarantine=options.quarantine) / 2**20:.1f}")
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Path, Workbench], int]] = {
    "add": _add,
    "update": _update,
    "remove": _remove,
    "list": _list,
    "show": _show,
    "export": _export,
    "diff": _diff,
    "snapshot": _snapshot,
    "snapshots": _snapshots,
    "restore": _restore,
    "forget": _forget,
    "prune": _prune,
}


CHANGING = ("add", "update", "remove", "restore", "prune")
"""Those that leave another index than they found."""


def format_outline(policy: Policy, outline: Outline) -> str:
    """Return the outline as lines: headings indented by depth, clauses by label and beginning, what is no clause."""
    lines: list[str] = []
    above: tuple[str, ...] = ()
    furniture = [piece for piece in outline.furniture if piece.kind != "heading"]
    for clause in outline.clauses:
        while furniture and furniture[0].start < clause.start:
            piece = furniture.pop(0)
            lines.append(f"[{piece.kind}] {_beginning(policy.text[piece.start : piece.end])}")
        path = clause.address
        same = next((depth for depth, (one, other) in enumerate(zip(path, above, strict=False)) if one != other), None)
        first = min(len(path), len(above)) if same is None else same
        lines += [f"{'  ' * depth}# {_beginning(path[depth])}" for depth in range(first, len(path))]
        above = path
        hangs = "↳ " if clause.lead_in else ""
        label = f"{clause.label} " if clause.label else ""
        lines.append(f"{'  ' * len(path)}- {hangs}{label}({clause.kind}) {_beginning(clause.text)}")
    lines += [f"[{piece.kind}] {_beginning(policy.text[piece.start : piece.end])}" for piece in furniture]
    return "\n".join(lines)


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def _take_files(options: argparse.Namespace, files: Sequence[Path], bench: Workbench) -> tuple[list[Policy], int]:
    """Read the files; name those that cannot be taken and return how many these are."""
    from corpus.intake import Corrections, take_in
    from corpus.parser import parse_policy

    intake: Intake = take_in(
        files,
        app=options.app,
        aliases=options.alias,
        corrections=Corrections(
            operator=options.operator,
            updated=_day(options.updated),
            effective=_day(options.effective),
            source=options.source,
            contact=options.contact,
        ),
    )
    for one in intake.rejected:
        bench.err.write(f"{printable(f'{one.path}: {one.reason}')}\n")
    whole = [taken for taken in intake.policies if parse_policy(taken.policy).clauses]
    for taken in intake.policies:
        if taken not in whole:
            told = f"{taken.path}: {message('cli.corpus_no_clause', bench.language)}"
            bench.err.write(f"{printable(told)}\n")
    for taken in whole:
        if not _POLICY_WORDS.search(taken.policy.text):
            _say_error(bench, "unlike", app=taken.policy.app)
    return [taken.policy for taken in whole], len(intake.rejected) + len(intake.policies) - len(whole)


def _correct(policy: Policy, options: argparse.Namespace) -> Policy:
    """Return ``policy`` with what the command states; what is stated as empty is no longer stated."""
    dropped = (*getattr(options, "drop_alias", []), policy.app)
    aliases = dict.fromkeys((*policy.aliases, *filter(None, (alias.strip() for alias in options.alias))))
    return replace(
        policy,
        operator=_stated(options.operator, policy.operator),
        source=_stated(options.source, policy.source),
        contact=_stated(options.contact, policy.contact),
        updated=_stated(_day(options.updated), policy.updated),
        effective=_stated(_day(options.effective), policy.effective),
        aliases=tuple(alias for alias in aliases if alias not in dropped),
    )


def _stated(given: str | None, known: str | None) -> str | None:
    return known if given is None else given or None


def _day(text: str | None) -> str | None:
    """Return an ISO 8601 day, or nothing, as it is.

    :raises ValueError: if it is neither.
    """
    from datetime import date

    if text:
        try:
            if date.fromisoformat(text).isoformat() != text:
                raise ValueError
        except ValueError:
            raise ValueError(f"a date is YYYY-MM-DD, such as 2024-08-01, got {text!r}") from None
    return text


def _current(out: Path) -> dict[str, Version]:
    """Return the current version of every app, none where there is no index yet."""
    from index.errors import IndexNotBuiltError
    from index.manifest import read_manifest

    try:
        return {version.app: version for version in read_manifest(out).current}
    except IndexNotBuiltError:
        return {}


def _versions_of(out: Path, app: str) -> list[Version]:
    from index.maintain import find_app
    from index.manifest import read_manifest

    app = find_app(out, app)
    return [version for version in read_manifest(out).versions if version.app == app]


def _version_record(version: Version) -> dict[str, object]:
    return {
        "app": version.app,
        "policy_id": version.policy_id,
        "sha256": version.sha256,
        "date": version.date,
        "added": version.added,
        "is_current": version.is_current,
    }


def _statements(policy: Policy) -> dict[str, str | tuple[str, ...] | None]:
    return {
        "app": policy.app,
        "aliases": policy.aliases,
        "operator": policy.operator,
        "updated": policy.updated,
        "effective": policy.effective,
        "source": policy.source,
        "contact": policy.contact,
    }


def _write_statements(policy: Policy, bench: Workbench) -> None:
    for name, value in _statements(policy).items():
        _write(bench, f"{name}: {'、'.join(value) if isinstance(value, tuple) else value or '—'}")


def _show_outlines(policies: Sequence[Policy], bench: Workbench) -> None:
    from corpus.parser import parse_policy

    for policy in policies:
        _write_statements(policy, bench)
        _write(bench, f"\n{format_outline(policy, parse_policy(policy))}\n")


def _say_outcomes(outcomes: Sequence[Outcome], bench: Workbench) -> None:
    for one in outcomes:
        _say(bench, one.deed, app=one.app, version=one.policy_id[:PREFIX])
        if one.dropped_aliases:
            _say(bench, "dropped_aliases", app=one.app, aliases="、".join(one.dropped_aliases))


def _say(bench: Workbench, said: str, /, **values: object) -> None:
    _write(bench, message(f"cli.corpus_{said}", bench.language, **values))


def _say_error(bench: Workbench, said: str, /, **values: object) -> None:
    bench.err.write(f"{printable(message(f'cli.corpus_{said}', bench.language, **values))}\n")


def _write(bench: Workbench, text: str) -> None:
    bench.out.writelines(f"{printable(line)}\n" for line in text.split("\n"))


def _print_json(value: object, bench: Workbench) -> None:
    from dataclasses import asdict, is_dataclass

    def plain(one: object) -> object:
        if is_dataclass(one) and not isinstance(one, type):
            return asdict(one)
        raise TypeError(f"{type(one).__name__} is no JSON")

    bench.out.write(f"{json.dumps(value, ensure_ascii=False, indent=2, default=plain)}\n")
