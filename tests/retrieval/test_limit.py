"""A limit on time, seen on calls that wait at a gate."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from index.encoder import FakeEncoder
from index.errors import TimedOutError
from retrieval import Assistant
from retrieval.limit import TimeLimit
from retrieval.stages import recording, stage

from ..conftest import Shelf, decide

SOON = 0.05  # seconds
LIMIT = 20.0  # seconds that nothing here takes
number: ContextVar[int] = ContextVar("number", default=0)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


def wait(limit: TimeLimit, call: Callable[[], Any]) -> Any:
    """Be :meth:`TimeLimit.wait` in a loop of its own: Playwright keeps one running in the thread of the tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, limit.wait(call)).result(LIMIT)


BOTH = pytest.mark.parametrize("run", [TimeLimit.run, wait])


def wait_until_free(limit: TimeLimit) -> None:
    pause = threading.Event()
    for _ in range(int(LIMIT * 1000)):
        if not limit.left_behind:
            return
        pause.wait(0.001)
    raise AssertionError(f"{limit.left_behind} calls are still there")


@BOTH
def test_what_a_call_returns_or_raises_comes_back(run: Any) -> None:
    limit = TimeLimit(LIMIT)
    assert run(limit, lambda: 7) == 7
    with pytest.raises(KeyError, match="seven"):
        run(limit, lambda: {}["seven"])
    with pytest.raises(TimeoutError, match="its own"):
        run(limit, lambda: (_ for _ in ()).throw(TimeoutError("its own")))
    assert limit.left_behind == 0


@BOTH
def test_a_call_that_hangs_is_left_behind_and_forgotten_when_it_ends(gate: threading.Event, run: Any) -> None:
    limit = TimeLimit(SOON)
    with pytest.raises(TimedOutError, match=r"not answered within 0\.05 seconds") as told:
        run(limit, gate.wait)
    assert told.value.retry_after == 30
    assert limit.left_behind == 1
    assert run(limit, lambda: "the next is answered") == "the next is answered"
    gate.set()
    wait_until_free(limit)


@BOTH
def test_where_too_many_hang_the_next_is_refused_without_a_thread(gate: threading.Event, run: Any) -> None:
    limit = TimeLimit(SOON, most_left_behind=3)
    for _ in range(3):
        with pytest.raises(TimedOutError):
            run(limit, gate.wait)
    before = threading.active_count()
    patient = TimeLimit(LIMIT, most_left_behind=3)
    patient._left_behind = 3
    for refusing in (limit, patient):
        with pytest.raises(TimedOutError, match="3 calls hang"):
            run(refusing, gate.wait)
    assert threading.active_count() == before
    gate.set()
    wait_until_free(limit)
    assert run(limit, lambda: "again") == "again"


def test_a_call_whose_caller_is_cancelled_and_whose_loop_ends_is_left_behind(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    limit = TimeLimit(LIMIT)

    async def leave() -> None:
        waiting = asyncio.create_task(limit.wait(gate.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, leave()).result(LIMIT)
    assert limit.left_behind == 1
    gate.set()
    wait_until_free(limit)
    assert limit.run(lambda: "the next is answered") == "the next is answered"
    assert not caplog.records  # telling a loop that has ended is no error


@BOTH
def test_a_call_inside_another_runs_in_its_thread_and_sees_its_context(run: Any) -> None:
    limit = TimeLimit(LIMIT)
    number.set(3)
    names = run(limit, lambda: (threading.current_thread(), limit.run(threading.current_thread), number.get()))
    assert names[0] is names[1] and names[0] is not threading.current_thread()
    assert names[2] == 3


@BOTH
def test_the_stages_of_a_call_are_recorded(run: Any) -> None:
    def call() -> None:
        with stage("encode"):
            pass

    with recording() as times:
        run(TimeLimit(LIMIT), call)
    assert list(times) == ["encode"]


class StuckEncoder(FakeEncoder):
    """Waits at its gate where it is told to."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self.gate = gate
        self.stuck = False

    def encode_queries(self, texts):  # type: ignore[no-untyped-def]
        if self.stuck:
            assert self.gate.wait(LIMIT)
        return super().encode_queries(texts)


def test_an_assistant_gives_up_what_hangs_and_answers_again_afterwards(shipped: Shelf, gate: threading.Event) -> None:
    encoder = StuckEncoder(gate)
    limit = TimeLimit(1.0)
    made = shipped.assistant(decide(bias=20.0))
    assistant = Assistant(made._newest.generation, encoder, shipped.resolver, (), decide(bias=20.0), limit=limit)
    expected = assistant.ask("津心办怎么注销账号")
    encoder.stuck = True
    with ThreadPoolExecutor(4) as pool:
        calls = [
            lambda: assistant.ask("津心办怎么注销账号"),
            lambda: assistant.search("注销", app="津心办"),
            lambda: assistant.compare("注销", ["津心办"]),
            lambda: assistant.profile("津心办"),
        ]
        for reply in [pool.submit(call) for call in calls]:
            with pytest.raises(TimedOutError):
                reply.result(LIMIT)
    assert limit.left_behind == 4
    encoder.stuck = False
    gate.set()
    wait_until_free(limit)
    assert assistant.ask("津心办怎么注销账号") == expected
    assert [row.app for row in assistant.compare_each("注销", ["津心办", "昶联"])] == ["津心办", "昶联"]


def test_a_row_that_hangs_in_the_midst_is_given_up(
    shipped: Shelf, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shipped.assistant(decide(bias=20.0))
    assistant = Assistant(
        made._newest.generation, FakeEncoder(), shipped.resolver, (), decide(bias=20.0), limit=TimeLimit(0.5)
    )
    rows = assistant.compare_each("注销", ["津心办", "昶联"])
    assert next(rows).app == "津心办"
    monkeypatch.setattr("retrieval.assistant.rank", lambda *arguments: gate.wait(LIMIT))
    with pytest.raises(TimedOutError):
        next(rows)


def test_the_rows_of_a_comparison_have_the_time_of_one_answer_together(
    shipped: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("retrieval.limit.monotonic", lambda: clock[0])
    made = shipped.assistant(decide(bias=20.0))
    assistant = Assistant(
        made._newest.generation, FakeEncoder(), shipped.resolver, (), decide(bias=20.0), limit=TimeLimit(LIMIT)
    )
    apps = assistant.apps()
    rows = assistant.compare_each("注销", apps)
    assert [next(rows).app, next(rows).app] == list(apps[:2])
    clock[0] += LIMIT
    with pytest.raises(TimedOutError, match="not answered within 20 seconds"):
        next(rows)
    judge = Assistant._judge

    def slow(self: Assistant, *arguments: Any) -> Any:
        clock[0] += 0.4 * LIMIT
        return judge(self, *arguments)

    monkeypatch.setattr(Assistant, "_judge", slow)
    assert len(assistant.compare("注销", apps[:2])) == 2
    with pytest.raises(TimedOutError):
        assistant.compare("注销", apps)


def test_calls_one_after_another_have_one_thread_and_those_at_once_one_each(gate: threading.Event) -> None:
    limit = TimeLimit(LIMIT)
    assert len({limit.run(threading.get_ident) for _ in range(20)}) == 1
    with ThreadPoolExecutor(3) as pool:
        here = threading.Barrier(3)
        replies = [pool.submit(limit.run, lambda: (here.wait(LIMIT), threading.get_ident())[1]) for _ in range(3)]
        assert len({reply.result(LIMIT) for reply in replies}) == 3


def test_a_thread_that_nothing_comes_to_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.limit.IDLE_SECONDS", SOON)
    limit = TimeLimit(LIMIT)
    thread = limit.run(threading.current_thread)
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert limit.run(threading.current_thread) is not thread


def test_one_that_was_left_behind_serves_again_when_it_ends(gate: threading.Event) -> None:
    limit = TimeLimit(SOON)
    threads: list[threading.Thread] = []
    with pytest.raises(TimedOutError):
        limit.run(lambda: (threads.append(threading.current_thread()), gate.wait(LIMIT)))
    gate.set()
    wait_until_free(limit)
    assert TimeLimit.run(limit, threading.current_thread) is threads[0]
