"""Find names of apps in text, however they are written: folded, Traditional, pinyin, English, misspelt."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from corpus.lexicons import AppWords

Spelling = Literal["name", "pinyin", "initials", "homophone", "misspelt"]

MAX_UNITS = 14  # the longest name of the general list, 国家中小学智慧教育平台, has 11
_UNIT = re.compile(r"[a-z0-9]+|[^\W_a-z0-9]")
_SOFT_GAP = re.compile(r"[ \t\-·.'’:・&+_]{0,3}")
_SYLLABLE = re.compile(
    r"(?:[bpmfdtnlgkhjqxrzcsyw]|[zcs]h)?(?:i?ang?|i?ao?|ai|i?ong|ou?|e[inr]?|eng|i[aenu]?|ing|u[aeino]?"
    r"|u?ang?|uai|ve?)"
)
_LONGEST_SYLLABLE = 6  # zhuang
_INFLECTED = re.compile(r".{3,}(?:ing|ed|ly|tion|s|er|able|ness|ment|al)$")
_CJK = re.compile(r"[\u3400-\u9fff]")


@cache
def _simplified() -> Mapping[int, str]:
    """Return OpenCC's Traditional to Simplified conversion of single characters, as a table for ``str.translate``."""
    from opencc import OpenCC

    chars = [chr(code) for code in range(0x3400, 0xA000)]
    converted = OpenCC("t2s").convert("\n".join(chars)).split("\n")
    return {ord(char): to for char, to in zip(chars, converted, strict=True) if char != to and len(to) == 1}


@cache
def _fold_char(char: str) -> str:
    folded = unicodedata.normalize("NFKD", char).lower()
    if not folded[0].isascii():
        folded = unicodedata.normalize("NFKC", char).lower()
    elif folded[0].isalpha() and all(map(unicodedata.combining, folded[1:])):
        folded = folded[0]
    return folded if len(folded) == 1 else char


def fold(text: str) -> str:
    """Return ``text`` in Simplified Chinese, half width, lower case and without accents, each character in its place.

    A character whose folding is longer than itself stays as it is, so offsets into the result are offsets into
    ``text``.
    """
    return text.lower() if text.isascii() else "".join(map(_fold_char, text.translate(_simplified())))


class Unit(NamedTuple):
    """A run of Latin letters and digits, or one character of another script; ``start``/``end`` are offsets."""

    text: str
    start: int
    end: int
    joined: bool  # nothing, or no more than white space and the like, stands between it and the unit before

    @property
    def latin(self) -> bool:
        return self.text.isascii()


def split_units(folded: str) -> list[Unit]:
    """Split folded text into units; a word ``app`` that is written onto a name is a unit of its own."""
    units: list[Unit] = []
    end = 0
    for match in _UNIT.finditer(folded):
        text, start = match[0], match.start()
        joined = bool(units) and _SOFT_GAP.fullmatch(folded, end, start) is not None
        if text.endswith("app") and len(text) > 5:
            units.append(Unit(text[:-3], start, match.end() - 3, joined))
            text, start, joined = "app", match.end() - 3, True
        units.append(Unit(text, start, match.end(), joined))
        end = match.end()
    return units


def name_key(name: str) -> str:
    """Return what two spellings of one name share: its letters and digits, folded."""
    return "".join(match[0] for match in _UNIT.finditer(fold(name)))


@dataclass(frozen=True)
class Form:
    """One way to write the name of the app ``owner`` (an index that the caller understands); a lower rank wins."""

    owner: int
    name: str
    rank: int
    cuts: frozenset[int] = frozenset()  # offsets in the key where one Latin word may end and the next begin


@dataclass(frozen=True)
class Hit:
    """A name found in units ``first`` to ``last`` (exclusive)."""

    form: Form
    first: int
    last: int
    spelling: Spelling
    size: int  # letters covered


def _latin_cuts(units: Sequence[Unit]) -> frozenset[int]:
    ends = itertools.accumulate(len(unit.text) for unit in units)
    pairs = itertools.pairwise(units)
    return frozenset(end for end, (left, right) in zip(ends, pairs, strict=False) if left.latin and right.latin)


@cache
def _syllables() -> Mapping[int, str]:
    from pypinyin.constants import PINYIN_DICT  # type: ignore[attr-defined,unused-ignore]

    readings: Mapping[int, str] = PINYIN_DICT
    return readings


@cache
def syllable(char: str) -> str:
    """Return the commonest reading of a Chinese character without its tone (``lv`` for lü), else the character."""
    reading = _syllables().get(ord(char), char).split(",")[0].replace("ü", "v")
    return "".join(c for c in unicodedata.normalize("NFD", reading) if not unicodedata.combining(c)).replace("ɡ", "g")


def _sounds_near(a: str, b: str) -> bool:
    """Say whether two syllables are often taken for one another."""
    return _blur(a) == _blur(b)


def _blur(pinyin: str) -> str:
    """Return pinyin without what many do not tell apart: zh/z, ch/c, sh/s, -ng/-n, l/n."""
    return re.sub(r"ng(?![aeiou])", "n", re.sub(r"([zcs])h", r"\1", pinyin)).replace("l", "n")


def is_spelt_out(letters: str) -> bool:
    """Say whether ``letters`` are syllables of pinyin; time grows with their number.

    As one regular expression it would try every way to cut them: iao is one syllable, two, or three.

    >>> is_spelt_out("zhongguo"), is_spelt_out("wechat")
    (True, False)
    """
    ends = {0}
    for end in range(1, len(letters) + 1):
        starts = range(max(0, end - _LONGEST_SYLLABLE), end)
        if any(start in ends and _SYLLABLE.fullmatch(letters, start, end) for start in starts):
            ends.add(end)
    return bool(letters) and len(letters) in ends


def pinyin_of(name: str) -> list[str]:
    """Return the name's units with each Chinese character as its syllable in this word."""
    from pypinyin import lazy_pinyin

    return [unit for part in lazy_pinyin(fold(name)) for unit in _UNIT.findall(part)]


class NameIndex:
    """Forms of names, and every way to find them in units.

    Look-ups are by dictionary: the cost of a question grows with its length, not with the number of names. Misspelt
    names are found by the name with one character left out, as a wildcard (Chinese), and among names that share the
    first or the last two letters (Latin).
    """

    def __init__(self, words: AppWords) -> None:
        self._words = words
        self._shapes: dict[str, set[int]] = {}
        for number, group in enumerate(words.shapes):
            for char in group:
                self._shapes.setdefault(char, set()).add(number)
        self._forms: dict[str, Form] = {}
        self._spoken: dict[str, tuple[Form, str, Spelling]] = {}
        self._wildcards: dict[str, tuple[Form, str]] = {}
        self._ends: dict[str, list[str]] = {}
        self._openings: set[str] = set()  # the first 3 letters of every key, the first 4 of every spoken one
        self._halves: set[str] = set()  # what a misspelt Chinese name has right: "ab-" at its start or "-yz" at its end

    def add(self, text: str, owner: int, *, rank: int, name: str | None = None, fuzzy: bool = True) -> None:
        """Add a form; where the same key is there already, the lower rank stays.

        :param name: what to call the app when it was found by this form; the form itself by default.
        :param fuzzy: also find it misspelt.
        """
        units = split_units(fold(text))
        key = "".join(unit.text for unit in units)
        if len(key) < 2 or (key in self._forms and self._forms[key].rank <= rank):
            return
        form = Form(owner, name or text, rank, _latin_cuts(units))
        self._forms[key] = form
        self._openings.add(key[:3])
        if not fuzzy:
            return
        if _CJK.search(key) is None:
            self._add_ends(key)
        elif all(_CJK.match(char) for char in key) and 2 <= len(key) <= 10:
            some = 1 if len(key) < 4 else 2
            self._halves.update((f"{key[:some]}-", f"-{key[-some:]}"))
            for at in range(len(key)):
                self._wildcards.setdefault(f"{key[:at]}*{key[at + 1 :]}", (form, key))

    def add_spoken(self, name: str, owner: int, *, rank: int, ours: bool, initials: bool = False) -> None:
        """Add the pinyin of a Chinese name, and with that its homophones.

        :param ours: read the characters as in this word (行 in 银行) and find the pinyin misspelt too.
        :param initials: add its initials too.
        """
        key = name_key(name)
        if len(key) < 2 or _CJK.search(key) is None:
            return
        form = Form(owner, name, rank)
        syllables = pinyin_of(name) if ours else [syllable(char) for char in key]
        for spoken in {"".join(syllables), "".join(map(syllable, key))}:
            if len(spoken) >= 4:
                self._spoken.setdefault(spoken, (form, key, "pinyin"))
                self._openings.add(f"~{spoken[:4]}")
                if (
                    ours
                    and spoken == "".join(syllables)
                    and spoken not in self._words.ordinary
                    and spoken not in self._forms
                ):
                    self._add_ends(spoken)
        letters = "".join(part if part.isascii() and not part.isalpha() else part[0] for part in syllables)
        if initials and len(letters) >= 3 and letters not in self._words.ordinary:
            self._spoken.setdefault(letters, (form, key, "initials"))
            self._openings.add(f"~{letters[:4]}")

    def _add_ends(self, key: str) -> None:
        if len(key) >= 5 and not key.isdigit():
            for end in (f"{key[:2]}-", f"-{key[-2:]}"):
                self._ends.setdefault(end, []).append(key)

    def exact(self, text: str) -> Form | None:
        """Return the form that ``text`` as a whole is, in any spelling that is not a mistake."""
        key = name_key(text)
        if key in self._forms:
            return self._forms[key]
        spoken = self._spoken.get(key)
        return spoken[0] if spoken else None

    def owners_near(self, text: str) -> Form | None:
        """Return the form that ``text`` as a whole misspells."""
        units = split_units(fold(text))
        hits = [
            hit for hit in (*self.find(units), *self.find_misspelt(units)) if (hit.first, hit.last) == (0, len(units))
        ]
        return hits[0].form if hits else None

    def find(self, units: Sequence[Unit]) -> list[Hit]:
        """Return every name, pinyin, initials and homophone in ``units``, overlaps included."""
        hits: list[Hit] = []
        spoken_units = [unit.text if unit.latin else syllable(unit.text) for unit in units]
        for first in range(len(units)):
            key = spoken = ""
            for last in range(first + 1, min(first + MAX_UNITS, len(units)) + 1):
                if key and not units[last - 1].joined:
                    break
                key += units[last - 1].text
                spoken += spoken_units[last - 1]
                is_open = len(key) < 3 or key[:3] in self._openings
                is_open_spoken = (
                    len(spoken) < 3 or (len(spoken) < 4 and last == first + 1) or f"~{spoken[:4]}" in self._openings
                )
                if not is_open and not is_open_spoken:
                    break
                form = self._forms.get(key)
                if form is not None and (last == first + 1 or _latin_cuts(units[first:last]) <= form.cuts):
                    hits.append(Hit(form, first, last, "name", len(key)))
                    continue
                found = self._spoken.get(spoken)
                if found is not None and (spelling := self._spelling(key, units[first:last], *found)):
                    hits.append(Hit(found[0], first, last, spelling, len(key)))
        return hits

    def _spelling(self, key: str, window: Sequence[Unit], form: Form, name: str, kind: Spelling) -> Spelling | None:
        latin = sum(unit.latin for unit in window)
        if kind == "initials":
            return "initials" if len(window) == latin == 1 else None
        if latin == len(window):
            return None if key in self._words.ordinary else "pinyin"
        if latin and any(unit.latin and unit.text not in name for unit in window):
            return "pinyin"
        kept = sum(a == b for a, b in zip(key, name, strict=False))
        return "homophone" if len(key) == len(name) and (kept or len(name) > 3) else None

    def find_misspelt(self, units: Sequence[Unit]) -> list[Hit]:
        """Return the names that ``units`` misspell: one Chinese character, or one to two Latin letters, wrong."""
        hits: list[Hit] = []
        for first in range(len(units)):
            latin = units[first].latin
            key = ""
            for last in range(first + 1, min(first + (4 if latin else 9), len(units)) + 1):
                unit = units[last - 1]
                if unit.latin != latin or (key and not unit.joined):
                    break
                key += unit.text
                form = self._misspelt_latin(key, units[first:last]) if latin else self._misspelt_chinese(key)
                if form is not None:
                    hits.append(Hit(form, first, last, "misspelt", len(key)))
        return hits

    def _misspelt_chinese(self, key: str) -> Form | None:
        if len(key) < 2:
            return None
        halves = (f"{key[0]}-", f"{key[:2]}-", f"-{key[-1]}", f"-{key[-2:]}")
        if self._halves.isdisjoint(halves):
            return None
        for at in range(len(key)):
            found = self._wildcards.get(f"{key[:at]}*{key[at + 1 :]}")
            if found and self._confusable(key[at], found[1][at], length=len(key)):
                return found[0]
        for at in range(len(key) - 1):
            swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
            if len(key) >= 3 and swapped in self._forms and key[at] != key[at + 1]:
                return self._forms[swapped]
        if len(key) >= 4:
            for at in range(1, len(key)):
                found = self._wildcards.get(f"{key[:at]}*{key[at:]}")
                if found:
                    return found[0]
        if len(key) >= 5:
            for at in range(1, len(key) - 1):
                form = self._forms.get(key[:at] + key[at + 1 :])
                if form:
                    return form
        return None

    def _confusable(self, a: str, b: str, *, length: int) -> bool:
        if length >= 5 or self._shapes.get(a, set()) & self._shapes.get(b, set()):
            return True
        return length > 2 and _sounds_near(syllable(a), syllable(b))

    def _misspelt_latin(self, key: str, window: Sequence[Unit]) -> Form | None:
        ordinary = sum(unit.text in self._words.ordinary or len(unit.text) < 3 for unit in window)
        if ordinary == len(window) or len(key) < 5 or key.isdigit():
            return None
        near = list(self._near_ends(key))
        if not near:
            return None
        from rapidfuzz.distance import OSA

        if is_spelt_out(key):  # another pinyin word, unless it is one that many hear as the same
            return next((self._form_of(name) for name in near if _blur(name) == _blur(key)), None)
        most = 1 if len(window) > 1 or _INFLECTED.match(key) else 2
        best: tuple[int, str] | None = None
        for name in near:
            allowed = min(most, 2 if len(name) >= 8 else 1)
            distance = OSA.distance(key, name, score_cutoff=allowed)
            if 0 < distance <= allowed and (best is None or (distance, name) < best):
                best = (distance, name)
        return self._form_of(best[1]) if best else None

    def _near_ends(self, key: str) -> Iterator[str]:
        for end in (f"{key[:2]}-", f"-{key[-2:]}"):
            for name in self._ends.get(end, ()):
                if abs(len(name) - len(key)) <= 1:
                    yield name

    def _form_of(self, key: str) -> Form:
        return self._forms[key] if key in self._forms else self._spoken[key][0]


def longest(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits that do not overlap, in order: the longest first, one that is no mistake before one that is."""
    order: dict[Spelling, int] = {"name": 0, "pinyin": 1, "initials": 1, "homophone": 2, "misspelt": 3}
    taken: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (-hit.size, order[hit.spelling], hit.first)):
        if all(hit.last <= other.first or other.last <= hit.first for other in taken):
            taken.append(hit)
    return sorted(taken, key=lambda hit: hit.first)
