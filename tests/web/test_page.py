"""The real page in a real browser, with the real model: the README's question, its clause in its place, a decline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from corpus.datatypes import Policy

from .application import served
from .fakes import HOSTILE, FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Response, Route, ViewportSize

pytestmark = pytest.mark.browser

TIMEOUT = 20_000  # milliseconds; the slowest step takes two seconds on an idle machine of two cores
CHROMIUM = Path("/usr/bin/chromium")
QUESTION = "how do I delete my account in 津心办"
MENU_PATH = "个人中心-设置-账号注销"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
COMPOSED_ENTER = "new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, isComposing: true, bubbles: true})"


@pytest.fixture(scope="module")
def real_page() -> Iterator[str]:
    from retrieval import Assistant

    with served(Assistant.open()) as address:
        yield address


@pytest.fixture(scope="module")
def fake_page() -> Iterator[str]:
    with served(FakeAssistant()) as address:
        yield address


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
def opened(
    browser: Browser, address: str, *, locale: str = "zh-CN", viewport: ViewportSize = DESKTOP
) -> Iterator[Page]:
    """Open the page; afterwards nothing has been asked of another host, refused by the server or thrown."""
    permissions = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(locale=locale, viewport=viewport, permissions=permissions)
    context.set_default_timeout(TIMEOUT)
    host = urlsplit(address).netloc
    troubles: list[str] = []

    def pass_on_or_stop(route: Route) -> None:
        if urlsplit(route.request.url).netloc == host:
            route.continue_()
        else:
            troubles.append(f"asked of another host: {route.request.url}")
            route.abort()

    def watch_response(response: Response) -> None:
        if response.status == 404:
            troubles.append(f"404 {response.url}")

    def watch_console(line: ConsoleMessage) -> None:
        if line.type == "error" and "500" not in line.text:  # the answer that breaks is one of the cases
            troubles.append(line.text)

    context.route("**/*", pass_on_or_stop)
    context.on("response", watch_response)
    context.on("weberror", lambda error: troubles.append(str(error.error)))
    context.on("console", watch_console)
    page = context.new_page()
    page.on("dialog", lambda dialog: troubles.append(f"a script ran: {dialog.message}"))
    try:
        page.goto(address)
        page.wait_for_selector("#wt-log[role=log]", state="attached")
        yield page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    finally:
        context.close()
    assert troubles == []


def ask(page: Page, question: str) -> None:
    turns = page.locator(".wt-turn:not(.wt-pending)").count()
    field = page.locator("#wt-question textarea")
    field.fill(question)
    field.press("Enter")
    page.locator(".wt-turn:not(.wt-pending)").nth(turns).wait_for()


@pytest.mark.model
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["390", "1280"])
def test_the_readmes_question_is_answered_and_its_clause_opens_in_its_place(
    browser: Browser, real_page: str, viewport: ViewportSize
) -> None:
    with opened(browser, real_page, locale="en-US", viewport=viewport) as page:
        ask(page, QUESTION)
        card = page.locator(".wt-card").first
        assert MENU_PATH in card.locator("mark").inner_text()
        assert "四、您如何管理您的个人信息 › (三)注销用户管理" in card.inner_text()
        assert card.locator("code").inner_text() == "四(三)"
        assert MENU_PATH in page.locator(".wt-fact").first.inner_text()
        with page.context.expect_page() as reader_page:
            card.locator("a").click()
        reader = reader_page.value
        reader.wait_for_load_state()
        cited = reader.locator("[aria-current=true]")
        assert MENU_PATH in cited.locator("mark").inner_text()
        place = cited.bounding_box()
        assert place is not None and 0 <= place["y"] < viewport["height"]
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.model
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["390", "1280"])
def test_a_decline_is_in_its_own_words_and_cites_nothing(
    browser: Browser, real_page: str, viewport: ViewportSize
) -> None:
    with opened(browser, real_page, viewport=viewport) as page:
        ask(page, "淘宝怎么注销账号")
        assert "淘宝" in page.locator(".wt-unknown_app .wt-text").inner_text()
        page.locator("#wt-new").click()
        page.locator(".wt-welcome").wait_for()
        ask(page, "今天天气怎么样")
        assert page.locator(".wt-off_topic").count() == 1
        assert page.locator(".wt-card").count() == 0


def test_a_reload_keeps_the_conversation_and_a_new_chat_clears_it(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        before = page.locator("#wt-log").inner_html()
        page.reload()
        page.wait_for_selector(".wt-card")
        assert page.locator("#wt-log").inner_html() == before
        page.locator("#wt-new").click()
        page.locator(".wt-welcome").wait_for()
        page.reload()
        page.wait_for_selector("#wt-log[role=log]", state="attached")
        assert page.locator(".wt-turn").count() == 0


def test_a_follow_up_carries_the_app_of_the_answer_before(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        ask(page, "怎么联系客服")
        assert page.locator(".wt-answered .wt-app").all_inner_texts() == ["津心办", "津心办"]


def test_choosing_an_app_asks_the_same_question_of_it(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "怎么注销账号")
        page.locator(".wt-which_app .wt-choice[data-app=津心办]").click()
        page.locator(".wt-answer.wt-answered").wait_for()
        assert page.locator(".wt-question").last.inner_text().endswith("怎么注销账号")
        assert page.locator(".wt-answered .wt-app").inner_text() == "津心办"


def test_the_picker_limits_the_question_to_one_app_and_offers_the_one_that_was_named(
    browser: Browser, fake_page: str
) -> None:
    with opened(browser, fake_page) as page:
        page.locator("#wt-picker input").click()
        page.get_by_role("option", name="昶联").click()
        ask(page, "津心办怎么注销账号")
        assert page.locator(".wt-app").inner_text() == "昶联"
        page.get_by_role("button", name="你提到了《津心办》，改问它").click()
        page.locator(".wt-app").nth(1).wait_for()
        assert page.locator(".wt-app").nth(1).inner_text() == "津心办"


def test_a_crash_reads_as_a_failure_and_can_be_tried_again(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        page.locator("#wt-question textarea").fill("boom")
        page.locator("#wt-send").click()
        failure = page.locator(".wt-failed")
        failure.wait_for()
        assert "出错了" in failure.inner_text()
        assert page.locator(".wt-silent, .wt-off_topic").count() == 0
        failure.get_by_role("button", name="再试一次").click()
        page.locator(".wt-failed").wait_for()
        assert page.locator(".wt-failed").count() == 1


def test_enter_while_composing_does_not_send_and_blank_questions_are_not_asked(
    browser: Browser, fake_page: str
) -> None:
    with opened(browser, fake_page) as page:
        field = page.locator("#wt-question textarea")
        field.fill("津心办怎么")
        field.evaluate(f"field => {{ field.focus(); field.dispatchEvent({COMPOSED_ENTER}); }}")
        field.evaluate(f"field => field.dispatchEvent({COMPOSED_ENTER.replace('keydown', 'keypress')})")
        page.wait_for_timeout(300)
        assert page.locator(".wt-turn").count() == 0
        assert field.input_value() == "津心办怎么"
        field.fill("   ")
        field.press("Enter")
        page.wait_for_timeout(300)
        assert page.locator(".wt-turn").count() == 0


def test_markup_in_a_question_does_nothing(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "<img src=x onerror=alert(1)> **粗** $x$ 津心办怎么注销账号")
        assert "<img src=x onerror=alert(1)> **粗** $x$" in page.locator(".wt-question").inner_text()
        assert page.locator(".wt-turn img").count() == 0


def test_a_fact_is_copied_by_a_click(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        page.locator(".wt-fact").click()
        page.locator(".wt-copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == MENU_PATH


@pytest.mark.parametrize(
    ("locale", "lang", "send"),
    [("zh-CN", "zh-Hans", "提问"), ("zh-TW", "zh-Hant", "提問"), ("en-GB", "en", "Ask"), ("fr-FR", "en", "Ask")],
)
def test_the_page_speaks_the_browsers_language(
    browser: Browser, fake_page: str, locale: str, lang: str, send: str
) -> None:
    with opened(browser, fake_page, locale=locale) as page:
        assert page.evaluate("document.documentElement.lang") == lang
        assert page.locator("#wt-send").inner_text() == send
        assert page.locator(".wt-welcome").inner_text().count("\n") < 20  # one language, not three


def test_markup_in_a_policy_does_nothing_in_the_chat_and_in_the_reader(browser: Browser) -> None:
    policy = Policy(f"坏{HOSTILE}", f"一、注销\n您可以注销账号{HOSTILE}。\n二、联系\n请拨打电话。")
    with served(FakeAssistant([policy])) as address, opened(browser, address, viewport=PHONE) as page:
        ask(page, f"{policy.app}怎么注销")
        assert HOSTILE in page.locator(".wt-card mark").inner_text()
        assert page.locator(".wt-card script, .wt-card img").count() == 0
        with page.context.expect_page() as reader_page:
            page.locator(".wt-card a").click()
        reader = reader_page.value
        reader.wait_for_load_state()
        assert HOSTILE in reader.locator("main mark").inner_text()
        assert reader.locator("script, img").count() == 0


def test_nothing_of_gradio_is_left_to_see(browser: Browser, fake_page: str) -> None:
    with opened(browser, f"{fake_page}?view=api") as page:
        assert "Gradio" not in page.locator("body").inner_text()
        assert page.locator("footer:visible").count() == 0


@pytest.mark.parametrize(
    ("question", "status"),
    [("怎么注销账号", "which_app"), ("津心办的股价", "silent"), ("淘宝怎么注销", "unknown_app")],
)
def test_every_kind_of_answer_fits_a_phone(browser: Browser, fake_page: str, question: str, status: str) -> None:
    with opened(browser, fake_page, viewport=PHONE) as page:
        ask(page, question)
        answer = page.locator(f".wt-{status}.wt-answer")
        assert answer.count() == 1
        box = answer.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]


def test_the_page_works_below_a_path(browser: Browser) -> None:
    with served(FakeAssistant(), root_path="/wentiao") as address, opened(browser, address) as page:
        ask(page, "津心办怎么注销账号")
        with page.context.expect_page() as reader_page:
            page.locator(".wt-card a").click()
        reader_page.value.wait_for_load_state()
        assert reader_page.value.locator("mark").count() == 1


def test_the_first_load_stays_small(browser: Browser, fake_page: str) -> None:
    sizes: list[int] = []
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(fake_page)
    page.wait_for_selector("#wt-log[role=log]", state="attached")
    page.wait_for_load_state("networkidle")
    context.close()
    # Measured: 55 requests, 232 KB, nearly all of it Gradio's own script.
    assert len(sizes) <= 65
    assert sum(sizes) <= 280_000
