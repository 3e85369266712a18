"""Array files that may be hostile, and whether a file has changed since it was checked."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Stamp = tuple[int, int, int]
"""Inode, size in bytes, time of the last change in nanoseconds: another one is another content, or may be."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def stamp_of(path: Path) -> Stamp:
    """Return what tells whether the file at ``path`` has changed."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def read_array(path: Path, dtypes: str, axes: int, *, mapped: bool = False) -> NDArray[Any]:
    """Read an array that ``numpy.save`` wrote, and no other: no objects, no more memory than the file has bytes.

    :param dtypes: the types that are allowed, as NumPy writes them, a space between.
    :param axes: how many axes it must have.
    :param mapped: map the file into memory and read it where it is needed.
    :raises ValueError: if it is another one, or its header does not fit its size.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is no file")
    with path.open("rb") as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{path} is an array file of version {version}, not 1.0 or 2.0")
        try:
            shape, is_fortran, dtype = _HEADERS[version](file)
        except (SyntaxError, TokenError, RecursionError, MemoryError) as error:
            raise ValueError(f"{path} has no header that can be read") from error
        if dtype.str not in dtypes.split() or len(shape) != axes or (is_fortran and axes > 1) or min(shape) < 0:
            raise ValueError(f"{path} holds {dtype.str} of shape {shape}, not {dtypes} with {axes} axes")
        start, size = file.tell(), math.prod(shape) * dtype.itemsize
        if start + size != os.fstat(file.fileno()).st_size:
            raise ValueError(f"{path} holds another number of values than its header says")
        if not size:
            return np.empty(shape, dtype)
        if mapped:
            array: NDArray[Any] = np.memmap(file, dtype, "r", start, shape)
            return array
        return np.frombuffer(file.read(size), dtype).reshape(shape)
