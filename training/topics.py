"""Train the classifier of topics: ``python -m training.topics --data ../shared/data``.

The encoder stays as it is. Every sentence of CAPP-130's ``topics_train.jsonl`` is seen twice: alone, and under the
heading and lead-in that stand above it in its policy, as the index encodes it. A network of one hidden layer learns
from the vectors of both; logistic regressions learn from the characters, one of them from sentences alone, one from
sentences with what stands above (:mod:`retrieval.topics`). The thresholds are those that are best for sentences of
policies that were not trained on, four parts of the policies in turn.

Encoded sentences are kept under ``--work``, so a run that was ended goes on from there; the training itself takes
three minutes. ``topics_dev.jsonl`` has no part in it.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression
from torch import nn

from corpus.load import load_policies
from corpus.topics import TOPICS
from index.encoder import Encoder, load_encoder
from retrieval.topics import TopicClassifier, hash_strings
from training.data import LabelledSentence, read_labelled

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Tensors = dict[str, NDArray[np.generic]]

THRESHOLDS = np.arange(0.2, 0.66, 0.03)


@dataclass(frozen=True)
class Recipe:
    """What one run is made of; chosen by four folds over the policies of the training file."""

    buckets: int = 2**15
    strength: float = 8.0
    """1 / L2 penalty of the regressions."""
    context_share: float = 0.7
    """How much a string above the sentence is worth beside one in it."""
    hidden: int = 256
    dropout: float = 0.3
    epochs: int = 8
    sentences: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    folds: int = 4
    seed: int = 20261122


@dataclass(frozen=True)
class Lesson:
    """Sentences with their labels, as vectors alone and in context, in one order."""

    sentences: Sequence[LabelledSentence]
    labels: Flags
    alone: Floats
    in_context: Floats

    def part(self, chosen: NDArray[np.int64]) -> Lesson:
        """Return the sentences at the positions ``chosen``."""
        own = [self.sentences[position] for position in chosen]
        return Lesson(own, self.labels[chosen], self.alone[chosen], self.in_context[chosen])


def labels_of(sentences: Sequence[LabelledSentence]) -> Flags:
    """Return the labels as flags of shape (sentences, 11)."""
    labels = np.zeros((len(sentences), len(TOPICS)), np.bool_)
    for row, sentence in zip(labels, sentences, strict=True):
        row[list(sentence.topics)] = True
    return labels


def encode_once(texts: Sequence[str], encoder: Encoder, path: Path) -> Floats:
    """Return the vectors of ``texts``, from ``path`` where an earlier run of this encoder left as many."""
    if path.exists():
        kept = load_file(path)["vectors"]
        if len(kept) == len(texts):
            return np.asarray(kept, np.float32)
    started = time.monotonic()
    vectors = encoder.encode_passages(texts).vectors
    _log.info("%s: %d texts in %.0f s", path.name, len(texts), time.monotonic() - started)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"vectors": vectors}, path)
    return vectors


def count_strings(texts: Sequence[str], buckets: int) -> csr_matrix:
    """Return how often each string occurs in each text, divided by the square root of the number of strings."""
    strings, starts = hash_strings(texts, buckets)
    lengths = np.diff(starts)
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    return csr_matrix((values, strings, starts), shape=(len(texts), buckets))


def fit_wording(features: csr_matrix, labels: Flags, recipe: Recipe) -> tuple[Floats, Floats]:
    """Return the weights of shape (features, 11) and the biases of one regression a topic."""
    weights = np.zeros((features.shape[1], len(TOPICS)), np.float32)
    biases = np.zeros(len(TOPICS), np.float32)
    for topic in range(len(TOPICS)):
        model = LogisticRegression(C=recipe.strength, solver="liblinear", random_state=recipe.seed)
        model.fit(features, labels[:, topic])
        weights[:, topic], biases[topic] = model.coef_[0], model.intercept_[0]
    return weights, biases


def fit_meaning(vectors: Floats, labels: Flags, recipe: Recipe) -> Tensors:
    """Return the network's tensors, its standardising of the vectors folded into the first layer."""
    torch.manual_seed(recipe.seed)
    mean, scale = vectors.mean(axis=0), vectors.std(axis=0)
    scale[scale == 0] = 1.0
    inputs, targets = torch.from_numpy((vectors - mean) / scale), torch.from_numpy(labels.astype(np.float32))
    first, second = nn.Linear(vectors.shape[1], recipe.hidden), nn.Linear(recipe.hidden, len(TOPICS))
    model = nn.Sequential(nn.Dropout(recipe.dropout), first, nn.ReLU(), nn.Dropout(recipe.dropout), second)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = -(-len(inputs) // recipe.sentences)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps + 1
    )
    for _ in range(recipe.epochs):
        for batch in torch.split(torch.randperm(len(inputs)), recipe.sentences):
            loss = nn.functional.binary_cross_entropy_with_logits(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            scheduler.step()
    weight = first.weight.detach().numpy() / scale
    return {
        "hidden.weight": weight.astype(np.float16),
        "hidden.bias": (first.bias.detach().numpy() - weight @ mean).astype(np.float32),
        "output.weight": second.weight.detach().numpy().astype(np.float16),
        "output.bias": second.bias.detach().numpy(),
    }


def fit(lesson: Lesson, recipe: Recipe) -> Tensors:
    """Return the classifier's tensors, every threshold at one half."""
    texts = [sentence.text for sentence in lesson.sentences]
    own = count_strings(texts, recipe.buckets)
    above = count_strings([sentence.context for sentence in lesson.sentences], recipe.buckets)
    has_context = np.array([bool(sentence.context) for sentence in lesson.sentences])
    together = hstack([own, recipe.context_share * above]).tocsr()
    alone_weights, alone_bias = fit_wording(own, lesson.labels, recipe)
    weights, bias = fit_wording(together[has_context], lesson.labels[has_context], recipe)
    tensors = fit_meaning(
        np.concatenate([lesson.alone, lesson.in_context]), np.concatenate([lesson.labels] * 2), recipe
    )
    tables = {
        "alone": alone_weights,
        "sentence": weights[: recipe.buckets],
        "context": recipe.context_share * weights[recipe.buckets :],
    }
    for name, table in tables.items():
        scale = np.maximum(np.abs(table).max(axis=0), 1e-6) / 127
        tensors[name] = np.round(table / scale).astype(np.int8)
        tensors[f"{name}.scale"] = scale.astype(np.float32)
    tensors |= {"alone.bias": alone_bias, "sentence.bias": bias}
    return tensors | {"thresholds": np.full(len(TOPICS), 0.5, np.float32)}


def judge(tensors: Tensors, lesson: Lesson) -> tuple[Floats, Floats]:
    """Return the likelihoods of every topic for the sentences in context and for the sentences alone."""
    classifier = TopicClassifier(tensors)
    texts = [sentence.text for sentence in lesson.sentences]
    in_context = classifier.likelihood(lesson.in_context, texts, [sentence.context for sentence in lesson.sentences])
    return in_context, classifier.likelihood(lesson.alone, texts, [""] * len(texts))


def judge_unseen(lesson: Lesson, recipe: Recipe) -> tuple[Floats, Floats]:
    """Return what :func:`judge` does for every sentence by a classifier that saw none of its policy."""
    apps = sorted({sentence.app for sentence in lesson.sentences})
    np.random.default_rng(recipe.seed).shuffle(apps)
    part_of = {app: place % recipe.folds for place, app in enumerate(apps)}
    parts = np.array([part_of[sentence.app] for sentence in lesson.sentences])
    in_context = np.zeros(lesson.labels.shape, np.float32)
    alone = np.zeros(lesson.labels.shape, np.float32)
    for part in range(recipe.folds):
        tensors = fit(lesson.part(np.flatnonzero(parts != part)), recipe)
        left_out = np.flatnonzero(parts == part)
        in_context[left_out], alone[left_out] = judge(tensors, lesson.part(left_out))
    return in_context, alone


def f1(labelled: Flags, labels: Flags) -> tuple[float, float]:
    """Return micro and macro F1."""
    right, sizes = (labelled & labels).sum(axis=0), labelled.sum(axis=0) + labels.sum(axis=0)
    return float(2 * right.sum() / sizes.sum()), float(np.mean(2 * right / np.maximum(sizes, 1)))


def choose_thresholds(likelihood: Floats, labels: Flags) -> Floats:
    """Return the threshold of every topic, at which the sum of micro and macro F1 is best; topics in turn, thrice."""
    thresholds = np.full(len(TOPICS), 0.38, np.float32)
    for _ in range(3):
        for topic in range(len(TOPICS)):
            scores: list[float] = []
            for candidate in THRESHOLDS:
                thresholds[topic] = candidate
                scores.append(sum(f1(likelihood >= thresholds, labels)))
            thresholds[topic] = THRESHOLDS[int(np.argmax(scores))]
    return thresholds


def make_lesson(sentences: Sequence[LabelledSentence], encoder: Encoder, work: Path) -> Lesson:
    """Encode the sentences alone and in context."""
    alone = encode_once([sentence.text for sentence in sentences], encoder, work / "alone.safetensors")
    texts = [f"{sentence.context}\n{sentence.text}".strip() for sentence in sentences]
    return Lesson(sentences, labels_of(sentences), alone, encode_once(texts, encoder, work / "in_context.safetensors"))


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.topics", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of capp130 and policies")
    parser.add_argument("--work", type=Path, default=Path("build/topics"), help="where encoded sentences are kept")
    parser.add_argument("--out", type=Path, default=Path("retrieval/weights/topics.safetensors"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    encoder, recipe = load_encoder(), Recipe()
    path = arguments.data / "capp130" / "topics_train.jsonl"
    sentences = read_labelled(path, load_policies([arguments.data / "policies"]))
    lesson = make_lesson(sentences, encoder, arguments.work / encoder.fingerprint[:16])
    in_context, alone = judge_unseen(lesson, recipe)
    thresholds = choose_thresholds(in_context, lesson.labels)
    for name, likelihood in (("in context", in_context), ("alone", alone)):
        figures = f1(likelihood >= thresholds, lesson.labels)
        _log.info("sentences %s, of policies left out: micro F1 %.3f, macro %.3f", name, *figures)
    tensors = fit(lesson, recipe) | {"thresholds": thresholds}
    save_file(tensors, arguments.out, metadata={"encoder": encoder.fingerprint})
    _log.info("%s: %.1f MB", arguments.out, arguments.out.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
