"""The figures: where they can be read, and that several processes add up."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from pathlib import Path

import pytest

from index.batching import BatchingEncoder
from index.encoder import FakeEncoder
from web.metrics import Metrics, exposed

from ..conftest import Shelf, decide
from .whole import free_port, make_index, wait_until, whole_server

QUESTION = {"question": "应用甲怎么注销"}


def value(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.faults
@pytest.mark.parametrize("workers", [1, 2])
def test_the_figures_of_all_processes_are_read_at_one_address_of_their_own(tmp_path: Path, workers: int) -> None:
    with whole_server(make_index(tmp_path / "index"), tmp_path, workers) as server:
        for _ in range(30):  # on connections of their own, which either process takes
            assert server.call("/api/v1/ask", QUESTION).status == 200
        assert server.call("/metrics").status == 404
        counted = 'wentiao_requests_total{method="POST",route="/api/v1/ask",status="200"}'
        wait_until(lambda: value(server.figures(), counted) == 30)
        told = server.figures()
        assert value(told, 'wentiao_stage_seconds_count{stage="encode"}') >= 30
        assert value(told, "wentiao_batch_texts_count") >= 30
        assert value(told, "wentiao_index_apps") == 3
        assert value(told, "wentiao_questions_inside") == 0
        statuses = re.findall(r'^wentiao_answers_total\{status="(\w+)"\} (\S+)', told, re.MULTILINE)
        assert sum(float(count) for _, count in statuses) == 30
        wait_until(lambda: value(server.figures(), "wentiao_ready") == 1)  # of all processes, whoever was probed
        assert "应用" not in told and "127.0.0.1" not in told


@pytest.mark.faults
def test_a_process_that_was_killed_is_neither_ready_nor_busy(tmp_path: Path) -> None:
    with whole_server(make_index(tmp_path / "index"), tmp_path, 2) as server:
        wait_until(lambda: value(server.figures(), "wentiao_ready") == 1)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        folder = shared_folder(int(children[-1]))
        live = {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}
        killed = max(live & set(children))
        os.kill(int(killed), signal.SIGKILL)
        wait_until(lambda: not [*folder.glob(f"gauge_live*_{killed}.db")])
        assert [*folder.glob(f"counter_{killed}.db")]  # what it counted stays
        wait_until(lambda: len({path.stem.rpartition("_")[2] for path in folder.glob("gauge_livemin*.db")}) == 2)
        wait_until(lambda: value(server.figures(), "wentiao_ready") == 1)


def shared_folder(process: int) -> Path:
    """Return where a process of several puts its figures."""
    given = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    [folder] = [one.partition(b"=")[2] for one in given if one.startswith(b"PROMETHEUS_MULTIPROC_DIR=")]
    return Path(folder.decode())


def test_what_has_not_happened_yet_is_counted_as_none() -> None:
    from prometheus_client import generate_latest

    told = generate_latest(Metrics().registry).decode()
    for name in (
        'wentiao_index_generations_total{outcome="refused"}',
        'wentiao_index_generations_total{outcome="used"}',
        'wentiao_degraded_total{part="second_stage"}',
        'wentiao_degraded_total{part="index"}',
        'wentiao_problems_total{kind="failed"}',
        'wentiao_problems_total{kind="index_damaged"}',
        'wentiao_problems_total{kind="store_unreachable"}',
        'wentiao_problems_total{kind="timed_out"}',
    ):
        assert f"\n{name} 0.0\n" in told
    metrics = Metrics()
    metrics.note_generation(False)
    assert '\nwentiao_index_generations_total{outcome="refused"} 1.0\n' in generate_latest(metrics.registry).decode()


def test_one_encoder_s_batches_are_counted(shipped: Shelf) -> None:
    metrics, encoder = Metrics(), BatchingEncoder(FakeEncoder())
    made = shipped.assistant(decide(bias=20.0))
    made._encoder = encoder
    metrics.watch(made)
    made.ask("津心办怎么注销")
    encoder.close()
    port = free_port()
    with exposed(("127.0.0.1", port), metrics.registry), urllib.request.urlopen(f"http://127.0.0.1:{port}/") as reply:
        assert value(reply.read().decode(), "wentiao_batch_texts_count") == 1
    with pytest.raises(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/"):
        pass


def test_without_an_address_nobody_listens() -> None:
    with exposed(None, Metrics().registry):
        pass
