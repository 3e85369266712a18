"""What several test files share: the five shipped policies indexed with the small encoder, and assistants over them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis.core
import numpy as np
import pytest
from hypothesis import settings

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary, load_known_apps
from corpus.load import default_policies_folder, load_policies
from index.encoder import FakeEncoder
from index.store import Generation, build_index, open_generation
from retrieval import Answer, Assistant
from retrieval.apps import AppResolver
from retrieval.decide import FEATURES, Decision, Logistic

from . import invariants

ENCODER = FakeEncoder()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--soak``, which ``make soak`` gives."""
    parser.addoption("--soak", action="store_true", help="as many kills, faults and inputs as take hours")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker that goes with `always_true`."""
    config.addinivalue_line("markers", "damages: damages an index on purpose; its answers are not checked")
    # What hypothesis makes up is always the same, and under --soak other each time, from a seed that is printed.
    settings.register_profile("same", derandomize=True)
    settings.register_profile("soak", derandomize=False)
    settings.load_profile("soak" if config.getoption("--soak") else "same")
    if config.getoption("--soak") and config.getoption("--hypothesis-seed") is None:
        hypothesis.core.global_force_seed = random.SystemRandom().getrandbits(32)


def seed_line(config: pytest.Config) -> str | None:
    """Return what makes ``--soak`` try the same again; ``None`` without it."""
    if not config.getoption("--soak"):
        return None
    given = config.getoption("--hypothesis-seed")
    return f"soak: --hypothesis-seed={hypothesis.core.global_force_seed if given is None else given}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Tell the seed before hours are spent, however quiet pytest is."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and (line := seed_line(session.config)):
        reporter.write_line(line)


@pytest.fixture(autouse=True)
def always_true(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check all that any assistant answers in this test, behind a route, MCP or a command too."""
    if request.node.get_closest_marker("damages"):
        yield
        return
    failures: list[BaseException] = []
    checks = {
        "ask": invariants.check_answer,
        "search": invariants.check_passages,
        "profile": invariants.check_profile,
        "compare_topic": invariants.check_rows,
    }
    for name, check in checks.items():
        monkeypatch.setattr(Assistant, name, invariants.checked(getattr(Assistant, name), check, failures))
    for name in ("compare_each", "compare_topic_each"):
        monkeypatch.setattr(Assistant, name, invariants.checked_each(getattr(Assistant, name), failures))
    yield
    if failures:
        pytest.fail(f"{len(failures)} answers broke what is always true; the first: {failures[0]!r}")


@pytest.fixture(scope="session")
def amount(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Return the first of two numbers, with ``--soak`` the second: kills, mutations, examples, seconds."""

    def choose(few: int, many: int) -> int:
        return many if request.config.getoption("--soak") else few

    return choose


def decide(*, topic: bool = True, bias: float = 0.0, **weights: float) -> Decision:
    """Return a decision on named features alone; with a bias of 20 everything is answered, with -20 nothing."""
    return Decision(
        answers=Logistic(np.array([weights.get(name, 0.0) for name in FEATURES]), bias),
        answers_threshold=0.5,
        on_topic=Logistic(np.zeros(ENCODER.dimension + 1), 20.0 if topic else -20.0),
        on_topic_threshold=0.5,
    )


@dataclass(frozen=True)
class Shelf:
    """An index in memory, and assistants over it that differ in their decision alone."""

    generation: Generation
    resolver: AppResolver

    def assistant(self, decision: Decision) -> Assistant:
        return Assistant(self.generation, ENCODER, self.resolver, load_glossary(), decision)


@pytest.fixture(scope="session")
def shelve(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Policy]], Shelf]:
    """Index policies with the small encoder, in a folder of their own."""

    def shelve(policies: Sequence[Policy]) -> Shelf:
        folder = tmp_path_factory.mktemp("index")
        build_index(policies, folder, ENCODER)
        generation = open_generation(folder, ENCODER.fingerprint)
        return Shelf(generation, AppResolver(policies, load_known_apps()))

    return shelve


@pytest.fixture(scope="session")
def shipped_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the five shipped policies, made with the small encoder."""
    folder = tmp_path_factory.mktemp("shipped")
    build_index(load_policies([default_policies_folder()]), folder, ENCODER)
    return folder


@pytest.fixture(scope="session")
def shipped(shipped_folder: Path) -> Shelf:
    """The five shipped policies."""
    generation = open_generation(shipped_folder, ENCODER.fingerprint)
    return Shelf(generation, AppResolver([segment.policy for segment in generation.segments], load_known_apps()))


@pytest.fixture(scope="session")
def assistant(shipped: Shelf) -> Assistant:
    """An assistant over the five shipped policies that takes every question and answers it."""
    return shipped.assistant(decide(bias=20.0))


@pytest.fixture(scope="session")
def check_answer() -> Callable[[Assistant, Answer], None]:
    """The checker of what is always true of an answer."""
    return invariants.check_answer
