"""What programs put on the page or take off it: the numbers of automatic lists, the ends of wrapped lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

NumberStyle = Literal[
    "decimal",
    "decimal-leading-zero",
    "full-width",
    "circled",
    "lower-alpha",
    "upper-alpha",
    "lower-roman",
    "upper-roman",
    "chinese",
]

WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60\u3000-\u303f“”‘’…—"
"""Characters that no space parts from their neighbours, as the inside of a character class."""

_DIGITS = "零一二三四五六七八九"
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
_ROMAN = ((100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def print_number(value: int, style: NumberStyle) -> str:
    """Return ``value`` in ``style``, without any punctuation; decimal where the style has no such number.

    >>> [print_number(12, style) for style in ("decimal", "chinese", "lower-roman", "upper-alpha", "circled")]
    ['12', '十二', 'xii', 'L', '⑫']
    """
    if style == "decimal-leading-zero":
        return f"{value:02d}"
    if style == "full-width":
        return str(value).translate(_FULL_WIDTH)
    if style == "circled" and 1 <= value <= len(_CIRCLED):
        return _CIRCLED[value - 1]
    if style in ("lower-alpha", "upper-alpha") and value >= 1:
        letters = _print_letters(value)
        return letters.upper() if style == "upper-alpha" else letters
    if style in ("lower-roman", "upper-roman") and 1 <= value < 400:
        roman = _print_roman(value)
        return roman.upper() if style == "upper-roman" else roman
    if style == "chinese" and 0 <= value < 1000:
        return _print_chinese(value)
    return str(value)


def join_lines(lines: Iterable[str]) -> str:
    """Join lines to one; between two Chinese characters nothing, else a space.

    >>> join_lines(["推送消息", "和统计", "SDK", "name"])
    '推送消息和统计 SDK name'
    """
    text = ""
    for line in lines:
        bare = line.strip()
        wide = text and bare and re.match(f"[{WIDE}]", text[-1]) and re.match(f"[{WIDE}]", bare[0])
        text += bare if wide or not text or not bare else f" {bare}"
    return text


def _print_letters(value: int) -> str:
    letters = ""
    while value > 0:
        value, rest = divmod(value - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def _print_roman(value: int) -> str:
    roman = ""
    for amount, letters in _ROMAN:
        count, value = divmod(value, amount)
        roman += letters * count
    return roman


def _print_chinese(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    tens, ones = divmod(rest, 10)
    text = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        text += "十" if tens == 1 and not hundreds else f"{_DIGITS[tens]}十"
    elif hundreds and ones:
        text += "零"
    return text + _DIGITS[ones] if ones or not value else text
