"""What is collected for what, from a made policy."""

from __future__ import annotations

from corpus.datatypes import Policy
from retrieval.collection import collection_rows
from retrieval.rows import FoundRow

COLLECTION = """一、我们如何收集和使用您的个人信息
1.当您注册账号时,您需要向我们提供您的手机号码、短信验证码,如您不提供,将无法注册。
2.我们会收集您的设备型号、操作系统(如Android;iOS)和IP地址。收集这些信息是为了保障账号安全。
3.如您拒绝提供位置信息,不影响其他功能。
4.为了向您推荐附近的商家,我们会收集您的位置信息,以及您浏览商家的记录。
二、我们如何保护您的个人信息
我们不会收集与服务无关的个人信息、通讯录、短信。
"""


def segment_of(shelve, text: str):
    [segment] = shelve([Policy("示例", text)]).generation.segments
    return segment


def values(segment, rows: list[FoundRow]) -> list[tuple[str, ...]]:
    """Return the values as text; each lies inside the quote of its row."""
    assert all(row.start <= start <= end <= row.end for row in rows for start, end in row.values)
    return [tuple(segment.policy.text[start:end] for start, end in row.values) for row in rows]


def test_what_is_collected_stands_beside_what_it_is_for(shelve) -> None:
    segment = segment_of(shelve, COLLECTION)
    assert values(segment, collection_rows(segment)) == [
        ("您注册账号", "手机号码、短信验证码"),
        ("保障账号安全", "设备型号、操作系统(如Android;iOS)和IP地址"),
        ("向您推荐附近的商家", "位置信息,以及您浏览商家的记录"),
    ]


def test_the_quote_takes_in_the_sentence_that_says_what_for(shelve) -> None:
    segment = segment_of(shelve, COLLECTION)
    row = collection_rows(segment)[1]
    quote = segment.policy.text[row.start : row.end]
    assert quote.startswith("我们会收集您的设备型号")
    assert quote.endswith("收集这些信息是为了保障账号安全。")


def test_a_policy_that_says_nothing_of_it_has_no_rows(shelve) -> None:
    segment = segment_of(shelve, "一、引言\n欢迎使用本应用。\n二、联系我们\n请拨打客服电话。\n")
    assert collection_rows(segment) == []
