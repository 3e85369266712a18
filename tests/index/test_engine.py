"""Which number type a CPU is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from index.engine import core_count, supports_bfloat16


@pytest.mark.parametrize(
    ("information", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni\n", True),
        ("flags\t\t: fpu avx512f amx_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
        ("model name\t: avx512_bf16\nflags\t\t: fpu sse2\n", False),
        ("Features\t: fp asimd bf16\n", False),
        ("", False),
    ],
)
def test_bfloat16_is_for_a_cpu_that_multiplies_it(tmp_path: Path, information: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(information)
    assert supports_bfloat16(tmp_path / "cpuinfo") is expected


def test_without_the_file_nothing_is_assumed(tmp_path: Path) -> None:
    assert not supports_bfloat16(tmp_path / "absent")


def test_cores_are_those_that_are_allowed_and_not_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3, 5, 7}, raising=False)
    for said, counted in (("", 3), ("none", 3), ("0", 3), ("2", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert core_count() == counted
