"""How long things take on this machine: ``python -m evaluation bench``.

Cold figures come from fresh processes, warm ones from calls that take turns in one process, so that ratios hold on a
shared machine too; milliseconds by themselves compare within one run only.
"""

from __future__ import annotations

import argparse
import json
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from corpus.load import default_policies_folder, load_policies
from corpus.messages import message
from evaluation.questions import load_questions
from evaluation.run import time_stages
from index.encoder import load_encoder
from index.maintain import add_policies
from index.store import build_index
from retrieval import Assistant

ROOT = Path(__file__).resolve().parent.parent
QUESTION = {"question": "津心办怎么注销账号"}


def time_command(*arguments: str) -> float:
    """Return the seconds that a fresh Python takes for ``arguments``."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


@contextmanager
def served() -> Iterator[tuple[str, float]]:
    """Run ``wentiao serve``; yield its address, and the seconds from its start to its first answer over HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    request = urllib.request.Request(
        f"{address}api/v1/ask", json.dumps(QUESTION).encode(), {"content-type": "application/json"}
    )
    began = time.perf_counter()
    command = [sys.executable, "app.py", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            try:
                with urllib.request.urlopen(request) as reply:
                    reply.read()
            except urllib.error.URLError:
                time.sleep(0.05)
                continue
            yield address, time.perf_counter() - began
            return
        raise RuntimeError(f"the server ended with exit code {server.returncode} before it answered")
    finally:
        server.terminate()
        server.wait()


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


def main(arguments: Sequence[str]) -> int:
    """Print one row a figure, with what it is compared to."""
    parser = argparse.ArgumentParser(prog="python -m evaluation bench", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--apps135", action="store_true", help="measure adding a policy to all others and nothing else: some 20 minutes"
    )
    options = parser.parse_args(arguments)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    out = sys.stdout
    out.write(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {commit.stdout}")

    if options.apps135:
        out.writelines(f"{line}\n" for line in measure_addition(options.data))
        return 0
    encoder = load_encoder()
    policies = load_policies([default_policies_folder()])
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        build_index(policies, Path(folder), encoder)
        build = time.perf_counter() - began
        began = time.perf_counter()
        build_index(policies, Path(folder), encoder)
        rebuild = time.perf_counter() - began
    out.write(f"build the index of the five policies      {build:8.2f} s\n")
    out.write(f"build it again, nothing changed           {rebuild:8.2f} s   {rebuild / build:6.3f} of the build\n")

    assistant = Assistant.open(encoder=encoder)
    empty = min(time_command("-c", "pass") for _ in range(3))
    imported = min(time_command("-c", "import retrieval") for _ in range(3)) - empty
    out.write(f"import retrieval                          {imported:8.2f} s\n")
    with served() as (address, seconds):
        out.write(f"wentiao serve to its first answer         {seconds:8.2f} s\n")
        try:
            out.writelines(f"{line}\n" for line in measure_pages(address))
        except ModuleNotFoundError as exc:
            out.write(f"pages not measured: {exc.name} is not installed (requirements-dev.txt)\n")

    apps = set(assistant.apps())
    questions = [one for one in load_questions(options.data / "questions" / "dev") if one.app in apps]
    taken = time_stages(assistant, questions * 3, encode=lambda question: encoder.encode_queries([question]))
    own = float(np.median(taken["encoder"]))
    for stage, milliseconds in taken.items():
        p50, p95 = np.percentile(milliseconds, [50, 95])
        out.write(f"{stage:40}  {p50:8.1f} ms p50 {p95:8.1f} ms p95   {p50 / own:6.2f} of the encoder's own\n")
    return 0
