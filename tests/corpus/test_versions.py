"""What changed between two versions: a hand-made one exactly, properties on made-up ones, and how like clauses are."""

from __future__ import annotations

import time
import tomllib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.datatypes import Clause, Policy
from corpus.load import default_policies_folder, load_policies
from corpus.parser import split_policy
from corpus.versions import (
    ALIKE_ELSEWHERE,
    ALIKE_IN_PLACE,
    CHANGE_KINDS,
    Change,
    HeadingChange,
    Version,
    count_changes,
    diff_headings,
    diff_outlines,
    mark_words,
)

VERSIONS = Path(__file__).parent / "versions"
MIRROR = {"added": "removed", "removed": "added", "split": "merged", "merged": "split"}


def read(text: str, app: str = "某应用") -> Version:
    policy = Policy(app, text)
    return policy, split_policy(policy)


@pytest.fixture(scope="module")
def seed() -> Version:
    return read((default_policies_folder() / "昶联.txt").read_text(encoding="utf-8"), "昶联")


@pytest.fixture(scope="module")
def update() -> Version:
    return read((VERSIONS / "昶联-2025.txt").read_text(encoding="utf-8"), "昶联")


def marked(clause: Clause | None, marks: tuple[tuple[int, int], ...]) -> list[str]:
    return [clause.text[start:end] for start, end in marks] if clause else []


def brief(changes: tuple[Change, ...]) -> list[tuple[str, str | None, str | None]]:
    return [(one.kind, one.old.text if one.old else None, one.new.text if one.new else None) for one in changes]


# -- Two versions that were compared by hand --------------------------------------------------------------------------


def test_exactly_the_edits_made_by_hand_are_found(seed: Version, update: Version) -> None:
    expected = tomllib.loads((VERSIONS / "edits.toml").read_text(encoding="utf-8"))["change"]
    found = diff_outlines(seed, update)
    assert [change.kind for change in found] == [edit["kind"] for edit in expected]
    for change, edit in zip(found, expected, strict=True):
        assert (change.old is None, change.new is None) == ("old" not in edit, "new" not in edit)
        assert change.old is None or change.old.text.startswith(edit["old"])
        assert change.new is None or change.new.text.startswith(edit["new"])
        assert marked(change.old, change.old_marks) == edit.get("went", [])
        assert marked(change.new, change.new_marks) == edit.get("came", [])
        assert len(change.rest) == len(edit.get("rest", []))
        assert all(part.text.startswith(words) for part, words in zip(change.rest, edit.get("rest", []), strict=True))


def test_headings_that_came_or_got_other_words_are_found(seed: Version, update: Version) -> None:
    expected = tomllib.loads((VERSIONS / "edits.toml").read_text(encoding="utf-8"))["heading"]
    assert [(one.old, one.new) for one in diff_headings(seed, update)] == [
        (edit.get("old"), edit.get("new")) for edit in expected
    ]
    assert sorted(map(str, diff_headings(update, seed))) == sorted(
        str(HeadingChange(edit.get("new"), edit.get("old"))) for edit in expected
    )


def test_changes_are_counted_by_kind(seed: Version, update: Version) -> None:
    assert count_changes(diff_outlines(seed, update)) == {
        "added": 6, "removed": 2, "reworded": 9, "moved": 2, "moved_reworded": 1, "split": 1, "merged": 1,
    }  # fmt: skip


# -- What is a change and what is not ---------------------------------------------------------------------------------

OLD = """隐私政策
一、我们收集的信息
1. 注册时我们收集您的手机号码。
2. 认证时我们收集您的身份证号码。
二、您的权利
1. 您可以在设置中注销账号，我们在15个工作日内处理。
2. 您可以访问您的个人信息。
3. 您可以更正您的个人信息。
"""


def test_numbers_white_space_width_and_zero_width_characters_are_no_change() -> None:
    new = OLD.replace("1. 注册", "(一) \u200b注册").replace("2. 认证", "(二) 认证").replace("，", ", ")
    new = (
        new.replace("二、您的", "第三章 您的")
        .replace("的手机号码。", "的手机 号码;")
        .replace("1. 您可以", "3.1　您可以")
    )
    assert diff_outlines(read(OLD), read(new)) == ()
    assert diff_headings(read(OLD), read(new)) == ()


def test_a_word_is_marked_whole_and_alone() -> None:
    [change] = diff_outlines(read(OLD), read(OLD.replace("15个工作日", "30个自然日")))
    assert change.kind == "reworded"
    assert marked(change.old, change.old_marks) == ["15个工作日内"]  # 日内 is one word in 自然日内
    assert marked(change.new, change.new_marks) == ["30个自然日内"]


def test_latin_words_numbers_and_addresses_are_marked_whole() -> None:
    old, new = "2. 请拨打 400-7800-900，或写信到 legal@a.com。", "(3)请拨打400-7800-901,或写信到 privacy@a.com；"
    assert [old[a:b] for a, b in mark_words(old, new)[0]] == ["400-7800-900", "legal@a.com"]
    assert [new[a:b] for a, b in mark_words(old, new)[1]] == ["400-7800-901", "privacy@a.com"]
    assert mark_words("We keep it for three years", "We keep it for five years") == (((15, 20),), ((15, 19),))


def test_a_clause_inserted_among_identical_ones_is_the_only_change() -> None:
    [policy] = [one for one in load_policies([default_policies_folder()]) if one.app == "津心办"]
    clauses = split_policy(policy)
    place = next(one for one in clauses if one.kind == "item" and clauses[clauses.index(one) - 1].kind == "item")
    added = "为使用水费查询服务，我们会收集您的水表编号。\n"
    text = policy.text[: place.start] + added + policy.text[place.start :]
    changes = diff_outlines((policy, clauses), read(text, policy.app))
    assert brief(changes) == [("added", None, added.strip())]


def test_of_equal_clauses_the_one_under_its_own_heading_is_gone() -> None:
    old = "隐私政策\n一、注册\n1. 我们会征得您的同意。\n二、认证\n1. 我们会征得您的同意。\n2. 我们会核对您的身份。\n"
    new = old.replace("二、认证\n1. 我们会征得您的同意。\n2.", "二、认证\n1.")
    [change] = diff_outlines(read(old), read(new))
    assert (change.kind, change.old and change.old.path) == ("removed", ("二、认证",))


def test_a_clause_under_another_heading_has_moved_though_the_order_is_the_same() -> None:
    lines = OLD.replace("2. 认证", "2. 登录").splitlines()
    lines[4], lines[3] = lines[3], lines[4]
    [change] = diff_outlines(read(OLD.replace("2. 认证", "2. 登录")), read("\n".join(lines)))
    assert (change.kind, change.new and change.new.path) == ("moved", ("二、您的权利",))


def test_an_item_that_comes_under_the_opposite_lead_in_has_moved() -> None:
    old = (
        "隐私政策\n一、同意\n以下情形须征得您的同意：\n(1)用于其他目的的；\n(2)用于公共卫生的。\n"
        "以下情形无需您的同意：\n(1)与国家安全有关的；\n(2)与刑事侦查有关的。\n"
    )
    new = old.replace("\n(2)用于公共卫生的。", "").replace(
        "同意：\n(1)与国家", "同意：\n(1)用于公共卫生的；\n(2)与国家"
    )
    [change] = diff_outlines(read(old), read(new))
    assert (change.kind, change.old and change.old.text) == ("moved", "(2)用于公共卫生的。")


def test_a_heading_in_other_words_moves_nothing() -> None:
    new = OLD.replace("二、您的权利", "二、您如何行使权利")
    assert diff_outlines(read(OLD), read(new)) == ()
    assert diff_headings(read(OLD), read(new)) == (HeadingChange("二、您的权利", "二、您如何行使权利"),)


def test_a_heading_that_has_lost_its_only_clause_is_no_new_clause(seed: Version) -> None:
    policy, clauses = seed
    [gone] = [one for one in clauses if one.path and one.path[-1] == "4.6 响应用户的上述请求"]
    emptied = read(policy.text[: gone.start] + policy.text[gone.end + 1 :], policy.app)
    assert any(one.text == "4.6 响应用户的上述请求" for one in emptied[1])  # without a clause it is one itself
    assert brief(diff_outlines(seed, emptied)) == [("removed", gone.text, None)]
    assert brief(diff_outlines(emptied, seed)) == [("added", None, gone.text)]
    assert diff_headings(seed, emptied) == diff_headings(emptied, seed) == ()


def test_what_was_removed_is_told_where_it_stood() -> None:
    new = OLD.replace("2. 您可以访问您的个人信息。\n3.", "2.").replace("手机号码", "邮箱地址")
    new += "3. 您可以携带您的数据离开。\n"
    kinds = [(change.kind, (change.new or change.old).text[:8]) for change in diff_outlines(read(OLD), read(new))]  # type: ignore[union-attr]
    assert kinds == [("reworded", "1. 注册时我们"), ("removed", "2. 您可以访问"), ("added", "3. 您可以携带")]


def test_a_text_compared_with_nothing_is_added_or_removed_as_a_whole() -> None:
    version = read(OLD)
    empty: Version = (Policy("某应用", ""), [])
    assert [change.new for change in diff_outlines(empty, version)] == list(version[1])
    assert [(change.kind, change.old) for change in diff_outlines(version, empty)] == [
        ("removed", clause) for clause in version[1]
    ]


# -- Properties -------------------------------------------------------------------------------------------------------

PHRASES = st.sampled_from(
    [
        "我们收集您的手机号码",
        "我们收集您的身份证号码",
        "您可以注销账号",
        "其他情形",
        "保存期限为3年",
        "保存期限为5年",
        "电话",
        "Cookie 和 SDK",
    ]
)
TEXTS = st.lists(PHRASES, min_size=1, max_size=3).map("，".join)
NUMBERS = st.sampled_from(["", "1. ", "（二）", "3、", "2.1 ", "• "])
HEADINGS = st.sampled_from([(), ("一、收集",), ("二、权利",), ("二、权利", "2.1 注销")])


@st.composite
def versions(draw: st.DrawFn) -> Version:
    """A version of up to twelve clauses, many of them alike, some under headings, some on a lead-in."""
    clauses: list[Clause] = []
    text = ""
    for ordinal in range(draw(st.integers(0, 12))):
        line = draw(NUMBERS) + draw(TEXTS)
        above = draw(st.none() | st.integers(0, ordinal - 1)) if ordinal else None
        clauses.append(
            Clause(
                f"v.{ordinal:04d}",
                "v",
                len(text),
                len(text) + len(line),
                line,
                draw(HEADINGS),
                lead_in=None if above is None else f"v.{above:04d}",
            )
        )
        text += line + "\n"
    return Policy("某应用", text), clauses


def changed(changes: tuple[Change, ...]) -> tuple[list[Clause], list[Clause]]:
    """Return the clauses of the old and of the new version that stand in a change."""
    old = [change.old for change in changes if change.old]
    new = [change.new for change in changes if change.new]
    old += [part for change in changes if change.kind == "merged" for part in change.rest]
    new += [part for change in changes if change.kind == "split" for part in change.rest]
    return old, new


def plain(clause: Clause) -> str:
    number = next((one for one in ("1. ", "（二）", "3、", "2.1 ", "• ") if clause.text.startswith(one)), "")
    return clause.text.removeprefix(number).replace(" ", "")


@given(versions())
def test_a_version_does_not_differ_from_itself(version: Version) -> None:
    assert diff_outlines(version, version) == ()


@given(versions(), st.lists(NUMBERS, min_size=12, max_size=12))
def test_other_numbers_alone_are_no_change(version: Version, numbers: list[str]) -> None:
    policy, clauses = version
    renumbered = [
        replace(clause, text=number + plain(clause)) for clause, number in zip(clauses, numbers, strict=False)
    ]
    assert diff_outlines(version, (policy, renumbered)) == ()


@given(versions(), versions())
def test_every_clause_stands_in_one_change_or_is_unchanged_in_its_order(old: Version, new: Version) -> None:
    old_changed, new_changed = changed(diff_outlines(old, new))
    assert len({one.clause_id for one in old_changed}) == len(old_changed)
    assert len({one.clause_id for one in new_changed}) == len(new_changed)
    old_same = [plain(one) for one in old[1] if one not in old_changed]
    assert old_same == [plain(one) for one in new[1] if one not in new_changed]


@given(versions(), versions())
def test_the_way_back_is_the_mirror_image(old: Version, new: Version) -> None:
    there = count_changes(diff_outlines(old, new))
    back = count_changes(diff_outlines(new, old))
    assert [there[kind] for kind in CHANGE_KINDS] == [back[MIRROR.get(kind, kind)] for kind in CHANGE_KINDS]  # type: ignore[index]


@given(st.lists(TEXTS, max_size=5), st.lists(TEXTS, max_size=5))
def test_without_the_marked_words_both_texts_are_the_same(old_parts: list[str], new_parts: list[str]) -> None:
    old, new = "".join(old_parts), "".join(new_parts)
    old_marks, new_marks = mark_words(old, new)
    for text, marks in ((old, old_marks), (new, new_marks)):
        assert all(0 <= start < end <= len(text) for start, end in marks)
        assert all(before[1] <= after[0] for before, after in pairwise(marks))
    assert unmarked(old, old_marks) == unmarked(new, new_marks)


def unmarked(text: str, marks: tuple[tuple[int, int], ...]) -> str:
    for start, end in reversed(marks):
        text = text[:start] + text[end:]
    return text.replace(" ", "").rstrip("，")


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_lines_taken_out_of_a_real_policy_are_what_is_removed(seed: Version, data: st.DataObject) -> None:
    policy, clauses = seed
    items = [one for one in clauses if one.kind in ("item", "paragraph") and one.start]
    gone = data.draw(st.lists(st.sampled_from(items), max_size=4, unique=True))
    text = policy.text
    for clause in sorted(gone, key=lambda one: -one.start):
        text = text[: clause.start] + text[clause.end + 1 :]
    removed = [change.old for change in diff_outlines(seed, read(text, policy.app)) if change.kind == "removed"]
    assert removed == sorted(gone, key=lambda one: one.start)


# -- Speed, and what the thresholds rest on ---------------------------------------------------------------------------


def test_four_hundred_clauses_are_compared_while_a_reader_waits() -> None:
    numbers = range(400)
    old = [f"{n}. 为提供第{n * 7919 % 1000}项服务，我们会收集您的信息{n * 31 % 97}，并保存{n % 9}年。" for n in numbers]
    new = [
        line.replace("保存", "存储") if n % 2 else f"{n + 1}. 全新条款{n * 104729 % 9973}" for n, line in enumerate(old)
    ]
    before, after = read("\n".join(old)), read("\n".join(new))
    assert min(len(before[1]), len(after[1])) >= 400
    diff_outlines(read(OLD), read(OLD.replace("15", "30")))  # loads the words
    started = time.process_time()
    diff_outlines(before, after)
    assert time.process_time() - started < 5  # seconds of the processor; 0.3 where it was written


def test_few_clauses_of_one_policy_are_as_like_as_a_clause_and_its_new_wording() -> None:
    from rapidfuzz import fuzz, process

    total = in_place = elsewhere = 0
    for policy in load_policies([default_policies_folder()]):
        texts = list(dict.fromkeys(clause.text for clause in split_policy(policy)))
        scores = process.cdist(texts, texts, scorer=fuzz.ratio) / 100
        total += len(texts) * (len(texts) - 1)
        in_place += int((scores >= ALIKE_IN_PLACE).sum()) - len(texts)
        elsewhere += int((scores >= ALIKE_ELSEWHERE).sum()) - len(texts)
    assert in_place / total < 0.03
    assert elsewhere / total < 0.01


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("1.5年后我们会删除您的信息。", "2.5年后我们会删除您的信息。", ["reworded"]),
        ("1.5 个月内答复您。", "2.5 个月内答复您。", ["reworded"]),
        ("1.5年度报告的收集。", "2.5年度报告的收集。", []),
        ("1.5个人信息的收集。", "2.5个人信息的收集。", []),
        ("1.2日志信息的收集。", "1.3日志信息的收集。", []),
    ],
)
def test_a_decimal_is_no_number_of_a_clause(old: str, new: str, kinds: list[str]) -> None:
    assert [change.kind for change in diff_outlines(read(old), read(new))] == kinds


def test_thousands_of_equal_clauses_are_matched_in_time() -> None:
    lines = ["我们会收集您的手机号码。"] * 3000
    changed = ["新的一句话在最前面。", *lines[:1500], "另一句话在这里。", *lines[1500:]]
    start = time.process_time()
    changes = diff_outlines(read("\n".join(lines)), read("\n".join(changed)))
    assert [(change.kind, change.new and change.new.text) for change in changes] == [
        ("added", "新的一句话在最前面。"),
        ("added", "另一句话在这里。"),
    ]
    assert time.process_time() - start < 10
