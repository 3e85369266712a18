"""The watch over everything that leaves this machine: it sees what it is there for."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import quote

import pytest

from .application import served
from .fakes import HOSTILE, FakeAssistant
from .outside import Outside, is_outside, leads_outside
from .test_hostile import MARK, hostile_policies

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def caught(outside: Outside) -> Iterator[list[str]]:
    """What was tried, which this test means to."""
    yield outside.tried
    outside.tried.clear()


def connect() -> None:
    with socket.socket() as client:
        client.connect(("192.0.2.1", 80))


def connect_ex() -> None:
    with socket.socket() as client:
        client.connect_ex(("192.0.2.1", 80))


def send_a_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("192.0.2.1", 53))


def look_up() -> None:
    socket.getaddrinfo("evil.example", 80)


def open_a_page() -> None:
    urllib.request.urlopen("http://evil.example/")


def open_a_connection() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("192.0.2.1", 80), 5))


@pytest.mark.parametrize("reach", [connect, connect_ex, send_a_datagram, look_up, open_a_page, open_a_connection])
def test_python_is_kept_from_other_machines_and_the_try_is_kept_in_mind(
    caught: list[str], reach: Callable[[], None]
) -> None:
    with pytest.raises((PermissionError, URLError)):
        reach()
    assert len(caught) >= 1
    assert "192.0.2.1" in caught[0] or "evil.example" in caught[0]


def test_this_machine_is_reached(caught: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        pass
    assert caught == []


@pytest.mark.parametrize(
    ("host", "there"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", False), (b"localhost", False),
     ("10.0.0.1", True), ("evil.example", True), ("127.0.0.1.evil.example", True), ("::ffff:192.0.2.1", True)],
)  # fmt: skip
def test_another_machine_is_told_from_this_one(host: object, there: bool) -> None:
    assert is_outside(host) is there


def test_an_address_of_the_page_itself_asks_nobody() -> None:
    assert not any(
        map(leads_outside, ("data:image/png;base64,AA", "blob:http://127.0.0.1/x", "http://[::1]:80/", "about:blank"))
    )
    assert all(map(leads_outside, ("http://evil.example/", "https://10.0.0.1/x", "wss://evil.example/", "ftp://x/")))


@pytest.mark.browser
def test_a_page_that_asks_another_host_is_seen_and_gets_nothing(browser: Browser, caught: list[str]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_content("<img src='http://evil.example/pixel.png'>")
    assert (
        page.evaluate("fetch('http://evil.example/', {mode: 'no-cors'}).then(() => 'came', () => 'nothing')")
        == "nothing"
    )
    context.close()
    assert "http://evil.example/pixel.png" in caught


@pytest.mark.browser
def test_a_hostile_question_runs_nothing_and_fetches_nothing(browser: Browser) -> None:
    """In chat and widget frame, typed, answered and restored from what the tab kept."""
    hostile = f"注销{HOSTILE}![x](http://evil.example/x.png)<svg onload=alert(3)>[y](javascript:alert(4))</textarea>"
    dialogs: list[str] = []
    with served(FakeAssistant()) as address:
        context = browser.new_context()
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.goto(address)
        page.wait_for_selector("#wt-log[role=log]", state="attached")
        field = page.locator("#wt-question textarea")
        field.fill(f"津心办{hostile}")
        field.press("Enter")
        page.locator(".wt-turn:not(.wt-pending)").first.wait_for()
        page.reload()
        page.locator(".wt-turn").first.wait_for()
        assert page.locator("#wt-log img, #wt-log script, #wt-log svg, #wt-log iframe").count() == 0
        assert "![x](http://evil.example/x.png)" in page.locator("#wt-log").inner_text()
        page.goto(f"{address}widget/frame")
        page.locator("#question").fill(f"津心办{hostile}")
        page.locator("#question").press("Enter")
        page.locator(".wt-turn:not(.wt-pending)").first.wait_for()
        assert page.locator("#turns img, #turns script, #turns svg, #turns iframe").count() == 0
        context.close()
    assert dialogs == []


@pytest.mark.browser
def test_hostile_policies_run_nothing_and_fetch_nothing_on_any_page(browser: Browser) -> None:
    dialogs: list[str] = []
    assistant = FakeAssistant(hostile_policies())
    apps = assistant.apps()
    marked = "img, svg, iframe, object, embed, base, [onerror], [onload], [onmouseover]"
    with served(assistant) as address:
        context = browser.new_context()
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.goto(f"{address}compare")
        assert page.locator("#apps input").count() == len(apps)
        page.locator("#question").fill("怎么注销账号")
        page.locator("#go").click()
        page.locator("#rows > tr").nth(len(apps) - 1).wait_for()
        assert MARK in page.locator("#rows").inner_text()
        assert page.locator(f"#rows :is({marked})").count() == 0
        for way in ("read", "profile", "changes"):
            for app in apps:
                page.goto(f"{address}{way}/{quote(app, safe='')}")
                assert page.locator(f"body :is({marked})").count() == 0, (way, app)
        page.goto(address)
        page.wait_for_selector("#wt-log[role=log]", state="attached")
        for asked, app in enumerate(apps):
            page.locator("#wt-question textarea").fill(f"{app}怎么注销账号")
            page.locator("#wt-question textarea").press("Enter")
            page.locator(".wt-turn:not(.wt-pending)").nth(asked).wait_for()
        assert page.locator(f"#wt-log :is({marked})").count() == 0
        context.close()
    assert dialogs == []
