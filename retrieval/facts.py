"""Short answers lifted verbatim from Chinese policy text: menu paths, phones, time limits and their like.

Every pattern is bounded and possessive where it could backtrack, so a hostile text costs time linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from retrieval.datatypes import FactKind
from retrieval.question import simplify

KEPT_TEXTS = 8192  # whose facts are remembered: clauses and sentences of policies, which are looked at again and again


class FactSpan(NamedTuple):
    """A fact's place: ``text[start - offset : end - offset]`` of the text that was searched."""

    kind: FactKind
    start: int
    end: int


_CJK = "\u4e00-\u9fff"

# -- Menu paths -------------------------------------------------------------------------------------------------------

_QUOTED = r"[“\"「『【〖\[<《‘'][^“”\"「」『』【】〖〗\[\]<>《》‘’'，。；\n—–－→＞-]{1,24}+[”“\"」』】〗\]>》’']"
_BARE = rf"(?:[{_CJK}A-Za-z0-9≡…·&+/／、]|(?<=[A-Za-z])\x20(?=[A-Za-z])){{1,24}}+"
_NODE = rf"(?:{_BARE}(?:[（(][^（）()\n]{{1,15}}+[）)])?(?:{_QUOTED}(?:进入{_BARE})?)?|{_QUOTED}(?:进入{_BARE})?)"
_ARROW = r"(?:(?<![A-Za-z])-(?!\d)|-(?![A-Za-z\d])|[—–－─→➔➡>＞›»~]){1,4}+"
_SEPARATOR = (
    rf"\s{{0,3}}+(?:{_ARROW}\s{{0,3}}+"
    r"|(?<=[”\"」』】])(?:[，,、]\s?)?(?:再|然后|并)?(?:依次)?(?:点击|选择|进入|点选)(?=[“\"「『【]))"
)
_MENU_CHAIN = re.compile(rf"{_NODE}(?:{_SEPARATOR}{_NODE}){{1,9}}+")
_MENU_NODE = re.compile(_NODE)
_MENU_LEAD = re.compile(
    r"通过|进入|点击|打开|登录|登陆|前往|依次|访问|选择|路径[为是]?|可以?|在(?!线)|于|从|至|到|请|或"
    r"|[和与](?!安全|隐私|通知)"
    r"|中(?!心|国|文)|内(?!容)|里|(?<!我)的|端|后|即|为"
)
_MENU_TAIL = re.compile(
    r"增加|中(?!心|国|文|信)|页面?|里|内(?!容|部|存)|进行|自行|来(?!电|源)|以(?!上|下|及|太)|即可|后|路径|选项"
    r"|入口|操作"
    r"|按钮|功能(?!设置|模式)|关闭|开启|查看|修改|申请|提交|或|处(?!理)|并|、|将|完成|联系|选择"
)
_MENU_WORD = re.compile(
    r"我的|^[“\"「『【]?(?:我|自己|账[号户]|帐号)[”\"」』】]?$|设置|首页|主页|中心|侧边栏|头像|更多|菜单|管理"
    r"|客服|反馈|帮助|搜索|图标|≡"
)
_MENU_RESTART = re.compile(r"[您你]|通过|可[以在]")
_MENU_NODE_LENGTH = 24
_ANGLED = re.compile(r"<([^<>\n]{2,80})>")


def _menu_paths(text: str) -> Iterator[tuple[int, int]]:
    # <我的-设置> is a bracket, 我的>设置 an arrow: the bracket is read as a quote of the same length.
    text = _ANGLED.sub(r"“\1”", text)
    for chain in _MENU_CHAIN.finditer(text):
        nodes = [node.span() for node in _MENU_NODE.finditer(text, *chain.span())]
        begins = [i for i, node in enumerate(nodes) if i == 0 or _MENU_RESTART.search(text, *node)]
        for begin, stop in zip(begins, [*begins[1:], len(nodes)], strict=True):
            if stop - begin >= 2:
                yield from _menu_path(text, nodes[begin:stop])


def _menu_path(text: str, nodes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start, end = _trim_first_node(text, *nodes[0]), _trim_last_node(text, *nodes[-1])
    names = [text[start : nodes[0][1]], *(text[a:b] for a, b in nodes[1:-1]), text[nodes[-1][0] : end]]
    if any(not name or len(name) > _MENU_NODE_LENGTH or name.isdigit() for name in names):
        return
    worded = [name for name in names if re.search(rf"[{_CJK}≡…]", name)]
    quoted = all(name[0] in '“"「【' for name in names)
    if len(worded) >= 2 and (quoted or any(_MENU_WORD.search(name) for name in names)):
        yield start, end


def _trim_first_node(text: str, start: int, end: int) -> int:
    """Return where the first node begins once the sentence that leads to it is cut off."""
    node = text[start:end]
    quote = re.search(r"[“\"「『【〖]", node)
    if quote:
        return start + quote.start()
    leads = [lead.end() for lead in _MENU_LEAD.finditer(node) if lead.end() < len(node)]
    return start + (leads[-1] if leads else 0)


def _trim_last_node(text: str, start: int, end: int) -> int:
    """Return where the last node ends once the rest of the sentence is cut off."""
    node = text[start:end]
    if node[-1] in '”"」』】〗]>》’“':
        return end
    cuts = [tail.start() for tail in _MENU_TAIL.finditer(node) if tail.start() >= 2]
    return start + (cuts[0] if cuts else len(node))


# -- Contacts ---------------------------------------------------------------------------------------------------------

_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}+@[A-Za-z0-9-]{1,63}+(?:\.[A-Za-z0-9-]{1,63}+){1,5}+")
_URL = re.compile(r"(?:https?://|(?<![A-Za-z0-9.@/-])www\.)[A-Za-z0-9\-._~:/?#\[\]@!$&'*+,;=%]{3,}+")
_DASH = r"[-—–－ ]"
_LONG_PHONE = re.compile(
    rf"(?<![A-Za-z0-9_.@=+-])(?:[48]00(?:{_DASH}?\d){{7}}+|(?:\+?86{_DASH}?)?[（(]?0?\d{{2,3}}[）)]{_DASH}?\d{{7,8}}"
    rf"|(?:\+?86{_DASH}?)?0\d{{2,3}}{_DASH}{{0,3}}\d{{5,8}}|1[3-9]\d{{9}})"
    rf"(?:\s?(?:转|{_DASH})\s?\d{{1,6}})?(?![\d.A-Za-z@])"
)
_SHORT_PHONE = re.compile(
    r"(?<![A-Za-z0-9_.@/=+-])(?:95\d{3,4}|96\d{3,4}|10\d{3}|12\d{3}|10\d{6})(?![\d.A-Za-z@%年元])"
)
_PHONE_WORD = re.compile(r"热线|客服|电话|拨打|致电|来电|短信|联系方式")
_PHONE_REACH = 14


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for found in _LONG_PHONE.finditer(text):
        yield found.span()
    for found in _SHORT_PHONE.finditer(text):
        start, end = found.span()
        before, after = text[max(0, start - _PHONE_REACH) : start], text[end : end + _PHONE_REACH]
        if _PHONE_WORD.search(before + "\n" + after) and not re.search(r"(?:GB|/T|第|备)\s?$", before):
            yield start, end


# -- Amounts of time --------------------------------------------------------------------------------------------------

_NUMBER = r"(?:[【\[（(]?\s?\d{1,4}+\s?[】\])）]?|[一二两三四五六七八九十百]{1,4}+)"
_LIMIT = re.compile(
    rf"(?:自[{_CJK}]{{2,14}}起)?(?:至少|不少于|不得少于|不超过|不会超过|不低于|最长|最多|最短|最迟|提前"
    rf"|最近){{0,2}}(?:提前|保[存留]|为)?\s{{0,2}}"
    rf"(?<![\d.第年/-]){_NUMBER}\s{{0,2}}(?:个?(?:工作|自然)日|个?小时|分钟|天|个?(?:自然)?月|年|个?星期"
    rf"|周(?!岁|[一二三四五六日边])|(?<=\d)\s?日|(?<=十)日|日(?=之?内|以内))"
    r"(?:之?内|以内|以上|之?后|前)?"
)
_NOT_A_LIMIT = re.compile(r"(?:19|20)\d{2}\s?年|^\s*\d{1,2}\s?月|^一[天年日周]$|^\d{1,2}\s?日$")
_AGE = re.compile(
    r"(?:(?:不满|未满|年满|已满|不足|小于|大于|低于|满)\s?)?(?:\d{1,2}|[一二三四五六七八九十]{1,3})\s{0,2}周?岁"
    r"(?:（含[^）]{0,6}）|及?以[上下])?"
)
_DATE = re.compile(
    r"(?<![\d.-])(?:19|20)\d{2}(?:\s{0,2}年\s{0,2}\d{1,2}\s{0,2}月(?:\s{0,2}\d{1,2}\s{0,2}日)?"
    r"|(?P<mark>[-./])\d{1,2}(?P=mark)\d{1,2})(?![\d.-])"
)


def _time_limits(text: str) -> Iterator[tuple[int, int]]:
    for found in _LIMIT.finditer(text):
        if not _NOT_A_LIMIT.search(found.group().strip()):
            yield found.span()


# -- Names of places and bodies ---------------------------------------------------------------------------------------

_REGION = (
    "北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃"
    "|青海|内蒙古|广西|西藏|宁夏|新疆|香港|澳门|台湾|广州|深圳|珠海|东莞|佛山|杭州|宁波|温州|南京|苏州|无锡|武汉|长沙|成都|西安"
    "|厦门|福州|泉州|济南|青岛|郑州|合肥|南昌|昆明|贵阳|海口|三亚|大连|沈阳|长春|哈尔滨|石家庄|太原|南宁|兰州|贵安"
)
_COURT_LEAD = re.compile(r"向|由|至|到|交|应当?|有权将|可以|提请|(?<!所)在|选择")
_COURT_NAME = re.compile(rf"(?:{_REGION}).*(?:人民|知识产权|互联网)$|[市区县]人民$|(?:所在|住所|履行|签订|注册)地|管辖")
_COURT_OF_A_PLACE = re.compile(rf"(?:{_REGION})|[市区县]人民")
_COURT_BREAK = re.compile(rf"[^{_CJK}\x20]")
_COURT_REACH = 24
_ADDRESS = re.compile(rf"(?:中国)?(?:(?:{_REGION})|[{_CJK}]{{2,3}}市)[{_CJK}A-Za-z0-9\-－—#()（）·\x20]{{4,60}}+")
_ADDRESS_END = re.compile(
    r"(?:号院?|[室楼层座幢栋]|单元|大厦|广场|中心|园区?|[号楼座层室\-]\s?[A-Za-z]?\d[\dA-Za-z\-]{0,9}室?"
    r"|\d{1,3}F)"
)
_ADDRESS_BODY = re.compile(r"[路街道巷园镇村区].{0,24}(?:\d+\s?[号弄]|大厦|大楼|广场)|\d号")
_BODY_END = re.compile(
    rf"(?:股份)?有限(?:责任)?公司(?:[（(]?[{_CJK}]{{2,6}}分公司[）)]?)?|集团(?:公司)?|海关总署|委员会(?!成员)"
    rf"|管理(?:总)?局"
    r"|(?:信息|数据|服务|管理|政务|技术|网络|保障|结算)中心"
)
_BODY_BREAK = re.compile(rf"[^{_CJK}A-Za-z0-9·（）()]")
_BODY_REACH = 32
_BODY_LEAD = re.compile(
    r"[由是与和及或的向给即指至从被将把]|经(?![济纪营])|(?<!华)为(?!科)|公司|提供[者方]|以下|运营者|合作方"
    r"|关联方?|服务商|根据|联系|授权|使用|通过|我们|您|包括|提供"
)
_BODY_PLACE = re.compile(rf"(?:{_REGION})")


def _courts(text: str) -> Iterator[tuple[int, int]]:
    last = 0
    for found in re.finditer("法院", text):
        before = text[max(last, found.start() - _COURT_REACH) : found.start()]
        last = found.end()
        if len(before) < 4:
            continue
        name = _COURT_BREAK.split(before)[-1]
        leads = [lead.end() for lead in _COURT_LEAD.finditer(name) if len(name) - lead.end() >= 4]
        name = name[leads[-1] :] if leads else name
        if _COURT_NAME.search(name) and "最高" not in name:
            yield found.start() - len(name), found.end()


def is_vague(kind: FactKind, text: str) -> bool:
    """Say whether a fact tells less than others of its kind may: a court without a place, as in 有管辖权的法院."""
    return kind == "court" and _COURT_OF_A_PLACE.search(text) is None


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for found in _ADDRESS.finditer(text):
        start, run = found.start(), found.group()
        ends = [end.end() for end in _ADDRESS_END.finditer(run)]
        if ends and _ADDRESS_BODY.search(run[: ends[-1]]) and not _BODY_END.search(run[: ends[-1]]):
            lead = re.match(r"[在于为是位即至址]{1,2}", run)
            yield start + (lead.end() if lead else 0), start + ends[-1]


def _organisations(text: str) -> Iterator[tuple[int, int]]:
    last = 0
    for found in _BODY_END.finditer(text):
        before = text[max(last, found.start() - _BODY_REACH) : found.start()]
        last = found.end()
        if len(before) < 2:
            continue
        name = _BODY_BREAK.split(before)[-1]
        name = name[_unmatched_bracket(name) :]
        leads = [lead.end() for lead in _BODY_LEAD.finditer(name)]
        places = [
            place.start() for place in _BODY_PLACE.finditer(name) if not re.search(r"[（(]$", name[: place.start()])
        ]
        cut = max(leads, default=0)
        cut = next((place for place in places if place >= cut), cut)
        if len(name) - cut >= 2:
            yield found.start() - (len(name) - cut), found.end()


def _unmatched_bracket(name: str) -> int:
    """Return the position after the last bracket that opens in ``name`` and does not close there; 0 without one."""
    depth = 0
    for i in range(len(name) - 1, -1, -1):
        depth += (name[i] in "）)") - (name[i] in "（(")
        if depth < 0:
            return i + 1
    return 0


# -- Kinds of data ----------------------------------------------------------------------------------------------------

_DATA_CHUNK = re.compile(r"[^，。；;:：！？\n“”\"【】]{4,400}+")
_DATA_WORD = re.compile(
    r"姓名|名称|号码?|地址|信息|照片|头像|昵称|位置|日志|标识|IMEI|IMSI|MAC|IDF[AV]|OAID|IP|SSID|GPS|ID|记录"
    r"|账[号户]|帐[号户]|密码"
    r"|验证码|性别|年龄|生日|出生|指纹|人脸|面容|面部|列表|型号|版本|权限|证件?|邮箱|邮件|手机|电话|通讯录|相册"
    r"|相机|麦克风|摄像头"
    r"|订单|金额|数据|内容|图片|视频|语音|音频|声音|地区|职业|学历|国籍|时间|日期|时长|系统|设备|类型|状态|语言"
    r"|联系|城市|剪[切贴]板|Cookie",
    re.IGNORECASE,
)
_DATA_JOINT = re.compile(r"、|以及|及(?!时)|[和与](?!平)|或者?|/")
_DATA_LEAD = re.compile(
    r"收集|获取|获得|提供|包括但不限于|包括|包含|填写|提交|上传|读取|采集|使用(?!时|的|习惯|情况|频率|者)"
    r"|存储(?!权|空)|保存|共享|传输"
    r"|例如|比如|如(?!果)|涉及|发送(?!时)|访问(?!日|时|的|记录|量|网)|展示|输入|录入|需要|核[对验]|验证(?!码"
    r"|信息)|[您你户]的|以下|相关的|其|到|了"
)
_DATA_TAIL = re.compile(
    r"等|用于|以便|以(?!及|上|下)|来(?!源|电)|进行|才能|后(?!台)|时(?!间|长|区)|作为|提供|传输|共享|发送(?!时)"
    r"|存储(?!权|空)|保存|从而|为(?!主)"
    r"|并|给|将|中|是(?!否)|属于|之外|来自|不会|可能|[）)]$"
)
_DATA_SINGLE = re.compile(
    rf"(?:收集|获取|读取|采集|记录|访问|申请|开启)(?:[您你]的|[您你]|用户的?)?(?P<name>[{_CJK}A-Za-z0-9]{{2,16}}?"
    r"(?:信息|号码|地址|照片|头像|昵称|记录|权限|列表|标识符?|数据|图像|特征|身份证|位置|剪[切贴]板|通讯录|相册"
    r"|麦克风|摄像头))"
)
_DATA_GENERAL = re.compile(
    r"个人信息|相关信息|必要|公开信息|(?:上述|以下|该等|其他|下列|有关|任何|前述|这些|此类|更多|部分|所需"
    r"|的)(?:信息|数据|权限)|此项|该项|基础信息|^[等和及与所该上前在向的您你]|^个人"
)
_DATA_VERB = re.compile(
    r"用于|以便|我们|如果|您可|要求|保障|[您你]希望|实现|解决|优化|同时|防止|登录进|^[在向所和等与及前并中的]"
    r"|^以及"
)


def _data_types(text: str) -> Iterator[tuple[int, int]]:
    listed = [span for chunk in _DATA_CHUNK.finditer(text) for span in _enumerations(text, *chunk.span())]
    yield from listed
    if not listed:
        for found in _DATA_SINGLE.finditer(text):
            if not _DATA_GENERAL.search(found["name"]):
                yield found.span("name")


def _enumerations(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the list of data inside one chunk without inner punctuation, if it holds one."""
    chunk = text[start:end]
    first = chunk.find("、")
    if first < 0:
        return
    leads = [lead.end() for lead in _DATA_LEAD.finditer(chunk, 0, first) if first - lead.end() >= 1]
    begin = leads[-1] if leads else 0
    bracket = max(chunk.rfind("（", begin, first), chunk.rfind("(", begin, first))
    if bracket >= 0 and not re.search(r"[）)]", chunk[bracket:first]):
        begin = bracket + 1
    joints = list(_DATA_JOINT.finditer(chunk, first))
    tail = next((t.start() for t in _DATA_TAIL.finditer(chunk, joints[-1].end()) if t.start() > joints[-1].end()), None)
    stop = next((t.start() for t in re.finditer(r"等", chunk[first:])), None)
    finish = min(len(chunk) if tail is None else tail, len(chunk) if stop is None else first + stop)
    listed = chunk[begin:finish].strip()
    parts = [part for part in _DATA_JOINT.split(listed) if part.strip()]
    worded = sum(bool(_DATA_WORD.search(part)) for part in parts)
    if len(parts) >= 2 and 2 * worded >= len(parts) and not _DATA_VERB.search(listed):
        yield start + begin, start + finish


# -- All kinds --------------------------------------------------------------------------------------------------------


def find_facts(text: str, *, offset: int = 0) -> list[FactSpan]:
    """Return every fact in ``text`` in text order; where two overlap, the kind that is harder to mistake stays.

    :param offset: where ``text`` begins in the policy; added to every position.
    """
    return [FactSpan(fact.kind, fact.start + offset, fact.end + offset) for fact in _facts_in(text)]


@lru_cache(maxsize=KEPT_TEXTS)
def _facts_in(text: str) -> tuple[FactSpan, ...]:
    found: list[FactSpan] = []
    taken = bytearray(len(text))
    for kind, spans in _spans_by_kind(text):
        for start, end in (_without_margins(text, *span) for span in spans):
            if start < end and not any(taken[start:end]):
                found.append(FactSpan(kind, start, end))
                taken[start:end] = b"\1" * (end - start)
    return tuple(sorted(found, key=lambda fact: (fact.start, fact.end)))


def _without_margins(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without the white space at its two ends."""
    found = text[start:end]
    return end - len(found.lstrip()), start + len(found.rstrip())


def _spans_by_kind(text: str) -> Iterator[tuple[FactKind, list[tuple[int, int]]]]:
    yield "url", [found.span() for found in _URL.finditer(text)]
    yield "email", [found.span() for found in _EMAIL.finditer(text)]
    yield "menu_path", list(_menu_paths(text))
    yield "date", [found.span() for found in _DATE.finditer(text)]
    yield "phone", list(_phones(text))
    yield "age", [found.span() for found in _AGE.finditer(text)]
    yield "time_limit", list(_time_limits(text))
    yield "court", list(_courts(text))
    yield "address", list(_addresses(text))
    yield "organisation", list(_organisations(text))
    yield "data_types", list(_data_types(text))


# -- What a question asks for -----------------------------------------------------------------------------------------

_WANTED_ZH: tuple[tuple[FactKind, str], ...] = (
    ("court", r"法院|起诉|打官司|诉讼|管辖"),
    ("email", r"邮箱|电邮|邮件地址|信箱|联系|投诉|[eE]-?mail"),
    ("phone", r"电话|热线|客服号|打哪个号|拨打|联系|投诉"),
    ("address", r"(?<!IP)(?<!ip)(?<!收货)(?<!MAC)(?<!mac)地址(?!栏|本|簿)|寄到|寄往|寄信|邮寄|办公地|门牌|注册[地在]"),
    ("url", r"网址|官网|链接是|哪个网站"),
    (
        "date",
        r"生效|哪天开始|几月几号|(?:什么时候|啥时候|何时|哪天|哪年|最[近后])(?:一次)?(?:更新|生效|改|发布|成立)"
        r"|更新日期|成立于|哪年",
    ),
    (
        "time_limit",
        r"多久|多长时间|几(?:个)?(?:工作日|天|日|小时|年|月|周)(?!几)|多少(?:个)?(?:工作日|天|日|年|月)|期限"
        r"|时限|提前多",
    ),
    (
        "age",
        r"几岁|多大(?:年纪|岁)?[才能可算?？]|多少岁|年龄(?:要求|限制)"
        r"|[\d一二三四五六七八九十]岁[^。]{0,12}(?:能不能|能[^。]{0,8}[吗不嘛么]|可以|让不让)",
    ),
    (
        "organisation",
        r"哪几?家|(?:哪|什么|啥)(?:个|些)?(?:公司|机构|部门|单位|主体|企业)|谁家|运营(?:方|者|主体|公司)"
        r"|谁(?:在)?(?:运营|开发|经营)|开发商|背后",
    ),
    (
        "data_types",
        r"(?:哪些|什么|啥|哪几样|哪几项|何种)(?:个人)?(?:信息|数据|资料|东西|材料|证件|权限|内容|字段)|(?:收集"
        r"|采集|拿|获取|读|交|填|提供|记录?|共享|查|看到?)(?:走|取|到)?[^，。？?]{0,8}(?:哪些|什么|啥)"
        r"|要(?:哪些|什么|啥)",
    ),
    (
        "menu_path",
        r"怎[么样](?!回事|办|会|处理|保[护存证]|用我|使用|存|知道|还|这)|如何(?!处理|保[护存证障]|使用|存|确保)"
        r"|咋(?!办|还|回事|处理|存|知道|会|连|老|又)|(?<!存)(?<!存在)(?<!放在)(?:在?哪[里儿]|点哪|去哪"
        r"|从哪)(?!来|家)|哪个(?:菜单|入口|页面|按钮)|路径|入口|开关|步骤|关掉|关闭$|解绑$|注销$",
    ),
)
_WANTED_EN: tuple[tuple[FactKind, str], ...] = (
    ("court", r"\bcourts?\b|(?<!you )\bsue\b|lawsuit|jurisdiction"),
    ("email", r"e-?mail|contact|get in touch|reach (?:you|them|someone|out)|write to|complain"),
    (
        "phone",
        r"\bphone number (?:to|for|do)|hotline|helpline|\bcall\b|\bring\b|contact|get in touch|reach (?:you"
        r"|them|someone)|customer service|(?:support|service|phone) (?:phone|number|line)|complain",
    ),
    (
        "address",
        r"(?:postal|mailing|street|office|registered|company) address|where (?:is|are) .{0,40}(?:based|located"
        r"|registered|office)|\bpost (?:a|my|it)|headquarter",
    ),
    ("url", r"\bwebsite\b|\burl\b|web address"),
    (
        "date",
        r"effective date|last (?:updated|revised|changed)|when (?:was|did|does|is) .{0,40}(?:updat|effect"
        r"|publish|revis|found|start)|what date|which date",
    ),
    (
        "time_limit",
        r"how (?:long|many (?:business |working )?(?:days|months|years|hours)|soon|quick|fast)|retention"
        r"|time ?limit|deadline|what period|minimum period|(?:days|months|years)\?|when will",
    ),
    (
        "age",
        r"how old|old enough|(?:what|which|minimum) age|age (?:limit|requirement)|(?:can|may|allowed"
        r"|let) .{0,40}(?:\d+[- ]year[- ]old|\bminors?\b|under \d+)|(?:\d+[- ]year[- ]old|i'm 1\d|i am 1\d"
        r"|is 1\d)\b.{0,60}(?:allowed|\bcan (?:i|he|she|they)\b)",
    ),
    (
        "organisation",
        r"(?:which|what|whose) (?:\w+ )?(?:compan|firm|entit|organi[sz]|department|corporat|legal|bank)"
        r"|who(?:'s| is| are)? (?:actually |really )?(?:behind|runs?|owns?|operates?|makes?|made|provid|develop"
        r"|does)|operator",
    ),
    (
        "data_types",
        r"(?:what|which)(?: of my| kinds? of| types? of| sorts? of| bits? of| personal| other)* ?(?:data"
        r"|info\w*|details|permissions|documents|stuff|records|fields|materials)|what(?:'s| does| do| will| did"
        r"| would| is| are| else)? .{0,50}(?:collect|take\b|grab|need from|need to (?:provide|give|hand|submit)"
        r"|ask (?:me )?for|gather|share|hand over|record|require|see\b|read\b|pull)|collected$",
    ),
    (
        "menu_path",
        r"how (?:do|can|would|could|should) (?:i|we|you|my)|how to\b|how'd i|where (?:do|can|would|should"
        r"|could) (?:i|we)|where(?:'s| is) (?:the|that) (?:switch|setting|option|button|menu|toggle)|which menu"
        r"|where to|turn(?:ing)? .{0,30}off|switch(?:ing)? .{0,30}off|opt[- ]?out|off switch|\bsteps\b",
    ),
)


def wanted_kinds(question: str, language: str) -> tuple[FactKind, ...]:
    """Return the kinds of fact that ``question`` asks for, the most telling first; empty where it asks for none."""
    if language == "zh-Hant":
        question = simplify(question)
    table = _WANTED_EN if language == "en" else _WANTED_ZH
    return tuple(kind for kind, pattern in table if re.search(pattern, question.lower()))


# A question of nothing but these words, and what makes a question of them, asks for the contact itself; why it is asked
# for (为什么要电话), or what is done with it, is another question.
_NAMED_ZH: tuple[tuple[FactKind, str], ...] = (
    ("email", r"(?:电子)?邮[箱件](?:地址)?|电邮|信箱|e-?mail"),
    ("phone", r"电话|热线|(?:哪个|什么|多少)号"),
    ("court", r"法院|管辖权?|打官司|起诉|诉讼"),
    ("address", r"(?:公司|注册|办公|通[讯信]|邮寄|联系|详细)地址|总部"),
)
_NAMED_EN: tuple[tuple[FactKind, str], ...] = (
    ("email", r"\be-?mail(?: address(?:es)?)?\b"),
    ("phone", r"\b(?:tele)?phone\b|\b(?:hot|help)[ -]?line\b|\b(?:service|contact|support) numbers?\b"),
    ("court", r"\bcourts?\b|(?<!you )\bsue\b|\blawsuits?\b|\bjurisdiction\b"),
    ("address", r"\b(?:postal|mailing|street|registered|office|company) address(?:es)?\b|\bheadquarters?\b"),
)
_BESIDE_ZH = re.compile(
    r"客服|客户|人工|官方|服务|公司|运营[者方]|联系|投诉|举报|反馈|咨询|隐私|个人信息保护|数据保护|争议|纠纷|解决|发生|问题"
    r"|负责人|专员|专门|部门|团队|你们|他们|我(?=[要想应该能可])|号码?|所在地?|请问|告诉|一下|致电|寄信?|写信|应?该|可以|能"
    r"|(?<![你他]们)(?:拨打?|打|找|发|想)|要(?=[你他]们|客服|公司|联系|投诉|举报|反馈|咨询|打|找|发|写|寄|问)|用(?=哪|什么)"
    r"|有|没有|是|为(?!什么|啥|何)|多少|什么|啥|哪[个里儿家]?|几|怎么|如何|谁|在|到|去|归|由|向|的|和|与|或者?|以及|吗|呢"
    r"|啊|呀|那么?|[\s\W_]"
)
_BESIDE_EN = re.compile(
    r"\b(?:what|which|where|who(?! (?:ha[sv]e?|can have))|whom|how|is|are|there|the|an?|i|you|they|your|their|does|can"
    r"|could|should|would|(?<!you )(?<!they )(?:do|want|give|get|call|ring|reach|write|mail|contacts?|use)|have|has|in"
    r"|touch|customers?|services?|support|privacy|complain|complaints?|questions?|issues?|disputes?|data|protection|officer"
    r"|team|company|operators?|legal|to|for|about|of|at|on|by|with|and|or|numbers?|please|s)\b|[\s\W_]"
)


def named_kinds(question: str, language: str) -> tuple[FactKind, ...]:
    """Return the contacts that ``question`` asks for if it asks for nothing else, as 客服电话是多少 does; else none."""
    if language == "zh-Hant":
        question = simplify(question)
    table, beside = (_NAMED_EN, _BESIDE_EN) if language == "en" else (_NAMED_ZH, _BESIDE_ZH)
    found: list[FactKind] = []
    rest = question.lower()
    for kind, pattern in table:
        rest, count = re.subn(pattern, " ", rest)
        found += [kind] * (count > 0)
    if re.fullmatch(r"\W*(?:电话|邮箱|(?:tele)?phone|e-?mail)\W*", question.lower()):
        return ()  # it may as well be the data that is collected
    return tuple(found) if not beside.sub("", rest) else ()


_UNMISTAKABLE: tuple[FactKind, ...] = ("menu_path", "phone", "email", "time_limit")


def select_facts(facts: Sequence[FactSpan], wanted: Sequence[FactKind]) -> list[FactSpan]:
    """Return the facts worth showing, those of the kind asked first.

    A question how to do something gets the menu path, and where there is none the contact by which it is done. A
    question that asks for no kind gets what is unmistakable.
    """
    kinds = list(wanted) or list(_UNMISTAKABLE)
    if "menu_path" in wanted and not any(fact.kind == "menu_path" for fact in facts):
        kinds += [kind for kind in ("phone", "email") if kind not in kinds]
    return [fact for kind in kinds for fact in facts if fact.kind == kind]
