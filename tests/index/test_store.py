import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import index.journal
import index.store
from corpus.datatypes import Policy
from index.doctor import examine_index
from index.encoder import Encoded, FakeEncoder
from index.errors import IndexMismatchError, IndexNotBuiltError
from index.maintain import prune_index
from index.manifest import index_id
from index.store import build_index, is_current, open_generation, publish
from index.tokens import MAX_CLAUSE_TOKENS, unit_rows

FIRST = Policy("甲", "一、收集\n我们收集手机号码。用于注册账号。\n二、注销\n您可以在“我的-设置-注销”里注销账号。")
SECOND = Policy("乙", "我们不会共享您的个人信息。")


class CountingEncoder(FakeEncoder):
    """A fake that counts the texts it encodes, and waits before each where told."""

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__()
        self.encoded = 0
        self.delay = delay

    def encode_passages(self, texts, *, progress=None):
        self.encoded += len(texts)
        time.sleep(self.delay)
        return super().encode_passages(texts, progress=progress)


def test_an_opened_generation_equals_what_was_built(tmp_path):
    encoder = FakeEncoder()
    name = build_index([FIRST, SECOND], tmp_path, encoder)
    generation = open_generation(tmp_path, encoder.fingerprint)
    assert generation.name == name
    assert [segment.policy for segment in generation.segments] == [FIRST, SECOND]
    segment = generation.segments[0]
    assert [clause.text for clause in segment.clauses] == [
        "我们收集手机号码。用于注册账号。",
        "您可以在“我的-设置-注销”里注销账号。",
    ]
    units = [FIRST.text[unit.start : unit.end] for unit in segment.units]
    assert units == [
        "我们收集手机号码。用于注册账号。",
        "我们收集手机号码。",
        "用于注册账号。",
        "您可以在“我的-设置-注销”里注销账号。",
    ]
    np.testing.assert_allclose(np.linalg.norm(segment.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(
        segment.vectors[1], encoder.encode_passages(["一、收集\n我们收集手机号码。"]).vectors[0]
    )


class SpellingEncoder(FakeEncoder):
    """A fake whose token vectors are one for every character: its code point and 1."""

    def __init__(self) -> None:
        super().__init__()
        self.token_dimension = 2

    def encode_passages(self, texts, *, progress=None):
        tokens = [np.array([[ord(char) / 1e5, 1.0] for char in text], np.float32) for text in texts]
        return Encoded(super().encode_passages(texts).vectors, tuple(map(unit_rows, tokens)))


def test_a_clause_keeps_the_token_vectors_of_what_is_embedded_for_it_up_to_the_limit(tmp_path):
    long = Policy("丙", f"我们收集手机号码。用于注册账号。\n{'长' * (MAX_CLAUSE_TOKENS + 9)}。")
    encoder = SpellingEncoder()
    build_index([long], tmp_path, encoder)
    [segment] = open_generation(tmp_path, encoder.fingerprint).segments
    [expected] = encoder.encode_passages(["我们收集手机号码。用于注册账号。"]).tokens
    tokens, counts = segment.clause_tokens([1, 0])
    assert counts.tolist() == [MAX_CLAUSE_TOKENS, len(expected)]
    np.testing.assert_allclose(tokens[MAX_CLAUSE_TOKENS:], expected, atol=0.01)
    assert segment.tokens.dtype == np.int8


def test_adding_a_policy_encodes_only_that_policy(tmp_path):
    encoder = CountingEncoder()
    build_index([FIRST], tmp_path, encoder)
    before = encoder.encoded
    build_index([FIRST, SECOND], tmp_path, encoder)
    assert encoder.encoded - before == 1
    build_index([FIRST, SECOND], tmp_path, encoder)
    assert encoder.encoded - before == 1


def test_a_folder_without_an_index_says_how_to_build_one(tmp_path):
    with pytest.raises(IndexNotBuiltError, match="wentiao index build"):
        open_generation(tmp_path, "any")


def test_an_index_of_another_model_does_not_load(tmp_path):
    build_index([FIRST], tmp_path, FakeEncoder())
    with pytest.raises(IndexMismatchError, match=r"another encoder[\s\S]*wentiao index repair"):
        open_generation(tmp_path, "another model")


def test_every_flipped_byte_is_noticed(tmp_path):
    encoder = FakeEncoder()
    build_index([FIRST], tmp_path, encoder)
    chooser = random.Random(7)
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock")
    for path in paths:
        content = path.read_bytes()
        for _ in range(8 if content else 0):
            position = chooser.randrange(len(content))
            path.write_bytes(content[:position] + bytes([content[position] ^ 0x15]) + content[position + 1 :])
            with pytest.raises((IndexMismatchError, IndexNotBuiltError)):
                open_generation(tmp_path, encoder.fingerprint)
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises((IndexMismatchError, IndexNotBuiltError)):
            open_generation(tmp_path, encoder.fingerprint)
        path.write_bytes(content)
    open_generation(tmp_path, encoder.fingerprint)


def test_building_again_mends_a_damaged_segment(tmp_path):
    encoder = FakeEncoder()
    build_index([FIRST], tmp_path, encoder)
    [vectors] = tmp_path.rglob("vectors.npy")
    vectors.write_bytes(b"nothing")
    build_index([FIRST], tmp_path, encoder)
    open_generation(tmp_path, encoder.fingerprint)


def test_the_manifest_names_the_hash_of_every_file(tmp_path):
    build_index([FIRST], tmp_path, FakeEncoder())
    name = (tmp_path / "CURRENT").read_text().strip()
    manifest = (tmp_path / "generations" / f"{name}.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == name
    for path in (tmp_path / "segments").rglob("*"):
        if path.is_file():
            assert hashlib.sha256(path.read_bytes()).hexdigest().encode() in manifest


def test_an_index_is_current_only_for_its_own_policies_and_model(tmp_path):
    encoder = FakeEncoder()
    assert not is_current([FIRST], tmp_path, encoder.fingerprint)
    build_index([FIRST], tmp_path, encoder)
    assert is_current([FIRST], tmp_path, encoder.fingerprint)
    assert not is_current([FIRST, SECOND], tmp_path, encoder.fingerprint)
    assert not is_current([Policy("甲", FIRST.text + "。")], tmp_path, encoder.fingerprint)
    assert not is_current([FIRST], tmp_path, "another model")


def test_no_policies_and_an_app_named_twice_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no policies"):
        build_index([], tmp_path, FakeEncoder())
    with pytest.raises(ValueError, match="甲"):
        build_index([FIRST, Policy("甲", "别的")], tmp_path, FakeEncoder())


def _build_slowly(out: str, texts: list[str]) -> None:
    policies = [Policy(f"应用{number}", text) for number, text in enumerate(texts)]
    index.journal.CHARACTERS_PER_SLICE = 10  # a call for every text
    build_index(policies, Path(out), CountingEncoder(delay=0.01))


@pytest.mark.parametrize("seed", range(12))
def test_a_build_that_is_killed_leaves_the_generation_from_before(tmp_path, seed):
    encoder = FakeEncoder()
    build_index([FIRST], tmp_path, encoder)
    texts = [f"我们收集第{number}种信息。" for number in range(20)]
    process = multiprocessing.get_context("fork").Process(target=_build_slowly, args=(str(tmp_path), texts))
    process.start()
    time.sleep(random.Random(seed).uniform(0.0, 0.35))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    apps = [segment.policy.app for segment in open_generation(tmp_path, encoder.fingerprint).segments]
    assert apps in (["甲"], [f"应用{number}" for number in range(20)])
    build_index([FIRST, SECOND], tmp_path, encoder)
    assert [s.policy.app for s in open_generation(tmp_path, encoder.fingerprint).segments] == ["甲", "乙"]
    kept = {path.name for path in (tmp_path / "segments").glob(".partial-*")}
    assert kept <= {".partial-journal"}  # for the build that was killed


FOUR = [
    FIRST,
    SECOND,
    Policy("丙", FIRST.text.replace("手机", "邮箱")),
    Policy("丁", f"{SECOND.text}\n一、其他\n您可以投诉。"),
]


class CompanionableEncoder(FakeEncoder):
    """A fake whose vectors hang on the texts of the same call, as a real one's do; it notes each call in a file."""

    def __init__(self, calls: Path, killed_at: int | None = None) -> None:
        super().__init__()
        self.calls = calls
        self.killed_at = killed_at

    def encode_passages(self, texts, *, progress=None):
        with self.calls.open("a") as file:
            file.write(json.dumps(texts) + "\n")
        if self.killed_at == len(read_calls(self.calls)):
            os.kill(os.getpid(), signal.SIGKILL)
        vectors = super().encode_passages(texts, progress=progress).vectors
        tokens = tuple(np.empty((0, 0), np.float32) for _ in texts)
        return Encoded(unit_rows(vectors + 1e-3 * vectors.mean(axis=0)), tokens)


def read_calls(path: Path) -> list[list[str]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def segment_files(out: Path) -> dict[str, bytes]:
    folder = out / "segments"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_and_die(target, *arguments) -> None:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _die_writing(out: Path, calls: Path, segment: int, moment: str) -> None:
    """Build the four and die at the writing of a segment."""
    write, written = index.store._write_segment, []

    def die(*arguments):
        if len(written) == segment and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        files = write(*arguments)
        if len(written) == segment:
            os.kill(os.getpid(), signal.SIGKILL)
        written.append(files)
        return files

    index.store._write_segment = die
    build_index(FOUR, out, CompanionableEncoder(calls))


@pytest.fixture
def uninterrupted(tmp_path, monkeypatch):
    """The calls and the files of a build of the four in two pools of several slices each."""
    monkeypatch.setattr("index.journal.CHARACTERS_PER_SLICE", 50)
    monkeypatch.setattr("index.store.UNITS_PER_POOL", 6)
    build_index(FOUR, tmp_path / "whole", CompanionableEncoder(tmp_path / "whole.calls"))
    calls = read_calls(tmp_path / "whole.calls")
    assert len(calls) == 5
    return calls, segment_files(tmp_path / "whole")


@pytest.mark.parametrize("call", range(1, 6))
def test_a_build_killed_while_it_encodes_goes_on_with_what_it_was_at(tmp_path, uninterrupted, call):
    calls, files = uninterrupted
    out, noted = tmp_path / "index", tmp_path / "calls"
    run_and_die(build_index, FOUR, out, CompanionableEncoder(noted, killed_at=call))
    assert read_calls(noted) == calls[:call]
    told: list[tuple[int, int]] = []
    build_index(FOUR, out, CompanionableEncoder(noted), progress=lambda *one: told.append(one))
    assert read_calls(noted) == [*calls[:call], *calls[call - 1 :]]
    assert segment_files(out) == files
    total = told[-1][1]
    assert told[-1] == (total, total) and {one[1] for one in told} == {total}
    assert [one[0] for one in told] == sorted(one[0] for one in told)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("segment", range(4))
def test_a_build_killed_while_it_writes_encodes_nothing_again(tmp_path, uninterrupted, segment, moment):
    calls, files = uninterrupted
    out, noted = tmp_path / "index", tmp_path / "calls"
    run_and_die(_die_writing, out, noted, segment, moment)
    build_index(FOUR, out, CompanionableEncoder(noted))
    assert read_calls(noted) == calls
    assert segment_files(out) == files


def test_a_build_of_other_policies_after_a_kill_takes_what_it_can_use_and_clears_the_rest(tmp_path, uninterrupted):
    calls, _ = uninterrupted
    out, noted = tmp_path / "index", tmp_path / "calls"
    run_and_die(build_index, FOUR, out, CompanionableEncoder(noted, killed_at=2))
    build_index([FIRST, FOUR[3]], out, CompanionableEncoder(noted))
    assert read_calls(noted) == [
        *calls[:2],
        ["一、收集\n我们收集手机号码。", "一、收集\n用于注册账号。"],
        ["我们不会共享您的个人信息。", "一、其他\n您可以投诉。"],
    ]
    assert not list((out / "segments").glob(".partial-*"))
    encoder = FakeEncoder()
    [segment, _] = open_generation(out, encoder.fingerprint).segments
    texts = [FIRST.text[unit.start : unit.end] for unit in segment.units]
    assert texts[:2] == ["我们收集手机号码。用于注册账号。", "我们收集手机号码。"]
    exact = encoder.encode_passages(
        ["一、收集\n我们收集手机号码。用于注册账号。", "一、收集\n我们收集手机号码。"]
    ).vectors
    np.testing.assert_allclose(segment.vectors[:2], exact, atol=1e-3)


@pytest.mark.parametrize(
    "other",
    [
        lambda out: build_index([SECOND], out, CountingEncoder()),
        lambda out: build_index([SECOND, Policy("戊", "我们存储您的订单。\n您可以投诉。")], out, CountingEncoder()),
    ],
    ids=["nothing to do", "other policies"],
)
def test_what_a_killed_build_has_encoded_is_kept_until_that_build_is_run_again(tmp_path, uninterrupted, other):
    whole, out, noted = tmp_path / "not killed", tmp_path / "index", tmp_path / "second"
    for folder in (whole, out):
        build_index([SECOND], folder, CountingEncoder())
    build_index(FOUR, whole, CompanionableEncoder(tmp_path / "all"))
    calls = read_calls(tmp_path / "all")
    run_and_die(build_index, FOUR, out, CompanionableEncoder(noted, killed_at=2))
    other(out)
    [finding] = [one for one in examine_index(out) if one.kind == "unfinished"]
    assert (finding.severity, finding.place) == ("note", "segments/.partial-journal")
    assert finding.command == f"wentiao corpus prune --index {out}"
    build_index(FOUR, out, CompanionableEncoder(noted))
    assert read_calls(noted) == [*calls[:2], *calls[1:]]
    assert segment_files(whole).items() <= segment_files(out).items()


def test_what_a_killed_build_has_encoded_is_pruned(tmp_path, uninterrupted):
    run_and_die(build_index, FOUR, tmp_path, CompanionableEncoder(tmp_path / "noted", killed_at=2))
    [journal] = (tmp_path / "segments").glob(".partial-*")
    size = journal.stat().st_size
    assert size > 0
    assert prune_index(tmp_path) == size
    assert not list((tmp_path / "segments").iterdir())


BUILD = """
import sys
from pathlib import Path
from corpus.datatypes import Policy
from index.encoder import FakeEncoder
from index.store import build_index
text = Path(sys.argv[1]).read_text("utf-8")
build_index([Policy("甲", text), Policy("乙", text.replace("手机", "邮箱"))], Path(sys.argv[2]), FakeEncoder())
"""


def test_two_processes_make_the_same_bytes_of_the_same_policies(tmp_path):
    text = "".join(f"\n{item}我们收集手机号码，用于{item}号订单、注册和找回账号。" for item in "一二三四五六七八")
    (tmp_path / "policy.txt").write_text(f"一、收集{text}\n二、注销\n您可以注销账号。", encoding="utf-8")
    made = []
    for seed in "12":
        out = tmp_path / seed
        subprocess.run(
            [sys.executable, "-c", BUILD, str(tmp_path / "policy.txt"), str(out)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
        )
        # The manifest holds the moment at which a version was added, and ID is drawn.
        paths = [path for part in ("segments", "nearest") for path in (out / part).rglob("*") if path.is_file()]
        made.append({path.relative_to(out).as_posix(): path.read_bytes() for path in paths})
    assert made[0] == made[1]
    assert {Path(name).name for name in made[0]} >= {"vocab.index.json", "checksums.json", "vectors.npy"}


def test_of_two_builds_that_were_killed_both_go_on(tmp_path, uninterrupted):
    out = tmp_path / "index"
    others = [Policy("戊", "一、存储\n我们存储您的订单。\n您可以投诉。\n二、共享\n我们不共享任何信息给别人。")]
    builds = {"four": FOUR, "others": others}
    for name, policies in builds.items():
        build_index(policies, tmp_path / name, CompanionableEncoder(tmp_path / f"{name}.whole"))
        run_and_die(build_index, policies, out, CompanionableEncoder(tmp_path / f"{name}.killed", killed_at=2))
    names = {path.name for path in (out / "segments").glob(".partial-*")}
    assert names == {".partial-journal", ".partial-journal-kept"}
    for name, policies in builds.items():
        build_index(policies, out, CompanionableEncoder(tmp_path / f"{name}.killed"))
        calls = read_calls(tmp_path / f"{name}.whole")
        assert read_calls(tmp_path / f"{name}.killed") == [*calls[:2], *calls[1:]]
        assert segment_files(tmp_path / name).items() <= segment_files(out).items()
    assert not list((out / "segments").glob(".partial-*"))


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"\xff" * 9000])
def test_a_journal_that_is_none_is_as_good_as_none(tmp_path, content):
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / ".partial-journal").write_bytes(content)
    build_index([FIRST], tmp_path, FakeEncoder())
    [segment] = open_generation(tmp_path, FakeEncoder().fingerprint).segments
    assert segment.policy == FIRST
    assert not list((tmp_path / "segments").glob(".partial-*"))


def test_a_segment_damaged_while_no_generation_lists_it_is_not_trusted(tmp_path):
    encoder = FakeEncoder()
    build_index([FIRST, SECOND], tmp_path, encoder)
    build_index([SECOND], tmp_path, encoder)
    damaged = next(path for path in tmp_path.rglob("clauses.json") if FIRST.policy_id in path.read_text())
    damaged.write_text(damaged.read_text().replace("手机", "电话"))
    build_index([FIRST, SECOND], tmp_path, encoder)
    [segment, _] = open_generation(tmp_path, encoder.fingerprint).segments
    assert segment.clauses[0].text == "我们收集手机号码。用于注册账号。"


def test_a_policy_without_a_clause_is_refused_and_the_index_stands(tmp_path):
    encoder = FakeEncoder()
    build_index([FIRST], tmp_path, encoder)
    with pytest.raises(ValueError, match="丙"):
        build_index([FIRST, Policy("丙", "……——\n-----")], tmp_path, encoder)
    assert [one.policy.app for one in open_generation(tmp_path, encoder.fingerprint).segments] == ["甲"]


@pytest.mark.parametrize("part", ["PARSER_VERSION", "FORMAT_VERSION", "UNITS_VERSION"])
def test_an_index_of_another_version_does_not_load_and_is_built_anew(tmp_path, monkeypatch, part):
    encoder = CountingEncoder()
    build_index([SECOND], tmp_path, encoder)
    monkeypatch.setattr(f"index.segment.{part}", "another")
    with pytest.raises(IndexMismatchError, match=part.split("_")[0].lower()):
        open_generation(tmp_path, encoder.fingerprint)
    build_index([SECOND], tmp_path, encoder)
    assert encoder.encoded == 2
    open_generation(tmp_path, encoder.fingerprint)


def test_a_reader_sees_one_generation_or_the_other_while_builds_run(tmp_path):
    encoder = FakeEncoder()
    build_index([FIRST], tmp_path, encoder)
    stop = threading.Event()

    def build() -> None:
        while not stop.is_set():
            build_index([FIRST, SECOND], tmp_path, encoder)
            build_index([FIRST], tmp_path, encoder)

    builder = threading.Thread(target=build)
    builder.start()
    try:
        read = [open_generation(tmp_path, encoder.fingerprint) for _ in range(60)]
    finally:
        stop.set()
        builder.join()
    seen = {tuple(segment.policy.app for segment in generation.segments) for generation in read}
    assert seen <= {("甲",), ("甲", "乙")}


@pytest.mark.parametrize("address", [None, "", "milvus://127.0.0.1:1"])
def test_where_there_is_no_index_nothing_is_published(address: str | None, tmp_path: Path) -> None:
    publish(tmp_path / "index", address)
    assert list(tmp_path.iterdir()) == []


def test_an_index_keeps_its_id_wherever_it_is_and_whatever_is_done_to_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert index_id(first) != index_id(second)  # by their paths, while there is no file
    encoder = FakeEncoder()
    build_index([Policy("甲", "一、注销\n您可以注销账号。")], first, encoder)
    build_index([Policy("甲", "一、注销\n您可以注销账号。")], second, encoder)
    written = (first / "ID").read_text().split()[0]
    assert index_id(first) == written and index_id(second) != written
    build_index([Policy("乙", "我们不会共享您的个人信息。")], first, encoder)
    prune_index(first)
    assert not [finding for finding in examine_index(first) if "ID" in finding.place]
    moved = first.rename(tmp_path / "moved")
    assert index_id(moved) == written
    (moved / "ID").write_text("../damaged")
    assert index_id(moved) == index_id(moved.resolve()) != written
