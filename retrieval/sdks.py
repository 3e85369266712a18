"""The SDKs that a policy names, as rows: name, company, purpose, data, each verbatim and empty where it names none.

Policies list them in many forms: one an item, one a paragraph, all in one long sentence, as lines of key and value, as
the rows of a table whose cells a tab or a bar parts. Each form is read by a function of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from index.segment import Segment
from retrieval.collection import DATA_WORD
from retrieval.datatypes import CELL_COLUMNS
from retrieval.facts import find_facts
from retrieval.rows import LONGEST_SENTENCE, FoundRow, Sentence, Span, lead_text, sentences_of, trimmed, within

COLUMNS = CELL_COLUMNS["sdks"]
LONGEST_NAME = 30
_SDK = re.compile(r"(?:SDK|Sdk|sdk)(?!承担|运营|提供[商者方])|开发工具包|开发包")

# -- Key and value ----------------------------------------------------------------------------------------------------

_KEYS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("skip", re.compile(r"链接|官网|网址|隐私(?:政策|协议|权)|网站|处理方式|共享方式|联系方式|系统类型|序号|安全")),
    (
        "company",
        re.compile(
            r"公司|第三方(?:主体|机构)|运营(?:方|主体|者)|提供(?:方|商|者)|合作(?:方|伙伴)|所属(?:机构|主体)|开发者"
            r"|(?:机构|主体)名称|^主体$"
        ),
    ),
    ("purpose", re.compile(r"目的|用途|场景|功能|业务类型|^作用")),
    ("data", re.compile(r"信息|数据|字段|权限|收集内容")),
    ("name", re.compile(r"名称|^(?:第三方)?SDK$|产品|插件|^第三方服务$|^(?:第三方)?SDK")),
)
_PAIR = re.compile(
    r"(?:^|[;；\n,，|])\s{0,20}(?P<key>[^:：;；\n,，|。]{2,24}?)\s{0,20}[:：]\s{0,20}(?P<value>[^;；\n|]+)"
)
_IN_NAME = re.compile("[A-Za-z一-鿿+]")
MIN_KEYS = 2  # columns that a block of lines must name to be taken for a description of an SDK


def _column(key: str) -> str | None:
    return next((column for column, wording in _KEYS if wording.search(key)), None)


def _pair_rows(segment: Segment, chosen: Sequence[int]) -> tuple[list[FoundRow], set[int]]:
    """Read clauses that are lines of key and value, and single clauses that hold several such pairs."""
    rows: list[FoundRow] = []
    used: set[int] = set()
    block: dict[str, Span] = {}
    members: list[int] = []

    def close() -> None:
        if len(block) >= MIN_KEYS and members and ("name" in block or "company" in block):
            start, end = segment.clauses[members[0]].start, segment.clauses[members[-1]].end
            at = (start, start)
            rows.append(FoundRow(members[0], start, end, tuple(block.get(column, at) for column in COLUMNS)))
            used.update(members)
        block.clear()
        members.clear()

    for ordinal in chosen:
        clause = segment.clauses[ordinal]
        pairs = [
            (
                column,
                trimmed(segment.policy.text, (clause.start + found.start("value"), clause.start + found.end("value"))),
            )
            for found in _PAIR.finditer(clause.text)
            if (column := _column(found["key"]))
        ]
        known = [pair for pair in pairs if pair[0] != "skip"]
        is_line = pairs and _PAIR.match(clause.text) is not None and len(clause.text) < 600
        if not is_line or (
            len(known) == 1 and _SDK.search(clause.text.split("：")[0].split(":")[0]) and known[0][0] == "data"
        ):
            close()
            continue
        if members and ordinal != members[-1] + 1:
            close()
        if any(column in block or column == "name" for column, _ in known) and block:
            close()
        for column, span in known:
            block.setdefault(column, span)
        members.append(ordinal)
    close()
    return rows, used


# -- Tables -----------------------------------------------------------------------------------------------------------

_CELL = re.compile(r"[^\t|｜]+")
MIN_CELLS = 3


def _table_rows(segment: Segment, chosen: Sequence[int]) -> tuple[list[FoundRow], set[int]]:
    """Read clauses whose cells a tab or a bar parts, below a clause of the same form that names the columns."""
    rows: list[FoundRow] = []
    used: set[int] = set()
    header: list[str | None] = []
    for ordinal in chosen:
        clause = segment.clauses[ordinal]
        cells = [found for found in _CELL.finditer(clause.text) if found[0].strip()]
        if len(cells) < MIN_CELLS:
            header = [] if len(clause.text) > 40 else header
            continue
        columns = [_column(cell[0].strip()) for cell in cells]
        if not header or all(len(cell[0].strip()) <= 16 and _column(cell[0].strip()) for cell in cells[1:]):
            if columns.count(None) <= 1 and len({column for column in columns if column}) >= MIN_KEYS:
                if "name" not in columns:
                    columns[0 if columns[0] is None else columns.index("skip") if "skip" in columns else 0] = "name"
                header = columns
                used.add(ordinal)
            continue
        at = (clause.start, clause.start)
        values = {
            column: trimmed(segment.policy.text, (clause.start + cell.start(), clause.start + cell.end()))
            for column, cell in reversed(list(zip(header, cells, strict=False)))
            if column and column != "skip"
        }
        if values:
            rows.append(
                FoundRow(ordinal, clause.start, clause.end, tuple(values.get(column, at) for column in COLUMNS))
            )
            used.add(ordinal)
    return rows, used


# -- Sentences --------------------------------------------------------------------------------------------------------

_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9+·&./一-鿿\-”“\s]{1,40}?(?:[（(][^（）()]{1,20}[)）])?"
    r"|(?<=[)）])[A-Za-z0-9+·&./一-鿿\-\s]{1,40}?)\s?(?:SDK|Sdk|sdk)"
    r"(?![A-Za-z]|中|官网|版本|的?隐私|运营方|提供方|提供商|服务商|目录|清单|列表)"
)
_NAME_LEAD = re.compile(
    r"需要调用|会?调用|接入了?|集成了?|使用了?(?!户)|引入了?|嵌入了?|内置|包括|通过|例如|比如|如(?!果)"
    r"|用于[^，,。]{0,14}的|为(?!您)|我[们方]|提供的?|以及|涉及"
    r"|[、，,。;；:：和与及或“”]|第三方的?|授权|其中|[您你]的?|用户|将|由|是|在|的(?!士)|进行|会|该|此|公司|集团"
    r"|\d[)）.、]|(?<!基)(?<!属)于"
)
_NO_NAME = re.compile(
    r"^(?:的|类|等|该|此|上述|以上|第三方|合作方|相关|有关|部分|不同|多个|某些|一些|这些|各|提供|应用|平台|外部|授权"
    r"|前述|我们|其|下列|如下|客户端"
    r"|嵌入|类似|些|个|版|诸多|合作|[、，,“”（）()\s])*$"
    r"|目录|清单|列表|政策|技术$|方式$|如果|关于|社交平台$|软件|工具包|简称|上述|前述|内容由|对于|实现|权限|可能"
    r"|类信息|^使用|服务中|功能|认真|调整了"
    r"|类型|合作伙伴|诸多|详见|外部|收集|获取|^通过|^包括|服务商$|应用程序|^API|网站|^[A-Za-z]$"
)
_USES = re.compile(r"调用|接入|集成|嵌入|内置|引入|使用|收集|获取|读取|采集|访问|提供|需要|实现|服务|用于")
_COMPANY = re.compile(
    r"(?:由|[（(]|使用了?|集成了?|接入了?|的|^|[，,、:：;；]"
    r"|为)(?P<company>[一-鿿A-Za-z0-9]{2,30}?(?:有限(?:责任)?公司|集团|股份公司|研究院|公司))"
)
_COMPANY_LEAD = re.compile(r"集成了?|接入了?|使用了?|我们|[由了的]")
_TAKEN = re.compile(
    r"(?:收集|获取|读取|采集|访问|上传|获得|直接使用)(?:和使用|并使用|使用|处理|、处理|或共享)?了?(?:[您你]"
    r"|用户)?(?:的|设备的|终端的)*(?P<data>[^。;；]{2,500})"
)
_TAKEN_CUT = re.compile(
    r"[，,](?=用于|以|来|从而|该|此|如|为|若|并|不|上述|我们|这|便|目的|主要|确保|但|具体|传输|使|未|请)|用于|以便"
    r"|以提供|以实现|传输至|并传输|，?从而|以上传"
)
_NOT_TAKEN = re.compile(
    r"^(?:相关|有关|必要|任何|部分)?的?(?:个人)?信息?(?:或权限时?)?$|^(?:主要|信息的|信息种类|种类|本政策|APP)|详见"
)
_AIMED = tuple(
    map(
        re.compile,
        (
            r"(?:用于|用来|以便于?|以实现|来实现|以提供|以完成|为您提供|实现)(?!登录的|活体检测的|人脸识别的|该|上述"
            r"|前述|此)(?P<purpose>[^，,。;；]{2,80}(?:[，,](?:并|提供|以及)[^，,。;；]{2,40}){0,2})",
            r"(?:^|[，,:：。;；])\s?为了?(?![^，,]*(?:该|上述)功能)(?P<purpose>[^，,。;；]{4,60})",
            r"(?:^|[，,;；:：。]|包括)\s?(?:当|在|如果?)?(?P<purpose>(?:[您你]|用户"
            r"|本应用)在?[^，,。;；]{2,60}?)(?:的?时候|时|过程中|功能)[，,]",
        ),
    )
)
_OWN_AIM = re.compile(r"用于(?P<purpose>[^，,。;；的]{2,14})的$")
_CONTEXT_REACH = 14  # paragraphs after one that announces SDKs in which `name: company, data` is read as an SDK


def sdk_rows(segment: Segment) -> list[FoundRow]:
    """Return the SDKs that the policy names, columns as :data:`COLUMNS`, in text order."""
    announced = _announced(segment)
    if not announced:
        return []
    short = sorted(one for one in announced if len(segment.clauses[one].text) <= LONGEST_SENTENCE)
    tables, in_tables = _table_rows(segment, short)
    pairs, in_pairs = _pair_rows(segment, [one for one in short if one not in in_tables])
    rows = [*tables, *pairs]
    for ordinal in sorted(announced - in_tables - in_pairs):
        rows.extend(_prose_rows(segment, ordinal, listed=announced_by_list(segment, ordinal, announced)))
    return _distinct(segment, sorted(rows, key=lambda row: (row.ordinal, row.start)))


def _announced(segment: Segment) -> set[int]:
    """Return the ordinals of the clauses that speak of SDKs, hang on one that does, or follow one closely."""
    found: set[int] = set()
    since: int | None = None
    for ordinal, clause in enumerate(segment.clauses):
        speaks = bool(_SDK.search(clause.text) or any(_SDK.search(heading) for heading in clause.path[-1:]))
        hangs = bool(_SDK.search(lead_text(segment, clause)))
        if speaks or hangs or _is_header(clause.text):
            found.add(ordinal)
            since = ordinal
        elif since is not None and ordinal - since <= _CONTEXT_REACH and clause.path == segment.clauses[since].path:
            found.add(ordinal)
            if _HEADED.match(clause.text) or _PAIR.match(clause.text) or "\t" in clause.text:
                since = ordinal
        else:
            since = None
    return found


def _is_header(text: str) -> bool:
    """Say whether a clause is the first row of a table that tells which third party takes what for what."""
    columns = {_column(cell[0].strip()) for cell in _CELL.finditer(text)} if "\t" in text and len(text) < 120 else set()
    return {"company", "data"} <= columns or {"purpose", "data", "name"} <= columns


_HEADED = re.compile(r"\s*(?:[（(]?\d{1,2}[)）.、．]\s?)?\.?(?P<name>[^:：，,。;；]{2,24})[:：]")
_PROVIDED = re.compile(r"提供技术支持|SDK|有限公司|收集|获取|读取|采集|权限")


def announced_by_list(segment: Segment, ordinal: int, announced: set[int]) -> bool:
    """Say whether a clause stands in a list of SDKs: its lead-in, heading or the paragraphs before it announce them."""
    clause = segment.clauses[ordinal]
    if _SDK.search(lead_text(segment, clause)) or any(_SDK.search(heading) for heading in clause.path[-1:]):
        return True
    before = segment.clauses[max(0, ordinal - _CONTEXT_REACH) : ordinal]
    return any(
        one.path == clause.path and re.search(r"第三方.{0,30}(?:SDK|开发工具包|开发包)", one.text) for one in before
    )


def _prose_rows(segment: Segment, ordinal: int, *, listed: bool) -> list[FoundRow]:
    clause = segment.clauses[ordinal]
    sentences = sentences_of(segment, ordinal)
    head = _HEADED.match(sentences[0].text)
    if (
        head
        and (_SDK.search(head["name"]) or (listed and not any(_named(one) for one in sentences)))
        and not re.search(r"^(?:例如|如下|注|说明|获取权限|第三方SDK|隐私)", head["name"])
    ):
        names = _split_names(sentences[0], head.span("name"))
        if names and _PROVIDED.search(clause.text) and len(sentences) <= 6:
            return [_described(sentences, name) for name in names]
    rows: list[FoundRow] = []
    for place, sentence in enumerate(sentences):
        if not _USES.search(sentence.text):
            continue
        for name in _named(sentence):
            related = [sentence, *(one for one in sentences[place + 1 : place + 2] if _continues(one))]
            rows.append(_described(related, name, apart=len(sentences) > 3))
    return rows


def _continues(sentence: Sentence) -> bool:
    """Say whether a sentence carries on with what the SDK of the one before it takes."""
    return bool(
        re.match(
            r"(?:该|此)类?(?:第三方)?(?:SDK|sdk)|(?:上述|以上)SDK|SDK|需要访问|可能需要|需要(?:获取|收集)",
            sentence.text,
        )
    )


def _named(sentence: Sentence) -> list[Span]:
    """Return the spans of the names of SDKs in a sentence, each with the letters SDK where they stand at its end."""
    found: list[Span] = []
    seen: set[str] = set()
    for one in _NAME.finditer(sentence.text):
        start, end = one.start("name"), one.end("name")
        bracket = re.search(r"[（(][^（）()]*[)）]$", one["name"])
        stop = start + bracket.start() if bracket else end
        leads = [lead.end() for lead in _NAME_LEAD.finditer(sentence.text, start, stop) if lead.end() < stop]
        start = max([start, *leads])
        start, end = trimmed(sentence.text, (start, end), r"[“（(”]")
        name = sentence.text[start:end]
        if len(name) < 2 or len(name) > LONGEST_NAME or _NO_NAME.search(name) or name in seen:
            continue
        seen.add(name)
        listed = _listed_before(sentence.text, one.start("name"), start)
        found.extend((sentence.start + a, sentence.start + b) for a, b in listed)
        found.append((sentence.start + start, sentence.start + one.end()))
    if re.search(r"SDK[，,]?(?:包括|如(?![需果]))", sentence.text):
        inside = re.search(r"SDK[，,]?(?:包括|如(?![需果]))(?P<names>[A-Za-z一-鿿、和及（）]{2,40})", sentence.text)
        if inside:
            found.extend(
                (sentence.start + inside.start("names") + a, sentence.start + inside.start("names") + b)
                for a, b in _parts(inside["names"])
                if "SDK" not in inside["names"][a:b]
            )
    return list(dict.fromkeys(found))


def _begin_of_list(text: str, begin: int, end: int) -> int:
    """Return where the names that run up to ``end``, each with 、 or 和 behind it, begin; ``end`` where there is none.

    和 may be part of a name: as one regular expression it would try every way to cut them.
    """
    starts = {end}
    for separator in range(end - 1, begin - 1, -1):
        if separator + 1 in starts and text[separator] in "、和及与":
            start = separator
            while start > max(begin, separator - 12) and _IN_NAME.match(text[start - 1]):
                start -= 1
                if separator - start >= 2:
                    starts.add(start)
    return min(starts)


def _listed_before(text: str, begin: int, start: int) -> list[Span]:
    """Return the names that stand before one in a list whose last alone carries the letters SDK: 微信、支付宝SDK."""
    if start == 0 or text[start - 1] not in "、和及与":
        return []
    offset = _begin_of_list(text, max(0, begin - 40), start)
    if offset == start or "SDK" in text[offset:start]:
        return []
    names = [(offset + a, offset + b) for a, b in _parts(text[offset:start])]
    cleaned = []
    for a, b in names:
        leads = [lead.end() for lead in _NAME_LEAD.finditer(text, a, b) if lead.end() < b]
        a = max([a, *leads])
        if b - a >= 2 and not _NO_NAME.search(text[a:b]):
            cleaned.append((a, b))
    return cleaned


def _parts(names: str) -> list[Span]:
    return [found.span() for found in re.finditer(r"[^、和及与，,;；]{2,}", names)]


def _split_names(sentence: Sentence, span: Span) -> list[Span]:
    text = sentence.text[slice(*span)]
    if _NO_NAME.search(re.sub(r"\s?SDK$", "", text)) or len(text) > LONGEST_NAME:
        return []
    parts = re.split("、", text)
    if len(parts) > 1 and all(2 <= len(part.strip()) <= 14 for part in parts):
        return [
            (sentence.start + span[0] + found.start(), sentence.start + span[0] + found.end())
            for found in re.finditer("[^、]+", text)
        ]
    start, end = trimmed(sentence.text, span)
    return [(sentence.start + start, sentence.start + end)]


def _described(sentences: Sequence[Sentence], name: Span, *, apart: bool = False) -> FoundRow:
    """Return the row of the SDK ``name`` from the sentences that tell of it.

    :param apart: whether the first sentence names several and only what stands near the name is of this one.
    """
    first, last = sentences[0], sentences[-1]
    none = (first.start, first.start)
    company, purpose, data = none, none, none
    own = _OWN_AIM.search(first.text, 0, name[0] - first.start)
    if own:
        purpose = within(first.start, own, "purpose")
    for place, sentence in enumerate(sentences):
        text = sentence.text
        if company == none:
            company = _company(sentence, name, none)
        if data == none:
            data = _taken(sentences[place:], none)
        for wording in _AIMED:
            aim = wording.search(text)
            if purpose == none and aim:
                start, end = trimmed(text, aim.span("purpose"), "", "等|时候|时")
                if not (name[0] < sentence.start + end and sentence.start + start < name[1]):
                    purpose = (sentence.start + start, sentence.start + end)
    if data == none and (
        head := re.match(r"[:：]\s?(?P<data>[^。;；]*权限[^。;；]*)", first.text[name[1] - first.start :])
    ):
        offset = name[1] + head.start("data")
        data = (offset, offset + len(head["data"].rstrip()))
    return FoundRow(first.ordinal, first.start, last.end, (name, company, purpose, data))


def _taken(sentences: Sequence[Sentence], none: Span) -> Span:
    """Return what the first of the sentences says is taken; a list that a semicolon parts runs over those after it."""
    first = sentences[0]
    for taken in _TAKEN.finditer(first.text):
        cut = _TAKEN_CUT.search(taken["data"])
        stop = taken.start("data") + cut.start() if cut else taken.end("data")
        start, end = trimmed(first.text, (taken.start("data"), stop), "", "等信息|等")
        data = first.text[start:end]
        if end - start < 2 or _NOT_TAKEN.search(data) or (not re.search("权限", data) and not DATA_WORD.search(data)):
            continue
        end += first.start
        if not cut and first.text.endswith((";", "；")):
            for following in sentences[1:]:
                if re.search("我们|[您你]可|如[您你]|用于|SDK", following.text):
                    break
                end = following.start + len(following.text.rstrip("。;； "))
        return first.start + start, end
    return none


def _company(sentence: Sentence, name: Span, none: Span) -> Span:
    for fact in find_facts(sentence.text):
        if fact.kind == "organisation" and not re.search("中心$|局$|委员会$", sentence.text[fact.start : fact.end]):
            leads = [lead.end() for lead in _COMPANY_LEAD.finditer(sentence.text, fact.start, fact.end - 4)]
            return sentence.start + max([fact.start, *leads]), sentence.start + fact.end
    found = _COMPANY.search(sentence.text)
    if found and not (name[0] <= sentence.start + found.start("company") < name[1]):
        return sentence.start + found.start("company"), sentence.start + found.end("company")
    return none


def _distinct(segment: Segment, rows: Sequence[FoundRow]) -> list[FoundRow]:
    """Return rows without those that repeat a name and add neither purpose nor data."""
    text = segment.policy.text
    kept: list[FoundRow] = []
    seen: dict[str, set[tuple[str, ...]]] = {}
    for row in rows:
        values = [re.sub(r"\s", "", text[slice(*value)]) for value in row.values]
        name = re.sub("SDK$", "", values[0])
        others = tuple(values[1:])
        known = seen.setdefault(name, set())
        if known and (not any(others) or others in known):
            continue
        known.add(others)
        kept.append(row)
    return kept
