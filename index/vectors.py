"""Where the unit vectors of an index are searched: one contract, and the index folder itself, which is the default."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from index.arrays import Stamp, read_array, stamp_of
from index.errors import IndexMismatchError
from index.manifest import damaged
from index.nearest import EXACT_UNITS, FOLDER, ApproximateUnits, Neighbour, best_first, search_exactly
from index.recent import LastUsed
from index.tokens import Floats

VECTORS = "vectors.npy"
MOST_MAPPED = 200  # files, the last used ones; each holds a descriptor


class VectorStore(Protocol):
    """Searches the unit vectors of an index; its folder holds them too, so a store can be filled again.

    A segment is named by its content and never changes. Which segments a reader sees is decided by the generation
    alone, so that a store that holds more, or is half filled, shows nothing of it.

    Every method raises :class:`~index.errors.StoreUnreachableError` where the store does not answer.
    """

    def put(self, vectors: Mapping[str, Floats]) -> None:
        """Make segments searchable, durably when this returns; those that are there already are left as they are.

        :param vectors: by a segment's name, float32 of shape (units, dimension), rows of unit length.
        """
        ...

    def missing(self, segments: Mapping[str, int]) -> tuple[str, ...]:
        """Return which of ``segments``, by name with their number of units, are not there whole."""
        ...

    def scores(self, segment: str, unit_count: int, query: Floats) -> Floats:
        """Return the exact cosine of every unit of a segment with ``query``: float32 of shape (units,)."""
        ...

    def nearest(self, query: Floats, top_k: int, segments: Collection[str]) -> tuple[Neighbour, ...]:
        """Return the ``top_k`` units of ``segments`` nearest to ``query``, best first, ties by segment and unit."""
        ...

    def keep_only(self, segments: Collection[str]) -> None:
        """Take out every segment that is not named."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


def open_store(address: str | None, out: Path, *, fingerprint: str, dimension: int) -> VectorStore:
    """Open the vector store of the index at ``out``.

    :param address: ``None`` for the index folder itself; ``milvus://HOST:PORT`` or ``milvus+https://HOST:PORT`` for a
        server or cluster; the path of a Milvus Lite file, which ends in ``.db``.
    :param fingerprint: that of the encoder: vectors of two encoders do not compare.
    :raises ValueError: if the address is none of these.
    """
    if not address:
        return FolderVectors(out)
    if address.startswith(("milvus://", "milvus+https://")) or address.endswith(".db"):
        from index.milvus import MilvusVectors

        return MilvusVectors(address, out, fingerprint=fingerprint, dimension=dimension)
    allowed = "milvus://HOST:PORT, milvus+https://HOST:PORT or a file that ends in .db"
    raise ValueError(f"the vector store must be {allowed}, got {without_password(address)!r}")


def without_password(address: str) -> str:
    """Return the address of a store as it may be shown: without the name and password that it may hold.

    >>> without_password("milvus://root:secret@10.0.0.7:19530"), without_password("vectors.db")
    ('milvus://10.0.0.7:19530', 'vectors.db')
    """
    scheme, separator, rest = address.rpartition("://")
    if not separator and address.endswith(".db"):  # a file's name may hold what a server's address has before its host
        return address
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


class FolderVectors:
    """The vectors as the segments hold them, mapped into memory and read where a question needs them."""

    def __init__(self, out: Path, *, before_use: Callable[[str], None] = lambda segment: None) -> None:
        """:param before_use: called with a segment's name before its vectors are read; raises if they are damaged."""
        self._out = out
        self._before_use = before_use
        self.is_held = False
        """Whether vectors are read into memory and not mapped; for an index that is small."""
        self._lock = threading.Lock()
        self._open: LastUsed[tuple[Floats, Stamp, Path]] = LastUsed()
        self._approximate: ApproximateUnits | None = None
        self._seen_record: tuple[tuple[str, Stamp], ...] | None = None

    def put(self, vectors: Mapping[str, Floats]) -> None:
        """Do nothing: whoever writes the segments has written them."""

    def missing(self, segments: Mapping[str, int]) -> tuple[str, ...]:
        """Return which of ``segments`` have no vectors, or another number."""
        return tuple(name for name, units in segments.items() if self._count(name) != units)

    def scores(self, segment: str, unit_count: int, query: Floats) -> Floats:
        """Return the exact cosine of every unit of a segment with ``query``: float32 of shape (units,)."""
        return np.asarray(self.vectors(segment) @ query, dtype=np.float32)

    def nearest(self, query: Floats, top_k: int, segments: Collection[str]) -> tuple[Neighbour, ...]:
        """Return the ``top_k`` units of ``segments`` nearest to ``query``, best first, ties by segment and unit."""
        approximate = self._open_approximate()
        if approximate is None or approximate.count_units(segments) <= EXACT_UNITS:
            return tuple(search_exactly(query, top_k, segments, self.vectors))
        found = approximate.search(query, top_k, segments, self.vectors)
        beside = [name for name in segments if name not in approximate.segments]
        return tuple(best_first([*found, *search_exactly(query, top_k, beside, self.vectors)])[:top_k])

    def keep_only(self, segments: Collection[str]) -> None:
        """Do nothing: pruning the index deletes the segments themselves."""

    def close(self) -> None:
        """Unmap everything."""
        self._open.clear()
        with self._lock:
            self._approximate, self._seen_record = None, None

    def vectors(self, segment: str) -> Floats:
        """Return the unit vectors of a segment, float32 of shape (units, dimension), read-only.

        :raises IndexMismatchError: if they are gone or damaged.
        """
        held = self._open.get(segment)  # with its path: 135 of them are 2 ms to put together
        if held is not None and not self._has_changed(*held):
            return held[0]
        path = self._out / "segments" / segment / VECTORS
        self._before_use(segment)
        try:
            stamp = stamp_of(path)
            vectors: Floats = read_array(path, "<f4", 2, mapped=not self.is_held)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise damaged(self._out, path) from error
        self._open.keep(segment, (vectors, stamp, path), most=MOST_MAPPED)
        return vectors

    @staticmethod
    def _has_changed(vectors: Floats, stamp: Stamp, path: Path) -> bool:
        """Whether a mapped file has been written to since; one that was moved or deleted has not."""
        if not isinstance(vectors, np.memmap):
            return False
        try:
            found = stamp_of(path)
        except OSError:
            return False
        return found != stamp and found[0] == stamp[0]

    def _count(self, segment: str) -> int:
        try:
            return len(self.vectors(segment))
        except (IndexMismatchError, ValueError):
            return -1

    def _open_approximate(self) -> ApproximateUnits | None:
        folder = self._out / FOLDER
        record = _stamps(folder)
        if record != self._seen_record:  # its file is mapped: one that has been written to is not to be read
            loaded = ApproximateUnits.load(folder) if record else None  # seconds, and nobody else waits for it
            with self._lock:
                self._approximate, self._seen_record = loaded, record
        return self._approximate


def _stamps(folder: Path) -> tuple[tuple[str, Stamp], ...]:
    """Return what tells whether a file of the approximate index has changed."""
    found = []
    for path in sorted((*folder.glob("*.json"), *folder.glob("*.faiss"))):
        with suppress(FileNotFoundError):
            found.append((path.name, stamp_of(path)))
    return tuple(found)
