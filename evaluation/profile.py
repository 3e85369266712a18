"""The profile of the shipped policies against a sheet made from their texts: ``python -m evaluation profile``.

The sheet was filled in from the raw text by a language model's session that had seen neither a profile nor its rules.
A single cell is right when its quote overlaps one of the sentences that the sheet gives, or when both say that the
policy does not state it. A row of a list is found when a row's clause holds its anchor; it is right when every value
that the sheet gives is there.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.datatypes import CELL_COLUMNS, CELL_KEYS, Cell, FactKind, Profile, ProfileRow

if TYPE_CHECKING:
    from retrieval import Assistant

SHEET = Path(__file__).with_name("profile_sheet.toml")
OUTCOMES = ("right", "wrong quote", 'false "not stated"', 'false "stated"')
# A value is the sheet's where one holds the other and is no more than so many times as long.
MOST_TIMES_LONGER = 3.0
_FACTS: Mapping[str, tuple[FactKind, ...]] = {
    "path": ("menu_path",),
    "contact": ("phone", "email", "address", "url"),
    "time_limit": ("time_limit",),
}


@dataclass
class ListScore:
    """How many rows of a list the sheet expects and the profile has, and how many of those expected are right."""

    expected: int = 0
    found: int = 0
    right: int = 0
    rows: int = 0
    extra: int = 0
    named: Counter[str] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Score:
    """Outcomes of the single cells by key, wrong ones as lines; lists by key; facts named and found by kind."""

    cells: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    lists: dict[str, ListScore] = field(default_factory=dict)
    facts: Counter[str] = field(default_factory=Counter)
    facts_right: Counter[str] = field(default_factory=Counter)


def plain(text: str) -> str:
    """Return ``text`` without white space and punctuation, in lower case."""
    return re.sub(r"[\W_]+", "", text).lower()


def is_same(found: str, expected: str) -> bool:
    """Say whether a value is the sheet's: one holds the other and neither is much longer.

    >>> is_same("手机号、姓名、", "手机号、姓名"), is_same("手机号", "手机号、姓名、短信验证码、证件号码")
    (True, False)
    """
    one, other = sorted((plain(found), plain(expected)), key=len)
    return bool(one) and one in other and len(other) <= MOST_TIMES_LONGER * len(one)


def cell_outcome(cell: Cell, expected: Mapping[str, Any]) -> str:
    """Return which of :data:`OUTCOMES` a single cell is."""
    if cell.citation is None:
        return OUTCOMES[2] if expected["stated"] else OUTCOMES[0]
    if not expected["stated"]:
        return OUTCOMES[3]
    quote = plain(cell.citation.quote)
    evidence = [plain(text) for text in expected["evidence"]]
    return OUTCOMES[0] if any(one in quote or quote in one for one in evidence) else OUTCOMES[1]


def score_list(cell: Cell, expected: Sequence[Mapping[str, str]], score: ListScore) -> None:
    """Add one app's list to ``score``; rows that no expected row's clause accounts for are extra."""
    score.rows += len(cell.rows)
    score.expected += len(expected)
    accounted: set[int] = set()
    for row in expected:
        anchor = plain(row["anchor"])
        near = [place for place, one in enumerate(cell.rows) if anchor in plain(one.citation.text)]
        accounted.update(near)
        columns = {column: row[column] for column in cell.columns if row.get(column)}
        if not near:
            score.missing.append(f"{row['app']} {cell.key}: {row['anchor']}")
            continue
        score.found += 1
        best = max(near, key=lambda place: _agreement(cell, cell.rows[place], columns))
        has = dict(zip(cell.columns, cell.rows[best].values, strict=True))
        score.named.update(columns.keys())
        score.same.update(column for column, value in columns.items() if is_same(has[column], value))
        if _agreement(cell, cell.rows[best], columns) == len(columns):
            score.right += 1
        else:
            score.wrong.append(f"{row['app']} {cell.key}: {columns} <> { {key: has[key] for key in columns} }")
    score.extra += len(cell.rows) - len(accounted)


def _agreement(cell: Cell, row: ProfileRow, columns: Mapping[str, str]) -> int:
    values = dict(zip(cell.columns, row.values, strict=True))
    return sum(is_same(values[column], expected) for column, expected in columns.items())


def score_profiles(profiles: Iterable[Profile], sheet: Mapping[str, Sequence[Mapping[str, Any]]]) -> Score:
    """Score the profiles of the sheet's apps."""
    score = Score()
    cells = {(cell["app"], cell["key"]): cell for cell in sheet.get("cell", ())}
    for profile in profiles:
        for key in CELL_KEYS:
            cell = profile.cell(key)
            if key in CELL_COLUMNS:
                rows = [row for row in sheet.get("row", ()) if (row["app"], row["key"]) == (profile.app, key)]
                score_list(cell, rows, score.lists.setdefault(key, ListScore()))
            elif expected := cells.get((profile.app, key)):
                outcome = cell_outcome(cell, expected)
                score.cells.setdefault(key, Counter())[outcome] += 1
                if outcome != OUTCOMES[0]:
                    quote = cell.citation.quote if cell.citation else None
                    score.wrong.append(f"{profile.app} {key}: {outcome}: {quote!r} <> {expected.get('evidence')}")
                for name, kinds in _FACTS.items():
                    if expected.get(name):
                        score.facts[name] += 1
                        has = [fact.text for fact in cell.facts if fact.kind in kinds]
                        if any(is_same(text, expected[name]) for text in has):
                            score.facts_right[name] += 1
                        else:
                            score.wrong.append(f"{profile.app} {key}: no {name} {expected[name]!r} in {has}")
    return score


def report(score: Score, *, verbose: bool = False) -> str:
    """Return the tables as text; ``verbose`` adds a line for everything that is not right."""
    lines = [f"{'cell':20}" + "".join(f"{outcome:>20}" for outcome in OUTCOMES)]
    totals: Counter[str] = Counter()
    for key, outcomes in score.cells.items():
        totals.update(outcomes)
        lines.append(f"{key:20}" + "".join(f"{outcomes[outcome]:>20}" for outcome in OUTCOMES))
    count = sum(totals.values())
    lines.append(f"{'all':20}" + "".join(f"{totals[outcome]:>20}" for outcome in OUTCOMES))
    lines.append(f"right: {totals[OUTCOMES[0]]} of {count} ({totals[OUTCOMES[0]] / max(1, count):.1%})")
    lines += ["", f"{'list':20}" + "".join(f"{name:>12}" for name in ("expected", "found", "right", "rows", "extra"))]
    for key, one in score.lists.items():
        numbers = (one.expected, one.found, one.right, one.rows, one.extra)
        by_column = ", ".join(f"{column} {one.same[column]}/{one.named[column]}" for column in one.named)
        lines.append(f"{key:20}" + "".join(f"{number:>12}" for number in numbers) + f"   {by_column}")
    lines.append("")
    lines += [f"{name} named: {score.facts[name]}, found: {score.facts_right[name]}" for name in _FACTS]
    if verbose:
        lines += ["", *score.wrong]
        for one in score.lists.values():
            lines += [f"missing {line}" for line in one.missing] + [f"wrong {line}" for line in one.wrong]
    return "\n".join(lines)


def score_assistant(assistant: Assistant, sheet_path: Path = SHEET) -> Score:
    """Score the profiles that ``assistant`` gives of the apps in the sheet at ``sheet_path``."""
    sheet = tomllib.loads(sheet_path.read_text(encoding="utf-8"))
    apps = dict.fromkeys(entry["app"] for entry in (*sheet.get("cell", ()), *sheet.get("row", ())))
    return score_profiles([assistant.profile(app) for app in apps], sheet)


def main(arguments: Sequence[str]) -> int:
    """Print the score of the shipped policies."""
    from retrieval import Assistant

    sys.stdout.write(report(score_assistant(Assistant.open()), verbose="--verbose" in arguments) + "\n")
    return 0
