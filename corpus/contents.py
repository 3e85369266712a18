"""Where a policy lists its own contents: short lines near the top that come back later as headings."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from corpus.blocks import Block

MAX_ENTRY = 45
_ANNOUNCES = re.compile(
    "目录|索引|[以已如]下内容|包含内容|内容如下|要点如下|主要内容|以下部分|如下部分|向您说明|以下章节|如下章节"
)
_SENTENCE = re.compile(r"[。！!]|[；;，,].*[；;，,]")
_NOT_TEXT = re.compile(r"[\W_]+")
_LATER = 1000  # short lines behind a list among which its entries are sought
# Comparisons of two titles by resemblance in one policy; the most that any of 135 needs is 7,066. A hostile one, a list
# in every third line, would need as many as the product of both.
_MOST_COMPARED = 200_000


def find_contents(blocks: Sequence[Block]) -> set[int]:
    """Return the indices of the blocks that are a contents list or the line that announces it.

    A list is three or more short lines of which most come back later, in order and further apart, as short lines of
    their own (other numbers, spacing, or slightly other words allowed); or, where a line announces it, numbered lines
    1, 2, 3 … before a body numbered 1.1, 1.2 ….
    """
    found: set[int] = set()
    entries = [_is_entry(block) for block in blocks]
    titles = [normalise_title(block) if entry else "" for block, entry in zip(blocks, entries, strict=True)]
    headings = _Headings(titles)
    index = 0
    while index < len(blocks):
        if not entries[index]:
            index += 1
            continue
        end = _run_end(blocks, titles, index)
        announced = [i + 1 for i in range(max(0, index - 1), end) if _announces(blocks[i])]
        listed = next((part for i in reversed(announced) if (part := _listed(blocks, headings, i, end, True))), None)
        early = index <= max(12, len(blocks) // 5)
        if listed is None and early and not announced:
            listed = _listed(blocks, headings, index, end, False)
        if listed is None:
            listed = _repeated(blocks, headings, index, end)
        if listed is not None:
            start, stop = listed
            if start > 0 and _announces(blocks[start - 1]):
                start -= 1
            found.update(range(start, stop))
        index = max(end, index + 1)
    return found


def normalise_title(block: Block) -> str:
    """A heading's words alone: no number, punctuation, white space or case."""
    return _NOT_TEXT.sub("", block.body).casefold()


def resembles(title: str, other: str) -> bool:
    """Whether two normalised titles are the same heading, allowing for slightly other words."""
    if title == other:
        return True
    if not title or not other:
        return False
    shorter, longer = sorted((title, other), key=len)
    if len(shorter) >= 2 and shorter in longer and len(longer) <= 3 * len(shorter) + 4:
        return True
    if len(longer) > 3 * len(shorter):  # too few pairs to share
        return False
    pairs, other_pairs = _pairs(title), _pairs(other)
    return 2 * len(pairs & other_pairs) >= 0.6 * (len(pairs) + len(other_pairs)) > 0


def shared_pairs(title: str, text: str) -> float:
    """Share of the title's pairs of characters that stand in ``text``, 0 to 1."""
    pairs = _pairs(title)
    return sum(pair in text for pair in pairs) / max(1, len(pairs))


@lru_cache(maxsize=20_000)
def _pairs(title: str) -> frozenset[str]:
    return frozenset(map("".join, pairwise(title)))


def _is_entry(block: Block) -> bool:
    return len(block.text) <= MAX_ENTRY and not _SENTENCE.search(block.text[:-1])


def _announces(block: Block) -> bool:
    bare = block.text.rstrip("：:。 ")
    return bool(_ANNOUNCES.search(bare[-40:])) and (len(bare) <= 20 or block.text[-1] in "：:") and "。" not in bare


def _run_end(blocks: Sequence[Block], titles: Sequence[str], start: int) -> int:
    """End of the short lines from ``start`` on, before one of the first comes back, or a 1 in slightly other words."""
    end = start
    first: list[str] = []
    ones: dict[str, str] = {}
    while end < len(titles) and titles[end] and titles[end] not in first:
        marker = blocks[end].marker
        if marker is not None and marker.value == 1:
            if marker.style in ones and resembles(titles[end], ones[marker.style]):
                break
            ones.setdefault(marker.style, titles[end])
        if len(first) < 24:
            first.append(titles[end])
        end += 1
    return end


class _Headings:
    """The short lines of a policy, to be found again further below."""

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = titles
        self._places = [index for index, title in enumerate(titles) if title]
        self._by_title: dict[str, list[int]] = {}
        for index in self._places:
            self._by_title.setdefault(titles[index], []).append(index)
        self._compared = 0

    def after(self, end: int) -> list[int]:
        """Indices of the next short lines from ``end`` on."""
        first = bisect_left(self._places, end)
        return self._places[first : first + _LATER]

    def find(self, title: str, later: Sequence[int]) -> int | None:
        """The first of ``later`` with this title, else the first that resembles it."""
        if not later:
            return None
        same = self._by_title[title]
        place = bisect_left(same, later[0])
        if place < len(same) and same[place] <= later[-1]:
            return same[place]
        if self._compared >= _MOST_COMPARED:
            return None
        self._compared += len(later)
        return next((i for i in later if resembles(title, self.titles[i])), None)


def _listed(
    blocks: Sequence[Block], headings: _Headings, start: int, end: int, announced: bool
) -> tuple[int, int] | None:
    """The part of the run ``start``-``end`` that is a contents list, if it is one."""
    if end - start < 3 or end - start > 200:
        return None
    titles = headings.titles
    later = headings.after(end)
    for _ in range(2):  # again behind the entries found, where these are a second contents list
        places = {i: place for i in range(start, end) if (place := headings.find(titles[i], later)) is not None}
        if len(places) < 3:
            break
        first = start if announced else min(places)
        last = max(places)
        enough = len(places) >= (0.5 if announced else 0.7) * (last - first + 1)
        if enough and _in_order(list(places.values())) and _spread(places, last - first):
            return first, last + 1 if not announced else max(last + 1, _numbered_end(blocks, last, end))
        later = later[bisect_left(later, max(places.values()) + 1) :]
    if announced and end < len(blocks):
        stop = _numbered_end(blocks, start, end)
        following = blocks[stop].marker if stop < len(blocks) else None
        if stop - start >= 3 and following is not None and following.number[:1] == (1,):
            return start, stop
    return None


def _repeated(blocks: Sequence[Block], headings: _Headings, start: int, end: int) -> tuple[int, int] | None:
    """The end of the run ``start``-``end``, if its entries are the headings of the text right after it.

    That text begins with the first of them and has all of them, in order; nothing need announce such a list, and it
    may stand anywhere: at the head of the second document of a file, for one.
    """
    titles = headings.titles
    first = next((i for i in range(start, end) if end < len(titles) and titles[i] == titles[end]), end)
    if end - first < 4 or any(blocks[i].text[-1] in "。；;" for i in range(first, end)):
        return None
    later = headings.after(end)
    places: dict[int, int] = {}
    for index in range(first, end):
        place = headings.find(titles[index], later)
        if place is None or place <= places.get(index - 1, -1):
            return None
        places[index] = place
    return (first, end) if _spread(places, end - first) else None


def _in_order(places: Sequence[int]) -> bool:
    return sum(a < b for a, b in pairwise(places)) >= 0.7 * (len(places) - 1)


def _spread(places: Mapping[int, int], entries: int) -> bool:
    """Whether the places where entries come back stand apart, as headings with text between them do."""
    return max(places.values()) - min(places.values()) >= 2 * entries + 3


def _numbered_end(blocks: Sequence[Block], start: int, end: int) -> int:
    """End of the entries from ``start`` on whose printed numbers count up by one."""
    marker = blocks[start].marker
    if marker is None or marker.is_bullet or marker.number:
        return start + 1
    stop = start + 1
    value = marker.value
    while stop < end:
        following = blocks[stop].marker
        if following is None or following.number or following.value != value + 1:
            break
        value += 1
        stop += 1
    return stop
