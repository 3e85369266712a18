"""What a policy's text states about itself: its app's names, its operator, its dates, a contact."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = 6000
_DAY = r"[\s:：]*[【\[]?(20\d\d)[】\]]?\s?[年./-]\s?[【\[]?(\d{1,2})[】\]]?\s?[月./-]\s?[【\[]?(\d{1,2})[】\]]?"
_UPDATED = re.compile(rf"(?:更新|修订|修改|发布|公布)(?:日期|时间|于){_DAY}")
_EFFECTIVE = re.compile(rf"(?:生效(?:日期|时间|日)?(?:为|于|是)?|自){_DAY}(?=[^\n]{{0,6}}(?:生效|起|$|\n)|)")
_COMPANY = re.compile(r"[\u4e00-\u9fff（）()]{2,24}?(?:有限责任公司|股份有限公司|有限公司|管理中心|数据中心)")
_NAMED_POLICY = re.compile(
    r"《([^《》\n]{2,16}?)(?:APP|App|app|客户端|游戏|平台)?(?:用户)?(?:个人信息|隐私)[^《》\n]{0,16}》"
)
_QUOTED_APP = re.compile(r"[“\"「]([^“”\"「」\n]{2,12})[”\"」](?:APP|App|app|客户端)")
_PHONE = re.compile(r"(?<!\d)(?:400-?\d{3,4}-?\d{3,4}|0\d{2,3}-\d{7,8}|(?:热线|电话|客服)[^\d\n]{0,8}(\d{5,12}))(?!\d)")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,40}@[A-Za-z0-9-]{1,40}(?:\.[A-Za-z0-9-]{2,20}){1,3}")
_GENERIC = re.compile(
    "我们|本?平台|用户|本?应用|本?产品|本?服务|本?软件|本政策|儿童|未成年人|腾讯|阿里巴巴|百度|网易|字节跳动|华为"
)


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
    email = _EMAIL.search(text)
    phone = _PHONE.search(text)
    contact = (phone[1] or phone[0]) if phone else email[0] if email else None
    company = _COMPANY.search(head)
    return Metadata(
        aliases=_read_aliases(head, app),
        operator=company[0] if company else None,
        updated=_read_day(_UPDATED, text),
        effective=_read_day(_EFFECTIVE, text),
        contact=contact,
    )


def _read_day(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups()[:3])
    return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _read_aliases(head: str, app: str) -> tuple[str, ...]:
    """Names that the head of the text gives the app: in the policy's own title, or in quotes before APP."""
    names = [match[1].strip() for pattern in (_NAMED_POLICY, _QUOTED_APP) for match in pattern.finditer(head[:1500])]
    kept = [name for name in dict.fromkeys(names) if name != app and not _GENERIC.fullmatch(name)]
    return tuple(name for name in kept if name in app or app in name)
