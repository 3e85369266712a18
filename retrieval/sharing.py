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
# Who gets the data, where a sentence names the party; 其他方 names nobody.
_PARTY = (
    re.compile(
        r"(?:向|与|给)(?![您你]|我[们方](?![的合])|用户(?:告知|同意(?!的))|其他方(?!面))"
        r"(?P<recipient>(?:[^，,。;；:：“”（()）向与给]|[（(][^（()）]{0,30}[)）]){2,50}?)(?:之间)?(?<!信息)(?<!数据)"
        r"(?:进行(?:必要的)?(?:个人)?(?:信息|数据)?)?(?:公开)?(?:共享|分享|提供(?![者商方])|披露|转让|传输|同步|一起)"
    ),
    re.compile(
        r"(?:共享|提供|转让|披露|分享|转移|传输)(?:[您你]的|用户的)?(?:个人|用户)?(?:信息|数据)?(?:至|给|到)(?![您你])"
        r"(?P<recipient>[^，,。;；:：]{2,50}?)(?=情形|，|,|。|;|；|$|来|以)"
    ),
    re.compile(r"将[^，,。;；]{2,60}提供(?P<recipient>第三方[^，,。;；:：的]{2,30})(?=[，,。;；])"),
)
_SHARED_IF = r"[^，,。;；]{0,50}(?:共享|转让|披露|公开|提供)"
# 我们不会共享给任何第三方，如必须共享时，…: the case is what is shared, not the party that gets nothing.
_EXCEPT = re.compile(
    rf"不会?[^，,。;；]{{0,20}}(?:共享|转让|披露|提供)[^，,。;；]*[，,]\s?但?"
    rf"(?P<recipient>[如若](?={_SHARED_IF})[^，,。;；]{{2,60}}?(?:时|情形))[，,]"
)
# A ground in law, or the user's consent, on which it is shared.
_GROUND = (
    re.compile(
        r"(?P<recipient>(?:根据|依据|依照|按照?|基于)(?=[^。;；:：]{0,40}(?:法|监管|主管|司法|行政))[^。;；:：]{2,100}?"
        r"(?:要求|规定|必要|必需|情况下|情形下?))"
        r"(?=[，,]?\s?(?:对外|向|我们|我方|我行|[您你]|而|可能|可以|共享|提供|披露|公开|将|必须))"
    ),
    re.compile(
        r"(?P<recipient>(?:在|基于)[^，,。;；:：]{2,80}?(?:情况下|情形下?))(?=[，,。;；]|$|对外|向|我们|可能|将)"
    ),
    re.compile(
        r"(?P<recipient>(?<!未)(?<!无需)(?<!无须)(?<!事先)(?:事先)?(?:获得|获取|取得|征得|经过?)(?:[您你]|用户)[^，,。;；:：]{0,12}(?:同意|授权)后?)"
    ),
    re.compile(r"(?P<recipient>(?:根据|依据|按照?)[^，,。;；]{2,80}(?:要求|规定))"),
)
_RECIPIENT = (
    re.compile(r"除非(?P<recipient>[^，,。]{3,60})[，,]\s?(?:我们|我方|我行)不会"),
    _EXCEPT,
    *_PARTY,
    re.compile(r"委托(?P<recipient>[^，,。;；:：]{2,40}?)(?:处理|进行|提供(?![者商方])|为|查询|核[验对])"),
    re.compile(r"(?P<recipient>(?:合并|收购|分立|重组|资产转让|破产|组织架构调整)[^，,。;；]{0,40})"),
    re.compile(r"(?P<recipient>(?:第三方|合作|关联)[^，,。;；:：我]{0,30}?)(?:可以?|(?<!社)会|可能|获取|将)"),
    re.compile(r"(?:^|[，,])\s?(?P<recipient>如[^，,。;；]{2,40}时)"),
    re.compile(r"^(?P<recipient>如果?[^，,。;；]{4,60})[，,]"),
    *_GROUND,
)
# The title of an item that names a kind of case and nobody; what follows it says which case.
_TITLE = re.compile(
    r"[^，,。;；:：]{0,24}(?:同意|授权|情况|情形|法律|法定|法规)[^，,。;；:：]{0,8}(?:共享|转让|披露|提供)$"
)
_BUT = re.compile(
    r"[，,]\s?但是?(?P<recipient>(?:根据|依据|依照|按照?)[^。;；]{2,100}?(?:要求|规定))[，,]"
    r"\s?(?:我们|我方|我行)(?:可能|会|将)+[^，,。;；]{0,12}(?:披露|共享|转让|提供)"
)
_UNLESS = re.compile(r"除非(?P<recipient>[^，,。]{3,60})[，,]")
# Data that is handed on beyond the chapters on sharing: to a body or partner that the sentence names.
_HANDS_ON = re.compile(
    r"委托第三方[^，,。;；]{0,12}向[^，,。;；]{2,30}提供"
    r"|(?:与|向|给)(?![您你])[^，,。;；不]{1,30}(?:公司|机构|合作方|合作伙伴|服务商|关联方)[^，,。;；不]{0,8}(?:共享"
    r"|同步)|第三方(?:可能|将|会)+通过(?:本|我们的?)[^，,。;；]{2,6}(?:获取|收集|获得)(?:[您你]|用户)的"
)
_NOT_HANDED_ON = re.compile(r"不[会得再][^，,。;；]{0,10}(?:与|向|给)")
LONGEST_CASE = 400  # characters of an item that is quoted whole
_SHARE_PURPOSE = re.compile(
    r"(?:^|[，,:：。;；]|[，,]或者?)\s?(?:为了?)(?P<purpose>[^，,。;；]{3,60})|(?=为(?:[您你]"
    r"|用户)提供)(?P<served>为[^，,。;；]{4,40})|(?:以便于?|便于|用于|以保障|以实现|以完成|来实现|以促成"
    r"|才能)(?P<rest>[^。;；]{3,100})|[，,]\s?(?P<effect>[^，,。;；]{2,12}才能(?:完成|实现|进行))"
)
_USED = re.compile(
    r"(?:^|[，,:：])\s?[当在]?(?:[您你]|用户)(?:在[^，,。;；]{2,12}[中内上])?使用(?P<used>[^，,。;；]{3,40}?)(?:的?时候?|过程中)?[，,]"
)
_WEAK_PURPOSE = re.compile(r"(?:之|所|的)必[要需]$")  # says that there is a purpose, not which


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
    if "不得披露" in heading:
        return []
    if shares and not (lead and "收集" in lead):
        if _NOT_SHARED.search(clause.text):
            return []
        sharing = [one for one in sentences if _SHARES.search(one.text)][:1]
        but = [(one, found) for one in sharing if (found := _BUT.search(one.text))]
        return [
            *(_case([one], whole=False) for one in sharing),
            *(_only(one, within(one.start, found, "recipient")) for one, found in but),
        ]
    handed = (one for one in sentences if _HANDS_ON.search(one.text) and not _NOT_HANDED_ON.search(one.text))
    return [_case([one], whole=False) for one in handed]


def _names_recipient(sentence: Sentence) -> bool:
    return bool(re.search("共享|提供|披露", sentence.text) and any(one.search(sentence.text) for one in _PARTY))


def _only(sentence: Sentence, recipient: Span) -> FoundRow:
    return FoundRow(sentence.ordinal, sentence.start, sentence.end, (recipient, (sentence.start, sentence.start)))


def _case(sentences: list[Sentence], *, whole: bool = True) -> FoundRow:
    """Return a row for an item, whose first words name the recipient or the case, or for a sentence that names one."""
    first = sentences[0]
    recipient = _recipient(sentences, whole=whole)
    end = max([first.end, *(one.end for one in sentences if whole and one.end - first.start <= LONGEST_CASE)])
    purpose = _purpose(sentences[:3])
    end = max(end, recipient[1], purpose[1])
    return FoundRow(first.ordinal, first.start, end, (recipient, purpose))


def _recipient(sentences: list[Sentence], *, whole: bool) -> Span:
    """Return who gets the data or in which case, by the title of an item, by what follows it or by the sentence."""
    first = sentences[0]
    text = first.text
    head = re.match(r"(?P<recipient>[^，,。;；:：]{2,40})(?P<stop>[:：。]|$|[;；])", text) if whole else None
    found: Span | None = None
    if head and not text.startswith(("例如", "如")):
        body = _below_title(sentences, head) if _TITLE.match(head["recipient"]) else None
        if body is not None:
            return body
        found = head.span("recipient")
    for pattern in _RECIPIENT:
        if found is None and (match := pattern.search(text)):
            found = match.span("recipient")
    if found is None and whole:
        found = (0, len(text) if len(text) <= 80 else len(re.split("[，,。;；]", text)[0]))
    if found is None:
        return first.start, first.start
    start, stop = trimmed(text, found, "", r"的?共享|[。;；]")
    return first.start + start, first.start + stop


def _below_title(sentences: list[Sentence], head: re.Match[str]) -> Span | None:
    """Return the party or the case that stands below the title of an item; ``None`` where nothing there names one."""
    first = sentences[0]
    below = [(first, head.end())] if head.end() < len(first.text) else [(one, 0) for one in sentences[1:2]]
    for sentence, begin in below:
        for pattern in (*_PARTY, *_GROUND):
            found = pattern.search(sentence.text, begin)
            if found:
                start, stop = trimmed(sentence.text, found.span("recipient"))
                return sentence.start + start, sentence.start + stop
    return None


def _purpose(sentences: list[Sentence]) -> Span:
    """Return what it is shared for: the aim that the sentences name, else the function that the user uses."""
    weak: Span | None = None
    for sentence in sentences:
        for aim in _SHARE_PURPOSE.finditer(sentence.text):
            name = next(name for name in ("purpose", "served", "rest", "effect") if aim[name])
            start, stop = trimmed(sentence.text, aim.span(name))
            span = (sentence.start + start, sentence.start + stop)
            if not _WEAK_PURPOSE.search(sentence.text[start:stop]):
                return span
            weak = weak or span
    if weak is None and (used := _USED.search(sentences[0].text)):
        weak = within(sentences[0].start, used, "used")
    return weak or (sentences[0].start, sentences[0].start)
