"""The command ``wentiao mcp`` over the fake assistant, as a process of its own."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from index.encoder import FakeEncoder
from tests.web.fakes import FakeAssistant
from web.cli import Commands, run

logging.basicConfig(level=logging.DEBUG)  # on standard error, where it must not show a question
commands = Commands(
    open_assistant=FakeAssistant,  # type: ignore[arg-type]
    serve=lambda *where: None,
    build_index=lambda folders, out: "",
    load_encoder=FakeEncoder,
    prepare_index=lambda: None,
    index=Path(),
)
sys.exit(run(["mcp"], commands, out=sys.stdout, err=sys.stderr))
