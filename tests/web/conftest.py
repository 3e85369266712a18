"""The web application over the fake assistant, driven by Starlette's own client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from .application import build_app
from .fakes import FakeAssistant


@pytest.fixture(scope="session")
def fake() -> FakeAssistant:
    return FakeAssistant()


@pytest.fixture(scope="session")
def client(fake: FakeAssistant) -> Iterator[TestClient]:
    """A client in the position of a program: it sends neither Origin nor Sec-Fetch-Site."""
    with TestClient(build_app(fake), raise_server_exceptions=False) as client:
        yield client
