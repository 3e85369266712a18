"""The policy in full: every character in order, the cited clause and its quote marked, and the ways it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape, unescape
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from corpus.messages import message
from corpus.topics import TOPICS
from retrieval.datatypes import Language
from web.cited import cite_place
from web.reader import render_policy
from web.render import cited_url, reader_url

from .application import build_app
from .fakes import FakeAssistant

APPS = ("口袋证件照", "掌上海关", "昶联", "汇容客", "津心办")


def shown_text(page: str) -> str:
    """Return what the policy's own part of ``page`` shows, without white space."""
    main = re.search(r"<main[^>]*>(.*)</main>", page, re.DOTALL)
    assert main is not None
    without_badge = re.sub(r"<small.*?</small>", "", main.group(1))
    return re.sub(r"\s", "", unescape(re.sub(r"<[^>]+>", "", without_badge)))


@pytest.mark.parametrize("app", APPS)
def test_the_whole_policy_is_shown_in_its_order(fake: FakeAssistant, app: str) -> None:
    page = render_policy(fake.policy(app), fake.clauses(app), language="zh")
    assert shown_text(page) == re.sub(r"\s", "", fake.policy(app).text)


def test_a_citations_link_marks_the_clause_and_the_quote(client: TestClient, fake: FakeAssistant) -> None:
    [citation] = fake.ask("津心办怎么注销").citations
    page = client.get("/" + reader_url(citation.app, citation.clause_id, (citation.start, citation.end))).text
    cited = re.findall(
        rf'<p id="{re.escape(citation.clause_id)}" class="clause \w+" aria-current="true">(.*?)</p>', page
    )
    assert len(cited) == 1
    assert f'<mark lang="zh">{citation.quote}</mark>' in cited[0]
    assert page.count("<mark") == page.count('aria-current="true"') == 1
    assert f'href="#{citation.clause_id}">↓' in page


@pytest.mark.parametrize("app", APPS)
def test_each_line_of_the_contents_leads_to_a_clause(fake: FakeAssistant, app: str) -> None:
    page = render_policy(fake.policy(app), fake.clauses(app), language="en")
    contents = page.partition("<nav")[2].partition("</nav>")[0]
    targets = re.findall(r'<a href="#([^"]+)">', contents)
    anchors = re.findall(r' id="([^"]+)"', page)
    assert targets and len(anchors) == len(set(anchors))
    assert [target for target in targets if target not in anchors] == []
    assert sorted(targets, key=anchors.index) == targets


@pytest.mark.parametrize(
    ("language", "undated", "official"),
    [
        ("zh", "版本日期未注明", "以官方最新版本为准"),
        ("zh-Hant", "版本日期未註明", "以官方最新版本為準"),
        ("en", "Version date not stated", "latest official version prevails"),
    ],
)
def test_the_imprint_states_date_official_version_operator_and_checksum(
    fake: FakeAssistant, language: Language, undated: str, official: str
) -> None:
    for app in APPS:
        policy = fake.policy(app)
        page = render_policy(policy, fake.clauses(app), language=language)
        imprint = page.partition("<main")[0]
        assert (policy.date or undated) in imprint
        assert official in imprint and policy.sha256 in imprint
        assert (policy.operator or policy.app) in imprint


def test_an_unknown_app_is_a_page_that_says_so(client: TestClient) -> None:
    response = client.get("/read/%3Cscript%3Ealert(1)", headers={"accept-language": "en"})
    assert (response.status_code, response.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no app named “&lt;script&gt;alert(1)” here." in response.text
    assert "<script" not in response.text


@pytest.mark.parametrize(
    "query", ["start=5", "start=x&end=y", "start=9&end=2", "start=²&end=³", "start=1&end=" + "9" * 6000, "clause=%00"]
)
def test_a_span_that_makes_no_sense_marks_nothing(client: TestClient, query: str) -> None:
    response = client.get(f"/read/津心办?{query}")
    assert response.status_code == 200
    assert "<mark" not in response.text


def test_the_reader_speaks_the_browsers_language_and_the_text_stays_chinese(client: TestClient) -> None:
    page = client.get("/read/津心办", headers={"accept-language": "en"})
    assert '<html lang="en">' in page.text and '<main lang="zh">' in page.text
    assert "Contents" in page.text and page.headers["vary"].startswith("Accept-Language")


# -- All cited clauses on one page ------------------------------------------------------------------------------------


def test_each_cited_clause_is_shown_with_path_date_and_its_quote_marked(
    client: TestClient, fake: FakeAssistant
) -> None:
    citations = [row.citation for row in fake.compare("怎么注销账号") if row.citation]
    page = client.get("/" + cited_url(citations)).text
    marked = re.findall(r'<mark lang="zh">(.*?)</mark>', page)
    assert [unescape(text) for text in marked] == [one.quote for one in citations]
    assert len(citations) > 2
    for citation in citations:
        assert " › ".join(citation.path) in page
        address = "../" + reader_url(citation.app, citation.clause_id, (citation.start, citation.end))
        assert f'href="{escape(address)}"' in page
    assert page.count("以官方最新版本为准") == len(citations)
    assert "不构成法律意见" in page


def test_a_list_cited_as_a_whole_is_shown_to_its_last_item(fake: FakeAssistant) -> None:
    policy = fake.policy("津心办")
    lead_in = next(clause for clause in fake.clauses("津心办") if clause.kind == "lead_in")
    items = [clause for clause in fake.clauses("津心办") if clause.lead_in == lead_in.clause_id]
    citation = cite_place(fake, f"{lead_in.clause_id}:{lead_in.start}-{items[-1].end}")  # type: ignore[arg-type]
    assert citation is not None
    assert citation.quote == citation.text == policy.text[lead_in.start : items[-1].end]


def test_a_clause_of_another_version_is_said_to_be_gone_beside_those_that_are_here(
    client: TestClient, fake: FakeAssistant
) -> None:
    [citation] = fake.ask("津心办怎么注销").citations
    gone = f"{'0' * 16}.0001:1-2"
    page = client.get(f"/{cited_url([citation])},{gone}", headers={"accept-language": "en"})
    assert page.status_code == 200
    assert "Not in the versions that are here: 1 of" in page.text and citation.quote in page.text
    assert "You can cancel" in page.text  # the unofficial English under the quote
    assert client.get(f"/cited/{gone}").status_code == 404


def test_no_part_of_a_sentence_is_marked(client: TestClient, fake: FakeAssistant) -> None:
    [citation] = fake.ask("津心办怎么注销").citations
    clause, start, end = citation.clause_id, citation.start, citation.end
    others = [one for one in fake.clauses("津心办") if one.start > citation.text_end]
    assert citation.quote == "您可以在“个人中心-设置-账号注销”里注销账号。"
    for span in ((start + 2, end), (start, end - 1), (start + 9, end - 9), (citation.text_start, others[0].end - 1)):
        page = client.get(f"/cited/{clause}:{span[0]}-{span[1]}", headers={"accept-language": "en"})
        assert (page.status_code, "<mark" in page.text) == (200, False)
        assert f'<blockquote class="wt-clause" lang="zh">{escape(citation.text)}</blockquote>' in page.text
        assert "You can cancel" not in page.text  # the English of the quote
    for span in ((citation.text_start, citation.text_end), (start, end), (start, citation.text_end)):
        quote = escape(fake.policy("津心办").text[slice(*span)])
        assert f'<mark lang="zh">{quote}</mark>' in client.get(f"/cited/{clause}:{span[0]}-{span[1]}").text


@pytest.mark.parametrize("places", ["x", "津心办:1-2", ",,", "{clause}:9-5", "{clause}:0-99999999", "{clause}:-1-5"])
def test_places_that_make_no_sense_show_nothing(client: TestClient, fake: FakeAssistant, places: str) -> None:
    [citation] = fake.ask("津心办怎么注销").citations
    response = client.get("/cited/" + places.format(clause=citation.clause_id))
    assert response.status_code == 404
    assert "<mark" not in response.text


def test_an_address_of_very_many_places_shows_each_once_and_two_hundred_at_most(
    client: TestClient, fake: FakeAssistant
) -> None:
    [citation] = fake.ask("津心办怎么注销").citations
    card = '<article class="wt-card">'
    starts, ends = range(citation.start, citation.start + 15), range(citation.end - 5, citation.end)
    places = [f"{citation.clause_id}:{start}-{end}" for start in starts for end in ends]
    assert client.get(f"/cited/{','.join(places * 2)}").text.count(card) == 75
    more = [f"{citation.clause_id}:{citation.start}-{citation.end + after}" for after in range(1, 200)]
    assert client.get(f"/cited/{','.join(places + more)}").text.count(card) == 200


# -- Versions ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def updated() -> FakeAssistant:
    """津心办 after an update: one clause reworded, nothing else."""
    old = FakeAssistant().policy("津心办")
    return FakeAssistant([old, replace(old, text=old.text.replace("账号注销", "注销账号"), effective="2026-01-01")])


@pytest.fixture(scope="module")
def after(updated: FakeAssistant) -> Iterator[TestClient]:
    with TestClient(build_app(updated), raise_server_exceptions=False) as client:
        yield client


def test_a_citations_address_opens_the_version_it_cites_after_an_update(
    client: TestClient, fake: FakeAssistant, after: TestClient, updated: FakeAssistant
) -> None:
    [citation] = fake.ask("津心办怎么注销").citations
    address = "/" + reader_url(citation.app, citation.clause_id, (citation.start, citation.end))
    text = after.get(address).text
    assert f'<mark lang="zh">{citation.quote}</mark>' in text and citation.sha256 in text
    assert "链接所指的条款不在" not in text
    assert 'class="old" role="note"' in text and "这是旧版本" in text
    assert 'class="old"' not in client.get(address).text
    old, new = (version.policy_id for version in updated.versions("津心办"))
    assert f'href="../read/{quote("津心办")}?version={new}">看当前版本</a>' in text
    assert f'href="../changes/{quote("津心办")}?from={old}&amp;to={new}"' in text


def test_a_version_is_read_by_its_id_and_the_versions_are_listed(after: TestClient, updated: FakeAssistant) -> None:
    for version in updated.versions("津心办"):
        text = after.get(f"/read/津心办?version={version.policy_id}").text
        assert version.sha256 in text
        assert shown_text(text) == re.sub(r"\s", "", updated.policy("津心办", version.policy_id).text)
        assert ("这是旧版本" in text) is not version.is_current
        assert "版本（2）" in text and text.count("?version=") >= 2


def test_the_current_version_is_shown_where_none_is_asked_for(after: TestClient, updated: FakeAssistant) -> None:
    text = after.get("/read/津心办").text
    assert updated.policy("津心办").sha256 in text and "这是旧版本" not in text


def test_one_version_alone_has_no_list_of_versions(client: TestClient) -> None:
    assert "version-list" not in client.get("/read/津心办").text


@pytest.mark.parametrize("version", ["0000000000000000", "%3Cscript%3E", "x" * 3000])
def test_an_unknown_version_is_said_to_be_unknown_over_the_current_one(
    after: TestClient, updated: FakeAssistant, version: str
) -> None:
    response = after.get(f"/read/津心办?version={version}")
    assert response.status_code == 404
    assert "没有编号为" in response.text and updated.policy("津心办").sha256 in response.text
    assert "<script" not in response.text and "x" * 100 not in response.text


# -- Contents by topic ------------------------------------------------------------------------------------------------


def test_the_contents_are_listed_by_topic_on_request(client: TestClient, fake: FakeAssistant) -> None:
    text = client.get("/read/津心办?contents=topics").text
    contents = text.partition("<nav")[2].partition("</nav>")[0]
    topics = fake.topics("津心办")
    on_rights = [clause_id for clause_id, on in topics.items() if "rights" in on]
    name = message("topics.rights", "zh")
    group = contents.partition(f"{name}（{len(on_rights)}）</summary>")[2].partition("</details>")[0]
    assert re.findall(r'href="#([^"]+)"', group) == on_rights
    rest = [clause_id for clause_id, on in topics.items() if not on]
    assert f"未归入主题（{len(rest)}）" in contents
    named = re.findall(r"<summary lang=\"zh-Hans\">([^（]+)（", contents)
    assert named[:-1] == [
        message(f"topics.{topic}", "zh") for topic in TOPICS if any(topic in on for on in topics.values())
    ]


def test_the_order_of_the_contents_is_changed_by_links_that_keep_the_citation(
    client: TestClient, fake: FakeAssistant
) -> None:
    [citation] = fake.ask("津心办怎么注销").citations
    text = client.get("/" + reader_url(citation.app, citation.clause_id, (citation.start, citation.end))).text
    [link] = re.findall(r'<a href="(\?[^"]*contents=topics)">按主题</a>', text)
    by_topic = client.get("/read/津心办" + unescape(link)).text
    assert f'<mark lang="zh">{citation.quote}</mark>' in by_topic
    assert 'aria-current="page">按主题</a>' in by_topic and 'aria-current="page">按标题</a>' in text


def test_an_old_version_without_topics_is_listed_by_heading(after: TestClient, updated: FakeAssistant) -> None:
    old = updated.versions("津心办")[0].policy_id
    text = after.get(f"/read/津心办?version={old}&contents=topics").text
    assert "按主题" not in text and "<summary>目录</summary>" in text
