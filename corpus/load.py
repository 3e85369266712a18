"""Files -> policies: what is in them, and what the catalogue beside the files states."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from corpus.blocks import ZERO_WIDTH
from corpus.datatypes import Policy
from corpus.formats import SUFFIXES, read_file
from corpus.from_text import decode_policy as decode_policy
from corpus.from_text import read_markdown
from corpus.metadata import read_metadata

_ALLOWED = frozenset(("name", "aliases", "operator", "updated", "effective", "source", "contact"))
LONGEST_NAME = 100
"""Characters of an app's name: what the API takes (web.schema); the longest of 135 has 14."""
_DAYS = ("updated", "effective")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def default_policies_folder() -> Path:
    """Return the folder of the policies that the project ships."""
    return Path(__file__).parent / "policies"


def load_policies(folders: Sequence[Path]) -> tuple[Policy, ...]:
    """Read every file of ``folders`` in a format of `corpus.formats.SUFFIXES`, in order of folder and file name.

    A ``catalog.toml`` in a folder states name, aliases, operator, dates, source and contact by file name; without an
    entry the app is the NFC file stem and the rest is what the text itself states.

    :raises FileNotFoundError: if a folder does not exist.
    :raises ValueError: if a file cannot be read, the catalogue is not valid or names a file that is not there, or
        two files are of the same app.
    """
    policies: dict[str, tuple[Policy, Path]] = {}
    for folder in folders:
        catalog = _read_catalog(folder)
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        unknown = set(catalog) - {unicodedata.normalize("NFC", path.name) for path in paths}
        if unknown:
            raise ValueError(f"{folder / 'catalog.toml'}: no such file: {', '.join(sorted(unknown))}")
        for path in paths:
            policy = _read_policy(path, catalog.get(unicodedata.normalize("NFC", path.name)))
            if problem := find_name_problem(policy.app):
                raise ValueError(f"{escape_unprintable(str(path))}: {problem}")
            if policy.app in policies:
                raise ValueError(f"two files for the app {policy.app!r}: {policies[policy.app][1]} and {path}")
            policies[policy.app] = (policy, path)
    return _without_shared_aliases([policy for policy, _ in policies.values()])


def _without_shared_aliases(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """Drop an alias that is another app's name or that several apps claim: it tells none of them from the others."""
    claims = Counter(alias for policy in policies for alias in set(policy.aliases))
    apps = {policy.app for policy in policies}
    return tuple(
        replace(policy, aliases=tuple(name for name in policy.aliases if claims[name] == 1 and name not in apps))
        for policy in policies
    )


def _read_catalog(folder: Path) -> dict[str, dict[str, Any]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of policies")
    path = folder / "catalog.toml"
    return parse_catalog(path.read_bytes(), name=str(path)) if path.exists() else {}


def parse_catalog(data: bytes, *, name: str) -> dict[str, dict[str, Any]]:
    """Read a ``catalog.toml``: what it states by NFC file name.

    :raises ValueError: if it is no TOML in UTF-8 or holds what no catalogue does; the message begins with ``name``.
    """
    try:
        entries = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ValueError(f"{name}: not a TOML file in UTF-8: {exc}") from exc
    except RecursionError as exc:
        raise ValueError(f"{name}: nested too deeply") from exc
    for file_name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) - _ALLOWED:
            raise ValueError(f"{name}: [{file_name}] may hold only {', '.join(sorted(_ALLOWED))}")
    return {
        unicodedata.normalize("NFC", file_name): {
            key: _check_value(value, key, where=f"{name}: [{file_name}] {key}") for key, value in entry.items()
        }
        for file_name, entry in entries.items()
    }


def _check_value(value: object, key: str, *, where: str) -> object:
    """Return what a catalogue states for ``key``, a TOML date as its ISO 8601 day."""
    if key == "aliases":
        if not isinstance(value, list) or not all(isinstance(alias, str) for alias in value):
            raise ValueError(f'{where} is {_show(value)}; allowed is a list of strings, ["甲", "乙"]')
        for alias in value:
            if problem := find_name_problem(alias):
                raise ValueError(f"{where}: {problem}")
        return value
    if key in _DAYS and isinstance(value, date):
        return (value.date() if isinstance(value, datetime) else value).isoformat()
    if key in _DAYS and not (isinstance(value, str) and _is_day(value)):
        raise ValueError(f'{where} is {_show(value)}; allowed is a day, "2024-08-01"')
    if not isinstance(value, str):
        raise ValueError(f"{where} is {_show(value)}; allowed is a string")
    if key == "name" and (problem := find_name_problem(value)):
        raise ValueError(f"{where}: {problem}")
    return value


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _show(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"


def find_name_problem(name: str) -> str | None:
    """Say why ``name`` cannot be an app's: it is blank, or holds what is not seen and changes what is.

    >>> find_name_problem("甲\\n乙")
    "the app name '甲\\\\n乙' holds a control character; give it a name without, with --app or in catalog.toml"
    """
    if not name.strip().strip(ZERO_WIDTH).strip():
        return f"the app name {name!r} is blank; give it one, with --app or in catalog.toml"
    if len(name) > LONGEST_NAME:
        return f"the app name has {len(name)} characters, allowed are {LONGEST_NAME}; give a shorter one, with --app"
    if _UNPRINTABLE.search(name):
        shown = escape_unprintable(name)
        return (
            f"the app name '{shown}' holds a control character; give it a name without, with --app or in catalog.toml"
        )
    return None


def escape_unprintable(text: str) -> str:
    r"""Return ``text`` for people to read: controls, and what turns the direction of text, as their escapes.

    >>> escape_unprintable("a\x1b]0;b")
    'a\\x1b]0;b'
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def make_policy(text: str, *, stem: str, entry: dict[str, Any] | None) -> Policy:
    """Make a policy of what its catalogue entry states, or without one of its name and what the text states."""
    if entry is None:
        found = read_metadata(text, app=stem)
        return Policy(
            app=stem,
            text=text,
            aliases=found.aliases,
            operator=found.operator,
            updated=found.updated,
            effective=found.effective,
            contact=found.contact,
        )
    return Policy(
        app=entry.get("name", stem),
        text=text,
        aliases=tuple(entry.get("aliases", ())),
        operator=entry.get("operator"),
        updated=entry.get("updated"),
        effective=entry.get("effective"),
        source=entry.get("source"),
        contact=entry.get("contact"),
    )


def _read_policy(path: Path, entry: dict[str, Any] | None) -> Policy:
    return make_policy(_read_text(path), stem=unicodedata.normalize("NFC", path.stem), entry=entry)


def _read_text(path: Path) -> str:
    """Text and Markdown are decoded here; what needs a parser is read in a process of its own."""
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return decode_policy(path.read_bytes(), name=path.name)
    try:
        return read_markdown(path.read_bytes()) if suffix == ".md" else read_file(path)
    except ValueError as exc:
        raise ValueError(f"{path.name}: {exc}") from exc
