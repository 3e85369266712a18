from __future__ import annotations

import pytest

from corpus.lexicons import Term, load_glossary
from retrieval.datatypes import Fact
from retrieval.gloss import Glosser, chinese_number

GLOSSER = Glosser(
    [
        Term(("设置",), (), (), "Settings", 0),
        Term(("我的", "个人中心"), (), (), "Me", 0),
        Term(("注销账号", "设置"), (), (), "Cancel account", 0),
    ]
)


def gloss(kind, text):
    return GLOSSER.gloss(Fact(kind, text, 0, len(text), "p"))


@pytest.mark.parametrize(
    ("path", "english"),
    [
        ("我的-设置-注销账号", "Me › Settings › Cancel account"),
        ("我的—>设置", "Me › Settings"),
        ("我的->设置->别的", "Me › Settings › 别的"),
        ("【我的 → 设置 → 注销账号】", "Me › Settings › Cancel account"),
        ("“我的”-设置-注销账号", "Me › Settings › Cancel account"),
        ("“我的”点击“设置”", "Me › Settings"),
        ("甲-乙", None),
    ],
)
def test_a_menu_path_is_rendered_step_by_step(path, english):
    assert gloss("menu_path", path) == english


def test_the_first_term_that_has_a_form_gives_its_english():
    assert gloss("menu_path", "设置-甲") == "Settings › 甲"


@pytest.mark.parametrize(
    ("limit", "english"),
    [
        ("15个工作日内", "within 15 working days"),
        ("十五日内", "within 15 days"),
        ("三十天", "30 days"),
        ("一个月", "1 month"),
        ("24小时之内", "within 24 hours"),
        ("二十一个自然日", "21 calendar days"),
        ("两年", "2 years"),
        ("不少于六个月", "at least 6 months"),
        ("至少保存3年", "at least 3 years"),
        ("最长不超过30日内", "at most 30 days"),
        ("及时", None),
    ],
)
def test_a_time_limit_is_rendered(limit, english):
    assert gloss("time_limit", limit) == english


@pytest.mark.parametrize("kind", ["phone", "email", "url", "court"])
def test_what_needs_no_english_stays_as_printed(kind):
    assert gloss(kind, "我的-设置 15天") is None


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("7", 7), ("十", 10), ("十二", 12), ("九十九", 99), ("零", 0)])
def test_numbers_below_a_hundred(text, value):
    assert chinese_number(text) == value


def test_the_shipped_glossary_knows_the_words_of_the_readme_path():
    fact = Fact("menu_path", "个人中心-设置-账号注销", 0, 12, "p")
    english = Glosser(load_glossary()).gloss(fact)
    assert english is not None
    assert english.isascii() or english.replace("›", "").isascii()
