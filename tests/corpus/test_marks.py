import tomllib
from collections import Counter
from pathlib import Path

import pytest

from corpus.datatypes import Policy
from corpus.load import decode_policy, default_policies_folder
from corpus.parser import parse_policy
from evaluation.outline import MEASURES, Marks, score_outline

MARKS = Path(__file__).parent / "marks"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "policies"


@pytest.mark.parametrize("app", ["掌上海关", "汇容客", "津心办"])
def test_the_shipped_policies_are_parsed_as_marked_by_hand(app: str) -> None:
    marks = tomllib.loads((MARKS / f"{app}.toml").read_text(encoding="utf-8"))
    source = default_policies_folder() / marks["file"]
    policy = Policy(app, decode_policy(source.read_bytes(), name=source.name))
    counts = score_outline(policy, parse_policy(policy), Marks(marks, policy.text))
    assert counts["path", "asked"] > 70
    assert [measure for measure in MEASURES if counts[measure, "right"] < counts[measure, "asked"]] == []


@pytest.mark.policies130
@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data/policies is absent")
def test_the_twelve_marked_policies_are_parsed_as_well_as_the_project_claims() -> None:
    total: Counter[tuple[str, str]] = Counter()
    files = sorted(MARKS.glob("*.toml"))
    assert len(files) == 12
    for path in files:
        marks = tomllib.loads(path.read_text(encoding="utf-8"))
        folder = default_policies_folder() if marks["source"] == "seeds" else SHARED
        policy = Policy(path.stem, decode_policy((folder / marks["file"]).read_bytes(), name=marks["file"]))
        total += score_outline(policy, parse_policy(policy), Marks(marks, policy.text))
    share = {measure: total[measure, "right"] / total[measure, "asked"] for measure in MEASURES}
    assert share["path"] >= 0.985
    assert share["lead-in"] >= 0.99
    assert share["contents"] == share["documents"] == share["joins"] == share["headings found"] == 1


@pytest.mark.parametrize("path", sorted(MARKS.rglob("*.toml")), ids=lambda path: path.stem)
def test_marks_name_lines_in_order_and_parents_that_are_headings(path: Path) -> None:
    marks = tomllib.loads(path.read_text(encoding="utf-8"))
    first, last = marks["lines_marked"]
    levels = {heading["line"]: heading["level"] for heading in marks["heading"]}
    assert list(levels) == sorted(levels)
    assert all(first <= line <= last for line in levels)
    for heading in marks["heading"]:
        assert heading["parent"] < heading["line"]
        assert heading["level"] == levels.get(heading["parent"], 0) + 1
    for listed in marks["list"]:
        assert listed["items"] == sorted(listed["items"])
        assert first <= listed["lead_in"] <= listed["items"][0] <= listed["items"][-1] <= last
    assert all(under["heading"] in levels for under in marks.get("under", ()))


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
