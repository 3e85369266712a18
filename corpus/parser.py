"""A policy -> its outline: clauses with their path, label and lead-in, and the spans that are no clause."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corpus.blocks import Block, split_blocks
from corpus.chapters import name_chapters
from corpus.contents import find_contents, normalise_title
from corpus.datatypes import Clause, ClauseKind, Furniture, FurnitureKind, Outline, Policy
from corpus.lines import is_document_title, is_title_like
from corpus.nesting import Node, nest_blocks

PARSER_VERSION = "8"

_DELIMITER = re.compile(r"<[^<>]{0,40}delimiter[^<>]{0,40}>|[-=_*~—]{3,}")
_VERSION = re.compile(r".{0,12}版本?[）)]?|[（(]?[Vv][\d.]+[）)]?")
_DATED = re.compile("(?:更新|生效|发布|修订|公布).{0,4}(?:日期|时间|日)")
_HEAD = 6  # blocks at the head of a document among which its title stands, where link texts or a notice come first
_SUMMARY = re.compile("摘要|概要|简明版|简版")
_FOOTER = re.compile(r"<[^<>]{0,20}end[^<>]{0,40}>")


def split_policy(policy: Policy) -> list[Clause]:
    """Return the clauses of ``policy`` in text order."""
    return list(parse_policy(policy).clauses)


def parse_policy(policy: Policy) -> Outline:
    """Split ``policy`` into clauses and furniture.

    ``policy.text[c.start:c.end] == c.text`` for every clause, nothing overlaps, and every character that is not white
    space (zero-width characters count as white space) lies in exactly one clause or piece of furniture.
    """
    blocks = split_blocks(policy.text)
    contents = find_contents(blocks)
    listed = [normalise_title(blocks[i]) for i in sorted(contents)]
    furniture = [_furnish(blocks[i], "contents") for i in sorted(contents)]
    documents: list[list[Block]] = [[]]
    for index, block in enumerate(blocks):
        if index in contents:
            continue
        if _FOOTER.fullmatch(block.text):
            furniture.append(_furnish(block, "footer"))
        elif _DELIMITER.fullmatch(block.text) or not re.search(r"\w", block.text):
            furniture.append(_furnish(block, "separator"))
            if "delimiter" in block.text and documents[-1]:
                documents.append([])
        elif len(documents[-1]) > 20 and (_begins_document(blocks, index) or _is_full_title(block, documents[-1][0])):
            documents.append([block])
        else:
            documents[-1].append(block)
    documents = [document for document in documents if document]
    clauses: list[Clause] = []
    for document in documents:
        titles = _find_titles(document)
        furniture.extend(_furnish(block, "heading") for block in titles)
        body = [block for block in document if block not in titles]
        nodes = name_chapters(nest_blocks(body, listed), [blocks[i] for i in sorted(contents)])
        furniture.extend(_furnish(node.block, "heading") for node in nodes if node.role == "heading")
        title = next((block.text for block in titles if is_document_title(block)), None)
        clauses.extend(_make_clauses(policy, nodes, title if len(documents) > 1 else None, len(clauses)))
    return Outline(tuple(clauses), tuple(sorted(furniture, key=lambda piece: piece.start)))


def _furnish(block: Block, kind: FurnitureKind) -> Furniture:
    return Furniture(block.start, block.end, kind)


def _begins_document(blocks: Sequence[Block], index: int) -> bool:
    """Whether a document begins without a delimiter: a title of a policy with a line of dates right below."""
    below = blocks[index + 1 : index + 3]
    return is_document_title(blocks[index]) and any(
        _DATED.match(block.text) and len(block.text) < 40 for block in below
    )


def _is_full_title(block: Block, title: Block) -> bool:
    """Whether a block is the title of the policy whose summary the document before it is."""
    short = _SUMMARY.sub("", title.text)
    return short != title.text and is_document_title(block) and block.text in (short, title.text)


def _find_titles(document: Sequence[Block]) -> list[Block]:
    """The blocks at the head of a document that are its title; with one above a date, the link texts before it too."""
    titles = list(document[: _count_titles(document)])
    if any(map(is_document_title, titles)):
        return titles
    head = range(len(titles), min(_HEAD, len(document) - 1))
    dated = next((i for i in head if _begins_document(document, i)), None)
    return titles if dated is None else [*filter(is_title_like, document[:dated]), document[dated]]


def _count_titles(document: Sequence[Block]) -> int:
    """How many blocks at the head of a document are its title; the last block never is."""
    count = 0
    for index, block in enumerate(document[: min(4, len(document) - 1)]):
        if not (is_title_like(block) or is_document_title(block)):
            break
        if index == 0 or is_document_title(block) or (count == index and _VERSION.fullmatch(block.text)):
            count = index + 1
    return count


def _make_clauses(policy: Policy, nodes: Sequence[Node], document: str | None, first: int) -> list[Clause]:
    ids: dict[int, str] = {}
    for index, node in enumerate(nodes):
        if node.role == "clause":
            ids[index] = f"{policy.policy_id}.{first + len(ids):04d}"
    leads = {node.lead_in for node in nodes if node.lead_in is not None}
    return [
        Clause(
            clause_id=ids[index],
            policy_id=policy.policy_id,
            start=node.block.start,
            end=node.block.end,
            text=node.block.text,
            path=node.path,
            label=node.label,
            kind=_kind(node, index in leads),
            lead_in=ids[node.lead_in] if node.lead_in is not None else None,
            document=document,
        )
        for index, node in enumerate(nodes)
        if node.role == "clause"
    ]


def _kind(node: Node, leads: bool) -> ClauseKind:
    if leads:
        return "lead_in"
    if node.is_sentence_heading:
        return "heading"
    return "item" if node.is_item else "paragraph"
