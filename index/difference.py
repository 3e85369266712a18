"""What training changed, kept in 4 bits: groups of 64 values, one float16 scale a group, codes from -7 to 7.

A file holds for each tensor ``NAME.codes`` (uint8, two codes a byte, the first in the low half, each plus eight) and
``NAME.scales`` (float16, in units of ``SCALE_UNIT``); the tensor is flattened and padded with zeros to whole groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

GROUP = 64
LARGEST_CODE = 7
# Differences are near 1e-4 and a code's step a seventh of that, where float16 is coarse; so scales are stored
# 4096 times larger, which leaves room up to a difference of 111.
SCALE_UNIT = np.float32(2.0**-12)


def quantize_difference(tensors: Mapping[str, Floats]) -> bytes:
    """Return the safetensors file that holds ``tensors`` (float32, by name) in 4 bits."""
    from safetensors.numpy import save

    stored: dict[str, npt.NDArray[np.generic]] = {}
    for name, tensor in tensors.items():
        flat = np.asarray(tensor, np.float32).ravel()
        groups = np.pad(flat, (0, -flat.size % GROUP)).reshape(-1, GROUP)
        scales = (np.abs(groups).max(axis=1) / LARGEST_CODE / SCALE_UNIT).astype(np.float16)
        steps = scales.astype(np.float32)[:, None] * SCALE_UNIT
        codes = np.divide(groups, steps, out=np.zeros_like(groups), where=steps > 0).round()
        codes = (codes.clip(-LARGEST_CODE, LARGEST_CODE) + 8).astype(np.uint8)
        stored[f"{name}.codes"] = codes[:, ::2] | codes[:, 1::2] << 4
        stored[f"{name}.scales"] = scales
    return save(stored)


def apply_difference(state: Mapping[str, Floats], path: Path) -> dict[str, Floats]:
    """Return ``state`` (float32, by name) with the difference in ``path`` added in float32.

    :raises ValueError: if it is no such file, or changes a tensor that ``state`` has not, or has in another size.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
    merged = dict(state)
    for name in sorted(key.removesuffix(".scales") for key in stored if key.endswith(".scales")):
        codes, scales = stored[f"{name}.codes"], stored[f"{name}.scales"]
        if name not in state or -(-state[name].size // GROUP) != len(scales):
            had = state[name].shape if name in state else "nothing"
            raise ValueError(f"{path} changes {len(scales)} groups of {GROUP} values of {name}; the model has {had}.")
        unpacked = np.stack([codes & 0x0F, codes >> 4], axis=-1).reshape(-1, GROUP).astype(np.float32) - 8
        change = unpacked * (scales.astype(np.float32)[:, None] * SCALE_UNIT)
        merged[name] = state[name] + change.ravel()[: state[name].size].reshape(state[name].shape)
    return merged
