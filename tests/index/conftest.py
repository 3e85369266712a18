"""What the tests of the vector stores share: a Milvus server of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .milvus_server import MilvusServer


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A running Milvus server; a test that kills it starts it again."""
    for module in ("pymilvus", "milvus"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install -r requirements-milvus.txt")
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    try:
        server.start()
        yield server
    finally:
        server.kill()
