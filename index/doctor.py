"""What is wrong with an index, or looks wrong: every finding says where, and the command that mends it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from corpus.blocks import Block, is_blank
from corpus.contents import MAX_ENTRY, normalise_title, resembles
from corpus.datatypes import Clause, Outline, Policy
from corpus.load import default_policies_folder, load_policies
from corpus.messages import message, printable
from corpus.numbering import read_marker
from corpus.parser import parse_policy
from index.arrays import read_array
from index.encoder import Encoder, Progress
from index.errors import IndexMismatchError, IndexNotBuiltError
from index.lexical import LexicalIndex
from index.maintain import SNAPSHOT_NAME, find_stand_in, repair_index
from index.manifest import (
    Manifest,
    Version,
    add_command,
    build_command,
    current_generation,
    hash_files,
    newest_manifest,
    quote_argument,
    read_file,
    read_index_id,
    read_manifest,
    repair_command,
    update_command,
)
from index.segment import MOST_JSON_BYTES, OUTLINE_FILES, UNREADABLE, check_lexical, made_by, read_outline
from index.storage import QUARANTINE, list_quarantine
from index.store import CHECKSUMS, JOURNAL, default_index_folder, locked
from index.units import Unit, clause_units, embedding_texts
from index.vectors import open_store, without_password

Severity = Literal["error", "warning", "note"]
FindingKind = Literal[
    "index_missing",
    "current_damaged",
    "file_missing",
    "file_damaged",
    "file_unknown",
    "id_damaged",
    "text_lost",
    "text_replaced",
    "old_text_lost",
    "snapshot_empty",
    "snapshot_lost",
    "orphan",
    "superseded",
    "leftover",
    "unfinished",
    "quarantined",
    "store_lacks",
    "made_differently",
    "shipped_differs",
    "record_differs",
    "app_twice",
    "unreadable",
    "dimension",
    "not_finite",
    "norm",
    "array_length",
    "offsets",
    "overlap",
    "coverage",
    "units_differ",
    "clauses_differ",
    "sentence_too_long",
    "clause_too_long",
    "too_short",
    "contents_taken",
    "near_identical",
    "name_collision",
    "alias_collision",
    "unstated",
    "bad_date",
    "old_date",
    "future_date",
]
Detail = str | int
CountTokens = Callable[[Sequence[str]], Sequence[int]]

# With an error an index gives wrong answers or none, or cites what cannot be shown; with a warning it may; a note is
# for the maintainer to know.
_WARNINGS: frozenset[FindingKind] = frozenset(
    {
        "store_lacks",
        "shipped_differs",
        "clauses_differ",
        "sentence_too_long",
        "contents_taken",
        "near_identical",
        "alias_collision",
        "bad_date",
    }
)
_NOTES: frozenset[FindingKind] = frozenset(
    {
        "orphan",
        "superseded",
        "leftover",
        "unfinished",
        "quarantined",
        "clause_too_long",
        "too_short",
        "unstated",
        "old_date",
        "future_date",
    }
)
_UNREADABLE = (OSError, *UNREADABLE)

MAX_TOKENS = 512  # what multilingual-e5-small reads of a text, its prompt and two special tokens included
TOKENS_PER_CHARACTER = 0.65  # of the text; 0.63 over the units of 135 policies, 95 % of the long ones below 0.68
NORM_TOLERANCE = 0.01
OLD_YEARS = 5
MIN_LISTED = 3
MIN_LETTERS = 2  # beside its number; of 21,451 clauses of 135 policies ten have fewer: cells of a table, torn lines
# Of 135 policies two pairs lie above, 0.95 and 0.89; games of one publisher, with a policy each, share up to 0.82.
NEAR_IDENTICAL = 0.85
_PHRASE_BREAK = re.compile(r"[\W_]+")
_SENTENCE = re.compile(r"[。！!；;]|[，,].*[，,]")
_ENTRY_TAIL = re.compile(r"[。；;\s\d]+$")  # the end of an entry, and the page that it names
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or looks wrong.

    ``place`` is the app, the clause or the file, by its path in the index; ``detail`` holds what the message of that
    kind names; ``command`` mends it, where ``FILE``, ``FOLDER`` and ``NAME`` stand for what only the maintainer has.
    """

    kind: FindingKind
    severity: Severity
    place: str
    detail: Mapping[str, Detail]
    command: str

    def to_dict(self) -> dict[str, object]:
        """Return the finding as JSON takes it."""
        return {**asdict(self), "detail": dict(self.detail)}


@dataclass(frozen=True)
class _Model:
    """What is known of the model that the index is for; ``None`` is not known."""

    fingerprint: str | None
    dimension: int | None
    token_dimension: int | None
    max_tokens: int
    count_tokens: CountTokens | None


@dataclass(frozen=True)
class _Held:
    """A current version whose text could be read."""

    version: Version
    policy: Policy
    clauses: tuple[Clause, ...]

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        return clause_units(self.clauses)

    def place(self, clause: Clause) -> str:
        return f"{self.policy.app} · {clause.label or '—'} · {clause.clause_id}"


def examine_index(
    out: Path,
    *,
    encoder_fingerprint: str | None = None,
    dimension: int | None = None,
    token_dimension: int | None = None,
    max_tokens: int = MAX_TOKENS,
    count_tokens: CountTokens | None = None,
    today: date | None = None,
    store: str | None = None,
) -> tuple[Finding, ...]:
    """Return all that is wrong with the index at ``out``; it is read and not changed, and damage raises nothing.

    Nobody should write to it meanwhile: what is being written looks like what was left behind.

    :param encoder_fingerprint: that of the model the index is for, likewise ``dimension`` and ``token_dimension``;
        without them the segments are only compared with one another.
    :param max_tokens: how much the model reads of a text.
    :param count_tokens: how many tokens the model would make of passages, prompt and special tokens included; without
        it they are estimated from the characters.
    :param store: where vectors are searched, if not in the index (see :func:`index.vectors.open_store`).
    :raises StoreUnreachableError: if the store does not answer.
    """
    model = _Model(encoder_fingerprint, dimension, token_dimension, max_tokens, count_tokens)
    try:
        manifest = read_manifest(out)
    except IndexNotBuiltError:
        return (_finding("index_missing", "CURRENT", build_command(out)),)
    except (IndexMismatchError, *_UNREADABLE):
        command = repair_command(out) if newest_manifest(out) else build_command(out)
        return (_finding("current_damaged", "CURRENT", command),)
    findings = [*_examine_making(out, manifest, model), *_examine_storage(out, manifest)]
    if store:
        findings += _examine_store(out, manifest, store, model)
    held: list[_Held] = []
    for version in manifest.current:
        findings += _examine_files(out, version, manifest)
        if (one := _read_held(out, version)) is not None:
            held.append(one)
    if model.dimension is None:
        model = replace(model, dimension=_usual_dimension(out, [one.version for one in held]))
    fresh_parser = manifest.made_by.get("parser") == made_by("")["parser"]
    for one in held:
        findings += _examine_record(out, one)
        findings += _examine_arrays(out, one, model)
        findings += _examine_outline(out, one, fresh_parser)
        findings += _examine_lengths(out, one, model)
        findings += _examine_stated(out, one.policy, today or date.today())
    findings += _compare_texts(out, [one.policy for one in held])
    findings += _compare_names(out, [one.policy for one in held])
    order = get_args(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def exit_code(findings: Iterable[Finding]) -> int:
    """Return what a command exits with: 1 if one of ``findings`` is an error, else 0."""
    return int(any(finding.severity == "error" for finding in findings))


def describe_finding(finding: Finding, language: str) -> str:
    """Return a finding as a person reads it in a terminal: severity, place and fault on a line, below the command."""
    detail = {
        name: message(f"doctor.{value}", language) if name == "part" else printable(value)
        for name, value in finding.detail.items()
    }
    if missing := finding.detail.get("missing"):
        names = [message(f"doctor.part_{name}", language) for name in str(missing).split()]
        detail["missing"] = message("doctor.and", language).join(names)
    return message(
        "doctor.line",
        language,
        severity=message(f"doctor.severity_{finding.severity}", language),
        place=printable(finding.place),
        fault=message(f"doctor.{finding.kind}", language, **detail),
        command=finding.command,
    )


def mend_index(out: Path, encoder: Encoder, *, progress: Progress | None = None) -> tuple[Version, ...]:
    """Repair the index at ``out``, and write anew the segments whose files are as written and yet wrong.

    Killed in between, the index does not open until it is run again; no text is lost.

    :return: the versions whose text is damaged, as of :func:`~index.maintain.repair_index`.
    :raises IndexNotBuiltError: if there is no index.
    :raises IndexMismatchError: if its manifest is damaged, or no text of it is left.
    """
    model = _Model(encoder.fingerprint, encoder.dimension, encoder.token_dimension, MAX_TOKENS, None)
    with locked(out):
        manifest = None
        with suppress(IndexMismatchError):
            manifest = read_manifest(out)
        # What another encoder, parser or format made is made anew by the repair in any case.
        same = manifest is not None and manifest.made_by == made_by(encoder.fingerprint)
        for one in filter(
            None, (_read_held(out, version) for version in (manifest.current if manifest and same else ()))
        ):
            found = [*_examine_arrays(out, one, model), *_examine_outline(out, one, fresh_parser=True)]
            if any(finding.command == repair_command(out) for finding in found):
                # A segment without its checksums is not whole, so repair makes it from its text.
                (out / "segments" / one.version.segment / CHECKSUMS).unlink(missing_ok=True)
    return repair_index(out, encoder, progress=progress)


def _finding(kind: FindingKind, place: str, command: str, **detail: Detail) -> Finding:
    severity: Severity = "warning" if kind in _WARNINGS else "note" if kind in _NOTES else "error"
    return Finding(kind, severity, place, detail, command)


# -- the commands


def _prune(out: Path) -> str:
    return f"wentiao corpus prune --index {quote_argument(out)}"


def _show_outline(out: Path, app: str) -> str:
    return f"wentiao corpus show {quote_argument(app)} --outline --index {quote_argument(out)}"


def _renew(out: Path, app: str) -> str:
    return update_command(out, app)


def _correct(out: Path, app: str, options: str) -> str:
    return f"wentiao corpus update --app {quote_argument(app)} {options} --index {quote_argument(out)}"


def _remove(out: Path, app: str) -> str:
    return f"wentiao corpus remove {quote_argument(app)} --index {quote_argument(out)}"


# -- what made it


def _examine_making(out: Path, manifest: Manifest, model: _Model) -> Iterator[Finding]:
    for part, expected in made_by(model.fingerprint or "").items():
        known = part != "encoder" or model.fingerprint is not None
        if known and manifest.made_by.get(part) != expected:
            yield _finding(
                "made_differently", f"generations/{_current(out)}.json", repair_command(out), part=f"part_{part}"
            )
    if manifest.shipped and out.resolve() == default_index_folder().resolve() and manifest.shipped != _shipped_hash():
        yield _finding("shipped_differs", f"generations/{_current(out)}.json", "wentiao apps")
    for app, count in Counter(version.app for version in manifest.current).items():
        if count > 1:
            yield _finding("app_twice", app, _remove(out, app), count=count)


def _current(out: Path) -> str:
    return current_generation(out)[:12]


def _shipped_hash() -> str:
    """Return what ``Manifest.shipped`` is for the policies that the project ships now (see `store.open_default`)."""
    shipped = [asdict(policy) for policy in load_policies([default_policies_folder()])]
    return hashlib.sha256(json.dumps(shipped, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


# -- the files


def _examine_files(out: Path, version: Version, manifest: Manifest) -> Iterator[Finding]:
    """Compare the files of a current version with the hashes in the manifest."""
    folder = out / "segments" / version.segment
    found = _hash_files(folder)
    bad = sorted({*found.items()} ^ {*version.files.items()})
    lost = {*OUTLINE_FILES} & {name for name, _ in bad} or _read_outline(folder) is None
    stand_in = find_stand_in(out, manifest.versions, version) if lost else None
    alone = len(manifest.current) == 1 and stand_in is None
    again = add_command(out, version.app) if stand_in is None else _renew(out, version.app)
    if lost and stand_in is not None:
        detail = {"version": stand_in.policy_id[:12], "date": stand_in.date or "—"}
        yield _finding("text_replaced", version.app, f"{repair_command(out)} && {again}", **detail)
    elif lost:
        yield _finding("text_lost", version.app, build_command(out) if alone else f"{repair_command(out)} && {again}")
    for name in dict.fromkeys(name for name, _ in bad):
        kind: FindingKind = "file_damaged" if name in version.files else "file_unknown"
        place = f"segments/{version.segment}/{name}"
        command = build_command(out) if lost and alone else repair_command(out)
        yield _finding("file_missing" if name not in found else kind, place, command, app=version.app)


def _hash_files(folder: Path) -> Mapping[str, str]:
    try:
        return hash_files(folder)
    except OSError:
        return {}


def _read_outline(folder: Path) -> tuple[Policy, tuple[Clause, ...]] | None:
    try:
        policy, clauses = read_outline(folder)
        fits = all(isinstance(one.start, int) and isinstance(one.end, int) and one.text + one.label for one in clauses)
    except _UNREADABLE:
        return None
    return (policy, clauses) if fits and isinstance(policy.app + policy.text, str) else None


def _is_intact(out: Path, version: Version) -> bool:
    """Whether the text of a version is as it was written, and can be read."""
    folder = out / "segments" / version.segment
    try:
        read = {name: read_file(folder / name, MOST_JSON_BYTES) for name in OUTLINE_FILES}
        found = {name: hashlib.sha256(content).hexdigest() for name, content in read.items()}
        same = all(version.files[name] == found[name] for name in OUTLINE_FILES)
    except _UNREADABLE:
        return False
    return same and _read_outline(folder) is not None


def _read_held(out: Path, version: Version) -> _Held | None:
    outline = _read_outline(out / "segments" / version.segment) if _is_intact(out, version) else None
    return _Held(version, *outline) if outline else None


def _examine_storage(out: Path, manifest: Manifest) -> Iterator[Finding]:
    """Look at what stands in the folder beside the current versions: old ones, snapshots, what nothing names."""
    for version in manifest.versions:
        if not version.is_current and not _is_intact(out, version):
            place = f"{version.app} · {version.policy_id} · segments/{version.segment}"
            yield _finding("old_text_lost", place, repair_command(out), date=version.date or "—")
    wanted = {current_generation(out): manifest}
    for path in _entries(out / "snapshots"):
        if path.name.startswith(".partial-"):
            continue
        try:
            named = read_file(path, 100).decode().strip()
            kept = read_manifest(out, named) if named else None
        except (IndexNotBuiltError, IndexMismatchError, *_UNREADABLE):
            named, kept = "?", None
        if kept is not None and all(_is_intact(out, version) for version in kept.current):
            wanted[named] = kept
        else:
            place, command = f"snapshots/{path.name}", f"rm -r -- {quote_argument(path)}"
            if SNAPSHOT_NAME.fullmatch(path.name) and path.is_file():
                command = f"wentiao corpus forget {path.name} --index {quote_argument(out)}"
            yield _finding("snapshot_lost" if named else "snapshot_empty", place, command)
            if kept is not None:
                wanted[named] = kept
    yield from _find_unlisted(out, wanted)
    identity = out / "ID"  # an index of an earlier version has none
    if identity.exists() and read_index_id(out) is None:
        yield _finding("id_damaged", identity.name, f"rm -r -- {quote_argument(identity)}")
    for path in [*_entries(out), *_entries(out / "snapshots"), *_entries(out / "nearest")]:
        if path.name.startswith(".partial-"):
            yield _finding("leftover", path.relative_to(out).as_posix(), _prune(out))
    if aside := list_quarantine(out):
        size = _size(out / QUARANTINE)
        yield _finding("quarantined", f"{QUARANTINE}/", f"{_prune(out)} --quarantine", count=len(aside), size=size)


def _examine_store(out: Path, manifest: Manifest, address: str, model: _Model) -> Iterator[Finding]:
    """Look whether the vectors of the current versions are where they are searched."""
    units = {version.segment: version.units for version in manifest.current}
    dimension = model.dimension or _usual_dimension(out, [*manifest.current])
    if dimension is None:
        return
    opened = open_store(address, out, fingerprint=manifest.made_by["encoder"], dimension=dimension)
    try:
        lacking = opened.missing(units)
    finally:
        opened.close()
    if lacking:
        yield _finding("store_lacks", without_password(address), "wentiao apps", count=len(lacking), total=len(units))


def _find_unlisted(out: Path, wanted: Mapping[str, Manifest]) -> Iterator[Finding]:
    """Find what neither the current generation nor a snapshot names: orphans, if nothing else names them either."""
    listed = {version.segment for manifest in wanted.values() for version in manifest.versions}
    superseded: list[Path] = []
    before: set[str] = set()
    for path in _entries(out / "generations"):
        if path.stem in wanted and path.suffix == ".json":
            continue
        try:
            before |= {version.segment for version in read_manifest(out, path.stem).versions}
        except (IndexNotBuiltError, IndexMismatchError, *_UNREADABLE):
            yield _finding(_left(path), f"generations/{path.name}", _prune(out), size=_size(path))
        else:
            superseded.append(path)
    for path in _entries(out / "segments"):
        if path.name in before - listed:
            superseded.append(path)
        elif path.name.startswith(JOURNAL):
            yield _finding("unfinished", f"segments/{path.name}", _prune(out), size=_size(path))
        elif path.name not in listed:
            yield _finding(_left(path), f"segments/{path.name}", _prune(out), size=_size(path))
    if superseded:
        size = sum(map(_size, superseded))
        yield _finding("superseded", "generations/", _prune(out), count=len(superseded), size=size)


def _left(path: Path) -> FindingKind:
    """Return what an entry is that nothing names."""
    return "leftover" if path.name.startswith(".partial-") else "orphan"


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    """Return how many KiB a file, or what a folder holds, takes, rounded up."""
    files = [one for one in (path, *path.rglob("*")) if one.is_file()]
    return -(-sum(one.stat().st_size for one in files) // 1024)


# -- the arrays


def _examine_record(out: Path, one: _Held) -> Iterator[Finding]:
    """Compare what the manifest says of a version with the policy itself."""
    for name in ("app", "policy_id", "sha256", "date"):
        if getattr(one.version, name) != getattr(one.policy, name):
            yield _finding("record_differs", one.version.app, repair_command(out), part=f"part_{name}")


def _examine_arrays(out: Path, one: _Held, model: _Model) -> Iterator[Finding]:
    """Check the vectors of a segment whose files are as they were written; others are damaged, and named as such."""
    folder = out / "segments" / one.version.segment
    if {*_hash_files(folder).items()} != {*one.version.files.items()}:
        return
    place = f"segments/{one.version.segment}"
    command = repair_command(out)
    name = "units.json"
    arrays: dict[str, NDArray[Any]] = {}
    try:
        units = tuple(Unit(*item) for item in json.loads(read_file(folder / name, MOST_JSON_BYTES)))
        for name, dtypes, axes in (("vectors.npy", "<f4", 2), ("tokens.npy", "|i1", 2), ("token_starts.npy", "<i8", 1)):
            arrays[name] = read_array(folder / name, dtypes, axes)
        name = "lexical"
        documents = _count_documents(folder / name, len(one.clauses))
    except _UNREADABLE:
        yield _finding("unreadable", f"{place}/{name}", command, app=one.policy.app)
        return
    vectors, tokens, starts = arrays.values()

    def wrong_length(name: str, found: int, expected: int) -> Iterator[Finding]:
        if found != expected:
            yield _finding(
                "array_length", f"{place}/{name}", command, app=one.policy.app, found=found, expected=expected
            )

    yield from wrong_length("vectors.npy", len(vectors), len(units))
    yield from wrong_length("token_starts.npy", len(starts), len(one.clauses) + 1)
    yield from wrong_length("tokens.npy", len(tokens), int(starts[-1]) if len(starts) else 0)
    if len(starts) and (starts[0] != 0 or (np.diff(starts) < 0).any()):
        yield _finding("unreadable", f"{place}/token_starts.npy", command, app=one.policy.app)
    if documents is not None:
        yield from wrong_length("lexical", documents, len(one.clauses))
    if units != one.units:
        yield _finding("units_differ", f"{place}/units.json", command, app=one.policy.app)
    for name, array, width in (("vectors", vectors, model.dimension), ("tokens", tokens, model.token_dimension)):
        if width is not None and array.shape[1] != width:
            detail = {"found": array.shape[1], "expected": width}
            yield _finding("dimension", f"{place}/{name}.npy", command, app=one.policy.app, **detail)
    yield from _examine_norms(f"{place}/vectors.npy", command, one.policy.app, vectors)


def _count_documents(folder: Path, clause_count: int) -> int | None:
    """Read the lexical part and return how many clauses it counts; ``None`` where no clause has a word."""
    if not any(folder.iterdir()):
        return None
    counted = json.loads(read_file(folder / "params.index.json", MOST_JSON_BYTES))["num_docs"]
    check_lexical(folder, counted if counted < 2 * clause_count else clause_count)
    LexicalIndex.load(folder, clause_count)
    return int(counted)


def _examine_norms(place: str, command: str, app: str, vectors: NDArray[Any]) -> Iterator[Finding]:
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        yield _finding("not_finite", place, command, app=app, count=int((~finite).sum()), row=row + 1)
    norms = np.linalg.norm(np.where(finite[:, np.newaxis], vectors, 0).astype(np.float64), axis=1)
    bad = np.flatnonzero(finite & (np.abs(norms - 1) > NORM_TOLERANCE))
    if len(bad):
        length = f"{norms[bad[0]]:.3g}"
        yield _finding("norm", place, command, app=app, count=len(bad), row=int(bad[0]) + 1, length=length)


def _usual_dimension(out: Path, versions: Sequence[Version]) -> int | None:
    """Return the dimension that most segments have, for want of a model to ask."""
    widths: Counter[int] = Counter()
    for version in versions:
        try:
            vectors = read_array(out / "segments" / version.segment / "vectors.npy", "<f4", 2, mapped=True)
            widths[vectors.shape[1]] += 1
        except _UNREADABLE:
            continue
    return widths.most_common(1)[0][0] if widths else None


# -- the clauses


def _examine_outline(out: Path, one: _Held, fresh_parser: bool) -> Iterator[Finding]:
    """Check that every character stands in one clause or in what the parser names as none.

    :param fresh_parser: the stored clauses were made by this parser, so that its furniture is theirs.
    """
    policy, clauses = one.policy, one.clauses
    outline = parse_policy(policy)
    found: list[Finding] = []
    wrong = [clause for clause in clauses if policy.text[clause.start : clause.end] != clause.text]
    if wrong:
        line = _line(policy, wrong[0].start)
        found.append(_finding("offsets", one.place(wrong[0]), repair_command(out), count=len(wrong), line=line))
    covered = np.zeros(len(policy.text), np.int32)
    for clause in clauses:
        covered[max(0, clause.start) : max(0, clause.end)] += 1
    if len(twice := np.flatnonzero(covered > 1)):
        line = _line(policy, int(twice[0]))
        found.append(_finding("overlap", policy.app, repair_command(out), count=len(twice), line=line))
    if fresh_parser:
        found += _examine_coverage(out, policy, covered, outline)
        found += _examine_contents(out, one, outline)
        if not found and outline.clauses != clauses:
            found.append(_finding("clauses_differ", policy.app, repair_command(out)))
    yield from found


def _examine_coverage(out: Path, policy: Policy, covered: NDArray[np.int32], outline: Outline) -> Iterator[Finding]:
    furnished = np.zeros(len(policy.text), bool)
    for piece in outline.furniture:
        furnished[piece.start : piece.end] = True
    printed = np.array([not is_blank(character) for character in policy.text], bool)
    dropped = np.flatnonzero(printed & (covered == 0) & ~furnished)
    if not len(dropped):
        return
    parsed = furnished.copy()
    for clause in outline.clauses:
        parsed[clause.start : clause.end] = True
    mends = bool(parsed[dropped].all())
    share = (1 - len(dropped) / int(printed.sum())) * 100
    yield _finding(
        "coverage",
        policy.app,
        repair_command(out) if mends else _show_outline(out, policy.app),
        count=len(dropped),
        percent=f"{min(share, 99.99):.2f}",
        line=_line(policy, int(dropped[0])),
    )


def _examine_contents(out: Path, one: _Held, outline: Outline) -> Iterator[Finding]:
    """Find a run of short clauses near the head of which most name, in order, headings further down."""
    clauses = one.clauses
    titles = [_title(_ENTRY_TAIL.sub("", clause.text)) if _is_entry(clause) else "" for clause in clauses]
    headings = list(_read_headings(clauses))
    near = range(min(len(clauses), max(20, len(clauses) // 5)))
    start = 0
    while start in near:
        listed: list[int] = []
        place = end = start
        while end < len(clauses) and titles[end] and end - (listed or [start])[-1] <= 2:
            found = _find_heading(headings, titles[end], max(end, place))
            if found is not None:
                listed.append(end)
                place = found
            elif not listed:
                break
            end += 1
        if len(listed) >= MIN_LISTED:
            furniture = [piece for piece in outline.furniture if piece.kind == "contents"]
            mends = any(piece.start <= clauses[start].start < piece.end for piece in furniture)
            command = repair_command(out) if mends else _renew(out, one.policy.app)
            line = _line(one.policy, clauses[start].start)
            yield _finding("contents_taken", one.place(clauses[start]), command, count=len(listed), line=line)
            start = listed[-1]
        start += 1


def _read_headings(clauses: Sequence[Clause]) -> Iterator[tuple[int, str]]:
    """Yield every heading with the ordinal of the first clause below it, in text order."""
    before: tuple[str, ...] = ()
    for ordinal, clause in enumerate(clauses):
        for level, heading in enumerate(clause.path):
            if clause.path[: level + 1] != before[: level + 1]:
                yield ordinal, _title(heading)
        before = clause.path


def _find_heading(headings: Sequence[tuple[int, str]], title: str, after: int) -> int | None:
    later = [(ordinal, heading) for ordinal, heading in headings if ordinal > after]
    exact = next((ordinal for ordinal, heading in later if heading == title), None)
    return exact if exact is not None else next((i for i, heading in later if resembles(title, heading)), None)


def _is_entry(clause: Clause) -> bool:
    return len(clause.text) <= MAX_ENTRY and not _SENTENCE.search(_ENTRY_TAIL.sub("", clause.text))


def _title(text: str) -> str:
    return normalise_title(Block(0, len(text), text, read_marker(text)))


def _line(policy: Policy, offset: int) -> int:
    return policy.text.count("\n", 0, offset) + 1


def _examine_lengths(out: Path, one: _Held, model: _Model) -> Iterator[Finding]:
    """Find clauses that the model does not read to their end, and those that say nothing."""
    app = one.policy.app
    for clause in one.clauses:
        marker = read_marker(clause.text)
        body = clause.text[marker.length :] if marker else clause.text
        if len(_LETTER.findall(body)) < MIN_LETTERS:
            yield _finding("too_short", one.place(clause), _show_outline(out, app), text=clause.text)
    try:
        units = one.units
        texts = embedding_texts(one.policy, one.clauses, units)
    except _UNREADABLE:
        return
    # Nothing is cut into more tokens than it has characters, but for a few marks.
    long = [i for i, text in enumerate(texts) if len(text) > model.max_tokens / 2]
    counts = dict(zip(long, _count_tokens(model, [texts[i] for i in long]), strict=True))
    over = [i for i in long if counts[i] > model.max_tokens]
    singles = Counter(unit.clause for unit in units)
    lost: dict[int, int] = {}  # clause -> characters at the ends of its sentences that no vector has read
    for i in over:
        unit = units[i]
        is_whole_clause = i == 0 or units[i - 1].clause != unit.clause
        beyond = round(len(texts[i]) * (1 - model.max_tokens / counts[i]))
        read_elsewhere = is_whole_clause and singles[unit.clause] > 1
        lost[unit.clause] = lost.get(unit.clause, 0) + (0 if read_elsewhere else min(beyond, unit.end - unit.start))
    for ordinal, unread in lost.items():
        clause = one.clauses[ordinal]
        tokens = max(counts[i] for i in over if units[i].clause == ordinal)
        detail = {"tokens": tokens, "limit": model.max_tokens, "characters": len(clause.text), "unread": unread}
        if unread:
            yield _finding("sentence_too_long", one.place(clause), _renew(out, app), **detail)
        else:
            yield _finding("clause_too_long", one.place(clause), _show_outline(out, app), **detail)


def _count_tokens(model: _Model, texts: Sequence[str]) -> Sequence[int]:
    if model.count_tokens is not None:
        return model.count_tokens(texts) if texts else ()
    return [5 + round(TOKENS_PER_CHARACTER * len(text)) for text in texts]  # 5: the prompt and the special ones


# -- what is stated, and policies beside one another


def _examine_stated(out: Path, policy: Policy, today: date) -> Iterator[Finding]:
    options = {
        "operator": "" if policy.operator else "--operator NAME",
        "date": "" if policy.date else "--updated YYYY-MM-DD",
        "contact": "" if policy.contact else "--contact TEXT",
    }
    if missing := [name for name, option in options.items() if option]:
        command = _correct(out, policy.app, " ".join(filter(None, options.values())))
        yield _finding("unstated", policy.app, command, missing=" ".join(missing))
    for name, stated in (("updated", policy.updated), ("effective", policy.effective)):
        day = _read_day(stated) if stated else None
        correct = _correct(out, policy.app, f"--{name} YYYY-MM-DD")
        if stated and day is None:
            yield _finding("bad_date", policy.app, correct, date=stated)
        elif day is not None and day > today:
            yield _finding("future_date", policy.app, correct, date=day.isoformat(), part=f"part_{name}")
    day = _read_day(policy.date) if policy.date else None
    if day is not None and (today - day).days > OLD_YEARS * 365.25:
        yield _finding("old_date", policy.app, _renew(out, policy.app), date=day.isoformat(), years=OLD_YEARS)


def _read_day(stated: str) -> date | None:
    try:
        return date.fromisoformat(stated)
    except (ValueError, TypeError):
        return None


def _compare_texts(out: Path, policies: Sequence[Policy]) -> Iterator[Finding]:
    """Find pairs of apps whose policies share most of their phrases: Jaccard's index of the two sets."""
    sets = [_phrases(policy) for policy in policies]
    if len(sets) < 2:
        return
    owners = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    hashes, ids = np.unique(np.concatenate(sets), return_inverse=True)
    for i, own in enumerate(sets):
        member = np.zeros(len(hashes), bool)
        member[ids[owners == i]] = True
        shared = np.bincount(owners[member[ids]], minlength=len(sets))
        for j in range(i + 1, len(sets)):
            union = len(own) + len(sets[j]) - int(shared[j])
            if union and shared[j] >= NEAR_IDENTICAL * union:
                apps = (policies[i].app, policies[j].app)
                percent = int(100 * shared[j] / union)
                yield _finding("near_identical", " / ".join(apps), _remove(out, apps[1]), percent=percent)


def _phrases(policy: Policy) -> NDArray[np.int64]:
    """Return the hashes of what stands between marks of punctuation, the app's own names taken out."""
    names = sorted({policy.app, *policy.aliases, policy.operator or ""} - {""}, key=len, reverse=True)
    text = re.sub("|".join(map(re.escape, names)), "", policy.text)
    phrases = {phrase for phrase in _PHRASE_BREAK.split(text) if len(phrase) >= 4}
    return np.array(sorted({zlib.crc32(phrase.encode()) for phrase in phrases}), np.int64)


def _compare_names(out: Path, policies: Sequence[Policy]) -> Iterator[Finding]:
    """Find apps that a question cannot tell apart by a name that both bear."""
    apps: dict[str, str] = {}
    for policy in policies:
        first = apps.setdefault(_fold(policy.app), policy.app)
        if first != policy.app:
            yield _finding("name_collision", policy.app, _remove(out, policy.app), other=first)
    holders: dict[str, str] = {}
    for policy in policies:
        others: dict[str, str] = {}
        for alias in policy.aliases:
            holder = apps.get(_fold(alias)) or holders.setdefault(_fold(alias), policy.app)
            if holder != policy.app:
                others[alias] = holder
        if others:
            # Aliases that are given replace all, so with none left its own name stands for them.
            options = " ".join(f"--drop-alias {quote_argument(alias)}" for alias in others)
            detail = {"aliases": "、".join(others), "others": "、".join(dict.fromkeys(others.values()))}
            yield _finding("alias_collision", policy.app, _correct(out, policy.app, options), **detail)


def _fold(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
