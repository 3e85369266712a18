"""What the operator may set, read from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from retrieval.datatypes import Language
from web.limits import Rates
from web.security import HOST_NAME

MOST_WORKERS = 64  # processes of half a gigabyte each; a slip of the keyboard shall not fill the machine
THIS_MACHINE = "127.0.0.1,::1"
HIGHEST_RATE = 10_000_000  # a minute


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
    language: Language = "en"

    @classmethod
    def from_environment(cls) -> Settings:
        """Read ``WENTIAO_HOST``, ``_PORT``, ``_ROOT_PATH``, ``_WORKERS`` (processes), ``_MAX_QUESTIONS`` (that are
        answered or wait in each of them; see :mod:`web.admission`), ``_INDEX`` (a built index), ``_MODEL`` (a folder),
        ``_STORE`` (where vectors are searched, if not in the index; see :func:`index.vectors.open_store`), ``_SITES``
        (the TOML file of the sites that may embed the widget; see :mod:`web.sites`) and ``_ALLOWED_HOSTS`` (names that
        the site is reached by, comma between; see :func:`web.security.choose_hosts`). ``_RATE`` and ``_RATE_ALL`` are
        the questions a minute of one address and of all, in each process, 0 for no limit (see :mod:`web.limits`);
        ``_PROXIES`` the addresses or networks, comma between, of the proxies that say which address a request came
        from (this machine's, if not set; empty for none), and ``_TOKENS_FILE`` makes programs need a token for the API
        (see :mod:`web.tokens`). The command speaks the language of ``LC_ALL`` or ``LANG``: Chinese or English.
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
        rates = (_number(f"WENTIAO_{name}", get(f"WENTIAO_{name}"), HIGHEST_RATE, 0) for name in ("RATE", "RATE_ALL"))
        rate, rate_all = rates
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
            proxies=_networks("WENTIAO_PROXIES", get("WENTIAO_PROXIES", THIS_MACHINE)),
            rates=Rates(Rates.client if rate is None else rate, Rates.all if rate_all is None else rate_all),
            tokens_file=Path(tokens) if (tokens := get("WENTIAO_TOKENS_FILE")) else None,
            language=_terminal_language(get("LC_ALL") or get("LC_MESSAGES") or get("LANG") or ""),
        )


def _number(name: str, given: str | None, largest: int, smallest: int = 1) -> int | None:
    if given is None:
        return None
    if not given.isdecimal() or not smallest <= int(given) <= largest:
        raise ValueError(f"{name} must be a number from {smallest} to {largest}, got {given!r}")
    return int(given)


def _networks(name: str, given: str) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for one in filter(None, map(str.strip, given.split(","))):
        try:
            networks.append(ip_network(one, strict=False))
        except ValueError as exc:
            expected = "such as 10.0.0.7 or 172.16.0.0/12, comma between"
            raise ValueError(f"{name} must be addresses or networks {expected}, got {one!r}") from exc
        if not networks[-1].prefixlen:
            raise ValueError(f"{name} must name the proxies, got {one!r}: anybody could then say to be anyone")
    return tuple(networks)


def _terminal_language(locale: str) -> Language:
    if not locale.startswith("zh"):
        return "en"
    return "zh-Hant" if locale.startswith(("zh_TW", "zh_HK", "zh_MO")) else "zh"
