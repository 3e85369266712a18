"""Texts to unit vectors: the contract, the real encoder on sentence-transformers, and a small one for tests."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from index.model import TOKEN_PROJECTION, checksum_files, prepare_model, shipped_difference, shipped_projection
from index.tokens import Floats, unit_rows

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int, int], None]

# Padded tokens in one forward pass. The five policies' clauses a second of one core's time, in bfloat16:
# 256: 44, 512: 50, 1024: 48, 2048: 45; in float32 29 at best.
TOKENS_PER_BATCH = 512


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
    """A sentence-transformers model, its prompts put before each text, usable from several threads.

    The same text encoded alone and in a batch differs by up to 7e-4 in bfloat16, so scores want rounding downstream.
    """

    def __init__(self, model: SentenceTransformer, *, weights: str, projection: Floats | None) -> None:
        """Wrap a loaded model.

        :param weights: the hash of the model's files. The number type is left out of the fingerprint on purpose: it
            moves a vector by about 1e-3, and an index built on one machine must load on another.
        :param projection: float32 of shape (token dimension, dimension), what makes a token's vector of its last state.
        """
        self._model = model
        self._projection = projection
        self.token_dimension: int = 0 if projection is None else len(projection)
        self._query_prompt = model.prompts.get("query") or ""
        self._passage_prompt = model.prompts.get("passage") or model.prompts.get("document") or ""
        # The first token and the prompt's; the space after that goes with the first word.
        self._skipped = {
            prompt: 1 + len(model.tokenizer(prompt.rstrip(), add_special_tokens=False)["input_ids"])
            for prompt in (self._query_prompt, self._passage_prompt)
        }
        # A fast tokenizer holds its padding and truncation as state and fails when two threads set them at once.
        self._lock = threading.Lock()
        dimension = model.get_embedding_dimension()
        assert dimension is not None
        self.dimension: int = dimension
        projected = "" if projection is None else hashlib.sha256(projection.tobytes()).hexdigest()
        identity = [weights, self._query_prompt, self._passage_prompt, model.max_seq_length, projected]
        self.fingerprint: str = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return the vectors of questions."""
        return self._encode(texts, self._query_prompt, None)

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages; see :class:`Encoder`."""
        return self._encode(texts, self._passage_prompt, progress)

    def _encode(self, texts: Sequence[str], prompt: str, progress: Progress | None) -> Encoded:
        prompted = [prompt + text for text in texts]
        vectors = np.empty((len(texts), self.dimension), np.float32)
        tokens = [np.empty((0, self.token_dimension), np.float32)] * len(texts)
        skipped = self._skipped[prompt]
        done = 0
        for batch in self._batches(prompted):
            vectors[batch], states = self._forward([prompted[i] for i in batch])
            if self._projection is not None:
                for i, own in zip(batch, states, strict=True):
                    kept = own[skipped:-1] if len(own) > skipped + 1 else own  # an empty text has its prompt alone
                    tokens[i] = unit_rows(kept @ self._projection.T)
            done += len(batch)
            if progress:
                progress(done, len(texts))
        return Encoded(unit_rows(vectors), tuple(tokens))

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

    def _forward(self, texts: list[str]) -> tuple[Floats, list[Floats]]:
        """Return one vector a text, and the last states of its tokens, the first and the last of them special."""
        # SentenceTransformer.encode does the same and 1 to 2 ms more a call: prompts, progress bars, devices.
        import torch

        with self._lock, torch.inference_mode():
            features = self._model(self._model.preprocess(texts))
        vectors: Floats = features["sentence_embedding"].float().numpy()
        states: Floats = features["token_embeddings"].float().numpy()
        lengths = features["attention_mask"].sum(dim=1).tolist()
        return vectors, [own[:length] for own, length in zip(states, lengths, strict=True)]


def supports_bfloat16() -> bool:
    """Say whether the CPU multiplies bfloat16 in hardware (AMX or AVX-512); elsewhere it is slower than float32."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def load_encoder(model: str | Path | None = None, *, projection: Floats | None = None) -> SentenceEncoder:
    """Load a model from this machine; nothing is fetched.

    :param model: a sentence-transformers folder, or the name of one in the local hub cache; ``None`` is the project's
        own, prepared on first use. ``load_encoder(prepare_model())`` is its base without what training changed.
    :param projection: what makes token vectors, if not what the folder carries; without either there are none.
    :raises FileNotFoundError: if there is no such folder or name here.
    """
    # Read by the libraries when they are imported. Without the last, torch's threads spin while they wait for one
    # another: beside three busy processes on two cores a query took 457 ms, with it 54.
    for name, value in (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "1"), ("OMP_WAIT_POLICY", "PASSIVE")):
        os.environ.setdefault(name, value)
    import torch
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    shipped = {"difference": shipped_difference(), "projection": shipped_projection()}
    folder = Path(model) if model else prepare_model(**shipped)
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
    if projection is None and (folder / TOKEN_PROJECTION).exists():
        projection = load_file(folder / TOKEN_PROJECTION)["projection"].astype(np.float32)
    return SentenceEncoder(loaded.eval(), weights=weights, projection=projection)


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
