"""``python -m evaluation [COMMAND] [options]``; without a command, ``score``. ``--help`` lists them."""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module

from evaluation.score import add_arguments, score

OTHERS = {
    "ablation": "score what each part of the search is worth",
    "baselines": "score the default splitters of LangChain and LlamaIndex",
    "bench": "time building, starting and answering",
    "building": "compare the build of an index with the encoder alone, and kill one at half",
    "calibrate": "choose the thresholds on held-out training policies",
    "clauses": "ask every clause of every policy back: nothing may break",
    "endurance": "load a server for ten minutes, change its index meanwhile and end it: answers, memory, what is lost",
    "engines": "score the same weights on torch and on OpenVINO, in float32 and in bfloat16",
    "load": "put a server under load from many clients, and compare with one large batch",
    "outline": "score the parser against marks made by hand",
    "paper": "work out the figures of docs/scale.md that follow from others",
    "profile": "score the profiles of the shipped policies against a sheet made from their texts",
    "rivals": "compare with the stores that people take: speed, memory, disk and quality",
    "scale": "measure what grows with the number of apps, and indexes of up to a million vectors",
    "stores": "compare the index folder with vector stores: the same replies, and how fast",
    "topics": "score the topics of CAPP-130's sentences",
}
"""The commands beside ``score``, each a module with ``main(arguments)``."""


def main(arguments: Sequence[str]) -> int:
    """Run one command, ``score`` where none is named, and return its exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("evaluation").setLevel(logging.INFO)
    if arguments[:1] and arguments[0] in OTHERS:
        code: int = import_module(f"evaluation.{arguments[0]}").main(arguments[1:])
        return code
    parser = ArgumentParser(prog="python -m evaluation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_arguments(commands.add_parser("score", help="score search, answers, situations and speed (the default)"))
    for name, about in OTHERS.items():
        commands.add_parser(name, help=about)
    named = arguments[:1] == ["score"] or arguments[:1] in (["-h"], ["--help"])
    return score(parser.parse_args(arguments if named else ["score", *arguments]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
