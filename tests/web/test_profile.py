"""The profile's page and its JSON: quotes, facts, ways to the text; three languages; nothing of a policy is markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape, unescape
from typing import TYPE_CHECKING, Any, cast, get_args
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from corpus.messages import message
from retrieval.datatypes import CELL_KEYS, PROFILE_PARTS, Cell, CellKey, Language, ProfileRow
from web.profile import render_profile
from web.render import profile_url, reader_url

from .application import served
from .fakes import HOSTILE, FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

APP = "津心办"
ADDRESS = f"/profile/{quote(APP)}"


def article(page: str, key: str) -> str:
    """Return the part of the page that shows one cell."""
    found = re.search(rf'<article class="matter" id="{key}">.*?</article>', page, re.DOTALL)
    assert found is not None
    return found.group()


def test_the_page_shows_every_cell_once_in_the_order_of_the_profile(client: TestClient) -> None:
    page = client.get(ADDRESS).text
    assert re.findall(r'<article class="matter" id="(\w+)">', page) == list(CELL_KEYS)
    assert [key for keys in PROFILE_PARTS.values() for key in keys] == list(CELL_KEYS)
    assert sorted(CELL_KEYS) == sorted(key for kind in get_args(CellKey) for key in get_args(kind))
    assert re.findall(r'<a href="#(\w+)">', page) == list(CELL_KEYS)


def test_a_cell_shows_its_quote_its_facts_and_the_way_to_its_place(client: TestClient, fake: FakeAssistant) -> None:
    cell = fake.profile(APP).cell("right_cancel")
    assert cell.citation
    shown = article(client.get(ADDRESS).text, "right_cancel")
    assert f'<blockquote lang="zh">{escape(cell.citation.quote)}</blockquote>' in shown
    assert '<dt>操作路径</dt><dd lang="zh">个人中心-设置-账号注销</dd>' in shown
    way = reader_url(APP, cell.citation.clause_id, (cell.citation.start, cell.citation.end))
    assert f'href="{escape("../" + way)}"' in shown
    assert cell.citation.label in shown
    assert client.get("/" + way.split("#")[0]).text.count("<mark") == 1


def test_a_row_shows_its_values_its_quote_and_what_the_text_does_not_name(
    client: TestClient, fake: FakeAssistant
) -> None:
    [row] = fake.profile(APP).cell("sdks").rows
    shown = article(client.get(ADDRESS).text, "sdks")
    assert f'<span lang="zh">{escape(row.values[0])}</span>' in shown
    assert shown.count('<span class="none">未写明</span>') == 3
    assert f'<blockquote lang="zh">{escape(row.citation.quote)}</blockquote>' in shown
    assert re.findall(r'<th role="columnheader" scope="col">(.*?)</th>', shown) == [
        "名称",
        "公司",
        "目的或功能",
        "信息",
        "出处",
    ]


@pytest.mark.parametrize(
    ("accepted", "lang", "not_stated"),
    [("zh-CN", "zh-Hans", "政策未说明"), ("zh-TW", "zh-Hant", "政策未說明"), ("en", "en", "Not stated")],
)
def test_what_is_not_stated_is_said_in_the_readers_language(
    client: TestClient, accepted: str, lang: str, not_stated: str
) -> None:
    response = client.get(ADDRESS, headers={"accept-language": accepted})
    assert "Accept-Language" in response.headers["vary"]
    assert f'<html lang="{lang}">' in response.text
    assert f'<p class="silent">{not_stated}</p>' in article(response.text, "court")
    assert response.text.count('<p class="silent">') == len(CELL_KEYS) - 4


def test_a_reader_of_english_gets_the_unofficial_english_of_a_quote(client: TestClient, fake: FakeAssistant) -> None:
    citation = fake.profile(APP).cell("right_cancel").citation
    assert citation
    english = fake.rendering(APP, citation.start, citation.end)
    assert english
    shown = {
        accepted: article(client.get(ADDRESS, headers={"accept-language": accepted}).text, "right_cancel")
        for accepted in ("en", "zh")
    }
    assert escape(english) in shown["en"]
    assert escape(english) not in shown["zh"]


def test_the_page_leads_to_the_policy_and_to_the_json(client: TestClient, fake: FakeAssistant) -> None:
    page = client.get(ADDRESS).text
    top = unescape(page.partition("</header>")[0])
    assert f'href="../read/{quote(APP)}"' in top
    assert 'href="?form=json"' in top
    assert client.get(f"{ADDRESS}?form=json").json() == fake.profile(APP).to_dict()
    assert client.get(f"/api/v1/profile?app={quote(APP)}").json() == fake.profile(APP).to_dict()
    assert client.get("/" + profile_url(APP)).text == page
    assert f'href="../{profile_url(APP)}"' in client.get(f"/read/{quote(APP)}").text


def test_an_app_that_is_not_there_is_said_to_be_missing(client: TestClient) -> None:
    page = client.get("/profile/" + quote("没有<b>"))
    assert page.status_code == 404
    assert "没有&lt;b&gt;" in page.text
    data = client.get("/api/v1/profile", params={"app": "津心"})
    assert (data.status_code, data.json()["type"]) == (404, "urn:wentiao:problem:unknown-app")
    assert "津心办" in data.json()["detail"]
    without = client.get("/api/v1/profile")
    assert (without.status_code, without.json()["type"]) == (422, "urn:wentiao:problem:invalid")


@pytest.mark.parametrize("language", ["zh", "zh-Hant", "en"])
def test_nothing_from_a_policy_becomes_markup(fake: FakeAssistant, language: Language) -> None:
    profile = fake.profile(APP)
    citation = profile.cell("right_cancel").citation
    assert citation
    hostile = replace(citation, app=HOSTILE, quote=HOSTILE, label=HOSTILE, clause_id=f'"{HOSTILE}')
    cells = [
        Cell("sdks", columns=("name", "company", "purpose", "data"), rows=(ProfileRow((HOSTILE,) * 4, hostile),))
        if cell.key == "sdks"
        else Cell("contact", hostile, tuple(replace(fact, text=HOSTILE) for fact in profile.cell("right_cancel").facts))
        if cell.key == "contact"
        else cell
        for cell in profile.cells
    ]
    page = render_profile(replace(profile, app=HOSTILE, cells=tuple(cells)), language, lambda *_: HOSTILE)
    assert "<script" not in page and "<img" not in page
    assert escape(HOSTILE) in page


def test_the_page_has_no_script_and_a_strict_policy(client: TestClient) -> None:
    response = client.get(ADDRESS)
    assert "<script" not in response.text and " style=" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


@pytest.fixture(scope="module")
def address(fake: FakeAssistant) -> Iterator[str]:
    with served(fake) as url:
        yield url


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    browser: Browser, axe: str, address: str, width: int, scheme: Any
) -> None:
    size = cast("ViewportSize", {"width": width, "height": 900})
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True, locale="zh-CN")
    try:
        page = context.new_page()
        page.goto(f"{address}profile/{quote(APP)}")
        page.locator("#sdks details summary").first.click()
        page.locator("#sdks details[open] blockquote").first.wait_for(state="visible")
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run()).violations")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.get_by_role("table", name=message("profile.sdks", "zh")).get_by_role("row").count() == 3
    finally:
        context.close()


@pytest.mark.browser
def test_the_contents_lead_by_keyboard_to_a_matter(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="en-US")
    try:
        page = context.new_page()
        page.goto(f"{address}profile/{quote(APP)}")
        link = page.get_by_role("link", name="Closing the account")
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**#right_cancel")
        page.locator("#right_cancel:target").wait_for(state="visible")
    finally:
        context.close()
