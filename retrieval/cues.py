"""What stands around a name in a question: is it a name here, is it the subject, and what is left without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from corpus.lexicons import AppWords, load_glossary
from corpus.words import is_common_word
from retrieval.names import is_spelt_out

Span = tuple[int, int]

_HAN = re.compile(r"[\u3400-\u9fff]")
_OPEN, _CLOSE = "“\"「『《〈【(‘'", "”\"」』》〉】)’'"
_QUOTED_END = re.compile(rf"[{re.escape(_CLOSE)}]")
_APP_NOUN = r"(?:app|应用|软件|客户端|小程序|平台|程序)"
_NOUN_AFTER = re.compile(rf"[{re.escape(_CLOSE)}]?\s*+(?:的|这个|这款|官方|手机)?\s*+{_APP_NOUN}(?![a-z])")
_ACCOUNT_AFTER = re.compile(r"(?:'s)?\s*(?:的?(?:账号|账户|帐号|帐户|会员)|(?:account|app)\b)")

# A Chinese name that is also an ordinary word, or sounds like one, counts as the subject of a clause.
_CLAUSE_START = re.compile(r"(?:^|[,，。.!！?？;；:：\n、]|请问|那么?|想问|听说|万一|在|给|从|把|问|关于|[a-z]\s)\s*$")
_PREDICATE = re.compile(
    r"\s*(?:$|[?？,，\s]|的?(?:app|账号|帐号)|会|能|要|可以|可能|怎|如何|是|有没有|把|在哪|里|上|收集|保存|读取|注销|隐私|客服"
    r"|呢|为什么|为啥|凭|到底|官网|网站|商城|手机号|的系统|直播|打客服|打电话)"
)

# A Latin name that is also an ordinary word: what stands before or after it where it is a name.
_WORD_BEFORE = re.compile(
    r"(?:(?<![\w-])(?:does|did|do|is|has|uninstall|unlike|quit)\s+"
    r"|^(?:(?:how|why|when|where|what)\s+)?(?:can|could|will|would|should)\s+)(?:the\s+)?$"
)
_WORD_PLACE = re.compile(r"(?<![\w-])(?:in|on|from|of|at|about|into|inside|within|for|with|using)\s+(?:the\s+)?$")
_OBJECT = r"(?:my|your|our|their|his|her|the|a|an|me|it|us|them)"
_OBJECT_AFTER = re.compile(rf"\s+{_OBJECT}\b")
_VERB_AFTER = re.compile(
    rf"\s+(?:{_OBJECT}|this|that|these|those|all|any|track|in|on|out|up|from|for|getting|asking|being|going|doing|using"
    r"|trying|seeing|saying|telling|sending|showing)\b"
)
_COUNTED_AFTER = re.compile(
    r"\s*(?:[年月日岁元块个天小时分钟秒条%次号点万亿周位章节款]|days?|hours?|years?|months?|minutes?|p\b|st|th)"
)
_COUNTED_BEFORE = re.compile(r"[$￥¥第满]\s*$|\b(?:age|aged|section|article|clause|version|under|over)\s*$")

# A partner: a way to sign in, to pay or to share, a component.
_OWN = r"(?:我的?|你的?|自己的?|他的?|她的?|本人的?)?\s*+[“\"「]?$"
_THE = r"\s+(?:my |the |your |a |an |their |(?:my )?\w+'s )?[\"“]?$"
_MEANS_BEFORE = re.compile(
    r"(?:通过|经由|借助|使?用了?|拿着?|以|靠|凭|绑定?了?|解绑|关联了?|捆|\byong|\btongguo)\s*+" + _OWN
)
_SIGN_IN_AFTER = re.compile(
    r"\s*+[”\"」]?里?的?(?:账号|帐号|账户|帐户|号|id|扫码|一键|快捷|快速)*(?:授权|直接|来|去)?"
    r"(?:登[录陆入]?|注册|授权|进|\s*denglu|\s*zhuce)(?!过?[^,，。?？]{0,3}(?:别|其他|其它|另))"
)
_SIGN_IN_WITH = re.compile(
    r"(?:\b(?:log(?:ged|ging)?|sign(?:ed|ing)?)[ -]?(?:in|on)?\b[^.,?!]{0,25}\b(?:with|via|through|using|by)"
    r"|\b(?:un)?(?:link|hook|bind|connect)\w*(?: \w+)? (?:to|with|from)|\bshare\w*(?: \w+)?(?: to| on)"
    r"|\bpost(?:ed|ing)? to|\bsuch as|\bhops? over to)" + _THE
)
_SIGNED_IN_BY = re.compile(r"\b(?:log|sign)\w*[ -]?(?:in|on)\b[^.,?!]{0,25}\b(?:with|via|through|using|by)" + _THE)
_SIGN_INTO = re.compile(r"\b(?:in ?to|to)\s+(?:the )?[“\"]?$|(?:登录?|登陆|注册)\s*[“\"「]?$")
_SHARED_TO = re.compile(
    r"(?:(?:分享|转发|同步|发|跳转?)(?:到|给|至|去)|接入了?|对接|集成了?|嵌入|第三方[^,，。?？]{0,8}(?:比如|例如|如))\s*[“\"「]?$"
)
_RECIPIENT_BEFORE = re.compile(r"(?:共享|分享|透露|泄露|转让|[出倒贩]?[卖售]|同步)(?:给|到|至)了?\s*[“\"「]?$")
_COMPANY_AFTER = re.compile(r"\s*(?:(?:group|family)\b|集团)")
# Weaker signs, enough for an app that is often built into others.
_ROLE_AFTER = re.compile(
    r"\s*+[”\"」]?的?(?:支付|付[款钱费了的]?|扣款|转账|充值|分享|绑定?|解绑|sdk|推送|统计|买的?|群|好友|朋友圈|公众号|小程序"
    r"|头像|昵称|红包|那边|那头|那儿|这边|里?(?:复制|打开)|上(?:关注|加|的好友)|跟这|和这|卡|流量)"
    r"|\s*+(?:'s)?\s*+(?:-?type\b|log-?ins?\b|log in\b|sign-?in|sso\b|sdk\b|pay\b|payments?\b|checkout|groups?\b"
    r"|friends\b|moments\b|name\b|picture|profile|page\b|plug-?in|push\b|shar(?:e|ing)\b|banking|zhifu|\bid\b)"
)
_ROLE_BEFORE = re.compile(
    r"(?:通过|经由|从|加|和|跟|与|或者?|绑|那个|个|取消)\s*+"
    + _OWN
    + r"|\b(?:with|via|through|into|inside|or|between|than"
    r"|(?:on|over) to|(?:from|to) (?:my|your))" + _THE
)
_LINKING = re.compile(r"\b(?:un)?(?:link|hook|bind)\w*|绑|捆|关联")

# Two apps that a question is about.
_BESIDE = re.compile(
    r"[^\w]*(?:(?:app|的)\s*+)?(?:和|跟|与|、|还是|或者?|比|/|以及|\band\b|\bor\b|\bvs\.?|\bversus\b|\bthan\b)"
    r"\s*+(?:在|for|in)?[^\w]*"
)
_COMPARING = re.compile(
    r"对比|比较|区别|不同|差别|一样|相比|哪[个家款]|谁更|\bcompar|\bdifferen|\bversus\b|\bvs\b|\bwhich\b|\bboth\b|\bbetter\b"
)
_ACROSS = re.compile(
    r"^\W*+(?:请问|麻烦|帮我)?(?:看看|列出|列一下|查一下|找出|说说)?(?:在|这些|那些|所有|全部|各个?|你们?|里面|当中|其中)*\s*"
    r"(?:哪些|哪几个|哪几款|哪个|哪款|哪家|所有的?|全部的?|各个?|每个|每款|这些|什么)\s*(?:手机)?"
    r"(?:app|应用|软件|银行|平台|小程序|产品)(?:s\b)?(?!权限|市场|列表|程序接口|商店)"
    r"|(?:对比|比较|相比)(?!好|大|多|少|严|安全|详细|容易|难|快|慢|麻烦|高|低)"
    r"|^\W*+(?:please\s+)?(?:tell me |list |show me |and )?(?:which|what|all|every|any|how many|each)(?: of)?"
    r"(?: the| these| those| your| my)?\s+(?:\w+\s)?apps?\b(?!\s+(?:(?:i|we|you)\b|list|permission|store"
    r"|are (?:on|installed)|on my|have i|has access|else|function|feature))"
    r"|\bcompare\b|\bacross (?:all |the |these )apps\b|\bwhich one of (?:these|them|the)\b|\bin all (?:the )?apps\b"
)

# A name that no list has, where the wording leaves no doubt that an app is named.
_GENERIC_ZH = re.compile(
    r"[我你您他她它这那哪该本贵其谁啥某每各几个些的了着过是在有没把被给和跟与及或从到向对打开关退进登出删卸装下载换别让叫请问"
    r"注怎么什为因所以如果当还都也就又再才只不会能要想得可应该须需用看说做]"
    r"|手机|应用|软件|第三方|其他|其它|官方|程序|隐私|同类|类似|相关|推荐|系统|网络|后台|前台|国产|正规|类$"
    r"|^(?:移动|桌面|恶意|独立|旧|新|老|安卓)|离线|在线|高清|语音|智能|实时|拍照|录音|购物|聊天|电子|本地|附近|热门|最近"
)
_KINDS_ZH = re.compile(  # what an app is for; alone it names none
    r"聊天|社交|购物|支付|理财|银行|地图|导航|杀毒|办公|学习|教育|视频|直播|游戏|音乐|阅读|新闻|浏览器?|清理|安全|统计|分析|加速|修图"
    r"|美颜|拍照|相机|记账|打车|外卖|健身|运动|天气|输入法|翻译|apps?"
)
_GENERIC_EN = re.compile(
    r"i|i'm|i've|it|they|there|any|my|our|his|her|their|an?|another|new|old|user|android|ios|imei|ids?|face|touch|sdk|iphone|ipad|chinese|china|hong|kong|taiwan|english|wi-?fi|gps|vip|apps?"
    r"|bluetooth|eu|us|uk|gdpr|pipl|internet|ai|mac|pin|sim|nfc|sms|kyc|ocr|vr|ar|ip|your|this|that|the|\w+day"
    r"|oaid|vaid|aaid|idfa|idfv|gaid|udid|uuid|imsi|iccid|meid|ssid|bssid|exif|apk|root|vpn|webview|cookies?|harmonyos"
    r"|europe|america|asia|london|paris|singapore|japan|korea|germany|france|canada|australia|malaysia|thailand|vietnam"
    r"|russia|britain|england|california|shanghai|beijing|shenzhen|guangzhou|maca[ou]"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
)
_NAMED_ZH = re.compile(
    rf"[“\"「『《]([^“”\"「」『』《》]{{2,16}})[”\"」』》]\s*(?:这个|这款|手机)?{_APP_NOUN}"
    r"|《([^《》]{2,12})》(?=的|里|上|怎|会|能|收|是否|有没有)"
)
_CALLED_ZH = re.compile(
    r"(?:^|[,，。?？\s]|在|请问|下载了?|装了?|卸载了?|问下|关于|那)([\u3400-\u9fffa-z0-9]{2,8}?)\s*"
    r"(?:这个|这款)?(?:app|软件|客户端)(?![a-z])"
)
_NOT_AN_APP = re.compile(r"(?:政策|协议|法|条例|规定|办法|声明|指引|条款|说明|规则|标准|清单|须知|规范|公约|承诺书)$")
_NAMED_EN = re.compile(
    r"\b(?:the|in|on|from|of|for|does|is|can|will|with|using|about|my|delete|uninstall)\s+"
    r"(?:the\s+)?((?!the\b)[a-z0-9][\w'-]*(?:\s[a-z0-9][\w'-]*)?)\s+app\b(?!\s*(?:store|list|permission|version|market|icon|usage|data|lock))"
)
# Where an app stands and little else: a capitalized word that no list has is read as its name.
_PLACES_EN = (
    r"(?:[Dd]oes|[Dd]id|[Cc]an|[Cc]ould|[Ww]ill|[Ww]ould|[Hh]as|[Ii]s)\s+({name})(?=\s(?:also\s|still\s)?[a-z])",
    r"(?:[Aa]ccount|[Pp]rofile)\s+(?:in|on|with|from|at)\s+({name})(?=\s*(?:[?,.!]|$))",
    r"(?:[Uu]ninstall|[Qq]uit|[Ll]eave|[Ii]nstalled|[Dd]ownloaded|called|named|[Tt]he app|whether)\s+({name})",
    r"({name})(?='s (?:privacy|policy|terms|app)\b|\s(?:[Aa]ccount|[Pp]rivacy [Pp]olicy)\b)",
    r"^(?:[Aa]nd|[Ww]hat about|[Hh]ow about|[Ss]ame for|[Aa]nd for|[Aa]nd in)\s+({name})(?=\s*[?!.]*$)",
)
_ASKED_EN = re.compile(rf"(?<!\w)(?:{'|'.join(_PLACES_EN)})".replace("{name}", r"[A-Z]\w*(?: [A-Z]\w*){0,2}"))
# Found at every place, so that what begins too early hides none: 换成晨光健身 is looked at from 换 and from 晨.
_ASKED_ZH = re.compile(
    r"(?:(?<![\u3400-\u9fff])那?|(?<=[在用])|(?<=问下|知道|听说|人说|下载|装了|载了|的是|换成|查下|一下))"
    r"(?=([\u3400-\u9fff]{3,8}?)(?:呢?\W*$|的?(?:隐私|客服|账号|账户|帐号|帐户)"
    r"|\s?(?:怎么|怎样|如何|能不能|可以|要)?(?:注销|销户|卸载|联系|登[录陆]|注册|删号|删除账)"
    r"|(?:会不会|会|能不能|能|是否|有没有|要不要)?(?:偷偷)?(?:收集|读取|获取|采集|共享|出售|卖|泄露|跟踪|录音|把我|将我)))"
)
_AT_ZH = re.compile(r"(?<=[在从用])(?=([\u3400-\u9fff]{3,8}?)(?:里|上|的话|[，,]))")
_LEFT_ZH = re.compile(
    r"(?:注销|删除|删掉|退出|卸载|关闭)(?:掉|了)?([\u3400-\u9fff]{3,8}?)(?=的?(?:账号|账户|帐号|帐户))"
)
_ASKED_LATIN = re.compile(
    r"(?<![A-Za-z0-9])([A-Za-z][A-Za-z0-9]{3,})"
    r"(?=呢|\s?里|\s?(?:怎么|怎样|如何|能不能)(?:注销|销户|卸载|退出|删除账)|\s?的?(?:账号|账户|客服|隐私))"
)
_IDENTIFIER = re.compile(r".*(?:Id|ID|List|v\d)")

# What only holds a name and goes with it.
_STRIP_BEFORE = re.compile(
    r"(?:\b(?:in|on|for|from|of|with|at|inside|within|by|to|about|into)\s+(?:the\s+|my\s+)?|\bthe\s+"
    rf"|(?:在|于|对于?|关于)\s*)?[{re.escape(_OPEN)}]?\s*$"
)
_STRIP_AFTER = re.compile(
    rf"(?:['’]s\b)?\s*[{re.escape(_CLOSE)}]?\s*(?:的?(?:这个|这款|手机|官方)?"
    r"(?:app\b|app(?=[^a-z])|应用程序|应用(?![权安市商列])|软件|客户端|小程序|平台))?"
    rf"[{re.escape(_CLOSE)}]?\s*(?:里面|里边|上面|里|上(?![传线报次个周月])|中(?![国文心])|内|的)?"
)


@cache
def _glossary_words() -> frozenset[str]:
    return frozenset(
        word for term in load_glossary() for form in term.en for word in re.findall(r"[a-z]{3,}", form.lower())
    )


class Reading:
    """A question, folded as ``text``, and what can be read off the surroundings of a span of it."""

    def __init__(self, question: str, text: str) -> None:
        self.question = question
        self.text = text
        words = re.findall(r"[A-Za-z]{2,}", question)
        self.is_title_case = len(words) > 3 and sum(word[0].isupper() for word in words) > 0.6 * len(words)
        self.is_chinese = len(_HAN.findall(text)) > 0.2 * len(text)

    def is_marked(self, start: int, end: int) -> bool:
        """Say whether the span is quoted, or a word for app stands right behind it."""
        quoted = start > 0 and self.text[start - 1] in _OPEN and _QUOTED_END.match(self.text, end) is not None
        return quoted or _NOUN_AFTER.match(self.text, end) is not None

    def is_word_used_as_name(self, start: int, end: int, *, sure: bool) -> bool:
        """Say whether a Latin word is a name here, by its case, its neighbours or the language around it.

        :param sure: case alone is not enough: the word must also stand where only a name can.
        """
        before, word = self.text[:start], self.question[start:end]
        if sure and (self.is_chinese or word == word.lower()):
            return self.is_chinese and self.is_subject_of_clause(start, end)
        if self.is_chinese:
            return _HAN.match(self.text[end:].lstrip() or "的") is not None or _HAN.search(before[-2:]) is not None
        if _ACCOUNT_AFTER.match(self.text, end) or self.text.startswith("'s ", end):
            return True
        verb_like = _VERB_AFTER.match(self.text, end) is not None
        if not sure and word != word.lower() and not self.is_title_case and before.strip():
            return not re.search(r"[.!?:]\s*$", before) or not verb_like
        if _WORD_PLACE.search(before):
            return _OBJECT_AFTER.match(self.text, end) is None
        if re.search(r"\b(?:when|if|once|because)\s+$", before) and re.match(r"\s+\w+s\b", self.text[end:]):
            return True
        return _WORD_BEFORE.search(before) is not None and not verb_like

    def is_subject_of_clause(self, start: int, end: int) -> bool:
        """Say whether the span begins a clause and what follows asks something of it."""
        return _CLAUSE_START.search(self.text[:start]) is not None and _PREDICATE.match(self.text, end) is not None

    def is_quantity(self, start: int, end: int) -> bool:
        """Say whether a number counts or measures something here."""
        counted = _COUNTED_AFTER.match(self.text, end) or _COUNTED_BEFORE.search(self.text[:start])
        return counted is not None

    def is_partner(self, start: int, end: int, *, likely: bool, partners: Sequence[Span]) -> bool:
        """Say whether what stands around a name makes it a partner; of partners in a row, the outer ones decide.

        :param likely: the app is often built into others, so that weaker signs count.
        :param partners: where such apps are named.
        """
        for span in partners:
            if span[0] > end and re.fullmatch(r"[\s、,/和跟或]*", self.text[end : span[0]]):
                end = span[1]
        before, after = self.text[:start], self.text[end:]
        if _COMPANY_AFTER.match(after) or _RECIPIENT_BEFORE.search(before):
            return True
        signed_in_with = _SIGN_IN_WITH.search(before) is not None
        if _SIGN_INTO.search(before) and not signed_in_with:
            return False
        if _MEANS_BEFORE.search(before) and (_SIGN_IN_AFTER.match(after) or (likely and _ROLE_AFTER.match(after))):
            return True
        if signed_in_with and (likely or (_SIGNED_IN_BY.search(before) and not _ACCOUNT_AFTER.match(after))):
            return True
        if not likely:
            return False
        if any(sign.match(after) for sign in (_ROLE_AFTER, _SIGN_IN_AFTER)) or _SHARED_TO.search(before):
            return True
        if _LINKING.search(before):
            return True
        named_as_app = _NOUN_AFTER.match(after) or _ACCOUNT_AFTER.match(after)
        return _ROLE_BEFORE.search(before) is not None and not named_as_app

    def is_card(self, start: int, end: int) -> bool:
        """Say whether the name only tells whose card the user has."""
        return re.match(r"的?(?:手机|银行|信用|储蓄)?卡", self.text[end:]) is not None and start > 0

    def are_beside(self, one: Span, other: Span) -> bool:
        """Say whether two names are joined by and, or, a comma and the like."""
        first, second = sorted((one, other))
        return _BESIDE.fullmatch(self.text, first[1], second[0]) is not None

    @property
    def is_comparing(self) -> bool:
        """Whether the question asks which of several, or for a difference."""
        return _COMPARING.search(self.text) is not None

    @property
    def asks_across(self) -> bool:
        """Whether the question asks which apps do something, or to compare."""
        return _ACROSS.search(self.text) is not None

    def find_invented(self, words: AppWords, brands: set[str]) -> Iterator[Span]:
        """Yield the spans of names that no list has, where the wording leaves no doubt that an app is named.

        :param brands: makers' names, which are written like apps' names.
        """
        for match in _NAMED_ZH.finditer(self.text):
            span = match.span(match.lastindex or 0)
            name = self.text[slice(*span)]
            if not _NOT_AN_APP.search(name) and len(_KINDS_ZH.sub("", name)) > 1:
                yield span
        for match in _CALLED_ZH.finditer(self.text):
            own = _KINDS_ZH.sub("", match[1])
            if len(own) > 1 and _HAN.search(own) and not _GENERIC_ZH.search(own):
                yield match.span(1)
        for match in _NAMED_EN.finditer(self.text):
            parts = re.findall(r"[a-z0-9]+", match[1])
            odd = [part for part in parts if len(part) > 2 and part not in words.ordinary]
            if odd and not any(_GENERIC_EN.fullmatch(part) for part in parts):
                yield match.span(1)
        if not self.is_title_case:
            for match in _ASKED_EN.finditer(self.question):
                span = match.span(match.lastindex or 0)
                if self._is_name(self.question[slice(*span)], words, brands):
                    yield span
        if self.is_chinese:
            for match in _ASKED_LATIN.finditer(self.question):
                if self._is_name(match[1], words, brands):
                    yield match.span(1)
        for pattern in (_ASKED_ZH, _AT_ZH, _LEFT_ZH):
            for match in pattern.finditer(self.text):
                kinds = [part for part, _ in words.parts if len(part) > 1 and match[1].endswith(part)]
                own = match[1].removesuffix(max(kinds, key=len)) if kinds else ""
                plain = _GENERIC_ZH.search(own) or is_common_word(own)
                if len(own) > 1 and not plain and not any(own.endswith(part) for part, _ in words.parts):
                    yield match.span(1)

    def _is_name(self, text: str, words: AppWords, brands: set[str]) -> bool:
        """Say whether Latin ``text``, which stands where an app would, can be nothing else."""
        parts = text.lower().split()
        known = words.ordinary | _glossary_words()
        plain = all(part in known or part.removesuffix("s") in known for part in parts) or text.isupper()
        named = plain or _IDENTIFIER.fullmatch(text) or is_spelt_out("".join(parts))
        return not named and not any(_GENERIC_EN.fullmatch(part) or part in brands for part in parts)

    def strip(self, spans: Sequence[Span]) -> str:
        """Return the question without ``spans`` and what only held them: quotes, prepositions, 里/上/的, the word app.

        A question that is nothing but names stays as it is.
        """
        if not spans:
            return self.question
        kept: list[str] = []
        at = 0
        for start, end in sorted(spans):
            before = _STRIP_BEFORE.search(self.text, at, start)
            after = _STRIP_AFTER.match(self.text, end)
            kept.append(self.question[at : before.start() if before else start])
            at = after.end() if after else end
        kept.append(self.question[at:])
        joined = kept[0]
        for part in kept[1:]:
            beside_latin = joined[-1:].isascii() and part[:1].isascii()
            joined += f" {part}" if beside_latin else part
        stripped = (
            re.sub(r"(?<!\s)\s++([?？,，.。!！])", r"\1", re.sub(r"\s{2,}", " ", joined)).strip().lstrip(",，、:： ")
        )
        return stripped if re.search(r"\w", stripped) else self.question
