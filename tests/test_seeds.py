"""What hypothesis makes up: the same each time, and under ``--soak`` other each time, from a seed that is told."""

from __future__ import annotations

from pathlib import Path

import hypothesis.core
import pytest
from hypothesis import settings

from .conftest import seed_line


def test_what_is_made_up_differs_under_soak_alone_and_its_seed_is_told(pytestconfig: pytest.Config) -> None:
    soaked = bool(pytestconfig.getoption("--soak"))
    assert settings(max_examples=3).derandomize is not soaked  # as the tests' own, which name no derandomize
    assert seed_line(pytestconfig) == (
        f"soak: --hypothesis-seed={hypothesis.core.global_force_seed}" if soaked else None
    )


def test_no_test_chooses_for_itself_whether_it_is_always_the_same() -> None:
    own = Path(__file__)
    chosen = [path for path in own.parent.rglob("test_*.py") if path != own and "derandomize" in path.read_text()]
    assert chosen == []
