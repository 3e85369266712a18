"""What grows with the corpus and what does not: ``python -m evaluation scale``.

Three measurements. One index with 5, all and 10,000 apps: opening it, and a question that names its app. Questions
across apps, on the index of all policies: exact search, and whether the apps that it picks are those that hold the best
clauses. And the table by which ``index/nearest.py`` was chosen: exact and approximate FAISS indexes over real unit
vectors, perturbed to up to a million.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.questions import Question, load_questions
from index.encoder import Encoder, load_encoder
from index.manifest import Manifest, Version, read_manifest, write_generation
from index.nearest import ApproximateUnits, Neighbour, search_exactly
from index.segment import OUTLINE_FILES, made_by, read_outline, segment_name, write_outline
from index.store import CHECKSUMS, open_generation
from index.tokens import Floats, unit_rows
from index.vectors import FolderVectors
from retrieval import Assistant

NOISE = 0.5  # length of what is added to a unit vector: the cosine to what it was is 0.89
SIZES = (50_000, 100_000, 250_000, 1_000_000)
PROBES = (16, 32, 64, 128)
LARGEST_GRAPH = 100_000  # vectors; a graph of a million takes an hour of one core to build
_CHARACTERS = "云星河山海风月雪松竹梅兰青白红蓝金银春夏秋冬东西南北天地日光明晨夜雨雷电林木花草"


def milliseconds(call: Callable[[], object]) -> float:
    """Return how long one call takes."""
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


def multiply_apps(source: Path, out: Path, count: int, encoder: Encoder) -> None:
    """Write an index of ``count`` apps at ``out``: the apps of ``source``, again and again, under names of their own.

    Policy and clauses are written anew, as of another app; the arrays, which name no app, are the same files.
    """
    held = read_manifest(source).current[:count]
    outlines = [read_outline(source / "segments" / version.segment) for version in held]
    versions: list[Version] = []
    (out / "segments").mkdir(parents=True)
    for number in range(count):
        version, (policy, clauses) = held[number % len(held)], outlines[number % len(held)]
        if number >= len(held):
            before = policy.policy_id
            policy = replace(policy, app=name_app(number), aliases=(), operator=None)
            ids = {one.clause_id: policy.policy_id + one.clause_id.removeprefix(before) for one in clauses}
            clauses = tuple(
                replace(
                    one, clause_id=ids[one.clause_id], policy_id=policy.policy_id, lead_in=ids.get(one.lead_in or "")
                )
                for one in clauses
            )
        name = segment_name(policy, encoder.fingerprint)
        place = out / "segments" / name
        skipped = shutil.ignore_patterns(*OUTLINE_FILES, CHECKSUMS)
        shutil.copytree(source / "segments" / version.segment, place, copy_function=os.link, ignore=skipped)
        write_outline(place, policy, clauses)
        files = {file: digest for file, digest in version.files.items() if file not in (*OUTLINE_FILES, CHECKSUMS)}
        files |= {file: hashlib.sha256((place / file).read_bytes()).hexdigest() for file in OUTLINE_FILES}
        versions.append(
            replace(
                version,
                app=policy.app,
                policy_id=policy.policy_id,
                segment=name,
                files=files,
                aliases=policy.aliases,
                operator=policy.operator,
            )
        )
    write_generation(out, Manifest(made_by(encoder.fingerprint), tuple(versions)))


def name_app(number: int) -> str:
    """Return the name of an app that there is not, another one for each number up to 64,000."""
    first, rest = divmod(number, len(_CHARACTERS) ** 2)
    second, third = divmod(rest, len(_CHARACTERS))
    return "".join(_CHARACTERS[at] for at in (first, second, third)) + "助手"


def measure_apps(index: Path, questions: Sequence[Question], encoder: Encoder) -> Iterator[str]:
    """Yield what an index of 5, all and 10,000 apps costs to open, and to ask a question that names its app."""
    assistants: dict[int, Assistant] = {}
    with tempfile.TemporaryDirectory(dir=index.parent) as folder:
        total = len(read_manifest(index).current)
        yield (
            "| apps | clauses and sentences | open | memory of it | ask, p50 | p95 | to that of 5 "
            "| an app's first question | its second |"
        )
        yield "|---|---|---|---|---|---|---|---|---|"
        opened: dict[int, tuple[int, float, int]] = {}
        for count in (5, total, 10_000):
            out = Path(folder) / str(count)
            multiply_apps(index, out, count, encoder)
            before, began = resident(), time.perf_counter()
            assistants[count] = Assistant.open(out, encoder=encoder)
            opened[count] = (sum(one.units for one in read_manifest(out).current), time.perf_counter() - began, 0)
            opened[count] = (*opened[count][:2], resident() - before)
        cold = {count: _ask_each_app_twice(assistant, questions) for count, assistant in assistants.items()}
        asked = [f"{one.app} {one.question}" for one in questions if one.app in assistants[5].apps()]
        taken: dict[int, list[float]] = {count: [] for count in assistants}
        differing = 0
        for question in asked[:3] + asked:
            answers = []
            for count, assistant in assistants.items():
                began = time.perf_counter()
                answers.append(assistant.ask(question))
                taken[count].append(1000 * (time.perf_counter() - began))
            differing += any(answer != answers[0] for answer in answers)
        base = float(np.median(taken[5][3:]))
        for count, (units, seconds, memory) in opened.items():
            p50, p95 = np.percentile(taken[count][3:], [50, 95])
            yield (
                f"| {count:,} | {units:,} | {seconds:.1f} s | {memory} MB | {p50:.1f} ms | {p95:.1f} ms "
                f"| {p50 / base:.2f} | {cold[count][0]:.1f} ms | {cold[count][1]:.1f} ms |"
            )
        yield f"\n{len(asked)} questions, asked in turns; answers that differ from those of 5 apps: {differing}"


def _ask_each_app_twice(assistant: Assistant, questions: Sequence[Question]) -> tuple[float, float]:
    """Return the median milliseconds of an app's first question and of its second, over apps of the whole index."""
    apps = assistant.apps()
    chosen = [apps[at] for at in np.linspace(0, len(apps) - 1, min(len(apps), 60)).astype(int)]
    first: list[float] = []
    second: list[float] = []
    for app, question in zip(chosen, itertools.cycle(questions), strict=False):
        for taken in (first, second):
            taken.append(milliseconds(partial(assistant.ask, question.question, app=app)))
    return float(np.median(first)), float(np.median(second))


def measure_across(index: Path, questions: Sequence[Question], encoder: Encoder) -> Iterator[str]:
    """Yield how long a question across all apps takes, and how much it finds of what a search of every app finds."""
    assistant = Assistant.open(index, encoder=encoder)
    generation = open_generation(index, encoder.fingerprint)
    names = generation.app_of
    vectors = FolderVectors(index).vectors
    taken: dict[str, list[float]] = {"encoder": [], "nearest units, exact": [], "search": [], "ask": []}
    found = first = 0
    for question in questions:
        text = assistant.without_apps(question.question)
        query = encoder.encode_queries([text]).vectors[0]
        taken["encoder"].append(milliseconds(partial(encoder.encode_queries, [text])))
        taken["nearest units, exact"].append(milliseconds(partial(search_exactly, query, 256, names, vectors)))
        taken["search"].append(milliseconds(partial(assistant.search, text)))
        taken["ask"].append(milliseconds(partial(assistant.ask, text)))
        every = [one for app in assistant.apps() for one in assistant.search(text, app=app)]
        best = sorted(every, key=lambda one: (-one.score, one.clause_id))[:10]
        near = assistant.search(text)
        found += len({one.clause_id for one in best} & {one.clause_id for one in near})
        first += best[0].clause_id == near[0].clause_id
    yield f"{len(assistant.apps())} apps, {len(questions)} questions without their app"
    for stage, times in taken.items():
        p50, p95 = np.percentile(times, [50, 95])
        yield f"  {stage:24} {p50:8.1f} ms p50 {p95:8.1f} ms p95"
    shares = found / 10 / len(questions), first / len(questions)
    yield "  of the ten best clauses of all apps {:.3f} are found, of the very best {:.3f}".format(*shares)


def measure_nearest(
    index: Path, questions: Sequence[Question], encoder: Encoder, sizes: Sequence[int]
) -> Iterator[str]:
    """Yield the table of exact and approximate FAISS indexes by size, every search in one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    vectors = FolderVectors(index).vectors
    real = np.vstack([vectors(version.segment) for version in read_manifest(index).current])
    queries = encoder.encode_queries([one.question for one in questions]).vectors
    yield f"{len(real):,} real vectors, {len(queries)} questions"
    yield "| units | index | recall@10 | p50 | p95 | build | load | bytes a unit |"
    yield "|---|---|---|---|---|---|---|---|"
    for size in sizes:
        rows = perturb(real, size)
        parts = {f"{start:08}": rows[start : start + 500] for start in range(0, size, 500)}

        def search_all(query: Floats, parts: Mapping[str, Floats] = parts) -> list[Neighbour]:
            return search_exactly(query, 10, parts, parts.__getitem__)

        exact, times = _search_each(search_all, queries)
        yield _row(size, "exact", 1.0, times, 0.0, 0.0, 4 * rows.shape[1])
        began = time.perf_counter()
        built = ApproximateUnits.build({name: len(own) for name, own in parts.items()}, parts.__getitem__)
        build = time.perf_counter() - began
        with tempfile.TemporaryDirectory(dir=index.parent) as folder:
            built.save(Path(folder))
            length = sum(path.stat().st_size for path in Path(folder).iterdir()) / size
            began = time.perf_counter()
            loaded = ApproximateUnits.load(Path(folder))
            load = time.perf_counter() - began
            assert loaded is not None
            for probed in PROBES:
                search = partial(loaded.search, top_k=10, segments=parts, vectors=parts.__getitem__, probed=probed)
                found, times = _search_each(search, queries)
                kind = f"lists of 8-bit vectors, {probed} looked through, scored again"
                yield _row(size, kind, _recall(found, exact), times, build, load, length)
        if size > LARGEST_GRAPH:
            continue
        began = time.perf_counter()
        graph = faiss.index_factory(rows.shape[1], "HNSW32,SQ8", faiss.METRIC_INNER_PRODUCT)
        graph.train(rows[:50_000])
        graph.add(rows)
        build = time.perf_counter() - began
        faiss.ParameterSpace().set_index_parameter(graph, "efSearch", 128)

        def search_graph(query: Floats, graph: faiss.Index = graph) -> list[Neighbour]:
            scores, units = graph.search(query[np.newaxis], 10)
            return [
                Neighbour(f"{500 * (int(unit) // 500):08}", int(unit) % 500, float(score))
                for unit, score in zip(units[0], scores[0], strict=True)
            ]

        found, times = _search_each(search_graph, queries)
        held = len(faiss.serialize_index(graph)) / size
        yield _row(size, "HNSW32 over 8-bit vectors, efSearch 128", _recall(found, exact), times, build, 0.0, held)


def perturb(real: Floats, size: int) -> Floats:
    """Return ``size`` unit vectors: ``real`` first, then again and again with noise added.

    The noise is the difference of two real vectors, so that it has the directions that real ones differ in, scaled to
    the length :data:`NOISE`.
    """
    random = np.random.default_rng(0)
    rows = np.empty((size, real.shape[1]), np.float32)
    for start in range(0, size, len(real)):
        own = real[: size - start]
        if start:
            noise = unit_rows(real[random.permutation(len(real))] - real[random.permutation(len(real))])[: len(own)]
            own = unit_rows(own + np.float32(NOISE) * noise)
        rows[start : start + len(own)] = own
    return rows


def _search_each(
    search: Callable[[Floats], list[Neighbour]], queries: Floats
) -> tuple[list[list[Neighbour]], list[float]]:
    found, taken = [], []
    for query in queries[:3]:
        search(query)
    for query in queries:
        began = time.perf_counter()
        found.append(search(query))
        taken.append(1000 * (time.perf_counter() - began))
    return found, taken


def _recall(found: Sequence[Sequence[Neighbour]], exact: Sequence[Sequence[Neighbour]]) -> float:
    """Return the share of ``exact`` that was found; what scores the same as the last of it counts too."""
    hits = 0
    for ours, theirs in zip(found, exact, strict=True):
        hits += len({(one.segment, one.unit) for one in ours} & {(one.segment, one.unit) for one in theirs})
    return hits / sum(map(len, exact))


def _row(size: int, kind: str, recall: float, times: Sequence[float], build: float, load: float, length: float) -> str:
    p50, p95 = np.percentile(times, [50, 95])
    cells = (f"{size:,}", kind, f"{recall:.3f}", f"{p50:.1f} ms", f"{p95:.1f} ms", f"{build:.0f} s", f"{load:.1f} s")
    return f"| {' | '.join(cells)} | {length:.0f} |"


def resident() -> int:
    """Return this process's resident memory in MB, without the pages of mapped files."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) // 1024


def main(arguments: Sequence[str]) -> int:
    """Print the measurements, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m evaluation scale", description=__doc__)
    parser.add_argument("index", type=Path, help="a built index of many policies; copies are written beside it")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=("apps", "across", "nearest"))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of vectors of the last table")
    options = parser.parse_args(arguments)
    encoder = load_encoder()
    questions = load_questions(options.data / "questions" / "dev")
    measured: dict[str, Callable[[], Iterator[str]]] = {
        "apps": lambda: measure_apps(options.index, questions, encoder),
        "across": lambda: measure_across(options.index, questions[::5], encoder),
        "nearest": lambda: measure_nearest(options.index, questions, encoder, options.sizes),
    }
    for name, lines in measured.items():
        if options.only in (None, name):
            sys.stdout.write("\n")
            for line in lines():
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
    return 0
