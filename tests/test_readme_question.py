"""The README's question on the shipped model and index, in every way that a person may put it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval import Assistant

from .invariants import check_answer

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def shipped_assistant() -> Assistant:
    return Assistant.open()


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("津心办怎么销号", "zh"),
        ("how do I delete my account in 津心办", "en"),
        ("津心辦怎麼註銷帳號", "zh-Hant"),
        ("jinxinban 怎么注销账号", "zh"),
        ("津心伴怎么注销账号", "zh"),
    ],
)
def test_the_readmes_question_is_answered_with_the_path(
    shipped_assistant: Assistant, question: str, language: str
) -> None:
    answer = shipped_assistant.ask(question)
    check_answer(shipped_assistant, answer)
    assert (answer.status, answer.app, answer.language) == ("answered", "津心办", language)
    assert ("menu_path", "个人中心-设置-账号注销") in [(fact.kind, fact.text) for fact in answer.facts]
    assert "个人中心-设置-账号注销" in answer.text
    assert any("个人中心-设置-账号注销" in citation.quote for citation in answer.citations)


def test_answers_are_the_same_from_an_assistant_opened_anew_without_a_network(
    shipped_assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    again = Assistant.open()
    for question in ("津心办怎么销号", "who gets my data from 汇容客", "昶联有没有ISO 27001证书", "怎么撤回授权"):
        first, second = shipped_assistant.ask(question), again.ask(question)
        assert first.to_dict() == second.to_dict() == shipped_assistant.ask(question).to_dict()


def test_an_english_answer_says_it_in_english_and_quotes_the_chinese(shipped_assistant: Assistant) -> None:
    answer = shipped_assistant.ask("how do I delete my account in 津心办")
    first = answer.citations[0]
    english = shipped_assistant.rendering("津心办", first.start, first.end)
    assert english is not None
    assert english in answer.text
    assert "unofficial English" in answer.text


@pytest.mark.parametrize("readme", ["README.md", "README.en.md"])
def test_the_readmes_python_call_prints_what_the_readme_says(readme):
    text = (Path(__file__).parents[1] / readme).read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", text, re.DOTALL).groups()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == printed
