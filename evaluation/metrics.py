"""The measures: pure functions of numbers and strings that know no index and no question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]


def recall_at_k(rank: int | None, k: int) -> float:
    """Return 1.0 if the first right passage stands among the first ``k``, else 0.0; the mean is hit@k.

    One right passage is enough, so recall at k and hit at k are the same number here.

    :param rank: rank of the first right passage, from 1; ``None`` where none came back.
    """
    return float(rank is not None and rank <= k)


def reciprocal_rank(rank: int | None) -> float:
    """Return 1 / rank of the first right passage, 0.0 where none came back; the mean over questions is MRR."""
    return 1.0 / rank if rank else 0.0


def character_f1(predicted: str, gold: str) -> float:
    """Return the F1 of the characters shared by two strings, white space left out (SQuAD's F1 over characters).

    Characters are counted with their multiplicity and without their order; 0.0 where either string has none.

    >>> character_f1("个人中心", "个人中心-设置")
    0.7272727272727273
    """
    ours, theirs = Counter("".join(predicted.split())), Counter("".join(gold.split()))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the chance that a positive scores above a negative, ties counted half (Mann–Whitney U).

    nan where there are no positives or no negatives.
    """
    if not len(positives) or not len(negatives):
        return float("nan")
    return float(_wins(positives, negatives).mean())


def auroc_interval(
    positives: Sequence[float], negatives: Sequence[float], *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Return the percentile bootstrap interval of ``auroc``, positives and negatives resampled apart."""
    if not len(positives) or not len(negatives):
        return float("nan"), float("nan")
    wins, rng = _wins(positives, negatives), np.random.default_rng(seed)
    drawn = [rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n for n in wins.shape]
    return _percentiles(((drawn[0] @ wins) * drawn[1]).sum(axis=1), level)


def bootstrap_interval(
    values: Sequence[float], *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Return the percentile bootstrap interval of the mean of ``values`` (Efron, 1979); nan for no values."""
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(sample.size, size=(resamples, sample.size))
    return _percentiles(sample[drawn].mean(axis=1), level)


def reliability_curve(
    confidences: Sequence[float], correct: Sequence[bool], *, bins: int = 10
) -> list[tuple[int, float, float]]:
    """Return (count, mean confidence, share right) of every bin of equal width that holds anything, from 0 up.

    :param confidences: in 0 to 1; 1.0 falls into the last bin.
    """
    claimed, right = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    where = np.minimum((claimed * bins).astype(int), bins - 1)
    members = [where == number for number in range(bins)]
    return [(int(own.sum()), float(claimed[own].mean()), float(right[own].mean())) for own in members if own.any()]


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool], *, bins: int = 10) -> float:
    """Return the mean gap between confidence and accuracy over bins of equal width, weighted by their size (Guo, 2017).

    :param confidences: in 0 to 1; nan without any.
    """
    if not len(confidences):
        return float("nan")
    curve = reliability_curve(confidences, correct, bins=bins)
    return sum(count * abs(claimed - right) for count, claimed, right in curve) / len(confidences)


def answering_curve(
    answerable: Sequence[float], unanswerable: Sequence[float], thresholds: Sequence[float]
) -> list[tuple[float, float, float]]:
    """Return (threshold, answered share, false answer share): what confidence alone would answer from there on."""
    yes, no = np.asarray(answerable), np.asarray(unanswerable)
    return [(t, _share(yes >= t), _share(no >= t)) for t in thresholds]


def _share(claims: np.ndarray) -> float:
    return float(claims.mean()) if claims.size else float("nan")


def _wins(positives: Sequence[float], negatives: Sequence[float]) -> np.ndarray:
    gap = np.asarray(positives, dtype=np.float64)[:, None] - np.asarray(negatives, dtype=np.float64)[None, :]
    return (np.sign(gap) + 1) / 2


def _percentiles(means: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
