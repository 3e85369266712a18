"""What cookies and their like keep or find out, and what for: the wordings that no list of data shares with others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from retrieval.rows import FoundRow, Sentence, Span, within

_COOKIE = r"[Cc](?i:ookies?)"
# The sentences after one on a cookie: what it holds, and what that is used for.
_HOLDS = re.compile(rf"{_COOKIE}\s?(?:文件)?(?:通常|一般)?会?包含(?P<data>[^，,。;；]{{4,120}})")
_IS_USED = re.compile(
    r"^(?:我们|我方|我行)(?:会|将)?使用(?:该等|这些|此类|上述)信息(?!时|的|前|需|[，,])(?:来|以)?(?P<purpose>[^。;；]{4,120})"
)
_PURPOSES_FOLLOW = re.compile(rf"{_COOKIE}[^。]{{0,60}}(?:用途|目的)[^。]{{0,12}}[:：]?\s*$")
_SWITCHED_OFF = re.compile(r"^[您你](?:也|还)?可|拒绝|停用|禁用|不接受")
_TRACKED = re.compile(
    r"跟踪(?P<data>[^，,。;；]{2,12})[，,]\s?以?帮助(?P<purpose>[^。;；]{4,80})"
    r"|(?:像素标签|信标|[Bb]eacon)[^。;；]{0,12}获知(?P<known>[^，,。;；]{3,30})"
)


def held_by_cookie(sentences: Sequence[Sentence], place: int) -> tuple[Span, Span] | None:
    """Return purpose and data of a cookie that sentence ``place`` speaks of, from those after it; ``None`` without.

    The purpose is empty where the sentences after it name none.
    """
    if not re.search(_COOKIE, sentences[place].text) or place + 1 >= len(sentences):
        return None
    following = sentences[place + 1]
    held = _HOLDS.search(following.text)
    if held is None:
        return None
    used = _IS_USED.search(sentences[place + 2].text) if place + 2 < len(sentences) else None
    purpose = within(sentences[place + 2].start, used, "purpose") if used else (following.start, following.start)
    return purpose, within(following.start, held, "data")


def cookie_rows(sentences: Sequence[Sentence], lead: str) -> list[FoundRow]:
    """Return the purposes that a clause gives below a sentence on cookies, and what its sentences say is tracked.

    :param lead: the text of the sentence that the clause hangs on; empty without one.
    """
    first = sentences[0]
    none = (first.start, first.start)
    if _PURPOSES_FOLLOW.search(lead):
        if _SWITCHED_OFF.search(first.text):
            return []
        purpose = re.match(r"[^。;；:：]{2,120}", first.text)
        span = (first.start, first.start + purpose.end()) if purpose else none
        return [FoundRow(first.ordinal, first.start, sentences[-1].end, (span, none))] if purpose else []
    rows: list[FoundRow] = []
    for one in sentences:
        for found in _TRACKED.finditer(one.text):
            values = (
                within(one.start, found, "purpose"),
                within(one.start, found, "data" if found["data"] else "known"),
            )
            rows.append(FoundRow(one.ordinal, one.start, one.end, values))
    return rows
