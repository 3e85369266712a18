from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from index.batching import BatchingEncoder
from index.encoder import Encoded, FakeEncoder
from index.errors import OverloadedError, TimedOutError, UnavailableError

FAKE = FakeEncoder()
LIMIT = 20.0  # seconds that nothing here takes


class GatedEncoder(FakeEncoder):
    """Notes what it is given; waits at its gate, and breaks on texts that hold "boom"."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        self.batches.append(list(texts))
        self.begun.release()
        assert self.gate.wait(LIMIT)
        if any("boom" in text for text in texts):
            raise ArithmeticError(f"{len(texts)} texts")
        return super().encode_queries(texts)


@pytest.fixture
def gated():
    return GatedEncoder()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(64) as pool:
        yield pool


def ask_while_busy(
    batching: BatchingEncoder, gated: GatedEncoder, threads: ThreadPoolExecutor, calls: Sequence[Sequence[str]]
) -> list[Future[Encoded]]:
    """Put ``calls`` into the queue one after another while a first one is held at the gate."""
    first = threads.submit(batching.encode_queries, ["第一个"])
    assert gated.begun.acquire(timeout=LIMIT)
    asked = [first]
    for texts in calls:
        expected = batching.waiting + len(texts)
        asked.append(threads.submit(batching.encode_queries, texts))
        until(lambda expected=expected: batching.waiting == expected)
    return asked


def until(claim: Callable[[], bool]) -> None:
    """Wait until ``claim`` holds."""
    pause = threading.Event()
    for _ in range(int(LIMIT * 1000)):
        if claim():
            return
        pause.wait(0.001)
    raise AssertionError("waited in vain")


def test_what_arrives_while_a_batch_runs_goes_into_the_next_together(gated, threads):
    batching = BatchingEncoder(gated)
    asked = ask_while_busy(batching, gated, threads, [["注销"], ["客服", "电话"], ["邮箱"]])
    gated.gate.set()
    for texts, reply in zip((["第一个"], ["注销"], ["客服", "电话"], ["邮箱"]), asked, strict=True):
        np.testing.assert_array_equal(reply.result(LIMIT).vectors, FAKE.encode_queries(texts).vectors)
    batching.close()
    assert gated.batches == [["第一个"], ["注销", "客服", "电话", "邮箱"]]


def test_a_batch_takes_whole_calls_in_their_order_up_to_its_size(gated, threads):
    batching = BatchingEncoder(gated, max_batch=3)
    asked = ask_while_busy(
        batching, gated, threads, [["一", "二"], ["三", "四"], ["五"], ["六", "七", "八", "九"], ["十"]]
    )
    gated.gate.set()
    assert [len(reply.result(LIMIT).vectors) for reply in asked] == [1, 2, 2, 1, 4, 1]
    batching.close()
    assert gated.batches == [["第一个"], ["一", "二"], ["三", "四", "五"], ["六", "七", "八", "九"], ["十"]]


def test_a_lone_call_is_encoded_alone_and_at_once(gated):
    gated.gate.set()
    batching = BatchingEncoder(gated)
    for text in ("甲", "乙"):
        batching.encode_queries([text])
    batching.close()
    assert gated.batches == [["甲"], ["乙"]]


def test_nobody_gets_the_vectors_of_another_under_64_threads(threads):
    drawn = random.Random(6)
    letters = "隐私政策收集位置姓名电话"
    words = ["".join(drawn.choices(letters, k=drawn.randint(1, 9))) for _ in range(5000)]
    calls = [drawn.sample(words, drawn.randint(1, 4)) for _ in range(2000)]
    batching = BatchingEncoder(FAKE, max_batch=16, max_waiting=10_000)
    start = threading.Barrier(64)

    def ask(own: Sequence[list[str]]) -> list[Encoded]:
        start.wait(LIMIT)  # all together
        return [batching.encode_queries(texts) for texts in own]

    replies = [threads.submit(ask, calls[place::64]) for place in range(64)]
    for place, reply in enumerate(replies):
        for texts, encoded in zip(calls[place::64], reply.result(LIMIT), strict=True):
            np.testing.assert_array_equal(encoded.vectors, FAKE.encode_queries(texts).vectors)
            assert len(encoded.tokens) == len(texts)
    batching.close()


def test_a_bad_text_fails_only_its_own_caller_and_the_worker_lives_on(gated, threads):
    batching = BatchingEncoder(gated)
    _, good, bad, better = ask_while_busy(batching, gated, threads, [["注销"], ["boom"], ["客服"]])
    gated.gate.set()
    with pytest.raises(ArithmeticError, match="1 texts"):
        bad.result(LIMIT)
    np.testing.assert_array_equal(good.result(LIMIT).vectors, FAKE.encode_queries(["注销"]).vectors)
    np.testing.assert_array_equal(better.result(LIMIT).vectors, FAKE.encode_queries(["客服"]).vectors)
    with pytest.raises(ArithmeticError):
        batching.encode_queries(["boom again"])
    assert len(batching.encode_queries(["还在"]).vectors) == 1
    batching.close()


def test_an_overfull_queue_refuses_at_once_and_says_when_to_come_again(gated, threads):
    ticks = iter(range(0, 1000, 2))  # every batch takes two seconds
    batching = BatchingEncoder(gated, max_waiting=3, clock=lambda: float(next(ticks)))
    asked = ask_while_busy(batching, gated, threads, [["一"], ["二", "三"]])
    with pytest.raises(OverloadedError, match="3 texts wait to be encoded and 3 may") as refused:
        batching.encode_queries(["四"])
    assert 0 < refused.value.retry_after <= 30
    assert batching.waiting == 3
    gated.gate.set()
    assert [len(reply.result(LIMIT).vectors) for reply in asked] == [1, 1, 2]
    assert len(batching.encode_queries(["四"]).vectors) == 1
    batching.close()


def test_a_call_that_waits_too_long_is_given_up_and_taken_back(gated, threads):
    batching = BatchingEncoder(gated, wait_seconds=0.01)
    first = threads.submit(batching.encode_queries, ["第一个"])
    assert gated.begun.acquire(timeout=LIMIT)
    with pytest.raises(UnavailableError, match="seconds"):
        batching.encode_queries(["二"])
    with pytest.raises(UnavailableError):
        first.result(LIMIT)
    assert batching.waiting == 0
    gated.gate.set()
    batching.close()
    assert gated.batches == [["第一个"]]


def test_a_batch_that_hangs_is_told_to_all_who_wait_and_refuses_who_comes_until_it_ends(gated, threads):
    batching = BatchingEncoder(gated, wait_seconds=0.5)
    asked = ask_while_busy(batching, gated, threads, [["一"], ["二", "三"]])
    for reply in asked:
        with pytest.raises(UnavailableError):
            reply.result(LIMIT)
    until(lambda: batching.hanging)
    assert batching.waiting == 0
    before = threading.active_count()
    for _ in range(100):  # at once: a hundred waits would take a minute
        with pytest.raises(TimedOutError, match=r"has not answered for 0\.5 seconds") as told:
            batching.encode_queries(["四"])
    assert (told.value.retry_after, threading.active_count()) == (30.0, before)
    gated.gate.set()
    until(lambda: not batching.hanging)
    assert len(batching.encode_queries(["五"]).vectors) == 1
    batching.close()
    assert gated.batches == [["第一个"], ["五"]]


def test_an_encoder_that_hangs_can_be_closed(gated, threads):
    batching = BatchingEncoder(gated, wait_seconds=0.5)
    asked = ask_while_busy(batching, gated, threads, [])
    threads.submit(batching.close).result(LIMIT)
    assert not gated.gate.is_set()
    with pytest.raises(TimedOutError):
        asked[0].result(LIMIT)
    gated.gate.set()
    until(lambda: not any(thread.name == "encoder" for thread in threading.enumerate()))


def test_every_batch_is_told(gated, threads):
    ticks = iter(range(0, 1000, 2))
    told: list[tuple[int, float]] = []
    batching = BatchingEncoder(
        gated, clock=lambda: float(next(ticks)), on_batch=lambda count, seconds: told.append((count, seconds))
    )
    asked = ask_while_busy(batching, gated, threads, [["一"], ["二", "三"]])
    gated.gate.set()
    for reply in asked:
        reply.result(LIMIT)
    batching.close()
    assert told == [(1, 2.0), (3, 2.0)]


def test_a_count_of_batches_that_breaks_does_not_end_the_answers(caplog):
    def full(count: int, seconds: float) -> None:
        raise OSError(28, "No space left on device")

    batching = BatchingEncoder(FAKE, wait_seconds=LIMIT, on_batch=full)
    for text in ("一", "二"):
        np.testing.assert_array_equal(
            batching.encode_queries([text]).vectors, FAKE.encode_queries([text]).vectors, strict=True
        )
    batching.close()
    assert caplog.text.count("a batch of the encoder was not counted: OSError") == 2
    assert "一" not in caplog.text


def test_one_call_with_more_than_may_wait_is_answered_where_nothing_waits(gated):
    gated.gate.set()
    batching = BatchingEncoder(gated, max_waiting=2, max_batch=2)
    assert len(batching.encode_queries(["一", "二", "三", "四", "五"]).vectors) == 5
    batching.close()


def test_closing_answers_what_waits_and_takes_nothing_more(gated, threads):
    batching = BatchingEncoder(gated)
    asked = ask_while_busy(batching, gated, threads, [["一"], ["二"]])
    closing = threads.submit(batching.close)
    until(lambda: batching.closed)
    with pytest.raises(RuntimeError, match="closed"):
        batching.encode_queries(["三"])
    gated.gate.set()
    closing.result(LIMIT)
    assert [len(reply.result(LIMIT).vectors) for reply in asked] == [1, 1, 1]
    assert not any(thread.name == "encoder" for thread in threading.enumerate())


def test_passages_and_what_tells_encoders_apart_are_the_encoder_s_own():
    batching = BatchingEncoder(FAKE)
    told: list[tuple[int, int]] = []
    encoded = batching.encode_passages(["注销", "客服"], progress=lambda *done: told.append(done))
    np.testing.assert_array_equal(encoded.vectors, FAKE.encode_passages(["注销", "客服"]).vectors)
    assert told == [(2, 2)]
    assert (batching.dimension, batching.token_dimension, batching.fingerprint) == (256, 0, FAKE.fingerprint)
    batching.close()
