"""The web application over the fake assistant, driven by Starlette's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from .application import build_app
from .fakes import FakeAssistant
from .outside import Outside, leads_outside

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Request

CHROMIUM = Path("/usr/bin/chromium")
# Whatever name a page asks for, Chromium finds none but this machine's, and none of its own services asks for one.
CUT_OFF = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
)


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    """What was tried to reach beyond this machine, by the browser's pages or by this process, which serves them."""
    record = Outside()
    record.watch()
    yield record
    record.is_watching = False


@pytest.fixture(autouse=True)
def nothing_is_tried_outside(outside: Outside) -> Iterator[None]:
    """Fail every test of the web layer during which something beyond this machine was asked for."""
    outside.tried.clear()
    yield
    tried, outside.tried = outside.tried, []
    assert tried == []


@pytest.fixture(scope="session")
def fake() -> FakeAssistant:
    return FakeAssistant()


@pytest.fixture(scope="session")
def client(fake: FakeAssistant) -> Iterator[TestClient]:
    """A client in the position of a program: it sends neither Origin nor Sec-Fetch-Site."""
    with TestClient(build_app(fake), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def browser(outside: Outside) -> Iterator[Browser]:
    """Debian's Chromium, one for all tests, its network cut; each opens pages in a context of its own."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}; on Debian: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", *CUT_OFF]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        opening: Callable[..., BrowserContext] = chromium.new_context

        def note(request: Request) -> None:
            if leads_outside(request.url):
                outside.tried.append(request.url)

        def open_watched(**options: Any) -> BrowserContext:
            context = opening(**options)
            context.on("request", note)  # before any page: what a page is opened with is seen too
            return context

        chromium.new_context = open_watched  # type: ignore[method-assign]
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which gives a page ``axe.run()``."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
