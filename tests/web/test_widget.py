"""The widget in a real browser, on a host page of another site: what a visitor, a keyboard and a site owner meet."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from web.sites import Site, Sites

from .application import served
from .fakes import FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Page, Request, ViewportSize

pytestmark = pytest.mark.browser

TIMEOUT = 20_000  # milliseconds
CHROMIUM = Path("/usr/bin/chromium")
QUESTION = "怎么注销账号"
MENU_PATH = "个人中心-设置-账号注销"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
WIDGET_BYTES, FRAME_BYTES = 10 * 1024, 40 * 1024  # compressed, as issue 4 has it
COMPOSED_ENTER = "new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, isComposing: true, bubbles: true})"
STRICT = "default-src 'none'; script-src 'self' {host}; frame-src {host}"
TEXT = "".join(f"<p>第 {number} 段</p>" for number in range(80))


@dataclass
class Host:
    """A server of other people's pages, on another site than ours."""

    server: ThreadingHTTPServer
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)
    wentiao: str = ""

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}"

    def snippet(self, attributes: str) -> str:
        return f'<script src="{self.wentiao}widget.js" {attributes} defer></script>'

    def page(self, body: str, *, policy: str = "", script: str = "") -> str:
        """Put a page up; ``script`` is a file beside it. Return the page's address."""
        path = f"/{len(self.pages)}"
        if script:
            self.pages[f"{path}.js"] = (script, "")
            body += f'<script src="{path}.js" defer></script>'
        head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>商店</title>'
        page = f'<!doctype html><html lang="zh"><head>{head}</head><body>{body}</body></html>'
        self.pages[path] = (page, policy.format(host=self.wentiao.rstrip("/")))
        return self.origin + path


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page, policy = host.pages.get(self.path, ("", ""))
            self.send_response(200 if page else 204)
            kind = "text/javascript" if self.path.endswith(".js") else "text/html"
            self.send_header("content-type", f"{kind}; charset=utf-8")
            if policy:
                self.send_header("content-security-policy", policy)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = Host(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    sites = {
        "shop": Site((host.origin,), ("津心办", "昶联")),
        "elsewhere": Site(("https://elsewhere.example",)),
    }
    with served(FakeAssistant(), sites=Sites(sites)) as address:
        host.wentiao = address
        yield host
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}; on Debian: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@contextmanager
def visit(browser: Browser, host: Host, address: str, *, expected: str = "", **options: Any) -> Iterator[Page]:
    """Open a host page; afterwards nothing has been asked of a third host, no question stood in an address, and
    nothing was thrown, refused or complained about but what ``expected`` matches.
    """
    context = browser.new_context(**{"locale": "zh-CN", "viewport": DESKTOP} | options)
    context.set_default_timeout(TIMEOUT)
    hosts = {urlsplit(host.origin).netloc, urlsplit(host.wentiao).netloc}
    troubles: list[str] = []

    def watch_request(request: Request) -> None:
        if urlsplit(request.url).netloc not in hosts:
            troubles.append(f"asked of another host: {request.url}")
        if "%E6%B3%A8%E9%94%80" in request.url or "注销" in request.url:
            troubles.append(f"a question in an address: {request.url}")

    def watch_console(line: ConsoleMessage) -> None:
        if line.type in ("error", "warning") and not (expected and re.search(expected, line.text)):
            troubles.append(line.text)

    context.on("request", watch_request)
    context.on("console", watch_console)
    context.on("weberror", lambda error: troubles.append(str(error.error)))
    page = context.new_page()
    try:
        page.goto(address)
        yield page
    finally:
        context.close()
    assert troubles == []


def launcher(page: Page, name: str = "隐私政策问答") -> Any:
    return page.get_by_role("button", name=name, exact=True)


def frame_of(page: Page, nth: int = 0) -> FrameLocator:
    return page.locator("wentiao-widget iframe").nth(nth).content_frame


def open_frame(page: Page) -> FrameLocator:
    launcher(page).click()
    frame = frame_of(page)
    frame.locator("#question").wait_for()
    return frame


def ask(frame: FrameLocator, question: str = QUESTION) -> None:
    turns = frame.locator(".wt-turn:not(.wt-pending)").count()
    frame.locator("#question").fill(question)
    frame.locator("#question").press("Enter")
    frame.locator(".wt-turn:not(.wt-pending)").nth(turns).wait_for()


def test_a_host_of_another_site_gets_an_answer_with_its_clause(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(TEXT + host.snippet('data-site="shop" data-app="津心办"'))) as page:
        assert page.locator("iframe").count() == 0  # made on first open
        frame = open_frame(page)
        ask(frame)
        card = frame.locator(".wt-card")
        assert MENU_PATH in card.locator("mark").inner_text()
        assert "四、您如何管理您的个人信息 › (三)注销用户管理" in card.inner_text()
        assert "以官方最新版本为准" in card.inner_text() and "版本日期" in card.inner_text()
        assert MENU_PATH in frame.locator(".wt-fact").inner_text()
        with page.context.expect_page() as opened:
            card.locator("a").click()
        opened.value.wait_for_load_state()
        assert MENU_PATH in opened.value.locator("main mark").inner_text()
