"""The tools: what the protocol's own client gets over both transports, and what the wall refuses."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult
from starlette.testclient import TestClient

from .application import served
from .fakes import FakeAssistant

QUESTION = "津心办怎么注销账号？"
TOOLS = ["ask_policy", "search_policies", "list_apps", "compare_apps"]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_apps", "arguments": {}}}
ACCEPT = {"accept": "application/json, text/event-stream"}

Work = Callable[[Client], Awaitable[Any]]
Desk = Callable[[Work], Any]


@pytest.fixture(scope="module")
def address(fake: FakeAssistant) -> Iterator[str]:
    with served(fake, "/wentiao") as page:
        yield f"{page}mcp"


@pytest.fixture(params=["http", "http-2025", "stdio", "stdio-2025"])
def desk(request: pytest.FixtureRequest, address: str, tmp_path: Path) -> Desk:
    """Run work with the protocol's own client: over HTTP or a process's pipes, in today's and the older protocol."""
    transport, _, era = request.param.partition("-")

    def run(work: Work) -> Any:
        async def main() -> Any:
            script = Path(__file__).parent / "stdio_server.py"
            server = StdioServerParameters(command=sys.executable, args=["-W", "error", str(script)])
            with (tmp_path / "stderr").open("w") as errors:
                through = address if transport == "http" else stdio_client(server, errlog=errors)
                async with Client(through, mode="legacy" if era else "auto") as client:
                    return await work(client)

        with ThreadPoolExecutor(1) as thread:  # a browser's test before this one leaves its loop in ours
            return thread.submit(anyio.run, main).result()

    return run


def told(result: CallToolResult) -> str:
    """Return the text of an error."""
    assert result.is_error
    [content] = result.content
    assert content.type == "text"
    return content.text


def test_every_tool_is_listed_as_read_only_with_what_it_takes_and_gives(desk: Desk) -> None:
    async def work(client: Client) -> Any:
        return (await client.list_tools()).tools

    tools = desk(work)
    assert [tool.name for tool in tools] == TOOLS
    for tool in tools:
        assert tool.description
        assert (tool.annotations.read_only_hint, tool.annotations.open_world_hint) == (True, False)
        assert (tool.input_schema["type"], tool.output_schema["type"]) == ("object", "object")
    assert tools[0].input_schema["required"] == ["question"]
    assert "citations" in tools[0].output_schema["properties"]


def test_structured_content_is_the_answers_own_dictionary_and_so_is_the_text(desk: Desk, fake: FakeAssistant) -> None:
    async def work(client: Client) -> Any:
        return [
            await client.call_tool("ask_policy", {"question": QUESTION}),
            await client.call_tool(
                "ask_policy", {"question": "怎么联系", "history": [{"question": QUESTION, "app": "津心办"}]}
            ),
            await client.call_tool("search_policies", {"query": "注销", "app": "昶联", "top_k": 2}),
            await client.call_tool("list_apps", {}),
            await client.call_tool("compare_apps", {"question": "怎么注销", "apps": ["昶联", "掌上海关"]}),
        ]

    results = desk(work)
    assert [result.structured_content for result in results] == [
        fake.ask(QUESTION).to_dict(),
        fake.ask("怎么联系", app="津心办").to_dict(),
        {"passages": [passage.to_dict() for passage in fake.search("注销", "昶联", 2)]},
        {"apps": list(fake.apps())},
        {"rows": [row.to_dict() for row in fake.compare("怎么注销", ["昶联", "掌上海关"])]},
    ]
    for result in results:
        assert not result.is_error
        assert json.loads(result.content[0].text) == result.structured_content


def test_a_mistake_is_told_in_the_language_of_the_question_so_that_a_model_can_mend_it(desk: Desk) -> None:
    async def work(client: Client) -> Any:
        return [
            await client.call_tool("ask_policy", {"question": QUESTION, "top_k": 99}),
            await client.call_tool("ask_policy", {"question": "how long is it kept?", "language": "en"}),
            await client.call_tool("search_policies", {"query": "注销账号", "app": "津心伴"}),
            await client.call_tool("compare_apps", {}),
            await client.call_tool("delete_policy", {}),
        ]

    top_k, field, app, missing, tool = map(told, desk(work))
    assert "top_k 收到 99，允许 1 到 10" in top_k and "urn:wentiao:problem:top-k-out-of-range" in top_k
    assert "language: is no field here" in field and "question, app, history, top_k" in field
    assert "津心伴" in app and "津心办" in app
    assert "question: is missing" in missing
    assert ", ".join(TOOLS) in tool


def test_a_failure_is_an_error_and_neither_it_nor_the_log_holds_the_question(
    desk: Desk, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    async def work(client: Client) -> Any:
        return [
            await client.call_tool("ask_policy", {"question": "boom 我的秘密问题"}),
            await client.call_tool("ask_policy", {"question": "我的秘密问题", "top_k": 99}),
        ]

    with caplog.at_level(logging.DEBUG):
        failed, refused = map(told, desk(work))
    assert "不表示政策没有说明" in failed
    # The client stands in this process too; what it logs of its own question is not the server's.
    records = [record for record in caplog.records if not record.name.startswith("mcp.client")]
    written = " ".join(record.getMessage() for record in records) + (tmp_path / "stderr").read_text()
    assert "A request was not answered: RuntimeError" in written
    for text in (failed, refused, written):
        assert "秘密" not in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_site_may_not_call(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/mcp", json=CALL, headers={**ACCEPT, **headers}).status_code == status


def test_the_wall_stands_before_the_tools(client: TestClient) -> None:
    for method in ("GET", "DELETE", "PUT"):
        response = client.request(method, "/mcp", headers=ACCEPT)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert client.post("/mcp", content=b" " * 70_000, headers=ACCEPT).status_code == 413
    assert client.post("/mcp/", json=CALL, headers=ACCEPT).status_code == 404
    response = client.post("/mcp", json=CALL, headers=ACCEPT)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "mcp-session-id" not in response.headers


def test_a_page_that_points_its_own_name_at_this_machine_may_not_call(client: TestClient) -> None:
    rebound = {
        **ACCEPT,
        "host": "evil.example:7861",
        "origin": "http://evil.example:7861",
        "sec-fetch-site": "same-origin",
    }
    response = client.post("/mcp", json=CALL, headers=rebound)
    assert (response.status_code, response.json()["type"]) == (421, "urn:wentiao:problem:wrong-host")
    assert client.post("/mcp", json=CALL, headers={**ACCEPT, "host": "localhost:7861"}).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"jsonrpc":"2.0","id":1,"method":"none"}', b"[" * 60_000]
)
def test_what_is_no_call_is_refused_without_a_crash(
    client: TestClient, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {**ACCEPT, "content-type": "application/json"}
    response = client.post("/mcp", content=body, headers=headers)
    assert response.status_code in (200, 400) and "error" in response.json()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
