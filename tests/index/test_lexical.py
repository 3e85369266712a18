import bm25s
import numpy as np
import pytest

from index.lexical import K1, B, LexicalIndex, tokenize


def test_a_word_is_found_by_its_parts():
    tokens = tokenize("请注销账号")
    assert "注销" in tokens
    assert "账号" in tokens


@pytest.mark.parametrize(
    ("one", "other"), [("帐号", "账号"), ("登陆", "登录"), ("ＩＭＥＩ", "imei"), ("您的电话", "你的电话")]
)
def test_spellings_that_mix_freely_are_one(one, other):
    assert tokenize(one) == tokenize(other)


def test_an_address_stays_one_token():
    assert "legal@solutioncl.com" in tokenize("请发邮件至legal@solutioncl.com联系我们")


def scores(index, text):
    """The BM25 score of every clause for the words of ``text``."""
    total = np.zeros(index.clause_count, np.float32)
    for token in tokenize(text):
        places, scored = index.matches(token)
        total[places] += scored
    return total


def test_a_clause_without_any_of_the_tokens_scores_zero():
    found = scores(LexicalIndex.build(["我们收集手机号码", "您可以注销账号", ""]), "注销账号")
    assert found[1] > 0
    assert found[0] == found[2] == 0


@pytest.mark.parametrize(("texts", "word"), [(["。", ""], "注销"), (["注销账号"], "voiceprint"), (["注销账号"], "")])
def test_a_word_that_stands_nowhere_matches_nothing(texts, word):
    index = LexicalIndex.build(texts)
    assert [part.tolist() for part in index.matches(word)] == [[], []]
    assert not index.knows(word)


def test_a_saved_index_scores_as_before(tmp_path):
    index = LexicalIndex.build(["我们收集手机号码用于注册", "您可以注销账号", "注册需要手机号码"])
    index.save(tmp_path / "lexical")
    loaded = LexicalIndex.load(tmp_path / "lexical", 3)
    assert scores(loaded, "注册要手机号码吗").tolist() == scores(index, "注册要手机号码吗").tolist()
    assert not list(tmp_path.rglob("*.pkl"))


def test_words_match_as_in_the_search_of_bm25s_whose_index_in_another_order_opens_too(tmp_path):
    texts = ["", "我们收集手机号码用于注册", "您可以注销账号", "注册需要手机号码，注册后可以注销账号"]
    index = LexicalIndex.build(texts)
    other = bm25s.BM25(k1=K1, b=B, method="lucene")
    other.index([tokenize(text) for text in texts], show_progress=False)
    other.save(tmp_path, show_progress=False)
    before = LexicalIndex.load(tmp_path, len(texts))
    for question in ("注册要手机号码吗", "怎么注销账号", "指纹"):
        known = [token for token in tokenize(question) if index.knows(token)]
        searched = other.get_scores(known).tolist() if known else [0.0] * len(texts)
        assert scores(index, question).tolist() == scores(before, question).tolist() == searched
