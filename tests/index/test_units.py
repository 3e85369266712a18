from __future__ import annotations

from corpus.datatypes import Policy
from corpus.parser import parse_policy
from index.units import Unit, clause_units, context_of, embedding_texts, lexical_texts

POLICY = Policy(
    "甲",
    "一、收集\n(一)账号\n您注册时需要提供:\n1.手机号码;\n2.密码。用于登录。\n二、联系\n我们的电话是123。",
)
CLAUSES = parse_policy(POLICY).clauses


def texts_of(units):
    return [POLICY.text[unit.start : unit.end] for unit in units]


def test_a_clause_is_a_unit_and_so_is_each_sentence_of_several():
    units = clause_units(CLAUSES)
    assert texts_of(units) == [
        "您注册时需要提供:",
        "1.手机号码;",
        "2.密码。用于登录。",
        "2.密码。",
        "用于登录。",
        "我们的电话是123。",
    ]
    assert [unit.clause for unit in units] == [0, 1, 2, 2, 2, 3]


def test_a_unit_is_embedded_under_its_last_heading_and_its_lead_in():
    assert embedding_texts(POLICY, CLAUSES, clause_units(CLAUSES)) == [
        "(一)账号\n您注册时需要提供:",
        "(一)账号\n您注册时需要提供:\n1.手机号码;",
        "(一)账号\n您注册时需要提供:\n2.密码。用于登录。",
        "(一)账号\n您注册时需要提供:\n2.密码。",
        "(一)账号\n您注册时需要提供:\n用于登录。",
        "二、联系\n我们的电话是123。",
    ]


def test_words_are_counted_over_the_clause_and_what_stands_above_it():
    assert lexical_texts(CLAUSES)[1] == "(一)账号\n您注册时需要提供:\n1.手机号码;"


def test_a_clause_under_nothing_is_embedded_alone():
    policy = Policy("乙", "我们不会出售您的信息。")
    [clause] = parse_policy(policy).clauses
    assert context_of(clause, None) == ""
    assert embedding_texts(policy, (clause,), (Unit(0, clause.start, clause.end),)) == ["我们不会出售您的信息。"]


def test_no_clauses_have_no_units():
    assert clause_units(()) == ()
    assert embedding_texts(POLICY, (), ()) == []
