"""The page that asks many apps the same: its routes over the small assistant, and the page in a real browser."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import openpyxl
import pytest
from starlette.testclient import TestClient

from corpus.datatypes import Policy
from index.encoder import FakeEncoder
from index.store import build_index
from retrieval import Assistant
from retrieval.datatypes import Row
from web.compare import RowsBody, stream_rows
from web.schema import MAX_APPS, MAX_QUESTION_CHARACTERS
from web.sheets import line_of

from .application import build_app, served
from .fakes import FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize

QUESTION = "怎么注销账号"
TIMEOUT = 20_000  # milliseconds; the page of tests/web/test_page.py has the same
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}


def read_events(text: str) -> list[tuple[str, Any]]:
    pairs = (chunk.split("\n") for chunk in text.strip().split("\n\n"))
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


def rows_of(client: TestClient, **body: Any) -> list[tuple[str, Any]]:
    response = client.post("/compare/rows", json=body)
    assert response.status_code == 200
    return read_events(response.text)


def export(client: TestClient, shown: Sequence[dict[str, Any]], *, form: str = "csv", **subject: str) -> Any:
    rows = [{"app": line["app"], "policy_id": line["policy_id"]} for line in shown]
    return client.post("/compare/export", json={"format": form, "rows": rows, **subject})


# -- The routes -------------------------------------------------------------------------------------------------------


def test_the_rows_come_one_by_one_and_are_those_of_compare(client: TestClient, fake: FakeAssistant) -> None:
    events = rows_of(client, question=QUESTION, apps=["昶联", "津心办"])
    assert [name for name, _ in events] == ["start", "row", "row", "done"]
    assert events[0][1] == {"total": 2, "named": [], "unknown": []}
    expected = [line_of(row, fake.policy(row.app)).to_dict() for row in fake.compare(QUESTION, ["昶联", "津心办"])]
    assert [line for name, line in events if name == "row"] == expected
    assert expected[1]["facts"][0]["text"] == "个人中心-设置-账号注销"


def test_a_damaged_app_is_no_matter_to_those_who_compare_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.reader.MOST_VERIFIED_AT_ONCE", -1)  # each when it is first used
    monkeypatch.setattr("index.reader.HELD_BYTES", -1)  # as in an index too large to be held
    text = "一、注销\n您可以在“我的-设置-注销”里注销账号。"
    policies = [Policy("应用甲", text, aliases=("小甲",)), Policy("应用乙", text, aliases=("小乙",))]
    build_index(policies, tmp_path, FakeEncoder())
    [folder] = [one for one in (tmp_path / "segments").iterdir() if "应用乙" in (one / "policy.json").read_text()]
    (folder / "clauses.json").write_text("{")
    assistant = Assistant.open(tmp_path, encoder=FakeEncoder())
    monkeypatch.setattr(Assistant, "is_on_topic", lambda self, question: True)
    with TestClient(build_app(assistant)) as client:
        page = client.get("/compare")
        assert page.status_code == 200 and "小乙" in page.text
        for question in (QUESTION, "应用乙和应用甲怎么注销账号"):
            events = rows_of(client, question=question, apps=["应用甲"])
            assert [name for name, _ in events] == ["start", "row", "done"]
        line = line_of(assistant.compare(QUESTION, ["应用甲"])[0], assistant.policy("应用甲")).to_dict()
        assert export(client, [line], question=QUESTION).status_code == 200
        [(name, problem)] = [one for one in rows_of(client, question=QUESTION, apps=["应用乙"]) if one[0] != "start"]
        assert (name, problem["type"]) == ("error", "urn:wentiao:problem:index-damaged")


def test_a_topic_takes_the_place_of_a_question(client: TestClient, fake: FakeAssistant) -> None:
    events = rows_of(client, topic="rights", apps=list(fake.apps()))
    texts = [line["text"] for name, line in events if name == "row"]
    assert texts == [row.text for row in fake.compare_topic("rights")]


def test_a_topic_is_compared_though_an_app_has_left_the_index(client: TestClient) -> None:
    events = rows_of(client, topic="rights", apps=["昶联", "已下架"])
    told = [(line["app"], line["status"]) for name, line in events if name == "row"]
    assert told == [("昶联", "answered"), ("已下架", "unknown_app")]


def test_a_question_off_the_subject_is_declined_before_any_app_is_asked(client: TestClient) -> None:
    for question in ("今天天气怎么样", "", "   "):
        [(name, data)] = rows_of(client, question=question, apps=["昶联"])
        assert name == "declined"
        assert data["detail"].startswith("这里只回答应用隐私政策的问题")


def test_an_app_that_is_not_here_gets_a_row_that_says_so(client: TestClient) -> None:
    events = rows_of(client, question="淘宝和津心办怎么注销", apps=["昶联"])
    assert events[0][1] == {"total": 1, "named": ["津心办"], "unknown": []}
    events = rows_of(client, question="淘宝怎么注销", apps=["昶联"])
    assert events[0][1] == {"total": 2, "named": [], "unknown": ["淘宝"]}
    assert [(line["app"], line["status"], line["policy_id"]) for name, line in events[1:-1]] == [
        ("昶联", "answered", "bf3d79a2c1f97707"),
        ("淘宝", "unknown_app", None),
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"question": "问" * (MAX_QUESTION_CHARACTERS + 1), "apps": ["昶联"]}, "question-too-long"),
        ({"question": QUESTION, "apps": ["昶联"] * (MAX_APPS + 1)}, "too-many-apps"),
        ({"question": QUESTION, "apps": []}, "invalid"),
        ({"question": QUESTION}, "invalid"),
        ({"topic": "weather", "apps": ["昶联"]}, "invalid"),
        ({"question": QUESTION, "apps": ["昶联"], "text": "?"}, "invalid"),
    ],
)
def test_what_is_beyond_the_limits_is_refused(client: TestClient, body: dict[str, Any], kind: str) -> None:
    response = client.post("/compare/rows", json=body)
    assert (response.status_code, response.json()["type"]) == (422, f"urn:wentiao:problem:{kind}")


def test_what_breaks_says_so_and_keeps_the_question_out_of_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    [(name, problem)] = rows_of(client, question="boom 秘密", apps=["昶联"])
    assert (name, problem["status"]) == ("error", 500)
    assert "RuntimeError" in caplog.text and "秘密" not in caplog.text
    assert export(client, [{"app": "昶联", "policy_id": None}], question="boom 秘密").status_code == 500
    assert "秘密" not in caplog.text


def test_no_row_is_looked_for_once_nobody_listens() -> None:
    looked: list[str] = []

    class Watched(FakeAssistant):
        def compare_each(self, question: str, apps: Sequence[str] | None = None) -> Iterator[Row]:
            for row in super().compare_each(question, apps):
                looked.append(row.app)
                yield row

    fake = Watched()

    async def listen_to_two() -> None:
        events = stream_rows(fake, RowsBody(question=QUESTION, apps=list(fake.apps())), "zh")  # type: ignore[arg-type]
        assert [(await anext(events)).split("\n")[0] for _ in range(3)] == ["event: start", "event: row", "event: row"]
        await events.aclose()  # type: ignore[attr-defined]

    with ThreadPoolExecutor(1) as thread:  # Playwright keeps a loop running in this one once a page was tested
        thread.submit(asyncio.run, listen_to_two()).result()
    assert looked == list(fake.apps()[:2])


def test_the_file_holds_the_rows_that_are_shown_with_the_quotes_of_the_policies(
    client: TestClient, fake: FakeAssistant
) -> None:
    lines = [line for name, line in rows_of(client, question="淘宝怎么注销", apps=list(fake.apps())) if name == "row"]
    shown = [lines[-1], lines[3], lines[0]]
    response = export(client, shown, question="淘宝怎么注销")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].startswith('attachment; filename="wentiao-compare-20')
    header, *rows = csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline=""))
    assert [row[2] for row in rows] == ["淘宝", "汇容客", "口袋证件照"]
    for row in rows[1:]:
        told = dict(zip(header, row, strict=True))
        policy = fake.policy(told["应用"])
        start, end = map(int, told["原文位置（条款:起-止）"].rpartition(":")[2].split("-"))
        assert told["原文"] == policy.text[start:end] != ""
        assert told["版本校验值（SHA-256）"] == policy.sha256
        assert told["说明"].startswith("以官方最新版本为准") and "不构成法律意见" in told["说明"]
    book = export(client, shown, form="xlsx", question="淘宝怎么注销")
    sheet = openpyxl.load_workbook(io.BytesIO(book.content)).worksheets[0]
    read = [[cell or "" for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert [row[:1] + row[2:] for row in read[1:]] == [row[:1] + row[2:] for row in rows]  # beside the time


def test_a_file_of_a_topic_names_it(client: TestClient, fake: FakeAssistant) -> None:
    shown = [{"app": "昶联", "policy_id": fake.policy("昶联").policy_id}]
    rows = list(csv.reader(io.StringIO(export(client, shown, topic="rights").content.decode("utf-8-sig"))))
    assert (rows[1][0], rows[1][2], rows[1][3]) == ("数据、权限管理", "昶联", "写明")


def test_no_file_is_made_of_versions_that_are_no_longer_there(client: TestClient, fake: FakeAssistant) -> None:
    shown = [{"app": "昶联", "policy_id": "0" * 16}, {"app": "津心办", "policy_id": fake.policy("津心办").policy_id}]
    response = export(client, shown, question=QUESTION)
    assert (response.status_code, response.json()["type"]) == (409, "urn:wentiao:problem:policies-changed")
    assert "昶联" in response.json()["detail"] and "津心办" not in response.json()["detail"]


def test_another_sites_page_gets_neither_rows_nor_files(client: TestClient) -> None:
    foreign = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    for path in ("/compare/rows", "/compare/export"):
        assert client.post(path, json={}, headers=foreign).status_code == 403
        assert client.get(path).status_code == 405


def test_the_page_runs_no_inline_script_and_loads_from_this_host_alone(client: TestClient) -> None:
    response = client.get("/compare")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert 'style="' not in response.text and "onclick" not in response.text
    assert response.text.count("<script") == 2 and '<script id="data" type="application/json">' in response.text


@pytest.mark.parametrize(
    ("asked", "lang", "title"), [("zh", "zh-Hans", "比较"), ("zh-TW", "zh-Hant", "比較"), ("en", "en", "Compare")]
)
def test_the_page_speaks_its_readers_language(client: TestClient, asked: str, lang: str, title: str) -> None:
    page = client.get("/compare", headers={"accept-language": asked}).text
    assert f'<html lang="{lang}">' in page and f"<h1>{title}" in page


def test_names_are_escaped_wherever_the_page_has_them() -> None:
    from dataclasses import replace

    from .fakes import HOSTILE

    fake = FakeAssistant()
    policies = [replace(policy, app=HOSTILE, aliases=('"><b>',)) for policy in list(fake.policies.values())[:1]]
    page = TestClient(build_app(FakeAssistant(policies))).get("/compare").text
    assert HOSTILE not in page and '"><b>' not in page and "&lt;script&gt;alert(1)" in page


def test_no_topic_is_offered_where_the_model_knows_none() -> None:
    class Topicless(FakeAssistant):
        knows_topics = False

        def topics(self, app: str) -> dict[str, Any]:
            return {}

    offered = '<label><input type="radio" name="kind" value="topic">'
    pages = [TestClient(build_app(assistant)).get("/compare").text for assistant in (FakeAssistant(), Topicless())]
    assert [offered in page for page in pages] == [True, False]


def test_the_chat_page_leads_to_it(client: TestClient) -> None:
    assert 'href=\\"compare\\"' in client.get("/").text or 'href="compare"' in client.get("/").text


# -- The page in a browser --------------------------------------------------------------------------------------------


class Gated(FakeAssistant):
    """Gives two rows of a comparison; then it waits for the gate, or breaks if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.is_broken = False

    def compare_each(self, question: str, apps: Sequence[str] | None = None) -> Iterator[Row]:
        for place, row in enumerate(super().compare_each(question, apps)):
            if place == 2 and self.is_broken:
                raise RuntimeError("broken")
            if place == 2:
                self.gate.wait(TIMEOUT / 1000)
            yield row


@pytest.fixture(scope="module")
def address(fake: FakeAssistant) -> Iterator[str]:
    with served(fake, "/wentiao") as address:
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
    """Open the page; afterwards nothing was asked of another host, named in an address, refused or thrown."""
    context = browser.new_context(
        locale=locale, viewport=viewport, color_scheme=color_scheme, reduced_motion="reduce", accept_downloads=True
    )
    context.set_default_timeout(TIMEOUT)
    troubles: list[str] = []

    def pass_on_or_stop(route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.netloc != urlsplit(address).netloc or (url.query and not url.query.startswith("v=")):
            troubles.append(f"asked for {route.request.url}")
            route.abort()
        else:
            route.continue_()

    context.route("**/*", pass_on_or_stop)
    context.on("weberror", lambda error: troubles.append(str(error.error)))
    context.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page = context.new_page()
    try:
        page.goto(f"{address}compare")
        yield page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    finally:
        context.close()
    assert troubles == []


def compare(page: Page, question: str) -> None:
    page.locator("#question").fill(question)
    page.locator("#question").press("Enter")


def wait_for_state(page: Page, text: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#state")).to_contain_text(text, timeout=TIMEOUT)


def expect_apps(page: Page, apps: Sequence[str]) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#rows th")).to_have_text(list(apps), timeout=TIMEOUT)


def sort_head(page: Page, name: str) -> Locator:
    return page.locator(f"[data-sort={name}]")


@pytest.mark.browser
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["390", "1280"])
def test_a_question_is_compared_sorted_filtered_and_exported(
    browser: Browser, address: str, fake: FakeAssistant, viewport: ViewportSize
) -> None:
    from playwright.sync_api import expect

    with opened(browser, address, viewport=viewport) as page:
        compare(page, "淘宝怎么注销账号")
        wait_for_state(page, "比较完成：5 个应用，5 个写明。")
        expect_apps(page, [*fake.apps(), "淘宝"])
        expect(page.locator("#notices")).to_contain_text("“淘宝”没有收录")
        expect(page.locator("#chart li").first).to_have_text("写明5 (100 %)")
        row = page.locator("#rows tr", has_text="津心办")
        expect(row).to_contain_text("个人中心-设置-账号注销")
        expect(row).to_contain_text("以官方最新版本为准")
        assert row.locator("a").get_attribute("href") == fake_url(fake, "津心办")
        sort_head(page, "app").click()
        expect(page.locator("[aria-sort=ascending]")).to_have_text("应用")
        expect_apps(page, ["昶联", "汇容客", "津心办", "口袋证件照", "淘宝", "掌上海关"])
        sort_head(page, "app").click()
        expect(page.locator("[aria-sort=descending]")).to_have_text("应用")
        expect_apps(page, ["掌上海关", "淘宝", "口袋证件照", "津心办", "汇容客", "昶联"])
        page.locator("#status").select_option("answered")
        page.locator("#text").fill("设置")
        expect_apps(page, ["津心办", "汇容客"])
        expect(page.locator("#shown")).to_have_text("显示 2 / 6 行")
        tables = [download(page, "csv"), download(page, "xlsx")]
        assert [[row[2] for row in table] for table in tables] == [["应用", "津心办", "汇容客"]] * 2
        for table in tables:
            assert table[1][6] == "您可以在“个人中心-设置-账号注销”里注销账号。"
            assert table[1][10] == fake.policy("津心办").sha256
        page.locator("#text").fill("没有这样的字")
        expect(page.locator("[data-export=csv]")).to_be_disabled()


def fake_url(fake: FakeAssistant, app: str) -> str:
    [row] = fake.compare(QUESTION, [app])
    return line_of(row, fake.policy(app)).url


def download(page: Page, form: str) -> list[list[str]]:
    with page.expect_download() as download:
        page.locator(f"[data-export={form}]").click()
    content = Path(download.value.path()).read_bytes()
    assert download.value.suggested_filename.endswith(f".{form}")
    if form == "csv":
        return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    return [[str(cell or "") for cell in row] for row in sheet.iter_rows(values_only=True)]


@pytest.mark.browser
def test_a_stopped_comparison_keeps_its_rows_and_goes_on_with_the_others(browser: Browser) -> None:
    from playwright.sync_api import expect

    fake = Gated()
    with served(fake) as address, opened(browser, address) as page:
        compare(page, QUESTION)
        expect(page.locator("#count")).to_have_text("2 / 5", timeout=TIMEOUT)
        assert page.locator("#progress").evaluate("bar => [bar.value, bar.max]") == [2, 5]
        expect_apps(page, fake.apps()[:2])
        page.locator("#stop").focus()
        page.keyboard.press("Enter")
        wait_for_state(page, "已停止，完成 2 / 5。")
        resume = page.locator("#again button")
        expect(resume).to_have_text("继续余下的 3 个")
        expect(resume).to_be_focused()
        fake.gate.set()
        page.keyboard.press("Enter")
        wait_for_state(page, "比较完成：5 个应用")
        expect_apps(page, fake.apps())
        expect(page.locator("#again")).to_be_hidden()


@pytest.mark.browser
def test_a_comparison_that_breaks_says_so_and_can_be_tried_again(browser: Browser) -> None:
    from playwright.sync_api import expect

    fake = Gated()
    fake.is_broken = True
    fake.gate.set()
    with served(fake) as address, opened(browser, address) as page:
        compare(page, QUESTION)
        expect(page.locator("#failure")).to_contain_text("比较中断，完成 2 / 5", timeout=TIMEOUT)
        expect_apps(page, fake.apps()[:2])
        fake.is_broken = False
        page.locator("#again button").click()
        wait_for_state(page, "比较完成：5 个应用")
        expect(page.locator("#failure")).to_be_hidden()
        expect_apps(page, fake.apps())


@pytest.mark.browser
def test_what_cannot_be_compared_is_told_at_its_place(browser: Browser, address: str) -> None:
    from playwright.sync_api import expect

    with opened(browser, address, locale="en-GB") as page:
        problem, field = page.locator("#problem"), page.locator("#question")
        compare(page, "  ")
        expect(problem).to_have_text("Write a question first.")
        expect(field).to_have_attribute("aria-invalid", "true")
        compare(page, "长" * 501)
        expect(problem).to_contain_text("501 characters came, at most 500 are allowed")
        page.locator("#drop").click()
        compare(page, QUESTION)
        expect(problem).to_have_text("Choose at least one app.")
        expect(page.locator("#result")).to_be_hidden()
        page.locator("#choose").click()
        compare(page, "what is the weather")
        expect(page.locator("#failure")).to_contain_text("I can only answer questions about apps' privacy policies")
        expect(page.locator("table")).to_be_hidden()


@pytest.mark.browser
def test_apps_are_found_chosen_and_dropped_and_a_topic_compared(browser: Browser, address: str) -> None:
    from playwright.sync_api import expect

    with opened(browser, address, viewport=PHONE) as page:
        chips = page.locator("#chips li")
        expect(chips).to_have_text("全部 5 个应用")
        page.locator("#drop").click()
        expect(page.locator("#chosen")).to_have_text("已选 0 / 5")
        page.locator("#find").fill("海关")
        expect(page.locator("#found")).to_have_text("列出 1 个")
        page.locator("#choose").click()
        page.locator("#find").fill("")
        page.get_by_label("昶联").check()
        expect(chips).to_have_text(["掌上海关 ×", "昶联 ×"])
        page.get_by_role("button", name="去掉 掌上海关").click()
        expect(page.get_by_role("button", name="去掉 昶联")).to_be_focused()
        page.get_by_label("一个主题").check()
        page.locator("#topic").select_option("rights")
        page.locator("#go").click()
        wait_for_state(page, "比较完成：1 个应用，1 个写明。")
        expect(page.locator("#subject")).to_have_text("主题：数据、权限管理")
        expect_apps(page, ["昶联"])


@pytest.mark.browser
def test_only_the_apps_that_the_question_names_are_a_click_away(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        compare(page, "津心办和昶联怎么注销")
        wait_for_state(page, "比较完成：5 个应用")
        page.locator("#notices button").click()
        wait_for_state(page, "比较完成：2 个应用")
        expect_apps(page, ["昶联", "津心办"])


@pytest.mark.browser
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "viewport"), [("zh-CN", PHONE), ("en-GB", DESKTOP)], ids=["zh-390", "en-1280"])
def test_axe_finds_nothing_on_the_page(
    browser: Browser,
    axe: str,
    address: str,
    locale: str,
    viewport: ViewportSize,
    color_scheme: Literal["light", "dark"],
) -> None:
    found: list[str] = []

    def look(page: Page, place: str) -> None:
        page.evaluate(axe)
        for one in page.evaluate("async () => (await axe.run()).violations"):
            found.append(f"{place}: {one['id']}: {[node['html'][:200] for node in one['nodes']]}")

    with opened(browser, address, locale=locale, viewport=viewport, color_scheme=color_scheme) as page:
        page.locator("#drop").click()
        page.get_by_label("昶联").check()
        page.locator("#go").click()
        page.locator("#problem").wait_for()
        look(page, "empty")
        page.locator("#choose").click()
        compare(page, "淘宝怎么注销账号")
        page.locator("#rows tr").nth(5).wait_for()
        page.locator("#running").wait_for(state="hidden")
        sort_head(page, "status").click()
        look(page, "compared")
        compare(page, "boom")
        page.locator("#failure").wait_for()
        look(page, "failed")
    assert found == []
