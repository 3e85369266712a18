"""Characters of a page -> its lines in reading order; two columns apart, a row of a ruled table as one line."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import pairwise

from corpus.pdf_datatypes import Character, Line
from corpus.pdf_joining import CLOSERS, OPENERS, WIDE_CHARACTER, join
from corpus.rulings import Grid


def read_lines(characters: Sequence[Character], page: int, grids: Sequence[Grid]) -> list[Line]:
    """The lines of the page with number ``page``, from nought; ``grids`` are its ruled tables."""
    tables, others = _take_tables(characters, grids, page)
    segments = [segment for segment in _split_segments(others) if any(c.text != " " for c in segment)]
    gutter = _find_gutter(segments) if not tables else None
    if gutter is None:
        return sorted([*_make_rows(segments, page, 0), *tables], key=lambda line: -line.y)
    lines: list[Line] = []
    for band in _split_bands(segments, gutter):
        for column, part in enumerate(band):
            lines.extend(_make_rows(part, page, column))
    return lines


def _take_tables(
    characters: Sequence[Character], grids: Sequence[Grid], page: int
) -> tuple[list[Line], list[Character]]:
    """Each row of the ruled tables as a line, the lines of a cell joined; and the characters that stand in none."""
    cells: dict[tuple[int, int, int], list[Character]] = {}
    others: list[Character] = []
    inside: tuple[int, int, int] | None = None
    for character in characters:
        if character.text == "\n":
            (others if inside is None else cells[inside]).append(character)
            continue
        x, y = (character.left + character.right) / 2, _middle(character)
        places = ((number, grid.find_cell(x, y)) for number, grid in enumerate(grids))
        inside = next(((number, *cell) for number, cell in places if cell is not None), None)
        (others if inside is None else cells.setdefault(inside, [])).append(character)
    lines = []
    for number, row in sorted({key[:2] for key in cells}):
        texts: list[str] = []
        drawn: list[Line] = []
        for column in range(len(grids[number].columns) - 1):
            segments = [
                s for s in _split_segments(cells.get((number, row, column), ())) if any(c.text != " " for c in s)
            ]
            inner = list(_make_rows(segments, page, 0))
            texts.append(reduce(partial(join, words=Counter()), (line.text for line in inner), "").strip())
            drawn.extend(inner)
        if drawn:
            text, first = "\t".join(texts).strip("\t "), max(drawn, key=lambda line: line.y)
            right = max(line.right for line in drawn)
            lines.append(replace(first, text=text, right=right, cells=2, ruled=True))
    return lines, others


def _split_segments(characters: Iterable[Character]) -> Iterator[list[Character]]:
    """Runs of characters on one line without a wide gap."""
    segment: list[Character] = []
    for character in characters:
        if character.text == "\n":
            yield segment
            segment = []
            continue
        if segment and character.text != " ":
            last = next((c for c in reversed(segment) if c.text != " "), segment[-1])
            height = max(last.top - last.bottom, character.top - character.bottom, 1.0)
            apart = abs(_middle(last) - _middle(character)) > 0.6 * height
            if apart or character.left - last.right > 2 * height or character.left < segment[0].left - height:
                yield segment
                segment = []
        segment.append(character)
    yield segment


def _middle(character: Character) -> float:
    return (character.bottom + character.top) / 2


def _find_gutter(segments: Sequence[list[Character]]) -> float | None:
    """Where a page of two columns is parted: next to nothing crosses it, and the lines on both sides are full."""
    if len(segments) < 20:
        return None
    left = min(segment[0].left for segment in segments)
    right = max(segment[-1].right for segment in segments)
    width = right - left
    for step in range(40, 61):
        gutter = left + width * step / 100
        before = [segment for segment in segments if segment[-1].right <= gutter + 2]
        after = [segment for segment in segments if segment[0].left >= gutter - 2]
        if min(len(before), len(after)) < 8 or len(before) + len(after) < 0.85 * len(segments):
            continue
        full = [
            statistics.median(segment[-1].right - segment[0].left for segment in side) > 0.3 * width
            for side in (before, after)
        ]
        if all(full):
            return gutter
    return None


def _split_bands(segments: Sequence[list[Character]], gutter: float) -> Iterator[tuple[list[list[Character]], ...]]:
    """From the top: what crosses the gutter parts the page into bands, each its left column and then its right."""
    left: list[list[Character]] = []
    right: list[list[Character]] = []
    for segment in sorted(segments, key=lambda segment: -_middle(segment[0])):
        if segment[-1].right <= gutter + 2:
            left.append(segment)
        elif segment[0].left >= gutter - 2:
            right.append(segment)
        else:
            yield left, right
            left, right = [], []
            yield ([segment],)
    yield left, right


def _make_rows(segments: Sequence[list[Character]], page: int, column: int) -> Iterator[Line]:
    """Lines from top to bottom; segments at one height become one line with tabs between them."""
    rows: list[list[list[Character]]] = []
    for segment in sorted(segments, key=lambda segment: (-_middle(segment[0]), segment[0].left)):
        height = _height(segment)
        if rows and abs(_middle(rows[-1][0][0]) - _middle(segment[0])) <= 0.4 * max(height, _height(rows[-1][0])):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    for row in rows:
        row.sort(key=lambda segment: segment[0].left)
        text = ""
        for before, segment in pairwise([row[0], *row]):
            piece = "".join(character.text for character in segment)
            if not text:
                text = piece
                continue
            gap = segment[0].left - before[-1].right
            text = text.rstrip(" ") + ("\t" if gap > _height(segment) else "") + piece.lstrip(" ")
        characters = [c for segment in row for c in segment if c.text != " "]
        text = text.strip(" ") + (" " if text.endswith(" ") and not row[-1][-1].made else "")
        size = statistics.median(c.top - c.bottom for c in characters)
        yield Line(
            text=text,
            left=characters[0].left,
            right=max(c.right for c in characters),
            y=statistics.median(_middle(c) for c in characters),
            size=size,
            need=_first_word(characters, row[0]),
            page=page,
            column=column,
            cells=text.count("\t") + 1,
        )


def _height(segment: Sequence[Character]) -> float:
    return max(1.0, statistics.median(c.top - c.bottom for c in segment))


def _first_word(characters: Sequence[Character], segment: Sequence[Character]) -> float:
    """Width of what cannot be parted at the beginning of a line: a Latin word, or a character and its marks."""
    start = next(index for index, c in enumerate(segment) if c.text != " ")
    end = start
    while end + 1 < len(segment) and segment[end].text in OPENERS:
        end += 1
    if not WIDE_CHARACTER.match(segment[end].text):
        while end + 1 < len(segment) and "!" <= segment[end + 1].text <= "~":
            end += 1
    while end + 1 < len(segment) and segment[end + 1].text in CLOSERS:
        end += 1
    if segment[end].text in "”’":  # browsers break no line between a closing quotation mark and a Latin word
        while end + 1 < len(segment) and "!" <= segment[end + 1].text <= "~":
            end += 1
    return segment[end].right - characters[0].left
