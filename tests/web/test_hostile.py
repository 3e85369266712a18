"""What strangers send: paths, headers, names and text made to get out of their place. Nothing does."""

from __future__ import annotations

import csv
import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from lxml import etree
from lxml import html as lxml_html
from starlette.testclient import TestClient

from corpus.datatypes import Policy
from retrieval import Assistant
from tests.conftest import Shelf, decide
from web.server import STYLES

from .application import build_app, paths_of
from .fakes import FakeAssistant

MARK = "zqx"  # in every payload, so that what it turned into is found
PAYLOADS = [
    f"<script>alert('{MARK}')</script>",
    f"<img src=x onerror=alert('{MARK}')>",
    f"\"><svg onload=alert('{MARK}')>",
    f"'><b onmouseover=alert('{MARK}')>",
    f"</textarea><iframe src=//evil.example/{MARK}>",
    f"</title></script></style><a href=javascript:alert('{MARK}')>{MARK}</a>",
    f"![{MARK}](http://evil.example/{MARK}.png)",
    f"[{MARK}](javascript:alert(1))",
    f"&lt;script&gt;{MARK}&lt;/script&gt; &#60;img src=x&#62;",
    f"{{{{{MARK}}}}} ${{{MARK}}} {{{MARK}}} %s %({MARK})s",
    f"<!--{MARK}--><base href=//evil.example/><meta http-equiv=refresh content=0;url=//evil.example/{MARK}>",
    f"<style>@import '//evil.example/{MARK}'</style>",
]
SCHEMES = ("javascript:", "data:", "vbscript:", "http:", "https:", "//")
ADDRESS_ATTRIBUTES = ("href", "src", "action", "formaction", "srcset", "poster", "data", "xlink:href", "background")
PAGES = ("/read/", "/profile/", "/changes/")
TRAVERSALS = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "..%252f..%252fetc%252fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..\\..\\etc\\passwd",
    "..%5c..%5cetc%5cpasswd",
    "%c0%ae%c0%ae/etc/passwd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "passwd%00.css",
    "%00",
    "%ff%fe",
    "http://127.0.0.1/",
    "C:%5cWindows%5cwin.ini",
    "a" * 20_000,
    "%2e%2e%2f" * 2_000,
    ".",
    "..",
    "~root/.ssh/id_rsa",
    "%0d%0aset-cookie:%20a=b",
]


@pytest.fixture(scope="module")
def plain() -> Iterator[TestClient]:
    with TestClient(build_app(FakeAssistant()), raise_server_exceptions=False) as client:
        yield client


def hostile_policies() -> list[Policy]:
    """Return policies whose app, headings, text, operator and contact all carry markup."""
    policies = []
    for number, payload in enumerate(PAYLOADS):
        name = f"应用{number}{payload}"[:90]
        text = (
            f"{payload}\n\n一、注销 {payload}\n您可以通过“我的-{payload}-注销”注销账号。{payload}\n"
            f"二、第三方 {payload}\n我们通过 {payload} 与第三方共享以下信息：\n"
            f"（1）设备信息{payload}；\n（2）位置{payload}。\n"
            f"三、联系\n您可以通过 {payload} 联系客服：022-12345678。\n"
        )
        policies.append(Policy(name, text, aliases=(f"别名{number}{payload}",), operator=payload, contact=payload))
    return policies


@pytest.fixture(scope="module")
def hostile(shelve: Callable[[Any], Shelf]) -> Iterator[tuple[TestClient, Assistant]]:
    """The application with the real assistant over hostile policies."""
    assistant = shelve(hostile_policies()).assistant(decide(bias=20.0))
    with TestClient(build_app(assistant), raise_server_exceptions=False) as client:
        yield client, assistant


def assert_harmless(markup: str, what: str) -> None:
    """Assert that no payload has become an element, an attribute that runs, a comment or an address elsewhere.

    Read by libxml2 as browsers do: what a payload opens is then an element.
    """
    tree = lxml_html.document_fromstring(f"<div>{markup}</div>" if "<html" not in markup[:200].lower() else markup)
    for node in tree.iter():
        if isinstance(node, etree._Comment | etree._ProcessingInstruction):
            assert MARK not in (node.text or ""), (what, node)
            continue
        assert MARK not in str(node.tag), (what, node.tag)
        if node.tag in ("script", "style"):
            content = node.text or ""
            assert MARK not in content or node.get("type") == "application/json", (what, content[:200])
        assert node.tag not in ("iframe", "base", "object", "embed", "svg", "img") or MARK not in etree.tostring(
            node, encoding="unicode"
        ), what
        for name, value in node.attrib.items():
            assert not name.lower().startswith("on"), (what, node.tag, name, value[:80])
            assert name.lower() != "srcdoc", (what, node.tag)
            if name.lower() in ADDRESS_ATTRIBUTES:
                assert not value.strip().lower().startswith(SCHEMES), (what, node.tag, name, value[:80])


def test_the_checker_of_markup_sees_what_gets_through() -> None:
    assert_harmless(f"<p>&lt;script&gt;{MARK}</p><a href='read/x'>y</a>", "escaped")
    for payload in PAYLOADS[:6] + PAYLOADS[10:]:
        for markup in (f"<p>{payload}</p>", f'<p title="{payload}">x</p>'):
            if markup == f'<p title="{payload}">x</p>' and '"' not in payload:
                continue  # stays within its quotes
            with pytest.raises(AssertionError):
                assert_harmless(markup, payload)


def test_no_page_makes_markup_of_a_policy(hostile: tuple[TestClient, Assistant]) -> None:
    client, assistant = hostile
    seen = 0
    for language in ("zh-CN", "zh-TW", "en"):
        headers = {"accept-language": language}
        for app in assistant.apps():
            for page in PAGES:
                response = client.get(f"{page}{quote(app, safe='')}", headers=headers)
                assert response.status_code in (200, 404), (page, app)
                seen += response.status_code == 200
                assert_harmless(response.text, f"{page}{app}")
    assert seen >= 2 * len(PAYLOADS)
    for path in ("/", "/compare", "/widget/frame", "/api/v1/docs"):
        response = client.get(path)
        assert response.status_code == 200
        tree = lxml_html.document_fromstring(response.text)
        for node in tree.xpath("//script"):  # Gradio's page and the frame hold data in scripts
            assert "</script" not in (node.text or "").lower()
        if path != "/":
            assert_harmless(response.text, path)


def test_no_answer_makes_markup_of_policy_question_name_or_history(hostile: tuple[TestClient, Assistant]) -> None:
    client, assistant = hostile
    page = client.get("/widget/frame").text
    scope = json.loads(lxml_html.document_fromstring(page).xpath("//script[@id='data']")[0].text)["scope"]
    shown = 0
    for payload, app in zip(PAYLOADS, assistant.apps(), strict=True):
        questions = [f"怎么注销账号 {payload}", f"{app}怎么注销", f"与第三方共享吗{payload}", payload]
        for question in questions:
            for picked in (app, "", payload):
                history = [{"question": payload, "app": app}, {"question": "怎么注销", "app": payload}]
                data = [question, app if picked == payload else picked, history, False]  # Gradio refuses other names
                reply = client.post("/gradio_api/run/predict", json={"fn_index": 0, "data": data}).json()["data"][0]
                assert_harmless(reply["html"], f"chat: {question} of {picked}")
                body = {"question": question, "scope": scope, "history": history} | ({"app": picked} if picked else {})
                answered = client.post("/widget/ask", json=body)
                assert answered.status_code == 200, answered.text
                assert_harmless(answered.json()["html"], f"widget: {question} of {picked}")
                shown += MARK in reply["html"]
    assert shown > len(PAYLOADS)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_page_makes_markup_of_its_address(plain: TestClient, payload: str) -> None:
    for path in ("/read/", "/profile/", "/changes/", "/cited/", "/read/津心办?version=", "/read/津心办?clause=",
                 "/read/津心办?contents=", "/read/津心办?start=", "/changes/津心办?from=", "/widget/frame?site=",
                 "/?view=", "/compare?q=", "/api/v1/docs?x=", "/api/v1/policies/", "/api/v1/clauses/",
                 "/api/v1/profile?app="):  # fmt: skip
        response = plain.get(path + quote(payload, safe=""), headers={"accept-language": payload.encode()})
        assert response.status_code in (200, 404, 422), (path, response.status_code)
        if response.headers["content-type"].startswith("text/html"):
            if path.startswith("/?"):
                assert MARK not in response.text
            else:
                assert_harmless(response.text, path)
        else:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["x-content-type-options"] == "nosniff"


def routes() -> list[str]:
    """Return every path that a request could go to, a variable part written as ``{}``."""
    app = build_app(FakeAssistant())
    return sorted({"/".join("{}" if "{" in part else part for part in path.split("/")) for path in paths_of(app)})


def test_no_route_gives_a_file_of_the_server_whatever_its_path_is_made_of(plain: TestClient) -> None:
    secret = Path(__file__).parents[2].joinpath("web/server.py").read_text(encoding="utf-8")[:60]
    asked = 0
    for route in (*routes(), "/assets/{}", "/page/{}", "/widget/{}", "/gradio_api/file={}", "/{}", "/static/{}"):
        for traversal in (*TRAVERSALS, "../web/server.py", "..%2fserver.py", "server.py", "%2e%2e%2fserver.py"):
            path = route.replace("{}", traversal) if "{}" in route else f"{route.rstrip('/')}/{traversal}"
            if path.startswith("//") or len(path) > 60_000:
                continue  # the client takes what follows for a host, or refuses
            response = plain.get(path)
            asked += 1
            assert response.status_code in (200, 400, 404, 405, 414, 422), (path[:120], response.status_code)
            assert "root:x:0" not in response.text and "BEGIN OPENSSH" not in response.text
            assert secret not in response.text, path[:120]
            if response.status_code == 200:  # a path that came down to a page of ours
                assert not response.headers["content-type"].startswith("text/x-python")
            assert "set-cookie" not in response.headers
    assert asked > 1000


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [  # Gradio's advisories, each by what it was: see the security page of its repository
        ("GET", "/gradio_api/file=/etc/passwd", None, 404),  # CVE-2023-51449, CVE-2024-1561: reading files
        ("GET", "/file=/proc/self/environ", None, 404),
        ("GET", "/gradio_api/file=http://169.254.169.254/latest/meta-data", None, 404),
        ("POST", "/gradio_api/upload", {}, 404),  # CVE-2024-47867 and others: files written by strangers
        (
            "POST",
            "/gradio_api/component_server",
            {"component_id": 1, "fn_name": "x", "data": "y"},
            404,
        ),  # CVE-2024-1561
        ("GET", "/gradio_api/proxy=http://127.0.0.1:22/", None, 404),  # CVE-2023-34239, CVE-2024-2206: SSRF
        ("GET", "/proxy=http://169.254.169.254/", None, 404),
        ("POST", "/gradio_api/queue/join", {"fn_index": 0, "data": [], "session_hash": "a"}, 404),  # others' events
        ("GET", "/gradio_api/queue/data?session_hash=a", None, 404),
        ("GET", "/monitoring", None, 404),  # CVE-2024-47168: monitoring although turned off
        ("GET", "/monitoring/summary", None, 404),
        ("GET", "/gradio_api/custom_component/a/client/component/..%2f..%2fx", None, 404),  # CVE-2024-47166
        ("GET", "/static/%2e%2e/%2e%2e/etc/passwd", None, 404),  # CVE-2021-43831
        ("GET", "/assets/%2e%2e%5c%2e%2e%5cwindows%5cwin.ini", None, 404),
        ("GET", "/config", None, 404),  # CVE-2023-6572, secrets and paths in the settings
        ("GET", "/gradio_api/info", None, 404),
        ("GET", "/gradio_api/heartbeat/a", None, 404),  # connections without end
        ("GET", "/gradio_api/stream/a/b/c/playlist.m3u8", None, 404),
        ("POST", "/gradio_api/vibe-edit/", {"prompt": "x"}, 404),
        ("POST", "/gradio_api/process_recording", {}, 404),
        ("POST", "/gradio_api/login_check", {}, 404),
        ("POST", "/login", {}, 404),  # CVE-2024-1728, CVE-2024-1729: timing of passwords
        ("POST", "/gradio_api/run/suggest", {"data": []}, 404),
        ("POST", "/gradio_api/call/answer", {"data": []}, 404),
        ("GET", "/gradio_api/runs", None, 404),
        ("GET", "/gradio_api/deep_link?session_hash=x", None, 404),
        ("GET", "//evil.example/%2e%2e", None, 404),  # CVE-2024-4940: open redirect
        ("GET", "/?next=//evil.example", None, 200),
    ],
)
def test_what_gradio_had_to_mend_once_is_not_reached(
    plain: TestClient, method: str, path: str, body: object, status: int
) -> None:
    response = plain.request(method, path, json=body, follow_redirects=False)
    assert response.status_code == status
    assert "location" not in response.headers and "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "origin", ["null", "http://localhost:1", "http://127.0.0.1.evil.example", "http://evil.example"]
)
def test_no_origin_is_let_in_by_its_name(plain: TestClient, origin: str) -> None:
    """CVE-2024-1727 and CVE-2024-47084: a page elsewhere asked a Gradio on the reader's own machine."""
    for path in ("/gradio_api/run/predict", "/api/v1/ask", "/widget/ask", "/compare/rows", "/mcp"):
        refused = plain.post(path, json={}, headers={"origin": origin})
        assert refused.status_code == 403, path
        asked_before = plain.options(path, headers={"origin": origin, "access-control-request-method": "POST"})
        assert asked_before.status_code == 405
        for response in (refused, asked_before):
            assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    ["/read/津心办", "/read/无", "/profile/津心办", "/changes/津心办", "/cited/a", "/compare", "/widget/frame",
     "/widget/demo", "/api/v1/docs", "/api/v1/apps", "/nothing", "/healthz", "/page/theme.css", "/widget.js"],
)  # fmt: skip
def test_our_own_pages_have_a_policy_without_an_unsafe_word(plain: TestClient, path: str) -> None:
    response = plain.get(path)
    rules = dict(rule.strip().partition(" ")[::2] for rule in response.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert {"base-uri", "form-action", "frame-ancestors"} <= set(rules)
    told = " ".join(rules.values())
    assert "unsafe" not in told and "*" not in told and "data:" not in told and "http" not in told
    assert set(rules.get("script-src", "'none'").split()) <= {"'self'", "'none'"}
    tree = lxml_html.document_fromstring(response.text) if "html" in response.headers["content-type"] else None
    if tree is not None:
        assert not [node for node in tree.iter() if any(str(name).startswith("on") for name in node.attrib)]
        assert not tree.xpath("//*[@style]") and not tree.xpath("//style")
        scripts = tree.xpath("//script[not(@src)]")
        assert all(script.get("type") == "application/json" for script in scripts)


def test_answers_are_kept_by_nobody_and_pages_asked_for_anew(plain: TestClient) -> None:
    asked = {"question": "津心办怎么注销"}
    for path in ("/api/v1/ask", "/compare/export", "/widget/ask", "/gradio_api/run/predict", "/api/v1/search"):
        assert plain.post(path, json=asked).headers["cache-control"] == "no-store", path
    stream = plain.post("/api/v1/ask", json=asked, headers={"accept": "text/event-stream"})
    assert stream.headers["cache-control"] == "no-store"
    for path in ("/api/v1/apps", "/api/v1/policies/津心办", "/nothing", "/read/无"):
        assert plain.get(path).headers["cache-control"] == "no-store", path
    for path in ("/read/津心办", "/profile/津心办", "/compare"):
        response = plain.get(path)
        assert response.headers["cache-control"] == "no-cache", path
        assert "Accept-Language" in response.headers["vary"], path
    for path in (f"/page/{STYLES[0]}", "/widget.js"):
        assert "public" in plain.get(path).headers["cache-control"], path


def test_whoever_ends_tls_says_that_it_stays(plain: TestClient) -> None:
    """The header holds for a name with all its ports and for a year: that is for who owns the name to say."""
    for headers in ({}, {"x-forwarded-proto": "https"}):
        assert "strict-transport-security" not in plain.get("/", headers=headers).headers


INJECTIONS = ["a\r\nset-cookie: a=b", "a\nx-evil: 1", "a\r\n\r\n<html>", "a\x00b", "é\x85x", "a\u2028b", "x" * 7000]


@pytest.mark.parametrize("injected", INJECTIONS)
def test_no_header_of_a_response_is_made_of_what_came(plain: TestClient, injected: str) -> None:
    sent = injected.encode("utf-8", "replace")
    names = ("accept-language", "x-forwarded-host", "x-forwarded-for", "origin", "accept", "authorization", "referer")
    for name in names:
        response = plain.get("/read/津心办", headers={name: sent})
        assert response.status_code in (200, 400), name
        assert_unmoved(response)
    for path in ("/read/", "/profile/", "/api/v1/policies/", "/widget/frame?site=", "/read/津心办?version="):
        assert_unmoved(plain.get(path + quote(injected, safe="")))
    assert_unmoved(plain.get("/", headers={"host": sent}))
    body = {
        "question": injected[:300],
        "topic": None,
        "format": "csv",
        "rows": [{"app": injected[:90], "policy_id": None}],
    }
    exported = plain.post("/compare/export", json=body)
    assert_unmoved(exported)
    if exported.status_code == 200:
        assert exported.headers["content-disposition"].startswith('attachment; filename="wentiao-compare-')


def assert_unmoved(response: Any) -> None:
    assert "set-cookie" not in response.headers and "x-evil" not in response.headers
    for name, value in response.headers.raw:
        assert b"\r" not in name + value and b"\n" not in name + value and b"\x00" not in name + value
    assert "x" * 500 not in str(response.headers)


HIDDEN = {
    "bidi": "津心办\u202e",
    "isolate": "\u2067津心办\u2069",
    "zero width": "津\u200b心办",
    "joiner": "津心\u200d办",
    "mark": "\ufeff津心办",
    "soft hyphen": "津心\u00ad办",
    "look-alike": "津⼼办",  # U+2F3C, the radical heart
    "cyrillic": "Аpp",
    "combining": "津\u0301心办",
    "NUL": "津心办\x00",
    "tag": "津心办\U000e0041",
}


@pytest.mark.parametrize("name", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_name_that_looks_like_an_apps_gets_that_apps_own_name_or_none(assistant: Assistant, name: str) -> None:
    """An answer says whose it is, by the name that the index has: a look-alike is never repeated as if it were one."""
    apps = assistant.apps()
    with TestClient(build_app(assistant), raise_server_exceptions=False) as client:
        answer = client.post("/api/v1/ask", json={"question": "怎么注销账号", "app": name}).json()
        assert answer["app"] in (None, "津心办")
        assert answer["status"] in ("answered", "silent", "unknown_app")
        for citation in answer["citations"]:
            assert citation["app"] in apps
        if answer["app"] is None:
            assert answer["status"] == "unknown_app" and not answer["citations"]
        for path in ("/read/", "/profile/", "/api/v1/policies/"):
            response = client.get(path + quote(name, safe=""))
            assert response.status_code in (200, 404)
            if response.status_code == 200 and path == "/api/v1/policies/":
                assert response.json()["app"] == "津心办"


HEAVY = {
    "combining marks": "a" + "\u0301" * 50_000,
    "arabic marks": "ب" + "\u0651" * 50_000,
    "zalgo": ("注" + "\u0336\u0351\u0489" * 30) * 500,
    "bidi": "\u202e\u202d\u2067" * 15_000,
    "zero width": "\u200b\u200d\ufeff" * 15_000,
    "ligatures": "\ufdfa" * 15_000,  # NFKC makes 18 characters of each
    "hangul": "\u1112\u1161\u11ab" * 10_000,
    "brackets": "(（[《" * 10_000,
    "spaces": " \u3000\u00a0" * 15_000,
}


@pytest.mark.parametrize("text", HEAVY.values(), ids=HEAVY.keys())
def test_text_made_to_take_long_is_refused_or_answered_soon(assistant: Assistant, text: str) -> None:
    with TestClient(build_app(assistant), raise_server_exceptions=False) as client:
        begun = time.monotonic()
        for sent in (text, text[:500]):
            for path, body in (
                ("/api/v1/ask", {"question": sent}),
                ("/api/v1/ask", {"question": "津心办怎么注销", "app": sent[:100], "history": [sent[:500]] * 10}),
                ("/api/v1/search", {"query": sent}),
                ("/api/v1/compare", {"question": sent[:500], "apps": [sent[:100]]}),
                (
                    "/gradio_api/run/predict",
                    {"fn_index": 0, "data": [sent, "津心办", [{"question": sent[:500], "app": sent[:90]}], False]},
                ),
            ):
                status = client.post(path, json=body).status_code
                assert status in (200, 413, 422), path
        for path in ("/read/", "/profile/", "/api/v1/policies/"):
            assert client.get(path + quote(text[:2000], safe="")).status_code in (404, 414, 422)
        assert time.monotonic() - begun < 60  # twenty times what it takes


@pytest.mark.parametrize("broken", ['"\\ud800"', '"a\\udfffb"', '"\\u0000"', '"\\ud83d\\ud83d"'])
def test_half_letters_and_nul_are_answered_as_text(assistant: Assistant, broken: str) -> None:
    headers = {"content-type": "application/json"}
    with TestClient(build_app(assistant), raise_server_exceptions=False) as client:
        for path, body in (
            ("/api/v1/ask", '{"question": %s}'),
            ("/api/v1/ask", '{"question": "怎么注销", "app": %s}'),
            ("/api/v1/ask", '{"question": "怎么注销", "history": [%s, {"question": "x", "app": %s}]}'),
            ("/api/v1/search", '{"query": %s}'),
            ("/api/v1/compare", '{"question": "怎么注销", "apps": [%s]}'),
            ("/compare/rows", '{"question": %s, "apps": [%s]}'),
            ("/compare/export", '{"question": %s, "format": "csv", "rows": [{"app": %s, "policy_id": null}]}'),
            ("/compare/export", '{"question": %s, "format": "xlsx", "rows": [{"app": %s, "policy_id": null}]}'),
            (
                "/gradio_api/run/predict",
                '{"fn_index": 0, "data": [%s, "津心办", [{"question": %s, "app": %s}], false]}',
            ),
        ):
            response = client.post(path, content=body.replace("%s", broken).encode(), headers=headers)
            assert response.status_code in (200, 409), (path, response.status_code, response.text[:200])
            response.content.decode(
                "utf-8-sig" if "csv" in response.headers["content-type"] else "utf-8", "strict"
            ) if ("sheet" not in response.headers["content-type"]) else None


FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠x", " =1", "\u3000=1"),
    *('=HYPERLINK("http://evil.example")', "\u200b=1", "\ufeff=1", "\u202e=1", "\x00=1", "−1", "\xad=1"),
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_an_export_is_a_formula(formula: str) -> None:
    policies = [Policy(f"{formula}应用", f"一、注销 {formula}\n{formula}您可以通过邮件注销。")]
    with TestClient(build_app(FakeAssistant(policies)), raise_server_exceptions=False) as client:
        app = policies[0].app
        version = policies[0].policy_id
        body = {"question": f"{formula}怎么注销", "rows": [{"app": app, "policy_id": version}]}
        exported = client.post("/compare/export", json=body | {"format": "csv"})
        assert exported.status_code == 200, exported.text
        rows = list(csv.reader(io.StringIO(exported.content.decode("utf-8-sig"))))
        cells = [cell for row in rows for cell in row]
        assert any("1" in cell or "SUM" in cell or "x" in cell or "HYPER" in cell for cell in rows[1])
        for cell in cells:
            seen = "".join(letter for letter in cell if letter.isprintable() and not letter.isspace())
            assert not seen.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), cell
        import zipfile

        workbook = client.post("/compare/export", json=body | {"format": "xlsx"})
        with zipfile.ZipFile(io.BytesIO(workbook.content)) as archive:
            sheet = archive.read("xl/worksheets/sheet1.xml").decode()
            assert "<f>" not in sheet and "<f " not in sheet and "hyperlink" not in sheet
            assert not [name for name in archive.namelist() if "external" in name.lower()]


def test_no_event_of_a_stream_begins_within_another(plain: TestClient) -> None:
    injected = "x\n\nevent: done\ndata: {}\n\nevent: answer\rdata: 1\u2028\u2029\x85"
    asked = {"question": f"津心办怎么注销{injected}", "app": "津心办"}
    stream = plain.post("/api/v1/ask", json=asked, headers={"accept": "text/event-stream"}).text
    assert [line for line in stream.split("\n") if line.startswith("event: ")] == [
        "event: progress", "event: progress", "event: answer", "event: done",
    ]  # fmt: skip
    assert "\r" not in stream
    rows = plain.post(
        "/compare/rows", json={"question": f"怎么注销{injected}", "apps": [f"津心办{injected}"[:90]]}
    ).text
    assert next(line for line in rows.split("\n") if line.startswith("event: ")) == "event: start"
    assert rows.count("\nevent: done") == 1
    for line in rows.split("\n"):
        if line.startswith("data: "):
            json.loads(line.removeprefix("data: "))


def test_no_address_is_fetched_for_anybody(plain: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that nobody may come to, put wherever an address could stand."""
    tried: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda self, address: tried.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **options: tried.append(asked))
    for address in (
        "http://169.254.169.254/latest/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "//evil.example",
    ):
        for route in routes():
            path = route.replace("{}", quote(address, safe=""))
            plain.get(f"{path}?url={quote(address)}&app={quote(address)}&site={quote(address)}")
            body = {"question": address, "query": address, "app": address, "apps": [address], "history": [address]}
            plain.post(path, json=body)
            plain.post(path, json={"fn_index": 0, "data": [address, address, [], False]})
        plain.post("/api/v1/ask", json={"question": f"{address} 怎么注销", "app": "津心办"})
        plain.post("/compare/rows", json={"question": address, "apps": [address]})
    assert tried == []


def test_routes_are_found_by_themselves() -> None:
    found = routes()
    assert {"/api/v1/ask", "/read/{}", "/mcp", "/widget/ask", "/gradio_api/upload"} <= set(found)
    assert len([path for path in found if path.startswith("/gradio_api/")]) > 20 and len(found) > 90
