"""The evidence file: what it holds, that every change to what it quotes is found, and what is no evidence file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from web.cli import EXIT_ANSWERED, EXIT_DECLINED, EXIT_USAGE, Commands, run
from web.evidence import FORMAT, check_evidence, make_evidence, product_version, read_evidence

from .fakes import FakeAssistant

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def make(fake: FakeAssistant, question: str, app: str | None = None) -> dict[str, Any]:
    """Return evidence as it comes out of a file."""
    evidence = make_evidence(question, fake.ask(question, app=app), time=NOON)
    plain: dict[str, Any] = json.loads(json.dumps(evidence))
    return plain


def verify(fake: FakeAssistant, path: Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    commands: Any = Commands(lambda: fake, None, None, "127.0.0.1", 7860, "")  # type: ignore[arg-type,return-value]
    return run(["verify", str(path)], commands, out=out, err=err), out.getvalue(), err.getvalue()


def test_evidence_holds_question_answer_versions_time_and_product(fake: FakeAssistant) -> None:
    answer = fake.ask("昶联怎么联系你们")
    [citation] = answer.citations
    assert make_evidence("昶联怎么联系你们", answer, time=NOON) == {
        "format": FORMAT,
        "product": f"Wentiao {product_version()}",
        "time": "2026-11-22T12:00:00+00:00",
        "question": "昶联怎么联系你们",
        "versions": [{"app": "昶联", "policy_id": citation.policy_id, "sha256": citation.sha256, "date": "2024-08-01"}],
        "answer": answer.to_dict(),
    }


@pytest.mark.parametrize("question", ["津心办怎么注销账号", "怎么注销账号", "津心办的股价", "淘宝怎么注销", "天气"])
def test_what_was_answered_stands(fake: FakeAssistant, tmp_path: Path, question: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(make(fake, question), ensure_ascii=False), encoding="utf-8")
    code, out, err = verify(fake, path)
    assert (code, err) == (EXIT_ANSWERED, "")
    assert "✗" not in out


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


def test_the_citation_that_does_not_stand_is_named_and_the_others_are_not(fake: FakeAssistant) -> None:
    evidence = make(fake, "怎么注销账号")
    rows = [row for row in evidence["answer"]["rows"] if row["citation"]]
    rows[1]["citation"]["quote"] = "本政策从未如此写明。"
    findings = check_evidence(fake, read_evidence(json.dumps(evidence).encode()))  # type: ignore[arg-type]
    assert [(finding.place.partition(" ")[0], finding.faults) for finding in findings if finding.faults] == [
        (rows[1]["app"], ("quote",))
    ]
    assert len(findings) == len(rows) > 2


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
