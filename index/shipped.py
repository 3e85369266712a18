"""The weights that this repository carries, read only where they are the recorded ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from index.errors import IndexMismatchError

RECORD = "SHA256SUMS"  # beside them, as sha256sum writes and checks it


def check_shipped(path: Path) -> str:
    """Return the SHA-256 of weights that this repository carries.

    :raises IndexMismatchError: if they are not those that the record beside them names.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    record = path.with_name(RECORD)
    lines = record.read_text(encoding="ascii", errors="replace").splitlines() if record.is_file() else []
    if f"{found}  {path.name}" not in lines:
        raise IndexMismatchError(
            f"{path} is not the file that {RECORD} beside it names: it, or the record, is damaged (after training, "
            f"record it: sha256sum *.safetensors > {RECORD}). Get both again:\n  git checkout -- {path.parent}"
        )
    return found


def load_shipped(path: Path, encoder_fingerprint: str) -> dict[str, NDArray[Any]] | None:
    """Return the tensors of weights that were trained on an encoder; ``None`` if it was another one.

    :raises IndexMismatchError: as :func:`check_shipped`.
    """
    from safetensors import safe_open

    check_shipped(path)
    with safe_open(str(path), framework="numpy") as file:
        if (file.metadata() or {}).get("encoder") != encoder_fingerprint:
            return None
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
