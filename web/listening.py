"""The address that a server listens on, taken before anything is opened, and the names that it answers to."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from corpus.messages import message, printable
from retrieval.datatypes import Language

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
HOST_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\]")
_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""What the system says of an address that this machine has not, as ``::1`` where IPv6 is switched off."""
_REASONS = {
    errno.EADDRINUSE: "port_in_use",
    errno.EADDRNOTAVAIL: "host_not_here",
    errno.EAFNOSUPPORT: "host_not_here",
    errno.EACCES: "port_not_allowed",
}


class AddressError(ValueError):
    """An address that cannot be listened on. The message says why and what to do, in the operator's language."""


@contextmanager
def bound_address(host: str, port: int, language: Language) -> Iterator[list[socket.socket]]:
    """Give a bound socket for every address that ``host`` stands for, closed at the end; nobody listens on them yet.

    :raises AddressError: if there is no such host, it is another machine's, or the port is taken, by then or
        meanwhile, or not for this user.
    """
    sockets = _bind(host, port, language)
    try:
        yield sockets
    except OSError as error:
        if error.errno != errno.EADDRINUSE:  # two that were bound at once: the second one fails when it listens
            raise
        raise _unusable(error, host, port, language) from error
    finally:
        for one in sockets:
            one.close()


def choose_hosts(bound: str, named: Sequence[str]) -> tuple[str, ...] | None:
    """Return the hosts to answer for, ``None`` for any: those that the operator ``named``, and this machine's own.

    A page whose name its owner points at 127.0.0.1 is of the same origin as what it finds there, so that nothing but
    the name tells it apart (DNS rebinding). An address that others reach is open to them in any case.

    :param bound: the address that is listened on.
    """
    is_loopback = bound.startswith("127.") or bound in ("localhost", "::1")
    return (*LOOPBACK_HOSTS, *named) if is_loopback or named else None


def _bind(host: str, port: int, language: Language) -> list[socket.socket]:
    try:
        if not host:  # the system would take it for every address that the machine has
            raise socket.gaierror
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise AddressError(message("settings.host_unknown", language, host=printable(host))) from error
    bound: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                bound.append(_bound(family, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                absent = error
        if absent and not bound:
            raise absent
    except OSError as error:
        for taken in bound:
            taken.close()
        raise _unusable(error, host, port, language) from error
    return bound


def _bound(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    # asyncio sends at once (TCP_NODELAY) only where it is told that this is TCP: else the body of an answer waited
    # 40 ms, on a connection that is used again, for the client to acknowledge its head.
    own = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # for what the server before left half closed; on Windows two would share the port
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # "::" beside 0.0.0.0, as asyncio has it
        own.bind(address)
    except OSError:
        own.close()
        raise
    return own


def _unusable(error: OSError, host: str, port: int, language: Language) -> AddressError:
    reason = _REASONS.get(error.errno or 0, "address_refused")
    refused = error.strerror or type(error).__name__
    return AddressError(message(f"settings.{reason}", language, host=printable(host), port=port, reason=refused))


def shown_address(host: str, port: int, root_path: str) -> str:
    """Return the address as a browser takes it.

    >>> shown_address("::1", 7860, "/wentiao")
    'http://[::1]:7860/wentiao/'
    """
    named = f"[{host}]" if ":" in host else host
    return f"http://{named}:{port}{root_path.rstrip('/')}/"
