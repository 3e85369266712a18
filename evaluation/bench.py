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
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from corpus.load import default_policies_folder, load_policies
from evaluation.questions import load_questions
from evaluation.run import time_stages
from index.encoder import load_encoder
from index.store import build_index
from retrieval import Assistant

ROOT = Path(__file__).resolve().parent.parent
QUESTION = {"question": "津心办怎么注销账号"}


def time_command(*arguments: str) -> float:
    """Return the seconds that a fresh Python takes for ``arguments``."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def time_first_answer() -> float:
    """Return the seconds from starting ``wentiao serve`` to its first answer over HTTP, the index being built."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/ask", json.dumps(QUESTION).encode(), {"content-type": "application/json"}
    )
    began = time.perf_counter()
    command = [sys.executable, "app.py", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            try:
                with urllib.request.urlopen(request) as reply:
                    reply.read()
                return time.perf_counter() - began
            except urllib.error.URLError:
                time.sleep(0.05)
    finally:
        server.terminate()
        server.wait()
    raise RuntimeError(f"the server ended with exit code {server.returncode} before it answered")


def main(arguments: Sequence[str]) -> int:
    """Print one row a figure, with what it is compared to."""
    parser = argparse.ArgumentParser(prog="python -m evaluation bench", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args(arguments)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    out = sys.stdout
    out.write(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {commit.stdout}")

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
    out.write(f"wentiao serve to its first answer         {time_first_answer():8.2f} s\n")

    apps = set(assistant.apps())
    questions = [one for one in load_questions(options.data / "questions" / "dev") if one.app in apps]
    taken = time_stages(assistant, questions * 3, encode=lambda question: encoder.encode_queries([question]))
    own = float(np.median(taken["encoder"]))
    for stage, milliseconds in taken.items():
        p50, p95 = np.percentile(milliseconds, [50, 95])
        out.write(f"{stage:40}  {p50:8.1f} ms p50 {p95:8.1f} ms p95   {p50 / own:6.2f} of the encoder's own\n")
    return 0
