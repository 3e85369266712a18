from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from evaluation import score
from evaluation.__main__ import main

from .fake_assistant import LINES, FakeAssistant

QUESTION = {
    "id": "甲-1",
    "app": "甲",
    "lang": "zh",
    "style": "formal",
    "question": "甲怎么注销",
    "answerable": True,
    "evidence": [LINES[0]],
    "facts": ["我的-设置-注销"],
    "mentions_app": True,
}
SITUATION = {"id": "1", "kind": "k", "lang": "zh", "question": "甲怎么注销", "expected_status": "answered"}


class FakeEncoder:
    """Encodes queries to their lengths."""

    def encode_queries(self, texts: list[str]) -> list[int]:
        return [len(text) for text in texts]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one question and one situation over each corpus, its assistant a fake."""
    (tmp_path / "evaluation").mkdir()
    situations = [json.dumps({**SITUATION, "id": corpus, "corpus": corpus}) for corpus in ("five", "all")]
    (tmp_path / "evaluation" / "situations_open.jsonl").write_text("\n".join(situations), encoding="utf-8")
    (tmp_path / "shared" / "questions" / "dev").mkdir(parents=True)
    (tmp_path / "shared" / "policies").mkdir()
    (tmp_path / "shared" / "policies" / "甲.txt").write_text("\n".join(LINES), encoding="utf-8")
    (tmp_path / "shared" / "questions" / "dev" / "甲.jsonl").write_text(json.dumps(QUESTION), encoding="utf-8")
    monkeypatch.setattr(score, "ROOT", tmp_path)
    monkeypatch.setattr(score, "SHARED", tmp_path / "shared")
    monkeypatch.setattr(score, "CACHE", tmp_path / "build")
    monkeypatch.setattr(score, "open_index", lambda path, folders, encoder: FakeAssistant())
    monkeypatch.setattr(score.Assistant, "open", lambda encoder: FakeAssistant())
    monkeypatch.setattr(score, "load_encoder", FakeEncoder)
    return tmp_path


def test_the_report_is_printed_and_written(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(tree / "report.json")]) == 0
    report = json.loads((tree / "report.json").read_text(encoding="utf-8"))
    assert report["questions"]["all"]["figures"]["search hit@1"]["value"] == 1.0
    assert report["apps135"]["resolved"]["value"] == 1.0
    assert report["situations"]["open"]["right"]["n"] == 2
    assert "search hit@1" in capsys.readouterr().out


def test_without_the_shared_data_the_rest_is_scored_and_the_exit_code_says_so(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(score, "SHARED", tree / "absent")
    with caplog.at_level(logging.WARNING):
        assert main(["score"]) == 2
    printed = capsys.readouterr()
    assert str(tree / "absent") in printed.err
    assert "situations (open)" in printed.out
    assert "search hit@1" not in printed.out
    assert "135" in caplog.text
