"""Chinese facts in English for readers of no Chinese: menu words and time limits, from the glossary."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corpus.lexicons import Term
from retrieval.datatypes import Fact

_ARROW = re.compile(r"(?:(?<!\s)\s++)?(?:[-—–－─→>＞»›]+|[”\"」』】][，,、]?(?:点击|选择|进入)?[“\"「『【])\s*")
_BRACKETS = '“”"「」『』【】[]《》‘’ '
_LIMIT = re.compile(
    r"((?<!\d)\d+|(?<![一二两三四五六七八九十])[一二两三四五六七八九十]+)\s*个?(工作日|自然日|小时|分钟|日|天|月|年|星期|周)(之?内|以内)?"
)
_BOUNDS = (
    ("至少", "at least "),
    ("不少于", "at least "),
    ("不低于", "at least "),
    ("不超过", "at most "),
    ("最长", "at most "),
)
_UNITS = {
    "工作日": "working day",
    "自然日": "calendar day",
    "小时": "hour",
    "分钟": "minute",
    "日": "day",
    "天": "day",
    "月": "month",
    "年": "year",
    "星期": "week",
    "周": "week",
}
_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2}


def chinese_number(text: str) -> int:
    """Return the value of Arabic digits or of a Chinese number below a hundred.

    >>> [chinese_number(text) for text in ("15", "十五", "三十", "二十一", "两")]
    [15, 15, 30, 21, 2]
    """
    if text.isdecimal():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    return (_DIGITS[tens] if tens else 1 if ten else 0) * 10 + (_DIGITS[ones] if ones else 0)


class Glosser:
    """Renders facts in English by the glossary; a menu word that it lacks stays as it is printed."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self._english = {form: term.gloss for term in reversed(terms) for form in reversed(term.zh)}

    def gloss(self, fact: Fact) -> str | None:
        """Return ``fact`` in English, or ``None`` where nothing of it can be rendered."""
        if fact.kind == "menu_path":
            parts = [part.strip(_BRACKETS) for part in _ARROW.split(fact.text)]
            glossed = [self._english.get(part, part) for part in parts]
            return " › ".join(glossed) if glossed != parts else None
        if fact.kind == "time_limit" and (found := _LIMIT.search(fact.text)):
            number = chinese_number(found[1])
            unit = _UNITS[found[2]] + ("s" if number != 1 else "")
            bound = next(
                (english for chinese, english in _BOUNDS if chinese in fact.text), "within " if found[3] else ""
            )
            return f"{bound}{number} {unit}"
        return None
