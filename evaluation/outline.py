"""The parser against marks made by hand: ``python -m evaluation outline`` prints a line a policy and one over all."""

from __future__ import annotations

import sys
import tomllib
from argparse import ArgumentParser
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus.datatypes import Clause, Outline, Policy
from corpus.load import decode_policy
from corpus.parser import PARSER_VERSION, parse_policy

_ROOT = Path(__file__).parent.parent
_FOLDERS = {"seeds": _ROOT / "corpus" / "policies", "policies": _ROOT.parent / "shared" / "data" / "policies"}
MEASURES = ("headings found", "headings right", "path", "lead-in", "no lead-in", "contents", "joins", "documents")


class Marks:
    """The marks of one policy by line number; see tests/corpus/marks/README.md."""

    def __init__(self, marks: Mapping[str, Any], text: str) -> None:
        self._marks = marks
        self._lines = text.split("\n")
        self._headings: dict[int, Mapping[str, Any]] = {mark["line"]: mark for mark in marks.get("heading", ())}
        self._under: dict[int, int] = {mark["line"]: mark["heading"] for mark in marks.get("under", ())}
        self.heading_lines = sorted(self._headings)
        self.document_lines: list[int] = marks.get("documents", [])
        self.joins: list[list[int]] = marks.get("joins", [])
        self.contents = set(_lines_of(marks.get("contents", ())))
        self.either = set(marks.get("either", ()))
        self.furniture = {line for key in ("titles", "separators", "footers") for line in marks.get(key, ())}
        self.free_leads: set[int] = set(_lines_of(marks.get("tables", ())))
        self.leads: dict[int, int] = {}
        for listed in marks.get("list", ()):
            self.free_leads.update(listed.get("continuations", ()))
            for item in listed["items"]:
                if listed.get("doubtful") or item == listed["lead_in"]:
                    self.free_leads.add(item)
                elif item not in self._headings:
                    self.leads[item] = listed["lead_in"]

    def is_judged(self, line: int) -> bool:
        """Whether a line is plainly a clause: neither furniture nor marked as either."""
        return line not in self.furniture | self.contents | self.either and line not in self._headings

    def paths(self, line: int) -> list[tuple[str, ...]]:
        """The right paths of the clause on ``line``."""
        above = [heading for heading in self.heading_lines if heading < line]
        heading = self._under.get(line, above[-1] if above else 0)
        if line not in self._under and any(heading < document <= line for document in self.document_lines):
            heading = 0
        return [tuple(" ".join(self._lines[i - 1].split()) for i in chain) for chain in self._chains(heading)]

    def _chains(self, heading: int) -> list[tuple[int, ...]]:
        if heading not in self._headings:
            return [()]
        mark = self._headings[heading]
        parents = [mark["parent"], *(alt for alt in mark.get("alt_parents", ()) if alt in self._headings)]
        return [(*chain, heading) for parent in parents for chain in self._chains(parent)]


def score_outline(policy: Policy, outline: Outline, marks: Marks) -> Counter[tuple[str, str]]:
    """Count right answers and questions by measure: ``{(measure, "right"): n, (measure, "asked"): n}``."""
    lines = _LineNumbers(policy.text)
    counts: Counter[tuple[str, str]] = Counter()

    def judge(measure: str, right: bool) -> None:
        counts[measure, "asked"] += 1
        counts[measure, "right"] += right

    found = {lines.at(piece.start) for piece in outline.furniture if piece.kind == "heading"}
    for line in set(marks.heading_lines) - marks.either:
        judge("headings found", line in found)
    for line in found - marks.furniture - marks.either:
        judge("headings right", line in marks.heading_lines)
    contents = {lines.at(piece.start) for piece in outline.furniture if piece.kind == "contents"}
    blank = {number for number, line in enumerate(policy.text.split("\n"), 1) if not line.strip()}
    for line in (contents | marks.contents) - marks.either - blank:
        judge("contents", line in contents and line in marks.contents)
    line_of = {clause.clause_id: lines.at(clause.start) for clause in outline.clauses}
    for clause in outline.clauses:
        line = lines.at(clause.start)
        if marks.is_judged(line):
            judge("path", _without_spaces(clause.path) in [_without_spaces(path) for path in marks.paths(line)])
    for line, lead_in in marks.leads.items():
        clauses = [clause for clause in outline.clauses if lines.at(clause.start) == line]
        if line not in marks.either:
            judge("lead-in", any(clause.lead_in and line_of[clause.lead_in] == lead_in for clause in clauses))
    for clause in outline.clauses:
        line = lines.at(clause.start)
        if marks.is_judged(line) and line not in marks.leads and line not in marks.free_leads:
            judge("no lead-in", clause.lead_in is None or line_of[clause.lead_in] == line)
    for first, last in marks.joins:
        judge("joins", any(lines.at(c.start) <= first and lines.at(c.end - 1) >= last for c in outline.clauses))
    for line in marks.document_lines[1:]:
        judge("documents", _begins_document(outline.clauses, lines, line))
    return counts


def _begins_document(clauses: Sequence[Clause], lines: _LineNumbers, line: int) -> bool:
    before = [clause.document for clause in clauses if lines.at(clause.start) < line]
    after = [clause.document for clause in clauses if lines.at(clause.start) > line]
    return bool(before and after) and before[-1] != after[0]


def _without_spaces(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("".join(title.split()) for title in path)


def _lines_of(ranges: Sequence[Sequence[int]]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)


class _LineNumbers:
    def __init__(self, text: str) -> None:
        self._starts = [0, *(position + 1 for position, character in enumerate(text) if character == "\n")]

    def at(self, offset: int) -> int:
        return bisect_right(self._starts, offset)


def _row(name: str, counts: Counter[tuple[str, str]]) -> str:
    cells = []
    for measure in MEASURES:
        asked = counts[measure, "asked"]
        share = f"{counts[measure, 'right'] / asked:.3f} of {asked:4d}" if asked else "-"
        cells.append(f"{share:>15}")
    return f"{name:12}" + "".join(cells) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Score every marked policy that is here; the others are named."""
    ArgumentParser(prog="python -m evaluation outline", description=__doc__).parse_args(arguments)
    total: Counter[tuple[str, str]] = Counter()
    sys.stdout.write(f"parser {PARSER_VERSION}\n{'':12}" + "".join(f"{measure:>15}" for measure in MEASURES) + "\n")
    for path in sorted((_ROOT / "tests" / "corpus" / "marks").glob("*.toml")):
        marks = tomllib.loads(path.read_text(encoding="utf-8"))
        source = _FOLDERS[marks["source"]] / marks["file"]
        if not source.exists():
            sys.stdout.write(f"{path.stem}: skipped, {source} is absent\n")
            continue
        policy = Policy(path.stem, decode_policy(source.read_bytes(), name=source.name))
        counts = score_outline(policy, parse_policy(policy), Marks(marks, policy.text))
        sys.stdout.write(_row(path.stem, counts))
        total += counts
    sys.stdout.write(_row("all", total))
    return 0
