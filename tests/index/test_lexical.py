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


def test_a_clause_without_any_of_the_tokens_scores_zero():
    index = LexicalIndex.build(["我们收集手机号码", "您可以注销账号", ""])
    scores = index.scores(tokenize("注销账号"))
    assert scores[1] > 0
    assert scores[0] == scores[2] == 0


def test_unknown_tokens_and_an_index_without_tokens_score_zero():
    assert LexicalIndex.build(["。", ""]).scores(["注销"]).tolist() == [0, 0]
    assert LexicalIndex.build(["注销账号"]).scores(["voiceprint"]).tolist() == [0]


def test_a_saved_index_scores_as_before(tmp_path):
    index = LexicalIndex.build(["我们收集手机号码用于注册", "您可以注销账号", "注册需要手机号码"])
    index.save(tmp_path / "lexical")
    loaded = LexicalIndex.load(tmp_path / "lexical", 3)
    tokens = tokenize("注册要手机号码吗")
    assert loaded.scores(tokens).tolist() == index.scores(tokens).tolist()
    assert not list(tmp_path.rglob("*.pkl"))


def test_the_order_of_the_words_changes_no_score_and_an_index_in_another_order_still_opens(tmp_path):
    import bm25s

    texts = ["", "我们收集手机号码用于注册", "您可以注销账号", "注册需要手机号码，注册后可以注销账号"]
    index = LexicalIndex.build(texts)
    other = bm25s.BM25(k1=K1, b=B, method="lucene")
    other.index([tokenize(text) for text in texts], show_progress=False)
    other.save(tmp_path, show_progress=False)
    before = LexicalIndex.load(tmp_path, len(texts))
    for question in ("注册要手机号码吗", "怎么注销账号", "指纹"):
        assert index.scores(tokenize(question)).tolist() == before.scores(tokenize(question)).tolist()
