"""Connections that stall: each part of a request has its time, and how many are open has a bound.

uvicorn waits for ever for the rest of a request's head, for a body that nobody reads any more, and for a client that
does not take its answer. The time that a body may take is the wall's (web/security.py), which reads it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.limits import client_key
from web.memory import give_back_memory
from web.problems import problem_response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from uvicorn.config import Config
    from uvicorn.server import ServerState

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
TELL_SECONDS = 60.0  # between two lines of the log that connections are ended for the same reason
# After so many connections were open and half of them have left, or more, what they took is given back: after some
# 34,000 that stalled, at most 8,000 at once, a process of 470 MB stayed at 900. Fewer take some MB.
CROWD = 256
# Why a connection was ended that its client would have kept, and what the log says of it. One without a request is no
# client's loss: browsers connect ahead of need, and keep what they have asked on.
REASONS = {
    "too_many": "%s as many connections as allowed, each of them busy or new; further ones are turned away",
    "made_room": "%s as many connections as allowed; the one idle for longest is closed for each new one",
    "too_slow": "connections are closed whose request does not come",
    "not_reading": "connections are closed that do not take their answer",
    "body_unread": "connections are closed that send on what was refused",
}


@dataclass(frozen=True)
class ConnectionLimits:
    """What one process bears with.

    ``head_seconds``: from the first byte of a request, or from the beginning of a connection, to the end of the head;
    nginx's default is 60, deploy/nginx.conf has 10. ``linger_seconds``: how long a body is taken in after its request
    was refused, so that the refusal is read. ``write_seconds``: time in which a client takes at least ``write_bytes``
    of an answer that waits for it: 500 bytes a second, below which no telephone is. ``most``: connections in all, some
    50 KB each. ``most_of_client``: of one address that is neither this machine nor a proxy of ours; forty people's
    browsers, who have six each for as long as a page loads. ``new_sweeps``: over as many looks at all
    connections, a second and more apart, none is closed for another: with less, however busy the process is, what it
    sent may be here unread. ``most_refused``: connections beyond ``most`` that are told so and closed as many looks
    later; further ones are just closed.
    """

    head_seconds: float = 10.0
    linger_seconds: float = 5.0
    write_seconds: float = 30.0
    write_bytes: int = 15_000
    most: int = 2_048
    most_of_client: int = 256
    new_sweeps: int = 2
    most_refused: int = 6_144


class Connections:
    """The connections of one process, and what makes each of them: uvicorn takes it as its ``http``.

    Where there are too many, the one that has been without a request for longest makes room: who comes with a question
    asks it at once. Only where all are being answered is a new one turned away, with a 503.
    """

    def __init__(
        self, limits: ConnectionLimits | None = None, *, proxies: Sequence[IPv4Network | IPv6Network] = ()
    ) -> None:
        """Hold connections to ``limits``; ``proxies`` pass on what many clients ask and are not counted as one.

        ``on_end`` is told which of :data:`REASONS` a connection was ended for. It is set in the process that serves.
        """
        self.on_end: Callable[[str], None] | None = None
        self.limits = limits or ConnectionLimits()
        self.proxies = tuple(proxies)
        self.open: set[GuardedProtocol] = set()
        self.waiting: dict[GuardedProtocol, int] = {}  # without a whole request, the longest first: looked at how often
        self._by_client: dict[str, int] = {}
        self._crowd = 0  # the most that were open since memory was last given back
        self._swept = 0  # how many were open at the last look at all
        self._timer: asyncio.TimerHandle | None = None
        self._told: dict[str, float] = {}  # when the log last had a reason

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> GuardedProtocol:
        return GuardedProtocol(self, config, server_state, app_state, _loop)

    def admit(self, connection: GuardedProtocol) -> bool:
        """Count a connection that begins, another one closed for it where need be; say whether there is room."""
        self.open.add(connection)
        self._crowd = max(self._crowd, len(self.open))
        if self._timer is None:
            self._timer = connection.loop.call_later(SWEEP_SECONDS, self._sweep, connection.loop)
        client = connection.client_name
        if client is not None:
            self._by_client[client] = self._by_client.get(client, 0) + 1
            if self._by_client[client] > self.limits.most_of_client:
                return self._make_room(client)
        return len(self.open) <= self.limits.most or self._make_room(None)

    def leave(self, connection: GuardedProtocol) -> None:
        """Count a connection no more."""
        if connection not in self.open:
            return
        self.open.discard(connection)
        self.waiting.pop(connection, None)
        client = connection.client_name
        if client is not None:
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    def note_end(self, reason: str, *values: str) -> None:
        """Count a connection that is ended for one of :data:`REASONS`; log the first of a minute."""
        if self.on_end is not None:
            self.on_end(reason)
        now = monotonic()
        if now - self._told.get(reason, float("-inf")) >= TELL_SECONDS:
            self._told[reason] = now
            _log.warning(REASONS[reason], *values)

    def name_client(self, connection: GuardedProtocol) -> str | None:
        """Return the client that a connection is counted for; ``None`` for this machine and for a proxy of ours."""
        peer = connection.client[0] if connection.client else None
        try:
            address = ip_address(peer or "")
        except ValueError:
            return None
        return None if any(address in network for network in self.proxies) else client_key(peer)

    def _make_room(self, client: str | None) -> bool:
        of = "one address has" if client else "there are"
        idle = next((one for one in self.waiting if client is None or one.client_name == client), None)
        if idle is None or self.waiting[idle] < self.limits.new_sweeps:
            self.note_end("too_many", of)
            return False
        self.note_end("made_room", of)
        idle.drop()
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in tuple(self.open):
            connection.check(now)
        for connection in self.waiting:
            self.waiting[connection] += 1
        still_leaving = len(self.open) < self._swept - CROWD // 8
        have_left = len(self.open) < max(CROWD, self._crowd // 2) and not still_leaving
        if self._crowd >= CROWD and have_left:
            self._crowd = len(self.open)
            loop.run_in_executor(None, give_back_memory)
        self._swept = len(self.open)
        goes_on = self.open or self._crowd >= CROWD
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if goes_on else None


class CountedTransport:
    """A transport that says how many bytes were written to it."""

    def __init__(self, inner: asyncio.Transport) -> None:
        self.inner = inner
        self.written = 0

    def write(self, data: bytes) -> None:
        """Write ``data``."""
        self.written += len(data)
        self.inner.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class GuardedProtocol(H11Protocol):
    """One connection, closed where it stalls."""

    transport: CountedTransport  # type: ignore[assignment]

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.client_name: str | None = None
        self._all = connections
        self._limits = connections.limits
        self._is_refused = False
        self._head_since: float | None = None
        self._answered_at = 0.0
        self._looked_at = 0  # how often, since it was refused
        self._unsent: tuple[float, int] | None = None  # since when, and how much had been taken by then

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(CountedTransport(transport))  # type: ignore[arg-type]
        self.client_name = self._all.name_client(self)
        if self._all.admit(self):
            self._head_since = self.loop.time()
            self._all.waiting[self] = 0
        elif len(self._all.open) > self._limits.most + self._limits.most_refused:
            self.abort()
        else:
            self._is_refused = True
            self._say("too_many_connections", 503)
            self.transport.write_eof()  # closed before its request is read, it would not hear why

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        self._note_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._answered_at = self.loop.time()
        self._head_since = None
        if self.conn.their_state is h11.IDLE:
            self._all.waiting[self] = 0
            if self.conn.trailing_data[0]:
                self._note_head()

    def check(self, now: float) -> None:
        """Close the connection if what it waits for has taken too long by ``now``."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            taken = self.transport.written - unsent
            if self._unsent is None:
                self._unsent = (now, taken)
            elif now - self._unsent[0] >= self._limits.write_seconds:
                if taken - self._unsent[1] < self._limits.write_bytes:
                    self._all.note_end("not_reading")
                    self.abort()
                    return
                self._unsent = (now, taken)
        else:
            self._unsent = None
        if self.transport.is_closing():
            return
        if self._is_refused:
            self._looked_at += 1
            if self._looked_at > self._limits.new_sweeps:  # what it sent has been read: it is closed, not reset
                self.transport.close()
        elif self._head_since is not None and now - self._head_since >= self._limits.head_seconds:
            if self.conn.trailing_data[0]:  # else it is a browser that connected ahead of need
                self._all.note_end("too_slow")
                self._say("too_slow", 408)
            self.transport.close()
        elif self._is_left_unread() and now - self._answered_at >= self._limits.linger_seconds:
            self._all.note_end("body_unread")
            self.abort()

    def abort(self) -> None:
        """Close the connection and forget what was to be sent: else the kernel would hold it for who does not read."""
        held = self.transport.get_extra_info("socket")
        if held is not None:
            with suppress(OSError):  # it is gone already
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def drop(self) -> None:
        """Make room for another connection."""
        self._all.leave(self)
        if self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.transport.close()

    def _is_left_unread(self) -> bool:
        """Say whether the answer is out and the body of its request still comes."""
        return self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY

    def _note_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._head_since = None
            self._all.waiting.pop(self, None)
        elif self._head_since is None:
            self._head_since = self.loop.time()

    def _say(self, kind: str, status: int) -> None:
        body = bytes(problem_response(kind, status, "zh").body)
        head = (
            f"HTTP/1.1 {status} {'Request Timeout' if status == 408 else 'Service Unavailable'}\r\n"
            f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\nretry-after: 1\r\n"
            "cache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: whoever sends such a request would fill the log."""
