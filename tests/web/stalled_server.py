"""A server over the index at ``argv[1]`` with the small encoder, on port ``argv[2]``, that loses patience soon.

Its limits of time are a fifth of what they are by default; the rest is as :mod:`web.server` has it. With ``argv[3]`` it
answers so many questions at once, and bears for ever with who does not read. On SIGUSR1 it gives back what the
allocator keeps for later, so that what it holds can be measured.
"""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from dataclasses import replace
from pathlib import Path

import uvicorn

import web.security
from index.batching import BatchingEncoder
from index.encoder import FakeEncoder
from retrieval import Assistant
from web.connections import ConnectionLimits, Connections
from web.server import WebSettings, create_app, uvicorn_settings
from web.serving import allow_open_files

FASTER = 5


def give_back(*_: object) -> None:
    """Return freed memory to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def main(index: str, port: str, answering: str = "") -> None:
    """Serve until interrupted."""
    usual = ConnectionLimits()
    limits = replace(
        usual,
        head_seconds=usual.head_seconds / FASTER,
        linger_seconds=usual.linger_seconds / FASTER,
        write_seconds=usual.write_seconds / FASTER,
        write_bytes=usual.write_bytes // FASTER,
    )
    web.security.BODY_SECONDS /= FASTER
    allow_open_files()
    encoder = BatchingEncoder(FakeEncoder())
    web_settings = WebSettings()
    if answering:
        limits = replace(limits, write_seconds=3600)
        web_settings = replace(web_settings, answering=int(answering))
    app = create_app(Assistant.open(Path(index), encoder=encoder), web_settings)
    signal.signal(signal.SIGUSR1, give_back)
    settings = uvicorn_settings(()) | {"http": Connections(limits)}
    uvicorn.run(app, port=int(port), timeout_keep_alive=2, **settings)
    encoder.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
