"""The cells of a profile that hold one sentence: what policies call the thing, and how to tell who states it.

A sentence that merely mentions a subject is no answer. Each cell therefore has wordings that state it, the surest
first: a sentence has to match one of them. Which of those that do is quoted, the ranking for several fixed phrasings
decides together with the wording, the heading above and the facts that a reader wants from the cell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from index.segment import Segment
from retrieval.answer import list_span
from retrieval.datatypes import FactKind, SentenceKey
from retrieval.facts import find_facts
from retrieval.rows import LONGEST_SENTENCE
from retrieval.search import Ranking

# What each sign is worth, in standard deviations of the ranking; chosen on policies that are no seeds.
WORDING = 1.5  # one step between a surer wording and the next
HEADING = 1.5  # standing under a heading that names the subject
FACT = 1.2  # holding a fact of a kind that the cell wants
OUTSIDE = 2.0  # standing before the first heading, where policies say what they are going to say
LONGEST_LIST = 600  # characters of a list that is quoted from lead-in to last item
LONGEST_QUOTE = 400  # characters up to which the sentence that follows joins the quote


@dataclass(frozen=True)
class SoughtCell:
    """What one cell looks for.

    ``states`` are wordings, surest first, one of which the sentence has to match; ``heading`` is looked for in the
    headings above; ``against`` marks sentences that only mention the subject; ``wanted`` are the kinds of fact that a
    reader expects in the cell.
    """

    key: SentenceKey
    phrasings: tuple[str, ...]
    states: tuple[str, ...]
    heading: str
    against: str = r"(?!)"
    wanted: tuple[FactKind, ...] = ()


class FoundSentence(NamedTuple):
    """Where a cell's quote stands: the clause's ordinal and offsets into the policy's text."""

    ordinal: int
    start: int
    end: int


_YOU = r"(?:[您你]|用户|个人信息主体)"
_MAY = r"(?:有权|可以?|随时|能够|通过|(?<!的)要求|请求|申请|选择|登录|进入|点击|希望|需要|联系|前往|拨打)"
_DATA = r"(?:信息|资料|数据|照片|记录|内容)"
_POLICY = r"(?:政策|协议|指引|声明|条款|准则|规则)"
_TOLD = r"(?:通知|弹窗|公告|公布|提示|展示|告知|发布|推送|邮件|公示|刊登|张贴|显著)"
_RIGHT_FACTS: tuple[FactKind, ...] = ("menu_path", "phone", "email", "time_limit", "url")
_REFUSED = r"无法响应|不会响应"

SOUGHT: tuple[SoughtCell, ...] = (
    SoughtCell(
        "permissions_refusal",
        (
            "怎么关闭系统权限？",
            "您可以在手机系统设置中关闭授权，拒绝或撤回相机、位置、通讯录等权限",
            "拒绝授予权限会怎么样？",
        ),
        (
            r"(?:设置|系统|设备).{0,25}(?:关闭|取消|撤回|撤销|修改|管理|禁用|改变|开启或|更改).{0,30}(?:权限|授权)"
            r"|(?:关闭|取消|禁用|撤回|撤销).{0,25}(?:权限|授权).{0,30}(?:设置|系统)"
            r"|(?:权限|授权).{0,30}(?:设置|系统).{0,20}(?:关闭|撤回|取消|修改|管理)"
            r"|自行(?:取消|关闭)该?.{0,4}权限",
            r"(?:自行|随时|可以?|有权|选择).{0,15}(?:关闭|取消|撤回|撤销|拒绝).{0,15}(?:权限|授权)",
            r"(?:拒绝|不同意|不授权|不开启|未开启|不授予|关闭).{0,25}权限|权限.{0,15}(?:拒绝|不同意|关闭)"
            r"|关闭.{0,12}(?:定位|位置|相机|摄像头|麦克风|通讯录|相册)",
        ),
        r"权限|授权",
        r"Cookie|注销|第三方(?:应用|账号|帐号)授权|访问权限|权限控制",
        ("menu_path",),
    ),
    SoughtCell(
        "storage_place",
        ("个人信息存储在哪里？", "我们在中华人民共和国境内收集和产生的个人信息将存储在中华人民共和国境内", "存储地点"),
        (
            r"(?:存储|储存|存放|保存|留存|存于|存储于)[^。]{0,30}(?:境内|中国大陆|内地|国内)"
            r"|(?:境内|中国大陆|内地|国内)[^。]{0,60}(?:存储|储存|存放|保存|留存)",
            r"(?:存储|储存|存放|保存)(?:于|在|到|至|地).{0,20}(?:服务器|数据中心|地区|国家|境外|新加坡|香港|美国|欧)",
            r"服务器.{0,15}(?:位于|设在|设于)|(?:传输|转移|提供)(?:到|至|给)?.{0,4}境外",
        ),
        r"存储|储存|保存|存放|地[点域区]",
        r"跨境传输产生|特别注意|监管规定|终端用户",
    ),
    SoughtCell(
        "storage_period",
        (
            "个人信息保存多久？",
            "我们仅在实现目的所必需的最短期限内保留您的个人信息，法律法规另有规定的除外",
            "存储期限",
        ),
        (
            r"(?:目的|服务|功能|法律法规|所需|必需|必要|要求|规定|最短|最小化)[^。]{0,30}(?:期限|时限|时间|期间|期)内?"
            r"[^。]{0,20}(?:保存|保留|存储|留存|储存)"
            r"|(?:保存|保留|存储|留存|储存)[^。]{0,45}(?:最短|必需的|必要的|所需的|所必需|所必要)[^。]{0,12}"
            r"(?:期限|时限|时间|期间|期)",
            r"(?:保存|保留|存储|留存|储存)(?:期限|时限|时间|期)?[^。]{0,40}"
            r"(?:至少|不少于|不超过|\d+\s?个?(?:年|月|天|日)|[一二三六]年|期限|时限|期间)",
            r"(?:保存|保留|存储|留存|储存).{0,8}(?:期限|时限|时间)|(?:一直|持续).{0,10}(?:保存|保留|存储)",
        ),
        r"期限|时限|时间|存储|储存|保存|保留|多久",
        r"是否|^例如|^(?:当|如).{0,12}超[出过]|^超[出过]|Cookie|缓存|日志|停止运营|监控|回放|注销(?:后|账号后)|境外",
        ("time_limit",),
    ),
    SoughtCell(
        "right_access",
        ("怎么查看我的个人信息？", "您有权访问、查阅您的个人信息，可以通过以下路径查看", "访问您的个人信息"),
        (
            rf"{_YOU}?.{{0,25}}{_MAY}.{{0,45}}(?:访问|查阅|查询|查看|浏览).{{0,40}}{_DATA}"
            rf"|(?:访问|查阅|查询|查看).{{0,25}}{_DATA}.{{0,8}}[:：].{{0,60}}(?:点击|通过|进入|-|>|＞|→)",
            rf"(?:访问|查阅|查询|查看).{{0,25}}(?:个人|账[号户]|帐[号户]|[您你]的).{{0,12}}{_DATA}",
        ),
        r"访问|查阅|查看|查询",
        rf"查看.{{0,25}}{_POLICY}|未经授权|Cookie|第三方|[他好]友|附近|无法访问|可能无法|员工|服务器日志"
        rf"|如果.{{0,4}}无法"
        rf"|控制机制|授权人员|我们还?会收集|我[们方]访问|网络安全法|其他的投诉|{_REFUSED}",
        _RIGHT_FACTS,
    ),
    SoughtCell(
        "right_copy",
        (
            "怎么获取个人信息副本？",
            "您有权获取、复制您的个人信息副本，或将个人信息转移给您指定的第三方",
            "导出个人信息",
        ),
        (
            rf"{_DATA}[^。]{{0,12}}(?:的?副本|的?拷贝)|(?:获取|获得|下载|导出|索取)[^。]{{0,25}}(?:副本|拷贝)",
            rf"{_YOU}.{{0,30}}{_MAY}.{{0,40}}(?:复制|导出|拷贝|转移)[^。]{{0,25}}{_DATA}"
            rf"|(?:查阅|查看|访问|查询)[^。]{{0,10}}(?:复制|导出)|{_DATA}[^。]{{0,10}}(?:转移|导出)(?:至|到|给)"
            r"[^。]{0,10}指定",
        ),
        r"副本|复制|转移|导出|携带",
        r"非法|知识产权|镜像|缓存|传播|身份证|营业执照|版权|合并|转让|著作|商标|独立地",
        _RIGHT_FACTS,
    ),
    SoughtCell(
        "right_correct",
        ("怎么更正我的个人信息？", "您有权更正、修改、补充您的个人信息，可以通过以下路径修改", "更正您的个人信息"),
        (
            rf"{_YOU}?.{{0,30}}{_MAY}.{{0,45}}(?:更正|修改|更新|补充|完善|修正|更改|编辑|变更).{{0,40}}{_DATA}"
            rf"|(?:更正|修改|变更).{{0,25}}{_DATA}.{{0,8}}[:：].{{0,60}}(?:点击|通过|进入|-|>|＞|→)"
            r"|(?:错误|不准确|不完整).{0,25}(?:更正|修改|补充)",
            rf"(?:更正|修改|补充|更改).{{0,25}}(?:个人|账[号户]|帐[号户]|[您你]的).{{0,12}}{_DATA}",
        ),
        r"更正|修改|更改|补充",
        rf"{_POLICY}.{{0,12}}(?:修改|更新|修订|变更)|(?:修改|更新|修订|变更).{{0,8}}{_POLICY}|密码|未经授权|Cookie"
        rf"|可能无法|如果.{{0,4}}无法|使用目的|{_REFUSED}",
        _RIGHT_FACTS,
    ),
    SoughtCell(
        "right_delete",
        ("怎么删除我的个人信息？", "在以下情形中，您可以向我们提出删除个人信息的请求", "删除您的个人信息"),
        (
            rf"{_YOU}.{{0,60}}{_MAY}.{{0,45}}(?:删除|清除).{{0,40}}(?:{_DATA}|请求|[:：])"
            rf"|(?:删除|清除).{{0,25}}{_DATA}.{{0,8}}[:：].{{0,60}}(?:点击|通过|进入|-|>|＞|→)|要求我们.{{0,10}}删除",
            rf"{_YOU}.{{0,30}}(?<!尽快)(?<!要求)(?:删除|清除).{{0,20}}{_DATA}",
            rf"(?:依据|按照|根据|应){_YOU}的?要求.{{0,12}}(?:删除|清除)",
        ),
        r"删除|清除",
        r"Cookie|方式撤回|备份|若我们决定|一旦被响应|未成年|儿童|监护人|匿名化处理[。；]?$|可能无法|如果.{0,4}无法|更便捷"
        r"|更加便捷"
        rf"|身份验证|停止运营|{_REFUSED}",
        _RIGHT_FACTS,
    ),
    SoughtCell(
        "right_withdraw",
        ("怎么撤回同意？", "您可以通过以下方式改变授权范围或撤回您的授权同意", "改变您授权同意的范围或撤回授权"),
        (
            rf"{_YOU}?.{{0,40}}{_MAY}.{{0,60}}(?:撤回|收回|撤销|改变|变更|取消|更改).{{0,25}}(?:同意|授权)",
            r"(?:改变|变更|更改|撤回|收回|撤销).{0,15}(?:同意|授权)",
        ),
        r"撤回|撤销|改变|变更.{0,6}授权|授权同意|同意",
        r"(?:撤回|收回|撤销).{0,10}(?:决定|后|时)|^当|单独同意|Cookie|重新|事先|终端用户|无法响应|不会响应",
        _RIGHT_FACTS,
    ),
    SoughtCell(
        "right_cancel",
        (
            "怎么注销账号？",
            "您可以通过以下路径申请注销账户，注销后我们将停止为您提供服务并删除您的个人信息",
            "注销账号",
        ),
        (
            rf"{_YOU}?.{{0,60}}{_MAY}.{{0,60}}注销|注销.{{0,6}}(?:账|帐|用户).{{0,40}}(?:通过|点击|登录|路径|申请"
            rf"|[:：])",
            r"注销.{0,8}(?:账|帐|用户)",
        ),
        r"注销|删除.{0,4}[账帐]",
        r"^(?:在|当|如果?)?[您你]?[^。]{0,8}注销(?:账[号户]|帐[号户])?之?(?:[后前时]|信息)|撤回全部|保障[您你]撤回"
        rf"|不再使用|{_REFUSED}",
        _RIGHT_FACTS,
    ),
    SoughtCell(
        "right_complaint",
        ("怎么投诉举报？", "如果您认为您的个人信息权益受到侵害，可以通过以下方式投诉、举报", "向监管部门投诉"),
        (
            r"(?:举报|申诉).{0,120}(?:联系|拨打|渠道|电话|热线|邮箱|邮件|通过|请|反馈|部门|机关|机构)"
            r"|(?:通过|向|拨打|联系|可以?).{0,50}(?:投诉|举报|申诉)"
            r"|(?:信息|权益|权利).{0,10}(?:受到|遭到|可能|损害了).{0,10}(?:侵害|损害|侵犯)?.{0,80}"
            r"(?:联系|投诉|点击|举报|反馈)",
            r"投诉.{0,120}(?:联系|拨打|渠道|电话|热线|邮箱|邮件|通过|请|反馈|部门|机关|机构)",
        ),
        r"投诉|举报|联系|申诉|响应",
        r"我们.{0,20}收集|需要[您你]提供|侵权|知识产权|版权|纠纷|处理.{0,6}(?:投诉|举报)|(?:投诉|举报)处理|被投诉"
        r"|投诉人|投诉他人|应对[您你]|拒绝提供|发生变[化更]|找回"
        r"|用途|EEA",
        ("phone", "email", "menu_path", "time_limit", "url"),
    ),
    SoughtCell(
        "children",
        (
            "未成年人可以使用吗？",
            "如果您是未成年人，应在监护人同意和指导下使用我们的服务或提供个人信息",
            "不满十四周岁的儿童个人信息",
        ),
        (
            r"(?:未成年|儿童|周岁|青少年)[^。]{0,60}(?:监护人|父母|家长)[^。]{0,40}(?:同意|陪同|指导|阅读)",
            r"(?:监护人|父母|家长)[^。]{0,30}(?:同意|陪同|指导|阅读)|(?:儿童|未成年人|周岁)[^。]{0,30}"
            r"(?:不接受|不会|不得|不应|仅|无法|不向|不提供)",
            r"(?:未成年|儿童|周岁|青少年)[^。]{0,40}(?:保护|收集|使用|注册|阅读)",
        ),
        r"未成年|儿童|[^未]成年人|青少年|孩子",
        r"敏感个人信息|生物识别|认证|应用是针对|[您你]的(?:终端)?用户为",
        ("age",),
    ),
    SoughtCell(
        "changes",
        ("政策更新如何通知？", "我们可能适时修订本政策，变更时会以推送通知、弹窗、公告的形式告知您", "本政策如何更新"),
        (
            rf"(?:{_POLICY}|内容)[^。]{{0,25}}(?:修订|修改|变更|更新|调整)[^。]{{0,80}}{_TOLD}"
            rf"|(?:修订|修改|变更|更新)[^。]{{0,30}}{_POLICY}[^。]{{0,80}}{_TOLD}",
            r"更新版本.{0,30}(?:提醒|通知|告知)",
            rf"(?:可能|适时|不时|有权|保留)[^。]{{0,30}}(?:修订|修改|变更|更新|调整)[^。]{{0,20}}{_POLICY}"
            rf"|{_POLICY}[^。]{{0,15}}(?:适时|不时|可能)[^。]{{0,15}}(?:修订|修改|变更|更新|调整)",
            rf"{_POLICY}[^。]{{0,12}}(?:修订|修改|变更|更新)",
        ),
        rf"更新|变更|修订|修改|通知|{_POLICY}的?(?:更新|变更|修订)|如何更新",
        r"更新日期|最近更新|清单|第三方|主要更新|本次更新|^欢迎|^如(?:您|用户)?(?:继续|不同意)",
    ),
    SoughtCell(
        "contact",
        (
            "怎么联系你们？",
            "如您对本政策有任何疑问、意见或建议，可以通过以下方式与我们联系：客服电话、邮箱",
            "联系我们",
        ),
        (
            r"(?:通过|以下|如下|下列|下述|拨打|发送|请).{0,60}(?:联系|反馈|咨询)|(?:联系|反馈|咨询).{0,60}"
            r"(?:电话|热线|邮箱|客服|地址|方式)|(?:邮箱|电话|热线|邮件|邮寄地址|联系地址|通讯地址).{0,12}[:：]",
            r"(?:疑问|意见|建议|问题).{0,40}(?:联系|反馈|咨询|客服)|(?:联系|客服).{0,10}(?:电话|热线|邮箱|地址|我们)",
        ),
        r"联系|如何(?:联系|反馈)|反馈|咨询",
        r"注销|删除[您你]的|副本|儿童|监护|我们.{0,8}收集|知识产权|被盗|第三方.{0,10}联系",
        ("phone", "email", "address", "menu_path"),
    ),
    SoughtCell(
        "court",
        (
            "发生争议由哪个法院管辖？",
            "因本政策引起的争议，协商不成的，任何一方可向有管辖权的人民法院提起诉讼",
            "争议解决",
        ),
        (
            r"法院[^。]{0,15}(?:管辖|提起|起诉|诉讼|解决|裁判)|(?:提交|诉至|起诉|诉诸)[^。]{0,40}(?:法院|仲裁)"
            r"|仲裁(?:委员会|机构)[^。]{0,15}(?:仲裁|解决|裁决)|(?:管辖|诉讼)[^。]{0,20}法院",
        ),
        r"争议|管辖|法律适用|适用法律|联系|其[他它]",
        r"判决|裁定|EEA|欧洲|要求披露|强制|传票|司法机关|执行",
        ("court",),
    ),
)


@cache
def _compiled(sought: SoughtCell) -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str], re.Pattern[str]]:
    return tuple(map(re.compile, sought.states)), re.compile(sought.heading), re.compile(sought.against)


_FOREWORD = re.compile("更便捷|更加便捷|向您阐述|将会阐述")  # says that something is going to be said
_CHILDREN = re.compile("未成年|儿童|孩子")  # a chapter with rights of its own


def phrasing_scores(ranking: Ranking) -> NDArray[np.float32]:
    """Return the score of every unit in standard deviations: its clause's and its own, the better phrasing counts."""
    clauses = (ranking.score - ranking.score.mean()) / (float(ranking.score.std()) or 1.0)
    units = (ranking.unit_scores - ranking.unit_scores.mean()) / (float(ranking.unit_scores.std()) or 1.0)
    owners = np.array([unit.clause for unit in ranking.segment.units], dtype=np.int64)
    scores: NDArray[np.float32] = (clauses[owners] + units) / 2
    return scores


def find_sentence(segment: Segment, sought: SoughtCell, rankings: Sequence[Ranking]) -> FoundSentence | None:
    """Return where the sentence stands that states what ``sought`` looks for; ``None`` where none does.

    :param rankings: one for each of its phrasings.
    """
    states, heading, against = _compiled(sought)
    ranked = np.max([phrasing_scores(ranking) for ranking in rankings], axis=0)
    text = segment.policy.text
    first_path = next((clause.path for clause in segment.clauses if clause.path), ())
    best: tuple[float, FoundSentence] | None = None
    for ordinal, clause in enumerate(segment.clauses):
        above = "\n".join(clause.path) if clause.path else ""
        first, last = segment.unit_range(ordinal)
        for unit in range(first + 1 if last - first > 1 else first, last):
            start, end = segment.units[unit].start, segment.units[unit].end
            sentence = " ".join(text[start : min(end, start + LONGEST_SENTENCE)].split())
            tier = next((place for place, wording in enumerate(states) if wording.search(sentence)), None)
            if tier is None or against.search(sentence):
                continue
            score = float(ranked[unit]) - WORDING * tier
            score += HEADING * bool(heading.search(clause.path[-1] if clause.path else ""))
            score += HEADING / 2 * bool(heading.search(above))
            score -= OUTSIDE * bool(first_path and not clause.path)
            score -= OUTSIDE * bool(_FOREWORD.search(sentence))
            score -= OUTSIDE * bool(sought.key != "children" and _CHILDREN.search(above))
            score -= OUTSIDE * bool(clause.document and clause.document != segment.clauses[0].document)
            if sought.wanted and clause.kind != "lead_in":
                score += FACT * any(fact.kind in sought.wanted for fact in find_facts(sentence))
            if best is None or round(score, 4) > round(best[0], 4):
                best = (score, FoundSentence(ordinal, start, end))
    if best is None:
        return None
    return _complete(segment, sought, best[1])


def _complete(segment: Segment, sought: SoughtCell, found: FoundSentence) -> FoundSentence:
    """Return the quote with what it says nothing without: a lead-in's items, the next sentence's path or time limit."""
    clause = segment.clauses[found.ordinal]
    listed = clause.kind == "lead_in" and found.end == clause.end
    if listed or (sought.key == "contact" and clause.lead_in):  # ways to get in touch belong together
        whole = list_span(segment, found.ordinal)
        if whole is not None and whole[2] - whole[1] <= LONGEST_LIST:
            return FoundSentence(found.ordinal, whole[1], whole[2])
        return found
    if not sought.wanted:
        return found
    first, last = segment.unit_range(found.ordinal)
    following = [unit for unit in segment.units[first + 1 : last] if unit.start >= found.end]
    text = segment.policy.text
    known = {fact.kind for fact in find_facts(text[found.start : found.end])}
    for unit in following[:1]:
        gained = {fact.kind for fact in find_facts(text[unit.start : unit.end])} - known
        if gained & set(sought.wanted) and unit.end - found.start <= LONGEST_QUOTE:
            return FoundSentence(found.ordinal, found.start, unit.end)
    return found
