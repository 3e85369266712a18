"""The command `wentiao corpus` over a real index with the small encoder, as a maintainer types it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from corpus.datatypes import Policy
from index.encoder import FakeEncoder
from index.errors import StoreUnreachableError
from index.manifest import read_manifest
from index.store import build_index
from web.cli import EXIT_ANSWERED, EXIT_DECLINED, EXIT_UNUSABLE, EXIT_USAGE, Commands, run

OLD = (
    "隐私政策\n一、收集\n我们收集手机号码，用于注册账号。\n"
    "二、注销\n您可以在“我的-设置-注销”里注销账号，我们在15天内处理。\n"
)
NEW = OLD.replace("15天", "7天") + "三、未成年人\n我们不向未成年人提供服务。\n"


class Maintainer:
    """Types commands; the index without a name is at ``index``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = folder / "index"
        self.prepared = 0
        self.published: list[Path] = []
        self.store_answers = True

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        commands = Commands(
            open_assistant=lambda: pytest.fail("no question was asked"),
            serve=lambda *where: None,
            build_index=lambda folders, out: "",
            load_encoder=FakeEncoder,
            prepare_index=self.prepare,
            index=self.index,
            publish=self.publish,
        )
        code = run([str(one) for one in arguments], commands, out=out, err=err)
        return code, out.getvalue(), err.getvalue()

    def prepare(self) -> None:
        self.prepared += 1

    def publish(self, out: Path) -> None:
        if not self.store_answers:
            raise StoreUnreachableError("the vector store at milvus://h:1 did not answer")
        self.published.append(out)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def maintainer(tmp_path: Path) -> Maintainer:
    return Maintainer(tmp_path)


def test_an_app_is_added_listed_and_shown_with_what_was_stated(maintainer: Maintainer) -> None:
    path = maintainer.file("甲.txt", OLD)
    code, out, err = maintainer(
        *("corpus", "add", path, "--alias", "小甲", "--operator", "甲公司", "--effective", "2024-01-01")
    )
    assert (code, err) == (EXIT_ANSWERED, "")
    version = read_manifest(maintainer.index).versions[0].policy_id
    assert out == f"added 甲 (version {version[:12]})\n"
    assert maintainer("corpus", "list")[1] == f"甲 · 2024-01-01 · versions: 1 · {version[:12]}\n"
    [listed] = json.loads(maintainer("corpus", "list", "--json")[1])
    assert (listed["app"], listed["policy_id"], listed["versions"]) == ("甲", version, 1)
    shown = maintainer("corpus", "show", "甲", "--outline")[1]
    assert "aliases: 小甲\noperator: 甲公司\n" in shown
    assert "version 1: " in shown and "· current" in shown
    assert "# 二、注销\n  - 二 (paragraph) 您可以在“我的-设置-注销”里注销账号，我们在15天内处理。" in shown
    record = json.loads(maintainer("corpus", "show", "甲", "--outline", "--json")[1])
    assert [clause["path"] for clause in record["clauses"]] == [["一、收集"], ["二、注销"]]


def test_a_text_that_reads_like_no_policy_is_taken_with_a_word_about_it(maintainer: Maintainer) -> None:
    code, out, err = maintainer("corpus", "add", maintainer.file("天气.txt", "今天天气不错。\n明天也好。"))
    assert code == EXIT_ANSWERED and out.startswith("added 天气")
    assert "does not read like a privacy policy" in err


def test_a_dry_run_shows_the_outline_and_changes_nothing(maintainer: Maintainer) -> None:
    code, out, _ = maintainer("corpus", "add", maintainer.file("甲.txt", OLD), "--dry-run")
    assert code == EXIT_ANSWERED
    assert "# 一、收集\n" in out and "我们收集手机号码" in out
    assert not maintainer.index.exists()
    assert maintainer.prepared == 0
    maintainer("corpus", "add", maintainer.folder / "甲.txt")
    assert maintainer.prepared == 1


def test_reading_the_default_index_makes_it_where_it_was_never_opened(
    maintainer: Maintainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare() -> None:
        build_index([Policy("甲应用", OLD)], maintainer.index, FakeEncoder())
        maintainer.prepared += 1

    monkeypatch.setattr(maintainer, "prepare", prepare)
    assert maintainer("corpus", "add", maintainer.file("乙应用.txt", OLD), "--dry-run")[0] == EXIT_ANSWERED
    assert (maintainer.prepared, maintainer.index.exists()) == (0, False)
    code, out, err = maintainer("corpus", "list")
    assert (code, out.split(" · ")[0], err) == (EXIT_ANSWERED, "甲应用", "")
    maintainer("corpus", "list")
    assert maintainer.prepared == 1
    code, _, err = maintainer("corpus", "list", "--index", maintainer.folder / "own")
    assert (code, "wentiao index build --policies FOLDER" in err) == (EXIT_UNUSABLE, True)
    assert maintainer.prepared == 1


def test_what_a_file_holds_moves_no_cursor(maintainer: Maintainer) -> None:
    policy = Policy("甲\x1b[2J", OLD, operator="公司\u202e", aliases=("\x07",))
    build_index([policy], maintainer.index, FakeEncoder())
    for arguments in (("list",), ("show", policy.app, "--outline"), ("remove", "乙\x1b[2J")):
        _, out, err = maintainer("corpus", *arguments)
        assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_the_good_files_of_a_batch_go_in_and_the_bad_ones_are_named(maintainer: Maintainer) -> None:
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD))
    archive = maintainer.folder / "batch.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("乙.txt", OLD)
        zipped.writestr("甲.txt", NEW)
        zipped.writestr("空.txt", "")
        zipped.writestr("线.txt", "-----\n=====")
        zipped.writestr("图.png", b"\x89PNG")
    code, out, err = maintainer("corpus", "add", archive)
    assert code == EXIT_DECLINED
    assert out.startswith("added 乙 ") and out.count("\n") == 1
    assert "空.txt: " in err and "线.txt: holds no clause" in err and "图.png: " in err
    assert "甲 is in the index with another text; for a new version: wentiao corpus update FILE --app 甲" in err
    assert [version.app for version in read_manifest(maintainer.index).current] == ["甲", "乙"]


def test_an_update_keeps_the_old_version_and_what_was_stated_and_a_diff_shows_the_words(maintainer: Maintainer) -> None:
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD), "--operator", "甲公司", "--alias", "小甲")
    code, out, _ = maintainer("corpus", "update", maintainer.file("甲2.txt", NEW), "--app", "甲")
    assert code == EXIT_ANSWERED and out.startswith("甲 has the new version ")
    shown = maintainer("corpus", "show", "甲")[1]
    assert "operator: 甲公司" in shown and "小甲" in shown and "version 2: " in shown
    code, out, _ = maintainer("corpus", "diff", "甲")
    assert code == EXIT_DECLINED
    assert "[-15天-]" in out or "[-15-]" in out
    assert "我们不向未成年人提供服务" in out
    assert maintainer("corpus", "diff", "甲", "1")[1] == out == maintainer("corpus", "diff", "甲", "1", "2")[1]
    record = json.loads(maintainer("corpus", "diff", "甲", "--json")[1])
    assert sorted(change["kind"] for change in record["changes"]) == ["added", "reworded"]
    assert maintainer("corpus", "diff", "甲", "2", "2")[0] == EXIT_ANSWERED
    assert "一个" not in maintainer("corpus", "show", "甲", "--version", "1")[1]


def test_what_is_stated_is_corrected_without_a_file(maintainer: Maintainer) -> None:
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD))
    code, out, _ = maintainer("corpus", "update", "--app", "甲", "--contact", "400-1", "--updated", "2024-05-06")
    assert code == EXIT_ANSWERED and out.startswith("corrected what is stated about 甲 ")
    shown = maintainer("corpus", "show", "甲")[1]
    assert "contact: 400-1" in shown and "updated: 2024-05-06" in shown and "version 2" not in shown
    maintainer("corpus", "update", "--app", "甲", "--alias", "小甲")
    assert "aliases: 小甲\n" in maintainer("corpus", "show", "甲")[1]
    maintainer("corpus", "update", "--app", "小甲", "--alias", "甲甲", "--contact", "")
    assert "aliases: 小甲、甲甲\n" in maintainer("corpus", "show", "小甲")[1]
    assert "contact: —\n" in maintainer("corpus", "show", "甲甲")[1]
    maintainer("corpus", "update", "--app", "甲", "--drop-alias", "小甲", "--alias", "甲")
    assert "aliases: 甲甲\n" in maintainer("corpus", "show", "甲")[1]
    maintainer("corpus", "add", maintainer.folder / "甲.txt", "--operator", "甲公司")
    assert "operator: 甲公司\n" in maintainer("corpus", "show", "甲")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("update",), "say which app"),
        (("update", "--app", "丙"), "no app '丙'"),
        (("update", "--app", "甲", "--updated", "6.5.2024"), "a date is YYYY-MM-DD"),
        (("remove", "丙"), "no app '丙'"),
        (("remove", "甲"), "delete its folder"),
        (("show", "丙"), "no app '丙'"),
        (("show", "甲", "--version", "9"), "'9' names no version"),
        (("diff", "甲", "1", "1", "1"), "one version or two, got 3"),
        (("snapshot", "a b"), "snapshot's name"),
        (("restore", "weg"), "no snapshot 'weg'"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    maintainer: Maintainer, arguments: tuple[str, ...], said: str
) -> None:
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD))
    before = read_manifest(maintainer.index)
    code, out, err = maintainer("corpus", *arguments)
    assert (code, out) == (EXIT_USAGE, "")
    assert said in err
    assert read_manifest(maintainer.index) == before


def test_a_snapshot_is_taken_listed_and_gone_back_to(maintainer: Maintainer) -> None:
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD))
    assert maintainer("corpus", "snapshot", "before")[1] == "before · apps: 1\n"
    maintainer("corpus", "add", maintainer.file("乙.txt", OLD))
    assert maintainer("corpus", "snapshots")[1] == "before · apps: 1\n"
    assert maintainer("corpus", "restore", "before")[:2] == (EXIT_ANSWERED, "back to before, apps: 1\n")
    assert [version.app for version in read_manifest(maintainer.index).current] == ["甲"]
    assert maintainer("corpus", "forget", "before") == (EXIT_ANSWERED, "", "")
    assert maintainer("corpus", "snapshots")[1] == ""
    assert maintainer("corpus", "prune")[1].startswith("freed 0.")


def test_an_export_is_what_another_index_is_made_of(maintainer: Maintainer) -> None:
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD), "--operator", "甲公司")
    folder = maintainer.folder / "out"
    assert maintainer("corpus", "export", folder)[1] == f"policies written to {folder}: 1\n"
    other = maintainer.folder / "other"
    assert maintainer("corpus", "add", folder, "--index", other)[0] == EXIT_ANSWERED
    versions = [read_manifest(place).versions[0] for place in (maintainer.index, other)]
    assert versions[0].segment == versions[1].segment


def test_where_there_is_no_index_the_command_that_makes_one_is_named(maintainer: Maintainer) -> None:
    for arguments in (("list",), ("show", "甲"), ("remove", "甲"), ("snapshot", "x"), ("export", "out")):
        code, _, err = maintainer("corpus", *arguments)
        assert code == EXIT_UNUSABLE
        assert "wentiao index build" in err


def test_a_damaged_index_is_repaired_by_the_command_that_the_error_names(maintainer: Maintainer) -> None:
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD))
    segment = maintainer.index / "segments" / read_manifest(maintainer.index).versions[0].segment
    (segment / "units.json").write_text("[]")
    code, out, err = maintainer("index", "repair")
    said, aside = out.rstrip("\n").split("\n")
    assert (code, said, err) == (EXIT_ANSWERED, f"the index at {maintainer.index} is whole", "")
    kept = maintainer.index / aside.removeprefix("damaged, and set aside: ")
    assert (kept.name, (kept / "units.json").read_text()) == (segment.name, "[]")
    assert (segment / "units.json").read_text() != "[]"
    maintainer("corpus", "update", maintainer.file("甲.txt", NEW))
    (segment / "policy.json").write_text("{}")
    code, out, _ = maintainer("index", "repair")
    assert code == EXIT_DECLINED
    assert "甲 · undated · " in out and "an old version, no longer to be cited" in out


def test_the_doctor_finds_nothing_wrong_with_a_sound_index_and_names_what_mends_a_damaged_one(
    maintainer: Maintainer,
) -> None:
    stated = ("--operator", "甲公司", "--contact", "400-800-8888", "--effective", "2026-01-01")
    maintainer("corpus", "add", maintainer.file("甲.txt", OLD), *stated)
    assert maintainer("doctor")[:2] == (EXIT_ANSWERED, f"{maintainer.index}: errors: 0, warnings: 0, notes: 0\n")
    segment = maintainer.index / "segments" / read_manifest(maintainer.index).versions[0].segment
    (segment / "vectors.npy").unlink()
    code, out, _ = maintainer("doctor")
    assert code == EXIT_DECLINED
    assert "vectors.npy" in out and f"wentiao index repair --out {maintainer.index}" in out
    assert json.loads(maintainer("doctor", "--json")[1])[0]["severity"] == "error"
    assert maintainer("index", "repair")[0] == EXIT_ANSWERED
    assert maintainer("doctor")[0] == EXIT_ANSWERED


def test_what_changes_an_index_is_published_where_its_vectors_are_searched(maintainer: Maintainer) -> None:
    path, kept = maintainer.file("甲.txt", OLD), maintainer.file("乙.txt", OLD)
    other = maintainer.folder / "other"
    for arguments in (
        ("add", path, kept),
        ("list",),
        ("snapshot", "s"),
        ("remove", "甲"),
        ("restore", "s"),
        ("prune",),
    ):
        assert maintainer("corpus", *arguments)[::2] == (EXIT_ANSWERED, "")
    assert maintainer.published == [maintainer.index] * 4  # not for list and snapshot
    assert maintainer("corpus", "add", path, "--index", other)[0] == EXIT_ANSWERED
    assert maintainer.published[4:] == [other]


def test_what_changes_nothing_is_not_published_and_what_was_taken_in_part_is(maintainer: Maintainer) -> None:
    path, empty = maintainer.file("甲.txt", OLD), maintainer.file("乙.txt", "")
    assert maintainer("corpus", "add", path, "--dry-run")[0] == EXIT_ANSWERED
    assert maintainer.published == []
    assert maintainer("corpus", "add", path, empty)[0] == EXIT_DECLINED
    assert maintainer.published == [maintainer.index]
    assert maintainer("corpus", "update", maintainer.file("甲.txt", NEW), "--dry-run")[0] == EXIT_ANSWERED
    assert maintainer.published == [maintainer.index]


def test_a_store_that_does_not_answer_is_told_and_the_index_is_changed(maintainer: Maintainer) -> None:
    maintainer.store_answers = False
    code, out, err = maintainer("corpus", "add", maintainer.file("甲.txt", OLD))
    assert (code, err) == (EXIT_UNUSABLE, "wentiao: the vector store at milvus://h:1 did not answer\n")
    assert out.startswith("added 甲 (version ")
    assert [version.app for version in read_manifest(maintainer.index).current] == ["甲"]
