"""What a question is: its language, its parts, and whether it can stand alone."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("tw2sp")


def simplify(text: str) -> str:
    """Return Traditional Chinese and Taiwan wording as Simplified mainland wording; for queries, never for quotes."""
    converted: str = _converter().convert(text)
    return converted
