"""The cells of a profile that hold rows: what is collected for what, permissions, with whom it is shared.

Rows are found sentence by sentence along the outline: by the headings and lead-ins that a clause stands under and by
the wording of the sentence. Every value of a row is a span of the sentence, or of the one that carries it on.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from corpus.datatypes import Clause
from index.segment import Segment

Span = tuple[int, int]

_NUMBER = re.compile(
    r"\s*(?:[（(]?(?:[一二三四五六七八九十]{1,3}|\d{1,2})[)）、．.](?!\d)|\d{1,2}(?:\.\d{1,2})+[.、]?|[A-Za-z][.)）、]"
    r"|[（(][A-Za-z][)）]|[①-⑳]|[•·●◆■※Øü-]){0,2}\s*"
)


# Characters of a sentence that are read: the longest of the 135 policies that lists anything is half as long, and a
# hostile one costs time by the square of its length.
LONGEST_SENTENCE = 2000


class FoundRow(NamedTuple):
    """A row: the ordinal of its clause, the offsets of its quote, the offsets of its values in the columns' order.

    A value that the text does not state is an empty span.
    """

    ordinal: int
    start: int
    end: int
    values: tuple[Span, ...]


class Sentence(NamedTuple):
    """A sentence of a clause, its offsets, and its text on one line, at most :data:`LONGEST_SENTENCE` characters."""

    ordinal: int
    start: int
    end: int
    text: str


def sentences_of(segment: Segment, ordinal: int) -> list[Sentence]:
    """Return the sentences of a clause, the printed number taken off the first."""
    first, last = segment.unit_range(ordinal)
    units = segment.units[first + 1 : last] if last - first > 1 else segment.units[first:last]
    spans = [(unit.start, unit.end) for unit in units]
    text = segment.policy.text
    number = _NUMBER.match(text, spans[0][0], spans[0][1])
    if number and number.end() < spans[0][1]:
        spans[0] = (number.end(), spans[0][1])
    return [
        Sentence(ordinal, start, end, re.sub(r"\s", " ", text[start : min(end, start + LONGEST_SENTENCE)]))
        for start, end in spans
    ]


def within(start: int, found: re.Match[str] | None, group: str | int = 0) -> Span:
    """Return where a group of a match in a sentence that begins at ``start`` stands; empty without it."""
    if found is None or found[group] is None:
        return start, start
    return start + found.start(group), start + found.end(group)


def trimmed(text: str, span: Span, head: str = "", tail: str = "") -> Span:
    """Return ``span`` without white space, punctuation and the given patterns at its ends."""
    start, end = span
    while True:
        part = text[start:end]
        begins = re.match(rf"(?:[\s,，、:：;；。.的]|{head})+" if head else r"[\s,，、:：;；。.的]+", part)
        if begins and begins.end() < len(part):
            start += begins.end()
            continue
        ends = re.search(rf"(?:[\s,，、:：;；。的]|{tail})+$" if tail else r"[\s,，、:：;；。的]+$", part)
        if ends and ends.start() > 0 and ends.end() > ends.start():
            end = start + ends.start()
            continue
        return start, end


def lead_text(segment: Segment, clause: Clause) -> str:
    """Return the text of the sentence that an item hangs on; empty without one."""
    return segment.clauses[segment.ordinals[clause.lead_in]].text if clause.lead_in else ""


# -- What is collected for what ---------------------------------------------------------------------------------------

DATA_WORD = re.compile(
    r"姓名|名称|号码|证号|地址|照片|头像|昵称|位置|日志|标识|识别码|识别符|IMEI|IMSI|MAC|Mac|IDF[AV]|OAID|IP|SSID"
    r"|记录|账[号户]|帐[号户]"
    r"|密码|性别|年龄|生日|指纹|人脸|面部|列表|型号|版本|证件|邮箱|手机号|电话|通讯录|相册|短信|订单|金额|图片|视频"
    r"|语音|声音|地区|职业"
    r"|学历|时长|社交|剪[切贴]板|Cookie|信息|内容|日历|[码证]"
)
_TAKES = r"收集|采集|获取|读取|获得|访问|(?<=[会能们方并])记录|记录(?=[您你用这相])|留存|存储(?=名为|(?:[您你]|用户)的)"
_GIVES = r"提供|填写|输入|提交|上传|完善(?=[您你相关]|性别)"
_VERB = re.compile(rf"(?P<takes>{_TAKES}|使用或整合|使我们使用|授权我[们方]使用)|(?P<gives>{_GIVES})")
_AFTER_VERB = re.compile(
    r"(?:[和与及并或、]{0,2}(?:存储|储存|分享|使用|记录|分析|处理|整合|获得|上传|收集|获取|填写"
    r"|利用)){0,3}[了到]?(?:的(?=[您你用]))?(?:并根据)?(?:该第三方平台提供的)?"
    r"(?:关于)?(?:(?:信息|数据)(?:（统称[^）]{1,20}）)?[:：]\s?)?(?:[您你]|用户)?(?:的|自行|主动|向我们)?(?:关于"
    r"|相关的?|有关的?|以下|如下|必要的?|个人)*(?:(?:信息|数据)?(?:主要)?(?:包括但不限于|包括"
    r"|包含)[:：]?)?(?:(?:信息)?[，,](?:例如|比如)[，,]?)?"
)
_HEADED = re.compile(
    r"(?P<data>[^，,。:：;；]{0,24}(?:信息|记录|数据))[,，:：]\s?(?=指|在|包括|当|为|我们|是|基于|根据|您|如|例如)"
)
_NOT_COLLECTED = re.compile(
    r"^(?:如果?|若|一旦|当)?[您你]?[^，,]{0,6}(?:拒绝|不提供|不同意|不授权|不使用|选择不)|不会(?:主动)?(?:收集|获取"
    r"|采集|读取|被收集|存储)|不再收集"
    r"|无需(?:另行)?(?:征|取)得|停止(?:继续)?收集|用户协议和隐私|以下用途|是指|根据法律|目的和范围"
    r"|(?:我们|我方)(?:将|会)(?:严格|采取|按照|依照|尽)|我们保证|去标识化|匿名化|无关的个人信息|评估该第三方"
    r"|SDK[^，,。]{0,20}(?:收集|获取|读取|采集)|第三方[^，,]{0,8}SDK|开发包|^收集[^，,]{0,4}信息|我们依据|另行"
    r"|也不会在"
)
_CHAPTER = re.compile(r"收集|获取|采集|使用[^。]{0,8}信息|信息的?使用|权限|功能|服务|产品|注册|认证|登录|支付")
_OTHER_CHAPTER = re.compile(
    r"共享|转让|披露|对外提供|委托|存储|储存|保存|保护|安全措施|信息安全|权利|管理[您你]|未成年|儿童|成年人|更新|变更"
    r"|修订|联系|管辖|法律适用|争议"
    r"|定义|释义|例外|无需征得|适用范围|总则|其[他它]目的|责任|知识产权|终端用户|声明|引言|前言"
)
_AIM = re.compile(
    r"(?:收集|使用|获取|记录)(?:这些|上述|以上|前述|此类|该等)?(?:[您你]的)?(?:信息|数据)?(?:是|的目的是|时|用来|用于"
    r"|主要是?)*为了?"
    r"(?P<purpose>[^。;；]{4,200})"
)
_CREATION = re.compile(r"[，,](?P<purpose>创建[^，,。;；]{2,30})")
_PURPOSES = (
    _AIM,
    _CREATION,
    re.compile(
        r"(?:(?:主要|仅|将|是|均)?用于(?!登录的)|用来|以便于?|便于|以实现|来实现|来完成|以确保|以保障|以帮助|目的是"
        r"|以提供|来(?=完善)"
        r"|使您可以|供(?=APP|我|本))(?![^。;；]{0,6}(?:前述|上述))(?P<purpose>[^。;；]{3,160}?)"
        r"(?=[，,]\s?(?:我们|我方|需|[您你]需|[您你]可|用户需)|[。;；]|$)"
    ),
    re.compile(
        r"(?:^|[，,:：。;；、])\s?(?:我们|我方|可能会?|还|也|此外|同时)*为了?(?!我|[您你]的|主"
        r"|此)(?P<purpose>[^。;；:：]{4,80}?)"
        r"(?=[，,]\s?(?:我们|我方|需|[您你]|用户|会|将|可能)|[。;；]|的合理需要|$)"
    ),
    re.compile(r"(?:[您你]|用户)(?:也|还)可以?(?P<purpose>(?:使用|通过)[^，,。;；]{3,30})[，,]"),
    re.compile(
        r"(?:^|[，,:：。;；])\s?(?:当|在|如|若|如果|基于|对于)(?P<purpose>(?:[您你]"
        r"|用户)[^，,。;；]{2,120}?)(?:的?时候?|过程中|期间|的?情况下)?[，,]"
    ),
    re.compile(
        r"(?:^|[，,。;；])\s?(?P<purpose>(?:[您你]|用户)(?:首次|通过)?使用[^，,。;；]{2,60}?"
        r"|[您你]参与[^，,。;；]{2,40}?)(?:时|过程中)"
    ),
    re.compile(
        r"(?:从而|用于)(?P<purpose>[^。;；]{3,160})|[，,](?P<effect>(?=与|提升|实现|方便|帮助|保障|确保"
        r"|满足)[^。;；]{4,80})"
    ),
)
_CREATES = re.compile(r"通过(?P<data>手机号码?|(?:电子)?邮箱)(?P<purpose>创建[账帐][号户]|注册|登录)")
_CUT = re.compile(
    r"并(?:将|帮助|向)|进行(?:有效|核|对比|验)|[，,]\s?[“\"][^”\"]{1,12}[”\"]|[，,]\s?(?=我们|我方|我行|[您你]"
    r"|用户(?!的)|以(?!及)|用于|用来|来|从而|便于|确保|这些|上述|如|但|并|为|同时|实现|供|将|若|可|所以|因|这|该"
    r"|不|则|仅|只|才|当|在|使|此|否则|由|需要|进行|会|除|特别|且|或者提供|创建|收集|对|要求|单独|访问|提供)"
    r"|用于|以便|来(?=实现|验证|完善|判断|综合)|以(?=提供|完成|实现|帮助)|从而|并向|时接收|[。;；!！?？]"
)
# After a comma the list goes on where what follows is one more thing of the user's: 您参与问卷时提供的答复信息.
_GOES_ON = re.compile(
    r"[，,]\s?(?:[您你]|用户)(?![^，,。;；]{0,40}(?:我[们方]|同意|可以|需要|授权))[^，,。;；]{2,40}(?:信息|数据|记录"
    r"|情况)(?=[，,。;；])"
)
_NO_DATA = re.compile(
    r"^(?:个人|相关|上述|以下|这些|该等|必要的?|任何|其他|前述|有关|部分|全部|用户|敏感|真实|合法|有效|、|的|和|与|所"
    r"|技术|基本)*"
    r"(?:个人)?(?:信息|数据|内容|服务|资料|权限|产品)?$|^(?:本|我们|该|后|时|和|了|过|这些|上述|以下|此类|的?目的"
    r"|服务|实名|行为)"
    r"|(?:功能|服务|时|义务|行为|权限|操作|范围|机制|目的|用途|种类|条款|同意|技术|情形)$|目的|种类|用途|政策|协议"
    r"|如下信息|相结合|^信息[与例及]|无法|仅会|不再|影响|拒绝|可能导致|因使用|而来的|所必需|业务功能|方式$|有关规定"
    r"|相关规定"
)
LONGEST_DATA = 500


def collection_rows(segment: Segment) -> list[FoundRow]:
    """Return what is collected for what, columns purpose and data, in text order."""
    rows: list[FoundRow] = []
    headed = any(clause.path for clause in segment.clauses)
    for ordinal, clause in enumerate(segment.clauses):
        if not _may_collect(segment, clause, headed=headed):
            continue
        sentences = sentences_of(segment, ordinal)
        for place, sentence in enumerate(sentences):
            if created := _CREATES.search(sentence.text):
                values = within(sentence.start, created, "purpose"), within(sentence.start, created, "data")
                rows.append(FoundRow(ordinal, sentence.start, sentence.end, values))
            for data in _collected(segment, clause, sentence):
                start, end = sentence.start, sentence.end
                purpose = _purpose(sentence, data)
                following = sentences[place + 1] if place + 1 < len(sentences) else None
                aim = _AIM.search(following.text) if following else None
                if following and aim:
                    purpose, end = within(following.start, aim, "purpose"), following.end
                elif purpose[0] == purpose[1] and place and not _collected(segment, clause, sentences[place - 1]):
                    purpose = _purpose(sentences[place - 1], data)
                    start = sentences[place - 1].start if purpose[1] > purpose[0] else start
                rows.append(FoundRow(ordinal, start, end, (purpose, data)))
    return _without_repeats(segment, rows)


def _may_collect(segment: Segment, clause: Clause, *, headed: bool) -> bool:
    if not _is_main(segment, clause):
        return False
    if not clause.path:
        return not headed
    if _OTHER_CHAPTER.search(clause.path[-1]) and not re.search(r"收集|采集", clause.path[-1]):
        return False
    if any(_CHAPTER.search(heading) for heading in clause.path):
        return bool(re.search(r"收集|采集|获取", clause.path[0])) or not _OTHER_CHAPTER.search(clause.path[0])
    return not any(_OTHER_CHAPTER.search(heading) for heading in clause.path)


def _is_main(segment: Segment, clause: Clause) -> bool:
    """Say whether a clause stands in the first of several documents of a file, where there are several."""
    return clause.document is None or clause.document == segment.clauses[0].document


def _collected(segment: Segment, clause: Clause, sentence: Sentence) -> list[Span]:
    """Return the spans of the data that a sentence says is collected, in order."""
    text = sentence.text
    if re.search(r"无需|例外|另行|拒绝|以下情形|用途", lead_text(segment, clause)) or _NOT_COLLECTED.search(text):
        return []
    found: dict[int, tuple[int, Span]] = {}  # where the data ends -> how much it names, and its span
    for verb in _VERB.finditer(text):
        if re.search(r"(?:用于|用来)[^，,]{0,6}$|(?:使|让|帮助)(?:[您你]|用户)$", text[: verb.start()]):
            continue
        if verb["gives"] and not _is_asked_of_user(text[max(0, verb.start() - 30) : verb.start()]):
            continue
        lead = _AFTER_VERB.match(text, verb.end())
        start = lead.end() if lead else verb.end()
        span = trimmed(
            text,
            (start, _end_of_list(text, start)),
            r"[您你]的|用户的|其中的|您设备的",
            r"等(?:相关)?信息|等|的|例如|具体如下|如下",
        )
        data = text[slice(*span)]
        weight = len(DATA_WORD.findall(data))
        if len(data) < 2 or not weight or _NO_DATA.search(data) or len(data) > LONGEST_DATA:
            continue
        if span[1] not in found or weight >= found[span[1]][0]:
            found[span[1]] = (weight, span)
    headed = _HEADED.match(text)
    most = max((weight for weight, _ in found.values()), default=0)
    if headed and most < 3 and clause.kind != "paragraph":
        return [within(sentence.start, headed, "data")]
    spans: list[Span] = []
    for weight, span in sorted(found.values(), key=lambda one: -one[0]):
        apart = all(span[1] <= other[0] or other[1] <= span[0] for other in spans)
        if apart and (not spans or weight >= 4):
            spans.append(span)
    return [(sentence.start + start, sentence.start + end) for start, end in sorted(spans)]


def _is_asked_of_user(before: str) -> bool:
    """Say whether the words before 提供, 填写, 上传 make the user the one who gives."""
    if re.search(r"(?:向|为|给|使)(?:[您你]|用户)[^，,]{0,8}$|(?<!向)我[们方][^您你用户]{0,10}$", before):
        return False
    return bool(re.search(r"[您你]|用户|需要|须|(?:或者?|以及)$", before))


def _end_of_list(text: str, start: int) -> int:
    """Return where what begins at ``start`` stops being a list of things; nothing inside brackets stops it."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] in "（(":
            depth += 1
        elif text[position] in "）)":
            depth = max(0, depth - 1)
        elif depth == 0 and _CUT.match(text, position) and not _GOES_ON.match(text, position):
            return position
    return len(text)


def _purpose(sentence: Sentence, data: Span) -> Span:
    for pattern in _PURPOSES:
        for found in pattern.finditer(sentence.text):
            if "拒绝" in found[0]:
                continue
            group = "purpose" if found["purpose"] else "effect"
            span = trimmed(sentence.text, found.span(group), "", r"时|等")
            whole = (sentence.start + span[0], sentence.start + span[1])
            far = pattern is _CREATION and not data[1] <= whole[0] <= data[1] + 2  # what these data create, not others
            if whole[1] - whole[0] >= 3 and not far and not (data[0] < whole[1] and whole[0] < data[1]):
                return whole
    return sentence.start, sentence.start


def _without_repeats(segment: Segment, rows: list[FoundRow]) -> list[FoundRow]:
    seen: set[tuple[str, ...]] = set()
    kept: list[FoundRow] = []
    for row in rows:
        values = tuple(segment.policy.text[slice(*value)] for value in row.values)
        if values not in seen:
            seen.add(values)
            kept.append(row)
    return kept


# -- Permissions ------------------------------------------------------------------------------------------------------

_DEVICE = (
    r"相机|摄像头|麦克风|录音|录制音频|拍摄照片|录制视频|地?理?位置(?:信息)?|定位|存储(?:空间|信息)?|储存|相册|照片"
    r"|图片库|媒体|通讯录|联系人|电话|短信"
    r"|日历|剪[切贴]板|蓝牙|网络(?:通讯)?|WLAN|Wi-?Fi|SD卡|设备识别码(?:和状态)?|设备信息|手机状态|软件安装|安装"
    r"|悬浮窗|通知|健身|NFC|传感器|应用列表|软件列表"
    r"|系统设置|文件|日程|面容|指纹|自启动|运动|震动|屏幕"
)
_NAMES_PERMISSION = re.compile(
    rf"(?:开通|开启|申请|获取|授权|使用|访问|调用|请求|读取|打开|需要|授予|允许|调取|收集|索取|基于|、|，|,|^"
    rf"|[:：“【]|的)"
    rf"(?P<name>[^，,。;；:：]{{0,30}}?(?:{_DEVICE})[^，,。;；:：]{{0,60}}?(?:的?(?:访问|使用|读取|写入|读写|安装)?权限"
    r"(?:、[^，,。;；:：]{1,120}?权限)?|授权))"
)
_BASED_ON = re.compile(rf"基于(?P<name>[^，,。;；:：的]{{0,12}}(?:{_DEVICE})[^，,。;；:：的]{{0,16}})的")
_CALLS = re.compile(
    rf"(?:会?(?:调用|访问)(?:[您你]的?|用户的?)?(?:手机|设备)?的?"
    rf"|访问[您你]的)(?P<name>[^，,。;；:：]{{0,10}}?(?:{_DEVICE})"
    rf"(?:[，,]\s?(?:{_DEVICE})|[、和及与][^，,。;；、和及与]{{0,6}}?(?:{_DEVICE}))*(?:信息)?)(?:功能)?"
)
_ITEM_NAME = re.compile(
    rf"(?P<name>[^，,。;；:：（(]{{0,20}}?(?:{_DEVICE})[^，,。;；:：]{{0,24}})(?:[，,:：（(]|——|--)"
)
_PERMISSION_PURPOSES = (
    re.compile(
        r"(?:用于|用来|来实现|以实现|实现|以便于?|便于|来完成|使用目的[:：]|目的[:：]|以供|(?<!提)供|才能|以便能将"
        r"|用途[:：])(?P<purpose>[^。;；]{2,120})"
    ),
    re.compile(r"[您你](?:可以|可)(?:使用|开启|保存)?(?P<purpose>[^。;；]{3,160})"),
    re.compile(r"(?:^|[，,:：。;；])\s?(?:为了?)(?!实现)(?P<purpose>[^，,。;；]{4,60})"),
    re.compile(r"(?:当|在)(?P<purpose>(?:[您你]|用户)[^，,。;；]{2,100}?)(?:的?时候?|过程中|功能)?[，,]"),
    re.compile(r"(?:使用|在)(?P<purpose>[^，,。;；]{2,40}?)(?:时|中)?[，,]"),
)
_NO_PERMISSION = re.compile(
    r"SDK|权限控制|访问控制|拒绝|关闭|撤回|撤销|取消授权|无法使用对应|授权人员|不同意|管理权限|不会默认|设置-"
    r"|修改权限|账号权限"
)
_PERMISSION_CHAPTER = re.compile(r"权限|系统功能|授权我[们方]")
_NO_PERMISSION_CHAPTER = re.compile(
    r"未成年|儿童|安全措施|如何(?:存储|保护|使用)|权利|管理[您你]|使用[您你]的信息|撤回|改变"
)
_SYSTEM_PERMISSION = re.compile(r"申请(?P<name>[^，,。;；]{0,6}(?:设备|系统)+的?权限)")


def permission_rows(segment: Segment) -> list[FoundRow]:
    """Return the permissions of the device that the app asks for, columns permission and purpose, in text order."""
    rows: list[FoundRow] = []
    for ordinal, clause in enumerate(segment.clauses):
        heading = clause.path[-1] if clause.path else ""
        lead = lead_text(segment, clause)
        chapters = "".join({heading, clause.path[0]}) if clause.path else ""
        if _NO_PERMISSION_CHAPTER.search(chapters) and "收集" not in chapters:
            continue
        listed = bool(_PERMISSION_CHAPTER.search(lead) or _PERMISSION_CHAPTER.search(heading))
        for sentence in sentences_of(segment, ordinal):
            found = _permission(sentence, listed or bool(re.search("这些信息包括", lead)))
            if found:
                purpose = _permission_purpose(sentence, found)
                rows.append(FoundRow(ordinal, sentence.start, sentence.end, (found, purpose)))
    return _without_repeats(segment, rows)


def _permission(sentence: Sentence, listed: bool) -> Span | None:
    text = sentence.text
    if _NO_PERMISSION.search(text[:60]) and not listed:
        return None
    found = _BASED_ON.search(text) or (_ITEM_NAME.match(text) if listed else None)
    if found is None or len(found["name"]) > 24:
        found = _CALLS.search(text)
    if found is None or found.re is _CALLS:
        found = _NAMES_PERMISSION.search(text) or found
    if found is None:
        found = _SYSTEM_PERMISSION.search(text)
    if found is None and listed:
        found = _ITEM_NAME.match(text)
    if found is None or re.match(r"[您你]?(?:拒绝|关闭|取消|撤回)|如|若|不", text):
        return None
    start, end = trimmed(
        text,
        found.span("name"),
        r"(?:手机|终端|设备[的上]|系统上?|本机|相关|有关|上(?=软件)|授权|开启|获取|使用|申请|访问|开通|请求|读取"
        r"|我[们方]|[您你]的|[您你]|用户的|用户|部分|会向|需要|可能|会|将|并|以及|的|向|本|同时|为|了|到|该|其)",
    )
    # Of a long list of data that ends in permissions, only those are meant.
    parts = list(re.finditer("[^、]+", text[start:end]))
    while len(parts) > 1 and all(re.search(_DEVICE, part[0]) for part in parts[-1:]):
        if not re.search(_DEVICE, parts[-2][0]):
            start += parts[-1].start()
            break
        parts.pop()
    name = text[start:end]
    refused = re.search(r"^(?:第三方|该|上述|敏感|以上)|合作|我们|[您你]的用户|撤回|提供|关闭", name)
    if not 2 <= len(name) <= 200 or refused:
        return None
    return sentence.start + start, sentence.start + end


def _permission_purpose(sentence: Sentence, name: Span) -> Span:
    text = sentence.text
    after = name[1] - sentence.start
    for pattern in _PERMISSION_PURPOSES[:2]:
        found = pattern.search(text, after)
        if found:
            start, end = trimmed(text, found.span("purpose"), "", "等")
            return sentence.start + start, sentence.start + end
    for pattern in _PERMISSION_PURPOSES[2:]:
        for found in pattern.finditer(text):
            start, end = trimmed(text, found.span("purpose"), "", "等|时")
            if sentence.start + end <= name[0] or sentence.start + start >= name[1]:
                return sentence.start + start, sentence.start + end
    rest = re.match(r"[，,:：（(]?(?P<purpose>[^。;；]{4,100})", text[after:])
    if rest and text[after : after + 1] in "，,:：":
        start, end = trimmed(text, (after + rest.start("purpose"), after + rest.end("purpose")))
        return sentence.start + start, sentence.start + end
    return sentence.start, sentence.start


# -- With whom it is shared -------------------------------------------------------------------------------------------

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
        if _is_main(segment, clause):
            is_head = clause.kind == "lead_in" and clause.clause_id in heads
            rows.extend(_shared(segment, clause, ordinal, is_head=is_head))
    return _without_repeats(segment, rows)


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
    return [_case([one], whole=False) for one in sentences if _HANDS_ON.search(one.text)]


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
