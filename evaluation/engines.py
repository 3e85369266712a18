"""What the engine and its number type do to quality: ``python -m evaluation engines [--apps135] [ENGINE…]``.

The same weights on torch and on OpenVINO, in float32 and in bfloat16 where the CPU has it. Each engine makes an index
of its own under ``build/evaluation/engines`` (minutes, with all 135 policies most of an hour) and answers from it.
Torch in float32 rounds least and is what the others are held to.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence

from corpus.load import load_policies
from evaluation import run
from evaluation.questions import load_questions
from evaluation.report import report_questions
from evaluation.run import Outcome
from evaluation.score import CACHE, SEEDS, SHARED, dev_policies
from index.encoder import Encoder, load_encoder
from index.engine import Precision, supports_bfloat16
from index.model import prepare_model, shipped_difference, shipped_projection
from index.store import build_index
from retrieval import Assistant

log = logging.getLogger(__name__)

ENGINES: Mapping[str, tuple[str, Precision]] = {
    "torch-f32": ("torch", "f32"),
    "torch-bf16": ("torch", "bf16"),
    "openvino-f32": ("openvino", "f32"),
    "openvino-bf16": ("openvino", "bf16"),
}
COLUMNS = {
    "hit@1": "search hit@1",
    "hit@3": "search hit@3",
    "hit@10": "search hit@10",
    "first": "ask gold clause first",
    "of three": "ask gold clause among three",
    "quote F1": "quote F1, gold clause first",
    "answered": "answered share (answerable)",
    "false": "false answers (unanswerable)",
}


def load_engine(name: str) -> Encoder:
    """Return the shipped model on one of :data:`ENGINES`."""
    engine, precision = ENGINES[name]
    if engine == "openvino":
        return load_encoder(precision=precision)
    model = prepare_model(difference=shipped_difference(), projection=shipped_projection())
    return load_encoder(model, precision=precision)


def figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return what :data:`COLUMNS` and the AUROC of the confidence are over ``outcomes``; 0 where nothing counts."""
    told = report_questions(outcomes)
    found = {column: told["all"]["figures"].get(measure) for column, measure in COLUMNS.items()}
    return {name: one["value"] if one else 0.0 for name, one in {**found, "AUROC": told.get("auroc")}.items()}


def differing(outcomes: Sequence[Outcome], reference: Sequence[Outcome]) -> dict[str, list[str]]:
    """Return the ids of questions whose first clause is right here alone (``won``) and there alone (``lost``)."""
    pairs = [(o.question.id, o.rank == 1, r.rank == 1) for o, r in zip(outcomes, reference, strict=True)]
    return {
        "won": [name for name, here, there in pairs if here and not there],
        "lost": [name for name, here, there in pairs if there and not here],
    }


def report(scored: Mapping[str, Sequence[Outcome]]) -> str:
    """Return the table, a row an engine, and below it what differs from the first."""
    lines, below = [f"{'engine':16}" + "".join(f"{column:>10}" for column in (*COLUMNS, "AUROC"))], []
    (first, reference), *_ = scored.items()
    for name, outcomes in scored.items():
        lines.append(f"{name:16}" + "".join(f"{value:>10.3f}" for value in figures(outcomes).values()))
        if name != first:
            changed = differing(outcomes, reference)
            told = "; ".join(f"{kind} {', '.join(ids)}" for kind, ids in changed.items() if ids)
            below.append(f"{name} against {first}, first clause right: {told or 'the same questions'}")
    return "\n".join([*lines, *below])


def main(arguments: Sequence[str]) -> int:
    """Print the table for the engines that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m evaluation engines", description=__doc__)
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=f"of {', '.join(ENGINES)} (default: all)")
    parser.add_argument("--apps135", action="store_true", help="index all 135 policies, not only those asked about")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.engines if name not in ENGINES]:
        parser.error(f"unknown engine {unknown[0]}; there are {', '.join(ENGINES)}")
    names = options.engines or [name for name in ENGINES if supports_bfloat16() or ENGINES[name][1] == "f32"]
    folder = SHARED / "questions" / "dev"
    if not folder.is_dir():
        parser.error(f"the dev questions are needed: {folder} not found")
    questions = load_questions(folder)
    policies = load_policies(
        [SEEDS, SHARED / "policies" if options.apps135 else dev_policies(folder, SHARED / "policies")]
    )
    scored = {}
    for name in names:
        encoder = load_engine(name)
        out = CACHE / "engines" / f"{name}-{len(policies)}"
        out.parent.mkdir(parents=True, exist_ok=True)
        build_index(policies, out, encoder)
        assistant = Assistant.open(out, encoder=encoder)
        scored[name] = [run.score_question(assistant, question) for question in questions]
        log.info("%s: %s", name, figures(scored[name]))
    sys.stdout.write(report(scored) + "\n")
    return 0
