"""Bytes of a Word file (.docx) -> the text of its body, automatic numbers written out."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from corpus.printed import NumberStyle, join_lines, print_number

if TYPE_CHECKING:
    from lxml.etree import _Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_GONE = frozenset(f"{_W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sdtPr", "rt"))
_STYLES: dict[str, NumberStyle] = {
    "decimal": "decimal",
    "decimalZero": "decimal-leading-zero",
    "decimalFullWidth": "full-width",
    "decimalFullWidth2": "full-width",
    "decimalEnclosedCircle": "circled",
    "decimalEnclosedCircleChinese": "circled",
    "lowerLetter": "lower-alpha",
    "upperLetter": "upper-alpha",
    "lowerRoman": "lower-roman",
    "upperRoman": "upper-roman",
    "chineseCounting": "chinese",
    "chineseCountingThousand": "chinese",
    "chineseLegalSimplified": "chinese",
    "ideographDigital": "chinese",
    "japaneseCounting": "chinese",
    "japaneseDigitalTenThousand": "chinese",
    "taiwaneseCounting": "chinese",
    "taiwaneseCountingThousand": "chinese",
}
_PICTURED_BULLETS = {"o": "○", "§": "■", "ü": "✓", "Ø": "►", "l": "●", "n": "■", "u": "◆", "": "•"}
_WIDE_END = re.compile("[、．）】〕。：\u3000]$")


class _DoctypeError(Exception):
    """The document has a document type: it may hold entities that grow when they are read, or name files."""


@dataclass(frozen=True)
class _Level:
    """One level of an automatic list."""

    start: int
    style: str
    text: str
    suffix: str
    legal: bool
    restart: int | None
    paragraph_style: str | None


@dataclass
class _Numbering:
    """The lists that the file defines, and how far each has counted."""

    levels: dict[str, dict[int, _Level]] = field(default_factory=dict)
    abstract_of: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, dict[int, int]] = field(default_factory=dict)
    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    begun: set[tuple[str, int]] = field(default_factory=set)

    def print_next(self, number_id: str, depth: int) -> str:
        """Count one further at ``depth`` of the list and return what is printed before the paragraph."""
        abstract = self.abstract_of.get(number_id)
        levels = self.levels.get(abstract or "", {})
        level = levels.get(depth)
        if abstract is None or level is None:
            return ""
        counts = self.counts.setdefault(abstract, {})
        override = self.overrides.get(number_id, {}).get(depth)
        if override is not None and (number_id, depth) not in self.begun:
            counts[depth] = override
        elif depth in counts:
            counts[depth] += 1
        else:
            counts[depth] = level.start
        self.begun.add((number_id, depth))
        for deeper in [other for other in counts if other > depth]:
            restart = levels[deeper].restart if deeper in levels else None
            if restart is None or (restart and depth < restart):
                del counts[deeper]
        return self._print(levels, counts, level)

    @staticmethod
    def _print(levels: dict[int, _Level], counts: dict[int, int], level: _Level) -> str:
        if level.style == "none" and not level.text:
            return ""
        if level.style == "bullet":
            bullet = _PICTURED_BULLETS.get(level.text, level.text)
            return ("•" if not bullet or "\ue000" <= bullet[0] <= "\uf8ff" else bullet) + " "

        def fill(match: re.Match[str]) -> str:
            depth = int(match[1]) - 1
            other = levels.get(depth, level)
            style = "decimal" if level.legal else other.style
            value = counts.get(depth, other.start)
            return print_number(value, _STYLES.get(style, "decimal")) if style != "none" else ""

        printed = re.sub(r"%(\d)", fill, level.text)
        if not printed or level.suffix == "nothing" or _WIDE_END.search(printed):
            return printed
        return f"{printed} "


@dataclass(frozen=True)
class _Style:
    name: str
    based_on: str | None
    number_id: str | None
    depth: int | None


def read_docx(data: bytes) -> str:
    """Return paragraphs and table rows in the order of the body, a line each, cells with tabs between them.

    Numbers that Word makes stand before their paragraphs. Page headers and footers, comments, deleted revisions and
    hidden text are left out; footnotes and endnotes follow at the end.

    :raises ValueError: if the file is no Word document or has no text.
    """
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    try:
        lines, pictures = _read_document(data)
    except _DoctypeError as exc:
        raise ValueError(
            "the Word document declares entities of its own (DOCTYPE), which Word never does; open it in Word and save"
            " it as .docx again"
        ) from exc
    except (OpcError, LxmlError, KeyError, ValueError, TypeError, AttributeError) as exc:
        raise ValueError("not a Word document that can be read; open it in Word and save it as .docx again") from exc
    text = "\n".join(line for line in lines if line.strip())
    if not text:
        reason = "only pictures: text recognition (OCR) is needed first" if pictures else "it is empty"
        raise ValueError(f"no text in the Word document; {reason}")
    return text + "\n"


def _read_document(data: bytes) -> tuple[list[str], int]:
    """The lines of the document and how many pictures it has; a damaged one raises whatever comes first."""
    import docx

    document = docx.Document(io.BytesIO(data))
    if document.element.getroottree().docinfo.doctype:
        raise _DoctypeError
    body: _Element | None = document.element.body
    if body is None:
        raise ValueError("no body")
    parts = {part.partname.rsplit("/", 1)[-1]: part for part in document.part.package.iter_parts()}
    roots = {name: _read_root(parts[name]) for name in parts if name in ("numbering.xml", "styles.xml")}
    styles = _read_styles(roots.get("styles.xml"))
    reader = _Reader(_read_numbering(roots.get("numbering.xml"), styles), styles)
    lines = list(reader.read_blocks(body))
    for name in ("footnotes.xml", "endnotes.xml"):
        if name in parts:
            for note in _read_root(parts[name]):
                if note.get(f"{_W}type") is None:
                    lines.extend(reader.read_blocks(note))
    return lines, sum(1 for _ in body.iter("{*}blip"))


def _read_root(part: object) -> _Element:
    from docx.oxml import parse_xml

    root: _Element = parse_xml(part.blob)  # type: ignore[attr-defined]
    return root


@dataclass
class _Reader:
    numbering: _Numbering
    styles: dict[str, _Style]

    def read_blocks(self, parent: _Element) -> Iterator[str]:
        """Yield a line a paragraph and a line a row, those in content controls included."""
        carried = ""
        for child in parent:
            if child.tag == f"{_W}p":
                line = carried + self._read_paragraph(child)
                carried = ""
                if child.find(f"{_W}pPr/{_W}rPr/{_W}del") is not None:  # its mark is deleted: the next one goes on
                    carried = line
                    continue
                yield from line.split("\n")
                for box in _find_boxes(child):
                    yield from self.read_blocks(box)
            elif child.tag == f"{_W}tbl":
                yield from self._read_table(child)
            elif child.tag in (f"{_W}sdt", f"{_W}customXml", f"{_W}ins", f"{_W}moveTo"):
                content = child.find(f"{_W}sdtContent")
                yield from self.read_blocks(child if content is None else content)
        if carried:
            yield carried

    def _read_paragraph(self, paragraph: _Element) -> str:
        text = "".join(_read_runs(paragraph))
        style_id = _value(paragraph, f"{_W}pPr/{_W}pStyle")
        style = self.styles.get(style_id or "")
        if style is not None and style.name.lower().startswith("toc "):
            text = _without_page(text)
        text = text.strip(" ")
        return self._print_number(paragraph, style_id) + text if text.strip() else ""

    def _print_number(self, paragraph: _Element, style_id: str | None) -> str:
        number_id = _value(paragraph, f"{_W}pPr/{_W}numPr/{_W}numId")
        depth_text = _value(paragraph, f"{_W}pPr/{_W}numPr/{_W}ilvl")
        depth = int(depth_text) if depth_text is not None else None
        seen: set[str] = set()
        while (number_id is None or depth is None) and style_id is not None and style_id not in seen:
            seen.add(style_id)
            style = self.styles.get(style_id)
            if style is None:
                break
            if number_id is None and style.number_id is not None:
                number_id = style.number_id
                linked = self._linked_depth(number_id, seen)
                depth = style.depth if depth is None and style.depth is not None else (depth or linked)
            style_id = style.based_on
        if number_id is None or number_id == "0":
            return ""
        return self.numbering.print_next(number_id, depth or 0)

    def _linked_depth(self, number_id: str, style_ids: set[str]) -> int | None:
        levels = self.numbering.levels.get(self.numbering.abstract_of.get(number_id, ""), {})
        return next((depth for depth, level in levels.items() if level.paragraph_style in style_ids), None)

    def _read_table(self, table: _Element) -> Iterator[str]:
        """A line a row; a cell that spans rows stands in each. A table of one column is read as paragraphs."""
        rows = [[*_cells(row)] for row in _descend(table, f"{_W}tr")]
        if all(len(cells) <= 1 for cells in rows) or any(
            True for cells in rows for c in cells for _ in c.iter(f"{_W}tbl")
        ):
            for cells in rows:
                for cell in cells:
                    yield from self.read_blocks(cell)
            return
        above: dict[int, str] = {}
        for cells in rows:
            texts = []
            column = 0
            for cell in cells:
                merge = cell.find(f"{_W}tcPr/{_W}vMerge")
                if merge is not None and merge.get(f"{_W}val") != "restart":
                    text = above.get(column, "")
                else:
                    text = join_lines(self.read_blocks(cell))
                above[column] = text
                texts.append(text)
                column += int(_value(cell, f"{_W}tcPr/{_W}gridSpan") or 1)
            yield "\t".join(texts).strip("\t ")


def _without_page(entry: str) -> str:
    """Return a line of a contents list without the tab and the page number at its end.

    >>> _without_page("一、总则\\t12")
    '一、总则'
    """
    bare = entry.rstrip()
    stem = bare.rstrip("0123456789ivxIVX")
    head = stem.rstrip()
    space, tab, _ = stem[len(head) :].partition("\t")
    return head + space if tab and stem != bare else entry


def _read_runs(parent: _Element) -> Iterator[str]:
    for child in parent:
        tag = child.tag
        if tag in _GONE or tag == _FALLBACK or not isinstance(tag, str):
            continue
        if tag == f"{_W}r":
            if not _is_on(child.find(f"{_W}rPr/{_W}vanish")):
                yield from _read_run(child)
        else:
            yield from _read_runs(child)


def _read_run(run: _Element) -> Iterator[str]:
    for child in run:
        if child.tag == f"{_W}t":
            yield (child.text or "").replace("\n", " ").replace("\xa0", " ")
        elif child.tag in (f"{_W}tab", f"{_W}ptab"):
            yield "\t"
        elif child.tag in (f"{_W}br", f"{_W}cr"):
            yield "\n"
        elif child.tag == f"{_W}noBreakHyphen":
            yield "-"
        elif child.tag == f"{_W}ruby":
            yield from _read_runs(child)


def _find_boxes(paragraph: _Element) -> list[_Element]:
    """Text boxes anchored in a paragraph, once each: Word writes them a second time for older programs."""
    boxes = paragraph.iter(f"{_W}txbxContent")
    return [box for box in boxes if not any(parent.tag == _FALLBACK for parent in box.iterancestors())]


def _is_on(switch: _Element | None) -> bool:
    return switch is not None and switch.get(f"{_W}val") not in ("0", "false", "off")


def _cells(row: _Element) -> Iterator[_Element]:
    return _descend(row, f"{_W}tc")


def _descend(parent: _Element, tag: str) -> Iterator[_Element]:
    """Children with ``tag``, those in content controls and insertions included, deleted rows not."""
    for child in parent:
        if child.tag == tag:
            if child.find(f"{_W}trPr/{_W}del") is None:
                yield child
        elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}customXml", f"{_W}ins"):
            yield from _descend(child, tag)


def _value(element: _Element, path: str) -> str | None:
    found = element.find(path)
    return found.get(f"{_W}val") if found is not None else None


def _read_styles(root: _Element | None) -> dict[str, _Style]:
    styles: dict[str, _Style] = {}
    for style in () if root is None else root.iter(f"{_W}style"):
        depth = _value(style, f"{_W}pPr/{_W}numPr/{_W}ilvl")
        styles[style.get(f"{_W}styleId") or ""] = _Style(
            name=_value(style, f"{_W}name") or "",
            based_on=_value(style, f"{_W}basedOn"),
            number_id=_value(style, f"{_W}pPr/{_W}numPr/{_W}numId"),
            depth=int(depth) if depth is not None else None,
        )
    return styles


def _read_numbering(root: _Element | None, styles: dict[str, _Style]) -> _Numbering:
    numbering = _Numbering()
    links: dict[str, str] = {}
    if root is None:
        return numbering
    for abstract in root.iter(f"{_W}abstractNum"):
        key = abstract.get(f"{_W}abstractNumId") or ""
        numbering.levels[key] = dict(_read_levels(abstract.iterchildren(f"{_W}lvl")))
        if link := _value(abstract, f"{_W}numStyleLink"):
            links[key] = link
    for number in root.iter(f"{_W}num"):
        key = number.get(f"{_W}numId") or ""
        abstract_key = _value(number, f"{_W}abstractNumId") or ""
        numbering.abstract_of[key] = abstract_key
        for override in number.iter(f"{_W}lvlOverride"):
            depth = int(override.get(f"{_W}ilvl") or 0)
            start = _value(override, f"{_W}startOverride")
            if start is not None:
                numbering.overrides.setdefault(key, {})[depth] = int(start)
            own = dict(_read_levels(override.iterchildren(f"{_W}lvl")))
            if own:  # a list of its own from here on
                numbering.levels[f"{abstract_key}/{key}"] = {**numbering.levels.get(abstract_key, {}), **own}
                numbering.abstract_of[key] = f"{abstract_key}/{key}"
    for key, link in links.items():
        target = styles[link].number_id if link in styles else None
        if target is not None and target in numbering.abstract_of:
            numbering.levels[key] = numbering.levels.get(numbering.abstract_of[target], {})
    return numbering


def _read_levels(levels: Iterable[_Element]) -> Iterator[tuple[int, _Level]]:
    for level in levels:
        restart = _value(level, f"{_W}lvlRestart")
        yield (
            int(level.get(f"{_W}ilvl") or 0),
            _Level(
                start=int(_value(level, f"{_W}start") or 1),
                style=_value(level, f"{_W}numFmt") or "decimal",
                text=_value(level, f"{_W}lvlText") or "",
                suffix=_value(level, f"{_W}suff") or "tab",
                legal=_is_on(level.find(f"{_W}isLgl")),
                restart=int(restart) if restart is not None else None,
                paragraph_style=_value(level, f"{_W}pStyle"),
            ),
        )
