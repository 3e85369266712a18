from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus.datatypes import Policy
from evaluation import clauses
from evaluation.clauses import ask_all_back
from index.encoder import FakeEncoder
from retrieval import Answer, Assistant

from ..conftest import Shelf, decide

APP = "津心办"


@pytest.fixture
def assistant(shipped: Shelf) -> Assistant:
    return shipped.assistant(decide(bias=20.0))


class Broken:
    """An assistant that breaks at a word, or cites another app, or words that the policy has not."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self.verify = assistant.verify

    def ask(self, question: str, app: str | None = None) -> Answer:
        if "注销" in question:
            raise RuntimeError("broken")
        answer = self._assistant.ask(question, app=app)
        if "位置" in question:
            return replace(answer, citations=tuple(replace(one, quote="别的") for one in answer.citations))
        if "未成年" in question:
            return replace(answer, citations=tuple(replace(one, app="昶联") for one in answer.citations))
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assistant, name)


def test_every_clause_is_answered_or_declined_and_its_citations_stand(assistant: Assistant) -> None:
    asked = [(APP, clause) for clause in assistant.clauses(APP)]
    told = ask_all_back(assistant, asked)
    assert set(told) <= {"answered", "off_topic", "cites itself"}
    assert told["answered"] + told["off_topic"] == len(asked)
    assert told["cites itself"] > len(asked) / 2


def test_errors_and_citations_that_do_not_stand_are_named_by_their_clause(assistant: Assistant) -> None:
    own = assistant.clauses(APP)
    first = {
        word: next(one for one in own if word in one.text and "注销" not in one.text.replace(word, ""))
        for word in ("注销", "位置", "未成年")
    }
    told = ask_all_back(Broken(assistant), [(APP, clause) for clause in first.values()])
    assert told[f"error RuntimeError: {first['注销'].clause_id}"] == 1
    assert told[f"wrong citation: {first['位置'].clause_id}"] == 1
    assert told[f"wrong citation: {first['未成年'].clause_id}"] == 1


def test_the_command_asks_the_policies_of_a_folder_and_tells_by_its_exit_code(
    shelve: Callable[[Sequence[Policy]], Shelf], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "隐私政策\n一、收集\n我们会收集您的手机号码，用于注册账号。\n二、注销\n您可以在设置里注销账号。\n"
    made = shelve([Policy("甲应用", text)]).assistant(decide(bias=20.0))
    opened: list[object] = []
    answers: list[Any] = [made, Broken(made)]
    monkeypatch.setattr(clauses, "load_encoder", FakeEncoder)
    monkeypatch.setattr(clauses, "open_index", lambda *given: (opened.append(given[1]), answers.pop(0))[1])
    assert clauses.main(["--policies", "some", "--limit", "2"]) == 0
    assert opened == [[Path("some")]]
    count = len(made.clauses("甲应用"))
    assert f"{-(-count // -(-count // 2))} of {count} clauses of 1 apps asked back" in capsys.readouterr().out
    assert clauses.main([]) == 1
    assert "error RuntimeError" in capsys.readouterr().out
