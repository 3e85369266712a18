"""Fit the two decisions on policies that no weights were trained on: ``python -m evaluation calibrate``.

Writes the entry of the encoder in ``retrieval/decisions.json``: whether the best clause answers, from the questions on
the held-out training policies, and whether a question is one for a policy, from those of the other training policies
and the glossary's wordings against ``training/off_topic.jsonl``. The dev questions have no part in it.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.lexicons import load_glossary, load_known_apps
from corpus.load import load_policies
from evaluation.metrics import auroc, expected_calibration_error
from evaluation.questions import Question, find_gold_spans, is_gold, load_questions
from index.encoder import Encoder, load_encoder
from index.segment import Segment
from index.store import build_index, open_generation
from retrieval.apps import AppResolver
from retrieval.decide import FEATURES, answer_features, judge_bare
from retrieval.query import Asked, Glossary
from retrieval.question import split_parts
from retrieval.rerank import Reranker, load_reranker, rank_twice
from training.data import held_out, read_jsonl, understand_all

_log = logging.getLogger(__name__)

ON_TOPIC_QUESTIONS = 1500  # of the training questions: three for each that is off topic
DECLINED_ON_TOPIC = 0.01  # share of questions about policies that may be taken for off topic
FOLDS = 8
FALSE_ANSWERS = 0.2  # share of the unanswerable that may be answered; the bound, met on the held-out policies


def fit_logistic(
    features: NDArray[np.float64], labels: NDArray[np.bool_], *, strength: float
) -> tuple[NDArray[np.float64], float]:
    """Return weights and bias on the raw features, fitted on standardised ones; ``strength`` is 1 / L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    model = LogisticRegression(C=strength, max_iter=2000).fit((features - mean) / scale, labels)
    weights = model.coef_[0] / scale
    return weights, float(model.intercept_[0] - weights @ mean)


def probabilities(features: NDArray[np.float64], weights: NDArray[np.float64], bias: float) -> NDArray[np.float64]:
    """Return the logistic of every row, shape (rows,)."""
    return np.asarray(1 / (1 + np.exp(-(features @ weights + bias))))


def fit_answers(
    segments: dict[str, Segment],
    questions: Sequence[Question],
    asked: Sequence[Asked],
    encoder: Encoder,
    reranker: Reranker | None,
) -> dict[str, Any]:
    """Fit how likely the best clause answers, and the threshold from which it is answered.

    What tells an answer from silence is fitted first, then stretched so that it is the probability of a right clause
    (Platt scaling). Where there is a second stage its margin alone is taken: with the other features beside it the
    AUROC on these questions was 0.910, without them 0.920. What tells answer from silence is judged out of fold, every
    app by what was fitted on the others; stretching and threshold have no fold, so the ECE logged is a little low.
    """
    used = [place for place, name in enumerate(FEATURES) if (name == "margin") == (reranker is not None)]
    rows: list[NDArray[np.float64]] = []
    right: list[bool] = []
    kept: list[Question] = []
    for question, one in zip(questions, asked, strict=True):
        if len(split_parts(one.question, language=one.language)) > 1:
            continue  # ask judges each part of a question by itself
        segment = segments[question.app]
        [encoded] = encoder.encode_queries([one.query.text])
        ranking, judgement = rank_twice(segment, one, encoded, reranker)
        if judge_bare(ranking, one) is not None:
            continue
        best = segment.clauses[int(ranking.order[0])]
        gold = find_gold_spans(segment.policy.text, question.evidence)
        rows.append(answer_features(ranking, one, judgement))
        right.append(question.answerable and is_gold((best.start, best.end), gold))
        kept.append(question)
    features, labels = np.array(rows)[:, used], np.array(right)
    answerable = np.array([question.answerable for question in kept])
    apps = sorted(segments)
    out_of_fold = np.zeros(len(kept))
    for fold in range(FOLDS):
        test = np.array([apps.index(question.app) % FOLDS == fold for question in kept])
        if test.any():
            weights, bias = fit_logistic(features[~test], answerable[~test], strength=0.3)
            out_of_fold[test] = features[test] @ weights + bias
    stretch, shift = fit_logistic(out_of_fold[:, np.newaxis], labels, strength=1.0)
    out_of_fold = probabilities(out_of_fold[:, np.newaxis], stretch, shift)
    weights, bias = fit_logistic(features, answerable, strength=0.3)
    bias = float(stretch[0] * bias + shift)
    named = {FEATURES[place]: round(float(weight), 5) for place, weight in zip(used, stretch[0] * weights, strict=True)}
    threshold = lowest_threshold(out_of_fold[~answerable])
    _log.info("%d questions, best clause right for %.3f", len(kept), labels[answerable].mean())
    _log.info("AUROC answerable/unanswerable %.3f", auroc(out_of_fold[answerable], out_of_fold[~answerable]))
    _log.info("AUROC right/wrong %.3f", auroc(out_of_fold[labels], out_of_fold[~labels]))
    _log.info("ECE %.3f", expected_calibration_error(out_of_fold.tolist(), labels.tolist()))
    _log.info(
        "threshold %.3f: answered %.3f of the answerable, %.3f of the unanswerable",
        threshold,
        (out_of_fold[answerable] >= threshold).mean(),
        (out_of_fold[~answerable] >= threshold).mean(),
    )
    for name, weight in named.items():
        _log.info("  %-10s %8.3f", name, weight)
    return {"weights": named, "bias": round(bias, 5), "threshold": threshold}


def lowest_threshold(unanswerable: NDArray[np.float64]) -> float:
    """Return the lowest threshold, to two decimals, that answers at most ``FALSE_ANSWERS`` of the unanswerable."""
    return next(t / 100 for t in range(101) if (unanswerable >= t / 100).mean() <= FALSE_ANSWERS)


def fit_on_topic(on_topic: Sequence[Asked], off_topic: Sequence[Asked], encoder: Encoder) -> dict[str, Any]:
    """Fit whether a question is one for a policy, from its query's vector and the glossary concepts in it."""
    asked = [*on_topic, *off_topic]
    vectors = np.vstack([encoder.encode_queries([one.query.text]).vectors for one in asked]).astype(np.float64)
    counts = np.array([min(one.concept_count, 3) for one in asked], dtype=np.float64)
    features = np.column_stack([vectors, counts])
    labels = np.arange(len(asked)) < len(on_topic)
    fold = np.arange(len(asked)) % 5
    judged = np.zeros(len(asked))
    for number in range(5):
        fitted = fit_logistic(features[fold != number], labels[fold != number], strength=0.05)
        judged[fold == number] = probabilities(features[fold == number], *fitted)
    threshold = round(float(np.quantile(judged[labels], DECLINED_ON_TOPIC)), 3)
    weights, bias = fit_logistic(features, labels, strength=0.05)
    _log.info("on topic: AUROC %.4f out of fold", auroc(judged[labels].tolist(), judged[~labels].tolist()))
    _log.info("threshold %.3f lets %.3f of the off-topic through", threshold, (judged[~labels] >= threshold).mean())
    return {"weights": [round(float(w), 4) for w in weights], "bias": round(bias, 4), "threshold": threshold}


def main(arguments: Sequence[str]) -> int:
    """Fit both decisions for one encoder and write them down."""
    parser = argparse.ArgumentParser(prog="python -m evaluation calibrate", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, help="a sentence-transformers folder (default: the shipped model)")
    parser.add_argument("--out", type=Path, default=Path("retrieval/decisions.json"))
    options = parser.parse_args(arguments)
    encoder = load_encoder(options.model)
    questions = load_questions(options.data / "questions" / "train")
    left_out = held_out(sorted({question.app for question in questions}))
    policies = load_policies([options.data / "policies"])
    index = Path("build/calibration")
    build_index([policy for policy in policies if policy.app in left_out], index, encoder)
    segments = {one.policy.app: one for one in open_generation(index, encoder.fingerprint).segments}
    resolver, glossary = AppResolver(policies, load_known_apps()), Glossary(load_glossary())
    own = [question for question in questions if question.app in left_out]
    others = [question.question for question in questions if question.app not in left_out]
    sample = others[:: max(1, len(others) // ON_TOPIC_QUESTIONS)]
    # People also type a word or two; the glossary's own wordings stand for those.
    keywords = [phrase for term in load_glossary() for phrase in (*term.zh[:1], *term.plain[:1], *term.en[:1])]
    off_topic = [str(row["question"]) for row in read_jsonl(Path("training/off_topic.jsonl"))]
    asked = understand_all([one.question for one in own], resolver, glossary)
    reranker = load_reranker(encoder.fingerprint)
    entry = {
        "answers": fit_answers(segments, own, asked, encoder, reranker),
        "on_topic": fit_on_topic(
            understand_all([*sample, *keywords], resolver, glossary),
            understand_all(off_topic, resolver, glossary),
            encoder,
        ),
    }
    if reranker is not None:  # what decides where it fails
        _log.info("without the second stage:")
        entry["answers_alone"] = fit_answers(segments, own, asked, encoder, None)
    record = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    record[encoder.fingerprint] = entry
    options.out.write_text(json.dumps(record, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote the decisions for {encoder.fingerprint[:12]} to {options.out}\n")
    return 0
