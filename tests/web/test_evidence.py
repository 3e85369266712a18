"""The evidence file: what it holds, that every change to what it quotes is found, and what is no evidence file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from retrieval.datatypes import Answer, Turn
from web.cli import EXIT_ANSWERED, EXIT_DECLINED, EXIT_USAGE, Commands, run
from web.evidence import FORMAT, check_evidence, make_evidence, product_version, read_evidence

from .fakes import FakeAssistant

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Printing(FakeAssistant):
    """Gives the contact that the policy prints, as the real assistant does."""

    def ask(self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3) -> Answer:
        answer = super().ask(question, app, history, top_k)
        return replace(answer, contact=answer.contact and self.policy(answer.app or "").contact)


@pytest.fixture
def fake() -> FakeAssistant:
    return Printing()


def make(fake: FakeAssistant, question: str, app: str | None = None) -> dict[str, Any]:
    """Return evidence as it comes out of a file."""
    evidence = make_evidence(fake, question, fake.ask(question, app=app), time=NOON)  # type: ignore[arg-type]
    plain: dict[str, Any] = json.loads(json.dumps(evidence))
    return plain


def verify(fake: FakeAssistant, path: Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    commands: Any = Commands(lambda: fake, None, None, None, None, Path())  # type: ignore[arg-type,return-value]
    return run(["verify", str(path)], commands, out=out, err=err), out.getvalue(), err.getvalue()


def test_evidence_holds_question_answer_versions_time_and_product(fake: FakeAssistant) -> None:
    answer = fake.ask("昶联怎么联系你们")
    [citation] = answer.citations
    assert make_evidence(fake, "昶联怎么联系你们", answer, time=NOON) == {  # type: ignore[arg-type]
        "format": FORMAT,
        "product": f"Wentiao {product_version()}",
        "time": "2026-11-22T12:00:00+00:00",
        "question": "昶联怎么联系你们",
        "versions": [{"app": "昶联", "policy_id": citation.policy_id, "sha256": citation.sha256, "date": "2024-08-01"}],
        "answer": answer.to_dict(),
    }


def test_the_version_is_named_that_is_silent(fake: FakeAssistant) -> None:
    assert [version["app"] for version in make(fake, "津心办的股价")["versions"]] == ["津心办"]
    assert [version["app"] for version in make(fake, "哪些应用说了股价")["versions"]] == list(fake.apps())


@pytest.mark.parametrize("question", ["津心办怎么注销账号", "怎么注销账号", "津心办的股价"])
def test_what_was_answered_stands(fake: FakeAssistant, tmp_path: Path, question: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(make(fake, question), ensure_ascii=False), encoding="utf-8")
    code, out, err = verify(fake, path)
    assert (code, err) == (EXIT_ANSWERED, "")
    assert "✗" not in out


@pytest.mark.parametrize("question", ["淘宝怎么注销", "天气"])
def test_where_nothing_is_quoted_nothing_is_said_to_stand(fake: FakeAssistant, tmp_path: Path, question: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(make(fake, question)), encoding="utf-8")
    code, out, err = verify(fake, path)
    assert (code, err) == (EXIT_DECLINED, "")
    assert "成立" not in out
    assert "没有核对" in out or "nothing was checked" in out


def test_what_a_file_states_cannot_steer_the_terminal(fake: FakeAssistant, tmp_path: Path) -> None:
    evidence = make(fake, "津心办怎么注销账号")
    first(evidence).update(app="\x1b[2J\r\u202e微信\n全部成立")
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(evidence), encoding="utf-8")
    _, out, _ = verify(fake, path)
    assert "\\x1b[2J\\r\\u202e微信\\n全部成立" in out
    assert not {"\x1b", "\r", "\u202e"} & set(out)


def first(evidence: dict[str, Any]) -> dict[str, Any]:
    citation: dict[str, Any] = evidence["answer"]["citations"][0]
    return citation


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "quote": lambda evidence: first(evidence).update(quote=first(evidence)["quote"].replace("可以", "不能")),
    "text": lambda evidence: first(evidence).update(text=first(evidence)["text"] + "。"),
    "offsets": lambda evidence: first(evidence).update(start=first(evidence)["start"] + 1),
    "hash": lambda evidence: first(evidence).update(sha256="0" * 64),
    "version": lambda evidence: first(evidence).update(policy_id="0" * 16),
    "app": lambda evidence: first(evidence).update(app="微信"),
    "other app": lambda evidence: first(evidence).update(app="昶联"),
    "date": lambda evidence: first(evidence).update(date="2030-01-01"),
    "path": lambda evidence: first(evidence).update(path=["九、其他"]),
    "label": lambda evidence: first(evidence).update(label="九(九)"),
    "lead-in": lambda evidence: first(evidence).update(lead_in="除以下情形外："),
    "clause": lambda evidence: first(evidence).update(clause_id=first(evidence)["policy_id"] + ".0001"),
    "fact": lambda evidence: evidence["answer"]["facts"][0].update(text="个人中心-设置-账号升级"),
    "versions": lambda evidence: evidence["versions"][0].update(date="2030-01-01"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_to_what_is_quoted_is_found_and_named(fake: FakeAssistant, tmp_path: Path, change: str) -> None:
    evidence = make(fake, "津心办怎么注销账号")
    CHANGES[change](evidence)
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(evidence), encoding="utf-8")
    code, out, err = verify(fake, path)
    assert (code, err) == (EXIT_DECLINED, "")
    assert "✗ " in out and "不成立" in out


def rows(evidence: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in evidence["answer"]["rows"] if row["citation"]]


def swap(name: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    one[name], other[name] = other[name], one[name]


SILENT, ACROSS, ONE = "津心办的股价", "怎么注销账号", "津心办怎么注销账号"
FORGERIES: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "nothing cited": (
        ONE,
        lambda evidence: evidence["answer"].update(citations=[], facts=[], text="津心办不会注销账号。"),
    ),
    "said to be silent": (ONE, lambda evidence: evidence["answer"].update(status="silent")),
    "silent and bare": (ONE, lambda evidence: evidence["answer"].update(status="silent", citations=[], facts=[])),
    "answer of another app": (ONE, lambda evidence: evidence["answer"].update(app="昶联")),
    "answer of no app": (ONE, lambda evidence: evidence["answer"].update(app=None)),
    "a contact for an answer": (ONE, lambda evidence: evidence["answer"].update(contact="10086")),
    "false contact": (SILENT, lambda evidence: evidence["answer"].update(contact="10086")),
    "silence of another app": (SILENT, lambda evidence: evidence["answer"].update(app="昶联")),
    "silence without a clause": (SILENT, lambda evidence: evidence["answer"].update(related=[])),
    "silence of an app not covered": (SILENT, lambda evidence: evidence["answer"].update(app="微信", related=[])),
    "silence said to answer": (SILENT, lambda evidence: evidence["answer"].update(status="answered", contact=None)),
    "silence of no version": (SILENT, lambda evidence: evidence.update(versions=[])),
    "rows' apps exchanged": (ACROSS, lambda evidence: swap("app", *rows(evidence)[:2])),
    "rows' facts exchanged": (ACROSS, lambda evidence: swap("facts", rows(evidence)[0], rows(evidence)[-1])),
    "rows' citations exchanged": (ACROSS, lambda evidence: swap("citation", *rows(evidence)[:2])),
    "a row without citation": (ACROSS, lambda evidence: rows(evidence)[0].update(citation=None, facts=[])),
    "a row said to be silent": (ACROSS, lambda evidence: rows(evidence)[0].update(status="silent")),
    "no rows": (ACROSS, lambda evidence: evidence["answer"].update(rows=[])),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_answer_is_not_said_to_stand(fake: FakeAssistant, tmp_path: Path, forgery: str) -> None:
    question, forge = FORGERIES[forgery]
    evidence = make(fake, question)
    forge(evidence)
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(evidence), encoding="utf-8")
    code, out, err = verify(fake, path)
    assert (code, err) == (EXIT_DECLINED, "")
    assert "全部成立" not in out


def test_the_citation_that_does_not_stand_is_named_and_the_others_are_not(fake: FakeAssistant) -> None:
    evidence = make(fake, "怎么注销账号")
    cited = rows(evidence)
    cited[1]["citation"]["quote"] = "本政策从未如此写明。"
    findings = check_evidence(fake, read_evidence(json.dumps(evidence).encode()))  # type: ignore[arg-type]
    assert [(finding.place.partition(" ")[0], finding.faults) for finding in findings if finding.faults] == [
        (cited[1]["app"], ("quote",))
    ]
    assert len(findings) == len(cited) > 2


def test_a_nearest_clause_that_was_changed_is_found(fake: FakeAssistant) -> None:
    evidence = make(fake, "津心办的股价")
    evidence["answer"]["related"][0]["text"] += "不。"
    findings = check_evidence(fake, read_evidence(json.dumps(evidence).encode()))  # type: ignore[arg-type]
    assert [finding.faults for finding in findings if finding.faults] == [("text",)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"format": "wentiao-evidence/2"}',
        b'{"format": "wentiao-evidence/1", "question": "?"}',
        b'{"format": "wentiao-evidence/1", "question": 1, "time": "x", "versions": [], "answer": {}}',
        b" " * 4_000_001,
    ],
)
def test_a_file_that_is_no_evidence_is_told_apart(fake: FakeAssistant, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    code, out, err = verify(fake, path)
    assert (code, out) == (EXIT_USAGE, "")
    assert "is no evidence file: " in err


def test_a_file_that_is_not_there_is_no_evidence(fake: FakeAssistant, tmp_path: Path) -> None:
    code, _, err = verify(fake, tmp_path / "nowhere.json")
    assert code == EXIT_USAGE
    assert "nowhere.json is no evidence file: No such file" in err


def test_evidence_stands_after_an_update_by_the_version_that_it_names(fake: FakeAssistant) -> None:
    for question in ("昶联怎么联系你们", "津心办的股价"):
        evidence = read_evidence(json.dumps(make(fake, question), ensure_ascii=False).encode())
        newer = [replace(one, text=f"{one.text}\n我们新增一条。") for one in fake.policies.values()]
        updated = Printing([*fake.policies.values(), *newer])
        assert all(not finding.faults for finding in check_evidence(updated, evidence))  # type: ignore[arg-type]
        gone = check_evidence(Printing(newer), evidence)  # type: ignore[arg-type]
        assert "version" in {fault for finding in gone for fault in finding.faults}
