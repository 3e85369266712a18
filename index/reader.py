"""Reading the segments of an index: each is verified once and opened when a question needs it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from index.errors import IndexMismatchError
from index.manifest import Version, hash_files, repair_command
from index.segment import Segment
from index.vectors import VectorStore

# Segments that stay open, the last used ones: some 0.4 MB of objects each, beside what is mapped of their files.
MOST_OPEN = 256
# Bytes of segments that are read and hashed when an index is opened, about a second; of a larger index every segment
# is, when it is first used.
MOST_VERIFIED_AT_ONCE = 2 << 30


class SegmentReader:
    """Opens the segments of one index folder; generations of it share a reader, and so what is open.

    Methods may be called from several threads.
    """

    def __init__(self, out: Path, store: VectorStore) -> None:
        self.out = out
        self.store = store
        self._lock = threading.Lock()
        self._whole: set[str] = set()
        self._open: OrderedDict[str, Segment] = OrderedDict()

    def verify(self, versions: Sequence[Version]) -> None:
        """Check every file of ``versions``, or, where these are too many bytes, that it is there.

        :raises IndexMismatchError: if a file is damaged or missing.
        """
        new = [version for version in versions if version.segment not in self._whole]
        total = sum(
            path.stat().st_size for version in new for path in self._folder(version).rglob("*") if path.is_file()
        )
        for version in new:
            if total <= MOST_VERIFIED_AT_ONCE:
                self._verify(version)
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
        if version.segment not in self._whole:
            self._verify(version)
        segment = Segment.load(self._folder(version), self.store)
        with self._lock:
            self._open[version.segment] = segment
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return segment

    def _verify(self, version: Version) -> None:
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


def damaged(out: Path, path: Path) -> IndexMismatchError:
    """Return the error that says that a file of the index is not what was written."""
    return IndexMismatchError(
        f"the index at {out} is damaged: {path} is not the file that was written; make it whole again:\n"
        f"  {repair_command(out)}"
    )
