"""One body for every vector store: the segments of the index folder, a Milvus Lite file, a Milvus server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from index.tokens import Floats, unit_rows
from index.vectors import VECTORS, FolderVectors, VectorStore, open_store, without_password

from .milvus_server import MilvusServer

DIMENSION = 16
PAGED = 16_500  # units, more than Milvus returns at once


@dataclass(frozen=True)
class Filled:
    """A store and what was put there."""

    store: VectorStore
    vectors: Mapping[str, Floats]

    def ranked(self, query: Floats, segments: list[str]) -> list[tuple[str, int]]:
        """Return all units of ``segments`` by their cosine with ``query``, computed here."""
        scored = [
            (-float(score), name, unit) for name in segments for unit, score in enumerate(self.vectors[name] @ query)
        ]
        return [(name, unit) for _, name, unit in sorted(scored)]


def random_units(count: int, seed: int) -> Floats:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32))


def make_vectors() -> dict[str, Floats]:
    """Segments of several sizes; the first two begin with the same unit."""
    vectors = {f"{number:032x}": random_units(count, number) for number, count in enumerate((1, 40, 300, 1100))}
    vectors[f"{1:032x}"][0] = vectors[f"{0:032x}"][0]
    vectors[f"{9:032x}"] = random_units(PAGED, 9)
    return vectors


def open_filled(address: str | None, out: Path, vectors: Mapping[str, Floats], fingerprint: str) -> VectorStore:
    """Open a store of ``vectors``; those of the index folder are where whoever writes the segments leaves them."""
    for name, rows in vectors.items():
        (out / "segments" / name).mkdir(parents=True, exist_ok=True)
        np.save(out / "segments" / name / VECTORS, rows)
    store = open_store(address, out, fingerprint=fingerprint, dimension=DIMENSION)
    store.put(vectors)
    return store


@pytest.fixture(scope="module", params=["folder", "file", pytest.param("server", marks=pytest.mark.milvus)])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp(request.param)
    address = None
    if request.param == "file":
        for module in ("pymilvus", "milvus_lite"):
            pytest.importorskip(module, reason=f"{module} is not installed: pip install -r requirements-milvus.txt")
        address = str(folder / "vectors.db")
    elif request.param == "server":
        server: MilvusServer = request.getfixturevalue("milvus_server")
        address = server.address
    vectors = make_vectors()
    store = open_filled(address, folder, vectors, "one body for every store")
    yield Filled(store, vectors)
    store.close()


def test_scores_are_those_of_a_multiplication(filled: Filled) -> None:
    query = random_units(1, 100)[0]
    for name, rows in filled.vectors.items():
        scores = filled.store.scores(name, len(rows), query)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, rows @ query, atol=1e-5)


def test_the_nearest_units_of_all_segments_are_those_of_a_multiplication(filled: Filled) -> None:
    for seed in range(5):
        query = random_units(1, 200 + seed)[0]
        found = filled.store.nearest(query, 10, list(filled.vectors))
        assert [(one.segment, one.unit) for one in found] == filled.ranked(query, list(filled.vectors))[:10]
        np.testing.assert_allclose(
            [one.score for one in found], [filled.vectors[one.segment][one.unit] @ query for one in found], atol=1e-5
        )


def test_segments_that_the_reader_does_not_see_are_passed_over(filled: Filled) -> None:
    query = filled.vectors[f"{9:032x}"][7]  # that of the largest segment, which is not seen
    seen = [f"{1:032x}", f"{2:032x}"]
    found = filled.store.nearest(query, 12, seen)
    assert [(one.segment, one.unit) for one in found] == filled.ranked(query, seen)[:12]


def test_equal_scores_are_ordered_by_segment_and_unit(filled: Filled) -> None:
    query = filled.vectors[f"{0:032x}"][0]
    found = filled.store.nearest(query, 2, [f"{1:032x}", f"{0:032x}", f"{2:032x}"])
    assert [(one.segment, one.unit) for one in found] == [(f"{0:032x}", 0), (f"{1:032x}", 0)]


def test_where_fewer_units_are_than_asked_for_all_come(filled: Filled) -> None:
    query = random_units(1, 300)[0]
    seen = [f"{0:032x}", f"{1:032x}"]
    found = filled.store.nearest(query, 100, seen)
    assert [(one.segment, one.unit) for one in found] == filled.ranked(query, seen)


def test_without_segments_nothing_is_near(filled: Filled) -> None:
    assert filled.store.nearest(random_units(1, 301)[0], 3, []) == ()


def test_what_was_put_is_not_missing(filled: Filled) -> None:
    assert filled.store.missing({name: len(rows) for name, rows in filled.vectors.items()}) == ()


def test_a_segment_that_is_not_there_or_of_another_size_is_missing(filled: Filled) -> None:
    asked = {f"{1:032x}": 40, f"{2:032x}": 299, f"{8:032x}": 3}
    assert filled.store.missing(asked) == (f"{2:032x}", f"{8:032x}")


def test_putting_again_changes_nothing(filled: Filled) -> None:
    query = random_units(1, 302)[0]
    before = filled.store.nearest(query, 20, list(filled.vectors))
    filled.store.put(filled.vectors)
    assert filled.store.nearest(query, 20, list(filled.vectors)) == before


def test_a_closed_store_opens_again_when_it_is_asked(filled: Filled) -> None:
    query, name = random_units(1, 303)[0], f"{2:032x}"
    filled.store.close()
    np.testing.assert_allclose(filled.store.scores(name, 300, query), filled.vectors[name] @ query, atol=1e-5)


def test_what_is_kept_is_found_and_what_was_taken_out_can_be_put_again(filled: Filled) -> None:
    query = random_units(1, 304)[0]
    kept = [name for name in filled.vectors if name != f"{1:032x}"]
    filled.store.keep_only(kept)
    found = filled.store.nearest(query, 10, kept)
    assert [(one.segment, one.unit) for one in found] == filled.ranked(query, kept)[:10]
    filled.store.put(filled.vectors)
    assert filled.store.missing({name: len(rows) for name, rows in filled.vectors.items()}) == ()
    np.testing.assert_allclose(
        filled.store.scores(f"{1:032x}", 40, query), filled.vectors[f"{1:032x}"] @ query, atol=1e-5
    )


def test_without_an_address_the_index_folder_is_the_store(tmp_path: Path) -> None:
    assert isinstance(open_store(None, tmp_path, fingerprint="f", dimension=DIMENSION), FolderVectors)


@pytest.mark.parametrize("address", ["milvus", "http://127.0.0.1:19530", "vectors.sqlite", "redis://127.0.0.1:6379"])
def test_an_address_that_is_none_is_refused_with_what_is_allowed(address: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"milvus://HOST:PORT, milvus\+https://HOST:PORT or a file that ends in \.db"):
        open_store(address, tmp_path, fingerprint="f", dimension=DIMENSION)


@pytest.mark.parametrize("address", ["redis://root:secret@h:1", "root:secret@h:1", "milvus:/root:secret@h:1"])
def test_an_address_that_is_none_is_refused_without_its_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match="h:1") as refused:
        open_store(address, tmp_path, fingerprint="f", dimension=2)
    assert "secret" not in str(refused.value)


def test_a_file_of_vectors_is_shown_as_it_is_named() -> None:
    assert without_password("/data/a@b.db") == "/data/a@b.db"
    assert without_password("milvus+https://user:p@ss@h:1") == "milvus+https://h:1"
