from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from corpus.datatypes import Policy
from corpus.topics import TOPICS
from index.encoder import load_encoder
from index.journal import encode_packed
from index.segment import Segment
from index.units import context_of
from retrieval import Assistant
from retrieval.topics import TopicClassifier, check_topics, cite_topic, hash_strings, load_topic_classifier, topic_facts

from ..conftest import ENCODER, decide

BUCKETS = 2**15
# Each text's strings are worth what its topic's words say: 收集 for collection, 注销 for rights, 客服 for contact.
WORDS = {"收集": "collection", "注销": "rights", "客服": "contact"}
POLICY = Policy(
    "应用甲",
    "一、收集\n1、我们会收集您的姓名。您可以联系客服,电话400-123-4567。\n2、您可以注销账号。注销后我们不再收集信息。\n"
    "二、其他\n本政策自今日起生效。\n",
)


def classifier_of_words(**changes):
    """Return a classifier that goes by the words alone: log-odds of 20 where one stands, -20 where none does."""
    tables = {name: np.zeros((BUCKETS, len(TOPICS)), np.int8) for name in ("alone", "sentence", "context")}
    for word, topic in WORDS.items():
        strings, _ = hash_strings([word], BUCKETS)
        for name in ("alone", "sentence"):
            tables[name][strings[1], TOPICS.index(topic)] = 127  # the two characters together
    tensors = {**tables, **{f"{name}.scale": np.full(len(TOPICS), 10, np.float32) for name in tables}}
    tensors |= {f"{name}.bias": np.full(len(TOPICS), -20, np.float32) for name in ("alone", "sentence")}
    tensors |= {
        "hidden.weight": np.zeros((2, ENCODER.dimension), np.float16),
        "hidden.bias": np.zeros(2, np.float32),
        "output.weight": np.zeros((len(TOPICS), 2), np.float16),
        "output.bias": np.zeros(len(TOPICS), np.float32),
        "thresholds": np.full(len(TOPICS), 0.5, np.float32),
    }
    return TopicClassifier({**tensors, **changes})


@pytest.fixture(scope="module")
def segment(shelve):
    [made] = shelve([POLICY]).generation.segments
    return made


def topics_by_text(segment, judged):
    return {clause.text: judged.topics(ordinal) for ordinal, clause in enumerate(segment.clauses)}


def test_a_clause_is_on_the_topics_of_all_its_sentences(segment):
    assert topics_by_text(segment, classifier_of_words().judge(segment)) == {
        "1、我们会收集您的姓名。您可以联系客服,电话400-123-4567。": ("collection", "contact"),
        "2、您可以注销账号。注销后我们不再收集信息。": ("collection", "rights"),
        "本政策自今日起生效。": (),
    }


def test_what_stands_above_counts(segment):
    table = np.zeros((BUCKETS, len(TOPICS)), np.int8)
    table[hash_strings(["其他"], BUCKETS)[0][1], TOPICS.index("changes")] = 127
    judged = classifier_of_words(context=table).judge(segment)
    assert judged.topics(2) == ("changes",)
    assert "changes" not in judged.topics(0)


def test_each_topic_has_its_own_threshold(segment):
    thresholds = np.full(len(TOPICS), 0.5, np.float32)
    thresholds[TOPICS.index("collection")] = 1.1
    judged = classifier_of_words(thresholds=thresholds).judge(segment)
    assert judged.topics(0) == ("contact",)
    assert judged.is_on(("collection", "rights")).tolist() == [False, True, False]


def test_a_sentence_is_judged_as_one_by_one(segment):
    drawn = np.random.default_rng(3)
    tensors = {
        "hidden.weight": drawn.normal(size=(6, ENCODER.dimension)).astype(np.float16),
        "hidden.bias": np.zeros(6, np.float32),
        "output.weight": drawn.normal(size=(len(TOPICS), 6)).astype(np.float16),
        "context": drawn.integers(-9, 9, size=(BUCKETS, len(TOPICS))).astype(np.int8),
        "alone": drawn.integers(-9, 9, size=(BUCKETS, len(TOPICS))).astype(np.int8),
    }
    classifier = classifier_of_words(**tensors)
    contexts = [context_of(clause, None) for clause in segment.clauses] + [""]
    texts = [clause.text for clause in segment.clauses] + [""]
    vectors = ENCODER.encode_passages(texts).vectors
    together = classifier.likelihood(vectors, texts, contexts)
    for row, vector, text, context in zip(together, vectors, texts, contexts, strict=True):
        [alone] = classifier.likelihood(vector[None], [text], [context])
        np.testing.assert_allclose(alone, row, atol=0.0011)
    hidden = np.maximum(vectors[0] @ tensors["hidden.weight"].astype(np.float32).T, 0)
    log_odds = hidden @ tensors["output.weight"].astype(np.float32).T - 20
    for name, text in (("sentence", texts[0]), ("context", contexts[0])):
        strings, _ = hash_strings([text], BUCKETS)
        table = tensors["context"] if name == "context" else classifier_of_words()._strings["sentence"]
        log_odds += 10 * table[strings].astype(np.float32).sum(axis=0) / np.sqrt(len(strings))
    np.testing.assert_allclose(together[0], 1 / (1 + np.exp(-log_odds / 2)), atol=0.0011)


def test_strings_are_those_of_each_text_alone():
    texts = ["您可以", "", "İa", "a", "注销注销"]
    strings, starts = hash_strings(texts, BUCKETS)
    assert starts.tolist() == [0, 5, 5, 10, 11, 18]
    for place, text in enumerate(texts):
        own, _ = hash_strings([text], BUCKETS)
        assert strings[starts[place] : starts[place + 1]].tolist() == own.tolist()
    assert hash_strings(["A"], BUCKETS)[0].tolist() == hash_strings(["a"], BUCKETS)[0].tolist()
    last = strings[starts[4] :].tolist()
    assert len(set(last)) == 4 and last.count(last[1]) == 2  # 注, 销, 注销, 销注; 注销 twice
    assert hash_strings([], BUCKETS)[1].tolist() == [0]


def test_the_likeliest_sentence_is_cited(segment):
    citation = cite_topic(segment, classifier_of_words().judge(segment), "contact")
    assert citation is not None
    assert citation.quote == "您可以联系客服,电话400-123-4567。"
    assert POLICY.text[citation.start : citation.end] == citation.quote
    assert (citation.path, citation.label, citation.app) == (("一、收集",), "一1", "应用甲")
    assert [fact.text for fact in topic_facts(citation, "contact")] == ["400-123-4567"]
    assert cite_topic(segment, classifier_of_words().judge(segment), "termination") is None


def test_a_lead_in_is_cited_only_where_nothing_else_is_on_the_topic(shelve):
    text = "一、信息\n1、您注销账号后,我们按以下方式收集信息:\n(1)收集姓名;\n(2)收集电话。\n"
    [segment] = shelve([Policy("应用丁", text)]).generation.segments
    judged = classifier_of_words().judge(segment)
    assert [segment.clauses[place].kind for place in (0, 1)] == ["lead_in", "item"]
    announced, stated = cite_topic(segment, judged, "rights"), cite_topic(segment, judged, "collection")
    assert announced is not None and announced.quote == "1、您注销账号后,我们按以下方式收集信息:"
    assert stated is not None and stated.quote == "(1)收集姓名;"
    assert stated.lead_in == announced.quote


def test_an_unknown_topic_is_told_with_those_there_are():
    assert check_topics(["rights", "use"]) == ("rights", "use")
    with pytest.raises(ValueError, match=r"no topic 'weather'; topics are: collection, permissions, .*termination"):
        check_topics(["rights", "weather"])


def test_another_encoder_than_the_trained_one_gets_no_classifier():
    assert load_topic_classifier(ENCODER.fingerprint) is None


# -- The assistant ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(shelve) -> Assistant:
    other = Policy("应用乙", "一、您的权利\n1、您可以随时注销账号。\n2、本政策适用于全部服务。\n")
    shelf = shelve([POLICY, other])
    return Assistant(shelf.generation, ENCODER, shelf.resolver, (), decide(), topic_classifier=classifier_of_words())


def test_every_clause_has_its_topics(labelled):
    topics = labelled.topics("应用甲")
    assert [topics[clause.clause_id] for clause in labelled.clauses("应用甲")] == [
        ("collection", "contact"),
        ("collection", "rights"),
        (),
    ]


def test_a_search_is_kept_to_topics_before_the_best_are_taken(labelled):
    alone = labelled.search("本政策适用于全部服务", top_k=1)
    assert alone[0].text == "2、本政策适用于全部服务。"
    kept = labelled.search("本政策适用于全部服务", top_k=5, topics=("rights",))
    assert [(one.rank, one.text) for one in sorted(kept, key=lambda one: one.rank)] == [
        (rank, one.text) for rank, one in enumerate(kept, 1)
    ]
    assert {one.text for one in kept} == {"2、您可以注销账号。注销后我们不再收集信息。", "1、您可以随时注销账号。"}
    assert labelled.search("注销", app="应用乙", topics=("contact",), rerank=False) == ()
    with pytest.raises(ValueError, match="no topic 'weather'"):
        labelled.search("注销", topics=("weather",))


def test_apps_are_compared_on_a_topic(labelled):
    first, second, third = labelled.compare_topic("contact", ["应用甲", "应用乙", "应用丙"])
    assert (first.app, first.status, first.text) == (
        "应用甲",
        "answered",
        "政策写明：“您可以联系客服,电话400-123-4567。”",
    )
    assert first.citation is not None and labelled.verify(first.citation)
    assert [fact.text for fact in first.facts] == ["400-123-4567"]
    assert (second.status, second.citation) == ("silent", None)
    assert second.text == "《应用乙》里没有关于“联系方式”的条款。"
    assert third.status == "unknown_app"
    assert [row.app for row in labelled.compare_topic("rights")] == ["应用甲", "应用乙"]
    assert labelled.compare_topic("contact", ["应用乙"], language="en")[0].text.startswith("The policy of 应用乙")
    with pytest.raises(ValueError, match="no topic 'weather'"):
        labelled.compare_topic("weather")


def test_without_a_classifier_there_are_no_topics_and_that_is_said(assistant):
    assert assistant.topics("津心办") == {}
    for ask in (lambda: assistant.search("注销", topics=("rights",)), lambda: assistant.compare_topic("rights")):
        with pytest.raises(ValueError, match=r"no topics with this model.*python -m training\.topics"):
            ask()
    with pytest.raises(ValueError, match="no app"):
        assistant.topics("没有这个应用")


@pytest.mark.model
def test_the_shipped_classifier_fits_the_shipped_encoder():
    encoder = load_encoder()
    classifier = load_topic_classifier(encoder.fingerprint)
    assert classifier is not None
    text = (
        "一、我们如何收集您的信息\n1、当您注册时,我们会收集您的手机号码。\n"
        "二、如何联系我们\n1、您可以拨打客服电话400-123-4567与我们联系。\n"
        "三、未成年人保护\n1、未满十四周岁的儿童应在监护人同意后使用。\n"
    )
    policy = Policy("应用甲", text)
    from corpus.parser import parse_policy

    segment = Segment.make("shipped", policy, parse_policy(policy).clauses, partial(encode_packed, encoder=encoder))
    judged = classifier.judge(segment)
    first = {clause.path[0]: judged.topics(place) for place, clause in enumerate(segment.clauses) if clause.path}
    assert first == {
        "一、我们如何收集您的信息": ("collection",),
        "二、如何联系我们": ("contact",),
        "三、未成年人保护": ("special_groups",),
    }
