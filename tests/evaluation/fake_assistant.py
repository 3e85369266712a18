"""An assistant over two tiny policies whose replies are written down."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.datatypes import Policy
from retrieval.datatypes import Answer, Citation, Fact, Passage, Row, Turn

LINES = ("注销:在“我的-设置-注销”里注销。", "我们的电话是123。欢迎来电!请在白天打。", "我们不会出售您的信息。")


class FakeAssistant:
    """Answers about 甲 and 乙, whose policies are ``LINES``; search ranks the lines as ``ranking`` says."""

    def __init__(self, ranking: Sequence[int] = (0, 1, 2), *, silent_on: str = "天") -> None:
        self.ranking = ranking
        self.silent_on = silent_on
        self.calls: list[str] = []

    def policy(self, app: str) -> Policy:
        return Policy(app, "\n".join(LINES))

    def search(self, query: str, app: str | None = None, top_k: int = 10, rerank: bool = True) -> tuple[Passage, ...]:
        self.calls.append("search" if rerank else "first stage")
        assert app is not None
        order = self.ranking if rerank else tuple(reversed(self.ranking))
        return tuple(self._passage(app, line, rank) for rank, line in enumerate(order[:top_k], 1))

    def ask(self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3) -> Answer:
        self.calls.append("ask")
        if "和" in question:
            rows = tuple(Row(name, "answered", LINES[0]) for name in ("甲", "乙"))
            return Answer("compared", None, "zh", "", 0.5, rows=rows)
        named = app or next((name for name in ("甲", "乙") if name in question), None)
        if named is None:
            return Answer("which_app", None, "zh", "", 0.2)
        if self.silent_on in question:
            return Answer("silent", named, "zh", "", 0.1, related=(self._passage(named, 2, 1),))
        citations = tuple(self._citation(named, line) for line in self.ranking[:top_k])
        fact = Fact("menu_path", "我的-设置-注销", 5, 13, self.policy(named).policy_id)
        return Answer("answered", named, "zh", "", 0.9, facts=(fact,), citations=citations)

    def _span(self, line: int) -> tuple[int, int]:
        start = sum(len(text) + 1 for text in LINES[:line])
        return start, start + len(LINES[line])

    def _passage(self, app: str, line: int, rank: int) -> Passage:
        start, end = self._span(line)
        return Passage(
            app, self.policy(app).policy_id, str(line), (), "", None, LINES[line], start, end, 1 / rank, rank
        )

    def _citation(self, app: str, line: int) -> Citation:
        start, end = self._span(line)
        text, policy = LINES[line], self.policy(app)
        return Citation(
            app, policy.policy_id, policy.sha256, None, str(line), (), "", None, text, start, end, text, start, end, 0.9
        )
