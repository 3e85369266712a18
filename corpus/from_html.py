"""Bytes of a saved web page -> the policy on it: what surrounds the policy goes, and no clause of it does."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from corpus.numbering import read_marker
from corpus.printed import WIDE, NumberStyle, join_lines, print_number

if TYPE_CHECKING:
    from lxml.etree import _Element

Zone = Literal["main", "beside", "chrome", "banner", "hidden"]
"""What a line belongs to. Of what stands beside the policy only links go; all of the page's chrome goes."""
Kind = Literal["navigation", "top", "foot", "aside"]
"""What an element is called that surrounds a page's text."""

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
_NAVIGATION = frozenset(_WORDS.findall("nav search alert menu menubar navigation tablist toolbar tooltip"))
_TOP = frozenset(("header", "banner"))
_FOOT = frozenset(("footer", "contentinfo"))
_ASIDE = frozenset(("aside", "complementary"))
_NAME = (
    r"(?:^|[\s_-])(?:site|page|global|top|main|bottom|sub|left|right)?[_-]?(?:%s)(?:$|[\s_-])"  # of a class or an id
)
_NAVIGATION_NAME = re.compile(
    _NAME % "nav(?:bar|igation)?|menu|breadcrumbs?|crumbs?|toolbar|topbar|pagination|pager|skip-?link|back-?to-?top",
    re.IGNORECASE,
)
_TOP_NAME = re.compile(_NAME % "header", re.IGNORECASE)
_FOOT_NAME = re.compile(_NAME % "footer|copyright", re.IGNORECASE)
_ASIDE_NAME = re.compile(
    _NAME % "side-?bar|share|social|related|recommend(?:ed)?|comments?|advert(?:isement)?|ads?", re.IGNORECASE
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
_PRINTED_NUMBER = re.compile(r"(?:(?<!\s)\s++)?(?:•|[^\s.、]{1,12}(?:\.\s|、))\s*")
_CUT_WIDE = re.compile(rf"(?<=[{WIDE}])[ \t\f]*[\r\n][ \t\r\n\f]*(?=[{WIDE}])")
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_OWNERS_LINE = re.compile(
    r"版权所有|©|&copy;|copyright|all rights reserved|ICP备|ICP证|公网安备|网安备|(?:备案号|许可证)[^。；;]{0,200}\d",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[。；;：:！？]|\.(?:\s|$)")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)
_LEAST_PARAGRAPH = 12
_LONGEST_FOOT = 100
_LONGEST_OWNERS_LINE = 200
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
class _Run:
    """The text between two block tags; ``linked`` counts its characters that are a link to another page."""

    text: str = ""
    linked: int = 0
    heading: bool = False
    parts: list[str] = field(default_factory=lambda: [""])
    """Its text, cut where a control or something not seen stands, which is no part of the run."""

    @property
    def is_links(self) -> bool:
        return self.linked >= 0.7 * len(self.text)


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
        if (
            self.is_open
            and zone in ("main", "beside")
            and self.lines[-1].zone not in ("main", "beside")
            and text != " "
        ):
            self.break_line()
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

    Links around the policy, banners, the owner's lines, controls and scripts go. A block that holds a clause, or a
    heading with text below it, stays whole but for its links, wherever on the page it stands and whatever it is called
    (`_is_furniture`). The result is compared with the page's own text: should a line be missing after all, all that
    is no banner is returned. Numbers that the browser makes before the items of a list are written out.

    :raises ValueError: if the page cannot be decoded, has no text, or is nested too deeply to be read to its end.
    """
    root = _parse(_decode(data))
    lines = _draw_page(root)
    text = _join([line for line in _without_link_lists(lines) if _belongs(line)])
    if find_missing(root, text):
        text = _join([line for line in lines if line.zone != "banner"])
    if find_missing(root, text):  # nested deeper than is drawn
        text = "\n".join(bare for run in _visible_runs(root) if (bare := run.text.strip()))
    if not text.strip():
        scripts = sum(1 for _ in root.iter("script"))
        reason = "its text is made by a script: save the page again once it is shown" if scripts else "it is empty"
        raise ValueError(f"no text on the page; {reason}, or copy the text into a .txt file")
    return text


def find_missing(root: _Element, text: str) -> tuple[str, ...]:
    """Return the runs of the page's text, short ones too, that do not stand in ``text``.

    Reads the page apart from how it was drawn: every run of text between two tags of a block. Scripts, hidden parts,
    banners, furniture (`_is_furniture`), links and the owner's lines may be missing. White space does not count. A
    run too short to be told from a part of another line has to be a line or stand in a table row, as often as on the
    page.
    """
    have = _squeeze(text)
    lines = text.split("\n")
    pieces = Counter(piece for line in lines for piece in {_squeeze(line), _squeeze(_PRINTED_NUMBER.sub("", line))})
    rows = "\n".join(_squeeze(line) for line in lines if "\t" in line)
    broken = "\n".join(map(_squeeze, lines))
    runs = [run for run in _visible_runs(root, furniture=False) if run.text.strip() and not run.is_links]
    wanted = Counter(_squeeze(run.text) for run in runs)
    missing = []
    for run in runs:
        bare = _squeeze(run.text)
        if not bare or _is_owners_line(run.text):
            continue
        if len(bare) >= _LEAST_PARAGRAPH or len(run.parts) > 1:
            is_there = all(_squeeze(part) in have for part in run.parts)
        else:
            is_there = pieces[bare] + rows.count(bare) >= wanted[bare] or _is_broken_over_lines(bare, broken)
        if not is_there:
            missing.append(run.text)
    return tuple(missing)


def _squeeze(text: str) -> str:
    return re.sub(r"[\s\xa0]+", "", text)


def _is_broken_over_lines(bare: str, broken: str) -> bool:
    """Whether a run is several lines: styles, or the line breaks of <pre>, break lines within a block."""
    return re.search("\n?".join(map(re.escape, bare)), broken) is not None and bare not in broken


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
    if any(entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT or "depth" in entry.message for entry in parser.error_log):
        raise ValueError(
            "nested too deeply: tags that are never closed, most likely, and what follows them cannot be read; copy the"
            " text into a .txt file"
        )
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
    return sum(len(run.text.strip()) for run in _visible_runs(element))


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
    if zone in ("hidden", "banner", "chrome") or tag in ("html", "body"):
        return zone
    if (unseen := _find_unseen(element, tag, style)) is not None:
        return unseen
    kind, is_by_name = _find_kind(element, tag)
    if kind is None:
        return zone
    if _is_furniture(element, kind):
        return "chrome"
    return zone if is_by_name or _is_inside(element) else "beside"


def _find_unseen(element: _Element, tag: str, style: str) -> Zone | None:
    if tag in ("html", "body"):
        return None
    if element.get("hidden") is not None or _HIDDEN_STYLE.search(style):
        return "hidden"
    role = (element.get("role") or "").lower()
    is_banner = role in _BANNER_ROLES or tag == "dialog" or _BANNER_NAME.search(_name_of(element)) is not None
    return "banner" if is_banner and _asks_for_consent(element) else None


def _find_kind(element: _Element, tag: str) -> tuple[Kind | None, bool]:
    """What of a page's surroundings an element says it is, and whether only its class or id says so."""
    role = (element.get("role") or "").lower()
    kinds: tuple[tuple[Kind, frozenset[str], re.Pattern[str]], ...] = (
        ("navigation", _NAVIGATION, _NAVIGATION_NAME),
        ("foot", _FOOT, _FOOT_NAME),
        ("top", _TOP, _TOP_NAME),
        ("aside", _ASIDE, _ASIDE_NAME),
    )
    for kind, names, _ in kinds:
        if tag in names or role in names:
            return kind, False
    name = _name_of(element)
    for kind, _, pattern in kinds:
        if tag not in _HEADINGS and pattern.search(name):
            return kind, True
    return None, False


def _name_of(element: _Element) -> str:
    return f"{element.get('class') or ''} {element.get('id') or ''}"


def _is_furniture(element: _Element, kind: Kind) -> bool:
    """Whether a block that is called navigation, header, footer or the like holds nothing of a policy.

    It does hold some if one line reads like a clause, or if a heading has text below it that is no link; else
    navigation is furniture, a footer if it has an owner's line, and any block of links.
    """
    runs = [run for run in _visible_runs(element) if run.text.strip()]
    plain = [run for run in runs if not run.is_links and not _is_owners_line(run.text)]
    if not plain:
        return True
    headings = [index for index, run in enumerate(plain) if run.heading]
    if any(_reads_like_clause(run.text) for run in plain) or (headings and headings[0] < len(plain) - 1):
        return False
    if kind == "navigation":
        return True
    if kind == "top" and headings and sum(run.is_links for run in runs) < 3:
        return False
    if kind == "foot" and any(_is_owners_line(run.text) for run in runs):
        return sum(len(run.text.strip()) for run in plain) <= _LONGEST_FOOT
    return sum(run.linked for run in runs) >= 0.5 * sum(len(run.text) for run in runs)


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
    if line.zone in ("main", "hidden"):
        return True
    return line.zone == "beside" and not line.is_links and not _is_owners_line(line.text)


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
    if _is_owners_line(bare):
        return False
    marker = read_marker(bare)
    if marker is not None and not marker.is_bullet and len(bare) > marker.length + 1:
        return True
    return len(bare) >= _LEAST_PARAGRAPH and _SENTENCE.search(bare) is not None


def _is_owners_line(text: str) -> bool:
    return len(text.strip()) < _LONGEST_OWNERS_LINE and _OWNERS_LINE.search(text.strip()) is not None


def _join(lines: list[_Line]) -> str:
    return "\n".join(line.text for line in lines) + "\n" if lines else ""


def _visible_runs(root: _Element, *, furniture: bool = True) -> Iterator[_Run]:
    """The text between two block tags, hidden parts and banners left out, and where ``furniture`` is not wanted, it."""
    run = _Run()
    stack: list[tuple[_Element, bool, bool, bool]] = [(root, False, False, False)]
    while stack:
        element, is_link, in_heading, is_end = stack.pop()
        tag = element.tag
        if is_end:
            if tag in _BLOCKS:
                yield run
                run = _Run()
            _add(run, element.tail, is_link, in_heading)
            continue
        stack.append((element, is_link, in_heading, True))
        if not isinstance(tag, str) or tag in _SKIPPED:
            continue
        if (
            tag in _CONTROLS
            or _find_unseen(element, tag, element.get("style") or "") is not None
            or (not furniture and (kind := _find_kind(element, tag)[0]) is not None and _is_furniture(element, kind))
        ):
            run.parts.append("")
            continue
        if tag in _BLOCKS or tag == "br":
            yield run
            run = _Run()
        target = element.get("href") or "" if tag == "a" else ""
        is_inner_link = is_link or (bool(target) and not target.startswith(("#", "mailto:", "tel:")))
        is_inner_heading = in_heading or tag in _HEADINGS
        _add(run, element.text, is_inner_link, is_inner_heading)
        stack.extend((child, is_inner_link, is_inner_heading, False) for child in reversed(element))
    yield run


def _add(run: _Run, text: str | None, is_link: bool, in_heading: bool) -> None:
    if text:
        run.text += text
        run.parts[-1] += text
        run.linked += len(text) if is_link else 0
        run.heading = run.heading or (in_heading and not text.isspace())
