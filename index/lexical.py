"""The lexical part of a segment: a tokenizer, and BM25 over one policy's clauses (bm25s; Lù 2024, arXiv:2407.03618)."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from corpus.lexicons import load_glossary, load_words
from corpus.words import segmenter

if TYPE_CHECKING:
    import bm25s

TOKENIZER_VERSION = "1"
K1 = 1.2  # Robertson & Zaragoza (2009) recommend 1.2-2; clauses are short, so early saturation
B = 0.5  # clauses of very different length: python -m evaluation ablation

_NOWHERE = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
_WORD = re.compile(r"[a-z0-9]+(?:[.@_+-][a-z0-9]+)*|[\u3400-\u9fff]+")
_PARTICLES = frozenset("的了是在和与或及并也就都而但把被让给向对从到为以之其这那哪吗呢吧啊嘛么你我他她它们个")


@cache
def tokenizer_version() -> str:
    """Return the name of all that decides a token or its weight: this code, the words, BM25's settings."""
    words = [TOKENIZER_VERSION, K1, B, load_words(), [term.zh for term in load_glossary()]]
    return hashlib.sha256(json.dumps(words, ensure_ascii=False).encode()).hexdigest()[:16]


def fold(text: str) -> str:
    """Return ``text`` in the form that is matched: NFKC, lower case, 帐 as 账 and 登陆 as 登录.

    NFKC may change the length, so offsets into the result mean nothing in ``text``.
    """
    return unicodedata.normalize("NFKC", text).lower().replace("登陆", "登录").replace("帐", "账").replace("您", "你")


def tokenize(text: str) -> list[str]:
    """Cut Chinese and English text into the tokens that BM25 counts, repeated ones kept, particles left out.

    Chinese words come with their parts (``cut_for_search``), so that 注销账号 is found by 注销.

    >>> tokenize("如何注销账号? IMEI")
    ['如何', '注销', '销账', '账号', '注销账号', 'imei']
    """
    tokens: list[str] = []
    for run in _WORD.findall(fold(text)):
        if run[0] < "\u3400":
            tokens.append(run)
        else:
            tokens.extend(word for word in segmenter().cut_for_search(run) if word not in _PARTICLES)
    return tokens


class LexicalIndex:
    """BM25 over the clauses of one policy; IDF is that policy's own."""

    def __init__(self, model: bm25s.BM25 | None, clause_count: int) -> None:
        """``model`` is ``None`` where no clause holds a token."""
        self._model = model
        self.clause_count = clause_count

    @classmethod
    def build(cls, texts: Sequence[str]) -> LexicalIndex:
        """Index one text a clause, in clause order; the same texts give the same bytes in every process."""
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        tokens = [tokenize(text) for text in texts]
        if not any(tokens):
            return cls(None, len(texts))
        model = bm25s.BM25(k1=K1, b=B, method="lucene")
        # bm25s itself numbers the words in the order of a set, which differs from process to process.
        numbers = {token: number for number, token in enumerate(sorted({token for own in tokens for token in own}))}
        ids = [[numbers[token] for token in own] for own in tokens]
        model.index((ids, numbers), show_progress=False)
        return cls(model, len(texts))

    def knows(self, token: str) -> bool:
        """Say whether ``token`` stands in any clause."""
        return self._place(token) is not None

    def matches(self, token: str) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """Return the clauses that ``token`` stands in, each once, and its BM25 score in each."""
        place = self._place(token)
        if self._model is None or place is None:
            return _NOWHERE
        # bm25s's own search adds up whole policies for every token: four times as long.
        columns = self._model.scores
        begin, end = columns["indptr"][place : place + 2]
        return columns["indices"][begin:end], columns["data"][begin:end]

    def _place(self, token: str) -> int | None:
        """Return the column of ``token``; bm25s has an empty one, too, that has no place."""
        return self._model.vocab_dict.get(token) if self._model is not None and token else None

    def save(self, folder: Path) -> None:
        """Write the statistics into ``folder``; nothing is pickled."""
        folder.mkdir()
        if self._model is not None:
            self._model.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path, clause_count: int) -> LexicalIndex:
        """Read what :meth:`save` wrote."""
        import bm25s

        if not any(folder.iterdir()):
            return cls(None, clause_count)
        model = bm25s.BM25.load(folder, show_progress=False)
        # Policies use the same words, which are held once: of 135 policies that saves 11 MB.
        model.vocab_dict = {sys.intern(token): place for token, place in model.vocab_dict.items()}
        return cls(model, clause_count)
