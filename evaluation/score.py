"""The run of ``python -m evaluation``: indexes built or found, every set put to them, one report."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from pathlib import Path

from evaluation import report, run
from evaluation.questions import Question, load_questions, load_situations
from index.encoder import Encoder, load_encoder
from retrieval import Assistant

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "corpus" / "policies"
SHARED = ROOT.parent / "shared" / "data"
CACHE = ROOT / "build" / "evaluation"
TIMED_QUESTIONS = 200  # some fifty calls a stage: enough for a 95th percentile, a few seconds of work


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the run."""
    parser.add_argument("--index", type=Path, help="an index that holds the apps of the questions (default: built)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole report there as JSON")
    parser.add_argument("--limit", type=int, metavar="N", help="score a seeded sample of N questions")
    parser.add_argument("--situations", choices=("open", "final", "none"), default="open", help="default: open")
    parser.add_argument(
        "--apps135", action=BooleanOptionalAction, default=True, help="index all 135 policies too (minutes, once)"
    )
    parser.add_argument("--worst", type=int, default=20, metavar="N", help="show the N worst answers (default 20)")


def score(options: Namespace) -> int:
    """Run what ``options`` ask for, print the tables and return the exit code: 2 where data was missing, else 0."""
    questions_folder, policies = SHARED / "questions" / "dev", SHARED / "policies"
    missing = [str(folder) for folder in (questions_folder, policies) if not folder.is_dir()]
    result: report.Report = {"index": "the shipped policies"}
    questions: list[Question] = []
    encoder = load_encoder()
    all_apps = open_index(CACHE / "all", [SEEDS, policies], encoder) if options.apps135 and not missing else None
    if not missing:
        questions = load_questions(questions_folder, limit=options.limit)
        if all_apps is not None and not options.index:
            assistant = all_apps
            result["index"] = "the shipped policies and the 130 others"
        else:
            folders = [SEEDS, dev_policies(questions_folder, policies)]
            assistant = (
                Assistant.open(options.index, encoder=encoder)
                if options.index
                else open_index(CACHE / "dev", folders, encoder)
            )
            result["index"] = str(options.index or "the shipped policies and the six dev apps")
        log.info("%d questions", len(questions))
        result["milliseconds"] = report.report_times(
            run.time_stages(
                assistant, questions[:TIMED_QUESTIONS], encode=lambda query: encoder.encode_queries([query])
            )
        )
        outcomes = [run.score_question(assistant, question) for question in questions]
        result["questions"] = report.report_questions(outcomes)
        result["worst"] = report.find_worst(outcomes, options.worst)
    if all_apps is not None:
        named = [question for question in questions if question.mentions_app]
        result["apps135"] = report.report_resolutions([run.resolve_question(all_apps, q) for q in named])
    if options.situations != "none":
        result["situations"] = {options.situations: _score_situations(options.situations, all_apps, encoder)}
    sys.stdout.write(report.render(result))
    if options.json:
        options.json.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if missing:
        sys.stderr.write(
            f"skipped what needs the shared data: {', '.join(missing)} not found (see evaluation/README.md)\n"
        )
    return 2 if missing else 0


def open_index(path: Path, folders: Sequence[Path], encoder: Encoder) -> Assistant:
    """Bring the index at ``path`` up to date by the public command, which encodes what is new, and open it."""
    sources = [argument for folder in folders for argument in ("--policies", str(folder))]
    command = [sys.executable, "-m", "app", "index", "build", *sources, "--out", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return Assistant.open(path, encoder=encoder)


def dev_policies(questions: Path, policies: Path) -> Path:
    """Return a folder of our own with those policies that have dev questions and are not shipped."""
    folder = CACHE / "dev_policies"
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(questions.glob("*.jsonl")):
        source = policies / f"{file.stem}.txt"
        if source.is_file():
            shutil.copyfile(source, folder / source.name)
    return folder


def _score_situations(name: str, all_apps: run.Assistant | None, encoder: Encoder) -> report.Report:
    assistants = {"five": Assistant.open(encoder=encoder), "all": all_apps}
    if all_apps is None:
        log.warning("the situations over all 135 apps are left out")
    verdicts = []
    for situation in load_situations(ROOT / "evaluation" / f"situations_{name}.jsonl"):
        assistant = assistants[situation.corpus]
        if assistant is not None:
            verdicts.append(run.judge_situation(assistant, situation))
    return report.report_situations(verdicts, name_failures=name == "open")
