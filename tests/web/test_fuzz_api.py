"""Whatever is posted to the API, it is answered or refused in words: never a 500."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ..conftest import Shelf, decide
from .application import build_app
from .test_widget import Host, ask, open_frame, visit
from .test_widget import host as host

if TYPE_CHECKING:
    from playwright.sync_api import Browser

QUIET = list(HealthCheck)
FIELDS = ("question", "query", "app", "apps", "history", "top_k", "rerank", "topics", "topic", "language", "x")
words = st.one_of(
    st.text(max_size=40), st.sampled_from(("津心办怎么注销", "哪些应用", "昶联", "\x00", "\u202e", "=1+1", "a" * 501))
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(FIELDS), words), inner)
    ),
    max_leaves=8,
)
bodies = st.one_of(
    st.fixed_dictionaries({"question": words}, optional={name: values for name in FIELDS if name != "question"}),
    st.fixed_dictionaries({"query": words}, optional={name: values for name in FIELDS if name != "query"}),
    st.dictionaries(st.sampled_from(FIELDS), values),
    values,
)
CONTENT_TYPES = (
    "application/json",
    "application/json; charset=gbk",
    "text/plain",
    "multipart/form-data",
    "",
    "x" * 300,
)


@pytest.fixture(scope="module")
def client(shipped: Shelf) -> Any:
    """The application over a real assistant, so that what it answers is checked as everywhere."""
    with TestClient(build_app(shipped.assistant(decide(bias=20.0))), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.faults
@pytest.mark.parametrize("path", ["/api/v1/ask", "/api/v1/search", "/api/v1/compare"])
def test_any_json_is_answered_or_refused(client: TestClient, path: str, amount: Callable[[int, int], int]) -> None:
    @settings(max_examples=amount(60, 12_000), deadline=None, suppress_health_check=QUIET)
    @given(bodies)
    def post(body: object) -> None:
        sent = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert sent.status_code in (200, 400, 404, 413, 422, 429, 501), (sent.status_code, sent.text[:300])
        assert sent.json()

    post()


@pytest.mark.faults
def test_any_bytes_under_any_name_are_answered_or_refused(
    client: TestClient, amount: Callable[[int, int], int]
) -> None:
    @settings(max_examples=amount(60, 12_000), deadline=None, suppress_health_check=QUIET)
    @given(st.sampled_from(("ask", "search", "compare")), st.binary(max_size=200), st.sampled_from(CONTENT_TYPES))
    def post(path: str, data: bytes, kind: str) -> None:
        sent = client.post(f"/api/v1/{path}", content=data, headers={"content-type": kind})
        assert 400 <= sent.status_code < 500, (sent.status_code, sent.text[:300])

    post()


@pytest.mark.faults
def test_any_address_below_the_api_is_answered_or_refused(
    client: TestClient, amount: Callable[[int, int], int]
) -> None:
    @settings(max_examples=amount(80, 12_000), deadline=None, suppress_health_check=QUIET)
    @given(
        st.sampled_from(("api/v1/policies/", "api/v1/clauses/", "api/v1/profile?app=", "read/", "cited/")),
        st.one_of(
            words, st.sampled_from(("..%2f..%2fetc%2fpasswd", "%00", "%ff", "昶联?version=x", "昶联?clause=%0d%0aX: y"))
        ),
    )
    def get(path: str, name: str) -> None:
        from urllib.parse import quote

        sent = client.get(f"/{path}{quote(name, safe='%?=')}")
        assert sent.status_code < 500, (path, name, sent.status_code, sent.text[:300])

    get()


KINDS = (
    "init",
    "config",
    "new-chat",
    "focus",
    "ready",
    "close",
    "event",
    "__proto__",
    "constructor",
    "toString",
    "x",
    "",
    None,
)


def make_value(chance: random.Random, depth: int = 0) -> object:
    """Make any value that a message may hold; never one that is a question to be sent."""
    plain = (
        None,
        True,
        False,
        0,
        -1,
        1e308,
        "",
        "zh",
        "津心办",
        "javascript:alert(1)",
        "<img src=x onerror=alert(1)>",
        "a" * 5000,
    )
    if depth > 2 or chance.random() < 0.5:
        return chance.choice(plain)
    if chance.random() < 0.4:
        return [make_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    keys = ("app", "lang", "theme", "apps", "accent", "config", "edge", "name", "detail", "__proto__", "length")
    return {chance.choice(keys): make_value(chance, depth + 1) for _ in range(chance.randint(0, 4))}


def make_message(chance: random.Random) -> object:
    if chance.random() < 0.2:
        return make_value(chance)
    fields = ("config", "edge", "question", "send", "name", "detail", "app")
    held = {name: make_value(chance) for name in fields if chance.random() < 0.5}
    kind = chance.choice((*KINDS, "ask"))
    if kind == "ask":
        held["question"] = chance.choice((None, 5, [], {}))
    return {"wentiao": chance.choice((1, 1, 1, "1", 2, None)), "type": kind, **held}


@pytest.mark.faults
@pytest.mark.browser
def test_any_message_to_the_widget_or_its_frame_is_ignored_without_an_error(
    browser: Browser, host: Host, amount: Callable[[int, int], int]
) -> None:
    """Both ways, from a page that is allowed to embed; `visit` fails where anything is thrown or complained about."""
    chance = random.Random(20261122)
    messages = [make_message(chance) for _ in range(amount(300, 20_000))]
    to_frame = (
        "messages => { const frame = document.querySelector('wentiao-widget').shadowRoot.querySelector('iframe');"
        " for (const one of messages) { frame.contentWindow.postMessage(one, '*'); window.postMessage(one, '*'); } }"
    )
    to_page = "(body, messages) => { for (const one of messages) parent.postMessage(one, '*'); }"
    with visit(browser, host, host.page(f"<p>{host.snippet('data-site=shop data-app=津心办')}")) as page:
        frame = open_frame(page)
        page.evaluate(to_frame, messages)
        frame.locator("body").evaluate(to_page, [one for one in messages if not _closes(one)])
        page.wait_for_timeout(500)
        assert page.locator("wentiao-widget iframe").count() == 1
        assert frame.locator("img[src=x]").count() == 0
        frame.locator("#question").wait_for()
        ask(frame)
        assert frame.locator(".wt-answered").count() == 1


def _closes(message: object) -> bool:
    return isinstance(message, dict) and message.get("type") == "close"
