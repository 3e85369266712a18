"""What an operator sees of a request, and what its client gets of it."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from retrieval import Assistant
from web.metrics import Metrics
from web.observed import Observed, template_of
from web.readiness import Readiness
from web.tokens import Tokens

from .application import build_app
from .fakes import FakeAssistant

ROUTES = {
    "/": "/",
    "/api/v1/ask": "/api/v1/ask",
    "/api/v1/policies/甲/乙": "/api/v1/policies/{app}",
    "/api/v1/clauses/0123.7": "/api/v1/clauses/{clause_id}",
    "/profile/津心办": "/profile/{app}",
    "/cited/0123.7:1-2": "/cited/{places}",
    "/assets/index-af.js": "/assets/{file}",
    "/widget/frame.js": "/widget/{file}",
    "/widget/frame": "/widget/frame",
    "/metrics": "other",
    "/.env": "other",
    "/api/v1/ask/..": "other",
}


@pytest.fixture
def client() -> Any:
    return TestClient(build_app(FakeAssistant()), raise_server_exceptions=False)


@pytest.mark.parametrize(("path", "template"), ROUTES.items())
def test_a_path_is_counted_by_its_kind(path: str, template: str) -> None:
    assert template_of(path) == template


def figures(client: Any) -> dict[str, float]:
    lines = generate_latest(client.app.state.metrics.registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_a_request_keeps_its_id_from_edge_to_answer(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "web.observed")
    given = client.get("/api/v1/apps", headers={"x-request-id": "edge-7"})
    assert given.headers["x-request-id"] == "edge-7"
    refused = client.post("/api/v1/ask", json={}, headers={"x-request-id": "edge-8"})
    assert refused.json()["instance"] == "urn:wentiao:request:edge-8"
    made = client.get("/nowhere", headers={"x-request-id": "a b"})
    assert made.headers["x-request-id"] != "a b"
    assert made.json()["instance"] == f"urn:wentiao:request:{made.headers['x-request-id']}"
    told = [record.fields for record in caplog.records if record.name == "web.observed"]  # type: ignore[attr-defined]
    assert [(one["route"], one["method"], one["status"]) for one in told] == [
        ("/api/v1/apps", "GET", 200),
        ("/api/v1/ask", "POST", 422),
        ("other", "GET", 404),
    ]
    assert [one.get("problem") for one in told] == [None, "invalid", "not_found"]
    assert all(one["ms"] >= 0 for one in told)


def test_what_is_refused_or_fails_is_counted_by_its_kind(client: Any) -> None:
    for question in ("boom", "overloaded", "unreachable"):
        client.post("/api/v1/ask", json={"question": question})
        client.post("/api/v1/ask", json={"question": question}, headers={"accept": "text/event-stream"})
        client.post("/gradio_api/run/predict", json={"fn_index": 0, "data": [question, "", [], False]})
    client.get("/api/v1/docs")
    client.request("BREW", "/api/v1/ask")
    counted = figures(client)
    for kind, count in (("failed", 3.0), ("overloaded", 3.0), ("store_unreachable", 3.0), ("method", 1.0)):
        assert counted[f'wentiao_problems_total{{kind="{kind}"}}'] == count
    assert counted['wentiao_requests_total{method="POST",route="/api/v1/ask",status="503"}'] == 2
    assert counted['wentiao_requests_total{method="other",route="/api/v1/ask",status="405"}'] == 1
    assert (
        len([name for name, count in counted.items() if count and "problems_total" in name]) == 4
    )  # none of the examples


def test_what_breaks_in_the_midst_is_a_failure_and_no_client_that_went_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "web.observed")

    async def broken(*_: object) -> None:
        raise ArithmeticError

    assistant: Any = FakeAssistant()
    observed = Observed(broken, assistant=assistant, metrics=Metrics(), readiness=Readiness(assistant))
    assert TestClient(observed, raise_server_exceptions=False).get("/").status_code == 500
    told = [record.fields for record in caplog.records if record.name == "web.observed"]  # type: ignore[attr-defined]
    assert [one["status"] for one in told] == [500]


def test_the_log_says_whose_token_a_program_used(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "web.observed")
    tokens = Tokens({"newsroom": hashlib.sha256(b"secret").digest()})
    client = TestClient(build_app(FakeAssistant(), tokens=tokens))
    for authorization in ("Bearer secret", "Bearer wrong"):
        client.get("/api/v1/apps", headers={"authorization": authorization})
    client.get("/healthz", headers={"authorization": "Bearer secret"})  # needs none
    told = [record.fields for record in caplog.records if record.name == "web.observed"]  # type: ignore[attr-defined]
    assert [(one["status"], one.get("client")) for one in told] == [(200, "newsroom"), (401, None), (200, None)]


@pytest.mark.parametrize(
    "call",
    [
        {"fn_index": 0, "data": ["问" * 600, "", [], False]},
        {"fn_index": 0, "data": ["怎么注销", "", [{"question": "问", "app": ""}] * 11, False]},
        {"fn_index": 0, "data": ["怎么注销", "", ["turn"], False]},
        {"fn_index": 0, "data": ["怎么注销", "", [{"question": 7, "app": ""}], False]},
        {"fn_index": 0, "data": ["怎么注销", "no such app", [], False]},
        {"fn_index": 0, "data": ["怎么注销"]},
        {"fn_index": 99, "data": ["怎么注销"]},
        {"data": ["怎么注销"]},
    ],
)
def test_a_call_that_the_page_never_makes_is_refused_and_is_no_fault_of_ours(
    client: Any, caplog: pytest.LogCaptureFixture, call: dict[str, Any]
) -> None:
    refused = client.post("/gradio_api/run/predict", json=call)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:wentiao:problem:invalid")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    counted = {name: count for name, count in figures(client).items() if count and "problems_total" in name}
    assert counted == {'wentiao_problems_total{kind="invalid"}': 1.0}


def test_the_figures_are_not_on_the_site(client: Any) -> None:
    assert client.get("/metrics").status_code == 404


def test_the_answers_stages_and_failures_of_the_real_assistant_are_counted(assistant: Any) -> None:
    class Broken:
        def judge(self, *arguments: object) -> Any:
            raise ArithmeticError

    from retrieval import Assistant

    made: Assistant = assistant
    broken = Assistant(
        made._newest.generation,
        made.encoder,
        made._newest.resolver,
        (),
        made._decision,
        Broken(),  # type: ignore[arg-type]
    )
    client = TestClient(build_app(broken))
    reply = client.post("/api/v1/ask", json={"question": "津心办怎么注销账号"})
    assert reply.json()["degraded"] == ["second_stage"]
    page = client.post(
        "/gradio_api/run/predict", json={"fn_index": 0, "data": ["how do I delete my account in 津心办", "", [], False]}
    )
    assert "ranks clauses a second time failed" in page.json()["data"][0]["html"]
    counted = figures(client)
    assert counted['wentiao_answers_total{status="answered"}'] == 2
    assert counted['wentiao_degraded_total{part="second_stage"}'] == 2
    for stage in ("understand", "encode", "dense", "lexical", "rank_again", "decide", "answer"):
        assert counted[f'wentiao_stage_seconds_count{{stage="{stage}"}}'] >= 2
    assert counted["wentiao_questions_inside"] == 0
