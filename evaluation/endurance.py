"""Ten minutes of load on a real server with the real model: ``python -m evaluation endurance``.

Clients ask on and on; every answer is compared with what the same question gets alone. In the midst the index gets a
policy more and loses it again, and at the end the server is told to end while they ask. Its memory is looked at after
each slice of the time: half way through the warm-up is over.

A connection that breaks, or that is refused before the server is told to end, is lost. Who connects in the very moment
in which the port is closed may be reset before a byte of answer came: nobody took the request, and a client may send it
again. Such are counted by themselves, as "refused at the end", and a handful of them is no failure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from corpus.datatypes import Policy
from evaluation.load import BUSY, Key, ask_alone, key_of, make_request, read_whole_response
from evaluation.serving import ROOT, Server, serving, wait_for_calm
from index.encoder import Encoder, load_encoder
from index.maintain import add_policies, remove_apps
from index.store import default_index_folder
from retrieval import Assistant

SLICES = 20  # of the time, each with a look at the memory
MOST_GROWTH = 0.05  # of memory from the middle to the end
TOO_MANY = 429
MOST_REFUSED = 8  # connections in the backlog of the port when it closed; one in two minutes of 64 clients was seen
ADDED = Policy("耐久试验应用", "一、注销\n您可以在“我的-设置-注销”里注销账号。")


@dataclass
class Tally:
    """What came back so far."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    lost: int = 0
    refused_at_end: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Replies that are neither an answer nor a refusal."""
        return sum(count for status, count in self.statuses.items() if status not in (200, TOO_MANY, BUSY))

    @property
    def is_sound(self) -> bool:
        """Whether questions were answered, all of them rightly, and none was lost."""
        answered = self.statuses[200] > 0 and not (self.failed or self.wrong or self.lost)
        return answered and self.refused_at_end <= MOST_REFUSED


class Crowd:
    """Clients in a thread of their own, each asking the next question when it has its answer, until told to stop."""

    def __init__(
        self, address: tuple[str, int], requests: Sequence[bytes], expected: Sequence[Key], *, clients: int, seed: int
    ) -> None:
        self.tally = Tally()
        self._address = address
        self._requests = requests
        self._expected = expected
        self._clients = clients
        self._drawn = random.Random(seed)
        self._stopped = threading.Event()
        self._told_to_end = threading.Event()

    def server_ends(self) -> None:
        """Note that the server is told to end: its port will be closed."""
        self._told_to_end.set()

    @contextmanager
    def asking(self) -> Iterator[Tally]:
        """Ask until the end of the context."""
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(lambda: asyncio.run(self._run()))
            try:
                yield self.tally
            finally:
                self._stopped.set()
                running.result()

    async def _run(self) -> None:
        await asyncio.gather(*(self._be_client() for _ in range(self._clients)))

    async def _be_client(self) -> None:
        while not self._stopped.is_set():
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError:
                if not self._told_to_end.is_set():
                    self.tally.lost += 1
                return  # the port is closed: nothing was taken
            answers = 0  # on this connection
            try:
                while not self._stopped.is_set():
                    place = self._drawn.randrange(len(self._requests))
                    began = time.perf_counter()
                    writer.write(self._requests[place])
                    status, headers, body = await read_whole_response(reader)
                    self.tally.seconds.append(time.perf_counter() - began)
                    answers += 1
                    self.tally.statuses[status] += 1
                    if status == 200 and key_of(json.loads(body)) != self._expected[place]:
                        self.tally.wrong += 1
                    if status in (TOO_MANY, BUSY):
                        await asyncio.sleep(float(headers.get("retry-after", 1)))
                    if headers.get("connection") == "close":
                        break
            except (OSError, asyncio.IncompleteReadError) as error:
                begun = answers or (isinstance(error, asyncio.IncompleteReadError) and error.partial)
                if self._told_to_end.is_set() and not begun:
                    self.tally.refused_at_end += 1
                else:
                    self.tally.lost += 1
            finally:
                writer.close()


def resident_mib(process: int) -> float:
    """Return the memory that a process and those it started have in RAM, in MiB."""
    processes = [process]
    listed = Path(f"/proc/{process}/task/{process}/children")
    if listed.exists():
        processes += [int(child) for child in listed.read_text().split()]
    total = 0.0
    for one in processes:
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
    return total


def change_index(index: Path, encoder: Encoder) -> None:
    """Give the index one policy more, and take it away again."""
    add_policies(index, [ADDED], encoder)
    time.sleep(5)
    remove_apps(index, [ADDED.app])


def endure(
    server: Server, crowd: Crowd, index: Path, encoder: Encoder, *, minutes: float, out: TextIO
) -> tuple[Tally, list[float], int]:
    """Load ``server`` for so long, then tell it to end under load.

    :return: what came back, its memory in MiB after each slice, and its exit code.
    """
    memory: list[float] = []
    with crowd.asking() as tally:
        for turn in range(SLICES):
            time.sleep(minutes * 60 / SLICES)
            memory.append(resident_mib(server.pid))
            out.write(f"  {(turn + 1) * minutes / SLICES:5.1f} min: {memory[-1]:.0f} MiB, {dict(tally.statuses)}\n")
            out.flush()
            if turn == SLICES // 4:
                change_index(index, encoder)
        crowd.server_ends()
        os.kill(server.pid, signal.SIGTERM)
        code = server.wait()
    return tally, memory, code


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code: 1 where nothing was answered, or anything lost, wrong, broken, or grew."""
    parser = argparse.ArgumentParser(prog="python -m evaluation endurance", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="default %(default)s")
    parser.add_argument("--index", type=Path, help="an index of the shipped policies (default: the default one)")
    parser.add_argument("--clients", type=int, default=64, help="default %(default)s")
    parser.add_argument("--minutes", type=float, default=10.0, help="default %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of what the clients ask")
    options = parser.parse_args(arguments)
    out = sys.stdout

    encoder = load_encoder()
    questions, expected = ask_alone(Assistant.open(options.index, encoder=encoder), options.data)
    requests = [make_request(one) for one in questions]
    with tempfile.TemporaryDirectory(prefix="wentiao-endurance-") as folder:
        index = Path(folder) / "index"
        shutil.copytree(options.index or default_index_folder(), index)
        with serving(index, workers=options.workers) as server:
            wait_for_calm(server.pid)
            crowd = Crowd(server.address, requests, expected, clients=options.clients, seed=options.seed)
            tally, memory, code = endure(server, crowd, index, encoder, minutes=options.minutes, out=out)
    growth = memory[-1] / memory[len(memory) // 2 - 1] - 1
    out.write(
        "| clients | minutes | processes | seed | answered | 503 | 429 | other | wrong | lost | refused at the end "
        "| p50 ms | p95 ms | memory MiB, middle and end | growth | exit code |\n|" + "---|" * 16 + "\n"
        f"| {options.clients} | {options.minutes:g} | {options.workers} | {options.seed} "
        f"| {tally.statuses[200]} | {tally.statuses[BUSY]} | {tally.statuses[TOO_MANY]} | {tally.failed} "
        f"| {tally.wrong} | {tally.lost} | {tally.refused_at_end} | {np.median(tally.seconds) * 1000:.0f} "
        f"| {np.quantile(tally.seconds, 0.95) * 1000:.0f} "
        f"| {memory[len(memory) // 2 - 1]:.0f}, {memory[-1]:.0f} | {growth:+.1%} | {code} |\n"
    )
    return int(not tally.is_sound or bool(code) or growth > MOST_GROWTH)
