"""What the user reads, in Chinese (simplified, traditional) and English, from one catalogue."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _catalogue() -> dict[str, Any]:
    return tomllib.loads((files("corpus") / "lexicon" / "messages.toml").read_text(encoding="utf-8"))


def message(key: str, language: str, **values: object) -> str:
    """Return the message ``section.name`` in ``language`` (``zh``, ``zh-Hant`` or ``en``), its fields filled in.

    :raises KeyError: if the catalogue has no such message or not in that language.
    """
    section, _, name = key.partition(".")
    text: str = _catalogue()[section][name][language]
    return text.format(**values)


def messages(section: str, language: str) -> dict[str, str]:
    """Return every message of ``section`` in ``language``, unfilled, by name."""
    return {name: texts[language] for name, texts in _catalogue()[section].items()}


def printable(text: object) -> str:
    """Return ``text`` from anywhere without what moves a terminal's cursor or turns its writing around."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text))
