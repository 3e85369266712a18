"""The lines drawn on a page -> the tables that they rule."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NEAR = 3.0  # points; borders are drawn up to 2 points thick, and their ends meet within that
_MOST_RULINGS = 5_000


@dataclass(frozen=True)
class Ruling:
    """A straight line, ``across`` the page or down it: where it stands, and from where to where it goes, in points."""

    across: bool
    at: float
    start: float
    end: float


@dataclass(frozen=True)
class Grid:
    """A ruled table: the edges of its columns from the left, those of its rows from the foot of the page."""

    columns: tuple[float, ...]
    rows: tuple[float, ...]

    def find_cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row, counted from the top, and column of a point; ``None`` outside the table."""
        if not (self.columns[0] <= x < self.columns[-1] and self.rows[0] <= y < self.rows[-1]):
            return None
        return len(self.rows) - 1 - bisect_right(self.rows, y), bisect_right(self.columns, x) - 1


def trace_box(left: float, bottom: float, right: float, top: float) -> tuple[Ruling, ...]:
    """What a drawn rectangle rules: a thin one is a line, any other has four sides."""
    if top - bottom <= _NEAR and right - left > _NEAR:
        return (Ruling(True, (top + bottom) / 2, left, right),)
    if right - left <= _NEAR and top - bottom > _NEAR:
        return (Ruling(False, (left + right) / 2, bottom, top),)
    if right - left <= _NEAR:
        return ()
    sides = [Ruling(True, y, left, right) for y in (bottom, top)]
    return (*sides, *(Ruling(False, x, bottom, top) for x in (left, right)))


def find_grids(rulings: Sequence[Ruling]) -> tuple[Grid, ...]:
    """Return the tables of two columns or more. A line that does not go all across parts no rows: such rows are one."""
    if len(rulings) > _MOST_RULINGS:
        return ()
    merged = [*_merge(r for r in rulings if r.across), *_merge(r for r in rulings if not r.across)]
    grids = []
    for group in _connect(merged):
        down = [r for r in group if not r.across]
        across = [r for r in group if r.across]
        if len(down) < 3 or len(across) < 2:
            continue
        width = max(r.at for r in down) - min(r.at for r in down)
        height = max(r.at for r in across) - min(r.at for r in across)
        columns = sorted({r.at for r in down if r.end - r.start >= 0.3 * height})
        rows = sorted({r.at for r in across if r.end - r.start >= 0.9 * width})
        if len(columns) >= 3 and len(rows) >= 2:
            grids.append(Grid(tuple(columns), tuple(rows)))
    return tuple(grids)


def _merge(rulings: Iterable[Ruling]) -> list[Ruling]:
    """Join the pieces of one line, which is drawn cell by cell."""
    lanes: list[list[Ruling]] = []
    for ruling in sorted(rulings, key=lambda r: r.at):
        if lanes and ruling.at - lanes[-1][0].at <= _NEAR:
            lanes[-1].append(ruling)
        else:
            lanes.append([ruling])
    merged: list[Ruling] = []
    for lane in lanes:
        open_: Ruling | None = None
        for ruling in sorted(lane, key=lambda r: r.start):
            if open_ is not None and ruling.start <= open_.end + _NEAR:
                open_ = Ruling(open_.across, open_.at, open_.start, max(open_.end, ruling.end))
            else:
                merged.extend([open_] if open_ is not None else [])
                open_ = Ruling(ruling.across, lane[0].at, ruling.start, ruling.end)
        merged.extend([open_] if open_ is not None else [])
    return merged


def _connect(rulings: Sequence[Ruling]) -> list[list[Ruling]]:
    """Group the lines that cross or meet."""
    groups: list[list[Ruling]] = []
    rest = list(rulings)
    while rest:
        group = [rest.pop()]
        for ruling in group:
            touching = [other for other in rest if _touch(ruling, other)]
            rest = [other for other in rest if not _touch(ruling, other)]
            group.extend(touching)
        groups.append(group)
    return groups


def _touch(one: Ruling, other: Ruling) -> bool:
    if one.across == other.across:
        return False
    reaches = one.start - _NEAR <= other.at <= one.end + _NEAR
    return reaches and other.start - _NEAR <= one.at <= other.end + _NEAR
