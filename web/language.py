"""Which of the catalogue's languages a browser asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.datatypes import Language

if TYPE_CHECKING:
    from starlette.requests import Request

LANGUAGES: tuple[Language, ...] = ("zh", "zh-Hant", "en")
HTML_LANG: dict[Language, str] = {"zh": "zh-Hans", "zh-Hant": "zh-Hant", "en": "en"}
TRADITIONAL = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")


def negotiate_language(accept_language: str | None) -> Language:
    """Return the language of the first entry of highest weight in an ``Accept-Language`` header.

    Chinese comes first: no header, or one that cannot be read, gives ``zh``. Every language but Chinese gives ``en``.

    >>> negotiate_language("fr-CH, zh-TW;q=0.5"), negotiate_language("zh-HK,en;q=0.8"), negotiate_language(None)
    ('en', 'zh-Hant', 'zh')
    """
    best_tag, best_weight = "", 0.0
    for entry in (accept_language or "").split(","):
        tag, _, quality = entry.strip().lower().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if tag and tag != "*" and weight > best_weight:
            best_tag, best_weight = tag, weight
    if not best_tag or best_tag == "zh" or best_tag.startswith("zh-"):
        return "zh-Hant" if best_tag.startswith(TRADITIONAL) else "zh"
    return "en"


def request_language(request: Request) -> Language:
    """Return the language that the sender of ``request`` reads."""
    return negotiate_language(request.headers.get("accept-language"))
