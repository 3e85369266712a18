"""What stands at the head and foot of the pages: page numbers and running lines, left out wherever they are drawn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from corpus.blocks import ends_sentence
from corpus.numbering import read_marker
from corpus.pdf_datatypes import Character, Line, Page
from corpus.printed import print_number

_PAGE_NUMBER = re.compile(
    r"(?:第\s*+)?[-–—~·|\s]*+(?:page\s*+)?(?P<page>\d{1,4})\s*+(?:页|頁)?"
    r"(?:\s*+(?:[/,，、]|of)?\s*+(?:共|总)?\s*+\d{1,4}\s*+(?:页|頁)?)?"
    r"[-–—~·|\s]*",
    re.IGNORECASE,
)
_ROMAN_PAGE = re.compile(r"[-–—~·|\s]*(?P<page>[ivxlc]{1,8}|[IVXLC]{1,8})[-–—~·|\s]*")
_DATE = r"(?:\d{4}|\d{1,2})[/.-]\d{1,2}[/.-](?:\d{4}|\d{1,2})"
_PRINTED_BY = re.compile(
    rf"(?:https?|file)://\S+|{_DATE}[,，]?(?:上午|下午)?\d{{1,2}}:\d{{2}}(?:[AP]M)?"
)  # no white space
_EDGE_LINES = 3
EDGE = 108.0  # points from the head or foot of a page; margins are seldom wider than 1.5 inches


@dataclass(frozen=True)
class _Piece:
    """What is drawn in one go on one line near the head or foot of a page; ``members`` are places in its characters.

    ``edge`` is the distance of its base line from the head (above nought) or foot (below nought) of the page.
    """

    page: int
    drawn: int
    members: tuple[int, ...]
    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    edge: float
    in_table: bool

    def covers(self, other: _Piece) -> bool:
        wide = min(self.right, other.right) - max(self.left, other.left)
        return wide > 0.1 * self.size and self._shares_height(other)

    def is_laid_on(self, other: _Piece) -> bool:
        """Whether it was drawn later at the same height, over the other or on a base line of its own."""
        apart = self.covers(other) or (self._shares_height(other) and abs(self.edge - other.edge) > 0.3)
        return apart and self.drawn > other.drawn

    def _shares_height(self, other: _Piece) -> bool:
        return min(self.top, other.top) - max(self.bottom, other.bottom) > 0.25 * self.size


# -- what is drawn over the pages, wherever the text stands


def find_running(pages: Sequence[Page], title: str) -> list[set[int]]:
    """For each page the places of the characters that a program drew at its head or foot beside or over the text.

    A page number counts with the pages, in one form at one height; a running line comes back at one height, in
    another size than the text's or drawn over it. What stands so outside the text alone is left to the lines' pass.
    """
    pieces = [list(_cut_pieces(page)) for page in pages]
    sizes = Counter(round(c.size, 1) for page in pages for c in page.characters if c.drawn >= 0 and c.text != " ")
    body = max(sizes, key=lambda size: sizes[size], default=0.0)
    filled = sum(1 for page in pages if any(c.text.strip() for c in page.characters))
    found: list[set[int]] = [set() for _ in pages]
    if filled == 1:
        only = next(page.number for page in pages if any(c.text.strip() for c in page.characters))
        found[only].update(_find_printed(pieces[only], body, title))
        return found
    places: dict[tuple[str, int, int, int | None], dict[int, _Piece]] = {}
    for piece in (piece for page in pieces for piece in page):
        number = _read_page(piece.text)
        if number is None and (piece.in_table or not piece.text.strip()):
            continue
        key = _shape(piece.text)
        offset = None if number is None else number - piece.page
        for height in (round(piece.edge / 2), round(piece.edge / 2) + 1):
            places.setdefault((key, height, round(2 * piece.size), offset), {})[piece.page] = piece
    for (_, _, _, offset), seen in places.items():
        if not _differ_by_page({page: _arabic(piece.text) for page, piece in seen.items()}):
            continue
        one = next(iter(seen.values()))
        apart = abs(one.size - body) > 0.08 * body or any(
            piece.is_laid_on(other) for piece in seen.values() for other in pieces[piece.page]
        )
        bare = offset is not None and not apart and one.text.strip().isalnum()
        if len(seen) < (3 if bare else max(2, min(3, filled))):
            continue
        if len(seen) < 0.4 * filled and (offset is None or not apart):
            continue
        if offset is None and (not apart or _is_clause(one.text)):
            continue
        for piece in seen.values():
            found[piece.page].update(piece.members)
    return found


def _find_printed(pieces: Sequence[_Piece], body: float, title: str) -> Iterator[int]:
    """Places of what a browser prints round the text of a page that has no other to compare.

    It is smaller than the text, and is a number with its total, a date or an address, or the title beside them; or it
    lies over the text, or is the number 1 that was drawn last.
    """
    title = re.sub(r"\s+", "", title)
    small = [(piece, re.sub(r"\s+", "", piece.text)) for piece in pieces if piece.size < 0.92 * body]
    sizes = [piece.size for piece, text in small if _is_printed(text, title)]
    for piece, text in small:
        beside = text == title and any(abs(size - piece.size) < 0.03 * piece.size for size in sizes)
        over = any(piece.covers(other) for other in pieces if other.size > 1.05 * piece.size)
        last = piece is pieces[-1] and _read_page(text) == 1
        if over or beside or last or _is_printed(text, title):
            yield from piece.members


def _is_printed(text: str, title: str) -> bool:
    rest, count = _PRINTED_BY.subn("", text.replace(title, "") if title else text)
    return (count > 0 and (not rest or _read_page(rest) == 1)) or (_read_page(rest) == 1 and not rest.isalnum())


def _cut_pieces(page: Page) -> Iterator[_Piece]:
    """What is drawn near the head and the foot, in the order in which it was drawn."""

    def is_near(character: Character) -> bool:
        return character.base < page.foot + EDGE or character.base > page.head - EDGE

    near = [(c.drawn, place) for place, c in enumerate(page.characters) if c.drawn >= 0 and is_near(c)]
    members: list[int] = []
    for _, place in sorted(near):
        if members:
            last, character = page.characters[members[-1]], page.characters[place]
            level = abs(last.base - character.base) < 0.3 and abs(last.size - character.size) < 0.03 * last.size
            if not level or not -0.6 * last.size < character.left - last.right < 2 * last.size:
                yield from _make_piece(page, members)
                members = []
        members.append(place)
    yield from _make_piece(page, members)


def _make_piece(page: Page, members: Sequence[int]) -> Iterator[_Piece]:
    shown = [page.characters[place] for place in members if page.characters[place].text != " "]
    if not shown:
        return
    left, right = min(c.left for c in shown), max(c.right for c in shown)
    bottom, top = min(c.bottom for c in shown), max(c.top for c in shown)
    base = shown[0].base
    edge = page.head - base if base > (page.head + page.foot) / 2 else page.foot - base
    centre = ((left + right) / 2, (bottom + top) / 2)
    in_table = any(grid.find_cell(*centre) is not None for grid in page.grids)
    text = "".join(page.characters[place].text for place in members)
    yield _Piece(
        page=page.number,
        drawn=shown[0].drawn,
        members=tuple(members),
        text=text,
        left=left,
        right=right,
        bottom=bottom,
        top=top,
        size=shown[0].size,
        edge=edge,
        in_table=in_table,
    )


def leave_out(characters: Sequence[Character], left_out: Collection[int]) -> list[Character]:
    """The other characters, without the spaces that PDFium made round those left out."""
    if not left_out:
        return list(characters)
    kept = []
    for place, character in enumerate(characters):
        made_for_it = character.made and (place - 1 in left_out or place + 1 in left_out)
        if place not in left_out and not made_for_it:
            kept.append(character)
    return kept


def _read_page(text: str) -> int | None:
    """The number of a text that is nothing but a page number, Roman ones included."""
    match = _PAGE_NUMBER.fullmatch(_arabic(text).strip())
    return int(match["page"]) if match else None


def _arabic(text: str) -> str:
    """The text with Arabic digits where it is a Roman page number."""
    match = _ROMAN_PAGE.fullmatch(text)
    number = (
        next((n for n in range(1, 200) if print_number(n, "lower-roman") == match["page"].lower()), 0) if match else 0
    )
    return f"{text[: match.start('page')]}{number}{text[match.end('page') :]}" if match and number else text


def _shape(text: str) -> str:
    return re.sub(r"\d+", "0", re.sub(r"\s+", "", _arabic(text)))


# -- lines that come back at the edge of several pages


def without_furniture(pages: Sequence[Sequence[Line]], *, numbered: bool) -> list[list[Line]]:
    """Leave out page numbers, and lines that come back at the same height at the edge of several pages.

    :param numbered: whether page numbers were found already: then a number that does not come back is none.
    """
    edges = [(index, line) for index, page in enumerate(pages) for line in (*page[:_EDGE_LINES], *page[-_EDGE_LINES:])]
    filled = sum(1 for page in pages if page)
    repeated: set[tuple[str, int]] = set()
    places: dict[tuple[str, int], dict[int, str]] = {}
    for index, line in edges:
        for height in (round(line.y / 4), round(line.y / 4) + 1):
            places.setdefault((_shape(line.text), height), {})[index] = line.text
    for place, seen in places.items():
        if len(seen) >= max(2, min(3, filled)) and len(seen) >= 0.4 * filled and _differ_by_page(seen):
            repeated.add(place)
    kept = []
    tables: set[str] = set()
    for page in pages:
        lines = list(page)
        for edge in (-1, 0):
            for _ in range(_EDGE_LINES):
                if lines and _is_furniture(lines[edge], repeated, filled, numbered=numbered):
                    if lines[edge].ruled and _shape(lines[edge].text) not in tables:
                        break  # the head of a table, which comes back on each of its pages, stays once
                    lines.pop(edge)
        tables.update(_shape(line.text) for line in lines if line.ruled)
        kept.append(lines)
    return kept


def _differ_by_page(texts: Mapping[int, str]) -> bool:
    """Whether lines that are the same but for their digits differ by the number of the page alone, if at all."""
    numbers = [[int(run) - page for run in re.findall(r"\d{1,9}", text)] for page, text in texts.items()]
    plain = [[int(run) for run in re.findall(r"\d{1,9}", text)] for text in texts.values()]
    if len({len(runs) for runs in plain}) > 1:
        return False
    columns = zip(zip(*numbers, strict=True), zip(*plain, strict=True), strict=True)
    return all(len(set(counted)) == 1 or len(set(printed)) == 1 for counted, printed in columns)


def _is_furniture(line: Line, repeated: set[tuple[str, int]], filled: int, *, numbered: bool) -> bool:
    comes_back = any((_shape(line.text), height) in repeated for height in (round(line.y / 4), round(line.y / 4) + 1))
    number = _PAGE_NUMBER.fullmatch(line.text.strip())
    if number is not None and ((line.y < 90 and not numbered) or comes_back):
        bare = line.text.strip().isdecimal()
        return not bare or abs(int(number["page"]) - line.page - 1) <= 1 or comes_back
    return comes_back and filled > 1 and not _is_clause(line.text)


def _is_clause(text: str) -> bool:
    return ends_sentence(text.rstrip()) or read_marker(text.lstrip()) is not None
