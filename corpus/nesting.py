"""Blocks in a row -> what hangs under what: headings, items, lead-ins, told from the styles of number in sequence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from corpus.blocks import Block
from corpus.contents import normalise_title
from corpus.lines import (
    CHAPTER,
    LEADS_IN,
    NO_PLAIN_TITLE,
    PREFACE,
    find_table_labels,
    is_long,
    is_punctuated,
    is_title,
    leads_in,
)
from corpus.numbering import Marker, family

MAX_DEPTH = 12
_LOOK_AHEAD = 40
_NEAR = 40  # characters: blank lines stand between two blocks, and no list of headings
_SAME_KIND = re.compile(r"\d\d|[一二三四五六七八九十百]{2}")
_LATIN = re.compile("[A-Za-z]{3,}")
_TERM = re.compile(r"[^，,。；;：:]{1,24}(?:[：:]|——?|--)")
_OUTERMOST = ("part部分", "part编", "part章")
_APPENDIX = re.compile("附则|附录")
_ANNOUNCES = re.compile(r"(?:以下|如下|下列|下述|包括|例如)[^。！？；;，,：:]{0,20}[：:]$")


@dataclass(frozen=True)
class Node:
    """A block in its place. ``lead_in`` is the index of the block it hangs on.

    ``is_sentence_heading``: a numbered sentence between two headings of its list, in a heading's place.
    """

    block: Block
    role: Literal["heading", "clause"]
    path: tuple[str, ...]
    label: str
    lead_in: int | None = None
    is_item: bool = False
    is_sentence_heading: bool = False


@dataclass(frozen=True)
class _Entry:
    """A heading or item that is still open."""

    index: int
    style: str
    value: int
    number: tuple[int, ...]
    label: str
    title: str | None
    lead_in: int | None
    follows_heading: bool = False

    @property
    def is_heading(self) -> bool:
        return self.title is not None


def nest_blocks(blocks: Sequence[Block], contents_titles: Sequence[str]) -> list[Node]:
    """Return a node a block, in order.

    :param contents_titles: the normalised titles that the policy's contents list names.
    """
    return _Nesting(blocks, contents_titles).nodes


class _Nesting:
    """One pass over the blocks with a stack of what is open."""

    def __init__(self, blocks: Sequence[Block], contents_titles: Sequence[str]) -> None:
        self._blocks = blocks
        self._listed = set(contents_titles)
        self._stack: list[_Entry] = []
        self._open_lead: int | None = None
        self._labels = find_table_labels(blocks)
        self._plain: list[bool] = []
        for index in range(len(blocks)):
            self._plain.append(self._is_plain_heading(index))
        self.nodes: list[Node] = []
        for index, block in enumerate(blocks):
            if block.marker is not None:
                self._place_marked(index, block, block.marker)
            elif self._plain[index]:
                self._place_plain_heading(index, block)
            else:
                self._place_paragraph(index, block)

    # -- numbered and bulleted blocks

    def _place_marked(self, index: int, block: Block, marker: Marker) -> None:
        keep, style, value, follows = self._find_level(marker, index)
        before = self._stack[keep] if follows and keep < len(self._stack) else None
        heading = self._is_marked_heading(index, before)
        if before is None and heading and not self._after_lead_in(index):
            keep = min(keep, self._innermost_heading() + 1)
        if before is None and heading:
            outer = marker.style in _OUTERMOST and any(e.is_heading and e.style != "plain" for e in self._stack[:keep])
            keep = 0 if outer else self._leave_preface(index, keep)
        keep = min(keep, MAX_DEPTH)
        lead = before.lead_in if before is not None else self._list_lead(index, keep)
        if before is not None and not before.is_heading and self._blocks[index - 1].marker is None:
            lead = index - 1 if self._after_lead_in(index) else lead
        del self._stack[keep:]
        path = self._path()
        title = " ".join(block.text.split()) if heading else None
        follows_heading = before is not None and before.is_heading and not marker.is_bullet
        self._stack.append(_Entry(index, style, value, marker.number, marker.label, title, lead, follows_heading))
        label = self._label()
        self._open_lead = None if heading or not leads_in(block.text) else index
        if before is not None and before.follows_heading and heading and not before.is_heading:
            self.nodes[before.index] = replace(self.nodes[before.index], is_sentence_heading=True)
        role: Literal["heading", "clause"] = "heading" if heading else "clause"
        self.nodes.append(Node(block, role, path, label, None if heading else lead, not heading))

    def _find_level(self, marker: Marker, index: int) -> tuple[int, str, int, bool]:
        """How many open entries stay above the marker, how it is read, and whether it goes on with a list."""
        stack = self._stack
        depths = range(len(stack) - 1, -1, -1)
        if marker.number:
            return self._dotted_level(marker)
        if marker.is_bullet:
            depth = next((d for d in depths if stack[d].style == marker.style), None)
            if depth is not None and any(e.is_heading and e.lead_in == stack[depth].index for e in stack[depth + 1 :]):
                depth = None  # the bullet before announces headings; this one stands under the last of them
            return (len(stack) if depth is None else depth), marker.style, 0, depth is not None
        for style, value in marker.readings:
            for depth in depths:
                if stack[depth].style == style and stack[depth].value + 1 == value:
                    return depth, style, value, True
        for style, value in marker.readings:
            for depth in depths:
                same = family(stack[depth].style) == family(style) and stack[depth].value + 1 == value
                after_dotted = stack[depth].number[-1:] == (value - 1,) and family(style) == "num" and value > 1
                if same or after_dotted:
                    return depth, style, value, True
        style, value = next((r for r in marker.readings if r[1] == 1), marker.readings[0])
        depth = next((d for d in depths if stack[d].style == style), None)
        if value == 1:
            if depth is not None and style.startswith("part"):
                return depth, style, value, False  # 第一条 after 第十一条 begins a second count, beside it
            if depth is None or stack[depth].is_heading or self._nests_in(depth, index):
                return len(stack), style, value, False
            return depth, style, value, False
        if depth is None:
            depth = next((d for d in depths if family(stack[d].style) == family(style)), None)
        if depth is None:
            return len(stack), style, value, False
        return depth, style, value, True

    def _dotted_level(self, marker: Marker) -> tuple[int, str, int, bool]:
        stack, number, style = self._stack, marker.number, marker.style
        for depth in range(len(stack) - 1, -1, -1):
            held = stack[depth].number
            if held and len(held) == len(number):
                return depth, style, number[-1], held[:-1] == number[:-1]
            if held and len(held) < len(number):
                return depth + 1, style, number[-1], False
        begins = len(number) == 2 and number[-1] == 1
        for depth in range(len(stack) - 1, -1, -1):
            if begins and stack[depth].is_heading:
                break
            if family(stack[depth].style) in ("num", "cn") and stack[depth].value == number[0]:
                return depth + 1, style, number[-1], False
        return self._innermost_heading() + 1, style, number[-1], False

    def _leave_preface(self, index: int, keep: int) -> int:
        """Numbered chapters stand beside an unnumbered preface, not in it, unless its heading has them alone."""
        listed = self._in_contents(self._blocks[index])
        above = [entry for entry in self._stack[:keep] if entry.is_heading]
        if any(entry.style != "plain" for entry in above):
            return keep
        for depth, entry in enumerate(above):
            preface = PREFACE.fullmatch(_bare_title(entry))
            if entry.index != index - 1 and (listed or preface):
                return depth
        return keep

    def _nests_in(self, depth: int, index: int) -> bool:
        """Whether block ``index``, a new 1, begins a list inside the open entry ``depth`` of the same style."""
        return self._stack[depth].index == index - 1 and leads_in(self._blocks[index - 1].text)

    def _is_marked_heading(self, index: int, before: _Entry | None) -> bool:
        block = self._blocks[index]
        marker, body = block.marker, block.body
        assert marker is not None
        following = self._blocks[index + 1] if index + 1 < len(self._blocks) else None
        if following is None or not body:
            return False
        if marker.is_bullet:
            if len(body) > 20 or is_punctuated(body) or marker.style == "bullet-":
                return False
            numbered = following.marker is not None and not following.marker.is_bullet and following.marker.value == 1
            return is_long(following) or (numbered and before is not None and before.is_heading)
        opens = following.marker is not None and self._opens_below(marker, following.marker)
        if body[-1] in "。；;" and len(body) <= 24 and not is_punctuated(body[:-1]):
            named = self._in_contents(block) or "如何" in body
            if named or (body[-1] == "。" and len(body) <= 16 and body[0] not in "我您你"):
                return opens and not self._goes_on_outside(following, before)
        if body[-1] in "：:" and len(body) <= 20 and not is_punctuated(body[:-1]) and not LEADS_IN.search(body):
            steps = opens and family(marker.style) != "cn" and len(following.text) <= 60
            return "包括" not in body and not steps and (opens or is_long(following))
        if not is_title(body, commas=1, limit=40):
            return False
        if before is not None and not before.is_heading:
            sibling = self._blocks[before.index].body
            in_list = before.lead_in is not None and not before.follows_heading
            if in_list or is_title(sibling, commas=1, limit=40):
                return False
        if family(marker.style) == "cn" or marker.style.startswith("part"):
            return True
        return following.marker is None or opens

    def _goes_on_outside(self, following: Block, before: _Entry | None) -> bool:
        """Whether a bullet after an item goes on with the bullets that the item's list stands in."""
        above = [entry.style for entry in self._stack if before is not None and entry.index < before.index]
        return following.marker is not None and following.marker.is_bullet and following.marker.style in above

    @staticmethod
    def _opens_below(marker: Marker, following: Marker) -> bool:
        if following.number:
            if marker.number:
                return following.number[: len(marker.number)] == marker.number and len(following.number) > len(
                    marker.number
                )
            return (
                marker.style in ("num、", "num.", "num_", "cn、", "cn.", "cn_") and following.number[0] == marker.value
            )
        return following.is_bullet or (following.value == 1 and following.style != marker.style)

    # -- headings without a number

    def _is_plain_heading(self, index: int) -> bool:
        blocks = self._blocks
        block = blocks[index]
        if block.marker is not None or index + 1 >= len(blocks):
            return False
        following = blocks[index + 1]
        text = block.text
        if text[-1] in "：:":
            other = re.search("情形|情况|方式|原因|了解.$", text) or NO_PLAIN_TITLE.search(text)
            opens = is_long(following) or (following.marker is None and _ANNOUNCES.search(following.text))
            return len(text) <= 13 and not is_punctuated(text[:-1]) and not other and bool(opens)
        if not is_title(text, commas=0, limit=30) or NO_PLAIN_TITLE.search(text):
            return False
        if self._in_contents(block):
            return True
        if index in self._labels:
            return False
        short = [
            i
            for i in range(max(0, index - 2), min(len(blocks), index + 3))
            if blocks[i].marker is None and is_title(blocks[i].text, commas=0, limit=30)
        ]
        if len(short) > 3 or sum(i < index and not self._plain[i] for i in short) == 2:
            return False
        after_lead = index > 0 and leads_in(blocks[index - 1].text)
        return not (after_lead and len(following.text) <= 30)

    def _in_contents(self, block: Block) -> bool:
        return normalise_title(block) in self._listed

    def _place_plain_heading(self, index: int, block: Block) -> None:
        keep = self._plain_level(index, block)
        del self._stack[min(keep, MAX_DEPTH) :]
        path = self._path()
        self._stack.append(_Entry(index, "plain", 0, (), "", " ".join(block.text.split()), None))
        self._open_lead = None
        self.nodes.append(Node(block, "heading", path, self._label()))

    def _plain_level(self, index: int, block: Block) -> int:
        stack = self._stack
        plain_only = all(entry.style == "plain" for entry in stack if entry.is_heading)
        first = stack[0].title if stack and stack[0].style == "plain" else None
        chapter = first is not None and CHAPTER.search(first) is not None
        if (plain_only or chapter or _APPENDIX.match(block.text)) and CHAPTER.search(block.text):
            return 0
        if self._in_contents(block):
            return 1 if chapter else 0
        if stack and stack[-1].style == "plain" and stack[-1].index == index - 1:
            return len(stack)
        if stack and stack[0].style == "plain" and PREFACE.fullmatch(_bare_title(stack[0])):
            return 0
        plain = (d for d in range(len(stack) - 1, 0 if chapter else -1, -1) if stack[d].style == "plain")
        siblings = next(plain, None)
        if index + 1 < len(self._plain) and self._plain[index + 1] and siblings is not None:
            return self._outermost_plain(1 if chapter else 0)
        following = self._next_marked(index)
        if following is not None:
            marker = self._blocks[following].marker
            assert marker is not None
            depth, *_, follows = self._find_level(marker, following)
            if marker.is_bullet and siblings is not None:
                return siblings  # bullets count nothing: a list after the heading need not go on with one before
            if follows and depth < len(stack):
                inner = max(depth, self._innermost_heading(numbered=True)) + 1
                return min(inner, siblings) if siblings is not None and siblings > depth else inner
            if depth < len(stack) or self._restarts(marker):
                level = min(depth, self._restart_depth(marker))
                return level - 1 if level > 0 and stack[level - 1].style == "plain" else level
        if siblings is not None:
            return siblings
        return self._innermost_heading() + 1

    def _outermost_plain(self, first: int) -> int:
        return next(d for d in range(first, len(self._stack)) if self._stack[d].style == "plain")

    def _restart_depth(self, marker: Marker) -> int:
        same = (d for d, entry in enumerate(self._stack) if entry.style == marker.style)
        return next(same, len(self._stack))

    def _restarts(self, marker: Marker) -> bool:
        return marker.value == 1 and not marker.is_bullet and self._restart_depth(marker) < len(self._stack)

    # -- paragraphs

    def _place_paragraph(self, index: int, block: Block) -> None:
        lead = self._open_lead
        if lead is not None and self._is_unnumbered_item(index, lead):
            self.nodes.append(Node(block, "clause", self._path(), self._label(), lead, True))
            return
        if not self._goes_on(index):
            del self._stack[self._paragraph_level(index) :]
        self._open_lead = index if leads_in(block.text) else None
        self.nodes.append(Node(block, "clause", self._path(), self._label()))

    def _paragraph_level(self, index: int) -> int:
        """How many open entries an unnumbered paragraph stands under: those the next number goes on from."""
        stack = self._stack
        inner = self._innermost_heading() + 1
        begun: set[str] = set()
        following = self._next_marked(index)
        steps = 0
        while following is not None and steps < _LOOK_AHEAD:
            marker = self._blocks[following].marker
            assert marker is not None
            depth, style, _, follows = self._find_level(marker, following)
            if follows and depth < len(stack) and family(style) not in begun:
                return max(depth + 1, inner)
            if depth < len(stack) and steps == 0:
                return max(depth, inner)
            begun.add(family(style))
            following = self._next_marked(following)
            steps += 1
        return inner

    def _goes_on(self, index: int) -> bool:
        """Whether a paragraph goes on with the item above: both have a Latin word that the item before has not."""
        if not self._stack or self._stack[-1].is_heading or not self._stack[-1].label:
            return False
        item = self._stack[-1].index
        before = self._blocks[item - 1].text if item else ""
        words = set(_LATIN.findall(self._blocks[item].text[:2000])) - set(_LATIN.findall(before[:2000]))
        return bool(words & set(_LATIN.findall(self._blocks[index].text[:2000])))

    def _is_unnumbered_item(self, index: int, lead: int) -> bool:
        """Whether an unnumbered paragraph is an item of the list that block ``lead`` announces."""
        text = self._blocks[index].text
        previous = self._blocks[index - 1].text
        if (index - 1 > lead and previous[-1] in "；;") or text[-1] in "；;":
            return True
        if leads_in(text):
            return False
        if index - 1 == lead and _ANNOUNCES.search(self._blocks[lead].text) and self._is_what_is_announced(index):
            return True
        if _TERM.match(text) or (len(text) <= 30 and not is_punctuated(text)):
            return True
        following = self._blocks[index + 1].text if index + 1 < len(self._blocks) else ""
        alike = previous if index - 1 > lead else following
        return text[:2] == alike[:2] or (text[0] == alike[:1] and text[0] in "【「“《[")

    def _is_what_is_announced(self, index: int) -> bool:
        """Whether a paragraph or a table's head is what the line right above announces, and not the list below."""
        block = self._blocks[index]
        near = block.start - self._blocks[index - 1].end < _NEAR
        below = self._blocks[index + 1].marker if index + 1 < len(self._blocks) else None
        listed = below is not None and (below.is_bullet or below.value == 1)
        return near and ("\t" in block.text or not listed)

    # -- what the stack says

    def _next_marked(self, index: int) -> int | None:
        """The next numbered block, unless a heading without a number or too much text stands before it."""
        for following in range(index + 1, min(index + 1 + _LOOK_AHEAD, len(self._blocks))):
            if self._blocks[following].marker is not None:
                return following
            if self._plain[following]:
                return None
        return None

    def _innermost_heading(self, *, numbered: bool = False) -> int:
        for depth in range(len(self._stack) - 1, -1, -1):
            if self._stack[depth].is_heading and not (numbered and self._stack[depth].style == "plain"):
                return depth
        return -1

    def _after_lead_in(self, index: int) -> bool:
        return index > 0 and self.nodes[index - 1].role == "clause" and leads_in(self._blocks[index - 1].text)

    def _list_lead(self, index: int, keep: int) -> int | None:
        """The lead-in of a list that begins at block ``index`` under the first ``keep`` open entries."""
        before = self._blocks[index - 1] if index else None
        if before is None or (before.marker is None and self.nodes[index - 1].is_item):
            return self.nodes[index - 1].lead_in if before else None
        if not self._after_lead_in(index):
            return None
        inside = keep > 0 and self._stack[keep - 1].index == index - 1
        return index - 1 if inside or before.marker is None else None

    def _path(self) -> tuple[str, ...]:
        return tuple(entry.title for entry in self._stack if entry.title is not None)

    def _label(self) -> str:
        parts: list[_Entry] = []
        for entry in self._stack:
            if entry.number:
                while parts and parts[-1].number:
                    parts.pop()
                same = (i for i, part in enumerate(parts) if _is_chapter_number(part) and part.value == entry.number[0])
                del parts[next(same, len(parts)) :]
            if entry.label:
                parts.append(entry)
        label = ""
        for entry in parts:
            touching = label and _SAME_KIND.match(label[-1] + entry.label[0])
            label += f".{entry.label}" if touching else entry.label
        return label


def _bare_title(entry: _Entry) -> str:
    return (entry.title or "").strip("【】[]：: ")


def _is_chapter_number(entry: _Entry) -> bool:
    return family(entry.style) in ("num", "cn")
