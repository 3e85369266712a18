"""The figures: where they can be read, and that several processes add up."""

from __future__ import annotations

import re
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
        assert value(told, "wentiao_index_apps") == 3 and value(told, "wentiao_ready") == 1
        assert value(told, "wentiao_questions_inside") == 0
        statuses = re.findall(r'^wentiao_answers_total\{status="(\w+)"\} (\S+)', told, re.MULTILINE)
        assert sum(float(count) for _, count in statuses) == 30
        assert "应用" not in told and "127.0.0.1" not in told


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
