"""The versions of an app's policy as a reader sees them: their names, and the ways to texts and changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote as percent_encode
from urllib.parse import urlencode

from corpus.messages import message
from retrieval.datatypes import Language
from web.render import PATH_SEPARATOR

if TYPE_CHECKING:
    from corpus.datatypes import Clause
    from index.manifest import Version

HEADINGS = "headings"  # of a diff: shown and chosen like a kind of change


def version_url(app: str, policy_id: str) -> str:
    """Return the reader's address of a version, relative to the site's root."""
    return f"read/{percent_encode(app, safe='')}?{urlencode({'version': policy_id})}"


def changes_url(app: str, old: str, new: str, kind: str | None = None) -> str:
    """Return the address of what changed between two versions, by their ``policy_id``, relative to the site's root."""
    query = {"from": old, "to": new} | ({"kind": kind} if kind else {})
    return f"changes/{percent_encode(app, safe='')}?{urlencode(query)}"


def find_current(versions: Sequence[Version]) -> Version:
    """Return the version that questions are answered from."""
    return next((one for one in versions if one.is_current), versions[-1])


def name_version(version: Version, language: Language) -> str:
    """Return how a version is called: its date and when it was added."""
    day, _, time = version.added.partition("T")
    added = message("changes.time", language, day=day, time=time[:5])
    if version.date:
        return message("changes.version", language, date=version.date, added=added)
    return message("changes.undated_version", language, added=added)


def list_versions(
    app: str, versions: Sequence[Version], language: Language, *, root: str, shown: Collection[str] = ()
) -> str:
    """Return the versions as a list, newest first, each with the ways to its text and to what changed.

    :param versions: all versions of the app, oldest first.
    :param root: the way to the site's root.
    :param shown: the ``policy_id`` of those that the page is about.
    """
    current = find_current(versions)
    items = []
    for place, version in reversed(list(enumerate(versions))):
        links = [("read", version_url(app, version.policy_id))]
        if place:
            before = versions[place - 1]
            links.append(("with_previous", changes_url(app, before.policy_id, version.policy_id)))
        if version is not current and (place + 1 >= len(versions) or versions[place + 1] is not current):
            links.append(("with_current", changes_url(app, version.policy_id, current.policy_id)))
        name = name_version(version, language)
        tags = [("current", version is current), ("shown", version.policy_id in shown)]
        told = "".join(
            f' <span class="tag">{escape(message(f"changes.{key}", language))}</span>' for key, holds in tags if holds
        )
        listed = "".join(_link(root + address, message(f"changes.{key}", language), name) for key, address in links)
        items.append(
            f'<li><span>{escape(name[0].upper() + name[1:])}</span>{told}<span class="links">{listed}</span></li>'
        )
    return f'<ol reversed class="version-list">{"".join(items)}</ol>'


def _link(address: str, text: str, version: str) -> str:
    return f'<a href="{escape(address)}" aria-label="{escape(text)}: {escape(version)}">{escape(text)}</a>'


def clause_place(clause: Clause) -> str:
    """Return where a clause stands: its label and the headings above it."""
    return " · ".join(filter(None, (clause.label, PATH_SEPARATOR.join(clause.address))))
