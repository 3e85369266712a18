"""Who may embed the widget, what its scope allows, and what the frame's questions are limited to."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from retrieval.datatypes import Answer, Turn
from web.sites import (
    AppOutsideScopeError,
    ScopeError,
    Site,
    Sites,
    ask_within,
    load_sites,
    read_scope,
    resolve_apps,
    sign_scope,
)

from .application import build_app
from .fakes import FakeAssistant

SECRET = b"0123456789abcdef0123456789abcdef"
SHOP = Site(("https://shop.example", "http://localhost:8000"), ("津心办", "昶联"))
SITES = Sites({"shop": SHOP, "one": Site(("https://one.example",), ("津心办",)), "open": Site(("*",))}, SECRET)
SETTINGS = f"""
secret = "{SECRET.decode()}"
[sites.shop]
origins = ["https://shop.example", "http://localhost:8000"]
apps = ["津心办", "昶联"]
[sites.open]
origins = ["*"]
"""


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(build_app(FakeAssistant(), sites=SITES), raise_server_exceptions=False) as client:
        yield client


def frame_data(client: TestClient, site: str) -> dict[str, Any]:
    page = client.get("/widget/frame", params={"site": site} if site else {})
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(html.unescape(found[1]))
    return data


def ask(client: TestClient, site: str, question: str, **fields: object) -> Any:
    return client.post("/widget/ask", json={"question": question, "scope": frame_data(client, site)["scope"]} | fields)


def test_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    assert load_sites(path) == Sites({"shop": SHOP, "open": Site(("*",))}, SECRET)


def test_without_settings_there_are_no_sites_and_a_secret_of_this_process() -> None:
    assert load_sites(None).by_name == {}
    assert load_sites(None).secret != load_sites(None).secret
    assert load_sites(None).secret.hex() not in repr(load_sites(None))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("[sites.shop]\napps = ['津心办']", "origins must be a list"),
        ("[sites.shop]\norigins = []", "origins must be a list"),
        ("[sites.shop]\norigins = ['https://shop.example/']", "is not an origin"),
        ("[sites.shop]\norigins = ['shop.example']", "is not an origin"),
        ("[sites.shop]\norigins = ['https://*.shop.example']", "is not an origin"),
        ("[sites.shop]\norigins = ['*', 'https://shop.example']", "is not an origin"),
        ('[sites.shop]\norigins = ["https://a.example; script-src *"]', "is not an origin"),
        ("[sites.shop]\norigins = ['https://a.example']\napps = []", "apps must be a list"),
        ("[sites.shop]\norigins = ['https://a.example']\nport = 1", "port is not a setting"),
        ("[sites.'a b']\norigins = ['https://a.example']", "1 to 64 letters"),
        ("sites = 3", "must be tables"),
        ("[site.shop]\norigins = ['*']", "site is not a setting"),
        ("secret = 'short'", "at least 32 characters"),
        ("secret", "is not TOML"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, settings: str, complaint: str) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(settings, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        load_sites(path)
    assert str(caught.value).startswith(f"WENTIAO_SITES: {path}")
    with pytest.raises(ValueError, match=re.escape(f"WENTIAO_SITES：{path}")):
        load_sites(path, "zh")


def test_apps_get_the_names_of_the_index_and_an_unknown_one_stops_the_start() -> None:
    fake = FakeAssistant()
    alias = next(policy.aliases[0] for policy in fake.policies.values() if policy.aliases)
    resolved = resolve_apps(Sites({"a": Site(("*",), (alias,))}), fake)  # type: ignore[arg-type]
    assert resolved.by_name["a"].apps == (fake.policy(alias).app,)
    with pytest.raises(ValueError, match=re.escape("WENTIAO_SITES: the app “淘宝” of [sites.a] is not in the index")):
        resolve_apps(Sites({"a": Site(("*",), ("淘宝",))}), fake)  # type: ignore[arg-type]


def test_a_scope_is_read_back_until_it_expires() -> None:
    token = sign_scope("shop", SECRET, expires=1000)
    assert read_scope(token, SITES, now=999.0) == SHOP.apps
    assert read_scope(sign_scope("", SECRET, expires=1000), SITES, now=999.0) is None
    with pytest.raises(ScopeError, match="expired"):
        read_scope(token, SITES, now=1001.0)


def test_a_scope_says_what_the_settings_say_now() -> None:
    token = sign_scope("shop", SECRET, expires=1000)
    with pytest.raises(ScopeError, match="struck off"):
        read_scope(token, Sites({"open": Site(("*",))}, SECRET), now=0)
    assert read_scope(token, Sites({"shop": replace(SHOP, apps=("昶联",))}, SECRET), now=0) == ("昶联",)


def test_a_site_with_hundreds_of_apps_is_answered() -> None:
    policy = FakeAssistant().policy("津心办")
    fake = FakeAssistant([replace(policy, app=f"津心办第{number}分号", aliases=()) for number in range(600)])
    sites = Sites({"many": Site(("*",), fake.apps())}, SECRET)
    with TestClient(build_app(fake, sites=sites), raise_server_exceptions=False) as client:
        assert ask(client, "many", "怎么注销账号", app="津心办第599分号").json()["answer"]["status"] == "answered"


def test_a_scope_that_was_changed_or_signed_elsewhere_is_refused() -> None:
    token = sign_scope("shop", SECRET, expires=2**40)
    wider = sign_scope("open", b"another secret, known to a stranger", expires=2**40)
    forged = f"{wider.split('.')[0]}.{token.split('.')[1]}"
    for bad in (forged, wider, token[:-4], token.replace(".", ""), "", ".", "津.津", f"{token}.{token}"):
        with pytest.raises(ScopeError):
            read_scope(bad, SITES, now=0)


@pytest.mark.parametrize(
    ("site", "ancestors"),
    [
        ("", "frame-ancestors 'self'"),
        ("shop", "frame-ancestors https://shop.example http://localhost:8000"),
        ("open", "frame-ancestors *"),
    ],
)
def test_the_frame_says_who_may_embed_it(client: TestClient, site: str, ancestors: str) -> None:
    response = client.get("/widget/frame", params={"site": site})
    assert response.headers["content-security-policy"].endswith(ancestors)
    assert "x-frame-options" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    assert "unsafe" not in response.headers["content-security-policy"]


def test_a_site_that_is_not_in_the_settings_gets_no_frame(client: TestClient) -> None:
    response = client.get("/widget/frame", params={"site": "elsewhere"})
    assert response.status_code == 404
    assert response.json()["type"] == "urn:wentiao:problem:unknown-site"
    assert "frame-ancestors 'self'" in response.headers["content-security-policy"]


def test_other_sites_may_load_the_script_and_nothing_else_of_ours(client: TestClient) -> None:
    policy = "cross-origin-resource-policy"
    assert client.get("/widget.js").headers[policy] == "cross-origin"
    assert client.get("/widget/frame").headers[policy] == "cross-origin"
    for path in ("/widget/frame.js", "/widget/frame.css", "/api/v1/apps", "/", "/widget/demo"):
        assert client.get(path).headers[policy] == "same-origin", path


def test_an_answer_has_its_page_and_the_payload_of_the_api(client: TestClient) -> None:
    reply = ask(client, "shop", "怎么注销账号", app="津心办").json()
    api = client.post("/api/v1/ask", json={"question": "怎么注销账号", "app": "津心办"}).json()
    assert reply["answer"] == api
    assert "<mark" in reply["html"] and "以官方最新版本为准" in reply["html"]


def test_the_frame_without_a_site_asks_about_every_app(client: TestClient) -> None:
    assert ask(client, "", "怎么注销账号", app="掌上海关").status_code == 200
    assert set(frame_data(client, "")["apps"]) == set(FakeAssistant().apps())


def test_an_app_that_the_question_names_beside_the_chosen_one_is_offered_if_it_may_be_asked_about(
    client: TestClient,
) -> None:
    for site, fields, named, offered in [
        ("shop", {"app": "津心办"}, "昶联", True),
        ("shop", {"app": "津心办"}, "掌上海关", False),
        ("shop", {"apps": ["津心办"]}, "昶联", False),
        ("", {"app": "津心办"}, "掌上海关", True),
        ("", {"app": "津心办"}, "津心办", False),
    ]:
        reply = ask(client, site, f"{named}怎么注销账号", **fields).json()
        assert reply["answer"]["app"] == "津心办"
        assert (f"你提到了《{named}》，改问它" in reply["html"]) is offered, (site, named)
        told = f"你提到了“{named}”，这里只回答《津心办》的隐私政策："
        is_told = not offered and named != "津心办"
        assert (told in reply["html"], reply["answer"]["text"].startswith(told)) == (is_told, is_told), (site, named)


def test_an_app_outside_the_scope_is_refused(client: TestClient) -> None:
    for site, fields in [
        ("shop", {"app": "掌上海关"}),
        ("shop", {"app": "淘宝"}),
        ("shop", {"apps": ["津心办", "掌上海关"]}),
        ("shop", {"history": [{"question": "怎么注销", "app": "掌上海关"}]}),
        ("one", {"app": "昶联"}),
    ]:
        response = ask(client, site, "怎么联系客服", **fields)
        assert response.status_code == 403, fields
        assert response.json()["type"] == "urn:wentiao:problem:app-outside-scope"
    named = ask(client, "shop", "掌上海关怎么注销账号")
    assert (named.status_code, named.json()["type"]) == (403, "urn:wentiao:problem:app-outside-scope")


def test_a_forged_scope_and_none_are_refused(client: TestClient) -> None:
    forged = client.post("/widget/ask", json={"question": "怎么注销", "scope": "e30=.e30="})
    assert (forged.status_code, forged.json()["type"]) == (403, "urn:wentiao:problem:scope-invalid")
    assert client.post("/widget/ask", json={"question": "怎么注销"}).status_code == 422


def test_a_frame_asks_for_itself_only(client: TestClient) -> None:
    headers = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    body = {"question": "怎么注销", "scope": frame_data(client, "shop")["scope"]}
    assert client.post("/widget/ask", json=body, headers=headers).status_code == 403


def test_a_question_across_apps_stays_within_the_scope(client: TestClient) -> None:
    for question, status in [("怎么注销账号", "which_app"), ("哪些应用可以注销账号", "compared")]:
        answer = ask(client, "shop", question).json()["answer"]
        assert answer["status"] == status
        assert sorted(row["app"] for row in answer["rows"]) == ["昶联", "津心办"]
    assert ask(client, "one", "怎么注销账号").json()["answer"]["app"] == "津心办"
    narrowed = ask(client, "shop", "怎么注销账号", apps=["昶联"]).json()["answer"]
    assert narrowed["app"] == "昶联"


def test_an_unknown_app_is_not_answered_with_the_names_of_apps_outside_the_scope() -> None:
    fake = FakeAssistant()
    answer = ask_within(fake, "淘宝怎么注销账号", apps=("掌上海关", "昶联"))  # type: ignore[arg-type]
    assert answer.status == "unknown_app"
    assert "淘宝" in answer.text and fake.apps()[-1] not in answer.text


def test_an_app_that_is_not_covered_and_that_the_hosts_page_asks_for_is_told_to_be_unknown(client: TestClient) -> None:
    for fields in ({"apps": ["淘宝"]}, {"app": "淘宝", "apps": ["淘宝"]}, {"app": "淘宝"}):
        response = ask(client, "", "怎么注销账号", **fields)
        assert (response.status_code, response.json()["answer"]["status"]) == (200, "unknown_app"), fields
        assert "淘宝" in response.json()["answer"]["text"]


class Following(FakeAssistant):
    """An assistant that reads a follow-up together with what came before, and shows the first app's row alone."""

    def ask(self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3) -> Answer:
        before = " ".join(turn if isinstance(turn, str) else turn.question for turn in history)
        answer = super().ask(f"{before} {question}", app, (), top_k)
        return replace(answer, rows=answer.rows[:1])


def test_a_follow_up_keeps_its_context_in_the_rows_of_every_app_of_the_scope() -> None:
    assistant = Following()
    apps = assistant.apps()[:2]
    for history in (["怎么联系客服"], [Turn("怎么联系客服")], ["怎么联系客服", "那电话呢"]):
        answer = ask_within(assistant, "那时间呢？", apps=apps, history=history)  # type: ignore[arg-type]
        assert answer.status == "which_app"
        assert {row.app: row for row in answer.rows} == {row.app: row for row in assistant.compare("联系客服", apps)}
    rows = ask_within(assistant, "怎么注销账号", apps=apps, history=["怎么联系客服"]).rows  # type: ignore[arg-type]
    assert rows[1] == assistant.compare("怎么注销账号", apps)[1]


def test_without_a_limit_a_question_is_asked_as_it_is() -> None:
    fake = FakeAssistant()
    history = [Turn("津心办怎么注销", "津心办")]
    assert ask_within(fake, "怎么联系", apps=None, history=history) == fake.ask("怎么联系", history=history)  # type: ignore[arg-type]
    with pytest.raises(AppOutsideScopeError):
        ask_within(fake, "怎么联系", apps=("昶联", "津心办"), app="掌上海关")  # type: ignore[arg-type]


def test_an_expired_scope_is_refused(client: TestClient) -> None:
    token = sign_scope("shop", SECRET, expires=int(time.time()) - 1)
    response = client.post("/widget/ask", json={"question": "怎么注销", "scope": token})
    assert (response.status_code, response.json()["type"]) == (403, "urn:wentiao:problem:scope-invalid")


def test_a_scope_holds_for_every_process_with_the_same_secret_and_for_no_other(client: TestClient) -> None:
    body = {"question": "怎么注销账号", "app": "津心办", "scope": frame_data(client, "shop")["scope"]}
    for secret, status in [(SECRET, 200), (b"another secret of the same operator", 403)]:
        app = build_app(FakeAssistant(), sites=Sites(SITES.by_name, secret))
        with TestClient(app, raise_server_exceptions=False) as other:
            response = other.post("/widget/ask", json=body)
            assert response.status_code == status
            assert status == 200 or response.json()["type"] == "urn:wentiao:problem:scope-invalid"


def test_what_breaks_is_a_failure_and_says_nothing_of_the_question(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = ask(client, "shop", "boom 津心办", app="津心办")
    assert (response.status_code, response.json()["type"]) == (500, "urn:wentiao:problem:failed")
    assert "boom" not in response.text and "boom" not in caplog.text
