"""A segment: one policy version made searchable, immutable once written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from corpus.datatypes import Clause, Policy
from corpus.parser import PARSER_VERSION
from index.lexical import LexicalIndex, tokenizer_version
from index.units import UNITS_VERSION, Unit

if TYPE_CHECKING:
    import faiss

FORMAT_VERSION = "2"


def made_by(encoder_fingerprint: str) -> dict[str, str]:
    """Return what decides the content of a segment beside its policy."""
    return {
        "encoder": encoder_fingerprint,
        "format": FORMAT_VERSION,
        "parser": PARSER_VERSION,
        "tokenizer": tokenizer_version(),
        "units": UNITS_VERSION,
    }


def segment_name(policy: Policy, encoder_fingerprint: str) -> str:
    """Return the content address of ``policy`` indexed with that encoder: 32 hexadecimal digits."""
    content = json.dumps([asdict(policy), made_by(encoder_fingerprint)], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Segment:
    """One policy version: its clauses, one unit vector a :class:`~index.units.Unit`, and its lexical statistics.

    ``vectors`` is float32 of shape (units, dimension), rows of unit length, in the order of ``units``.
    """

    name: str
    policy: Policy
    clauses: tuple[Clause, ...]
    units: tuple[Unit, ...]
    vectors: NDArray[np.float32]
    lexical: LexicalIndex

    @cached_property
    def first_units(self) -> NDArray[np.int64]:
        """The position in ``units`` of every clause's own unit; its sentences follow it."""
        clauses = np.array([unit.clause for unit in self.units], dtype=np.int64)
        return np.searchsorted(clauses, np.arange(len(self.clauses)))

    def unit_range(self, ordinal: int) -> tuple[int, int]:
        """Return the first unit of a clause and the one after its last."""
        following = self.first_units[ordinal + 1] if ordinal + 1 < len(self.clauses) else len(self.units)
        return int(self.first_units[ordinal]), int(following)

    @cached_property
    def ordinals(self) -> dict[str, int]:
        """Clause id -> ordinal."""
        return {clause.clause_id: ordinal for ordinal, clause in enumerate(self.clauses)}

    @cached_property
    def dense(self) -> faiss.IndexFlatIP:
        """The vectors as an exact inner-product index."""
        import faiss

        faiss.omp_set_num_threads(1)  # its pool and torch's fight over the cores
        flat = faiss.IndexFlatIP(self.vectors.shape[1])
        flat.add(self.vectors)
        return flat

    def save(self, folder: Path) -> None:
        """Write the segment's files into ``folder``, which must not exist."""
        folder.mkdir()
        policy = {name: value for name, value in asdict(self.policy).items() if name not in ("sha256", "policy_id")}
        _write_json(folder / "policy.json", policy)
        _write_json(folder / "clauses.json", [asdict(clause) for clause in self.clauses])
        _write_json(folder / "units.json", [[unit.clause, unit.start, unit.end] for unit in self.units])
        np.save(folder / "vectors.npy", self.vectors, allow_pickle=False)
        self.lexical.save(folder / "lexical")

    @classmethod
    def load(cls, folder: Path) -> Segment:
        """Read what :meth:`save` wrote; the caller has verified the files."""
        record = _read_json(folder / "policy.json")
        record["aliases"] = tuple(record["aliases"])
        clauses = tuple(Clause(**{**item, "path": tuple(item["path"])}) for item in _read_json(folder / "clauses.json"))
        return cls(
            name=folder.name,
            policy=Policy(**record),
            clauses=clauses,
            units=tuple(Unit(*item) for item in _read_json(folder / "units.json")),
            vectors=np.load(folder / "vectors.npy", allow_pickle=False),
            lexical=LexicalIndex.load(folder / "lexical", len(clauses)),
        )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
