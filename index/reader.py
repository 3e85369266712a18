"""Reading the segments of an index: each is verified once and opened when a question needs it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from index.manifest import Version, damaged, hash_files
from index.segment import Segment
from index.vectors import FolderVectors, VectorStore

# Segments that stay open, the last used ones: some 0.6 MB of objects each, and two mapped files, which hold a
# descriptor each (a process may have 1024 on most systems).
MOST_OPEN = 200
# Bytes of segments that are read and hashed when an index is opened, about a second; of a larger index every segment
# is, when it is first used.
MOST_VERIFIED_AT_ONCE = 2 << 30


class SegmentReader:
    """Opens the segments of one index folder; generations of it share a reader, and so what is open.

    Methods may be called from several threads.
    """

    def __init__(self, out: Path, store: VectorStore | None = None) -> None:
        """:param store: where vectors are searched, if not in the index itself."""
        self.out = out
        self.folder = FolderVectors(out, before_use=self.check)
        self.store: VectorStore = store or self.folder
        self._lock = threading.Lock()
        self._versions: dict[str, Version] = {}  # by segment
        self._whole: set[str] = set()
        self._open: OrderedDict[str, Segment] = OrderedDict()

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
        new = [version for version in versions if version.segment not in self._whole]
        total = sum(
            path.stat().st_size for version in new for path in self._folder(version).rglob("*") if path.is_file()
        )
        for version in new:
            if total <= MOST_VERIFIED_AT_ONCE:
                self.check(version.segment)
            elif gone := [name for name in version.files if not (self._folder(version) / name).is_file()]:
                raise damaged(self.out, self._folder(version) / gone[0])

    def open(self, version: Version) -> Segment:
        """Return the segment of ``version``.

        :raises IndexMismatchError: if a file of it is damaged or missing.
        """
        with self._lock:
            segment = self._open.get(version.segment)
            if segment is not None:
                self._open.move_to_end(version.segment)
                return segment
        self.check(version.segment)
        try:
            vectors = self.folder.vectors(version.segment)
            segment = Segment.load(self._folder(version), vectors, self.store if self.is_remote else None)
        except FileNotFoundError as error:  # pruned since it was checked
            raise damaged(self.out, Path(error.filename or self._folder(version))) from error
        with self._lock:
            self._open[version.segment] = segment
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return segment

    def check(self, segment: str) -> None:
        """Check every file of a segment of a generation that was given to :meth:`verify`, once.

        :raises IndexMismatchError: if a file is damaged or missing.
        """
        if segment in self._whole:
            return
        version = self._versions[segment]
        folder = self._folder(version)
        found = hash_files(folder) if folder.is_dir() else {}
        if found != version.files:
            bad = sorted({*found.items()} ^ {*version.files.items()})[0][0]
            raise damaged(self.out, folder / bad)
        self._whole.add(version.segment)

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
