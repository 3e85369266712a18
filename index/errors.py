"""What goes wrong with an index and is ours to repair."""

from __future__ import annotations


class IndexNotBuiltError(RuntimeError):
    """The index, or the model it needs, is not there. The message ends with the command that makes it."""


class IndexMismatchError(RuntimeError):
    """An index, or a file of it, is not what made it says. The message ends with the command that rebuilds it."""


class StorageError(OSError):
    """The disk or the system refuses to read or write an index. The message says which, and what to do."""


class UnavailableError(RuntimeError):
    """What is asked for cannot be had now; ``retry_after`` is in how many seconds to come again."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OverloadedError(UnavailableError):
    """More came than can be worked on in time."""


class TimedOutError(UnavailableError):
    """What was asked for took longer than it may, or something before it still does; nothing is known to be broken."""

    def __init__(self, message: str, *, retry_after: float = 30.0) -> None:
        super().__init__(message, retry_after=retry_after)


class StoreUnreachableError(UnavailableError):
    """The vector store does not answer. The message says which, at which address, and what to look at."""

    def __init__(self, message: str, *, retry_after: float = 10.0) -> None:
        super().__init__(message, retry_after=retry_after)
