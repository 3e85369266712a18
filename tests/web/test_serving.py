"""What is done before serving: seen on a process of its own where it would change this one."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from web.serving import ready_to_serve

from .fakes import FakeAssistant

ROOT = Path(__file__).parents[2]


def test_the_first_question_is_asked_before_anybody_does_and_all_is_closed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("web.serving.allow_open_files", lambda: None)
    monkeypatch.setattr(gc, "freeze", lambda: seen.append("kept"))
    seen: list[str] = []

    class Watched(FakeAssistant):
        def search(self, *args: object, **options: object) -> tuple[()]:
            seen.append(f"searched, collecting: {gc.isenabled()}")
            return ()

    @contextmanager
    def opening() -> Iterator[FakeAssistant]:
        seen.append("opened")
        yield Watched()
        seen.append("closed")

    with ready_to_serve(opening):  # type: ignore[arg-type]
        seen.append(f"served, collecting: {gc.isenabled()}")
    assert seen == ["opened", "searched, collecting: False", "kept", "served, collecting: True", "closed"]


def test_what_cannot_be_opened_leaves_collection_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.serving.allow_open_files", lambda: None)

    @contextmanager
    def failing() -> Iterator[FakeAssistant]:
        raise OSError("no index")
        yield

    with pytest.raises(OSError, match="no index"), ready_to_serve(failing):  # type: ignore[arg-type]
        pass
    assert gc.isenabled()


def test_as_many_files_may_be_open_as_the_system_lets_there_be() -> None:
    pytest.importorskip("resource")
    code = (
        "import resource as r; from web.serving import allow_open_files\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (256, 1000)); allow_open_files(); allow_open_files()\n"
        "print(*r.getrlimit(r.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1000", "1000"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_threads_of_a_process_that_serves_share_one_arena_and_what_they_free_goes_back() -> None:
    code = (
        "import ctypes, threading\n"
        "from web.memory import give_back_memory, use_one_arena\n"
        "use_one_arena()\n"
        "c = ctypes.CDLL(None)\n"
        "c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]\n"
        "def work():\n"
        "    for held in [(c.malloc(50_000), c.malloc(100)) for _ in range(2000)]:\n"
        "        ctypes.memset(held[0], 1, 50_000), c.free(held[0])\n"  # what is kept keeps the rest from the end
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * 4\n"
        "before = resident()\n"
        "for thread in [threading.Thread(target=work) for _ in range(4)]:\n"
        "    thread.start(), thread.join()\n"
        "kept = resident() - before\n"
        "give_back_memory()\n"
        "c.malloc_stats()\n"
        "print(kept, resident() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    if "Arena 0" not in done.stderr:
        pytest.skip("another C library")
    assert "Arena 1" not in done.stderr
    kept, left = map(int, done.stdout.split())
    assert left < 20_000 < 80_000 < kept  # KB, of the 100,000 that each thread took
