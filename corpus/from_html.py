"""Bytes of a saved web page -> the policy on it: what surrounds the policy goes, and no clause of it does."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from corpus.numbering import read_marker
from corpus.printed import WIDE, NumberStyle, join_lines, print_number

if TYPE_CHECKING:
    from lxml.etree import _Element

Zone = Literal["main", "beside", "chrome", "banner", "hidden"]

_WORDS = re.compile("[a-z0-9]+")
_BLOCKS = frozenset(
    _WORDS.findall(
        "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption "
        "figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol optgroup option p pre "
        "search section summary table tbody td textarea tfoot th thead tr ul"
    )
)
_SKIPPED = frozenset(
    _WORDS.findall(
        "applet area audio base canvas embed frame frameset head iframe input link map math meta noembed noframes "
        "noscript object param script select source style svg template title track video"
    )
)
_CONTROLS = frozenset(("button",))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_CHROME_TAGS = frozenset(("nav", "header", "footer", "aside", "search"))
_CHROME_ROLES = frozenset(
    _WORDS.findall("alert banner complementary contentinfo menu menubar navigation search tablist toolbar tooltip")
)
_CHROME_NAME = re.compile(
    r"(?:^|[\s_-])(?:site|page|global|top|main|bottom|sub|left|right)?[_-]?"
    r"(?:nav(?:bar|igation)?|menu|breadcrumbs?|crumbs?|footer|header|side-?bar|toolbar|topbar|pagination|pager|share"
    r"|social|copyright|related|recommend(?:ed)?|comments?|skip-?link|back-?to-?top|advert(?:isement)?|ads?)"
    r"(?:$|[\s_-])",
    re.IGNORECASE,
)
_BANNER_NAME = re.compile("cookie|consent|gdpr|onetrust|popup|modal|dialog|toast|download-?app|app-?bar", re.IGNORECASE)
_BANNER_ROLES = frozenset(("dialog", "alertdialog"))
_AGREES = re.compile(
    "接受|同意|拒绝|知道了|关闭|允许|设置|确定|取消|打开|下载|accept|agree|reject|decline|allow|got it|settings"
    "|dismiss|close|ok|×|✕",
    re.IGNORECASE,
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BLOCK_STYLE = re.compile(r"display\s*:\s*(?:block|flex|grid|table(?!-cell)|list-item)", re.IGNORECASE)
_PRE_STYLE = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)", re.IGNORECASE)
_LIST_STYLE = re.compile(r"list-style(?:-type)?\s*:\s*([\w\s-]+)", re.IGNORECASE)
_ORDERED: dict[str, tuple[NumberStyle, str]] = {
    "1": ("decimal", ". "),
    "a": ("lower-alpha", ". "),
    "A": ("upper-alpha", ". "),
    "i": ("lower-roman", ". "),
    "I": ("upper-roman", ". "),
    "decimal": ("decimal", ". "),
    "decimal-leading-zero": ("decimal-leading-zero", ". "),
    "lower-alpha": ("lower-alpha", ". "),
    "lower-latin": ("lower-alpha", ". "),
    "upper-alpha": ("upper-alpha", ". "),
    "upper-latin": ("upper-alpha", ". "),
    "lower-roman": ("lower-roman", ". "),
    "upper-roman": ("upper-roman", ". "),
    "cjk-ideographic": ("chinese", "、"),
    "cjk-decimal": ("chinese", "、"),
    "simp-chinese-informal": ("chinese", "、"),
    "simp-chinese-formal": ("chinese", "、"),
    "trad-chinese-informal": ("chinese", "、"),
    "trad-chinese-formal": ("chinese", "、"),
    "japanese-informal": ("chinese", "、"),
}
_CUT_WIDE = re.compile(rf"(?<=[{WIDE}])[ \t\f]*[\r\n][ \t\r\n\f]*(?=[{WIDE}])")
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_OWNERS_LINE = re.compile(
    "版权所有|©|&copy;|copyright|all rights reserved|ICP备|ICP证|公网安备|网安备|备案号|许可证", re.IGNORECASE
)
_TITLE = re.compile("隐私|隱私|个人信息|個人資料|政策|协议|協議|声明|指引|privacy|policy", re.IGNORECASE)
_SENTENCE = re.compile(r"[。；;：:！？]|\.(?:\s|$)")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)
_LEAST_PARAGRAPH = 12
_HIDDEN_DOCUMENT = 200
_MAX_DEPTH = 200


@dataclass
class _Line:
    """A line of the page as it is drawn; ``linked`` counts its characters that are a link to another page."""

    zone: Zone
    text: str = ""
    linked: int = 0
    heading: bool = False
    printed: int = 0
    """Length of the number or bullet that the browser prints before it."""

    @property
    def is_links(self) -> bool:
        return self.linked >= 0.7 * (len(self.text) - self.printed)


@dataclass
class _Drawing:
    """The page drawn line by line, as a browser without styles would."""

    lines: list[_Line] = field(default_factory=list)
    pending: str = ""
    is_open: bool = False

    def break_line(self) -> None:
        self.is_open = False

    def mark(self, text: str) -> None:
        """Remember a list number until the item's first text comes."""
        self.break_line()
        self.pending = text

    def write(self, text: str, zone: Zone, *, linked: bool, heading: bool, keep_lines: bool) -> None:
        if keep_lines:
            for index, piece in enumerate(text.split("\n")):
                if index:
                    self.break_line()
                self.write(piece, zone, linked=linked, heading=heading, keep_lines=False)
            return
        text = _SPACES.sub(" ", _CUT_WIDE.sub("", text))
        if not self.is_open:
            text = text.lstrip(" ")
            if not text:
                return
            self.lines.append(_Line(zone, self.pending, printed=len(self.pending)))
            self.pending, self.is_open = "", True
        line = self.lines[-1]
        if line.text.endswith(" "):
            text = text.lstrip(" ")
        line.text += text
        line.linked += len(text) if linked else 0
        line.heading = line.heading or heading


@dataclass(frozen=True)
class _Context:
    zone: Zone = "main"
    linked: bool = False
    heading: bool = False
    keep_lines: bool = False


def read_html(data: bytes) -> str:
    """Return the policy on a page, a line a paragraph, heading, list item or table row.

    Navigation, page header and footer, banners, controls and scripts go. What looks like a clause stays wherever on
    the page it stands, and the result is compared with the page's own text: should a clause be missing after all,
    the whole page is returned. Numbers that the browser makes before the items of a list are written out.

    :raises ValueError: if the page cannot be decoded or has no text.
    """
    root = _parse(_decode(data))
    lines = _draw_page(root)
    text = _join([line for line in _without_link_lists(lines) if _belongs(line)])
    if find_missing(root, text):
        text = _join([line for line in lines if line.zone != "banner"])
    if find_missing(root, text):  # nested deeper than is drawn
        text = "\n".join(run.strip() for run, _ in _visible_runs(root) if run.strip())
    if not text.strip():
        scripts = sum(1 for _ in root.iter("script"))
        reason = "its text is made by a script: save the page again once it is shown" if scripts else "it is empty"
        raise ValueError(f"no text on the page; {reason}, or copy the text into a .txt file")
    return text


def find_missing(root: _Element, text: str) -> tuple[str, ...]:
    """Return the paragraphs of the page that look like clauses and do not stand in ``text``.

    Reads the page apart from how it was drawn: every run of text between two tags of a block, scripts, hidden parts
    and banners left out. White space does not count.
    """
    have = re.sub(r"\s+", "", text).replace("\xa0", "")
    missing = []
    for run, linked in _visible_runs(root):
        if linked < 0.7 * len(run) and _reads_like_clause(run) and re.sub(r"[\s\xa0]+", "", run) not in have:
            missing.append(run)
    return tuple(missing)


def _decode(data: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    stated = _CHARSET.search(data[:4096])
    names = [stated[1].decode("ascii", "replace").lower()] if stated else []
    for name in [*names, "utf-8", "gb18030", "big5hkscs"]:
        wide = {"gb2312": "gb18030", "gbk": "gb18030", "gb_2312-80": "gb18030", "big5": "big5hkscs"}.get(name, name)
        try:
            return data.decode(wide)
        except (UnicodeDecodeError, LookupError):
            continue
    raise ValueError(f"{len(data)} bytes in an unknown encoding; save the page as UTF-8")


def _parse(text: str) -> _Element:
    from lxml import etree

    text = re.sub("[\x00-\x08\x0b\x0e-\x1f]", "", text)
    if not text.strip():
        raise ValueError("the page is empty")
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    if root is None:
        raise ValueError("no text on the page; it is empty")
    return root


def _draw_page(root: _Element) -> list[_Line]:
    drawing = _Drawing()
    main = _find_main(root)
    _draw(root, drawing, _Context("main" if main is None else "beside"), main, 0)
    for line in drawing.lines:
        line.text = line.text.rstrip(" ")
    lines = [line for line in drawing.lines if line.text]
    shown = {line.text for line in lines if line.zone != "hidden"}
    folded = [line for line in lines if line.zone == "hidden" and line.text not in shown]
    is_document = sum(len(line.text) for line in folded if _reads_like_clause(line.text)) >= _HIDDEN_DOCUMENT
    return [line for line in lines if line.zone != "hidden" or (is_document and line.text not in shown)]


def _find_main(root: _Element) -> _Element | None:
    """The one element that the page itself calls its main content, if it holds most of the page's text."""
    body = root.find("body")
    if body is None:
        return None
    whole = _text_length(body)
    for path in (".//main", ".//*[@role='main']", ".//article"):
        found = body.findall(path)
        if len(found) == 1 and _text_length(found[0]) >= 0.5 * whole:
            return found[0]
    return None


def _text_length(element: _Element) -> int:
    return sum(len(run.strip()) for run, _ in _visible_runs(element))


def _draw(element: _Element, drawing: _Drawing, context: _Context, main: _Element | None, depth: int) -> None:
    tag = element.tag
    if not isinstance(tag, str) or tag in _SKIPPED or depth > _MAX_DEPTH:
        return
    if tag == "br":
        drawing.break_line()
        return
    style = element.get("style") or ""
    context = _enter(element, tag, style, context, main)
    if tag in _CONTROLS and context.zone != "main":
        return
    is_block = tag in _BLOCKS or _BLOCK_STYLE.search(style) is not None
    if is_block:
        drawing.break_line()
    if tag == "table" and _is_data_table(element):
        _draw_table(element, drawing, context, main, depth)
    elif tag in ("ol", "ul", "menu", "dir"):
        _draw_list(element, drawing, context, main, depth)
    else:
        _draw_inside(element, drawing, context, main, depth)
    if is_block:
        drawing.break_line()


def _draw_inside(element: _Element, drawing: _Drawing, context: _Context, main: _Element | None, depth: int) -> None:
    _write(drawing, element.text, context)
    for child in element:
        _draw(child, drawing, context, main, depth + 1)
        _write(drawing, child.tail, context)


def _write(drawing: _Drawing, text: str | None, context: _Context) -> None:
    if text:
        drawing.write(
            text,
            context.zone,
            linked=context.linked,
            heading=context.heading,
            keep_lines=context.keep_lines,
        )


def _enter(element: _Element, tag: str, style: str, context: _Context, main: _Element | None) -> _Context:
    """The context inside ``element``: where on the page it stands, and whether it is a link or a heading."""
    zone = "main" if element is main else _find_zone(element, tag, style, context.zone)
    linked = context.linked
    if tag == "a":
        target = element.get("href") or ""
        linked = bool(target) and not target.startswith(("#", "mailto:", "tel:"))
    keep_lines = context.keep_lines or tag in ("pre", "textarea") or _PRE_STYLE.search(style) is not None
    return _Context(zone, linked, context.heading or tag in _HEADINGS, keep_lines)


def _find_zone(element: _Element, tag: str, style: str, zone: Zone) -> Zone:
    if zone in ("hidden", "banner"):
        return zone
    if element.get("hidden") is not None or _HIDDEN_STYLE.search(style):
        return "hidden"
    if tag in ("html", "body"):
        return zone
    role = (element.get("role") or "").lower()
    name = f"{element.get('class') or ''} {element.get('id') or ''}"
    if (role in _BANNER_ROLES or tag == "dialog" or _BANNER_NAME.search(name)) and _asks_for_consent(element):
        return "banner"
    chrome = tag in _CHROME_TAGS or role in _CHROME_ROLES or (tag not in _HEADINGS and _CHROME_NAME.search(name))
    if chrome and not (tag == "header" and zone == "main" and _is_inside(element)):
        return "chrome"
    return zone


def _is_inside(element: _Element) -> bool:
    return any(parent.tag in ("main", "article", "section") for parent in element.iterancestors())


def _asks_for_consent(element: _Element) -> bool:
    """Whether a short element has something to press that agrees, refuses or closes."""
    text = "".join(element.itertext()).strip()
    if len(text) > 600:
        return False
    for control in element.iter("button", "a", "input"):
        if _AGREES.search(" ".join(("".join(control.itertext()), control.get("value") or "")).strip()):
            return True
    return any(_AGREES.search("".join(part.itertext())) for part in element.iterfind(".//*[@role='button']"))


# -- lists and tables


def _draw_list(element: _Element, drawing: _Drawing, context: _Context, main: _Element | None, depth: int) -> None:
    items = [child for child in element if child.tag == "li"]
    numbering = _find_numbering(element, items)
    value = _read_int(element.get("start"), len(items) if element.get("reversed") is not None else 1)
    step = -1 if element.get("reversed") is not None else 1
    _write(drawing, element.text, context)
    for child in element:
        if child.tag == "li":
            value = _read_int(child.get("value"), value)
            if numbering is not None:
                style, after = numbering
                drawing.mark(print_number(value, style) + after)
            elif element.tag == "ul" and _is_bulleted(element, child):
                drawing.mark("• ")
            value += step
        _draw(child, drawing, context, main, depth + 1)
        drawing.pending = ""
        _write(drawing, child.tail, context)


def _find_numbering(element: _Element, items: list[_Element]) -> tuple[NumberStyle, str] | None:
    """How the browser numbers a list; ``None`` if it does not, or if most items print a number of their own."""
    if element.tag != "ol" or not items:
        return None
    style = _read_list_style(element)
    if style == "none":
        return None
    own = 0
    for item in items:
        marker = read_marker("".join(item.itertext()).strip())
        own += marker is not None and not marker.is_bullet
    if own > len(items) / 2:
        return None
    return _ORDERED.get(style or element.get("type") or "1", _ORDERED["1"])


def _read_list_style(element: _Element) -> str | None:
    match = _LIST_STYLE.search(element.get("style") or "")
    if match is None:
        return None
    words = match[1].lower().split()
    return next((word for word in words if word == "none" or word in _ORDERED), None)


def _is_bulleted(element: _Element, item: _Element) -> bool:
    """Whether a bullet stands before an item: not where it prints a number or bullet, or is a block of its own."""
    if _read_list_style(element) == "none" or read_marker("".join(item.itertext()).strip()) is not None:
        return False
    return not any(child.tag in _HEADINGS for child in item)


def _read_int(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and re.fullmatch(r"\s*-?\d{1,6}\s*", text) else otherwise


def _is_data_table(table: _Element) -> bool:
    """Whether a table shows data and does not lay out the page: two columns or more, no headings or tables inside."""
    rows = [row for row in table.iter("tr")]
    if any(True for _ in table.iter("ol", *_HEADINGS)) or len([*table.iter("table")]) > 1:
        return False
    return any(len(_cells(row)) > 1 for row in rows)


def _cells(row: _Element) -> list[_Element]:
    return [cell for cell in row if cell.tag in ("td", "th")]


def _draw_table(table: _Element, drawing: _Drawing, context: _Context, main: _Element | None, depth: int) -> None:
    """A line a row, a tab between two cells; a cell that spans rows stands in each, and empty rows go."""
    for part in table:
        if part.tag == "caption":
            _draw(part, drawing, context, main, depth + 1)
    spanning: dict[int, tuple[int, str]] = {}
    for row in table.iter("tr"):
        cells: list[str] = []
        linked = 0
        for cell in _cells(row):
            _take_spanning(cells, spanning)
            inner = _Drawing()
            _draw_inside(cell, inner, _enter(cell, str(cell.tag), cell.get("style") or "", context, main), main, depth)
            linked += sum(line.linked for line in inner.lines)
            text = join_lines(line.text for line in inner.lines if line.zone != "hidden")
            rows = min(_read_int(cell.get("rowspan"), 1), 1000)
            if rows > 1:
                spanning[len(cells)] = (rows - 1, text)
            cells.append(text)
        _take_spanning(cells, spanning)
        if any(cells):
            drawing.lines.append(_Line(context.zone, "\t".join(cells).strip("\t "), linked))
            drawing.break_line()


def _take_spanning(cells: list[str], spanning: dict[int, tuple[int, str]]) -> None:
    while (held := spanning.pop(len(cells), None)) is not None:
        rows, text = held
        if rows > 1:
            spanning[len(cells)] = (rows - 1, text)
        cells.append(text)


# -- what belongs to the policy


def _belongs(line: _Line) -> bool:
    if line.zone == "main":
        return True
    if line.zone == "banner" or line.is_links:
        return False
    is_title = line.heading and _TITLE.search(line.text) is not None
    return line.zone == "hidden" or is_title or _reads_like_clause(line.text)


def _without_link_lists(lines: list[_Line]) -> list[_Line]:
    """Leave out links to elsewhere, three or more in a row, before the first clause and after the last."""
    clauses = [index for index, line in enumerate(lines) if not line.is_links and _reads_like_clause(line.text)]
    if not clauses:
        return lines
    dropped: set[int] = set()
    run: list[int] = []
    for index, line in enumerate([*lines, _Line("main", " ")]):
        if index < len(lines) and line.is_links and not clauses[0] < index < clauses[-1]:
            run.append(index)
            continue
        dropped.update(run if len(run) >= 3 else ())
        run = []
    return [line for index, line in enumerate(lines) if index not in dropped]


def _reads_like_clause(text: str) -> bool:
    """Whether a line reads like part of a policy: a sentence, or numbered; not the owner's line of a page footer."""
    bare = text.strip()
    if _OWNERS_LINE.search(bare) and len(bare) < 200:
        return False
    marker = read_marker(bare)
    if marker is not None and not marker.is_bullet and len(bare) > marker.length + 1:
        return True
    return len(bare) >= _LEAST_PARAGRAPH and _SENTENCE.search(bare) is not None


def _join(lines: list[_Line]) -> str:
    return "\n".join(line.text for line in lines) + "\n" if lines else ""


def _visible_runs(root: _Element) -> Iterator[tuple[str, int]]:
    """The text between two block tags, and how much of it is links to elsewhere; hidden parts and banners left out."""
    run: list[str] = []
    linked = 0
    stack: list[tuple[_Element, bool, bool]] = [(root, False, False)]
    while stack:
        element, is_link, is_end = stack.pop()
        tag = element.tag
        if is_end:
            if tag in _BLOCKS:
                yield "".join(run), linked
                run, linked = [], 0
            tail = element.tail or ""
            run.append(tail)
            linked += len(tail) if is_link else 0
            continue
        if not isinstance(tag, str) or tag in _SKIPPED or tag in _CONTROLS or _is_unseen(element, tag):
            stack.append((element, is_link, True))
            continue
        if tag in _BLOCKS or tag == "br":
            yield "".join(run), linked
            run, linked = [], 0
        target = element.get("href") or "" if tag == "a" else ""
        inside = is_link or (bool(target) and not target.startswith(("#", "mailto:", "tel:")))
        run.append(element.text or "")
        linked += len(element.text or "") if inside else 0
        stack.append((element, is_link, True))
        stack.extend((child, inside, False) for child in reversed(element))
    yield "".join(run), linked


def _is_unseen(element: _Element, tag: str) -> bool:
    if tag in ("html", "body"):
        return False
    return _find_zone(element, tag, element.get("style") or "", "beside") in ("hidden", "banner")
