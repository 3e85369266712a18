from __future__ import annotations

import json
import math
from importlib.resources import files

import numpy as np
import pytest

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary
from retrieval.decide import (
    FEATURES,
    NOT_PRINTED,
    PRINTED,
    Decision,
    Logistic,
    answer_features,
    judge_bare,
    load_decision,
    uncalibrated,
)
from retrieval.query import Glossary, understand
from retrieval.rerank import Judgement
from retrieval.search import rank

from ..conftest import ENCODER

GLOSSARY = Glossary(load_glossary())


def features_of(segment, text, language="zh", judgement=None):
    asked = understand(text, language, GLOSSARY)
    [vector] = ENCODER.encode_queries([asked.query.text]).vectors
    ranking = rank(segment, asked.query, vector)
    return ranking, dict(zip(FEATURES, answer_features(ranking, asked, judgement).tolist(), strict=True))


def test_the_features_say_what_they_are_named_for(shipped):
    segment = shipped.generation.segments[-1]
    ranking, found = features_of(segment, "怎么注销账号")
    best, second, *_ = ranking.order
    assert found["score"] == pytest.approx(ranking.score[best])
    assert found["unit"] == pytest.approx(ranking.unit_scores[slice(*segment.unit_range(int(best)))].max())
    assert found["deviation"] == pytest.approx((ranking.dense[best] - ranking.dense.mean()) / ranking.dense.std())
    assert found["gap"] == pytest.approx(ranking.score[best] - ranking.score[second], abs=1e-6)
    assert found["gap5"] == pytest.approx(ranking.score[best] - ranking.score[ranking.order[4]], abs=1e-6)
    assert found["coverage"] == pytest.approx(ranking.coverage[best])
    assert found["english"] == 0
    assert (found["wanted"], found["unmet"]) == (1, 0)


def test_the_second_stages_log_odds_are_a_feature_and_zero_without_it(shipped):
    segment = shipped.generation.segments[-1]
    judgement = Judgement(np.array([3, 1]), np.array([1.0, 2.0], np.float32), 0.5)
    _, found = features_of(segment, "怎么注销账号", judgement=judgement)
    assert found["margin"] == pytest.approx(math.log(math.exp(1.0) + math.exp(2.0)) - 0.5)
    _, found = features_of(segment, "怎么注销账号")
    assert found["margin"] == 0


def test_words_that_the_policy_lacks_are_missing(shipped):
    segment = shipped.generation.segments[-1]
    _, found = features_of(segment, "how do I erase it for good", "en")
    assert found["missing"] == 1
    assert found["english"] == 1
    assert found["length"] == pytest.approx(math.log1p(7))


def test_a_kind_of_fact_that_is_wanted_and_not_there_is_unmet(shelve):
    [segment] = shelve([Policy("应用甲", "您可以拨打电话咨询。\n我们使用加密技术。")]).generation.segments
    _, found = features_of(segment, "电话是多少")
    assert (found["wanted"], found["unmet"]) == (0, 1)


@pytest.mark.parametrize(
    ("policy", "question", "settled"),
    [
        ("您可以拨打电话010-12345678咨询。", "客服电话是多少", (PRINTED, True)),
        ("您可以拨打电话咨询。", "客服电话是多少", (NOT_PRINTED, False)),
        ("您可以发邮件到a@b.cn。", "投诉 电话 邮箱", (PRINTED, True)),
        ("您可以寄信给我们。", "公司地址在哪", None),  # an address may stand there in a form that is not recognised
        ("您可以拨打电话010-12345678咨询。", "你们会打电话给我吗", None),
    ],
)
def test_what_is_printed_settles_a_question_for_nothing_else(shelve, policy, question, settled):
    [segment] = shelve([Policy("应用甲", policy)]).generation.segments
    asked = understand(question, "zh", GLOSSARY)
    [vector] = ENCODER.encode_queries([asked.query.text]).vectors
    assert judge_bare(rank(segment, asked.query, vector), asked) == settled


@pytest.mark.parametrize("text", ["我们收集手机号码。", "我们收集手机号码。\n您可以注销。"])
def test_policies_of_one_and_two_clauses_have_finite_features(shelve, text):
    [segment] = shelve([Policy("应用甲", text)]).generation.segments
    _, found = features_of(segment, "怎么注销账号")
    assert all(math.isfinite(value) for value in found.values())


def test_a_logistic_is_a_probability_even_far_out():
    logistic = Logistic(np.array([1.0, -2.0]), 0.5)
    assert logistic.probability(np.array([1.0, 0.5])) == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert 0 <= logistic.probability(np.array([-1e9, 1e9])) < 1e-9
    assert 1 - 1e-9 < logistic.probability(np.array([1e9, -1e9])) <= 1


def test_the_uncalibrated_decision_takes_what_holds_a_concept_of_the_domain():
    decision = uncalibrated(ENCODER.dimension)
    [vector] = ENCODER.encode_queries(["怎么注销账号"]).vectors
    assert not decision.calibrated
    assert [decision.is_on_topic(vector, count) for count in (0, 1, 2)] == [False, True, True]


def test_concepts_beyond_three_count_as_three():
    weights = np.append(np.zeros(ENCODER.dimension), 1.0)
    decision = Decision(Logistic(np.zeros(len(FEATURES)), 0.0), 0.5, Logistic(weights, -3.5), 0.5)
    [vector] = ENCODER.encode_queries(["怎么注销账号"]).vectors
    assert not decision.is_on_topic(vector, 99)


def test_an_encoder_without_a_decision_gets_the_uncalibrated_one():
    assert not load_decision("no such model", 8).calibrated


def test_the_shipped_decisions_fit_the_features():
    records = json.loads((files("retrieval") / "decisions.json").read_text(encoding="utf-8"))
    for fingerprint in records:
        decision = load_decision(fingerprint, 384)
        assert decision.calibrated
        assert decision.answers.weights.shape == (len(FEATURES),)
        assert decision.on_topic.weights.shape == (385,)
        assert 0 < decision.answers_threshold < 1
        assert 0 < decision.on_topic_threshold < 1


def test_where_the_second_stage_fails_the_decision_without_it_stands_in():
    plain = np.zeros(len(FEATURES))
    decision = Decision(
        Logistic(plain, 0.0), 0.4, Logistic(plain, 0.0), 0.5, alone=Logistic(plain, -2.0), alone_threshold=0.2
    )
    assert decision.judge_answer(plain) == (0.5, True)
    assert decision.judge_answer(plain, second_stage_failed=True) == (0.119, False)


def test_the_shipped_decision_without_the_second_stage_uses_all_but_its_margin():
    records = json.loads((files("retrieval") / "decisions.json").read_text(encoding="utf-8"))
    for fingerprint, record in records.items():
        if set(record["answers"]["weights"]) != {"margin"}:
            continue
        decision = load_decision(fingerprint, 384)
        assert decision.alone is not None and decision.alone.weights[FEATURES.index("margin")] == 0
        assert np.count_nonzero(decision.alone.weights) == len(FEATURES) - 1
        assert 0 < decision.alone_threshold < 1
