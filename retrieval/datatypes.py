"""The answer and its parts: the shapes that Python, HTTP, the widget and the command all send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from corpus.datatypes import Clause, Policy

Status = Literal["answered", "silent", "unknown_app", "which_app", "compared", "off_topic"]
Language = Literal["zh", "zh-Hant", "en"]
FactKind = Literal[
    "menu_path",
    "phone",
    "email",
    "url",
    "time_limit",
    "address",
    "court",
    "age",
    "date",
    "data_types",
    "organisation",
]

Degraded = Literal["second_stage", "topics", "facts", "index"]
"""What may fail while a question is answered all the same: the second stage, a clause's topics, the facts of a quote,
or the files of one app, which a question about all apps goes without."""

DEGRADABLE: tuple[Degraded, ...] = ("second_stage", "topics", "facts", "index")

MAX_ROWS = 8  # DESIGN.md: a question that names no app gets at most eight rows; what is offered to choose from, too


LEFT_OUT_WHEN_EMPTY = ("degraded", "instance")
"""Fields of payloads that are there where there is something to say; every other one always is."""


def _plain(value: object) -> object:
    if value is None or isinstance(value, (str, int, float)):  # most are
        return value
    if is_dataclass(value) and not isinstance(value, type):
        given = {f.name: getattr(value, f.name) for f in fields(value)}
        return {name: _plain(one) for name, one in given.items() if one or name not in LEFT_OUT_WHEN_EMPTY}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


class Payload:
    """Gives a frozen dataclass the one dictionary that every surface sends."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values; tuples become lists."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


@dataclass(frozen=True)
class Turn(Payload):
    """An earlier question of the conversation and the app it was about, if one was understood."""

    question: str
    app: str | None = None


@dataclass(frozen=True)
class Fact(Payload):
    """A short string lifted verbatim: ``policy.text[start:end] == text``."""

    kind: FactKind
    text: str
    start: int
    end: int
    policy_id: str


@dataclass(frozen=True)
class Passage(Payload):
    """A clause that came back for a query; ``score`` is higher for better, ``rank`` counts from 1.

    ``degraded`` names what failed while it was ranked; it is left out of the dictionary where nothing did.
    """

    app: str
    policy_id: str
    clause_id: str
    path: tuple[str, ...]
    label: str
    lead_in: str | None
    text: str
    start: int
    end: int
    score: float
    rank: int
    degraded: tuple[Degraded, ...] = ()


@dataclass(frozen=True)
class Citation(Payload):
    """What the user sees of a clause.

    ``policy.text[text_start:text_end] == text`` and ``policy.text[start:end] == quote``; ``lead_in`` is the text of
    the sentence an item hangs on. For a list asked for as a whole, ``text`` and ``quote`` run from the lead-in to the
    last item. ``date`` is an ISO 8601 day or ``None``.
    """

    app: str
    policy_id: str
    sha256: str
    date: str | None
    clause_id: str
    path: tuple[str, ...]
    label: str
    lead_in: str | None
    text: str
    text_start: int
    text_end: int
    quote: str
    start: int
    end: int
    score: float

    @classmethod
    def of(
        cls, policy: Policy, clause: Clause, start: int, end: int, *, lead_in: str | None, score: float = 0.0
    ) -> Citation:
        """Cite ``clause`` and quote ``start`` to ``end`` of the policy; a quote that runs beyond it is shown whole."""
        text_end = max(clause.end, end)
        return cls(
            app=policy.app,
            policy_id=policy.policy_id,
            sha256=policy.sha256,
            date=policy.date,
            clause_id=clause.clause_id,
            path=clause.address,
            label=clause.label,
            lead_in=lead_in,
            text=policy.text[clause.start : text_end],
            text_start=clause.start,
            text_end=text_end,
            quote=policy.text[start:end],
            start=start,
            end=end,
            score=score,
        )


@dataclass(frozen=True)
class Row(Payload):
    """One app's line where several apps answer; ``citation`` is ``None`` where that app's policy is silent.

    ``degraded`` names what failed while it was found; it is left out of the dictionary where nothing did.
    """

    app: str
    status: Status
    text: str
    facts: tuple[Fact, ...] = ()
    citation: Citation | None = None
    degraded: tuple[Degraded, ...] = ()


@dataclass(frozen=True)
class Answer(Payload):
    """The reply to a question; ``citations`` is empty unless ``status`` is ``answered``.

    ``confidence`` (0 to 1, calibrated) says how likely the best clause answers, for declines too. ``contact`` is the
    operator's contact as the policy prints it. ``degraded`` names what failed while it was found, so that it is less
    than it could be; it is left out of the dictionary where nothing did.
    """

    status: Status
    app: str | None
    language: Language
    text: str
    confidence: float
    facts: tuple[Fact, ...] = ()
    citations: tuple[Citation, ...] = ()
    rows: tuple[Row, ...] = ()
    related: tuple[Passage, ...] = ()
    contact: str | None = None
    degraded: tuple[Degraded, ...] = ()


# -- The profile of an app ---------------------------------------------------------------------------------------------

SentenceKey = Literal[
    "permissions_refusal",
    "storage_place",
    "storage_period",
    "right_access",
    "right_copy",
    "right_correct",
    "right_delete",
    "right_withdraw",
    "right_cancel",
    "right_complaint",
    "children",
    "changes",
    "contact",
    "court",
]
ListKey = Literal["collection", "permissions", "sharing", "sdks"]

CellKey = ListKey | SentenceKey

PROFILE_PARTS: Mapping[str, tuple[CellKey, ...]] = {
    "data": ("collection", "permissions", "permissions_refusal"),
    "others": ("sharing", "sdks"),
    "storage": ("storage_place", "storage_period"),
    "rights": (
        "right_access",
        "right_copy",
        "right_correct",
        "right_delete",
        "right_withdraw",
        "right_cancel",
        "right_complaint",
    ),
    "more": ("children", "changes", "contact", "court"),
}
"""The parts of a profile and their cells, in the order in which it shows them."""

CELL_KEYS: tuple[CellKey, ...] = tuple(key for keys in PROFILE_PARTS.values() for key in keys)
"""Every cell, in the order in which a profile shows them."""

CELL_COLUMNS: Mapping[ListKey, tuple[str, ...]] = {
    "collection": ("purpose", "data"),
    "permissions": ("permission", "purpose"),
    "sharing": ("recipient", "purpose"),
    "sdks": ("name", "company", "purpose", "data"),
}


@dataclass(frozen=True)
class ProfileRow(Payload):
    """One line of a list: its values in the order of the cell's columns, each verbatim in the quote, and the quote.

    A value that the text does not state is an empty string.
    """

    values: tuple[str, ...]
    citation: Citation


@dataclass(frozen=True)
class Cell(Payload):
    """One matter of a profile: a quote with its facts, or, for a list, rows under ``columns``.

    The policy does not state what has neither ``citation`` nor ``rows``.
    """

    key: CellKey
    citation: Citation | None = None
    facts: tuple[Fact, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[ProfileRow, ...] = ()

    @property
    def is_stated(self) -> bool:
        """Whether the policy states the matter."""
        return self.citation is not None or bool(self.rows)


@dataclass(frozen=True)
class Profile(Payload):
    """What one version of an app's policy says on every matter of :data:`CELL_KEYS`, in that order.

    ``degraded`` names what failed while it was made; it is left out of the dictionary where nothing did.
    """

    app: str
    policy_id: str
    sha256: str
    date: str | None
    cells: tuple[Cell, ...]
    degraded: tuple[Degraded, ...] = ()

    def cell(self, key: CellKey) -> Cell:
        """Return the cell ``key``.

        :raises KeyError: if there is no such cell.
        """
        for cell in self.cells:
            if cell.key == key:
                return cell
        raise KeyError(f"no cell {key!r} in a profile; it has: {', '.join(CELL_KEYS)}")
