"""The figures of docs/scale.md that follow from others: ``python -m evaluation paper`` says which no longer do.

The page holds two kinds of table rows. One states a figure under a name, measured or assumed; the other derives one
from names that stand above it, by a formula that is printed beside it.
"""

from __future__ import annotations

import argparse
import ast
import math
import operator
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"

_STATED = re.compile(r"\| `(?P<name>\w+)` \| (?P<value>[\d,]*\.?\d+)(?P<rest>[ |].*)")
_DERIVED = re.compile(
    r"(?P<what>\| .+ \| )`(?P<name>\w+) = (?P<formula>[^`]+)` \| (?P<value>[\d,]*\.?\d+)(?P<rest>[ |].*)"
)
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"ceil": math.ceil, "max": max}


def work_out(formula: str, known: Mapping[str, float]) -> float:
    """Return what ``formula``, of numbers, known names, ``+ - * / **``, ``ceil`` and ``max``, comes to.

    >>> work_out("ceil(units / 400)", {"units": 1000})
    3

    :raises ValueError: if it holds anything else, or a name that is not known.
    """

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*map(value, arguments))
        raise ValueError(f"{formula!r}: {ast.unparse(node)!r} is neither a number nor a figure that stands above")

    return value(ast.parse(formula, mode="eval").body)


def rounded(value: float) -> str:
    """Return ``value`` to three digits, below ten to two, with commas between thousands.

    >>> rounded(5823.4), rounded(97.25), rounded(0.0123), rounded(9)
    ('5,820', '97.2', '0.012', '9')
    """
    if value >= 1000:
        return f"{round(value, 2 - math.floor(math.log10(value))):,.0f}"
    return f"{value:.{3 if value >= 10 else 2}g}"


def reckon(page: str) -> str:
    """Return ``page`` with every derived figure as its formula gives it.

    :raises ValueError: as :func:`work_out` does, or if a name is stated twice.
    """
    known: dict[str, float] = {}
    lines: list[str] = []
    for line in page.split("\n"):
        if (row := _STATED.fullmatch(line)) or (row := _DERIVED.fullmatch(line)):
            name = row["name"]
            if name in known:
                raise ValueError(f"{name} is stated twice")
            if row.re is _DERIVED:
                known[name] = work_out(row["formula"], known)
                line = f"{row['what']}`{name} = {row['formula']}` | {rounded(known[name])}{row['rest']}"
            else:
                known[name] = float(row["value"].replace(",", ""))
        lines.append(line)
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Tell the rows that do not follow, or write the page anew; return 1 where rows were told."""
    parser = argparse.ArgumentParser(prog="python -m evaluation paper", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures into the page")
    options = parser.parse_args(arguments)
    before = PAGE.read_text(encoding="utf-8")
    after = reckon(before)
    if options.write:
        PAGE.write_text(after, encoding="utf-8")
        return 0
    stale = [new for old, new in zip(before.split("\n"), after.split("\n"), strict=True) if old != new]
    sys.stdout.writelines(f"{line}\n" for line in stale)
    return int(bool(stale))
