"""What the comparison of engines counts, on written-down outcomes, and the shipped weights on both engines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.engines import COLUMNS, differing, figures, load_engine, main, report

from .test_report import DECLINED, FALSE, OUTCOME, WRONG

LOST = replace(OUTCOME, rank=2)
WON = replace(WRONG, rank=1)


def test_the_figures_are_those_of_the_report() -> None:
    row = figures([OUTCOME, WRONG, FALSE, DECLINED])
    assert list(row) == [*COLUMNS, "AUROC"]
    assert (row["hit@1"], row["quote F1"], row["answered"], row["false"]) == (0.5, 1.0, 1.0, 0.5)
    assert row["AUROC"] == pytest.approx(3 / 4)
    assert set(figures([]).values()) == {0.0}


def test_what_only_one_of_two_has_right_is_named() -> None:
    assert differing([LOST, WON], [OUTCOME, WRONG]) == {"won": ["甲-2"], "lost": ["甲-1"]}
    lines = report({"torch-f32": [OUTCOME, WRONG], "other": [LOST, WON], "same": [OUTCOME, WRONG]}).splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["torch-f32", "0.500"], ["other", "0.500"], ["same", "0.500"]]
    assert lines[4] == "other against torch-f32, first clause right: won 甲-2; lost 甲-1"
    assert lines[5].endswith("the same questions")


def test_an_engine_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tensorflow"])
    assert "there are torch-f32, torch-bf16, openvino-f32, openvino-bf16" in capsys.readouterr().err


@pytest.mark.model
def test_both_engines_run_the_same_weights() -> None:
    torch, openvino = (load_engine(name) for name in ("torch-f32", "openvino-f32"))
    assert torch.fingerprint == openvino.fingerprint
    [one], [other] = (engine.encode_queries(["怎么注销账号"]).vectors for engine in (torch, openvino))
    assert float(np.dot(one, other)) > 0.9999
