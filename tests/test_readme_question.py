"""The README's question on the shipped model and index, in every way that a person may put it."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize("readme", ["README.md", "README.en.md"])
def test_the_readmes_python_call_prints_what_the_readme_says(readme):
    text = (Path(__file__).parents[1] / readme).read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", text, re.DOTALL).groups()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == printed
