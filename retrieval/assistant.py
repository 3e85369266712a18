"""The one object that answers: question -> :class:`~retrieval.datatypes.Answer`."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from corpus.datatypes import Clause, Policy
from corpus.lexicons import Term, load_glossary, load_known_apps
from corpus.messages import message
from corpus.renderings import render_span
from corpus.topics import Topic
from index.turns import Turns, aside
from retrieval.answer import answer_line, cite, distinct, facts_of, passage_of, stated_line
from retrieval.apps import AppResolver, Resolution
from retrieval.cells import Sounding
from retrieval.datatypes import MAX_ROWS, Answer, Citation, Fact, Language, Passage, Profile, Row, Turn
from retrieval.decide import Decision, answer_features, judge_bare, load_decision
from retrieval.degraded import collecting, doing_without, in_order, note_failed
from retrieval.gloss import Glosser
from retrieval.limit import TimeLimit
from retrieval.profile import all_phrasings, make_profile
from retrieval.query import Asked, Glossary, understand
from retrieval.question import detect_language, is_elliptical, is_gibberish, simplify, split_parts, well_formed
from retrieval.rerank import Judgement, Reranker, load_reranker, prefer_answers
from retrieval.search import FloatArray, Ranking, keep_clauses, merge, prefer_facts, rank
from retrieval.stages import note_answer, stage
from retrieval.topics import TopicClassifier, check_topics, cite_topic, load_topic_classifier, topic_facts

if TYPE_CHECKING:
    from index.encoder import EncodedText, Encoder
    from index.manifest import Version
    from index.segment import Segment
    from index.store import Generation

_log = logging.getLogger(__name__)

Sought = tuple[Asked, "EncodedText"]
"""One question, or part of one: as understood, and as vectors."""

MAX_CITATIONS = 3  # what a person reads; DESIGN.md: one to three citations
RELATED = 3  # nearest clauses shown where the policy is silent
# Of more apps than these a question that names none is put to those that hold the units nearest to it: over 135 apps
# 0.93 of the ten best clauses of all are found, and of the very best 0.98 (python -m evaluation scale).
CANDIDATE_APPS = 32
NEAR_UNITS = 256
MOST_COMPARED = 200  # apps that one question is answered for, as many as the page compares at once; a second's work
UNITS_PER_COMPARED = 20
SIDE_MARGIN = 2.0  # standard deviations of score below the best at which a further clause is no longer cited


@dataclass(frozen=True)
class Verdict:
    """One app's ranking for one question, how likely its best clause answers (0 to 1), and whether that is enough."""

    asked: Asked
    ranking: Ranking
    confidence: float
    is_answered: bool

    @property
    def app(self) -> str:
        """The app whose policy was ranked."""
        return self.ranking.segment.policy.app


@dataclass(frozen=True)
class View:
    """One generation as it is read: its segments by app, and the names that lead to them."""

    generation: Generation
    resolver: AppResolver

    @property
    def segments(self) -> Mapping[str, Segment]:
        """App -> the segment of its current version, in the order of the index."""
        return self.generation.by_app

    def compared(self, vector: FloatArray) -> tuple[str, ...]:
        """Return the apps that a question to all of them is put to: all, or of very many those nearest to it."""
        if len(self.segments) <= MOST_COMPARED:
            return tuple(self.segments)
        return self.generation.near_apps(vector, UNITS_PER_COMPARED * MOST_COMPARED)[:MOST_COMPARED]

    def near(self, vector: FloatArray) -> list[Segment]:
        """Return the segments of the apps that hold the units nearest to a query, of a few apps all.

        One that is damaged is left out, which is noted as degraded.

        :raises IndexMismatchError: if none is whole.
        """
        with stage("dense"):
            names: Iterable[str] = self.segments
            if len(self.segments) > CANDIDATE_APPS:
                names = self.generation.near_apps(vector, NEAR_UNITS)[:CANDIDATE_APPS]
            return self.whole(names)

    def whole(self, names: Iterable[str]) -> list[Segment]:
        """Return the segments of ``names`` without those that are damaged, which is noted as degraded.

        :raises IndexMismatchError: if none is whole.
        """
        return [segment for _, segment in self._each_whole(names)]

    def whole_apps(self, names: Iterable[str]) -> Iterator[str]:
        """Give those of ``names`` whose segments are not damaged, as :meth:`whole`, each opened when it is asked for.

        :raises IndexMismatchError: at the end, if none is whole.
        """
        return (name for name, _ in self._each_whole(names))

    def _each_whole(self, names: Iterable[str]) -> Iterator[tuple[str, Segment]]:
        from index.errors import IndexMismatchError

        found, damage = False, None
        for name in names:
            try:
                segment = self.segments[name]
            except IndexMismatchError as error:
                damage = error
            else:
                found = True
                yield name, segment
        if damage is not None:
            if not found:
                raise damage
            _log.error("an app is left out of an answer: %s", damage)
            note_failed("index")


_pinned: ContextVar[tuple[Assistant, View] | None] = ContextVar("pinned", default=None)
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _of_one_generation(
    method: Callable[Concatenate[Assistant, _Parameters], _Result],
) -> Callable[Concatenate[Assistant, _Parameters], _Result]:
    """Let ``method`` see one generation from its beginning to its end, and take no longer than it may."""

    @wraps(method)
    def limited(self: Assistant, /, *arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        return self._in_time(lambda: pinned(self, *arguments, **options))

    def pinned(self: Assistant, /, *arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        from index.errors import IndexMismatchError

        with self.pinned() as view:
            try:
                return method(self, *arguments, **options)
            except IndexMismatchError:
                # What had not been opened may have been pruned since; the newest generation says what there is now.
                self.refresh()
                if self._newest.generation.name == view.generation.name:
                    raise
        with self._held(self._newest):
            return method(self, *arguments, **options)

    return limited


class Assistant:
    """Answers questions about the policies of one index.

    Build it with :meth:`open`. Methods may be called from several threads; nothing of a question is kept. Each sees one
    generation of the index; :meth:`refresh` changes to the newest, and :meth:`pinned` holds one over several calls.
    """

    def __init__(
        self,
        generation: Generation,
        encoder: Encoder,
        resolver: AppResolver,
        terms: Sequence[Term],
        decision: Decision,
        reranker: Reranker | None = None,
        topic_classifier: TopicClassifier | None = None,
        limit: TimeLimit | None = None,
    ) -> None:
        self._newest = View(generation, resolver)
        self._encoder = encoder
        self._glossary = Glossary(terms)
        self._glosser = Glosser(terms)
        self._decision = decision
        self._reranker = reranker
        self._topic_classifier = topic_classifier
        self._limit = limit
        self._turns = Turns()
        self._refreshing = threading.Lock()

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        encoder: Encoder | None = None,
        store: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        limit: TimeLimit | None = None,
    ) -> Assistant:
        """Open an index and the model that made it.

        :param path: an index built with ``wentiao index build``; it is never rebuilt. Without it, the default index of
            the shipped policies, built on first use and rebuilt when stale.
        :param encoder: the model, if not the shipped one.
        :param store: where vectors are searched, if not in the index itself (see :func:`index.vectors.open_store`).
        :param progress: told while the default index is built: texts encoded, texts in all.
        :param limit: of the time that an answer may take; what takes longer raises ``TimedOutError``.
        :raises IndexNotBuiltError: if there is no index at ``path``.
        :raises IndexMismatchError: if the index at ``path`` was made otherwise, or is damaged.
        :raises StoreUnreachableError: if the store does not answer.
        """
        from index.encoder import load_encoder
        from index.store import default_index_folder, open_default, open_generation
        from index.vectors import open_store

        encoder = encoder or load_encoder()
        out = Path(path) if path is not None else default_index_folder()
        vectors = None
        if store:
            vectors = open_store(store, out, fingerprint=encoder.fingerprint, dimension=encoder.dimension)
        if path is None:
            generation = open_default(encoder, progress=progress, store=vectors)
        else:
            generation = open_generation(out, encoder.fingerprint, store=vectors)
        generation.hold()
        decision = load_decision(encoder.fingerprint, encoder.dimension)
        if not decision.calibrated:
            _log.warning("declining is not calibrated for this model; run: python -m evaluation calibrate")
        reranker, topic_classifier = load_reranker(encoder.fingerprint), load_topic_classifier(encoder.fingerprint)
        resolver = _resolver_of(generation)
        return cls(generation, encoder, resolver, load_glossary(), decision, reranker, topic_classifier, limit)

    def refresh(self) -> bool:
        """Change to the newest generation of the index, if there is one since; return whether there was.

        Only the segments that are new are read. Who is being answered meanwhile keeps the generation begun with.

        :raises IndexMismatchError: if the new generation was made otherwise or is damaged; the one before stays.
        """
        from index.manifest import current_generation
        from index.store import open_generation

        with self._refreshing:  # or of two at once the later could put the earlier's generation back
            known = self._newest.generation
            if current_generation(known.folder) == known.name:
                return False
            generation = open_generation(known.folder, self._encoder.fingerprint, known=known)
            generation.hold()
            self._newest = View(generation, _resolver_of(generation))
            return True

    @contextmanager
    def pinned(self) -> Iterator[View]:
        """Hold this context to one generation: what several calls say inside fits together."""
        with self._held(self._view) as view:
            yield view

    @contextmanager
    def _held(self, view: View) -> Iterator[View]:
        token = _pinned.set((self, view))
        try:
            yield view
        finally:
            _pinned.reset(token)

    @property
    def _view(self) -> View:
        held = _pinned.get()
        return held[1] if held and held[0] is self else self._newest

    @property
    def generation(self) -> str:
        """The name of the generation that answers in this context."""
        return self._view.generation.name

    @property
    def encoder(self) -> Encoder:
        """The model that questions are encoded with."""
        return self._encoder

    @property
    def limit(self) -> TimeLimit | None:
        """Of the time that an answer may take; calls inside :meth:`~retrieval.limit.TimeLimit.wait` share it."""
        return self._limit

    @property
    def _segments(self) -> Mapping[str, Segment]:
        return self._view.segments

    @property
    def _resolver(self) -> AppResolver:
        return self._view.resolver

    @_of_one_generation
    def ask(self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3) -> Answer:
        """Answer ``question`` with the clauses that say so, or decline and say how.

        :param app: ask about this app only, whatever the question names.
        :param history: earlier turns, oldest first; they tell the app, and what an elliptical follow-up is about.
        :param top_k: how many clauses to cite at most, never more than three; of a question in parts each gets one.
        :raises TypeError: if ``question`` is not a string.
        :raises ValueError: if ``top_k`` is out of range.
        """
        if not isinstance(question, str):
            raise TypeError(f"question must be a string, got {type(question).__name__}")
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        with collecting() as failed, self._turns.taking():
            answer = self._ask(question, app, history, top_k)
        note_answer(answer.status)
        return replace(answer, degraded=in_order(failed))

    def _ask(self, question: str, app: str | None, history: Sequence[Turn | str], top_k: int) -> Answer:
        question = well_formed(question)
        language = detect_language(question)
        if is_gibberish(question):
            return self._off_topic(None, language)
        with stage("understand"):
            turns = [_turn(turn) for turn in history]
            named = self._resolver.resolve(question)
            alone = simplify(named.stripped)
            complete = self._complete(alone, named, turns, language)
            parts = split_parts(complete, language=language)
            wanted = parts if complete == alone else (*parts, alone)
            asked = [self._understand(part, language) for part in wanted]
        language = asked[0].language
        with stage("encode"), aside():
            encoded = self._encoder.encode_queries([one.query.text for one in asked])
        judged = list(zip(asked, encoded, strict=True))
        sought = judged[: len(parts)]
        alone_sought = judged[len(parts) :] if alone in complete else []
        with stage("decide"):
            on_topic = self._is_on_topic(question, named, judged)
        if app is not None:
            subjects: tuple[str, ...] = (self._resolver.find(app) or well_formed(app),)
        else:
            subjects = named.subjects or (() if named.across_apps else self._subject_of_history(turns))
        if not on_topic:
            known = [subject for subject in subjects if subject in self._segments]
            return self._off_topic(known[0] if len(known) == 1 else None, language)
        if app is None and (named.across_apps or len(subjects) > 1):
            whole = self._whole(complete, sought)
            if of_all := not subjects:  # who names an app is told that it is damaged; who asks all gets the others
                subjects = tuple(one.policy.app for one in self._view.whole(self._view.compared(whole[1].vector)))
            rows, confidence = self._compare(subjects, whole)
            count = sum(row.status == "answered" for row in rows)
            lines = [message("answer.compared_count", language, total=len(rows), answered=count)]
            if of_all and len(rows) < len(self._segments):
                lines.append(message("answer.compared_nearest", language, total=len(self._segments), shown=len(rows)))
            return Answer("compared", None, language, "\n".join(lines), confidence, rows=rows)
        if subjects:
            if subjects[0] not in self._segments:
                return self._unknown_app(subjects[0], language)
            segment = self._segments[subjects[0]]
        elif len(self._segments) == 1:
            [segment] = self._segments.values()
        else:
            return self._which_app(self._whole(complete, sought))
        verdicts = self._judge_parts(segment, sought, alone_sought)
        with stage("answer"):
            return self._answer(segment, verdicts, min(top_k, MAX_CITATIONS))

    @_of_one_generation
    def search(
        self,
        query: str,
        app: str | None = None,
        top_k: int = 10,
        rerank: bool = True,
        topics: Sequence[Topic] = (),
    ) -> tuple[Passage, ...]:
        """Return the ``top_k`` best clauses of ``app``, else of the apps that ``query`` names, else of all.

        :param rerank: False for the first stage alone.
        :param topics: only clauses on any of these; none for all clauses.
        :raises ValueError: if ``top_k`` is below 1, ``app`` is not in the index, a topic is unknown, or the model has
            no classifier of topics.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        topics = check_topics(topics)
        classifier = self._require_topics() if topics else None
        with stage("understand"):
            named = self._resolver.resolve(well_formed(query))
            asked = self._understand(simplify(named.stripped), detect_language(query))
        encoded = self._encode(asked)
        subjects = [name for name in named.subjects if name in self._segments]
        segments = [self._segment(app)] if app is not None else [self._segments[name] for name in subjects]
        if not segments:  # a topic is sought in every app: those near the query may say nothing on it
            segments = list(self._segments.values()) if classifier else self._view.near(encoded.vector)
        with collecting() as failed:
            if rerank:
                rankings = [self._rank(segment, (asked, encoded))[0] for segment in segments]
            else:
                rankings = [rank(segment, asked.query, encoded.vector) for segment in segments]
        if classifier:
            rankings = [keep_clauses(one, classifier.judge(one.segment).is_on(topics)) for one in rankings]
        best = merge(rankings, top_k=top_k)
        found = (passage_of(ranking, ordinal, place) for place, (ranking, ordinal) in enumerate(best, start=1))
        return tuple(replace(passage, degraded=in_order(failed)) if failed else passage for passage in found)

    @_of_one_generation
    def compare(self, question: str, apps: Sequence[str] | None = None) -> tuple[Row, ...]:
        """Return what each app's policy says to ``question``, one row an app.

        :param apps: names of apps; without them, those that the question names, else all that are not damaged.
        :raises IndexMismatchError: if an app that is named is damaged.
        """
        return tuple(self.compare_each(question, apps))

    @_of_one_generation
    def compare_each(self, question: str, apps: Sequence[str] | None = None) -> Iterator[Row]:
        """Give the rows of :meth:`compare` one by one, each when it is asked for.

        The question is understood at the call, and all rows are of the generation of that moment. Together they take
        no longer than an answer may.
        """
        with stage("understand"):
            named = self._resolver.resolve(well_formed(question))
            asked = self._understand(simplify(named.stripped), detect_language(question))
        if apps is None:
            # Who names an app is told that it is damaged; who asks all gets the others.
            subjects: Iterable[str] = named.subjects or self._view.whole_apps(self.apps())
        else:
            subjects = dict.fromkeys(self._resolver.find(name) or well_formed(name) for name in apps)
        rows = (row for row, _ in self._rows(subjects, (asked, self._encode(asked)), self._segments))
        return self._in_time_together(rows)

    @property
    def knows_topics(self) -> bool:
        """Whether clauses have topics: with the model that their classifier was trained for."""
        return self._topic_classifier is not None

    def topics(self, app: str) -> Mapping[str, tuple[Topic, ...]]:
        """Return the practice topics of every clause of ``app``'s current version by clause id, none for some.

        The mapping is empty where the model is another than the one that topics were trained for, and where the
        classifier breaks.

        :raises ValueError: if ``app`` is not in the index.
        """
        segment = self._segment(app)
        if self._topic_classifier is None:
            return {}
        with doing_without("topics"):
            return self._topics_by_clause(segment, self._topic_classifier)
        return {}

    def _topics_by_clause(self, segment: Segment, classifier: TopicClassifier) -> Mapping[str, tuple[Topic, ...]]:
        judged = classifier.judge(segment)
        return {clause.clause_id: judged.topics(ordinal) for ordinal, clause in enumerate(segment.clauses)}

    @_of_one_generation
    def compare_topic(
        self, topic: Topic, apps: Sequence[str] | None = None, *, language: Language = "zh"
    ) -> tuple[Row, ...]:
        """Return the clause of each app's policy that is most probably on ``topic``, one row an app.

        A row quotes that clause's likeliest sentence; its citation's score is the likelihood. It is ``silent`` where no
        clause is on the topic.

        :param apps: names of apps; without them all that are not damaged.
        :raises IndexMismatchError: if an app that is named is damaged.
        :raises ValueError: if the topic is unknown, or the model has no classifier of topics.
        """
        return tuple(self.compare_topic_each(topic, apps, language=language))

    @_of_one_generation
    def compare_topic_each(
        self, topic: Topic, apps: Sequence[str] | None = None, *, language: Language = "zh"
    ) -> Iterator[Row]:
        """Give the rows of :meth:`compare_topic` as :meth:`compare_each` does those of a question."""
        [topic] = check_topics([topic])
        classifier = self._require_topics()
        names: Iterable[str] = self._view.whole_apps(self.apps())
        if apps is not None:
            names = dict.fromkeys(self._resolver.find(name) or well_formed(name) for name in apps)
        segments = self._segments
        return self._in_time_together(self._topic_row(name, segments, topic, classifier, language) for name in names)

    def _topic_row(
        self,
        app: str,
        segments: Mapping[str, Segment],
        topic: Topic,
        classifier: TopicClassifier,
        language: Language,
    ) -> Row:
        segment = segments.get(app)
        if segment is None:
            return Row(app, "unknown_app", message("answer.unknown_app", language, name=app))
        citation = cite_topic(segment, classifier.judge(segment), topic)
        if citation is None:
            about = message(f"topics.{topic}", language)
            return Row(app, "silent", message("topics.silent", language, app=app, topic=about))
        text = stated_line(segment, (citation.start, citation.end), language)
        return Row(app, "answered", text, topic_facts(citation, topic), citation)

    def _require_topics(self) -> TopicClassifier:
        if self._topic_classifier is None:
            raise ValueError(
                "clauses have no topics with this model; leave topics out, or run: python -m training.topics"
            )
        return self._topic_classifier

    @_of_one_generation
    def is_on_topic(self, question: str) -> bool:
        """Say whether ``question`` is about what policies speak of; :meth:`ask` declines one that is not."""
        question = well_formed(question)
        if is_gibberish(question):
            return False
        named = self._resolver.resolve(question)
        language = detect_language(question)
        parts = split_parts(simplify(named.stripped), language=language)
        asked = [self._understand(part, language) for part in parts]
        return self._is_on_topic(question, named, [(one, self._encode(one)) for one in asked])

    def policy(self, app: str, version: str | None = None) -> Policy:
        """Return the policy of ``app``, given by its name or an alias: the current version, or the one asked for.

        :param version: a version's number among those of :meth:`versions` (the oldest is 1), its date, or the beginning
            of its ``policy_id``.
        :raises ValueError: if app or version is not in the index.
        """
        return self._outlined(app, version)[0]

    def clauses(self, app: str, version: str | None = None) -> tuple[Clause, ...]:
        """Return the clauses of ``app`` in the order of the text; ``version`` as for :meth:`policy`.

        :raises ValueError: if app or version is not in the index.
        """
        return self._outlined(app, version)[1]

    def versions(self, app: str) -> tuple[Version, ...]:
        """Return the versions of the policy of ``app``, oldest first; the last is the current one.

        :raises ValueError: if the app is not in the index.
        """
        return self._view.generation.versions_of(self._segment(app).policy.app)

    @_of_one_generation
    def profile(self, app: str) -> Profile:
        """Return what the policy of ``app`` says on every matter that a profile has, each cell a quote or not stated.

        :raises ValueError: if the app is not in the index.
        """
        segment = self._segment(app)
        with collecting() as failed:
            verdicts = [self._judge(segment, one) for one in self._profile_phrasings]
            judged = None
            if self._topic_classifier is not None:
                with doing_without("topics"):
                    judged = self._topic_classifier.judge(segment)
        soundings = [Sounding(one.asked, one.ranking, one.confidence if one.is_answered else 0.0) for one in verdicts]
        return replace(make_profile(segment, soundings, judged), degraded=in_order(failed))

    def rendering(self, app: str, start: int, end: int, version: str | None = None) -> str | None:
        """Return the unofficial English of what ``app``'s policy says from ``start`` to ``end``; ``None`` without one.

        :param version: as for :meth:`policy`.
        :raises ValueError: if app or version is not in the index.
        """
        return render_span(self.clauses(app, version), start, end)

    def apps(self) -> tuple[str, ...]:
        """Return the names of the apps in the index, in its order."""
        return tuple(self._segments)

    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        """Return the other names of every app, none for some; no policy is opened for it."""
        return {version.app: version.aliases for version in self._view.generation.current}

    def near_apps(self, name: str) -> tuple[str, ...]:
        """Return the apps whose names are nearest to ``name``, best first; none if nothing is near."""
        return self._resolver.near_names(name)

    def apps_named(self, question: str) -> tuple[str, ...]:
        """Return the apps that ``question`` names as its subject; one that is not in the index as it is written."""
        return self._resolver.resolve(well_formed(question)).subjects

    def without_apps(self, question: str) -> str:
        """Return ``question`` without the names of the apps that it is about."""
        return self._resolver.resolve(well_formed(question)).stripped

    def completed(self, question: str, history: Sequence[Turn | str] = ()) -> str:
        """Return ``question`` without its apps, after those of ``history`` that it leans on, as ``ask`` reads it."""
        question = well_formed(question)
        named = self._resolver.resolve(question)
        turns = [_turn(turn) for turn in history]
        return self._complete(simplify(named.stripped), named, turns, detect_language(question))

    def verify(self, citation: Citation) -> bool:
        """Say whether the citation's text and quote still stand at their offsets in the version it names."""
        version = self.version_of(citation.policy_id)
        if version is None:
            return False
        policy = self.policy(version.app, version.policy_id)
        return (
            policy.sha256 == citation.sha256
            and policy.text[citation.text_start : citation.text_end] == citation.text
            and policy.text[citation.start : citation.end] == citation.quote
        )

    def version_of(self, policy_id: str) -> Version | None:
        """Return the version with that ``policy_id``, current or old; ``None`` if the index has none."""
        return next((one for one in self._view.generation.versions if one.policy_id == policy_id), None)

    @_of_one_generation
    def _outlined(self, app: str, version: str | None) -> tuple[Policy, tuple[Clause, ...]]:
        from index.manifest import find_version

        generation = self._view.generation
        versions = generation.versions_of(self._resolver.find(app) or app)
        found = find_version(versions, version) if version is not None and versions else None
        if found is not None and not found.is_current:
            return generation.read_version(found)
        segment = self._segment(app)
        return segment.policy, segment.clauses

    def _segment(self, app: str) -> Segment:
        name = self._resolver.find(app)
        if name is None:
            near = "、".join(self.near_apps(app)) or "、".join(self.apps()[:10])
            raise ValueError(f"no app {app!r} in the index; it has, for instance: {near}")
        return self._segments[name]

    def _complete(self, alone: str, named: Resolution, turns: Sequence[Turn], language: Language) -> str:
        """Return ``alone``, the question without its app; an elliptical one together with the question before it.

        A name that is in no list may be no name at all: such a question stands by itself.
        """
        text = alone
        invented = any(mention.invented for mention in named.mentions)
        if turns and _is_name_alone(named, text):
            text, elliptical = "", True  # 昶联? after another question: the same of this app
        else:
            elliptical = is_elliptical(text, language=language) and (
                not invented or _NEXT_APP.fullmatch(text) is not None
            )
        for turn in reversed(turns):
            if not elliptical:
                break
            before = simplify(self._resolver.resolve(turn.question).stripped)
            elliptical = is_elliptical(before, language=detect_language(before))
            text = f"{before} {text}".strip()
        return text or alone

    def _subject_of_history(self, turns: Sequence[Turn]) -> tuple[str, ...]:
        for turn in reversed(turns):
            subjects = (turn.app,) if turn.app else self._resolver.resolve(turn.question).subjects
            if subjects:
                return tuple(dict.fromkeys(self._resolver.find(name) or name for name in subjects))
        return ()

    def _is_on_topic(self, question: str, named: Resolution, sought: Sequence[Sought]) -> bool:
        """Say whether one of ``sought``, the parts of ``question`` without its apps, is about what policies speak of.

        What looked like a name may be what the question is about, so that it is looked at whole, too.
        """
        if any(mention.invented for mention in named.mentions):
            full = self._understand(simplify(question), sought[0][0].language)
            sought = [*sought, (full, self._encode(full))]
        return any(self._decision.is_on_topic(text.vector, one.concept_count) for one, text in sought)

    @cached_property
    def _profile_phrasings(self) -> tuple[Sought, ...]:
        """What a profile puts to every policy, understood and encoded once."""
        asked = [self._understand(phrasing, "zh") for phrasing in all_phrasings()]
        encoded = self._encoder.encode_queries([one.query.text for one in asked])
        return tuple(zip(asked, encoded, strict=True))

    def _understand(self, text: str, language: Language) -> Asked:
        with stage("understand"):
            return understand(text, language, self._glossary)

    def _encode(self, asked: Asked) -> EncodedText:
        with stage("encode"), aside():
            [encoded] = self._encoder.encode_queries([asked.query.text])
        return encoded

    def _whole(self, text: str, sought: Sequence[Sought]) -> Sought:
        """Return the question as one: where each app gets a line, its parts are searched together."""
        if len(sought) == 1:
            return sought[0]
        whole = self._understand(text, sought[0][0].language)
        return whole, self._encode(whole)

    def _in_time(self, call: Callable[[], _Result]) -> _Result:
        return self._limit.run(call) if self._limit is not None else call()

    def _in_time_together(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Give ``rows`` when they are asked for, all of them within the time that one answer may take from now on."""
        limit = self._limit
        if limit is None:
            return rows
        ending = limit.ending()
        return iter(lambda: limit.run(lambda: next(rows, None), ending=ending), None)

    def _rank(self, segment: Segment, sought: Sought) -> tuple[Ranking, Judgement | None]:
        """Return the ranking of both stages, and what the second says of its best clauses.

        Where the second breaks, the ranking is the first's, which is noted as degraded.
        """
        asked, encoded = sought
        with stage("rank_again"):
            ranking = rank(segment, asked.query, encoded.vector)
            with doing_without("facts"):
                ranking = prefer_facts(ranking, asked)
            if self._reranker is not None:
                with doing_without("second_stage"):
                    judgement = self._reranker.judge(encoded, ranking)
                    return prefer_answers(ranking, judgement), judgement
            return ranking, None

    def _judge(self, segment: Segment, sought: Sought) -> Verdict:
        ranking, judgement = self._rank(segment, sought)
        with stage("decide"):
            if settled := _without_facts(lambda asked: judge_bare(ranking, asked), sought[0]):
                return Verdict(sought[0], ranking, *settled)
            features = _without_facts(lambda asked: answer_features(ranking, asked, judgement), sought[0])
            failed = judgement is None and self._reranker is not None
            return Verdict(sought[0], ranking, *self._decision.judge_answer(features, second_stage_failed=failed))

    def _judge_parts(
        self, segment: Segment, sought: Sequence[Sought], alone_sought: Sequence[Sought]
    ) -> Sequence[Verdict]:
        """Judge every part of a question; a follow-up of one part without the question before it, if that is likelier.

        那怎么注销？ after another subject is a question of its own, whatever it begins with: it names a concept.
        """
        verdicts = [self._judge(segment, one) for one in sought]
        if len(verdicts) == 1:
            own = [self._judge(segment, one) for one in alone_sought if one[0].concept_count]
            return [max((*verdicts, *own), key=lambda verdict: verdict.confidence)]
        return verdicts

    def _answer(self, segment: Segment, verdicts: Sequence[Verdict], top_k: int) -> Answer:
        if not any(verdict.is_answered for verdict in verdicts):
            return self._silent(max(verdicts, key=lambda verdict: verdict.confidence))
        citations: list[Citation] = []
        facts: list[Fact] = []
        lines: list[str] = []
        for verdict in verdicts:
            language = verdict.asked.language
            if verdict.is_answered:
                citation = _cite(verdict, int(verdict.ranking.order[0]))
                found = _facts(citation, verdict.asked)
                lines.append(answer_line(segment, citation, found, verdict.asked, self._glosser))
                facts.extend(fact for fact in found if fact not in facts)
                citations.append(citation)
            else:
                lines.append(message("answer.part_silent", language, part=verdict.asked.question))
        most = max(top_k, len(distinct(citations)))
        for verdict in verdicts:
            if verdict.is_answered:
                citations.extend(self._side_citations(verdict, top_k))
        return Answer(
            status="answered",
            app=segment.policy.app,
            language=verdicts[0].asked.language,
            text="\n".join(dict.fromkeys(line for part in lines for line in part.split("\n"))),
            confidence=max(verdict.confidence for verdict in verdicts),
            facts=tuple(facts),
            citations=distinct(citations)[:most],
        )

    def _side_citations(self, verdict: Verdict, top_k: int) -> list[Citation]:
        ranking = verdict.ranking
        floor = ranking.score[ranking.order[0]] - SIDE_MARGIN * float(ranking.score.std())
        others = [int(ordinal) for ordinal in ranking.order[1 : 2 * top_k] if ranking.score[ordinal] >= floor]
        return [_cite(verdict, ordinal) for ordinal in others]

    def _silent(self, verdict: Verdict) -> Answer:
        policy, language = verdict.ranking.segment.policy, verdict.asked.language
        best = enumerate(verdict.ranking.order[:RELATED], start=1)
        lines = [message("answer.silent", language, app=policy.app), message("answer.silent_related", language)]
        if policy.contact:
            lines.append(message("answer.silent_contact", language, contact=policy.contact))
        return Answer(
            status="silent",
            app=policy.app,
            language=language,
            text="\n".join(lines),
            confidence=verdict.confidence,
            related=tuple(passage_of(verdict.ranking, int(ordinal), place) for place, ordinal in best),
            contact=policy.contact,
        )

    def _off_topic(self, app: str | None, language: Language) -> Answer:
        return Answer("off_topic", app, language, message("answer.off_topic", language), confidence=0.0)

    def _unknown_app(self, name: str, language: Language) -> Answer:
        lines = [message("answer.unknown_app", language, name=name)]
        if near := self.near_apps(name):
            lines.append(message("answer.unknown_app_near", language, names="、".join(near)))
        lines.append(message("answer.unknown_app_list", language))
        return Answer("unknown_app", None, language, "\n".join(lines), confidence=0.0)

    def _which_app(self, sought: Sought) -> Answer:
        verdicts = [self._judge(segment, sought) for segment in self._view.near(sought[1].vector)]
        language = sought[0].language
        verdicts.sort(key=lambda verdict: -verdict.confidence)
        return Answer(
            status="which_app",
            app=None,
            language=language,
            text=message("answer.which_app", language),
            confidence=verdicts[0].confidence,
            rows=tuple(self._row(verdict) for verdict in verdicts[:MAX_ROWS]),
        )

    def _compare(self, subjects: Sequence[str], sought: Sought) -> tuple[tuple[Row, ...], float]:
        """Return one row an app, and the confidence of the surest."""
        with aside():  # of two hundred apps it takes a second
            judged = list(self._rows(subjects, sought, self._segments))
        return tuple(row for row, _ in judged), max((confidence for _, confidence in judged), default=0.0)

    def _rows(
        self, subjects: Iterable[str], sought: Sought, segments: Mapping[str, Segment]
    ) -> Iterator[tuple[Row, float]]:
        """Yield each subject's row, and how likely its best clause answers."""
        for app in subjects:
            if app in segments:
                with collecting() as failed:
                    verdict = self._judge(segments[app], sought)
                    row = self._row(verdict)
                yield replace(row, degraded=in_order(failed)), verdict.confidence
            else:
                yield Row(app, "unknown_app", message("answer.unknown_app", sought[0].language, name=app)), 0.0

    def _row(self, verdict: Verdict) -> Row:
        language = verdict.asked.language
        if not verdict.is_answered:
            return Row(verdict.app, "silent", message("answer.silent", language, app=verdict.app))
        with stage("answer"):
            citation = _cite(verdict, int(verdict.ranking.order[0]))
            facts = _facts(citation, verdict.asked)
            text = answer_line(verdict.ranking.segment, citation, facts, verdict.asked, self._glosser)
            return Row(verdict.app, "answered", text, facts, citation)


def _without_facts(make: Callable[[Asked], _Result], asked: Asked) -> _Result:
    """Return what ``make`` makes of a question; where it breaks, what it makes of one that asks for no fact."""
    with doing_without("facts"):
        return make(asked)
    return make(replace(asked, wanted=(), is_bare=False))


def _cite(verdict: Verdict, ordinal: int) -> Citation:
    return _without_facts(lambda asked: cite(verdict.ranking, ordinal, asked), verdict.asked)


def _facts(citation: Citation, asked: Asked) -> tuple[Fact, ...]:
    with doing_without("facts"):
        return facts_of(citation, asked.wanted)
    return ()


# What is left of 那星河云盘呢 or "and Zorblax?" without the name: the question before it, of another app.
_NEXT_APP = re.compile(r"(?:那|呢|换成|and|what|how|about|for|in|\W)*", re.IGNORECASE)


def _is_name_alone(named: Resolution, text: str) -> bool:
    """Say whether a question is nothing but one app's name; ``text`` is what is left of it without the name."""
    names = [mention.name for mention in named.mentions]
    return len(names) == 1 and simplify(names[0]) == re.sub(r"\W+$", "", text)


def _resolver_of(generation: Generation) -> AppResolver:
    return AppResolver(generation.current, load_known_apps())


def _turn(turn: Turn | str) -> Turn:
    if isinstance(turn, str):
        return Turn(well_formed(turn))
    return Turn(well_formed(turn.question), well_formed(turn.app) if turn.app else None)
