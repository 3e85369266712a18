"""``wentiao serve``: an assistant for many at once, and what is set for the network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from corpus.messages import message, printable
from retrieval import Assistant
from retrieval.limit import TimeLimit
from web.cli import ProgressBar
from web.listening import bound_address, choose_hosts, shown_address
from web.logs import set_up_logging
from web.settings import Settings

if TYPE_CHECKING:
    from web.server import WebSettings
    from web.tokens import Tokens


@contextmanager
def open_batching(settings: Settings) -> Iterator[Assistant]:
    """Open the assistant for many users at once: what they ask together is encoded together."""
    from index.batching import BatchingEncoder
    from index.encoder import load_encoder

    seconds = float(settings.answer_seconds)
    with closing(BatchingEncoder(load_encoder(settings.model), wait_seconds=seconds)) as encoder:
        with ProgressBar() as progress:
            opened = Assistant.open(
                settings.index, encoder=encoder, store=settings.store, progress=progress, limit=TimeLimit(seconds)
            )
        yield opened


def opened_for_many(settings: Settings) -> AbstractContextManager[Assistant]:
    """Open :func:`open_batching` when it is entered, and make it ready to serve."""
    from web.serving import ready_to_serve

    return ready_to_serve(partial(open_batching, settings))


def opened_in_worker(settings: Settings) -> AbstractContextManager[Assistant]:
    """Be :func:`opened_for_many` in a process of its own, which logs as this one does."""
    set_up_logging(settings.log, settings.log_level)
    return opened_for_many(settings)


def serve(settings: Settings, host: str, port: int, root_path: str, workers: int) -> bool:
    """Serve the web chat and the API until stopped; return whether that went well."""
    from index.engine import core_count
    from web.metrics import FiguresError
    from web.server import serve as serve_web
    from web.server import serve_many

    set_up_logging(settings.log, settings.log_level)
    web = web_settings(settings, host, root_path)
    if workers > 1 and settings.store and settings.store.endswith(".db"):
        raise ValueError(
            message("settings.store_of_one", settings.language, store=printable(settings.store), workers=workers)
        )
    with bound_address(host, port, settings.language) as sockets:
        sys.stderr.write(f"问条 Wentiao: {message('settings.starting', settings.language)}\n")

        def announce() -> None:
            sys.stderr.write(f"问条 Wentiao: {shown_address(host, port, root_path)}\n")

        try:
            if workers > 1:
                # Read by what multiplies matrices when the processes import it: together they have the cores once.
                os.environ.setdefault("OMP_NUM_THREADS", str(max(1, core_count() // workers)))
                os.environ.setdefault("MALLOC_ARENA_MAX", "1")  # see web/memory.py: uvicorn starts a thread first
                return serve_many(partial(opened_in_worker, settings), web, sockets, workers=workers, announce=announce)
            with opened_for_many(settings) as assistant:
                serve_web(assistant, web, sockets, announce=announce)
        except FiguresError as error:
            assert settings.metrics is not None
            values = dict(zip(("host", "port"), settings.metrics, strict=True), reason=str(error))
            raise ValueError(message("settings.metrics_unusable", settings.language, **values)) from error
    return True


def web_settings(settings: Settings, host: str, root_path: str) -> WebSettings:
    """Return what is set for those who ask over the network, the files that the operator named being read."""
    from web.server import WebSettings
    from web.sites import load_sites

    return WebSettings(
        root_path=root_path,
        sites=load_sites(settings.sites, settings.language),
        allowed_hosts=choose_hosts(host, settings.allowed_hosts),
        max_questions=settings.max_questions or WebSettings.max_questions,
        rates=settings.rates,
        proxies=settings.proxies,
        tokens=_tokens(settings),
        metrics=settings.metrics,
        answer_seconds=settings.answer_seconds,
        drain_seconds=settings.drain_seconds,
    )


def _tokens(settings: Settings) -> Tokens | None:
    from web.tokens import load_tokens

    try:
        return load_tokens(settings.tokens_file, settings.language)
    except OSError as error:
        values = {"path": printable(settings.tokens_file), "reason": error.strerror or type(error).__name__}
        raise ValueError(message("settings.tokens_unreadable", settings.language, **values)) from error
