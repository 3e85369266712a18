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
