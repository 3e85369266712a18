"""``--profile``: where the time of a command's question goes, as a table for standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from corpus.messages import message, printable
from retrieval.datatypes import Language
from retrieval.stages import STAGES, Times, recording

if TYPE_CHECKING:
    from retrieval import Assistant

_Result = TypeVar("_Result")


def run_profiled(
    open_assistant: Callable[[], Assistant],
    run: Callable[[Callable[[], Assistant]], _Result],
    language: Language,
) -> tuple[_Result, str]:
    """Open the assistant, ``run`` twice with what opens it, and return what came of it and where the time went.

    The second run is the one whose stages are told: what the first one takes more is read and prepared once.
    """
    with recording() as opening:
        assistant = open_assistant()
    with recording() as first:
        result = run(lambda: assistant)
    with recording() as second:
        run(lambda: assistant)
    return result, format_stages(second, language, opening=opening.total, first=first.total - second.total)


def format_stages(times: Times, language: Language, *, opening: float, first: float) -> str:
    """Return the table: milliseconds, share of the whole, stage; below it what was spent once.

    :param opening: seconds that it took to open the assistant.
    :param first: seconds that the first run took more than the one of ``times``.
    """
    told = [(name, message(f"cli.stage_{name}", language)) for name in STAGES if name in times]
    rows = [(times[name], about) for name, about in told]
    rows += [(times[name], printable(name)) for name in times if name not in STAGES]
    rows += [
        (times.unnamed, message("cli.stages_rest", language)),
        (times.total, message("cli.stages_total", language)),
    ]
    whole = times.total or 1.0
    lines = [message("cli.stages_head", language)]
    lines += [f"{1000 * seconds:8.2f}  {seconds / whole:4.0%}  {about}" for seconds, about in rows]
    lines.append(message("cli.stages_once", language, opening=opening, first=1000 * max(0.0, first)))
    return "\n".join(lines)
