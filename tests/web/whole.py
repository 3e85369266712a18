"""``wentiao serve`` in a process of its own, over a small index; see ``whole_server.py``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from corpus.datatypes import Policy
from index.encoder import FakeEncoder
from index.store import build_index

ROOT = Path(__file__).parents[2]
LIMIT = 120.0  # seconds
APPS = {f"应用{name}": f"您可以在“我的-设置-注销{name}”里注销账号。" for name in "甲乙丙"}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Whole:
    """The server: its process, its port, that of its figures, and the file that it writes its log to."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log_file: Path

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)

    def call(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, *, port: int | None = None
    ) -> Reply:
        connection = HTTPConnection("127.0.0.1", port or self.port, timeout=LIMIT)
        try:
            return call_on(connection, path, body, headers)
        finally:
            connection.close()

    def figures(self) -> str:
        return self.call("/metrics", port=self.metrics_port).body.decode()

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")


def call_on(connection: HTTPConnection, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = {"content-type": "application/json"} if data is not None else {}
    connection.request("GET" if data is None else "POST", path, data, kind | (headers or {}))
    response = connection.getresponse()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def make_index(folder: Path) -> Path:
    build_index([Policy(app, f"一、注销\n{text}") for app, text in APPS.items()], folder, FakeEncoder())
    return folder


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def whole_server(index: Path, tmp_path: Path, workers: int = 1, **settings: str) -> Iterator[Whole]:
    """Run the server until the end; ``settings`` are ``WENTIAO_…`` by the rest of their names."""
    port, metrics_port, log_file = free_port(), free_port(), tmp_path / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WENTIAO_")}
    environment |= {"WENTIAO_INDEX": str(index), "WENTIAO_METRICS": str(metrics_port), "PYTHONUNBUFFERED": "1"}
    environment |= {f"WENTIAO_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "tests.web.whole_server", "serve", "--port", str(port), "--workers", str(workers)]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    server = Whole(process, port, metrics_port, log_file)
    try:
        wait_until(lambda: answers(server) or process.poll() is not None)
        assert process.poll() is None, server.log()
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(LIMIT)


def answers(server: Whole) -> bool:
    try:
        return server.call("/readyz").status == 200
    except OSError:
        return False


def wait_until(claim: Any) -> None:
    ending = time.monotonic() + LIMIT
    while not claim():
        assert time.monotonic() < ending, "waited in vain"
        time.sleep(0.02)
