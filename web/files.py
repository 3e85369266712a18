"""The version of the styles and scripts that the pages link to: one for all, so that an upgrade changes every link."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def files_version() -> str:
    """Return a short hash of every style and script beside this file and in ``widget/``."""
    names = sorted(
        path for pattern in ("*.css", "*.js", "widget/*.css", "widget/*.js") for path in FOLDER.glob(pattern)
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in names)).hexdigest()[:12]


def style_link(root: str, name: str) -> str:
    """Return the link to the style ``name`` from a page that has the site's root at ``root``."""
    return f'<link rel="stylesheet" href="{root}page/{name}?v={files_version()}">'
