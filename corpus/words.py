"""Where the words of a text begin and end: Chinese by jieba, with the project's domain words kept whole."""

from __future__ import annotations

import logging
import re
import tempfile
from functools import cache
from typing import Any

from corpus.lexicons import load_glossary, load_words

_RUN = re.compile(r"(?P<han>[\u3400-\u9fff]+)|[^\W\u3400-\u9fff_]+(?:[-.,:@/_+]+[^\W\u3400-\u9fff_]+)*%?|.", re.DOTALL)


@cache
def segmenter() -> Any:
    """Return an own jieba tokenizer: the global one is shared with whoever else imports jieba."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.tmp_dir = tempfile.gettempdir()
    tokenizer.initialize()
    for word in load_words():
        tokenizer.add_word(word)
    for term in load_glossary():
        for word in term.zh:
            tokenizer.add_word(word)
    return tokenizer


def cut_words(text: str) -> list[str]:
    """Cut ``text`` into words without losing a character; ``"".join(cut_words(text)) == text``.

    Latin words, numbers, addresses and telephone numbers stay whole; other marks stand alone.

    >>> cut_words("请拨打400-7800-900注销账号。")
    ['请', '拨打', '400-7800-900', '注销账号', '。']
    """
    words: list[str] = []
    for run in _RUN.finditer(text):
        words.extend(segmenter().cut(run[0]) if run["han"] else [run[0]])
    return words
