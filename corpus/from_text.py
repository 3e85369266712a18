"""Bytes of a text or Markdown file -> text."""

from __future__ import annotations

import html
import re

from corpus.blocks import ZERO_WIDTH
from corpus.numbering import read_marker

_ALLOWED = "allowed is text in UTF-8 (with or without BOM) or GB18030"
_CONTROL = frozenset(map(chr, range(32))) - set("\t\n\x0b\x0c\r")
_FENCE = re.compile(r"\s{0,3}(?:```|~~~)[^`]*")
_ATX = re.compile(r"\s{0,3}#{1,6}(?:[ \t]+|$)(.*)")
_SETEXT = re.compile(r"\s{0,3}=+\s*")
_QUOTE = re.compile(r"(?:\s{0,3}>[ \t]?)+")
_TABLE_RULE = re.compile(r"\s*+\|?\s*+:?-++:?\s*+(?:\|\s*+:?-++:?\s*+)*+\|?\s*+")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_INLINE_TAG = re.compile(r"</?(?:b|strong|i|em|u|span|font|sup|sub|a|p|div|center)(?:\s[^<>]*)?>", re.IGNORECASE)
_IMAGE = re.compile(r"!\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_LINK = re.compile(r"\[([^\[\]]+)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:\s+\"[^\"]*\")?\)")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]+|[^<>\s@]+@[^<>\s@]+)>")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_LONGEST_EMPHASIS = 3000  # without an end, time would grow with the square of a line that opens many and closes none
_EMPHASIS = (
    *(
        re.compile(
            rf"(?<!{mark}){edge}(?!{mark})(?=\S)(?P<inside>.{{1,{_LONGEST_EMPHASIS}}}?)(?<=\S)(?<!{mark}){edge}(?!{mark})"
        )
        for mark, edge in ((r"\*", r"\*\*\*"), (r"\*", r"\*\*"), ("~", "~~"), ("`", "`"))
    ),
    # a lone star before or after punctuation is a footnote's mark in plain text, and no emphasis in CommonMark either
    re.compile(
        r"(?:(?<!\*)\*(?=\w)|(?<![\w*])\*(?=[^\s\w*]))(?P<inside>[^*]+?)"
        r"(?:(?<=\w)\*(?!\*)|(?<=[^\s\w*])\*(?![\w*]))"
    ),
    re.compile(
        rf"(?<![\w_])(?P<edge>_{{1,3}})(?!_)(?=\S)(?P<inside>.{{1,{_LONGEST_EMPHASIS}}}?)(?<=\S)(?<!_)(?P=edge)(?![\w_])"
    ),
)
_WHOLE_LINE = re.compile(r"(\s*)(\*{2,3}|__)(?![*_])(.+?)(?<![*_])\2(\s*)")
_LAZY_ITEM = re.compile(r"( *)1([.)]) +(?=\S)")


def decode_policy(data: bytes, *, name: str) -> str:
    """Decode a policy file; newlines become ``\\n`` and a leading BOM goes, nothing else changes.

    :param name: the file's name, for the error messages.
    :raises ValueError: if the data is empty, blank, binary or in another encoding.
    """
    try:
        return decode_text(data)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc


def decode_text(data: bytes) -> str:
    """Decode as `decode_policy` does; the messages do not name the file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError as exc:
            raise ValueError(f"{len(data)} bytes in an unknown encoding; {_ALLOWED}") from exc
    if control := next((character for character in text if character in _CONTROL), None):
        raise ValueError(f"binary data (character {control!r}, {len(data)} bytes); {_ALLOWED}")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip().strip(ZERO_WIDTH).strip():
        raise ValueError(f"empty ({len(data)} bytes); {_ALLOWED}, with at least one word in it")
    return text


def read_markdown(data: bytes) -> str:
    """Decode Markdown and take away its marks, line by line: a line that has none stays as it is.

    Headings, emphasis, links (their text stays), quotes, fences, comments and escapes lose their marks; a row of a
    table becomes its cells with tabs between them; items that are all numbered 1. are numbered as a browser does.
    Bullets stay: the parser reads them. The text is not parsed as CommonMark: a policy that was written as plain
    text must not lose its line breaks or its printed numbers.
    """
    text = decode_text(data)
    lines = [line for line in _without_comments(text).split("\n") if not _FENCE.fullmatch(line)]
    cleaned: list[str] = []
    for index, line in enumerate(lines):
        if _SETEXT.fullmatch(line) and index and lines[index - 1].strip():
            continue
        if _TABLE_RULE.fullmatch(line) and "|" in line:
            continue
        cleaned.extend(_clean_line(line).split("\n"))
    return "\n".join(_number_lazy_items(cleaned))


def _without_comments(text: str) -> str:
    """Take away ``<!-- … -->``; one that is never closed is text. A regex would look for its end from every start."""
    kept: list[str] = []
    position = 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[position:start])
        position = end + 3
    return "".join([*kept, text[position:]])


def _clean_line(line: str) -> str:
    if quote := _QUOTE.match(line):
        line = line[quote.end() :]
    if heading := _ATX.fullmatch(line):
        line = _without_closing_marks(heading[1].rstrip(" \t"))
    bare = line.strip()
    if len(bare) > 1 and bare[0] == "|" and bare[-1] == "|":
        cells = re.split(r"(?<!\\)\|", bare[1:-1])
        line = "\t".join(cell.strip() for cell in cells).rstrip("\t")
    if re.search(r"  $|[^\\]\\$", line):
        line = line.rstrip(" ").removesuffix("\\")
    return _clean_inline(line)


def _without_closing_marks(heading: str) -> str:
    """Return the text of a heading without the # that may close it: ``## 一、总则 ##``."""
    bare = heading.rstrip("#")
    return bare.rstrip(" \t") if bare and bare != heading and bare[-1] in " \t" else heading


def _clean_inline(line: str) -> str:
    line = _BREAK.sub("\n", line)
    line = _AUTOLINK.sub(lambda match: match[1].removeprefix("mailto:"), line)
    line = _INLINE_TAG.sub("", line)
    line = _LINK.sub(r"\1", _IMAGE.sub(r"\1", line))
    marker = read_marker(line.lstrip())
    kept = len(line) - len(line.lstrip()) + marker.length if marker is not None and marker.is_bullet else 0
    head, line = line[:kept], line[kept:]
    if whole := _WHOLE_LINE.fullmatch(line):
        line = whole[1] + whole[3] + whole[4]
    for pattern in _EMPHASIS:
        line = pattern.sub(r"\g<inside>", line)
    line = _ESCAPE.sub(r"\1", line)
    return head + (html.unescape(line) if re.search(r"&(?:[a-zA-Z]+|#\w+);", line) else line).replace("\xa0", " ")


def _number_lazy_items(lines: list[str]) -> list[str]:
    """Number the items of a list whose author left the counting to the renderer: every one of them is ``1.``."""
    numbered: list[str] = []
    counts: dict[tuple[str, str], int] = {}
    for line in lines:
        match = _LAZY_ITEM.match(line)
        if match:
            key = (match[1], match[2])
            value = counts.get(key, 0) + 1
            counts = {other: count for other, count in counts.items() if len(other[0]) < len(match[1])}
            counts[key] = value
            line = f"{match[1]}{value}{match[2]}{line[match.end(2) :]}" if value > 1 else line
        elif line.strip():
            indent = len(line) - len(line.lstrip(" "))
            counts = {key: count for key, count in counts.items() if indent > len(key[0])}
        numbered.append(line)
    return numbered
