"""What the operator may set, read from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from corpus.messages import message
from retrieval.datatypes import Language
from web.limits import Rates
from web.listening import HOST_NAME
from web.logs import LOG_LEVELS, LogKind

MOST_WORKERS = 64  # processes of half a gigabyte each; a slip of the keyboard shall not fill the machine
THIS_MACHINE = "127.0.0.1,::1"
HIGHEST_RATE = 10_000_000  # a minute
ROOT_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?")  # it stands in pages and is compared with paths
STORES = ("milvus://", "milvus+https://")


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
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    rates: Rates = field(default_factory=Rates)
    tokens_file: Path | None = None
    log: LogKind | None = None
    log_level: str = "info"
    metrics: tuple[str, int] | None = None
    answer_seconds: int = 30
    drain_seconds: int = 3
    language: Language = "en"

    @classmethod
    def from_environment(cls) -> Settings:
        """Read ``WENTIAO_HOST``, ``_PORT``, ``_ROOT_PATH``, ``_WORKERS`` (processes), ``_MAX_QUESTIONS`` (that are
        answered or wait in each of them; see :mod:`web.admission`), ``_INDEX`` (a built index), ``_MODEL`` (a folder),
        ``_STORE`` (where vectors are searched, if not in the index; see :func:`index.vectors.open_store`), ``_SITES``
        (the TOML file of the sites that may embed the widget; see :mod:`web.sites`) and ``_ALLOWED_HOSTS`` (names that
        the site is reached by, comma between; see :func:`web.listening.choose_hosts`). ``_RATE`` and ``_RATE_ALL`` are
        the questions a minute of one address and of all, in each process, 0 for no limit (see :mod:`web.limits`);
        ``_PROXIES`` the addresses or networks, comma between, of the proxies that say which address a request came
        from (this machine's, if not set; empty for none), and ``_TOKENS_FILE`` makes programs need a token for the API
        (see :mod:`web.tokens`). ``_LOG`` is how ``serve`` logs, ``text`` or ``json`` (text to a terminal, else JSON),
        from which ``_LOG_LEVEL`` on (see :mod:`web.logs`), and ``_METRICS`` the port, or address and port, of its
        figures (see :mod:`web.metrics`). An answer may take ``_ANSWER_SECONDS``; told to end, the server goes on for
        ``_DRAIN_SECONDS`` (see :mod:`web.draining`). The command speaks the language of ``LC_ALL`` or ``LANG``:
        Chinese or English.

        :raises ValueError: if one cannot be meant; the message names it, in the operator's language.
        """
        get = os.environ.get
        language = terminal_language()
        port = _number("WENTIAO_PORT", get("WENTIAO_PORT"), language, 65535)
        workers = _number("WENTIAO_WORKERS", get("WENTIAO_WORKERS"), language, MOST_WORKERS)
        kinds: dict[str, LogKind] = {"text": "text", "json": "json"}
        log = _choice("WENTIAO_LOG", get("WENTIAO_LOG"), tuple(kinds), language)
        answer_seconds = _number("WENTIAO_ANSWER_SECONDS", get("WENTIAO_ANSWER_SECONDS"), language, 3600)
        drain_seconds = _number("WENTIAO_DRAIN_SECONDS", get("WENTIAO_DRAIN_SECONDS"), language, 3600, 0)
        max_questions = _number("WENTIAO_MAX_QUESTIONS", get("WENTIAO_MAX_QUESTIONS"), language, 100_000)
        allowed_hosts = tuple(
            name.strip().lower() for name in get("WENTIAO_ALLOWED_HOSTS", "").split(",") if name.strip()
        )
        for name in allowed_hosts:
            if not HOST_NAME.fullmatch(name):
                raise ValueError(message("settings.allowed_host", language, given=repr(name)))
        rate, rate_all = (
            _number(name, get(name), language, HIGHEST_RATE, 0) for name in ("WENTIAO_RATE", "WENTIAO_RATE_ALL")
        )
        index, sites = get("WENTIAO_INDEX"), get("WENTIAO_SITES")
        return cls(
            host=get("WENTIAO_HOST") or cls.host,
            port=port or cls.port,
            workers=workers or cls.workers,
            max_questions=max_questions,
            root_path=read_root_path("WENTIAO_ROOT_PATH", get("WENTIAO_ROOT_PATH", cls.root_path), language),
            index=Path(index) if index else None,
            model=_model(get("WENTIAO_MODEL"), language),
            store=_store(get("WENTIAO_STORE"), language),
            sites=Path(sites) if sites else None,
            allowed_hosts=allowed_hosts,
            proxies=_networks("WENTIAO_PROXIES", get("WENTIAO_PROXIES", THIS_MACHINE), language),
            rates=Rates(Rates.client if rate is None else rate, Rates.all if rate_all is None else rate_all),
            tokens_file=Path(tokens) if (tokens := get("WENTIAO_TOKENS_FILE")) else None,
            log=kinds[log] if log else None,
            log_level=_choice("WENTIAO_LOG_LEVEL", get("WENTIAO_LOG_LEVEL"), LOG_LEVELS, language) or cls.log_level,
            metrics=_metrics(get("WENTIAO_METRICS"), language),
            answer_seconds=answer_seconds or cls.answer_seconds,
            drain_seconds=cls.drain_seconds if drain_seconds is None else drain_seconds,
            language=language,
        )


def terminal_language() -> Language:
    """Return the language of the operator's terminal, English where it is none of ours."""
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    if not locale.startswith("zh"):
        return "en"
    return "zh-Hant" if locale.startswith(("zh_TW", "zh_HK", "zh_MO")) else "zh"


def read_root_path(name: str, given: str, language: Language) -> str:
    """Return the path that a proxy takes off, without a slash last: empty, or such as ``/wentiao``.

    :param name: of the setting or option that gave it.
    :raises ValueError: if it is no such path.
    """
    if not ROOT_PATH.fullmatch(given):
        raise ValueError(message("settings.root_path", language, name=name, given=repr(given)))
    return given.rstrip("/")


def _number(name: str, given: str | None, language: Language, largest: int, smallest: int = 1) -> int | None:
    if given is None:
        return None
    if not given.isdecimal() or not smallest <= int(given) <= largest:
        values = {"name": name, "smallest": smallest, "largest": largest, "given": repr(given)}
        raise ValueError(message("settings.number", language, **values))
    return int(given)


def _choice(name: str, given: str | None, allowed: Sequence[str], language: Language) -> str | None:
    if not given:
        return None
    if given.lower() not in allowed:
        values = {"name": name, "allowed": ", ".join(allowed), "given": repr(given)}
        raise ValueError(message("settings.choice", language, **values))
    return given.lower()


def _metrics(given: str | None, language: Language) -> tuple[str, int] | None:
    """Return host and port; a port alone is this machine's own."""
    if not given:
        return None
    host, _, port = given.rpartition(":")
    if not port.isdecimal() or not 1 <= int(port) <= 65535 or (host and not HOST_NAME.fullmatch(host.lower())):
        raise ValueError(message("settings.metrics", language, given=repr(given)))
    return host.strip("[]") or "127.0.0.1", int(port)


def _model(given: str | None, language: Language) -> str | None:
    """Return the model as it was given; what is no path is the name of one in the hub's cache."""
    if not given:
        return None
    folder = Path(given)
    if folder.is_dir():
        if not (folder / "config.json").exists() and not (folder / "modules.json").exists():
            raise ValueError(message("settings.model_none", language, path=repr(given)))
    elif folder.is_absolute() or given.startswith((".", "~")) or len(folder.parts) > 2 or folder.exists():
        raise ValueError(message("settings.model_missing", language, path=repr(given)))
    return given


def _store(given: str | None, language: Language) -> str | None:
    if given and not given.startswith(STORES) and not given.endswith(".db"):
        from index.vectors import without_password

        raise ValueError(message("settings.store", language, given=repr(without_password(given))))
    return given or None


def _networks(name: str, given: str, language: Language) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for one in filter(None, map(str.strip, given.split(","))):
        try:
            networks.append(ip_network(one, strict=False))
        except ValueError as exc:
            raise ValueError(message("settings.networks", language, name=name, given=repr(one))) from exc
        if not networks[-1].prefixlen:
            raise ValueError(message("settings.every_network", language, name=name, given=repr(one)))
    return tuple(networks)
