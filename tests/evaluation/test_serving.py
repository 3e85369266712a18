"""A server that is measured: programs that play one."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.serving import serving

REFUSES_TWICE = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
asked = []
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        asked.append(self.path)
        self.send_response(503 if len(asked) < 3 or {always} else 200)
        self.end_headers()
    def log_message(self, *arguments):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


def program(always: bool) -> tuple[str, str]:
    return "-c", REFUSES_TWICE.replace("{always}", str(always))


def test_a_server_is_there_once_it_has_answered_and_ends_afterwards() -> None:
    with serving(command=program(always=False)) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/" and server.address == ("127.0.0.1", server.port)
        assert server.first_answer > 0
    assert not Path(f"/proc/{server.pid}").exists()


def test_one_that_only_refuses_is_given_up_with_what_it_said() -> None:
    with (
        pytest.raises(RuntimeError, match=r"did not answer in time; the last try: HTTP Error 503"),
        serving(command=program(always=True), start_seconds=2.0),
    ):
        pass


def test_one_that_ends_is_not_waited_for() -> None:
    with pytest.raises(RuntimeError, match="ended with exit code 5"), serving(command=("-c", "raise SystemExit(5)")):
        pass
