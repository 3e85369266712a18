"""A small real assistant over the five shipped policies: answers by looking for words, so that pages have answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from corpus.datatypes import Clause, Policy
from corpus.load import load_policies
from corpus.parser import split_policy
from corpus.renderings import render_span
from corpus.topics import Topic
from index.errors import OverloadedError, StoreUnreachableError
from index.manifest import Version
from retrieval.datatypes import (
    CELL_COLUMNS,
    CELL_KEYS,
    Answer,
    Cell,
    CellKey,
    Citation,
    Fact,
    FactKind,
    Language,
    Passage,
    Profile,
    ProfileRow,
    Row,
    Status,
    Turn,
)
from retrieval.limit import TimeLimit
from retrieval.question import is_elliptical

POLICIES = Path(__file__).parents[2] / "corpus" / "policies"
TOPICS = {"注销|销号|delete|cancel": "注销", "客服|联系|contact": "联系", "第三方|share|third": "第三方"}
UNKNOWN = re.compile("淘宝|Taobao", re.IGNORECASE)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class FakeAssistant:
    """Answers like `retrieval.Assistant`, by the first clause that holds the topic's word. ``boom`` makes it break,
    ``overloaded`` refuse, ``unreachable`` miss its store.

    Of several ``policies`` of one app the last is the current version.
    """

    limit: TimeLimit | None = None

    def __init__(self, policies: Sequence[Policy] | None = None) -> None:
        policies = policies or load_policies([POLICIES])
        self.all_versions = tuple(policies)
        self.policies = {policy.app: policy for policy in policies}
        self.split = {app: tuple(split_policy(policy)) for app, policy in self.policies.items()}
        self.asked: list[tuple[str, str | None, tuple[object, ...]]] = []

    def apps(self) -> tuple[str, ...]:
        return tuple(self.policies)

    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        return {app: policy.aliases for app, policy in self.policies.items()}

    def near_apps(self, name: str) -> tuple[str, ...]:
        return tuple(app for app in self.policies if set(app) & set(name))[:3]

    def policy(self, app: str, version: str | None = None) -> Policy:
        name = self._find(app)
        if name is None:
            raise ValueError(f"no such app: {app}")
        if version is None:
            return self.policies[name]
        own = [policy for policy in self.all_versions if policy.app == name]
        found = [policy for policy in own if version in (policy.date, policy.policy_id)]
        if len(found) != 1:
            raise ValueError(f"no such version: {version}")
        return found[0]

    def clauses(self, app: str, version: str | None = None) -> tuple[Clause, ...]:
        policy = self.policy(app, version)
        return tuple(split_policy(policy)) if policy != self.policies[policy.app] else self.split[policy.app]

    def versions(self, app: str) -> tuple[Version, ...]:
        current = self.policy(app)
        own = [policy for policy in self.all_versions if policy.app == current.app]
        return tuple(
            Version(
                one.app, one.policy_id, one.sha256, one.date, f"2026-11-0{day}T08:30:00+00:00", one == current, "", {}
            )
            for day, one in enumerate(own, start=1)
        )

    def version_of(self, policy_id: str) -> Version | None:
        found = (version for app in self.policies for version in self.versions(app) if version.policy_id == policy_id)
        return next(found, None)

    def rendering(self, app: str, start: int, end: int, version: str | None = None) -> str | None:
        return render_span(self.clauses(app, version), start, end)

    def ask(self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3) -> Answer:
        self.asked.append((question, app, tuple(history)))
        if "boom" in question:
            raise RuntimeError(f"no answer to {question}")
        if "overloaded" in question:
            raise OverloadedError("too many wait", retry_after=2.0)
        if "unreachable" in question:
            raise StoreUnreachableError("the vector store at milvus://h:1 did not answer")
        language: Language = "zh" if re.search("[一-鿿]{3}", question) and not re.match("[A-Za-z]", question) else "en"
        about = app or (history[-1].app if history and isinstance(history[-1], Turn) else None)
        if UNKNOWN.search(question) or (about and self._find(about) is None):
            name = "淘宝" if UNKNOWN.search(question) else about
            text = f"没有收录“{name}”的隐私政策，所以不能回答。\n你要找的是不是：{self.apps()[-1]}？"
            return Answer("unknown_app", None, language, text, 0.1)
        if "天气" in question or "weather" in question or not question.strip():
            return Answer("off_topic", None, language, "这里只回答隐私政策里的问题。", 0.01)
        named = [self.policy(app).app] if app else [name for name in self.policies if name in question]
        across = re.search("哪些|which apps", question, re.IGNORECASE)
        if not named and not across and history and isinstance(history[-1], Turn) and history[-1].app:
            named = [self.policy(history[-1].app).app]
        if len(named) != 1:
            status: Status = "compared" if named or across else "which_app"
            return Answer(status, None, language, "各应用如下。", 0.5, rows=self.compare(question, named or None))
        citation = self._cite(question, named[0])
        if citation is None:
            related = self.search(question, named[0], top_k=2)
            return Answer(
                "silent", named[0], language, f"《{named[0]}》没有说明这一点。", 0.2, (), (), (), related, "022-12345"
            )
        return Answer("answered", named[0], language, citation.quote, 0.9, self._facts(citation), (citation,))

    def search(
        self,
        query: str,
        app: str | None = None,
        top_k: int = 10,
        rerank: bool = True,
        topics: Sequence[Topic] = (),
    ) -> tuple[Passage, ...]:
        clauses = [
            (name, clause)
            for name in ([self.policy(app).app] if app else self.policies)
            for clause in self.split[name]
            if not topics or set(topics) & set(self.topics(name)[clause.clause_id])
        ]
        ranked = sorted(clauses, key=lambda pair: -len(set(query) & set(pair[1].text)))[:top_k]
        return tuple(
            Passage(
                name,
                c.policy_id,
                c.clause_id,
                c.path,
                c.label,
                self._lead_in(name, c),
                c.text,
                c.start,
                c.end,
                1 / rank,
                rank,
            )
            for rank, (name, c) in enumerate(ranked, start=1)
        )

    def compare(self, question: str, apps: Sequence[str] | None = None) -> tuple[Row, ...]:
        return tuple(self.compare_each(question, apps))

    def compare_each(self, question: str, apps: Sequence[str] | None = None) -> Iterator[Row]:
        if "boom" in question:
            raise RuntimeError(f"no answer to {question}")
        return (self._row(question, app) for app in apps or self.policies)

    def compare_topic(
        self, topic: Topic, apps: Sequence[str] | None = None, *, language: Language = "zh"
    ) -> tuple[Row, ...]:
        return tuple(self.compare_topic_each(topic, apps, language=language))

    def compare_topic_each(
        self, topic: Topic, apps: Sequence[str] | None = None, *, language: Language = "zh"
    ) -> Iterator[Row]:
        return self.compare_each({"rights": "注销", "contact": "客服", "sharing": "第三方"}.get(topic, ""), apps)

    def is_on_topic(self, question: str) -> bool:
        return bool(question.strip()) and not re.search("天气|weather", question)

    @property
    def knows_topics(self) -> bool:
        return True

    def pinned(self) -> AbstractContextManager[None]:
        return nullcontext()

    def refresh(self) -> bool:
        return False

    def topics(self, app: str) -> Mapping[str, tuple[Topic, ...]]:
        words: dict[str, Topic] = {"注销": "rights", "联系": "contact", "第三方": "sharing"}
        return {
            clause.clause_id: tuple(topic for word, topic in words.items() if word in clause.text)
            for clause in self.clauses(app)
        }

    def profile(self, app: str) -> Profile:
        """Fill four cells by the words of `TOPICS` and leave the rest not stated."""
        policy = self.policy(app)
        words: dict[CellKey, str] = {"right_cancel": "注销", "contact": "联系", "sharing": "第三方", "sdks": "第三方"}
        cells = []
        for key in CELL_KEYS:
            citation = self._cite(words[key], policy.app) if key in words else None
            columns = CELL_COLUMNS.get(key, ()) if key in ("collection", "permissions", "sharing", "sdks") else ()
            if citation and columns:
                values = (citation.quote[:6], *[""] * (len(columns) - 1))
                cells.append(Cell(key, columns=columns, rows=(ProfileRow(values, citation),)))
            elif citation:
                cells.append(Cell(key, citation, self._facts(citation)))
            else:
                cells.append(Cell(key, columns=columns))
        return Profile(policy.app, policy.policy_id, policy.sha256, policy.date, tuple(cells))

    def apps_named(self, question: str) -> tuple[str, ...]:
        unknown = UNKNOWN.search(question)
        return tuple(name for name in self.policies if name in question) or ((unknown[0],) if unknown else ())

    def without_apps(self, question: str) -> str:
        for name in self.apps_named(question):
            question = question.replace(name, "")
        return question.strip()

    def completed(self, question: str, history: Sequence[Turn | str] = ()) -> str:
        texts = [turn if isinstance(turn, str) else turn.question for turn in history]
        leans = is_elliptical(self.without_apps(question), language="zh")
        return self.without_apps(" ".join([*texts, question]) if leans else question)

    def verify(self, citation: Citation) -> bool:
        policy = next((one for one in self.all_versions if one.policy_id == citation.policy_id), None)
        return (
            policy is not None
            and policy.sha256 == citation.sha256
            and policy.text[citation.text_start : citation.text_end] == citation.text
            and policy.text[citation.start : citation.end] == citation.quote
        )

    def _row(self, question: str, app: str) -> Row:
        if app not in self.policies:
            return Row(app, "unknown_app", f"没有收录“{app}”的隐私政策，所以不能回答。")
        citation = self._cite(question, app)
        if citation is None:
            return Row(app, "silent", f"《{app}》没有说明这一点。")
        return Row(app, "answered", citation.quote, self._facts(citation), citation)

    def _find(self, app: str) -> str | None:
        return next((name for name, policy in self.policies.items() if app in (name, *policy.aliases)), None)

    def _lead_in(self, app: str, clause: Clause) -> str | None:
        return next((other.text for other in self.split[app] if other.clause_id == clause.lead_in), None)

    def _cite(self, question: str, app: str) -> Citation | None:
        word = next((word for pattern, word in TOPICS.items() if re.search(pattern, question, re.IGNORECASE)), None)
        sentences = [
            (clause, sentence)
            for clause in self.split[app]
            if word and clause.kind != "heading"
            for sentence in re.finditer("[^。]+。?", clause.text)
            if word in sentence.group() and re.search("可以|通过|-", sentence.group())
        ]
        if not sentences:
            return None
        clause, sentence = max(sentences, key=lambda pair: pair[1].group().count(word or ""))
        start, end = clause.start + sentence.start(), clause.start + sentence.end()
        policy = self.policies[app]
        return Citation(
            app, policy.policy_id, policy.sha256, policy.date, clause.clause_id, clause.path, clause.label,
            self._lead_in(app, clause), clause.text, clause.start, clause.end, sentence.group(), start, end, 0.9,
        )  # fmt: skip

    def _facts(self, citation: Citation) -> tuple[Fact, ...]:
        found = re.search(r"个人中心-设置-账号注销|\d{3,4}-\d{3,8}(?:-\d{3,4})?", citation.quote)
        if not found:
            return ()
        kind: FactKind = "phone" if found.group()[0].isdigit() else "menu_path"
        start = citation.start + found.start()
        return (Fact(kind, found.group(), start, start + len(found.group()), citation.policy_id),)
