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
from urllib.request import Request, urlopen

import pytest

from web.sites import Site, Sites, sign_scope

from .application import served
from .fakes import FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Page, Route, ViewportSize
    from playwright.sync_api import Request as BrowserRequest

pytestmark = pytest.mark.browser

TIMEOUT = 20_000  # milliseconds
SECRET = b"0123456789abcdef0123456789abcdef"
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
        "shop": Site((host.origin, host.origin.replace("localhost", "127.0.0.1")), ("津心办", "昶联")),
        "elsewhere": Site(("https://elsewhere.example",)),
    }
    with served(FakeAssistant(), sites=Sites(sites, SECRET)) as address:
        host.wentiao = address
        yield host
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@contextmanager
def visit(browser: Browser, host: Host, address: str, *, expected: str = "", **options: Any) -> Iterator[Page]:
    """Open a host page; afterwards nothing has been asked of a third host, no question stood in an address, and
    nothing was thrown, refused or complained about but what ``expected`` matches.
    """
    context = browser.new_context(**{"locale": "zh-CN", "viewport": DESKTOP} | options)
    context.set_default_timeout(TIMEOUT)
    hosts = {urlsplit(url).netloc for url in (address, host.origin, host.wentiao)}
    troubles: list[str] = []

    def watch_request(request: BrowserRequest) -> None:
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


def settled_box(button: Any) -> Any:
    """Return where a button stands once it no longer grows or shrinks under the mouse."""
    button.evaluate("b => Promise.all(b.getAnimations().map((animation) => animation.finished))")
    return button.bounding_box()


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


def test_a_strict_policy_of_the_host_is_enough(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="津心办"'), policy=STRICT)
    with visit(browser, host, address) as page:
        box = settled_box(launcher(page))
        assert box == {"x": 1280 - 20 - 56, "y": 900 - 20 - 56, "width": 56, "height": 56}
        ask(open_frame(page))


def test_a_browser_without_adopted_style_sheets_shows_the_same(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="津心办"'), policy=STRICT)
    with visit(browser, host, host.page("")) as page:
        for owner in ("ShadowRoot", "Document"):
            page.context.add_init_script(f"delete {owner}.prototype.adoptedStyleSheets")
        page.goto(address)
        assert page.evaluate("'adoptedStyleSheets' in document.body.attachShadow({mode: 'open'})") is False
        box = settled_box(launcher(page))
        assert box == {"x": 1280 - 20 - 56, "y": 900 - 20 - 56, "width": 56, "height": 56}
        ask(open_frame(page))


@pytest.mark.parametrize("attributes", ['data-site="elsewhere"', 'data-site="nobody"', 'data-app="津心办"'])
def test_a_site_that_is_not_allowed_gets_no_frame_and_is_told(browser: Browser, host: Host, attributes: str) -> None:
    address = host.page(host.snippet(attributes))
    with visit(browser, host, address, expected="frame|postMessage|404") as page:
        page.evaluate("Wentiao.instances[0].on('error', (detail) => { window.told = detail; })")
        launcher(page).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("问答没有打开").wait_for()
        assert page.evaluate("window.told") == {"code": "frame-unavailable"}
        assert frame_of(page).locator("#question").count() == 0
        dialog.get_by_role("button", name="关闭").click()
        assert not dialog.is_visible()


def test_an_app_outside_the_scope_is_refused_in_words(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="掌上海关"'))
    with visit(browser, host, address, expected="403") as page:
        page.evaluate("Wentiao.instances[0].on('error', (detail) => { window.told = detail; })")
        frame = open_frame(page)
        frame.locator("#question").fill(QUESTION)
        frame.locator("#question").press("Enter")
        failed = frame.locator(".wt-failed")
        failed.wait_for()
        assert "不能询问“掌上海关”，只能询问：津心办、昶联" in failed.inner_text()
        assert failed.get_by_role("button").count() == 0
        assert page.evaluate("window.told") == {"code": "app-outside-scope", "status": 403}


def test_two_widgets_on_a_page_stand_apart_and_answer_for_their_own_app(browser: Browser, host: Host) -> None:
    snippets = [host.snippet(f'data-site="shop" data-app="{app}" data-title="{app}"') for app in ("津心办", "昶联")]
    with visit(browser, host, host.page("".join(snippets))) as page:
        boxes = [settled_box(launcher(page, app)) for app in ("津心办", "昶联")]
        assert boxes[0]["y"] >= boxes[1]["y"] + boxes[1]["height"]
        for number, app in enumerate(("津心办", "昶联")):
            launcher(page, app).click()
            frame = frame_of(page, number)
            ask(frame, "怎么联系客服")
            assert frame.locator(".wt-status .wt-app").all_inner_texts() == [app]
            launcher(page, app).click()


def test_the_keyboard_alone_opens_asks_closes_and_comes_back(browser: Browser, host: Host) -> None:
    body = '<a href="#top">商店</a>' + host.snippet('data-site="shop" data-app="津心办"')
    with visit(browser, host, host.page(body)) as page:
        button = launcher(page)
        button.wait_for()
        assert (button.get_attribute("aria-expanded"), button.get_attribute("type")) == ("false", "button")
        page.locator("a").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        frame = frame_of(page)
        frame.locator("#question:focus").wait_for()
        dialog = page.get_by_role("dialog", name="隐私政策问答")
        assert (button.get_attribute("aria-expanded"), dialog.get_attribute("aria-modal")) == ("true", "false")
        page.keyboard.type(QUESTION)
        page.keyboard.press("Enter")
        frame.locator(".wt-answered").wait_for()
        assert frame.locator("#question:focus").count() == 1
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
        assert page.evaluate("document.querySelector('wentiao-widget').shadowRoot.activeElement.type") == "button"
        assert button.get_attribute("aria-expanded") == "false"
        page.keyboard.press("Enter")
        frame.locator("#question:focus").wait_for()
        assert frame.locator(".wt-answered").count() == 1  # the conversation is still there


def test_on_a_phone_it_fills_the_screen_and_holds_the_page(browser: Browser, host: Host) -> None:
    address = host.page(TEXT + host.snippet('data-site="shop" data-app="津心办"'))
    with visit(browser, host, address, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.evaluate("scrollTo(0, 300)")
        box = settled_box(launcher(page))
        assert box is not None and min(box["width"], box["height"]) >= 44
        frame = open_frame(page)
        dialog = page.get_by_role("dialog")
        assert dialog.bounding_box() == {"x": 0, "y": 0, **PHONE}
        assert dialog.get_attribute("aria-modal") == "true"
        assert not launcher(page).is_visible()
        assert frame.locator("#question").evaluate("field => getComputedStyle(field).fontSize") == "16px"
        assert page.evaluate("document.body.inert")
        assert frame.locator("#title:focus").count() == 1  # the keyboard stays down
        page.mouse.move(200, 400)
        page.mouse.wheel(0, 500)
        ask(frame)
        assert page.evaluate("document.body.getBoundingClientRect().top") == pytest.approx(-300, abs=9)
        assert frame.locator("html").evaluate("page => page.scrollWidth <= innerWidth")
        frame.get_by_role("button", name="关闭").click()
        dialog.wait_for(state="hidden")
        assert page.evaluate("[scrollY, document.body.inert, document.body.getAttribute('style')]") == [300, False, ""]


def test_the_phones_keyboard_does_not_cover_the_input(browser: Browser, host: Host) -> None:
    address = host.page(TEXT + host.snippet('data-site="shop" data-app="津心办"'))
    with visit(browser, host, address, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        frame = open_frame(page)
        page.evaluate(
            """for (const [name, value] of [["height", 430], ["offsetTop", 60]])
                 Object.defineProperty(visualViewport, name, { value });
               visualViewport.dispatchEvent(new Event("resize"))"""
        )
        assert page.get_by_role("dialog").bounding_box() == {"x": 0, "y": 60, "width": 390, "height": 430}
        box = frame.locator("#question").bounding_box()
        assert box is not None and box["y"] + box["height"] <= 490


def test_on_a_phone_tab_goes_round_within_the_panel(browser: Browser, host: Host) -> None:
    address = host.page('<a href="#x">商店</a>' + host.snippet('data-site="shop" data-app="津心办"'))
    with visit(browser, host, address, viewport=PHONE) as page:
        frame = open_frame(page)
        frame.locator("#send").focus()
        page.keyboard.press("Tab")
        frame.locator("#new:focus").wait_for()
        page.keyboard.press("Shift+Tab")
        frame.locator("#send:focus").wait_for()


def test_it_survives_navigation_within_a_single_page_application(browser: Browser, host: Host) -> None:
    snippet = host.snippet('data-site="shop" data-app="津心办"')
    with visit(browser, host, host.page(TEXT + snippet)) as page:
        ask(open_frame(page))
        page.evaluate(
            """source => {
                 history.pushState({}, "", "/next");
                 const body = document.createElement("body");
                 body.innerHTML = "<h1>下一页</h1>";
                 const script = document.createElement("script"); // as such applications do: the script runs again
                 Object.assign(script, { src: source, defer: true });
                 Object.assign(script.dataset, { site: "shop", app: "津心办" });
                 body.append(script);
                 document.documentElement.replaceChild(body, document.body);
                 return new Promise((resolve) => { script.onload = resolve; });
               }""",
            f"{host.wentiao}widget.js",
        )
        assert page.locator("wentiao-widget").count() == 1
        assert page.evaluate("Wentiao.instances.length") == 1
        frame = frame_of(page)
        assert frame.locator(".wt-answered").count() == 1
        page.evaluate("document.querySelector('script[data-app]').dataset.title = '新页'")
        launcher(page, "新页").wait_for()
        page.evaluate("document.querySelector('wentiao-widget').remove()")
        launcher(page, "新页").wait_for()  # put back


def test_destroy_leaves_nothing(browser: Browser, host: Host) -> None:
    body = TEXT + '<button class="ask">问</button>' + host.snippet('data-site="shop" data-launcher=".ask"')
    with visit(browser, host, host.page(body), viewport=PHONE) as page:
        before = "document.documentElement.outerHTML"
        own = page.locator(".ask")
        page.locator(".ask[aria-expanded=false]").click()
        frame_of(page).locator("#question").wait_for()
        assert own.get_attribute("aria-expanded") == "true"
        page.evaluate("window.widget = Wentiao.instances[0]; widget.destroy()")
        assert page.locator("wentiao-widget, iframe").count() == 0
        assert page.evaluate("Wentiao.instances.length") == 0
        left = page.evaluate(before)
        assert "aria-" not in left and "inert" not in left and "overflow" not in left
        own.click()
        page.evaluate("document.querySelector('script[data-site]').dataset.title = '新'")
        page.evaluate("widget.open(); widget.setTheme('dark'); document.body.append('x')")
        page.evaluate("dispatchEvent(new Event('resize')); document.documentElement.append('x')")
        assert page.locator("wentiao-widget, iframe").count() == 0
        page.evaluate("widget.destroy()")


def test_enter_while_composing_does_not_send(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop"'))) as page:
        frame = open_frame(page)
        field = frame.locator("#question")
        field.fill("怎么")
        field.evaluate(f"field => field.dispatchEvent({COMPOSED_ENTER})")
        assert frame.locator(".wt-turn").count() == 0
        assert field.input_value() == "怎么"
        field.fill("   ")
        field.press("Enter")
        assert frame.locator(".wt-turn").count() == 0
        field.fill("一")
        field.press("Shift+Enter")
        assert field.input_value() == "一\n"


def test_changed_attributes_take_effect(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop" data-app="津心办"'))) as page:
        frame = open_frame(page)
        change = "([name, value]) => document.querySelector('script[data-site]').setAttribute(name, value)"
        for name, value in [
            ("data-title", "问政策"), ("data-lang", "en"), ("data-theme", "dark"), ("data-primary-color", "#ffcc00"),
            ("data-position", "top-left"), ("data-offset-x", "30"), ("data-offset-y", "40"), ("data-z-index", "77"),
            ("data-suggestions", "一？|二？"), ("data-app", "昶联"),
        ]:  # fmt: skip
            page.evaluate(change, [name, value])
        button = launcher(page, "问政策")
        box = settled_box(button)
        assert box is not None and (box["x"], box["y"]) == (30, 40)
        style = button.evaluate("b => [getComputedStyle(b).backgroundColor, getComputedStyle(b).color]")
        assert style == ["rgb(255, 204, 0)", "rgb(17, 17, 17)"]
        assert page.locator("wentiao-widget").evaluate("w => getComputedStyle(w).zIndex") == "77"
        frame.get_by_role("button", name="Ask", exact=True).wait_for()
        assert frame.locator("#title").inner_text() == "问政策"
        assert frame.locator("#suggestions button").all_inner_texts() == ["一？", "二？"]
        assert frame.locator("html").get_attribute("lang") == "en"
        assert frame.locator("body").evaluate("b => getComputedStyle(b).backgroundColor") == "rgb(22, 25, 27)"
        ask(frame, "怎么联系客服")
        assert frame.locator(".wt-status .wt-app").inner_text() == "昶联"
        page.evaluate(change, ["data-theme", "light"])
        frame.locator("html[style*='light']").wait_for()
        assert frame.locator("body").evaluate("b => getComputedStyle(b).backgroundColor") == "rgb(247, 246, 242)"
        page.evaluate(change, ["data-launcher", "none"])
        button.wait_for(state="hidden")


def test_the_script_interface_opens_asks_and_tells_without_the_question(browser: Browser, host: Host) -> None:
    script = """
      window.told = [];
      window.widget = Wentiao.init({ site: "shop", launcher: "none", questionText: location.hash === "#text" });
      for (const name of ["ready", "open", "close", "question", "answer", "citation-click", "error"])
        widget.on(name, (detail) => told.push([name, detail]));
      const unwanted = () => told.push("unwanted");
      widget.on("open", unwanted);
      widget.off("open", unwanted);
    """
    address = host.page(host.snippet(""), script=script)
    for fragment in ("", "#text"):
        with visit(browser, host, address + fragment) as page:
            assert page.evaluate("widget.isOpen()") is False
            assert page.locator("wentiao-widget").count() == 1  # a tag without attributes makes none of its own
            page.evaluate("question => widget.open({ question, app: '津心办', send: true })", QUESTION)
            frame = frame_of(page)
            frame.locator(".wt-answered").wait_for()
            with page.context.expect_page():
                frame.locator(".wt-card a").click()
            page.bring_to_front()
            page.evaluate("widget.newChat(); widget.open({ question: '只是填上' })")
            frame.locator("#welcome:visible").wait_for()
            page.wait_for_function("told.length >= 5")
            assert frame.locator("#question").input_value() == "只是填上"
            page.evaluate("widget.setApp('昶联'); widget.setLocale('en'); widget.toggle()")
            assert page.evaluate("widget.isOpen()") is False
            told = page.evaluate("told")
            assert [name for name, _ in told] == ["ready", "open", "question", "answer", "citation-click", "close"]
            text = {"question": QUESTION} if fragment else {}
            assert told[2][1] == {"app": "津心办", **text}
            assert told[3][1] == {"status": "answered", "app": "津心办", "confidence": 0.9, "citations": 1, **text}
            assert told[4][1]["app"] == "津心办" and told[4][1]["clauseId"] in told[4][1]["url"]
            with pytest.raises(Exception, match='no event "opened"'):
                page.evaluate("widget.on('opened', () => 0)")


def test_a_launcher_of_the_hosts_own_and_none_at_all(browser: Browser, host: Host) -> None:
    body = "<nav></nav>" + host.snippet('data-site="shop" data-launcher="#ask"')
    with visit(browser, host, host.page(body)) as page:
        page.wait_for_selector("wentiao-widget", state="attached")
        page.evaluate("document.querySelector('nav').innerHTML = '<a href=\"#\" id=ask>问</a>'")  # comes later
        assert not launcher(page).is_visible()
        page.locator("#ask").click()
        frame_of(page).locator("#question:focus").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="hidden")
        assert page.evaluate("document.activeElement.id") == "ask"


def test_a_launcher_that_is_no_selector_leaves_the_usual_button_and_the_page_in_peace(
    browser: Browser, host: Host
) -> None:
    body = "<p>商店</p>" + host.snippet('data-site="shop" data-launcher="#ask"')
    with visit(browser, host, host.page(body), expected="is no CSS selector") as page:
        page.wait_for_selector("wentiao-widget", state="attached")
        page.evaluate("document.querySelector('script[data-site]').dataset.launcher = '#ask['")
        launcher(page).wait_for()
        page.locator("body > p").click()
        page.evaluate("document.documentElement.append('x')")
        open_frame(page)


def test_an_opened_widget_does_not_take_the_focus_from_the_page(browser: Browser, host: Host) -> None:
    body = '<input autofocus id="search">' + host.snippet('data-site="shop" data-open="true"')
    with visit(browser, host, host.page(body)) as page:
        frame_of(page).locator("#question").wait_for()
        assert page.evaluate("document.activeElement.id") == "search"


def test_a_preset_question_is_asked_by_a_click(browser: Browser, host: Host) -> None:
    suggestions = 'data-suggestions="怎么注销账号？|怎么联系客服？"'
    with visit(browser, host, host.page(host.snippet(f'data-site="shop" data-app="津心办" {suggestions}'))) as page:
        frame = open_frame(page)
        frame.get_by_role("button", name="怎么注销账号？").click()
        frame.locator(".wt-answered").wait_for()
        assert not frame.locator("#welcome").is_visible()


def test_without_an_app_the_visitor_chooses_among_those_of_the_site(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop"'))) as page:
        frame = open_frame(page)
        assert frame.locator("#app option").all_inner_texts() == ["全部应用", "津心办", "昶联"]
        ask(frame)
        assert sorted(frame.locator(".wt-row h3").all_inner_texts()) == ["昶联", "津心办"]
        frame.get_by_role("button", name="只看《津心办》").click()
        frame.locator(".wt-answered .wt-app").wait_for()
        assert frame.locator(".wt-turn").last.locator(".wt-app").inner_text() == "津心办"


@pytest.mark.parametrize(
    ("question", "status"), [("股价", "silent"), ("淘宝怎么注销", "unknown_app"), ("今天天气", "off_topic")]
)
def test_a_decline_is_shown_as_what_it_is(browser: Browser, host: Host, question: str, status: str) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop" data-app="津心办"'))) as page:
        frame = open_frame(page)
        ask(frame, question)
        assert frame.locator(f".wt-answer.wt-{status}").count() == 1
        assert frame.locator(".wt-failed, .wt-cards .wt-card").count() == 0


def test_a_failure_says_that_it_is_one_and_can_be_tried_again(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="津心办"'))
    with visit(browser, host, address, expected="500") as page:
        frame = open_frame(page)
        frame.locator("#question").fill("boom")
        frame.locator("#question").press("Enter")
        failed = frame.locator(".wt-failed")
        failed.wait_for()
        assert "程序的故障，并不表示政策没有说明" in failed.inner_text()
        failed.get_by_role("button", name="再试一次").click()
        frame.locator(".wt-failed").wait_for()
        assert frame.locator(".wt-turn").count() == 1


@pytest.mark.parametrize(
    ("question", "said"),
    [("overloaded", "现在提问的人太多"), ("unreachable", "现在查不到条款，这个问题还没有处理；这并不表示政策没有说明")],
)
def test_what_cannot_be_answered_now_says_why_and_can_be_tried_again(
    browser: Browser, host: Host, question: str, said: str
) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="津心办"'))
    with visit(browser, host, address, expected="503") as page:
        frame = open_frame(page)
        frame.locator("#question").fill(question)
        frame.locator("#question").press("Enter")
        failed = frame.locator(".wt-failed")
        failed.wait_for()
        assert said in failed.inner_text()
        assert failed.get_by_role("button", name="再试一次").count() == 1


def test_a_server_that_cannot_be_reached_is_no_fault_of_the_program(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="津心办"'))
    with visit(browser, host, address, expected="ERR_INTERNET_DISCONNECTED") as page:
        page.route("**/widget/ask", lambda route: route.abort("internetdisconnected"))
        frame = open_frame(page)
        frame.locator("#question").fill(QUESTION)
        frame.locator("#question").press("Enter")
        failed = frame.locator(".wt-failed")
        failed.wait_for()
        assert "连不上服务器，这个问题没有得到处理；这并不表示政策没有说明" in failed.inner_text()
        page.unroute("**/widget/ask")
        failed.get_by_role("button", name="再试一次").click()
        frame.locator(".wt-answered").wait_for()


def test_a_question_on_its_way_can_be_stopped(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop" data-app="津心办"'))) as page:
        held: list[Any] = []
        page.route("**/widget/ask", lambda route: held.append(route))
        frame = open_frame(page)
        frame.locator("#question").fill(QUESTION)
        frame.locator("#question").press("Enter")
        frame.get_by_role("button", name="停止").click()
        frame.locator(".wt-stopped").wait_for()
        assert "已停止" in frame.locator(".wt-stopped").inner_text()
        page.unroute("**/widget/ask")
        frame.get_by_role("button", name="再试一次").click()
        frame.locator(".wt-answered").wait_for()
        assert len(held) == 1


def test_a_scope_past_its_time_is_renewed_without_a_word(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="津心办"'))
    expired = sign_scope("shop", SECRET, expires=1)

    def age(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=re.sub('(?<="scope": ")[^"]+', expired, response.text()))

    with visit(browser, host, address, expected="403") as page:
        asked: list[int] = []
        page.on("response", lambda response: asked.append(response.status) if "widget/ask" in response.url else None)
        page.route("**/widget/frame?*", age, times=1)
        frame = open_frame(page)
        ask(frame)
        assert frame.locator(".wt-answered").count() == 1
        assert asked == [403, 200]


def test_nothing_is_stored_before_a_question_and_then_for_the_tab_only(browser: Browser, host: Host) -> None:
    # Of another origin but the same site: Chromium closes its storage to frames of other sites.
    address = host.page(host.snippet('data-site="shop" data-app="津心办"')).replace("localhost", "127.0.0.1")
    with visit(browser, host, address) as page:
        frame = open_frame(page)
        stored = "() => [sessionStorage.length, localStorage.length, document.cookie]"
        assert frame.locator("html").evaluate(stored) == [0, 0, ""]
        ask(frame)
        assert frame.locator("html").evaluate(stored) == [1, 0, ""]
        assert page.evaluate(stored) == [0, 0, ""]
        answer = frame.locator(".wt-answered").inner_html()
        page.reload()
        frame = open_frame(page)
        frame.locator(".wt-answered").wait_for()
        assert frame.locator(".wt-answered").inner_html() == answer
        frame.get_by_role("button", name="新对话").click()
        assert frame.locator("#question:focus").count() == 1
        assert frame.locator("html").evaluate(stored) == [0, 0, ""]
        assert page.context.cookies() == []


def test_widgets_for_other_apps_do_not_show_each_others_conversation(browser: Browser, host: Host) -> None:
    own, other = (
        host.page(host.snippet(f'data-site="shop" data-app="{app}"')).replace("localhost", "127.0.0.1")
        for app in ("津心办", "昶联")
    )
    with visit(browser, host, own) as page:
        ask(open_frame(page))
        page.goto(other)
        assert open_frame(page).locator(".wt-turn").count() == 0
        page.goto(own)
        open_frame(page).locator(".wt-answered").wait_for()


def test_a_follow_up_is_asked_with_what_came_before(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop"'))) as page:
        frame = open_frame(page)
        ask(frame, "津心办怎么注销账号")
        ask(frame, "怎么联系客服")
        assert frame.locator(".wt-answered .wt-app").all_inner_texts() == ["津心办", "津心办"]


def test_an_answer_is_announced_once(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop" data-app="津心办"'))) as page:
        frame = open_frame(page)
        frame.locator("#live").evaluate(
            """live => { window.said = [];
                 new MutationObserver(() => said.push(live.textContent)).observe(live, { childList: true }); }"""
        )
        ask(frame)
        said = frame.locator("html").evaluate("() => said.filter(Boolean)")
        assert len(said) == 1 and said[0].startswith("政策有说明 津心办: ") and MENU_PATH in said[0]
        assert frame.locator("[aria-live], [role=status], [role=log], [role=alert]").count() == 1


def test_messages_of_others_are_not_heard(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop" data-app="津心办"'))) as page:
        frame = open_frame(page)
        page.evaluate("postMessage({ wentiao: 1, type: 'close' }, '*')")
        page.evaluate(
            """() => {
                 const other = document.body.appendChild(document.createElement("iframe"));
                 other.contentWindow.eval(`
                   const frame = parent.document.querySelector("wentiao-widget").shadowRoot.querySelector("iframe");
                   frame.contentWindow.postMessage({ wentiao: 1, type: "ask", question: "股价", send: true }, "*");
                   parent.postMessage({ wentiao: 1, type: "close" }, "*");`);
               }"""
        )
        page.evaluate(
            """() => {
                 const shadow = document.querySelector("wentiao-widget").shadowRoot;
                 const frame = shadow.querySelector("iframe").contentWindow;
                 for (const data of [null, 1, {}, { wentiao: 1 }, { wentiao: 1, type: "toString" },
                   { wentiao: 1, type: "ask", question: { length: 1 } }, { wentiao: 1, type: "config", config: {} },
                   { wentiao: 1, type: "config", config: { id: "0", app: 3 } }]) frame.postMessage(data, "*");
               }"""
        )
        ask(frame)
        assert frame.locator(".wt-turn").count() == 1
        assert page.evaluate("Wentiao.instances[0].isOpen()")


@pytest.mark.parametrize(
    ("locale", "attributes", "name", "lang"),
    [
        ("zh-CN", "", "隐私政策问答", "zh-Hans"),
        ("zh-TW", "", "隱私政策問答", "zh-Hant"),
        ("fr-FR", "", "Ask the privacy policy", "en"),
        ("en-US", 'data-lang="zh-CN"', "隐私政策问答", "zh-Hans"),
        ("zh-CN", 'data-lang="zh-TW"', "隱私政策問答", "zh-Hant"),
    ],
)
def test_it_speaks_the_visitors_language_or_the_one_that_was_set(
    browser: Browser, host: Host, locale: str, attributes: str, name: str, lang: str
) -> None:
    with visit(browser, host, host.page(host.snippet(f'data-site="shop" {attributes}')), locale=locale) as page:
        launcher(page, name).click()
        frame = frame_of(page)
        frame.locator("#question").wait_for()
        assert frame.locator("html").get_attribute("lang") == lang
        assert frame.locator("h1").inner_text() == name


def test_an_english_answer_shows_the_unofficial_rendering(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop" data-app="津心办"'))
    with visit(browser, host, address, locale="en-US") as page:
        launcher(page, "Ask the privacy policy").click()
        frame = frame_of(page)
        ask(frame, "how do I delete my account")
        assert "Unofficial English" in frame.locator(".wt-card .wt-english").inner_text()
        assert "Personal centre" in frame.locator(".wt-fact").inner_text()
        assert frame.locator(".wt-card .wt-clause").get_attribute("lang") == "zh"


def test_a_fact_is_copied_by_a_click(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(host.snippet('data-site="shop" data-app="津心办"'))) as page:
        for name in ("clipboard-read", "clipboard-write"):
            page.context.grant_permissions([name])
        frame = open_frame(page)
        ask(frame)
        frame.locator(".wt-fact").click()
        frame.locator(".wt-copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == MENU_PATH


def test_reduced_motion_and_forced_colours_are_respected(browser: Browser, host: Host) -> None:
    address = host.page(host.snippet('data-site="shop"'))
    duration = "b => getComputedStyle(b).transitionDuration"
    with visit(browser, host, address) as page:
        assert launcher(page).evaluate(duration) == "0.15s"
    with visit(browser, host, address, reduced_motion="reduce", forced_colors="active") as page:
        assert launcher(page).evaluate(duration) == "0s"
        edge = "b => getComputedStyle(b).borderTopColor"
        assert launcher(page).evaluate(edge) == launcher(page).evaluate("b => getComputedStyle(b).color")


@pytest.mark.parametrize(("viewport", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")], ids=["390", "1280"])
def test_axe_finds_nothing_serious(browser: Browser, host: Host, viewport: ViewportSize, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    body = f"<main><h1>商店</h1>{TEXT}</main>" + host.snippet('data-site="shop"')
    with visit(browser, host, host.page(body), viewport=viewport, color_scheme=scheme) as page:
        frame = open_frame(page)
        inner = page.frames[1]
        found = Axe().run(inner).response["violations"]
        for question in (QUESTION, "津心办的股价", "津心办怎么注销账号"):
            ask(frame, question)
            found += Axe().run(inner).response["violations"]
        found += Axe().run(page, options={"iframes": False}).response["violations"]
        page.goto(f"{host.wentiao}widget/demo")
        found += Axe().run(page, options={"iframes": False}).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_demo_page_runs_under_its_own_strict_policy_and_shows_the_line_to_copy(
    browser: Browser, host: Host
) -> None:
    with visit(browser, host, f"{host.wentiao}widget/demo") as page:
        snippet = f'<script src="{host.wentiao}widget.js" data-app="津心办" defer></script>'
        page.get_by_text(snippet).wait_for()
        ask(open_frame(page))
        page.locator("select[name=lang]").select_option("en")
        page.get_by_text('data-lang="en"').wait_for()
        launcher(page, "Ask the privacy policy").wait_for()


def test_the_demo_file_works_from_another_origin(browser: Browser, host: Host) -> None:
    folder = Path(__file__).parents[2] / "web" / "widget"
    demo = (folder / "demo.html").read_text("utf-8").replace("http://127.0.0.1:7860/", host.wentiao)
    host.pages["/demo/"] = (demo.replace('data-site="demo"', 'data-site="shop"'), "")
    host.pages["/demo/demo.js"] = ((folder / "demo.js").read_text("utf-8"), "")
    with visit(browser, host, f"{host.origin}/demo/", expected="MIME") as page:
        ask(open_frame(page))


def test_it_works_below_a_path_of_a_proxy(browser: Browser, host: Host) -> None:
    sites = Sites({"shop": Site((host.origin,))})
    with served(FakeAssistant(), root_path="/wentiao", sites=sites) as address:
        below = Host(host.server, host.pages, address)
        with visit(browser, below, below.page(below.snippet('data-site="shop" data-app="津心办"'))) as page:
            frame = open_frame(page)
            ask(frame)
            link = frame.locator(".wt-card a").evaluate("a => a.href")
            assert link.startswith(f"{address}read/")


def test_the_files_stay_small_and_old_browsers_can_read_them(browser: Browser, host: Host) -> None:
    def compressed(path: str) -> int:
        request = Request(host.wentiao + path, headers={"accept-encoding": "gzip"})
        with urlopen(request) as response:
            assert response.headers["content-encoding"] == "gzip", path
            return len(response.read())

    assert compressed("widget.js") <= WIDGET_BYTES
    frame = ("widget/frame?site=shop", "page/theme.css", "widget/frame.css", "widget/frame.js")
    assert sum(map(compressed, frame)) <= FRAME_BYTES
    for name in ("widget.js", "frame.js"):
        script = (Path(__file__).parents[2] / "web" / "widget" / name).read_text("utf-8")
        assert not re.findall(r"\?\.[A-Za-z[(]|\?\?|\|\|=|&&=|\.at\(|replaceAll|\bstatic\b|#private", script), name


def test_a_script_that_comes_after_the_page_has_loaded_works_the_same(browser: Browser, host: Host) -> None:
    with visit(browser, host, host.page(TEXT)) as page:
        page.evaluate(
            """source => {
                 const script = document.createElement("script");
                 script.src = source;
                 Object.assign(script.dataset, { site: "shop", app: "津心办" });
                 document.head.append(script);
               }""",
            f"{host.wentiao}widget.js",
        )
        ask(open_frame(page))
