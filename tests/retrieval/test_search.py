from __future__ import annotations

import numpy as np
import pytest

from corpus.datatypes import Policy
from index.lexical import LexicalIndex
from index.units import lexical_texts
from retrieval.facts import find_facts
from retrieval.query import Asked, Query, make_query
from retrieval.search import FACT_CANDIDATES, WEIGHTS, Weights, merge, prefer_facts, rank, search_dense, search_lexical

from ..conftest import ENCODER

QUESTIONS = ["怎么注销账号", "会收集位置信息吗", "客服电话是多少", "how do I delete my account", "IMEI", "未成年人"]


def make(text):
    """Return a query without expansions, and its vector."""
    [vector] = ENCODER.encode_queries([text]).vectors
    return make_query(text, ()), vector


def asked_for(query, *wanted, is_bare=False):
    return Asked(query.text, "zh", query, wanted, 0, is_bare)


def brute_force(segment, query, vector, weights):
    """The score of every clause by the plainest reading of what ``Weights`` says, in loops."""
    cosines = [float(np.dot(row, vector)) for row in segment.vectors]
    own, best = {}, {}
    for unit, cosine in zip(segment.units, cosines, strict=True):
        own.setdefault(unit.clause, cosine)
        best[unit.clause] = max(best.get(unit.clause, -1.0), cosine)
    count = len(segment.clauses)
    dense = np.array([(1 - weights.sentence) * own[i] + weights.sentence * best[i] for i in range(count)])
    matched, bound = np.zeros(count), 0.0
    for tokens, weight in ((query.tokens, 1.0), (query.expansions, weights.expansion)):
        for token in tokens:
            places, scores = segment.lexical.matches(token)
            for place, scored in zip(places, scores, strict=True):
                matched[place] += weight * scored
            bound += weight * max(scores, default=0.0)
    coverage = matched / bound if bound else matched
    return dense, coverage, dense + weights.lexical * dense.std() * coverage


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("weights", [WEIGHTS, Weights(0.0, 0.0, 0.0), Weights(1.0, 5.0, 2.0)])
def test_the_ranking_equals_brute_force_on_every_policy(shipped, text, weights):
    query, vector = make(text)
    query = Query(query.text, query.tokens, ("注销", "个人信息"))
    for segment in shipped.generation.segments:
        ranking = rank(segment, query, vector, weights=weights)
        dense, coverage, score = brute_force(segment, query, vector, weights)
        np.testing.assert_allclose(ranking.dense, dense, atol=2e-6)
        np.testing.assert_allclose(ranking.coverage, coverage, atol=2e-6)
        np.testing.assert_allclose(ranking.score, score, atol=6e-4)
        np.testing.assert_allclose(ranking.unit_scores, segment.vectors @ vector, atol=2e-6)
        assert ranking.score.dtype == ranking.dense.dtype == np.float32
        expected = sorted(range(len(segment.clauses)), key=lambda i: (-ranking.score[i], i))
        assert ranking.order.tolist() == expected


def test_without_a_lexical_part_the_ranking_is_the_dense_one(shipped):
    query, vector = make("怎么注销账号")
    for segment in shipped.generation.segments:
        ranking = rank(segment, query, vector, weights=Weights(lexical=0.0))
        assert ranking.order.tolist() == np.argsort(-np.round(ranking.dense, 3), kind="stable").tolist()


def test_a_question_none_of_whose_words_is_printed_is_ranked_by_its_vector(shipped):
    query, vector = make("how do I erase my profile for good")
    segment = shipped.generation.segments[-1]
    assert not any(segment.lexical.knows(token) for token in query.tokens)
    ranking = rank(segment, query, vector)
    assert not ranking.coverage.any()
    assert ranking.order.tolist() == np.argsort(-np.round(ranking.dense, 3), kind="stable").tolist()


def test_words_that_are_printed_nowhere_do_not_dilute_those_that_are(shipped):
    segment = shipped.generation.segments[-1]
    plain = search_lexical(segment, Query("", ("注销",), ()), expansion=1.0)
    diluted = search_lexical(segment, Query("", ("注销", "wherever", "voiceprint"), ()), expansion=1.0)
    np.testing.assert_array_equal(plain, diluted)
    assert plain.max() == 1.0


def test_a_word_of_the_glossary_counts_as_much_as_its_weight(shelve):
    [segment] = shelve(
        [Policy("应用甲", "我们收集手机号码。\n您可以注销账号。\n我们使用加密技术。")]
    ).generation.segments
    query = Query("", ("手机",), ("注销",))
    equal = search_lexical(segment, query, expansion=1.0)
    half = search_lexical(segment, query, expansion=0.5)
    none = search_lexical(segment, query, expansion=0.0)
    np.testing.assert_allclose(none, [1, 0, 0], atol=1e-6)
    assert half[0] == pytest.approx(2 * half[1] * equal[0] / equal[1])
    assert equal.sum() == pytest.approx(1)
    assert half.sum() == pytest.approx(1)


def test_a_clause_is_found_by_its_best_sentence(shelve):
    padding = "我们非常重视每一位用户的体验与感受。本条款仅作一般性说明之用途。"
    text = f"{padding}注销账号请点击设置。{padding}\n{padding}{padding}"
    [segment] = shelve([Policy("应用甲", text)]).generation.segments
    _, vector = make("注销账号请点击设置")
    whole, units = search_dense(segment, vector, sentence=0.0)
    best, _ = search_dense(segment, vector, sentence=1.0)
    assert best[0] > whole[0] + 0.2
    assert best[0] == units[: segment.unit_range(0)[1]].max()


def test_equal_clauses_keep_the_order_of_the_text(shelve):
    [segment] = shelve([Policy("应用甲", "\n".join(["我们收集手机号码。"] * 7))]).generation.segments
    assert len(segment.clauses) == 7
    query, vector = make("手机号码")
    assert rank(segment, query, vector).order.tolist() == list(range(7))


def test_what_hangs_on_a_lead_in_is_found_by_its_words(shipped):
    [segment] = [one for one in shipped.generation.segments if one.policy.app == "口袋证件照"]
    texts = lexical_texts(segment.clauses)
    matched = segment.lexical.matches("删除")
    assert [part.tolist() for part in LexicalIndex.build(texts).matches("删除")] == [part.tolist() for part in matched]
    item = next(i for i, clause in enumerate(segment.clauses) if clause.text.startswith("(5)如果我们永久不再"))
    assert "删除" not in segment.clauses[item].text
    assert dict(zip(*matched, strict=True))[item] > 0


def test_merged_rankings_are_best_first_with_ties_by_clause_id(shelve):
    same = "您可以注销账号。\n我们收集手机号码。"
    policies = [Policy("应用甲", same), Policy("应用乙", same), Policy("应用丙", "我们使用加密技术。")]
    query, vector = make("注销账号")
    rankings = [rank(segment, query, vector) for segment in shelve(policies).generation.segments]
    best = merge(rankings, top_k=4)
    found = [(-float(one.score[ordinal]), one.segment.clauses[ordinal].clause_id) for one, ordinal in best]
    assert found == sorted(found)
    assert [ordinal for _, ordinal in best[:2]] == [0, 0]
    assert len(merge(rankings, top_k=1)) == 1
    assert len(merge(rankings, top_k=100)) == 5


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [(("phone",), {"phone"}), (("email", "phone", "menu_path"), {"email", "phone"}), (("court", "email"), {"court"})],
)
def test_a_clause_that_holds_the_fact_asked_for_is_raised_and_nothing_else_moves(shipped, wanted, kinds):
    query, vector = make("客服电话是多少")
    for segment in shipped.generation.segments:
        first = rank(segment, query, vector)
        second = prefer_facts(first, asked_for(query, *wanted))
        best = first.order[:FACT_CANDIDATES]
        raised = [i for i in best if any(f.kind in kinds for f in find_facts(segment.clauses[i].text))]
        changed = np.flatnonzero(second.score != first.score).tolist()
        assert changed == sorted(raised)
        assert all(second.score[i] > first.score[i] for i in raised)
        assert second.order.tolist() == np.argsort(-second.score, kind="stable").tolist()
        assert prefer_facts(first, asked_for(query, "data_types")) is first
        assert prefer_facts(first, asked_for(query)) is first


def test_what_is_asked_for_alone_leads_however_little_else_is_alike_and_a_court_with_a_place_before_others(shelve):
    lines = ["客服客服客服热线热线。", *["客服热线服务。"] * 20, "可向有管辖权的人民法院起诉。"]
    lines += ["您可拨打010-12345678咨询。", "可向宁波市鄞州区人民法院起诉。"]
    [segment] = shelve([Policy("应用甲", "\n".join(lines))]).generation.segments
    for text, kind, leads in (("客服热线", "phone", ["010-12345678"]), ("客服", "court", ["鄞州区", "有管辖权"])):
        query, vector = make(text)
        first = rank(segment, query, vector)
        bare = prefer_facts(first, asked_for(query, kind, is_bare=True))
        found = [segment.clauses[i].text for i in bare.order[: len(leads)]]
        assert all(lead in clause for lead, clause in zip(leads, found, strict=True))
        assert len(first.order) == len(bare.order)
