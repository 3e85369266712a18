"""The sites that may embed the widget, and the signed scope that says what a frame on one of them may ask.

The operator's settings are a TOML file::

    secret = "…"                                  # at least 32 characters; see `Sites.secret`

    [sites.jinxinban]
    origins = ["https://www.example.cn"]          # exact; or ["*"] alone: any site
    apps = ["津心办"]                              # without it: every app
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.messages import message, printable
from retrieval.datatypes import MAX_ROWS, Answer, Language, Row, Turn

if TYPE_CHECKING:
    from retrieval import Assistant

ANY_ORIGIN = "*"
SITE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
MIN_SECRET_CHARACTERS = 32
MOST_TOLD = 10  # apps of the index, in a message
SCOPE_SECONDS = 3600  # the frame fetches a new one by itself; a site struck off the settings is out within the hour


@dataclass(frozen=True)
class Site:
    """Where a widget may stand and what it may ask about; ``apps`` is ``None`` for every app."""

    origins: tuple[str, ...]
    apps: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Sites:
    """The operator's sites by name. No setting at all is valid: the widget then works on our own origin only.

    ``secret`` signs the scopes. One that is drawn at the start serves a single process; several processes, on one
    machine or many, need the same one from the settings, or each refuses what another signed. ``language`` is the
    operator's.
    """

    by_name: Mapping[str, Site] = field(default_factory=dict)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    language: Language = "en"


class ScopeError(PermissionError):
    """A scope that was not signed here, that is past its time or of a site struck off. A frame may fetch another."""


class AppOutsideScopeError(PermissionError):
    """An app that the frame's site may not ask about."""

    def __init__(self, app: str, apps: Sequence[str]) -> None:
        super().__init__(app)
        self.app = app
        self.apps = tuple(apps)


def load_sites(path: Path | None, language: Language = "en") -> Sites:
    """Read the operator's settings; without a file there are no sites.

    :param language: the operator's.
    :raises ValueError: if the file cannot be read or is no TOML, or a name, origin, app list or secret in it is not
        usable; the message names the setting and the file.
    """
    if path is None:
        return Sites()
    shown = printable(path)
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ValueError(message("settings.sites_missing", language, path=shown)) from exc
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ValueError(message("settings.sites_unreadable", language, path=shown, reason=reason)) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ValueError(message("settings.sites_no_toml", language, path=shown, reason=printable(exc))) from exc
    try:
        return _sites(settings, language)
    except _FaultError as exc:
        raise ValueError(message("settings.sites_fault", language, path=shown, fault=printable(exc))) from exc


class _FaultError(ValueError):
    """What is wrong in the file, in the operator's language, without the file's name."""

    def __init__(self, fault: str, language: Language, /, **values: object) -> None:
        super().__init__(message(f"settings.sites_{fault}", language, **values))


def _sites(settings: Mapping[str, Any], language: Language) -> Sites:
    _allow_only(settings, {"secret", "sites"}, "", language)
    tables = settings.get("sites", {})
    if not isinstance(tables, dict):
        raise _FaultError("tables", language, given=repr(tables))
    by_name = {name: _site(name, table, language) for name, table in tables.items()}
    secret = settings.get("secret")
    if secret is None:
        return Sites(by_name, language=language)
    if not isinstance(secret, str) or len(secret) < MIN_SECRET_CHARACTERS:
        raise _FaultError("secret", language, least=MIN_SECRET_CHARACTERS)
    return Sites(by_name, secret.encode(), language)


def _allow_only(table: Mapping[str, Any], allowed: set[str], place: str, language: Language) -> None:
    if unknown := sorted(table.keys() - allowed):
        raise _FaultError(
            "unknown", language, place=place, unknown=", ".join(unknown), allowed=", ".join(sorted(allowed))
        )


def _site(name: str, table: object, language: Language) -> Site:
    if not SITE_NAME.fullmatch(name):
        raise _FaultError("name", language, name=name)
    if not isinstance(table, dict):
        raise _FaultError("table", language, name=name, given=repr(table))
    _allow_only(table, {"origins", "apps"}, f"[sites.{name}]: ", language)
    origins = _names(table, name, "origins", language)
    if origins != (ANY_ORIGIN,):
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise _FaultError("origin", language, name=name, given=repr(origin))
    return Site(origins, _names(table, name, "apps", language) if "apps" in table else None)


def _names(table: Mapping[str, Any], site: str, key: str, language: Language) -> tuple[str, ...]:
    value = table.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise _FaultError("list", language, name=site, entry=key, given=repr(value))
    return tuple(dict.fromkeys(value))


def resolve_apps(sites: Sites, assistant: Assistant) -> Sites:
    """Return ``sites`` with every app by the name that the index has for it.

    :raises ValueError: if a site names an app that is not in the index.
    """

    def resolve(name: str, site: Site) -> Site:
        if site.apps is None:
            return site
        return replace(site, apps=tuple(dict.fromkeys(_named(app, name) for app in site.apps)))

    def _named(app: str, site: str) -> str:
        try:
            return assistant.policy(app).app
        except ValueError as exc:
            held = "、".join(assistant.apps()[:MOST_TOLD])
            raise ValueError(
                message("settings.sites_app", sites.language, name=site, app=printable(app), apps=printable(held))
            ) from exc

    return replace(sites, by_name={name: resolve(name, site) for name, site in sites.by_name.items()})


def sign_scope(site: str, secret: bytes, *, expires: int) -> str:
    """Return the token of a frame on ``site`` (empty: our own origin), good until ``expires`` (seconds since 1970).

    It is JSON and the HMAC-SHA256 of that, both in URL-safe base64, a dot between.
    """
    payload = json.dumps([site, expires], separators=(",", ":")).encode()
    return f"{_encode(payload)}.{_encode(_sign(payload, secret))}"


def read_scope(token: str, sites: Sites, *, now: float) -> tuple[str, ...] | None:
    """Return the apps that a frame with ``token`` may ask about, ``None`` for every app.

    :raises ScopeError: if it was not signed with the secret of ``sites``, expired before ``now`` or names another site.
    """
    try:
        payload, signature = (base64.b64decode(part, altchars=b"-_", validate=True) for part in token.split("."))
    except (ValueError, binascii.Error) as exc:
        raise ScopeError("not a scope") from exc
    if not hmac.compare_digest(signature, _sign(payload, sites.secret)):
        raise ScopeError("not signed here")
    site, expires = json.loads(payload)
    if expires < now:
        raise ScopeError("expired")
    if site and site not in sites.by_name:
        raise ScopeError("struck off")
    return sites.by_name[site].apps if site else None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _sign(payload: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, payload, hashlib.sha256)


def narrow_scope(
    assistant: Assistant, allowed: tuple[str, ...] | None, wanted: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the apps that stay of those ``allowed`` (``None``: every app) when only ``wanted`` ones are; none: all.

    :raises AppOutsideScopeError: if one of ``wanted`` is not allowed.
    """
    if not wanted:
        return allowed
    return tuple(dict.fromkeys(_require(assistant, app, allowed) or app for app in wanted))


def ask_within(
    assistant: Assistant,
    question: str,
    *,
    apps: Sequence[str] | None,
    app: str | None = None,
    history: Sequence[Turn | str] = (),
) -> Answer:
    """Answer ``question`` as `Assistant.ask` does, from the policies of ``apps`` only (``None``: every app).

    :raises AppOutsideScopeError: if ``app``, or the app that the question or its history is about, is not one of them.
    """
    if app is None and apps is not None and len(apps) == 1:
        app = apps[0]
    if app is not None:
        _require(assistant, app, apps)
        return assistant.ask(question, app=app, history=history)
    answer = assistant.ask(question, history=history)
    if apps is None:
        return answer
    if answer.app is not None and answer.app not in apps:
        raise AppOutsideScopeError(answer.app, apps)
    match answer.status:
        case "which_app":  # its rows are the best few of all apps
            return replace(answer, rows=_rows_within(assistant, answer, assistant.completed(question, history), apps))
        case "compared":
            return _compared_within(answer, apps)
        case "unknown_app":
            first, *others = answer.text.split("\n")
            kept = [line for line in others if not _names_another(assistant, line, apps)]
            return replace(answer, text="\n".join([first, *kept]))
    return answer


def _rows_within(assistant: Assistant, answer: Answer, question: str, apps: Sequence[str]) -> tuple[Row, ...]:
    rows = [row for row in answer.rows if row.app in apps]
    seen = {row.app for row in rows}
    missing = [app for app in apps if app not in seen]
    if missing and len(rows) < MAX_ROWS:
        rows += assistant.compare(question, apps=missing)
    return tuple(sorted(rows, key=lambda row: row.status != "answered")[:MAX_ROWS])


def _compared_within(answer: Answer, apps: Sequence[str]) -> Answer:
    rows = tuple(row for row in answer.rows if row.app in apps or row.status == "unknown_app")
    if not rows:
        raise AppOutsideScopeError("、".join(row.app for row in answer.rows), apps)
    if len(rows) == len(answer.rows):
        return answer
    answered = sum(row.status == "answered" for row in rows)
    text = message("answer.compared_count", answer.language, answered=answered, total=len(rows))
    return replace(answer, text=text, rows=rows)


def _names_another(assistant: Assistant, line: str, apps: Sequence[str]) -> bool:
    return any(name in line for name in assistant.apps() if name not in apps)


def _require(assistant: Assistant, app: str, apps: Sequence[str] | None) -> str | None:
    """Return the index's name of ``app``, ``None`` where it has none and any app may be asked about."""
    try:
        name = assistant.policy(app).app
    except ValueError:
        name = None
    if apps is not None and (name or app) not in apps:  # a host's page may ask for one that is not covered
        raise AppOutsideScopeError(app, apps)
    return name
