from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from index.turns import Turns, aside

LIMIT = 20.0  # seconds that nothing here takes
SOON = 0.05


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


class Room:
    """Counts who is inside."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0

    def visit(self, stay: Callable[[], object] = lambda: threading.Event().wait(0.002)) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        stay()
        self.inside -= 1


def test_one_computes_at_a_time(pool: ThreadPoolExecutor) -> None:
    turns, room = Turns(LIMIT), Room()

    def compute() -> None:
        with turns.taking():
            room.visit()
            with turns.taking():  # who has it goes on
                room.visit()

    for reply in [pool.submit(compute) for _ in range(8)]:
        reply.result(LIMIT)
    assert room.most == 1


def test_what_is_aside_is_done_beside_the_others_and_what_follows_is_not(pool: ThreadPoolExecutor) -> None:
    turns, room, waiting = Turns(LIMIT), Room(), threading.Barrier(8)

    def compute() -> None:
        with turns.taking():
            room.visit()
            with aside(), aside():
                waiting.wait(LIMIT)  # passes when all eight are here
            room.visit()

    for reply in [pool.submit(compute) for _ in range(8)]:
        reply.result(LIMIT)
    assert room.most == 1


def test_one_that_hangs_is_waited_for_once(pool: ThreadPoolExecutor) -> None:
    turns, gate = Turns(SOON), threading.Event()
    begun = threading.Event()

    def hang() -> None:
        with turns.taking():
            begun.set()
            assert gate.wait(LIMIT)

    def compute() -> str:
        with turns.taking():
            return "computed"

    hanging = pool.submit(hang)
    assert begun.wait(LIMIT)
    held = turns._turn
    assert pool.submit(compute).result(LIMIT) == "computed"
    assert turns._turn is not held and not turns._turn.locked()
    gate.set()
    hanging.result(LIMIT)
    for reply in [pool.submit(compute) for _ in range(3)]:
        assert reply.result(LIMIT) == "computed"


def test_who_fails_gives_the_turn_back() -> None:
    turns = Turns(LIMIT)
    with pytest.raises(KeyError), turns.taking(), aside():
        raise KeyError
    with pytest.raises(KeyError), turns.taking():
        raise KeyError
    assert not turns._turn.locked()


def test_without_a_turn_nothing_is_stepped_aside_from() -> None:
    with aside():
        pass
    turns = Turns(LIMIT)
    with turns.taking():
        pass
    assert not turns._turn.locked()
