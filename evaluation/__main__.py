"""``python -m evaluation [score | ablation | baselines | bench | calibrate | topics] [options]``."""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module

from evaluation.score import add_arguments, score


def main(arguments: Sequence[str]) -> int:
    """Run one command, ``score`` where none is named, and return its exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("evaluation").setLevel(logging.INFO)
    if arguments[:1] and arguments[0] in ("ablation", "baselines", "bench", "calibrate", "topics"):
        code: int = import_module(f"evaluation.{arguments[0]}").main(arguments[1:])
        return code
    parser = ArgumentParser(prog="python -m evaluation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_arguments(commands.add_parser("score", help="score search, answers, situations and speed (the default)"))
    commands.add_parser("ablation", help="score what each part of the search is worth")
    commands.add_parser("baselines", help="score the default splitters of LangChain and LlamaIndex")
    commands.add_parser("bench", help="time building, starting and answering")
    commands.add_parser("calibrate", help="choose the thresholds on held-out training policies")
    commands.add_parser("topics", help="score the topics of CAPP-130's sentences")
    named = arguments[:1] == ["score"] or arguments[:1] in (["-h"], ["--help"])
    return score(parser.parse_args(arguments if named else ["score", *arguments]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
