"""Rows of what is collected, of permissions and of sharing, from made policies in the forms that policies have."""

from __future__ import annotations

from corpus.datatypes import Policy
from retrieval.listed import FoundRow, collection_rows, permission_rows, sharing_rows

COLLECTION = """一、我们如何收集和使用您的个人信息
1.当您注册账号时,您需要向我们提供您的手机号码、短信验证码,如您不提供,将无法注册。
2.我们会收集您的设备型号、操作系统(如Android;iOS)和IP地址。收集这些信息是为了保障账号安全。
3.如您拒绝提供位置信息,不影响其他功能。
4.为了向您推荐附近的商家,我们会收集您的位置信息,以及您浏览商家的记录。
二、我们如何保护您的个人信息
我们不会收集与服务无关的个人信息、通讯录、短信。
"""
PERMISSIONS = """一、我们收集的信息
在您使用本应用时,我们可能需要您开通以下权限:
(1)相机权限,用于扫描二维码;
(2)开通终端系统的麦克风权限,用于语音搜索;
您可以在系统设置中关闭相机权限。
"""
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
    for row in rows:
        for start, end in row.values:
            assert row.start <= start <= end <= row.end
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


def test_permissions_are_those_asked_for_and_not_those_switched_off(shelve) -> None:
    segment = segment_of(shelve, PERMISSIONS)
    assert values(segment, permission_rows(segment)) == [("相机权限", "扫描二维码"), ("麦克风权限", "语音搜索")]


def test_sharing_names_the_case_or_the_recipient(shelve) -> None:
    segment = segment_of(shelve, SHARING)
    assert values(segment, sharing_rows(segment)) == [("在法定情形下", ""), ("与快递公司", "完成配送")]


def test_a_policy_without_any_of_it_has_no_rows(shelve) -> None:
    segment = segment_of(shelve, "一、引言\n欢迎使用本应用。\n二、联系我们\n请拨打客服电话。\n")
    assert collection_rows(segment) == permission_rows(segment) == sharing_rows(segment) == []
