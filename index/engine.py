"""What runs a model: the contract, and what two engines share. Texts, prompts and projections are the encoder's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from index.tokens import Floats

Precision = Literal["f32", "bf16"]
Ids = list[int]


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model beside its weights; with them it decides every vector.

    ``weights`` is the hash of the model's files, ``max_length`` the tokens after which a text is cut, the special ones
    and the prompt's among them (``None``: never). The number type is left out on purpose: it moves a vector by about
    1e-3, and an index built on one machine must load on another.
    """

    weights: str
    query_prompt: str
    passage_prompt: str
    max_length: int | None


class Engine(Protocol):
    """A loaded model, usable from several threads."""

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        ...

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        ...

    def tokenize(self, texts: Sequence[str]) -> list[Ids]:
        """Return the token ids of each text, a special one first and last, no more than ``facts.max_length``."""
        ...

    def padded_length(self, length: int) -> int:
        """Return the length that a batch is padded to whose longest text has ``length`` tokens."""
        ...

    def forward(self, ids: Sequence[Ids]) -> tuple[Floats, list[Floats]]:
        """Run one batch.

        :param ids: what :meth:`tokenize` gave, at least one text.
        :returns: a pooled vector a text, float32 (texts, dimension), of any length; and for each text the last states
            of its tokens, float32 (tokens, state size), padding left out.
        """
        ...


def supports_bfloat16(cpu_information: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether the CPU multiplies bfloat16 in hardware (AMX or AVX-512); elsewhere it is slower than float32.

    Only Linux says so in a file; on other systems the answer is no, and vectors come in float32.
    """
    try:
        lines = cpu_information.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return "avx512_bf16" in flags or "amx_bf16" in flags


def core_count() -> int:
    """Return what ``OMP_NUM_THREADS`` says, as torch does, else the cores that this process may run on."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdecimal() and int(allowed):
        return int(allowed)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
