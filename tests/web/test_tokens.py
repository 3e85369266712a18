"""Tokens of programs: what a file may hold, who may use it, and where none of it shows."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from web.tokens import Tokens, load_tokens

from .application import build_app, paths_of
from .fakes import FakeAssistant

SECRET = "qk1Zx_not-to-be-seen-anywhere_8842"
HASH = hashlib.sha256(SECRET.encode()).hexdigest()
API = [
    ("POST", "/api/v1/ask", {"question": "津心办怎么注销"}),
    ("POST", "/api/v1/search", {"query": "注销"}),
    ("POST", "/api/v1/compare", {"question": "怎么注销"}),
    ("GET", "/api/v1/apps", None),
    ("GET", "/api/v1/policies/津心办", None),
    ("GET", "/api/v1/profile?app=津心办", None),
    ("GET", "/api/v1/clauses/0000000000000000.1", None),
    ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
]


def write(tmp_path: Path, content: str, mode: int = 0o600) -> Path:
    path = tmp_path / "tokens"
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.fixture
def guarded(tmp_path: Path) -> TestClient:
    tokens = load_tokens(write(tmp_path, f"# who may ask\nnewsroom  {HASH}  # since May\n"), "en")
    return TestClient(build_app(FakeAssistant(), tokens=tokens), raise_server_exceptions=False)


@pytest.mark.parametrize(("method", "path", "body"), API)
def test_a_program_without_a_token_gets_nothing_and_one_with_it_does(
    guarded: TestClient, method: str, path: str, body: object
) -> None:
    accept = {"accept": "application/json, text/event-stream"}
    for wrong in (None, "Bearer wrong", f"Basic {SECRET}", SECRET, "Bearer ", f"Bearer {SECRET}x", f"Bearer {HASH}"):
        headers = accept | ({} if wrong is None else {"authorization": wrong})
        refused = guarded.request(method, path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (401, "urn:wentiao:problem:token-needed"), wrong
        told = ', error="invalid_token"' if wrong else ""
        assert refused.headers["www-authenticate"] == f'Bearer realm="wentiao"{told}'
        assert SECRET not in refused.text and HASH not in refused.text and "newsroom" not in refused.text
    for scheme in ("Bearer", "bearer", "BEARER "):
        passed = guarded.request(method, path, json=body, headers=accept | {"authorization": f"{scheme} {SECRET}"})
        assert passed.status_code == (404 if "clauses" in path else 200)


def test_every_route_of_the_api_needs_a_token_but_its_description(guarded: TestClient) -> None:
    paths = paths_of(guarded.app)
    asked = {
        path.replace("{app:path}", "津心办").replace("{clause_id}", "a.1") for path in paths if path[:5] == "/api/"
    }
    assert len(asked) >= 8
    open_ones = {path for path in asked if guarded.get(path).status_code == 200}
    assert open_ones == {"/api/v1/docs", "/api/v1/openapi.json"}


def test_no_spelling_of_a_path_gets_by_without_one(guarded: TestClient) -> None:
    for path in ("/api/v1/clauses/x%0A", "/api/v1/clauses/%0Ax", "/api/v1/policies/津心办%0A", "/api/v1/clauses/a%0D"):
        assert guarded.get(path).status_code in (401, 404), path
    for path in ("/api/v1/clauses/x%0A", "/api/v1/clauses/%0Ax"):
        assert guarded.get(path).status_code == 401, path


def test_the_pages_go_on_without_one(guarded: TestClient) -> None:
    for path in ("/", "/read/津心办", "/profile/津心办", "/compare", "/widget/frame", "/api/v1/docs", "/healthz"):
        assert guarded.get(path).status_code == 200, path
    call = {"fn_index": 0, "data": ["津心办怎么注销", "", [], False]}
    assert guarded.post("/gradio_api/run/predict", json=call).status_code == 200
    rows = guarded.post("/compare/rows", json={"question": "怎么注销", "apps": ["津心办"]})
    assert rows.status_code == 200 and "event: row" in rows.text


def test_no_page_and_no_message_of_the_log_shows_names_hashes_or_tokens(
    guarded: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"authorization": f"Bearer {SECRET}"}
    with caplog.at_level(logging.DEBUG):
        told = [
            guarded.request(method, path, headers=headers).text
            for method in ("GET", "POST")
            for path in ("/", "/config", "/api/v1/openapi.json", "/widget/frame", "/api/v1/ask", "/gradio_api/info")
        ]
        told.append(guarded.post("/api/v1/ask", json={"question": "boom"}, headers=headers).text)
    for text in (*told, caplog.text):
        assert not [secret for secret in (SECRET, HASH, "newsroom") if secret in text]


def test_an_object_of_tokens_does_not_print_them() -> None:
    tokens = Tokens({"newsroom": bytes.fromhex(HASH)})
    assert repr(tokens) == "Tokens()"
    assert tokens.name_of(f"Bearer {SECRET}") == "newsroom"
    assert tokens.name_of(None) is None
    assert tokens.name_of(f"Bearer {'x' * 100_000}") is None


def test_an_empty_token_opens_nothing_even_where_its_hash_is_listed() -> None:
    tokens = Tokens({"nobody": hashlib.sha256(b"").digest()})
    for given in (None, "", "Bearer", "Bearer ", "nonsense"):
        assert tokens.name_of(given) is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "holds no token"),
        ("# nothing\n", "holds no token"),
        (f"newsroom {SECRET}\n", "line 1: expected a name"),
        (f"\n{SECRET}\n", "line 2: expected a name"),
        (f"a {HASH}\na {HASH}\n", "line 2: the name a stands there twice"),
        (f"a {HASH} b\n", "line 1: expected"),
    ],
)
def test_a_file_that_is_no_list_of_hashes_is_refused_without_being_quoted(
    tmp_path: Path, content: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        load_tokens(write(tmp_path, content), "en")
    assert SECRET not in str(refused.value)


def test_a_file_that_others_may_write_is_refused_and_one_that_they_may_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for mode in (0o620, 0o602, 0o666):
        with pytest.raises(ValueError, match="chmod 600"):
            load_tokens(write(tmp_path, f"a {HASH}\n", mode), "en")
    assert load_tokens(write(tmp_path, f"a {HASH}\n", 0o644), "en") is not None
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'tokens'} can be read by everybody on this machine; chmod 600 {tmp_path / 'tokens'}"
    ]
    caplog.clear()
    assert load_tokens(write(tmp_path, f"a {HASH}\n", 0o640), "en") is not None
    assert not caplog.records


def test_where_there_are_no_modes_a_file_is_not_judged_by_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, f"a {HASH}\n", 0o666)  # what Windows says of every file
    monkeypatch.setattr("web.tokens.HAS_MODES", False)
    assert load_tokens(path, "en") is not None


def test_without_a_file_the_api_is_open_and_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    assert load_tokens(None, "en") is None
    with pytest.raises(OSError, match=os.strerror(2)):
        load_tokens(tmp_path / "none", "en")
