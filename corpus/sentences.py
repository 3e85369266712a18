"""A clause's text -> the spans of its sentences."""

from __future__ import annotations

from corpus.blocks import is_blank

_ALWAYS_ENDS = frozenset("。！？；!?;")
_CLOSES = {
    "”": "“",
    "’": "‘",
    "》": "《",
    "）": "（",
    ")": "(",
    "】": "【",
    "」": "「",
    "』": "『",
    "]": "[",
    "〉": "〈",
}
_OPENS = frozenset(_CLOSES.values())
_HALF_TO_FULL = {"(": "（", ")": "）"}


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans of the sentences in ``text``, in order.

    A sentence ends after 。！？； and their half-width forms, never inside quotation marks, book-title marks or
    brackets that are closed; an opening mark that is never closed holds nothing together. A half-width full stop ends
    a sentence only after a word and before white space or Chinese. Spans neither begin nor end with white space, do
    not overlap, and hold every character that is not white space.

    >>> split_sentences("您可以注销。我们将删除；谢谢")
    [(0, 6), (6, 12), (12, 14)]
    """
    spans: list[tuple[int, int]] = []
    nesting = _nesting_changes(text)
    depth = 0
    start = 0
    position = 0
    while position < len(text):
        depth += nesting.get(position, 0)
        if depth == 0 and position not in nesting and _ends_sentence(text, position):
            end = position + 1
            while end < len(text) and nesting.get(end, 0) == 0 and (text[end] in _ALWAYS_ENDS or text[end] in _CLOSES):
                end += 1
            _append_trimmed(spans, text, start, end)
            start = position = end
        else:
            position += 1
    _append_trimmed(spans, text, start, len(text))
    return spans


def _nesting_changes(text: str) -> dict[int, int]:
    """Offsets of the marks that are opened and closed: +1 where one opens, -1 where it closes."""
    changes: dict[int, int] = {}
    open_marks: list[tuple[str, int]] = []
    waiting: dict[str, int] = {}
    for position, character in enumerate(text):
        mark = _HALF_TO_FULL.get(character, character)
        if mark == '"':
            mark = "”" if waiting.get("“") else "“"
        if mark in _OPENS:
            open_marks.append((mark, position))
            waiting[mark] = waiting.get(mark, 0) + 1
        elif mark in _CLOSES and waiting.get(_CLOSES[mark]):
            while open_marks:
                opened, opened_at = open_marks.pop()
                waiting[opened] -= 1
                if opened == _CLOSES[mark]:
                    changes[opened_at] = 1
                    changes[position] = -1
                    break
    return changes


def _ends_sentence(text: str, position: int) -> bool:
    character = text[position]
    following = text[position + 1 : position + 2]
    if character in "!?;":
        return not (following.isascii() and (following.isalnum() or following in tuple("=&/_")))
    if character == ".":
        before = text[position - 1 : position]
        if not before.isalpha():
            return False
        if not before.isascii():
            return not (following.isascii() and following.isalnum())
        word = text[max(0, position - 2) : position]
        return len(word) == 2 and word.isalpha() and (following == "" or following.isspace())
    return character in _ALWAYS_ENDS


def _append_trimmed(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and is_blank(text[start]):
        start += 1
    while end > start and is_blank(text[end - 1]):
        end -= 1
    if start < end:
        spans.append((start, end))
