"""The routes: every answer is `to_dict()`, every error says what came, what is allowed and what to do."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from corpus.messages import message
from retrieval.datatypes import Turn
from retrieval.limit import TimeLimit
from web.api import stream_answer
from web.problems import answered

from .application import build_app
from .fakes import FakeAssistant

JSON_TYPE = b"application/json"
JSON = {"content-type": JSON_TYPE.decode()}
QUESTION = "津心办怎么注销账号？"


def read_problem(response: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that ``response`` is the problem ``kind``; return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert problem["instance"] == f"urn:wentiao:request:{response.headers['x-request-id']}"
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


def test_a_clause_is_read_by_its_id_with_the_version_that_it_stands_in(client: TestClient, fake: FakeAssistant) -> None:
    policy, clause = fake.policy("昶联"), fake.clauses("昶联")[5]
    version = {"app": "昶联", "date": policy.date, "sha256": policy.sha256}
    sent = client.get(f"/api/v1/clauses/{clause.clause_id}").json()
    assert sent == json.loads(json.dumps(asdict(clause))) | version
    assert policy.text[sent["start"] : sent["end"]] == sent["text"]
    for gone in (f"{policy.policy_id}.9999", "0000000000000000.0001", "无"):
        detail = read_problem(client.get(f"/api/v1/clauses/{gone}"), 404, "unknown-clause")["detail"]
        assert gone in detail


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
        ({"question": 5}, "question: 应为文字"),
        ({"question": None}, "question: 应为文字"),
        ({}, "question: 缺少这个字段"),
        ({"question": "a", "top_k": "3"}, "top_k: 应为整数"),
        ({"question": "a", "top_k": 3.5}, "top_k: 应为整数"),
        ({"question": "a", "app": 5}, "app: 应为文字"),
        ({"question": "a", "history": "b"}, "history: 应为列表"),
        ({"question": "a", "history": [5]}, "history.0: 应为一个问题，或含 question 与 app 的对象"),
        ({"question": "a", "history": ["b", {"q": 1}]}, "history.1.question: 缺少这个字段；history.1.q: 没有这个字段"),
        ({"question": "a", "lang": "zh"}, "lang: 没有这个字段"),
        ({"question": "a", "turn": 1}, "turn: 没有这个字段"),
        ({"question": "a", "text": "b"}, "text: 没有这个字段"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_those_allowed(
    client: TestClient, body: dict[str, Any], told: str
) -> None:
    detail = read_problem(client.post("/api/v1/ask", json=body), 422, "invalid")["detail"]
    assert told in detail
    allowed = "history[].question, history[].app" if told.startswith("history.") else "question, app, history, top_k"
    assert f"{allowed}。" in detail


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


def test_a_search_may_be_kept_to_topics(client: TestClient, fake: FakeAssistant) -> None:
    body = {"query": "账号", "app": "津心办", "top_k": 5, "topics": ["rights", "contact"]}
    found = client.post("/api/v1/search", json=body).json()
    assert found == [one.to_dict() for one in fake.search("账号", "津心办", 5, topics=["rights", "contact"])]
    assert found[0]["clause_id"] != fake.search("账号", "津心办", 1)[0].clause_id
    assert all("注销" in one["text"] or "联系" in one["text"] for one in found)


LIMITS = [
    ("ask", {"question": "问" * 501}, "question-too-long", ("501", "500")),
    ("ask", {"question": "a", "history": ["问" * 501]}, "question-too-long", ("501", "500")),
    ("ask", {"question": "a", "history": [{"question": "问" * 501}]}, "question-too-long", ("501", "500")),
    ("search", {"query": "问" * 501}, "question-too-long", ("501", "500")),
    ("ask", {"question": "a", "history": ["b"] * 11}, "history-too-long", ("11", "10")),
    ("ask", {"question": "a", "top_k": 0}, "top-k-out-of-range", ("0", "10")),
    ("ask", {"question": "a", "top_k": 11}, "top-k-out-of-range", ("11", "10")),
    ("search", {"query": "a", "top_k": 51}, "top-k-out-of-range", ("51", "50")),
    ("ask", {"question": "a", "app": "x" * 101}, "name-too-long", ("app", "101", "100")),
    ("ask", {"question": "a", "history": [{"question": "b", "app": "x" * 101}]}, "name-too-long", ("history.0.app",)),
    ("compare", {"question": "a", "apps": ["x" * 101]}, "name-too-long", ("apps.0", "101", "100")),
    ("compare", {"question": "a", "apps": ["x"] * 201}, "too-many-apps", ("201", "200")),
    ("search", {"query": "a", "topics": ["rights", "weather"]}, "invalid", ("topics.1", "collection, permissions")),
]


@pytest.mark.parametrize("language", ["zh", "zh-Hant", "en"])
@pytest.mark.parametrize(("route", "body", "kind", "told"), LIMITS)
def test_each_limit_is_a_problem_of_its_own_in_the_callers_language(
    client: TestClient, route: str, body: dict[str, Any], kind: str, told: tuple[str, ...], language: str
) -> None:
    headers = {"accept-language": language}
    problem = read_problem(client.post(f"/api/v1/{route}", json=body, headers=headers), 422, kind)
    assert problem["title"] == message(f"api.{kind.replace('-', '_')}_title", language)
    assert all(text in problem["detail"] for text in told)


def test_a_name_too_long_for_an_address_is_a_problem(client: TestClient) -> None:
    detail = read_problem(client.get(f"/api/v1/policies/{'x' * 101}"), 422, "name-too-long")["detail"]
    assert "101" in detail and "100" in detail


def test_a_topic_is_compared_in_the_place_of_a_question(client: TestClient, fake: FakeAssistant) -> None:
    rows = client.post("/api/v1/compare", json={"topic": "rights", "apps": ["昶联"]})
    assert rows.json() == [row.to_dict() for row in fake.compare_topic("rights", ["昶联"])]
    assert rows.json()[0]["status"] == "answered"
    neither = client.post("/api/v1/compare", json={"apps": ["昶联"]}, headers={"accept-language": "en"})
    assert neither.status_code == 422
    assert "question: is missing" in neither.json()["detail"] and "topic" in neither.json()["detail"]


def test_no_apps_to_compare_is_told(client: TestClient) -> None:
    response = client.post("/api/v1/compare", json={"question": "a", "apps": []})
    assert "apps: 至少要有一个" in read_problem(response, 422, "invalid")["detail"]


def test_no_word_of_the_validator_reaches_a_reader_of_chinese(client: TestClient) -> None:
    bodies = [{"question": odd, "app": odd, "history": odd, "top_k": odd} for odd in (None, 5, "x", [], {}, 1.5, [{}])]
    for body in [*bodies, *(body for _, body, _, _ in LIMITS)]:
        response = client.post("/api/v1/ask", json=body)
        if response.status_code != 200:
            words = set(re.findall("[A-Za-z_]{2,}", response.json()["detail"]))
            assert words <= {"question", "app", "history", "top_k", "query", "apps", "topics"}


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
            client.post("/gradio_api/run/predict", json={"fn_index": 0, "data": [secret, "", [], False]}),
        ]
        client.post("/api/v1/ask", json={"question": "我的秘密问题"})
    detail = read_problem(responses[0], 500, "failed")["detail"]
    assert "不表示政策没有说明" in detail
    client.post("/gradio_api/run/predict", json={"fn_index": 0, "data": [secret]})  # a page from before an update
    written = "".join(capfd.readouterr()) + caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "A request was not answered: RuntimeError" in caplog.text
    for text in (written, *(response.text for response in responses)):
        assert "秘密" not in text


@pytest.mark.parametrize("language", ["zh", "zh-Hant", "en"])
@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (b'{"fn_index":"a","data":[]}', "fn_index", "other"),
        (b'{"fn_index":99,"data":[]}', "data", "other"),
        (b'{"fn_index":0}', "data", "missing"),
        ('{"data":{"x":"我的秘密问题"}}'.encode(), "data", "list"),
        ('{"data":[],"session_hash":["我的秘密问题"]}'.encode(), "session_hash", "string"),
    ],
)
def test_a_call_that_the_page_does_not_make_is_refused_in_our_words(
    client: TestClient, body: bytes, field: str, reason: str, language: str
) -> None:
    headers = JSON | {"accept-language": language}
    response = client.post("/gradio_api/run/predict", content=body, headers=headers)
    problems = f"{field}: {message(f'api.reason_{reason}', language)}"
    detail = message("api.invalid", language, problems=problems, allowed="fn_index, data")
    assert read_problem(response, 422, "invalid")["detail"] == detail


@pytest.mark.parametrize("body", [b"", b"[1", '["我的秘密问题"]'.encode(), b'{"data":["\xff"]}', b"[" * 60_000])
def test_a_call_that_is_no_object_is_refused_in_our_words(client: TestClient, body: bytes) -> None:
    response = client.post("/gradio_api/run/predict", content=body, headers=JSON)
    assert read_problem(response, 400, "not-json")["detail"] == message("api.not_json", "zh")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/v1/ask", "question, app, history, top_k"),
        ("POST", "/api/v1/search", "query, app, top_k, rerank, topics"),
        ("POST", "/api/v1/compare", "question, apps, topic"),
        ("POST", "/widget/ask", "question, app, history, top_k, scope, apps"),
        ("POST", "/compare/rows", "question, topic, apps"),
        ("POST", "/compare/export", "question, topic, format, rows"),
        ("GET", "/api/v1/profile", "app"),
    ],
)
def test_whoever_sends_another_field_is_told_those_that_there_are(
    client: TestClient, method: str, path: str, allowed: str
) -> None:
    body = {"json": {"colour": 1}} if method == "POST" else {}
    problem = read_problem(client.request(method, path, **body), 422, "invalid")  # type: ignore[arg-type]
    assert f"允许的字段：{allowed}。" in problem["detail"]


def test_health_is_told_without_a_body_for_head(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    response = client.head("/healthz")
    assert (response.status_code, response.content) == (200, b"")


def test_a_process_is_ready_once_its_assistant_answers_from_an_index(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "apps": 5}


class Unready(FakeAssistant):
    """An assistant whose model fails, or whose index is empty."""

    is_empty = False

    def apps(self) -> tuple[str, ...]:
        return () if self.is_empty else super().apps()

    def search(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("no model")


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_process_that_cannot_answer_is_not_ready_and_yet_alive(is_empty: bool) -> None:
    unready = Unready()
    unready.is_empty = is_empty
    client = TestClient(build_app(unready), raise_server_exceptions=False)
    assert "稍后再试" in read_problem(client.get("/readyz"), 503, "not-ready")["detail"]
    assert client.get("/healthz").status_code == 200


def test_a_process_that_is_about_to_end_says_so_and_not_that_its_index_fails(fake: FakeAssistant) -> None:
    app = build_app(fake)
    client = TestClient(app)
    assert client.get("/readyz").status_code == 200
    app.state.readiness.drain()
    assert read_problem(client.get("/readyz"), 503, "ending")["detail"] == message("api.ending", "zh")
    assert client.get("/healthz").status_code == 200


def read_events(text: str) -> list[tuple[str, Any]]:
    """Return the server-sent events of ``text``."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    assert all(name.startswith("event: ") and data.startswith("data: ") for name, data in blocks)
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_stream_tells_progress_and_then_the_answers_own_dictionary(client: TestClient, fake: FakeAssistant) -> None:
    response = client.post("/api/v1/ask", json={"question": QUESTION}, headers={"accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in response.headers
    assert read_events(response.text) == [
        ("progress", {"stage": "understood", "language": "zh"}),
        ("progress", {"stage": "search"}),
        ("answer", fake.ask(QUESTION).to_dict()),
        ("done", {}),
    ]


def test_a_failure_ends_a_stream_with_the_problem(client: TestClient) -> None:
    headers = {"accept": "text/event-stream", "accept-language": "en"}
    response = client.post("/api/v1/ask", json={"question": "boom 秘密"}, headers=headers)
    assert "秘密" not in response.text
    name, problem = read_events(response.text)[-1]
    assert name == "error"
    plain = client.post("/api/v1/ask", json={"question": "boom"}, headers=headers | {"accept": "*/*"}).json()
    assert problem.pop("instance") == f"urn:wentiao:request:{response.headers['x-request-id']}"
    assert problem == {name: value for name, value in plain.items() if name != "instance"}


def test_what_a_stream_cannot_take_is_an_ordinary_problem(client: TestClient) -> None:
    response = client.post("/api/v1/ask", json={"question": 5}, headers={"accept": "text/event-stream"})
    read_problem(response, 422, "invalid")


class Waiting(FakeAssistant):
    """An assistant that answers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asking = threading.Event()
        self.let = threading.Event()

    def ask(self, *args: Any, **options: Any) -> Any:
        self.asking.set()
        self.let.wait(30)
        return super().ask(*args, **options)


def stream_until(assistant: Waiting, *, then: str) -> list[str]:
    """Ask for a stream through the whole application; once progress came, ``then``. Return the chunks that came."""
    app = build_app(assistant)
    body = json.dumps({"question": QUESTION}).encode()
    chunks: list[str] = []

    async def run() -> None:
        gone = asyncio.Event()
        requests = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if requests:
                return requests.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                chunks.append(message["body"].decode())
                if "search" in chunks[-1]:
                    gone.set() if then == "disconnect" else assistant.let.set()
                    asyncio.get_running_loop().call_later(0.2, assistant.let.set)

        headers = [(b"accept", b"text/event-stream"), (b"accept-encoding", b"gzip"), (b"content-type", JSON_TYPE)]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": "/api/v1/ask", "raw_path": b"/api/v1/ask", "query_string": b"",
            "root_path": "", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }  # fmt: skip
        await asyncio.wait_for(app(scope, receive, send), 20)

    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(asyncio.run, run())
        try:
            started.result(25)
        finally:
            assistant.let.set()
    return chunks


def test_progress_leaves_before_the_answer_is_there() -> None:
    chunks = stream_until(Waiting(), then="answer")
    assert [read_events(chunk)[0][0] for chunk in chunks] == ["progress", "progress", "answer", "done"]


@pytest.mark.parametrize("limit", [None, TimeLimit(25)])
def test_a_caller_who_has_gone_is_counted_until_the_answer_that_is_being_made_ends(limit: TimeLimit | None) -> None:
    assistant = Waiting()
    assistant.limit = limit
    happened: list[str] = []

    async def read() -> None:
        answer = partial(answered, assistant, lambda: assistant.ask(QUESTION).to_dict())
        try:
            async for _ in stream_answer(answer, "zh", failure_language="zh"):
                pass
        finally:
            happened.append("ended")

    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            while not assistant.asking.is_set():
                await anyio.sleep(0)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.1)
                happened.append("let")
                assistant.let.set()

    with ThreadPoolExecutor(1) as thread:  # Playwright keeps a loop running in this one once a page was tested
        thread.submit(anyio.run, run).result(25)
    assert happened == ["let", "ended"]


def test_a_caller_who_goes_away_ends_the_stream() -> None:
    chunks = stream_until(Waiting(), then="disconnect")
    assert [read_events(chunk)[0][0] for chunk in chunks] == ["progress", "progress"]


def test_a_model_without_topics_says_so() -> None:
    class Plain(FakeAssistant):
        knows_topics = False

    with TestClient(build_app(Plain()), raise_server_exceptions=False) as plain:
        for path, body in (("search", {"query": "注销", "topics": ["rights"]}), ("compare", {"topic": "rights"})):
            response = plain.post(f"/api/v1/{path}", json=body)
            assert (response.status_code, response.json()["type"]) == (501, "urn:wentiao:problem:topics-unknown")
