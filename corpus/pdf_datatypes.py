"""What is read from the pages of a PDF: characters, pages and lines."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.rulings import Grid


@dataclass(frozen=True, slots=True)
class Character:
    """``made`` by PDFium for a gap, or else in the file: the ``drawn``-th of the page's texts, on the line ``base``."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    made: bool = False
    drawn: int = -1
    base: float = 0.0
    size: float = 0.0


@dataclass(frozen=True)
class Page:
    number: int
    characters: list[Character]
    grids: tuple[Grid, ...]
    foot: float
    head: float


@dataclass(frozen=True)
class Line:
    """A line as it is drawn; lengths in points, ``y`` its middle, counted from the foot of the page.

    ``need`` is the room that its first word takes, which the line before did not have if it was merely wrapped.
    """

    text: str
    left: float
    right: float
    y: float
    size: float
    need: float
    page: int
    column: int = 0
    cells: int = 1
    ruled: bool = False
