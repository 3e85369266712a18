"""The printed numbers that begin headings and items: reading one, and what its style is."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CHINESE = "零〇一二三四五六七八九"
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
_ROMAN = {
    "i": 1,
    "ii": 2,
    "iii": 3,
    "iv": 4,
    "v": 5,
    "vi": 6,
    "vii": 7,
    "viii": 8,
    "ix": 9,
    "x": 10,
    "xi": 11,
    "xii": 12,
}
_NUMERAL = "[〇零一二三四五六七八九十百]{1,5}"

_PART = re.compile(
    rf"第\s?(?P<part>{_NUMERAL}|\d{{1,3}})\s?(?P<unit>条|章|节|部分|编|款)(?![所约规的之中、内])[\s:：、.．]*"
)
_CHINESE_COMMA = re.compile(rf"(?P<cn>{_NUMERAL})(?:\s?(?P<sep>[、.．:：])|[\s\u3000]+)[\s\u3000]*")
_BRACKETED = re.compile(
    rf"[(（【\[]\s?(?:(?P<cn>{_NUMERAL})|(?P<num>\d{{1,3}})|(?P<roman>[ivx]{{1,4}})|(?P<alpha>[A-Za-z]))\s?[)）】\]]"
    r"[\s、.．]*"
)
_DOTTED = re.compile(
    r"(?P<dotted>\d{1,2}(?:[.．]\d{1,2}){1,4})(?![\d%])(?!版|万|亿|元|GB|MB|G\b)[.．、:：]?[\s\u3000]*"
)
_HALF_BRACKETED = re.compile(
    rf"(?:(?P<cn>{_NUMERAL})|(?P<num>\d{{1,3}})|(?P<roman>[ivx]{{1,4}})|(?P<alpha>[A-Za-z]))[)）][\s、.．]*"
)
_NUMBER = re.compile(r"(?P<num>\d{1,3})\s?(?P<sep>[、.．:：])(?!\d)[\s\u3000]*")
_BARE_NUMBER = re.compile(
    r"(?P<num>\d{1,2})[\s\u3000]+(?=[\u4e00-\u9fffA-Z《“])(?!个(?!人)|[天日年月时分小周岁条元次号位台万亿项种家])"
)
_LETTER = re.compile(r"(?:(?P<roman>[ivx]{1,4})|(?P<alpha>[A-Za-z]))(?P<sep>[.．、])(?![A-Za-z0-9])[\s\u3000]*")
_CIRCLE = re.compile(rf"(?P<circle>[{_CIRCLED}])[\s、.．]*")
_BULLET = re.compile(r"(?P<bullet>[•·●■◆◇▪▶►※○◦◎★☆\uf06c\uf0b7\uf09f]|[-–—*+](?![-–—*+\d]))[\s\u3000]*")


@dataclass(frozen=True)
class Marker:
    """A printed number at the beginning of a line.

    ``readings`` are the (style, value) pairs it can be read as, likeliest first (``i)`` is a Roman one and the ninth
    letter); styles of one family differ only in the separator: ``num、`` and ``num.``. ``number`` holds the parts of a
    dotted number, else it is empty. ``label`` is the printed number without 、 and trailing dot, empty for a bullet.
    ``length`` counts the characters up to the text.
    """

    readings: tuple[tuple[str, int], ...]
    label: str
    length: int
    number: tuple[int, ...] = ()

    @property
    def style(self) -> str:
        return self.readings[0][0]

    @property
    def value(self) -> int:
        return self.readings[0][1]

    @property
    def is_bullet(self) -> bool:
        return self.style.startswith("bullet")


def family(style: str) -> str:
    """The style without its separator: ``num、`` and ``num.`` are one family."""
    return style.rstrip("、.:_")


def read_marker(line: str) -> Marker | None:
    """Read the printed number or bullet that ``line`` (no white space before it) begins with, if there is one."""
    if match := _PART.match(line):
        part = match["part"]
        value = int(part) if part.isdecimal() else _chinese_value(part)
        return Marker(((f"part{match['unit']}", value),), match[0].rstrip(" \t\u3000:：、.．"), match.end())
    if match := _DOTTED.match(line):
        printed = match["dotted"].replace("．", ".")
        number = tuple(int(part) for part in printed.split("."))
        return Marker(((f"dotted{len(number)}", number[-1]),), printed, match.end(), number)
    if match := _BRACKETED.match(line):
        label = match[0].strip(" \t\u3000、.．").replace(" ", "")
        return Marker(_readings(match, "()"), label, match.end())
    if match := _HALF_BRACKETED.match(line):
        return Marker(_readings(match, ")"), match[0].strip(" \t\u3000、.．"), match.end())
    if match := _NUMBER.match(line):
        return Marker(((f"num{_separator(match)}", int(match["num"])),), match["num"], match.end())
    if match := _BARE_NUMBER.match(line):
        return Marker((("num_", int(match["num"])),), match["num"], match.end())
    if match := _CHINESE_COMMA.match(line):
        return Marker(((f"cn{_separator(match)}", _chinese_value(match["cn"])),), match["cn"], match.end())
    if match := _LETTER.match(line):
        return Marker(_readings(match, _separator(match)), match[0].rstrip(" \t\u3000、.．"), match.end())
    if match := _CIRCLE.match(line):
        return Marker((("circle", _CIRCLED.index(match["circle"]) + 1),), match["circle"], match.end())
    if match := _BULLET.match(line):
        return Marker(((f"bullet{match['bullet']}", 0),), "", match.end())
    return None


def _separator(match: re.Match[str]) -> str:
    return {"．": ".", "：": ":", None: "_"}.get(match["sep"], match["sep"])


def _readings(match: re.Match[str], closing: str) -> tuple[tuple[str, int], ...]:
    groups = match.groupdict()
    if groups.get("cn"):
        return ((f"cn{closing}", _chinese_value(groups["cn"])),)
    if groups.get("num"):
        return ((f"num{closing}", int(groups["num"])),)
    letters = groups["roman"] or groups["alpha"]
    case = "upper" if letters.isupper() else "lower"
    readings = []
    if groups["roman"] in _ROMAN:
        readings.append((f"roman{closing}", _ROMAN[groups["roman"]]))
    if len(letters) == 1:
        readings.append((f"{case}{closing}", ord(letters.lower()) - ord("a") + 1))
    return tuple(readings) or ((f"roman{closing}", 1),)


def _chinese_value(numeral: str) -> int:
    """Value of a Chinese numeral below 1000; 十 alone is 10, 一〇 and the like are read digit by digit."""
    if "十" not in numeral and "百" not in numeral:
        return int("".join(str(max(0, _CHINESE.index(digit) - 1)) for digit in numeral))
    total, digit = 0, 0
    for character in numeral:
        if character in "十百":
            total += max(1, digit) * (10 if character == "十" else 100)
            digit = 0
        else:
            digit = max(0, _CHINESE.index(character) - 1)
    return total + digit
