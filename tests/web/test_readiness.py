"""Whether a process says that it can answer: what it says, and what it costs to ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from index.errors import IndexMismatchError, StoreUnreachableError
from web.readiness import Readiness

LIMIT = 20.0  # seconds that nothing here takes


class Probed:
    """An assistant of two apps that does what it is told when it is searched."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}
        self.searched: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.names = ("甲", "乙")

    def apps(self) -> tuple[str, ...]:
        return self.names

    def search(self, query: str, app: str, **options: object) -> None:
        self.searched.append(app)
        assert self.gate.wait(LIMIT)
        if app in self.errors:
            raise self.errors[app]


@pytest.fixture
def probed() -> Iterator[Probed]:
    probed = Probed()
    yield probed
    probed.gate.set()


def check(readiness: Readiness, times: int = 1) -> list[int | None]:
    async def together() -> list[int | None]:
        return list(await asyncio.gather(*(readiness.check() for _ in range(times))))

    with ThreadPoolExecutor(1) as thread:  # Playwright keeps a loop running in this one once a page was tested
        return thread.submit(lambda: asyncio.run(together())).result()


def until(claim: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(LIMIT / 0.01)):
        if claim():
            return
        pause.wait(0.01)
    raise AssertionError("waited in vain")


def test_however_many_ask_one_question_is_put(probed: Probed) -> None:
    results: list[int | None] = []
    readiness = Readiness(probed, kept=LIMIT, on_result=results.append)  # type: ignore[arg-type]
    assert check(readiness, 50) == [2] * 50
    assert (probed.searched, results) == (["甲"], [2])
    late = Readiness(probed, kept=0.0)  # type: ignore[arg-type]
    # Nothing is kept, so that nobody is ever told: a setting for tests alone.
    with pytest.raises(asyncio.TimeoutError), ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(asyncio.wait_for(late.check(), 0.1))).result()


@pytest.mark.parametrize("error", [StoreUnreachableError("the store is away"), ArithmeticError("秘密")])
def test_what_keeps_it_from_answering_is_logged_once_and_its_end_too(
    probed: Probed, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    probed.errors = {"甲": error}
    readiness = Readiness(probed, kept=0.05)  # type: ignore[arg-type]
    pause = threading.Event()
    for _ in range(3):
        assert check(readiness) == [None]
        pause.wait(0.06)
    assert len(caplog.records) == 1 and type(error).__name__ in caplog.text and "秘密" not in caplog.text
    probed.errors = {}
    assert check(readiness) == [2]
    assert [record.getMessage() for record in caplog.records][1:] == ["ready again"]


def test_one_damaged_app_does_not_take_the_others_off(probed: Probed) -> None:
    probed.errors = {"甲": IndexMismatchError("damaged")}
    assert check(Readiness(probed)) == [2]  # type: ignore[arg-type]
    probed.errors["乙"] = IndexMismatchError("damaged")
    assert check(Readiness(probed)) == [None]  # type: ignore[arg-type]
    probed.names = ()
    assert check(Readiness(probed)) == [None]  # type: ignore[arg-type]


def test_a_probe_that_hangs_is_not_repeated_and_nobody_waits_for_it(probed: Probed) -> None:
    probed.gate.clear()
    readiness = Readiness(probed, patience=0.05)  # type: ignore[arg-type]
    before = threading.active_count()
    for _ in range(20):
        assert check(readiness, 5) == [None] * 5
    assert probed.searched == ["甲"] and threading.active_count() <= before + 1
    probed.gate.set()
    pause = threading.Event()
    for _ in range(1000):
        if check(readiness) == [2]:
            return
        pause.wait(0.02)
    raise AssertionError("never ready again")


def test_where_no_thread_can_be_started_it_is_not_ready_and_tries_again(
    probed: Probed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "readiness":
            raise RuntimeError("can't start new thread")
        start(thread)

    results: list[int | None] = []
    readiness = Readiness(probed, kept=0.05, on_result=results.append)  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            assert check(readiness) == [None]
    assert set(results) == {None} and probed.searched == []
    assert [record.getMessage() for record in caplog.records] == ["not ready: no thread can be started"]
    until(lambda: check(readiness) == [2])
    assert results[-1] == 2


def test_a_process_that_is_about_to_end_is_not_ready(probed: Probed) -> None:
    results: list[int | None] = []
    readiness = Readiness(probed, on_result=results.append)  # type: ignore[arg-type]
    assert check(readiness) == [2]
    readiness.drain()
    assert results == [2, None]
    assert check(readiness) == [None]
    assert probed.searched == ["甲"] and set(results[1:]) == {None}


def test_a_probe_that_ends_while_the_process_drains_does_not_make_it_ready(probed: Probed) -> None:
    results: list[int | None] = []
    readiness = Readiness(probed, on_result=results.append)  # type: ignore[arg-type]
    probed.gate.clear()
    with readiness.watching():
        until(lambda: probed.searched == ["甲"])
    assert results and set(results) == {None}
    known = len(results)
    probed.gate.set()
    until(lambda: len(results) > known)
    assert set(results) == {None}


def test_the_figures_know_whether_it_is_ready_though_nobody_asks(probed: Probed) -> None:
    results: list[int | None] = []
    readiness = Readiness(probed, kept=0.01, patience=0.05, on_result=results.append)  # type: ignore[arg-type]
    with readiness.watching(seconds=0.02):
        until(lambda: results[-1:] == [2])
        probed.gate.clear()
        until(lambda: results[-1:] == [None])
        probed.gate.set()
        until(lambda: results[-1:] == [2])
    assert results[-1] is None
    assert not any(thread.name == "watch" for thread in threading.enumerate())
