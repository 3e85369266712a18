"""The same answers as tools of the Model Context Protocol: read-only, over standard input and output or over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from corpus.messages import message
from index.errors import UnavailableError
from retrieval.datatypes import Answer, Language
from retrieval.question import detect_language
from web.problems import AnswerFailedError, Problem, answered, answering, make_problem, misfit, unavailable, unknown_app
from web.schema import Apps, AskBody, CompareQuestionBody, NoArguments, Passages, RequestBody, Rows, SearchBody

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from retrieval import Assistant

READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


@dataclass(frozen=True)
class PolicyTool:
    """One tool: what it takes, what it gives and who does it."""

    takes: type[RequestBody]
    gives: Any
    run: Callable[[Any], dict[str, Any]]


def build_tools(assistant: Assistant) -> dict[str, PolicyTool]:
    """Return the tools by name, answered by ``assistant``."""

    def ask(body: AskBody) -> dict[str, Any]:
        return assistant.ask(body.question, app=body.app, history=body.turns(), top_k=body.top_k).to_dict()

    def search(body: SearchBody) -> dict[str, Any]:
        passages = assistant.search(body.query, app=body.app, top_k=body.top_k, rerank=body.rerank, topics=body.topics)
        return {"passages": [passage.to_dict() for passage in passages]}

    def apps(_: NoArguments) -> dict[str, Any]:
        return {"apps": list(assistant.apps())}

    def compare(body: CompareQuestionBody) -> dict[str, Any]:
        return {"rows": [row.to_dict() for row in assistant.compare(body.question, apps=body.apps)]}

    return {
        "ask_policy": PolicyTool(AskBody, Answer, ask),
        "search_policies": PolicyTool(SearchBody, Passages, search),
        "list_apps": PolicyTool(NoArguments, Apps, apps),
        "compare_apps": PolicyTool(CompareQuestionBody, Rows, compare),
    }


def build_server(assistant: Assistant) -> Server[Any]:
    """Return the MCP server around ``assistant``."""
    tools = build_tools(assistant)

    async def list_tools(context: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[_describe(name, tool) for name, tool in tools.items()])

    async def call_tool(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        arguments = params.arguments or {}
        language = _language(arguments)
        tool = tools.get(params.name)
        if tool is None:
            return _refuse(make_problem("unknown_tool", 404, language, tools=", ".join(tools)))
        try:
            body = tool.takes.model_validate(arguments)
        except ValidationError as exc:
            return _refuse(misfit(exc.errors(), tool.takes.model_fields, language))
        if isinstance(body, SearchBody) and body.app is not None and not _is_covered(assistant, body.app):
            return _refuse(unknown_app(body.app, assistant.near_apps(body.app), language))

        try:
            if isinstance(body, NoArguments):  # known already, and told while answers hang
                with answering():
                    result = tool.run(body)
            else:
                result = await answered(assistant, partial(tool.run, body))
        except AnswerFailedError:
            return _refuse(make_problem("failed", 500, language))
        except UnavailableError as exc:
            return _refuse(unavailable(exc, language))
        text = json.dumps(result, ensure_ascii=False)
        return CallToolResult(content=[TextContent(text=text)], structured_content=result)

    return Server(
        "wentiao",
        title=message("chat.name", "en"),
        instructions=message("api.mcp_instructions", "en"),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(assistant: Assistant) -> None:
    """Serve the tools over standard input and output until the client hangs up."""
    server = build_server(assistant)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


class McpEndpoint:
    """ASGI application: one request, one answer; nothing is kept between requests, so any process may take the next."""

    def __init__(self, assistant: Assistant) -> None:
        self.server = build_server(assistant)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = StreamableHTTPSessionManager(self.server, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)


def _describe(name: str, tool: PolicyTool) -> Tool:
    return Tool(
        name=name,
        description=message(f"api.tool_{name}", "en"),
        input_schema=tool.takes.model_json_schema(),
        output_schema=TypeAdapter(tool.gives).json_schema(mode="serialization"),
        annotations=READ_ONLY,
    )


def _is_covered(assistant: Assistant, app: str) -> bool:
    try:
        assistant.policy(app)
    except ValueError:
        return False
    return True


def _refuse(problem: Problem) -> CallToolResult:
    text = f"{problem.title}: {problem.detail} ({problem.type})"
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def _language(arguments: dict[str, Any]) -> Language:
    """Return the language of what is asked, for there is no header that says which the caller reads."""
    asked = arguments.get("question", arguments.get("query"))
    return detect_language(asked) if isinstance(asked, str) else "en"
