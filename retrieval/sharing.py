"""With whom or in which case an app shares, entrusts, transfers or discloses data."""

from __future__ import annotations

import re

from corpus.datatypes import Clause
from index.segment import Segment
from retrieval.rows import FoundRow, Sentence, Span, is_main, lead_text, sentences_of, trimmed, within, without_repeats

_SHARE_CHAPTER = re.compile(r"共享|转让|转移|披露|对外提供|委托处理|第三方.{0,6}(?:提供|分享)|公开")
_SHARES = re.compile(r"共享|转让|转移|披露|提供给|委托|对外提供|分享给|同步|传输给|公开|获取|允许|处理|合作")
_SHARE_LEAD = re.compile(r"共享|转让|转移|披露|对外提供|委托|提供给|合作(?:伙伴|方)|第三方")
_NOT_SHARED = re.compile(
    r"是指|不属于(?:个人信息)?|无法(?:复原|识别)|无需另行向|保密(?:约定|协议|义务)|我们会要求|严格的(?:数据)?保护"
    r"|不得披露|任何情况下|请[您你]?(?:谨慎|注意)|请查阅"
    r"|建议[您你]"
)
_RECIPIENT = (
    re.compile(
        r"(?:向|与|给)(?![您你]|我[们方](?![的合])|用户(?:告知"
        r"|同意))(?P<recipient>[^，,。;；:：向与给]{2,50}?)(?:之间)?(?:共享|分享|提供|披露|转让|传输|同步|一起)"
    ),
    re.compile(
        r"(?:共享|提供|转让|披露|分享|转移|传输)(?:[您你]的|用户的)?(?:个人|用户)?(?:信息|数据)?(?:至|给|到)(?![您你])"
        r"(?P<recipient>[^，,。;；:：]{2,50}?)(?=情形|，|,|。|;|；|$|来|以)"
    ),
    re.compile(r"委托(?P<recipient>[^，,。;；:：]{2,40}?)(?:处理|进行|提供|为)"),
    re.compile(r"(?P<recipient>(?:第三方|合作|关联)[^，,。;；:：我]{0,30}?)(?:可以?|会|可能|获取|将)"),
    re.compile(r"(?P<recipient>(?:合并|收购|分立|重组|资产转让|破产|组织架构调整)[^，,。;；]{0,40})"),
    re.compile(r"(?:^|[，,])\s?(?P<recipient>如[^，,。;；]{2,40}时)"),
    re.compile(r"(?:根据|依据|按照?|在)(?P<recipient>[^。;；]{2,60}?(?:要求|规定|情况下|情形下))"),
    re.compile(r"^(?P<recipient>如果?[^，,。;；]{4,60})[，,]"),
)
_UNLESS = re.compile(r"除非(?P<recipient>[^，,。]{3,60})[，,]")
# Data that is handed on beyond the chapters on sharing: to a body or partner that the sentence names.
_HANDS_ON = re.compile(
    r"委托第三方[^，,。;；]{0,12}向[^，,。;；]{2,30}提供"
    r"|(?:与|向|给)(?![您你])[^，,。;；不]{1,30}(?:公司|机构|合作方|合作伙伴|服务商|关联方)[^，,。;；不]{0,8}(?:共享"
    r"|同步)"
)
_NOT_HANDED_ON = re.compile(r"不[会得再][^，,。;；]{0,10}(?:与|向|给)")
LONGEST_CASE = 400  # characters of an item that is quoted whole
_SHARE_PURPOSE = re.compile(
    r"(?:^|[，,:：。;；])\s?(?:为了?)(?P<purpose>[^，,。;；]{3,60})|(?=为(?:[您你]"
    r"|用户)提供)(?P<served>为[^，,。;；]{4,40})|(?:以便于?|便于|用于|以保障|以实现|以完成|来实现|以促成"
    r"|才能)(?P<rest>[^。;；]{3,100})"
)


def sharing_rows(segment: Segment) -> list[FoundRow]:
    """Return with whom or in which case data is given away, columns recipient and purpose, in text order."""
    heads = {clause.lead_in for clause in segment.clauses}
    rows: list[FoundRow] = []
    for ordinal, clause in enumerate(segment.clauses):
        if is_main(segment, clause):
            is_head = clause.kind == "lead_in" and clause.clause_id in heads
            rows.extend(_shared(segment, clause, ordinal, is_head=is_head))
    return without_repeats(segment, rows)


def _shared(segment: Segment, clause: Clause, ordinal: int, *, is_head: bool) -> list[FoundRow]:
    lead = lead_text(segment, clause)
    heading = clause.path[-1] if clause.path else ""
    shares = any(_SHARE_CHAPTER.search(one) for one in clause.path) and not re.search("收集|不得披露", heading)
    hangs = bool(lead and _SHARE_LEAD.search(lead) and (shares or re.search(r"共享|转让|披露|对外提供", lead)))
    sentences = sentences_of(segment, ordinal)
    if is_head:
        found = _UNLESS.search(sentences[0].text) if shares or hangs else None
        return [_only(sentences[0], within(sentences[0].start, found, "recipient"))] if found else []
    if hangs:
        if clause.end - clause.start <= LONGEST_CASE:
            return [_case(sentences)]
        others = [one for one in sentences[1:] if _names_recipient(one) and not _NOT_SHARED.search(one.text)]
        return [_case(sentences), *(_case([one], whole=False) for one in others)]
    if (lead and "收集" in lead) or "不得披露" in heading:
        return []
    if shares:
        if _NOT_SHARED.search(clause.text):
            return []
        return [_case([one], whole=False) for one in sentences if _SHARES.search(one.text)][:1]
    handed = (one for one in sentences if _HANDS_ON.search(one.text) and not _NOT_HANDED_ON.search(one.text))
    return [_case([one], whole=False) for one in handed]


def _names_recipient(sentence: Sentence) -> bool:
    return bool(re.search("共享|提供|披露", sentence.text) and any(one.search(sentence.text) for one in _RECIPIENT[:2]))


def _only(sentence: Sentence, recipient: Span) -> FoundRow:
    return FoundRow(sentence.ordinal, sentence.start, sentence.end, (recipient, (sentence.start, sentence.start)))


def _case(sentences: list[Sentence], *, whole: bool = True) -> FoundRow:
    """Return a row for an item, whose first words name the recipient or the case, or for a sentence that names one."""
    first = sentences[0]
    text = first.text
    head = re.match(r"(?P<recipient>[^，,。;；:：]{2,40})(?:[:：。]|$|[;；])", text) if whole else None
    recipient = head.span("recipient") if head and not text.startswith(("例如", "如")) else None
    for pattern in _RECIPIENT:
        if recipient is None and (found := pattern.search(text)):
            recipient = found.span("recipient")
    if recipient is None and whole:
        recipient = (0, len(text) if len(text) <= 80 else len(re.split("[，,。;；]", text)[0]))
    end = max([first.end, *(one.end for one in sentences if whole and one.end - first.start <= LONGEST_CASE)])
    purpose = (first.start, first.start)
    for sentence in sentences[:3]:
        aim = _SHARE_PURPOSE.search(sentence.text)
        if aim:
            name = next(name for name in ("purpose", "served", "rest") if aim[name])
            start, stop = trimmed(sentence.text, aim.span(name))
            purpose, end = (sentence.start + start, sentence.start + stop), max(end, sentence.end)
            break
    if recipient is None:
        return FoundRow(first.ordinal, first.start, end, ((first.start, first.start), purpose))
    start, stop = trimmed(text, recipient, "", r"的?共享|[。;；]")
    return FoundRow(first.ordinal, first.start, end, ((first.start + start, first.start + stop), purpose))
