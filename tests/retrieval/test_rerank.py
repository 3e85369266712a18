from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary
from corpus.parser import parse_policy
from index.encoder import EncodedText, load_encoder
from index.journal import encode_packed
from index.segment import Segment
from index.tokens import pack_tokens, unit_rows
from retrieval.query import Glossary, understand
from retrieval.rerank import (
    CANDIDATE_COUNT,
    STAGE_FEATURES,
    Judgement,
    Reranker,
    load_reranker,
    prefer_answers,
    rank_twice,
    stage_features,
)
from retrieval.search import rank

from ..conftest import ENCODER

SIZE = 16  # of a token's vector here
WORDS = ("姓名", "电话", "邮箱", "住址", "头像", "生日", "性别", "位置", "相册", "声音")
TEXT = "\n".join(f"{number}、我们会收集您的{word}。" for number, word in enumerate(WORDS, 1))


@pytest.fixture(scope="module")
def segment(shelve):
    """A policy of ten clauses, whose clauses are given token vectors drawn at random."""
    [bare] = shelve([Policy("应用甲", TEXT)]).generation.segments
    drawn = np.random.default_rng(1)
    lengths = [3 + ordinal for ordinal in range(len(bare.clauses))]
    rows = drawn.normal(size=(sum(lengths), SIZE)).astype(np.float32)
    return replace(bare, tokens=pack_tokens(rows), token_starts=np.cumsum([0, *lengths]))


@pytest.fixture
def ranking(segment):
    asked = understand("会收集电话吗", "zh", Glossary(load_glossary()))
    [vector] = ENCODER.encode_queries([asked.query.text]).vectors
    return rank(segment, asked.query, vector)


@pytest.fixture(scope="module")
def question():
    drawn = np.random.default_rng(2)
    rows = unit_rows(drawn.normal(size=(5, SIZE)).astype(np.float32))
    return EncodedText(unit_rows(drawn.normal(size=(1, 256)).astype(np.float32))[0], rows)


@pytest.fixture(scope="module")
def trainee():
    torch = pytest.importorskip("torch")
    from training.reranker import Interaction, Recipe

    torch.manual_seed(3)
    model = Interaction(SIZE, Recipe(token_dimension=SIZE, hidden=12, compared=6, weigh_hidden=5))
    # The question's own vector has another size than its tokens here.
    model.silence = torch.nn.Sequential(
        torch.nn.Linear(256, 4), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(4, 1)
    )
    with torch.no_grad():
        model.project.weight.copy_(torch.eye(SIZE))
    return model.eval()


@pytest.fixture(scope="module")
def reranker(trainee):
    return Reranker({name: tensor.numpy() for name, tensor in trainee.state_dict().items()})


def test_the_best_clauses_are_judged_as_in_training(segment, ranking, question, trainee, reranker):
    import torch

    judgement = reranker.judge(question, ranking)
    ordinals = ranking.order[:CANDIDATE_COUNT]
    clauses = [torch.from_numpy(segment.clause_tokens([int(ordinal)])[0]) for ordinal in ordinals]
    width = max(map(len, clauses))
    padded = torch.stack([torch.nn.functional.pad(rows, (0, 0, 0, width - len(rows))) for rows in clauses])
    present = torch.stack([torch.arange(width) < len(rows) for rows in clauses])
    with torch.no_grad():
        answers, silence = trainee(
            torch.from_numpy(question.vector)[None],
            torch.from_numpy(question.tokens)[None],
            padded[None],
            torch.from_numpy(stage_features(ranking, ordinals))[None],
            torch.ones(1, len(question.tokens), dtype=torch.bool),
            present[None],
        )
    np.testing.assert_allclose(judgement.answers, answers[0].numpy(), atol=0.011)
    assert judgement.silence == pytest.approx(float(silence[0]), abs=0.011)
    assert judgement.ordinals.tolist() == ordinals.tolist()


def test_the_judgement_looks_at_the_tokens(segment, ranking, question, reranker):
    other = replace(segment, tokens=np.roll(segment.tokens, 5, axis=1))
    before, after = reranker.judge(question, ranking), reranker.judge(question, replace(ranking, segment=other))
    assert before.answers.tolist() != after.answers.tolist()


def test_features_of_the_first_stage_are_in_the_order_of_the_clauses(ranking):
    features = stage_features(ranking, ranking.order[:3])
    assert features.shape == (3, STAGE_FEATURES)
    np.testing.assert_allclose(features[:, 0], ranking.score[ranking.order[:3]])
    assert features[1, 4] == 0  # the second clause's lead over the second


def test_a_likelier_clause_comes_before_one_that_scored_as_well(ranking):
    first, second, *_ = map(int, ranking.order)
    level = replace(ranking, score=np.full_like(ranking.score, 0.5))
    judged = Judgement(np.array([first, second]), np.array([0.0, 3.0], np.float32), 1.0)
    preferred = prefer_answers(level, judged)
    assert preferred.order[:2].tolist() == [second, first]
    others = np.delete(preferred.score, [first, second])
    assert preferred.score[second] > preferred.score[first] >= others.max() == level.score[0]


def test_the_margin_is_the_log_odds_of_any_clause_against_silence():
    judged = Judgement(np.array([4, 7]), np.array([1.0, 1.0], np.float32), 0.0)
    assert judged.margin == pytest.approx(1 + np.log(2))


def test_another_encoder_than_the_trained_one_gets_no_second_stage():
    assert load_reranker(ENCODER.fingerprint) is None


def test_both_stages_rank_and_the_second_may_put_another_clause_first(segment, question, reranker):
    asked = understand("会收集电话吗", "zh", Glossary(load_glossary()))
    [vector] = ENCODER.encode_queries([asked.query.text]).vectors
    encoded = EncodedText(vector, question.tokens)
    alone, nothing = rank_twice(segment, asked, encoded, None)
    both, judgement = rank_twice(segment, asked, encoded, reranker)
    assert nothing is None and judgement is not None
    assert both.order.tolist() == prefer_answers(alone, judgement).order.tolist()
    assert both.score.tolist() != alone.score.tolist()


@pytest.mark.model
def test_the_shipped_second_stage_fits_the_shipped_encoder():
    encoder = load_encoder()
    shipped = load_reranker(encoder.fingerprint)
    assert shipped is not None
    [encoded] = encoder.encode_queries(["怎么注销账号"])
    policy = Policy("应用甲", "您可以在“我的-设置-注销”里注销账号。\n我们使用加密技术保护您的信息。")
    segment = Segment.make("", policy, parse_policy(policy).clauses, partial(encode_packed, encoder=encoder))
    asked = understand("怎么注销账号", "zh", Glossary(load_glossary()))
    ranking, judgement = rank_twice(segment, asked, encoded, shipped)
    assert judgement is not None
    answers = dict(zip(judgement.ordinals.tolist(), judgement.answers.tolist(), strict=True))
    assert answers[0] > answers[1]
    assert ranking.order[0] == 0
