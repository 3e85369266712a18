"""What a maintainer reads, and the exit code, where the disk refuses a command; the index answers as before."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from corpus.datatypes import Policy
from corpus.load import load_policies
from index.encoder import Encoded, FakeEncoder, Progress
from index.maintain import take_snapshot
from index.manifest import read_manifest
from index.store import build_index, open_generation
from web.cli import EXIT_ANSWERED, EXIT_DECLINED, EXIT_UNUSABLE, Commands, run
from web.cli_index import build_index as build_from_folders
from web.settings import Settings

from ..index import faults

pytestmark = pytest.mark.faults

TEXT = "隐私政策\n一、收集\n我们收集手机号码，用于注册账号。\n二、注销\n您可以在“我的-设置-注销”里注销账号。\n"
COMMANDS: dict[str, tuple[str, ...]] = {
    "build": ("index", "build", "--policies", "{files}", "--out", "{index}"),
    "repair": ("index", "repair", "--out", "{index}"),
    "add": ("corpus", "add", "{files}/丙.txt", "--index", "{index}"),
    "update": ("corpus", "update", "{files}/甲.txt", "--app", "甲", "--index", "{index}"),
    "remove": ("corpus", "remove", "乙", "--index", "{index}"),
    "snapshot": ("corpus", "snapshot", "now", "--index", "{index}"),
    "restore": ("corpus", "restore", "before", "--index", "{index}"),
    "forget": ("corpus", "forget", "before", "--index", "{index}"),
    "prune": ("corpus", "prune", "--index", "{index}"),
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    out = tmp_path / "index"
    second = Policy("乙", TEXT.replace("手机", "邮箱"))
    build_index([Policy("甲", TEXT), second], out, FakeEncoder())
    take_snapshot(out, "before")
    for number in ("座机", "传真"):  # one to answer from, and one that prune deletes
        build_index([Policy("甲", TEXT.replace("手机", number)), second], out, FakeEncoder())
    files = tmp_path / "files"
    files.mkdir()
    for app in "甲丙":
        (files / f"{app}.txt").write_text(TEXT.replace("注册", f"注册{app}"), "utf-8")
    return out


def commands_over(index: Path, **given: Any) -> Commands:
    """Return what a command works with over ``index`` and the small encoder, but for what is given."""
    usual: dict[str, Any] = {
        "open_assistant": lambda: pytest.fail("no question was asked"),
        "serve": lambda *where: True,
        "build_index": lambda folders, place: "",
        "load_encoder": FakeEncoder,
        "prepare_index": lambda: None,
        "index": index,
    }
    return Commands(**usual | given)


def typed(name: str, index: Path) -> tuple[int, str]:
    """Type a command; return its exit code and what stands on standard error."""
    out, err = io.StringIO(), io.StringIO()
    commands = commands_over(
        index, build_index=lambda folders, place: build_index(load_policies(folders), place or index, FakeEncoder())
    )
    arguments = [part.format(index=index, files=index.parent / "files") for part in COMMANDS[name]]
    return run(arguments, commands, out=out, err=err), err.getvalue()


def typed_in_child(name: str, index: Path, before: Callable[[], object]) -> tuple[int, str]:
    """Type a command in a process of its own after ``before``, from where nothing of that comes back."""
    told = index.parent / "told"
    told.touch()
    descriptor = os.open(told, os.O_WRONLY | os.O_TRUNC)

    def act() -> None:
        before()
        os.write(descriptor, json.dumps(typed(name, index)).encode())

    try:
        assert faults.in_child(act) == 0
    finally:
        os.close(descriptor)
    code, err = json.loads(told.read_text())
    return code, err


def refuse(index: Path, code: int) -> None:
    def refused(number: int, step: str) -> None:
        raise OSError(code, os.strerror(code), step.partition(" ")[2])

    faults.watch_steps(index, refused)


@pytest.mark.parametrize(("code", "told"), [(errno.ENOSPC, "is full"), (errno.EROFS, "can only be read")])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_the_disk_refuses_says_so_and_exits_with_3(index: Path, name: str, code: int, told: str) -> None:
    before = read_manifest(index)
    ended, err = typed_in_child(name, index, lambda: refuse(index, code))
    assert ended == EXIT_UNUSABLE
    assert err.startswith("wentiao: ") and told in err and str(index) in err and "Traceback" not in err
    assert read_manifest(index) == before
    assert len(open_generation(index, FakeEncoder().fingerprint).segments) == 2
    assert typed(name, index) == (EXIT_ANSWERED, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is taken on by root alone")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_a_user_who_may_not_write_says_so_and_exits_with_3(index: Path, name: str) -> None:
    for folder in (index, *index.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)

    def become_nobody() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    ended, err = typed_in_child(name, index, become_nobody)
    assert ended == EXIT_UNUSABLE
    assert "may not read or write" in err and "sudo chown -R" in err
    assert typed(name, index) == (EXIT_ANSWERED, "")


class RefusedEncoder(FakeEncoder):
    """One whose texts no longer fit on the disk."""

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("verb", ["add", "build", "repair"])
def test_the_command_that_repairs_is_the_last_line_below_the_progress_bar(
    index: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    out = index if verb != "build" else index.parent / "another"
    if verb == "repair":
        segment = read_manifest(index).current[0].segment
        (index / "segments" / segment / "units.json").write_text("[]")
    settings = Settings(language="en")
    commands = commands_over(index, build_index=partial(build_from_folders, settings), load_encoder=RefusedEncoder)
    typed = {
        "add": ["corpus", "add", str(index.parent / "files" / "丙.txt")],
        "build": ["index", "build", "--policies", str(index.parent / "files"), "--out", str(out)],
        "repair": ["index", "repair"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("index.encoder.load_encoder", lambda model: RefusedEncoder())
        assert run(typed[verb], commands, out=sys.stdout, err=sys.stderr) == EXIT_UNUSABLE
    gc.collect()
    told = capsys.readouterr().err
    assert "indexing" in told
    assert told.splitlines()[-1] == f"  wentiao corpus prune --index {out}"


def test_a_build_that_one_file_stops_says_that_the_index_is_as_it_was(index: Path) -> None:
    broken = index.parent / "files" / "丁.docx"
    broken.write_bytes(b"no document")
    before = (index / "CURRENT").read_bytes()
    err = io.StringIO()
    commands = commands_over(index, build_index=partial(build_from_folders, Settings(language="en")))
    typed = ["index", "build", "--policies", str(index.parent / "files"), "--out", str(index)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("index.encoder.load_encoder", lambda model: FakeEncoder())
        assert run(typed, commands, out=io.StringIO(), err=err) == EXIT_UNUSABLE
    assert broken.name in err.getvalue()
    assert f"nothing was built, and {index} is as it was" in err.getvalue()
    assert (index / "CURRENT").read_bytes() == before


def test_a_repair_names_what_it_set_aside(index: Path) -> None:
    segment = read_manifest(index).current[0].segment
    (index / "segments" / segment / "units.json").write_text("[]")
    out = io.StringIO()
    commands = commands_over(index)
    assert run(["index", "repair"], commands, out=out, err=io.StringIO()) == EXIT_ANSWERED
    first, second = out.getvalue().splitlines()
    assert first == f"the index at {index} is whole"
    assert second.startswith("damaged, and set aside: quarantine/") and second.endswith(f"/segments/{segment}")
    run(["corpus", "prune"], commands, out=out, err=io.StringIO())
    assert list((index / "quarantine").rglob("units.json"))
    run(["corpus", "prune", "--quarantine"], commands, out=out, err=io.StringIO())
    assert not (index / "quarantine").exists()
    shutil.rmtree(index)


def test_a_repair_says_of_every_text_that_is_lost_what_answers_now_and_the_command_that_brings_it_back(
    index: Path,
) -> None:
    first, second = read_manifest(index).current
    for version in (first, second):
        (index / "segments" / version.segment / "policy.json").write_text("{}")
    out = io.StringIO()
    commands = commands_over(index)
    assert run(["index", "repair", "--out", str(index)], commands, out=out, err=io.StringIO()) == EXIT_DECLINED
    lines = out.getvalue().splitlines()
    [stand_in] = read_manifest(index).current
    assert lines[1] == (
        f"  甲 · undated · {first.policy_id}: an earlier one that is whole answers now, undated · "
        f"{stand_in.policy_id}; give the app its present file again: "
        f"wentiao corpus update FILE --app '甲' --index {index}"
    )
    assert lines[2] == (
        f"  乙 · undated · {second.policy_id}: the app is gone; "
        f"add its file again: wentiao corpus add FILE --app '乙' --index {index}"
    )
    assert [line.split(":")[0] for line in lines[3:]] == ["damaged, and set aside"] * 2
