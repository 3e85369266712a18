"""What users of LangChain and LlamaIndex get: ``python -m evaluation baselines``.

Their default splitters, the same base model, and nothing else: chunks by cosine, the app given. A chunk is right as a
clause is, where it holds half of the evidence, so long chunks are right easily; what a person has to read of them to
find the answer is what "within 400" counts. Needs ``pip install -r requirements-baselines.txt``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from corpus.load import default_policies_folder, load_policies
from evaluation.metrics import recall_at_k
from evaluation.questions import Question, Span, find_gold_spans, is_gold, load_questions, right_within
from index.encoder import Encoder, load_encoder
from index.model import prepare_model

Splitter = Callable[[str], list[Span]]

READ = 10  # chunks a question


def load_splitters() -> dict[str, Splitter]:
    """Return the packages' splitters by what the table calls them.

    :raises ModuleNotFoundError: if the packages are not installed.
    """
    from langchain_text_splitters import RecursiveCharacterTextSplitter, TextSplitter
    from llama_index.core import Document
    from llama_index.core.node_parser import SentenceSplitter

    def langchain(splitter: TextSplitter) -> Splitter:
        def split(text: str) -> list[Span]:
            chunks = splitter.create_documents([text])
            return [(c.metadata["start_index"], c.metadata["start_index"] + len(c.page_content)) for c in chunks]

        return split

    def llama_index(text: str) -> list[Span]:
        nodes = cast("list[Any]", SentenceSplitter().get_nodes_from_documents([Document(text=text)]))
        return [(node.start_char_idx, node.end_char_idx) for node in nodes]

    return {
        "LangChain RecursiveCharacterTextSplitter()": langchain(RecursiveCharacterTextSplitter(add_start_index=True)),
        "LangChain, 500 characters, 50 shared": langchain(
            RecursiveCharacterTextSplitter(chunk_size=500, chunk_overlap=50, add_start_index=True)
        ),
        "LlamaIndex SentenceSplitter()": llama_index,
    }


def score_splitter(
    split: Splitter, texts: dict[str, str], questions: Sequence[Question], encoder: Encoder
) -> dict[str, float]:
    """Return hit@1, hit@3, hit@10, right within 400 characters and English hit@1 of chunks ranked by cosine."""
    spans = {app: split(text) for app, text in texts.items()}
    vectors = {
        app: encoder.encode_passages([texts[app][slice(*span)] for span in own]).vectors for app, own in spans.items()
    }
    rows: list[tuple[int | None, bool, bool]] = []
    for question in questions:
        [vector] = encoder.encode_queries([question.question]).vectors
        order = np.argsort(-(vectors[question.app] @ vector), kind="stable")[:READ]
        read = [spans[question.app][place] for place in order]
        gold = find_gold_spans(texts[question.app], question.evidence)
        found = next((rank for rank, span in enumerate(read, start=1) if is_gold(span, gold)), None)
        rows.append((found, right_within(read, gold), question.lang == "en"))
    figures = {f"hit@{k}": float(np.mean([recall_at_k(row[0], k) for row in rows])) for k in (1, 3, 10)}
    figures["within 400"] = float(np.mean([row[1] for row in rows]))
    figures["English hit@1"] = float(np.mean([recall_at_k(row[0], 1) for row in rows if row[2]]))
    figures["characters a chunk"] = float(np.mean([end - start for own in spans.values() for start, end in own]))
    return figures


def main(arguments: Sequence[str]) -> int:
    """Print a row a splitter."""
    parser = argparse.ArgumentParser(prog="python -m evaluation baselines", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args(arguments)
    try:
        splitters = load_splitters()
    except ModuleNotFoundError as exc:
        sys.stderr.write(f"{exc.name} is not installed: pip install -r requirements-baselines.txt\n")
        return 2
    questions = [question for question in load_questions(options.data / "questions" / "dev") if question.answerable]
    policies = load_policies([default_policies_folder(), options.data / "policies"])
    texts = {policy.app: policy.text for policy in policies if policy.app in {question.app for question in questions}}
    encoder = load_encoder(prepare_model())
    for number, (name, split) in enumerate(splitters.items()):
        figures = score_splitter(split, texts, questions, encoder)
        if number == 0:
            sys.stdout.write(f"{'':44}" + "".join(f"{column:>20}" for column in figures) + "\n")
        sys.stdout.write(f"{name:44}" + "".join(f"{value:20.3f}" for value in figures.values()) + "\n")
    return 0
