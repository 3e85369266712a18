"""Bytes of a PDF -> its text in reading order, the lines of a paragraph joined again, page furniture left out."""

from __future__ import annotations

import ctypes
import re
import statistics
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import pairwise
from typing import TYPE_CHECKING

from corpus.blocks import ends_sentence
from corpus.numbering import Marker, read_marker
from corpus.printed import WIDE, print_number
from corpus.rulings import Grid, Ruling, find_grids, trace_box

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_OPENERS = "(（[【《「“‘"
_CLOSERS = ")）]】》」”’，。、；：！？,.;:!?%％"
_PAGE_NUMBER = re.compile(
    r"(?:第\s*)?[-–—~·|\s]*(?:page\s*)?(?P<page>\d{1,4})\s*(?:页|頁)?(?:\s*(?:[/,，、]|of)?\s*(?:共|总)?\s*\d{1,4}\s*(?:页|頁)?)?"
    r"[-–—~·|\s]*",
    re.IGNORECASE,
)
_ROMAN_PAGE = re.compile(r"[-–—~·|\s]*(?P<page>[ivxlc]{1,8}|[IVXLC]{1,8})[-–—~·|\s]*")
_DATE = r"(?:\d{4}|\d{1,2})[/.-]\d{1,2}[/.-](?:\d{4}|\d{1,2})"
_PRINTED_BY = re.compile(
    rf"(?:https?|file)://\S+|{_DATE}[,，]?(?:上午|下午)?\d{{1,2}}:\d{{2}}(?:[AP]M)?"
)  # no white space
_WIDE_CHARACTER = re.compile(f"[{WIDE}]")
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_ADDRESS = re.compile(r"(?:https?://|www\.|@)[!-~]*$")
_EDGE_LINES = 3
_EDGE = 108.0  # points from the head or foot of a page; margins are seldom wider than 1.5 inches


@dataclass(frozen=True, slots=True)
class _Character:
    """``made`` by PDFium for a gap, or else in the file: the ``drawn``-th of the page's texts, on the line ``base``."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    made: bool = False
    drawn: int = -1
    base: float = 0.0
    size: float = 0.0


@dataclass(frozen=True)
class _Page:
    number: int
    characters: list[_Character]
    grids: tuple[Grid, ...]
    foot: float
    head: float


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


@dataclass(frozen=True)
class _Line:
    """A line as it is drawn; lengths in points, ``y`` its middle, counted from the foot of the page.

    ``need`` is the room that its first word takes, which the line before did not have if it was merely wrapped.
    """

    text: str
    left: float
    right: float
    y: float
    size: float
    need: float
    page: int
    column: int = 0
    cells: int = 1
    ruled: bool = False

    @property
    def key(self) -> str:
        return _shape(self.text)


@dataclass(frozen=True)
class _Layout:
    """What the lines of a document have in common: margins by column, the pitch of lines, the kind of paragraph."""

    left: dict[int, float]
    right: dict[int, float]
    pitch: float
    first_line_indented: bool
    words: Counter[str]


def read_pdf(data: bytes, *, max_pages: int) -> str:
    """Return the text of a PDF, a line a paragraph, heading, item or table row.

    :raises ValueError: if the file is encrypted, damaged, too long, a scan, or its letters cannot be read as text.
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        if "password" in str(exc).lower():
            raise ValueError("the PDF is encrypted; take off its password and save it again") from exc
        raise ValueError("not a PDF that can be read (damaged, or cut off); save or download it again") from exc
    if len(document) > max_pages:
        raise ValueError(f"the PDF has {len(document)} pages; allowed are {max_pages}")
    drawn: list[_Page] = []
    pictures: list[int] = []
    characters = 0
    for number in range(len(document)):
        page = document[number]
        found = _read_characters(page)
        visible = sum(not character.text.isspace() for character in found)
        characters += visible
        if visible < 4 and _is_picture(page):
            pictures.append(number + 1)
        _, foot, _, head = page.get_bbox()
        drawn.append(_Page(number, found, find_grids(_read_rulings(page)), foot, head))
        page.close()
    if pictures and (characters < 20 or len(pictures) == len(document)):
        raise ValueError(
            "the PDF is a scan: its pages are pictures without text; text recognition (OCR) is needed first"
        )
    if pictures:
        named = ", ".join(map(str, pictures[:10])) + (", …" if len(pictures) > 10 else "")
        raise ValueError(f"pages that are pictures without text: {named}; text recognition (OCR) is needed first")
    if not characters:
        raise ValueError("no text in the PDF; if its pages show text, text recognition (OCR) is needed first")
    running = _find_running(drawn, document.get_metadata_value("Title"))
    pages = [_read_lines(_leave_out(page.characters, running[page.number]), page.number, page.grids) for page in drawn]
    unreadable = sum(_is_unreadable(c) for page in pages for line in page for c in line.text)
    if unreadable > 0.1 * characters:
        raise ValueError(
            f"{unreadable} of {characters} letters of the PDF have no meaning as text (its fonts do not say which they"
            " are); text recognition (OCR) is needed first"
        )
    lines = [line for page in _without_furniture(pages, numbered=any(running)) for line in page]
    return "\n".join(_join_paragraphs(lines, _measure(lines))) + "\n" if lines else ""


def _is_unreadable(character: str) -> bool:
    return character == "\ufffd" or ("\ue000" <= character <= "\uf8ff" and character not in "\uf06c\uf0b7\uf09f\uf0d8")


def _is_picture(page: PdfPage) -> bool:
    """Whether pictures cover a third of the page."""
    import pypdfium2.raw as raw

    width, height = page.get_size()
    covered = 0.0
    for picture in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = picture.get_bounds()
        covered += max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(top, height) - max(bottom, 0.0))
    return bool(covered >= width * height / 3)


# -- characters to lines


def _read_characters(page: PdfPage) -> list[_Character]:
    """The characters of a page in the order of the file; a line break that PDFium made is a newline without a box."""
    import pypdfium2.raw as raw

    text_page = page.get_textpage()
    box, matrix = raw.FS_RECTF(), raw.FS_MATRIX()
    x, base = ctypes.c_double(), ctypes.c_double()
    _, foot, _, head = page.get_bbox()
    order: dict[int, int] = {}
    for place, text_object in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT], max_depth=15)):
        order[_address(text_object.raw)] = place
    found: list[_Character] = []
    count = raw.FPDFText_CountChars(text_page.raw)
    pending = 0
    for index in range(count):
        code = raw.FPDFText_GetUnicode(text_page.raw, index)
        if 0xD800 <= code < 0xDC00:  # the first half of a character outside the basic plane
            pending = code
            continue
        if 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((pending - 0xD800) << 10) + (code - 0xDC00) if pending else 0xFFFD
        pending = 0
        text = "-" if code in (0x02, 0xFFFE) or raw.FPDFText_IsHyphen(text_page.raw, index) == 1 else chr(code)
        if text in "\r\n":
            found.append(_Character("\n", 0, 0, 0, 0))
            continue
        if text < " " or text == "\ufeff":
            continue
        raw.FPDFText_GetLooseCharBox(text_page.raw, index, box)
        text = " " if text.isspace() else text
        made = raw.FPDFText_IsGenerated(text_page.raw, index) == 1
        drawn, size, level = -1, 0.0, 0.0
        is_near = min(box.bottom - foot, head - box.top) < _EDGE
        if not made and (
            is_near or index % 16 == 0 or text in _OPENERS
        ):  # elsewhere a sample says how large the text is; saves memory
            drawn = order.get(_address(raw.FPDFText_GetTextObject(text_page.raw, index)), -1)
            raw.FPDFText_GetCharOrigin(text_page.raw, index, x, base)
            raw.FPDFText_GetMatrix(text_page.raw, index, matrix)
            scale = abs(matrix.a * matrix.d - matrix.b * matrix.c) ** 0.5
            size = raw.FPDFText_GetFontSize(text_page.raw, index) * scale
            level = base.value
        character = sys.intern(text)
        found.append(_Character(character, box.left, box.right, box.bottom, box.top, made, drawn, level, size))
    text_page.close()
    spaces: set[int] = set()
    for index in range(len(found) - 1):  # a wide “ that was pushed under the ( before it comes first by its left edge
        one, other = found[index], found[index + 1]
        pushed = one.text in "“‘《「" and other.text in "(["
        if (
            one.text in _OPENERS
            and other.text in _OPENERS
            and 0 <= min(one.drawn, other.drawn) != max(one.drawn, other.drawn)
        ):
            pushed = other.drawn < one.drawn
        if pushed and one.right - other.left > 0.3 * (one.right - one.left):
            found[index], found[index + 1] = other, one
            if index + 2 < len(found) and found[index + 2].made and found[index + 2].text == " ":
                spaces.add(index + 2)  # PDFium made it after the wrong one
    return [character for index, character in enumerate(found) if index not in spaces]


def _address(pointer: object) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def _read_rulings(page: PdfPage) -> list[Ruling]:
    import pypdfium2.raw as raw

    rulings: list[Ruling] = []
    for drawn in page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH]):
        if raw.FPDFPath_CountSegments(drawn.raw) <= 6:
            rulings.extend(trace_box(*drawn.get_bounds()))
    return rulings


def _read_lines(characters: Sequence[_Character], page: int, grids: Sequence[Grid]) -> list[_Line]:
    tables, others = _take_tables(characters, grids, page)
    segments = [segment for segment in _split_segments(others) if any(c.text != " " for c in segment)]
    gutter = _find_gutter(segments) if not tables else None
    if gutter is None:
        return sorted([*_make_rows(segments, page, 0), *tables], key=lambda line: -line.y)
    lines: list[_Line] = []
    for band in _split_bands(segments, gutter):
        for column, part in enumerate(band):
            lines.extend(_make_rows(part, page, column))
    return lines


def _take_tables(
    characters: Sequence[_Character], grids: Sequence[Grid], page: int
) -> tuple[list[_Line], list[_Character]]:
    """Each row of the ruled tables as a line, the lines of a cell joined; and the characters that stand in none."""
    cells: dict[tuple[int, int, int], list[_Character]] = {}
    others: list[_Character] = []
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
        drawn: list[_Line] = []
        for column in range(len(grids[number].columns) - 1):
            segments = [
                s for s in _split_segments(cells.get((number, row, column), ())) if any(c.text != " " for c in s)
            ]
            inner = list(_make_rows(segments, page, 0))
            texts.append(reduce(partial(_join, words=Counter()), (line.text for line in inner), "").strip())
            drawn.extend(inner)
        if drawn:
            text, first = "\t".join(texts).strip("\t "), max(drawn, key=lambda line: line.y)
            right = max(line.right for line in drawn)
            lines.append(replace(first, text=text, right=right, cells=2, ruled=True))
    return lines, others


def _split_segments(characters: Iterable[_Character]) -> Iterator[list[_Character]]:
    """Runs of characters on one line without a wide gap."""
    segment: list[_Character] = []
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


def _middle(character: _Character) -> float:
    return (character.bottom + character.top) / 2


def _find_gutter(segments: Sequence[list[_Character]]) -> float | None:
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


def _split_bands(segments: Sequence[list[_Character]], gutter: float) -> Iterator[tuple[list[list[_Character]], ...]]:
    """From the top: what crosses the gutter parts the page into bands, each its left column and then its right."""
    left: list[list[_Character]] = []
    right: list[list[_Character]] = []
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


def _make_rows(segments: Sequence[list[_Character]], page: int, column: int) -> Iterator[_Line]:
    """Lines from top to bottom; segments at one height become one line with tabs between them."""
    rows: list[list[list[_Character]]] = []
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
        yield _Line(
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


def _height(segment: Sequence[_Character]) -> float:
    return max(1.0, statistics.median(c.top - c.bottom for c in segment))


def _first_word(characters: Sequence[_Character], segment: Sequence[_Character]) -> float:
    """Width of what cannot be parted at the beginning of a line: a Latin word, or a character and its marks."""
    start = next(index for index, c in enumerate(segment) if c.text != " ")
    end = start
    while end + 1 < len(segment) and segment[end].text in _OPENERS:
        end += 1
    if not _WIDE_CHARACTER.match(segment[end].text):
        while end + 1 < len(segment) and "!" <= segment[end + 1].text <= "~":
            end += 1
    while end + 1 < len(segment) and segment[end + 1].text in _CLOSERS:
        end += 1
    if segment[end].text in "”’":  # browsers break no line between a closing quotation mark and a Latin word
        while end + 1 < len(segment) and "!" <= segment[end + 1].text <= "~":
            end += 1
    return segment[end].right - characters[0].left


# -- what is drawn over the pages: page numbers and running lines, wherever the text stands


def _find_running(pages: Sequence[_Page], title: str) -> list[set[int]]:
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


def _cut_pieces(page: _Page) -> Iterator[_Piece]:
    """What is drawn near the head and the foot, in the order in which it was drawn."""

    def is_near(character: _Character) -> bool:
        return character.base < page.foot + _EDGE or character.base > page.head - _EDGE

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


def _make_piece(page: _Page, members: Sequence[int]) -> Iterator[_Piece]:
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


def _leave_out(characters: Sequence[_Character], left_out: Collection[int]) -> list[_Character]:
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


# -- page numbers and repeated lines


def _without_furniture(pages: Sequence[Sequence[_Line]], *, numbered: bool) -> list[list[_Line]]:
    """Leave out page numbers, and lines that come back at the same height at the edge of several pages.

    :param numbered: whether page numbers were found already: then a number that does not come back is none.
    """
    edges = [(index, line) for index, page in enumerate(pages) for line in (*page[:_EDGE_LINES], *page[-_EDGE_LINES:])]
    filled = sum(1 for page in pages if page)
    repeated: set[tuple[str, int]] = set()
    places: dict[tuple[str, int], dict[int, str]] = {}
    for index, line in edges:
        for height in (round(line.y / 4), round(line.y / 4) + 1):
            places.setdefault((line.key, height), {})[index] = line.text
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
                    if lines[edge].ruled and lines[edge].key not in tables:
                        break  # the head of a table, which comes back on each of its pages, stays once
                    lines.pop(edge)
        tables.update(line.key for line in lines if line.ruled)
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


def _is_furniture(line: _Line, repeated: set[tuple[str, int]], filled: int, *, numbered: bool) -> bool:
    comes_back = any((line.key, height) in repeated for height in (round(line.y / 4), round(line.y / 4) + 1))
    number = _PAGE_NUMBER.fullmatch(line.text.strip())
    if number is not None and ((line.y < 90 and not numbered) or comes_back):
        bare = line.text.strip().isdecimal()
        return not bare or abs(int(number["page"]) - line.page - 1) <= 1 or comes_back
    return comes_back and filled > 1 and not _is_clause(line.text)


def _is_clause(text: str) -> bool:
    return ends_sentence(text.rstrip()) or read_marker(text.lstrip()) is not None


# -- lines to paragraphs


def _measure(lines: Sequence[_Line]) -> _Layout:
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
    layout = _Layout(lefts, rights, float(min(narrow, default=20)), False, _count_words(lines))
    back, straight = 0, 0
    for line, below in pairwise(lines):
        if _is_full(line, below, layout) and line.left > lefts[line.column] + 0.8 * line.size:
            back += abs(below.left - lefts[below.column]) < 0.5 * line.size
            straight += abs(below.left - line.left) < 0.5 * line.size
    return _Layout(lefts, rights, layout.pitch, back > straight, layout.words)


def _count_words(lines: Sequence[_Line]) -> Counter[str]:
    return Counter(word.lower() for line in lines for word in _WORD.findall(line.text))


def _is_full(line: _Line, below: _Line, layout: _Layout) -> bool:
    """Whether the first word of the line below had no room left at the end of this one."""
    if below.text[:1] in _CLOSERS:  # no paragraph begins with one
        return line.right + 2 * line.size > layout.right[line.column]
    space = 0.35 if line.text[-1:].isascii() and below.text[:1].isascii() else 0.15
    return line.right + below.need > layout.right[line.column] - space * line.size


def _join_paragraphs(lines: Sequence[_Line], layout: _Layout) -> Iterator[str]:
    paragraph: list[_Line] = []
    text = ""
    marker: Marker | None = None
    for line in lines:
        if paragraph and _goes_on(paragraph, text, marker, line, layout):
            text = _join(text, line.text, layout.words)
            paragraph.append(line)
            continue
        if text.strip():
            yield text.strip()
        paragraph, text = [line], line.text
        marker = read_marker(text)
    if text.strip():
        yield text.strip()


def _goes_on(paragraph: Sequence[_Line], text: str, marker: Marker | None, line: _Line, layout: _Layout) -> bool:
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


def _join(text: str, more: str, words: Counter[str]) -> str:
    if not more.strip():
        return text
    if not text or text.endswith(" "):
        return text + more
    before, after = text[-1:], more[0]
    if _WIDE_CHARACTER.match(before) or _WIDE_CHARACTER.match(after):
        return text + more
    if _ADDRESS.search(text):
        return text + more
    first, second = re.search(r"[A-Za-z]+-?$", text), re.match("[A-Za-z]+", more)
    if first is not None and second is not None:
        if first[0].endswith("-"):
            whole = (first[0][:-1] + second[0]).lower()
            kept = words[f"{first[0]}{second[0]}".lower()] > words[whole]
            return text + more if kept or second[0][0].isupper() else text[:-1] + more
        if words[(first[0] + second[0]).lower()]:
            return text + more
        return f"{text} {more}"
    if (before.isdecimal() and after.isdecimal()) or before in "-/(@._" or after in _CLOSERS:
        return text + more
    return f"{text} {more}" if before.isascii() and after.isascii() and _is_latin(text) else text + more


def _is_latin(text: str) -> bool:
    return len(_WIDE_CHARACTER.findall(text)) < 0.2 * len(text)
