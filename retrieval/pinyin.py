"""Questions typed in pinyin: ``zenme zhuxiao zhanghao`` read as 怎么注销账号."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

_RUN = re.compile(r"[A-Za-z]+(?: [A-Za-z]+)*")
_HAN = re.compile(r"[\u3400-\u9fff]{2,8}")
_LONGEST = 8  # typed words that may spell one phrase: one a syllable
_QUESTION_WORDS = (
    "怎么 如何 多久 几天 哪里 在哪 在哪里 什么 为什么 会不会 可以 能不能 有没有 是不是 我的 你们 手机 手机号 回复 多少 "
    "登录 号码 地址 信息 查看 修改 关闭 开启 保存 收集 哪些 多长时间 怎么样 要不要"
)


class PinyinReader:
    """Knows the pinyin of the domain's words and of the words that questions are made of."""

    def __init__(self, phrases: Iterable[str], ordinary: frozenset[str]) -> None:
        """:param phrases: words to know, those not wholly Chinese are passed over; :param ordinary: English words."""
        self._phrases = [phrase for phrase in phrases if _HAN.fullmatch(phrase)]
        self._ordinary = ordinary

    @cached_property
    def _spelt(self) -> dict[str, str]:
        from pypinyin import lazy_pinyin

        known: dict[str, str] = {}
        for phrase in (*_QUESTION_WORDS.split(), *self._phrases):
            known.setdefault("".join(lazy_pinyin(phrase)), phrase)
        return known

    def read(self, text: str) -> str:
        """Return ``text`` with what is pinyin of known words put into characters; English stays as it is.

        A word that is English too counts only as part of a longer spelling.
        """
        return _RUN.sub(lambda run: self._read_run(run[0]), text)

    def _read_run(self, run: str) -> str:
        words = run.split(" ")
        out: list[str] = []
        position = 0
        while position < len(words):
            for length in range(min(_LONGEST, len(words) - position), 0, -1):
                spelling = "".join(words[position : position + length]).lower()
                read = self._read_glued(spelling)
                if read and (length > 1 or spelling not in self._ordinary):
                    out.append(read)
                    position += length
                    break
            else:
                out.append(words[position])
                position += 1
        # Chinese needs no spaces; English keeps its own.
        return re.sub(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])", "", " ".join(out))

    def _read_glued(self, spelling: str) -> str | None:
        """Return the phrases that ``spelling`` is made of without a rest, longest first, or ``None``."""
        if spelling in self._spelt:
            return self._spelt[spelling]
        for end in range(len(spelling) - 4, 4, -1):
            head = self._spelt.get(spelling[:end])
            if head and (rest := self._read_glued(spelling[end:])):
                return head + rest
        return None
