"""Where the words of a text begin and end: Chinese by jieba, with the project's domain words kept whole."""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import Any

from corpus.lexicons import load_glossary, load_words

_RUN = re.compile(r"(?P<han>[\u3400-\u9fff]+)|[^\W\u3400-\u9fff_]+(?:[-.,:@/_+]+[^\W\u3400-\u9fff_]+)*%?|.", re.DOTALL)


@cache
def segmenter() -> Any:
    """Return an own jieba tokenizer: the global one is shared with whoever else imports jieba.

    Its dictionary is read from the package: the copy that jieba keeps of it in the temporary directory takes longer to
    read, 0.9 s against 0.6, and anybody on the machine could write it.
    """
    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
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


COMMON = (
    1000  # times in jieba's corpus: 天气 2657, 起点 1199; the names in 135 policies that are no words have 396 at most
)


def is_common_word(text: str) -> bool:
    """Say whether ``text`` is a common word of Chinese, or one that policies use: as an app's name it may be neither.

    >>> [is_common_word(text) for text in ("安全", "怎么", "注销", "津心办")]
    [True, True, True, False]
    """
    return len(text) <= 4 and (text in _domain_words() or segmenter().FREQ.get(text, 0) >= COMMON)


@cache
def _domain_words() -> frozenset[str]:
    forms = (form for term in load_glossary() for form in (*term.zh, *term.plain))
    return frozenset((*load_words(), *forms))
