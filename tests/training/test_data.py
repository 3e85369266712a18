from __future__ import annotations

import itertools
import json
import math
import random

import pytest
import torch

from corpus.datatypes import Policy
from training.data import (
    Example,
    app_batches,
    cut_policy,
    gold_units,
    held_out,
    read_jsonl,
    read_labelled,
    sentence_pairs,
    without_app,
)
from training.encoder import Recipe, any_clause, contrastive_loss, make_batch

POLICY = Policy(
    "甲", "一、注销\n您可以在设置里注销账号。我们将在15天内处理。\n二、共享\n我们不会共享您的信息。\n我们使用加密技术。"
)
CUT = cut_policy(POLICY)
SPANS = [POLICY.text[unit.start : unit.end] for unit in CUT.units]


def example(number: int, app: str = "甲", gold: tuple[int, ...] = (0,)) -> Example:
    return Example(f"{app}-{number}", app, f"问题{number}", True, gold)


def gold_texts(*evidence: str) -> list[str]:
    return [SPANS[position] for position in gold_units(POLICY, CUT.units, evidence)]


def test_a_policy_is_cut_into_clauses_and_their_sentences():
    assert SPANS == [
        "您可以在设置里注销账号。我们将在15天内处理。",
        "您可以在设置里注销账号。",
        "我们将在15天内处理。",
        "我们不会共享您的信息。",
        "我们使用加密技术。",
    ]
    assert [CUT.is_clause(position) for position in range(5)] == [True, False, False, True, True]
    assert CUT.texts[2] == "一、注销\n我们将在15天内处理。"


def test_no_sentence_of_a_policy_that_is_kept_out_is_trained_on_however_it_is_punctuated(tmp_path):
    (tmp_path / "capp130").mkdir()
    pairs = [
        ("We tell you how, you ask", "我们会，告诉您：怎样提出请求。"),
        ("We keep logs", "我们会保存您的网络日志信息。"),
    ]
    lines = [json.dumps({"en": english, "zh": chinese}) for english, chinese in pairs]
    (tmp_path / "capp130" / "parallel_zh_en.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "capp130" / "rewrites.jsonl").write_text("", encoding="utf-8")
    assert len(sentence_pairs(tmp_path, seed=0, kept_out=[])) == 2
    assert sentence_pairs(tmp_path, seed=0, kept_out=["前文。我们会告诉您怎样提出请求;后文。"]) == pairs[1:]


def test_gold_is_the_clause_and_the_sentence_that_hold_most_of_a_quote():
    assert gold_texts("我们将在15天内处理。") == [SPANS[0], SPANS[2]]
    assert gold_texts("将在15天内") == [SPANS[0], SPANS[2]]
    assert gold_texts(SPANS[0]) == SPANS[:3]
    assert gold_texts("我们不会共享您的信息。", "我们使用加密技术。") == SPANS[3:]
    assert gold_texts("这句话政策里没有") == gold_texts() == []


def test_every_place_that_prints_a_quote_is_gold_once():
    policy = Policy("甲", "我们使用加密技术。\n我们收集手机号码。\n我们使用加密技术。")
    units = cut_policy(policy).units
    assert gold_units(policy, units, ["我们使用加密技术。", "使用加密技术"]) == (0, 2)


def test_the_apps_name_is_taken_out_longest_first_unless_nothing_is_left():
    policy = Policy("甲办", "正文。", aliases=("甲办APP", "Jia"))
    assert without_app("甲办app怎么注销", policy) == "怎么注销"
    assert without_app("in JIA how to delete", policy) == "in  how to delete"
    assert without_app("甲办", policy) == "甲办"


def test_every_ninth_app_by_name_is_held_out_whatever_the_order():
    apps = [f"应用{number:02d}" for number in range(20)]
    assert held_out(apps) == {"应用00", "应用09", "应用18"}
    assert held_out(apps[::-1]) == held_out(apps)


def test_a_file_of_records_may_end_in_blank_lines_and_hold_any_character(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"a": "一\u2028二"}\n\n{"a": 2}\n', encoding="utf-8")
    assert read_jsonl(path) == [{"a": "一\u2028二"}, {"a": 2}]


@pytest.mark.parametrize("apps", [2, 3])
def test_every_question_comes_once_an_epoch(apps):
    examples = [example(number, app) for app, count in (("甲", 9), ("乙", 5), ("丙", 4)) for number in range(count)]
    batches = app_batches(examples, size=4 * apps, apps=apps, seed=7)
    for _ in range(3):
        seen: list[str] = []
        while len(seen) < len(examples):
            batch = next(batches)
            assert 1 <= len(batch) <= 4 * apps
            seen.extend(one.question_id for one in batch)
        assert sorted(seen) == sorted(one.question_id for one in examples)


def test_fewer_questions_than_a_batch_holds_are_one_batch():
    batches = app_batches([example(0), example(1)], size=24, apps=2, seed=0)
    assert sorted(one.question_id for one in next(batches)) == ["甲-0", "甲-1"]


def test_batches_are_the_same_for_the_same_seed_and_hold_neighbours_of_one_policy():
    examples = [example(number, app) for app in "甲乙丙丁" for number in range(8)]
    one, other = (app_batches(examples, size=8, apps=2, seed=3) for _ in range(2))
    for batch, again in itertools.islice(zip(one, other, strict=True), 10):
        assert batch == again
        assert len({example.app for example in batch}) <= 2


def test_the_loss_is_minus_the_logarithm_of_the_answers_share():
    queries, passages = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    everything, positive = torch.tensor([[True, True]]), torch.tensor([0])
    loss = contrastive_loss(queries, passages, positive, everything, temperature=0.5)
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 1)))
    loss = contrastive_loss(queries, passages, torch.tensor([1]), everything, temperature=0.5)
    assert loss.item() == pytest.approx(-math.log(1 / (math.exp(2) + 1)))


def test_a_passage_that_also_answers_does_not_count_against_the_query():
    queries, passages = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    allowed = torch.tensor([[True, False, True], [True, True, True]])
    loss = contrastive_loss(queries, passages, torch.tensor([0, 1]), allowed, temperature=1.0)
    first = -math.log(math.exp(0.6) / (math.exp(0.6) + 1))
    second = -math.log(math.e / (math.exp(0.6) + math.e + 1))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_no_unit_of_a_gold_clause_counts_against_its_question():
    policies = {"甲": CUT, "乙": cut_policy(Policy("乙", "我们收集手机号码。用于注册。\n我们保存两年。"))}
    group = [example(0, gold=(0, 2)), example(1, gold=(1,)), example(2, gold=(3,)), example(3, app="乙", gold=(0, 1))]
    for seed in range(30):
        queries, passages, positive, allowed = make_batch(
            group, [("plain words", "legal words")], policies, {}, Recipe(negatives=2), random.Random(seed)
        )
        assert len(queries) == len(positive) == len(allowed) == 5
        assert len(set(passages)) == len(passages)
        for row, one in enumerate(group):
            policy = policies[one.app]
            answers = {policy.units[position].clause for position in one.gold}
            own = {f"passage: {policy.texts[i]}" for i, unit in enumerate(policy.units) if unit.clause in answers}
            assert passages[positive[row]] in {f"passage: {policy.texts[position]}" for position in one.gold}
            assert allowed[row][positive[row]]
            against = {passages[i] for i, counts in enumerate(allowed[row]) if counts and i != positive[row]}
            assert against
            assert not against & own
        assert passages[positive[4]] == "passage: legal words"
        assert all(allowed[4])


def test_before_anything_is_mined_every_clause_that_is_no_answer_may_stand_against():
    assert any_clause(example(0, gold=(2,)), CUT) == [3, 4]
    assert any_clause(example(0, gold=(3,)), CUT) == [0, 4]


def test_labelled_sentences_are_found_in_their_policies(tmp_path):
    first = Policy("甲", "一、收集\n我们收集以下信息:\n(1)姓名,电话;\n二、其他\n请与我们联系。\n")
    second = Policy("乙", "一、联系\n请与我们联系。\n我们删除信息。\n")
    rows = [("（1）姓名，电话；", [0]), ("请与我们联系。", [8]), ("不在其中。", [3]), ("我们删除信息", [7, 4])]
    rows.append(("请与我们联系。", [8]))
    path = tmp_path / "topics.jsonl"
    path.write_text("".join(json.dumps({"text": text, "topics": ids}) + "\n" for text, ids in rows), encoding="utf-8")
    found = read_labelled(path, [first, second])
    assert [(one.app, one.context) for one in found] == [
        ("甲", "一、收集\n我们收集以下信息:"),
        ("甲", "二、其他"),
        (found[2].app, ""),
        ("乙", "一、联系"),
        ("乙", "一、联系"),
    ]
    assert found[3].topics == (7, 4) and found[2].app in ("甲", "乙")
