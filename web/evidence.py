"""Evidence files: an answer as a file, with all that its quotes can be checked by, and the check."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.datatypes import Answer, Citation, Fact, Passage

if TYPE_CHECKING:
    from retrieval import Assistant

FORMAT = "wentiao-evidence/1"
MAX_BYTES = 4_000_000  # ten times what an answer over two hundred apps takes


class NotEvidenceError(ValueError):
    """A file that is no evidence file; the message says why."""


@dataclass(frozen=True)
class Evidence:
    """What an evidence file states: the question, its answer, when it was given and which policies it is about."""

    question: str
    answer: Answer
    time: datetime
    versions: tuple[dict[str, str | None], ...]


@dataclass(frozen=True)
class Finding:
    """One statement of an evidence file, and what of it does not stand: names of its fields, none if all stands."""

    place: str
    faults: tuple[str, ...]


def make_evidence(assistant: Assistant, question: str, answer: Answer, *, time: datetime) -> dict[str, Any]:
    """Return the evidence of an answer that ``assistant`` gave at ``time``, ready for JSON."""
    return {
        "format": FORMAT,
        "product": f"Wentiao {product_version()}",
        "time": time.astimezone(UTC).isoformat(timespec="seconds"),
        "question": question,
        "versions": _versions(assistant, answer),
        "answer": answer.to_dict(),
    }


@cache
def product_version() -> str:
    """Return the version of this program, as ``pyproject.toml`` states it."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def read_evidence(content: bytes) -> Evidence:
    """Return what an evidence file states.

    :param content: the file's bytes.
    :raises NotEvidenceError: if it is none, or a part of it is missing or of another kind.
    """
    from pydantic import TypeAdapter, ValidationError

    if len(content) > MAX_BYTES:
        raise NotEvidenceError(f"{len(content)} bytes, where an evidence file has at most {MAX_BYTES}")
    try:
        stated = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        raise NotEvidenceError("it is not JSON") from exc
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise NotEvidenceError(f'it does not say "format": "{FORMAT}"')
    try:
        return TypeAdapter(Evidence).validate_python(stated)
    except ValidationError as exc:
        place = ".".join(str(part) for part in exc.errors()[0]["loc"])
        raise NotEvidenceError(f"{place}: {exc.errors()[0]['msg']}") from exc


def check_evidence(assistant: Assistant, evidence: Evidence) -> tuple[Finding, ...]:
    """Check all that ``evidence`` quotes against the policies of ``assistant``, in the order of the answer.

    Each is checked against the version that it names, current or old. A citation stands if its quote does and if app,
    date, address and lead-in are what the policy says; a fact, if it lies in the citations of its answer or row; a
    related clause, if its text does. What disagrees with them is found besides: status, app, contact or versions. The
    answer's own wording is no quote and is not checked.

    :returns: nothing where nothing is quoted and nothing disagrees: then nothing was checked.
    """
    answer = evidence.answer
    cited = [row.citation for row in answer.rows if row.citation]
    quoted: tuple[Citation | Passage, ...] = (*answer.citations, *cited, *answer.related)
    findings = [Finding(_place(one), tuple(_faults(assistant, one))) for one in quoted]
    findings += _loose_facts(answer.facts, answer.citations)
    for row in answer.rows:
        findings += _loose_facts(row.facts, [row.citation] if row.citation else [])
    stated = {one.get("app") or "": one.get("policy_id") or "" for one in evidence.versions}
    try:
        versions = _versions(assistant, answer, stated)
    except ValueError:
        versions = []
    findings += _contradictions(assistant, answer, stated)
    if list(evidence.versions) != versions or any(one.policy_id != stated.get(one.app) for one in quoted):
        findings.append(Finding("versions", ("version",)))
    return tuple(findings)


def _contradictions(assistant: Assistant, answer: Answer, versions: Mapping[str, str]) -> Iterator[Finding]:
    """Yield where status, app and contact are not those of an answer with these quotes, of these versions by app."""
    parts = (bool(answer.citations), bool(answer.rows))
    if parts != (answer.status == "answered", answer.status in ("compared", "which_app")):
        yield Finding("answer", ("status",))
    if answer.related and answer.status != "silent":
        yield Finding("related", ("status",))
    if {*(one.app for one in answer.citations), *(one.app for one in answer.related)} - {answer.app}:
        yield Finding(answer.app or "answer", ("other_app",))
    if answer.status in ("answered", "silent") and answer.app not in assistant.apps():
        yield Finding(answer.app or "answer", ("app",))
    elif answer.contact != _contact(assistant, answer, versions):
        yield Finding(answer.contact or "contact", ("contact",))
    for row in answer.rows:
        if (row.citation is not None) != (row.status == "answered"):
            yield Finding(row.app, ("status",))
        if row.citation and row.citation.app != row.app:
            yield Finding(row.app, ("other_app",))


def _contact(assistant: Assistant, answer: Answer, versions: Mapping[str, str]) -> str | None:
    """Return the contact that an answer must show: the operator's where the policy is silent."""
    version = assistant.version_of(versions.get(answer.app or "", ""))
    if answer.status != "silent" or version is None:
        return None
    return assistant.policy(version.app, version.policy_id).contact


def _loose_facts(facts: Sequence[Fact], citations: Sequence[Citation]) -> list[Finding]:
    return [Finding(fact.text, ("fact",)) for fact in facts if not any(_holds(one, fact) for one in citations)]


def _faults(assistant: Assistant, said: Citation | Passage) -> Iterator[str]:
    version = assistant.version_of(said.policy_id)
    if version is None:
        yield "version" if said.app in assistant.apps() else "app"
        return
    policy = assistant.policy(version.app, version.policy_id)
    clauses = {clause.clause_id: clause for clause in assistant.clauses(version.app, version.policy_id)}
    clause = clauses.get(said.clause_id)
    if clause is None:
        yield "version"
        return
    lead_in = clauses[clause.lead_in].text if clause.lead_in else None
    stands = (policy.app, clause.address, clause.label, lead_in)
    names = ("app", "path", "label", "lead_in")
    stated = (said.app, said.path, said.label, said.lead_in)
    yield from (name for name, one, other in zip(names, stated, stands, strict=True) if one != other)
    if isinstance(said, Passage):
        if (said.start, said.end, said.text) != (clause.start, clause.end, clause.text):
            yield "text"
        return
    if said.date != policy.date:
        yield "date"
    # A list cited as a whole ends later than the clause that it begins with.
    if said.text_start != clause.start or said.text_end < clause.end or not assistant.verify(said):
        yield "quote"


def _holds(citation: Citation, fact: Fact) -> bool:
    start, end = fact.start - citation.text_start, fact.end - citation.text_start
    return citation.policy_id == fact.policy_id and 0 <= start < end and citation.text[start:end] == fact.text


def _place(said: Citation | Passage) -> str:
    return " · ".join(part for part in (said.app, said.label, " › ".join(said.path)) if part)


def _versions(
    assistant: Assistant, answer: Answer, stated: Mapping[str, str] | None = None
) -> list[dict[str, str | None]]:
    """Return what names each version that the answer is about, be it silent, in the order of the answer.

    :param stated: the ``policy_id`` of an app's version where it need not be the current one.
    :raises ValueError: if the index has no such version of the app.
    """
    apps = dict.fromkeys(app for app in (answer.app, *(row.app for row in answer.rows)) if app)
    covered = set(assistant.apps())
    return [
        {"app": one.app, "policy_id": one.policy_id, "sha256": one.sha256, "date": one.date}
        for one in (assistant.policy(app, (stated or {}).get(app)) for app in apps if app in covered)
    ]
