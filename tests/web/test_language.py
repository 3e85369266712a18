"""The language that a browser gets."""

from __future__ import annotations

import pytest

from retrieval.datatypes import Language
from web.language import negotiate_language


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "zh"),
        ("", "zh"),
        ("*", "zh"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hant-HK", "zh-Hant"),
        ("zh-TW,en;q=0.5", "zh-Hant"),
        ("ZH-MO", "zh-Hant"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("de", "en"),
        ("en;q=0.1, zh;q=0.9", "zh"),
        ("zh;q=0, en", "en"),
        ("en;q=nonsense, zh-TW", "zh-Hant"),
        (";;;,,,q=", "en"),
        ("zhuang", "en"),
    ],
)
def test_the_first_of_the_highest_weight_decides(accepted: str | None, language: Language) -> None:
    assert negotiate_language(accepted) == language
