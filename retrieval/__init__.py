"""Ask a policy a question; get the clause that answers it, quoted and located."""

from retrieval.assistant import Assistant
from retrieval.datatypes import Answer, Citation, Fact, Passage, Row, Turn

__all__ = ["Answer", "Assistant", "Citation", "Fact", "Passage", "Row", "Turn"]
