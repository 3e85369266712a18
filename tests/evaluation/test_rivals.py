from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from corpus.datatypes import Policy
from evaluation import rivals
from evaluation.__main__ import main
from evaluation.questions import Question
from evaluation.rival_systems import SPLITTERS, SYSTEMS, Chunk, load_splitter, locate
from evaluation.rivals import Asked, Built, CachedPassages, LiveQueries, TimedEncoder, VectorCache
from index.encoder import Encoded, FakeEncoder

TEXT = "一、注销\n\n 您可以在设置中注销账号。 \n\n一、注销\n\n\n二、联系我们"


class Clock:
    """Tells what it is set to; reading it takes no time."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowEncoder(FakeEncoder):
    """Takes a second a character, and remembers what it was given."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.given: list[str] = []

    def encode_passages(self, texts: Sequence[str], *, progress: rivals.Progress | None = None) -> Encoded:
        self.clock.now += sum(map(len, texts))
        self.given += texts
        return super().encode_passages(texts, progress=progress)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the module reads."""
    clock = Clock()
    monkeypatch.setattr(rivals, "time", SimpleNamespace(perf_counter=clock))
    return clock


@dataclass
class Cut:
    """What the packages' splitters return: LangChain's document and LlamaIndex' node in one."""

    start_char_idx: int
    end_char_idx: int
    page_content: str
    metadata: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = {"start_index": self.start_char_idx}


class FakeSplitter:
    """Cuts at blank lines, under the names that each of the packages uses."""

    def __init__(self, **options: object) -> None:
        self.options = options

    def create_documents(self, texts: list[str]) -> list[Cut]:
        assert self.options["add_start_index"] is True
        return [Cut(*found.span(), found[0]) for found in re.finditer(r"\S+", texts[0])]

    def get_nodes_from_documents(self, documents: list[SimpleNamespace]) -> list[Cut]:
        return [Cut(*found.span(), found[0]) for found in re.finditer(r"\S+", documents[0].text)]

    def __call__(self, text: str) -> list[str]:
        assert self.options == {"paragraphs": True, "cleantext": False}
        return re.split(r"\n{2,}", text)


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages' modules, holding nothing but the fake splitter."""
    for name in ("langchain_text_splitters", "llama_index.core", "llama_index.core.node_parser", "txtai.pipeline"):
        module = ModuleType(name)
        for known in ("RecursiveCharacterTextSplitter", "TextSplitter", "SentenceSplitter", "Segmentation"):
            setattr(module, known, FakeSplitter)
        module.Document = SimpleNamespace  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setitem(sys.modules, name.partition(".")[0], module)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", SPLITTERS)
def test_a_chunk_keeps_its_place_in_the_policy(name: str) -> None:
    chunks = rivals.split_policies([Policy("甲", TEXT)], load_splitter(name))
    assert [chunk.text for chunk in chunks] == ["一、注销", "您可以在设置中注销账号。", "一、注销", "二、联系我们"]
    assert [TEXT[chunk.start : chunk.end] for chunk in chunks] == [chunk.text for chunk in chunks]
    assert [chunk.start for chunk in chunks] == [0, 7, 22, 29]


def test_chunks_of_white_space_are_left_out() -> None:
    chunks = rivals.split_policies([Policy("甲", "一 二")], lambda text: [(0, 1), (1, 2), (2, 3)])
    assert chunks == [Chunk("甲", 0, 1, "一"), Chunk("甲", 2, 3, "二")]


def test_a_piece_that_is_not_in_the_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="substring not found"):
        locate("一二", ["二", "一"])


def test_every_system_has_a_splitter() -> None:
    assert {system.splitter for system in SYSTEMS.values()} == set(SPLITTERS)


def test_each_text_is_encoded_once_and_remembers_its_cost(tmp_path: Path, clock: Clock) -> None:
    encoder = SlowEncoder(clock)
    VectorCache(tmp_path / "v.npz", encoder.fingerprint).fill(["三个字", "一", "一"], encoder)
    cache = VectorCache(tmp_path / "v.npz", encoder.fingerprint)
    cache.fill(["一", "两字"], encoder)
    assert encoder.given == ["一", "三个字", "两字"]
    embedding = CachedPassages(VectorCache(tmp_path / "v.npz"))
    vectors = embedding.passages(["两字", "三个字", "两字"])
    np.testing.assert_array_equal(vectors, FakeEncoder().encode_passages(["两字", "三个字", "两字"]).vectors)
    assert embedding.seconds == 2 + 3 + 2


def test_what_another_encoder_made_is_encoded_again(tmp_path: Path, clock: Clock) -> None:
    encoder = SlowEncoder(clock)
    VectorCache(tmp_path / "v.npz", "other").fill(["一"], encoder)
    VectorCache(tmp_path / "v.npz", encoder.fingerprint).fill(["一"], encoder)
    assert encoder.given == ["一", "一"]
    assert VectorCache(tmp_path / "v.npz").fingerprint == encoder.fingerprint


def test_nothing_is_encoded_while_a_library_builds(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        CachedPassages(VectorCache(tmp_path / "v.npz")).passages(["一"])


def test_the_encoder_is_told_apart_from_the_rest_of_a_query(clock: Clock) -> None:
    encoder = TimedEncoder(SlowEncoder(clock))
    embedding = LiveQueries(encoder)
    text = "甲的账号在设置中注销。" + "其他。" * 20
    questions = [question("怎么注销", "甲的账号在设置中注销。"), question("其他？", "甲的账号在设置中注销。")]

    def search(asked: str, app: str) -> list[tuple[int, int]]:
        assert app == "甲"
        embedding.query(asked)
        clock.now += 10
        return [(11, 14), (0, 6)] if asked == "怎么注销" else [(11, 14)]

    answered = rivals.ask_all(search, questions, {"甲": text}, lambda: encoder.query_seconds, clock=clock)
    assert answered == ((14_000, 13_000), (10_000, 10_000), (2, None))


def question(text: str, evidence: str) -> Question:
    return Question("1", "甲", "zh", "formal", text, True, (evidence,), (), False)


def test_the_table_has_a_row_a_system() -> None:
    built = Built(vectors=1234, encoding=65.4321, own=0.5, peak=123_000_000)
    asked = Asked(milliseconds=(10, 20, 30), without_encoder=(1, 2, 3), ranks=(1, 3, None), peak=456_000_000)
    table = rivals.render([("Chroma 1", "paragraphs", "`where`", built, asked, 7_890_000)])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().split("\n")]
    assert dict(zip(rows[0], rows[2], strict=True)) == {
        "system": "Chroma 1",
        "splits by": "paragraphs",
        "keeps to one app by": "`where`",
        "vectors": "1,234",
        "build: encoder s": "65.4",
        "build: its own s": "0.5",
        "peak RSS building, MB": "123",
        "disk, MB": "7.9",
        "query p50 / p95 ms": "20.0 / 29.0",
        "without the encoder": "2.0 / 2.9",
        "peak RSS answering, MB": "456",
        "hit@1": "0.333",
        "hit@3": "0.667",
    }
    assert len(rows[1]) == len(rows[0])


def test_policies_with_questions_come_first(tmp_path: Path) -> None:
    (tmp_path / "questions" / "dev").mkdir(parents=True)
    (tmp_path / "policies").mkdir()
    for app in ("甲", "乙"):
        (tmp_path / "policies" / f"{app}.txt").write_text(f"{app}隐私政策\n\n我们收集手机号。", encoding="utf-8")
    row = {"id": "1", "app": "乙", "lang": "zh", "style": "formal", "question": "收集什么", "mentions_app": False}
    lines = [row | {"answerable": True, "evidence": ["手机号"], "facts": []}]
    lines += [row | {"answerable": False, "evidence": [], "facts": []}]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (tmp_path / "questions" / "dev" / "乙.jsonl").write_text(text, encoding="utf-8")
    policies, questions = rivals.choose_policies(tmp_path, 1)
    assert [policy.app for policy in policies] == ["乙"]
    assert [one.evidence for one in questions] == [("手机号",)]
    assert len(rivals.choose_policies(tmp_path, None)[0]) == 7  # the five shipped ones too


def test_nothing_may_be_looked_up_or_connected_to() -> None:
    with pytest.raises(ConnectionRefusedError, match=r"example\.org"):
        rivals.refuse_network("socket.getaddrinfo", ("example.org", 443, 0, 0, 0))
    with pytest.raises(ConnectionRefusedError, match="nothing may be fetched"):
        rivals.refuse_network("socket.connect", (object(), ("192.0.2.1", 443)))
    rivals.refuse_network("socket.connect", (object(), "/run/own.sock"))
    rivals.refuse_network("open", ("file", "r", 0))


def test_without_the_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise rivals.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(rivals.metadata, "version", missing)
    monkeypatch.setattr(rivals, "choose_policies", lambda data, count: ([], []))
    assert main(["rivals"]) == 2
    assert "pip install -r requirements-baselines.txt" in capsys.readouterr().err
