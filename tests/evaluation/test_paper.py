"""The page on paper: what follows from what."""

from __future__ import annotations

import pytest

from evaluation.paper import PAGE, reckon, work_out

TABLE = """| figure | value | by |
|---|---|---|
| `units` | 1,000 | counted |
| `speed` | 2.5 a second | `python -m evaluation bench` |

| what | how | value |
|---|---|---|
| seconds | `seconds = units / speed` | {seconds} s |
| minutes | `minutes = seconds / 60` | {minutes} |"""


def test_the_derived_figures_of_the_page_follow_from_those_it_states() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert reckon(page) == page, "run: python -m evaluation paper --write"


def test_a_figure_is_derived_from_those_above_it_unrounded_and_keeps_its_unit() -> None:
    assert reckon(TABLE.format(seconds=1, minutes=2)) == TABLE.format(seconds=400, minutes="6.7")


def test_a_figure_that_does_not_stand_above_is_an_error() -> None:
    with pytest.raises(ValueError, match="'weight' is neither a number nor a figure"):
        reckon(TABLE.replace("units / speed", "weight / speed").format(seconds=1, minutes=1))


def test_a_figure_is_stated_once() -> None:
    with pytest.raises(ValueError, match="units is stated twice"):
        reckon(f"{TABLE}\n| `units` | 7 | again |")


def test_a_formula_runs_nothing() -> None:
    with pytest.raises(ValueError, match="neither a number"):
        work_out("__import__('os').getpid()", {})
