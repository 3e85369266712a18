from __future__ import annotations

from corpus.messages import message
from corpus.topics import TOPICS


def test_the_topics_stand_in_the_order_of_their_ids() -> None:
    assert (TOPICS[0], TOPICS[4], TOPICS[7], TOPICS[10]) == ("collection", "storage", "rights", "termination")
    assert len(set(TOPICS)) == 11


def test_every_topic_has_a_name_of_its_own_in_each_language() -> None:
    for language in ("zh", "zh-Hant", "en"):
        names = [message(f"topics.{topic}", language) for topic in TOPICS]
        assert len(set(names)) == len(TOPICS)
    assert message("topics.rights", "zh") == "数据、权限管理"
