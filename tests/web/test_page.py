"""The real page in a real browser, with the real model: the README's question, its clause in its place, a decline."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from corpus.datatypes import Policy
from retrieval.datatypes import Answer, Turn
from web.evidence import check_evidence, read_evidence

from .application import served
from .fakes import HOSTILE, FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Response, Route, ViewportSize

pytestmark = pytest.mark.browser

TIMEOUT = 20_000  # milliseconds; the slowest step takes two seconds on an idle machine of two cores
QUESTION = "how do I delete my account in 津心办"
MENU_PATH = "个人中心-设置-账号注销"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
COMPOSED_ENTER = "new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, isComposing: true, bubbles: true})"

SEEN_ERRORS = (
    "Array.from(document.querySelectorAll('.wt-failed, .toast-body, .error'))"
    ".filter((node) => node.checkVisibility({opacityProperty: true, visibilityProperty: true})).length"
)


@pytest.fixture(scope="module")
def real_page() -> Iterator[str]:
    from retrieval import Assistant

    with served(Assistant.open()) as address:
        yield address


@pytest.fixture(scope="module")
def fake_page() -> Iterator[str]:
    with served(FakeAssistant()) as address:
        yield address


@contextmanager
def opened(
    browser: Browser,
    address: str,
    *,
    locale: str = "zh-CN",
    viewport: ViewportSize = DESKTOP,
    color_scheme: Literal["light", "dark"] = "light",
) -> Iterator[Page]:
    """Open the page; afterwards nothing has been asked of another host, refused by the server or thrown."""
    permissions = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(
        locale=locale, viewport=viewport, permissions=permissions, color_scheme=color_scheme, reduced_motion="reduce"
    )
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
        # The answer that breaks or is refused and the network that breaks are among the cases.
        expected = ("500", "503", "ERR_INTERNET_DISCONNECTED")
        if line.type == "error" and not any(word in line.text for word in expected):
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


def test_a_fact_and_a_citation_are_copied_over_plain_http_too(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        for button, text in ((".wt-fact", MENU_PATH), (".wt-card [data-link]", "\n<http")):
            page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
            page.locator(button).first.click()
            page.locator(button).first.locator(".wt-copied").wait_for()
            assert page.locator(button).first.evaluate("button => button === document.activeElement")
            page.evaluate("delete navigator.clipboard")
            assert text in page.evaluate("navigator.clipboard.readText()")
        assert page.locator("textarea.wt-hidden").count() == 0


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


def test_the_first_load_stays_small(
    browser: Browser, fake_page: str, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    sizes: list[int] = []
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(fake_page)
    page.wait_for_selector("#wt-log[role=log]", state="attached")
    page.wait_for_load_state("networkidle")
    context.close()
    record_property("first_load_requests", len(sizes))
    record_property("first_load_bytes", sum(sizes))
    with capsys.disabled():
        sys.stdout.write(f"\nfirst load of the chat: {len(sizes)} requests, {sum(sizes):,} bytes compressed\n")
    # Measured: 55 requests, 232 KB, nearly all of it Gradio's own script.
    assert len(sizes) <= 65
    assert sum(sizes) <= 280_000


def test_an_answer_is_saved_as_an_evidence_file_that_stands_after_a_reload_too(
    browser: Browser, fake_page: str, fake: FakeAssistant
) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        page.reload()
        page.evaluate("window.revoked = []; URL.revokeObjectURL = (address) => address && revoked.push(address)")
        with page.expect_download() as download:
            page.get_by_role("button", name="下载证据文件").click()
        assert page.evaluate("revoked") == []  # Safari reads it only after the click
        name = download.value.suggested_filename
        assert name.startswith("wentiao-evidence-20") and name.endswith(".json")
        evidence = read_evidence(download.value.path().read_bytes())
    assert evidence.question == "津心办怎么注销账号"
    assert evidence.answer == fake.ask("津心办怎么注销账号")
    assert [finding.faults for finding in check_evidence(fake, evidence)] == [()]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("复制引文", "“您可以在“个人中心-设置-账号注销”里注销账号。”\n津心办 · 四(三) · "),
        ("复制为 Markdown", "> 您可以在"),
    ],
)
def test_a_citation_is_copied_with_its_address_and_a_link_that_opens_it(
    browser: Browser, fake_page: str, name: str, begins: str
) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        page.get_by_role("button", name=name).click()
        page.locator(".wt-copied").wait_for()
        text = page.evaluate("navigator.clipboard.readText()").replace("\r\n", "\n")
        assert text.startswith(begins)
        assert "四、您如何管理您的个人信息 › (三)注销用户管理 · 版本日期未注明 · 以官方最新版本为准\n<http" in text
        link = text[text.index("<") + 1 : -1]
        page.goto(link)
        assert MENU_PATH in page.locator("[aria-current=true] mark").inner_text()


def test_all_cited_clauses_stand_on_one_page_whose_address_holds_no_question(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "怎么注销账号")
        rows = page.locator(".wt-row .wt-card mark").all_text_contents()
        page.locator(".wt-tools a").evaluate("link => link.removeAttribute('target')")
        page.locator(".wt-tools a").click()
        page.wait_for_url("**/cited/**")
        assert page.locator(".wt-card mark").all_text_contents() == rows
        assert len(rows) > 2
        assert all(mark.is_visible() for mark in page.locator("mark").all())
        assert "%" not in page.url
        page.go_back()
        page.locator(".wt-turn .wt-row").first.wait_for()
        assert page.locator(".wt-question").inner_text().endswith("怎么注销账号")


def test_the_app_that_was_understood_can_be_changed_and_removed(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        page.get_by_role("button", name="换应用").click()
        select = page.get_by_role("combobox", name="换一个应用问")
        assert "津心办" not in select.locator("option").all_inner_texts()
        select.select_option("昶联")
        page.get_by_role("button", name="问它").click()
        page.locator(".wt-app").nth(1).wait_for()
        assert page.locator(".wt-app").nth(1).inner_text() == "昶联"
        page.get_by_role("button", name="不限《昶联》，向全部应用再问一次").click()
        page.locator(".wt-answer.wt-which_app").wait_for()
        assert page.locator(".wt-question").last.inner_text().endswith("怎么注销账号")
        assert "津心办" not in page.locator(".wt-question").last.inner_text()


def test_removing_the_app_empties_the_picker(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        picker = page.locator("#wt-picker input")
        picker.click()
        page.get_by_role("option", name="昶联").click()
        ask(page, "怎么注销账号")
        assert picker.input_value() == "昶联"
        page.get_by_role("button", name="不限《昶联》").click()
        page.locator(".wt-answer.wt-which_app").wait_for()
        page.wait_for_function("document.querySelector('#wt-picker input').value === '全部应用'")


def test_an_unknown_app_is_met_with_near_names_not_with_names_in_the_text(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "淘宝怎么注销账号")
        offers = page.locator(".wt-unknown_app .wt-choices")
        # The fake's text names 津心办; nothing is near 淘宝.
        assert "你要找的是不是" not in offers.all_inner_texts()[0]
        assert offers.locator("[data-app=津心办]").count() == 1


def test_what_the_policy_covers_is_offered_after_an_answer_and_for_a_picked_app(
    browser: Browser, fake_page: str
) -> None:
    with opened(browser, fake_page) as page:
        page.locator("#wt-picker input").click()
        page.get_by_role("option", name="口袋证件照").click()
        offered = page.locator("#wt-suggestions [data-ask]")
        offered.first.wait_for()
        assert offered.all_inner_texts() == ["怎么注销账号？", "会把我的信息给第三方吗？", "怎么联系你们？"]
        offered.first.click()
        page.locator(".wt-answered").wait_for()
        assert page.locator("#wt-suggestions").is_hidden()
        following = page.locator(".wt-answered [data-ask][data-app=口袋证件照]")
        assert following.all_inner_texts() == ["会把我的信息给第三方吗？", "怎么联系你们？"]
        following.first.click()
        page.locator(".wt-answered").nth(1).wait_for()
        assert page.locator(".wt-turn").last.locator(".wt-app").inner_text() == "口袋证件照"


@pytest.mark.parametrize(
    ("locale", "said"),
    [("zh-CN", "不记录、不保存你的问题"), ("zh-TW", "不記錄、不保存你的問題"), ("en", "neither logs nor keeps")],
)
def test_the_page_says_what_becomes_of_questions_before_and_after_one(
    browser: Browser, fake_page: str, locale: str, said: str
) -> None:
    with opened(browser, fake_page, locale=locale) as page:
        note = page.locator("#wt-privacy")
        assert said in note.inner_text()
        ask(page, "津心办怎么注销账号")
        assert said in note.inner_text()


class WaitingAssistant(FakeAssistant):
    """Answers what holds `slow` only once it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def ask(self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3) -> Answer:
        if "slow" in question:
            self.released.wait(timeout=30)
        return super().ask(question, app, history, top_k)


def test_a_call_can_be_stopped_and_its_question_edited(browser: Browser) -> None:
    assistant = WaitingAssistant()
    with served(assistant) as address, opened(browser, address) as page:
        field = page.locator("#wt-question textarea")
        for stop in ("button", "Escape"):
            field.fill("slow 津心办怎么注销账号")
            field.press("Enter")
            page.locator(".wt-waiting").wait_for()
            assert page.locator("#wt-log").get_attribute("aria-busy") == "true"
            if stop == "button":
                page.get_by_role("button", name="停止").click()
            else:
                page.keyboard.press("Escape")
            page.locator(".wt-pending").wait_for(state="detached")
            assert field.input_value() == "slow 津心办怎么注销账号"
            assert field.evaluate("field => field === document.activeElement")
        ask(page, "昶联怎么联系")
        assistant.released.set()
        page.wait_for_timeout(500)
        [asked] = page.locator(".wt-question").all_inner_texts()
        assert asked.endswith("昶联怎么联系")
        assert page.locator(".wt-failed").count() == 0


def test_a_lost_connection_reads_as_a_failure_and_can_be_tried_again(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        page.context.set_offline(True)
        field = page.locator("#wt-question textarea")
        field.fill("津心办怎么注销账号")
        field.press("Enter")
        page.locator(".wt-failed").wait_for()
        page.context.set_offline(False)
        page.get_by_role("button", name="再试一次").click()
        page.locator(".wt-answered .wt-card").wait_for()
        assert page.locator(".wt-failed").count() == 0


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("zh-CN", "连不上服务器，这个问题没有得到处理；这并不表示政策没有说明"),
        ("zh-TW", "連不上伺服器"),
        ("en-GB", "The server cannot be reached and this question was not processed; it does not mean that the policy"),
    ],
)
def test_a_server_that_cannot_be_reached_is_no_fault_of_the_program(
    browser: Browser, fake_page: str, locale: str, said: str
) -> None:
    with opened(browser, fake_page, locale=locale) as page:
        page.route("**/run/predict", lambda route: route.abort("internetdisconnected"))
        field = page.locator("#wt-question textarea")
        field.fill("津心办怎么注销账号")
        field.press("Enter")
        failure = page.locator(".wt-failed")
        failure.wait_for()
        assert failure.locator(".wt-text").inner_text().startswith(said)
        page.unroute("**/run/predict")
        failure.get_by_role("button").click()
        page.locator(".wt-answered .wt-card").wait_for()


@pytest.mark.parametrize(
    ("question", "locale", "said", "again"),
    [
        ("overloaded", "zh-CN", "现在提问的人太多", "再试一次"),
        ("unreachable", "zh-CN", "现在查不到条款，这个问题还没有处理；这并不表示政策没有说明", "再试一次"),
        ("unreachable", "zh-TW", "現在查不到條款", "再試一次"),
        ("unreachable", "en-GB", "it does not mean that the policy is silent", "Try again"),
    ],
)
def test_what_cannot_be_answered_now_is_no_fault_of_the_program_and_can_be_tried_again(
    browser: Browser, fake_page: str, question: str, locale: str, said: str, again: str
) -> None:
    with opened(browser, fake_page, locale=locale) as page:
        field = page.locator("#wt-question textarea")
        for turn in ("field", "button"):
            if turn == "field":
                field.fill(question)
                field.press("Enter")
            else:
                page.get_by_role("button", name=again).click()
                page.locator(".wt-waiting").wait_for(state="detached")
            failure = page.locator(".wt-failed")
            failure.wait_for()
            assert said in failure.inner_text() and failure.count() == 1
        assert page.locator(".wt-silent, .toast-wrap .toast-body").count() == 0
        ask(page, "津心办怎么注销账号")
        assert page.locator(".wt-answered").count() == 1
        page.reload()
        page.locator(".wt-answered").wait_for()
        assert page.locator(".wt-turn").count() == 1


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ('{"type": "urn:wentiao:problem:store-unreachable"}', "现在查不到条款"),
        ('{"type": "about:blank"}', "出错了"),
        ("<html>Service Unavailable</html>", "出错了"),
    ],
)
def test_a_503_is_read_before_anything_is_said_of_it(browser: Browser, fake_page: str, problem: str, said: str) -> None:
    with opened(browser, fake_page) as page:
        page.route("**/run/predict", lambda route: route.fulfill(status=503, body=problem))
        field = page.locator("#wt-question textarea")
        field.fill("津心办怎么注销账号")
        field.press("Enter")
        page.locator(".wt-failed").wait_for()
        assert said in page.locator(".wt-failed").inner_text()


def test_a_page_whose_small_calls_are_refused_still_answers(browser: Browser, fake_page: str) -> None:
    problem = '{"type": "urn:wentiao:problem:overloaded", "title": "", "status": 503, "detail": ""}'
    refused: list[int] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.post_data_json["fn_index"])
        route.fulfill(status=503, content_type="application/problem+json", body=problem)

    with opened(browser, fake_page) as page:
        page.context.route("**/run/predict", refuse)
        page.reload()  # which asks for the apps
        page.wait_for_selector("#wt-log[role=log]", state="attached")
        page.locator("#wt-picker input").click()
        with page.expect_response("**/run/predict"):
            page.get_by_role("option", name="津心办").click()  # which asks for what to ask
        page.locator("#wt-suggestions .error").wait_for(state="attached")  # Gradio's word, which the style hides
        assert page.evaluate(SEEN_ERRORS) == 0
        page.context.unroute("**/run/predict")
        ask(page, "怎么注销账号")
        assert page.locator(".wt-app").inner_text() == "津心办"
        assert len(set(refused)) == 2
        assert page.evaluate(SEEN_ERRORS) == 0


def test_a_refusal_for_want_of_room_says_so_and_can_be_tried_again(browser: Browser, fake_page: str) -> None:
    problem = '{"type": "urn:wentiao:problem:overloaded", "title": "", "status": 503, "detail": ""}'
    with opened(browser, fake_page) as page:
        answer = {"status": 503, "content_type": "application/problem+json", "body": problem}
        page.route("**/run/predict", lambda route: route.fulfill(**answer))
        field = page.locator("#wt-question textarea")
        field.fill("津心办怎么注销账号")
        field.press("Enter")
        failure = page.locator(".wt-failed")
        failure.wait_for()
        assert "现在提问的人太多" in failure.inner_text() and "出错" not in failure.inner_text()
        page.unroute("**/run/predict")
        failure.get_by_role("button", name="再试一次").click()
        page.locator(".wt-answered .wt-card").wait_for()
        assert page.locator(".wt-failed").count() == 0


def test_the_whole_page_works_by_keys(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        page.locator("#wt-question textarea").focus()
        page.keyboard.type("津心办怎么注销账号")
        page.keyboard.press("Enter")
        page.locator(".wt-card").wait_for()
        reached = []
        for _ in range(40):
            page.keyboard.press("Shift+Tab")
            reached.append(page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel"))
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) != "none" or page.locator("input:focus, textarea:focus").count(), reached[-1]
            if reached[-1] == "×":
                break
        for name in ("下载证据文件", "所引条款一页看完", "复制引文", "在原文中查看", "换应用"):
            assert name in reached
        page.keyboard.press("Enter")
        page.locator(".wt-which_app").wait_for()


def test_until_the_page_is_ready_it_says_that_it_opens(browser: Browser, fake_page: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    held: list[Route] = []
    page.route("**/assets/index-*.js", lambda route: held.append(route), times=1)
    page.goto(fake_page, wait_until="commit")
    page.locator("#wt-loading", has_text="正在打开").wait_for()
    held[0].continue_()
    page.wait_for_selector("#wt-log[role=log]", state="attached")
    assert page.locator("#wt-loading").count() == 0
    context.close()


def test_no_name_or_text_of_the_chinese_page_is_english(browser: Browser, fake_page: str) -> None:
    with opened(browser, fake_page) as page:
        ask(page, "津心办怎么注销账号")
        page.get_by_role("button", name="换应用").click()
        names = page.evaluate(
            """() => [...document.querySelectorAll("body *")].flatMap((node) =>
                ["aria-label", "title", "placeholder", "alt"].map((name) => node.getAttribute(name)))"""
        )
        assert [name for name in names if name and name.isascii() and not name.isdigit()] == []
        lines = page.locator("body").inner_text().split("\n")
        assert [line for line in lines if line.strip().isascii() and any(map(str.isalpha, line))] == []


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "viewport"), [("zh-CN", PHONE), ("en-GB", DESKTOP)], ids=["zh-390", "en-1280"])
def test_axe_finds_nothing_serious_on_chat_reader_and_cited_page(
    browser: Browser,
    fake_page: str,
    axe: str,
    color_scheme: Literal["light", "dark"],
    locale: str,
    viewport: ViewportSize,
) -> None:
    found: list[str] = []

    def look(page: Page, place: str) -> None:
        page.evaluate(axe)
        violations = page.evaluate("async () => (await axe.run()).violations")
        for one in violations:
            if one["impact"] in ("serious", "critical"):
                found.append(f"{place}: {one['id']}: {[node['html'][:200] for node in one['nodes']]}")

    with opened(browser, fake_page, locale=locale, viewport=viewport, color_scheme=color_scheme) as page:
        look(page, "chat, empty")
        question = "how do I delete my account in 津心办" if locale == "en-GB" else "津心办怎么注销账号"
        for asked in (question, "怎么注销账号", "津心办的股价", "淘宝怎么注销", "boom"):
            page.locator("#wt-question textarea").fill(asked)
            page.locator("#wt-send").click()
            page.locator("#wt-log[aria-busy=false]").wait_for()
        page.locator(".wt-failed").wait_for()
        page.locator("[data-change]").first.click()
        look(page, "chat")
        addresses = [page.locator(one).first.get_attribute("href") for one in (".wt-card footer a", ".wt-tools a")]
        for address in addresses:
            page.goto(f"{fake_page}{address}")
            look(page, f"{address}")
    assert found == []
