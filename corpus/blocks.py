"""A policy's text -> blocks: its lines, with cut lines joined and several items on one line taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

from corpus.numbering import Marker, read_marker

ZERO_WIDTH = "\ufeff\u200b\u200c\u200d\u2060\u180e"
_BLANKS = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000" + ZERO_WIDTH
)
_STRAY_PUNCTUATION = re.compile(r"[;；,，.。、:：!！?？)）”]+")
_INLINE_MARKER = re.compile(r"[(（](\d{1,2})[)）]|(?<![\d.(（])(\d{1,2})[)）]")
_ENDS = frozenset("。！？；!?;：:…")
_CLOSERS = "”’』」】）)》\"' "


@dataclass(frozen=True)
class Block:
    """A stretch of text that is one heading, item or paragraph; ``text`` is ``policy.text[start:end]``."""

    start: int
    end: int
    text: str
    marker: Marker | None

    @property
    def body(self) -> str:
        """The text without its printed number."""
        return self.text[self.marker.length :].strip(_BLANKS) if self.marker else self.text


def is_blank(character: str) -> bool:
    """Whether a character is white space to the parser; zero-width characters and U+FEFF are."""
    return character in _BLANKS


def split_blocks(text: str) -> list[Block]:
    """Cut ``text`` into blocks in text order; every character that is not white space lies in exactly one."""
    lines = _join_lines(text, _read_lines(text))
    blocks: list[Block] = []
    for start, end in lines:
        for item_start, item_end in _split_inline_items(text, start, end):
            line = text[item_start:item_end]
            blocks.append(Block(item_start, item_end, line, read_marker(line)))
    return blocks


def ends_sentence(text: str) -> bool:
    """Whether a block's text ends with the mark of a finished sentence or of a lead-in."""
    return text.rstrip(_CLOSERS)[-1:] in _ENDS or text[-1:] in _ENDS


def _read_lines(text: str) -> list[tuple[int, int]]:
    spans = []
    position = 0
    for line in text.split("\n"):
        bare = line.strip(_BLANKS)
        if bare:
            start = position + len(line) - len(line.lstrip(_BLANKS))
            spans.append((start, start + len(bare)))
        position += len(line) + 1
    return spans


def _join_lines(text: str, lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join a number alone on its line, a lone closing mark and a sentence that a newline cuts."""
    joined: list[tuple[int, int]] = []
    last_piece = ""
    for start, end in lines:
        line = text[start:end]
        if joined and _continues(last_piece, line):
            joined[-1] = (joined[-1][0], end)
            last_piece = last_piece[-200:] + line
        else:
            joined.append((start, end))
            last_piece = line
    return joined


def _continues(before: str, line: str) -> bool:
    if _STRAY_PUNCTUATION.fullmatch(line):
        return True
    marker = read_marker(line)
    alone = read_marker(before)
    if alone is not None and alone.length == len(before) and marker is None:
        return True
    if marker is not None or ends_sentence(before):
        return False
    if before[-1] in "，,、" or line[0] in "，,、。；;）)":
        return True
    if _open_brackets(before) and _closes_first(line):
        return True
    return len(before) >= 25 and re.search("[，,]", before) is not None and re.match(".{1,2}[，,]", line) is not None


def _open_brackets(text: str) -> bool:
    opened = max(text.rfind("("), text.rfind("（"))
    return opened > max(text.rfind(")"), text.rfind("）"))


def _closes_first(line: str) -> bool:
    match = re.search("[()（）]", line)
    return match is not None and match[0] in ")）"


def _split_inline_items(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Take apart a line that begins with (1) or 1) and goes on with (2), (3) … after a finished item each."""
    first = _INLINE_MARKER.match(text, start, end)
    if first is None:
        return [(start, end)]
    bracketed = first[1] is not None
    value = int(first[1] or first[2])
    cuts = [start]
    for match in _INLINE_MARKER.finditer(text, first.end(), end):
        printed = match[1] if bracketed else match[2]
        if printed is None or int(printed) != value + 1:
            continue
        if text[cuts[-1] : match.start()].rstrip(_BLANKS)[-1:] in ("；", ";", "。"):
            cuts.append(match.start())
            value += 1
    spans = []
    for cut, following in zip(cuts, [*cuts[1:], end], strict=True):
        piece_end = following
        while piece_end > cut and text[piece_end - 1] in _BLANKS:
            piece_end -= 1
        spans.append((cut, piece_end))
    return spans
