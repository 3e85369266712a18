"""A running server and an index that a maintainer changes meanwhile: the real assistant with the small encoder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from corpus.datatypes import Policy
from index.encoder import FakeEncoder
from index.maintain import add_policies, remove_apps, update_policies
from index.store import build_index
from retrieval import Assistant
from web.cited import cite_place
from web.generation import following

from .application import served

FIRST = Policy("甲", "一、注销\n您可以在“我的-设置-注销”里注销账号。")
NEWER = Policy("甲", "一、注销\n您可以在“我-更多-注销账号”里注销账号。")
SECOND = Policy("乙", "我们不会共享您的个人信息。")
ENCODER = FakeEncoder()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    build_index([FIRST], tmp_path, ENCODER)
    return tmp_path


@pytest.fixture
def assistant(index: Path) -> Assistant:
    return Assistant.open(index, encoder=ENCODER)


@pytest.fixture
def server(assistant: Assistant) -> Iterator[str]:
    with served(assistant) as address, following(assistant, seconds=0.02):
        yield address


def get(address: str) -> object:
    with urlopen(address, timeout=30) as response:
        return json.load(response)


def search(server: str) -> list[str]:
    body = json.dumps({"query": "注销账号", "app": "甲", "top_k": 1}).encode()
    request = Request(f"{server}api/v1/search", body, {"content-type": "application/json"})
    with urlopen(request, timeout=30) as response:
        return [passage["text"] for passage in json.load(response)]


def wait_until(address: str, expected: object) -> None:
    deadline = time.monotonic() + 30
    while get(address) != expected:
        assert time.monotonic() < deadline, f"{address} never gave {expected}"
        time.sleep(0.02)


def test_an_app_that_is_added_or_removed_is_seen_without_a_restart(server: str, index: Path) -> None:
    assert get(f"{server}api/v1/apps") == ["甲"]
    add_policies(index, [SECOND], ENCODER)
    wait_until(f"{server}api/v1/apps", ["甲", "乙"])
    remove_apps(index, ["甲"])
    wait_until(f"{server}api/v1/apps", ["乙"])


def test_no_request_fails_while_the_generations_change(server: str, index: Path) -> None:
    stopped = threading.Event()

    def ask() -> set[str]:
        seen: set[str] = set()
        while not stopped.is_set():
            seen.update(search(server))
        return seen

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask) for _ in range(3)]
        for policy in [NEWER, FIRST] * 4:
            update_policies(index, [policy], ENCODER)
            time.sleep(0.1)
        stopped.set()
        seen = set().union(*(one.result() for one in asked))
    assert seen == {"您可以在“我的-设置-注销”里注销账号。", "您可以在“我-更多-注销账号”里注销账号。"}


def test_a_damaged_generation_leaves_the_one_before_answering(
    server: str, index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = index / "CURRENT.damaged"
    damaged.write_text("0" * 64)
    damaged.replace(index / "CURRENT")  # at once, as every writer does: a half-written one would be logged as well
    deadline = time.monotonic() + 30
    while "cannot be used" not in caplog.text:
        assert time.monotonic() < deadline, "nothing is said of it"
        time.sleep(0.02)
    time.sleep(0.3)  # in which it is looked for again
    assert search(server) == ["您可以在“我的-设置-注销”里注销账号。"]
    assert sum("cannot be used" in record.message for record in caplog.records) == 1
    build_index([FIRST, SECOND], index, ENCODER)
    wait_until(f"{server}api/v1/apps", ["甲", "乙"])


class Troubled:
    """An assistant whose index gives these in turn, and then nothing new."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.looked_again = threading.Event()

    def refresh(self) -> bool:
        if self.failures:
            raise self.failures.pop(0)
        self.looked_again.set()
        return False


def test_whatever_a_generation_raises_the_next_one_is_looked_for(caplog: pytest.LogCaptureFixture) -> None:
    troubled = Troubled(ValueError("cut short"), ValueError("cut short"), KeyError("units"))
    with following(troubled, seconds=0.001):  # type: ignore[arg-type]
        assert troubled.looked_again.wait(30)
    told = [record.getMessage().rpartition("answers: ")[2] for record in caplog.records]
    assert told == ["ValueError: cut short", "KeyError: 'units'"]


def test_what_is_held_fits_together_and_is_let_go_afterwards(assistant: Assistant, index: Path) -> None:
    with assistant.pinned():
        update_policies(index, [NEWER], ENCODER)
        assert assistant.refresh()
        assert assistant.policy("甲") == FIRST
        assert assistant.clauses("甲")[0].policy_id == FIRST.policy_id
    assert assistant.policy("甲") == NEWER
    assert not assistant.refresh()


def test_a_citation_of_an_old_version_still_verifies_and_a_false_one_does_not(
    assistant: Assistant, index: Path
) -> None:
    [passage] = assistant.search("怎么注销账号", "甲", top_k=1)
    place = f"{passage.clause_id}:{passage.start}-{passage.end}"
    citation = cite_place(assistant, place)
    assert citation is not None
    update_policies(index, [NEWER], ENCODER)
    assistant.refresh()
    assert [version.is_current for version in assistant.versions("甲")] == [False, True]
    assert cite_place(assistant, place) == citation
    assert assistant.verify(citation)
    assert not assistant.verify(replace(citation, quote="您不能注销账号。"))
    assert assistant.policy("甲", "1") == FIRST
    assert assistant.clauses("甲", FIRST.policy_id[:8])[0].text == "您可以在“我的-设置-注销”里注销账号。"
    with pytest.raises(ValueError, match="names no version of '甲'"):
        assistant.policy("甲", "2020-01-01")
