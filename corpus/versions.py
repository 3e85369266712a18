"""What changed between two versions of a policy, clause by clause, matched by content: renumbering is no change.

A clause's content is its text without printed number, white space and closing mark, in one width and one kind of
quotation mark. Its place is its headings, outermost first, and the lead-in that it hangs on, each by content too.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from corpus.blocks import is_blank
from corpus.datatypes import Clause, Policy
from corpus.numbering import read_marker
from corpus.words import cut_words

ChangeKind = Literal["added", "removed", "reworded", "moved", "moved_reworded", "split", "merged"]
CHANGE_KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
Span = tuple[int, int]
Version = tuple[Policy, Sequence[Clause]]

# Of 4,082,362 pairs of different clauses of one policy, over 135 policies, 1.0 % are at least 0.4 alike and 0.18 % at
# least 0.7 (tests/corpus/test_versions.py does the same with the shipped five). Two clauses in one place are likelier
# the same one reworded than two from anywhere, so that less is asked of them.
ALIKE_IN_PLACE = 0.4
ALIKE_ELSEWHERE = 0.7

_QUOTATION_MARKS = dict.fromkeys(map(ord, "“”„‟‘’「」『』'＂"), '"')
_CLOSING_MARKS = ";。.,、:"
# "1.5年后…" begins with an amount and no number of a clause; "1.5 年度报告", "1.2日志信息" and "1.3个人信息" do not.
_DECIMAL = re.compile(
    r"\d+[.．]\d+[ \u3000]?(?:年(?![龄度报审])|个(?:半|多)?(?:月|小时|工作日|自然日)|小时|分钟|秒(?!杀)"
    r"|天(?![气津猫翼])|日(?![志常历程])|周(?![边期年])|岁|倍|公里|[KMGT]B)"
)
_MOST_EQUAL = 100_000
"""So many pairs of equal content are weighed against each other. No policy known has more than 1,206."""


@dataclass(frozen=True)
class Change:
    """One difference between two versions.

    ``old`` is ``None`` for what was added, ``new`` for what was removed. A clause that was split without a change of
    words has its first part in ``new`` and the others in ``rest``; of clauses that were merged so, the first is ``old``
    and the others are ``rest``. The marks are the spans within ``old.text`` that went and within ``new.text`` that
    came, on word boundaries, in order; empty unless the clause was reworded.
    """

    kind: ChangeKind
    old: Clause | None
    new: Clause | None
    old_marks: tuple[Span, ...] = ()
    new_marks: tuple[Span, ...] = ()
    rest: tuple[Clause, ...] = ()


@dataclass(frozen=True)
class HeadingChange:
    """A heading that came (``old`` is ``None``), went (``new`` is ``None``) or got other words; as printed."""

    old: str | None
    new: str | None


def diff_outlines(old: Version, new: Version) -> tuple[Change, ...]:
    """Return what changed from ``old`` to ``new``, in reading order of ``new``; what was removed where it stood.

    A clause is unchanged if its content is, its order among the others is, and it has not come under another heading
    or lead-in; a heading with other words in the same place is no other heading (see :func:`diff_headings`), and a line
    that is a heading in one version and a clause in the other, for want of clauses under it, is unchanged. Of
    clauses that changed places the fewest count as moved. A clause that was split with a change of words is reworded
    into the part most like it, and the other parts are added; clauses merged with a change of words likewise.
    """
    before, after = _read(old), _read(new)
    matching = _match(before, after)
    partner = {i: j for i, j in matching.pairs if (i, j) in matching.in_order}
    changes: list[tuple[tuple[int, int, int], Change]] = []
    for i, j in matching.pairs:
        change = _compare_pair(before, after, i, j, is_moved=_is_moved(matching, before, after, i, j))
        if change:
            changes.append(((j, 1, 0), change))
    for i, parts in matching.split:
        rest = tuple(after.clauses[j] for j in parts[1:])
        changes.append(((parts[0], 1, 0), Change("split", before.clauses[i], after.clauses[parts[0]], rest=rest)))
        partner[i] = parts[-1]
    for parts, j in matching.merged:
        rest = tuple(before.clauses[i] for i in parts[1:])
        changes.append(((j, 1, 0), Change("merged", before.clauses[parts[0]], after.clauses[j], rest=rest)))
        partner |= dict.fromkeys(parts, j)
    added = _without_headings(matching.added, after, before)
    changes.extend(((j, 1, 0), Change("added", None, after.clauses[j])) for j in added)
    standing = sorted(partner)
    for i in _without_headings(matching.removed, before, after):
        above = bisect_left(standing, i)
        changes.append(
            ((partner[standing[above - 1]] if above else -1, 2, i), Change("removed", before.clauses[i], None))
        )
    return tuple(change for _, change in sorted(changes, key=lambda placed: placed[0]))


def count_changes(changes: Iterable[Change]) -> dict[str, int]:
    """Return how many changes there are of each kind, kinds without one included, in the order of the kinds."""
    counts = Counter[str](change.kind for change in changes)
    return {kind: counts[kind] for kind in CHANGE_KINDS}


def diff_headings(old: Version, new: Version) -> tuple[HeadingChange, ...]:
    """Return the headings that came, went or were reworded, in reading order of ``new``, then those that went.

    A heading is reworded if it is gone and most of its clauses stand under one that is new.
    """
    before, after = _read(old), _read(new)
    votes: Counter[tuple[str, str]] = Counter()
    for i, j in _match(before, after).pairs:
        gone = [part for part in before.headings_above[i] if part not in after.headings and part not in after.plain]
        came = [part for part in after.headings_above[j] if part not in before.headings and part not in before.plain]
        votes.update(zip(reversed(gone), reversed(came), strict=False))
    renamed: dict[str, str] = {}
    for (gone_heading, came_heading), _ in votes.most_common():
        if gone_heading not in renamed and came_heading not in renamed.values():
            renamed[gone_heading] = came_heading
    origin = {came: gone for gone, came in renamed.items()}
    changes = [
        HeadingChange(before.headings[origin[key]] if key in origin else None, printed)
        for key, printed in after.headings.items()
        if key not in before.headings and key not in before.plain
    ]
    went = (key for key in before.headings if not (key in after.headings or key in renamed or key in after.plain))
    return (*changes, *(HeadingChange(before.headings[key], None) for key in went))


# -- One version, read for comparing ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Read:
    """A version's clauses with the content of each, of its headings and of its place (headings and lead-in)."""

    clauses: Sequence[Clause]
    contents: list[str]
    headings_above: list[tuple[str, ...]]
    places: list[tuple[str, ...]]
    headings: dict[str, str]
    """Every heading's content, in reading order, and how it is printed where it stands first."""
    heading_counts: Counter[str]
    above: frozenset[str]
    """Everything that is part of some clause's place."""
    plain: frozenset[str]
    """The clauses that are part of no clause's place: a line that another version has for a heading may be one."""

    def content_at(self, ordinal: int) -> str | None:
        return self.contents[ordinal] if 0 <= ordinal < len(self.contents) else None


def _read(version: Version) -> _Read:
    clauses = version[1]
    contents = [_content(clause.text) for clause in clauses]
    of_clause = {clause.clause_id: content for clause, content in zip(clauses, contents, strict=True)}
    headings: dict[str, str] = {}
    counts: Counter[str] = Counter()
    headings_above: list[tuple[str, ...]] = []
    places: list[tuple[str, ...]] = []
    for clause in clauses:
        printed = clause.address
        path = tuple(map(_content, printed))
        for content, heading in zip(path, printed, strict=True):
            headings.setdefault(content, heading)
        opened = [
            depth
            for depth in range(len(path))
            if not headings_above or headings_above[-1][: depth + 1] != path[: depth + 1]
        ]
        counts.update(path[depth] for depth in opened)
        headings_above.append(path)
        lead_in = of_clause.get(clause.lead_in or "")
        places.append((*path, lead_in) if lead_in else path)
    above = frozenset(part for place in places for part in place)
    return _Read(clauses, contents, headings_above, places, headings, counts, above, frozenset(contents) - above)


def _fold(text: str) -> tuple[str, list[int]]:
    """Return the characters of ``text`` that count, its number left out, and the offset in ``text`` of each."""
    start = next((i for i, character in enumerate(text) if not is_blank(character)), len(text))
    marker = read_marker(text[start:])
    is_decimal = marker is not None and len(marker.number) == 2 and _DECIMAL.match(text, start) is not None
    if marker and not is_decimal and start + marker.length < len(text.rstrip()):
        start += marker.length
    folded: list[str] = []
    offsets: list[int] = []
    for offset in range(start, len(text)):
        if not is_blank(text[offset]):
            for character in unicodedata.normalize("NFKC", text[offset]).translate(_QUOTATION_MARKS):
                if not character.isspace():
                    folded.append(character)
                    offsets.append(offset)
    while len(folded) > 1 and folded[-1] in _CLOSING_MARKS:
        folded.pop()
        offsets.pop()
    return "".join(folded), offsets


def _content(text: str) -> str:
    return _fold(text)[0]


# -- Which clause became which ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Matching:
    """Ordinals of both versions' clauses, each in one field only; ``in_order`` is part of ``pairs``."""

    pairs: tuple[tuple[int, int], ...]
    in_order: frozenset[tuple[int, int]]
    split: tuple[tuple[int, tuple[int, ...]], ...]
    merged: tuple[tuple[tuple[int, ...], int], ...]
    removed: tuple[int, ...]
    added: tuple[int, ...]


def _match(before: _Read, after: _Read) -> _Matching:
    """Match the clauses of two versions, in one and the same way whichever of them is called the old one."""
    if before.contents <= after.contents:
        return _match_ordered(before, after)
    mirrored = _match_ordered(after, before)
    return _Matching(
        tuple((j, i) for i, j in mirrored.pairs),
        frozenset((j, i) for i, j in mirrored.in_order),
        tuple((i, parts) for parts, i in mirrored.merged),
        tuple((parts, j) for j, parts in mirrored.split),
        mirrored.added,
        mirrored.removed,
    )


def _match_ordered(before: _Read, after: _Read) -> _Matching:
    pairs = _pair_equal(before, after)
    anchors = _heaviest_chain(pairs, lambda i, j: _nearness(before, after, i, j))
    rest_before = _without(range(len(before.contents)), (i for i, _ in pairs))
    rest_after = _without(range(len(after.contents)), (j for _, j in pairs))
    split = _find_split(before.contents, after.contents, rest_before, rest_after)
    rest_before = _without(rest_before, (i for i, _ in split))
    rest_after = _without(rest_after, (j for _, parts in split for j in parts))
    merged = [(parts, j) for j, parts in _find_split(after.contents, before.contents, rest_after, rest_before)]
    rest_before = _without(rest_before, (i for parts, _ in merged for i in parts))
    rest_after = _without(rest_after, (j for _, j in merged))
    alike = _pair_alike(before, after, rest_before, rest_after, anchors)
    pairs = sorted([*pairs, *alike])
    in_order = _heaviest_chain(pairs, lambda i, j: 1000 + min(999, len(before.contents[i])))
    return _Matching(
        tuple(pairs),
        frozenset(in_order),
        tuple(split),
        tuple(merged),
        tuple(_without(rest_before, (i for i, _ in alike))),
        tuple(_without(rest_after, (j for _, j in alike))),
    )


def _without(ordinals: Iterable[int], taken: Iterable[int]) -> list[int]:
    gone = set(taken)
    return [ordinal for ordinal in ordinals if ordinal not in gone]


def _pair_equal(before: _Read, after: _Read) -> list[tuple[int, int]]:
    """Pair clauses of equal content: in order as far as that goes, then by the place that they stand in."""
    where: dict[str, list[int]] = {}
    for j, content in enumerate(after.contents):
        where.setdefault(content, []).append(j)
    equal = _list_equal(before.contents, where)
    chain = _heaviest_chain(equal, lambda i, j: _nearness(before, after, i, j))
    used_before, used_after = {i for i, _ in chain}, {j for _, j in chain}
    others = [(i, j) for i, j in equal if i not in used_before and j not in used_after]
    others.sort(key=lambda pair: -_nearness(before, after, *pair))
    return sorted([*chain, *_take_first(others)])


def _list_equal(contents: Sequence[str], where: dict[str, list[int]]) -> list[tuple[int, int]]:
    """List the pairs of equal content, those of one content in order where all pairs would be too many.

    A content is rarest first: one that stands thousands of times pairs each time with the like occurrence only, from
    the beginning and from the end.
    """
    occurrences: dict[str, list[int]] = {}
    for i, content in enumerate(contents):
        if content in where:
            occurrences.setdefault(content, []).append(i)
    pairs: list[tuple[int, int]] = []
    for content in sorted(occurrences, key=lambda content: len(occurrences[content]) * len(where[content])):
        own, others = occurrences[content], where[content]
        if len(pairs) + len(own) * len(others) <= _MOST_EQUAL:
            pairs.extend((i, j) for i in own for j in others)
        else:
            pairs.extend({*zip(own, others, strict=False), *zip(reversed(own), reversed(others), strict=False)})
    return sorted(pairs)


def _nearness(before: _Read, after: _Read, i: int, j: int) -> int:
    """Weigh a pair of equal content: itself above all, then the same place and the same neighbours."""
    place, other = before.places[i], after.places[j]
    weight = 100 + (15 if place == other else 8 if place[-1:] == other[-1:] else 0)
    return weight + 6 * sum(before.content_at(i + step) == after.content_at(j + step) for step in (-1, 1))


def _take_first(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs, best first, that have no clause in common with a better one."""
    taken: list[tuple[int, int]] = []
    used_before: set[int] = set()
    used_after: set[int] = set()
    for i, j in pairs:
        if i not in used_before and j not in used_after:
            taken.append((i, j))
            used_before.add(i)
            used_after.add(j)
    return taken


def _heaviest_chain(pairs: Sequence[tuple[int, int]], weigh: Callable[[int, int], int]) -> list[tuple[int, int]]:
    """Return the pairs of greatest weight together that all rise in both ordinals (a longest increasing subsequence).

    O(n log n) in the number of pairs: ``best`` is a Fenwick tree over the second ordinal that holds prefix maxima.
    """
    size = max((j for _, j in pairs), default=-1) + 2
    best: list[tuple[int, int]] = [(0, -1)] * (size + 1)  # (weight of the chain, index of its last pair)
    ordered = sorted(pairs, key=lambda pair: (pair[0], -pair[1]))
    previous: list[int] = []
    for index, (i, j) in enumerate(ordered):
        weight, last = 0, -1
        position = j
        while position > 0:
            if best[position][0] > weight:
                weight, last = best[position]
            position &= position - 1
        previous.append(last)
        weight += weigh(i, j)
        position = j + 1
        while position <= size:
            if best[position][0] < weight:
                best[position] = (weight, index)
            position += position & -position
    _, index = max(best, key=lambda chain: chain[0])
    chain = []
    while index >= 0:
        chain.append(ordered[index])
        index = previous[index]
    return chain[::-1]


def _find_split(
    wholes: Sequence[str], parts: Sequence[str], rest_wholes: Sequence[int], rest_parts: Sequence[int]
) -> list[tuple[int, tuple[int, ...]]]:
    """Find each whole whose words are those of several parts that follow each other, marks at the joints left out."""
    bare_parts = {j: _bare(parts[j]) for j in rest_parts}
    found: list[tuple[int, tuple[int, ...]]] = []
    taken: set[int] = set()
    for i in rest_wholes:
        whole = _bare(wholes[i])
        for first in rest_parts:
            run: list[int] = []
            position = 0
            while first + len(run) in bare_parts and first + len(run) not in taken and position < len(whole):
                part = bare_parts[first + len(run)]
                if not part or not whole.startswith(part, position):
                    break
                run.append(first + len(run))
                position += len(part)
            if position == len(whole) and len(run) > 1:
                found.append((i, tuple(run)))
                taken.update(run)
                break
    return found


def _bare(content: str) -> str:
    return content.translate(dict.fromkeys(map(ord, _CLOSING_MARKS)))


def _pair_alike(
    before: _Read,
    after: _Read,
    rest_before: Sequence[int],
    rest_after: Sequence[int],
    anchors: Sequence[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Pair clauses of like content, the most alike first; the same place between ``anchors`` counts in their favour."""
    from rapidfuzz import fuzz, process

    if not rest_before or not rest_after:
        return []
    scores = process.cdist(
        [before.contents[i] for i in rest_before],
        [after.contents[j] for j in rest_after],
        scorer=fuzz.ratio,
        score_cutoff=100 * ALIKE_IN_PLACE,
    )
    anchors_before, anchors_after = [i for i, _ in anchors], [j for _, j in anchors]
    gap_before = [bisect_left(anchors_before, i) for i in rest_before]
    gap_after = [bisect_left(anchors_after, j) for j in rest_after]
    candidates = []
    for row, column in zip(*scores.nonzero(), strict=True):
        i, j, score = rest_before[row], rest_after[column], float(scores[row, column]) / 100
        in_place = gap_before[row] == gap_after[column]
        if score >= (ALIKE_IN_PLACE if in_place else ALIKE_ELSEWHERE):
            candidates.append((score + 0.1 * in_place + 0.05 * (before.places[i] == after.places[j]), i, j))
    candidates.sort(key=lambda candidate: (-candidate[0], candidate[1:]))
    return _take_first((i, j) for _, i, j in candidates)


# -- What became of a clause ------------------------------------------------------------------------------------------


def _is_moved(matching: _Matching, before: _Read, after: _Read, i: int, j: int) -> bool:
    """Say whether the pair changed its order among the others, or came under another heading or lead-in.

    One that only lost or gained something above it is nested otherwise; so is one whose heading is a clause in the
    other version. One whose heading is gone and that stands under one that was not there has had its heading reworded.
    """
    if (i, j) not in matching.in_order:
        return True
    left = [part for part in before.places[i] if part not in after.places[j] and part not in after.plain]
    entered = [part for part in after.places[j] if part not in before.places[i] and part not in before.plain]
    if not left or not entered:
        return False
    return any(part in after.above for part in left) or any(part in before.above for part in entered)


def _without_headings(ordinals: Iterable[int], own: _Read, other: _Read) -> list[int]:
    """Leave out the clauses that stand in the other version as headings, and here as none."""
    headings = other.heading_counts - own.heading_counts
    kept = []
    for ordinal in ordinals:
        if headings[own.contents[ordinal]] > 0:
            headings[own.contents[ordinal]] -= 1
        else:
            kept.append(ordinal)
    return kept


def _compare_pair(before: _Read, after: _Read, i: int, j: int, *, is_moved: bool) -> Change | None:
    old, new = before.clauses[i], after.clauses[j]
    if before.contents[i] == after.contents[j]:
        return Change("moved", old, new) if is_moved else None
    return Change("moved_reworded" if is_moved else "reworded", old, new, *mark_words(old.text, new.text))


def mark_words(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the spans of ``old`` that are not in ``new`` and those of ``new`` that are not in ``old``, words whole.

    What does not count as content (number, white space, width, closing mark) is not marked. Two changes with a single
    character between them are one.

    >>> mark_words("1. 保存3年。", "2、保存 5年")
    (((5, 6),), ((5, 6),))
    """
    before, after = _words(old), _words(new)
    matcher = difflib.SequenceMatcher(None, [word for word, _ in before], [word for word, _ in after], autojunk=False)
    runs: list[list[int]] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        between = before[runs[-1][1] : i1] if runs else []
        if runs and sum(len(word) for word, _ in between) <= 1:
            runs[-1][1], runs[-1][3] = i2, j2
        else:
            runs.append([i1, i2, j1, j2])
    old_marks = tuple((before[i1][1][0], before[i2 - 1][1][1]) for i1, i2, _, _ in runs if i2 > i1)
    return old_marks, tuple((after[j1][1][0], after[j2 - 1][1][1]) for _, _, j1, j2 in runs if j2 > j1)


def _words(text: str) -> list[tuple[str, Span]]:
    """Return the words of ``text`` that count, each with its span; white space ends a Latin word, not a Chinese one."""
    folded, offsets = _fold(text)
    words: list[tuple[str, Span]] = []
    start = 0
    for word in cut_words(folded):
        end = start + len(word)
        for position in range(start + 1, end + 1):
            if position == end or (word.isascii() and offsets[position] > offsets[position - 1] + 1):
                words.append((folded[start:position], (offsets[start], offsets[position - 1] + 1)))
                start = position
    return words
