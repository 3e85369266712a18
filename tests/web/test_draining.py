"""The end of a server under load: every request that it took is answered, and it ends as it was told to."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest

from web.admission import ANSWERING, OTHER_THREADS

from .whole import APPS, LIMIT, Whole, call_on, make_index, wait_until, whole_server

pytestmark = pytest.mark.faults


@dataclass(frozen=True)
class Unanswered:
    """A request that got no whole answer: its id, when, and whether its connection had given any answer before."""

    request: str
    when: float
    is_new: bool


class Clients:
    """Ask on and on, half of them on connections that they keep, until the server takes no more."""

    def __init__(self, server: Whole) -> None:
        self.server = server
        self.stopped = threading.Event()
        self.right = 0
        self.wrong: list[str] = []
        self.unanswered: list[Unanswered] = []
        self.lock = threading.Lock()

    def ask(self, number: int) -> None:
        app = list(APPS)[number % len(APPS)]
        question = {"query": "怎么注销", "app": app, "top_k": 1}
        connection = self.server.connect()
        asked = 0
        while not self.stopped.is_set():
            asked += 1
            request = f"client-{number}-{asked}"
            is_new = connection.sock is None
            try:
                reply = call_on(connection, "/api/v1/search", question, {"x-request-id": request})
            except (OSError, HTTPException):
                with self.lock:
                    self.unanswered.append(Unanswered(request, time.monotonic(), is_new))
                return
            is_right = reply.status == 200 and reply.json()[0]["text"] == APPS[app]
            with self.lock:
                self.right += is_right
                if not is_right:
                    self.wrong.append(f"{reply.status}: {reply.body.decode()[:200]}")
            if number % 2:
                connection.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_told_to_end_answers_all_that_it_took(
    workers: int, tmp_path: Path, amount: Callable[[int, int], int]
) -> None:
    index = make_index(tmp_path / "index")
    with whole_server(index, tmp_path, workers, DRAIN_SECONDS="2") as server:
        clients = Clients(server)
        with ThreadPoolExecutor(16) as pool:
            asking = [pool.submit(clients.ask, number) for number in range(16)]
            wait_until(lambda: clients.right >= amount(100, 5000))
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            seen = []
            while time.monotonic() < told + 1.5:
                seen.append(server.call("/readyz").status)
                time.sleep(0.05)
            before = clients.right
            assert server.process.wait(LIMIT) == 0
            clients.stopped.set()
            for one in asking:
                one.result(LIMIT)
        assert 503 in seen[:40] and seen[-1] == 503  # a worker is told by its parent, within half a second
        assert clients.wrong == []
        assert before > 100
        lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
        # Nobody is turned away before the port is closed; then a connection is refused before its request is taken.
        # What was taken has a line in the log, whatever became of it.
        taken = {line["request"] for line in lines if "request" in line}
        assert [one for one in clients.unanswered if one.request in taken] == []
        assert [one for one in clients.unanswered if not one.is_new or one.when < told + 2] == []
        assert len([request for request in taken if request.startswith("client-")]) == clients.right
        assert [line for line in lines if line["level"] == "error"] == []


def test_processes_whose_parent_was_killed_end_and_leave_the_port_to_the_next_server(tmp_path: Path) -> None:
    index = make_index(tmp_path / "index")
    with whole_server(index, tmp_path, 2, DRAIN_SECONDS="0") as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        assert len(children) > 2  # multiprocessing's own among them
        settings = [Path(f"/proc/{child}/environ").read_bytes().split(b"\0") for child in children]
        assert all(b"MALLOC_ARENA_MAX=1" in one for one in settings)  # see web/memory.py
        server.process.kill()
        server.process.wait(LIMIT)
        wait_until(lambda: not any(is_running(int(child)) for child in children))
        lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
        assert sum("is gone, and it is told to end" in line["message"] for line in lines) == 2
        with socket.create_server(("127.0.0.1", server.port)):
            pass


def is_running(process: int) -> bool:
    try:
        return " (zombie)" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_told_twice_it_ends_without_waiting_and_still_answers_what_is_in(tmp_path: Path) -> None:
    hang = tmp_path / "hang"
    index = make_index(tmp_path / "index")
    with (
        whole_server(index, tmp_path, DRAIN_SECONDS="3600", TEST_HANG=str(hang)) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        hang.touch()
        asked = pool.submit(server.call, "/api/v1/search", {"query": "怎么注销", "app": "应用甲", "top_k": 1})
        wait_until(lambda: "wentiao_questions_inside 1.0" in server.figures())
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.call("/readyz").status == 503)
        assert server.call("/healthz").headers["connection"] == "close"
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        hang.unlink()
        assert asked.result(LIMIT).status == 200
        assert server.process.wait(LIMIT) == 0


def test_what_hangs_is_cut_off_refused_and_answered_again_when_it_goes_on(tmp_path: Path) -> None:
    hang = tmp_path / "hang"
    question = {"question": "应用甲怎么注销"}
    with whole_server(make_index(tmp_path / "index"), tmp_path, ANSWER_SECONDS="2", TEST_HANG=str(hang)) as server:
        expected = server.call("/api/v1/ask", question).json()
        before = threads_of(server)
        hang.touch()
        with ThreadPoolExecutor(64) as pool:
            replies = [pool.submit(server.call, "/api/v1/ask", question) for _ in range(64)]
            for reply in replies:
                told = reply.result(LIMIT)
                assert (told.status, told.json()["type"]) == (503, "urn:wentiao:problem:timed-out")
                assert int(told.headers["retry-after"]) >= 1
        assert (server.call("/readyz").status, server.call("/healthz").status) == (503, 200)
        began = time.monotonic()
        refused = [server.call("/api/v1/ask", question).status for _ in range(40)]
        assert refused == [503] * 40 and time.monotonic() - began < 40  # each at once: together they would wait 80
        assert server.call("/api/v1/apps").status == 200
        # One that waits and one that hangs for each that is answered at once, and none for those refused since.
        assert threads_of(server) <= before + 2 * ANSWERING + OTHER_THREADS
        assert "wentiao_ready 0.0" in server.figures()
        hang.unlink()
        wait_until(lambda: server.call("/readyz").status == 200)
        assert server.call("/api/v1/ask", question).json() == expected
        wait_until(lambda: "wentiao_questions_inside 0.0" in server.figures())


def threads_of(server: Whole) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("Threads:")))
