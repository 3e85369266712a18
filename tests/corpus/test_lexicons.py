"""The lexicons: what every entry must have, and no form that stands for two things."""

from __future__ import annotations

from collections import Counter

from corpus.lexicons import load_glossary, load_words


def test_every_term_has_a_printed_form_and_a_gloss_and_no_blank_string() -> None:
    for term in load_glossary():
        assert term.zh
        assert all(text == text.strip() != "" for text in (*term.zh, *term.plain, *term.en, term.gloss)), term


def test_a_printed_form_stands_in_one_term_only() -> None:
    counts = Counter(form for term in load_glossary() for form in term.zh)
    assert [form for form, count in counts.items() if count > 1] == []


def test_english_phrases_are_lower_case() -> None:
    phrases = [phrase for term in load_glossary() for phrase in term.en]
    assert [phrase for phrase in phrases if phrase != phrase.lower()] == []


def test_a_term_that_widens_questions_does_so_from_both_languages() -> None:
    assert [term.zh[0] for term in load_glossary() if bool(term.plain) != bool(term.en)] == []


def test_topics_are_those_of_capp_130() -> None:
    assert {term.topic for term in load_glossary()} == set(range(11))


def test_everyday_words_and_printed_words_meet_in_one_term() -> None:
    cancel = next(term for term in load_glossary() if "注销账号" in term.zh)
    assert {"销号", "刪除帳號"} <= set(cancel.plain)
    assert {"delete my account", "close account"} <= set(cancel.en)
    assert (cancel.gloss, cancel.topic) == ("Cancel account", 7)


def test_words_are_unique_and_whole_lines() -> None:
    words = load_words()
    assert len(set(words)) == len(words)
    assert all(word == word.strip() and len(word) > 1 for word in words)
    assert {"注销账号", "剪切板", "第三方SDK"} <= set(words)
