"""What the comparison of stores counts, on written-down replies and on a Milvus Lite file with the small encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from evaluation.questions import Question
from evaluation.stores import FOLDER, StoreScore, compare_stores, report
from index.encoder import FakeEncoder
from retrieval import Assistant

from .fake_assistant import LINES, FakeAssistant


def ask_about(app: str, number: int, evidence: Sequence[str]) -> Question:
    return Question(f"{app}-{number}", app, "zh", "plain", "怎么注销账号", bool(evidence), tuple(evidence), (), True)


def test_a_store_is_held_to_the_first_one_and_to_the_evidence() -> None:
    questions = [ask_about("甲", 1, [LINES[0]]), ask_about("乙", 2, [LINES[1]]), ask_about("甲", 3, [])]
    assistants = {
        FOLDER: FakeAssistant(),
        "same": FakeAssistant(),
        "swapped": FakeAssistant((1, 0, 2)),
        "ends otherwise": FakeAssistant((0, 2, 1)),
        "silent": FakeAssistant(silent_on="注销"),
    }
    scores = compare_stores(assistants, questions, clock=count().__next__)
    assert {
        name: (one.asked, one.answerable, one.hits, one.same_first, one.same_status, one.same_passages)
        for name, one in scores.items()
    } == {
        FOLDER: (3, 2, 1, 3, 3, 3),
        "same": (3, 2, 1, 3, 3, 3),
        "swapped": (3, 2, 1, 0, 3, 0),
        "ends otherwise": (3, 2, 1, 3, 3, 0),
        "silent": (3, 2, 1, 0, 0, 3),
    }
    assert scores["swapped"].search == scores["swapped"].ask == [1000.0] * 3


def test_the_table_has_a_row_a_store() -> None:
    score = StoreScore(4, 2, 1, 3, 4, 2, search=[1.0, 2.0, 3.0], ask=[10.0, 10.0, 10.0])
    row = report({FOLDER: score}).splitlines()[1]
    assert row.split() == [
        *("index", "folder", "4", "75.00%", "100.00%", "50.00%", "0.5000"),
        *("2.0", "/", "2.9", "10.0", "/", "10.0"),
    ]


@pytest.mark.milvus
def test_a_file_replies_as_the_index_folder_does(shipped_folder: Path, tmp_path: Path) -> None:
    for module in ("pymilvus", "milvus_lite"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install -r requirements-milvus.txt")
    address = str(tmp_path / "vectors.db")
    opened = {
        name: Assistant.open(shipped_folder, encoder=FakeEncoder(), store=store)
        for name, store in ((FOLDER, None), (address, address))
    }
    apps = opened[FOLDER].apps()
    scores = compare_stores(opened, [ask_about(app, number, ()) for number, app in enumerate(apps)])
    one = scores[address]
    assert (one.asked, one.same_first, one.same_status, one.same_passages) == (len(apps),) * 4
