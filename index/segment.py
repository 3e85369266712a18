"""A segment: one policy version made searchable, immutable once written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from corpus.datatypes import Clause, Policy
from corpus.parser import PARSER_VERSION
from index.arrays import read_array
from index.lexical import LexicalIndex, tokenizer_version
from index.manifest import read_file
from index.tokens import unpack_tokens
from index.units import UNITS_VERSION, Unit, clause_units, embedding_texts, lexical_texts

if TYPE_CHECKING:
    from index.journal import PackedText
    from index.vectors import VectorStore

FORMAT_VERSION = "5"
OUTLINE_FILES = ("policy.json", "clauses.json")
_ARRAYS = ("vectors", "tokens", "token_starts")
MOST_JSON_BYTES = 256 << 20  # a policy of 5 MB has 13 MB of clauses; objects take ten times what their JSON does
# What reading files raises that are as somebody wrote them, but not as this program does.
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    EOFError,
    OverflowError,
    RecursionError,
    MemoryError,
    BadZipFile,
    IsADirectoryError,
    NotADirectoryError,
)


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

    ``vectors`` is float32 of shape (units, dimension), rows of unit length, in the order of ``units``. ``tokens`` holds
    the packed token vectors (:mod:`index.tokens`) of all clauses one after another, those of clause ``i`` from
    ``token_starts[i]`` to ``token_starts[i + 1]``.
    """

    name: str
    policy: Policy
    clauses: tuple[Clause, ...]
    units: tuple[Unit, ...]
    vectors: NDArray[np.float32]
    tokens: NDArray[np.int8]
    token_starts: NDArray[np.int64]
    lexical: LexicalIndex
    store: VectorStore | None = field(default=None, compare=False)
    """Where its vectors are searched; ``None`` for the array at hand."""

    @classmethod
    def make(
        cls,
        name: str,
        policy: Policy,
        clauses: tuple[Clause, ...],
        encode: Callable[[Sequence[str]], Sequence[PackedText]],
    ) -> Segment:
        """Make the segment of ``policy`` from its ``clauses``.

        :param encode: gives what each text of the segment was encoded as.
        """
        units = clause_units(clauses)
        packed = encode(embedding_texts(policy, clauses, units))
        vectors = np.stack([one.vector for one in packed])
        tokens = [packed[first].tokens for first in _first_units(units, len(clauses))]
        starts = np.cumsum([0, *map(len, tokens)])
        lexical = LexicalIndex.build(lexical_texts(clauses))
        return cls(name, policy, clauses, units, vectors, np.concatenate(tokens), starts, lexical)

    def clause_tokens(self, ordinals: Iterable[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the token vectors of clauses, one after another, and how many each has.

        The vectors are unit rows of shape (tokens, token dimension).
        """
        starts, tokens = self.token_starts, np.asarray(self.tokens)  # slices of mapped files take three times as long
        packed = [tokens[starts[ordinal] : starts[ordinal + 1]] for ordinal in ordinals]
        return unpack_tokens(np.concatenate(packed)), np.array([len(own) for own in packed])

    @cached_property
    def first_units(self) -> NDArray[np.int64]:
        """The position in ``units`` of every clause's own unit; its sentences follow it."""
        return _first_units(self.units, len(self.clauses))

    def unit_range(self, ordinal: int) -> tuple[int, int]:
        """Return the first unit of a clause and the one after its last."""
        following = self.first_units[ordinal + 1] if ordinal + 1 < len(self.clauses) else len(self.units)
        return int(self.first_units[ordinal]), int(following)

    @cached_property
    def ordinals(self) -> dict[str, int]:
        """Clause id -> ordinal."""
        return {clause.clause_id: ordinal for ordinal, clause in enumerate(self.clauses)}

    def lead_in_text(self, clause: Clause) -> str | None:
        """Return the text of the sentence that an item hangs on; ``None`` without one."""
        return self.clauses[self.ordinals[clause.lead_in]].text if clause.lead_in else None

    def unit_scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the exact cosine of every unit with ``query``, a unit vector: float32 of shape (units,)."""
        if self.store is not None:
            return self.store.scores(self.name, len(self.units), query)
        return np.asarray(np.vecdot(self.vectors, query))  # row by row: equal vectors score the same

    def save(self, folder: Path) -> None:
        """Write the segment's files into ``folder``, which must not exist."""
        folder.mkdir()
        write_outline(folder, self.policy, self.clauses)
        _write_json(folder / "units.json", [[unit.clause, unit.start, unit.end] for unit in self.units])
        for name in _ARRAYS:
            content = BytesIO()  # written by Python, which says what the disk refuses
            np.save(content, getattr(self, name), allow_pickle=False)
            (folder / f"{name}.npy").write_bytes(content.getbuffer())
        self.lexical.save(folder / "lexical")

    @classmethod
    def load(
        cls,
        folder: Path,
        vectors: NDArray[np.float32] | None = None,
        store: VectorStore | None = None,
        *,
        mapped: bool = True,
    ) -> Segment:
        """Read what :meth:`save` wrote; the caller has verified the files.

        :param vectors: those of the segment, where they are there already.
        :param mapped: map the large arrays, ``vectors`` and ``tokens``, into memory and read them where needed.
        :raises UNREADABLE: one of these, if the files are not what :meth:`save` writes, whatever their checksums say.
        """
        policy, clauses = read_outline(folder)
        check_lexical(folder / "lexical", len(clauses))
        if vectors is None:
            vectors = read_array(folder / "vectors.npy", "<f4", 2, mapped=mapped)
        segment = cls(
            name=folder.name,
            policy=policy,
            clauses=clauses,
            units=tuple(Unit(*item) for item in _read_json(folder / "units.json")),
            vectors=vectors,
            tokens=read_array(folder / "tokens.npy", "|i1", 2, mapped=mapped),
            token_starts=read_array(folder / "token_starts.npy", "<i8", 1),
            lexical=LexicalIndex.load(folder / "lexical", len(clauses)),
            store=store,
        )
        segment.check()
        return segment

    def check(self) -> None:
        """Check that the parts fit together, so that what is cited stands in the policy.

        :raises ValueError: if they do not.
        """
        text, known = self.policy.text, {clause.clause_id for clause in self.clauses}
        for clause in self.clauses:
            if text[_offset(clause.start, text) : _offset(clause.end, text)] != clause.text:
                raise ValueError(f"clause {clause.clause_id} is not what stands there")
            if clause.lead_in is not None and clause.lead_in not in known:
                raise ValueError(f"clause {clause.clause_id} hangs on none of the policy")
        owners = [_offset(unit.clause, self.clauses) for unit in self.units]
        if owners != sorted(owners) or {*owners} != {*range(len(self.clauses))}:
            raise ValueError("the units are not those of the clauses, in their order")
        if any(_offset(unit.start, text) > _offset(unit.end, text) for unit in self.units):
            raise ValueError("a unit ends before it begins")
        starts = self.token_starts
        if len(self.vectors) != len(self.units) or len(starts) != len(self.clauses) + 1:
            raise ValueError("there are more or fewer vectors than units, or tokens than clauses")
        if starts[0] != 0 or starts[-1] != len(self.tokens) or (np.diff(starts) < 0).any():
            raise ValueError("the tokens are not those of the clauses, in their order")


def _offset(value: object, within: Sequence[object]) -> int:
    if type(value) is not int or not 0 <= value <= len(within):
        raise ValueError(f"{value!r} is no place in {len(within)}")
    return value


def check_lexical(folder: Path, clause_count: int) -> None:
    """Check the files that bm25s is to read: how much they make it hold, and where they point to.

    :raises UNREADABLE: one of these, if they are not those of ``clause_count`` clauses.
    """
    if not any(folder.iterdir()):
        return
    params = _read_json(folder / "params.index.json")
    if params["num_docs"] != clause_count or type(params["num_docs"]) is not int:
        raise ValueError(f"{folder} counts {params['num_docs']!r} clauses, not {clause_count}")
    made = (params["method"], params["dtype"], params["backend"])
    if made not in (("lucene", "float32", "numpy"), ("lucene", "float32", "auto")):
        raise ValueError(f"{folder} is not scored as this program does")
    words = _read_json(folder / "vocab.index.json")
    weights = read_array(folder / "data.csc.index.npy", "<f4", 1)
    clauses = read_array(folder / "indices.csc.index.npy", "<i4 <i8", 1)
    starts = read_array(folder / "indptr.csc.index.npy", "<i4 <i8", 1)
    if len(weights) != len(clauses) or (len(clauses) and not 0 <= clauses.min() <= clauses.max() < clause_count):
        raise ValueError(f"{folder} weighs words in clauses that there are not")
    if not np.isfinite(weights).all():
        raise ValueError(f"{folder} has weights that are no numbers")
    if not len(starts) or starts[0] < 0 or starts[-1] > len(weights) or (np.diff(starts) < 0).any():
        raise ValueError(f"{folder} looks for words where there are none")
    rises = np.diff(clauses, prepend=-1) > 0
    rises[starts[starts < len(clauses)]] = True  # where a word's clauses begin
    if not rises.all():
        raise ValueError(f"{folder} has a word's clauses twice, or in another order than the policy's")
    places = [place for word, place in words.items() if word]  # bm25s has an empty one that no question asks for
    if any(type(place) is not int or not 0 <= place < len(starts) - 1 for place in places):
        raise ValueError(f"{folder} has words without a place")


def write_outline(folder: Path, policy: Policy, clauses: Sequence[Clause]) -> None:
    """Write the policy and the clauses of a segment; :func:`read_outline` reads them."""
    record = {name: value for name, value in asdict(policy).items() if name not in ("sha256", "policy_id")}
    _write_json(folder / "policy.json", record)
    _write_json(folder / "clauses.json", [asdict(clause) for clause in clauses])


def read_outline(folder: Path) -> tuple[Policy, tuple[Clause, ...]]:
    """Read the policy and the clauses of a segment, which no version of the format moves."""
    record = _read_json(folder / "policy.json")
    record["aliases"] = tuple(record["aliases"])
    shared: dict[object, Any] = {}  # what stands in many clauses is held once: headings, the policy's id, kinds
    clauses = []
    for item in _read_json(folder / "clauses.json"):
        item["path"] = tuple(item["path"])
        for name in ("path", "policy_id", "kind", "document"):
            item[name] = shared.setdefault(item[name], item[name])
        clauses.append(Clause(**item))
    return Policy(**record), tuple(clauses)


def _first_units(units: tuple[Unit, ...], clause_count: int) -> NDArray[np.int64]:
    clauses = np.array([unit.clause for unit in units], dtype=np.int64)
    return np.searchsorted(clauses, np.arange(clause_count))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(read_file(path, MOST_JSON_BYTES))
