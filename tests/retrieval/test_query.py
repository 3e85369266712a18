from __future__ import annotations

import pytest

from corpus.lexicons import Term, load_glossary
from index.lexical import tokenize
from retrieval.query import Glossary, content_words, make_query, stem, understand

TERMS = [
    Term(("注销账号", "账户注销"), ("销号",), ("delete account", "close account"), "Cancel account", 7),
    Term(("删除",), ("抹掉",), ("delete", "erase"), "Delete", 7),
    Term(("个人中心",), (), (), "Personal centre", 7),
    Term(("IMEI",), ("串号",), ("device id",), "IMEI", 0),
]
GLOSSARY = Glossary(TERMS)


def names(text):
    return [term.gloss for term in GLOSSARY.find(text)]


def test_a_concept_is_found_in_every_wording():
    for text in ("怎么注销账号", "怎么注销帐号", "如何销号", "how can I close my accounts"):
        assert names(text)[0] == "Cancel account"


def test_endings_and_small_words_between_do_not_hide_a_phrase():
    assert names("deleting my account") == ["Cancel account", "Delete"]
    assert names("how do I delete the account") == ["Cancel account", "Delete"]


def test_the_longest_wording_comes_first():
    assert names("删除以后还能注销账号吗") == ["Cancel account", "Delete"]


def test_a_mere_menu_word_is_no_concept():
    assert names("个人中心在哪") == []


def test_a_latin_form_of_a_chinese_list_is_found_as_a_word():
    assert names("IMEI是什么") == ["IMEI"]
    assert names("imeixyz") == []


def test_nothing_is_found_in_nothing():
    assert names("") == []
    assert names("今天天气") == []


def test_expansions_are_tokens_that_the_asker_did_not_use():
    query = make_query("怎么销号", GLOSSARY.find("怎么销号"))
    assert query.text == "怎么销号"
    assert query.tokens == tuple(tokenize("怎么销号"))
    assert {"注销", "账号"} <= set(query.expansions)
    assert not set(query.tokens) & set(query.expansions)
    assert len(set(query.expansions)) == len(query.expansions)


def test_what_is_asked_for_is_understood_with_the_words():
    asked = understand("how do I delete my account", "en", GLOSSARY)
    assert (asked.language, asked.concept_count) == ("en", 2)
    assert asked.wanted[0] == "menu_path"
    assert "注销" in asked.query.expansions


@pytest.mark.parametrize(
    ("word", "same"), [("deleting", "delete"), ("policies", "policy"), ("stored", "store"), ("contacts", "contact")]
)
def test_endings_that_people_vary_are_taken_off(word, same):
    assert stem(word) == stem(same)


def test_short_words_and_double_s_keep_their_ending():
    assert [stem(word) for word in ("its", "use", "address", "ads")] == ["its", "use", "address", "ads"]
    assert content_words("how do i delete the data") == ["how", "delet", "data"]


@pytest.mark.parametrize(
    ("question", "printed"),
    [
        ("怎么销号", "注销"),
        ("how do I delete my account", "注销"),
        ("how long do you keep my data", "保存"),
        ("会偷听我说话吗", "麦克风"),
    ],
)
def test_the_shipped_glossary_leads_to_what_policies_print(question, printed):
    concepts = Glossary(load_glossary()).find(question)
    query = make_query(question, concepts)
    assert printed in {*query.tokens, *query.expansions}


def test_a_phrase_of_small_words_is_found_only_as_it_stands():
    glossary = Glossary(
        [Term(("目的",), (), ("what for",), "Purpose", 0), Term(("简介",), (), ("about me",), "Bio", 0)]
    )
    assert [term.gloss for term in glossary.find("what for")] == ["Purpose"]
    assert glossary.find("what is the weather today") == ()
    assert glossary.find("a poem about spring") == ()
