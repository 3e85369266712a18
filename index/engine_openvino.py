"""The shipped model on OpenVINO: its graph, written once, and the engine that runs it without torch."""

from __future__ import annotations

import json
import mmap
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.engine import Ids, ModelFacts, Precision, core_count
from index.tokens import Floats

GRAPH = "graph.xml"
WEIGHTS = "graph.bin"  # OpenVINO puts it beside the graph
TOKENIZER = "tokenizer.json"
FACTS = "facts.json"

# Batches are padded to whole multiples. OpenVINO plans and keeps every shape that it meets: 600 random ones took
# 472 MB and rose, with lengths rounded to 8 it stayed at 358 MB; a query costs the same.
LENGTH_STEP = 8


def import_openvino() -> Any:
    """Import OpenVINO without its conversion tools: importing those sends a report to Google Analytics, unasked.

    Without them the import also takes 60 ms and not 700. ``openvino.convert_model`` is missing afterwards.
    """
    tools = "openvino.tools.ovc"
    if "openvino" not in sys.modules:
        sys.modules[tools] = None  # type: ignore[assignment]
        try:
            import openvino  # type: ignore[import-untyped]
        finally:
            del sys.modules[tools]
    import openvino

    return openvino


class OpenVinoEngine:
    """A folder that :func:`write_openvino_model` wrote, loaded."""

    def __init__(self, folder: Path, *, precision: Precision, threads: int | None = None) -> None:
        """Load and compile the model.

        :param threads: how many cores one batch may use; ``None`` is what ``OMP_NUM_THREADS`` says, else all.
        """
        from tokenizers import Tokenizer

        self.facts = ModelFacts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        if self.facts.max_length:
            self._tokenizer.enable_truncation(self.facts.max_length)
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads or core_count(),
            "NUM_STREAMS": 1,
            # Pinned, the threads of every process sit on the first cores: two processes of one thread each shared one
            # core of two and did 1.5 batches a second each instead of 2.1.
            "ENABLE_CPU_PINNING": False,
        }
        ov = import_openvino()
        core = ov.Core()
        with (folder / WEIGHTS).open("rb") as file:
            # Written to by nobody: OpenVINO asks for an array that could be.
            self._weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        weights = ov.Tensor(np.frombuffer(self._weights, np.uint8), shared_memory=True)
        compiled = core.compile_model(core.read_model((folder / GRAPH).read_bytes(), weights), "CPU", options)
        self.dimension: int = compiled.output(0).partial_shape[2].get_length()
        # One stream runs one batch at a time, on all threads; a second request would wait and keep memory of its own.
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()
        self._release_weights()

    def tokenize(self, texts: Sequence[str]) -> list[Ids]:
        """Return the token ids of each text; see :class:`index.engine.Engine`."""
        if len(texts) == 1:  # a batch of one would wake the tokenizer's threads
            return [self._tokenizer.encode(texts[0]).ids]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def padded_length(self, length: int) -> int:
        """Return ``length`` as a whole multiple; see :class:`index.engine.Engine`."""
        return -(-length // LENGTH_STEP) * LENGTH_STEP

    def forward(self, ids: Sequence[Ids]) -> tuple[Floats, list[Floats]]:
        """Run one batch; see :class:`index.engine.Engine`. The pooled vector is the mean of the last states."""
        lengths = [len(own) for own in ids]
        width = self.padded_length(max(lengths))
        padded = np.zeros((len(ids), width), np.int32)
        mask = np.zeros((len(ids), width), np.float32)
        for row, own in enumerate(ids):
            padded[row, : len(own)] = own
            mask[row, : len(own)] = 1
        with self._lock:
            output: Floats = self._request.infer([padded, mask])[0]  # a copy, so that the next batch may overwrite it
        states = [own[:length] for own, length in zip(output, lengths, strict=True)]
        return np.stack([own.mean(axis=0) for own in states]), states

    def _release_weights(self) -> None:
        """Let go of the pages of the weights: of the matrices OpenVINO has by now made the copy that it computes with.

        What it reads all the same, as the vectors of words, comes from the file again, page by page. Saves 120 MB.
        """
        if not hasattr(mmap, "MADV_DONTNEED"):  # Windows
            return
        self.forward([[0] * LENGTH_STEP])  # the copies are made when they are first needed
        self._weights.madvise(mmap.MADV_DONTNEED)
        self._weights.madvise(mmap.MADV_RANDOM)


def write_openvino_model(folder: Path, model: Path, facts: ModelFacts) -> None:
    """Write what :class:`OpenVinoEngine` reads into ``folder``, which is there and empty.

    The words' vectors are stored as float16: against float32 that moves no cosine by 1e-6. The matrices are not, since
    widening them at the start kept a copy of 85 MB in every process beside the one that it computes with.

    :param model: the folder of a BERT model with mean pooling that :func:`index.model.prepare_model` returned.
    """
    from safetensors.numpy import load_file

    state = load_file(model / "model.safetensors")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    import_openvino().save_model(build_bert(state, config), folder / GRAPH, compress_to_fp16=False)
    shutil.copyfile(model / TOKENIZER, folder / TOKENIZER)
    (folder / FACTS).write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")


def build_bert(state: Mapping[str, Floats], config: Mapping[str, Any]) -> Any:
    """Return BERT as an OpenVINO model: ids int32 and mask float32, (texts, tokens), to float32 (texts, tokens, size).

    The mask is one where a token is and zero where padding is. Equations and names are those of transformers'
    ``BertModel``, without its pooler, for GELU and absolute positions. It is built here, operation by operation, since
    OpenVINO's converter wants torch, takes longer than the rest of the preparation and reports its use.

    :param state: float32 by the names of ``BertModel.state_dict()``.
    :param config: what stands in its config.json.
    """
    ov = import_openvino()
    from openvino import opset13 as op

    heads, size, epsilon = config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]

    def integers(*values: int) -> Any:
        return op.constant(np.array(values, np.int32))

    def weight(name: str) -> Any:
        return vector(state[name])

    def vector(values: npt.ArrayLike) -> Any:
        return op.constant(np.asarray(values, np.float32))

    def linear(value: Any, name: str) -> Any:
        return op.add(op.matmul(value, weight(f"{name}.weight"), False, True), weight(f"{name}.bias"))

    def normalize(value: Any, name: str) -> Any:
        plain = op.mvn(value, integers(-1), True, epsilon, "inside_sqrt")
        return op.add(op.multiply(plain, weight(f"{name}.weight")), weight(f"{name}.bias"))

    def part(value: Any) -> Any:
        """Return (texts, tokens, size) as (texts, heads, tokens, size of a head)."""
        return op.transpose(op.reshape(value, integers(0, 0, heads, size // heads), True), integers(0, 2, 1, 3))

    ids = op.parameter([-1, -1], ov.Type.i32, name="ids")
    mask = op.parameter([-1, -1], ov.Type.f32, name="mask")
    length = op.gather(op.shape_of(ids, "i32"), integers(1), integers(0))
    # Of two types of token only the first occurs.
    places = state["embeddings.position_embeddings.weight"] + state["embeddings.token_type_embeddings.weight"][0]
    place = op.slice(vector(places), integers(0), length, integers(1), integers(0))
    words = op.constant(state["embeddings.word_embeddings.weight"].astype(np.float16))
    word = op.gather(op.convert(words, ov.Type.f32), ids, op.constant(np.int32(0)))
    states = normalize(op.add(word, place), "embeddings.LayerNorm")
    ignored = op.multiply(op.subtract(op.unsqueeze(mask, integers(1, 2)), vector(1)), vector(1e4))  # 0 or -10,000
    for layer in (f"encoder.layer.{i}" for i in range(config["num_hidden_layers"])):
        query, key, value = (part(linear(states, f"{layer}.attention.self.{n}")) for n in ("query", "key", "value"))
        mixed = op.scaled_dot_product_attention(query, key, value, ignored, causal=False)
        mixed = op.reshape(op.transpose(mixed, integers(0, 2, 1, 3)), integers(0, 0, size), True)
        mixed = linear(mixed, f"{layer}.attention.output.dense")
        states = normalize(op.add(mixed, states), f"{layer}.attention.output.LayerNorm")
        widened = op.gelu(linear(states, f"{layer}.intermediate.dense"), "erf")
        narrowed = linear(widened, f"{layer}.output.dense")
        states = normalize(op.add(narrowed, states), f"{layer}.output.LayerNorm")
    return ov.Model([op.result(states)], [ids, mask], "encoder")
