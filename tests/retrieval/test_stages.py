"""Where the time of a question goes."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context

import pytest

from retrieval.stages import Times, joining, recording, stage


class Clock:
    """A clock that goes as far as it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made


def test_a_stage_inside_another_counts_once(clock: Clock) -> None:
    with recording() as times:
        clock.now += 1
        with stage("rank_again"):
            clock.now += 2
            with stage("dense"):
                clock.now += 4
            with stage("lexical"):
                clock.now += 8
            clock.now += 16
    assert dict(times) == {"dense": 4, "lexical": 8, "rank_again": 18}
    assert (times.total, times.unnamed) == (31, 1)


def test_a_stage_that_comes_again_adds_up_and_inside_itself_counts_once(clock: Clock) -> None:
    with recording() as times:
        for _ in range(3):
            with stage("encode"):
                clock.now += 1
                with stage("encode"):
                    clock.now += 1
    assert dict(times) == {"encode": 6}


def test_a_stage_that_fails_is_counted_and_the_error_goes_on(clock: Clock) -> None:
    def fail() -> None:
        with stage("answer"), stage("decide"):
            clock.now += 1
            raise ValueError("broken")

    with recording() as times:
        with pytest.raises(ValueError, match="broken"):
            fail()
        with stage("answer"):
            clock.now += 2
    assert dict(times) == {"decide": 1, "answer": 2}


def test_nothing_is_kept_where_nobody_records(clock: Clock) -> None:
    with stage("encode"):
        clock.now += 1
    with recording() as times:
        pass
    with stage("encode"):
        clock.now += 1
    assert dict(times) == {}
    assert times.total == 0


def test_a_recording_inside_another_takes_its_stages_to_itself(clock: Clock) -> None:
    with recording() as outer:
        with stage("encode"):
            clock.now += 1
        with recording() as inner, stage("encode"):
            clock.now += 2
        with stage("encode"):
            clock.now += 4
    assert (dict(outer), dict(inner)) == ({"encode": 5}, {"encode": 2})


def test_a_thread_with_a_copy_of_the_context_adds_to_the_recording_and_one_without_does_not() -> None:
    def work() -> None:
        with stage("encode"):
            pass

    with recording() as times:
        alone = threading.Thread(target=work)
        alone.start()
        alone.join()
        assert list(times) == []
        given = threading.Thread(target=copy_context().run, args=(work,))
        given.start()
        given.join()
        assert list(times) == ["encode"]


def test_waiting_for_another_thread_is_the_stages_time(clock: Clock) -> None:
    asked, done = threading.Event(), threading.Event()

    def encode() -> None:
        asked.wait()
        clock.now += 5
        done.set()

    worker = threading.Thread(target=encode)
    worker.start()
    with recording() as times, stage("encode"):
        asked.set()
        done.wait()
    worker.join()
    assert dict(times) == {"encode": 5}


def test_stages_side_by_side_leave_no_time_below_nothing(clock: Clock) -> None:
    with recording() as times:
        times.add("dense", 3)
        times.add("lexical", 3)
        clock.now += 4
    assert (times.total, times.unnamed) == (4, 0)
    assert Times().unnamed == 0


def test_who_joins_sees_what_is_recorded_already_and_else_what_comes() -> None:
    with joining() as own, stage("decide"):
        pass
    assert (own.count("decide"), own.count("encode")) == (1, 0)
    with recording() as times:
        for _ in range(3):
            with stage("decide"):
                pass
        with joining() as joined:
            assert joined is times
            assert joined.count("decide") == 3
