"""What a process does before it serves many at once, whoever opens its assistant."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from web.memory import use_one_arena

if TYPE_CHECKING:
    from retrieval import Assistant

MOST_FILES_UNTOLD = 10_240  # what macOS gives where it says that there is no limit


@contextmanager
def ready_to_serve(opening: Callable[[], AbstractContextManager[Assistant]]) -> Iterator[Assistant]:
    """Open an assistant, with all that the first question would otherwise wait for.

    :param opening: opens it; closed at the end.
    """
    allow_open_files()
    use_one_arena()
    with ExitStack() as opened:
        with _kept():
            assistant = opened.enter_context(opening())
            import_module("web.chat")  # with Gradio, most of what stays
            assistant.search("隐私", app=assistant.apps()[0], top_k=1)  # the first question finds the words loaded
        yield assistant


def allow_open_files() -> None:
    """Raise the number of files that this process may hold open to what the system lets it have, where it has one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    # A file that is mapped into memory holds a descriptor: two an app, and macOS allows 256 until asked.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES_UNTOLD if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _kept() -> Iterator[None]:
    """Leave what is made meanwhile out of garbage collection, for it stays as long as the process does.

    Looking through it took 12 % of the time to start, and 0.7 s at a time in the midst of serving.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
