"""Imports point down, and importing does no work."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("app", "web", "retrieval", "index", "corpus")
BESIDE = ("evaluation", "training")  # may import every layer; no layer imports them
HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "gradio", "fastapi", "jieba", "bm25s", "opencc")


def sources() -> list[Path]:
    return [ROOT / "app.py", *sorted(path for name in LAYERS[1:] + BESIDE for path in (ROOT / name).rglob("*.py"))]


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def allowed(part: str) -> set[str]:
    """Return the parts of ours that ``part`` may import, itself included."""
    if part == "evaluation":
        return {*LAYERS[1:], *BESIDE}
    if part == "training":
        return {*LAYERS[1:], "training"}
    return set(LAYERS[LAYERS.index(part) :])


def imported(source: str) -> list[tuple[int, str]]:
    """Return line and full name of every import, those inside functions and under TYPE_CHECKING too."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            found.append((node.lineno, node.module or ""))
    return found


def offences(part: str, source: str) -> list[str]:
    """Return the imports of ``source``, a file of ``part``, that point up or aside."""
    ours = {*LAYERS, *BESIDE}
    found = [(line, name) for line, name in imported(source) if name.partition(".")[0] in ours - allowed(part)]
    if part == "evaluation":
        found += [(line, name) for line, name in imported(source) if name.startswith("training")]
        found = [(line, name) for line, name in found if name != "training.data"]
    return [f"line {line} imports {name}" for line, name in found]


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path) -> None:
    found = offences(part_of(path), path.read_text(encoding="utf-8"))
    assert not found, f"{path.relative_to(ROOT)}: {'; '.join(found)}; imports point down: {' -> '.join(LAYERS)}"


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("corpus", "from index.store import build_index"),
        ("index", "import retrieval"),
        ("retrieval", "import web.cli"),
        ("web", "import app"),
        ("web", "from evaluation.run import score"),
        ("training", "from evaluation.run import score"),
        ("evaluation", "from training.encoder import train"),
    ],
)
def test_an_import_that_points_up_is_noticed_inside_a_function_too(part: str, line: str) -> None:
    assert offences(part, f"def work():\n    {line}\n") == [f"line 2 imports {line.split()[1]}"]


def test_the_imports_that_are_meant_are_allowed() -> None:
    assert offences("app", "from web.cli import run\nfrom corpus.load import load_policies") == []
    assert offences("evaluation", "from training.data import held_out\nimport retrieval") == []
    assert offences("index", "import index.errors\nimport numpy") == []


def run_python(code: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert finished.stderr == ""
    return finished.stdout


def test_importing_retrieval_loads_nothing_heavy() -> None:
    """The 0.3 s of DESIGN.md, as a cause and not a clock; the time is printed (pytest -s) for the record."""
    loaded = run_python(
        "import sys, time; start = time.perf_counter(); import retrieval; spent = time.perf_counter() - start;"
        f"print(round(spent, 3), *[name for name in {HEAVY!r} if name in sys.modules])"
    ).split()
    sys.stdout.write(f"import retrieval: {loaded[0]} s\n")
    assert loaded[1:] == []


def test_the_commands_help_loads_nothing_heavy() -> None:
    loaded = run_python(
        "import sys, io, contextlib, app\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): app.main(['--help'])\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded.split() == []


def test_importing_any_module_says_nothing_starts_no_thread_and_opens_no_log() -> None:
    """Every module but those that need a library at the top of the file: the trainer and Gradio's page."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources()
        if path.name != "__main__.py"
        and not {name.partition(".")[0] for _, name in imported(path.read_text(encoding="utf-8"))} & {"torch", "gradio"}
    ]
    said = run_python(
        "import importlib, logging, os, threading\n"
        "before = dict(os.environ)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert dict(os.environ) == before\n"
        "assert threading.active_count() == 1\n"
        "assert not logging.getLogger().handlers\n"
        "print('done')"
    )
    assert said == "done\n"
