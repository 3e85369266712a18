"""Bytes of a PDF -> its text in reading order, the lines of a paragraph joined again, page furniture left out."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from corpus.pdf_datatypes import Character, Page
from corpus.pdf_joining import OPENERS
from corpus.pdf_lines import read_lines
from corpus.pdf_paragraphs import join_paragraphs, measure
from corpus.pdf_running import EDGE, find_running, leave_out, without_furniture
from corpus.rulings import Ruling, find_grids, trace_box

if TYPE_CHECKING:
    from pypdfium2 import PdfPage


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
    drawn: list[Page] = []
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
        drawn.append(Page(number, found, find_grids(_read_rulings(page)), foot, head))
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
    running = find_running(drawn, document.get_metadata_value("Title"))
    pages = [read_lines(leave_out(page.characters, running[page.number]), page.number, page.grids) for page in drawn]
    unreadable = sum(_is_unreadable(c) for page in pages for line in page for c in line.text)
    if unreadable > 0.1 * characters:
        raise ValueError(
            f"{unreadable} of {characters} letters of the PDF have no meaning as text (its fonts do not say which they"
            " are); text recognition (OCR) is needed first"
        )
    lines = [line for page in without_furniture(pages, numbered=any(running)) for line in page]
    return "\n".join(join_paragraphs(lines, measure(lines))) + "\n" if lines else ""


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


def _read_characters(page: PdfPage) -> list[Character]:
    """The characters of a page in the order of the file; a line break that PDFium made is a newline without a box."""
    import pypdfium2.raw as raw

    text_page = page.get_textpage()
    box, matrix = raw.FS_RECTF(), raw.FS_MATRIX()
    x, base = ctypes.c_double(), ctypes.c_double()
    _, foot, _, head = page.get_bbox()
    order: dict[int, int] = {}
    for place, text_object in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT], max_depth=15)):
        order[_address(text_object.raw)] = place
    found: list[Character] = []
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
            found.append(Character("\n", 0, 0, 0, 0))
            continue
        if text < " " or text == "\ufeff":
            continue
        raw.FPDFText_GetLooseCharBox(text_page.raw, index, box)
        text = " " if text.isspace() else text
        made = raw.FPDFText_IsGenerated(text_page.raw, index) == 1
        drawn, size, level = -1, 0.0, 0.0
        is_near = min(box.bottom - foot, head - box.top) < EDGE
        if not made and (
            is_near or index % 16 == 0 or text in OPENERS
        ):  # elsewhere a sample says how large the text is; saves memory
            drawn = order.get(_address(raw.FPDFText_GetTextObject(text_page.raw, index)), -1)
            raw.FPDFText_GetCharOrigin(text_page.raw, index, x, base)
            raw.FPDFText_GetMatrix(text_page.raw, index, matrix)
            scale = abs(matrix.a * matrix.d - matrix.b * matrix.c) ** 0.5
            size = raw.FPDFText_GetFontSize(text_page.raw, index) * scale
            level = base.value
        character = sys.intern(text)
        found.append(Character(character, box.left, box.right, box.bottom, box.top, made, drawn, level, size))
    text_page.close()
    spaces: set[int] = set()
    for index in range(len(found) - 1):  # a wide “ that was pushed under the ( before it comes first by its left edge
        one, other = found[index], found[index + 1]
        pushed = one.text in "“‘《「" and other.text in "(["
        if (
            one.text in OPENERS
            and other.text in OPENERS
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
