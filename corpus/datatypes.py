"""The nouns of the corpus: a policy, its clauses and the spans that are no clause."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

ClauseKind = Literal["paragraph", "item", "lead_in", "heading"]
FurnitureKind = Literal["heading", "contents", "separator", "footer"]


@dataclass(frozen=True)
class Policy:
    """One version of one app's text.

    ``text`` is canonical: decoded, newlines ``\\n``, nothing else changed; every offset in the project counts
    its code points. Dates are ISO 8601 days, or ``None`` where neither the text nor the catalogue states one.
    """

    app: str
    text: str
    aliases: tuple[str, ...] = ()
    operator: str | None = None
    updated: str | None = None
    effective: str | None = None
    source: str | None = None
    contact: str | None = None
    sha256: str = field(init=False)
    policy_id: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        object.__setattr__(self, "sha256", digest)
        identity = hashlib.sha256(f"{self.app}\0{digest}".encode()).hexdigest()
        object.__setattr__(self, "policy_id", identity[:16])

    @property
    def date(self) -> str | None:
        """The version's date: when it takes effect, else when it was last updated."""
        return self.effective or self.updated


@dataclass(frozen=True, slots=True)
class Clause:
    """The unit that is indexed and cited; ``policy.text[start:end] == text``, the printed number included.

    ``path`` holds the headings above, outermost first; ``label`` is the short printed address (``四(三)``,
    ``一(一)24(2)3)``), empty where nothing above or in the clause is numbered. ``lead_in`` is the clause id of the
    sentence that an item hangs on. ``document`` is the title of the document inside the file, where it holds several.
    """

    clause_id: str
    policy_id: str
    start: int
    end: int
    text: str
    path: tuple[str, ...] = ()
    label: str = ""
    kind: ClauseKind = "paragraph"
    lead_in: str | None = None
    document: str | None = None

    @property
    def address(self) -> tuple[str, ...]:
        """The headings above as a citation shows them: first the document's title, where the file holds several."""
        return (self.document, *self.path) if self.document else self.path


@dataclass(frozen=True)
class Furniture:
    """A span of a policy that is no clause, and what the parser takes it for."""

    start: int
    end: int
    kind: FurnitureKind


@dataclass(frozen=True)
class Outline:
    """What the parser made of a policy: clauses and furniture, each in text order, no two overlapping."""

    clauses: tuple[Clause, ...]
    furniture: tuple[Furniture, ...]
