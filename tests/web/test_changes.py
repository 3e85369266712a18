"""What changed between two versions: the page's parts, its addresses, who can read it, and the lines for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from starlette.testclient import TestClient

from corpus.datatypes import Policy
from corpus.load import default_policies_folder, load_policies
from corpus.parser import split_policy
from corpus.versions import Change, HeadingChange, diff_headings, diff_outlines
from web.cli_diff import format_changes
from web.versions import changes_url

from .application import build_app, served
from .fakes import HOSTILE, FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

UPDATE = Path(__file__).parents[1] / "corpus" / "versions" / "昶联-2025.txt"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}


def updated() -> FakeAssistant:
    """An assistant over the shipped policies, with a newer version of 昶联."""
    update = Policy("昶联", UPDATE.read_text(encoding="utf-8"), effective="2025-03-15")
    return FakeAssistant([*load_policies([default_policies_folder()]), update])


@pytest.fixture(scope="module")
def assistant() -> FakeAssistant:
    return updated()


@pytest.fixture(scope="module")
def page(assistant: FakeAssistant) -> Iterator[TestClient]:
    with TestClient(build_app(assistant), raise_server_exceptions=False) as client:
        yield client


def pair(assistant: FakeAssistant) -> tuple[str, str]:
    old, new = assistant.versions("昶联")
    return old.policy_id, new.policy_id


def cards(text: str, kind: str) -> list[str]:
    return re.findall(rf'<li class="change {kind}">(.*?)</li>', text)


def plain(markup: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r'<span class="spoken".*?</span>', "", markup)))


def test_the_last_two_versions_are_compared_where_none_are_asked_for(
    page: TestClient, assistant: FakeAssistant
) -> None:
    default, asked = page.get("/changes/昶联"), page.get("/" + changes_url("昶联", *pair(assistant)))
    assert (default.status_code, asked.status_code) == (200, 200)
    assert default.text == asked.text
    assert "从 2024-08-01 版（2026-11-01 08:30 UTC 收录） 到 2025-03-15 版（2026-11-02 08:30 UTC 收录）" in default.text
    permanent = "../" + changes_url("昶联", *pair(assistant)).replace("&", "&amp;")
    assert f'<a href="{permanent}">这一对照的固定地址</a>' in default.text


def test_every_kind_is_counted_and_every_change_is_shown(page: TestClient) -> None:
    text = page.get("/changes/昶联").text
    counts = re.findall(r"<li><a [^>]*>(\D+) (\d+)</a></li>", text)
    assert counts == [
        ("全部", "24"), ("新增", "6"), ("删除", "2"), ("改写", "9"), ("移动", "2"),
        ("移动并改写", "1"), ("拆分", "1"), ("合并", "1"), ("标题", "2"),
    ]  # fmt: skip
    kinds = re.findall(r'<li class="change (\w+)">', text)
    assert {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} == {
        "heading_added": 1, "heading_reworded": 1, "reworded": 9, "removed": 2, "added": 6,
        "split": 1, "moved": 2, "merged": 1, "moved_reworded": 1,
    }  # fmt: skip


def test_a_kind_is_shown_alone_by_a_link(page: TestClient, assistant: FakeAssistant) -> None:
    text = page.get("/" + changes_url("昶联", *pair(assistant), kind="removed")).text
    assert re.findall(r'<li class="change (\w+)">', text) == ["removed", "removed"]
    [chosen] = re.findall(r'<a href="([^"]*)" aria-current="page">删除 2</a>', text)
    assert unescape(chosen) == "../" + changes_url("昶联", *pair(assistant), kind="removed")
    assert len(re.findall(r'<li class="change ', page.get("/changes/昶联?kind=nonsense").text)) == 24


def test_the_words_that_changed_are_marked_and_told(page: TestClient) -> None:
    [card] = [one for one in cards(page.get("/changes/昶联").text, "reworded") if "400-7800-900" in one]
    assert '<del><span class="spoken" lang="zh-Hans">删去：</span>400-7800-900</del>' in card
    assert '<ins><span class="spoken" lang="zh-Hans">新增：</span>400-7800-901</ins>' in card
    assert "<h2>改写</h2>" in card and card.count("（略 205 字）") == 2
    assert "4.1 · 隐私政策 › 四、用户的权利 › 4.1 访问、更改、删除用户的账号信息" in plain(card)


def test_each_side_leads_to_its_clause_in_its_version(page: TestClient, assistant: FakeAssistant) -> None:
    [card] = cards(page.get("/changes/昶联").text, "moved_reworded")
    links = [unescape(link) for link in re.findall(r'<a href="\.\.(/read/[^"#]*)', card)]
    assert len(links) == 2
    for link, policy_id, words in zip(links, pair(assistant), ("正当事由", "正当理由"), strict=True):
        assert policy_id in link
        cited = re.findall(r'aria-current="true">(.*?)</p>', page.get(link).text)
        assert len(cited) == 1 and words in cited[0]


def test_the_versions_are_listed_with_their_dates_and_times(page: TestClient, assistant: FakeAssistant) -> None:
    old, new = pair(assistant)
    listed = page.get("/changes/昶联", headers={"accept-language": "en"}).text.partition('class="version-list"')[2]
    assert listed.index("The version dated 2025-03-15 (added 2026-11-02 08:30 UTC)") < listed.index("2024-08-01")
    assert f"../read/%E6%98%B6%E8%81%94?version={old}" in listed
    assert f"../changes/%E6%98%B6%E8%81%94?from={old}&amp;to={new}" in listed
    assert listed.count('<span class="tag">current</span>') == 1


def test_one_version_alone_says_so(page: TestClient) -> None:
    response = page.get("/changes/津心办")
    assert response.status_code == 200
    assert "目前只收录了一个版本" in response.text and '<li class="change' not in response.text


def test_a_version_compared_with_itself_or_with_nothing_changed_says_so(
    page: TestClient, assistant: FakeAssistant
) -> None:
    old, _ = pair(assistant)
    assert "两边是同一个版本" in page.get("/" + changes_url("昶联", old, old)).text
    policy = assistant.policy("昶联")
    spaced = replace(policy, text=policy.text.replace("5.9 ", "5.9  "))
    with TestClient(build_app(FakeAssistant([policy, spaced]))) as client:
        assert "这两个版本的条款没有变化" in client.get("/changes/昶联").text


@pytest.mark.parametrize("query", ["from=x", "to=0000000000000000", "from=%3Cscript%3E", "from=" + "9" * 4000])
def test_an_unknown_version_is_a_page_that_says_so_and_lists_those_that_are(page: TestClient, query: str) -> None:
    response = page.get(f"/changes/昶联?{query}")
    assert response.status_code == 404
    assert 'role="alert"' in response.text and 'class="version-list"' in response.text
    assert "<script" not in response.text and "9" * 100 not in response.text


def test_an_unknown_app_is_a_page_that_says_so(page: TestClient) -> None:
    response = page.get("/changes/%3Cscript%3E")
    assert (response.status_code, "<script" in response.text) == (404, False)


def test_everything_from_a_policy_is_escaped() -> None:
    texts = (
        f"隐私政策\n一、{HOSTILE}\n1. 我们收集{HOSTILE}信息三年。\n",
        f"隐私政策\n一、{HOSTILE}甲\n1. 我们收集{HOSTILE}信息五年。\n",
    )
    with TestClient(build_app(FakeAssistant([Policy(f"甲{HOSTILE}", text) for text in texts]))) as client:
        response = client.get(f"/changes/甲{HOSTILE}")
    assert response.status_code == 200 and "&lt;script&gt;" in response.text
    assert "<script" not in response.text and "<img" not in response.text


def test_the_page_loads_its_own_styles_only_and_runs_nothing(page: TestClient) -> None:
    response = page.get("/changes/昶联")
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "style-src 'self'" in response.headers["content-security-policy"]
    assert response.headers["vary"].startswith("Accept-Language")
    assert "<script" not in response.text and " style=" not in response.text
    for style in re.findall(r'<link rel="stylesheet" href="\.\.(/[^"]+)"', response.text):
        assert page.get(style).status_code == 200


@pytest.mark.parametrize(
    ("accept", "words"),
    [("zh-TW", ("改寫 9", "在舊版原文中查看")), ("en", ("Reworded: 9", "Read it in the old version"))],
)
def test_the_page_speaks_the_browsers_language(page: TestClient, accept: str, words: tuple[str, str]) -> None:
    text = page.get("/changes/昶联", headers={"accept-language": accept}).text
    assert words[0] in text and words[1] in text


# -- The terminal -----------------------------------------------------------------------------------------------------


def differences(old: str, new: str) -> tuple[tuple[Change, ...], tuple[HeadingChange, ...]]:
    before, after = (Policy("甲", text) for text in (old, new))
    versions = (before, split_policy(before)), (after, split_policy(after))
    return diff_outlines(*versions), diff_headings(*versions)


def test_a_terminal_gets_counts_places_and_marks() -> None:
    old = (
        "隐私政策\n一、收集\n1. 我们保存您的手机号码三年。\n2. 我们收集您的位置信息。\n二、权利\n1. 您可以注销账号。\n"
    )
    new = "隐私政策\n一、收集\n1. 我们保存您的手机号码五年。\n二、您的权利\n1. 您可以注销账号。\n2. 您可以投诉。\n"
    changes, headings = differences(old, new)
    assert format_changes(changes, "zh", headings).split("\n") == [
        "新增 1 · 删除 1 · 改写 1 · 标题 1",
        "",
        "改写标题",
        "  - 二、权利",
        "  + 二、您的权利",
        "",
        "改写",
        "  - 一1 · 一、收集",
        "    1. 我们保存您的手机号码[-三年-]。",
        "  + 一1 · 一、收集",
        "    1. 我们保存您的手机号码{+五年+}。",
        "",
        "删除",
        "  - 一2 · 一、收集",
        "    2. 我们收集您的位置信息。",
        "",
        "新增",
        "  + 二2 · 二、您的权利",
        "    2. 您可以投诉。",
    ]


def test_a_terminal_is_told_that_nothing_changed() -> None:
    assert format_changes((), "en") == "No clause changed between these two versions."


# -- In a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(updated()) as address:
        yield address


@pytest.mark.browser
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "viewport"), [("zh-CN", PHONE), ("en-GB", DESKTOP)], ids=["zh-390", "en-1280"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    browser: Browser,
    axe: str,
    address: str,
    locale: str,
    viewport: ViewportSize,
    color_scheme: Literal["light", "dark"],
) -> None:
    context = browser.new_context(locale=locale, viewport=viewport, color_scheme=color_scheme, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    old = updated().versions("昶联")[0].policy_id
    found: list[str] = []
    for path in ("changes/昶联", "changes/津心办", f"read/昶联?version={old}", "read/昶联?contents=topics"):
        page.goto(address + path)
        page.locator("main").wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        page.evaluate(axe)
        for one in page.evaluate("async () => (await axe.run()).violations"):
            if one["impact"] in ("serious", "critical"):
                found.append(f"{path}: {one['id']}: {[node['html'][:200] for node in one['nodes']]}")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{path}: wider than the window")
    context.close()
    assert found == []


@pytest.mark.browser
def test_what_came_is_underlined_and_what_went_struck_through(browser: Browser, address: str) -> None:
    page = browser.new_context().new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{address}changes/昶联")
    style = "(node) => getComputedStyle(node).textDecorationLine"
    assert page.locator("ins").first.evaluate(style) == "underline"
    assert page.locator("del").first.evaluate(style) == "line-through"
    page.context.close()
