from __future__ import annotations

import numpy as np
import pytest

from evaluation.topics import f1_intervals, f1_scores


def flags(*rows: str) -> np.ndarray:
    return np.array([[character == "x" for character in row] for row in rows])


def test_micro_macro_and_every_topic() -> None:
    labels = flags("x..", "xx.", ".x.", "x..")
    predicted = flags("x..", "x..", "xx.", "...")
    micro, macro, each = f1_scores(predicted, labels)
    assert each.tolist() == pytest.approx([2 * 2 / 6, 2 * 1 / 3, 0])
    assert micro == pytest.approx(2 * 3 / 9)
    assert macro == pytest.approx((4 / 6 + 2 / 3) / 3)


def test_the_interval_draws_whole_groups_and_repeats() -> None:
    labels = flags(*["x."] * 40, *[".x"] * 40)
    predicted = np.concatenate([labels[:40], ~labels[40:]])
    groups = ["甲"] * 20 + ["乙"] * 20 + ["丙"] * 20 + ["丁"] * 20
    (low, high), macro = f1_intervals(predicted, labels, groups)
    assert (low, high) == f1_intervals(predicted, labels, groups)[0]
    assert (low, high) == (0.0, 1.0)  # four groups, each all right or all wrong
    assert macro[0] < macro[1]
    assert f1_intervals(labels, labels, groups)[0] == (1.0, 1.0)
