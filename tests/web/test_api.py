"""The routes: every answer is `to_dict()`, every error says what came, what is allowed and what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from starlette.testclient import TestClient

from corpus.messages import message
from retrieval.datatypes import Turn

from .fakes import FakeAssistant

JSON = {"content-type": "application/json"}
QUESTION = "津心办怎么注销账号？"


def read_problem(response: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that ``response`` is the problem ``kind``; return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert (problem["type"], problem["status"]) == (f"urn:wentiao:problem:{kind}", status)
    return problem


def test_ask_sends_the_answers_own_dictionary(client: TestClient, fake: FakeAssistant) -> None:
    response = client.post("/api/v1/ask", json={"question": QUESTION})
    assert response.status_code == 200
    assert response.json() == fake.ask(QUESTION).to_dict()
    [citation] = response.json()["citations"]
    policy = fake.policy("津心办")
    assert policy.text[citation["start"] : citation["end"]] == citation["quote"]


def test_search_sends_passages_and_compare_sends_rows(client: TestClient, fake: FakeAssistant) -> None:
    found = client.post("/api/v1/search", json={"query": "注销", "app": "津心办", "top_k": 4})
    assert found.json() == [passage.to_dict() for passage in fake.search("注销", "津心办", 4)]
    rows = client.post("/api/v1/compare", json={"question": "怎么注销", "apps": ["掌上海关", "昶联"]})
    assert rows.json() == [row.to_dict() for row in fake.compare("怎么注销", ["掌上海关", "昶联"])]


def test_apps_and_a_policy_with_its_clauses_are_read(client: TestClient, fake: FakeAssistant) -> None:
    assert client.get("/api/v1/apps").json() == list(fake.apps())
    policy = client.get("/api/v1/policies/掌上海关").json()
    own = fake.policy("掌上海关")
    assert policy.pop("clauses") == json.loads(json.dumps([asdict(clause) for clause in fake.clauses("掌上海关")]))
    assert (policy["text"], policy["date"], policy["sha256"]) == (own.text, own.date, own.sha256)


def test_history_is_passed_on_as_turns_and_plain_questions(client: TestClient, fake: FakeAssistant) -> None:
    history = ["昶联怎么注销", {"question": QUESTION, "app": "津心办"}]
    assert client.post("/api/v1/ask", json={"question": "怎么联系", "history": history}).json()["app"] == "津心办"
    assert fake.asked[-1] == ("怎么联系", None, ("昶联怎么注销", Turn(QUESTION, "津心办")))


def test_an_alias_names_the_app_in_every_route(client: TestClient, fake: FakeAssistant) -> None:
    alias = fake.policy("津心办").aliases[0]
    assert alias != "津心办"
    assert client.post("/api/v1/ask", json={"question": "怎么注销", "app": alias}).json()["app"] == "津心办"
    found = client.post("/api/v1/search", json={"query": "注销", "app": alias, "top_k": 1}).json()
    assert [passage["app"] for passage in found] == ["津心办"]
    assert client.get(f"/api/v1/policies/{alias}").json()["app"] == "津心办"
    assert client.get(f"/read/{alias}").status_code == 200


def test_asking_about_an_unknown_app_is_an_answer(client: TestClient) -> None:
    response = client.post("/api/v1/ask", json={"question": "怎么注销", "app": "别的"})
    assert (response.status_code, response.json()["status"]) == (200, "unknown_app")


def test_searching_or_reading_an_unknown_app_is_a_problem_with_the_names_near_it(client: TestClient) -> None:
    for response in (
        client.post("/api/v1/search", json={"query": "注销", "app": "津心伴"}),
        client.get("/api/v1/policies/津心伴"),
    ):
        detail = read_problem(response, 404, "unknown-app")["detail"]
        assert "津心伴" in detail and "津心办" in detail and "/api/v1/apps" in detail


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"question": 5}, "question"),
        ({"question": None}, "question"),
        ({}, "question"),
        ({"question": "a", "top_k": 0}, "top_k: Input should be greater than or equal to 1"),
        ({"question": "a", "top_k": 11}, "top_k: Input should be less than or equal to 10"),
        ({"question": "a", "top_k": "3"}, "top_k"),
        ({"question": "a", "app": "x" * 101}, "app: String should have at most 100 characters"),
        ({"question": "a", "history": ["x"] * 11}, "history"),
        ({"question": "a", "lang": "zh"}, "lang"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_those_allowed(
    client: TestClient, body: dict[str, Any], told: str
) -> None:
    detail = read_problem(client.post("/api/v1/ask", json=body), 422, "invalid")["detail"]
    assert told in detail
    assert "question, app, history, top_k" in detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"[" * 60_000,
        b'{"question":"\xff\xfe"}',
        b'{"question":"a","top_k":' + b"9" * 6000 + b"}",
        b'{"\\ud800":1}',
    ],
)
def test_a_body_that_is_no_object_is_a_problem(client: TestClient, body: bytes) -> None:
    read_problem(client.post("/api/v1/ask", content=body, headers=JSON), 400, "not-json")


def test_a_body_of_another_type_is_told_to_be_json(client: TestClient) -> None:
    problem = read_problem(client.post("/api/v1/ask", data={"question": "a"}), 400, "not-json")
    assert "Content-Type: application/json" in problem["detail"]


@pytest.mark.parametrize(
    "question", ["", " \n", "\0\x01\x1b[31m\x7f", "a" + "\u0301" * 400, "\u202e\ufeff", "😀" * 500]
)
def test_odd_text_is_answered(client: TestClient, question: str) -> None:
    assert client.post("/api/v1/ask", json={"question": question}).status_code == 200


def test_half_a_character_is_replaced_before_it_is_asked(client: TestClient, fake: FakeAssistant) -> None:
    body = b'{"question":"\\ud800 delete","app":"\\udfff","history":["\\ud800",{"question":"\\ud800","app":null}]}'
    assert client.post("/api/v1/ask", content=body, headers=JSON).status_code == 200
    assert fake.asked[-1] == ("? delete", "?", ("?", Turn("?")))
    problem = client.post("/api/v1/search", content=b'{"query":"a","app":"\\ud800"}', headers=JSON)
    read_problem(problem, 404, "unknown-app")


def test_a_long_question_is_told_its_length_and_the_limit(client: TestClient) -> None:
    detail = read_problem(client.post("/api/v1/ask", json={"question": "问" * 501}), 422, "question-too-long")["detail"]
    assert "501" in detail and "500" in detail


def test_a_huge_body_is_refused_with_or_without_a_declared_length(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"question":"'
        for _ in range(65):
            yield b"x" * 1024

    marks = json.dumps({"question": "a" + "\u0301" * 50_000}, ensure_ascii=False).encode()
    for content in (marks, chunks()):
        response = client.post("/api/v1/ask", content=content, headers=JSON)
        assert "65536" in read_problem(response, 413, "body-too-large")["detail"]


def test_a_wrong_method_or_address_is_told_the_right_one(client: TestClient) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        response = client.request(method, "/api/v1/ask")
        assert response.headers["allow"] == "POST"
        assert method in read_problem(response, 405, "method")["detail"]
    response = client.post("/api/v1/apps", json={})
    read_problem(response, 405, "method")
    assert response.headers["allow"] == "GET, HEAD"
    assert "POST /api/v1/ask" in read_problem(client.get("/api/v1/nothing"), 404, "not-found")["detail"]


@pytest.mark.parametrize(("accepted", "language"), [("en-GB", "en"), ("zh-TW", "zh-Hant"), (None, "zh")])
def test_a_problem_speaks_the_callers_language(client: TestClient, accepted: str | None, language: str) -> None:
    headers = {"accept-language": accepted} if accepted else {}
    problem = read_problem(client.post("/api/v1/ask", json={}, headers=headers), 422, "invalid")
    assert problem["title"] == message("api.invalid_title", language)


def test_a_failure_is_a_problem_and_neither_it_nor_the_log_holds_the_question(
    client: TestClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "boom 我的秘密问题"
    with caplog.at_level(logging.DEBUG):
        responses = [
            client.post("/api/v1/ask", json={"question": secret}),
            client.post("/gradio_api/run/predict", json={"fn_index": 0, "data": [secret, "", []]}),
        ]
        client.post("/api/v1/ask", json={"question": "我的秘密问题"})
    detail = read_problem(responses[0], 500, "failed")["detail"]
    assert "不表示政策没有说明" in detail
    written = "".join(capfd.readouterr()) + caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "A request was not answered: RuntimeError" in caplog.text
    for text in (written, *(response.text for response in responses)):
        assert "秘密" not in text


def test_health_is_told_without_a_body_for_head(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    response = client.head("/healthz")
    assert (response.status_code, response.content) == (200, b"")
