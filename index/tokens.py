"""Token vectors: one for every token of a text, beside the one for the whole; a clause's are stored in 8 bits.

Only their direction counts (late interaction, Khattab and Zaharia, 2020), so a row is scaled to fill the 8 bits and
needs no scale stored with it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

MAX_CLAUSE_TOKENS = 192  # of heading, lead-in and clause; 97 % of the clauses of the training policies have fewer


def unit_rows(rows: Floats) -> Floats:
    """Return ``rows`` scaled to unit length; a row of zeros stays."""
    lengths = np.sqrt(np.vecdot(rows, rows))[..., np.newaxis]
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def pack_tokens(tokens: Floats) -> npt.NDArray[np.int8]:
    """Return ``tokens``, float32 of shape (tokens, dimension), in 8 bits; lengths are lost, directions kept to 1 %."""
    largest = np.abs(tokens).max(axis=1, keepdims=True, initial=0.0)
    return np.asarray(np.round(tokens / np.where(largest > 0, largest, 1) * 127), dtype=np.int8)


def unpack_tokens(packed: npt.NDArray[np.int8]) -> Floats:
    """Return the unit rows that ``packed`` stands for, float32 of the same shape."""
    return unit_rows(packed.astype(np.float32))
