"""What counts as lost under load, seen on servers that break connections in ways of their own."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from evaluation.endurance import MOST_REFUSED, Crowd, Tally

LIMIT = 20.0  # seconds that nothing here takes
REQUEST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
REFUSAL = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def tally_of(talk: Talk | None, *, ending: bool) -> Tally:
    """Be one client of a server that does ``talk`` once and then closes its port; without it, of a closed port."""

    async def run() -> Tally:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            crowd = Crowd(listener.getsockname(), [REQUEST], [], clients=1, seed=0)
            if ending:
                crowd.server_ends()
            if talk is not None:

                async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                    await reader.readuntil(b"\r\n\r\n")
                    await talk(reader, writer)
                    crowd._stopped.set()
                    writer.close()

                server = await asyncio.start_server(answer, sock=listener)
            await asyncio.wait_for(crowd._run(), LIMIT)
            if talk is not None:
                server.close()
                await server.wait_closed()
            return crowd.tally

    return asyncio.run(run())


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def say_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(REFUSAL[:30])
    await writer.drain()


async def break_after_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(REFUSAL)
    await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("talk", "lost_at_end", "refused_at_end"),
    [(None, 0, 0), (say_nothing, 0, 1), (say_half, 1, 0), (break_after_one, 1, 0)],
)
def test_what_breaks_is_lost_but_for_what_nobody_took_when_the_server_was_told_to_end(
    talk: Talk | None, lost_at_end: int, refused_at_end: int
) -> None:
    before, at_end = tally_of(talk, ending=False), tally_of(talk, ending=True)
    assert (before.lost, before.refused_at_end) == (1, 0)
    assert (at_end.lost, at_end.refused_at_end) == (lost_at_end, refused_at_end)


def test_a_run_without_an_answer_or_with_more_than_a_handful_refused_is_not_sound() -> None:
    assert not Tally().is_sound
    answered = Counter({200: 5, 503: 2})
    assert Tally(answered).is_sound
    assert Tally(answered, refused_at_end=MOST_REFUSED).is_sound
    assert not Tally(answered, refused_at_end=MOST_REFUSED + 1).is_sound
    assert not Tally(answered, lost=1).is_sound
    assert not Tally(answered, wrong=1).is_sound
    assert not Tally(Counter({200: 5, 500: 1})).is_sound
