"""What to ask next: questions that a policy is known to answer, and the apps that an unknown name may mean."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from corpus.messages import message

if TYPE_CHECKING:
    from retrieval import Assistant
    from retrieval.datatypes import Language, Turn

MAX_SUGGESTIONS = 3

# What a policy must speak of for the question `suggestion.<name>` of the catalogue to be one for it; most asked first.
SUBJECTS = {
    "delete_account": "注销|销户",
    "share": "共享|第三方",
    "retention": "保存期限|存储期限|保留期限|保存时间|最短期限",
    "withdraw": "撤回|撤销.{0,4}(?:同意|授权)|改变.{0,6}(?:同意|授权)",
    "contact": "联系(?:我们|我方|方式)|客服",
    "children": "未成年人|儿童",
    "correct": "更正|更改|修改",
    "response": "响应.{0,8}请求|工作日|回复",
    "storage_place": "境内|境外|存储地",
    "cookies": r"[Cc]ookie",
    "permissions": "权限",
    "security": "加密|安全(?:保护|技术|防护)?措施",
    "breach": "安全事件",
    "copy": "副本",
    "personalised": "个性化",
    "changes": "(?:修订|更新|变更).{0,8}(?:政策|条款|协议)|(?:政策|条款|协议).{0,8}(?:修订|更新|变更)",
    "dispute": "管辖|争议",
}


@dataclass(frozen=True)
class Suggestion:
    """A question that a policy answers, and the clause that answers it."""

    question: str
    clause_id: str


@dataclass
class Lookup:
    """What was found of one app in one language, and the subjects that were not tried yet; used under its lock."""

    found: list[Suggestion] = field(default_factory=list)
    subjects: list[str] = field(default_factory=lambda: list(SUBJECTS))
    lock: Lock = field(default_factory=Lock)


class Suggestions:
    """Questions worth asking of each app: each costs an answer, so no more are looked up than shown, and each once."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._lookups: dict[tuple[str, Language], Lookup] = {}

    def next_questions(
        self, app: str, language: Language, *, cited: Collection[str] = (), asked: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Return at most three questions that the policy of ``app`` answers.

        Where the assistant breaks over one, so does this; the next call tries that one again.

        :param cited: clause ids that the user has just been shown; a question that they answer is left out.
        :param asked: questions asked already, left out too.
        """

        def is_fresh(one: Suggestion) -> bool:
            return one.clause_id not in cited and one.question not in asked

        # By version: another text answers other questions.
        lookup = self._lookups.setdefault((self._assistant.policy(app).policy_id, language), Lookup())
        with lookup.lock:
            while lookup.subjects and sum(map(is_fresh, lookup.found)) < MAX_SUGGESTIONS:
                lookup.found += self._try(lookup.subjects[0], app, language)
                del lookup.subjects[0]
            return tuple(one.question for one in filter(is_fresh, lookup.found))[:MAX_SUGGESTIONS]

    def _try(self, subject: str, app: str, language: Language) -> list[Suggestion]:
        """Return the question of ``subject`` if the policy speaks of it and answers with a clause that speaks of it."""
        on_subject = {
            clause.clause_id
            for clause in self._assistant.clauses(app)
            if re.search(SUBJECTS[subject], "\n".join((*clause.path, clause.text)))
        }
        if not on_subject:
            return []
        question = message(f"suggestion.{subject}", language)
        best = self._assistant.ask(question, app=app).citations[:1]
        return [Suggestion(question, one.clause_id) for one in best if one.clause_id in on_subject]


def near_apps(assistant: Assistant, question: str, app: str | None, history: Sequence[Turn | str]) -> list[str]:
    """Return the apps whose names resemble the one that is not in the index, best first.

    :param app: the one that was asked for; without it, what the question names, else the last turn that names an app.
    """
    covered = assistant.apps()
    for text in (question, *(turn if isinstance(turn, str) else turn.question for turn in reversed(history))):
        if named := (app,) if app else assistant.apps_named(text):
            unknown = [name for name in named if name not in covered]
            return list(dict.fromkeys(near for name in unknown for near in assistant.near_apps(name)))
    return []
