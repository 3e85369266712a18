"""Train the second stage: ``python -m training.reranker --data ../shared/data``.

The encoder stays as it is. A projection of its token states to fewer dimensions, and a small network that compares the
question's with a clause's (:mod:`retrieval.rerank`), learn to tell the clause that answers from the others that the
first stage finds, and from silence: the loss is the cross-entropy over the candidates and "none of them".

Writes the projection for ``index/`` and the network for ``retrieval/``. Encoded policies are kept under ``--work``, so
a run that was ended goes on from there; the training itself takes minutes.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import normalize

from corpus.lexicons import load_glossary, load_known_apps
from corpus.load import load_policies
from index.encoder import Encoder, load_encoder
from index.model import prepare_model, shipped_difference
from index.segment import Segment
from index.store import build_index, open_generation
from index.tokens import Floats
from retrieval.apps import AppResolver
from retrieval.query import Glossary
from retrieval.rerank import CANDIDATE_COUNT, STAGE_FEATURES, stage_features
from retrieval.search import prefer_facts, rank
from training.data import gold_units, held_out, read_jsonl, understand_all

_log = logging.getLogger(__name__)

STATE_SIZE = 384  # of a token in multilingual-e5-small


@dataclass(frozen=True)
class Recipe:
    """What one run is made of."""

    token_dimension: int = 64
    hidden: int = 128
    compared: int = 64
    weigh_hidden: int = 64
    dropout: float = 0.2
    feature_noise: float = 0.5
    epochs: int = 3
    questions: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    unanswerable_weight: float = 3.0
    seed: int = 20261122


@dataclass(frozen=True)
class Case:
    """A question and the clauses that the first stage puts first, their token states in 8 bits."""

    answerable: bool
    vector: Floats
    tokens: Floats
    clauses: tuple[NDArray[np.int8], ...]
    features: Floats
    gold: tuple[bool, ...]


class Interaction(nn.Module):
    """What :class:`retrieval.rerank.Reranker` computes, over batches and with gradients."""

    def __init__(self, dimension: int, recipe: Recipe) -> None:
        super().__init__()
        size = recipe.token_dimension
        self.project = nn.Linear(dimension, size, bias=False)
        nn.init.orthogonal_(self.project.weight)
        self.weigh = _two_layers(size, recipe.weigh_hidden, 1, recipe.dropout)
        self.compare = _two_layers(3 * size + 2, recipe.hidden, recipe.compared, recipe.dropout)
        self.answer = _two_layers(2 * recipe.compared + STAGE_FEATURES + 2, 64, 1, recipe.dropout)
        self.silence = _two_layers(dimension, 64, 1, recipe.dropout)
        self.sharpness = nn.Parameter(torch.tensor(2.5))
        self.first_stage = nn.Parameter(torch.tensor(1.0))

    def forward(
        self, vectors: Tensor, questions: Tensor, clauses: Tensor, features: Tensor, real: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of the clauses (n, k) and of silence (n,).

        :param vectors: (n, d); :param questions: (n, m, d); :param clauses: (n, k, t, d); :param features: (n, k, 7)
        :param real: (n, m) which question tokens are real; :param present: (n, k, t) which clause tokens are.
        """
        question = normalize(self.project(questions), dim=-1)
        clause = normalize(self.project(clauses), dim=-1)
        size = question.shape[-1] ** 0.5
        similarities = torch.einsum("nmd,nktd->nkmt", question, clause).masked_fill(~present[:, :, None, :], -1e4)
        attention = torch.softmax(similarities * self.sharpness.exp(), dim=-1)
        aligned = torch.einsum("nkmt,nktd->nkmd", attention, clause)
        best, mean = similarities.max(dim=-1).values, (similarities * attention).sum(dim=-1)
        repeated = question[:, None].expand_as(aligned)
        compared = self.compare(
            torch.cat(
                [
                    size * repeated * aligned * size,
                    size * (repeated - aligned).abs(),
                    size * aligned,
                    best[..., None],
                    mean[..., None],
                ],
                dim=-1,
            )
        )
        hidden = ~real[:, None, :]
        weights = torch.softmax(self.weigh(question)[..., 0].masked_fill(~real, -1e4), dim=-1)[:, None]
        gathered = torch.cat(
            [
                (compared * weights[..., None]).sum(dim=2),
                compared.masked_fill(hidden[..., None], -1e4).max(dim=2).values,
                features,
                (best * weights).sum(dim=2, keepdim=True),
                best.masked_fill(hidden, 2.0).min(dim=2).values[..., None],
            ],
            dim=-1,
        )
        answers = self.answer(gathered)[..., 0] + self.first_stage * features[..., 1]
        return answers, self.silence(vectors * vectors.shape[-1] ** 0.5)[..., 0]


def _two_layers(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))


def make_cases(
    questions: Sequence[dict[str, Any]], segments: dict[str, Segment], encoder: Encoder, resolver: AppResolver
) -> list[Case]:
    """Return the questions with the clauses that the first stage finds for them."""
    asked = understand_all([row["question"] for row in questions], resolver, Glossary(load_glossary()))
    cases: list[Case] = []
    for row, one in zip(questions, asked, strict=True):
        segment = segments[row["app"]]
        [encoded] = encoder.encode_queries([one.query.text])
        ranking = prefer_facts(rank(segment, one.query, encoded.vector), one)
        ordinals = ranking.order[:CANDIDATE_COUNT]
        evidence = row["evidence"] if row["answerable"] else []
        gold = {segment.units[unit].clause for unit in gold_units(segment.policy, segment.units, evidence)}
        starts = segment.token_starts
        cases.append(
            Case(
                row["answerable"],
                encoded.vector,
                encoded.tokens,
                tuple(segment.tokens[starts[i] : starts[i + 1]] for i in ordinals),
                stage_features(ranking, ordinals),
                tuple(int(i) in gold for i in ordinals),
            )
        )
    return cases


def make_batch(cases: Sequence[Case]) -> tuple[list[Tensor], Tensor]:
    """Return what :meth:`Interaction.forward` takes, and the targets (n, k + 1), the last column for silence."""
    count, dimension = len(cases), len(cases[0].vector)
    longest = max(len(case.tokens) for case in cases)
    width = max(len(tokens) for case in cases for tokens in case.clauses)
    questions = torch.zeros(count, longest, dimension)
    clauses = torch.zeros(count, CANDIDATE_COUNT, width, dimension)
    features = torch.zeros(count, CANDIDATE_COUNT, STAGE_FEATURES)
    real = torch.zeros(count, longest, dtype=torch.bool)
    present = torch.zeros(count, CANDIDATE_COUNT, width, dtype=torch.bool)
    targets = torch.zeros(count, CANDIDATE_COUNT + 1, dtype=torch.bool)
    for row, case in enumerate(cases):
        questions[row, : len(case.tokens)] = torch.from_numpy(case.tokens)
        real[row, : len(case.tokens)] = True
        features[row, : len(case.features)] = torch.from_numpy(case.features)
        targets[row, : len(case.gold)] = torch.tensor(case.gold)
        targets[row, -1] = not case.answerable
        for place, tokens in enumerate(case.clauses):
            clauses[row, place, : len(tokens)] = torch.from_numpy(tokens.astype(np.float32))
            present[row, place, : len(tokens)] = True
    vectors = torch.from_numpy(np.array([case.vector for case in cases]))
    return [vectors, questions, clauses, features, real, present], targets


def loss_of(model: Interaction, cases: Sequence[Case], recipe: Recipe) -> Tensor:
    """Return the mean cross-entropy of the right clauses, or of silence, among all candidates and silence."""
    inputs, targets = make_batch(cases)
    if model.training and recipe.feature_noise:
        features = inputs[3]
        inputs[3] = features + recipe.feature_noise * features.std(dim=(0, 1)) * torch.randn_like(features)
    answers, silence = model(*inputs)
    absent = ~inputs[5].any(dim=-1)
    logits = torch.cat([answers.masked_fill(absent, -1e4), silence[:, None]], dim=1)
    losses = -torch.logsumexp(logits.log_softmax(dim=1).masked_fill(~targets, -1e4), dim=1)
    weights = torch.where(targets[:, -1], recipe.unanswerable_weight, 1.0)
    return (losses * weights).sum() / weights.sum()


def train(cases: Sequence[Case], recipe: Recipe) -> Interaction:
    """Train on those cases that can be told: an answer among the candidates, or no answer at all."""
    torch.manual_seed(recipe.seed)
    shuffler = random.Random(recipe.seed)
    usable = [case for case in cases if not case.answerable or any(case.gold)]
    model = Interaction(len(usable[0].vector), recipe)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * (-(-len(usable) // recipe.questions))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps)
    started = time.monotonic()
    for epoch in range(recipe.epochs):
        total = 0.0
        batches = _batches_of_like_length(usable, recipe.questions, shuffler)
        for batch in batches:
            loss = loss_of(model, batch, recipe)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            total += loss.item()
        _log.info("epoch %d loss %.3f, %.0f s", epoch + 1, total / len(batches), time.monotonic() - started)
    return model.eval()


def _batches_of_like_length(cases: Sequence[Case], size: int, shuffler: random.Random) -> list[list[Case]]:
    """Return shuffled batches whose longest clauses are of like length, so that little is padding."""
    shuffled = shuffler.sample(list(cases), len(cases))
    batches: list[list[Case]] = []
    for first in range(0, len(shuffled), 8 * size):
        own = sorted(shuffled[first : first + 8 * size], key=lambda case: max(map(len, case.clauses)))
        batches.extend(own[start : start + size] for start in range(0, len(own), size))
    shuffler.shuffle(batches)
    return batches


@torch.no_grad()
def score(model: Interaction, cases: Sequence[Case]) -> dict[str, float]:
    """Return hit@1 and hit@3 of the answerable by the first stage and by the second, and how well silence is told."""
    before: list[tuple[bool, bool]] = []
    after: list[tuple[bool, bool]] = []
    margins: list[float] = []
    for case in cases:
        inputs, _ = make_batch([case])
        answers, silence = model(*inputs)
        own = answers[0, : len(case.gold)]
        margins.append(float(own.logsumexp(0) - silence[0]))
        if case.answerable:
            order = own.argsort(descending=True).tolist()
            after.append((case.gold[order[0]], any(case.gold[place] for place in order[:3])))
            before.append((case.gold[0], any(case.gold[:3])))
    figures = {
        f"{stage} hit@{k}": float(np.mean([row[place] for row in rows]))
        for stage, rows in (("first stage", before), ("second stage", after))
        for place, k in enumerate((1, 3))
    }
    return figures | {"AUROC": float(roc_auc_score([case.answerable for case in cases], margins))}


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.reranker", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of questions and policies")
    parser.add_argument("--work", type=Path, default=Path("build/reranker"), help="where encoded policies are kept")
    parser.add_argument("--projection", type=Path, default=Path("index/weights/token_projection.safetensors"))
    parser.add_argument("--network", type=Path, default=Path("retrieval/weights/reranker.safetensors"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # The whole states of the tokens, not what an earlier run of this projected them to.
    encoder = load_encoder(
        prepare_model(difference=shipped_difference()), projection=np.eye(STATE_SIZE, dtype=np.float32)
    )
    paths = sorted((arguments.data / "questions" / "train").glob("*.jsonl"))
    questions: list[dict[str, Any]] = [row for path in paths for row in read_jsonl(path)]
    apps = {row["app"] for row in questions}
    left_out = held_out(sorted(apps))
    policies = load_policies([arguments.data / "policies"])
    build_index([policy for policy in policies if policy.app in apps], arguments.work, encoder)
    segments = {one.policy.app: one for one in open_generation(arguments.work, encoder.fingerprint).segments}
    resolver = AppResolver(policies, load_known_apps())
    cases = make_cases([row for row in questions if row["app"] not in left_out], segments, encoder, resolver)
    unseen = make_cases([row for row in questions if row["app"] in left_out], segments, encoder, resolver)
    _log.info("%d questions to train on, %d on held-out policies", len(cases), len(unseen))
    model = train(cases, Recipe())
    _log.info("held-out policies: %s", ", ".join(f"{name} {value:.3f}" for name, value in score(model, unseen).items()))
    tensors = {name: tensor.numpy().astype(np.float16) for name, tensor in model.state_dict().items()}
    arguments.network.parent.mkdir(parents=True, exist_ok=True)
    save_file({"projection": tensors.pop("project.weight")}, arguments.projection)
    # The network fits the encoder that this projection makes, and no other.
    fingerprint = load_encoder(
        prepare_model(difference=shipped_difference(), projection=arguments.projection)
    ).fingerprint
    save_file(tensors, arguments.network, metadata={"encoder": fingerprint})


if __name__ == "__main__":
    main()
