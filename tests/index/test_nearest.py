"""What is near a query over many segments: exactly, and by the approximate index, whatever happened to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index import nearest
from index.nearest import ApproximateUnits, Neighbour, refresh_nearest, search_exactly
from index.tokens import Floats, unit_rows

DIMENSION = 32


def make_segments(count: int, *, seed: int = 0) -> dict[str, Floats]:
    """Return segments of 20 to 60 unit vectors that gather around 40 directions, as clauses on like subjects do."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((40, DIMENSION))
    segments = {}
    for number in range(count):
        size = int(random.integers(20, 60))
        rows = centres[random.integers(0, 40, size)] + 0.4 * random.standard_normal((size, DIMENSION))
        segments[f"{seed}-{number:03}"] = unit_rows(rows.astype(np.float32))
    return segments


def brute_force(query: Floats, top_k: int, segments: dict[str, Floats]) -> list[tuple[str, int]]:
    scored = [(-float(score), name, unit) for name, own in segments.items() for unit, score in enumerate(own @ query)]
    return [(name, unit) for _, name, unit in sorted(scored)[:top_k]]


def places(found: list[Neighbour]) -> list[tuple[str, int]]:
    return [(one.segment, one.unit) for one in found]


def queries(segments: dict[str, Floats], count: int) -> list[Floats]:
    random = np.random.default_rng(9)
    rows = np.vstack(list(segments.values()))
    chosen = rows[random.integers(0, len(rows), count)]
    return list(unit_rows(chosen + 0.1 * random.standard_normal(chosen.shape).astype(np.float32)))


def sizes(segments: dict[str, Floats]) -> dict[str, int]:
    return {name: len(own) for name, own in segments.items()}


def test_the_exact_search_finds_what_brute_force_finds() -> None:
    segments = make_segments(30)
    for query in queries(segments, 20):
        found = search_exactly(query, 10, segments, segments.__getitem__)
        assert places(found) == brute_force(query, 10, segments)
        assert found[0].score == pytest.approx(float(segments[found[0].segment][found[0].unit] @ query), abs=1e-5)


def test_equal_scores_stand_in_order_of_segment_and_unit() -> None:
    row = unit_rows(np.ones((1, DIMENSION), np.float32))
    segments = {"b": np.vstack([row, row]), "a": row}
    assert places(search_exactly(row[0], 3, segments, segments.__getitem__)) == [("a", 0), ("b", 0), ("b", 1)]


def test_the_approximate_index_finds_nearly_all_of_it_and_scores_it_exactly() -> None:
    segments = make_segments(120)
    approximate = ApproximateUnits.build(sizes(segments), segments.__getitem__)
    assert approximate.unit_count == sum(map(len, segments.values()))
    hits = 0
    for query in queries(segments, 50):
        found = approximate.search(query, 10, segments, segments.__getitem__)
        assert all(one.score == float(segments[one.segment][one.unit] @ query) for one in found)
        hits += len({*places(found)} & {*brute_force(query, 10, segments)})
    assert hits >= 0.98 * 500


def test_segments_that_a_reader_does_not_see_are_passed_over() -> None:
    segments = make_segments(120)
    approximate = ApproximateUnits.build(sizes(segments), segments.__getitem__)
    seen = dict(list(segments.items())[:30])
    for query in queries(segments, 10):
        found = approximate.search(query, 10, seen, segments.__getitem__)
        assert len(found) == 10 and {one.segment for one in found} <= seen.keys()
        assert places(found)[0] == brute_force(query, 1, seen)[0]


def test_a_saved_index_finds_the_same_and_a_damaged_one_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    segments = make_segments(60)
    approximate = ApproximateUnits.build(sizes(segments), segments.__getitem__)
    approximate.save(tmp_path)
    loaded = ApproximateUnits.load(tmp_path)
    assert loaded is not None and loaded.segments == sizes(segments)
    for query in queries(segments, 10):
        assert loaded.search(query, 10, segments, segments.__getitem__) == approximate.search(
            query, 10, segments, segments.__getitem__
        )
    [content] = tmp_path.glob("*.faiss")
    held = bytearray(content.read_bytes())
    held[len(held) // 2] ^= 1
    content.unlink()  # the one that is mapped keeps its bytes
    content.write_bytes(held)
    assert ApproximateUnits.load(tmp_path) is None
    assert "damaged" in caplog.text


def test_saving_again_replaces_what_was_there(tmp_path: Path) -> None:
    for seed in (1, 2):
        segments = make_segments(40, seed=seed)
        ApproximateUnits.build(sizes(segments), segments.__getitem__).save(tmp_path)
    loaded = ApproximateUnits.load(tmp_path)
    assert loaded is not None and loaded.segments == sizes(segments)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_index_is_made_where_many_units_are_in_none_and_goes_where_few_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "EXACT_UNITS", 1000)
    segments = make_segments(60)
    few = dict(list(segments.items())[:10])
    refresh_nearest(tmp_path, sizes(few), segments.__getitem__)
    assert not (tmp_path / nearest.FOLDER).exists()
    refresh_nearest(tmp_path, sizes(segments), segments.__getitem__)
    made = {path.name for path in (tmp_path / nearest.FOLDER).iterdir()}
    more = segments | make_segments(5, seed=3)
    refresh_nearest(tmp_path, sizes(more), more.__getitem__)
    assert {path.name for path in (tmp_path / nearest.FOLDER).iterdir()} == made
    more |= make_segments(60, seed=4)
    refresh_nearest(tmp_path, sizes(more), more.__getitem__)
    held = ApproximateUnits.load(tmp_path / nearest.FOLDER)
    assert held is not None and held.segments == sizes(more)
    refresh_nearest(tmp_path, sizes(few), segments.__getitem__)
    assert not (tmp_path / nearest.FOLDER).exists()
