"""A server to be measured: ``wentiao serve`` in a process, with a bound on how long it may take to answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUESTION = {"question": "津心办怎么注销账号"}
START_SECONDS = 300.0
CALM_TICKS = 10  # of processor time in a second, beside which a server is taken to be idle


@dataclass(frozen=True)
class Server:
    """A server that has answered once: where, its process, and the seconds from its start to its first answer.

    ``wait`` waits for its end and returns its exit code.
    """

    host: str
    port: int
    pid: int
    first_answer: float
    wait: Callable[[], int] = field(repr=False, compare=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """The address of the chat page, a slash last."""
        return f"http://{self.host}:{self.port}/"


def ask_request(url: str, asked: Mapping[str, str]) -> urllib.request.Request:
    """Return a question as a request of the server at ``url``."""
    return urllib.request.Request(f"{url}api/v1/ask", json.dumps(asked).encode(), {"content-type": "application/json"})


@contextmanager
def serving(
    index: Path | None = None,
    *,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
    command: tuple[str, ...] = ("app.py", "serve"),
    start_seconds: float = START_SECONDS,
) -> Iterator[Server]:
    """Run ``wentiao serve`` on ``index``, without it on the default one; yield it once it has answered, end it then.

    :param settings: variables of its environment beside ours.
    :param command: what Python runs, for tests.
    :raises RuntimeError: if it ends before it answers, or does not within ``start_seconds``; it says what came last.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    environment = {**os.environ, **({"WENTIAO_INDEX": str(index.resolve())} if index else {}), **(settings or {})}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command, "--port", str(port), "--workers", str(workers)],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        answer_within(began + start_seconds, process, f"http://{host}:{port}/")
        yield Server(host, port, process.pid, time.perf_counter() - began, process.wait)
    finally:
        process.terminate()
        process.wait()


def answer_within(ending: float, process: subprocess.Popen[bytes], url: str) -> None:
    """Wait until ``process`` has answered a question at ``url``.

    :param ending: when to give up, by ``time.perf_counter``.
    :raises RuntimeError: if it does not; it says what the last try came to.
    """
    last = "nothing was tried"
    while process.poll() is None and (left := ending - time.perf_counter()) > 0:
        try:
            with urllib.request.urlopen(ask_request(url, QUESTION), timeout=left) as reply:
                reply.read()
            return
        except (urllib.error.URLError, OSError) as error:  # a status that is no answer among them
            last = str(error)
            time.sleep(0.05)
    ended = "did not answer in time" if process.poll() is None else f"ended with exit code {process.returncode}"
    raise RuntimeError(f"the server at {url} {ended}; the last try: {last}")


def wait_for_calm(parent: int) -> None:
    """Wait until no process that ``parent`` started computes any more: one worker answers while others still open."""
    before = -1
    while (ticks := sum(map(_cpu_ticks, _children(parent)))) - before > CALM_TICKS:
        before = ticks
        time.sleep(1)


def _children(parent: int) -> list[Path]:
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return [Path("/proc") / child for child in listed.read_text().split()] if listed.exists() else []


def _cpu_ticks(process: Path) -> int:
    """Return the processor time that a process has had, in hundredths of a second."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0
    return int(fields[11]) + int(fields[12])
