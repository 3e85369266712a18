"""Any other model on sentence-transformers, and the base model that training starts from."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from index.engine import Ids, ModelFacts, Precision
from index.tokens import Floats


class TorchEngine:
    """A sentence-transformers model."""

    def __init__(self, folder: Path, *, weights: str, precision: Precision, threads: int | None = None) -> None:
        """Load the model; nothing is fetched.

        :param weights: the hash of the model's files.
        :param threads: how many cores torch may use, in the whole process; ``None`` leaves that as it is.
        """
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):  # read by the libraries when they are imported
            os.environ.setdefault(name, "1")
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        if threads:
            torch.set_num_threads(threads)
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
        loaded = SentenceTransformer(str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": dtype})
        self._model = loaded.eval()
        dimension = loaded.get_embedding_dimension()
        assert dimension is not None
        self.dimension: int = dimension
        self.facts = ModelFacts(
            weights=weights,
            query_prompt=loaded.prompts.get("query") or "",
            passage_prompt=loaded.prompts.get("passage") or loaded.prompts.get("document") or "",
            max_length=loaded.max_seq_length,
        )
        # A fast tokenizer holds its padding and truncation as state and fails when two threads set them at once.
        self._lock = threading.Lock()

    def tokenize(self, texts: Sequence[str]) -> list[Ids]:
        """Return the token ids of each text; see :class:`index.engine.Engine`."""
        if not texts:
            return []
        with self._lock:
            ids: list[Ids] = self._model.tokenizer(list(texts), truncation=True, max_length=self.facts.max_length)[
                "input_ids"
            ]
        return ids

    def padded_length(self, length: int) -> int:
        """Return ``length``; see :class:`index.engine.Engine`."""
        return length

    def forward(self, ids: Sequence[Ids]) -> tuple[Floats, list[Floats]]:
        """Run one batch; see :class:`index.engine.Engine`."""
        import torch

        with self._lock, torch.inference_mode():
            features = self._model(dict(self._model.tokenizer.pad({"input_ids": list(ids)}, return_tensors="pt")))
        vectors: Floats = features["sentence_embedding"].float().numpy()
        states: Floats = features["token_embeddings"].float().numpy()
        return vectors, [states[row, : len(own)] for row, own in enumerate(ids)]
