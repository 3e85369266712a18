"""One answer, whichever door it leaves by."""

from __future__ import annotations

import io
import json
from typing import Any

import anyio
import pytest
from mcp import Client
from starlette.testclient import TestClient

from retrieval import Assistant
from web.cli import Commands, run
from web.mcp import build_server

from ..conftest import Shelf, decide
from .application import build_app


@pytest.fixture(scope="module")
def silent(shipped: Shelf) -> Assistant:
    """An assistant that finds no clause sure enough."""
    return shipped.assistant(decide(bias=-20.0))


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("津心办怎么注销账号", "answered"),
        ("how do I contact 昶联", "answered"),
        ("津心办怎么注销账号", "silent"),
        ("津心办和昶联怎么注销账号", "compared"),
        ("京东怎么注销账号", "unknown_app"),
    ],
)
def test_every_surface_sends_the_same_answer(
    question: str, status: str, assistant: Assistant, silent: Assistant
) -> None:
    asked = silent if status == "silent" else assistant
    expected = json.loads(json.dumps(asked.ask(question).to_dict()))
    assert expected["status"] == status
    client = TestClient(build_app(asked))
    assert client.post("/api/v1/ask", json={"question": question}).json() == expected
    assert streamed(client, question) == expected
    assert called(asked, question) == expected
    assert printed(asked, question) == expected


def streamed(client: TestClient, question: str) -> Any:
    """Return the answer of the stream of events."""
    stream = client.post("/api/v1/ask", json={"question": question}, headers={"accept": "text/event-stream"}).text
    [answer] = [block for block in stream.split("\n\n") if block.startswith("event: answer\n")]
    return json.loads(answer.partition("data: ")[2])


def called(assistant: Assistant, question: str) -> Any:
    """Return the structured result of the MCP tool."""

    async def call() -> Any:
        async with Client(build_server(assistant)) as client:
            return (await client.call_tool("ask_policy", {"question": question})).structured_content

    return anyio.run(call)


def printed(assistant: Assistant, question: str) -> Any:
    """Return what ``wentiao ask --json`` prints."""
    out = io.StringIO()
    commands = Commands(lambda: assistant, lambda *where: None, lambda folders, to: "", "127.0.0.1", 7860, "")
    run(["ask", question, "--json"], commands, out=out, err=io.StringIO())
    return json.loads(out.getvalue())
