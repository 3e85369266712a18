"""The wall: which paths exist, what every response says about itself, and who may ask."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from web.files import files_version
from web.security import BODY_SECONDS, COMMON_HEADERS, MAX_BODY_BYTES, chat_policy
from web.settings import Settings

from .application import build_app, served
from .fakes import FakeAssistant

QUESTION = {"question": "津心办怎么注销"}
GRADIO_PATHS = [
    "/config",
    "/config/",
    "/login",
    "/logout",
    "/token",
    "/user",
    "/monitoring",
    "/monitoring/",
    "/monitoring/summary",
    "/manifest.json",
    "/robots.txt",
    "/static/img/logo.svg",
    "/svelte/svelte.js",
    "/gradio_api",
    "/gradio_api/",
    "/gradio_api/info",
    "/gradio_api/openapi.json",
    "/gradio_api/api_info",
    "/gradio_api/upload",
    "/gradio_api/upload_progress",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file/etc/passwd",
    "/gradio_api/proxy=http://127.0.0.1",
    "/gradio_api/stream/a/b/c/playlist.m3u8",
    "/gradio_api/startup-events",
    "/gradio_api/app_id",
    "/gradio_api/dev/reload",
    "/gradio_api/heartbeat/a",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
    "/gradio_api/queue/status",
    "/gradio_api/component_server",
    "/gradio_api/reset",
    "/gradio_api/cancel",
    "/gradio_api/call/answer",
    "/gradio_api/run/answer",
    "/gradio_api/api/predict",
    "/gradio_api/deep_link",
    "/gradio_api/vibe-code",
    "/gradio_api/monitoring",
    "/gradio_api/mcp/",
    "/gradio_api/flag",
    "/flag",
    "/openapi.json",
    "/docs",
    "/redoc",
    "/file=/etc/passwd",
    "/assets/../../etc/passwd",
    "/assets/..%2f..%2f..%2fetc%2fpasswd",
    "/page/..%2fserver.py",
    "/page/server.py",
]


@pytest.mark.parametrize("path", GRADIO_PATHS)
def test_what_the_page_does_not_need_is_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.post(path, json={}).status_code in (404, 405)


def test_the_page_and_all_that_it_names_are_there(client: TestClient) -> None:
    page = client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = set(re.findall(r'(?:src|href)="\.?/?((?:assets|page)/[^"]+|theme\.css[^"]*)"', page.text))
    assert {name.partition("?")[0] for name in named} >= {"page/theme.css", "page/chat.css", "page/chat.js"}
    assert any(name.startswith("assets/") for name in named)
    for name in named:
        assert client.get(f"/{name}").status_code == 200, name
    assert not re.search(r'(?:src|href|content)="(?:https?:)?//', page.text)


def test_nothing_of_gradio_shows_behind_a_query(client: TestClient) -> None:
    page = client.get("/").text
    for query in ("view=api", "view=settings", "__theme=dark", "deep_link=1", "__sign=x"):
        answer = client.get(f"/?{query}")
        assert answer.status_code == 200
        assert len(answer.text) == pytest.approx(len(page), abs=400), query


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/theme.css"),
        ("GET", "/page/chat.js"),
        ("GET", "/assets/none.js"),
        ("GET", "/read/津心办"),
        ("GET", "/compare"),
        ("POST", "/compare/rows"),
        ("GET", "/read/无"),
        ("GET", "/healthz"),
        ("GET", "/api/v1/apps"),
        ("GET", "/config"),
        ("OPTIONS", "/api/v1/ask"),
        ("POST", "/api/v1/ask"),
        ("POST", "/gradio_api/run/predict"),
        ("TRACE", "/"),
    ],
)
def test_every_response_carries_the_headers(client: TestClient, method: str, path: str) -> None:
    headers = client.request(method, path, headers={"origin": "https://elsewhere.example"}).headers
    for name, value in COMMON_HEADERS.items():
        assert headers[name] == value
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'self'" in policy
    assert not [name for name in headers if name.startswith("access-control-")]


def test_a_failure_inside_gradio_carries_the_headers_too(client: TestClient) -> None:
    response = client.post("/gradio_api/run/predict", json={"fn_index": 0, "data": ["boom", "", [], False]})
    assert response.status_code == 500
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_failure_of_the_wall_itself_is_answered_in_words_with_the_headers(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise ArithmeticError

    monkeypatch.setattr("web.security.is_foreign", fail)
    response = client.post("/api/v1/ask", json=QUESTION)
    assert (response.status_code, response.json()["type"]) == (500, "urn:wentiao:problem:failed")
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "http://testserver", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "https://public.example", "x-forwarded-host": "public.example"}, 200),
        ({"origin": "https://public.example", "x-forwarded-host": "public.example, inner.example"}, 200),
        ({"origin": "https://inner.example", "x-forwarded-host": "public.example, inner.example"}, 403),
        ({"origin": "null", "x-forwarded-host": ""}, 403),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://a]b"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://testserver:81"}, 403),
    ],
)
def test_a_page_of_another_site_may_not_ask(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/api/v1/ask", json=QUESTION, headers=headers).status_code == status
    call = client.post(
        "/gradio_api/run/predict", json={"fn_index": 0, "data": ["天气", "", [], False]}, headers=headers
    )
    assert call.status_code == status


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost@evil.example"]
)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/", None),
        ("POST", "/gradio_api/run/predict", {"fn_index": 0, "data": ["天气", "", [], False]}),
        ("GET", "/api/v1/policies/津心办", None),
        ("POST", "/api/v1/ask", QUESTION),
    ],
)
def test_a_page_that_points_its_own_name_at_this_machine_gets_nothing(
    client: TestClient, host: str, method: str, path: str, body: object
) -> None:
    headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    response = client.request(method, path, json=body, headers=headers)
    assert (response.status_code, response.json()["type"]) == (421, "urn:wentiao:problem:wrong-host")
    assert host.partition(":")[0] in response.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1:81", "[::1]", "[::1]:7860"])
def test_this_machine_is_asked_by_its_own_names_at_any_port(client: TestClient, host: str) -> None:
    assert client.post("/api/v1/ask", json=QUESTION, headers={"host": host}).status_code == 200


def test_the_operator_names_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("WENTIAO_ALLOWED_HOSTS", " Wentiao.example.cn, 10.0.0.7,")
    assert Settings.from_environment().allowed_hosts == ("wentiao.example.cn", "10.0.0.7")
    for wrong in ("https://wentiao.example", "wentiao.example:7860", "*", "a b"):
        monkeypatch.setenv("WENTIAO_ALLOWED_HOSTS", wrong)
        with pytest.raises(ValueError, match="WENTIAO_ALLOWED_HOSTS must be host names"):
            Settings.from_environment()


def test_only_the_pages_own_inline_scripts_run(client: TestClient) -> None:
    response = client.get("/")
    policy = response.headers["content-security-policy"]
    assert policy == chat_policy(response.content)
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]
    inline = [script for script in re.findall(r"<script(?![^>]*src=)[^>]*>", response.text)]
    assert policy.count("'sha256-") == len(inline) > 0
    changed = response.content.replace(b"</body>", b"<script>evil()</script></body>")
    assert chat_policy(changed) != policy


def test_the_reader_runs_no_script(client: TestClient) -> None:
    policy = client.get("/read/津心办").headers["content-security-policy"]
    assert "script-src" not in policy and "default-src 'none'" in policy


def test_assets_are_kept_and_the_page_is_compressed(client: TestClient) -> None:
    page = client.get("/")
    asset = re.search(r"assets/[\w.-]+\.js", page.text)
    assert asset is not None
    assert "immutable" in client.get(f"/{asset.group()}").headers["cache-control"]
    assert page.headers["content-encoding"] == "gzip"


def test_an_upgrade_changes_the_address_of_every_style_and_script_of_ours(client: TestClient) -> None:
    for path in ("/", "/read/津心办", "/read/无", "/api/v1/docs", "/widget/frame"):
        named = re.findall(r'(?:src|href)="(?:\.\./)*((?:page|widget)/[^"]+\.(?:css|js)[^"]*)"', client.get(path).text)
        assert len(named) >= 2 and {name.partition("?v=")[2] for name in named} == {files_version()}, path


def test_no_web_socket_opens(client: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/gradio_api/queue/join"):
        pass


@pytest.mark.parametrize("declared", [MAX_BODY_BYTES + 1, 99999999999999999999])
def test_a_body_that_is_declared_too_large_is_refused_before_it_comes(declared: int) -> None:
    head = f"POST /api/v1/ask HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {declared}\r\n\r\n"
    with served(FakeAssistant()) as address, socket.create_connection(("127.0.0.1", urlsplit(address).port)) as one:
        one.settimeout(BODY_SECONDS / 2)  # waited for, it would take all of this
        one.sendall(head.encode())
        told = b"".join(iter(lambda: one.recv(65536), b""))
    assert told.startswith(b"HTTP/1.1 413 ") and b"urn:wentiao:problem:body-too-large" in told
    assert b"connection: close" in told


def test_no_request_is_told_to_the_telemetry_that_is_set_up_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Provider:
        def __getattr__(self, name: str) -> None:
            asked.append(name)

    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    app = build_app(FakeAssistant())
    for getter in ("trace.get_tracer", "metrics.get_meter", "_logs.get_logger"):
        monkeypatch.setattr(f"opentelemetry.{getter}_provider", Provider)
    with TestClient(app) as client:
        assert client.post("/api/v1/ask", json=QUESTION).status_code == 200
        assert client.post("/api/v1/ask", json={"question": 1}).status_code == 422
        assert client.get("/").status_code == 200
        assert client.post("/gradio_api/run/predict", json={}).status_code == 422
    assert asked == []
