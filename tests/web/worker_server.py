"""A server over the index at ``argv[1]`` with the small encoder, on port ``argv[2]``, of ``argv[3]`` processes."""

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
from web.server import WebSettings, serve, serve_many


@contextmanager
def opened(index: Path) -> Iterator[Assistant]:
    encoder = BatchingEncoder(FakeEncoder())
    try:
        yield Assistant.open(index, encoder=encoder)
    finally:
        encoder.close()


if __name__ == "__main__":
    index, port, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    ready = partial(print, "ready", flush=True)  # read by the test
    with bound_address("127.0.0.1", port, "en") as sockets:
        if workers == 1:
            with opened(index) as assistant:
                serve(assistant, WebSettings(), sockets, announce=ready)
            sys.exit(0)
        served = serve_many(partial(opened, index), WebSettings(), sockets, workers=workers, announce=ready)
    sys.exit(0 if served else 3)
