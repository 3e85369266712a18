"""With whom and in which case data is shared, from made policies."""

from __future__ import annotations

from corpus.datatypes import Policy
from retrieval.rows import FoundRow
from retrieval.sharing import sharing_rows

SHARING = """一、我们如何共享您的个人信息
我们不会与其他公司共享您的个人信息,但以下情况除外:
1.在法定情形下的共享:我们可能会根据法律法规对外共享您的个人信息;
2.与快递公司共享:为了完成配送,我们会向快递公司提供您的收货地址。
根据法律规定,共享经匿名化处理的信息不属于个人信息的对外共享。
二、安全
我们采取加密措施。
"""


def segment_of(shelve, text: str):
    [segment] = shelve([Policy("示例", text)]).generation.segments
    return segment


def values(segment, rows: list[FoundRow]) -> list[tuple[str, ...]]:
    """Return the values as text; each lies inside the quote of its row."""
    assert all(row.start <= start <= end <= row.end for row in rows for start, end in row.values)
    return [tuple(segment.policy.text[start:end] for start, end in row.values) for row in rows]


def test_sharing_names_the_case_or_the_recipient(shelve) -> None:
    segment = segment_of(shelve, SHARING)
    assert values(segment, sharing_rows(segment)) == [("在法定情形下", ""), ("与快递公司", "完成配送")]


def test_a_policy_that_says_nothing_of_it_has_no_rows(shelve) -> None:
    segment = segment_of(shelve, "一、引言\n欢迎使用本应用。\n二、联系我们\n请拨打客服电话。\n")
    assert sharing_rows(segment) == []


def test_data_handed_on_outside_the_chapter_on_sharing_is_found_and_a_refusal_is_not(shelve) -> None:
    text = (
        "一、我们收集的信息\n当您支付时,我们会将您的订单信息与支付公司共享。\n我们不会与广告公司共享您的姓名。\n"
        "二、我们如何共享您的个人信息\n除非事先获得您的同意,我们不会与他人共享您的个人信息,但以下情形除外:\n1.您主动公开的信息。\n"
    )
    segment = segment_of(shelve, text)
    assert values(segment, sharing_rows(segment)) == [
        ("支付公司", ""),
        ("事先获得您的同意", ""),
        ("您主动公开的信息", ""),
    ]
