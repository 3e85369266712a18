"""What is Milvus's alone: addresses, what is not installed, a server that is killed, a file that is in use."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from corpus.datatypes import Policy
from index.encoder import FakeEncoder
from index.errors import IndexMismatchError, StoreUnreachableError
from index.maintain import prune_index, remove_apps
from index.manifest import current_generation, index_id, read_manifest
from index.milvus import BATCH_UNITS, MOST_WAIT_SECONDS, PARTITION, MilvusVectors, _is_worth_telling
from index.segment import segment_name
from index.store import build_index, open_generation, publish
from index.tokens import Floats, unit_rows
from retrieval import Assistant

from .milvus_server import MilvusServer

ROOT = Path(__file__).parents[2]
DIMENSION = 16
RECOVERING_SECONDS = 120.0

milvus_is_installed = pytest.mark.skipif(
    any(importlib.util.find_spec(module) is None for module in ("pymilvus", "milvus_lite")),
    reason="pymilvus and milvus-lite are not installed: pip install -r requirements-milvus.txt",
)


class Rows(list[Floats]):
    """Vectors that do something when one of them is about to be sent."""

    def __init__(self, rows: Floats, position: int, act: Callable[[], None]) -> None:
        super().__init__(rows)
        self._position, self._act = position, act

    def __iter__(self) -> Iterator[Floats]:
        for position, row in enumerate(super().__iter__()):
            if position == self._position:
                self._act()
            yield row


def random_units(count: int, seed: int) -> Floats:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32))


def wait_until_it_answers(ask: Callable[[], object]) -> None:
    """Ask again and again of a server that is coming up; what it says meanwhile is that it cannot be reached."""
    until = time.monotonic() + RECOVERING_SECONDS
    while True:
        try:
            ask()
            return
        except StoreUnreachableError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


@milvus_is_installed
@pytest.mark.parametrize(
    "address", ["milvus://", "milvus://127.0.0.1", "milvus://:19530", "milvus://host:port", "milvus+https://h:99999"]
)
def test_an_address_without_host_and_port_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"milvus://HOST:PORT or milvus\+https://HOST:PORT"):
        MilvusVectors(address, Path(), fingerprint="f", dimension=DIMENSION)


@pytest.mark.parametrize(
    ("address", "gone", "package"),
    [
        ("milvus://127.0.0.1:19530", "pymilvus", "pymilvus"),
        ("vectors.db", "pymilvus", "pymilvus"),
        ("vectors.db", "milvus_lite", "milvus-lite"),
    ],
)
def test_without_the_package_it_is_said_what_to_install(
    address: str, gone: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == gone else object())
    with pytest.raises(ModuleNotFoundError) as caught:
        MilvusVectors(address, Path(), fingerprint="f", dimension=DIMENSION)
    shown = address if "://" in address else Path(address).absolute()  # whatever folder it is started from
    assert str(caught.value) == (
        f"the vector store {shown} needs the package {package}, which is not installed:\n"
        "  pip install -r requirements-milvus.txt"
    )


@milvus_is_installed
def test_another_encoder_or_dimension_has_a_collection_of_its_own() -> None:
    one, other, wider = (
        MilvusVectors("milvus://h:1", Path(), fingerprint=fingerprint, dimension=dimension).collection
        for fingerprint, dimension in (("a", 16), ("b", 16), ("a", 384))
    )
    assert len({one, other, wider}) == 3
    assert one == MilvusVectors("milvus://elsewhere:2", Path(), fingerprint="a", dimension=16).collection


@milvus_is_installed
def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    store = MilvusVectors("milvus://reader:secret@127.0.0.1:1", Path(), fingerprint="f", dimension=DIMENSION)
    query = random_units(1, 0)[0]
    for ask in (
        lambda: store.put({"a": random_units(3, 1)}),
        lambda: store.missing({"a": 3}),
        lambda: store.scores("a", 3, query),
        lambda: store.nearest(query, 3, ["a"]),
        lambda: store.keep_only(["a"]),
    ):
        with pytest.raises(
            StoreUnreachableError, match=r"the vector store at milvus://127\.0\.0\.1:1 did not answer"
        ) as e:
            ask()
        assert "secret" not in str(e.value)
    store.close()


@milvus_is_installed
def test_a_segment_that_is_not_there_whole_is_not_scored(tmp_path: Path) -> None:
    store = MilvusVectors(str(tmp_path / "vectors.db"), Path(), fingerprint="f", dimension=DIMENSION)
    query = random_units(1, 0)[0]
    with pytest.raises(IndexMismatchError, match="holds 0 of the 3 units of segment a"):
        store.scores("a", 3, query)
    store.put({"b": random_units(2, 1)})
    with pytest.raises(IndexMismatchError, match="holds 0 of the 3 units of segment a"):
        store.scores("a", 3, query)
    with pytest.raises(IndexMismatchError, match="holds 2 of the 3 units of segment b"):
        store.scores("b", 3, query)
    store.close()


@milvus_is_installed
def test_the_nearest_units_of_segments_of_which_none_is_there_are_not_said_to_be_none(tmp_path: Path) -> None:
    store = MilvusVectors(str(tmp_path / "vectors.db"), Path(), fingerprint="f", dimension=DIMENSION)
    query = random_units(1, 0)[0]
    assert store.nearest(query, 3, []) == ()
    none_of_two = r"holds none of the 2 segments of the index; start again, which opens the index and puts them there"
    with pytest.raises(IndexMismatchError, match=none_of_two):
        store.nearest(query, 3, ["a", "b"])
    store.put({"c": random_units(3, 1)})
    with pytest.raises(IndexMismatchError, match=none_of_two):
        store.nearest(query, 3, ["a", "b"])
    store.close()


@milvus_is_installed
def test_only_what_is_named_is_kept(tmp_path: Path) -> None:
    store = MilvusVectors(str(tmp_path / "vectors.db"), Path(), fingerprint="f", dimension=DIMENSION)
    store.put({name: random_units(4, seed) for seed, name in enumerate("abc")})
    store.keep_only(["b", "never put"])
    assert store.missing(dict.fromkeys("abc", 4)) == ("a", "c")
    store.close()


class Counting(MilvusVectors):
    """A store that says how often it was asked for a number of rows."""

    asked = 0

    def _count(self, segments: Collection[str], level: str) -> int:
        self.asked += 1
        return super()._count(segments, level)


def check_that_many_are_counted_together(address: str, out: Path) -> None:
    store = Counting(address, out, fingerprint="counted together", dimension=DIMENSION)
    vectors = {f"{number:03x}": random_units(1 + number % 3, number) for number in range(40)}
    units = {name: len(rows) for name, rows in vectors.items()}
    store.put(vectors)
    store.asked = 0
    assert store.missing(units) == ()
    assert store.missing(dict.fromkeys(map(str, range(1000, 1040)), 3)) == tuple(map(str, range(1000, 1040)))
    assert 1 <= store.asked <= 2
    # One lacks its last row and another holds it twice, so that together they have as many as they should.
    store._insert([{"key": "001-1", "segment": "001", "unit": 1, "vector": vectors["001"][1]}], **into(store, "001"))
    with store._reaching("deleting a row") as client:
        client.delete(store.collection, filter='key == "007-1"')
    store._flush()
    twice = () if store._lite else ("001",)  # a file keeps one row a key
    assert store.missing(units) == (*twice, "007")
    assert store.missing({**units, "013": 3}) == (*twice, "007", "013")
    assert store.missing({**units, "014": 2}) == (*twice, "007", "014")  # it has one more than that
    store.put(vectors)
    assert store.missing(units) == ()
    store.close()


def into(store: MilvusVectors, segment: str) -> dict[str, str]:
    return {"partition_name": f"{PARTITION}{segment}"} if store._lite else {}


@milvus_is_installed
def test_many_segments_in_a_file_are_counted_together_and_each_is_told(tmp_path: Path) -> None:
    check_that_many_are_counted_together(str(tmp_path / "vectors.db"), tmp_path)


@pytest.mark.milvus
def test_many_segments_on_a_server_are_counted_together_and_each_is_told(
    milvus_server: MilvusServer, tmp_path: Path
) -> None:
    check_that_many_are_counted_together(milvus_server.address, tmp_path)


@milvus_is_installed
def test_a_file_that_another_process_has_open_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        store = MilvusVectors(str(path), Path(), fingerprint="f", dimension=DIMENSION)
        with pytest.raises(StoreUnreachableError) as caught:
            store.missing({"a": 1})
        assert str(caught.value).startswith(
            f"the Milvus Lite folder {path} is open in another process, which a running"
        )
    finally:
        holder.communicate(b"\n")
    assert store.missing({"a": 1}) == ()
    store.close()


@milvus_is_installed
def test_why_a_folder_cannot_be_opened_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    path.write_bytes(b"SQLite format 3")
    store = MilvusVectors(str(path), Path(), fingerprint="f", dimension=DIMENSION)
    with pytest.raises(StoreUnreachableError, match="is a file, of another version or another program"):
        store.missing({"a": 1})
    path.unlink()
    store.put({"a": random_units(1, 0)})
    store.close()
    shutil.rmtree(path / "collections")
    (path / "collections").write_bytes(b"")
    with pytest.raises(StoreUnreachableError, match="it may be damaged: move it away, and it is filled again"):
        store.missing({"a": 1})


@milvus_is_installed
def test_the_first_use_of_a_folder_writes_nothing_to_the_terminal(tmp_path: Path) -> None:
    path = str(tmp_path / "vectors.db")
    used = subprocess.run([sys.executable, "-c", USE, path], cwd=ROOT, capture_output=True, check=True, text=True)
    assert (used.stdout, used.stderr) == ("('a',)\n", "")


def test_what_breaks_a_server_in_this_process_is_still_told() -> None:
    def record(error: Exception) -> logging.LogRecord:
        return logging.LogRecord("grpc._server", logging.ERROR, "", 0, "", (), (type(error), error, None))

    assert _is_worth_telling(record(OSError("no space")))
    assert not _is_worth_telling(record(NotImplementedError("Method not implemented!")))


@milvus_is_installed
def test_a_process_killed_in_mid_put_leaves_a_file_that_is_filled_again(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    killed = subprocess.run([sys.executable, "-c", DIE, str(path)], cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    rows, query = random_units(2 * BATCH_UNITS + 100, 7), random_units(1, 8)[0]
    store = MilvusVectors(str(path), ROOT, fingerprint="f", dimension=DIMENSION)
    assert store.missing({"small": 5, "large": len(rows)}) == ("large",)
    store.put({"small": random_units(5, 6), "large": rows})
    assert store.missing({"small": 5, "large": len(rows)}) == ()
    np.testing.assert_allclose(store.scores("large", len(rows), query), rows @ query, atol=1e-5)
    store.close()


HOLD = """
import sys
from pathlib import Path
from index.milvus import MilvusVectors
from index.vectors import open_store
import numpy as np
store = open_store(sys.argv[1], Path(), fingerprint="f", dimension=16)
store.put({"a": np.eye(1, 16, dtype=np.float32)})
print("open", flush=True)
sys.stdin.readline()
store.close()
"""

USE = """
import logging, sys
from pathlib import Path
from index.vectors import open_store
import numpy as np
logging.basicConfig(level=logging.WARNING)
store = open_store(sys.argv[1], Path(), fingerprint="f", dimension=16)
store.put({"b": np.eye(1, 16, dtype=np.float32)})
print(store.missing({"a": 1, "b": 1}))
store.close()
"""

DIE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from index.milvus import BATCH_UNITS
from index.vectors import open_store
from tests.index.test_milvus import Rows, random_units
store = open_store(sys.argv[1], Path(), fingerprint="f", dimension=16)
store.put({"small": random_units(5, 6)})
rows = random_units(2 * BATCH_UNITS + 100, 7)
store.put({"large": Rows(rows, BATCH_UNITS + 50, lambda: os.kill(os.getpid(), signal.SIGKILL))})
"""


@pytest.mark.milvus
def test_a_server_killed_in_mid_put_is_filled_again(milvus_server: MilvusServer) -> None:
    store = MilvusVectors(milvus_server.address, Path(), fingerprint="killed in mid-put", dimension=DIMENSION)
    rows, small, query = random_units(2 * BATCH_UNITS + 100, 1), random_units(5, 2), random_units(1, 3)[0]
    units = {"small": 5, "large": len(rows)}
    store.put({"small": small})
    try:
        with pytest.raises(StoreUnreachableError, match="did not answer while inserting units"):
            store.put({"large": Rows(rows, BATCH_UNITS + 50, milvus_server.kill)})
    finally:
        milvus_server.start()
    wait_until_it_answers(lambda: store.scores("small", 5, query))
    assert store.missing(units) == ("large",)
    np.testing.assert_allclose(store.scores("small", 5, query), small @ query, atol=1e-5)
    store.put({"small": small, "large": rows})
    assert store.missing(units) == ()
    np.testing.assert_allclose(store.scores("large", len(rows), query), rows @ query, atol=1e-5)
    store.close()


@pytest.mark.milvus
def test_a_server_killed_in_mid_query_answers_again_without_reopening(milvus_server: MilvusServer) -> None:
    store = MilvusVectors(milvus_server.address, Path(), fingerprint="killed in mid-query", dimension=DIMENSION)
    rows = random_units(600, 1)
    store.put({"a": rows})
    asked, failed, wrong = threading.Event(), threading.Event(), []

    def ask(seed: int) -> None:
        while not failed.is_set():
            query = random_units(1, seed)[0]
            try:
                scores = store.scores("a", 600, query)
            except StoreUnreachableError:
                failed.set()
            except Exception as error:  # noqa: BLE001 - whatever else it is, the test names it
                wrong.append(repr(error))
                return
            else:
                asked.set()
                if not np.allclose(scores, rows @ query, atol=1e-5):
                    wrong.append(f"scores of query {seed}")

    askers = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    try:
        for asker in askers:
            asker.start()
        assert asked.wait(60)
        milvus_server.kill()
        for asker in askers:
            asker.join(60)
        assert not any(asker.is_alive() for asker in askers)
    finally:
        failed.set()
        milvus_server.start()
    assert wrong == []
    query = random_units(1, 9)[0]
    wait_until_it_answers(lambda: store.scores("a", 600, query))
    np.testing.assert_allclose(store.scores("a", 600, query), rows @ query, atol=1e-5)
    store.close()


@pytest.mark.milvus
def test_two_processes_that_put_the_same_leave_it_there_once(milvus_server: MilvusServer) -> None:
    rows, query = random_units(1500, 1), random_units(1, 2)[0]
    stores = [
        MilvusVectors(milvus_server.address, Path(), fingerprint="put by two", dimension=DIMENSION) for _ in range(2)
    ]
    stores[0].put({"first": random_units(1, 3)})
    both = threading.Barrier(2, timeout=60)
    errors: list[BaseException] = []

    def put(store: MilvusVectors) -> None:
        try:
            waits = iter([both.wait])  # once: both have found that it is not there when the first row is sent
            store.put({"a": Rows(rows, 0, lambda: next(waits, int)())})
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    putters = [threading.Thread(target=put, args=(store,)) for store in stores]
    for putter in putters:
        putter.start()
    for putter in putters:
        putter.join()
    assert errors == []
    assert stores[0].missing({"a": 1500}) == ()
    np.testing.assert_allclose(stores[0].scores("a", 1500, query), rows @ query, atol=1e-5)
    for store in stores:
        store.close()


class Sinking(MilvusVectors):
    """A store whose server is killed when rows are about to be inserted."""

    def __init__(self, server: MilvusServer, out: Path, *, fingerprint: str, dimension: int) -> None:
        super().__init__(server.address, out, fingerprint=fingerprint, dimension=dimension)
        self._server, self.afloat = server, False

    def _insert(self, rows: Iterable[dict[str, object]], **options: str) -> None:
        if not self.afloat:
            self._server.kill()
        super()._insert(rows, **options)


@pytest.mark.milvus
def test_an_index_whose_store_dies_while_it_is_filled_opens_when_the_store_is_back(
    milvus_server: MilvusServer, shipped_folder: Path
) -> None:
    encoder = FakeEncoder()
    store = Sinking(milvus_server, shipped_folder, fingerprint=encoder.fingerprint, dimension=encoder.dimension)
    current = current_generation(shipped_folder)
    try:
        with pytest.raises(StoreUnreachableError, match="did not answer while inserting units"):
            open_generation(shipped_folder, encoder.fingerprint, store=store)
    finally:
        milvus_server.start()
    assert current_generation(shipped_folder) == current
    store.afloat = True
    wait_until_it_answers(lambda: store.keep_only([]))
    generation = open_generation(shipped_folder, encoder.fingerprint, store=store)
    on_disk = open_generation(shipped_folder, encoder.fingerprint)
    query = encoder.encode_queries(["怎么注销账号"]).vectors[0]
    for version in on_disk.current:
        np.testing.assert_allclose(
            store.scores(version.segment, version.units, query),
            on_disk.reader.store.scores(version.segment, version.units, query),
            atol=1e-5,
        )
    assert generation.near_apps(query, 20) == on_disk.near_apps(query, 20)
    store.close()


@milvus_is_installed
def test_a_changed_index_is_published_and_what_it_deleted_is_taken_out(tmp_path: Path) -> None:
    out, encoder = tmp_path / "index", FakeEncoder()
    first, second = Policy("甲", "一、注销\n您可以注销账号。"), Policy("乙", "我们不会共享您的个人信息。")
    build_index([first, second], out, encoder)
    units = {version.segment: version.units for version in read_manifest(out).current}
    publish(out, str(tmp_path / "vectors.db"))
    store = MilvusVectors(
        str(tmp_path / "vectors.db"), out, fingerprint=encoder.fingerprint, dimension=encoder.dimension
    )
    assert store.missing(units) == ()
    remove_apps(out, ["甲"])
    publish(out, str(tmp_path / "vectors.db"))
    assert store.missing(units) == ()  # readers of the generation before still see it
    prune_index(out)
    publish(out, str(tmp_path / "vectors.db"))
    assert store.missing(units) == (segment_name(first, encoder.fingerprint),)
    store.close()


@milvus_is_installed
def test_two_indexes_in_one_store_do_not_take_anything_from_each_other(tmp_path: Path) -> None:
    address, encoder = str(tmp_path / "vectors.db"), FakeEncoder()
    first, second = tmp_path / "first", tmp_path / "second"
    shared = Policy("乙", "我们不会共享您的个人信息。")
    build_index([Policy("甲", "一、注销\n您可以注销账号。"), shared], first, encoder)
    build_index([shared], second, encoder)
    publish(first, address)
    assistant = Assistant.open(first, encoder=encoder, store=address)
    asked = assistant.ask("怎么注销账号", app="甲")
    publish(second, address)
    assert assistant.ask("怎么注销账号", app="甲") == asked
    remove_apps(first, ["乙"])
    prune_index(first)
    publish(first, address)
    in_second = Assistant.open(second, encoder=encoder, store=address)
    on_disk = Assistant.open(second, encoder=encoder)
    assert in_second.search("共享", app="乙") == on_disk.search("共享", app="乙")
    assert index_id(first) != index_id(second)


@milvus_is_installed
def test_answers_from_a_store_are_those_from_the_index_folder(shipped_folder: Path, tmp_path: Path) -> None:
    on_disk = Assistant.open(shipped_folder, encoder=FakeEncoder())
    in_milvus = Assistant.open(shipped_folder, encoder=FakeEncoder(), store=str(tmp_path / "vectors.db"))
    for app in on_disk.apps():
        question = f"{app}怎么注销账号"
        assert in_milvus.ask(question).to_dict() == on_disk.ask(question).to_dict()
        assert in_milvus.search("个人信息共享给谁", app=app) == on_disk.search("个人信息共享给谁", app=app)
    assert in_milvus.compare("怎么注销账号") == on_disk.compare("怎么注销账号")


class Rivalled(MilvusVectors):
    """A store in which others have put the same beside the first ``rivals`` writes."""

    def __init__(self, rivals: int, out: Path) -> None:
        super().__init__("milvus://127.0.0.1:1", out, fingerprint="rivalled", dimension=DIMENSION)
        self.rivals, self.held = rivals, 0

    def _make_collection(self) -> None:
        pass

    def _miscounted(self, units: Mapping[str, int]) -> dict[str, int]:
        return {name: self.held for name, count in units.items() if count != self.held}

    def _write(self, vectors: Mapping[str, Any], partly: Collection[str]) -> None:
        self.rivals -= 1
        self.held = sum(map(len, vectors.values())) * (2 if self.rivals >= 0 else 1)


@milvus_is_installed
def test_who_finds_what_it_put_twice_waits_ever_longer_and_says_so_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[float] = []

    def draw(_least: float, most: float) -> float:
        spans.append(most)
        return most

    clock = SimpleNamespace(monotonic=count(0.0, 4.0).__next__, sleep=lambda seconds: None)  # a write takes 4 s
    monkeypatch.setattr("index.milvus.time", clock)
    monkeypatch.setattr("index.milvus.random", SimpleNamespace(uniform=draw))
    Rivalled(3, tmp_path).put({"a": random_units(5, 1)})
    assert spans == [8.0, 16.0, 32.0]
    spans.clear()
    with pytest.raises(StoreUnreachableError, match="was sent 5 units of segment a and holds 10, as when other"):
        Rivalled(99, tmp_path).put({"a": random_units(5, 1)})
    assert spans == [8.0, 16.0, 32.0, MOST_WAIT_SECONDS, MOST_WAIT_SECONDS]
