"""Texts to unit vectors: the contract, the real encoder on sentence-transformers, and a small one for tests."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from index.model import checksum_files, prepare_model, shipped_difference

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]

# Padded tokens in one forward pass. The five policies' clauses a second of one core's time, in bfloat16:
# 256: 44, 512: 50, 1024: 48, 2048: 45; in float32 29 at best.
TOKENS_PER_BATCH = 512


class Encoder(Protocol):
    """What an index asks of an encoder; vectors of two encoders compare only where the fingerprints are equal."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """The hash of everything that decides a vector."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Floats:
        """Return one unit row a question, float32 of shape (len(texts), dimension)."""
        ...

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Floats:
        """Return one unit row a passage, float32 of shape (len(texts), dimension), in the order of ``texts``.

        :param progress: called after each batch with the passages done and all of them.
        """
        ...


class SentenceEncoder:
    """A sentence-transformers model, its prompts put before each text, usable from several threads.

    The same text encoded alone and in a batch differs by up to 7e-4 in bfloat16, so scores want rounding downstream.
    """

    def __init__(self, model: SentenceTransformer, *, weights: str) -> None:
        """:param weights: the hash of the model's files. The number type is left out of the fingerprint on purpose:
        it moves a vector by about 1e-3, and an index built on one machine must load on another."""
        self._model = model
        self._query_prompt = model.prompts.get("query") or ""
        self._passage_prompt = model.prompts.get("passage") or model.prompts.get("document") or ""
        # A fast tokenizer holds its padding and truncation as state and fails when two threads set them at once.
        self._lock = threading.Lock()
        dimension = model.get_embedding_dimension()
        assert dimension is not None
        self.dimension: int = dimension
        identity = [weights, self._query_prompt, self._passage_prompt, model.max_seq_length]
        self.fingerprint: str = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def encode_queries(self, texts: Sequence[str]) -> Floats:
        """Return one unit row a question, float32 of shape (len(texts), dimension)."""
        return self._encode([self._query_prompt + text for text in texts], None)

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Floats:
        """Return one unit row a passage, float32 of shape (len(texts), dimension); see :class:`Encoder`."""
        return self._encode([self._passage_prompt + text for text in texts], progress)

    def _encode(self, texts: list[str], progress: Progress | None) -> Floats:
        vectors = np.empty((len(texts), self.dimension), np.float32)
        done = 0
        for batch in self._batches(texts):
            vectors[batch] = self._forward([texts[i] for i in batch])
            done += len(batch)
            if progress:
                progress(done, len(texts))
        return _unit_rows(vectors)

    def _batches(self, texts: list[str]) -> Iterator[list[int]]:
        """Yield the positions of texts of like length, longest first, so that memory runs short at once or never."""
        if len(texts) < 2:
            yield from ([i] for i in range(len(texts)))
            return
        with self._lock:
            tokens = self._model.tokenizer(texts, truncation=True, max_length=self._model.max_seq_length)["input_ids"]
        batch: list[int] = []
        for i in sorted(range(len(texts)), key=lambda i: -len(tokens[i])):
            if batch and (len(batch) + 1) * len(tokens[batch[0]]) > TOKENS_PER_BATCH:
                yield batch
                batch = []
            batch.append(i)
        yield batch

    def _forward(self, texts: list[str]) -> Floats:
        # SentenceTransformer.encode does the same and 1 to 2 ms more a call: prompts, progress bars, devices.
        import torch

        with self._lock, torch.inference_mode():
            features = self._model(self._model.preprocess(texts))
        vectors: Floats = features["sentence_embedding"].float().numpy()
        return vectors


def supports_bfloat16() -> bool:
    """Say whether the CPU multiplies bfloat16 in hardware (AMX or AVX-512); elsewhere it is slower than float32."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def load_encoder(model: str | Path | None = None) -> SentenceEncoder:
    """Load a model from this machine; nothing is fetched.

    :param model: a sentence-transformers folder, or the name of one in the local hub cache; ``None`` is the project's
        own, prepared on first use. ``load_encoder(prepare_model())`` is its base without what training changed.
    :raises FileNotFoundError: if there is no such folder or name here.
    """
    # Read by the libraries when they are imported. Without the last, torch's threads spin while they wait for one
    # another: beside three busy processes on two cores a query took 457 ms, with it 54.
    for name, value in (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "1"), ("OMP_WAIT_POLICY", "PASSIVE")):
        os.environ.setdefault(name, value)
    import torch
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    folder = Path(model) if model else prepare_model(difference=shipped_difference())
    if not folder.exists():
        try:
            folder = Path(snapshot_download(str(model), local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError) as exc:
            raise FileNotFoundError(
                f"{model} is no folder and no model in the local hub cache; fetch it first: hf download {model}"
            ) from exc
    dtype = torch.bfloat16 if supports_bfloat16() else torch.float32
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    loaded = SentenceTransformer(str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": dtype})
    weights = hashlib.sha256(json.dumps(checksum_files(folder)).encode()).hexdigest()
    return SentenceEncoder(loaded.eval(), weights=weights)


def _unit_rows(vectors: Floats) -> Floats:
    rows: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows


class FakeEncoder:
    """A real encoder, small and exact: how often each pair of neighbouring characters occurs, hashed, unit length.

    >>> a, b = FakeEncoder().encode_passages(["注销账号", "注销账号"])
    >>> round(float(a @ b), 6)
    1.0
    """

    def __init__(self, dimension: int = 256) -> None:
        self.dimension: int = dimension
        self.fingerprint: str = f"character-bigrams-{dimension}"

    def encode_queries(self, texts: Sequence[str]) -> Floats:
        """Return one unit row a question, float32 of shape (len(texts), dimension)."""
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Floats:
        """Return one unit row a passage, float32 of shape (len(texts), dimension)."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            framed = f"^{text}$"
            for first, second in pairwise(framed):
                row[zlib.crc32((first + second).encode()) % self.dimension] += 1
        if progress and texts:
            progress(len(texts), len(texts))
        return _unit_rows(vectors)
