"""Units near a query over many segments: exactly while that is fast, else by an approximate FAISS index.

The approximate index is a file in ``nearest/`` beside the segments, with a record named by its own hash that lists the
segments in it and vouches for the file. It is made from the segments and can be thrown away at any time: segments that
it lacks are searched exactly beside it, those that a reader does not see are passed over, and where it is damaged
everything is searched exactly. What it finds is scored again with the vectors themselves.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from index.manifest import read_file, replace_file
from index.segment import MOST_JSON_BYTES, UNREADABLE
from index.storage import set_aside
from index.tokens import Floats

if TYPE_CHECKING:
    import faiss

_log = logging.getLogger(__name__)

FOLDER = "nearest"
# Units that one core searches exactly in less than 10 ms, of 135 apps 43,000 in 4.6: python -m evaluation scale
EXACT_UNITS = 75_000
PROBED = (
    128  # of the lists: recall@10 0.99 at 50,000 units, 0.984 at a million: python -m evaluation scale --only nearest
)
OVERFETCH = 8  # times top_k are taken from the 8-bit vectors and scored again with the whole ones
TRAINING_UNITS_PER_LIST = 40  # FAISS asks for 39 at least

Vectors = Callable[[str], Floats]
"""A segment's name -> its unit vectors."""


@dataclass(frozen=True)
class Neighbour:
    """One unit near a query: its segment's name, its position among that segment's units, its cosine."""

    segment: str
    unit: int
    score: float


def search_exactly(query: Floats, top_k: int, segments: Collection[str], vectors: Vectors) -> list[Neighbour]:
    """Return the ``top_k`` nearest units of ``segments``, best first, ties by segment and unit."""
    if not segments:
        return []
    names = list(segments)
    # Row by row: equal vectors score the same wherever they stand. FAISS would keep a heap of every segment beside it.
    scores = [np.vecdot(vectors(name), query) for name in names]
    starts = np.cumsum([0, *map(len, scores)])
    score = np.concatenate(scores)
    # All that ties with the last one stays, so that the names decide between them.
    count = min(top_k, len(score))
    least = np.partition(score, -count)[-count]
    kept = np.flatnonzero(score >= least)
    owners = np.searchsorted(starts, kept, side="right") - 1
    found = [
        Neighbour(names[owner], int(at - starts[owner]), float(score[at]))
        for at, owner in zip(kept, owners, strict=True)
    ]
    return best_first(found)[:top_k]


def best_first(neighbours: Collection[Neighbour]) -> list[Neighbour]:
    """Sort ``neighbours`` by score, ties by segment and unit."""
    return sorted(neighbours, key=lambda one: (-one.score, one.segment, one.unit))


class ApproximateUnits:
    """An inverted file over 8-bit vectors of the units of many segments (Jégou et al., 2011), and where each stands."""

    def __init__(self, lists: faiss.Index, segments: Mapping[str, int]) -> None:
        """:param segments: name -> number of units, in the order in which they were added."""
        self._lists = lists
        self._names = list(segments)
        self._starts = np.cumsum([0, *segments.values()])
        self.segments = dict(segments)

    @property
    def unit_count(self) -> int:
        """How many units are in it."""
        return int(self._starts[-1])

    def count_units(self, segments: Collection[str]) -> int:
        """Return how many units in it are those of ``segments``."""
        return sum(self.segments[name] for name in segments if name in self.segments)

    @classmethod
    def build(cls, segments: Mapping[str, int], vectors: Vectors) -> ApproximateUnits:
        """Index the units of ``segments``, by name with their number of units."""
        import faiss

        total = sum(segments.values())
        list_count = max(1, int(4 * total**0.5))
        dimension = vectors(next(iter(segments))).shape[1]
        lists = faiss.index_factory(dimension, f"IVF{list_count},SQ8", faiss.METRIC_INNER_PRODUCT)
        lists.train(_sample(segments, vectors, TRAINING_UNITS_PER_LIST * list_count))
        for name in segments:
            lists.add(vectors(name))
        return cls(lists, segments)

    def search(
        self, query: Floats, top_k: int, segments: Collection[str], vectors: Vectors, *, probed: int = PROBED
    ) -> list[Neighbour]:
        """Return about the ``top_k`` nearest units of those of ``segments`` that are in it, best first.

        :param probed: how many lists are looked through.
        """
        import faiss

        faiss.omp_set_num_threads(1)  # beside other threads its pool waits longer than it works
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = probed
        wanted = min(top_k * OVERFETCH, self.unit_count)
        while True:
            _, found = self._lists.search(query[np.newaxis], wanted, params=parameters)
            ids = found[0][(found[0] >= 0) & (found[0] < self.unit_count)]
            places = np.searchsorted(self._starts, ids, side="right") - 1
            kept = [
                (self._names[place], int(number - self._starts[place]))
                for place, number in zip(places, ids, strict=True)
                if self._names[place] in segments
            ]
            # Segments that went since are passed over; if they were many, more is taken.
            if len(kept) >= min(top_k, wanted) or len(ids) < wanted or wanted == self.unit_count:
                break
            wanted = min(4 * wanted, self.unit_count)
        exact = [Neighbour(name, unit, float(vectors(name)[unit] @ query)) for name, unit in kept]
        return best_first(exact)[:top_k]

    def save(self, folder: Path) -> None:
        """Write it into ``folder`` in place of what is there."""
        import faiss

        content = faiss.serialize_index(self._lists).tobytes()
        record = json.dumps({"sha256": hashlib.sha256(content).hexdigest(), "segments": self.segments}).encode()
        name = hashlib.sha256(record).hexdigest()
        folder.mkdir(exist_ok=True)
        replace_file(folder / f"{name}.faiss", content)
        replace_file(folder / f"{name}.json", record)
        for path in folder.iterdir():
            if path.stem != name:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    @classmethod
    def load(cls, folder: Path) -> ApproximateUnits | None:
        """Read what :meth:`save` wrote; ``None`` if there is nothing whole."""
        import faiss

        for path in sorted(folder.glob("*.json")):
            content = path.with_suffix(".faiss")
            try:
                if not (path.is_file() and content.is_file()):
                    raise ValueError("half of it is gone")
                record = read_file(path, MOST_JSON_BYTES)
                with content.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                said = json.loads(record) if hashlib.sha256(record).hexdigest() == path.stem else {}
                segments = {str(name): int(units) for name, units in said["segments"].items()}
                if said["sha256"] != found or min(segments.values()) < 0:
                    raise ValueError("it is not what its record says")
                check_lists(content, sum(segments.values()))
            except (FileNotFoundError, *UNREADABLE) as error:
                told = "is damaged (%s) and not used; questions across apps are slower until the next build"
                _log.warning(f"%s {told}", path, error)
                continue
            # Mapped, so that several processes share it; on Windows FAISS cannot, and takes no such path either.
            if os.name == "nt":
                return cls(faiss.deserialize_index(np.fromfile(content, np.uint8)), segments)
            index: Any = faiss.read_index(str(content), faiss.IO_FLAG_MMAP)
            # FAISS's threads that read ahead would go on after the search, and so after the file was found written to:
            # a page that is there no more ends the process.
            lists: Any = faiss.downcast_InvertedLists(index.invlists)
            lists.prefetch_nthread = 0
            return cls(index, segments)
        return None


def check_lists(path: Path, unit_count: int) -> None:
    """Check that a file is an inverted file as :meth:`ApproximateUnits.build` makes it, every size in it included.

    FAISS believes what it reads: a file with another size, type or count makes it read and write beside its arrays.

    :param unit_count: how many vectors must be in it.
    :raises ValueError: if it is another.
    """
    with path.open("rb") as file:

        def read(layout: str) -> tuple[Any, ...]:
            size = struct.calcsize(f"<{layout}")
            content = file.read(size)
            if len(content) < size:
                raise ValueError("the file is too short")
            return struct.unpack(f"<{layout}", content)

        kind, dimension, total, _, _, is_trained, metric, list_count, _ = read("4sIQQQ?IQQ")
        if (kind, total, is_trained, metric) != (b"IwSq", unit_count, True, 0):
            raise ValueError("it is no inverted file of that many units")
        kind, width, centres, _, _, is_trained, metric, values = read("4sIQQQ?IQ")
        if (kind, width, centres, is_trained, metric) != (b"IxFI", dimension, list_count, True, 0):
            raise ValueError("its lists have other centres")
        if values != list_count * dimension:
            raise ValueError("its centres are others than it says")
        file.seek(4 * values, os.SEEK_CUR)
        direct, mapped, quantizer, _, _, width, code_size, trained = read("?QIIfQQQ")
        if (direct, mapped, quantizer, width, code_size, trained) != (False, 0, 0, dimension, dimension, 2 * dimension):
            raise ValueError("its vectors are not of 8 bits")
        file.seek(4 * trained, os.SEEK_CUR)
        code_size, _, kind, lists, width, how, count = read("Q?4sQQ4sQ")
        if (code_size, kind, lists, width) != (dimension, b"ilar", list_count, dimension):
            raise ValueError("it has other lists than it says")
        if (how, count) != (b"full", list_count) and (how != b"sprs" or count % 2 or count > 2 * list_count):
            raise ValueError("its lists have no sizes")
        numbers = np.frombuffer(file.read(8 * count), "<u8").astype(object)  # whole numbers that do not overflow
        sizes, places = (numbers, ()) if how == b"full" else (numbers[1::2], numbers[::2])
        if len(numbers) != count or any(place >= list_count for place in places) or sum(sizes) != unit_count:
            raise ValueError("its lists have other sizes")
        if file.tell() + unit_count * (dimension + 8) != os.fstat(file.fileno()).st_size:
            raise ValueError("the file has another size")


def refresh_nearest(out: Path, segments: Mapping[str, int], vectors: Vectors) -> None:
    """Make the approximate index of the index at ``out`` anew where too many units are in no such index.

    :param segments: those of the generation, by name with their number of units.
    """
    folder = out / FOLDER
    if sum(segments.values()) <= EXACT_UNITS:
        shutil.rmtree(folder, ignore_errors=True)
        return
    held = ApproximateUnits.load(folder)
    if held is None and folder.is_dir():
        for path in [*folder.glob("*.json"), *folder.glob("*.faiss")]:
            set_aside(out, path)
    if sum(segments.values()) - (held.count_units(segments) if held else 0) > EXACT_UNITS:
        ApproximateUnits.build(segments, vectors).save(folder)


def _sample(segments: Mapping[str, int], vectors: Vectors, count: int) -> Floats:
    """Return about ``count`` unit vectors, evenly spread over all segments."""
    total = sum(segments.values())
    wanted: NDArray[np.int64] = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
    starts = np.cumsum([0, *segments.values()])
    rows = []
    for name, start, end in zip(segments, starts, starts[1:], strict=False):
        own = wanted[(wanted >= start) & (wanted < end)] - start
        if len(own):
            rows.append(vectors(name)[own])
    return np.ascontiguousarray(np.vstack(rows), dtype=np.float32)
