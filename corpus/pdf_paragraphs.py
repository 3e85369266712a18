"""Lines of a PDF -> its paragraphs, by the margins, the pitch of the lines and what has room at the end of a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from corpus.blocks import ends_sentence
from corpus.numbering import Marker, read_marker
from corpus.pdf_datatypes import Line
from corpus.pdf_joining import CLOSERS, join

_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")


@dataclass(frozen=True)
class Layout:
    """What the lines of a document have in common: margins by column, the pitch of lines, the kind of paragraph."""

    left: dict[int, float]
    right: dict[int, float]
    pitch: float
    first_line_indented: bool
    words: Counter[str]


def measure(lines: Sequence[Line]) -> Layout:
    columns = {line.column for line in lines}
    lefts: dict[int, float] = {}
    rights: dict[int, float] = {}
    for column in columns:
        inside = [line for line in lines if line.column == column]
        counts = Counter(round(line.left) for line in inside)
        lefts[column] = min((x for x, count in counts.items() if count >= 0.1 * len(inside)), default=0)
        ends = sorted(line.right for line in inside)
        most = ends[max(0, int(0.98 * len(ends)) - 1)] if len(ends) > 5 else ends[-1]
        # Boxes of full-width marks reach over the margin; it is where most of the longest lines end.
        near = [end for end in ends if most - 1.2 * inside[0].size <= end <= most]
        rights[column] = near[int(0.3 * len(near))] if len(ends) > 5 else most
    pitches = Counter(
        round(above.y - line.y)
        for above, line in pairwise(lines)
        if above.page == line.page and above.column == line.column and 0 < above.y - line.y < 4 * line.size
    )
    narrow = [pitch for pitch, count in pitches.items() if count >= 0.15 * max(pitches.values())]
    layout = Layout(lefts, rights, float(min(narrow, default=20)), False, _count_words(lines))
    back, straight = 0, 0
    for line, below in pairwise(lines):
        if _is_full(line, below, layout) and line.left > lefts[line.column] + 0.8 * line.size:
            back += abs(below.left - lefts[below.column]) < 0.5 * line.size
            straight += abs(below.left - line.left) < 0.5 * line.size
    return Layout(lefts, rights, layout.pitch, back > straight, layout.words)


def _count_words(lines: Sequence[Line]) -> Counter[str]:
    return Counter(word.lower() for line in lines for word in _WORD.findall(line.text))


def _is_full(line: Line, below: Line, layout: Layout) -> bool:
    """Whether the first word of the line below had no room left at the end of this one."""
    if below.text[:1] in CLOSERS:  # no paragraph begins with one
        return line.right + 2 * line.size > layout.right[line.column]
    space = 0.35 if line.text[-1:].isascii() and below.text[:1].isascii() else 0.15
    return line.right + below.need > layout.right[line.column] - space * line.size


def join_paragraphs(lines: Sequence[Line], layout: Layout) -> Iterator[str]:
    paragraph: list[Line] = []
    text = ""
    marker: Marker | None = None
    for line in lines:
        if paragraph and _goes_on(paragraph, text, marker, line, layout):
            text = join(text, line.text, layout.words)
            paragraph.append(line)
            continue
        if text.strip():
            yield text.strip()
        paragraph, text = [line], line.text
        marker = read_marker(text)
    if text.strip():
        yield text.strip()


def _goes_on(paragraph: Sequence[Line], text: str, marker: Marker | None, line: Line, layout: Layout) -> bool:
    """Whether ``line`` is the paragraph's next line, and only the width of the page parted them."""
    last = paragraph[-1]
    if last.cells > 1 or line.cells > 1 or not _is_full(last, line, layout):
        return False
    if abs(last.size - line.size) > 0.3 * last.size:  # Latin letters alone have boxes a tenth higher
        return False
    same_page = last.page == line.page and last.column == line.column
    if same_page and last.y - line.y > 1.3 * layout.pitch + 1:
        return False
    ended = ends_sentence(text.rstrip())
    if ended and read_marker(line.text) is not None:
        return False
    shift = (line.left - layout.left[line.column]) - (last.left - layout.left[last.column])
    if len(paragraph) > 1:
        return abs(shift) < 0.6 * line.size or (not ended and shift < 0)
    if shift > 0.6 * line.size:
        return marker is not None
    indented = last.left > layout.left[last.column] + 0.8 * last.size
    if abs(shift) <= 0.6 * line.size and indented and layout.first_line_indented:
        return not ended and marker is None
    return True
