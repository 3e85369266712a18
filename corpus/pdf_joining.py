"""Two pieces of text that a line break parts -> one: with a space, without one, or without the hyphen."""

from __future__ import annotations

import re
from collections import Counter

from corpus.printed import WIDE

OPENERS = "(（[【《「“‘"
CLOSERS = ")）]】》」”’，。、；：！？,.;:!?%％"
WIDE_CHARACTER = re.compile(f"[{WIDE}]")
_ADDRESS = re.compile(r"https?://|www\.|@")
_LAST_RUN = re.compile(r"(?<![!-~])[!-~]+$")


def join(text: str, more: str, words: Counter[str]) -> str:
    """Join them; ``words`` counts the document's words in lower case, which decide about a hyphen or a space."""
    if not more.strip():
        return text
    if not text or text.endswith(" "):
        return text + more
    before, after = text[-1:], more[0]
    if WIDE_CHARACTER.match(before) or WIDE_CHARACTER.match(after):
        return text + more
    last = _LAST_RUN.search(text)
    if last is not None and _ADDRESS.search(last[0]):
        return text + more
    first, second = re.search(r"(?<![A-Za-z])[A-Za-z]+-?$", text), re.match("[A-Za-z]+", more)
    if first is not None and second is not None:
        if first[0].endswith("-"):
            whole = (first[0][:-1] + second[0]).lower()
            kept = words[f"{first[0]}{second[0]}".lower()] > words[whole]
            return text + more if kept or second[0][0].isupper() else text[:-1] + more
        if words[(first[0] + second[0]).lower()]:
            return text + more
        return f"{text} {more}"
    if (before.isdecimal() and after.isdecimal()) or before in "-/(@._" or after in CLOSERS:
        return text + more
    return f"{text} {more}" if before.isascii() and after.isascii() and _is_latin(text) else text + more


def _is_latin(text: str) -> bool:
    return len(WIDE_CHARACTER.findall(text)) < 0.2 * len(text)
