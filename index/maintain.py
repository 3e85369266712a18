"""What a maintainer does to an index: add, update, correct and remove policies, name states of it and go back."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from corpus.datatypes import Policy
from index.encoder import Encoder, Progress
from index.errors import IndexMismatchError, IndexNotBuiltError
from index.manifest import (
    Manifest,
    Version,
    build_command,
    current_generation,
    damaged_names,
    generations,
    hash_files,
    quote_argument,
    read_file,
    read_manifest,
    replace_file,
    write_generation,
)
from index.segment import made_by
from index.storage import QUARANTINE, empty_quarantine, set_aside
from index.store import commit, locked, read_version, recover_policies, write_policies

_log = logging.getLogger(__name__)

Deed = Literal["added", "updated", "corrected", "unchanged", "removed"]

SNAPSHOT_NAME = re.compile(r"\w[\w.-]{0,63}")


@dataclass(frozen=True)
class Outcome:
    """What became of one app: ``policy_id`` is that of its current version, or of the last one it had."""

    app: str
    deed: Deed
    policy_id: str
    dropped_aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A generation with a name: it can be restored as long as the snapshot is kept."""

    name: str
    generation: str
    apps: tuple[str, ...]


class AppError(ValueError):
    """An app is in the index where it must not be, or is not where it must."""


def add_policies(
    out: Path, policies: Sequence[Policy], encoder: Encoder, *, progress: Progress | None = None
) -> tuple[Outcome, ...]:
    """Add apps to the index at ``out``, which is made if there is none.

    An alias that is a name of another app in the index is dropped: it would tell none of them from the other.

    :raises AppError: if the index has one of the apps already with another text.
    :raises ValueError: if ``policies`` is empty, names an app twice or holds one without a clause.
    """
    with locked(out, create=True):
        before = _versions(out)
        held = {version.app: version for version in before if version.is_current}
        new = [policy for policy in policies if policy.app not in held]
        for policy in policies:
            if policy.app in held and held[policy.app].policy_id != policy.policy_id:
                raise AppError(
                    f"the index has {policy.app!r} already, with another text; a new version of it is added by:\n"
                    f"  wentiao corpus update FILE --app {policy.app}"
                )
        if not policies:
            raise ValueError("no policy to add")
        outcomes = [Outcome(one.app, "unchanged", one.policy_id) for one in policies if one.app in held]
        if new:
            outcomes += _write(out, before, {}, new, encoder, progress)
        return tuple(outcomes)


def update_policies(
    out: Path, policies: Sequence[Policy], encoder: Encoder, *, progress: Progress | None = None
) -> tuple[Outcome, ...]:
    """Make each policy the current version of its app; what was current before stays as an old version.

    The same text with another operator, date or alias corrects the current version and makes no new one.

    :raises AppError: if the index does not have one of the apps.
    """
    with locked(out):
        before = _versions(out)
        held = {version.app: version for version in before if version.is_current}
        for policy in policies:
            if policy.app not in held:
                near = "、".join(list(held)[:10]) or "none"
                raise AppError(
                    f"the index has no app {policy.app!r} (it has: {near}); a new app is added by:\n"
                    "  wentiao corpus add FILE"
                )
        return tuple(_write(out, before, {policy.app: policy for policy in policies}, [], encoder, progress))


def succeed_policy(old: Policy, new: Policy) -> Policy:
    """Return ``new`` with the names, operator, source and contact of ``old`` that it does not state itself."""
    return replace(
        new,
        aliases=tuple(dict.fromkeys((*old.aliases, *new.aliases))),
        operator=new.operator or old.operator,
        source=new.source or old.source,
        contact=new.contact or old.contact,
    )


def remove_apps(out: Path, apps: Sequence[str]) -> tuple[Outcome, ...]:
    """Take apps with all their versions out of the index; snapshots still have them.

    :raises AppError: if the index does not have one of them, or would be empty.
    """
    with locked(out):
        manifest = read_manifest(out)
        held = {version.app: version for version in manifest.current}
        if missing := [app for app in apps if app not in held]:
            raise AppError(f"the index has no app {', '.join(map(repr, missing))}; see: wentiao corpus list")
        if not set(held) - set(apps):
            raise AppError("an index without any app answers nothing; to be rid of it, delete its folder")
        kept = tuple(version for version in manifest.versions if version.app not in apps)
        write_generation(out, replace(manifest, versions=kept))
        return tuple(Outcome(app, "removed", held[app].policy_id) for app in dict.fromkeys(apps))


def read_current(out: Path, app: str) -> Policy:
    """Return the current version of ``app``.

    :param app: its name, or an alias.
    :raises AppError: if the index does not have it.
    """
    name = find_app(out, app)
    [version] = [version for version in read_manifest(out).current if version.app == name]
    return read_version(out, version)[0]


def find_app(out: Path, name: str) -> str:
    """Return the app of the index that has this name or alias.

    :raises AppError: if none has.
    """
    current = read_manifest(out).current
    if any(version.app == name for version in current):
        return name
    for version in current:
        if name in read_version(out, version)[0].aliases:
            return version.app
    raise AppError(f"the index has no app {name!r}; see: wentiao corpus list")


def export_policies(out: Path, folder: Path) -> tuple[Path, ...]:
    """Write the current text of every app to ``folder``, with a ``catalog.toml``: what ``wentiao index build`` takes.

    :raises FileExistsError: if the folder holds a file already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; give a folder that is, or a new one")
    written: list[Path] = []
    entries: list[str] = []
    current = read_manifest(out).current
    for version, stem in zip(current, _stems([one.app for one in current]), strict=True):
        policy, _ = read_version(out, version)
        path = folder / f"{stem}.txt"
        path.write_text(policy.text, encoding="utf-8", newline="\n")
        written.append(path)
        entries.append(_catalog_entry(path.name, policy))
    catalog = "\n\n".join(entries) + "\n"
    tomllib.loads(catalog)
    (folder / "catalog.toml").write_text(catalog, encoding="utf-8")
    return tuple(written)


def _stems(apps: Sequence[str]) -> list[str]:
    """Return a file stem an app, its name where that can be one; no two are the same, in upper or lower case either."""
    taken: set[str] = set()
    stems = []
    for number, app in enumerate(apps, start=1):
        plain = unicodedata.normalize("NFC", app)
        fits = re.fullmatch(r"[\w .()（）+-]{1,60}", plain) and plain.strip(" .") == plain
        tries = (f"policy-{number}", *(f"policy-{number}-{again}" for again in range(len(apps))))
        stem = next(one for one in ((plain,) if fits else ()) + tries if one.casefold() not in taken)
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _catalog_entry(file_name: str, policy: Policy) -> str:
    stated = {
        "name": policy.app,
        "aliases": list(policy.aliases),
        "operator": policy.operator,
        "updated": policy.updated,
        "effective": policy.effective,
        "source": policy.source,
        "contact": policy.contact,
    }
    # A JSON string without surrogates is a TOML string, and a list of them a TOML array.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in stated.items() if value]
    return "\n".join([f"[{json.dumps(file_name, ensure_ascii=False)}]", *lines])


def take_snapshot(out: Path, name: str) -> Snapshot:
    """Name the current generation.

    :raises ValueError: if the name is taken, or is not letters, digits, ``.``, ``-`` and ``_``, at most 64.
    """
    if not SNAPSHOT_NAME.fullmatch(name):
        raise ValueError(f"a snapshot's name is 1 to 64 letters, digits, '.', '-' or '_', got {name!r}")
    with locked(out):
        path = out / "snapshots" / name
        if path.exists():
            raise ValueError(f"there is a snapshot {name!r} already; see: wentiao corpus snapshots")
        generation = current_generation(out)
        path.parent.mkdir(exist_ok=True)
        replace_file(path, f"{generation}\n".encode())
        return _read_snapshot(out, name)


def list_snapshots(out: Path) -> tuple[Snapshot, ...]:
    """Return the snapshots of the index, in order of name."""
    folder = out / "snapshots"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return tuple(_read_snapshot(out, name) for name in names if SNAPSHOT_NAME.fullmatch(name))


def restore_snapshot(out: Path, name: str, encoder: Encoder, *, progress: Progress | None = None) -> Snapshot:
    """Answer again from what a snapshot names, encoding only what this model has not.

    Versions that came later stay citable.

    :raises ValueError: if there is no such snapshot.
    :raises IndexMismatchError: if a text in it is damaged.
    """
    snapshots = {snapshot.name: snapshot for snapshot in list_snapshots(out)}
    if name not in snapshots:
        raise ValueError(f"no snapshot {name!r}; there are: {', '.join(snapshots) or 'none'}")
    with locked(out):
        manifest = read_manifest(out, snapshots[name].generation)
        known = {version.policy_id for version in manifest.versions}
        later = [replace(one, is_current=False) for one in read_manifest(out).versions if one.policy_id not in known]
        # Those of an app stand together, its current one last.
        versions = sorted((*later, *manifest.versions), key=lambda one: one.is_current)
        manifest = replace(manifest, versions=tuple(versions))
        if manifest.made_by == made_by(encoder.fingerprint) and all(_stands(out, one) for one in manifest.current):
            commit(out, manifest)
        else:
            _rewrite(out, manifest, encoder, progress)
    return snapshots[name]


def forget_snapshot(out: Path, name: str) -> None:
    """Take the name from a generation, which the next :func:`prune_index` may then delete.

    :raises ValueError: if there is no such snapshot.
    """
    with locked(out):
        path = out / "snapshots" / name
        if not SNAPSHOT_NAME.fullmatch(name) or not os.path.lexists(path):
            raise ValueError(f"no snapshot {name!r}; see: wentiao corpus snapshots")
        if path.is_file():
            path.unlink()
        else:
            set_aside(out, path)


def repair_index(out: Path, encoder: Encoder, *, progress: Progress | None = None) -> tuple[Version, ...]:
    """Make the index at ``out`` whole, and as this model, parser and format make it, from the texts in it.

    Versions whose text is damaged are taken out of it; in the place of a current one comes the same text, as an earlier
    generation has it, else the version of the app before it (:func:`find_stand_in`). Where ``CURRENT`` or its
    generation is damaged, the generation that was written last takes its place; where no current text of it is left,
    the last one that has one. What is damaged is set aside and not deleted (:func:`index.storage.list_quarantine`).

    :return: the versions whose text is damaged: they are no longer in the index. An app whose current version is
        among them answers from what has come in its place, without that again when its file has been added.
    :raises IndexNotBuiltError: if there is no index.
    :raises IndexMismatchError: if its manifest is damaged, or no text of it is left.
    :raises StorageError: if the disk is full, or may not be written to.
    """
    with locked(out):
        manifest = _newest_usable(out)
        for path in damaged_names(out):
            set_aside(out, path)
        _, lost = recover_policies(out, manifest.versions)
        stand_ins = {one.app: find_stand_in(out, manifest.versions, one) for one in lost if one.is_current}
        kept = _replaced(manifest.versions, lost, stand_ins)
        if not any(version.is_current for version in kept):
            earlier = next((one for one in _readable(out) if recover_policies(out, one.current)[0]), None)
            if earlier is None:
                raise IndexMismatchError(f"no text is left whole in {out}; build it again:\n  {build_command(out)}")
            _, more = recover_policies(out, earlier.versions)
            manifest, kept = earlier, tuple(one for one in earlier.versions if one not in more)
            _log.warning("%s goes back to an earlier generation: no current text was left whole", out)
        for version in lost:
            if (folder := out / "segments" / version.segment).is_dir():
                set_aside(out, folder)
        _rewrite(out, replace(manifest, versions=kept), encoder, progress)
        for path in (out / "snapshots").glob("*"):
            try:
                _read_snapshot(out, path.name)
            except IndexMismatchError:
                set_aside(out, path)
        return tuple(lost)


def find_stand_in(out: Path, versions: Sequence[Version], lost: Version) -> Version | None:
    """Return what answers for an app in the place of its current version ``lost``, whose text is damaged.

    That is the same text with what was stated about it before, else the newest version of the app that is older; each
    is looked for in ``versions``, oldest first, and then in the generations that are still there. ``None`` where no
    text of the app is whole.
    """
    earlier = [one for manifest in _readable(out) for one in reversed(manifest.versions)]
    own = [one for one in (*reversed(versions), *earlier) if one.app == lost.app and one.segment != lost.segment]
    for version in sorted(own, key=lambda one: one.policy_id != lost.policy_id):
        if recover_policies(out, [version])[0]:
            return version
    return None


def _replaced(
    versions: Sequence[Version], lost: Sequence[Version], stand_ins: Mapping[str, Version | None]
) -> tuple[Version, ...]:
    """Return ``versions`` without the ``lost`` ones, with what stands in for these in their places."""
    taken = {(one.app, one.policy_id) for one in stand_ins.values() if one is not None}
    kept: list[Version] = []
    for version in versions:
        if version in lost:
            stand_in = stand_ins.get(version.app) if version.is_current else None
            if stand_in is not None:
                kept.append(replace(stand_in, is_current=True))
                _log.warning("%s: %s answers from %s again", version.app, version.policy_id, stand_in.policy_id)
        elif (version.app, version.policy_id) not in taken:
            kept.append(version)
    return tuple(kept)


def _newest_usable(out: Path) -> Manifest:
    """Return the manifest of the current generation, else the whole one that was written last."""
    try:
        return read_manifest(out)
    except IndexMismatchError:
        newest = next(_readable(out), None)
        if newest is None:
            raise
        return newest


def _readable(out: Path) -> Iterator[Manifest]:
    """Yield the manifests that are whole, the one that was written last first."""
    for path in generations(out):
        with suppress(IndexMismatchError):
            yield read_manifest(out, path.stem)


def prune_index(out: Path, *, quarantine: bool = False) -> int:
    """Delete the generations that are neither current nor a snapshot, and the segments that none of these lists.

    What a build that was stopped has encoded goes as well, even where it was the first one and no index came of it:
    it may be what fills the disk.

    :param quarantine: delete what was damaged and set aside, too.
    :return: how many bytes were freed.
    """
    with locked(out):
        wanted = {snapshot.generation for snapshot in list_snapshots(out)}
        with suppress(IndexNotBuiltError):  # a first build that has not come so far
            wanted.add(current_generation(out))
        listed = {version.segment for name in wanted for version in read_manifest(out, name).versions}
        orphans = [path for path in (out / "generations").glob("*") if path.stem not in wanted]
        orphans += [path for path in (out / "segments").iterdir() if path.name not in listed]
        freed = 0
        for path in orphans:
            freed += _size(path)
            if path.is_dir() and not path.is_symlink():
                going = path.with_name(f".partial-{path.name}-pruned")
                path.rename(going)  # never half a segment under its name
                shutil.rmtree(going)
            else:
                path.unlink()
        if quarantine:
            freed += _size(out / QUARANTINE)
            empty_quarantine(out)
        return freed


def _size(path: Path) -> int:
    return sum(one.lstat().st_size for one in (path, *path.rglob("*")) if one.is_file() or one.is_symlink())


def _read_snapshot(out: Path, name: str) -> Snapshot:
    try:
        generation = read_file(out / "snapshots" / name, 100).decode("utf-8", "replace").strip()
        manifest = read_manifest(out, generation or "none")
    except (IndexNotBuiltError, IndexMismatchError, ValueError) as error:
        raise IndexMismatchError(
            f"the generation of the snapshot {name!r} is gone or damaged; forget the snapshot:\n"
            f"  wentiao corpus forget {name} --index {quote_argument(out)}"
        ) from error
    return Snapshot(name, generation, tuple(version.app for version in manifest.current))


def _stands(out: Path, version: Version) -> bool:
    folder = out / "segments" / version.segment
    return folder.is_dir() and hash_files(folder) == version.files


def _versions(out: Path) -> tuple[Version, ...]:
    try:
        return read_manifest(out).versions
    except IndexNotBuiltError:
        return ()


def _write(
    out: Path,
    before: Sequence[Version],
    changed: dict[str, Policy],
    new: Sequence[Policy],
    encoder: Encoder,
    progress: Progress | None,
) -> list[Outcome]:
    """Write a generation in which some policies have changed and some are new; say what became of these."""
    held = [read_version(out, version)[0] for version in before if version.is_current]
    old = {policy.app: policy for policy in held}
    given = {**changed, **{policy.app: policy for policy in new}}
    others = [policy for policy in held if policy.app not in given]
    claims = Counter(name for policy in (*others, *given.values()) for name in _names(policy))
    fitted = {app: _without_shared(policy, claims) for app, policy in given.items()}
    manifest = read_manifest(out) if before else Manifest({}, ())
    policies = [*(fitted.get(policy.app, policy) for policy in held), *(fitted[policy.app] for policy in new)]
    write_policies(
        policies,
        out,
        encoder,
        before=before,
        shipped=[old[version.app] for version in before if version.is_current and version.shipped],
        shipped_hash=manifest.shipped,
        progress=progress,
    )
    return [
        Outcome(
            app,
            _deed(old.get(app), policy),
            policy.policy_id,
            tuple(name for name in given[app].aliases if name not in policy.aliases),
        )
        for app, policy in fitted.items()
    ]


def _deed(old: Policy | None, policy: Policy) -> Deed:
    if old is None:
        return "added"
    if old.policy_id != policy.policy_id:
        return "updated"
    return "unchanged" if old == policy else "corrected"


def _names(policy: Policy) -> set[str]:
    return {name.casefold() for name in (policy.app, *policy.aliases)}


def _without_shared(policy: Policy, claims: Counter[str]) -> Policy:
    """Return ``policy`` without the aliases that another app claims as well, as its name or an alias."""
    return replace(policy, aliases=tuple(name for name in policy.aliases if claims[name.casefold()] == 1))


def _rewrite(out: Path, manifest: Manifest, encoder: Encoder, progress: Progress | None) -> None:
    """Write the current versions of ``manifest`` as this model and parser make them, and its old ones as they are."""
    policies = [read_version(out, version)[0] for version in manifest.current]
    write_policies(
        policies,
        out,
        encoder,
        before=manifest.versions,
        shipped=[policy for policy, version in zip(policies, manifest.current, strict=True) if version.shipped],
        shipped_hash=manifest.shipped,
        progress=progress,
    )
