"""Which app a question is about: the names in it, which of them is the subject, and the question without them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from corpus.lexicons import AppWords, KnownApp, load_app_words
from corpus.words import is_common_word
from retrieval.cues import Reading
from retrieval.names import Hit, NameIndex, Unit, fold, longest, name_key, pinyin_of, split_units, syllable


class AppNames(Protocol):
    """What the resolver needs of a policy."""

    @property
    def app(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def operator(self) -> str | None: ...


@dataclass(frozen=True)
class Mention:
    """An app named in a question: ``question[start:end]``; ``app`` is ``None`` for one that is not in the corpus.

    ``name`` is the app's name in the corpus, in the general list, or as typed. A ``partner`` is not what the question
    is about: a way to sign in, to pay, to share, a component. An ``invented`` name
    is in no list: it only stands where a name would.
    """

    app: str | None
    name: str
    start: int
    end: int
    partner: bool = False
    invented: bool = False


@dataclass(frozen=True)
class Resolution:
    """What a question says about apps.

    ``mentions`` stand in the order of the text. ``across_apps``: it asks which apps do something, or to compare.
    ``stripped`` is the question without the names of its subjects; partners stay.
    """

    question: str
    mentions: tuple[Mention, ...]
    across_apps: bool
    stripped: str

    @property
    def subjects(self) -> tuple[str, ...]:
        """The apps that the question is about, each once: corpus names, else the name as the list or user writes it."""
        return tuple(dict.fromkeys(mention.app or mention.name for mention in self.mentions if not mention.partner))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Those of the subjects that are not in the corpus."""
        return tuple(dict.fromkeys(m.name for m in self.mentions if not m.partner and m.app is None))


@dataclass(frozen=True)
class _Owner:
    """An app behind the forms: its corpus name or ``None``, and how its names are to be read."""

    app: str | None
    name: str
    words: frozenset[str] = frozenset()
    partner: bool = False
    brand: bool = False
    common: frozenset[str] = frozenset()  # its names that are common words, where nobody has said which of them are


_CJK = re.compile(r"[\u3400-\u9fff]")

# Ranks of forms: where two apps share a form, the lower wins.
_RANK_APP, _RANK_KNOWN, _RANK_ALIAS, _RANK_KNOWN_ALIAS, _RANK_MADE = range(5)


class AppResolver:
    """Tells which app a question is about, over the policies of a corpus and a general list of known apps.

    >>> from corpus.datatypes import Policy
    >>> resolver = AppResolver([Policy("津心办", "")], [KnownApp("微信", ("WeChat",), partner=True)])
    >>> resolver.resolve("用微信登录jinxinban安全吗").subjects
    ('津心办',)
    """

    def __init__(self, policies: Sequence[AppNames], known_apps: Sequence[KnownApp]) -> None:
        self._words = load_app_words()
        self._index = NameIndex(self._words)
        self._owners: list[_Owner] = []
        self._app_keys = {policy.app: name_key(policy.app) for policy in policies}
        self._brands = {name_key(name) for app in known_apps if app.brand for name in (app.name, *app.aliases)}
        claimed = _claim(policies, known_apps, self._words)
        known_of: dict[str, list[KnownApp]] = {}
        for number, app in claimed.items():
            known_of.setdefault(app, []).append(known_apps[number])
        operators: dict[str, set[str]] = {}
        for policy in policies:
            for form in _operator_forms(policy.operator):
                operators.setdefault(name_key(form), set()).add(policy.app)
        for policy in policies:
            self._add_policy(policy, known_of.get(policy.app, []))
            for form in _operator_forms(policy.operator):
                if len(operators[name_key(form)]) == 1:
                    self._index.add(form, len(self._owners) - 1, rank=_RANK_MADE, name=policy.app, fuzzy=False)
        for number, known in enumerate(known_apps):
            if number not in claimed:
                self._add_known(known)

    def _add_policy(self, policy: AppNames, known: Sequence[KnownApp]) -> None:
        words = frozenset(name_key(word) for app in known for word in app.words)
        partner = any(app.partner for app in known)
        own = () if known else (policy.app, *policy.aliases)
        common = frozenset(key for key in map(name_key, own) if self._is_common(key))
        self._owners.append(_Owner(policy.app, policy.app, words | common, partner, common=common))
        words |= common
        owner = len(self._owners) - 1
        names = [(policy.app, _RANK_APP), *((alias, _RANK_ALIAS) for alias in policy.aliases)]
        for app in known:
            names += [(app.name, _RANK_KNOWN), *((alias, _RANK_KNOWN_ALIAS) for alias in app.aliases)]
        for name, rank in names:
            self._index.add(name, owner, rank=rank, name=policy.app, fuzzy=name_key(name) not in words)
        for name, rank in names:
            if name_key(name) not in words and len(name_key(name)) <= 12:
                self._index.add_spoken(name, owner, rank=rank, ours=True, initials=rank <= _RANK_ALIAS)
                for rendering in render_english(name, self._words):
                    self._index.add(rendering, owner, rank=_RANK_MADE, name=policy.app)

    def _is_common(self, key: str) -> bool:
        return key in self._words.ordinary if key.isascii() else is_common_word(key)

    def _add_known(self, known: KnownApp) -> None:
        words = frozenset(map(name_key, known.words))
        self._owners.append(_Owner(None, known.name, words, known.partner, known.brand))
        owner = len(self._owners) - 1
        self._index.add(known.name, owner, rank=_RANK_KNOWN, fuzzy=False)
        for alias in known.aliases:
            self._index.add(alias, owner, rank=_RANK_KNOWN_ALIAS, fuzzy=False)
        if not known.brand and name_key(known.name) not in words:
            self._index.add_spoken(known.name, owner, rank=_RANK_MADE, ours=False)

    def find(self, name: str) -> str | None:
        """Return the corpus app that ``name`` as a whole names (by name, alias, pinyin, English), or ``None``."""
        if name in self._app_keys:
            return name
        form = self._index.exact(name)
        return self._owners[form.owner].app if form else None

    def near_names(self, name: str) -> tuple[str, ...]:
        """Return up to three corpus apps whose names look or sound most like ``name``, best first."""
        from rapidfuzz import fuzz

        key = name_key(name)
        if not key:
            return ()
        spoken = "".join(map(syllable, key))
        scores = {
            app: max(
                fuzz.ratio(key, own),
                0.95 * fuzz.ratio(spoken, "".join(map(syllable, own))),
                90.0 * (key in own or own in key),
            )
            for app, own in self._app_keys.items()
        }
        best = sorted(scores, key=lambda app: -scores[app])[:3]
        return tuple(app for app in best if scores[app] >= 60)  # 津心办/津云办 69, 掌上海关/掌上公交 50

    def resolve(self, question: str) -> Resolution:
        """Say which apps ``question`` names, which of them it is about, and what it asks without their names."""
        text = fold(question)
        units = split_units(text)
        reading = Reading(question, text)
        found = self._index.find(units)
        hits = [hit for hit in found if self._blocks(hit) or self._counts(hit, units, reading)]
        words = [hit for hit in found if hit not in hits]  # 百度一下 is a word here: the 百度 in it is no name either
        hits = [hit for hit in hits if not any(_is_inside(hit, word) for word in words)]
        chosen = [hit for hit in longest(hits) if self._counts(hit, units, reading)]
        if all(self._owners[hit.form.owner].app is None or self._owners[hit.form.owner].partner for hit in chosen):
            misspelt = [hit for hit in self._index.find_misspelt(units) if self._owners[hit.form.owner].app is not None]
            chosen = [hit for hit in longest([*hits, *misspelt]) if self._counts(hit, units, reading)]
        mentions = [self._mention(hit, units, question) for hit in chosen]
        mentions = self._mark_partners(mentions, [self._owners[hit.form.owner] for hit in chosen], reading)
        if all(mention.partner for mention in mentions):
            for start, end in reading.find_invented(self._words, self._brands):
                if all(end <= mention.start or mention.end <= start for mention in mentions):
                    mentions.append(Mention(None, question[start:end], start, end, invented=True))
            mentions.sort(key=lambda mention: mention.start)
        named = [mention for mention in mentions if not mention.partner]
        across = len({mention.name for mention in named}) != 1 and reading.asks_across
        return Resolution(question, tuple(mentions), across, reading.strip([(m.start, m.end) for m in named]))

    def _mark_partners(self, mentions: Sequence[Mention], owners: Sequence[_Owner], reading: Reading) -> list[Mention]:
        """Mark the mentions that are ways and means, or beside the point of a question that names another app."""
        spans = [(mention.start, mention.end) for mention, owner in zip(mentions, owners, strict=True) if owner.partner]
        marked = [
            replace(
                mention, partner=reading.is_partner(mention.start, mention.end, likely=owner.partner, partners=spans)
            )
            for mention, owner in zip(mentions, owners, strict=True)
        ]
        pairs = list(zip(marked, owners, strict=True))
        main = {one.name for one, owner in pairs if not (one.partner or owner.partner or owner.brand)}
        ours = {one.name for one, owner in pairs if not one.partner and owner.app is not None}

        def is_subject(mention: Mention, owner: _Owner) -> bool:
            span = (mention.start, mention.end)
            if owner.partner or owner.brand or reading.is_card(*span):
                rivals = main - {mention.name}
            else:
                rivals = ours - {mention.name} if owner.app is None else set()
            beside = (one for one in marked if one.name in rivals and reading.are_beside(span, (one.start, one.end)))
            return not rivals or reading.is_comparing or any(beside)

        subjects = {mention.name for mention, owner in pairs if not mention.partner and is_subject(mention, owner)}
        subjects = subjects - {mention.name for mention in marked if mention.partner} or subjects
        return [replace(mention, partner=mention.name not in subjects) for mention in marked]

    def _mention(self, hit: Hit, units: Sequence[Unit], question: str) -> Mention:
        owner = self._owners[hit.form.owner]
        start, end = units[hit.first].start, units[hit.last - 1].end
        name = owner.name if owner.app is not None or hit.spelling != "name" else question[start:end]
        return Mention(owner.app, name, start, end)

    def _blocks(self, hit: Hit) -> bool:
        """Say whether the hit hides shorter names in it although it names no app here."""
        return self._owners[hit.form.owner].brand

    def _counts(self, hit: Hit, units: Sequence[Unit], reading: Reading) -> bool:
        """Say whether the hit names an app here, where the name could also be something else."""
        owner = self._owners[hit.form.owner]
        start, end = units[hit.first].start, units[hit.last - 1].end
        key = "".join(unit.text for unit in units[hit.first : hit.last])
        if owner.brand:
            return reading.is_marked(start, end)
        if key in owner.common and not key.isascii():
            return reading.is_marked(start, end) or hit.last - hit.first == len(units)
        if key in owner.words:
            if key.isascii():
                return reading.is_marked(start, end) or reading.is_word_used_as_name(start, end, sure=owner.app is None)
            return reading.is_marked(start, end) or (owner.app is not None and reading.is_subject_of_clause(start, end))
        if key.isdigit() and len(key) <= 3:
            return not reading.is_quantity(start, end)
        if hit.spelling in ("homophone", "misspelt") and (len(key) == 2 or owner.app is None):
            return reading.is_marked(start, end) or reading.is_subject_of_clause(start, end)
        return True


def _is_inside(hit: Hit, word: Hit) -> bool:
    """Say whether ``hit`` is a part of ``word``, a longer name of the same app."""
    inside = word.first <= hit.first and hit.last <= word.last and hit.last - hit.first < word.last - word.first
    return inside and hit.form.owner == word.form.owner


def _claim(policies: Sequence[AppNames], known_apps: Sequence[KnownApp], words: AppWords) -> dict[int, str]:
    """Return which entries of the general list are apps of the corpus: by name, else by alias, else nearly by name."""
    by_key: dict[str, int] = {}
    for number, known in enumerate(known_apps):
        by_key[name_key(known.name)] = number
    for number, known in enumerate(known_apps):
        for alias in known.aliases:
            by_key.setdefault(name_key(alias), number)
    claimed: dict[int, str] = {}
    for policy in policies:
        number_ = by_key.get(name_key(policy.app))
        if number_ is not None:
            claimed.setdefault(number_, policy.app)
    taken = set(claimed.values())
    lost = [policy.app for policy in policies if policy.app not in taken]
    if lost:
        index = NameIndex(words)
        for number, known in enumerate(known_apps):
            for name in (known.name, *known.aliases):
                if len(name_key(name)) >= 3:
                    index.add(name, number, rank=_RANK_KNOWN)
        for app in lost:
            form = index.owners_near(app)
            if form is not None:
                claimed.setdefault(form.owner, app)
    names = {name_key(known.name): number for number, known in enumerate(known_apps)}
    for policy in policies:
        for alias in policy.aliases:
            number_ = names.get(name_key(alias))
            if number_ is not None:
                claimed.setdefault(number_, policy.app)
    return claimed


def _operator_forms(operator: str | None) -> list[str]:
    """Return the operator's name and what remains of it without the words that only say that it is a company."""
    if not operator or len(name_key(operator)) < 3:
        return []
    short = re.sub(r"[(（][^()（）]*[)）]", "", operator)
    short = re.sub(r"(?:股份|集团)?有限(?:责任)?公司$|股份公司$|集团$|公司$", "", short)
    bare = re.sub(
        r"(?:网络|信息|软件|计算机|数字|智能|互联网|移动){0,6}(?:科技|技术|服务|软件|网络)(?:发展)?$", "", short
    )
    return [form for form in dict.fromkeys((operator, short, bare)) if len(form) >= 4 or form == operator]


def render_english(name: str, words: AppWords) -> list[str]:
    """Return English renderings of a Chinese name that is made of known parts; its first part may stand in pinyin.

    >>> render_english("掌上海关", load_app_words())[:2]
    ['palm customs', 'mobile customs']
    """
    key = name_key(name)
    if _CJK.search(key) is None:
        return []
    parts = dict(words.parts)
    pieces: list[tuple[str, ...]] = []
    at = 0
    while at < len(key):
        part = next((key[at:end] for end in range(len(key), at, -1) if key[at:end] in parts), None)
        latin = re.match(r"[a-z0-9]+", key[at:])
        if part is not None:
            pieces.append(parts[part])
            at += len(part)
        elif latin:
            pieces.append((latin[0],))
            at += latin.end()
        elif not pieces:
            end = next((end for end in range(2, len(key)) if any(key.startswith(part, end) for part in parts)), None)
            if end is None:
                return []
            pieces.append(("".join(pinyin_of(key[:end])), " ".join(pinyin_of(key[:end]))))
            at = end
        else:
            return []
    if len(pieces) < 2:
        return []
    return [" ".join(choice) for choice in itertools.islice(itertools.product(*pieces), 24)]
