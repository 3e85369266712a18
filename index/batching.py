"""Questions that arrive together are encoded together: one worker thread, a bounded queue before it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from index.errors import OverloadedError, TimedOutError

if TYPE_CHECKING:
    from index.encoder import Encoded, Encoder, Progress

_log = logging.getLogger(__name__)

MAX_BATCH = 64  # texts in one pass; the encoder cuts it into passes of like length by itself
MAX_WAITING = 256  # texts; two seconds' work for two cores
WAIT_SECONDS = 30.0  # for a caller, the batches before its own included
FIRST_RATE = 50.0  # texts a second, until some were measured
RATE_SHARE = 0.2  # of a new measurement in the rate
LONGEST_RETRY = 30.0  # seconds
CLOSING_STEP = 0.1  # seconds between two looks whether the worker hangs


@dataclass(frozen=True, eq=False)
class _Call:
    texts: tuple[str, ...]
    reply: Future[Encoded] = field(default_factory=Future)


class BatchingEncoder:
    """An encoder for many threads: what arrived while one batch of questions ran goes into the next.

    A lone question starts at once. Texts of one call stay together, calls keep their order, and each caller gets the
    vectors of its own texts. Where a batch fails, its calls are tried one by one, so that one bad text fails only its
    own caller. Passages pass straight through.

    A batch that takes longer than a caller waits hangs: who waits behind it is told so, and whoever comes is refused at
    once until it ends. No second thread is started: it would wait for the same model.

    Close it after use: the worker's thread ends with it, unless it hangs.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        wait_seconds: float = WAIT_SECONDS,
        clock: Callable[[], float] = monotonic,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        """Start the worker.

        :param max_batch: texts that are encoded together at most, unless one call brings more.
        :param max_waiting: texts that may wait beside the batch that is being encoded; one more call is refused, unless
            nothing waits.
        :param wait_seconds: how long a caller waits for its vectors.
        :param clock: seconds, for the measured rate.
        :param on_batch: told of every batch: its texts, and the seconds that they took.
        """
        self._encoder = encoder
        self.dimension: int = encoder.dimension
        self.token_dimension: int = encoder.token_dimension
        self.fingerprint: str = encoder.fingerprint
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._rate = FIRST_RATE
        self._calls: deque[_Call] = deque()
        self._waiting = 0  # texts in `_calls`
        self._closed = False
        self.on_batch = on_batch
        self._since: float | None = None  # when the batch that is being encoded was begun
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._worker.start()

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return the vectors of questions, encoded together with those of other threads.

        :raises OverloadedError: if too many texts wait already, or these were not encoded in time.
        :raises TimedOutError: if the batch that is being encoded hangs.
        :raises RuntimeError: if the encoder was closed.
        """
        call = _Call(tuple(texts))
        with self._changed:
            if self._closed:
                raise RuntimeError("the encoder is closed; open the assistant again")
            if self._is_hanging():
                raise self._hangs()
            if self._calls and self._waiting + len(call.texts) > self._max_waiting:
                told = f"{self._waiting} texts wait to be encoded and {self._max_waiting} may; try again later"
                raise OverloadedError(told, retry_after=self._seconds_left())
            self._calls.append(call)
            self._waiting += len(call.texts)
            self._changed.notify()
        try:
            failure = call.reply.exception(self._wait_seconds)
        except TimeoutError:
            if self._withdraw(call):
                raise self._hangs() from None
            told = f"not encoded within {self._wait_seconds:g} seconds, for others came before; try again later"
            raise OverloadedError(told, retry_after=self._seconds_left()) from None
        if failure is not None:
            raise failure
        return call.reply.result()

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages, straight from the encoder; see :class:`~index.encoder.Encoder`."""
        return self._encoder.encode_passages(texts, progress=progress)

    @property
    def waiting(self) -> int:
        """How many texts wait for the next batch."""
        with self._changed:
            return self._waiting

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        with self._changed:
            return self._closed

    @property
    def hanging(self) -> bool:
        """Whether the batch that is being encoded takes longer than anybody waits."""
        with self._changed:
            return self._is_hanging()

    def close(self) -> None:
        """Encode what waits, take nothing more, and end the worker; one that hangs is left to end with the process."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        while self._worker.is_alive() and not self.hanging:
            self._worker.join(CLOSING_STEP)

    def _work(self) -> None:
        while batch := self._next_batch():
            began = self._clock()
            self._answer(batch)
            taken = self._clock() - began
            count = sum(len(call.texts) for call in batch)
            if taken > 0:
                self._rate += RATE_SHARE * (count / taken - self._rate)
            with self._changed:
                self._since = None
            self._tell(count, taken)

    def _tell(self, count: int, taken: float) -> None:
        if self.on_batch is None:
            return
        try:
            self.on_batch(count, taken)
        except Exception as error:  # noqa: BLE001 - who counts is not who answers: the worker lives on
            _log.error("a batch of the encoder was not counted: %s", type(error).__name__)

    def _next_batch(self) -> list[_Call]:
        """Wait for calls and take the oldest of them, whole; none once the encoder is closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls or self._closed)
            batch: list[_Call] = []
            count = 0
            while self._calls and (not batch or count + len(self._calls[0].texts) <= self._max_batch):
                call = self._calls.popleft()
                self._waiting -= len(call.texts)
                count += len(call.texts)
                batch.append(call)
            self._since = monotonic()
            return batch

    def _answer(self, batch: Sequence[_Call]) -> None:
        try:
            encoded = self._encoder.encode_queries([text for call in batch for text in call.texts])
        except Exception as exc:  # noqa: BLE001 - whatever it is, it reaches the callers, and the worker lives on
            if len(batch) == 1:
                batch[0].reply.set_exception(exc)
                return
            for call in batch:
                self._answer([call])
            return
        start = 0
        for call in batch:
            end = start + len(call.texts)
            call.reply.set_result(_part(encoded, start, end))
            start = end

    def _seconds_left(self) -> float:
        """Return how long what waits takes at the measured rate."""
        return min(self._waiting / self._rate, LONGEST_RETRY)

    def _is_hanging(self) -> bool:
        return self._since is not None and monotonic() - self._since >= self._wait_seconds

    def _hangs(self) -> TimedOutError:
        return TimedOutError(
            f"the model has not answered for {self._wait_seconds:g} seconds", retry_after=LONGEST_RETRY
        )

    def _withdraw(self, call: _Call) -> bool:
        """Take back a call that nobody waits for; return whether the encoder hangs; then all are told."""
        with self._changed:
            is_hanging = self._is_hanging()
            for one in [*self._calls] if is_hanging else [call]:
                if one in self._calls:
                    self._calls.remove(one)
                    self._waiting -= len(one.texts)
                    if one is not call:
                        one.reply.set_exception(self._hangs())
            return is_hanging


def _part(encoded: Encoded, start: int, end: int) -> Encoded:
    """Return the texts from ``start`` to ``end``, their vectors copied: who keeps one does not keep the batch."""
    return type(encoded)(np.array(encoded.vectors[start:end]), encoded.tokens[start:end])
