"""Write what training changed: ``python -m training.export --checkpoint build/encoder/checkpoint.pt``.

The difference from the base model, quantised to 4 bits, is what the repository ships and ``index/model.py`` applies.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from index.difference import quantize_difference
from index.model import prepare_model

_log = logging.getLogger(__name__)


def export(checkpoint: Path, out: Path) -> int:
    """Write the difference of ``checkpoint`` from the base model to ``out``; return its size in bytes."""
    base = load_file(prepare_model() / "model.safetensors")
    trained = torch.load(checkpoint, weights_only=True, map_location="cpu")["model"]
    difference = {
        name: trained[name].float().numpy() - tensor.astype(np.float32)
        for name, tensor in base.items()
        if not name.startswith("embeddings.")
    }
    content = quantize_difference(difference)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    return len(content)


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("build/encoder/checkpoint.pt"))
    parser.add_argument("--out", type=Path, default=Path("index/weights/encoder.safetensors"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    size = export(arguments.checkpoint, arguments.out)
    _log.info("%s: %.1f MB", arguments.out, size / 1e6)


if __name__ == "__main__":
    main()
