"""What an app collects for what: the sentences that say so, their data and their purpose."""

from __future__ import annotations

import re

from corpus.datatypes import Clause
from index.segment import Segment
from retrieval.cookies import cookie_rows, held_by_cookie
from retrieval.rows import FoundRow, Sentence, Span, is_main, lead_text, sentences_of, trimmed, within, without_repeats

DATA_WORD = re.compile(
    r"姓名|名称|号码|证号|地址|照片|头像|昵称|位置|日志|标识|识别码|识别符|IMEI|IMSI|MAC|Mac|IDF[AV]|OAID|IP|SSID"
    r"|记录|账[号户]|帐[号户]"
    r"|密码|性别|年龄|生日|指纹|人脸|面部|列表|型号|版本|证件|邮箱|手机号|电话|通讯录|相册|短信|订单|金额|图片|视频"
    r"|语音|声音|地区|职业"
    r"|学历|时长|社交|剪[切贴]板|Cookie|信息|内容|日历|[码证]|手机状态|数据(?=、|以及|和)"
)
_TAKES = (
    r"收集|采集|获取|读取|获得|访问(?!体验|频率|量、)|(?<=[会能们方并])记录|记录(?=[您你用这相])|留存"
    r"|存储(?=名为|(?:[您你]|用户)的)|使用(?=(?:[您你]|用户)的[^，,。;；、]{2,8}信息、)|了解(?=[您你]设备)"
)
_GIVES = r"提供|填写|输入|提交|上传|完善(?=[您你相关]|性别)"
_VERB = re.compile(rf"(?P<takes>{_TAKES}|使用或整合|使我们使用|授权我[们方]使用)|(?P<gives>{_GIVES})")
_OTHERS = re.compile("其[他它](?:信息|数据)[，,]?包括")
_AFTER_VERB = re.compile(
    r"(?:[和与及并或、]{0,2}(?:存储|储存|分享|使用|记录|分析|处理|整合|获得|上传|收集|获取|填写"
    r"|利用)){0,3}[了到]?(?:的(?=[您你用]))?(?:并根据)?(?:该第三方平台提供的)?"
    r"(?:关于)?(?:(?:信息|数据)(?:（统称[^）]{1,20}）)?[:：]\s?)?(?:[您你]|用户)?(?:的|自行|主动|向我们)?(?:其[他它](?:信息|数据)[，,]?包括)?(?:关于"
    r"|相关的?|有关的?|以下|如下|必要的?|个人)*(?:(?:信息|数据)?(?:主要)?(?:包括但不限于|包括"
    r"|包含)[:：]?)?(?:(?:信息)?[，,](?:例如|比如)[，,]?)?"
)
_HEADED = re.compile(
    r"(?P<data>[^，,。:：;；]{0,24}(?:信息|记录|数据)(?:[（(][^（）()]{1,12}[)）])?)[,，:：]\s?(?=指|在|包括|当|为|我们|是|基于|根据|您|如|例如)"
)
_EXAMPLES = re.compile(r"[，,](?:例如|比如|包括)[^。;；]{4,300}")
_TAKING_HEAD = re.compile(r"我们(?:可能|不会|会|将)|[您你]可以|[^，,。:：;；]{0,20}(?:收集|采集|获取|读取)(?!的)")
_GIVES_RISE = re.compile(r"[:：](?:基于|因|在)[^，,。:：]{2,40}?产生的(?:[您你]的|用户的)?(?P<data>[^。;；]{4,400})")
_NOT_COLLECTED = re.compile(
    r"^(?:如果?|若|一旦|当)?[您你]?[^，,]{0,6}(?:拒绝|不提供|不同意|不授权|不使用|选择不)|不会(?:主动)?(?:收集|获取"
    r"|采集|读取|被收集|存储)|不再收集"
    r"|无需(?:另行)?(?:征|取)得|停止(?:继续)?收集|用户协议和隐私|以下用途|是指|根据法律|目的和范围"
    r"|(?:我们|我方)(?:将|会)(?:严格|采取|按照|依照|尽)|我们保证|去标识化(?!或匿名化方式|的?方式)|匿名化(?!的?方式)|无关的个人信息|评估该第三方"
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
    r"(?:收集|使用|获取|记录)(?:这些|上述|以上|前述|此类|该等)?(?:[您你]的)?(?:信息|数据)?"
    r"(?:是|的目的是|时|用来|用于|主要)*+为了?"
    r"(?P<purpose>[^。;；]{4,200})"
)
_CREATION = re.compile(r"[，,](?P<purpose>创建[^，,。;；]{2,30})")
_SERVES = re.compile("(?:还|也)为|为[您你]提供了")  # says what the app does for the user, not what the data are for
_FOR = re.compile(
    r"(?:^|[，,:：。;；、])\s?(?:我们|我方|可能会?|还|也|此外|同时)*为(?:了(?!我)|(?![了我主此]|[您你]的))"
    r"(?P<purpose>[^。;；:：]{4,80}?)"
    r"(?=[，,]\s?(?:我们|我方|需|[您你]|用户|会|将|可能|当[您你用]|[如若](?:果)?[您你])"
    r"|[，,、]\s?网站会|[。;；]|的合理需要|$)"
)
_PURPOSES = (
    _AIM,
    _CREATION,
    re.compile(
        r"(?:(?:主要|仅|将|是|均)?用于(?!登录的)|用[来以]|以便于?|便于|来实现|来完成|(?<!可)以(?:实现|确保|保障|帮助|提供)"
        r"|目的是|来(?=完善)"
        r"|使您可以|供(?=APP|我|本))(?![^。;；]{0,6}(?:前述|上述))(?P<purpose>[^。;；]{3,160}?)"
        r"(?=[，,]\s?(?:我们|我方|需|[您你]需|[您你]可|用户需|而向我|[如若](?:果)?[您你]|(?:例如|比如)(?:[您你]|用户)的)|[。;；]|$)"
    ),
    _FOR,
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
        r"(?:从而|用于)(?P<purpose>[^。;；]{3,160})|[，,](?P<effect>(?=与|提升|实现|方便|帮助|保障|确保|省去"
        r"|满足)[^。;；]{4,80})"
    ),
)
_CREATES = re.compile(r"通过(?P<data>手机号码?|(?:电子)?邮箱)(?P<purpose>创建[账帐][号户]|注册|登录)")
_CUT = re.compile(
    r"并(?:将|帮助|向)|进行(?:有效|核|对比|验)|[，,]\s?[“\"][^”\"]{1,12}[”\"]|[，,]\s?(?=我们|我方|我行|[您你]"
    r"|用户(?!的)|以(?!及)|用于|用来|来|从而|便于|确保|这些|上述|如|但|并|为|同时|实现|供|将|若|可|所以|因|这|该"
    r"|不|则|仅|只|才|当|在|使|此|否则|由|需要|进行|会|除|特别|且|或者提供|创建|收集|对|要求|单独|访问|提供|省去|还)|(?:与[您你])?核验[您你]"
    r"|用于|以便|来(?=实现|验证|完善|判断|综合)|用以|(?<!可)以(?=提供|完成|实现|帮助|识别|判断|核实|确认|验证)|从而|并向|时接收|[。;；!！?？]"
)
# After a comma the list goes on where what follows is one more thing of the user's: 您参与问卷时提供的答复信息.
_GOES_ON = re.compile(
    r"[，,]\s?(?:[您你]|用户)(?![^，,。;；]{0,40}(?:(?<!向)我[们方]|同意|可以|需要|授权))[^，,。;；]{2,40}(?:信息|数据|记录"
    r"|情况)(?=[，,。;；])"
)
_NO_DATA = re.compile(
    r"^(?:个人|相关|上述|以下|这些|该等|必要的?|任何|其他|前述|有关|部分|全部|用户|敏感|真实|合法|有效|、|的|和|与|所"
    r"|技术|基本)*+"
    r"(?:个人)?(?:信息|数据|内容|服务|资料|权限|产品)?$|^(?:本|我们|该|后|时|和|了|过|这些|上述|以下|此类|的?目的"
    r"|服务|实名|行为)"
    r"|(?:功能|服务|时|义务|行为|权限|操作|范围|机制|目的|用途|种类|条款|同意|技术|情形|机构|信息[前后时])$|目的|种类|用途|政策|协议"
    r"|如下信息|相结合|^信息(?:[与例及后]|以(?!及))|我们如何|无法|依法可以|仅会|不再|影响|拒绝|可能导致|因使用|而来的|所必需|业务功能|方式$|有关规定"
    r"|相关规定"
)
LONGEST_DATA = 500


# Said outside the chapters on collection too: 为了确保安全，我们可能记录您的设备信息.
_AIMED_TAKING = re.compile(
    r"(?:^|[，,:：;；])\s?为了?[^。]{4,90}?[，,、]\s?(?:我们|我方|我行|网站)[^，,。;；]{0,16}?(?:收集|采集|记录|了解)"
)


def collection_rows(segment: Segment) -> list[FoundRow]:
    """Return what is collected for what, columns purpose and data, in text order."""
    rows: list[FoundRow] = []
    headed = any(clause.path for clause in segment.clauses)
    for ordinal, clause in enumerate(segment.clauses):
        if not is_main(segment, clause):
            continue
        sentences = sentences_of(segment, ordinal)
        anywhere = not _may_collect(clause, headed=headed)
        if anywhere and not _is_told_anywhere(clause):
            continue
        if not anywhere:
            rows.extend(cookie_rows(sentences, lead_text(segment, clause)))
        for place, sentence in enumerate(sentences):
            if anywhere and not _AIMED_TAKING.search(sentence.text):
                continue
            if created := _CREATES.search(sentence.text):
                values = within(sentence.start, created, "purpose"), within(sentence.start, created, "data")
                rows.append(FoundRow(ordinal, sentence.start, sentence.end, values))
            for data in _collected(segment, clause, sentence):
                rows.append(_row(segment, clause, sentences, place, data))
    return without_repeats(segment, rows)


def _row(segment: Segment, clause: Clause, sentences: list[Sentence], place: int, data: Span) -> FoundRow:
    """Return the row of ``data``, which sentence ``place`` names, with the purpose that it or one beside it gives."""
    sentence = sentences[place]
    start, end = sentence.start, sentence.end
    purpose = _purpose(sentence, data)
    following = sentences[place + 1] if place + 1 < len(sentences) else None
    held = held_by_cookie(sentences, place)
    aim = _AIM.search(following.text) if following else None
    if held:
        data = held[1]
        purpose = held[0] if held[0][1] > held[0][0] else purpose
    elif following and aim:
        purpose = within(following.start, aim, "purpose")
    elif purpose[0] == purpose[1] and place and not _collected(segment, clause, sentences[place - 1]):
        purpose = _purpose(sentences[place - 1], data)
        start = sentences[place - 1].start if purpose[1] > purpose[0] else start
    last = max(end, data[1], purpose[1])
    end = next((one.end for one in sentences[place:] if one.end >= last), end)
    return FoundRow(sentence.ordinal, start, end, (purpose, data))


def _is_told_anywhere(clause: Clause) -> bool:
    """Say whether a sentence that names an aim and what is taken for it counts in a chapter on something else."""
    return bool(clause.path) and not re.search(r"共享|转让|披露|对外提供|委托|未成年|儿童|定义", "".join(clause.path))


def _may_collect(clause: Clause, *, headed: bool) -> bool:
    if not clause.path:
        return not headed
    if _OTHER_CHAPTER.search(clause.path[-1]) and not re.search(r"收集|采集", clause.path[-1]):
        return False
    if any(_CHAPTER.search(heading) for heading in clause.path):
        return bool(re.search(r"收集|采集|获取", clause.path[0])) or not _OTHER_CHAPTER.search(clause.path[0])
    return not any(_OTHER_CHAPTER.search(heading) for heading in clause.path)


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
            r"[您你]的|用户的|其中的|您设备的|信息(?:[（(]统称[^）)]{1,20}[)）])?[:：]",
            r"等(?:相关)?信息|等|的|例如|具体如下|如下|以(?:匹配并)?",
        )
        data = text[slice(*span)]
        weight = len(DATA_WORD.findall(data)) + bool(lead and _OTHERS.search(lead[0]))
        if len(data) < 2 or not weight or _NO_DATA.search(data) or len(data) > LONGEST_DATA:
            continue
        if span[1] not in found or weight >= found[span[1]][0]:
            found[span[1]] = (weight, span)
    headed = _HEADED.match(text)
    arisen = _GIVES_RISE.search(text) if headed else None
    if arisen:
        start = arisen.start("data")
        end = _end_of_list(text, start)
        told = re.search(r"[，,][^，,、（）()]{1,12}(?:将|会|可能)", text[start:end])  # what we then do with them
        return [(sentence.start + start, sentence.start + (start + told.start() if told else end))]
    most = max((weight for weight, _ in found.values()), default=0)
    examples = _EXAMPLES.match(text, headed.end("data")) if headed and not _TAKING_HEAD.match(text) else None
    if headed and (most < 3 or examples) and clause.kind != "paragraph":
        end = examples.end() if examples else headed.end("data")
        return [(sentence.start + headed.start("data"), sentence.start + end)]
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
        named = list(pattern.finditer(sentence.text))
        if pattern is _FOR:  # of several before the data the nearest
            named.sort(
                key=lambda one: (one.start() > data[0] - sentence.start or bool(_SERVES.search(one[0])), -one.start())
            )
        for found in named:
            if "拒绝" in found[0]:
                continue
            group = "purpose" if found["purpose"] else "effect"
            span = trimmed(sentence.text, found.span(group), "", r"时|等")
            whole = (sentence.start + span[0], sentence.start + span[1])
            far = pattern is _CREATION and not data[1] <= whole[0] <= data[1] + 2  # what these data create, not others
            if whole[1] - whole[0] >= 3 and not far and not (data[0] < whole[1] and whole[0] < data[1]):
                return whole
    return sentence.start, sentence.start
