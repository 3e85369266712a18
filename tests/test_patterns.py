"""No regular expression takes time that grows faster than what it reads: each on hostile text of its own making.

The patterns are read out of the packages themselves: every call of ``re`` with a pattern that is known when the module
is loaded, and every compiled pattern that a module holds. From a pattern's own structure come texts on which it could
go back and forth: long runs of all that it repeats, after what has to stand before them and before what cannot follow;
samples that fail at their last character; and each beginning of a sample again and again.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import random
import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("corpus", "index", "retrieval", "web")
METHODS = ("match", "search", "fullmatch", "finditer", "findall", "sub", "split")
SOON, FAR = 2_000, 8_000
"""Characters that are read in CI, and with --soak."""
LINEAR = 14.0
"""How much longer five times as many characters may take: 5 where time grows with them, 25 where with their square."""
SQUARE = 50.0
"""The same of a pattern that reads no more than a question or one sentence: 125 is the cube."""
READ_BY_SENTENCE = ("retrieval.",)
"""Questions have at most 500 characters (web.schema), sentences are read to 2,000 (retrieval.rows.LONGEST_SENTENCE)."""
READS_LITTLE = {
    "index.doctor._ENTRY_TAIL": "lines of at most 45 characters (index.doctor.MAX_ENTRY)",
    "web.page.UNWANTED": "Gradio's own page, once, when the server starts",
}
GIVE_UP = 4.0
"""Seconds after which a pattern is stopped."""
UNSEEN = 0.004
"""Seconds under which nothing is measured twice; 2,000 characters squared take some 40 ms at least."""


@dataclass(frozen=True)
class Used:
    """A pattern, where it stands, and by which methods it is called."""

    place: str
    pattern: re.Pattern[str]
    methods: frozenset[str]


# -- what patterns there are


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        yield importlib.import_module(package)
        for found in pkgutil.iter_modules([str(ROOT / package)]):
            yield importlib.import_module(f"{package}.{found.name}")


def held(value: object, depth: int = 0) -> Iterator[re.Pattern[str]]:
    """Every pattern that a value of a module holds."""
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield value
    elif depth < 4 and isinstance(value, dict):
        for one in (*value.keys(), *value.values()):
            yield from held(one, depth + 1)
    elif depth < 4 and isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from held(one, depth + 1)
    elif depth < 4 and is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from held(getattr(value, field.name), depth + 1)


def calls(tree: ast.AST, module: ModuleType) -> Iterator[tuple[int, str, str, int]]:
    """Line, method, pattern and flags of every call of ``re`` whose pattern is known when the module is loaded."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
            continue
        if node.func.attr not in ("compile", *METHODS):
            continue
        flags = [keyword.value for keyword in node.keywords if keyword.arg == "flags"]
        flags += node.args[1:2] if node.func.attr == "compile" else []
        try:
            pattern, *flag = [
                eval(compile(ast.Expression(one), "-", "eval"), vars(module)) for one in (node.args[0], *flags)
            ]
        except NameError:  # put together of what the caller gives: its parts are patterns of their own
            continue
        if isinstance(pattern, str):
            yield node.lineno, node.func.attr, pattern, int(flag[0]) if flag else 0


def methods_of(tree: ast.AST, name: str) -> frozenset[str]:
    """Methods that are called on the pattern ``name``; all where it is handed on."""
    called: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
            called.add(node.attr)
    loads = sum(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in ast.walk(tree))
    known = called & set(METHODS)
    attributes = sum(
        isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == name for n in ast.walk(tree)
    )
    return frozenset(known) if known and attributes == loads else frozenset(METHODS)


@cache
def patterns() -> tuple[Used, ...]:
    found: dict[tuple[str, int], Used] = {}

    def add(place: str, pattern: re.Pattern[str], methods: frozenset[str]) -> None:
        key = pattern.pattern, pattern.flags
        known = found.get(key)
        found[key] = Used(known.place, pattern, known.methods | methods) if known else Used(place, pattern, methods)

    for module in modules():
        if module.__file__ is None:
            continue
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for name, value in vars(module).items():
            source = getattr(value, "__module__", module.__name__)
            if name.startswith("__") or (source != module.__name__ and str(source).split(".")[0] in PACKAGES):
                continue
            for pattern in held(value):
                alone = isinstance(value, re.Pattern)
                add(f"{module.__name__}.{name}", pattern, methods_of(tree, name) if alone else frozenset(METHODS))
        for line, method, text, flags in calls(tree, module):
            if method != "compile":
                add(f"{module.__name__}:{line}", re.compile(text, flags), frozenset((method,)))
            elif (text, re.compile(text, flags).flags) not in found:
                add(f"{module.__name__}:{line}", re.compile(text, flags), frozenset(METHODS))
    return tuple(sorted(found.values(), key=lambda used: used.place))


# -- hostile text for a pattern

_CATEGORIES = {
    sre.CATEGORY_DIGIT: "1",
    sre.CATEGORY_NOT_DIGIT: "x",
    sre.CATEGORY_SPACE: " ",
    sre.CATEGORY_NOT_SPACE: "x",
    sre.CATEGORY_WORD: "a",
    sre.CATEGORY_NOT_WORD: ",",
}
_ANY = ("x", "中", " ", "，", "1", "(", "（", "\ufeff")


def members(items: Sequence[tuple[Any, Any]]) -> list[str]:
    """Some characters of a class, among them one of each of its parts."""
    negated = bool(items) and items[0][0] is sre.NEGATE
    some: list[str] = []
    for kind, value in items:
        if kind is sre.LITERAL:
            some.append(chr(value))
        elif kind is sre.RANGE:
            some.extend({chr(value[0]), chr(value[1]), chr((value[0] + value[1]) // 2)})
        elif kind is sre.CATEGORY:
            some.append(_CATEGORIES[value])
    if not negated:
        return some or ["x"]
    inside = re.compile("[" + "".join(re.escape(one) for one in some) + "]") if some else re.compile(r"(?!)")
    return [one for one in _ANY if not inside.match(one)] or ["\u4e00"]


class Maker:
    """Samples of a pattern, and the places of its repetitions."""

    def __init__(self, pattern: re.Pattern[str], seed: int) -> None:
        self._random = random.Random(seed)
        self._groups: dict[int, str] = {}
        self.tree = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
        self.letters: dict[str, None] = {}
        self.bodies: dict[str, None] = {}
        self.sequences: list[list[str]] = []

    def sample(self, tree: Sequence[tuple[Any, Any]]) -> str:
        pieces = [self._one(kind, value) for kind, value in tree]
        if len(pieces) > 1:
            self.sequences.append(pieces)
        return "".join(pieces)

    def _one(self, kind: Any, value: Any) -> str:
        if kind is sre.LITERAL:
            return self._letter([chr(value)])
        if kind is sre.NOT_LITERAL:
            return self._letter([one for one in _ANY if one != chr(value)])
        if kind is sre.ANY:
            return self._letter(list(_ANY))
        if kind is sre.IN:
            return self._letter(members(value))
        if kind is sre.BRANCH:
            return self._random.choice([self.sample(branch) for branch in value[1]])
        if kind is sre.SUBPATTERN:
            text = self.sample(value[3])
            if value[0] is not None:
                self._groups[value[0]] = text
            return text
        if kind is sre.ATOMIC_GROUP:
            return self.sample(value)
        if kind is sre.GROUPREF:
            return self._groups.get(value, "")
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            low, high, body = value
            once = self.sample(body)
            if high is sre.MAXREPEAT or high > 3:
                self.bodies[once] = None
            return "".join([once, *(self.sample(body) for _ in range(low - 1))]) if low or high else ""
        if kind in (sre.ASSERT, sre.ASSERT_NOT):
            self.sample(value[1])
            return ""
        return ""

    def _letter(self, some: Sequence[str]) -> str:
        for one in some[:6]:
            self.letters[one] = None
        return self._random.choice(some)


def hostile(pattern: re.Pattern[str], *, samples: int) -> dict[str, tuple[str, str, str]]:
    """Texts as (beginning, what is repeated, end)."""
    made: dict[tuple[str, str, str], None] = {}
    for seed in range(samples):
        maker = Maker(pattern, seed)
        whole = maker.sample(maker.tree)
        for letter in itertools.islice(maker.letters, 8 + 8 * samples):
            made["", letter, ""] = made[whole[:-1], letter, "\x00"] = None
        for body in itertools.islice(maker.bodies, 6 + 6 * samples):
            made["", body, "\x00"] = None
            before = whole.split(body)[0] if body and body in whole else whole[: len(whole) // 2]
            made[before, body, "\x00"] = None
        for pieces in maker.sequences:
            for cut in range(1, len(pieces) + 1):
                made["", "".join(pieces[:cut]), "\x00"] = None
        made["", whole, ""] = made["", whole[:-1], ""] = made["", whole[1:], ""] = made["", whole + "\n", ""] = None
    return {repr(one): one for one in made if one[1]}


class _TooLongError(Exception):
    """A pattern went on for `GIVE_UP` seconds."""


def _give_up(number: int, frame: object) -> None:
    raise _TooLongError


def time_of(call: Callable[[str], object], parts: tuple[str, str, str], length: int) -> float:
    before, body, after = parts
    text = before + body * (length // len(body)) + after
    start = time.thread_time()  # of the processor: whatever else the machine does
    signal.setitimer(signal.ITIMER_VIRTUAL, GIVE_UP)
    try:
        call(text)
    except _TooLongError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return time.thread_time() - start


def runner(pattern: re.Pattern[str], method: str) -> Callable[[str], object]:
    if method == "sub":
        return lambda text: pattern.sub("", text)
    if method == "finditer":
        return lambda text: sum(1 for _ in pattern.finditer(text))
    call: Callable[[str], object] = getattr(pattern, method)
    return call


def growth(call: Callable[[str], object], parts: tuple[str, str, str], length: int) -> float:
    """How much longer five times as many characters take; the least of three, against what else the machine does."""
    ratios = []
    for _ in range(3):
        few = min(time_of(call, parts, length // 5) for _ in range(3))
        ratios.append(time_of(call, parts, length) / max(few, 2e-5))
    return min(ratios)


def steep(used: Used, *, samples: int, length: int) -> list[str]:
    """Describe texts for which the pattern's time grows faster than it may."""
    signal.signal(signal.SIGVTALRM, _give_up)
    # finditer searches from every place, and so does search: what one costs, the other does.
    wanted = [method for method in ("finditer", "fullmatch", "match") if method in used.methods]
    if used.methods & {"search", "findall", "sub", "split"} and "finditer" not in wanted:
        wanted.insert(0, "finditer" if used.methods & {"findall", "sub", "split"} else "search")
    most = SQUARE if used.place.startswith(READ_BY_SENTENCE) else LINEAR
    for method in wanted:
        call = runner(used.pattern, method)
        for name, parts in hostile(used.pattern, samples=samples).items():
            if time_of(call, parts, length // 5) >= 0.8 * GIVE_UP:  # two clocks
                return [f"{method} {name[:120]}: stopped after {GIVE_UP} s at {length // 5} characters"]
            if time_of(call, parts, length) > UNSEEN and (grown := growth(call, parts, length)) > most:
                return [f"{method} {name[:120]}: five times the length took {grown:.0f} times as long"]
    return []


@pytest.mark.faults
def test_no_pattern_takes_time_that_grows_faster_than_what_it_reads(amount: Callable[[int, int], int]) -> None:
    found = {
        used.place: slow
        for used in patterns()
        if used.place not in READS_LITTLE
        and (slow := steep(used, samples=amount(1, 8), length=amount(SOON, FAR) if _is_long(used) else SOON))
    }
    assert found == {}


def _is_long(used: Used) -> bool:
    return not used.place.startswith(READ_BY_SENTENCE)


def test_every_pattern_of_the_packages_is_known() -> None:
    places = {used.place for used in patterns()}
    assert len(patterns()) > 300
    assert {"corpus.numbering._PART", "retrieval.cues._ACROSS", "retrieval.facts._ADDRESS"} <= places
    assert set(READS_LITTLE) <= places


@pytest.mark.parametrize(
    ("pattern", "method"),
    [("(?:必要的?|的)*x", "search"), (r"\s+$", "search"), (r"\s*\|?\s*", "fullmatch"), ("(?:a|aa)+", "fullmatch")],
)
def test_a_steep_pattern_is_found(pattern: str, method: str) -> None:
    assert steep(Used("here", re.compile(pattern), frozenset((method,))), samples=1, length=SOON)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [(r"\s++$", "match"), ("甲{1,20}乙", "search"), (r"(?<!\s)\s+,", "search"), ("[^。]+", "sub")],
)
def test_a_straight_pattern_is_not_found(pattern: str, method: str) -> None:
    assert steep(Used("here", re.compile(pattern), frozenset((method,))), samples=1, length=SOON) == []
