"""The permissions of the device that an app asks for, and what for."""

from __future__ import annotations

import re

from index.segment import Segment
from retrieval.rows import FoundRow, Sentence, Span, lead_text, sentences_of, trimmed, without_repeats

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
_PURPOSES_AFTER = (
    re.compile(
        r"(?:用于|用来|来实现|以实现|实现|以便于?|便于|来完成|使用目的[:：]|目的[:：]|以供|(?<!提)供|才能|以便能将"
        r"|用途[:：])(?P<purpose>[^。;；]{2,120})"
    ),
    re.compile(r"[您你](?:可以|可)(?:使用|开启|保存)?(?P<purpose>[^。;；]{3,160})"),
)
_PURPOSES_BESIDE = (
    re.compile(r"(?:^|[，,:：。;；])\s?(?:为了?)(?!实现)(?P<purpose>[^，,。;；]{4,60})"),
    re.compile(r"(?:当|在)(?P<purpose>(?:[您你]|用户)[^，,。;；]{2,100}?)(?:的?时候?|过程中|功能)?[，,]"),
)
_LOOSE_PURPOSE = re.compile(r"(?:使用|在)(?P<purpose>[^，,。;；]{2,40}?)(?:时|中)?[，,]")
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
    return without_repeats(segment, rows)


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
    for pattern in _PURPOSES_AFTER:
        found = pattern.search(text, after)
        if found:
            start, end = trimmed(text, found.span("purpose"), "", "等")
            return sentence.start + start, sentence.start + end
    beside = [found for pattern in _PURPOSES_BESIDE for found in _nearest_first(pattern, text, after)]
    for found in (*beside, *_LOOSE_PURPOSE.finditer(text)):
        start, end = trimmed(text, found.span("purpose"), "", "等|时")
        if sentence.start + end <= name[0] or sentence.start + start >= name[1]:
            return sentence.start + start, sentence.start + end
    rest = re.match(r"[，,:：（(]?(?P<purpose>[^。;；]{4,100})", text[after:])
    if rest and text[after : after + 1] in "，,:：":
        start, end = trimmed(text, (after + rest.start("purpose"), after + rest.end("purpose")))
        return sentence.start + start, sentence.start + end
    return sentence.start, sentence.start


def _nearest_first(pattern: re.Pattern[str], text: str, end: int) -> list[re.Match[str]]:
    """Return what ``pattern`` matches before ``end``, the nearest first, then what it matches beyond, in text order."""
    found = list(pattern.finditer(text))
    before = [one for one in found if one.start() <= end and not re.match("为[您你]提供", one[0].lstrip("，, "))]
    return [*reversed(before), *(one for one in found if one not in before)]
