"""What cookies and their like keep, and what for, as rows of what is collected."""

from __future__ import annotations

from corpus.datatypes import Policy
from retrieval.collection import collection_rows

CHAPTER = "一、我们如何收集和使用您的个人信息\n"


def rows_of(shelve, text: str) -> list[tuple[str, ...]]:
    [segment] = shelve([Policy("示例", CHAPTER + text)]).generation.segments
    rows = collection_rows(segment)
    assert all(row.start <= start <= end <= row.end for row in rows for start, end in row.values)
    return [tuple(segment.policy.text[start:end] for start, end in row.values) for row in rows]


def test_a_cookie_is_what_it_holds_and_what_that_is_used_for(shelve) -> None:
    text = "您使用服务时,我们会在您的设备上存储名为 Cookie 的小数据文件。Cookie 通常包含标识符、站点名称。"
    assert rows_of(shelve, text + "我们使用该等信息判断您是否已经登录。\n") == [
        ("判断您是否已经登录", "标识符、站点名称")
    ]
    assert rows_of(shelve, "为确保网站运转," + text.removeprefix("您使用服务时,") + "您可以禁用 Cookie。\n") == [
        ("确保网站运转", "标识符、站点名称")
    ]


def test_the_items_below_a_sentence_on_cookies_are_purposes_and_how_to_refuse_is_none(shelve) -> None:
    text = (
        "我们使用 Cookies 的用途包括:\n1.记住您的身份。例如:辨认您是注册用户。\n2.统计人数;\n3.您可以拒绝 Cookies。\n"
    )
    assert rows_of(shelve, text) == [("记住您的身份", ""), ("统计人数", "")]


def test_what_is_tracked_and_found_out_counts(shelve) -> None:
    text = "如您点击链接,我们则会跟踪此次点击,帮助我们了解您的偏好。借助于像素标签,我们能够获知邮件是否被打开。\n"
    assert rows_of(shelve, text) == [("我们了解您的偏好", "此次点击"), ("", "邮件是否被打开")]
