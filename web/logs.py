"""The log: one line an event, JSON or text, each with its request's id; never a question, and nothing forged.

What a question says stays out in three ways: our own messages hold none; of an exception only its type and the place
are written, since its message may quote what it broke over; and of what other programs log (Gradio, MCP, …) only where
it comes from, for the same reason.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from corpus.messages import printable

LogKind = Literal["text", "json"]
LOG_LEVELS = ("debug", "info", "warning", "error")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
OWN_LOGGERS = re.compile(r"(?:root|__main__|app|corpus|index|retrieval|web|evaluation|training|uvicorn)(?:\..*)?")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that this context answers; empty outside of one."""


def choose_request_id(given: str | None) -> str:
    """Return the id that a request came with where it is one, else a new one of 16 hexadecimal digits.

    >>> choose_request_id("edge-1.7"), len(choose_request_id("x\\r\\nset-cookie: a=b"))
    ('edge-1.7', 16)
    """
    return given if given and REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


class LineFormatter(logging.Formatter):
    """Writes a record as one line: as JSON, or as text with ``name=value`` for its fields.

    A record's fields are the mapping ``fields`` in its ``extra``.
    """

    def __init__(self, kind: LogKind) -> None:
        super().__init__()
        self.kind = kind

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "logger": record.name}
        line["message"] = _safe(_message(record))
        if request := request_id.get():
            line["request"] = request
        fields: Mapping[str, object] = getattr(record, "fields", {})
        line |= {name: _safe(value) if isinstance(value, str) else value for name, value in fields.items()}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["place"] = [_safe(f"{frame.filename}:{frame.lineno} {frame.name}") for frame in frames]
        if self.kind == "json":
            return json.dumps(line, ensure_ascii=False, default=str)
        told = " ".join(f"{name}={value}" for name, value in line.items() if name not in _TEXT_FIRST)
        return " ".join(filter(None, (f"{time} {record.levelname} {record.name}: {line['message']}", told)))


class StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is standard error by then, as the handler does that Python has where none is set up."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error."""
        return sys.stderr


_TEXT_FIRST = ("time", "level", "logger", "message")


def _message(record: logging.LogRecord) -> str:
    if not OWN_LOGGERS.fullmatch(record.name):
        return f"said something at {record.module}:{record.lineno}, which is left out: it may quote a request"
    return record.getMessage()


def _safe(text: str) -> str:
    """Return ``text`` on one line, without what a terminal obeys."""
    return printable(text.replace("\n", " ⏎ ").replace("\r", " ⏎ "))


def set_up_logging(kind: LogKind | None, level: str, *, stream: TextIO | None = None) -> None:
    """Have this process log to ``stream``, standard error if none is given, in place of what it did so far.

    :param kind: ``None``: text to a terminal, else JSON.
    :param level: one of :data:`LOG_LEVELS`; what other programs log is taken from warnings on.
    """
    handler = logging.StreamHandler(stream) if stream else StandardError()
    handler.setFormatter(LineFormatter(kind or ("text" if handler.stream.isatty() else "json")))
    chosen = logging.getLevelNamesMapping()[level.upper()]
    handler.addFilter(
        lambda record: record.levelno >= (chosen if OWN_LOGGERS.fullmatch(record.name) else logging.WARNING)
    )
    root = logging.getLogger()
    for old in [*root.handlers]:
        root.removeHandler(old)
    root.addHandler(handler)
    served = logging.getLogger("uvicorn")  # whoever configured it before had it write by itself
    served.handlers.clear()
    served.propagate = True
    root.setLevel(chosen)
