"""What each part of the search is worth: ``python -m evaluation ablation [--model FOLDER] [--parts]``.

Encodes the dev policies with several texts a clause and scores every mix on the dev questions, app given; with
``--parts``, scores what ships with each part alone and with each part left out, and counts how often what is printed
tells whether a question for nothing but a contact is answerable (``retrieval.decide.judge_bare``). The tables that
chose what ships are kept in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from corpus.datatypes import Clause, Policy
from corpus.lexicons import load_glossary, load_known_apps
from corpus.load import default_policies_folder, load_policies
from corpus.parser import parse_policy
from evaluation.metrics import recall_at_k, reciprocal_rank
from evaluation.questions import Question, find_gold_spans, is_gold, load_questions, right_within
from index.encoder import EncodedText, Encoder, load_encoder
from index.lexical import LexicalIndex
from index.model import prepare_model
from index.segment import Segment
from index.store import build_index, open_generation
from index.units import Unit, clause_units, lexical_texts
from retrieval.apps import AppResolver
from retrieval.datatypes import FactKind
from retrieval.facts import find_facts
from retrieval.query import Asked, Glossary
from retrieval.rerank import Reranker, load_reranker, prefer_answers
from retrieval.search import WEIGHTS, Ranking, Weights, prefer_facts, rank
from training.data import understand_all

Floats = NDArray[np.float32]
Context = Callable[[Clause, str], str]

CONTEXTS: dict[str, Context] = {
    "clause": lambda clause, lead_in: "",
    "last heading": lambda clause, lead_in: clause.path[-1] if clause.path else "",
    "whole path": lambda clause, lead_in: " ".join(clause.path),
    "last heading + lead-in": lambda clause, lead_in: "\n".join(
        part for part in (clause.path[-1] if clause.path else "", lead_in) if part
    ),
}
MIXES = {
    "clause vector alone": Weights(sentence=0.0, lexical=0.0, expansion=0.0),
    "best unit alone": Weights(sentence=1.0, lexical=0.0, expansion=0.0),
    "clause and sentence": Weights(sentence=0.5, lexical=0.0, expansion=0.0),
    "and BM25": Weights(sentence=0.5, lexical=1.0, expansion=0.0),
    "and BM25 with glossary": Weights(sentence=0.5, lexical=1.0, expansion=0.5),
}


Ranker = Callable[[Segment, "Ready"], Ranking]


@dataclass(frozen=True)
class Ready:
    """A dev question made ready: as understood, as vectors, and where its evidence stands."""

    question: Question
    asked: Asked
    encoded: EncodedText
    gold: tuple[tuple[int, int], ...]


def encode_cached(encoder: Encoder, texts: Sequence[str], folder: Path) -> Floats:
    """Return the passage vectors of ``texts``, from ``folder`` where an earlier run left them."""
    key = hashlib.sha256("\0".join((encoder.fingerprint, *texts)).encode()).hexdigest()[:24]
    path = folder / f"{key}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, encoder.encode_passages(texts).vectors)
    vectors: Floats = np.load(path, allow_pickle=False)
    return vectors


def make_segment(policy: Policy, context: Context, encoder: Encoder, folder: Path) -> Segment:
    """Return ``policy`` as a segment whose units are embedded with that context."""
    clauses = parse_policy(policy).clauses
    units: tuple[Unit, ...] = clause_units(clauses)
    texts = {clause.clause_id: clause.text for clause in clauses}
    contexts = [context(clause, texts.get(clause.lead_in or "", "")) for clause in clauses]
    embedded = [f"{contexts[unit.clause]}\n{policy.text[unit.start : unit.end]}".strip() for unit in units]
    vectors = encode_cached(encoder, embedded, folder)
    lexical = LexicalIndex.build(lexical_texts(clauses))
    no_tokens = np.empty((0, 0), np.int8), np.zeros(len(clauses) + 1, np.int64)
    return Segment("", policy, clauses, units, vectors, *no_tokens, lexical)


def make_ready(questions: Sequence[Question], policies: Sequence[Policy], encoder: Encoder) -> list[Ready]:
    """Return the answerable questions as ``ask`` would search for them, with the spans that answer."""
    resolver, glossary = AppResolver(policies, load_known_apps()), Glossary(load_glossary())
    texts = {policy.app: policy.text for policy in policies}
    answerable = [question for question in questions if question.answerable]
    understood = understand_all([question.question for question in answerable], resolver, glossary)
    # One by one, as a user's question comes: a batch differs in the last bits of bfloat16.
    encoded = [next(iter(encoder.encode_queries([one.query.text]))) for one in understood]
    gold = [tuple(find_gold_spans(texts[question.app], question.evidence)) for question in answerable]
    return [Ready(*row) for row in zip(answerable, understood, encoded, gold, strict=True)]


def by_mix(weights: Weights) -> Ranker:
    """Return the first stage with these weights."""
    return lambda segment, one: rank(segment, one.asked.query, one.encoded.vector, weights=weights)


def by_parts(reranker: Reranker) -> dict[str, Ranker]:
    """Return what ships, each of its parts alone, and what ships without each of them."""

    def both(weights: Weights = WEIGHTS, *, facts: bool = True) -> Ranker:
        def ranker(segment: Segment, one: Ready) -> Ranking:
            ranking = by_mix(weights)(segment, one)
            ranking = prefer_facts(ranking, one.asked) if facts else ranking
            return prefer_answers(ranking, reranker.judge(one.encoded, ranking))

        return ranker

    def words(segment: Segment, one: Ready) -> Ranking:
        ranking = by_mix(WEIGHTS)(segment, one)
        return replace(ranking, order=np.argsort(-ranking.coverage, kind="stable"))

    def second(segment: Segment, one: Ready) -> Ranking:
        ranking = prefer_facts(by_mix(WEIGHTS)(segment, one), one.asked)
        judgement = reranker.judge(one.encoded, ranking)
        judged = judgement.ordinals[np.argsort(-judgement.answers, kind="stable")]
        return replace(ranking, order=np.concatenate([judged, ranking.order[len(judged) :]]))

    return {
        "everything": both(),
        "clause vectors alone": by_mix(Weights(0.0, 0.0, 0.0)),
        "best sentence's vector alone": by_mix(Weights(1.0, 0.0, 0.0)),
        "BM25 with glossary alone": words,
        "second stage's own order": second,
        "without sentence vectors": both(replace(WEIGHTS, sentence=0.0)),
        "without BM25": both(replace(WEIGHTS, lexical=0.0)),
        "without glossary": both(replace(WEIGHTS, expansion=0.0)),
        "without facts": both(facts=False),
        "without the second stage": lambda segment, one: prefer_facts(by_mix(WEIGHTS)(segment, one), one.asked),
    }


def count_printed(questions: Sequence[Question], policies: Sequence[Policy]) -> Counter[tuple[bool, bool]]:
    """Return how many questions want nothing but a contact: by whether one is printed, and whether the gold answers."""
    understood = understand_all(
        [question.question for question in questions],
        AppResolver(policies, load_known_apps()),
        Glossary(load_glossary()),
    )
    printed: dict[str, set[FactKind]] = {}
    texts = {policy.app: policy.text for policy in policies}
    counted: Counter[tuple[bool, bool]] = Counter()
    for question, asked in zip(questions, understood, strict=True):
        if asked.is_bare:
            if question.app not in printed:
                clauses = parse_policy(Policy(question.app, texts[question.app])).clauses
                printed[question.app] = {fact.kind for clause in clauses for fact in find_facts(clause.text)}
            counted[not printed[question.app].isdisjoint(asked.wanted), question.answerable] += 1
    return counted


def score_ranker(segments: dict[str, Segment], ready: Sequence[Ready], ranker: Ranker) -> dict[str, float]:
    """Return hit@1/3/10, MRR and right-within-400 over ``ready``, and hit@1 of the English questions."""
    rows: list[tuple[int | None, bool, bool]] = []
    for one in ready:
        ranking = ranker(segments[one.question.app], one)
        spans = [(c.start, c.end) for c in (ranking.segment.clauses[int(i)] for i in ranking.order[:10])]
        found = next((place for place, span in enumerate(spans, start=1) if is_gold(span, one.gold)), None)
        rows.append((found, right_within(spans, one.gold), one.question.lang == "en"))
    figures = {f"hit@{k}": float(np.mean([recall_at_k(row[0], k) for row in rows])) for k in (1, 3, 10)}
    figures["mrr"] = float(np.mean([reciprocal_rank(row[0]) for row in rows]))
    figures["within 400"] = float(np.mean([row[1] for row in rows]))
    figures["English hit@1"] = float(np.mean([recall_at_k(row[0], 1) for row in rows if row[2]]))
    return figures


def main(arguments: Sequence[str]) -> int:
    """Print one table of contexts by mixes and one of weights for the context that ships, or the table of parts."""
    parser = argparse.ArgumentParser(prog="python -m evaluation ablation", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, help="a sentence-transformers folder (default: the base model)")
    parser.add_argument("--parts", action="store_true", help="score the parts of what ships")
    parser.add_argument("--cache", type=Path, default=Path("build/ablation"), help="where vectors are kept")
    options = parser.parse_args(arguments)
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    questions = load_questions(options.data / "questions" / "dev")
    wanted = {question.app for question in questions}
    folders = [default_policies_folder(), options.data / "policies"]
    policies = [policy for policy in load_policies(folders) if policy.app in wanted]
    encoder = load_encoder() if options.parts else load_encoder(options.model or prepare_model())
    ready = make_ready(questions, policies, encoder)
    out = sys.stdout
    columns = ("hit@1", "hit@3", "hit@10", "mrr", "within 400", "English hit@1")
    out.write(f"{'context':24}{'mix':28}" + "".join(f"{name:>14}" for name in columns) + "\n")
    segments: dict[str, Segment] = {}
    if options.parts:
        reranker = load_reranker(encoder.fingerprint)
        if reranker is None:
            raise FileNotFoundError("no second stage ships; make it: python -m training.reranker")
        build_index(policies, options.cache / "index", encoder)
        generation = open_generation(options.cache / "index", encoder.fingerprint)
        segments = {segment.policy.app: segment for segment in generation.segments}
        for part, ranker in by_parts(reranker).items():
            _write_row(out, "as it ships", part, score_ranker(segments, ready, ranker))
        asked = [*questions, *load_questions(options.data / "questions" / "train")]
        for (printed, answerable), count in sorted(count_printed(asked, load_policies(folders)).items()):
            out.write(f"contact printed: {printed!s:5}  answerable: {answerable!s:5}  {count:4}\n")
        return 0
    for name, context in CONTEXTS.items():
        segments = {policy.app: make_segment(policy, context, encoder, options.cache) for policy in policies}
        for mix, weights in MIXES.items():
            _write_row(out, name, mix, score_ranker(segments, ready, by_mix(weights)))
    for sentence, lexical, expansion in itertools.product((0.3, 0.5, 0.7), (0.5, 1.0, 1.5, 2.0), (0.25, 0.5, 1.0)):
        weights = replace(WEIGHTS, sentence=sentence, lexical=lexical, expansion=expansion)
        _write_row(out, name, f"s={sentence} l={lexical} e={expansion}", score_ranker(segments, ready, by_mix(weights)))
    return 0


def _write_row(out: TextIO, context: str, mix: str, figures: dict[str, float]) -> None:
    out.write(f"{context:24}{mix:28}" + "".join(f"{value:14.3f}" for value in figures.values()) + "\n")
    out.flush()
