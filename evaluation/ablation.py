"""What each part of the search is worth: ``python -m evaluation ablation [--model FOLDER]``.

Encodes the dev policies with several texts a clause and scores every mix on the dev questions, app given. The table
that chose what ships is kept in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpus.datatypes import Clause, Policy
from corpus.lexicons import load_glossary, load_known_apps
from corpus.load import default_policies_folder, load_policies
from corpus.parser import parse_policy
from evaluation.metrics import recall_at_k, reciprocal_rank
from evaluation.questions import Question, find_gold_spans, is_gold, load_questions, right_within
from index.encoder import Encoder, load_encoder
from index.lexical import LexicalIndex
from index.model import prepare_model
from index.segment import Segment
from index.units import Unit, clause_units, lexical_texts
from retrieval.apps import AppResolver
from retrieval.query import Glossary, Query, make_query
from retrieval.question import simplify
from retrieval.search import WEIGHTS, Weights, rank

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


@dataclass(frozen=True)
class Asked:
    """A dev question made ready: its query, its query's vector, where its evidence stands."""

    question: Question
    query: Query
    vector: Floats
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


def make_ready(questions: Sequence[Question], policies: Sequence[Policy], encoder: Encoder) -> list[Asked]:
    """Return the answerable questions with query, vector and gold spans, as ``ask`` would search for them."""
    resolver = AppResolver(policies, load_known_apps())
    glossary = Glossary(load_glossary())
    texts = {policy.app: policy.text for policy in policies}
    answerable = [question for question in questions if question.answerable]
    stripped = [simplify(resolver.resolve(question.question).stripped) for question in answerable]
    queries = [make_query(text, glossary.find(text)) for text in stripped]
    # One by one, as a user's question comes: a batch differs in the last bits of bfloat16.
    vectors = [encoder.encode_queries([query.text]).vectors[0] for query in queries]
    gold = [tuple(find_gold_spans(texts[question.app], question.evidence)) for question in answerable]
    return [Asked(*row) for row in zip(answerable, queries, vectors, gold, strict=True)]


def score_mix(segments: dict[str, Segment], asked: Sequence[Asked], weights: Weights) -> dict[str, float]:
    """Return hit@1/3/10, MRR and right-within-400 over ``asked``, and hit@1 of the English questions."""
    rows: list[tuple[int | None, bool, bool]] = []
    for one in asked:
        ranking = rank(segments[one.question.app], one.query, one.vector, weights=weights)
        spans = [(c.start, c.end) for c in (ranking.segment.clauses[int(i)] for i in ranking.order[:10])]
        found = next((place for place, span in enumerate(spans, start=1) if is_gold(span, one.gold)), None)
        rows.append((found, right_within(spans, one.gold), one.question.lang == "en"))
    figures = {f"hit@{k}": float(np.mean([recall_at_k(row[0], k) for row in rows])) for k in (1, 3, 10)}
    figures["mrr"] = float(np.mean([reciprocal_rank(row[0]) for row in rows]))
    figures["within 400"] = float(np.mean([row[1] for row in rows]))
    figures["English hit@1"] = float(np.mean([recall_at_k(row[0], 1) for row in rows if row[2]]))
    return figures


def main(arguments: Sequence[str]) -> int:
    """Print one table of contexts by mixes, and one of weights for the context that ships."""
    parser = argparse.ArgumentParser(prog="python -m evaluation ablation", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, help="a sentence-transformers folder (default: the base model)")
    parser.add_argument("--cache", type=Path, default=Path("build/ablation"), help="where vectors are kept")
    options = parser.parse_args(arguments)
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    encoder = load_encoder(options.model or prepare_model())
    questions = load_questions(options.data / "questions" / "dev")
    wanted = {question.app for question in questions}
    folders = [default_policies_folder(), options.data / "policies"]
    policies = [policy for policy in load_policies(folders) if policy.app in wanted]
    asked = make_ready(questions, policies, encoder)
    out = sys.stdout
    header = f"{'context':24}{'mix':28}" + "".join(
        f"{name:>14}" for name in ("hit@1", "hit@3", "hit@10", "mrr", "within 400", "English hit@1")
    )
    out.write(header + "\n")
    segments: dict[str, Segment] = {}
    for name, context in CONTEXTS.items():
        segments = {policy.app: make_segment(policy, context, encoder, options.cache) for policy in policies}
        for mix, weights in MIXES.items():
            _write_row(out, name, mix, score_mix(segments, asked, weights))
    for sentence, lexical, expansion in itertools.product((0.3, 0.5, 0.7), (0.5, 1.0, 1.5, 2.0), (0.25, 0.5, 1.0)):
        weights = replace(WEIGHTS, sentence=sentence, lexical=lexical, expansion=expansion)
        _write_row(out, name, f"s={sentence} l={lexical} e={expansion}", score_mix(segments, asked, weights))
    return 0


def _write_row(out, context: str, mix: str, figures: dict[str, float]) -> None:  # type: ignore[no-untyped-def]
    out.write(f"{context:24}{mix:28}" + "".join(f"{value:14.3f}" for value in figures.values()) + "\n")
    out.flush()
