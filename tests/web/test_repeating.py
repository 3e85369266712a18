"""What is done again and again: it goes on when it fails, and the log says so once."""

from __future__ import annotations

import threading

import pytest

from web.repeating import repeated

LIMIT = 20.0  # seconds that nothing here takes


def test_a_call_that_fails_is_logged_once_without_its_words_and_made_again(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception | None] = [
        ArithmeticError("秘密"),
        ArithmeticError("秘密"),
        OSError("秘密"),
        None,
        OSError("秘密"),
        None,
    ]
    done = threading.Event()

    def call() -> None:
        failure = failures.pop(0)
        if not failures:
            done.set()
        if failure is not None:
            raise failure

    with repeated(call, every=0.001, name="look"):
        assert done.wait(LIMIT)
        failures.extend([None] * 10_000)  # it may be called some times more
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"look failed and is tried again: {kind}" for kind in ("ArithmeticError", "OSError", "OSError")]
    assert "秘密" not in caplog.text


def test_it_ends_with_its_context_though_the_next_turn_is_far() -> None:
    begun = threading.Event()
    with repeated(begun.set, every=3600.0, name="look"):
        assert begun.wait(LIMIT)
    assert not any(thread.name == "look" for thread in threading.enumerate())
