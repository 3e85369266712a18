"""Fine-tune the encoder: ``python -m training.encoder --data ../shared/data --out build/encoder``.

Contrastive loss (InfoNCE, van den Oord et al., 2018) of a question against the unit that answers it, with every other
unit of the batch and mined units of the same policy as negatives. Stops at ``--minutes``; a run that was ended goes on
from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from corpus.load import load_policies
from index.model import prepare_model
from retrieval.question import simplify
from training.data import (
    Example,
    Part,
    TrainingPolicy,
    app_batches,
    cut_policy,
    gold_units,
    held_out,
    policies_kept_out,
    read_jsonl,
    sentence_pairs,
    without_app,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What one run is made of."""

    steps: int = 650
    questions: int = 24
    apps: int = 2
    pairs: int = 6
    negatives: int = 1
    temperature: float = 0.02
    learning_rate: float = 5e-5
    warmup: int = 25
    query_tokens: int = 64
    passage_tokens: int = 128
    mined_tokens: int = 96
    mine_at: int = 120
    seed: int = 20261122


class Trainee:
    """The model in training: its transformer with mean pooling, word embeddings frozen."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model: Any = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).to(device)
        self.model.embeddings.requires_grad_(False)
        self.device = device

    def embed(self, texts: Sequence[str], *, max_tokens: int, chunk: int = 16) -> Tensor:
        """Return unit vectors, float32 of shape (len(texts), dimension); texts of like length share a batch."""
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        places = torch.empty(len(texts), dtype=torch.long)
        places[torch.tensor(order)] = torch.arange(len(texts))
        chunks = [
            self._embed([texts[position] for position in order[first : first + chunk]], max_tokens)
            for first in range(0, len(texts), chunk)
        ]
        return torch.cat(chunks)[places.to(self.device)]

    def _embed(self, texts: Sequence[str], max_tokens: int) -> Tensor:
        batch = self.tokenizer(list(texts), padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        with torch.autocast(self.device, dtype=torch.bfloat16):
            states = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(torch.float32)
        pooled = (states.float() * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled, dim=-1)

    @torch.no_grad()
    def embed_all(self, texts: Sequence[str], *, max_tokens: int) -> Tensor:
        """Return unit vectors of many texts, without gradients and dropout."""
        self.model.eval()
        vectors = self.embed(texts, max_tokens=max_tokens, chunk=64).cpu()
        self.model.train()
        return vectors


def load_examples(data: Path, part: Part) -> tuple[list[Example], dict[str, TrainingPolicy]]:
    """Return the training questions with their gold units, and the policies they ask about."""
    policies = {policy.app: policy for policy in load_policies([data / "policies"])}
    cut: dict[str, TrainingPolicy] = {}
    examples: list[Example] = []
    paths = sorted((data / "questions" / "train").glob("*.jsonl"))
    left_out = held_out([path.stem for path in paths])
    for path in part.of([path for path in paths if path.stem not in left_out]):
        for row in read_jsonl(path):
            app = str(row["app"])
            if app not in cut:
                cut[app] = cut_policy(policies[app])
            evidence = row["evidence"] if row["answerable"] else []
            gold = gold_units(policies[app], cut[app].units, evidence)  # type: ignore[arg-type]
            if row["answerable"] and not gold:
                _log.warning("no clause holds the evidence of %s", row["id"])
                continue
            question = simplify(without_app(str(row["question"]), policies[app]))
            examples.append(Example(str(row["id"]), app, question, bool(row["answerable"]), gold))
    return examples, cut


def mine(
    trainee: Trainee, examples: Sequence[Example], policies: dict[str, TrainingPolicy], recipe: Recipe
) -> dict[str, list[int]]:
    """Return for every question the eight clauses of its policy that look most like an answer and are none."""
    mined: dict[str, list[int]] = {}
    by_app: dict[str, list[Example]] = {}
    for example in examples:
        by_app.setdefault(example.app, []).append(example)
    for app, group in by_app.items():
        policy = policies[app]
        own = [position for position in range(len(policy.units)) if policy.is_clause(position)]
        texts = [f"passage: {policy.texts[position]}" for position in own]
        passages = trainee.embed_all(texts, max_tokens=recipe.mined_tokens)
        queries = trainee.embed_all([f"query: {one.query}" for one in group], max_tokens=recipe.query_tokens)
        order = (queries @ passages.T).argsort(dim=1, descending=True)[:, :20].tolist()
        for example, found in zip(group, order, strict=True):
            gold = {policy.units[position].clause for position in example.gold}
            candidates = [own[column] for column in found if policy.units[own[column]].clause not in gold]
            mined[example.question_id] = candidates[:8]
    return mined


def any_clause(example: Example, policy: TrainingPolicy) -> list[int]:
    """Return every clause of the policy that is no answer: what stands in before anything is mined."""
    gold = {policy.units[position].clause for position in example.gold}
    return [
        position for position, unit in enumerate(policy.units) if policy.is_clause(position) and unit.clause not in gold
    ]


def contrastive_loss(
    queries: Tensor, passages: Tensor, positive: Tensor, allowed: Tensor, temperature: float
) -> Tensor:
    """Return the mean InfoNCE loss.

    :param queries: (n, d) unit vectors; :param passages: (m, d) unit vectors.
    :param positive: (n,) the column that answers each query.
    :param allowed: (n, m) False where a column also answers the query and must not count against it.
    """
    logits = queries @ passages.T / temperature
    logits = logits.masked_fill(~allowed, float("-inf"))
    return torch.nn.functional.cross_entropy(logits, positive)


def make_batch(
    group: Sequence[Example],
    pairs: Sequence[tuple[str, str]],
    policies: dict[str, TrainingPolicy],
    mined: dict[str, list[int]],
    recipe: Recipe,
    chooser: random.Random,
) -> tuple[list[str], list[str], list[int], list[list[bool]]]:
    """Return queries, passages, the passage that answers each query, and which passages count against it."""
    queries: list[str] = []
    keys: list[tuple[str, int]] = []
    places: dict[tuple[str, int], int] = {}
    passages: list[str] = []
    positive: list[int] = []

    def place(key: tuple[str, int], text: str) -> int:
        if key not in places:
            places[key] = len(passages)
            passages.append(f"passage: {text}")
            keys.append(key)
        return places[key]

    golds: list[set[tuple[str, int]]] = []
    for example in group:
        policy = policies[example.app]
        chosen = chooser.choice(example.gold)
        queries.append(f"query: {example.query}")
        positive.append(place((example.app, chosen), policy.texts[chosen]))
        gold_clauses = {policy.units[position].clause for position in example.gold}
        golds.append({(example.app, i) for i, unit in enumerate(policy.units) if unit.clause in gold_clauses})
    for example in group:
        candidates = mined.get(example.question_id) or any_clause(example, policies[example.app])
        for position in chooser.sample(candidates, min(recipe.negatives, len(candidates))):
            place((example.app, position), policies[example.app].texts[position])
    for number, (query, passage) in enumerate(pairs):
        queries.append(f"query: {query}")
        positive.append(place(("", number), passage))
        golds.append({("", number)})
    allowed = [
        [column == positive[row] or key not in golds[row] for column, key in enumerate(keys)]
        for row in range(len(queries))
    ]
    return queries, passages, positive, allowed


def train(data: Path, out: Path, recipe: Recipe, *, part: Part, minutes: float) -> Path:
    """Run ``recipe`` for at most ``minutes``; return the folder of the trained model's weights."""
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    examples, policies = load_examples(data, part)
    answerable = [example for example in examples if example.answerable]
    _log.info("%d questions, %d of them answerable, on %d policies", len(examples), len(answerable), len(policies))
    trainee = Trainee(prepare_model(difference=None), device)
    parameters = [parameter for parameter in trainee.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.01)

    started = time.monotonic()

    def rate(step: int) -> float:
        """Warm up, then a cosine to zero at the last step, or at the time limit where that comes first."""
        if step < recipe.warmup:
            return (step + 1) / recipe.warmup
        done = max(step / recipe.steps, (time.monotonic() - started) / (60 * minutes))
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        trainee.model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        first = state["step"]
        _log.info("going on from step %d", first)
    batches: Iterator[list[Example]] = app_batches(
        answerable, size=recipe.questions, apps=recipe.apps, seed=recipe.seed + first
    )
    pairs = sentence_pairs(data, seed=recipe.seed, kept_out=policies_kept_out(data))
    chooser = random.Random(recipe.seed + first)
    mined: dict[str, list[int]] = {}
    trainee.model.train()
    running = 0.0
    for step in range(first, recipe.steps):
        if not mined and step >= recipe.mine_at:
            mined = mine(trainee, answerable, policies, recipe)
            _log.info("mined at step %d, %.0f s", step, time.monotonic() - started)
        chosen_pairs = [pairs[(step * recipe.pairs + i) % len(pairs)] for i in range(recipe.pairs)]
        queries, passages, positive, allowed = make_batch(next(batches), chosen_pairs, policies, mined, recipe, chooser)
        loss = contrastive_loss(
            trainee.embed(queries, max_tokens=recipe.query_tokens),
            trainee.embed(passages, max_tokens=recipe.passage_tokens),
            torch.tensor(positive, device=device),
            torch.tensor(allowed, device=device),
            recipe.temperature,
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        running += loss.item()
        ended = time.monotonic() - started > 60 * minutes
        if (step + 1) % 20 == 0:
            _log.info("step %d loss %.3f, %.0f s", step + 1, running / 20, time.monotonic() - started)
            running = 0.0
        if (step + 1) % 50 == 0 or ended or step + 1 == recipe.steps:
            partial = checkpoint.with_suffix(".partial")
            torch.save(
                {
                    "model": trainee.model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scheduler": scheduler.state_dict(),
                    "step": step + 1,
                },
                partial,
            )
            os.replace(partial, checkpoint)
        if ended:
            break
    return checkpoint


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.encoder", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of questions and capp130")
    parser.add_argument("--out", type=Path, default=Path("build/encoder"), help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=110.0, help="end after so many minutes (default 110)")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="steps of the learning-rate schedule")
    parser.add_argument(
        "--part",
        type=Part.parse,
        default=Part(1, 1),
        help="I/N: the I-th of N parts of the policies (default 1/1)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = Recipe(steps=arguments.steps)
    checkpoint = train(arguments.data, arguments.out, recipe, part=arguments.part, minutes=arguments.minutes)
    (arguments.out / "recipe.json").write_text(json.dumps(recipe.__dict__, indent=1), encoding="utf-8")
    _log.info("checkpoint at %s", checkpoint)


if __name__ == "__main__":
    main()
