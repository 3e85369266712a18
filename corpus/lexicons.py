"""The lexicons that ship with the corpus, read from ``corpus/lexicon`` once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Term:
    """A concept of the privacy-policy domain in two languages.

    ``zh`` holds the forms that policies print, best first; ``plain`` how people say it; ``en`` lower-case English
    phrases; ``gloss`` the short English for a Chinese fact or menu word. ``topic`` is CAPP-130's practice topic, 0 to
    10. A term without ``plain`` and ``en`` is too general to widen a question: it is there for its gloss.
    """

    zh: tuple[str, ...]
    plain: tuple[str, ...]
    en: tuple[str, ...]
    gloss: str
    topic: int


def _read_lexicon(name: str) -> str:
    return (files("corpus") / "lexicon" / name).read_text(encoding="utf-8")


@cache
def load_glossary() -> tuple[Term, ...]:
    """Return the bilingual glossary in file order."""
    rows = tomllib.loads(_read_lexicon("glossary.toml"))["term"]
    return tuple(
        Term(tuple(row["zh"]), tuple(row["plain"]), tuple(row["en"]), row["gloss"], row["topic"]) for row in rows
    )


@cache
def load_words() -> tuple[str, ...]:
    """Return the domain words that jieba must keep whole."""
    return tuple(_read_lexicon("words.txt").split("\n")[:-1])


@dataclass(frozen=True)
class KnownApp:
    """A well-known app: ``name`` as printed, ``aliases`` as people and English write it.

    ``words`` are those of its names that are ordinary words too and count only with case or context. A ``partner`` is
    often built into other apps (sign-in, payment, share, maps); a ``brand`` names a maker or a component first, so
    that it counts as an app only where the word app stands beside it.
    """

    name: str
    aliases: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    partner: bool = False
    brand: bool = False


@dataclass(frozen=True)
class AppWords:
    """``parts`` of app names with their English renderings, look-alike ``shapes``, ``ordinary`` English words."""

    parts: tuple[tuple[str, tuple[str, ...]], ...]
    shapes: tuple[str, ...]
    ordinary: frozenset[str]


@cache
def load_known_apps() -> tuple[KnownApp, ...]:
    """Return the general list of well-known apps in file order."""
    rows = (row for group in tomllib.loads(_read_lexicon("apps.toml"))["group"] for row in group["apps"])
    return tuple(
        KnownApp(
            row["name"],
            tuple(row.get("aliases", ())),
            tuple(row.get("words", ())),
            row.get("partner", False),
            row.get("brand", False),
        )
        for row in rows
    )


@cache
def load_app_words() -> AppWords:
    """Return the parts of app names, the look-alike characters and the ordinary English words."""
    tables = tomllib.loads(_read_lexicon("apps.toml"))
    parts = tuple((part, tuple(renderings)) for part, renderings in tables["parts"].items())
    return AppWords(parts, tuple(tables["shapes"].split()), frozenset(tables["ordinary"].split()))
