"""The log of an operator: a line an event, with nothing forged in it and nothing of a question."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from web.logs import LineFormatter, choose_request_id, request_id, set_up_logging

from .whole import Whole, make_index, wait_until, whole_server

SECRET = "我偷偷问的秘密七七四十九"
HOSTILE = "a\nlevel=error forged\r\x1b[31mred\x1b[0m\x9b2J\u2028\u202etxt\x00"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("kind", ["text", "json"])
def test_whatever_is_logged_is_one_line_that_no_terminal_obeys(stream: io.StringIO, kind: str) -> None:
    set_up_logging(kind, "info", stream=stream)  # type: ignore[arg-type]
    logging.getLogger("web.test").info("got %s", HOSTILE, extra={"fields": {"route": HOSTILE}})
    written = stream.getvalue()
    assert written.count("\n") == 1 and written.endswith("\n")
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in written[:-1])
    assert "\u2028" not in written and "\u202e" not in written
    if kind == "json":
        line = json.loads(written)
        assert (line["level"], line["logger"]) == ("info", "web.test")
        assert line["message"].startswith("got a ⏎ level=error forged ⏎ ")


def test_an_exception_is_its_type_and_its_place_and_never_its_message(stream: io.StringIO) -> None:
    set_up_logging("json", "info", stream=stream)
    try:
        raise KeyError(SECRET)
    except KeyError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    line = json.loads(stream.getvalue())
    assert (line["message"], line["error"]) == ("Exception in ASGI application", "KeyError")
    assert line["place"][-1].endswith("test_an_exception_is_its_type_and_its_place_and_never_its_message")
    assert SECRET not in stream.getvalue()


def test_what_other_programs_say_is_not_repeated(stream: io.StringIO) -> None:
    set_up_logging("json", "info", stream=stream)
    logging.getLogger("mcp.server").warning("cannot read %s", SECRET)
    logging.getLogger("mcp.server").info("not even that")
    [line] = map(json.loads, stream.getvalue().splitlines())
    assert line["logger"] == "mcp.server" and "said something at test_logs:" in line["message"]
    assert SECRET not in stream.getvalue()


def test_a_line_within_a_request_has_its_id(stream: io.StringIO) -> None:
    set_up_logging("json", "warning", stream=stream)
    token = request_id.set("edge-1")
    logging.getLogger("index").warning("one")
    logging.getLogger("index").info("below the level")
    request_id.reset(token)
    logging.getLogger("index").error("two")
    assert [json.loads(line).get("request") for line in stream.getvalue().splitlines()] == ["edge-1", None]


def test_the_kind_goes_by_where_it_is_read(stream: io.StringIO) -> None:
    set_up_logging(None, "info", stream=stream)
    logging.getLogger("web").info("hello")
    assert json.loads(stream.getvalue())["message"] == "hello"
    record = logging.LogRecord("web", logging.INFO, "f", 1, "hello", (), None)
    assert LineFormatter("text").format(record).endswith(" INFO web: hello")


@pytest.mark.parametrize("given", ["", None, "a" * 65, "a b", "a\r\nb: c", "ä", "a\x1b[0m", '"', "a/b"])
def test_an_id_that_is_none_is_replaced(given: str | None) -> None:
    made = choose_request_id(given)
    assert made != given and len(made) == 16 and int(made, 16) >= 0
    assert choose_request_id("Edge_1.2-3") == "Edge_1.2-3"


def ask_through_every_door(server: Whole, question: str) -> list[tuple[str, int]]:
    """Ask ``question`` at each door, in each of its fields; return what each said."""
    scope = json.loads(server.call("/widget/frame").body.partition(b'application/json">')[2].partition(b"<")[0])[
        "scope"
    ]
    tool = {"name": "ask_policy", "arguments": {"question": question}}
    accept = {"accept": "application/json, text/event-stream"}
    stream = {"accept": "text/event-stream"}
    calls: list[tuple[str, object, dict[str, str]]] = [
        ("/api/v1/ask", {"question": question}, {}),
        ("/api/v1/ask", {"question": question, "app": question}, {}),
        ("/api/v1/ask", {"question": "那呢", "history": [question]}, {}),
        ("/api/v1/ask", {"question": question}, stream),
        ("/api/v1/ask", {"question": question, question: 1}, {}),
        ("/api/v1/ask", {"question": question * 100}, {}),
        ("/api/v1/ask", f'{{"question": "{question}'.encode(), {}),
        ("/api/v1/search", {"query": question}, {}),
        ("/api/v1/search", {"query": question, "app": question}, {}),
        ("/api/v1/compare", {"question": question}, {}),
        ("/compare/rows", {"question": question, "apps": ["应用甲"]}, stream),
        ("/compare/export", {"question": question, "format": "csv", "rows": [{"app": "应用甲", "policy_id": "x"}]}, {}),
        ("/widget/ask", {"question": question, "scope": scope}, {}),
        ("/widget/ask", {"question": question, "scope": question}, {}),
        ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tool}, accept),
        ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": question, "params": question}, accept),
        ("/mcp", {"jsonrpc": question, "id": 1, "params": tool}, accept),
        ("/gradio_api/run/predict", {"fn_index": 0, "data": [question, "", [], False]}, {}),
        ("/gradio_api/run/predict", {"fn_index": 0, "data": [question]}, {}),
        ("/gradio_api/run/predict", {"fn_index": 0, "data": [{"a": question}, question, 3, question]}, {}),
        ("/gradio_api/run/predict", {"fn_index": 99, "data": [question]}, {}),
        (f"/read/{quote(question)}?clause={quote(question)}", None, {}),
        (f"/profile/{quote(question)}", None, {}),
        (f"/{quote(question)}", None, {"x-request-id": "said-something"}),
    ]
    return [(path, server.call(path, body, headers).status) for path, body, headers in calls]


@pytest.mark.faults
@pytest.mark.parametrize("workers", [1, 2])
def test_no_question_is_in_any_log_figure_or_file(tmp_path: Path, workers: int) -> None:
    index = make_index(tmp_path / "index")
    with whole_server(index, tmp_path, workers, LOG="json", LOG_LEVEL="debug") as server:
        seen = ask_through_every_door(server, f"应用甲怎么注销 {SECRET}")
        seen += ask_through_every_door(server, f"应用甲怎么注销 boom {SECRET}")  # the encoder breaks over it
        assert {200, 500, 422, 400, 404} <= {status for _, status in seen}
        wait_until(lambda: server.log().count('"request"') > 40)
        written = server.log() + server.figures()
    assert written.count('"message": "request"') >= 48
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    named = [line for line in lines if line.get("request") == "said-something"][-1]
    assert (named["route"], named["status"], named["method"]) == ("other", 404, "GET")
    broken = [line for line in lines if "was not answered" in line["message"]]
    assert broken and all(line["request"] for line in broken)
    places = [written, *(path.read_bytes().decode("utf-8", "replace") for path in index.rglob("*") if path.is_file())]
    for text in places:
        for hidden in (SECRET, quote(SECRET), SECRET.encode("unicode_escape").decode(), "秘密"):
            assert hidden not in text, text[max(0, text.find(hidden) - 500) :][:700]
