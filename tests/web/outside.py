"""What lies beyond this machine, and a watch on whether anybody tries to reach it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

NEAR_SCHEMES = ("data", "blob", "about", "chrome", "chrome-error", "devtools")
NEAR_NAMES = ("localhost", "", None)


@dataclass
class Outside:
    """What was tried; Python is kept from it while this watches."""

    tried: list[str] = field(default_factory=list)
    is_watching: bool = False

    def watch(self) -> None:
        """Begin to. The hook stays for as long as the process does: there is no way to take one away."""
        self.is_watching = True
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_watching or event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            return
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        if isinstance(address, str | bytes) and event != "socket.getaddrinfo":
            return  # a socket of this machine's file system
        if is_outside(host):
            self.tried.append(f"{event} {host}")
            raise PermissionError(f"a test tried to reach {host}")


def is_outside(host: object) -> bool:
    """Say whether ``host`` is any other machine; where this one listens on all addresses is none."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in NEAR_NAMES:
        return False
    try:
        address = ip_address(str(name).strip("[]"))
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def leads_outside(url: str) -> bool:
    """Say whether a browser that asks for ``url`` asks another machine."""
    parts = urlsplit(url)
    return parts.scheme not in NEAR_SCHEMES and is_outside(parts.hostname)
