from __future__ import annotations

import math

import pytest

from evaluation.metrics import (
    answering_curve,
    auroc,
    auroc_interval,
    bootstrap_interval,
    character_f1,
    expected_calibration_error,
    recall_at_k,
    reciprocal_rank,
    reliability_curve,
)


def test_a_rank_counts_up_to_k_and_not_beyond() -> None:
    assert [recall_at_k(rank, 3) for rank in (1, 3, 4, None)] == [1.0, 1.0, 0.0, 0.0]


def test_reciprocal_rank_of_nothing_found_is_zero() -> None:
    assert [reciprocal_rank(rank) for rank in (1, 4, None)] == [1.0, 0.25, 0.0]


def test_character_f1_counts_repeated_characters_and_leaves_out_white_space() -> None:
    assert character_f1("aab", "a a c") == pytest.approx(2 * 2 / 6)
    assert character_f1("注销账号", "注销 账号\n") == 1.0
    assert character_f1("", "注销") == character_f1("电话", "注销") == 0.0


def test_auroc_counts_ties_half() -> None:
    assert auroc([0.9, 0.5], [0.5, 0.1]) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert auroc([0.1], [0.9]) == 0.0
    assert math.isnan(auroc([], [0.9]))


def test_auroc_interval_of_separated_scores_is_a_point_and_of_mixed_ones_holds_the_value() -> None:
    assert auroc_interval([0.9, 0.8], [0.1]) == (1.0, 1.0)
    yes, no = [0.9, 0.4, 0.7, 0.6], [0.5, 0.3, 0.65]
    low, high = auroc_interval(yes, no)
    assert low < auroc(yes, no) < high <= 1.0
    assert auroc_interval(yes, no) == (low, high)


def test_bootstrap_interval_is_seeded_and_near_the_normal_one() -> None:
    values = [0.0] * 50 + [1.0] * 50
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)
    assert bootstrap_interval([0.3] * 4) == pytest.approx((0.3, 0.3))
    assert all(math.isnan(end) for end in bootstrap_interval([]))


def test_expected_calibration_error_weighs_the_bins_by_their_size() -> None:
    confidences, correct = [0.95, 0.95, 0.15, 1.0], [True, False, False, True]
    top = abs(0.95 + 0.95 + 1.0 - 2) / 4
    assert expected_calibration_error(confidences, correct) == pytest.approx(top + 0.15 / 4)


def test_the_reliability_curve_has_a_point_for_every_bin_that_holds_anything() -> None:
    curve = reliability_curve([0.95, 0.15, 1.0, 0.11], [True, False, False, True])
    assert [count for count, _, _ in curve] == [2, 2]
    assert curve[0][1:] == pytest.approx((0.13, 0.5))
    assert curve[1][1:] == pytest.approx((0.975, 0.5))


def test_the_answering_curve_answers_from_the_threshold_on() -> None:
    assert answering_curve([0.2, 0.6], [0.5, 0.1, 0.3, 0.4], [0.3, 0.6]) == [(0.3, 0.5, 0.75), (0.6, 0.5, 0.0)]
