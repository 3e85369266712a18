import tomllib
from collections import Counter
from pathlib import Path

import pytest

from corpus.datatypes import Policy
from corpus.load import decode_policy, default_policies_folder
from corpus.parser import parse_policy
from evaluation.outline import MEASURES, Marks, score_outline

MARKS = Path(__file__).parent / "marks"


@pytest.mark.parametrize("app", ["掌上海关", "汇容客"])
def test_the_shipped_policies_are_parsed_as_marked_by_hand(app: str) -> None:
    marks = tomllib.loads((MARKS / f"{app}.toml").read_text(encoding="utf-8"))
    source = default_policies_folder() / marks["file"]
    policy = Policy(app, decode_policy(source.read_bytes(), name=source.name))
    counts = score_outline(policy, parse_policy(policy), Marks(marks, policy.text))
    assert counts["path", "asked"] > 70
    assert [measure for measure in MEASURES if counts[measure, "right"] < counts[measure, "asked"]] == []


def test_the_scorer_counts_a_wrong_path_a_missed_heading_and_a_wrong_lead_in() -> None:
    text = "一、总则\n我们收集以下信息：\n1.姓名；\n2.电话。"
    marks = {
        "heading": [{"line": 1, "level": 1, "parent": 0}, {"line": 2, "level": 2, "parent": 1}],
        "list": [{"lead_in": 1, "items": [3]}],
    }
    policy = Policy("甲", text)
    counts = score_outline(policy, parse_policy(policy), Marks(marks, text))
    assert counts == Counter(
        {
            ("headings found", "asked"): 2,
            ("headings found", "right"): 1,
            ("headings right", "asked"): 1,
            ("headings right", "right"): 1,
            ("path", "asked"): 2,
            ("lead-in", "asked"): 1,
            ("no lead-in", "asked"): 1,
        }
    )
