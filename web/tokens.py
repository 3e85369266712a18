"""Tokens that let programs use the API, and tell the operator's log which one asked: names and hashes in a file.

They are no barrier to the content: what the API says stands on the pages, too, and those are open.

One line a token, ``#`` begins a comment::

    newsroom  3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea

The hash is SHA-256 of the token, which stands nowhere on the server. Make both, and give the first to who asks::

    python -c 'import hashlib, secrets; t = secrets.token_urlsafe(32); print(t, hashlib.sha256(t.encode()).hexdigest())'
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from corpus.messages import message, printable
from retrieval.datatypes import Language

_log = logging.getLogger(__name__)

LINE = re.compile(r"([A-Za-z0-9_.-]{1,64})\s+([0-9a-fA-F]{64})")
BEARER = re.compile(r"bearer +([\x21-\x7e]{1,512})", re.IGNORECASE)  # RFC 6750; what is longer is none of ours
WRITABLE_BY_OTHERS = 0o022
READABLE_BY_OTHERS = 0o004
HAS_MODES = os.name == "posix"  # Windows has access lists, and says 0o666 of every file


@dataclass(frozen=True)
class Tokens:
    """The hashes of the tokens by name; an object of this class is never empty, and shows none of them."""

    hashes: Mapping[str, bytes] = field(repr=False)

    def name_of(self, authorization: str | None) -> str | None:
        """Return whose token a header ``Authorization`` carries, ``None`` if it carries none of ours.

        Every hash is compared, each in constant time. Tokens are random and long, so that one round of SHA-256 is as
        good as a slow hash.
        """
        given = BEARER.fullmatch((authorization or "").strip())
        digest = hashlib.sha256(given[1].encode() if given else b"").digest()
        matching = [name for name, kept in self.hashes.items() if hmac.compare_digest(digest, kept)]
        return matching[0] if given and matching else None


def load_tokens(path: Path | None, language: Language) -> Tokens | None:
    """Read the operator's tokens; without a file the API is open, and ``None`` is returned.

    :param language: of the messages.
    :raises OSError: if the file cannot be read.
    :raises ValueError: if it holds no token, a line that is none, or if others than its owner may write to it. No
        message quotes a line: it may be a token that was put there by mistake.
    """
    if path is None:
        return None
    mode = path.stat().st_mode if HAS_MODES else 0
    if mode & WRITABLE_BY_OTHERS:
        raise ValueError(message("settings.tokens_writable", language, path=printable(path)))
    if mode & READABLE_BY_OTHERS:
        _log.warning("%s can be read by everybody on this machine; chmod 600 %s", path, path)
    hashes: dict[str, bytes] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as exc:
        raise ValueError(message("settings.tokens_not_text", language, path=printable(path))) from exc
    for number, line in enumerate(lines, start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        named = LINE.fullmatch(entry)
        if not named:
            raise ValueError(message("settings.tokens_line", language, path=printable(path), line=number))
        if named[1] in hashes:
            values = {"path": printable(path), "line": number, "name": named[1]}
            raise ValueError(message("settings.tokens_twice", language, **values))
        hashes[named[1]] = bytes.fromhex(named[2])
    if not hashes:
        raise ValueError(message("settings.tokens_none", language, path=printable(path)))
    return Tokens(hashes)
