"""The cells of a profile that hold one sentence: what policies call the thing, and how to tell who states it.

A sentence that merely mentions a subject is no answer. Each cell therefore has wordings that state it, the surest
first. Which of the sentences that match one is quoted, the ranking for several fixed phrasings decides together with
the wording, the heading above, the clause's practice topic and the facts that a reader wants from the cell. Where no
wording fits, the clause that :meth:`~retrieval.Assistant.ask` would answer one of the phrasings with is quoted, if its
topic or the heading above says that it is on the matter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpus.topics import Topic
from index.segment import Segment
from retrieval.answer import choose_quote, list_span
from retrieval.datatypes import FactKind, SentenceKey
from retrieval.facts import find_facts
from retrieval.query import Asked
from retrieval.rows import LONGEST_SENTENCE
from retrieval.search import Ranking

if TYPE_CHECKING:
    from retrieval.topics import Judged

# What each sign is worth, in standard deviations of the ranking; chosen on policies that are no seeds.
WORDING = 1.5  # one step between a surer wording and the next
HEADING = 1.5  # standing under a heading that names the subject
FACT = 1.2  # holding a fact of a kind that the cell wants
TOPIC = 1.0  # standing in a clause on the cell's topic
CONTINUES = 1.0  # adding to what a sentence before it says
OUTSIDE = 2.0  # standing before the first heading, where policies say what they are going to say
CANDIDATES = 3  # best clauses of an answered phrasing among which one on the matter is looked for
LONGEST_LIST = 600  # characters of a list that is quoted from lead-in to last item
LONGEST_QUOTE = 400  # characters up to which the sentence that follows joins the quote


@dataclass(frozen=True)
class SoughtCell:
    """What one cell looks for.

    ``states`` are wordings, surest first; ``heading`` is looked for in the headings above; ``against`` marks sentences
    that only mention the subject; ``wanted`` are the kinds of fact that a reader expects in the cell. ``names`` is what
    a sentence that no wording fits has to hold, and the lead-in of a step; ``topics`` are those of a clause on the
    matter; ``rather_not`` marks sentences that state a part of it, or less than another may.
    """

    key: SentenceKey
    phrasings: tuple[str, ...]
    states: tuple[str, ...]
    heading: str
    against: str = r"(?!)"
    wanted: tuple[FactKind, ...] = ()
    names: str = r"(?!)"
    topics: tuple[Topic, ...] = ()
    rather_not: str = r"(?!)"


class Sounding(NamedTuple):
    """A policy's ranking for one phrasing, and how likely its best clause answers it (0 to 1; 0 where it does not)."""

    asked: Asked
    ranking: Ranking
    confidence: float


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
_REFUSED = r"^(?!.{0,40}(?:可以?|有权|能够)(?:通过|与|向|在|联系)).*(?:无法响应|不会响应)"
# What a policy says that speaks of a request first and of the way to make it after: 如您有查阅的需要,您可联系……
_WAY = r".{0,60}(?:联系|通过|进入|发送|拨打|登[录陆]|点击|打开|前往)"
_NEED = r"(?:如果?|若|当)[^。]{0,8}(?:需|想|要|希望|有)[^。]{0,20}"

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
            r"|自行(?:取消|关闭)该?.{0,4}权限"
            r"|(?:设置|系统).{0,40}(?:权限|授权)[^。]{0,8}(?:关掉|关了|关闭|停用|禁用)",
            r"(?:自行|随时|可以?|有权|选择).{0,15}(?:关闭|取消|撤回|撤销|拒绝).{0,15}(?:权限|授权)",
            r"(?:拒绝|不同意|不授权|不开启|未开启|不授予|关闭).{0,25}权限|权限.{0,15}(?:拒绝|不同意|关闭)"
            r"|如果?[您你]?(?:拒绝|不同意)(?:授权|开启|授予)[^。]{0,25}(?:无法|影响|不能)"
            r"|关闭.{0,12}(?:定位|位置|相机|摄像头|麦克风|通讯录|相册)",
        ),
        r"权限|授权",
        r"Cookie|注销|第三方(?:应用|账号|帐号)授权|访问权限|权限控制",
        ("menu_path",),
        names=r"(?:关|拒绝|取消|撤[回销]|不(?:同意|授权|开启|允许)|管理)[^。]{0,20}(?:权限|授权)"
        r"|(?:权限|授权)[^。]{0,20}(?:关|拒绝|取消|撤[回销]|不(?:同意|授权|开启|允许)|管理)",
        topics=("permissions", "rights"),
        rather_not=r"可能需要向[您你]申请",
    ),
    SoughtCell(
        "storage_place",
        ("个人信息存储在哪里？", "我们在中华人民共和国境内收集和产生的个人信息将存储在中华人民共和国境内", "存储地点"),
        (
            r"(?:存储|储存|存放|保存|留存|存于|存储于)[^。]{0,30}(?:境内|中国大陆|内地|国内)"
            r"|(?:境内|中国大陆|内地|国内)[^。]{0,60}(?:存储|储存|存放|保存|留存)",
            r"(?:存储|储存|存放|保存)(?:于|在|到|至|地).{0,20}(?:服务器|数据中心|地区|国家|境外|新加坡|香港|美国|欧)",
            r"(?:服务器|机房|数据中心).{0,15}(?:位于|设在|设于)|(?:存|保管|放)(?:在|于)[^。]{0,25}(?:服务器|机房|数据中心)"
            r"|(?:传输|转移)(?:到|至|给)?.{0,4}境外"
            r"|向.{0,6}境外[^。]{0,6}(?:提供|传输|转移)|全球[^。]{0,40}(?:存储|储存)",
        ),
        r"存储|储存|保存|存放|地[点域区]",
        r"跨境传输产生|特别注意|监管规定|终端用户",
        names=r"境内|境外|中国大陆|服务器|机房|数据中心|(?:存|放|位)[^。]{0,8}(?:在|于)",
        topics=("storage",),
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
            r"(?:至少|不少于|不超过|\d+\s?个?(?:年|月|天|日)|[一二两三四五六七八九十半]{1,3}个?(?:年|月|天|周|星期)|期限|时限|期间)",
            r"(?:保存|保留|存储|留存|储存).{0,8}(?:期限|时限|时间)|(?:一直|持续).{0,10}(?:保存|保留|存储)",
        ),
        r"期限|时限|时间|存储|储存|保存|保留|多久",
        r"是否|^例如|^(?:当|如).{0,12}超[出过]|^超[出过]|停止运营|境外",
        ("time_limit",),
        names=r"期|年|月|天|日|久|时间|时限",
        topics=("storage",),
        rather_not=r"Cookie|缓存|日志|监控|回放|备份|^[^一-鿿]{0,6}(?:若|如)[^。，,]{0,10}法律|注销(?:后|账号后)",
    ),
    SoughtCell(
        "right_access",
        ("怎么查看我的个人信息？", "您有权访问、查阅您的个人信息，可以通过以下路径查看", "访问您的个人信息"),
        (
            rf"{_YOU}?.{{0,25}}{_MAY}.{{0,45}}(?:访问|查阅|查询|查看|浏览).{{0,40}}{_DATA}"
            rf"|(?:访问|查阅|查询|查看).{{0,25}}{_DATA}.{{0,8}}[:：].{{0,60}}(?:点击|通过|进入|-|>|＞|→)"
            rf"|{_YOU}.{{0,60}}{_MAY}.{{0,45}}(?:访问|查阅|查询|查看)[您你]的"
            rf"|{_YOU}.{{0,20}}{_MAY}.{{0,60}}{_DATA}进行(?:访问|查阅|查询|查看)"
            rf"|{_NEED}(?:访问|查阅|查询|查看){_WAY}",
            rf"(?:访问|查阅|查询|查看).{{0,25}}(?:个人|账[号户]|帐[号户]|[您你]的).{{0,12}}{_DATA}",
        ),
        r"访问|查阅|查看|查询|权利",
        rf"查看.{{0,25}}{_POLICY}|未经授权|Cookie|第三方|[他好]友|别人|允许他人|后续用户|其他用户|任何人|附近|无法访问|可能无法|员工|服务器日志"
        rf"|如果.{{0,4}}无法"
        r"|我们[^，。]{0,12}(?:申请|请求|收集|获取)"
        rf"|控制机制|授权人员|我们还?会收集|我[们方]访问|网络安全法|其他的投诉|{_REFUSED}",
        _RIGHT_FACTS,
        names=r"访问|查[阅询看]|浏览|看",
        topics=("rights",),
        rather_not=r"遇到[^。]{0,6}问题",
    ),
    SoughtCell(
        "right_copy",
        (
            "怎么获取个人信息副本？",
            "您有权获取、复制您的个人信息副本，或将个人信息转移给您指定的第三方",
            "导出个人信息",
        ),
        (
            rf"{_DATA}[^。]{{0,12}}(?:的?副本|的?拷贝)|(?:获取|获得|下载|导出|索取)[^。]{{0,25}}(?:副本|拷贝)"
            rf"|{_NEED}(?:复制|导出|副本){_WAY}",
            rf"{_YOU}.{{0,30}}{_MAY}.{{0,40}}(?:复制|导出|拷贝|转移)[^。]{{0,25}}{_DATA}"
            rf"|(?:查阅|查看|访问|查询)[^。]{{0,10}}(?:复制|导出)|{_DATA}[^。]{{0,10}}(?:转移|导出)(?:至|到|给)"
            r"[^。]{0,10}指定"
            r"|(?:复制|下载|导出)[^。]{0,6}个人信息",
        ),
        r"副本|复制|转移|导出|携带|权利",
        r"非法|知识产权|镜像|缓存|传播|身份证|营业执照|版权|合并|转让|著作|商标|独立地|境外|全球",
        _RIGHT_FACTS,
        names=r"副本|复制|拷贝|导出|携带|下载|转移[^。]{0,12}(?:指定|给[您你])|一份[^。]{0,8}(?:信息|资料|数据)",
        topics=("rights",),
    ),
    SoughtCell(
        "right_correct",
        ("怎么更正我的个人信息？", "您有权更正、修改、补充您的个人信息，可以通过以下路径修改", "更正您的个人信息"),
        (
            rf"{_YOU}?.{{0,30}}{_MAY}.{{0,45}}(?:更正|修改|更新|补充|完善|修正|更改|编辑|变更).{{0,40}}{_DATA}"
            rf"|(?:更正|修改|变更).{{0,25}}{_DATA}.{{0,8}}[:：].{{0,60}}(?:点击|通过|进入|-|>|＞|→)"
            r"|(?:错误|不准确|不完整).{0,25}(?:更正|修改|补充)"
            rf"|{_YOU}.{{0,60}}{_MAY}.{{0,45}}(?:更正|修改|更改)[您你]的"
            rf"|{_YOU}.{{0,12}}(?:需要|希望|想).{{0,40}}{_DATA}的?(?:变更|更正|修改)"
            rf"|{_NEED}(?:更正|修改|更改|补充){_WAY}",
            rf"(?:更正|修改|补充|更改).{{0,25}}(?:个人|账[号户]|帐[号户]|[您你]的).{{0,12}}{_DATA}",
        ),
        r"更正|修改|更改|补充|权利",
        rf"{_POLICY}.{{0,12}}(?:修改|更新|修订|变更)|(?:修改|更新|修订|变更).{{0,8}}{_POLICY}|^(?:(?!信息|资料).)*密码|未经授权|Cookie"
        rf"|备份|可能无法|如果.{{0,4}}无法|使用目的|{_REFUSED}",
        _RIGHT_FACTS,
        names=r"更正|修改|更改|补充|完善|更新|改正|编辑|变更|纠正",
        topics=("rights",),
        rather_not=r"该类信息|实[名人]认证|评价|评论|搜索",
    ),
    SoughtCell(
        "right_delete",
        ("怎么删除我的个人信息？", "在以下情形中，您可以向我们提出删除个人信息的请求", "删除您的个人信息"),
        (
            rf"{_YOU}.{{0,60}}{_MAY}.{{0,45}}(?:删除|清除).{{0,40}}(?:{_DATA}|请求|[:：])"
            rf"|(?:删除|清除).{{0,25}}{_DATA}.{{0,8}}[:：].{{0,60}}(?:点击|通过|进入|-|>|＞|→)|要求我们.{{0,10}}删除"
            rf"|{_NEED}(?:删除|清除){_WAY}",
            rf"{_YOU}.{{0,30}}(?<!尽快)(?<!要求)(?:删除|清除).{{0,20}}{_DATA}",
            rf"(?:依据|按照|根据|应){_YOU}的?要求.{{0,12}}(?:删除|清除)",
        ),
        r"删除|清除|权利",
        r"Cookie|方式撤回|备份|若我们决定|一旦被响应|未成年|儿童|监护人|匿名化处理[。；]?$|可能无法|如果.{0,4}无法|更便捷"
        r"|更加便捷"
        rf"|身份验证|停止运营|{_REFUSED}",
        _RIGHT_FACTS,
        names=r"删除|清除|删掉|抹除|清空",
        topics=("rights",),
    ),
    SoughtCell(
        "right_withdraw",
        ("怎么撤回同意？", "您可以通过以下方式改变授权范围或撤回您的授权同意", "改变您授权同意的范围或撤回授权"),
        (
            rf"{_YOU}?.{{0,40}}{_MAY}.{{0,60}}(?:撤回|收回|撤销|改变|变更|取消|更改).{{0,25}}(?:同意|授权)"
            rf"|{_MAY}[^。]{{0,25}}(?:撤回|收回)[^。]{{0,12}}个人信息",
            r"(?:改变|变更|更改|撤回|收回|撤销).{0,15}(?:同意|授权)",
        ),
        r"撤回|撤销|改变|变更.{0,6}授权|授权同意|同意",
        r"(?:撤回|收回|撤销).{0,10}(?:决定|后|时)|^当|单独同意|Cookie|重新|事先|终端用户"
        rf"|{_REFUSED}",
        _RIGHT_FACTS,
        names=r"(?:撤回|收回|撤销|取消|改变|变更)",
        topics=("rights",),
        rather_not=r"即(?:代表|表示|视为|意味)|调用的设备权限",
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
            rf"|[:：])"
            rf"|{_NEED}(?:注销){_WAY}",
            r"注销.{0,8}(?:账|帐|用户)",
        ),
        r"注销|删除.{0,4}[账帐]|权利",
        r"^(?:在|当|如果?)?[您你]?[^。]{0,8}注销(?:账[号户]|帐[号户])?之?(?:[后前时]|信息)|撤回全部|保障[您你]撤回"
        rf"|不再使用|{_REFUSED}",
        _RIGHT_FACTS,
        names=r"注销|销户|删除.{0,4}(?:账|帐)|永久删除",
        topics=("rights",),
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
        names=r"投诉|举报|申诉|侵害|不满",
        topics=("rights", "contact"),
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
            r"(?:不接受|不会|不得|不应|仅|无法|不向|不提供)"
            r"|(?:不(?:向|对|为|面向|针对|接受|允许|会|得)|禁止|拒绝|无意|并非)[^。]{0,15}(?:儿童|未成年人|周岁|青少年)[^。]{0,20}(?:提供|开放|服务|收集|注册|使用)",
            r"(?:未成年|儿童|周岁|青少年)[^。]{0,40}(?:保护|收集|使用|注册|阅读)",
        ),
        r"未成年|儿童|[^未]成年人|青少年|孩子",
        r"敏感个人信息|生物识别|认证|应用是针对|[您你]的(?:终端)?用户为",
        ("age",),
        names=r"未成年|儿童|周岁|青少年|孩子|\d+岁",
        topics=("special_groups",),
        rather_not=r"^[^一-鿿]*[如若]果?[您你](?:是|为|作为)[^。，,]{0,15}(?:父母|监护人|家长)",
    ),
    SoughtCell(
        "changes",
        ("政策更新如何通知？", "我们可能适时修订本政策，变更时会以推送通知、弹窗、公告的形式告知您", "本政策如何更新"),
        (
            rf"(?:{_POLICY}|内容)[^。]{{0,25}}(?:修订|修改|变更|更新|调整|变化)[^。]{{0,80}}{_TOLD}"
            rf"|(?:修订|修改|变更|更新)[^。]{{0,30}}{_POLICY}[^。]{{0,80}}{_TOLD}"
            rf"|重大(?:变更|更改|修改|变化|修订|调整)[^。]{{0,60}}{_TOLD}",
            r"更新版本.{0,30}(?:提醒|通知|告知)",
            rf"(?:可能|适时|不时|有权|保留)[^。]{{0,30}}(?:修订|修改|变更|更新|调整)[^。]{{0,20}}{_POLICY}"
            rf"|{_POLICY}[^。]{{0,15}}(?:适时|不时|可能)[^。]{{0,15}}(?:修订|修改|变更|更新|调整)",
            rf"{_POLICY}[^。]{{0,12}}(?:修订|修改|变更|更新)",
        ),
        rf"更新|变更|修订|修改|通知|{_POLICY}的?(?:更新|变更|修订)|如何更新",
        r"更新日期|最近更新|清单|第三方|主要更新|本次更新|更新内容|^欢迎|^如(?:您|用户)?(?:继续|不同意)",
        names=r"大改|更新|变更|修订|修改|改动|改了|调整",
        topics=("changes",),
        rather_not=r"以便?告知[您你]具体的变化",
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
            r"(?:电话|热线|邮箱|客服|地址|方式)|(?:邮箱|电话|热线|邮件|邮寄地址|联系地址|通讯地址).{0,12}[:：]"
            r"|(?:疑问|意见|建议|问题|投诉)[^。]{0,60}(?:发送(?:电子)?邮件|写信|致电|拨打|来电|来信|邮寄)",
            r"(?:疑问|意见|建议|问题).{0,40}(?:联系|反馈|咨询|客服)|(?:联系|客服).{0,10}(?:电话|热线|邮箱|地址|我们)",
        ),
        r"联系|如何(?:联系|反馈)|反馈|咨询",
        r"注销|删除[您你]的|副本|儿童|监护|我们.{0,8}收集|知识产权|被盗|第三方.{0,10}联系",
        ("phone", "email", "address", "menu_path"),
        names=r"联系|反馈|咨询|电话|邮箱|邮件|热线|客服",
        topics=("contact",),
        rather_not=r"第.{1,3}[条章节部](?!路)[^。]{0,12}(?:联系|方式)|受到侵害",
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
        r"判决|裁定|犯罪|侦查|审判|EEA|欧洲|要求披露|强制|传票|司法机关|执行",
        ("court",),
        names=r"法院|仲裁|诉讼|起诉",
    ),
)


@cache
def _compiled(sought: SoughtCell) -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str], re.Pattern[str]]:
    return tuple(map(re.compile, sought.states)), re.compile(sought.heading), re.compile(sought.against)


_FOREWORD = re.compile("更便捷|更加便捷|向您阐述|将会阐述")  # says that something is going to be said
_SUMMARY = re.compile("概要|摘要|引言|导言|前言|要点")
_CONTINUES = re.compile(
    r"^[^一-鿿]{0,6}(?:此外|另外|同时|其中|在此情[形况]下)|^[^。]{0,25}[您你](?:也|还|亦)(?:可|能|有权)"
)
_EXAMPLE = re.compile(r"[（(](?:例如|比如|譬如|如[:：《])[^（）()]{0,200}[）)]")
_LAW = re.compile(
    r"《[^》]{2,30}(?:法|条例|办法|规定|规范|标准)》[^，。；]{0,12}(?:规定|要求|明确)|^[^一-鿿]{0,6}(?:例如|比如|譬如)"
)
_OWN = re.compile("我[们司行方]|本(?:公司|平台|应用|软件|行|APP|App)|[您你]")
_STEPS = re.compile("方式|路径|步骤|操作|流程|途径|渠道|方法|如下|以下")
_TO_COME = re.compile(rf"(?:{_STEPS.pattern})[^。；]{{0,40}}[:：]?\s*$")  # ends with the ways announced
_UNFINISHED = re.compile(
    r"^[^一-鿿]{0,8}(?:如|若|当|对于)(?:(?![您你]可以?|我们).)*[；;]\s*$", re.DOTALL
)  # a case alone
_STEP = re.compile(r"[^一-鿿]{0,8}(?:点击|进入|打开|选择|登[录陆]|勾选|前往|依次|返回|找到|在[“【「\"])")
_CHILDREN = re.compile("未成年|儿童|孩子")  # a chapter with rights of its own


def own_words(sentence: str) -> str:
    """Return a sentence on one line, without what it gives in brackets as an example.

    >>> own_words("依法律保存（例如：《电子商务法》规定不少于三年）。")
    '依法律保存。'
    """
    return _EXAMPLE.sub("", " ".join(sentence.split()))


def only_cites(sentence: str) -> bool:
    """Say whether a sentence tells what a law says, or gives an example, and nothing that the app itself does."""
    return bool(_LAW.search(sentence)) and not _OWN.search(sentence)


def phrasing_scores(ranking: Ranking) -> NDArray[np.float32]:
    """Return the score of every unit in standard deviations: its clause's and its own, the better phrasing counts."""
    clauses = (ranking.score - ranking.score.mean()) / (float(ranking.score.std()) or 1.0)
    units = (ranking.unit_scores - ranking.unit_scores.mean()) / (float(ranking.unit_scores.std()) or 1.0)
    owners = np.array([unit.clause for unit in ranking.segment.units], dtype=np.int64)
    scores: NDArray[np.float32] = (clauses[owners] + units) / 2
    return scores


def find_sentence(
    segment: Segment, sought: SoughtCell, soundings: Sequence[Sounding], judged: Judged | None = None
) -> FoundSentence | None:
    """Return where the sentence stands that states what ``sought`` looks for; ``None`` where none does.

    :param soundings: one for each of its phrasings.
    :param judged: the topics of the clauses, where the model has them.
    """
    found = _worded(segment, sought, soundings, judged) or _answered(segment, sought, soundings, judged)
    return _complete(segment, sought, found) if found else None


def _worded(
    segment: Segment, sought: SoughtCell, soundings: Sequence[Sounding], judged: Judged | None
) -> FoundSentence | None:
    """Return the best of the sentences that match a wording."""
    states, heading, against = _compiled(sought)
    rather_not = re.compile(sought.rather_not)
    ranked = np.max([phrasing_scores(one.ranking) for one in soundings], axis=0)
    on_topic = judged.is_on(sought.topics) if judged is not None and sought.topics else None
    text = segment.policy.text
    first_path = next((clause.path for clause in segment.clauses if clause.path), ())
    best: tuple[float, FoundSentence] | None = None
    for ordinal, clause in enumerate(segment.clauses):
        above = "\n".join(clause.path) if clause.path else ""
        first, last = segment.unit_range(ordinal)
        for unit in range(first + 1 if last - first > 1 else first, last):
            start, end = segment.units[unit].start, segment.units[unit].end
            sentence = own_words(text[start : min(end, start + LONGEST_SENTENCE)])
            tier = next((place for place, wording in enumerate(states) if wording.search(sentence)), None)
            if tier is None or against.search(sentence) or only_cites(sentence):
                continue
            score = float(ranked[unit]) - WORDING * tier
            score += HEADING * bool(heading.search(clause.path[-1] if clause.path else ""))
            score += HEADING / 2 * bool(heading.search(above))
            score += TOPIC * bool(on_topic is not None and on_topic[ordinal])
            score -= OUTSIDE * bool(first_path and not clause.path)
            score -= OUTSIDE * bool(_FOREWORD.search(sentence) or _SUMMARY.search(above))
            score -= OUTSIDE * bool(rather_not.search(sentence))
            score -= CONTINUES * bool(_CONTINUES.search(sentence))
            score -= OUTSIDE * bool(clause.kind != "lead_in" and sentence.endswith((":", "：")))
            score -= OUTSIDE * bool(sought.key != "children" and _CHILDREN.search(above))
            score -= OUTSIDE * bool(clause.document and clause.document != segment.clauses[0].document)
            if sought.wanted and clause.kind != "lead_in":
                score += FACT * any(fact.kind in sought.wanted for fact in find_facts(sentence))
            if best is None or round(score, 4) > round(best[0], 4):
                best = (score, FoundSentence(ordinal, start, end))
    return best[1] if best else None


def _answered(
    segment: Segment, sought: SoughtCell, soundings: Sequence[Sounding], judged: Judged | None
) -> FoundSentence | None:
    """Return what the surest answer to a phrasing quotes, if its clause is on the matter by its topic or heading."""
    _, heading, against = _compiled(sought)
    names = re.compile(sought.names)
    on_topic = judged.is_on(sought.topics) if judged is not None and sought.topics else None
    for sounding in sorted(soundings, key=lambda one: -one.confidence):
        if not sounding.confidence:
            break
        for ordinal in map(int, sounding.ranking.order[:CANDIDATES]):
            clause = segment.clauses[ordinal]
            headed = bool(clause.path and heading.search(clause.path[-1]))
            if not headed and (on_topic is None or not on_topic[ordinal]):
                continue
            start, end = choose_quote(sounding.ranking, ordinal, sounding.asked)
            quote = own_words(segment.policy.text[start : min(end, start + LONGEST_SENTENCE)])
            if names.search(quote) and not against.search(quote) and not only_cites(quote):
                return FoundSentence(ordinal, start, end)
    return None


def _complete(segment: Segment, sought: SoughtCell, found: FoundSentence) -> FoundSentence:
    """Return the quote with what it says nothing without: a lead-in's items, a step's lead-in, the next sentence's path
    or time limit.
    """
    clause = segment.clauses[found.ordinal]
    listed = clause.kind == "lead_in" and found.end == clause.end
    if listed or (sought.key == "contact" and clause.lead_in):  # ways to get in touch belong together
        whole = list_span(segment, found.ordinal)
        if whole is None:
            return found
        if whole[2] - whole[1] <= LONGEST_LIST:
            return FoundSentence(*whole)
        return _first_items(segment, sought, found) if listed and _TO_COME.search(clause.text) else found
    if found.end == clause.end and _TO_COME.search(clause.text) and clause.text.rstrip().endswith((":", "：")):
        return _with_what_is_below(segment, found)
    if clause.lead_in and (step := _with_lead_in(segment, sought, found)):
        return step
    first, last = segment.unit_range(found.ordinal)
    following = [unit for unit in segment.units[first + 1 : last] if unit.start >= found.end]
    text = segment.policy.text
    while following and _UNFINISHED.search(text[found.start : found.end]):
        unit = following.pop(0)
        if unit.end - found.start > LONGEST_QUOTE:
            break
        found = found._replace(end=unit.end)
    if not sought.wanted:
        return found
    known = {fact.kind for fact in find_facts(text[found.start : found.end])}
    for unit in following[:1]:
        gained = {fact.kind for fact in find_facts(text[unit.start : unit.end])} - known
        if gained & set(sought.wanted) and unit.end - found.start <= LONGEST_QUOTE:
            return FoundSentence(found.ordinal, found.start, unit.end)
    return found


def _first_items(segment: Segment, sought: SoughtCell, found: FoundSentence) -> FoundSentence:
    """Return a lead-in with as many of its first items as a quote may hold; one that tells the way stays alone."""
    lead = segment.clauses[found.ordinal]
    if _tells_way(sought, lead.text):
        return found
    items = [ordinal for ordinal, clause in enumerate(segment.clauses) if clause.lead_in == lead.clause_id]
    spans = [list_span(segment, item) if segment.clauses[item].kind == "lead_in" else None for item in items]
    ends = [span[2] if span else segment.clauses[item].end for item, span in zip(items, spans, strict=True)]
    fitting = [end for end in ends if end - found.start <= LONGEST_LIST]
    return found._replace(end=max(fitting)) if fitting else found


def _with_what_is_below(segment: Segment, found: FoundSentence) -> FoundSentence:
    """Return an announcement of ways that stand under headings of their own with as many as a quote may hold."""
    path = segment.clauses[found.ordinal].path
    for clause in segment.clauses[found.ordinal + 1 :]:
        if clause.path[: len(path)] != path or clause.end - found.start > LONGEST_QUOTE:
            break
        found = found._replace(end=clause.end)
    return found


def _tells_way(sought: SoughtCell, text: str) -> bool:
    """Say whether ``text`` names the matter and holds a fact of a kind that the cell wants: it needs nothing else."""
    return bool(re.search(sought.names, text)) and any(fact.kind in sought.wanted for fact in find_facts(text))


def _with_lead_in(segment: Segment, sought: SoughtCell, found: FoundSentence) -> FoundSentence | None:
    """Return the list of a step or a way, from the lead-in that says what for; ``None`` where the item is neither."""
    clause = segment.clauses[found.ordinal]
    head = segment.ordinals[clause.lead_in or ""]
    lead = segment.clauses[head]
    is_way = _STEPS.search(lead.text) or _STEP.match(clause.text)
    if not is_way or not re.search(sought.names, lead.text) or _tells_way(sought, clause.text):
        return None
    whole = list_span(segment, found.ordinal)
    if whole is not None and whole[2] - whole[1] <= LONGEST_LIST:
        return FoundSentence(*whole)
    return FoundSentence(head, lead.start, found.end) if found.end - lead.start <= LONGEST_LIST else None
