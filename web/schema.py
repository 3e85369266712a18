"""What the API and the MCP tools take and send: request bodies with their limits, payloads around `to_dict()`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from corpus.datatypes import Clause
from corpus.topics import Topic
from retrieval.datatypes import Passage, Row, Turn
from retrieval.question import well_formed

if TYPE_CHECKING:
    from retrieval import Assistant

# The longest of the 4,969 training questions has 167 characters; the encoder reads 512 tokens, which 500 Chinese
# characters fill. Beyond that the tail would be dropped in silence.
MAX_QUESTION_CHARACTERS = 500
MAX_HISTORY_TURNS = 10  # a follow-up is searched with the question before it; ten cover any reference further back
MAX_TOP_K = 50
MAX_CITED = 10  # the assistant itself cites three at most, so that a larger wish is no mistake
MAX_APPS = 200
MAX_NAME_CHARACTERS = 100


def _well_formed(value: object) -> object:
    return well_formed(value) if isinstance(value, str) else value


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value  # JSON's integers include 3.0


def _kind_of_turn(value: object) -> str:
    return "text" if isinstance(value, str) else "turn"


Question = Annotated[str, Field(max_length=MAX_QUESTION_CHARACTERS), BeforeValidator(_well_formed)]
AppName = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS), BeforeValidator(_well_formed)]
WholeNumber = Annotated[int, BeforeValidator(_whole)]


class RequestBody(BaseModel):
    """A request's fields; one that is not listed is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TurnBody(RequestBody):
    """An earlier question and the app that its answer was about."""

    question: Question
    app: AppName | None = None


EarlierTurn = Annotated[
    Annotated[TurnBody, Tag("turn")] | Annotated[Question, Tag("text")], Discriminator(_kind_of_turn)
]


class AskBody(RequestBody):
    """A question, with what came before it."""

    question: Question
    app: AppName | None = Field(default=None, description="Ask about this app only: its name or an alias.")
    history: list[EarlierTurn] = Field(
        default=[], max_length=MAX_HISTORY_TURNS, description="Earlier questions, oldest first."
    )
    top_k: WholeNumber = Field(
        default=3, ge=1, le=MAX_CITED, description="How many clauses to cite; never more than three."
    )

    def turns(self) -> list[Turn | str]:
        """Return the history as the assistant takes it."""
        return [turn if isinstance(turn, str) else Turn(turn.question, turn.app) for turn in self.history]


class SearchBody(RequestBody):
    """A query for clauses."""

    query: Question
    app: AppName | None = Field(default=None, description="Search this app only; else those that the query names.")
    top_k: WholeNumber = Field(default=10, ge=1, le=MAX_TOP_K)
    rerank: bool = Field(default=True, description="False gives the first stage alone.")
    topics: list[Topic] = Field(default=[], description="Only clauses on any of these topics; none for all clauses.")


class CompareQuestionBody(RequestBody):
    """One question for several apps."""

    question: Question
    apps: list[AppName] | None = Field(
        default=None, min_length=1, max_length=MAX_APPS, description="Without it: the apps that are named, else all."
    )


class CompareBody(CompareQuestionBody):
    """One question, or one topic in its place, for several apps."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["question"]}, {"required": ["topic"]}]})

    question: Question = ""
    topic: Topic | None = Field(
        default=None, description="What the clauses on this topic say; the question is then not looked at."
    )


class NoArguments(RequestBody):
    """What a tool takes that takes nothing."""


class LocatedClause(BaseModel):
    """A clause with the version that it stands in; ``start`` and ``end`` count characters of that policy's ``text``."""

    clause_id: str
    policy_id: str
    start: int
    end: int
    text: str
    path: list[str]
    label: str
    kind: Literal["paragraph", "item", "lead_in", "heading"]
    lead_in: str | None
    document: str | None
    app: str
    date: str | None
    sha256: str


class Policy(BaseModel):
    """One version of one app's text, with its clauses in the order of the text."""

    app: str
    text: str
    aliases: list[str]
    operator: str | None
    updated: str | None
    effective: str | None
    source: str | None
    contact: str | None
    sha256: str
    policy_id: str
    date: str | None
    clauses: list[Clause]


class Alive(BaseModel):
    """The process lives."""

    status: Literal["ok"]


class Ready(BaseModel):
    """The assistant answers from an index of so many apps."""

    status: Literal["ready"]
    apps: int


class Passages(BaseModel):
    """The result of a search as an MCP tool sends it, where a result is an object."""

    passages: list[Passage]


class Rows(BaseModel):
    """The result of a comparison as an MCP tool sends it."""

    rows: list[Row]


class Apps(BaseModel):
    """The names of the covered apps as an MCP tool sends them."""

    apps: list[str]


def policy_payload(assistant: Assistant, app: str) -> dict[str, Any]:
    """Return the policy of ``app`` and its clauses as :class:`Policy` describes them."""
    policy = assistant.policy(app)
    clauses = [asdict(clause) for clause in assistant.clauses(app)]
    return asdict(policy) | {"date": policy.date, "clauses": clauses}


def clause_payload(assistant: Assistant, clause_id: str) -> dict[str, Any] | None:
    """Return the clause ``clause_id`` as :class:`LocatedClause` describes it, or ``None`` if no version has it."""
    version = assistant.version_of(clause_id.partition(".")[0])
    if version is None:
        return None
    stands_in = {"app": version.app, "date": version.date, "sha256": version.sha256}
    found = (one for one in assistant.clauses(version.app, version.policy_id) if one.clause_id == clause_id)
    return next((asdict(clause) | stands_in for clause in found), None)
