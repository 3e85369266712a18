"""What a build has encoded of the segments in work, so that one that was killed goes on where it was.

A journal is a file of records, one appended for every slice of texts that has been encoded. A record is the length of
its content (8 bytes, little-endian), the content's BLAKE2b digest (16 bytes) and the content. The first says what made
the others and names the segments in work; each other holds the sha256 of its texts (32 bytes each), how many token
vectors each has (uint32), the vectors (float32) and the packed token vectors (int8), every array after the other.

The journal of a build that was killed is kept while other segments are made: there are two files at most, each of as
much as is encoded at once (UNITS_PER_POOL in :mod:`index.store`; 6 MB a thousand units).

Reading ends at the first record that is not as it was written; it and what follows is encoded again. A killed program
leaves a torn record at most; records are not synced, so a machine that loses its power may lose more of the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.encoder import Encoder, Progress
from index.manifest import read_file
from index.segment import UNREADABLE
from index.tokens import MAX_CLAUSE_TOKENS, Floats, pack_tokens

JOURNAL_VERSION = "1"
# Padded characters that one call encodes, one to two seconds of it: what a kill loses.
CHARACTERS_PER_SLICE = 6000
MOST_BYTES = 1 << 30  # of a journal that is read: the 40,000 units of a policy of 5 MB take a quarter of it

_DIGEST_SIZE = 16
_KEY_SIZE = 32


@dataclass(frozen=True)
class PackedText:
    """One text as a segment keeps it.

    ``vector`` is float32 of shape (dimension,), of unit length; ``tokens`` int8 of shape (tokens, token dimension), at
    most :data:`~index.tokens.MAX_CLAUSE_TOKENS` of them.
    """

    vector: Floats
    tokens: NDArray[np.int8]


def encode_packed(texts: Sequence[str], encoder: Encoder, progress: Progress | None = None) -> tuple[PackedText, ...]:
    """Encode ``texts`` in one call and pack the vectors of their tokens."""
    encoded = encoder.encode_passages(texts, progress=progress)
    return tuple(PackedText(one.vector, pack_tokens(one.tokens[:MAX_CLAUSE_TOKENS])) for one in encoded)


class Journal:
    """What has been encoded of the segments in work, by text, in memory and in a file that outlives a kill.

    Whoever has one holds the lock of the index.
    """

    def __init__(self, path: Path, encoder: Encoder, made_by: Mapping[str, str]) -> None:
        """Read the journal at ``path`` if there is one and it was made alike; another is as good as none."""
        self._path = path
        self._kept = path.with_name(f"{path.name}-kept")
        self._encoder = encoder
        self._making = {
            "journal": JOURNAL_VERSION,
            "dimension": encoder.dimension,
            "token_dimension": encoder.token_dimension,
            **made_by,
        }
        self._packed: dict[bytes, PackedText] = {}
        self.segments: tuple[str, ...] = ()
        for place in (self._path, self._kept):
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            elif os.path.lexists(place) and not place.is_file():  # a pipe, or a link to nothing
                place.unlink()
        self._read()

    def choose(self, wanted: Iterable[str]) -> None:
        """Take up the journal that was kept, if it is the one that knows some of the ``wanted`` segments."""
        if not self._kept.exists() or set(names := tuple(wanted)) & set(self.segments):
            return
        newer = self._path.with_name(f"{self._path.name}-newer")
        if self._path.exists():
            os.replace(self._path, newer)
        os.replace(self._kept, self._path)
        if newer.exists():
            os.replace(newer, self._kept)
        self._read()
        if not set(names) & set(self.segments) and self._kept.exists():
            self._path.unlink()  # the older of two that nobody asks for
            os.replace(self._kept, self._path)
            self._read()

    def begin(self, segments: Iterable[str]) -> None:
        """Take up ``segments``; a journal that was read goes on as it is if one of them is among its own.

        Another one is kept for the build that asks for it.
        """
        names = tuple(segments)
        if not set(names) & set(self.segments):
            if self.segments:
                os.replace(self._path, self._kept)
            self.remove()
            self.segments = names
            header = {"made_by": self._making, "segments": self.segments}
            self._path.write_bytes(_frame(json.dumps(header).encode()))

    def encode(self, texts: Iterable[str], progress: Progress | None = None) -> None:
        """Encode those of ``texts`` that have not been, each once, and record every slice when it is done.

        The same texts are cut into the same slices whatever has been encoded of them, so that an encoder whose vectors
        hang on what a text is encoded together with gives the same ones after a kill.

        :param progress: told at the start and after each batch: how many of the different texts are done, and all.
        """
        slices = tuple(slice_texts(texts))
        left = [[text for text in one if _key(text) not in self._packed] for one in slices]
        total = sum(map(len, slices))
        done = total - sum(map(len, left))

        def tell(encoded: int, _: int) -> None:
            if progress is not None:
                progress(done + encoded, total)

        tell(0, 0)
        for one in filter(None, left):
            self._append(one, encode_packed(one, self._encoder, tell))
            done += len(one)

    def packed(self, texts: Sequence[str]) -> list[PackedText]:
        """Return what has been encoded for each of ``texts``.

        :raises KeyError: if one of them has not been.
        """
        return [self._packed[_key(text)] for text in texts]

    def remove(self) -> None:
        """Forget all, in memory and on disk: the segments are whole."""
        self._path.unlink(missing_ok=True)
        self._packed = {}
        self.segments = ()

    def leave(self, is_made: Callable[[str], bool]) -> None:
        """Leave what another build can go on from, and nothing else.

        :param is_made: says whether there is a segment of that name.
        """
        for _ in (self._path, self._kept):
            if not self._path.exists() and self._kept.exists():
                os.replace(self._kept, self._path)
                self._read()
            if not self.segments or all(map(is_made, self.segments)):
                self.remove()

    def _append(self, texts: Sequence[str], packed: Sequence[PackedText]) -> None:
        keys = [_key(text) for text in texts]
        content = b"".join(
            (
                *keys,
                np.array([len(one.tokens) for one in packed], "<u4").tobytes(),
                *(one.vector.astype("<f4").tobytes() for one in packed),
                *(one.tokens.tobytes() for one in packed),
            )
        )
        with self._path.open("ab") as file:
            file.write(_frame(len(keys).to_bytes(4, "little") + content))
        self._packed.update(zip(keys, packed, strict=True))

    def _read(self) -> None:
        self._packed, self.segments = {}, ()
        try:
            records = list(_records(read_file(self._path, MOST_BYTES)))
            header = json.loads(records[0][1]) if records else {}
            if header.get("made_by") != self._making:
                return
            for _, record in records[1:]:
                self._packed.update(self._unpack(record))
            self.segments = tuple(map(str, header["segments"]))
        except (FileNotFoundError, *UNREADABLE):  # of another program; as good as none
            self._packed = {}
            return
        os.truncate(self._path, records[-1][0])

    def _unpack(self, record: bytes) -> Iterator[tuple[bytes, PackedText]]:
        count = int.from_bytes(record[:4], "little")
        width, token_width = self._encoder.dimension, self._encoder.token_dimension
        starts = 4 + np.cumsum([0, _KEY_SIZE * count, 4 * count, 4 * count * width])
        keys, lengths, vectors, tokens = (record[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True))
        ends = np.cumsum(np.frombuffer(lengths, "<u4"), dtype=np.int64)
        rows = np.frombuffer(tokens, np.int8).reshape(int(ends[-1]), token_width)
        for i, (vector, own) in enumerate(
            zip(np.frombuffer(vectors, "<f4").reshape(count, width), np.split(rows, ends[:-1]), strict=True)
        ):
            yield keys[_KEY_SIZE * i : _KEY_SIZE * (i + 1)], PackedText(vector, own)


def slice_texts(texts: Iterable[str]) -> Iterator[list[str]]:
    """Cut the different ones of ``texts`` into slices of like length, longest first, whatever order they come in."""
    current: list[str] = []
    for text in sorted(set(texts), key=lambda text: (-len(text), text)):
        if current and (len(current) + 1) * len(current[0]) > CHARACTERS_PER_SLICE:
            yield current
            current = []
        current.append(text)
    if current:
        yield current


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _frame(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + _digest(content) + content


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_SIZE).digest()


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the end and the content of every record up to the first that is not whole."""
    start = 0
    while len(frame := content[start : start + 8 + _DIGEST_SIZE]) == 8 + _DIGEST_SIZE:
        begin = start + len(frame)
        start = begin + int.from_bytes(frame[:8], "little")
        record = content[begin:start]
        if start > len(content) or _digest(record) != frame[8:]:
            return
        yield start, record
