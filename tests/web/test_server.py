"""Several processes on one port: real ones, with the small encoder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from uvicorn.config import STARTUP_FAILURE

from corpus.datatypes import Policy
from index.encoder import FakeEncoder
from index.maintain import update_policies
from index.store import build_index
from retrieval import Assistant
from web.server import WebSettings, open_app

ROOT = Path(__file__).parents[2]
WAYS = {f"应用{number}": f"我的-设置-注销{number}" for number in range(10)}
LIMIT = 120.0  # seconds


def policy(app: str, way: str) -> Policy:
    return Policy(app, f"一、注销\n您可以在“{way}”里注销账号。")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    build_index([policy(app, way) for app, way in WAYS.items()], folder, FakeEncoder())
    return folder


@contextmanager
def started(index: Path, workers: int = 2) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.web.worker_server", str(index), str(port), str(workers)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        if server.poll() is None:
            server.terminate()
        server.communicate(timeout=LIMIT)


def fetch(address: str, body: dict[str, Any] | None = None) -> Any:
    """Return what the server says, asked again until there is one."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(address, data, {"content-type": "application/json"})
    ending = time.monotonic() + LIMIT
    while True:
        try:
            with urlopen(request, timeout=LIMIT) as response:
                return json.load(response)
        except (URLError, ConnectionError):
            if time.monotonic() > ending:
                raise
            time.sleep(0.05)


def search(address: str, app: str) -> str:
    [passage] = fetch(f"{address}/api/v1/search", {"query": "怎么注销", "app": app, "top_k": 1})
    return f"{passage['app']}: {passage['text']}"


def children(parent: int) -> list[int]:
    """Return the processes that ``parent`` started and that serve."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == parent and b"spawn_main" in command:
            found.append(int(path.parent.name))
    return found


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_two_processes_answer_follow_the_index_and_end_together(index: Path) -> None:
    expected = {app: f"{app}: 您可以在“{way}”里注销账号。" for app, way in WAYS.items()}
    with started(index) as (server, address):
        assert fetch(f"{address}/readyz")["apps"] == 10
        workers = children(server.pid)
        assert len(workers) == 2
        with ThreadPoolExecutor(8) as pool:
            asked = list(WAYS) * 2
            assert list(pool.map(lambda app: search(address, app), asked)) == [expected[app] for app in asked]
        update_policies(index, [policy("应用3", "我的-更多-销户")], FakeEncoder())
        renewed = "应用3: 您可以在“我的-更多-销户”里注销账号。"
        ending = time.monotonic() + LIMIT
        in_a_row = 0
        while in_a_row < 20 and time.monotonic() < ending:  # each connection goes to either process
            in_a_row = in_a_row + 1 if search(address, "应用3") == renewed else 0
        assert in_a_row == 20
        server.send_signal(signal.SIGTERM)
        assert server.wait(LIMIT) == 0
        assert not any(map(is_alive, workers))
        assert server.stderr is not None
        assert all("not calibrated" in line for line in server.stderr.read().decode().splitlines())


@pytest.mark.parametrize("workers", [1, 2])
def test_the_address_is_told_once_somebody_answers_there(index: Path, workers: int) -> None:
    with started(index, workers) as (server, address):
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        with urlopen(f"{address}/readyz", timeout=LIMIT) as response:  # at the first try
            assert json.load(response)["apps"] == 10
        server.send_signal(signal.SIGINT)
        assert server.wait(LIMIT) == 0
        assert server.stdout.read() == b""  # told once


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_process_that_dies_is_told_and_replaced(index: Path) -> None:
    with started(index) as (server, address):
        assert fetch(f"{address}/readyz")["apps"] == 10
        first, second = children(server.pid)
        os.kill(first, signal.SIGKILL)
        ending = time.monotonic() + LIMIT
        while (first in children(server.pid) or len(children(server.pid)) < 2) and time.monotonic() < ending:
            time.sleep(0.05)
        assert second in children(server.pid)
        assert fetch(f"{address}/readyz")["apps"] == 10
        server.send_signal(signal.SIGTERM)
        assert server.wait(LIMIT) == 0
        assert server.stderr is not None
        told = [line for line in server.stderr.read().decode().splitlines() if "not calibrated" not in line]
    assert told == [
        f"process {first} ended with exit code -9 (killed: for want of memory, by hand, or here for not answering): "
        "the questions that it had in are lost, and another process is started in its place"
    ]


def test_processes_that_cannot_open_their_index_end_with_the_reason(tmp_path: Path) -> None:
    with started(tmp_path / "nothing") as (server, _):
        assert server.wait(LIMIT) == 3
        assert server.stderr is not None
        told = server.stderr.read().decode()
    assert "no index at" in told and "Traceback" not in told


def test_whatever_keeps_a_process_from_opening_its_assistant_ends_it_for_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    closed: list[str] = []

    @contextmanager
    def failing() -> Iterator[Assistant]:
        raise RuntimeError("the device has no memory left")
        yield

    @contextmanager
    def useless() -> Iterator[Any]:
        yield None
        closed.append("closed")

    for opening, told in ((failing, "RuntimeError: the device has no memory left"), (useless, "AttributeError")):
        with pytest.raises(SystemExit) as stopped:
            open_app(opening, WebSettings())
        assert stopped.value.code == STARTUP_FAILURE
        assert told in capsys.readouterr().err
    assert closed == ["closed"]


def test_an_assistant_for_many_users_encodes_together_and_ends_its_thread(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from index import encoder
    from web.cli_serve import opened_for_many
    from web.settings import Settings

    monkeypatch.setattr(encoder, "load_encoder", lambda model: FakeEncoder())
    with opened_for_many(Settings(index=index)) as assistant:
        assert isinstance(assistant, Assistant)
        assert any(thread.name == "encoder" for thread in threading.enumerate())
        assert assistant.search("怎么注销", app="应用1", top_k=1)[0].app == "应用1"
    assert not any(thread.name == "encoder" for thread in threading.enumerate())
