"""How long things take on this machine: ``python -m evaluation bench``, on a built index with ``--index PATH``.

Cold figures come from fresh processes, warm ones from calls that take turns in one process, so that ratios hold on a
shared machine too; milliseconds by themselves compare within one run only. ``--profile`` tells where the time of an ask
goes, stage by stage, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from corpus.datatypes import Policy
from corpus.load import default_policies_folder, load_policies
from corpus.messages import message
from evaluation.questions import Question, load_questions
from evaluation.run import time_stages
from evaluation.serving import ask_request, serving
from index.encoder import Encoder, load_encoder
from index.maintain import add_policies
from index.manifest import current_generation, read_manifest
from index.segment import OUTLINE_FILES, Segment
from index.store import build_index, default_index_folder
from retrieval import Assistant
from retrieval.stages import STAGES, recording

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 5  # questions before the clock counts
ASKED_OF_SERVER = 200  # questions after which a serving process is weighed
NAMELESS_EVERY = 20  # of these so many ask all apps
ACROSS = 30  # questions put to all apps for a row
STARTS = 3
TEXT_FILES = (*OUTLINE_FILES, "units.json")
ARRAY_FILES = ("vectors.npy", "tokens.npy")  # their size follows from the number of their rows
BFLOAT16 = ("amx_bf16", "avx512_bf16")


def time_request(url: str, question: Question, *, named: bool) -> float:
    """Put one question over HTTP, ``named`` with its app; return the milliseconds of the whole request."""
    asked = {"question": question.question} | ({"app": question.app} if named else {})
    began = time.perf_counter()
    with urllib.request.urlopen(ask_request(url, asked)) as reply:
        reply.read()
    return 1000 * (time.perf_counter() - began)


def time_command(*arguments: str) -> float:
    """Return the seconds that a fresh Python takes for ``arguments``."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def read_memory(status: str) -> dict[str, float]:
    """Return what ``/proc/PID/status`` says of memory, in MB of 10**6 bytes: resident, of it own and of files."""
    kilobytes = dict(
        line.split(":", 1) for line in status.splitlines() if line.startswith(("VmRSS", "RssAnon", "RssF"))
    )
    return {name: int(amount.split()[0]) * 1024 / 1e6 for name, amount in kilobytes.items()}


def measure_server(index: Path | None, questions: Sequence[Question]) -> Iterator[str]:
    """Yield how long servers take to a first answer, and of the last one memory and requests' times."""
    firsts: list[float] = []
    for _ in range(STARTS - 1):
        with serving(index) as server:
            firsts.append(server.first_answer)
    with serving(index) as server:
        firsts.append(server.first_answer)
        yield f"wentiao serve to its first answer         {min(firsts):8.2f} s   the best of {_listed(firsts)}"
        before = read_memory(Path(f"/proc/{server.pid}/status").read_text())
        taken: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(ASKED_OF_SERVER):
            named = turn % NAMELESS_EVERY != NAMELESS_EVERY - 1
            taken[named].append(time_request(server.url, questions[turn % len(questions)], named=named))
        after = read_memory(Path(f"/proc/{server.pid}/status").read_text())
        yield (
            f"resident memory of the server             {after['VmRSS']:8.0f} MB  after {ASKED_OF_SERVER} questions; "
            f"its own {after['RssAnon']:.0f}, of files {after['RssFile']:.0f}; after one {before['VmRSS']:.0f}"
        )
        for told, named in (("app given", True), ("app in the question or in none", False)):
            yield _row(f"POST /api/v1/ask, {told}", taken[named])


def _listed(seconds: Sequence[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in seconds)


def _row(about: str, milliseconds: Sequence[float], own: float | None = None) -> str:
    p50, p95 = np.percentile(milliseconds, [50, 95])
    compared = f"   {p50 / own:6.2f} of the encoder's own" if own is not None else ""
    return f"{about:40}  {p50:8.2f} ms p50 {p95:8.2f} ms p95{compared}"


def measure_calls(assistant: Assistant, encoder: Encoder, questions: Sequence[Question]) -> Iterator[str]:
    """Yield what calls take whose app is given, and those to all apps, against the encoder's own pass over a query."""
    taken = time_stages(assistant, [*questions] * 3, encode=lambda question: encoder.encode_queries([question]))
    own = float(np.median(taken["encoder"]))
    for stage, milliseconds in taken.items():
        yield _row(stage, milliseconds, own)
    nameless = [assistant.without_apps(one.question) for one in questions[:: max(1, len(questions) // ACROSS)]]
    across: dict[str, Callable[[str], object]] = {
        "ask, no app named": assistant.ask,
        "search, no app named": assistant.search,
        "compare, no app named": assistant.compare,
    }
    for text in nameless:
        assistant.compare(text)  # opens every app's files, once
    for name, call in across.items():
        spent: list[float] = []
        for text in nameless:
            began = time.perf_counter()
            call(text)
            spent.append(1000 * (time.perf_counter() - began))
        yield _row(f"{name}, {len(assistant.apps())} apps", spent, own)


def measure_stages(assistant: Assistant, encoder: Encoder, questions: Sequence[Question]) -> Iterator[str]:
    """Yield what every stage of an ask takes, against the encoder's own pass over the same query, in turns with it."""
    taken: dict[str, list[float]] = {name: [] for name in (*STAGES, "the rest", "ask, whole", "encoder's own pass")}
    warm_up = questions[:WARM_UP]
    for turn, question in enumerate([*warm_up, *questions]):
        with recording() as times:
            assistant.ask(question.question, app=question.app)
        began = time.perf_counter()
        encoder.encode_queries([question.question])
        own_pass = time.perf_counter() - began
        if turn < len(warm_up):
            continue
        spent = {name: times.get(name, 0.0) for name in STAGES}
        spent |= {"the rest": times.unnamed, "ask, whole": times.total, "encoder's own pass": own_pass}
        for name, seconds in spent.items():
            taken[name].append(1000 * seconds)
    own = float(np.median(taken["encoder's own pass"]))
    for name, milliseconds in taken.items():
        yield _row(name, milliseconds, own)


def describe_machine(cpuinfo: str) -> str:
    """Return the processor, its cores and how it multiplies bfloat16, as ``/proc/cpuinfo`` tells it."""
    told = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in told.items()}
    kinds = [kind for kind in BFLOAT16 if kind in fields.get("flags", "").split()]
    cores = sum(line.startswith("processor") for line in cpuinfo.splitlines())
    return f"{fields.get('model name', 'processor unknown')}, {cores} cores, {' and '.join(kinds) or 'no bfloat16'}"


def compressed(address: str) -> int:
    """Return how many bytes the server sends for a file, compressed."""
    request = urllib.request.Request(address, headers={"accept-encoding": "gzip"})
    with urllib.request.urlopen(request) as response:
        return len(response.read())


def measure_pages(address: str) -> Iterator[str]:
    """Yield what the pages weigh, and how long a click on the widget's button takes to a focused input.

    :raises ModuleNotFoundError: without Playwright, which only the tests require.
    """
    from playwright.sync_api import sync_playwright

    frame = ("widget/frame", "page/theme.css", "widget/frame.css", "widget/frame.js")
    yield f"widget.js, compressed                     {compressed(address + 'widget.js'):8,} bytes"
    yield f"the widget's frame, compressed            {sum(compressed(address + path) for path in frame):8,} bytes"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(locale="zh-CN")
        sizes: list[int] = []
        page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
        page.goto(address)
        page.wait_for_selector("#wt-log[role=log]", state="attached")
        page.wait_for_load_state("networkidle")
        yield f"first load of the chat                    {sum(sizes):8,} bytes in {len(sizes)} requests"
        taken: list[float] = []
        for _ in range(5):
            page = browser.new_page(locale="zh-CN")
            page.goto(f"{address}widget/demo")
            button = page.get_by_role("button", name=message("widget.title", "zh"), exact=True)
            button.wait_for()
            began = time.perf_counter()
            button.click()
            page.frame_locator("wentiao-widget iframe").locator("#question:focus").wait_for()
            taken.append(1000 * (time.perf_counter() - began))
            page.close()
        yield f"click on the widget to a focused input    {np.median(taken):8.0f} ms, the median of five"
        browser.close()


def measure_addition(data: Path) -> Iterator[str]:
    """Yield how long all policies of ``data`` take to index, and one of middling length that is added to the others."""
    encoder = load_encoder()
    policies = sorted(
        load_policies([default_policies_folder(), data / "policies"]), key=lambda policy: len(policy.text)
    )
    added = policies.pop(len(policies) // 2)
    encoder.encode_queries(["热身"])  # so that the model is loaded on neither side
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        build_index(policies, Path(folder), encoder)
        others = time.perf_counter() - began
        began = time.perf_counter()
        add_policies(Path(folder), [added], encoder)
        one = time.perf_counter() - began
    yield f"build the index of {len(policies)} policies             {others:8.1f} s"
    yield f"add one more ({len(added.text):,} characters)         {one:8.1f} s   {one / (others + one):6.4f} of all"


def measure_storage(index: Path) -> Iterator[str]:
    """Yield how much the current versions of an index are, under the names of docs/scale.md."""
    manifest = read_manifest(index)
    counted = dict.fromkeys(("clauses", "units", "token_vectors", "text_bytes", "lexical_bytes", "other_bytes"), 0)
    for version in manifest.current:
        segment = Segment.load(index / "segments" / version.segment)
        counted["clauses"] += len(segment.clauses)
        counted["units"] += len(segment.units)
        counted["token_vectors"] += len(segment.tokens)
        for file in (index / "segments" / version.segment).rglob("*"):
            if file.is_file() and file.name not in ARRAY_FILES:
                kind = "text" if file.name in TEXT_FILES else "lexical" if file.parent.name == "lexical" else "other"
                counted[f"{kind}_bytes"] += file.stat().st_size
    yield f"policies                                  {len(manifest.current):13,}"
    for name, amount in counted.items():
        yield f"{name:40}  {amount:13,}"
    written = (index / "generations" / f"{current_generation(index)}.json").stat().st_size
    yield f"manifest_bytes_per_policy                 {written / len(manifest.current):13,.0f}"


def measure_build(policies: Sequence[Policy], encoder: Encoder) -> Iterator[str]:
    """Yield how long ``policies`` take to index, and again when nothing has changed."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        build_index(policies, Path(folder), encoder)
        build = time.perf_counter() - began
        began = time.perf_counter()
        build_index(policies, Path(folder), encoder)
        rebuild = time.perf_counter() - began
    yield f"build the index of the five policies      {build:8.2f} s"
    yield f"build it again, nothing changed           {rebuild:8.2f} s   {rebuild / build:6.3f} of the build"


def main(arguments: Sequence[str]) -> int:
    """Print one row a figure, with what it is compared to."""
    parser = argparse.ArgumentParser(prog="python -m evaluation bench", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--apps135", action="store_true", help="measure adding a policy to all others and nothing else: some 20 minutes"
    )
    parser.add_argument(
        "--index", type=Path, metavar="PATH", help="a built index that holds the shipped apps: starting and asking only"
    )
    parser.add_argument("--profile", action="store_true", help="where the time of an ask goes, and nothing else")
    options = parser.parse_args(arguments)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    out = sys.stdout
    load = f"load {os.getloadavg()[0]:.1f}"
    machine = describe_machine(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    out.write(f"{machine}, {load}, Python {platform.python_version()}, {commit.stdout}")

    if options.apps135:
        out.writelines(f"{line}\n" for line in measure_addition(options.data))
        return 0
    encoder = load_encoder()
    policies = load_policies([default_policies_folder()])
    if not options.profile and options.index is None:
        out.writelines(f"{line}\n" for line in measure_build(policies, encoder))
    assistant = Assistant.open(options.index, encoder=encoder)
    shipped = {policy.app for policy in policies} & set(assistant.apps())
    questions = [one for one in load_questions(options.data / "questions" / "dev") if one.app in shipped]
    out.write(f"{len(assistant.apps())} apps, {len(questions)} questions\n")
    if options.profile:
        out.writelines(f"{line}\n" for line in measure_stages(assistant, encoder, questions))
        return 0
    empty = min(time_command("-c", "pass") for _ in range(3))
    imported = min(time_command("-c", "import retrieval") for _ in range(3)) - empty
    out.write(f"import retrieval                          {imported:8.2f} s\n")
    out.writelines(f"{line}\n" for line in measure_server(options.index, questions))
    if options.index is None:
        try:
            with serving() as server:
                out.writelines(f"{line}\n" for line in measure_pages(server.url))
        except ModuleNotFoundError as exc:
            out.write(f"pages not measured: {exc.name} is not installed (requirements-dev.txt)\n")
    out.writelines(f"{line}\n" for line in measure_calls(assistant, encoder, questions))
    out.writelines(f"{line}\n" for line in measure_storage(options.index or default_index_folder()))
    return 0
