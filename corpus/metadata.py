"""What a policy's text states about itself: its app's names, its operator, its dates, a contact."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = 2500
_DAY = r"[\s:：]{0,3}[【\[]?(20\d\d)[】\]]?\s?[年./-]\s?[【\[]?(\d{1,2})[】\]]?\s?[月./-]\s?[【\[]?(\d{1,2})[】\]]?"
_UPDATED = re.compile(rf"(?:更新|修订|修改|发布|公布)(?:日期|时间|于|日){_DAY}")
_EFFECTIVE = re.compile(rf"生效(?:日期|时间|日)?(?:为|于|是)?{_DAY}|自{_DAY}日?[起开始正式]{{0,4}}生效")
_NAME = r"[^\W\d_]"
_COMPANY = (
    r"(?<![^\W_由是为系指与和及于即者方])(?P<company>(?![为与和及])"
    rf"{_NAME}{{2,16}}(?:[（(]{_NAME}{{2,4}}[）)])?{_NAME}{{0,16}}有限(?:责任)?公司)"
)
_OPERATOR = re.compile(
    rf"(?:由|(?<!第三方)(?:运营者|运营方|运营主体|经营者)[为是]?[:：]?\s?|所有方|提供方|提供者){_COMPANY}"
)
_OURSELVES = re.compile(rf"{_COMPANY}(?:[及和与]其?关联(?:公司|方|企业))?[（(][^）)\n]{{0,24}}(?:我们|本公司)")
_RUNNER = re.compile(rf"{_COMPANY}(?:[（(][^）)\n]{{0,40}}[）)])?作为[^，,。\n]{{1,16}}的运营[者方商]")
_BEFORE_COMPANY = re.compile("^(?:本?(?:政策|协议|应用)?仅?适用于|指|即)?(?:.{1,12}的运营[者方商])?")
_NO_COMPANY = re.compile("旨在|介绍|提供|使用|选择|欢迎|关联|以及|由|我们")
_ANY_COMPANY = re.compile(rf"{_NAME}{{2,20}}(?:[（(]{_NAME}{{2,4}}[）)])?{_NAME}{{0,20}}公司")
_NAMED_POLICY = re.compile(
    r"《([^《》\n]{2,20}?(?:隐私|个人信息)[^《》\n]{0,16}(?<![法例定则范]))》"
)  # no law, no regulation
_TITLE_TAIL = re.compile(
    "(?:APP|App|app|客户端|软件|游戏|产品|平台)?(?:及?其?关联服务)?(?:用户|儿童|未成年人?){0,4}(?:的|与|及)?"
    "(?:隐私|个人信息|使用政策|服务协议).*$"
)
_QUOTED_APP = re.compile(r"[“\"「]([^“”\"「」\n]{2,12})[”\"」](?:APP|App|app|客户端)")
_GENERIC = re.compile(
    "我们|你?我?的?|本?平台|用户|本?应用|本?产品|本?服务|本?软件|本?政策|本?游戏|手机应用|移动|第三方|儿童|未成年人"
    "|腾讯(?:游戏|公司)?|阿里巴巴|百度|网易(?:游戏)?|字节跳动|华为|小米|苹果|微博|支付宝|法律|中国|个人|简明"
)
_CONTACT_HEADING = re.compile("联系我们|联系方式|联系我方|与我们联系")
_PHONE = re.compile(
    r"(?<![\d-])(?:400-?\d{3,4}-?\d{3,4}|0\d{2,3}-\d{7,8}|(?:热线|电话|客服)[^\d\n]{0,8}(\d{5,12}))(?![\d-])"
)
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,40}@[A-Za-z0-9-]{1,40}(?:\.[A-Za-z0-9-]{2,20}){1,3}")


@dataclass(frozen=True)
class Metadata:
    """What was found; dates are ISO 8601 days, ``contact`` and ``operator`` stand so in the text."""

    aliases: tuple[str, ...] = ()
    operator: str | None = None
    updated: str | None = None
    effective: str | None = None
    contact: str | None = None


def read_metadata(text: str, *, app: str) -> Metadata:
    """Find what ``text`` states about the app ``app``; what is not plainly stated is left out."""
    head = text[:_HEAD]
    matches = [match for pattern in (_OURSELVES, _RUNNER, _OPERATOR) for match in pattern.finditer(head)]
    named = [match["company"] for match in matches if not _NO_COMPANY.search(match["company"])]
    companies = [_BEFORE_COMPANY.sub("", name) for name in named]
    return Metadata(
        aliases=tuple(dict.fromkeys(name for name in _read_names(head) if _is_alias(name, app, text[:20_000]))),
        operator=companies[0] if companies else None,
        updated=_read_day(_UPDATED, text),
        effective=_read_day(_EFFECTIVE, text),
        contact=_read_contact(text),
    )


def _read_day(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups() if part is not None)
    return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _read_names(head: str) -> Iterator[str]:
    """Names of the app in the policy's own title: its first line, the first 《…隐私…》, or quoted before APP."""
    first_line = next((line.strip() for line in head.split("\n") if line.strip()), "")
    titles = [first_line] if len(first_line) <= 30 else []
    titles += [match[1] for match in _NAMED_POLICY.finditer(head[:800])][:1]
    names = [_TITLE_TAIL.sub("", title) for title in titles if _TITLE_TAIL.search(title)]
    names += [match[1] for match in _QUOTED_APP.finditer(head[:1500])][:1]
    for name in names:
        bare = name.strip('<>《》【】“”"「」（）() \ufeff\u3000')
        if (
            2 <= len(bare) <= 10
            and not _GENERIC.fullmatch(bare)
            and not re.search("公司|[，,。：:》”（(]|我们|本|集团", bare)
        ):
            yield bare


def _is_alias(name: str, app: str, text: str) -> bool:
    """A name that is part of a company's name is the operator's, unless it is part of the app's as well."""
    related = name.casefold() in app.casefold() or app.casefold() in name.casefold()
    return name != app and (related or not any(name in company for company in _ANY_COMPANY.findall(text)))


def _read_contact(text: str) -> str | None:
    """A phone number, else an e-mail address, from the last section on contact that has one, else from anywhere."""
    starts = [match.start() for match in _CONTACT_HEADING.finditer(text)][-50:]
    sections = [text[start : start + 600] for start in reversed(starts)]
    for section in [*sections, text]:
        if phone := _PHONE.search(section):
            return phone[1] or phone[0]
        if email := _EMAIL.search(section):
            return email[0]
    return None
