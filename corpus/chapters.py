"""Chapters whose headings stand in the contents list alone: the body goes straight to 1.1, 1.2 …"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from corpus.blocks import Block
from corpus.contents import normalise_title, shared_pairs
from corpus.nesting import Node


def name_chapters(nodes: Sequence[Node], contents: Sequence[Block]) -> list[Node]:
    """Put the chapter that the contents list names above the clauses numbered after it.

    Applies where the list counts 1, 2, 3 … and no heading of the body has one of these numbers. An unnumbered
    paragraph before 4.1 opens chapter 4; one after the last number opens the later chapter whose title's words it
    has most of, if it has half of them.
    """
    titles = {block.marker.value: block for block in contents if block.marker and block.marker.style.startswith("num")}
    numbers = [_chapter_number(node) for node in nodes]
    numbered = any(number is not None for number in numbers) and all(number in (None, *titles) for number in numbers)
    if len(titles) < 3 or not numbered or any(_stands_alone(node) for node in nodes):
        return list(nodes)
    filled = _fill(nodes, numbers, titles)
    return [_under_chapter(node, titles.get(number or 0)) for node, number in zip(nodes, filled, strict=True)]


def _stands_alone(node: Node) -> bool:
    """Whether a node is a chapter of the body: outermost, and a heading without a number or a number without dots."""
    marker = node.block.marker
    if node.path or _chapter_number(node) is not None:
        return False
    return node.role == "heading" or marker is not None


def _chapter_number(node: Node) -> int | None:
    head, dot, _ = node.label.partition(".")
    return int(head) if dot and head.isdecimal() else None  # ① is a digit to Python, and no number


def _fill(nodes: Sequence[Node], numbers: Sequence[int | None], titles: dict[int, Block]) -> list[int | None]:
    """Give the unnumbered clauses their chapters, from the next number back and, after the last, by their words."""
    filled = list(numbers)
    last = max(index for index, number in enumerate(numbers) if number is not None)
    first = next(index for index, number in enumerate(numbers) if number is not None)
    for index in range(last - 1, first, -1):
        filled[index] = numbers[index] or filled[index + 1]
    current = numbers[last] or 0
    for index in range(last + 1, len(nodes)):
        shares = {n: shared_pairs(normalise_title(titles[n]), nodes[index].block.text) for n in titles if n > current}
        best = max(shares, key=lambda n: shares[n], default=current)
        current = best if shares.get(best, 0) >= 0.3 else current
        filled[index] = current if current != numbers[last] else None
    return filled


def _under_chapter(node: Node, chapter: Block | None) -> Node:
    if chapter is None or chapter.marker is None:
        return node
    title = " ".join(chapter.text.split())
    return replace(node, path=(title, *node.path), label=node.label or chapter.marker.label)
