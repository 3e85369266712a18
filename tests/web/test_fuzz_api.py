"""Whatever is posted to the API, it is answered or refused in words: never a 500."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ..conftest import Shelf, decide
from .application import build_app

QUIET = list(HealthCheck)
FIELDS = ("question", "query", "app", "apps", "history", "top_k", "rerank", "topics", "topic", "language", "x")
words = st.one_of(
    st.text(max_size=40), st.sampled_from(("津心办怎么注销", "哪些应用", "昶联", "\x00", "\u202e", "=1+1", "a" * 501))
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(FIELDS), words), inner)
    ),
    max_leaves=8,
)
bodies = st.one_of(
    st.fixed_dictionaries({"question": words}, optional={name: values for name in FIELDS if name != "question"}),
    st.fixed_dictionaries({"query": words}, optional={name: values for name in FIELDS if name != "query"}),
    st.dictionaries(st.sampled_from(FIELDS), values),
    values,
)
CONTENT_TYPES = (
    "application/json",
    "application/json; charset=gbk",
    "text/plain",
    "multipart/form-data",
    "",
    "x" * 300,
)


@pytest.fixture(scope="module")
def client(shipped: Shelf) -> Any:
    """The application over a real assistant, so that what it answers is checked as everywhere."""
    with TestClient(build_app(shipped.assistant(decide(bias=20.0))), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.faults
@pytest.mark.parametrize("path", ["/api/v1/ask", "/api/v1/search", "/api/v1/compare"])
def test_any_json_is_answered_or_refused(client: TestClient, path: str, amount: Callable[[int, int], int]) -> None:
    @settings(max_examples=amount(60, 8_000), deadline=None, derandomize=True, suppress_health_check=QUIET)
    @given(bodies)
    def post(body: object) -> None:
        sent = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert sent.status_code in (200, 400, 404, 413, 422, 429, 501), (sent.status_code, sent.text[:300])
        assert sent.json()

    post()


@pytest.mark.faults
def test_any_bytes_under_any_name_are_answered_or_refused(
    client: TestClient, amount: Callable[[int, int], int]
) -> None:
    @settings(max_examples=amount(60, 8_000), deadline=None, derandomize=True, suppress_health_check=QUIET)
    @given(st.sampled_from(("ask", "search", "compare")), st.binary(max_size=200), st.sampled_from(CONTENT_TYPES))
    def post(path: str, data: bytes, kind: str) -> None:
        sent = client.post(f"/api/v1/{path}", content=data, headers={"content-type": kind})
        assert 400 <= sent.status_code < 500, (sent.status_code, sent.text[:300])

    post()


@pytest.mark.faults
def test_any_address_below_the_api_is_answered_or_refused(
    client: TestClient, amount: Callable[[int, int], int]
) -> None:
    @settings(max_examples=amount(80, 8_000), deadline=None, derandomize=True, suppress_health_check=QUIET)
    @given(
        st.sampled_from(("api/v1/policies/", "api/v1/clauses/", "api/v1/profile?app=", "read/", "cited/")),
        st.one_of(
            words, st.sampled_from(("..%2f..%2fetc%2fpasswd", "%00", "%ff", "昶联?version=x", "昶联?clause=%0d%0aX: y"))
        ),
    )
    def get(path: str, name: str) -> None:
        from urllib.parse import quote

        sent = client.get(f"/{path}{quote(name, safe='%?=')}")
        assert sent.status_code < 500, (path, name, sent.status_code, sent.text[:300])

    get()
