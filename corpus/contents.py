"""Where a policy lists its own contents: short lines near the top that come back later as headings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from corpus.blocks import Block

MAX_ENTRY = 45
_ANNOUNCES = re.compile(
    "目录|索引|以下内容|如下内容|内容如下|要点如下|主要内容|以下部分|如下部分|向您说明|以下章节|如下章节"
)
_SENTENCE = re.compile(r"[。！!]|[；;，,].*[；;，,]")
_NOT_TEXT = re.compile(r"[\W_]+")


def find_contents(blocks: Sequence[Block]) -> set[int]:
    """Return the indices of the blocks that are a contents list or the line that announces it.

    A list is three or more short lines of which most come back later, in order and further apart, as short lines of
    their own (other numbers, spacing, or slightly other words allowed); or, where a line announces it, numbered lines
    1, 2, 3 … before a body numbered 1.1, 1.2 ….
    """
    found: set[int] = set()
    entries = [_is_entry(block) for block in blocks]
    titles = [normalise_title(block) if entry else "" for block, entry in zip(blocks, entries, strict=True)]
    index = 0
    while index < len(blocks):
        if not entries[index]:
            index += 1
            continue
        end = _run_end(titles, index)
        announced = index > 0 and _announces(blocks[index - 1])
        inside = [i for i in range(index, min(end, index + 4)) if _announces(blocks[i])]
        first = inside[-1] + 1 if inside else index
        announced = announced or bool(inside)
        early = index <= max(12, len(blocks) // 5)
        listed = _listed(blocks, titles, first, end, announced) if announced or early else None
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


def _run_end(titles: Sequence[str], start: int) -> int:
    """End of the short lines from ``start`` on, before one of the first two comes back."""
    end = start
    first: list[str] = []
    while end < len(titles) and titles[end] and titles[end] not in first:
        if len(first) < 24:
            first.append(titles[end])
        end += 1
    return end


def _listed(
    blocks: Sequence[Block], titles: Sequence[str], start: int, end: int, announced: bool
) -> tuple[int, int] | None:
    """The part of the run ``start``-``end`` that is a contents list, if it is one."""
    if end - start < 3 or end - start > 200:
        return None
    later = [i for i in range(end, len(blocks)) if titles[i]][:1000]
    positions = {i: _find_later(titles, titles[i], later) for i in range(start, end)}
    matched = [i for i in range(start, end) if positions[i] is not None]
    if len(matched) >= 3:
        first = start if announced else matched[0]
        last = matched[-1]
        places = [place for i in matched if (place := positions[i]) is not None]
        in_order = sum(a < b for a, b in pairwise(places))
        enough = len(matched) >= (0.5 if announced else 0.7) * (last - first + 1)
        spread = max(places) - min(places) >= 2 * (last - first) + 3
        if enough and in_order >= 0.7 * (len(places) - 1) and spread:
            return first, last + 1 if not announced else max(last + 1, _numbered_end(blocks, last, end))
    if announced and end < len(blocks):
        stop = _numbered_end(blocks, start, end)
        following = blocks[stop].marker if stop < len(blocks) else None
        if stop - start >= 3 and following is not None and following.number[:1] == (1,):
            return start, stop
    return None


def _find_later(titles: Sequence[str], title: str, later: Sequence[int]) -> int | None:
    exact = next((i for i in later if titles[i] == title), None)
    return exact if exact is not None else next((i for i in later if resembles(title, titles[i])), None)


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
