"""The description: what it says is what is sent, for every payload, every error and every odd request."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Literal

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from corpus.datatypes import Clause
from retrieval.datatypes import LEFT_OUT_WHEN_EMPTY, Answer, Cell, Citation, Fact, Passage, Profile, ProfileRow, Row
from web.examples import produce
from web.openapi import EXAMPLES
from web.problems import Problem

from .application import build_app, served
from .fakes import FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

ADDRESS = "/api/v1/openapi.json"


@pytest.fixture(scope="module")
def description(client: TestClient) -> dict[str, Any]:
    described: dict[str, Any] = client.get(ADDRESS).json()
    return described


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


def check(description: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    """Check ``value`` against a schema of the description."""
    jsonschema.Draft202012Validator({**schema, "components": description["components"]}).validate(value)


def test_every_route_is_described_with_its_errors(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    described = {
        f"{method.upper()} {path}": set(op["responses"]) - {"421"}
        for method, path, op in operations(description)
        if "421" in op["responses"]  # any route may be called by a name that is not this server's
    }
    posted = {"200", "400", "403", "405", "413", "422", "500", "503"}
    assert described == {
        "POST /api/v1/ask": posted,
        "POST /api/v1/search": posted | {"404", "501"},
        "POST /api/v1/compare": posted | {"501"},
        "GET /api/v1/apps": {"200", "405", "500"},
        "GET /api/v1/policies/{app}": {"200", "404", "405", "422", "500", "503"},
        "GET /api/v1/profile": {"200", "404", "405", "422", "500", "503"},
        "GET /api/v1/clauses/{clause_id}": {"200", "404", "405", "500", "503"},
        "GET /healthz": {"200", "405"},
        "GET /readyz": {"200", "405", "503"},
    }


@pytest.mark.parametrize("kind", [Answer, Citation, Passage, Row, Fact, Profile, Cell, ProfileRow, Clause, Problem])
def test_a_payload_is_described_field_by_field(description: dict[str, Any], kind: Any) -> None:
    schema = description["components"]["schemas"][kind.__name__]
    names = [field.name for field in fields(kind)]
    assert list(schema["properties"]) == names
    assert schema["required"] == [name for name in names if name not in LEFT_OUT_WHEN_EMPTY]


def test_what_is_sent_is_what_is_described(
    description: dict[str, Any], client: TestClient, fake: FakeAssistant
) -> None:
    clause_id = fake.clauses("昶联")[3].clause_id
    sent = {
        "ask": client.post("/api/v1/ask", json={"question": "津心办怎么注销"}),
        "search": client.post("/api/v1/search", json={"query": "注销"}),
        "compare": client.post("/api/v1/compare", json={"question": "怎么注销"}),
        "apps": client.get("/api/v1/apps"),
        "read_policy": client.get("/api/v1/policies/昶联"),
        "profile": client.get("/api/v1/profile", params={"app": "昶联"}),
        "read_clause": client.get(f"/api/v1/clauses/{clause_id}"),
        "healthz": client.get("/healthz"),
        "readyz": client.get("/readyz"),
    }
    for _, _, operation in operations(description):
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        payload = sent[operation["operationId"]].json()
        check(description, schema, payload)
        if isinstance(payload, dict):
            [name] = re.findall(r"schemas/(\w+)", json.dumps(schema))
            assert set(payload) == set(description["components"]["schemas"][name]["required"])


def test_every_example_fits_its_schema(description: dict[str, Any]) -> None:
    checked = 0
    for _, _, operation in operations(description):
        contents = [response["content"] for response in operation["responses"].values()]
        contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []
        for content in (kind for by_type in contents for kind in by_type.values()):
            examples = [content["example"]] if "example" in content else []
            for example in examples + [one["value"] for one in content.get("examples", {}).values()]:
                check(description, content["schema"], example)
                checked += 1
    assert checked > 40


def test_the_description_speaks_three_languages_and_names_nothing_otherwise(client: TestClient) -> None:
    described = {
        language: client.get(ADDRESS, headers={"accept-language": language}) for language in ("zh", "zh-TW", "en")
    }
    titles = [response.json()["info"]["title"] for response in described.values()]
    assert titles == ["问条的接口", "問條的介面", "Wentiao API"]
    shapes = [
        [(path, method, op["operationId"], list(op["responses"])) for method, path, op in operations(response.json())]
        for response in described.values()
    ]
    assert shapes[0] == shapes[1] == shapes[2]


class Page(HTMLParser):
    """What a page loads, links to and names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self.tags.add(tag)
        self.ids.add(of.get("id") or "")
        if tag == "a":
            self.linked.append(of["href"] or "")
        self.loaded += [address for name in ("src", "href") if tag != "a" and (address := of.get(name))]


def test_the_page_loads_from_this_host_alone_and_its_links_lead_somewhere(client: TestClient) -> None:
    response = client.get("/api/v1/docs", headers={"accept-language": "en"})
    page = Page(response.text)
    assert "script" not in page.tags
    assert [name.partition("?v=")[0] for name in page.loaded] == ["../../page/theme.css", "../../page/docs.css"]
    for address in page.loaded:
        assert client.get(f"/api/v1/{address}").status_code == 200
    assert {link.removeprefix("#") for link in page.linked if link.startswith("#")} <= page.ids
    assert [link for link in page.linked if not link.startswith("#")] == ["openapi.json"]
    assert '<html lang="en">' in response.text
    for told in ("POST /api/v1/ask", "urn:wentiao:problem:question-too-long", "个人中心-设置-账号注销", "Citation"):
        assert told in response.text


@pytest.mark.browser
@pytest.mark.parametrize(("color_scheme", "locale", "width"), [("light", "zh-CN", 1280), ("dark", "en-GB", 390)])
def test_axe_finds_nothing_serious_on_the_page(
    browser: Browser, axe: str, fake: FakeAssistant, color_scheme: Literal["light", "dark"], locale: str, width: int
) -> None:
    with served(fake, "/wentiao") as address:
        viewport: ViewportSize = {"width": width, "height": 844}
        page = browser.new_page(color_scheme=color_scheme, locale=locale, viewport=viewport)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}api/v1/docs")
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.evaluate(axe)
        violations = page.evaluate("async () => (await axe.run()).violations")
        page.close()
    assert [name.partition("?v=")[0] for name in asked] == [
        f"{address}{name}" for name in ("api/v1/docs", "page/theme.css", "page/docs.css")
    ]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []


def test_both_work_under_a_sub_path(fake: FakeAssistant) -> None:
    app = build_app(fake, "/wentiao")
    client = TestClient(app)
    for prefix in ("", "/wentiao"):  # a proxy may or may not take it off
        assert client.get(f"{prefix}{ADDRESS}").json()["servers"] == [{"url": "/wentiao"}]
        assert "http://127.0.0.1:7860/wentiao/api/v1/ask" in client.get(f"{prefix}/api/v1/docs").text


def without_scores(value: Any) -> Any:
    """Return ``value`` without the figures that every training run shifts a little."""
    if isinstance(value, dict):
        return {name: without_scores(inner) for name, inner in value.items() if name not in ("score", "confidence")}
    return [without_scores(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.model
def test_the_examples_are_what_the_pipeline_gives() -> None:
    from retrieval import Assistant

    given = json.loads(json.dumps(produce(Assistant.open())))
    assert without_scores(given) == without_scores(json.loads(EXAMPLES.read_text(encoding="utf-8"))), (
        "run: python -m web.examples"
    )


class Comparing(FakeAssistant):
    """The small assistant, which gives an unknown app a row of its own as the real one does."""

    def compare(self, question: str, apps: Sequence[str] | None = None) -> tuple[Row, ...]:
        known = [name for name in apps or self.policies if name in self.policies]
        unknown = [Row(name, "unknown_app", "没有收录") for name in apps or () if name not in self.policies]
        return (*(super().compare(question, known) if known else ()), *unknown)


@pytest.fixture(scope="module")
def described_api() -> Any:
    return schemathesis.openapi.from_asgi(ADDRESS, build_app(Comparing()))


OPERATIONS = [
    ("/api/v1/ask", "POST"),
    ("/api/v1/search", "POST"),
    ("/api/v1/compare", "POST"),
    ("/api/v1/apps", "GET"),
    ("/api/v1/policies/{app}", "GET"),
    ("/api/v1/clauses/{clause_id}", "GET"),
    ("/healthz", "GET"),
    ("/readyz", "GET"),
]


# What takes nothing, or any text as a name, cannot be sent something that does not fit.
MISFITS = [*OPERATIONS[:3], ("/api/v1/policies/{app}", "GET")]
CASES = [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
CASES += [(*operation, GenerationMode.NEGATIVE) for operation in MISFITS]


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_nothing_undocumented_is_answered(described_api: Any, path: str, method: str, mode: GenerationMode) -> None:
    @given(case=described_api[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def drive(case: Any) -> None:
        case.call_and_validate()

    drive()
