"""A server over the index at ``argv[1]`` with the small encoder, on port ``argv[2]``, that loses patience soon.

Its limits of time are a fifth of what they are by default; the rest is as :mod:`web.server` has it. With ``argv[3]`` it
answers so many questions at once, and bears for ever with who does not read. On SIGUSR1 it writes to
the file ``argv[1].held`` what memory is in use.
"""

from __future__ import annotations

import ctypes
import gc
import json
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn

import web.security
from index.batching import BatchingEncoder
from index.encoder import FakeEncoder
from retrieval import Assistant
from web.connections import ConnectionLimits, Connections
from web.memory import use_one_arena
from web.server import WebSettings, create_app, uvicorn_settings
from web.serving import allow_open_files

FASTER = 5


NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class Mallinfo(ctypes.Structure):
    """What glibc's ``mallinfo2`` returns."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in NAMES)


def write_held(file: Path, *_: object) -> None:
    """Write the bytes in use of what malloc gave out, and how many of Python's own small blocks are in use.

    The memory that is resident says less: what is freed stays with the allocator, in pieces.
    """
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo
    told = mallinfo()
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps([told.uordblks + told.hblkhd, sys.getallocatedblocks()]))
    unfinished.rename(file)


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
    use_one_arena()
    encoder = BatchingEncoder(FakeEncoder())
    web_settings = WebSettings()
    if answering:
        limits = replace(limits, write_seconds=3600)
        web_settings = replace(web_settings, answering=int(answering))
    app = create_app(Assistant.open(Path(index), encoder=encoder), web_settings)
    signal.signal(signal.SIGUSR1, partial(write_held, Path(f"{index}.held")))
    settings = uvicorn_settings(()) | {"http": Connections(limits)}
    uvicorn.run(app, port=int(port), timeout_keep_alive=2, **settings)
    encoder.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
