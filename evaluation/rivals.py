"""Wentiao beside the stores that people take: ``python -m evaluation rivals``.

LangChain and LlamaIndex over FAISS, txtai, LanceDB and Chroma, each with its own splitter (LanceDB and Chroma have
none and get LangChain's chunks), its own way to keep to one app and its own defaults otherwise, all with our encoder
as their embedding function. A process that only encodes fills one cache of vectors first; then each system builds in a
fresh process and answers in another one. Needs ``pip install -r requirements-baselines.txt``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path

import numpy as np

from corpus.datatypes import Policy
from corpus.load import default_policies_folder, load_policies
from evaluation.metrics import recall_at_k
from evaluation.questions import Question, find_gold_spans, is_gold, load_questions
from evaluation.rival_systems import DEPTH, SPLITTERS, SYSTEMS, Chunk, Floats, Search, Splitter, System, load_splitter
from index.encoder import Encoded, Encoder, Progress, load_encoder

WARM_UP = 3  # questions asked before the clock counts
BLOCK = 256  # texts that are timed together; each is charged by its characters
OFFLINE = {
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "DO_NOT_TRACK"), "1"),
    **dict.fromkeys(("ANONYMIZED_TELEMETRY", "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"), "false"),
}
NOTES = """
Every text is encoded once, before anything is timed, and charged to each system that asks for it; imports are not on
the clock. So the peak of building holds the model for Wentiao alone; that of answering holds it for all. The model
reads 512 tokens: LangChain's splitter is set to 500 characters, since its default is 4,000; LlamaIndex' default
chunks are cut off. LanceDB and Chroma have no splitter and get LangChain's chunks.
"""


@dataclass(frozen=True)
class Built:
    """What building took: vectors, seconds of the encoder and of the rest with splitting, peak of memory in bytes."""

    vectors: int
    encoding: float
    own: float
    peak: int


@dataclass(frozen=True)
class Asked:
    """What answering brought: milliseconds a question, in all and without the encoder, ranks of what is right, peak."""

    milliseconds: tuple[float, ...]
    without_encoder: tuple[float, ...]
    ranks: tuple[int | None, ...]
    peak: int


class VectorCache:
    """Vectors of passages by their text, and the seconds that each cost; one file for one encoder."""

    def __init__(self, path: Path, fingerprint: str | None = None) -> None:
        """Read ``path`` if it is there; what another encoder than that of ``fingerprint`` made is forgotten."""
        self._path = path
        self.vectors: dict[str, Floats] = {}
        self.seconds: dict[str, float] = {}
        if path.exists():
            with np.load(path, allow_pickle=False) as held:
                made_by = str(held["fingerprint"])
                if fingerprint in (None, made_by):
                    keys = held["keys"].tolist()
                    self.vectors = dict(zip(keys, held["vectors"], strict=True))
                    self.seconds = dict(zip(keys, held["seconds"].tolist(), strict=True))
                    fingerprint = made_by
        self.fingerprint = fingerprint

    def fill(self, texts: Iterable[str], encoder: Encoder, *, progress: Progress | None = None) -> None:
        """Encode what is missing, texts of like length together, and write the file after each block."""
        missing = sorted({text for text in texts if _key(text) not in self.vectors}, key=len)
        for first in range(0, len(missing), BLOCK):
            block = missing[first : first + BLOCK]
            began = time.perf_counter()
            vectors = encoder.encode_passages(block).vectors
            a_character = (time.perf_counter() - began) / sum(map(len, block))
            for text, vector in zip(block, vectors, strict=True):
                self.vectors[_key(text)] = vector.astype(np.float32)
                self.seconds[_key(text)] = len(text) * a_character
            self._write()
            if progress:
                progress(first + len(block), len(missing))

    def _write(self) -> None:
        part = self._path.with_suffix(".part.npz")
        np.savez(
            part,
            keys=np.array(list(self.vectors)),
            vectors=np.stack(list(self.vectors.values())),
            seconds=np.array(list(self.seconds.values())),
            fingerprint=np.array(self.fingerprint),
        )
        part.replace(self._path)


class TimedEncoder:
    """An encoder that counts its passages and adds up the seconds of them and of its questions."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.dimension: int = encoder.dimension
        self.token_dimension: int = encoder.token_dimension
        self.fingerprint: str = encoder.fingerprint
        encoder.encode_queries(["热身"])  # what is loaded on first use is not on the clock
        self.passage_count = 0
        self.passage_seconds = 0.0
        self.query_seconds = 0.0

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return the vectors of questions."""
        began = time.perf_counter()
        encoded = self._encoder.encode_queries(texts)
        self.query_seconds += time.perf_counter() - began
        return encoded

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages."""
        began = time.perf_counter()
        encoded = self._encoder.encode_passages(texts, progress=progress)
        self.passage_seconds += time.perf_counter() - began
        self.passage_count += len(texts)
        return encoded


class CachedPassages:
    """The embedding function of a build: passages out of the cache, so that nothing is encoded while it is timed.

    ``seconds`` adds up what they cost when they were encoded; one that is asked for twice counts twice.
    """

    def __init__(self, cache: VectorCache) -> None:
        self._cache = cache
        self.seconds = 0.0

    def passages(self, texts: Sequence[str]) -> Floats:
        """Return float32 of shape (texts, dimension).

        :raises KeyError: if the cache lacks one.
        """
        keys = [_key(text) for text in texts]
        self.seconds += sum(self._cache.seconds[key] for key in keys)
        return np.stack([self._cache.vectors[key] for key in keys])

    def query(self, text: str) -> Floats:
        """Refuse: no question is put while an index is built."""
        raise NotImplementedError(text)


class LiveQueries:
    """The embedding function of an opened index: questions by the encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def passages(self, texts: Sequence[str]) -> Floats:
        """Refuse: no passage comes while questions are put."""
        raise NotImplementedError(f"{len(texts)} passages")

    def query(self, text: str) -> Floats:
        """Return float32 of shape (dimension,)."""
        vector: Floats = self._encoder.encode_queries([text]).vectors[0]
        return vector


OURS = "Wentiao"
VECTORS = "vectors.npz"


def split_policies(policies: Sequence[Policy], split: Splitter) -> list[Chunk]:
    """Return the chunks of all policies, those that are white space left out."""
    chunks = [Chunk(p.app, start, end, p.text[start:end]) for p in policies for start, end in split(p.text)]
    return [chunk for chunk in chunks if chunk.text.strip()]


def ask_all(
    search: Search,
    questions: Sequence[Question],
    texts: Mapping[str, str],
    encoder_seconds: Callable[[], float],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[int | None, ...]]:
    """Return milliseconds, milliseconds without the encoder and rank of what is right, by question.

    :param encoder_seconds: what the encoder has taken for questions so far.
    """
    for question in questions[:WARM_UP]:
        search(question.question, question.app)
    taken: list[float] = []
    without: list[float] = []
    ranks: list[int | None] = []
    for question in questions:
        encoded, began = encoder_seconds(), clock()
        spans = search(question.question, question.app)
        taken.append((clock() - began) * 1000)
        without.append(taken[-1] - (encoder_seconds() - encoded) * 1000)
        gold = find_gold_spans(texts[question.app], question.evidence)
        ranks.append(next((rank for rank, span in enumerate(spans, 1) if is_gold(span, gold)), None))
    return tuple(taken), tuple(without), tuple(ranks)


def render(rows: Sequence[tuple[str, str, str, Built, Asked, int]]) -> str:
    """Return the Markdown table.

    :param rows: the system and its version, what it splits by, how it keeps to one app, what building took, what
        answering brought, bytes on disk.
    """
    columns = (
        "system",
        "splits by",
        "keeps to one app by",
        "vectors",
        "build: encoder s",
        "build: its own s",
        "peak RSS building, MB",
        "disk, MB",
        "query p50 / p95 ms",
        "without the encoder",
        "peak RSS answering, MB",
        "hit@1",
        "hit@3",
    )
    lines = [f"| {' | '.join(columns)} |", f"|---|---|---{'|---:' * (len(columns) - 3)}|"]
    for title, splitter, one_app, built, asked, disk in rows:
        times = [np.percentile(figures, [50, 95]) for figures in (asked.milliseconds, asked.without_encoder)]
        hits = [float(np.mean([recall_at_k(rank, k) for rank in asked.ranks])) for k in (1, 3)]
        cells = [
            title,
            splitter,
            one_app,
            f"{built.vectors:,}",
            f"{built.encoding:.1f}",
            f"{built.own:.1f}",
            f"{built.peak / 1e6:.0f}",
            f"{disk / 1e6:.1f}",
            *(f"{p50:.1f} / {p95:.1f}" for p50, p95 in times),
            f"{asked.peak / 1e6:.0f}",
            *(f"{hit:.3f}" for hit in hits),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def choose_policies(data: Path, count: int | None) -> tuple[list[Policy], list[Question]]:
    """Return ``count`` policies (or all), those with dev questions first, and the questions that they answer."""
    questions = [question for question in load_questions(data / "questions" / "dev") if question.answerable]
    wanted = {question.app for question in questions}
    policies = sorted(
        load_policies([default_policies_folder(), data / "policies"]), key=lambda policy: policy.app not in wanted
    )[:count]
    apps = {policy.app for policy in policies}
    return policies, [question for question in questions if question.app in apps]


def run_step(step: str, name: str, work: Path, policies: Sequence[Policy], questions: Sequence[Question]) -> None:
    """Do one step of one system in this process, which is fresh, and leave its record in ``work``.

    :param name: of a splitter for ``split``, of a system for ``build`` and ``ask``.
    """
    folder = work / name
    if step == "split":
        split = load_splitter(name)
        began = time.perf_counter()
        chunks = split_policies(policies, split)
        taken = time.perf_counter() - began
        _write_json(work / f"{name}.json", {"seconds": taken, "chunks": [asdict(chunk) for chunk in chunks]})
    elif step == "encode":
        encoder = TimedEncoder(load_encoder())
        texts = [chunk.text for splitter in SPLITTERS for chunk in _read_chunks(work, splitter)[1]]
        VectorCache(work / VECTORS, encoder.fingerprint).fill(texts, encoder, progress=_show)
    elif step == "build":
        store = folder / "store"
        store.mkdir(parents=True)
        built = _build_ours(policies, store) if name == OURS else _build_other(SYSTEMS[name], store, work)
        _write_json(folder / "build.json", asdict(built))
    else:
        encoder = TimedEncoder(load_encoder())
        if name == OURS:
            search = _open_ours(folder / "store", encoder)
        else:
            search = SYSTEMS[name].open(folder / "store", LiveQueries(encoder))
        policy_texts = {policy.app: policy.text for policy in policies}
        answered = ask_all(search, questions, policy_texts, lambda: encoder.query_seconds)
        _write_json(folder / "ask.json", asdict(Asked(*answered, peak_memory())))


def _build_other(system: System, store: Path, work: Path) -> Built:
    split_seconds, chunks = _read_chunks(work, system.splitter)
    embedding = CachedPassages(VectorCache(work / VECTORS))
    for module in system.modules:
        import_module(module)  # not on the clock
    began = time.perf_counter()
    system.build(chunks, store, embedding)
    taken = time.perf_counter() - began
    return Built(len(chunks), embedding.seconds, split_seconds + taken, peak_memory())


def _build_ours(policies: Sequence[Policy], store: Path) -> Built:
    from index.store import build_index

    encoder = TimedEncoder(load_encoder())
    began = time.perf_counter()
    build_index(policies, store, encoder)
    taken = time.perf_counter() - began
    return Built(encoder.passage_count, encoder.passage_seconds, taken - encoder.passage_seconds, peak_memory())


def _open_ours(store: Path, encoder: Encoder) -> Search:
    from retrieval import Assistant

    assistant = Assistant.open(store, encoder=encoder)
    return lambda question, app: [(p.start, p.end) for p in assistant.search(question, app=app, top_k=DEPTH)]


def peak_memory() -> int:
    """Return the most bytes that this process has held so far, as Linux counts them: with the mapped files it read."""
    [line] = [row for row in Path("/proc/self/status").read_text().split("\n") if row.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: end whatever looks up a host or connects to one.

    :raises ConnectionRefusedError: always on such an event.
    """
    place = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.connect": 1}.get(event)
    if place is not None and not (place and isinstance(arguments[place], str)):  # a string is a socket of this machine
        raise ConnectionRefusedError(f"{event} {arguments[place]}: nothing may be fetched while systems are compared")


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _show(done: int, count: int) -> None:
    sys.stderr.write(f"\r{done:,} of {count:,} texts encoded" + "\n" * (done == count))


def _write_json(path: Path, record: Mapping[str, object]) -> None:
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


def _read_chunks(work: Path, splitter: str) -> tuple[float, list[Chunk]]:
    record = json.loads((work / f"{splitter}.json").read_text(encoding="utf-8"))
    return record["seconds"], [Chunk(**chunk) for chunk in record["chunks"]]


def _describe(policies: Sequence[Policy], questions: Sequence[Question]) -> str:
    """Return the lines above the table: machine, commit, corpus and the versions that the table does not name."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    models = [row for row in Path("/proc/cpuinfo").read_text().split("\n") if row.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        f"{models[0].partition(': ')[2] if models else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"
    )
    packages = ("langchain-text-splitters", "faiss-cpu", "numpy", "openvino")
    others = [f"{name} {metadata.version(name)}" for name in packages]
    return (
        f"{machine}, Python {platform.python_version()}, commit {commit.stdout.strip() or 'unknown'}, "
        f"{', '.join(others)}. {len(policies)} policies of {sum(len(one.text) for one in policies):,} characters, "
        f"{len(questions)} dev questions with evidence.\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Run every step in a process of its own and print the table; 1 where a system failed, 2 where one is missing."""
    parser = argparse.ArgumentParser(prog="python -m evaluation rivals", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--policies", type=int, metavar="N", help="so many, those with dev questions first")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep everything there; vectors in it are not made")
    parser.add_argument("--index", type=Path, metavar="FOLDER", help=f"the folder {OURS} of an earlier run's --work")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    policies, questions = choose_policies(options.data, options.policies)
    if options.step:
        sys.addaudithook(refuse_network)
        step, name = options.step
        run_step(step, name, options.work, policies, questions)
        return 0
    packages = {name: system.package for name, system in SYSTEMS.items()}
    try:
        versions = {name: metadata.version(package) for name, package in packages.items()}
    except metadata.PackageNotFoundError as exc:
        sys.stderr.write(f"{exc.name} is not installed: pip install -r requirements-baselines.txt\n")
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        work: Path = options.work or Path(temporary)
        folders = {name: work / name for name in [*SYSTEMS, OURS]}
        for folder in folders.values():
            if not options.index or folder.resolve() != options.index.resolve():
                shutil.rmtree(folder, ignore_errors=True)
        if options.index and not folders[OURS].exists():
            shutil.copytree(options.index, folders[OURS])
        work.mkdir(parents=True, exist_ok=True)
        same = ["--work", str(work), "--data", str(options.data)]
        same += ["--policies", str(options.policies)] if options.policies else []

        def run(step: str, name: str) -> bool:
            sys.stderr.write(f"{step} {name}\n")
            command = [sys.executable, "-m", "evaluation", "rivals", "--step", step, name, *same]
            return subprocess.run(command, env=os.environ | OFFLINE, check=False).returncode == 0

        if not (all(run("split", name) for name in SPLITTERS) and run("encode", "all")):
            return 1
        rows, failed = [], []
        for name, folder in folders.items():
            if not ((name == OURS and options.index) or run("build", name)) or not run("ask", name):
                failed.append(name)
                continue
            built = Built(**json.loads((folder / "build.json").read_text(encoding="utf-8")))
            asked = Asked(**json.loads((folder / "ask.json").read_text(encoding="utf-8")))
            disk = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())
            about = ("clauses and their sentences", "one segment an app")
            if name in SYSTEMS:
                about = (SPLITTERS[SYSTEMS[name].splitter], SYSTEMS[name].one_app)
            rows.append((f"{name} {versions.get(name, '')}".strip(), *about, built, asked, disk))
    sys.stdout.write(f"{_describe(policies, questions)}\n{render(rows)}{NOTES}")
    sys.stderr.writelines(f"{name} failed; its error stands above\n" for name in failed)
    return 1 if failed else 0
