"""Ask a policy a question; get the clause that answers it, quoted and located."""

from typing import TYPE_CHECKING

from retrieval.datatypes import Answer, Cell, Citation, Fact, Passage, Profile, ProfileRow, Row, Turn

if TYPE_CHECKING:
    from retrieval.assistant import Assistant

__all__ = ["Answer", "Assistant", "Cell", "Citation", "Fact", "Passage", "Profile", "ProfileRow", "Row", "Turn"]


def __getattr__(name: str) -> object:
    """Load the assistant, with all that it stands on, when it is first asked for."""
    if name == "Assistant":
        from retrieval.assistant import Assistant

        return Assistant
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
