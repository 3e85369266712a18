"""What is collected for what, from a made policy."""

from __future__ import annotations

import pytest

from retrieval.collection import collection_rows

from .listed import segment_of, values

COLLECTION = """一、我们如何收集和使用您的个人信息
1.当您注册账号时,您需要向我们提供您的手机号码、短信验证码,如您不提供,将无法注册。
2.我们会收集您的设备型号、操作系统(如Android;iOS)和IP地址。收集这些信息是为了保障账号安全。
3.如您拒绝提供位置信息,不影响其他功能。
4.为了向您推荐附近的商家,我们会收集您的位置信息,以及您浏览商家的记录。
二、我们如何保护您的个人信息
我们不会收集与服务无关的个人信息、通讯录、短信。
"""


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


WORDINGS = {
    "examples belong to the head of an item": (
        "我们收集的信息包括:\n1.设备或软件信息,例如您的浏览器的配置信息、您的IP地址;\n2.您分享的内容所包含的信息(元数据),包括照片的日期或地点。\n",
        [
            ("", "设备或软件信息,例如您的浏览器的配置信息、您的IP地址"),
            ("", "您分享的内容所包含的信息(元数据),包括照片的日期或地点"),
        ],
    ),
    "other data are what follows the word": (
        "我们可能为了改善产品的合理需要而获得您的其他信息,包括您联系客服时提供的反馈信息,您参与问卷时向我们发送的答复信息。\n",
        [("改善产品", "您联系客服时提供的反馈信息,您参与问卷时向我们发送的答复信息")],
    ),
    "what using a service gives rise to": (
        "1.支持信息:基于您使用服务而产生的咨询记录、通话记录,本公司将通过分析这些信息以便更快响应您。\n2.日历。\n",
        [("更快响应您", "咨询记录、通话记录")],
    ),
    "of two aims the nearest to the data": (
        "为保障平台的运行,当您使用服务时,为了排查故障,我们会收集您的设备型号、IP地址。\n",
        [("排查故障", "设备型号、IP地址")],
    ),
    "an effect is a purpose and no more data": (
        "网站能够存储用户的账号、邮箱等数据,省去重复填写,还可以帮助我们统计流量。\n",
        [("省去重复填写,还可以帮助我们统计流量", "账号、邮箱等数据")],
    ),
    "a label before the list and the aim behind it are no data": (
        "为了您的账号安全,您需提供以下信息:姓名、手机号码用以识别您的身份。\n我们会收集您的录音内容以识别您的需求。\n",
        [("识别您的身份", "姓名、手机号码"), ("", "录音内容")],
    ),
    "what follows a refusal is no purpose": (
        "我们会收集您的位置信息,用于推荐附近的商家,如您不提供,不影响其他功能。\n",
        [("推荐附近的商家", "位置信息")],
    ),
    "to visit is to take, an experience of it is not": (
        "为了使您获得更轻松的访问体验、推荐内容,我们会收集您的设备型号。\n",
        [("使您获得更轻松的访问体验、推荐内容", "设备型号")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("wording", WORDINGS)
def test_data_and_purpose_end_where_the_sentence_turns_to_something_else(shelve, wording: str) -> None:
    text, expected = WORDINGS[wording]
    segment = segment_of(shelve, "一、我们如何收集您的个人信息\n" + text)
    assert values(segment, collection_rows(segment)) == expected


def test_an_aim_and_what_is_taken_for_it_count_in_a_chapter_on_something_else(shelve) -> None:
    text = (
        "一、我们如何保护您的个人信息\n为了确保服务的安全,我们可能记录相关信息,例如,您使用应用的频率、崩溃数据、性能数据。\n"
        "为了保护您,我们将收集的姓名去标识化。\n我们会读取您的通讯录。\n"
    )
    segment = segment_of(shelve, text)
    assert values(segment, collection_rows(segment)) == [("确保服务的安全", "您使用应用的频率、崩溃数据、性能数据")]
