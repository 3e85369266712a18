"""Faults for the tests of an index: a child process that is killed, or refused by the disk, at a chosen step.

A step is a call that changes something below the index: opening a file to write and having opened it, renaming,
deleting, making a folder, syncing. They are counted from 1, in a child that is forked from the test, so that everything
is loaded already.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import auto, tqdm

_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch_steps(out: Path, at: Callable[[int, str], None]) -> None:
    """Have ``at`` called before every step below ``out``, with its number and what it is; for the rest of the process.

    It may raise, and then the step fails with that.
    """
    folder, count = str(out), 0

    def step(name: str, path: object) -> None:
        nonlocal count
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, str) and path.startswith(folder) and not path.endswith(".lock"):
            count += 1
            at(count, f"{name} {path}")

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        if event == "open":
            path, mode, flags = arguments
            if not (flags & _WRITING if isinstance(flags, int) else set(str(mode)) & set("wax+")):
                return
            step(event, path)
        else:
            step(event, os.fspath(arguments[0]) if isinstance(arguments[0], (str, bytes, os.PathLike)) else None)

    sync = os.fsync

    def counted(descriptor: int) -> None:
        step("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    os.fsync = counted
    opening = io.open

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        """Count a file that is open to be written as a step of its own: nothing is in it yet."""
        stream = opening(file, mode, *arguments, **options)
        if set(mode) & set("wax+") and not isinstance(file, int):
            step("opened", os.fspath(file))
        return stream

    io.open = opened  # what pathlib calls
    sys.addaudithook(heard)


def in_child(act: Callable[[], object], *, after: Callable[[int], None] = lambda child: None) -> int:
    """Run ``act`` in a forked child; return its exit code, negative for the signal that killed it.

    :param after: called with the child's id when it has been started.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            # tqdm, which bm25s counts with, has a lock for all forks of a process: one that is killed would keep it.
            # A class that was used before the fork has it to itself.
            for kind in (tqdm, auto.tqdm):
                kind.set_lock(threading.RLock())
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - a child never returns into the test
            traceback.print_exc()
        finally:
            os._exit(code)
    after(child)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_steps(act: Callable[[], object], out: Path, told: Path) -> int:
    """Return how many steps below ``out`` ``act`` takes; they are written to ``told``, a line each."""

    def run() -> None:
        with told.open("w") as file:
            watch_steps(out, lambda number, step: print(number, step, file=file, flush=True))
            act()

    assert in_child(run) == 0
    return len(told.read_text().splitlines())


def killed_at_step(act: Callable[[], object], out: Path, number: int) -> int:
    """Run ``act`` in a child that kills itself before step ``number``."""

    def die(count: int, _: str) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return in_child(lambda: (watch_steps(out, die), act()))


def killed_writing(act: Callable[[], object], size: int) -> int:
    """Run ``act`` in a child that is killed by the system when a file of it grows beyond ``size`` bytes."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        act()

    return in_child(limited)


def killed_after(act: Callable[[], object], seconds: float) -> int:
    """Run ``act`` in a child and kill it after so long."""
    import time

    def kill(child: int) -> None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)

    return in_child(act, after=kill)


def refused(act: Callable[[], object], told: Path) -> tuple[int, str, str]:
    """Run ``act`` in a child; return its exit code, and the type and message of what it raised, if it did."""

    def run() -> None:
        told.unlink(missing_ok=True)
        descriptor = os.open(told, os.O_CREAT | os.O_WRONLY, 0o666)  # before limits and rights change
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - reported to the test
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
            os.write(descriptor, json.dumps([type(error).__name__, str(error)]).encode()[:4000])
            os._exit(3)

    code = in_child(run)
    if code != 3:
        return code, "", ""
    name, message = json.loads(told.read_text())
    return code, name, message
