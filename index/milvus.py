"""Unit vectors in Milvus: a server, a cluster, or a Milvus Lite file (a folder, really) of one process.

A collection holds the units of one index and one encoder, a row a unit: ``key`` (segment and position), ``segment``,
``unit`` and ``vector``. A question about one app reads one partition: in a file every segment has its own, on a server,
which takes some thousand, ``segment`` is the partition key. Segments are named by their content and never change, and
the manifest that ``CURRENT`` names in the index folder says which of them a reader sees: replacing ``CURRENT`` is the
swap from one generation to the next. An alias on a collection would be a second swap, which a kill between the two
leaves pointing elsewhere; so there is none. What a killed ``put`` left is seen by nobody, is reported by ``missing``
because its count is wrong, and is deleted and put again.

Several indexes may share a database of a server (``milvus://host:port/database``) or a file: the collection is named by
the index's ``ID`` (index/manifest.py), so ``keep_only`` deletes nothing of another index. The collection of an index
whose folder was deleted stays until somebody drops it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import random
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from index.errors import IndexMismatchError, StoreUnreachableError
from index.manifest import index_id
from index.nearest import Neighbour, best_first
from index.tokens import Floats
from index.turns import aside
from index.vectors import without_password

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

MOST_RESULTS = 16_384  # of one search or query, Milvus's own limit
MOST_NAMES = 500  # segments in one filter
BATCH_UNITS = 1000  # rows in one insert: 1.5 MB of 384 dimensions, of the 64 MB that a server takes
PARTITION = "segment_"  # before a segment's name, since a partition's may not begin with a digit
OVERFETCH = 4  # times top_k are asked for, since segments that the reader does not see are passed over
EF = 256  # candidates that HNSW keeps at hand: more are slower and found more surely
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0  # pymilvus tries again until this is over, also where nobody listens any more
MOST_ATTEMPTS = 6  # at putting a segment that another process puts too; four were too few once on a busy machine
MOST_WAIT_SECONDS = 60.0  # before one of them
FLUSH_SECONDS = 120.0  # a flush of the server of milvus 2.3.5 takes 3 to 6 s at rest
# What put wrote has been seen by a strongly consistent read when put returns. Later reads may be 5 s behind, which is 3
# to 9 ms for a search where "Strong" waits 200 ms for the server's clock; one that finds too little asks again.
FRESH, NEAR = "Strong", "Bounded"


class MilvusVectors:
    """The vector store over Milvus (see :class:`index.vectors.VectorStore`); connects when it is first asked."""

    def __init__(self, address: str, out: Path, *, fingerprint: str, dimension: int) -> None:
        """:param address: as for :func:`index.vectors.open_store`.
        :param out: the folder of the index; it may be built after this.

        :raises ValueError: if the address names no host.
        :raises ModuleNotFoundError: if pymilvus, or for a file milvus-lite, is not installed.
        """
        self._lite = address.endswith(".db") and "://" not in address
        self._uri = str(Path(address).absolute()) if self._lite else _server_uri(address)
        self._shown = self._uri if self._lite else without_password(address)
        for module, package in (("pymilvus", "pymilvus"), *((("milvus_lite", "milvus-lite"),) if self._lite else ())):
            if importlib.util.find_spec(module) is None:
                raise ModuleNotFoundError(
                    f"the vector store {self._shown} needs the package {package}, which is not installed:\n"
                    "  pip install -r requirements-milvus.txt",
                    name=module,
                )
        self._out, self._dimension = out, dimension
        self._encoder = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
        self._lock = threading.Lock()
        self._client: Any = None
        self._client_uri = ""
        self._collection_is_there = False

    @cached_property
    def collection(self) -> str:
        """The name of the collection: which index, which encoder, which dimension."""
        return f"wentiao_{index_id(self._out)}_{self._encoder}_{self._dimension}"

    def put(self, vectors: Mapping[str, Floats]) -> None:
        """Make segments searchable, durably when this returns; those that are there already are left as they are.

        A flush takes seconds on a server: many segments in one call cost one. Where two processes put the same, its
        rows are there twice, and who finds that puts it once more. The wait before it is drawn from a span that grows
        with every attempt and with what writing takes here (the back-off of Ethernet), so that one soon writes alone.

        :raises StoreUnreachableError: if the server is gone, or does not hold what it was sent; to be called again.
        """
        units = {name: len(rows) for name, rows in vectors.items()}
        self._make_collection()
        wrong = self._miscounted(units)
        span = 0.0
        for attempt in range(MOST_ATTEMPTS):
            if attempt and wrong:
                seconds = random.uniform(0.0, span)
                _log.warning("segments are put by others at the same time; tried again in %.0f s", seconds)
                time.sleep(seconds)
                wrong = self._miscounted({name: units[name] for name in wrong})
            if not wrong:
                return
            started = time.monotonic()
            self._write({name: vectors[name] for name in wrong}, [name for name, count in wrong.items() if count])
            wrong = self._miscounted({name: units[name] for name in wrong})
            span = min(2 ** (attempt + 1) * (time.monotonic() - started), MOST_WAIT_SECONDS)
        if wrong:
            name, count = next(iter(wrong.items()))
            raise StoreUnreachableError(
                f"the vector store at {self._shown} was sent {units[name]} units of segment {name} and holds {count}, "
                "as when other processes put the same at the same time; try again (the address is WENTIAO_STORE)"
            )

    def missing(self, segments: Mapping[str, int]) -> tuple[str, ...]:
        """Return which of ``segments``, by name with their number of units, are not there whole."""
        return tuple(self._miscounted(segments))

    def scores(self, segment: str, unit_count: int, query: Floats) -> Floats:
        """Return the exact cosine of every unit of a segment with ``query``: float32 of shape (units,).

        An index passes over vectors but does not change their scores, so what it found is exact where it found all;
        else the vectors are fetched and multiplied here.

        :raises IndexMismatchError: if the segment is not there whole; opening the index fills the store.
        """
        found = np.full(unit_count, np.nan, dtype=np.float32)
        if not self._has_collection() or not self._present([segment]):
            raise self._incomplete(segment, 0, unit_count)
        for start in range(0, unit_count, MOST_RESULTS):
            stop = min(start + MOST_RESULTS, unit_count)
            within = self._within([segment], f"unit >= {start} and unit < {stop}" if unit_count > MOST_RESULTS else "")
            for _, unit, score in self._search(query, stop - start, within):
                if start <= unit < stop:
                    found[unit] = score
            if np.isnan(found[start:stop]).any():
                for unit, vector in self._fetch(within):
                    if start <= unit < stop:
                        found[unit] = vector @ query
        if np.isnan(found).any():
            raise self._incomplete(segment, int(np.count_nonzero(~np.isnan(found))), unit_count)
        return found

    def nearest(self, query: Floats, top_k: int, segments: Collection[str]) -> tuple[Neighbour, ...]:
        """Return the ``top_k`` units of ``segments`` nearest to ``query``, best first, ties by segment and unit.

        Exact in a Milvus Lite file, and on a server as good as its HNSW index finds them.

        :raises IndexMismatchError: if none of the segments is there; opening the index fills the store.
        """
        names = frozenset(segments)
        if not names:
            return ()
        if not self._has_collection():
            raise self._lacking(len(names))
        wanted = min(top_k * OVERFETCH, MOST_RESULTS)
        while True:
            hits = self._search(query, wanted)
            kept = [Neighbour(*hit) for hit in hits if hit[0] in names]
            if len(kept) >= top_k or (kept and len(hits) < wanted):
                return tuple(best_first(kept)[:top_k])
            if len(hits) < wanted or wanted == MOST_RESULTS:
                break
            wanted = min(4 * wanted, MOST_RESULTS)
        # Nearly everything in the store is of segments that this reader does not see, or what it sees is very new.
        limit = min(top_k, MOST_RESULTS)
        kept = [
            Neighbour(*hit)
            for group in _batches(self._present(sorted(names)), MOST_NAMES)
            for hit in self._search(query, limit, self._within(group), FRESH)
        ]
        if not kept:  # every segment has a unit
            raise self._lacking(len(names))
        return tuple(best_first(kept)[:top_k])

    def keep_only(self, segments: Collection[str]) -> None:
        """Take out every segment that is not named."""
        if not self._has_collection():
            return
        kept = frozenset(segments)
        self._delete([name for name in self._segments() if name not in kept])

    def close(self) -> None:
        """Let go of the connection, and of a Milvus Lite file; the next question opens them again."""
        with self._lock:
            client, self._client, self._collection_is_there = self._client, None, False
            if client is None:
                return
            client.close()
            if self._lite:
                from milvus_lite.server_manager import server_manager_instance

                server_manager_instance.release_server(self._uri)

    # -- what is asked of Milvus

    def _miscounted(self, units: Mapping[str, int]) -> dict[str, int]:
        """Return how many rows those segments have that have another number than ``units`` says.

        Segments are counted many at once. Where that is the right number and of each the last row is there, each is
        whole, since rows are put in order; where it is not, the halves are counted, down to one segment.
        """
        counts = dict.fromkeys(units, 0)
        level = FRESH  # the first waits for all that was written before; those after it need not
        present = self._present(units) if units and self._has_collection() else []
        groups = list(_batches(present, MOST_NAMES))
        while groups:
            group = groups.pop()
            found = self._count(group, level)
            level = NEAR
            if len(group) == 1:
                counts[group[0]] = found
            elif found and (found != sum(units[name] for name in group) or not self._have_last_rows(group, units)):
                groups += [group[: len(group) // 2], group[len(group) // 2 :]]
            elif found:
                counts.update((name, units[name]) for name in group)
        return {name: count for name, count in counts.items() if count != units[name]}

    def _count(self, segments: Collection[str], level: str) -> int:
        """Return how many rows those segments have together, a row that was put twice counted twice."""
        with self._reaching("counting units") as client:
            found = client.query(
                self.collection,
                output_fields=["count(*)"],
                consistency_level=level,
                timeout=ANSWER_SECONDS,
                **self._within(segments),
            )
        return int(found[0]["count(*)"])

    def _have_last_rows(self, segments: Collection[str], units: Mapping[str, int]) -> bool:
        keys = [f"{name}-{units[name] - 1}" for name in segments if units[name]]
        with self._reaching("counting units") as client:
            rows = client.query(
                self.collection,
                filter=f"key in {json.dumps(keys, ensure_ascii=False)}",
                output_fields=["key"],
                consistency_level=NEAR,
                timeout=ANSWER_SECONDS,
            )
        return len({row["key"] for row in rows}) == len(keys)

    def _search(
        self, query: Floats, limit: int, within: Mapping[str, Any] | None = None, level: str = NEAR
    ) -> list[tuple[str, int, float]]:
        """Return segment, unit and score of the ``limit`` rows nearest to ``query``, best first."""
        parameters = {} if self._lite else {"ef": max(limit, EF)}
        with self._reaching("searching") as client:
            found = client.search(
                self.collection,
                data=[query.astype(np.float32).tolist()],
                limit=limit,
                search_params={"metric_type": "IP", "params": parameters},
                consistency_level=level,
                timeout=ANSWER_SECONDS,
                **(within or {}),
            )
        places = (key.rpartition("-") for key in found[0].ids)
        return [
            (segment, int(unit), float(score))
            for (segment, _, unit), score in zip(places, found[0].distances, strict=True)
        ]

    def _fetch(self, within: Mapping[str, Any]) -> list[tuple[int, Floats]]:
        """Return position and vector of the rows of a segment."""
        with self._reaching("fetching units") as client:
            rows = client.query(
                self.collection,
                output_fields=["unit", "vector"],
                consistency_level=FRESH,
                limit=MOST_RESULTS,
                timeout=ANSWER_SECONDS,
                **within,
            )
        return [(int(row["unit"]), np.asarray(row["vector"], dtype=np.float32)) for row in rows]

    def _present(self, segments: Iterable[str]) -> list[str]:
        """Return those of ``segments`` that can be asked for: a file knows no partition that nobody made."""
        if not self._lite:
            return list(segments)
        made = set(self._segments())
        return [name for name in segments if name in made]

    def _segments(self) -> list[str]:
        """Return the segments that are there, whole or not."""
        names: list[str] = []
        with self._reaching("listing segments") as client:
            if self._lite:
                made = client.list_partitions(self.collection, timeout=ANSWER_SECONDS)
                return [name.removeprefix(PARTITION) for name in made if name.startswith(PARTITION)]
            rows = client.query_iterator(
                self.collection,
                filter="unit == 0",  # rows are put in order
                output_fields=["segment"],
                batch_size=1000,
                consistency_level=FRESH,
                timeout=ANSWER_SECONDS,
            )
            while batch := rows.next():
                names.extend(str(row["segment"]) for row in batch)
            rows.close()
        return names

    def _within(self, segments: Collection[str], expression: str = "") -> dict[str, Any]:
        """Return how a search or query is kept to ``segments``, and to the rows of which ``expression`` holds."""
        among = f"segment in {json.dumps(list(segments), ensure_ascii=False)}"
        within: dict[str, Any] = {"filter": f"{among} and {expression}" if expression else among}
        if self._lite:  # a count there heeds the filter alone, a search is faster for the names
            within["partition_names"] = [_partition(name) for name in segments]
        return within

    def _write(self, vectors: Mapping[str, Floats], partly: Collection[str]) -> None:
        """Insert segments, after deleting what there is of those that are there ``partly``.

        Not an upsert, since the server 2.3.5 spreads what is upserted over partitions by the wrong field.
        """
        if self._lite:
            for name, rows in vectors.items():
                with self._reaching("making a partition") as client:
                    if client.has_partition(self.collection, _partition(name), timeout=ANSWER_SECONDS):
                        client.drop_partition(self.collection, _partition(name), timeout=ANSWER_SECONDS)
                    client.create_partition(self.collection, _partition(name), timeout=ANSWER_SECONDS)
                self._insert(_rows({name: rows}), partition_name=_partition(name))
        else:
            self._delete(partly)
            self._insert(_rows(vectors))
        self._flush()

    def _insert(self, rows: Iterable[dict[str, object]], **options: str) -> None:
        for batch in _batches(rows, BATCH_UNITS):
            with self._reaching("inserting units") as client:
                client.insert(self.collection, batch, timeout=ANSWER_SECONDS, **options)

    def _delete(self, segments: Collection[str]) -> None:
        if self._lite:
            for name in segments:
                with self._reaching("deleting a segment") as client:
                    client.drop_partition(self.collection, _partition(name), timeout=ANSWER_SECONDS)
            return
        for names in _batches(segments, MOST_NAMES):
            with self._reaching("deleting segments") as client:
                client.delete(self.collection, timeout=ANSWER_SECONDS, **self._within(names))

    def _flush(self) -> None:
        """Have what was inserted written to files; a server that is gone meanwhile is noticed soon."""
        until = time.monotonic() + FLUSH_SECONDS
        while True:
            try:
                with self._reaching("flushing") as client:
                    client.flush(self.collection, timeout=ANSWER_SECONDS)
                return
            except StoreUnreachableError:
                with self._reaching("flushing") as client:
                    client.get_server_version(timeout=CONNECT_SECONDS)
                if time.monotonic() > until:
                    raise

    def _has_collection(self) -> bool:
        """Say whether the collection is there, after having it loaded: a file is closed with its collections."""
        with self._reaching("opening the collection") as client:
            if not self._collection_is_there:
                found = client.has_collection(self.collection, timeout=ANSWER_SECONDS)
                if found and client.list_indexes(self.collection, timeout=ANSWER_SECONDS):
                    client.load_collection(self.collection, timeout=ANSWER_SECONDS)
                    self._collection_is_there = True
        return self._collection_is_there

    def _make_collection(self) -> None:
        """Create the collection, or go on with one whose creation was cut off."""
        if self._collection_is_there:
            return
        from pymilvus import DataType

        seconds = {"timeout": ANSWER_SECONDS}
        with self._reaching("creating the collection") as client:
            if not client.has_collection(self.collection, **seconds):
                schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
                schema.add_field("key", DataType.VARCHAR, max_length=96, is_primary=True)
                schema.add_field("segment", DataType.VARCHAR, max_length=64, is_partition_key=not self._lite)
                schema.add_field("unit", DataType.INT64)
                schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dimension)
                client.create_collection(self.collection, schema=schema, **seconds)
            if not client.list_indexes(self.collection, **seconds):
                # A file holds what one machine can: all of it is scanned, as in the index folder. HNSW: Malkov and
                # Yashunin (2018), with their middling M; what it passes over in a segment is fetched (see scores).
                kind, options = ("FLAT", {}) if self._lite else ("HNSW", {"M": 16, "efConstruction": 200})
                parameters = client.prepare_index_params()
                parameters.add_index("vector", index_type=kind, metric_type="IP", params=options)
                client.create_index(self.collection, parameters, **seconds)
            client.load_collection(self.collection, **seconds)
        self._collection_is_there = True

    # -- the connection

    @contextmanager
    def _reaching(self, doing: str) -> Iterator[Any]:
        """Give the client; where Milvus does not answer within a call's seconds, say so."""
        import grpc
        from pymilvus.exceptions import MilvusException, ParamError

        try:
            with aside():
                yield self._connect()
        except ParamError:
            raise  # ours: not what Milvus takes
        except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
            self._collection_is_there = False
            raise self._unreachable(doing, str(error)) from error

    def _connect(self) -> Any:
        from pymilvus import MilvusClient

        # What pymilvus writes of a failed call, traceback and all, the exception says too.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        with self._lock:
            uri = self._start_lite() if self._lite else self._uri
            if self._client is None or self._client_uri != uri:
                options = {"grpc.max_reconnect_backoff_ms": 1000, "grpc.initial_reconnect_backoff_ms": 100}
                self._client = MilvusClient(uri=uri, timeout=CONNECT_SECONDS, dedicated=True, grpc_options=options)
                self._client_uri, self._collection_is_there = uri, False
            return self._client

    def _start_lite(self) -> str:
        """Return the address in this process that serves the file, which somebody may have closed meanwhile."""
        from milvus_lite.server_manager import server_manager_instance

        logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)  # as for pymilvus
        Path(self._uri).parent.mkdir(parents=True, exist_ok=True)
        logging.getLogger("grpc._server").addFilter(_is_worth_telling)
        uri = server_manager_instance.start_and_get_uri(self._uri)
        if uri is None:
            raise StoreUnreachableError(f"the Milvus Lite folder {self._shown} {_why_not_open(Path(self._uri))}")
        return str(uri)

    def _unreachable(self, doing: str, reason: str) -> StoreUnreachableError:
        reason = " ".join(reason.split())[:300]
        return StoreUnreachableError(
            f"the vector store at {self._shown} did not answer while {doing} ({reason}); "
            "see that Milvus runs there and is reached from here, then try again (the address is WENTIAO_STORE)"
        )

    def _lacking(self, count: int) -> IndexMismatchError:
        return IndexMismatchError(
            f"the vector store at {self._shown} holds none of the {count} segments of the index; "
            "start again, which opens the index and puts them there (the address is WENTIAO_STORE)"
        )

    def _incomplete(self, segment: str, found: int, units: int) -> IndexMismatchError:
        return IndexMismatchError(
            f"the vector store at {self._shown} holds {found} of the {units} units of segment {segment}; "
            "start again, which opens the index and puts there what is not (the address is WENTIAO_STORE)"
        )


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Say whether it is more than pymilvus trying a call that Milvus Lite has not and doing without it."""
    return not (record.exc_info and isinstance(record.exc_info[1], NotImplementedError))


def _why_not_open(folder: Path) -> str:
    """Return why Milvus Lite does not open ``folder``, and what to do: it says so in its log alone."""
    import fcntl

    if folder.exists() and not folder.is_dir():
        return "is a file, of another version or another program: name one that is not there yet in WENTIAO_STORE"
    try:
        with (folder / "LOCK").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return (
            "is open in another process, which a running server may be, and serves one at a time: stop that process, "
            "or set WENTIAO_STORE to a server's milvus://HOST:PORT"
        )
    except OSError as error:
        return f"cannot be opened ({error.strerror}): see that this user may write there"
    return "cannot be opened, it may be damaged: move it away, and it is filled again from the index"


def _server_uri(address: str) -> str:
    scheme, _, rest = address.partition("://")
    parts = urlsplit(f"//{rest}")
    try:
        named = bool(parts.hostname) and parts.port is not None
    except ValueError:  # no number, or none that a port can have
        named = False
    if not named or scheme not in ("milvus", "milvus+https"):
        raise ValueError(
            "a Milvus server is given as milvus://HOST:PORT or milvus+https://HOST:PORT, "
            f"got {without_password(address)!r}"
        )
    return f"{'https' if scheme == 'milvus+https' else 'http'}://{rest}"


def _partition(segment: str) -> str:
    return PARTITION + segment


def _rows(vectors: Mapping[str, Floats]) -> Iterator[dict[str, object]]:
    for name, rows in vectors.items():
        for unit, vector in enumerate(rows):
            yield {"key": f"{name}-{unit}", "segment": name, "unit": unit, "vector": np.asarray(vector, np.float32)}


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
