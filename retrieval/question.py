"""What a question is: its language, its parts, and whether it can stand alone."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from corpus.lexicons import load_app_words
from retrieval.datatypes import Language

_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ÿ]+")

# -- Language ---------------------------------------------------------------------------------------------------------

_ENGLISH_WORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "am",
        "an",
        "and",
        "any",
        "are",
        "ask",
        "be",
        "by",
        "can",
        "close",
        "collect",
        "data",
        "delete",
        "did",
        "do",
        "does",
        "find",
        "for",
        "from",
        "get",
        "give",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "keep",
        "know",
        "long",
        "many",
        "me",
        "much",
        "my",
        "need",
        "of",
        "off",
        "on",
        "or",
        "out",
        "over",
        "phone",
        "privacy",
        "see",
        "sell",
        "share",
        "should",
        "stop",
        "store",
        "tell",
        "that",
        "the",
        "their",
        "them",
        "they",
        "this",
        "to",
        "turn",
        "use",
        "was",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whose",
        "why",
        "will",
        "with",
        "without",
        "would",
        "you",
        "your",
        "account",
        "app",
        "information",
        "info",
        "policy",
        "permission",
        "personal",
    ]
)
# Characters that OpenCC converts but that simplified text uses too (乾隆, 藉口, 瞭望, 看著 in older prints).
_SHARED_FORMS = frozenset("乾藉瞭著徵夥餘閒甯麼剋昇祕週")


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


@cache
def _is_traditional(character: str) -> bool:
    return character not in _SHARED_FORMS and _converter().convert(character) != character


_BORROWED = frozenset(  # of these, what stands in Chinese questions too
    [
        "account",
        "app",
        "close",
        "collect",
        "data",
        "delete",
        "in",
        "info",
        "information",
        "off",
        "on",
        "permission",
        "personal",
        "phone",
        "policy",
        "privacy",
        "share",
        "stop",
        "store",
    ]
)


def detect_language(text: str) -> Language:
    """Return the language to answer in: ``en``, ``zh-Hant`` or ``zh``; blank and unknown scripts count as ``zh``.

    A question in English that names a Chinese app is English; a Chinese one with English words (IMEI, SDK) or with an
    app's name in Latin letters is Chinese.
    """
    han = _HAN.findall(text)
    words = _LATIN_WORD.findall(text)
    likely = [word.lower() for word in words if not _reads_as_pinyin(word.lower())]
    english = sum(word in _ENGLISH_WORDS for word in likely)
    if any(word in _ENGLISH_WORDS and word not in _BORROWED for word in likely):
        ordinary = load_app_words().ordinary
        english = sum(word in _ENGLISH_WORDS or word in ordinary for word in likely)
    # A word of three letters says about as much as one Chinese character of a question; an app's name is 2 to 6.
    if words and ((not han and (english or not _is_pinyin(words))) or (english >= 2 and len(words) * 2 > len(han))):
        return "en"
    return "zh-Hant" if any(_is_traditional(character) for character in set(han)) else "zh"


_SYLLABLE = re.compile(
    r"(?:[bpmfdtnlgkhjqxrzcsyw]|[zcs]h)(?:a|o|e|i|u|v|ai|ei|ui|ao|ou|iu|ie|ue|ve|an|en|in|un|ang|eng|ing|ong|ia|ian"
    r"|iang|iao|iong|ua|uai|uan|uang|uo)|a|e|ai|ao|ou|an|en|er|ang"
)


def _is_pinyin(words: list[str]) -> bool:
    """Tell whether nearly every word reads as pinyin syllables and so nothing else is likely."""
    read = [word for word in words if len(word) > 1 and _reads_as_pinyin(word.lower())]
    return len(words) > 1 and len(read) * 4 >= len(words) * 3


def _reads_as_pinyin(word: str) -> bool:
    reached = {0}
    for start in range(len(word)):
        if start in reached:
            reached |= {
                end for end in range(start + 1, min(start + 6, len(word)) + 1) if _SYLLABLE.fullmatch(word, start, end)
            }
    return len(word) in reached


_TAIWAN_WORDING = (
    ("个资", "个人信息"),
    ("蒐集", "收集"),
    ("搜集", "收集"),
    ("外泄", "泄露"),
    ("外流", "泄露"),
    ("伺服器", "服务器"),
    ("软体", "软件"),
    ("硬体", "硬件"),
    ("程式", "程序"),
    ("使用者", "用户"),
    ("演算法", "算法"),
    ("登入", "登录"),
    ("登出", "退出登录"),
    ("剪贴簿", "剪贴板"),
    ("电子信箱", "电子邮箱"),
    ("信箱", "邮箱"),
    ("简讯", "短信"),
    ("讯息", "消息"),
    ("资讯", "信息"),
    ("网路", "网络"),
    ("装置", "设备"),
    ("设定", "设置"),
    ("相簿", "相册"),
    ("萤幕", "屏幕"),
    ("视窗", "窗口"),
    ("影片", "视频"),
    ("影像", "图像"),
    ("录影", "录像"),
    ("预设", "默认"),
    ("支援", "支持"),
    ("搜寻", "搜索"),
    ("联络", "联系"),
    ("储值", "充值"),
    ("储存", "存储"),
    ("位址", "地址"),
    ("连结", "链接"),
    ("推播", "推送"),
    ("大头贴", "头像"),
    ("蓝芽", "蓝牙"),
    ("身分", "身份"),
    ("数位", "数字"),
    ("回覆", "回复"),
    ("行动支付", "移动支付"),
)


def well_formed(text: str) -> str:
    """Return ``text`` with a question mark for every lone surrogate: JSON may carry them, UTF-8 and models may not."""
    return text.encode(errors="replace").decode()


def simplify(text: str) -> str:
    """Return Traditional Chinese and Taiwan wording as Simplified mainland wording; for queries, never for quotes.

    Simplified and English text comes back as it was. OpenCC's own Taiwan phrases are left out: they turn 通訊錄, 文件
    and 查詢 into words that policies do not use.
    """
    if not any(_is_traditional(character) for character in set(_HAN.findall(text))):
        return text
    simplified: str = _converter().convert(text)
    for taiwan, mainland in _TAIWAN_WORDING:
        simplified = simplified.replace(taiwan, mainland)
    return simplified


# -- No question at all -----------------------------------------------------------------------------------------------

_KEYBOARD_RUN = re.compile(
    r"asdf|sdfg|dfgh|fghj|ghjk|hjkl|qwer|rtyu|tyui|yuio|uiop|zxcv|xcvb|cvbn|vbnm|1234567|lkjh|poiu|mnbv"
)
_ONE_SOUND = re.compile(r"[啊哦嗯呃额哈呵嘿嘻的了吗呢吧呀嘛噢唉]+")


def is_gibberish(text: str) -> bool:
    """Tell whether ``text`` holds nothing to search for: blank, punctuation, emoji, one letter, keyboard mashing."""
    kept = re.sub(r"[\W_]", "", text).lower()
    if len(kept) < 1 or _ONE_SOUND.fullmatch(kept):
        return True
    if _HAN.search(kept):
        return False
    if len(kept) == 1 or len(set(kept)) == 1:
        return True
    words = re.findall(r"[a-zà-ÿ]+", text.lower())
    return bool(words) and all(_is_mashed(word) for word in words)


def _is_mashed(word: str) -> bool:
    if len(word) == 1 or (len(word) >= 4 and len(set(word)) == 1) or _KEYBOARD_RUN.search(word):
        return True
    return len(word) >= 5 and (not re.search(r"[aeiouyà-ÿ]", word) or bool(re.search(r"[^aeiouyà-ÿ]{6}", word)))


# -- Follow-ups -------------------------------------------------------------------------------------------------------

# Words of a Chinese question that say nothing of what it is about; what is left after them is its subject.
_EMPTY_ZH = re.compile(
    r"请问|那么|那|然后|还有|另外|的话|话说|我想知道|想知道|如果|要是|万一|假如|我不|不给|拒绝|不同意|同意|不想"
    r"|不填|不让|不开|不提供|不授权|授权|允许"
    r"|他们|它们|你们|我们|人家|它|他|她|您|你|我|自己|这个|那个|这些|那些|这样|那样|这种|那种|这项|这|其中"
    r"|上面|前面|刚才"
    r"|可不可以|能不能|会不会|是不是|要不要|有没有|可以|能|会|要|是|有|应该|需要|得|必须|多长时间|多久"
    r"|几个工作日|几天|几年|几个月|多少天|多少"
    r"|怎么样|怎么办|怎么|怎样|如何|咋样|咋|为什么|为啥|凭什么|干嘛|干什么|哪里|哪儿|哪些|哪个|哪|什么时候|什么"
    r"|啥时候|啥|谁|几"
    r"|回复|答复|回应|处理|完成|关闭|关掉|打开|开启|存储|保存|保留|存放|留着|时间|时候|大概|一般|通常|最多|最长"
    r"|最快|地方|原因|具体"
    r"|之后|以后|之前|后|前|到|去|从|在|给|把|被|让|对|跟|和|为|再|还|又|也|都|就|才|一定|真的|别的|其他|一样"
    r"|一下|一次"
    r"|权限|关|开|存|删|改|弄|办|做|行|说|看|找|用|点|等|走|样|快|放|留|卖|传|好|收费|费用|钱|掉|完|成|不|没|别"
    r"|吗|呢|吧|啊|嘛|呀|么|了|的|过|着|里|上|下|个"
)
_FOLLOW_UP_ZH = re.compile(
    r"^(?:那么?|然后|还有|另外|要是|如果)?.{0,12}呢$|^(?:那|然后|还有呢?|接着|此外)(?!些权限|个app)"
)
_FULL_ZH = re.compile(r"怎么|如何|多久|哪|什么|啥|吗|谁|多少|咋|几")
_EMPTY_EN = frozenset(
    [
        "and",
        "but",
        "then",
        "so",
        "also",
        "ok",
        "okay",
        "well",
        "or",
        "what",
        "how",
        "why",
        "where",
        "when",
        "who",
        "which",
        "whose",
        "can",
        "could",
        "do",
        "does",
        "did",
        "will",
        "would",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "am",
        "should",
        "may",
        "might",
        "must",
        "shall",
        "i",
        "you",
        "they",
        "we",
        "he",
        "she",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "them",
        "there",
        "here",
        "one",
        "ones",
        "my",
        "your",
        "their",
        "me",
        "us",
        "if",
        "not",
        "no",
        "yes",
        "n't",
        "don't",
        "doesn't",
        "can't",
        "won't",
        "isn't",
        "the",
        "a",
        "an",
        "to",
        "in",
        "on",
        "at",
        "of",
        "for",
        "from",
        "by",
        "with",
        "about",
        "as",
        "into",
        "than",
        "too",
        "either",
        "else",
        "more",
        "other",
        "another",
        "any",
        "some",
        "same",
        "thing",
        "things",
        "stuff",
        "way",
        "ways",
        "long",
        "take",
        "takes",
        "soon",
        "many",
        "much",
        "days",
        "day",
        "time",
        "often",
        "get",
        "gets",
        "got",
        "have",
        "has",
        "had",
        "go",
        "goes",
        "say",
        "says",
        "said",
        "happen",
        "happens",
        "happened",
        "mean",
        "means",
        "really",
        "actually",
        "exactly",
        "please",
        "need",
        "want",
        "like",
        "even",
        "still",
        "again",
        "now",
        "later",
        "after",
        "before",
        "refuse",
        "decline",
        "agree",
        "disagree",
        "accept",
        "turn",
        "turned",
        "off",
        "out",
        "up",
        "down",
        "back",
        "turnaround",
        "reply",
        "respond",
        "answer",
        "work",
        "works",
        "just",
        "what's",
        "that's",
        "it's",
        "how's",
        "where's",
        "who's",
        "i'm",
        "they're",
        "you're",
        "i'd",
        "i've",
        "let's",
    ]
)
_POINTED_EN = frozenset(
    [
        "delete",
        "remove",
        "share",
        "store",
        "keep",
        "kept",
        "change",
        "stop",
        "sell",
        "sold",
        "undo",
        "disable",
        "cancel",
        "see",
        "find",
        "know",
        "ask",
    ]
)
_POINTING_EN = frozenset(["it", "that", "this", "those", "these", "them", "they", "one", "ones", "there"])


def is_elliptical(question: str, *, language: Language) -> bool:
    """Tell whether ``question`` cannot stand without the one before it ("多久会回复?", "and the email?").

    Meant for a question that has a history and whose app has been taken out; nothing left counts as elliptical.
    """
    return _is_elliptical_english(question) if language == "en" else _is_elliptical_chinese(simplify(question))


def _is_elliptical_chinese(question: str) -> bool:
    text = re.sub(r"[\W_]", "", question)
    if len(text) <= 14 and _FOLLOW_UP_ZH.search(text):
        return True
    return len(text) <= 16 and not _EMPTY_ZH.sub("", text)


def _is_elliptical_english(question: str) -> bool:
    words = re.findall(r"[a-z']+|[\u3400-\u9fff]+", question.lower().replace("’", "'"))
    left = [word for word in words if word not in _EMPTY_EN]
    if not left:
        return True
    if words[0] in ("and", "but", "then", "so", "also", "or") or words[:2] in (["what", "about"], ["how", "about"]):
        return len(words) <= 6
    return bool(_POINTING_EN & set(words)) and len(words) <= 7 and all(word in _POINTED_EN for word in left)


# -- Parts ------------------------------------------------------------------------------------------------------------

_PARTS = 3
_ASKS_ZH = re.compile(
    r"多久|多长时间|几(?:个)?(?:工作日|天|日|年|月|小时)|多少|哪(?!怕|天|儿都|里都|都)|怎[么样]|如何|咋|什么|啥"
    r"|谁|何[时处种人]"
    r"|[吗么嘛]$|[不没]$|能不能|会不会|是不是|要不要|有没有|可不可以|是否|能否|可否"
)
# 谁都, 什么都, 随便哪个: the word asks nothing; 要是…了, 凭啥, 图啥 and the like belong with what stands beside them.
_ASKS_NOTHING_ZH = re.compile(
    r"(?:哪|什么|啥|谁|怎么|多少|几)[^，]{0,14}[都也]|随便|不管|无论|^(?:要是|如果|万一|假如|假设|若|倘若|比如"
    r"|别|不要|省得|免得)|凭[啥什]"
    r"|图[啥什]|干嘛|为[啥什何]|怎么回事|什么的|啥的|之类|吧$|没什么|想知道$|纳闷|不知道|至于|明明"
    r"|(?:怎么|咋)(?:老|总|还|又|就|这么|那么|自己|现在)|^看"
)
# The first of two clauses asks only in these forms: 知道我在哪, 搜过啥 and 问我要不要 are told, not asked.
_TOLD_ZH = re.compile(
    r"不想|不让|别让|怕|知道|[问查算]我|老问|提示|认认|认不出|[看搜查听去逛买用发点]过|[看花砸搜点加]了|往里头"
    r"|让[它填]|谁[^，]{0,4}过|定我"
    r"|爱看|打赏|[家人我]在哪|住哪|想管|找半天|查今天|给谁|、[^，]*[几多啥谁哪]|[几多啥谁哪][^，]*、"
)
_FIRST_ZH = re.compile(
    r"[吗么嘛不]$|(?<![弄抹销清搞整])没$|是否|能否|可否|可不可以|能不能|会不会|要不要|有没有|是不是|多久|多长时间"
    r"|几(?:个)?(?:工作日|天|年|月|小时)|多少[天年]|怎么|怎样|如何|咋|(?:存|放|登记|注册|办公)(?:在|于)?哪"
    r"|[从去按点]哪|在哪[里儿]?(?:点|关|销|藏|改|查|看|办|设|申请|开|退|下载)$|[找由归]谁|联系谁"
    r"|[要得会将需]?(?:收集|采集|拿|看|读|取|交|填|提供|准备|发|要|记|留|是|用于|为)[^，]{0,6}(?:哪|什么|啥|何)"
    r"|作何|以何"
)
_TAG_ZH = re.compile(
    r"^(?:是|这|这是|这个|这样|这事)?(?:真的?|对|行|成|合规|合法|正常|可以|允许|有用|有必要|搞错|真的假的|有这回事"
    r"|有人管)(?:了|的)?[吗么不没嘛吧]?$"
    r"|^(?:真的假的|对不对|是吧|为什么|为啥|怎么办|咋办|怎么会|什么意思|凭啥|图啥|怎么回事)$"
)
_ASKING_WORD_ZH = re.compile(
    r"多久|多长时间|几(?:个)?(?:工作日|天|年|月|小时)内?|多少(?:天|钱|年)?|[在从去到]?哪(?!天)(?:里|儿|些|家|个|一"
    r"|几[种类样])?|怎[么样]|如何|咋|什么|啥|[找由]?谁"
    r"|能不能|会不会|是不是|要不要|有没有|可不可以|是否|能否|可否|[吗么嘛]$|[不没]$|请问|[？?，,。！!；;]"
)
_STANDS_ALONE_ZH = 9  # characters of a second part that may still lack the first one's subject
_CONTACT_ZH = re.compile(  # a subject of its own, however short
    r"(?:客服|投诉|举报|联系)(?:电话|热线|邮箱)|(?:电话|热线|邮箱)(?:号码|地址)?(?:是(?!否|不)|有|多少|在哪)|哪[个家]法院"
)
_QUESTION_START_EN = re.compile(
    r"^(?:so |and |but |also |then )?(?:what|who|whose|how|where|when|which|why|can|could|do|does|did|is|are"
    r"|was|were|will|would|should"
    r"|may|has|have|must)(?:'s|'re|'ll|'d)?\b",
    re.IGNORECASE,
)
_SECOND_EN = re.compile(
    r"(?:,| -)? and (?=(?:what|who|whose|where|when|which|how(?: long| many| much| soon)?)(?: \w+)? "
    r"(?:do|does|did|can|could|will|would|is|are|was|were|should|has|have|must|happens?)\b"
    r"|(?:who|where|when|how)(?:'s|'re|'ll) |what(?:'s|'re) (?:the|their|your) |how (?:long|many|soon)\b"
    r"|(?:can|could|do|does|did|will|would|is|are|should) (?:i|you|they|it|we|my|the|there)\b)",
    re.IGNORECASE,
)
_CONTACT_EN = re.compile(r"\b(?:hot|help)[ -]?line\b|\b(?:your|the|an?) (?:tele)?(?:phone|e-?mail)\b", re.IGNORECASE)
_HEAD_EN = re.compile(
    r"^(?:so |and |but )?(?:(?:what|who|whose|where|when|which|why|how(?: long| many \w+| much| soon)?)(?:'s|'re"
    r"|'ll)? ?)?"
    r"(?:(?:do|does|did|can|could|will|would|is|are|was|were|should|has|have|may|must) )?(?:(?:i|you|they|it|we) )?",
    re.IGNORECASE,
)


def split_parts(question: str, *, language: Language) -> tuple[str, ...]:
    """Return the questions that ``question`` is made of, at most three, each complete enough to be searched.

    The sentences of a story stay with the question they lead to. Where it is not plain that two things are asked, the
    question comes back whole; a part that lacks the subject of the first is given it.
    """
    whole = question.strip()
    parts = _split_english(whole) if language == "en" else _split_chinese(simplify(whole))
    return tuple(parts) if 2 <= len(parts) <= _PARTS else (whole,)


def _split_chinese(question: str) -> list[str]:
    sentences = [s.strip() for s in re.split(r"(?<=[？?。！!；;\n])", question) if re.search(r"[^\s。？?！!；;]", s)]
    story: list[str] = []
    asked: list[str] = []
    for sentence in sentences:
        pieces = _pieces_chinese(sentence) if sentence[-1] not in "。！!；;" else [sentence]
        asking = sentence[-1] not in "。！!；;" and all(_asks_chinese(piece) for piece in pieces)
        if not asking and asked:
            return []
        (asked if asking else story).extend(pieces)
    if len(asked) < 2 or any(_TAG_ZH.search(re.sub(r"[\W_]", "", piece)) for piece in asked[1:]):
        return []
    lead = "".join(story)
    topic = _ASKING_WORD_ZH.sub("", asked[0].strip(" ，,？?"))
    return [lead + asked[0], *(_complete_chinese(piece, lead, topic) for piece in asked[1:])]


def _pieces_chinese(sentence: str) -> list[str]:
    """Return the sentence cut at its last comma if the clauses on both sides ask; whole otherwise."""
    clauses = [clause.strip() for clause in re.split(r"[，,]", sentence)]
    if len(clauses) < 2 or not (_asks_chinese(clauses[-1]) and _asks_first_chinese(clauses[-2])):
        return [sentence]
    if any(_asks_first_chinese(clause) for clause in clauses[:-2]):
        return [sentence]
    return ["，".join(clauses[:-1]), clauses[-1]]


def _asks_first_chinese(clause: str) -> bool:
    return bool(_FIRST_ZH.search(clause)) and not _TOLD_ZH.search(clause) and _asks_chinese(clause)


def _asks_chinese(clause: str) -> bool:
    text = clause.strip(" ，,。？?！!；;\n")
    last = re.split(r"[，,]", text)[-1]
    return bool(_ASKS_ZH.search(text)) and not _ASKS_NOTHING_ZH.search(last)


def _complete_chinese(piece: str, lead: str, topic: str) -> str:
    if lead:
        return lead + piece
    stands_alone = len(piece) > _STANDS_ALONE_ZH or _CONTACT_ZH.search(piece)
    return piece if stands_alone else f"{topic} {piece}"


def _split_english(question: str) -> list[str]:
    sentences = [s.strip() for s in re.split(r"(?<=[?.!])\s+", question) if re.search(r"[^\s?.!]", s)]
    asked = [i for i, s in enumerate(sentences) if s.endswith("?") or _QUESTION_START_EN.match(s)]
    if not asked or asked != list(range(asked[0], len(sentences))):
        return []
    lead = " ".join(sentences[: asked[0]])
    pieces: list[str] = []
    for sentence in sentences[asked[0] :]:
        if pieces and not _QUESTION_START_EN.match(sentence):
            return []
        pieces.extend(_pieces_english(sentence))
    if len(pieces) < 2 or any(len(piece.split()) <= 3 for piece in pieces):
        return []
    if lead:
        return [f"{lead} {piece}" for piece in pieces]
    topic = _HEAD_EN.sub("", pieces[0]).strip(" ?,")
    return [pieces[0], *(_complete_english(piece, topic) for piece in pieces[1:])]


def _pieces_english(sentence: str) -> list[str]:
    if not _QUESTION_START_EN.match(sentence):
        return [sentence]
    return [piece for piece in _SECOND_EN.split(sentence, maxsplit=1) if piece]


def _complete_english(piece: str, topic: str) -> str:
    words = set(re.findall(r"[a-z']+", piece.lower()))
    is_short = len(words) <= 5 and not _CONTACT_EN.search(piece)
    return f"{topic}: {piece}" if words & _POINTING_EN or is_short else piece


# -- Yes, no and lists ------------------------------------------------------------------------------------------------

_YES_NO_ZH = re.compile(
    r"[吗嘛么][？?。!！]*$|[不没][？?]*$|能不能|会不会|是不是|要不要|有没有|可不可以|是否|能否|可否|有无|得不得"
    r"|用不用|算不算|非得|难道|[吗]\s*[，,？?]"
)
_WH_ZH = re.compile(r"多久|多少|几天|哪|怎[么样]|如何|什么|啥|谁|为何|咋|何")
_YES_NO_EN = re.compile(
    r"^(?:so |and |but |ok |hey )?(?:can|could|do|does|did|is|are|was|were|will|would|should|may|has|have|am"
    r"|must)\b(?!.*\bor what\b)",
    re.IGNORECASE,
)


def asks_yes_no(question: str, *, language: Language) -> bool:
    """Tell whether ``question`` can be answered with yes or no."""
    if language == "en":
        last = [s for s in re.split(r"(?<=[?.!])\s+", question.strip()) if s][-1:] or [""]
        clause = re.split(r",\s+", last[0])
        return bool(_YES_NO_EN.match(last[0]) or (len(clause) > 1 and _YES_NO_EN.match(clause[-1])))
    text = simplify(question).strip()
    asked = [s for s in re.split(r"(?<=[？?。！!])", text) if s.strip()][-1:] or [""]
    return bool(_YES_NO_ZH.search(asked[0].strip())) and not _WH_ZH.search(asked[0])


_UNCLEAR = re.compile(
    r"除非|除了|除外|之外|但(?!不限于)|可能|如果|如[您你需经]|若|未经|仅|只[有会在]|或许|视|情形|例外|情况下"
    r"|原则上|一般|通常|尽量|尽力|尽可能|不影响|不会影响"
    r"|另有|境内|之前|以前|不(?:会)?(?:再|仅|得不)|否则|无法|不承担|不能保证|不保证|对此|前提"
)
_DENIES = re.compile(
    r"(?:我们|我行|本公司|平台|本应用|本产品)?(?:承诺|保证)?(?:绝不|从不|决不|不会|不(?:收集|存储|保存|采集"
    r"|获取|读取|上传|共享|提供|出售|出租|公开|披露|向|将|对|使用|进行|涉及)"
    r"|没有向|没有收集|未(?:向|将|收集|存储|进行)|无需|无须|不需要|禁止|不予)"
)
# The verb stands right after the modal: 我们会将…分开存储 and 我们会要求… affirm something else than they seem to.
_AFFIRMS = re.compile(
    r"^(?:(?:我们|我行|本公司|平台)(?:会|将)?(?:需要)?(?:收集|获取|记录|读取|采集|存储|保存|保留|使用|共享|披露|删除|通知)"
    r"|[您你](?:可以|可|有权|能够))"
)
_ONE_STATEMENT = 90  # characters; a longer quote states several things, and which of them answers is not plain


# What a question may ask whether it is done: how the question puts it, and the policy's verbs for it.
_ACTS = tuple(
    (re.compile(asked, re.IGNORECASE), verbs)
    for asked, verbs in (
        (
            r"收集|采集|获取|读取|记录|拿|要|看|听|偷|监|知道|\b(?:collect|gather|read|access|record|track|listen|take|get)",
            "收集|采集|获取|读取|记录|访问",
        ),
        (r"存|留|\b(?:keep|store|retain|save|hold)", "存储|保存|保留|留存|记录"),
        (
            r"共享|分享|提供|给|公开|披露|透露|泄露|转让|传|出境|\b(?:share|give|disclose|pass|transfer|send)",
            "共享|分享|提供|公开|披露|转让|传输|传送",
        ),
        # Who does not sell data may share it all the same.
        (r"卖|售|租|\b(?:sell|sold|sale|rent|trade)", "出售|出租|售卖|买卖"),
        (r"用|\buse", "使用|用于|利用"),
        (r"删|注销|销号|\b(?:delet|eras|remov|cancel|clos)", "删除|注销|清除"),
        (r"通知|告诉|告知|说一声|\b(?:notify|tell|inform|warn)", "通知|告知|提示"),
        (r"能|可以|可不可|撤|关|拒|改|查|复制|导出|\b(?:can|may|able)\b", "可以|有权|能够|可"),
        (r"必须|非得|要不要|需要|\b(?:must|have to|need)", "需要|必须|提供|无需"),
    )
)


def _acts(question: str) -> list[str]:
    """Return the policy's verbs for what ``question`` asks whether it is done."""
    simplified = simplify(question)
    return [verbs for words, verbs in _ACTS if words.search(simplified)]


def _first_part(sentence: str) -> str:
    return re.split("[,，;；。]", sentence, maxsplit=1)[0]


def stance(sentence: str, question: str) -> Literal["yes", "no"] | None:
    """Return whether a policy sentence states that what is asked is done (``yes``) or is not (``no``).

    Explicit wording alone counts.

    ``None`` where the sentence is conditional, hedged, says both, or affirms or denies something else than is asked.
    """
    sentence = sentence.strip()
    if len(sentence) > _ONE_STATEMENT or _UNCLEAR.search(sentence):
        return None
    denies, affirms = _DENIES.search(sentence), _AFFIRMS.search(sentence)
    if bool(denies) == bool(affirms):
        return None
    said = _first_part(sentence[denies.start() :]) if denies else sentence
    if not any(re.search(verbs, said) for verbs in _acts(question)):
        return None
    return "no" if denies else "yes"


_OF_ALL_DATA = re.compile(
    r"(?:[您你]的?|用户的?|这些|该等?|上述|任何|前述|相关|此类|其|个人|原始)*(?:信息|数据|内容|资料|记录)?$"
)


def denies_all(sentence: str, question: str) -> bool:
    """Tell whether a sentence denies what is asked of whatever data it is about, and names none in particular.

    >>> denies_all("处理之后,不会保存您的数据。", "会保存语音吗"), denies_all("不会保存您的短信。", "会保存语音吗")
    (True, False)
    """
    if stance(sentence, question) != "no" or (denies := _DENIES.search(sentence)) is None:
        return False
    denied = _first_part(sentence[denies.start() :])
    return any(
        _OF_ALL_DATA.match(denied, verb.end()) for verbs in _acts(question) for verb in re.finditer(verbs, denied)
    )


_LIST_ZH = re.compile(
    r"哪(?:些|几种|几类)(?:样的)?(?:法定)?(?:情形|情况|条件|场景|例外|权限|权利|途径|方式|渠道|第三方|SDK|sdk|措施)"
    r"|(?:什么|何种|啥)(?:情形|情况)下|在哪些|请列出|列出|都有(?:哪些|什么|啥)(?!软件)"
)
_LIST_EN = re.compile(
    r"(?:what|which)(?: are)?(?: all)?(?: of)?(?: the| your| their| my)?(?: \w+)? (?:cases|circumstances"
    r"|conditions|situations|exceptions|permissions|rights|measures|sdks|third parties)"
    r"|under (?:what|which)|in (?:what|which) (?:cases|situations)|\blist (?:all|the|every)|what are all",
    re.IGNORECASE,
)


def asks_for_list(question: str) -> bool:
    """Tell whether ``question`` asks for a list as a whole ("哪些情形", "what are all the cases")."""
    return bool(_LIST_ZH.search(simplify(question)) or _LIST_EN.search(question))
