"""``wentiao`` as a whole, with the small encoder: it takes a moment, and hangs while the file ``WENTIAO_TEST_HANG`` is
there. The processes that it starts read this file too, and so have the same encoder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import app
from index import encoder
from index.encoder import Encoded, FakeEncoder

MOMENT = 0.02  # seconds


class MomentaryEncoder(FakeEncoder):
    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        time.sleep(MOMENT)
        while (hang := os.environ.get("WENTIAO_TEST_HANG")) and Path(hang).exists():
            time.sleep(MOMENT)
        if any("boom" in text for text in texts):
            raise RuntimeError(f"no vector for {texts}")
        return super().encode_queries(texts)


encoder.load_encoder = lambda *arguments, **options: MomentaryEncoder()  # type: ignore[assignment, misc]

if __name__ == "__main__":
    sys.exit(app.main(sys.argv[1:]))
