"""The web application over the fake assistant, driven by Starlette's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from .application import build_app
from .fakes import FakeAssistant

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def fake() -> FakeAssistant:
    return FakeAssistant()


@pytest.fixture(scope="session")
def client(fake: FakeAssistant) -> Iterator[TestClient]:
    """A client in the position of a program: it sends neither Origin nor Sec-Fetch-Site."""
    with TestClient(build_app(fake), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for all tests; each opens pages in a context of its own."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}; on Debian: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which gives a page ``axe.run()``."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
