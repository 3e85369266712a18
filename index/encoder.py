"""Texts to unit vectors: the contract, the real encoder over an engine, and a small one for tests."""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from index.engine import Engine, Precision, supports_bfloat16
from index.model import (
    TOKEN_PROJECTION,
    hash_files,
    prepare_openvino_model,
    refuse_code,
    shipped_difference,
    shipped_projection,
)
from index.tokens import Floats, unit_rows

Progress = Callable[[int, int], None]

# Padded tokens in one forward pass. Clauses of the five policies a second of one core's time, on OpenVINO in bfloat16,
# the sizes taking turns: 256: 41, 512: 48, 1024: 43, 2048: 40, 4096: 31; on torch 512 was the best too.
TOKENS_PER_BATCH = 512
PASS_TOKENS = 20  # that cost as much as beginning a pass: 2.3 ms beside 0.12 ms a token, where those were measured


@dataclass(frozen=True)
class EncodedText:
    """One text: its ``vector``, of unit length, and those of its ``tokens``, unit rows, the prompt's left out."""

    vector: Floats
    tokens: Floats


@dataclass(frozen=True)
class Encoded:
    """Texts as vectors, in their order.

    ``vectors`` is float32 of shape (texts, dimension); ``tokens`` holds for each text float32 of shape (tokens, token
    dimension). All rows have unit length.
    """

    vectors: Floats
    tokens: tuple[Floats, ...]

    def __iter__(self) -> Iterator[EncodedText]:
        """Return the texts one by one."""
        return map(EncodedText, self.vectors, self.tokens)


class Encoder(Protocol):
    """What an index asks of an encoder; vectors of two encoders compare only where the fingerprints are equal."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        ...

    @property
    def token_dimension(self) -> int:
        """The length of a token's vector; 0 for an encoder that gives none."""
        ...

    @property
    def fingerprint(self) -> str:
        """The hash of everything that decides a vector."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return the vectors of questions."""
        ...

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages.

        :param progress: called after each batch with the passages done and all of them.
        """
        ...


class SentenceEncoder:
    """An engine, its model's prompts put before each text, usable from several threads.

    The same text encoded alone and in a batch differs by up to 7e-4 in bfloat16, so scores want rounding downstream.
    """

    def __init__(self, engine: Engine, *, projection: Floats | None) -> None:
        """Wrap a loaded model.

        :param projection: float32 of shape (token dimension, state size), what makes a token's vector of its last
            state; ``None`` gives no token vectors.
        """
        self._engine = engine
        self._projection = projection
        facts = engine.facts
        self.dimension: int = engine.dimension
        self.token_dimension: int = 0 if projection is None else len(projection)
        # The first token and the prompt's, without the last; the space after that goes with the first word.
        prompts = (facts.query_prompt, facts.passage_prompt)
        alone = engine.tokenize([prompt.rstrip() for prompt in prompts])
        self._skipped = {prompt: len(ids) - 1 for prompt, ids in zip(prompts, alone, strict=True)}
        projected = "" if projection is None else hashlib.sha256(projection.tobytes()).hexdigest()
        identity = [facts.weights, facts.query_prompt, facts.passage_prompt, facts.max_length, projected]
        self.fingerprint: str = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return the vectors of questions."""
        return self._encode(texts, self._engine.facts.query_prompt, None)

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages; see :class:`Encoder`."""
        return self._encode(texts, self._engine.facts.passage_prompt, progress)

    def _encode(self, texts: Sequence[str], prompt: str, progress: Progress | None) -> Encoded:
        ids = self._engine.tokenize([prompt + text for text in texts])
        vectors = np.empty((len(texts), self.dimension), np.float32)
        tokens = [np.empty((0, self.token_dimension), np.float32)] * len(texts)
        skipped = self._skipped[prompt]
        done = 0
        for batch in batch_by_length([self._engine.padded_length(len(own)) for own in ids]):
            vectors[batch], states = self._engine.forward([ids[i] for i in batch])
            if self._projection is not None:
                # An empty text has its prompt alone.
                kept = [own[skipped:-1] if len(own) > skipped + 1 else own for own in states]
                projected = unit_rows(np.concatenate(kept) @ self._projection.T)
                for i, own in zip(batch, np.split(projected, np.cumsum([len(own) for own in kept])[:-1]), strict=True):
                    tokens[i] = own
            done += len(batch)
            if progress:
                progress(done, len(texts))
        return Encoded(unit_rows(vectors), tuple(tokens))


def batch_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of texts of like length, longest first, so that memory runs short at once or never.

    Lengths are those that texts are padded to. Of all cuts of the sorted texts into passes it is the one that computes
    least: padded tokens, and so many more for each pass as it costs to begin one.

    >>> list(batch_by_length([200, 3, 250, 2]))
    [[2, 0], [1, 3]]
    """
    ordered = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    least = [0.0]  # cost of the texts before each place in the order
    begins = [0]  # of the last pass before it
    for end in range(1, len(ordered) + 1):
        cost, begin = math.inf, end - 1
        for start in range(end - 1, -1, -1):
            padded = (end - start) * lengths[ordered[start]]
            if padded > TOKENS_PER_BATCH and start < end - 1:
                break
            if least[start] + padded + PASS_TOKENS < cost:
                cost, begin = least[start] + padded + PASS_TOKENS, start
        least.append(cost)
        begins.append(begin)
    passes = []
    end = len(ordered)
    while end:
        passes.append(ordered[begins[end] : end])
        end = begins[end]
    return reversed(passes)


def load_encoder(
    model: str | Path | None = None,
    *,
    projection: Floats | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
) -> SentenceEncoder:
    """Load a model from this machine; nothing is fetched.

    The project's own runs on OpenVINO, every other on sentence-transformers; vectors of the two agree to 1e-4. With
    either numpy's products take one thread each in this whole process; ``threadpoolctl`` gives them back.

    :param model: a sentence-transformers folder, or the name of one in the local hub cache; ``None`` is the project's
        own, prepared on first use. ``load_encoder(prepare_model())`` is its base without what training changed.
    :param projection: what makes token vectors, if not what the folder carries; without either there are none.
    :param precision: the number type of the model's products; ``None`` is bfloat16 where the CPU has it.
    :param threads: how many cores it may use; ``None`` is what ``OMP_NUM_THREADS`` says, else all.
    :raises FileNotFoundError: if there is no such folder or name here.
    """
    # Read when a library with OpenMP is loaded (torch, FAISS), whose threads otherwise spin while they wait for one
    # another: beside three busy processes on two cores a query by torch took 457 ms, with this 54.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from safetensors.numpy import load_file
    from threadpoolctl import ThreadpoolController

    from index.engine_openvino import OpenVinoEngine
    from index.engine_torch import TorchEngine

    precision = precision or ("bf16" if supports_bfloat16() else "f32")
    engine: Engine
    if model is None:
        folder = prepare_openvino_model(difference=shipped_difference(), projection=shipped_projection())
        engine = OpenVinoEngine(folder, precision=precision, threads=threads)
    else:
        folder = Path(model) if Path(model).exists() else _find_in_hub_cache(str(model))
        refuse_code(folder)
        engine = TorchEngine(folder, weights=hash_files(folder), precision=precision, threads=threads)
    # numpy's BLAS shares even small products among all cores, and its threads spin for the next one where the model is
    # to run: a question took 10.7 ms to encode instead of 6.9, a whole answer 13.4 instead of 9.1. It is set for good:
    # threadpoolctl lets only one thread of a process change it back and forth.
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)
    if projection is None and (folder / TOKEN_PROJECTION).exists():
        projection = load_file(folder / TOKEN_PROJECTION)["projection"].astype(np.float32)
    return SentenceEncoder(engine, projection=projection)


def _find_in_hub_cache(name: str) -> Path:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as exc:
        raise FileNotFoundError(
            f"{name} is no folder and no model in the local hub cache; fetch it first: hf download {name}"
        ) from exc


class FakeEncoder:
    """A real encoder, small and exact: how often each pair of neighbouring characters occurs, hashed, unit length.

    It gives no token vectors.

    >>> a, b = FakeEncoder().encode_passages(["注销账号", "注销账号"]).vectors
    >>> round(float(a @ b), 6)
    1.0
    """

    def __init__(self, dimension: int = 256) -> None:
        self.dimension: int = dimension
        self.token_dimension: int = 0
        self.fingerprint: str = f"character-bigrams-{dimension}"

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return the vectors of questions."""
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            framed = f"^{text}$"
            for first, second in pairwise(framed):
                row[zlib.crc32((first + second).encode()) % self.dimension] += 1
        if progress and texts:
            progress(len(texts), len(texts))
        return Encoded(unit_rows(vectors), tuple(np.empty((0, 0), np.float32) for _ in texts))
