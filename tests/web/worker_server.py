"""A server of two processes over the index at ``argv[1]`` with the small encoder, on port ``argv[2]``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from index.batching import BatchingEncoder
from index.encoder import FakeEncoder
from retrieval import Assistant
from web.listening import bound_address
from web.server import WebSettings, serve_many


@contextmanager
def opened(index: Path) -> Iterator[Assistant]:
    encoder = BatchingEncoder(FakeEncoder())
    try:
        yield Assistant.open(index, encoder=encoder)
    finally:
        encoder.close()


if __name__ == "__main__":
    with bound_address("127.0.0.1", int(sys.argv[2]), "en") as sockets:
        served = serve_many(
            partial(opened, Path(sys.argv[1])),
            WebSettings(),
            sockets,
            workers=2,
            announce=lambda: print("ready", flush=True),  # noqa: T201 - read by the test
        )
    sys.exit(0 if served else 3)
