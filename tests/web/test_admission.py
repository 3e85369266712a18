"""How many questions are let in, and what those get that are not: the real application over assistants that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from index.errors import OverloadedError
from retrieval import Answer
from retrieval.datatypes import Turn
from web.admission import Admission
from web.server import WebSettings, create_app

from .application import HOSTS
from .fakes import FakeAssistant

QUESTION = {"question": "津心办怎么注销账号"}
LIMIT = 20.0  # seconds that nothing here takes
POSTS = {
    "/api/v1/ask": QUESTION,
    "/api/v1/search": {"query": "注销"},
    "/api/v1/compare": QUESTION,
    "/widget/ask": QUESTION,
    "/compare/rows": {**QUESTION, "apps": ["津心办"]},
    "/mcp": {},
    "/gradio_api/run/predict": {"data": []},
}
PROFILES = ("/profile/津心办", "/api/v1/profile?app=津心办")
UNAFFECTED = ("/healthz", "/readyz", "/api/v1/apps", "/page/theme.css", "/read/津心办", "/", "/widget/demo")


class SlowAssistant(FakeAssistant):
    """Holds every question until it is let go; refuses those that hold "full"."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.at_once = 0
        self.most_at_once = 0
        self.order: list[str] = []
        self._lock = threading.Lock()

    def ask(self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3) -> Answer:
        if "full" in question:
            raise OverloadedError("the queue is full", retry_after=2.5)
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.order.append(question)
        self.begun.release()
        assert self.go.wait(LIMIT)
        answer = super().ask(question, app, history, top_k)
        with self._lock:
            self.at_once -= 1
        return answer


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``main`` in a thread of its own: Playwright keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main())).result()


def busy_client(assistant: FakeAssistant, **limits: int) -> TestClient:
    """Return a client of the whole application with these limits."""

    async def build() -> Any:
        return create_app(assistant, WebSettings(allowed_hosts=HOSTS, **limits))  # type: ignore[arg-type]

    return TestClient(run(build), raise_server_exceptions=False)


@pytest.fixture
def slow() -> SlowAssistant:
    return SlowAssistant()


def test_one_question_too_many_is_refused_at_once_and_all_else_goes_on(slow: SlowAssistant) -> None:
    with busy_client(slow, max_questions=2, answering=1) as client, ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(client.post, "/api/v1/ask", json=QUESTION) for _ in range(2))
        assert slow.begun.acquire(timeout=LIMIT)
        admission = find_admission(client)
        wait_until(lambda: admission.inside == 2)
        english = {"accept-language": "en"}
        asked = [(path, client.post(path, json=body, headers=english)) for path, body in POSTS.items()]
        asked += [(path, client.get(path, headers=english)) for path in PROFILES]
        for path, refused in asked:
            assert refused.status_code == 503, path
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["type"] == "urn:wentiao:problem:overloaded"
            seconds = int(refused.headers["retry-after"])
            assert 1 <= seconds <= 60
            assert refused.json()["detail"].endswith(f"Try again in {seconds} s.")
            assert refused.headers["x-content-type-options"] == "nosniff"
        assert [client.head(path).status_code for path in PROFILES] == [503, 503]
        for path in UNAFFECTED:
            assert client.get(path).status_code == 200, path
        slow.go.set()
        assert [reply.result(LIMIT).json()["status"] for reply in (first, second)] == ["answered", "answered"]
        assert client.post("/api/v1/ask", json=QUESTION).json()["status"] == "answered"
        assert admission.inside == 0
    assert slow.most_at_once == 1


def test_what_the_queue_inside_refuses_is_the_same_503_everywhere(slow: SlowAssistant) -> None:
    question = {"question": "full"}
    with busy_client(slow) as client:
        refused = client.post("/api/v1/ask", json=question)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "3")
        assert refused.json()["type"] == "urn:wentiao:problem:overloaded"
        stream = client.post("/api/v1/ask", json=question, headers={"accept": "text/event-stream"}).text
        assert '"urn:wentiao:problem:overloaded"' in stream and "event: error" in stream
        assert find_admission(client).inside == 0


def test_a_store_that_does_not_answer_is_a_503_and_never_a_silent_policy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    question = {"question": "unreachable 我的问题"}
    with busy_client(FakeAssistant()) as client:
        refused = client.post("/api/v1/ask", json=question)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert refused.json()["type"] == "urn:wentiao:problem:store-unreachable"
        stream = client.post("/api/v1/ask", json=question, headers={"accept": "text/event-stream"}).text
        assert '"urn:wentiao:problem:store-unreachable"' in stream and "event: answer" not in stream
    assert "milvus://h:1 did not answer" in caplog.text and "我的问题" not in caplog.text


@pytest.mark.parametrize(("question", "why"), [("overloaded", "overloaded"), ("unreachable", "store_unreachable")])
def test_the_chat_is_told_what_is_unavailable_and_gradio_prints_nothing(
    question: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with busy_client(FakeAssistant()) as client:
        call = {"fn_index": 0, "data": [question, "", [], False]}
        told = client.post("/gradio_api/run/predict", json=call)
    assert (told.status_code, told.json()["data"]) == (200, [{"asked": question, "unavailable": why}])
    assert "Traceback" not in "".join(capfd.readouterr())


def find_admission(client: Any) -> Admission:
    """Return the middleware in the stack of the client's application."""
    layer = client.app.middleware_stack
    while not isinstance(layer, Admission):
        layer = layer.app
    return layer


def wait_until(claim: Any) -> None:
    pause = threading.Event()
    for _ in range(int(LIMIT * 1000)):
        if claim():
            return
        pause.wait(0.001)
    raise AssertionError("waited in vain")


class Door:
    """A small ASGI application that notes who comes in and lets each out when it is told."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.out: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"]
        self.entered.append(name)
        await self.out.setdefault(name, asyncio.Event()).wait()
        if name == "/broken":
            raise ArithmeticError(name)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": name.encode()})


class Reader:
    """Who an answer is sent to: what has been taken of it, and a wait before each part."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.taken.append(message)


async def post(
    admission: Admission, path: str, method: str = "POST", root_path: str = "", reader: Reader | None = None
) -> int:
    reader = reader or Reader()

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    scope = {"type": "http", "method": method, "path": root_path + path, "root_path": root_path, "headers": []}
    await admission(scope, receive, reader.send)
    status: int = reader.taken[0]["status"]
    return status


def test_questions_are_let_in_by_their_order_and_a_broken_one_gives_its_place_back() -> None:
    async def come_and_go() -> None:
        door = Door()
        admission = Admission(door, max_questions=4, answering=1)
        tasks = [asyncio.create_task(post(admission, path)) for path in ("/broken", "/b", "/c", "/d")]
        for turn, path in enumerate(("/broken", "/b", "/c", "/d"), start=1):
            while len(door.entered) < turn:
                await asyncio.sleep(0)
            assert door.entered[-1] == path and admission.inside == 5 - turn
            if turn == 1:
                assert await post(admission, "/e") == 503
            door.out[path].set()
            done = await asyncio.gather(tasks[turn - 1], return_exceptions=True)
            assert isinstance(done[0], ArithmeticError) if turn == 1 else done == [200]
        assert admission.inside == 0
        assert door.entered == ["/broken", "/b", "/c", "/d"]

    run(come_and_go)


def test_a_question_that_is_given_up_while_it_waits_leaves_its_place() -> None:
    async def come_and_go() -> None:
        door = Door()
        admission = Admission(door, max_questions=2, answering=1)
        first = asyncio.create_task(post(admission, "/a"))
        second = asyncio.create_task(post(admission, "/b"))
        while admission.inside < 2:
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert admission.inside == 1
        third = asyncio.create_task(post(admission, "/c"))
        while admission.inside < 2:
            await asyncio.sleep(0)
        door.out["/a"].set()
        door.out["/c"] = asyncio.Event()
        door.out["/c"].set()
        assert await asyncio.gather(first, third) == [200, 200]
        assert door.entered == ["/a", "/c"]

    run(come_and_go)


def test_a_get_is_no_question_but_for_a_profile_below_any_path() -> None:
    async def come_and_go() -> None:
        door = Door()
        admission = Admission(door, max_questions=1, answering=1)
        first = asyncio.create_task(post(admission, "/a"))
        while not door.entered:
            await asyncio.sleep(0)
        door.out["/page"] = asyncio.Event()
        door.out["/page"].set()
        assert await post(admission, "/page", "GET") == 200
        for root_path in ("", "/wentiao"):
            assert await post(admission, "/profile/甲", "GET", root_path) == 503
        door.out["/a"].set()
        assert await first == 200

    run(come_and_go)


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not claim():
            await asyncio.sleep(0)


async def in_parts(door: Door, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in three parts, the second when the door lets it."""
    name = scope["path"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"1", "more_body": True})
    door.entered.append(name)
    await door.out.setdefault(name, asyncio.Event()).wait()
    await send({"type": "http.response.body", "body": b"2", "more_body": True})
    await send({"type": "http.response.body", "body": b"3"})


@pytest.mark.parametrize(("in_stream", "body"), [(False, [b"/a"]), (True, [b"1", b"2", b"3"])])
def test_who_does_not_read_the_answer_keeps_nobody_out(in_stream: bool, body: list[bytes]) -> None:
    async def come_and_go() -> None:
        door = Door()
        counts: list[tuple[int, int]] = []
        admission = Admission(
            partial(in_parts, door) if in_stream else door,
            max_questions=1,
            answering=1,
            on_change=lambda inside, waiting: counts.append((inside, waiting)),
        )
        reader = Reader()
        reader.reads.clear()
        first = asyncio.create_task(post(admission, "/a", reader=reader))
        await until(lambda: door.entered == ["/a"])
        assert await post(admission, "/b") == 503  # it is being answered, though nobody takes the beginning
        door.out["/a"].set()
        await until(lambda: admission.inside == 0)
        door.out["/b"] = asyncio.Event()
        door.out["/b"].set()
        assert await post(admission, "/b") == 200
        assert reader.taken == [] and not first.done()
        reader.reads.set()
        assert await first == 200
        assert [message["body"] for message in reader.taken[1:]] == body
        assert counts == [(1, 1), (1, 0), (0, 0)] * 2

    run(come_and_go)


def test_an_answer_that_nobody_waits_for_any_more_gives_its_place_back_once() -> None:
    async def come_and_go() -> None:
        door = Door()
        admission = Admission(door, max_questions=2, answering=1)
        reader = Reader()
        reader.reads.clear()
        before = asyncio.all_tasks()
        computing = asyncio.create_task(post(admission, "/a"))
        await until(lambda: door.entered == ["/a"])
        computing.cancel()
        await asyncio.gather(computing, return_exceptions=True)
        assert (admission.inside, admission._slots.borrowed_tokens) == (0, 0)
        unread = asyncio.create_task(post(admission, "/b", reader=reader))
        await until(lambda: door.entered == ["/a", "/b"])
        door.out["/b"].set()
        await until(lambda: admission.inside == 0)
        unread.cancel()
        await asyncio.gather(unread, return_exceptions=True)
        assert (admission.inside, admission._slots.borrowed_tokens) == (0, 0)
        await until(lambda: asyncio.all_tasks() == before)  # who sent has gone as well

    run(come_and_go)


def test_what_breaks_on_the_way_to_the_reader_is_raised_and_the_place_is_free() -> None:
    class Broken(Reader):
        async def send(self, message: Any) -> None:
            raise ConnectionError

    async def come_and_go() -> None:
        door = Door()
        admission = Admission(door, max_questions=1, answering=1)
        door.out["/a"] = asyncio.Event()
        door.out["/a"].set()
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await post(admission, "/a", reader=Broken())
            assert (admission.inside, admission._slots.borrowed_tokens) == (0, 0)

    run(come_and_go)
