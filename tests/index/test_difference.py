"""A trained difference in four bits: exact where that is enough, near where it is not, refused where it misfits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.difference import apply_difference, quantize_difference


def test_values_on_the_grid_come_back_exactly(tmp_path: Path) -> None:
    step = np.float32(2.0**-14)
    change = (np.arange(3 * 50, dtype=np.float32).reshape(3, 50) % 15 - 7) * step
    state = {"a": np.full((3, 50), 0.5, np.float32), "b": np.ones(4, np.float32)}
    (tmp_path / "d").write_bytes(quantize_difference({"a": change}))
    merged = apply_difference(state, tmp_path / "d")
    np.testing.assert_array_equal(merged["a"], state["a"] + change)
    np.testing.assert_array_equal(merged["b"], state["b"])
    assert state["a"][0, 0] == 0.5


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
def test_no_value_is_further_off_than_half_a_step(tmp_path: Path, size: float) -> None:
    change = (np.random.default_rng(0).standard_normal((128, 64)) * size).astype(np.float32)
    (tmp_path / "d").write_bytes(quantize_difference({"w": change}))
    merged = apply_difference({"w": np.zeros_like(change)}, tmp_path / "d")["w"]
    half_step = np.abs(change).max(axis=1, keepdims=True) / 7 / 2
    assert (np.abs(merged - change) <= half_step * 1.01 + 2.0**-36).all()


def test_the_file_takes_four_and_a_quarter_bits_a_value() -> None:
    data = quantize_difference({"w": np.ones((384, 1536), np.float32)})
    assert 384 * 1536 * 4.25 / 8 <= len(data) <= 384 * 1536 * 4.25 / 8 + 400


@pytest.mark.parametrize("state", [{}, {"w": np.zeros(65, np.float32)}])
def test_a_difference_that_does_not_fit_is_refused(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    (tmp_path / "d").write_bytes(quantize_difference({"w": np.ones(64, np.float32)}))
    with pytest.raises(ValueError, match="changes 1 groups of 64 values of w"):
        apply_difference(state, tmp_path / "d")
