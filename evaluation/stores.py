"""The same questions on the index folder and on vector stores: ``python -m evaluation stores ADDRESS…``.

An address is the path of a Milvus Lite file (it ends in ``.db``) or a server's ``milvus://HOST:PORT``. The dev
questions of the five shipped apps are asked with their app given. The stores take turns at every question in one
process, and who is first changes, so that the ratios of their times hold on a shared machine too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from corpus.load import default_policies_folder, load_policies
from evaluation.questions import Question, find_gold_spans, is_gold, load_questions
from evaluation.run import SEARCH_DEPTH, Assistant
from retrieval.datatypes import Answer, Passage

FOLDER = "index folder"
_Reply = tuple[Sequence[Passage], Answer]

WARM_UP = 3  # questions put to every store before the clock counts


@dataclass
class StoreScore:
    """What came of the questions on one store; ``same_*`` count those for which it is as on the index folder.

    ``hits``: the first passage of the search is right, of the answerable ones. Times are in milliseconds.
    """

    asked: int = 0
    answerable: int = 0
    hits: int = 0
    same_first: int = 0
    same_status: int = 0
    same_passages: int = 0
    search: list[float] = field(default_factory=list)
    ask: list[float] = field(default_factory=list)

    def add(self, question: Question, text: str, passages: Sequence[Passage], answer: Answer, base: _Reply) -> None:
        """Count one question, with the text of its policy and what the index folder replied to it."""
        ids, base_ids = ([one.clause_id for one in found] for found in (passages, base[0]))
        self.asked += 1
        self.same_first += _first_clause(answer) == _first_clause(base[1]) and ids[:1] == base_ids[:1]
        self.same_status += answer.status == base[1].status
        self.same_passages += ids == base_ids
        if question.evidence:
            gold = find_gold_spans(text, question.evidence)
            self.answerable += 1
            self.hits += any(is_gold((one.start, one.end), gold) for one in passages[:1])


def compare_stores(
    assistants: Mapping[str, Assistant],
    questions: Sequence[Question],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, StoreScore]:
    """Put every question to every assistant, by the name of its store; the first is what the others are held to."""
    names = list(assistants)
    scores = {name: StoreScore() for name in names}
    for question in questions[:WARM_UP]:
        for assistant in assistants.values():
            assistant.search(question.question, app=question.app, top_k=SEARCH_DEPTH)
            assistant.ask(question.question, app=question.app)
    for turn, question in enumerate(questions):
        first = turn % len(names)
        replies: dict[str, _Reply] = {}
        for name in (*names[first:], *names[:first]):
            began = clock()
            found = assistants[name].search(question.question, app=question.app, top_k=SEARCH_DEPTH)
            searched = clock()
            answer = assistants[name].ask(question.question, app=question.app)
            scores[name].ask.append((clock() - searched) * 1000)
            scores[name].search.append((searched - began) * 1000)
            replies[name] = found, answer
        text = assistants[names[0]].policy(question.app).text
        for name, (passages, answer) in replies.items():
            scores[name].add(question, text, passages, answer, replies[names[0]])
    return scores


def report(scores: Mapping[str, StoreScore]) -> str:
    """Return the table: a row a store; times are the p50 and the p95."""
    heads = ("same first", "same status", "same ten", "hit@1", "search ms", "ask ms")
    lines = [f"{'store':34}{'questions':>10}" + "".join(f"{head:>15}" for head in heads)]
    for name, score in scores.items():
        shares = [score.same_first, score.same_status, score.same_passages]
        cells = [f"{count / max(1, score.asked):.2%}" for count in shares]
        cells.append(f"{score.hits / score.answerable:.4f}" if score.answerable else "-")
        cells += [
            f"{np.percentile(taken, 50):.1f} / {np.percentile(taken, 95):.1f}" for taken in (score.search, score.ask)
        ]
        lines.append(f"{name:34}{score.asked:>10}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Print a row for the index folder and one for each address."""
    from index.encoder import load_encoder
    from retrieval import Assistant as Opened

    parser = argparse.ArgumentParser(prog="python -m evaluation stores", description=__doc__)
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS", help="FILE.db or milvus://HOST:PORT")
    parser.add_argument("--index", type=Path, metavar="PATH", help="a built index that holds the shipped apps")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, metavar="N", help="a seeded sample of that many (default: all)")
    options = parser.parse_args(arguments)
    shipped = {policy.app for policy in load_policies([default_policies_folder()])}
    questions = load_questions(options.data / "questions" / "dev")
    encoder = load_encoder()
    # The folder first: it builds the default index where it is not there yet.
    addresses = {FOLDER: None, **{address: address for address in options.addresses}}
    opened = {name: Opened.open(options.index, encoder=encoder, store=address) for name, address in addresses.items()}
    own = [question for question in questions if question.app in shipped]
    if options.questions is not None and options.questions < len(own):
        chosen = sorted(np.random.default_rng(0).choice(len(own), options.questions, replace=False))
        own = [own[place] for place in chosen]
    sys.stdout.write(report(compare_stores(opened, own)) + "\n")
    return 0


def _first_clause(answer: Answer) -> str | None:
    cited = [one.clause_id for one in answer.citations] or [one.clause_id for one in answer.related]
    return cited[0] if cited else None
