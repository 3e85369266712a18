"""Score the topics of sentences: ``python -m evaluation topics``.

Reads CAPP-130's ``topics_dev.jsonl``, of which nothing was trained on or chosen. Every sentence is judged twice: under
the heading and lead-in that stand above it in its policy, which is how the index holds every clause, and alone.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpus.load import load_policies
from corpus.topics import TOPICS
from index.encoder import load_encoder
from retrieval.topics import load_topic_classifier
from training.data import read_jsonl, read_labelled

_log = logging.getLogger(__name__)

Flags = NDArray[np.bool_]
RESAMPLES = 1000


def f1_scores(predicted: Flags, labels: Flags) -> tuple[float, float, NDArray[np.float64]]:
    """Return micro F1, macro F1 and every topic's, of flags of shape (sentences, topics).

    A topic that neither occurs nor is predicted scores 0.
    """
    right = (predicted & labels).sum(axis=0)
    sizes = predicted.sum(axis=0) + labels.sum(axis=0)
    each = 2 * right / np.maximum(sizes, 1)
    return float(2 * right.sum() / max(sizes.sum(), 1)), float(each.mean()), each


def f1_intervals(
    predicted: Flags, labels: Flags, groups: Sequence[str], *, seed: int = 0
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return 95 % intervals of micro and macro F1: whole groups drawn with replacement, a thousand times."""
    names, own = np.unique(np.array(groups), return_inverse=True)
    members = [np.flatnonzero(own == group) for group in range(len(names))]
    drawn = np.random.default_rng(seed)
    scores: list[tuple[float, float]] = []
    for _ in range(RESAMPLES):
        sample = np.concatenate([members[group] for group in drawn.integers(len(names), size=len(names))])
        scores.append(f1_scores(predicted[sample], labels[sample])[:2])
    (micro_low, macro_low), (micro_high, macro_high) = np.percentile(scores, [2.5, 97.5], axis=0).tolist()
    return (micro_low, micro_high), (macro_low, macro_high)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures; exit code 1 if the shipped model has no classifier of topics."""
    parser = argparse.ArgumentParser(prog="python -m evaluation topics", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of capp130 and policies")
    options = parser.parse_args(arguments)
    encoder = load_encoder()
    classifier = load_topic_classifier(encoder.fingerprint)
    if classifier is None:
        _log.error("the topics were trained for another model than this; run: python -m training.topics")
        return 1
    folder = options.data / "capp130"
    sentences = read_labelled(folder / "topics_dev.jsonl", load_policies([options.data / "policies"]))
    trained_on = {row["text"] for row in read_jsonl(folder / "topics_train.jsonl")}
    fresh = np.array([sentence.text not in trained_on for sentence in sentences])
    labels = np.array([[topic in sentence.topics for topic in range(len(TOPICS))] for sentence in sentences])
    texts, apps = [sentence.text for sentence in sentences], [sentence.app for sentence in sentences]
    found = sum(bool(sentence.context) for sentence in sentences)
    _log.info("%d sentences; something stands above %d of them in their policies", len(sentences), found)
    _log.info("%d of them stand word for word among the training sentences, too", int((~fresh).sum()))
    for name, contexts in (
        ("in context", [sentence.context for sentence in sentences]),
        ("alone", [""] * len(sentences)),
    ):
        encoded = [f"{context}\n{text}".strip() for context, text in zip(contexts, texts, strict=True)]
        vectors = encoder.encode_passages(encoded).vectors
        predicted = classifier.label(classifier.likelihood(vectors, texts, contexts))
        micro, macro, each = f1_scores(predicted, labels)
        fresh_scores = f1_scores(predicted[fresh], labels[fresh])
        (micro_low, micro_high), (macro_low, macro_high) = f1_intervals(predicted, labels, apps)
        _log.info(
            "%s: micro F1 %.3f (%.3f-%.3f), macro F1 %.3f (%.3f-%.3f), 95 %% over policies; exactly right %.3f",
            *(name, micro, micro_low, micro_high, macro, macro_low, macro_high),
            float((predicted == labels).all(axis=1).mean()),
        )
        _log.info("  without those that stand in both files: micro %.3f, macro %.3f", *fresh_scores[:2])
        _log.info("  %s", ", ".join(f"{topic} {score:.3f}" for topic, score in zip(TOPICS, each, strict=True)))
    return 0
