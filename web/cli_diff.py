"""What changed between two versions of a policy, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from corpus.messages import message
from corpus.versions import Change, HeadingChange, Span, count_changes
from retrieval.datatypes import Language
from web.versions import HEADINGS, clause_place


def format_changes(changes: Sequence[Change], language: Language, headings: Iterable[HeadingChange] = ()) -> str:
    """Return the changes as lines for a terminal, counts first; ``[-…-]`` went, ``{+…+}`` came, as wdiff prints it."""
    headings = tuple(headings)
    counts = {**count_changes(changes), HEADINGS: len(headings)}
    if not any(counts.values()):
        return message("changes.none", language)
    lines = [
        " · ".join(
            message("changes.count", language, kind=message(f"changes.{kind}", language), count=count)
            for kind, count in counts.items()
            if count
        )
    ]
    for one in headings:
        name = "heading_added" if one.old is None else "heading_removed" if one.new is None else "heading_reworded"
        lines += ["", message(f"changes.{name}", language)]
        lines += [f"  - {one.old}"] if one.old else []
        lines += [f"  + {one.new}"] if one.new else []
    for change in changes:
        lines += ["", message(f"changes.{change.kind}", language), *_change_lines(change)]
    return "\n".join(lines)


def _change_lines(change: Change) -> list[str]:
    old = [change.old, *(change.rest if change.kind == "merged" else ())]
    new = [change.new, *(change.rest if change.kind == "split" else ())]
    lines = []
    for sign, clauses, marks, brackets in (
        ("-", old, change.old_marks, ("[-", "-]")),
        ("+", new, change.new_marks, ("{+", "+}")),
    ):
        for clause in filter(None, clauses):
            lines.append(f"  {sign} {clause_place(clause)}".rstrip())
            if change.kind != "moved" or sign == "+":
                text = _bracketed(clause.text, marks, brackets) if clause is clauses[0] else clause.text
                lines += [f"    {line.strip()}" for line in text.split("\n")]
    return lines


def _bracketed(text: str, marks: Sequence[Span], brackets: tuple[str, str]) -> str:
    for start, end in reversed(marks):
        text = f"{text[:start]}{brackets[0]}{text[start:end]}{brackets[1]}{text[end:]}"
    return text
