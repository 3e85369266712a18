"""Reading the segments of an index: each is verified once and opened when a question needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.arrays import Stamp, stamp_of
from index.manifest import Version, damaged, hash_files
from index.recent import LastUsed
from index.segment import UNREADABLE, Segment
from index.storage import reporting
from index.vectors import FolderVectors, VectorStore

# Segments that stay open, the last used ones: some 0.6 MB of objects each, and two mapped files, which hold a
# descriptor each (a process may have 1024 on most systems).
MOST_OPEN = 200
# Bytes of segments that are read and hashed when an index is opened, about a second; of a larger index every segment
# is, when it is first used.
MOST_VERIFIED_AT_ONCE = 2 << 30
# Bytes of segments up to which an index is read into memory whole: whatever becomes of its files then, it goes on
# answering. The five shipped policies have 4 MB, 135 have 190.
HELD_BYTES = 32 << 20


@dataclass(frozen=True)
class _Open:
    """A segment, and its files that are mapped, as they were when they were checked."""

    segment: Segment
    mapped: Mapping[Path, Stamp]

    def is_as_checked(self) -> bool:
        """Whether no mapped file has been written to since; one that was moved or deleted has not."""
        for path, stamp in self.mapped.items():
            try:
                found = stamp_of(path)
            except OSError:
                continue
            if found != stamp and found[0] == stamp[0]:
                return False
        return True


class SegmentReader:
    """Opens the segments of one index folder; generations of it share a reader, and so what is open.

    Methods may be called from several threads.
    """

    def __init__(self, out: Path, store: VectorStore | None = None) -> None:
        """:param store: where vectors are searched, if not in the index itself."""
        self.out = out
        self.folder = FolderVectors(out, before_use=self.check)
        self.store: VectorStore = store or self.folder
        self._versions: dict[str, Version] = {}  # by segment
        self._sizes: dict[str, int] = {}
        self._whole: dict[str, tuple[Stamp, ...]] = {}
        self._open: LastUsed[_Open] = LastUsed()

    @property
    def is_remote(self) -> bool:
        """Whether vectors are searched elsewhere than in the index."""
        return self.store is not self.folder

    def expect(self, versions: Sequence[Version]) -> None:
        """Take up the segments of ``versions``: each is checked before its first use."""
        self._versions |= {version.segment: version for version in versions}

    def verify(self, versions: Sequence[Version]) -> None:
        """Check every file of ``versions``, of too many bytes only that it is there: each is checked before it is used.

        :raises IndexMismatchError: if a file is damaged or missing.
        """
        self.expect(versions)
        for version in versions:
            if version.segment not in self._sizes:
                self._sizes[version.segment] = sum(size for _, size, _ in self._stamps(version))
        self.folder.is_held = sum(self._sizes[version.segment] for version in versions) <= HELD_BYTES
        new = [version.segment for version in versions if version.segment not in self._whole]
        if sum(self._sizes[segment] for segment in new) <= MOST_VERIFIED_AT_ONCE:
            for segment in new:
                self.check(segment)

    def hold(self, versions: Sequence[Version]) -> None:
        """Open the segments of ``versions``, if they are few enough to be held in memory whole.

        :raises IndexMismatchError: if a file of them is damaged or missing.
        """
        if self.folder.is_held and len(versions) <= MOST_OPEN:
            for version in versions:
                self.open(version)

    def open(self, version: Version) -> Segment:
        """Return the segment of ``version``.

        :raises IndexMismatchError: if a file of it is damaged or missing.
        """
        held = self._open.get(version.segment)
        if held is not None and held.is_as_checked():
            return held.segment
        self._open.drop(version.segment)
        with reporting(self.out):
            opened = self._read(version)
        self._open.keep(version.segment, opened, most=MOST_OPEN)
        return opened.segment

    def _read(self, version: Version) -> _Open:
        self.check(version.segment)
        checked = self._whole[version.segment]
        folder, is_mapped = self._folder(version), not self.folder.is_held
        try:
            vectors = self.folder.vectors(version.segment)
            segment = Segment.load(folder, vectors, self.store if self.is_remote else None, mapped=is_mapped)
        except FileNotFoundError as error:  # pruned since it was checked
            raise damaged(self.out, Path(error.filename or folder)) from error
        except UNREADABLE as error:  # as it was written, by something else than this program
            raise damaged(self.out, folder) from error
        if self._stamps(version) != checked:
            raise damaged(self.out, folder)
        stamps = {folder / name: stamp for name, stamp in zip(version.files, checked, strict=True)}
        mapped = {path: stamps[path] for path in (folder / "vectors.npy", folder / "tokens.npy") if is_mapped}
        return _Open(segment, mapped)

    def check(self, segment: str) -> None:
        """Check every file of a segment of a generation that was given to :meth:`verify`, if one has changed since.

        :raises IndexMismatchError: if a file is damaged or missing.
        """
        version = self._versions[segment]
        stamps = self._stamps(version)
        if self._whole.get(segment) == stamps:
            return
        folder = self._folder(version)
        found = hash_files(folder) if folder.is_dir() else {}
        if found != version.files:
            bad = sorted({*found.items()} ^ {*version.files.items()})[0][0]
            raise damaged(self.out, folder / bad)
        self._whole[segment] = stamps

    def _stamps(self, version: Version) -> tuple[Stamp, ...]:
        stamps = []
        for path in (self._folder(version) / name for name in version.files):
            try:
                stamps.append(stamp_of(path))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise damaged(self.out, path) from error
        return tuple(stamps)

    def _folder(self, version: Version) -> Path:
        return self.out / "segments" / version.segment


class SegmentsByApp(Mapping[str, Segment]):
    """App -> the segment of its current version, in the order of the index, each opened when it is asked for."""

    def __init__(self, versions: Sequence[Version], reader: SegmentReader) -> None:
        self._versions = {version.app: version for version in versions}
        self._reader = reader

    def __getitem__(self, app: str) -> Segment:
        """Return the segment of ``app``.

        :raises KeyError: if the index does not have it.
        :raises IndexMismatchError: if its files are damaged or gone.
        """
        return self._reader.open(self._versions[app])

    def __iter__(self) -> Iterator[str]:
        """Return the apps."""
        return iter(self._versions)

    def __len__(self) -> int:
        """Return how many apps there are."""
        return len(self._versions)

    def __contains__(self, app: object) -> bool:
        """Say whether the index has ``app``, without opening its segment."""
        return app in self._versions
