"""Many clients at once against a real server: ``python -m evaluation load``.

Every answer that comes back is compared with what the same question gets alone. The yardstick, encoder and second stage
over the same questions in one large batch, takes turns with the server on the same cores, so that the ratio holds on a
shared machine too; questions a second compare within one run only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpus.lexicons import load_glossary
from evaluation.questions import Question, load_questions
from evaluation.serving import serving, wait_for_calm
from index.encoder import Encoded, Encoder, Progress, load_encoder
from index.engine import core_count
from index.store import Generation, open_default, open_generation
from retrieval import Assistant
from retrieval.query import Glossary, understand
from retrieval.question import detect_language
from retrieval.rerank import load_reranker
from retrieval.search import rank

ROOT = Path(__file__).resolve().parent.parent
BATCH_SIZES = (8, 64)
ROUNDS = 5  # that yardstick and server take turns
OVERLOADED_BOUND = 8  # questions that a server takes in where it is to be overrun
BUSY = 503

Key = tuple[str, tuple[tuple[str, str], ...]]
"""What an answer says: its status, and of each citation the clause and the quote."""


@dataclass(frozen=True)
class Reply:
    """What came back for a question, and after how many seconds; ``retry_after`` as the header has it."""

    question: int
    status: int
    seconds: float
    retry_after: str | None
    body: bytes


class RecalledEncoder:
    """An encoder that gives the vectors that a batch gave, and notes which texts it is asked for."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.dimension: int = encoder.dimension
        self.token_dimension: int = encoder.token_dimension
        self.fingerprint: str = encoder.fingerprint
        self.asked: dict[str, None] = {}
        self._known: dict[str, Encoded] = {}

    def encode_in_batches(self, texts: Sequence[str], size: int) -> None:
        """Encode ``texts`` in batches of ``size``, in their order, and keep what comes."""
        self._known = {}
        for start in range(0, len(texts), size):
            batch = texts[start : start + size]
            encoded = self._encoder.encode_queries(batch)
            for i, text in enumerate(batch):
                self._known[text] = Encoded(encoded.vectors[i : i + 1], encoded.tokens[i : i + 1])

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return what is kept, each text by itself; what is not is encoded alone."""
        self.asked.update(dict.fromkeys(texts))
        parts = [self._known.get(text) or self._encoder.encode_queries([text]) for text in texts]
        vectors = (
            np.concatenate([part.vectors for part in parts]) if parts else np.empty((0, self.dimension), np.float32)
        )
        return Encoded(vectors, tuple(token for part in parts for token in part.tokens))

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages."""
        return self._encoder.encode_passages(texts, progress=progress)


def key_of(answer: Mapping[str, Any]) -> Key:
    """Return what of an answer, as a dictionary, must be the same each time."""
    return answer["status"], tuple((one["clause_id"], one["quote"]) for one in answer["citations"])


def find_unsteady(
    encoder: Encoder, questions: Sequence[Question], index: Path | None, alone: Sequence[Key]
) -> dict[int, list[Question]]:
    """Return by batch size the questions whose answer is not that of ``alone``."""
    recalled = RecalledEncoder(encoder)
    assistant = Assistant.open(index, encoder=recalled)
    for question in questions:
        assistant.ask(question.question, app=question.app)
    texts = list(recalled.asked)
    unsteady = {}
    for size in BATCH_SIZES:
        recalled.encode_in_batches(texts, size)
        answers = [assistant.ask(one.question, app=one.app).to_dict() for one in questions]
        unsteady[size] = [
            one for one, answer, key in zip(questions, answers, alone, strict=True) if key_of(answer) != key
        ]
    return unsteady


class Yardstick:
    """Encoder and second stage over questions in one large batch; what else an answer takes is done before."""

    def __init__(self, encoder: Encoder, generation: Generation, questions: Sequence[Question]) -> None:
        """:raises ValueError: if the second stage was trained on another encoder."""
        reranker = load_reranker(encoder.fingerprint)
        if reranker is None:
            raise ValueError("there is no second stage for this model; leave WENTIAO_MODEL out")
        glossary = Glossary(load_glossary())
        self._reranker = reranker
        self._encoder = encoder
        asked = [understand(one.question, detect_language(one.question), glossary) for one in questions]
        self._texts = [one.query.text for one in asked]
        encoded = encoder.encode_queries(self._texts)
        self._rankings = [
            rank(generation.by_app[question.app], one.query, vector)
            for question, one, vector in zip(questions, asked, encoded.vectors, strict=True)
        ]

    def measure(self) -> float:
        """Return the questions a second of one pass."""
        began = time.perf_counter()
        for encoded, ranking in zip(self._encoder.encode_queries(self._texts), self._rankings, strict=True):
            self._reranker.judge(encoded, ranking)
        return len(self._texts) / (time.perf_counter() - began)


async def ask_from_many(
    address: tuple[str, int], requests: Sequence[bytes], order: Sequence[int], clients: int
) -> tuple[list[Reply], float]:
    """Put the requests of ``order`` to a server from so many connections, each the next one when it has its answer.

    :return: the replies in the order in which they came, and the seconds from the first to the last.
    """
    todo = iter(order)
    replies: list[Reply] = []

    async def be_client() -> None:
        reader, writer = await asyncio.open_connection(*address)
        for question in todo:
            began = time.perf_counter()
            writer.write(requests[question])
            status, retry_after, body = await read_response(reader)
            replies.append(Reply(question, status, time.perf_counter() - began, retry_after, body))
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(be_client() for _ in range(clients)))
    return replies, time.perf_counter() - began


async def read_response(reader: asyncio.StreamReader) -> tuple[int, str | None, bytes]:
    """Return status, ``Retry-After`` and body of one response that says its length."""
    status, headers, body = await read_whole_response(reader)
    return status, headers.get("retry-after"), body


async def read_whole_response(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str], bytes]:
    """Return status, headers by their names in small letters, and body of one response that says its length.

    An HTTP library took longer for it than the server did for some answers, on the same cores.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, body


def make_request(question: Question) -> bytes:
    """Return a question about its app as it goes over the wire, connection kept."""
    body = json.dumps({"question": question.question, "app": question.app}, ensure_ascii=False).encode()
    head = (
        f"POST /api/v1/ask HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    )
    return f"{head}\r\n\r\n".encode() + body


def ask_alone(assistant: Assistant, data: Path) -> tuple[list[Question], list[Key]]:
    """Return the dev questions about the apps of the index, and what each is answered when nothing else is asked."""
    apps = set(assistant.apps())
    questions = [one for one in load_questions(data / "questions" / "dev") if one.app in apps]
    return questions, [key_of(assistant.ask(one.question, app=one.app).to_dict()) for one in questions]


def describe(replies: Sequence[Reply], seconds: float, expected: Sequence[Key]) -> dict[str, float]:
    """Return what came of a run: answers a second, percentiles of their milliseconds, and how many were not right.

    ``wrong`` are answers that differ from the same question's alone, ``failed`` replies that are neither an answer nor
    a refusal for want of room, ``untold`` refusals that do not say when to come again.
    """
    answered = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == BUSY]
    told = {"refused": float(len(refused)), "failed": float(len(replies) - len(answered) - len(refused))}
    told["wrong"] = float(sum(key_of(json.loads(one.body)) != expected[one.question] for one in answered))
    told["untold"] = float(sum(not (one.retry_after or "").isdecimal() for one in refused))
    told["answers_per_second"] = len(answered) / seconds
    for name, of in (("answer", answered), ("refusal", refused)):
        if of:
            p50, p95 = np.percentile([1000 * one.seconds for one in of], [50, 95])
            told |= {f"{name}_p50": float(p50), f"{name}_p95": float(p95)}
    return told


def measure_load(
    yardstick: Yardstick, address: tuple[str, int], requests: Sequence[bytes], order: Sequence[int],
    expected: Sequence[Key], *, clients: int,
) -> Iterator[str]:  # fmt: skip
    """Yield lines: server and yardstick in turns, and their medians."""
    asyncio.run(
        ask_from_many(address, requests, order[: 2 * clients], clients)
    )  # what is loaded by the first questions
    shares, ratios = [], []
    for turn in range(1, ROUNDS + 1):
        before = yardstick.measure()
        replies, seconds = asyncio.run(ask_from_many(address, requests, order, clients))
        batch = (before + yardstick.measure()) / 2
        told = describe(replies, seconds, expected)
        shares.append(told["answers_per_second"] / batch)
        ratios.append(told["answer_p95"] / told["answer_p50"])
        yield (
            f"  turn {turn}: {told['answers_per_second']:6.1f} answers/s, one large batch {batch:6.1f} questions/s, "
            f"share {shares[-1]:.2f}; p50 {told['answer_p50']:.0f} ms, p95 {told['answer_p95']:.0f} ms, "
            f"p95/p50 {ratios[-1]:.2f}; wrong {told['wrong']:.0f}, failed {told['failed']:.0f}, "
            f"refused {told['refused']:.0f}"
        )
    yield f"  median share of the large batch {np.median(shares):.2f}, median p95/p50 {np.median(ratios):.2f}"


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code: 1 where more than one answer in a hundred is another in a batch."""
    parser = argparse.ArgumentParser(prog="python -m evaluation load", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="default %(default)s")
    parser.add_argument("--index", type=Path, help="an index of the shipped policies (default: the default one)")
    parser.add_argument("--clients", type=int, default=64, help="default %(default)s")
    parser.add_argument("--questions", type=int, default=412, help="questions of a turn (default %(default)s)")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="servers to measure (default: 1 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the questions")
    options = parser.parse_args(arguments)
    out = sys.stdout

    encoder = load_encoder()
    questions, expected = ask_alone(Assistant.open(options.index, encoder=encoder), options.data)
    order = random.Random(options.seed).choices(range(len(questions)), k=options.questions)
    requests = [make_request(one) for one in questions]
    out.write(
        f"{platform.machine()}, {core_count()} cores, Python {platform.python_version()}, {len(questions)} questions\n"
    )

    failed = False
    for size, unsteady in find_unsteady(encoder, questions, options.index, expected).items():
        share = 1 - len(unsteady) / len(questions)
        out.write(f"encoded in batches of {size}: {share:.3f} of the questions with the answer they get alone\n")
        out.writelines(f"  another one: {one.id}\n" for one in unsteady)
        failed |= share < 0.99
    generation = open_generation(options.index, encoder.fingerprint) if options.index else open_default(encoder)
    yardstick = Yardstick(encoder, generation, [questions[place] for place in order])
    for workers in options.workers:
        out.write(f"{options.clients} clients, {workers} worker(s), {options.questions} questions a turn\n")
        with serving(options.index, workers=workers) as server:
            wait_for_calm(server.pid)
            for line in measure_load(yardstick, server.address, requests, order, expected, clients=options.clients):
                out.write(f"{line}\n")
                out.flush()
    bound = {"WENTIAO_MAX_QUESTIONS": str(OVERLOADED_BOUND)}
    with serving(options.index, settings=bound) as server:
        wait_for_calm(server.pid)
        replies, seconds = asyncio.run(ask_from_many(server.address, requests, order, options.clients))
    told = describe(replies, seconds, expected)
    out.write(
        f"{options.clients} clients where {OVERLOADED_BOUND} are let in: {told['refused']:.0f} refused, "
        f"p50 {told.get('refusal_p50', 0.0):.1f} ms, p95 {told.get('refusal_p95', 0.0):.1f} ms, "
        f"{told['untold']:.0f} without Retry-After; {len(replies) - told['refused'] - told['failed']:.0f} answered, "
        f"wrong {told['wrong']:.0f}, failed {told['failed']:.0f}\n"
    )
    return int(failed)
