"""Building and opening an index: segments written once, listed by a manifest (index/manifest.py)."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from corpus.datatypes import Clause, Policy
from corpus.load import default_policies_folder, load_policies
from corpus.parser import parse_policy
from index.encoder import Encoder, Progress
from index.errors import IndexMismatchError, IndexNotBuiltError, StoreUnreachableError
from index.journal import Journal
from index.manifest import (
    Manifest,
    Version,
    build_command,
    check_index_id,
    current_generation,
    damaged,
    damaged_names,
    hash_files,
    newest_manifest,
    read_file,
    read_manifest,
    repair_command,
    sync,
    write_generation,
    write_index_id,
)
from index.manifest import default_index_folder as default_index_folder
from index.nearest import refresh_nearest
from index.reader import SegmentReader, SegmentsByApp
from index.segment import MOST_JSON_BYTES, OUTLINE_FILES, UNREADABLE, Segment, made_by, read_outline, segment_name
from index.storage import reporting, set_aside
from index.tokens import Floats
from index.units import clause_units, embedding_texts
from index.vectors import FolderVectors, VectorStore, open_store

_log = logging.getLogger(__name__)

CHECKSUMS = "checksums.json"
MOST_UNITS_AT_ONCE = 20_000  # put into a store: 30 MB of 384 dimensions; each time costs a server a flush, 3 to 6 s
JOURNAL = ".partial-journal"
# Units encoded together, sorted by length, before their segments are written; 6 MB a thousand until then.
UNITS_PER_POOL = 4096


@dataclass(frozen=True)
class Generation:
    """What a reader opens: all versions, and the segments of the current ones, as one build left them."""

    name: str
    made_by: Mapping[str, str]
    versions: tuple[Version, ...]
    reader: SegmentReader

    @property
    def folder(self) -> Path:
        """Where the index is."""
        return self.reader.out

    @cached_property
    def current(self) -> tuple[Version, ...]:
        """The version of every app that questions are answered from."""
        return tuple(version for version in self.versions if version.is_current)

    @cached_property
    def by_app(self) -> SegmentsByApp:
        """App -> the segment of its current version, opened when it is asked for."""
        return SegmentsByApp(self.current, self.reader)

    def hold(self) -> None:
        """Read a small index into memory whole, so that it answers whatever becomes of its files.

        :raises IndexMismatchError: if one is damaged or missing.
        """
        self.reader.hold(self.current)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of all apps, opened."""
        return tuple(self.by_app.values())

    @cached_property
    def app_of(self) -> Mapping[str, str]:
        """The name of a segment of a current version -> its app."""
        return {version.segment: version.app for version in self.current}

    def near_apps(self, query: Floats, unit_count: int) -> tuple[str, ...]:
        """Return the apps that hold the ``unit_count`` units nearest to ``query``, a unit vector; best first."""
        found = self.reader.store.nearest(query, unit_count, self.app_of.keys())
        return tuple(dict.fromkeys(self.app_of[one.segment] for one in found))

    def versions_of(self, app: str) -> tuple[Version, ...]:
        """Return the versions of ``app``, oldest first."""
        return tuple(version for version in self.versions if version.app == app)

    def read_version(self, version: Version) -> tuple[Policy, tuple[Clause, ...]]:
        """Read the policy and the clauses of a version of this generation, current or old.

        :raises IndexMismatchError: if its files are damaged or gone.
        """
        return read_version(self.folder, version)


def build_index(policies: Sequence[Policy], out: Path, encoder: Encoder, *, progress: Progress | None = None) -> str:
    """Make ``policies`` the current versions of the index at ``out``; return the name of the generation.

    Segments that are there already are kept as they are, so adding one policy encodes one policy; what was the current
    version of one of these apps before stays as an old one. Killed at any moment, the generation from before stands. A
    second builder waits for the first.

    :raises ValueError: if ``policies`` is empty or names an app twice, or one of them holds no clause.
    """
    apps = {policy.app for policy in policies}
    with locked(out, create=True):
        before = [version for version in read_versions(out) if version.app in apps]
        return write_policies(policies, out, encoder, before=before, progress=progress)


@contextmanager
def locked(out: Path, *, create: bool = False) -> Iterator[None]:
    """Hold the index for writing; readers are not held up, another writer says so and waits. A killed one holds none.

    :raises IndexNotBuiltError: if there is no index and none is to be created.
    :raises StorageError: if the disk is full, or may not be written to; the index is as it was.
    """
    from filelock import FileLock, Timeout

    with reporting(out):
        if not create and not (out / "segments").is_dir():
            raise IndexNotBuiltError(f"no index at {out}; build one:\n  {build_command(out)}")
        (out / "segments").mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        try:
            held = lock.acquire(blocking=False)
        except Timeout:
            _log.warning("another process writes to the index at %s; this one goes on when that has ended", out)
            held = lock.acquire()
        with held:
            _clear_leftovers(out)
            write_index_id(out)
            yield


def _clear_leftovers(out: Path) -> None:
    """Delete what a killed writer left, after putting in its place a segment that it had made whole and not moved."""
    for folder in (out, out / "generations", out / "snapshots", out / "nearest"):
        for path in folder.glob(".partial-*"):
            path.unlink()
    segments = out / "segments"
    for leftover in segments.glob(".partial-*"):
        if leftover.name.startswith(JOURNAL):  # the next build goes on from it
            continue
        place = segments / leftover.name.split("-")[1]
        if is_whole(leftover / "segment") and not place.exists():
            (leftover / "segment").rename(place)
            sync(segments)
        shutil.rmtree(leftover)


def commit(out: Path, manifest: Manifest) -> str:
    """Make ``manifest`` the current generation, with what finds units near a query over all of it; return its name."""
    units = {version.segment: version.units for version in manifest.current}
    refresh_nearest(out, units, FolderVectors(out).vectors)
    return write_generation(out, manifest)


def write_policies(
    policies: Sequence[Policy],
    out: Path,
    encoder: Encoder,
    *,
    before: Sequence[Version],
    shipped: Sequence[Policy] = (),
    shipped_hash: str = "",
    progress: Progress | None = None,
) -> str:
    """Write a generation with ``policies`` as its current versions, inside :func:`locked`; return its name.

    :param before: the versions of the index until now, which become or stay old ones; those of apps that are not in
        ``policies`` and were current are dropped.
    :param shipped: those of ``policies`` that came with the project.
    :raises ValueError: as :func:`build_index` does.
    """
    if not policies:
        raise ValueError("no policies to index; give a folder that holds at least one policy")
    apps = [policy.app for policy in policies]
    if twice := {app for app in apps if apps.count(app) > 1}:
        raise ValueError(f"app named by more than one policy: {', '.join(sorted(twice))}; keep one file for each app")
    segments_folder = out / "segments"
    names = [segment_name(policy, encoder.fingerprint) for policy in policies]
    # A segment that is there but not as it was written is written again.
    files = {name: hash_files(segments_folder / name) for name in names if is_whole(segments_folder / name)}
    missing = [(policy, name) for policy, name in zip(policies, names, strict=True) if name not in files]
    for name, segment in _make_segments(missing, out, before, encoder, progress):
        files[name] = _write_segment(segment, segments_folder / name)
    added = datetime.now(UTC).isoformat(timespec="seconds")
    stored = FolderVectors(out)
    versions = [version for version in before if version.app not in apps and not version.is_current]
    for policy, name in zip(policies, names, strict=True):
        own = policy in shipped
        new = Version(
            policy.app,
            policy.policy_id,
            policy.sha256,
            policy.date,
            added,
            True,
            name,
            files[name],
            shipped=own,
            aliases=policy.aliases,
            operator=policy.operator,
            units=len(stored.vectors(name)),
        )
        versions.extend(_succeed([version for version in before if version.app == policy.app], new))
    return commit(out, Manifest(made_by(encoder.fingerprint), tuple(versions), shipped_hash))


def _succeed(before: Sequence[Version], new: Version) -> list[Version]:
    """Return the versions of an app after ``new`` has become the current one; the same text is the same version."""
    same = next((version for version in before if version.policy_id == new.policy_id and version.is_current), None)
    others = [replace(version, is_current=False) for version in before if version.policy_id != new.policy_id]
    return [*others, replace(new, added=same.added) if same else new]


def open_generation(
    out: Path, encoder_fingerprint: str, *, known: Generation | None = None, store: VectorStore | None = None
) -> Generation:
    """Open the current generation of the index at ``out`` after checking every file of its current versions.

    :param known: a generation of the same index that is open already; what is open of it stays so.
    :param store: where vectors are searched, if not in the index itself; what it lacks of this generation is put there.
    :raises IndexNotBuiltError: if there is no index.
    :raises IndexMismatchError: if another model, parser or format made it, or a file is damaged or missing.
    :raises StorageError: if the files may not be read, or the disk fails.
    :raises StoreUnreachableError: if the store does not answer.
    """
    with reporting(out):
        name = current_generation(out)
        reader = known.reader if known else SegmentReader(out, store)
        try:
            return _open(out, name, encoder_fingerprint, reader)
        except (IndexNotBuiltError, IndexMismatchError):
            if current_generation(out) == name:
                raise
    return open_generation(out, encoder_fingerprint, known=known, store=store)  # another took its place meanwhile


def _open(out: Path, name: str, encoder_fingerprint: str, reader: SegmentReader) -> Generation:
    check_index_id(out)
    manifest = read_manifest(out, name)
    expected = made_by(encoder_fingerprint)
    if manifest.made_by != expected:
        differing = [part for part in expected if manifest.made_by.get(part) != expected[part]]
        raise IndexMismatchError(
            f"the index at {out} was made with another {' and '.join(differing)}; make it anew from the texts in it:\n"
            f"  {repair_command(out)}"
        )
    reader.verify(manifest.current)
    if reader.is_remote:
        fill_store(reader.store, out, manifest.current)
    return Generation(name, manifest.made_by, manifest.versions, reader)


def fill_store(store: VectorStore, out: Path, versions: Sequence[Version], progress: Progress | None = None) -> None:
    """Put the vectors of ``versions`` into ``store``, those that it lacks, from the index at ``out``.

    Killed at any moment, it goes on where it was when it is called again.

    :param progress: told after each group of segments: units that are there, units in all.
    :raises StoreUnreachableError: if the store does not answer.
    """
    reader = SegmentReader(out)
    reader.expect(versions)  # nothing damaged is put there under the name of what is whole
    units = {version.segment: version.units for version in versions}
    lacking = store.missing(units)
    done, total = 0, sum(units[name] for name in lacking)
    group: dict[str, Floats] = {}
    for name in lacking:
        group[name] = reader.folder.vectors(name)
        grouped = sum(units[one] for one in group)
        if grouped >= MOST_UNITS_AT_ONCE or done + grouped == total:
            store.put(group)
            done, group = done + grouped, {}
            if progress is not None:
                progress(done, total)


def publish(out: Path, address: str | None) -> None:
    """Have the vector store at ``address`` hold what the index at ``out`` needs, and nothing that the index deleted.

    Whoever opens the index has it filled too, before a question is answered from it; this is for whoever changed it.

    :param address: as for :func:`index.vectors.open_store`; without one, or without an index, there is nothing to do.
    :raises IndexMismatchError: if the manifest is damaged.
    :raises StoreUnreachableError: if the store does not answer; the index is as it was changed.
    """
    if not address:
        return
    try:
        manifest = read_manifest(out)
    except IndexNotBuiltError:
        return  # nothing of what was to be added was taken
    if not manifest.current:
        return
    vectors = FolderVectors(out).vectors(manifest.current[0].segment)
    store = open_store(address, out, fingerprint=manifest.made_by["encoder"], dimension=vectors.shape[1])
    try:
        fill_store(store, out, manifest.current)
        store.keep_only([folder.name for folder in (out / "segments").iterdir() if not folder.name.startswith(".")])
    except StoreUnreachableError as error:
        raise StoreUnreachableError(
            f"{error}\nThe index at {out} is as you asked for; the store is filled by whoever opens it next."
        ) from error
    finally:
        store.close()


def read_version(out: Path, version: Version) -> tuple[Policy, tuple[Clause, ...]]:
    """Read the policy and the clauses of a version, whatever encoder, parser or format made the rest of it.

    :raises IndexMismatchError: if its files are damaged or gone.
    """
    folder = out / "segments" / version.segment
    with reporting(out):
        if folder.is_symlink():
            raise damaged(out, folder)
        for name in OUTLINE_FILES:
            try:
                found = hashlib.sha256(read_file(folder / name, MOST_JSON_BYTES)).hexdigest()
            except (FileNotFoundError, NotADirectoryError, ValueError) as error:
                raise damaged(out, folder / name) from error
            if found != version.files.get(name) or (folder / name).is_symlink():
                raise damaged(out, folder / name)
        try:
            return read_outline(folder)
        except UNREADABLE as error:  # as it was written, by something else than this program
            raise damaged(out, folder) from error


def open_default(encoder: Encoder, *, progress: Progress | None = None, store: VectorStore | None = None) -> Generation:
    """Open the default index; build it first where it is missing, damaged or made of other shipped policies.

    What was added to it stays: only versions that came with the project are replaced.

    :param store: as for :func:`open_generation`.
    :raises IndexMismatchError: if the text of something that was added is damaged.
    """
    out = default_index_folder()
    shipped = load_policies([default_policies_folder()])
    shipped_hash = hashlib.sha256(
        json.dumps([asdict(policy) for policy in shipped], ensure_ascii=False, sort_keys=True).encode()
    ).hexdigest()
    try:
        if read_manifest(out).shipped == shipped_hash:
            return open_generation(out, encoder.fingerprint, store=store)
    except IndexNotBuiltError:
        pass
    except IndexMismatchError as error:
        _log.warning("made anew from its own texts: %s", str(error).partition(";")[0])
    with locked(out, create=True):
        before = read_versions(out)
        for path in damaged_names(out):
            set_aside(out, path)
        added, lost = recover_policies(out, [one for one in before if one.is_current and not one.shipped])
        if lost:
            apps = "、".join(version.app for version in lost)
            raise IndexMismatchError(
                f"the text of {apps} in {out} is damaged; take it out and add its file again:\n  {repair_command(out)}"
            )
        own = {policy.app for policy in added}
        policies = [*(policy for policy in shipped if policy.app not in own), *added]
        write_policies(
            policies, out, encoder, before=before, shipped=shipped, shipped_hash=shipped_hash, progress=progress
        )
    return open_generation(out, encoder.fingerprint, store=store)


def recover_policies(out: Path, versions: Sequence[Version]) -> tuple[list[Policy], list[Version]]:
    """Read the policies of ``versions`` back from the index; those whose text is damaged come second."""
    found: list[Policy] = []
    lost: list[Version] = []
    for version in versions:
        try:
            found.append(read_version(out, version)[0])
        except IndexMismatchError:
            lost.append(version)
    return found, lost


def is_current(policies: Sequence[Policy], out: Path, encoder_fingerprint: str) -> bool:
    """Say whether the index at ``out`` answers from exactly ``policies`` and was made as it would be made now."""
    wanted = [segment_name(policy, encoder_fingerprint) for policy in policies]
    return [version.segment for version in read_versions(out) if version.is_current] == wanted


def read_versions(out: Path) -> tuple[Version, ...]:
    """Return the versions of an index, of a damaged one those of the generation that was written last; else none."""
    try:
        return read_manifest(out).versions
    except IndexNotBuiltError:
        return ()
    except IndexMismatchError:
        newest = newest_manifest(out)
        return newest.versions if newest else ()


def _make_segments(
    missing: Sequence[tuple[Policy, str]],
    out: Path,
    before: Sequence[Version],
    encoder: Encoder,
    progress: Progress | None,
) -> Iterator[tuple[str, Segment]]:
    """Yield the segments of the policies that have none; where the text has been encoded before, from that.

    The caller has written one when it asks for the next. What a build that was killed left in its journal is not
    encoded again; a journal of other policies is kept for the build that wants them.
    """
    outlines: list[_Outline] = []
    for policy, name in missing:
        twin = _twin(policy, name, out, before, encoder.fingerprint)
        if twin is not None:
            yield name, twin
            continue
        clauses = parse_policy(policy).clauses
        if not clauses:
            raise ValueError(
                f"the policy of {policy.app!r} holds no clause, only headings or rules; give its whole text"
            )
        outlines.append(_Outline(name, policy, clauses, len(clause_units(clauses))))
    journal = Journal(out / "segments" / JOURNAL, encoder, made_by(encoder.fingerprint))
    start, total = 0, sum(one.unit_count for one in outlines)
    journal.choose(one.name for one in outlines)
    for pool in _pools(outlines, journal.segments):
        journal.begin(one.name for one in pool)
        count = sum(one.unit_count for one in pool)

        def tell(done: int, texts: int, start: int = start, count: int = count) -> None:
            if progress is not None:
                progress(start + count - texts + done, total)  # units of the same text are done together

        journal.encode([text for one in pool for text in one.texts()], tell)
        for one in pool:
            yield one.name, Segment.make(one.name, one.policy, one.clauses, journal.packed)
        journal.remove()
        start += count
    journal.leave(lambda name: (out / "segments" / name).is_dir())


@dataclass(frozen=True)
class _Outline:
    """A policy whose segment is to be made under ``name``."""

    name: str
    policy: Policy
    clauses: tuple[Clause, ...]
    unit_count: int

    def texts(self) -> list[str]:
        """Return the texts to encode, one a unit."""
        return embedding_texts(self.policy, self.clauses, clause_units(self.clauses))


def _pools(outlines: Sequence[_Outline], begun: Sequence[str]) -> Iterator[list[_Outline]]:
    """Yield what is encoded together: first what a killed build was at, so that it is cut into slices as then."""
    pool = [one for one in outlines if one.name in begun]
    if pool:
        yield pool
        pool = []
    for one in outlines:
        if one.name in begun:
            continue
        if pool and sum(other.unit_count for other in pool) + one.unit_count > UNITS_PER_POOL:
            yield pool
            pool = []
        pool.append(one)
    if pool:
        yield pool


def _twin(policy: Policy, name: str, out: Path, before: Sequence[Version], fingerprint: str) -> Segment | None:
    """Return the segment of ``policy`` from a version that differs in what is stated about the text alone."""
    for version in before:
        folder = out / "segments" / version.segment
        if version.policy_id == policy.policy_id and is_whole(folder):
            stated = read_outline(folder)[0]
            if version.segment == segment_name(stated, fingerprint):
                return replace(Segment.load(folder), name=name, policy=policy)
    return None


def _write_segment(segment: Segment, folder: Path) -> dict[str, str]:
    """Write beside the final place, make it durable, then rename: the folder is whole or not there."""
    partial = Path(tempfile.mkdtemp(prefix=f".partial-{folder.name}-", dir=folder.parent))
    try:
        segment.save(partial / "segment")
        checksums = json.dumps(hash_files(partial / "segment"), sort_keys=True)
        (partial / "segment" / CHECKSUMS).write_text(checksums, encoding="utf-8")
        files = hash_files(partial / "segment")
        for path in (partial / "segment", *sorted((partial / "segment").rglob("*"))):
            sync(path)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)  # of a disk that is full
        raise
    if os.path.lexists(folder):  # stopped from here on, the next writer moves the new one into its place
        set_aside(folder.parent.parent, folder)
    (partial / "segment").rename(folder)
    sync(folder.parent)
    shutil.rmtree(partial)
    return files


def is_whole(segment: Path) -> bool:
    """Say whether a segment's folder holds exactly the files that were written, by the checksums among them."""
    try:
        recorded = json.loads(read_file(segment / CHECKSUMS, MOST_JSON_BYTES))
    except (FileNotFoundError, *UNREADABLE):
        return False
    files = hash_files(segment)
    return files.pop(CHECKSUMS, None) is not None and bool(files == recorded)
