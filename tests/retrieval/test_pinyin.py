import pytest

from corpus.lexicons import load_app_words, load_glossary
from retrieval.pinyin import PinyinReader


@pytest.fixture(scope="module")
def reader():
    phrases = (form for term in load_glossary() for form in term.zh)
    return PinyinReader(phrases, load_app_words().ordinary)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("zenme zhuxiao zhanghao", "怎么注销账号"),
        ("zenme zhu xiao zhang hao", "怎么注销账号"),
        ("zenmezhuxiaozhanghao", "怎么注销账号"),
        ("zhuxiao要几天", "注销要几天"),
    ],
)
def test_pinyin_of_known_words_becomes_characters(reader, typed, read):
    assert reader.read(typed) == read


@pytest.mark.parametrize(
    "english",
    [
        "how do I delete my account",
        "Who can see my phone number and home address?",
        "Do you share data with women or men change name page",
        "IMEI SDK Cookie OAID",
    ],
)
def test_english_stays_as_it_is(reader, english):
    assert reader.read(english) == english


def test_a_long_run_of_letters_is_read_in_time(reader):
    assert reader.read("zhuxiao" * 60 + "q").startswith("zhuxiao")
