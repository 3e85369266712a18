"""Composition root: environment -> settings -> assistant -> web app or command."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from retrieval import Assistant
from retrieval.datatypes import Language
from web.cli import EXIT_UNUSABLE, MOST_WORKERS, Commands, ProgressBar, run
from web.security import HOST_NAME, choose_hosts


@dataclass(frozen=True)
class Settings:
    """What the operator may set; :meth:`from_environment` names the variables."""

    host: str = "127.0.0.1"
    port: int = 7860
    workers: int = 1
    max_questions: int | None = None
    root_path: str = ""
    index: Path | None = None
    model: str | None = None
    store: str | None = None
    sites: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    language: Language = "en"

    @classmethod
    def from_environment(cls) -> Settings:
        """Read ``WENTIAO_HOST``, ``_PORT``, ``_ROOT_PATH``, ``_WORKERS`` (processes), ``_MAX_QUESTIONS`` (that are
        answered or wait in each of them; see :mod:`web.admission`), ``_INDEX`` (a built index), ``_MODEL`` (a folder),
        ``_STORE`` (where vectors are searched, if not in the index; see :func:`index.vectors.open_store`), ``_SITES``
        (the TOML file of the sites that may embed the widget; see :mod:`web.sites`) and ``_ALLOWED_HOSTS`` (names that
        the site is reached by, comma between; see :func:`web.security.choose_hosts`). The command speaks the language
        of ``LC_ALL`` or ``LANG``: Chinese or English.
        """
        get = os.environ.get
        port = _number("WENTIAO_PORT", get("WENTIAO_PORT"), 65535)
        workers = _number("WENTIAO_WORKERS", get("WENTIAO_WORKERS"), MOST_WORKERS)
        max_questions = _number("WENTIAO_MAX_QUESTIONS", get("WENTIAO_MAX_QUESTIONS"), 100_000)
        allowed_hosts = tuple(
            name.strip().lower() for name in get("WENTIAO_ALLOWED_HOSTS", "").split(",") if name.strip()
        )
        for name in allowed_hosts:
            if not HOST_NAME.fullmatch(name):
                expected = "such as wentiao.example.cn (without scheme, port and path), comma between"
                raise ValueError(f"WENTIAO_ALLOWED_HOSTS must be host names {expected}, got {name!r}")
        index, sites = get("WENTIAO_INDEX"), get("WENTIAO_SITES")
        return cls(
            host=get("WENTIAO_HOST", cls.host),
            port=port or cls.port,
            workers=workers or cls.workers,
            max_questions=max_questions,
            root_path=get("WENTIAO_ROOT_PATH", cls.root_path),
            index=Path(index) if index else None,
            model=get("WENTIAO_MODEL"),
            store=get("WENTIAO_STORE"),
            sites=Path(sites) if sites else None,
            allowed_hosts=allowed_hosts,
            language=_terminal_language(get("LC_ALL") or get("LC_MESSAGES") or get("LANG") or ""),
        )


def _number(name: str, given: str | None, largest: int) -> int | None:
    if given is None:
        return None
    if not given.isdecimal() or not 1 <= int(given) <= largest:
        raise ValueError(f"{name} must be a number from 1 to {largest}, got {given!r}")
    return int(given)


def _terminal_language(locale: str) -> Language:
    if not locale.startswith("zh"):
        return "en"
    return "zh-Hant" if locale.startswith(("zh_TW", "zh_HK", "zh_MO")) else "zh"


def open_assistant(settings: Settings) -> Assistant:
    """Open the assistant that the settings ask for, preparing model and index on first use."""
    from index.encoder import load_encoder

    return Assistant.open(
        settings.index, encoder=load_encoder(settings.model), store=settings.store, progress=ProgressBar()
    )


@contextmanager
def open_batching(settings: Settings) -> Iterator[Assistant]:
    """Open the assistant for many users at once: what they ask together is encoded together."""
    from index.batching import BatchingEncoder
    from index.encoder import load_encoder

    with closing(BatchingEncoder(load_encoder(settings.model))) as encoder:
        yield Assistant.open(settings.index, encoder=encoder, store=settings.store, progress=ProgressBar())


def opened_for_many(settings: Settings) -> AbstractContextManager[Assistant]:
    """Open :func:`open_batching` when it is entered, and make it ready to serve."""
    from web.serving import ready_to_serve

    return ready_to_serve(partial(open_batching, settings))


def serve(settings: Settings, host: str, port: int, root_path: str, workers: int) -> bool:
    """Serve the web chat and the API until stopped; return whether that went well."""
    from index.engine import core_count
    from web.server import WebSettings, serve_many
    from web.server import serve as serve_web
    from web.sites import load_sites

    web = WebSettings(
        root_path=root_path,
        sites=load_sites(settings.sites),
        allowed_hosts=choose_hosts(host, settings.allowed_hosts),
        max_questions=settings.max_questions or WebSettings.max_questions,
    )
    address = f"问条 Wentiao: http://{host}:{port}{root_path}/\n"
    if workers > 1:
        if settings.store and settings.store.endswith(".db"):
            raise ValueError(f"{workers} processes cannot share the Milvus Lite file {settings.store}; use a server")
        # Read by what multiplies matrices when the processes import it: together they have the cores once.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, core_count() // workers)))
        sys.stderr.write(address)
        return serve_many(partial(opened_for_many, settings), web, host=host, port=port, workers=workers)
    with opened_for_many(settings) as assistant:
        sys.stderr.write(address)
        serve_web(assistant, web, host=host, port=port)
    return True


def build_index(settings: Settings, policies: Sequence[Path], out: Path | None) -> str:
    """Build an index of folders of policies, without a folder the default one; return what to tell the operator."""
    from corpus.load import default_policies_folder, load_policies
    from index.encoder import load_encoder
    from index.store import build_index, default_index_folder, open_default, publish, read_versions

    encoder = load_encoder(settings.model)
    folder = out or settings.index
    if folder is None:
        if policies:
            raise ValueError(
                "say where an index of your own policies goes: --out PATH, or WENTIAO_INDEX in the environment"
            )
        generation = open_default(encoder, progress=ProgressBar())
        publish(default_index_folder(), settings.store)
        return f"{len(generation.current)} policies indexed at {default_index_folder()}"
    loaded = load_policies(policies or [default_policies_folder()])
    apps = {policy.app for policy in loaded}
    gone = dict.fromkeys(one.app for one in read_versions(folder) if one.is_current and one.app not in apps)
    build_index(loaded, folder, encoder, progress=ProgressBar())
    publish(folder, settings.store)
    told = f"{len(loaded)} policies indexed at {folder}"
    return f"{told}; no longer in it: {', '.join(gone)}" if gone else told


def prepare_index(settings: Settings) -> None:
    """Make sure that the default index is there, where the settings name no other."""
    from index.encoder import load_encoder
    from index.store import open_default

    if settings.index is None:
        open_default(load_encoder(settings.model), progress=ProgressBar())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``wentiao``; return its exit code."""
    from index.encoder import load_encoder
    from index.store import default_index_folder, publish

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        sys.stderr.write(f"wentiao: {error}\n")
        return EXIT_UNUSABLE
    commands = Commands(
        open_assistant=lambda: open_assistant(settings),
        serve=partial(serve, settings),
        build_index=lambda folders, out: build_index(settings, folders, out),
        load_encoder=lambda: load_encoder(settings.model),
        prepare_index=lambda: prepare_index(settings),
        publish=lambda out: publish(out, settings.store),
        index=settings.index or default_index_folder(),
        default_host=settings.host,
        default_port=settings.port,
        default_root_path=settings.root_path,
        default_workers=settings.workers,
        allowed_hosts=settings.allowed_hosts,
        language=settings.language,
    )
    return run(sys.argv[1:] if arguments is None else arguments, commands, out=sys.stdout, err=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["serve"]))
