"""What to ask next: only what the policy answers, and not what was just asked."""

from __future__ import annotations

from threading import Event, Thread
from typing import get_args

import pytest

from corpus.messages import message
from index.errors import StoreUnreachableError
from retrieval.datatypes import Answer, Language
from web.chat import Desk
from web.suggestions import MAX_SUGGESTIONS, SUBJECTS, Suggestions

from .fakes import FakeAssistant


def make(fake: FakeAssistant) -> Suggestions:
    return Suggestions(fake)  # type: ignore[arg-type]


def test_every_topic_is_worded_in_each_language() -> None:
    for subject in SUBJECTS:
        worded = {message(f"suggestion.{subject}", language) for language in get_args(Language)}
        assert len(worded) == len(get_args(Language)), subject


def test_only_what_the_policy_answers_with_a_clause_on_the_topic_is_offered(fake: FakeAssistant) -> None:
    for app in fake.apps():
        questions = make(fake).next_questions(app, "zh")
        assert 0 < len(questions) <= MAX_SUGGESTIONS
        for question in questions:
            answer = fake.ask(question, app=app)
            assert (answer.status, answer.app) == ("answered", app)


def test_a_topic_that_the_policy_does_not_speak_of_is_not_even_asked() -> None:
    fake = FakeAssistant()
    all_of_them = [message(f"suggestion.{subject}", "en") for subject in SUBJECTS]
    assert make(fake).next_questions("掌上海关", "en", asked=all_of_them) == ()
    tried = {question for question, _, _ in fake.asked}
    assert message("suggestion.delete_account", "en") in tried
    assert message("suggestion.cookies", "en") not in tried
    assert "ookie" not in fake.policy("掌上海关").text


def test_what_was_asked_in_whatever_words_is_not_offered_again(fake: FakeAssistant) -> None:
    suggestions = make(fake)
    first, second, *_ = suggestions.next_questions("津心办", "zh")
    cited = [citation.clause_id for citation in fake.ask(first, app="津心办").citations]
    assert first not in suggestions.next_questions("津心办", "zh", cited=cited)
    assert second not in suggestions.next_questions("津心办", "zh", asked=[second])


def test_no_question_is_looked_up_twice_nor_before_it_is_needed() -> None:
    fake = FakeAssistant()
    suggestions = make(fake)
    assert len(suggestions.next_questions("口袋证件照", "zh")) == MAX_SUGGESTIONS
    tried = [question for question, _, _ in fake.asked]
    assert suggestions.next_questions("口袋证件照", "zh")[-1] == tried[-1]
    assert [question for question, _, _ in fake.asked] == tried
    suggestions.next_questions("口袋证件照", "zh", asked=tried[:1])
    tried = [question for question, _, _ in fake.asked]
    assert len(tried) == len(set(tried))


class Breaking(FakeAssistant):
    """Breaks over the first question that is asked of it in a topic's words."""

    broken = False

    def __init__(self, trouble: Exception) -> None:
        super().__init__()
        self.trouble = trouble

    def ask(self, question, *args, **kwargs) -> Answer:  # type: ignore[no-untyped-def]
        if not self.broken and question == message("suggestion.delete_account", "zh"):
            self.broken = True
            raise self.trouble
        return super().ask(question, *args, **kwargs)


@pytest.mark.parametrize("trouble", [RuntimeError("no answer"), StoreUnreachableError("no store")])
def test_a_suggestion_that_breaks_takes_neither_the_answer_nor_the_next_suggestions(trouble: Exception) -> None:
    desk = Desk(Breaking(trouble))  # type: ignore[arg-type]
    suggested = f'data-ask="{message("suggestion.delete_account", "zh")}"'
    turn = desk.answer_turn("昶联怎么联系你们", "", [])
    assert "wt-answered" in turn["html"] and suggested not in turn["html"]
    assert suggested in desk.suggest("昶联", "zh-Hans")


class Waiting(FakeAssistant):
    """Answers about one app no sooner than it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.let = Event(), Event()

    def ask(self, question, app=None, *args, **kwargs) -> Answer:  # type: ignore[no-untyped-def]
        if app == "津心办":
            self.reached.set()
            assert self.let.wait(30)
        return super().ask(question, app, *args, **kwargs)


def test_looking_up_one_app_holds_up_no_other() -> None:
    fake = Waiting()
    suggestions = make(fake)
    slow = Thread(target=suggestions.next_questions, args=("津心办", "zh"))
    other = Thread(target=suggestions.next_questions, args=("昶联", "zh"), daemon=True)
    slow.start()
    try:
        assert fake.reached.wait(30)
        other.start()
        other.join(10)
        assert not other.is_alive()
    finally:
        fake.let.set()
        slow.join(30)


@pytest.mark.model
@pytest.mark.parametrize("language", ["zh", "zh-Hant", "en"])
def test_with_the_real_model_each_policy_has_something_to_offer(language: Language) -> None:
    from retrieval import Assistant

    assistant = Assistant.open()
    suggestions = Suggestions(assistant)
    for app in assistant.apps():
        for question in suggestions.next_questions(app, language):
            assert assistant.ask(question, app=app).status == "answered"
        assert suggestions.next_questions(app, language), app
