"""Composition root: environment -> settings -> assistant -> web app or command."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import TextIO

from retrieval import Assistant
from web.cli import EXIT_UNREAD, EXIT_UNUSABLE, EXIT_USAGE, Commands, ProgressBar, run
from web.cli_index import build_index, prepare_index
from web.cli_serve import serve
from web.settings import Settings


def open_assistant(settings: Settings) -> Assistant:
    """Open the assistant that the settings ask for, preparing model and index on first use."""
    from index.encoder import load_encoder

    with ProgressBar() as progress:
        return Assistant.open(
            settings.index,
            encoder=load_encoder(settings.model),
            store=settings.store,
            progress=progress,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``wentiao``; return its exit code."""
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # what cannot be written is noticed here, not by the interpreter as it ends
    except BrokenPipeError:  # as of `wentiao apps | head -1`
        _discard(sys.stdout, sys.stderr)
        return EXIT_UNREAD
    except OSError as error:  # as of a disk that is full
        sys.stderr.write(f"wentiao: {error}\n")
        _discard(sys.stdout)
        return EXIT_UNUSABLE


def _discard(*streams: TextIO) -> None:
    """Let what is still to be written to ``streams`` go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def _run(arguments: Sequence[str]) -> int:
    from index.encoder import load_encoder
    from index.store import default_index_folder, publish

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        sys.stderr.write(f"wentiao: {error}\n")
        return EXIT_USAGE
    commands = Commands(
        open_assistant=lambda: open_assistant(settings),
        serve=partial(serve, settings),
        build_index=lambda folders, out: build_index(settings, folders, out),
        load_encoder=lambda: load_encoder(settings.model),
        prepare_index=lambda: prepare_index(settings),
        publish=lambda out: publish(out, settings.store),
        store=settings.store,
        index=settings.index or default_index_folder(),
        default_host=settings.host,
        default_port=settings.port,
        default_root_path=settings.root_path,
        default_workers=settings.workers,
        language=settings.language,
    )
    return run(arguments, commands, out=sys.stdout, err=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["serve"]))
