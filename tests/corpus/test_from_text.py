import time

import pytest

from corpus.from_text import read_markdown


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# 一、总则 #\n### (一)定义\n正文。", "一、总则\n(一)定义\n正文。"),
        ("隐私政策\n======\n正文。", "隐私政策\n正文。"),
        ("您可以**注销**、*更正*、__删除__、`导出`和~~撤回~~。", "您可以注销、更正、删除、导出和撤回。"),
        ("**    1. 我们收集的信息**", "    1. 我们收集的信息"),
        ("138****1234和139****5678、a_b_c、2*3*4 *必填", "138****1234和139****5678、a_b_c、234 *必填"),
        ("手机号码*、验证码*、**注意：**请*阅读*。", "手机号码*、验证码*、注意：请阅读。"),
        ("- 短信信息\n* 通话记录\n+ 位置", "- 短信信息\n* 通话记录\n+ 位置"),
        ('详见[《隐私政策》](https://a.cn/p_(1) "题")和<https://b.cn>。', "详见《隐私政策》和https://b.cn。"),
        ("> 引文\n> 第二行", "引文\n第二行"),
        ("1\\. 不是列表\\*", "1. 不是列表*"),
        ("| 名称 | 用途 |\n|---|:-:|\n| 友盟 | 统计 |", "名称\t用途\n友盟\t统计"),
        ("1. 甲\n1. 乙\n\n1. 丙\n文字\n1. 丁", "1. 甲\n2. 乙\n\n3. 丙\n文字\n1. 丁"),
        ("3. 甲\n4. 乙\n4. 丙", "3. 甲\n4. 乙\n4. 丙"),
        ("甲<br>乙&nbsp;丙<!-- 注\n解 -->", "甲\n乙 丙"),
        (
            "甲\n<it is delimiter>\n---\n乙\n<the-end-of-privacy-policy>",
            "甲\n<it is delimiter>\n---\n乙\n<the-end-of-privacy-policy>",
        ),
        ("```\n甲\n```", "甲"),
    ],
)
def test_the_marks_of_markdown_go_and_the_text_stays(markdown: str, text: str) -> None:
    assert read_markdown(markdown.encode()) == text


def test_comments_go_and_one_that_never_ends_is_text() -> None:
    assert read_markdown("甲<!--一--->乙<!-->丙-->丁<!-- 戊\n己".encode()) == "甲乙丁<!-- 戊\n己"


@pytest.mark.parametrize("opener", ["<!--", "‹!--", " **a", " ~~a", " `a", "_a "])
def test_marks_that_never_close_are_read_in_time(opener: str) -> None:
    start = time.process_time()
    assert read_markdown(("甲" + opener * 20_000).encode()).startswith("甲" + opener[:3])
    assert time.process_time() - start < 20


def test_text_without_marks_stays_as_it_is() -> None:
    text = "一、总则\n1.当您注册时,  我们收集(1)手机号码;\n    (2)姓名。\n\n24.其它\n"
    assert read_markdown(text.encode("gb18030")) == text
