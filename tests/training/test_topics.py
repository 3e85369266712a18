from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from corpus.topics import TOPICS
from index.encoder import FakeEncoder
from training.data import LabelledSentence
from training.topics import (
    Recipe,
    choose_thresholds,
    count_strings,
    encode_once,
    f1,
    fit,
    judge,
    judge_unseen,
    labels_of,
    make_lesson,
)

RECIPE = Recipe(buckets=2**10, hidden=16, epochs=30, sentences=16, folds=2)
WORDS = (
    "收集姓名",
    "申请权限",
    "共享数据",
    "用于推荐",
    "存储境内",
    "加密保护",
    "儿童监护",
    "注销账号",
    "拨打电话",
    "更新政策",
    "停止运营",
)


@pytest.fixture(scope="module")
def sentences():
    """Four policies that say eleven things each, the last topic in context alone, some on two topics."""
    made = []
    for app in "甲乙丙丁":
        for topic, word in enumerate(WORDS):
            context = word if topic == 10 else "一般规定"
            text = f"{app}方说明情况" if topic == 10 else f"{app}方{word}"
            made.append(LabelledSentence(text, (topic,), app, context))
        made.append(LabelledSentence(f"{app}方{WORDS[0]}并{WORDS[2]}", (0, 2), app, ""))
    return made


@pytest.fixture(scope="module")
def lesson(sentences, tmp_path_factory):
    return make_lesson(sentences, FakeEncoder(), tmp_path_factory.mktemp("topics"))


def test_it_learns_and_repeats(lesson):
    tensors, again = fit(lesson, RECIPE), fit(lesson, RECIPE)
    assert all(np.array_equal(tensors[name], again[name]) for name in tensors)
    in_context, alone = judge(tensors, lesson)
    assert in_context.argmax(axis=1)[:10].tolist() == list(range(10))
    assert in_context[10].argmax() == 10 and alone[10, 10] < in_context[10, 10]
    assert sorted(in_context[11].argsort()[-2:].tolist()) == [0, 2]
    assert {name: tensors[name].dtype.name for name in ("alone", "hidden.weight")} == {
        "alone": "int8",
        "hidden.weight": "float16",
    }


def test_who_judges_a_policy_has_not_seen_it(lesson, monkeypatch):
    import training.topics

    seen = []
    monkeypatch.setattr(
        training.topics, "fit", lambda part, recipe: seen.append({one.app for one in part.sentences}) or {}
    )
    judged = []

    def note(tensors, part):
        judged.append({one.app for one in part.sentences})
        return np.ones(part.labels.shape, np.float32), np.zeros(part.labels.shape, np.float32)

    monkeypatch.setattr(training.topics, "judge", note)
    in_context, alone = judge_unseen(lesson, RECIPE)
    assert all(not own & others for own, others in zip(seen, judged, strict=True))
    assert judged[0] | judged[1] == set("甲乙丙丁")
    assert in_context.all() and not alone.any()


def test_labels_are_flags_by_id():
    labels = labels_of([LabelledSentence("句", (0, 10), "甲", ""), LabelledSentence("句", (), "甲", "")])
    assert labels.shape == (2, len(TOPICS))
    assert np.flatnonzero(labels[0]).tolist() == [0, 10] and not labels[1].any()


def test_a_text_counts_by_the_square_root_of_its_strings():
    rows = count_strings(["注销注销", ""], 2**12)
    assert rows.sum(axis=1).ravel().tolist() == [[pytest.approx(7 / 7**0.5), 0]]
    assert rows[0].max() == pytest.approx(2 / 7**0.5)


def test_f1_over_all_labels_and_over_topics():
    labels = np.zeros((4, len(TOPICS)), np.bool_)
    labels[:3, 0] = labels[3, 1] = True
    predicted = np.zeros_like(labels)
    predicted[:2, 0] = predicted[0, 1] = True
    micro, macro = f1(predicted, labels)
    assert micro == pytest.approx(2 * 2 / (3 + 4))
    assert macro == pytest.approx((2 * 2 / 5) / len(TOPICS))


def test_the_threshold_of_a_topic_is_where_f1_is_best():
    labels = np.ones((4, len(TOPICS)), np.bool_)
    labels[2:, 5] = False
    likelihood = np.full(labels.shape, 0.9, np.float32)
    likelihood[:, 5] = [0.6, 0.55, 0.5, 0.1]
    assert 0.5 < choose_thresholds(likelihood, labels)[5] <= 0.55


def test_encoded_sentences_are_kept(tmp_path):
    path = tmp_path / "folder" / "vectors.safetensors"
    first = encode_once(["甲", "乙"], FakeEncoder(), path)
    assert encode_once(["甲", "乙"], None, path).tolist() == first.tolist()
    assert len(encode_once(["甲", "乙", "丙"], FakeEncoder(), path)) == 3
