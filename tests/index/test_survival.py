"""An index that is killed, refused by the disk or written by two at once: the old or the new one, and nothing lost."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from corpus.datatypes import Policy
from index.doctor import FindingKind, examine_index, mend_index
from index.encoder import FakeEncoder
from index.errors import StorageError
from index.maintain import (
    AppError,
    add_policies,
    list_snapshots,
    prune_index,
    remove_apps,
    restore_snapshot,
    take_snapshot,
    update_policies,
)
from index.manifest import Version, read_manifest
from index.store import build_index, locked, open_generation, read_version

from . import faults

pytestmark = pytest.mark.faults

SEED = int(os.environ.get("WENTIAO_SEED", "20261122"))
STATED = {"operator": "某公司", "source": "https://example.cn/p", "contact": "p@example.cn", "updated": "2026-01-01"}


def policy(app: str, *things: str) -> Policy:
    collected = "\n".join(
        f"({number})我们收集您的{thing}。用于向您提供服务。" for number, thing in enumerate(things, 1)
    )
    text = f"{app}隐私政策\n一、收集\n{collected}\n二、注销\n您可以在“我的-设置-注销{app}”里注销账号。"
    return Policy(app, text, **STATED)


A, A2, A3 = (
    policy("甲应用", "手机号码"),
    policy("甲应用", "电子邮箱", "位置"),
    policy("甲应用", "位置", "相册", "通讯录"),
)
B, C, D = policy("乙应用", "订单"), policy("丙应用", "步数", "心率"), policy("丁应用", "剪贴板")


class SlowEncoder(FakeEncoder):
    """A fake that takes a moment for every call, so that a kill may come in the midst."""

    def encode_passages(self, texts, *, progress=None):
        time.sleep(0.003)
        return super().encode_passages(texts, progress=progress)


ENCODER = SlowEncoder()

OPERATIONS: dict[str, Callable[[Path], object]] = {
    "build": lambda out: build_index([A3, B, D], out, ENCODER),
    "add": lambda out: add_policies(out, [C, D], ENCODER),
    "update": lambda out: update_policies(out, [A3, replace(B, contact="q@example.cn")], ENCODER),
    "remove": lambda out: remove_apps(out, [B.app]),
    "restore": lambda out: restore_snapshot(out, "before", ENCODER),
    "snapshot": lambda out: take_snapshot(out, "now"),
    "prune": lambda out: prune_index(out),
}
# Done already, a second time is refused: there is nothing left to remove, and the name is taken.
REFUSED_TWICE = {"remove": AppError, "snapshot": ValueError}
# What a stopped writer leaves is a note, and named.
LEFT: set[FindingKind] = {"leftover", "orphan", "superseded", "unfinished"}


@dataclass(frozen=True)
class Content:
    """What an index holds and answers from: its versions with the hash of every file, and its snapshots."""

    versions: tuple[Version, ...]
    snapshots: tuple[tuple[str, tuple[str, ...]], ...]
    answers: tuple[tuple[str, str], ...]


def content(out: Path) -> Content:
    """Read an index as a server does; every file of it is compared with its hash on the way."""
    generation = open_generation(out, ENCODER.fingerprint)
    query = FakeEncoder().encode_queries(["一、收集\n我们收集您的位置。"]).vectors[0]
    answers = []
    for app, segment in generation.by_app.items():
        unit = segment.units[int(segment.unit_scores(query).argmax())]
        answers.append((app, segment.policy.text[unit.start : unit.end]))
    snapshots = tuple((one.name, one.apps) for one in list_snapshots(out))
    return Content(tuple(replace(one, added="") for one in generation.versions), snapshots, tuple(answers))


def texts(out: Path) -> dict[tuple[str, str], Policy]:
    """Return every policy that the current generation or a snapshot names."""
    named = [read_manifest(out), *(read_manifest(out, one.generation) for one in list_snapshots(out))]
    return {(one.app, one.policy_id): read_version(out, one)[0] for manifest in named for one in manifest.versions}


def faulty(out: Path) -> list[str]:
    """Return what the doctor finds beside what a stopped writer leaves."""
    found = examine_index(out, encoder_fingerprint=ENCODER.fingerprint, dimension=256, today=date(2026, 6, 1))
    return [f"{one.severity} {one.kind} {one.place}" for one in found if one.severity != "note" or one.kind not in LEFT]


def seeded(name: str, seed: int) -> random.Random:
    return random.Random(f"{SEED} {name} {seed}")


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.journal.CHARACTERS_PER_SLICE", 40)
    monkeypatch.setattr("index.store.UNITS_PER_POOL", 8)


@dataclass(frozen=True)
class Ground:
    """An index before every operation, what it becomes by each, and where copies of it go."""

    before: Path
    after: dict[str, Content]
    room: Path

    def copy(self) -> Path:
        out = self.room / "index"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self.before, out)
        return out


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    room = tmp_path_factory.mktemp("survival")
    before, after = room / "before", {}
    build_index([A, B], before, ENCODER)
    take_snapshot(before, "before")
    update_policies(before, [A2], ENCODER)
    add_policies(before, [policy("戊应用", "头像")], ENCODER)
    remove_apps(before, ["戊应用"])
    for name, operate in OPERATIONS.items():
        out = room / name
        shutil.copytree(before, out)
        operate(out)
        after[name] = content(out)
    assert faulty(before) == []
    return Ground(before, after, room)


def check_survived(ground: Ground, out: Path, name: str) -> None:
    """Check what must hold of an index whose writer was stopped anywhere, and that the same command then succeeds."""
    old, new = content(ground.before), ground.after[name]
    found = content(out)
    assert found in (old, new)
    assert faulty(out) == []
    held = texts(out)
    gone = {(B.app, B.policy_id)} if name == "remove" and found == new else set()
    assert {key for key, one in texts(ground.before).items() if held.get(key) != one} <= gone
    try:
        OPERATIONS[name](out)
    except REFUSED_TWICE.get(name, ()):
        assert found == new
    assert content(out) == new
    assert faulty(out) == []
    prune_index(out)
    assert examine_index(out, today=date(2026, 6, 1)) == ()
    assert content(out) == new


def spread(count: int, of: int, chooser: random.Random) -> list[int]:
    """Return ``count`` different numbers from 1 to ``of``, all of them where there are no more."""
    return list(range(1, of + 1)) if count >= of else sorted(chooser.sample(range(1, of + 1), count))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_writer_killed_at_any_step_leaves_the_old_or_the_new_index(
    ground: Ground, name: str, amount: Callable[[int, int], int], tmp_path: Path
) -> None:
    out = ground.copy()
    steps = faults.count_steps(lambda: OPERATIONS[name](out), out, tmp_path / "steps")
    for number in spread(amount(3, 60), steps, seeded(name, 0)):
        out = ground.copy()
        assert faults.killed_at_step(lambda: OPERATIONS[name](out), out, number) == -signal.SIGKILL  # noqa: B023
        check_survived(ground, out, name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_writer_killed_at_a_random_moment_leaves_the_old_or_the_new_index(
    ground: Ground, name: str, amount: Callable[[int, int], int]
) -> None:
    out = ground.copy()
    begun = time.perf_counter()
    assert faults.in_child(lambda: OPERATIONS[name](out)) == 0
    took = time.perf_counter() - begun
    for seed in range(amount(2, 30)):
        out = ground.copy()
        moment = seeded(name, seed).uniform(0, took)
        assert faults.killed_after(lambda: OPERATIONS[name](out), moment) in (0, -signal.SIGKILL)  # noqa: B023
        check_survived(ground, out, name)


@pytest.mark.parametrize("name", ["build", "add", "update"])
def test_a_writer_killed_in_the_midst_of_a_file_leaves_the_old_or_the_new_index(
    ground: Ground, name: str, amount: Callable[[int, int], int]
) -> None:
    killed = 0
    for seed in range(amount(2, 20)):
        out = ground.copy()
        size = seeded(name, seed).randrange(1, 12_000)
        code = faults.killed_writing(lambda: OPERATIONS[name](out), size)  # noqa: B023
        assert code in (0, -signal.SIGXFSZ)
        killed += code != 0
        check_survived(ground, out, name)
    assert killed


def test_a_first_build_killed_at_any_step_leaves_no_index_or_a_whole_one(
    amount: Callable[[int, int], int], tmp_path: Path
) -> None:
    build = lambda out: build_index([A, B], out, ENCODER)  # noqa: E731
    build(tmp_path / "whole")
    new = content(tmp_path / "whole")
    out = tmp_path / "index"
    steps = faults.count_steps(lambda: build(out), out, tmp_path / "steps")
    for number in spread(amount(4, 60), steps, seeded("first", 0)):
        shutil.rmtree(out, ignore_errors=True)
        assert faults.killed_at_step(lambda: build(out), out, number) == -signal.SIGKILL
        if (out / "CURRENT").exists():
            assert content(out) == new
        else:
            assert [one.kind for one in examine_index(out)] in (["index_missing"], ["current_damaged"])
        build(out)
        assert content(out) == new
        assert faulty(out) == []


def damage_current_segments(out: Path) -> None:
    """Flip a byte of the vectors of one version and tear off the end of the lexical part of another."""
    first, second = read_manifest(out).current
    for path in (
        out / "segments" / first.segment / "vectors.npy",
        out / "segments" / second.segment / "lexical" / "data.csc.index.npy",
    ):
        held = path.read_bytes()
        path.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))


def test_a_repair_killed_at_any_step_loses_no_text_and_keeps_what_was_damaged(
    ground: Ground, amount: Callable[[int, int], int], tmp_path: Path
) -> None:
    old = content(ground.before)
    out = ground.copy()
    damage_current_segments(out)
    damaged = {path.read_bytes() for path in out.rglob("*.npy")} - {
        p.read_bytes() for p in ground.before.rglob("*.npy")
    }
    assert len(damaged) == 2
    steps = faults.count_steps(lambda: mend_index(out, ENCODER), out, tmp_path / "steps")
    for number in spread(amount(5, 80), steps, seeded("repair", 0)):
        out = ground.copy()
        damage_current_segments(out)
        assert faults.killed_at_step(lambda: mend_index(out, ENCODER), out, number) == -signal.SIGKILL  # noqa: B023
        assert mend_index(out, ENCODER) == ()
        assert content(out) == old
        assert texts(out) == texts(ground.before)
        assert {path.read_bytes() for path in (out / "quarantine").rglob("*.npy")} >= damaged


# -- the disk refuses

REFUSALS = {
    errno.ENOSPC: "is full",
    errno.EROFS: "can only be read",
    errno.EACCES: "may not read or write",
    errno.EIO: "fails",
}


def raising(code: int, number: int, count: int, step: str) -> None:
    if count == number:
        raise OSError(code, os.strerror(code), step.partition(" ")[2])


@pytest.mark.parametrize("code", REFUSALS, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_disk_that_refuses_at_any_step_is_named_and_the_old_index_stands(
    ground: Ground, name: str, code: int, amount: Callable[[int, int], int], tmp_path: Path
) -> None:
    out = ground.copy()
    steps = faults.count_steps(lambda: OPERATIONS[name](out), out, tmp_path / "steps")
    for number in spread(amount(1, 12), steps, seeded(f"{name} {code}", 0)):
        out = ground.copy()

        def operate(out: Path = out, number: int = number) -> None:
            faults.watch_steps(out, partial(raising, code, number))
            OPERATIONS[name](out)

        ended, kind, message = faults.refused(operate, tmp_path / "told")
        if ended:
            assert (ended, kind) == (3, "StorageError"), message
            assert REFUSALS[code] in message and str(out) in message
        check_survived(ground, out, name)


@pytest.mark.parametrize("name", ["build", "add", "update"])
def test_a_file_that_may_not_grow_is_named_and_the_old_index_stands(
    ground: Ground, name: str, amount: Callable[[int, int], int], tmp_path: Path
) -> None:
    refused = 0
    for seed in range(amount(2, 20)):
        out = ground.copy()
        size = seeded(f"limit {name}", seed).randrange(1, 12_000)

        def operate(out: Path = out, size: int = size) -> None:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            OPERATIONS[name](out)

        ended, kind, message = faults.refused(operate, tmp_path / "told")
        if ended:
            refused += 1
            assert (ended, kind) == (3, "StorageError"), message
            assert "is as it was before" in message
            assert content(out) == content(ground.before)
        check_survived(ground, out, name)
    assert refused


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KB."""
    import subprocess

    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_named_and_the_old_index_stands(
    ground: Ground, small_disk: Path, tmp_path: Path
) -> None:
    out = small_disk / "index"
    shutil.copytree(ground.before, out)
    filling = small_disk / "filling"
    free = shutil.disk_usage(small_disk).free
    refused = 0
    for left in (0, 4096, 8192, 16384, 32768):
        filling.write_bytes(bytes(max(0, free - left)))
        for name in ("build", "add", "update"):
            ended, kind, message = faults.refused(lambda: OPERATIONS[name](out), tmp_path / "told")  # noqa: B023
            assert (ended, kind) in ((3, "StorageError"), (0, "")), message
            if ended:
                refused += 1
                assert f"the disk that holds {out} is full" in message and "wentiao corpus prune" in message
                assert content(out) == content(ground.before)
                assert faulty(out) == []
            else:
                filling.unlink()
                shutil.rmtree(out)
                shutil.copytree(ground.before, out)
                filling.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - left)))
        filling.unlink()
    assert refused >= 6
    OPERATIONS["add"](out)
    assert content(out) == ground.after["add"]


@pytest.mark.parametrize("first", [False, True], ids=["add", "first build"])
def test_what_an_add_that_filled_the_disk_had_encoded_is_freed_by_the_command_that_its_message_names(
    ground: Ground, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    monkeypatch.setattr("index.store.UNITS_PER_POOL", 100_000)
    out = small_disk / "index"
    if not first:
        shutil.copytree(ground.before, out)
    large = policy("庚应用", *(f"第{number}种数据" for number in range(1000)))
    ended, kind, message = faults.refused(lambda: add_policies(out, [large], FakeEncoder()), tmp_path / "told")
    assert (ended, kind) == (3, "StorageError"), message
    assert f"wentiao corpus prune --index {out}" in message
    journal = (out / "segments" / ".partial-journal").stat().st_size
    assert journal > 100_000
    free = shutil.disk_usage(small_disk).free
    assert prune_index(out) >= journal
    assert shutil.disk_usage(small_disk).free >= free + journal
    if first:
        build_index([A, B], out, ENCODER)
    else:
        assert content(out) == content(ground.before)
        OPERATIONS["add"](out)
        assert content(out) == ground.after["add"]


UNPRIVILEGED = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user is taken on by root alone")


def as_nobody(act: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        os.setgroups([])
        os.setgid(UNPRIVILEGED)
        os.setuid(UNPRIVILEGED)
        act()

    return run


def open_to_all(folder: Path) -> None:
    """Let everybody come to ``folder``, which pytest makes for its own user."""
    for one in (folder, *folder.parents[:-2]):
        one.chmod(one.stat().st_mode | 0o055)


@needs_root
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_folder_of_another_user_is_named_and_still_read(ground: Ground, name: str, tmp_path: Path) -> None:
    out = ground.copy()
    open_to_all(out)
    ended, kind, message = faults.refused(as_nobody(lambda: OPERATIONS[name](out)), tmp_path / "told")
    assert (ended, kind) == (3, "StorageError"), message
    assert f"may not read or write {out}" in message and "sudo chown -R" in message
    assert faults.in_child(as_nobody(lambda: content(out))) == 0
    check_survived(ground, out, name)


@needs_root
def test_an_index_that_may_not_be_read_is_named(ground: Ground, tmp_path: Path) -> None:
    out = ground.copy()
    open_to_all(out)
    segment = out / "segments" / read_manifest(out).current[0].segment
    for path in (out / "CURRENT", segment / "clauses.json"):
        path.chmod(0o600)
        ended, kind, message = faults.refused(
            as_nobody(lambda: open_generation(out, ENCODER.fingerprint)), tmp_path / "told"
        )
        assert (ended, kind) == (3, "StorageError"), message
        assert f"may not read or write {path}" in message
        path.chmod(0o644)
    assert faults.in_child(as_nobody(lambda: content(out))) == 0


# -- two at once


@pytest.mark.parametrize(
    ("one", "other"), [("build", "build"), ("add", "build"), ("add", "update"), ("add", "add"), ("remove", "prune")]
)
def test_two_writers_at_once_give_what_one_after_the_other_gives(
    ground: Ground, one: str, other: str, amount: Callable[[int, int], int]
) -> None:
    second: Callable[[Path], object] = OPERATIONS[other]
    if one == other:  # of other policies, else there is nothing to tell
        second = (
            (lambda out: build_index([A2, C], out, ENCODER))
            if one == "build"
            else (lambda out: add_policies(out, [policy("己应用", "指纹")], ENCODER))
        )
    serial = []
    for order in ((OPERATIONS[one], second), (second, OPERATIONS[one])):
        out = ground.copy()
        for operate in order:
            with suppress(AppError):  # what was updated is not to be added
                operate(out)
        serial.append(content(out))
    for seed in range(amount(1, 8)):
        out = ground.copy()
        pause = seeded(f"{one} {other}", seed).uniform(-0.05, 0.05)

        def beside(child: int, out: Path = out, pause: float = pause) -> None:
            time.sleep(max(0.0, -pause))
            assert faults.in_child(lambda: second(out)) == 0

        assert faults.in_child(lambda: (time.sleep(max(0.0, pause)), OPERATIONS[one](out)), after=beside) == 0  # noqa: B023
        assert content(out) in serial
        assert faulty(out) == []


def test_a_second_writer_waits_for_the_first_and_says_so_once(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    out = ground.copy()
    waits = f"another process writes to the index at {out}; this one goes on when that has ended"
    reading, writing = os.pipe()

    def hold() -> None:
        with locked(out):
            os.write(writing, b"held")
            time.sleep(0.5)
            assert content(out) == content(ground.before)  # the other one has not begun

    def beside(child: int) -> None:
        os.read(reading, 4)
        OPERATIONS["add"](out)

    assert faults.in_child(hold, after=beside) == 0
    assert content(out) == ground.after["add"]
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == [waits]
    caplog.clear()
    prune_index(out)
    assert waits not in caplog.text


def test_a_lock_left_by_a_writer_that_was_killed_holds_nobody_up(ground: Ground) -> None:
    out = ground.copy()

    def die() -> None:
        with locked(out):
            os.kill(os.getpid(), signal.SIGKILL)

    assert faults.in_child(die) == -signal.SIGKILL
    assert (out / ".lock").exists()
    signal.alarm(60)
    try:
        OPERATIONS["add"](out)
    finally:
        signal.alarm(0)
    assert content(out) == ground.after["add"]


def test_the_message_of_a_full_disk_reads_as_what_is_the_matter_and_what_to_do(tmp_path: Path) -> None:
    from index.storage import reporting

    out = tmp_path / "an index"
    with pytest.raises(StorageError) as raised, reporting(out):
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "x"))
    assert str(raised.value) == (
        f"the disk that holds {out} is full. What the index answers from is as it was before. Make room there and give "
        f"the command again; what earlier versions and unfinished builds take is freed by:\n"
        f"  wentiao corpus prune --index '{out}'"
    )
