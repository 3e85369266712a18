"""What is searched for: the question without its app's name, and the policy words that people put otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from corpus.lexicons import Term, load_app_words
from index.lexical import fold, tokenize
from retrieval.datatypes import FactKind, Language
from retrieval.facts import named_kinds, wanted_kinds
from retrieval.pinyin import PinyinReader
from retrieval.question import detect_language

_WORD = re.compile(r"[a-z0-9]+")
_EMPTY = re.compile(
    "a|an|the|my|your|their|our|his|her|its|i|you|we|they|it|me|us|them|is|are|was|be|do|does|did|to|of|for|in|on|at"
    "|this|that|these|those|please|can|could|will|would|shall|may"
)
_LONGEST_PHRASE = 6  # words in the longest English phrase that the glossary is searched for


@dataclass(frozen=True)
class Query:
    """A question made searchable: ``text`` for the encoder, ``tokens`` and ``expansions`` for BM25.

    ``expansions`` are tokens that the asker did not use but policies do, from the glossary.
    """

    text: str
    tokens: tuple[str, ...]
    expansions: tuple[str, ...]


def stem(word: str) -> str:
    """Return an English word without the endings that people vary: plural s, ing, ed, and the y that turns into ies.

    >>> [stem(word) for word in ("deleting", "contacts", "stored", "address", "its")]
    ['delet', 'contact', 'stor', 'address', 'its']
    """
    for ending in ("ing", "ied", "ies", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def content_words(text: str) -> list[str]:
    """Return the stems of the English words of folded ``text`` that carry meaning, in order."""
    return [stem(word) for word in _WORD.findall(text) if not _EMPTY.fullmatch(word)]


def phrase_words(phrase: str) -> tuple[str, ...]:
    """Return the stems by which a glossary phrase is found: those with meaning, or all of "about me" and "what for"."""
    words = content_words(phrase)
    return tuple(words if len(words) > 1 else map(stem, _WORD.findall(phrase)))


class Glossary:
    """Finds the concepts of the privacy domain in a question, in whichever words it puts them."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._chinese: dict[str, list[tuple[str, int]]] = {}  # by the first two characters
        self._english: dict[tuple[str, ...], int] = {}
        self._terms = tuple(terms)
        self.pinyin = PinyinReader((form for term in terms for form in term.zh), load_app_words().ordinary)
        for number, term in enumerate(terms):
            if not (term.plain or term.en):
                continue  # a menu word with an English gloss, too general to say what a question is about
            for phrase in (*term.zh, *term.plain):
                folded = fold(phrase)
                words = phrase_words(folded)
                if folded.isascii() and words:
                    self._english.setdefault(words, number)
                elif len(folded) > 1:
                    self._chinese.setdefault(folded[:2], []).append((folded, number))
            for phrase in term.en:
                if words := phrase_words(fold(phrase)):
                    self._english.setdefault(words, number)

    def find(self, text: str) -> tuple[Term, ...]:
        """Return the concepts named in ``text``, each once, those with the longest wording first."""
        folded = fold(text)
        found: dict[int, int] = {}
        for start in range(len(folded) - 1):
            for phrase, number in self._chinese.get(folded[start : start + 2], ()):
                if folded.startswith(phrase, start):
                    found[number] = max(found.get(number, 0), 2 * len(phrase))
        for words in (content_words(folded), [stem(word) for word in _WORD.findall(folded)]):
            for begin in range(len(words)):
                for end in range(begin + 1, min(len(words), begin + _LONGEST_PHRASE) + 1):
                    number = self._english.get(tuple(words[begin:end]), -1)
                    if number >= 0:
                        found[number] = max(found.get(number, 0), sum(map(len, words[begin:end])))
        return tuple(self._terms[number] for number in sorted(found, key=lambda key: (-found[key], key)))


def make_query(text: str, concepts: Sequence[Term]) -> Query:
    """Return the query for ``text``, a question without its app's name in simplified characters, and its concepts."""
    tokens = tuple(tokenize(text))
    present = set(tokens)
    expansions: dict[str, None] = {}
    for concept in concepts:
        for form in concept.zh[:2]:
            expansions.update((token, None) for token in _tokens_of_form(form) if token not in present)
    return Query(text, tokens, tuple(expansions))


@cache
def _tokens_of_form(form: str) -> tuple[str, ...]:
    """Cut one of the glossary's words, each once."""
    return tuple(tokenize(form))


@dataclass(frozen=True)
class Asked:
    """A question as understood: its own words without the app, its language, its query, the kinds of fact it wants.

    ``is_bare`` says that it wants nothing but these.
    """

    question: str
    language: Language
    query: Query
    wanted: tuple[FactKind, ...]
    concept_count: int
    is_bare: bool = False


def understand(text: str, language: Language, glossary: Glossary) -> Asked:
    """Return what a question asks; ``text`` is without its app's name and in simplified characters.

    What is typed in pinyin is read as the characters it spells, and answered in Chinese.
    """
    read = glossary.pinyin.read(text)
    if read != text:
        text, language = read, detect_language(read) if language == "en" else language
    concepts = glossary.find(text)
    named = named_kinds(text, language)
    wanted = named or wanted_kinds(text, language)
    return Asked(text, language, make_query(text, concepts), wanted, len(concepts), is_bare=bool(named))
