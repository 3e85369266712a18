"""What one address may ask for: counted by a clock that the test sets."""

from __future__ import annotations

import logging
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from corpus.messages import message
from web.limits import COST, OTHERS_A_QUESTION, RANKED_A_QUESTION, Limiter, Rates, client_key
from web.server import uvicorn_settings

from .application import build_app, served
from .fakes import FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

ASK = ("/api/v1/ask", "POST")
READ = ("/read/津心办", "GET")
QUESTION = {"question": "津心办怎么注销"}


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def limiter(client: int = 60, everyone: int = 0, max_clients: int = 100) -> tuple[Limiter, Clock]:
    clock = Clock()
    return Limiter(Rates(client, everyone), now=clock, max_clients=max_clients), clock


def taken(limits: Limiter, client: str | None, request: tuple[str, str] = ASK, most: int = 10_000) -> int:
    """Return how many requests are let through in a row, up to ``most``."""
    return next((count for count in range(most) if limits.wait(client, *request)), most)


def test_a_minutes_worth_is_let_through_at_once_and_then_as_much_as_time_brings() -> None:
    limits, clock = limiter()
    assert taken(limits, "203.0.113.9") == 60
    assert limits.wait("203.0.113.9", *ASK) == 1.0
    clock.time = 0.5
    assert limits.wait("203.0.113.9", *ASK) == 0.5
    clock.time = 3.0
    assert taken(limits, "203.0.113.9") == 3
    clock.time = 10_000.0
    assert taken(limits, "203.0.113.9") == 60


def test_each_address_has_its_own_share_and_a_subscribers_network_one() -> None:
    limits, _ = limiter()
    assert taken(limits, "203.0.113.9") == 60
    assert taken(limits, "203.0.113.10") == 60
    assert taken(limits, "2001:db8:0:1::1") == 60
    assert taken(limits, "2001:db8:0:1:ffff::2") == 0
    assert taken(limits, "2001:db8:0:2::1") == 60
    assert taken(limits, "no address") == 60
    assert taken(limits, "no address either") == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_not_limited(address: str) -> None:
    limits, _ = limiter()
    assert taken(limits, address) == 10_000


def test_what_costs_more_counts_for_more_and_reading_for_less() -> None:
    for costly in (("/profile/津心办", "GET"), ("/api/v1/profile", "GET")):
        assert taken(limiter()[0], "203.0.113.9", costly) == 60 // COST, costly
    limits, _ = limiter()
    assert taken(limits, "203.0.113.9", READ) == 60 * OTHERS_A_QUESTION
    assert taken(limits, "203.0.113.9") == 60  # a page that was reloaded too often takes nobody the questions


def test_an_answer_is_charged_by_the_apps_that_it_ranked_and_never_more_than_a_minutes_worth() -> None:
    limits, clock = limiter()
    assert limits.wait("203.0.113.9", *ASK) == 0
    limits.charge("203.0.113.9", *ASK, ranked=1)  # what any question takes
    assert taken(limits, "203.0.113.9") == 59
    limits, clock = limiter()
    assert limits.wait("203.0.113.9", *ASK) == 0
    limits.charge("203.0.113.9", *ASK, ranked=10 * RANKED_A_QUESTION)
    assert taken(limits, "203.0.113.9") == 50
    limits.charge("203.0.113.9", *ASK, ranked=100_000)
    assert limits.wait("203.0.113.9", *ASK) == 61.0
    clock.time = 61.0
    assert limits.wait("203.0.113.9", *ASK) == 0
    limits, _ = limiter(client=0, everyone=60)
    limits.charge("203.0.113.9", *ASK, ranked=31 * RANKED_A_QUESTION)
    assert taken(limits, "198.51.100.1") == 30
    limits, _ = limiter()
    limits.charge("127.0.0.1", *ASK, ranked=100_000)
    assert taken(limits, "127.0.0.1") == 10_000


COMPARED = {"question": "怎么注销"}
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "compare_apps", "arguments": COMPARED},
}
JSON_OR_STREAM = {"accept": "application/json, text/event-stream"}


def statuses_of_two(app: Any, path: str, body: object) -> list[int]:
    with TestClient(app, raise_server_exceptions=False, client=("203.0.113.9", 4711)) as client:
        return [client.post(path, json=body, headers=JSON_OR_STREAM).status_code for _ in range(2)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/mcp", CALL),
        ("/api/v1/compare", COMPARED),
        ("/api/v1/ask", {"question": "哪些应用可以注销账号"}),
        ("/compare/rows", COMPARED | {"apps": ["津心办", "昶联", "汇容客", "掌上海关", "口袋证件照"]}),
        ("/gradio_api/run/predict", {"fn_index": 0, "data": ["哪些应用可以注销账号", "", [], False]}),
    ],
)
def test_a_question_to_many_apps_counts_for_many_by_whatever_way_it_comes(
    assistant: Any, path: str, body: object
) -> None:
    """Five apps at a rate of two a minute: a second request would go through, had the first counted for one."""
    assert statuses_of_two(build_app(assistant, rates=Rates(client=2, all=0)), path, body) == [200, 429]


def test_a_question_to_one_app_counts_for_one(assistant: Any) -> None:
    app = build_app(assistant, rates=Rates(client=2, all=0))
    assert statuses_of_two(app, "/api/v1/ask", QUESTION) == [200, 200]


def test_a_rate_below_the_cost_of_one_lets_one_through() -> None:
    limits, clock = limiter(client=1)
    assert taken(limits, "203.0.113.9", ("/profile/津心办", "GET")) == 1
    clock.time = 1000.0
    assert limits.wait("203.0.113.9", "/profile/津心办", "GET") == 0.0


def test_all_addresses_together_have_a_bound() -> None:
    limits, clock = limiter(client=0, everyone=30)
    let_through = [limits.wait(f"203.0.113.{number}", *ASK) == 0 for number in range(40)]
    assert let_through == [True] * 30 + [False] * 10
    assert limits.wait("203.0.113.99", *READ) == 0
    clock.time = 2.0
    assert taken(limits, "203.0.113.99") == 1


def test_what_is_refused_is_not_counted_or_who_asks_on_would_never_get_in() -> None:
    limits, clock = limiter()
    taken(limits, "203.0.113.9")
    for _ in range(1000):
        limits.wait("203.0.113.9", *ASK)
    clock.time = 1.0
    assert limits.wait("203.0.113.9", *ASK) == 0


def test_no_more_clients_are_remembered_than_told_and_those_who_ask_are_kept() -> None:
    limits, _ = limiter(max_clients=10)
    assert taken(limits, "198.51.100.1") == 60
    for number in range(100):
        limits.wait(f"203.0.113.{number}", *ASK)
        assert limits.wait("198.51.100.1", *ASK) > 0
    assert len(limits._clients) == 10


def test_zero_is_no_limit() -> None:
    limits, _ = limiter(client=0, everyone=0)
    assert taken(limits, "203.0.113.9") == 10_000


def test_the_log_names_a_private_address_which_may_be_a_proxy_and_nobody_elses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits, clock = limiter()
    for address, named in (("10.0.0.7", "10.0.0.7"), ("93.184.216.34", "an address")):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            taken(limits, address)
            limits.wait(address, *ASK)
        assert [record.getMessage().partition(" asked")[0] for record in caplog.records] == [named]
        clock.time += 100


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "?"),
        (None, "?"),
        ("203.0.113.9\r\nx: y", "?"),
        ("1" * 1000, "?"),
    ],
)
def test_a_client_is_known_by_its_address(address: str | None, key: str) -> None:
    assert client_key(address) == key


def test_who_asks_too_much_is_told_when_to_come_again_in_words() -> None:
    app = build_app(FakeAssistant(), rates=Rates(client=2, all=0))
    with TestClient(app, raise_server_exceptions=False, client=("203.0.113.9", 4711)) as client:
        assert [client.post("/api/v1/ask", json=QUESTION).status_code for _ in range(3)] == [200, 200, 429]
        for path in ("/api/v1/ask", "/widget/ask", "/gradio_api/run/predict", "/mcp"):
            refused = client.post(path, json=QUESTION, headers={"accept-language": "en"})
            assert refused.status_code == 429, path
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert refused.headers["content-type"] == "application/problem+json"
            problem = refused.json()
            assert problem["type"] == "urn:wentiao:problem:rate-limited"
            assert f"Try again in {refused.headers['retry-after']} s." in problem["detail"]
            assert refused.headers["cache-control"] == "no-store"
        assert client.get("/read/津心办").status_code == 200
        for _ in range(300):
            assert client.get("/healthz").status_code == 200  # or what watches the process would start it anew


@pytest.mark.parametrize(
    ("peer", "forwarded", "same"),
    [  # whether a second request from the same peer, saying to come from elsewhere, is counted with the first
        ("10.0.0.7", ("203.0.113.1", "203.0.113.2"), False),  # the proxy that the operator named
        ("10.0.0.7", ("203.0.113.1", "198.51.100.9, 203.0.113.1"), True),  # a client's own words come first
        ("203.0.113.5", ("198.51.100.1", "198.51.100.2"), True),  # anybody else says what they like
        ("203.0.113.5", ("127.0.0.1", "::1"), True),
        ("10.0.0.7", ("nonsense", "more nonsense"), True),
    ],
)
def test_only_a_proxy_that_was_named_says_who_asks(peer: str, forwarded: tuple[str, str], same: bool) -> None:
    app = build_app(FakeAssistant(), rates=Rates(client=1, all=0))
    config = uvicorn.Config(app, **uvicorn_settings([ip_network("10.0.0.0/24")]))
    config.load()
    with TestClient(config.loaded_app, raise_server_exceptions=False, client=(peer, 4711)) as client:
        statuses = [
            client.post("/api/v1/ask", json=QUESTION, headers={"x-forwarded-for": one}).status_code for one in forwarded
        ]
    assert statuses == [200, 429 if same else 200]


@pytest.mark.browser
def test_a_page_that_is_refused_says_so_in_words_and_lets_one_ask_again(browser: Browser) -> None:
    app = build_app(FakeAssistant(), rates=Rates(client=1, all=0))
    with TestClient(app, raise_server_exceptions=False, client=("203.0.113.9", 4711)) as limited:
        refusals = [limited.post("/api/v1/ask", json=QUESTION) for _ in range(2)]
    refusal = refusals[1]
    assert refusal.status_code == 429
    told = message("chat.rate_limited", "zh")

    def refuse(route: Route) -> None:
        if is_refused:
            route.fulfill(status=429, headers=dict(refusal.headers), body=refusal.content)
        else:
            route.continue_()

    with served(FakeAssistant()) as address:
        context = browser.new_context(locale="zh-CN")
        context.set_default_timeout(20_000)
        for pattern, path, ready, field, log in (
            ("**/run/predict", "", "#wt-log[role=log]", "#wt-question textarea", "#wt-log"),
            ("**/widget/ask", "widget/frame", "#question", "#question", "#turns"),
        ):
            is_refused = True
            page = context.new_page()
            page.route(pattern, refuse)
            page.goto(f"{address}{path}")
            page.wait_for_selector(ready, state="attached")
            page.locator(field).fill("津心办怎么注销")
            page.locator(field).press("Enter")
            page.locator(f"{log} .wt-failed").wait_for()
            assert told in page.locator(log).inner_text()
            is_refused = False
            page.locator(f"{log} .wt-failed button").click()
            page.locator(f"{log} .wt-turn:not(.wt-pending)").first.wait_for()
            assert told not in page.locator(log).inner_text()
            assert page.locator(f"{log} mark").count() > 0
        context.close()
