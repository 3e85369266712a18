"""What a maintainer does to an index, over the small encoder that counts what it encodes."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.datatypes import Policy
from corpus.load import load_policies
from index.encoder import FakeEncoder
from index.errors import IndexMismatchError, IndexNotBuiltError
from index.maintain import (
    AppError,
    Outcome,
    add_policies,
    export_policies,
    forget_snapshot,
    list_snapshots,
    prune_index,
    read_current,
    remove_apps,
    repair_index,
    restore_snapshot,
    take_snapshot,
    update_policies,
)
from index.manifest import find_version, read_manifest
from index.store import default_index_folder, open_default, open_generation, read_version

FIRST = Policy(
    "甲", "一、收集\n我们收集手机号码。\n二、注销\n您可以在“我的-设置-注销”里注销账号。", updated="2024-01-01"
)
NEWER = Policy("甲", FIRST.text + "\n三、其他\n我们不会出售您的信息。", updated="2025-01-01")
SECOND = Policy("乙", "我们不会共享您的个人信息。", aliases=("小乙",))


class CountingEncoder(FakeEncoder):
    """A fake that counts the texts it encodes; another ``fingerprint`` makes it another model."""

    def __init__(self, fingerprint: str = "counting") -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.encoded = 0

    def encode_passages(self, texts, *, progress=None):
        self.encoded += len(texts)
        return super().encode_passages(texts, progress=progress)


def current_apps(out, encoder):
    return [segment.policy.app for segment in open_generation(out, encoder.fingerprint).segments]


@pytest.fixture
def encoder():
    return CountingEncoder()


@pytest.fixture
def index(tmp_path, encoder):
    add_policies(tmp_path, [FIRST], encoder)
    return tmp_path


def test_an_app_is_added_to_what_is_there_and_only_it_is_encoded(index, encoder):
    before = encoder.encoded
    assert add_policies(index, [SECOND], encoder) == (Outcome("乙", "added", SECOND.policy_id),)
    assert current_apps(index, encoder) == ["甲", "乙"]
    assert encoder.encoded - before == 1


def test_adding_the_same_text_again_changes_nothing(index, encoder):
    generation = open_generation(index, encoder.fingerprint).name
    assert add_policies(index, [FIRST], encoder) == (Outcome("甲", "unchanged", FIRST.policy_id),)
    assert open_generation(index, encoder.fingerprint).name == generation


def test_another_text_of_an_app_that_is_there_is_no_addition(index, encoder):
    with pytest.raises(AppError, match="wentiao corpus update FILE --app 甲"):
        add_policies(index, [SECOND, NEWER], encoder)
    assert current_apps(index, encoder) == ["甲"]


def test_an_update_is_a_new_version_and_the_old_one_is_still_read(index, encoder):
    assert update_policies(index, [NEWER], encoder) == (Outcome("甲", "updated", NEWER.policy_id),)
    generation = open_generation(index, encoder.fingerprint)
    [old, new] = generation.versions_of("甲")
    assert (old.policy_id, old.is_current, old.date) == (FIRST.policy_id, False, "2024-01-01")
    assert (new.policy_id, new.is_current, new.date) == (NEWER.policy_id, True, "2025-01-01")
    policy, clauses = generation.read_version(old)
    assert policy == FIRST
    assert [clause.text for clause in clauses] == ["我们收集手机号码。", "您可以在“我的-设置-注销”里注销账号。"]
    assert [segment.policy for segment in generation.segments] == [NEWER]


def test_going_back_to_an_old_text_makes_it_the_last_version_again(index, encoder):
    update_policies(index, [NEWER], encoder)
    update_policies(index, [FIRST], encoder)
    versions = open_generation(index, encoder.fingerprint).versions_of("甲")
    assert [(one.policy_id, one.is_current) for one in versions] == [
        (NEWER.policy_id, False),
        (FIRST.policy_id, True),
    ]


def test_an_update_of_an_app_that_is_not_there_says_how_to_add_it(index, encoder):
    with pytest.raises(AppError, match=r"no app '乙' \(it has: 甲\)[\s\S]*wentiao corpus add FILE"):
        update_policies(index, [SECOND], encoder)


def test_what_is_stated_about_a_text_is_corrected_without_a_new_version_and_without_encoding(index, encoder):
    before = encoder.encoded
    corrected = replace(read_current(index, "甲"), operator="甲公司", updated="2024-02-02")
    assert update_policies(index, [corrected], encoder) == (Outcome("甲", "corrected", FIRST.policy_id),)
    generation = open_generation(index, encoder.fingerprint)
    assert encoder.encoded == before
    assert [segment.policy.operator for segment in generation.segments] == ["甲公司"]
    assert [version.date for version in generation.versions_of("甲")] == ["2024-02-02"]


def test_an_alias_that_is_another_apps_name_is_dropped_and_named(index, encoder):
    add_policies(index, [SECOND], encoder)
    [outcome] = add_policies(index, [Policy("丙", "我们存储您的信息。", aliases=("小乙", "小丙"))], encoder)
    assert outcome.dropped_aliases == ("小乙",)
    assert read_current(index, "丙").aliases == ("小丙",)
    both = [Policy(app, f"{app}存储您的信息。", aliases=("同名", f"小{app}")) for app in "丁戊"]
    assert [one.dropped_aliases for one in add_policies(index, both, encoder)] == [("同名",), ("同名",)]


def test_a_removed_app_is_gone_and_the_last_one_cannot_be(index, encoder):
    add_policies(index, [SECOND], encoder)
    assert remove_apps(index, ["甲"]) == (Outcome("甲", "removed", FIRST.policy_id),)
    assert current_apps(index, encoder) == ["乙"]
    assert open_generation(index, encoder.fingerprint).versions_of("甲") == ()
    with pytest.raises(AppError, match="甲"):
        remove_apps(index, ["甲"])
    with pytest.raises(AppError, match="delete its folder"):
        remove_apps(index, ["乙"])


def test_an_export_builds_the_same_policies(index, encoder, tmp_path_factory):
    odd = Policy("a/b: 'c'", "我们使用“Cookie”。", aliases=('say "x"',), operator="丁\\公司", contact="a@b.cn")
    add_policies(index, [SECOND, odd], encoder)
    folder = tmp_path_factory.mktemp("export")
    assert [path.name for path in export_policies(index, folder)] == ["甲.txt", "乙.txt", "policy-3.txt"]
    assert {policy.app: policy for policy in load_policies([folder])} == {"甲": FIRST, "乙": SECOND, odd.app: odd}
    with pytest.raises(FileExistsError, match="not empty"):
        export_policies(index, folder)


def test_a_snapshot_is_restored_without_encoding_and_listed_by_name(index, encoder):
    take_snapshot(index, "before")
    update_policies(index, [NEWER], encoder)
    add_policies(index, [SECOND], encoder)
    before = encoder.encoded
    assert [(one.name, one.apps) for one in list_snapshots(index)] == [("before", ("甲",))]
    restore_snapshot(index, "before", encoder)
    generation = open_generation(index, encoder.fingerprint)
    assert [segment.policy for segment in generation.segments] == [FIRST]
    assert encoder.encoded == before
    assert [one.policy_id for one in generation.versions_of("甲")] == [NEWER.policy_id, FIRST.policy_id]
    for app, policy in (("甲", NEWER), ("乙", SECOND)):  # what came after the snapshot can still be cited
        assert generation.read_version(generation.versions_of(app)[0])[0] == policy


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "a\n"])
def test_a_snapshots_name_is_a_plain_word(index, name):
    with pytest.raises(ValueError, match="snapshot's name"):
        take_snapshot(index, name)


def test_a_snapshot_name_is_taken_once_and_an_unknown_one_lists_the_others(index, encoder):
    take_snapshot(index, "eins")
    with pytest.raises(ValueError, match="already"):
        take_snapshot(index, "eins")
    with pytest.raises(ValueError, match="eins"):
        restore_snapshot(index, "zwei", encoder)


def test_a_snapshot_of_another_model_is_restored_by_encoding_its_texts(index):
    take_snapshot(index, "before")
    another = CountingEncoder("another")
    restore_snapshot(index, "before", another)
    assert current_apps(index, another) == ["甲"]
    assert another.encoded > 0


def test_pruning_keeps_what_is_current_or_named(index, encoder):
    update_policies(index, [NEWER], encoder)
    take_snapshot(index, "with")
    add_policies(index, [SECOND], encoder)
    remove_apps(index, ["乙"])
    assert prune_index(index) > 0
    assert len(list((index / "segments").iterdir())) == 2
    assert prune_index(index) == 0
    restore_snapshot(index, "with", encoder)
    generation = open_generation(index, encoder.fingerprint)
    assert generation.read_version(generation.versions_of("甲")[0])[0] == FIRST


def test_a_repair_rewrites_what_is_damaged_from_the_text(index, encoder):
    add_policies(index, [SECOND], encoder)
    [version, _] = read_manifest(index).versions
    damaged = index / "segments" / version.segment / "vectors.npy"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IndexMismatchError, match=f"wentiao index repair --out {index}"):
        open_generation(index, encoder.fingerprint)
    assert repair_index(index, encoder) == ()
    assert current_apps(index, encoder) == ["甲", "乙"]


def test_a_repair_names_the_apps_whose_text_is_gone(index, encoder):
    add_policies(index, [SECOND], encoder)
    [version, _] = read_manifest(index).versions
    (index / "segments" / version.segment / "policy.json").write_text("{}")
    assert [(one.app, one.is_current) for one in repair_index(index, encoder)] == [("甲", True)]
    assert current_apps(index, encoder) == ["乙"]


def test_a_repair_brings_an_index_of_another_model_to_this_one_and_keeps_old_versions(index, encoder):
    update_policies(index, [NEWER], encoder)
    another = CountingEncoder("another")
    assert repair_index(index, another) == ()
    generation = open_generation(index, another.fingerprint)
    assert [segment.policy for segment in generation.segments] == [NEWER]
    assert generation.read_version(generation.versions_of("甲")[0])[0] == FIRST


def test_a_damaged_old_version_is_noticed_when_it_is_read(index, encoder):
    update_policies(index, [NEWER], encoder)
    old, _ = read_manifest(index).versions
    (index / "segments" / old.segment / "clauses.json").write_text("[]")
    open_generation(index, encoder.fingerprint)
    with pytest.raises(IndexMismatchError, match=r"clauses\.json"):
        read_version(index, old)


def test_nothing_is_done_where_there_is_no_index(tmp_path, encoder):
    with pytest.raises(IndexNotBuiltError):
        remove_apps(tmp_path / "none", ["甲"])
    with pytest.raises(IndexNotBuiltError):
        take_snapshot(tmp_path / "none", "x")


def test_a_version_is_named_by_number_date_or_the_beginning_of_its_id(index, encoder):
    update_policies(index, [NEWER], encoder)
    versions = open_generation(index, encoder.fingerprint).versions_of("甲")
    for wanted in ("1", "2024-01-01", FIRST.policy_id[:6]):
        assert find_version(versions, wanted).policy_id == FIRST.policy_id
    with pytest.raises(ValueError, match=f"'3' names no version of '甲'; there are 1: {FIRST.policy_id}"):
        find_version(versions, "3")


def test_the_default_index_keeps_what_was_added_when_the_shipped_policies_change(tmp_path, monkeypatch, encoder):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "甲.txt").write_text(FIRST.text)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("index.store.default_policies_folder", lambda: shipped)
    open_default(encoder)
    add_policies(default_index_folder(), [SECOND], encoder)
    (shipped / "甲.txt").write_text(NEWER.text)
    generation = open_default(encoder)
    assert [segment.policy.text for segment in generation.segments] == [NEWER.text, SECOND.text]
    assert len(generation.versions_of("甲")) == 2
    update_policies(default_index_folder(), [replace(FIRST, text="我们什么也不收集。")], encoder)
    (shipped / "甲.txt").write_text(FIRST.text)
    assert [one.policy.text for one in open_default(encoder).segments] == ["我们什么也不收集。", SECOND.text]


def test_a_damaged_default_index_is_made_again(tmp_path, monkeypatch, encoder):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    shipped = open_default(encoder)
    shutil.rmtree(default_index_folder() / "segments" / shipped.segments[0].name)
    assert [one.policy for one in open_default(encoder).segments] == [one.policy for one in shipped.segments]


def test_a_snapshot_whose_generation_is_gone_says_how_to_be_rid_of_it(index):
    take_snapshot(index, "before")
    (index / "snapshots" / "before").write_text("")
    with pytest.raises(IndexMismatchError, match=f"wentiao corpus forget before --index {index}"):
        list_snapshots(index)
    forget_snapshot(index, "before")
    assert list_snapshots(index) == ()
    for name in ("before", "../CURRENT"):
        with pytest.raises(ValueError, match="no snapshot"):
            forget_snapshot(index, name)


def test_a_text_that_is_as_it_was_written_and_yet_no_policy_is_damage(index, encoder):
    [version] = read_manifest(index).versions
    path = index / "segments" / version.segment / "policy.json"
    path.write_text('{"aliases": []}')
    changed = replace(version, files={**version.files, "policy.json": hashlib.sha256(path.read_bytes()).hexdigest()})
    with pytest.raises(IndexMismatchError, match="wentiao index repair"):
        read_version(index, changed)


@pytest.mark.parametrize("damage", ["gone", "emptied", "manifest gone"])
def test_an_index_that_lost_what_names_its_generation_is_not_taken_for_a_new_one(index, encoder, damage):
    update_policies(index, [NEWER], encoder)
    current = index / "CURRENT"
    if damage == "manifest gone":
        (index / "generations" / f"{current.read_text().strip()}.json").unlink()
    elif damage == "gone":
        current.unlink()
    else:
        current.write_text("")
    for change in (lambda: add_policies(index, [SECOND], encoder), lambda: prune_index(index)):
        with pytest.raises(IndexMismatchError, match=f"wentiao index repair --out {index}"):
            change()
    assert repair_index(index, encoder) == ()
    # The generation that was written last of those that are left.
    expected = FIRST if damage == "manifest gone" else NEWER
    assert [one.policy for one in open_generation(index, encoder.fingerprint).segments] == [expected]


@pytest.mark.parametrize("step", ["moved away", "before the new one is in place"])
def test_a_repair_that_is_killed_between_its_renames_loses_no_text(index, encoder, monkeypatch, step):
    [version] = read_manifest(index).versions
    folder = index / "segments" / version.segment
    content = (folder / "vectors.npy").read_bytes()
    (folder / "vectors.npy").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    rename = Path.rename

    def killed(self, target):
        if self == folder and step == "moved away":
            rename(self, target)
            raise KeyboardInterrupt
        if Path(target) == folder:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        repair_index(index, encoder)
    monkeypatch.undo()
    assert repair_index(index, encoder) == ()
    assert [one.policy for one in open_generation(index, encoder.fingerprint).segments] == [FIRST]
    assert not list((index / "segments").glob(".partial-*"))


def test_a_snapshot_is_restored_from_its_texts_where_a_segment_is_another_than_it_was(index, encoder):
    take_snapshot(index, "before")
    [version] = read_manifest(index).versions
    folder = index / "segments" / version.segment
    (folder / "units.json").write_text((folder / "units.json").read_text() + " ")
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}
    restore_snapshot(index, "before", encoder)
    assert files["units.json"] != version.files["units.json"]
    assert current_apps(index, encoder) == ["甲"]


def test_a_repair_lets_the_version_before_answer_for_an_app_whose_current_text_is_gone(index, encoder):
    update_policies(index, [NEWER], encoder)
    add_policies(index, [SECOND], encoder)
    _, newer, _ = read_manifest(index).versions
    (index / "segments" / newer.segment / "policy.json").write_text("{}")
    assert [one.policy_id for one in repair_index(index, encoder)] == [NEWER.policy_id]
    generation = open_generation(index, encoder.fingerprint)
    assert [segment.policy for segment in generation.segments] == [FIRST, SECOND]
    assert len(generation.versions) == 2
    update_policies(index, [NEWER], encoder)
    generation = open_generation(index, encoder.fingerprint)
    assert [one.policy_id for one in generation.versions_of("甲")] == [FIRST.policy_id, NEWER.policy_id]
    assert generation.read_version(generation.versions_of("甲")[0])[0] == FIRST


def test_a_repair_brings_back_the_same_text_with_what_was_stated_before(index, encoder):
    add_policies(index, [SECOND], encoder)
    update_policies(index, [NEWER], encoder)
    update_policies(index, [replace(NEWER, operator="某公司")], encoder)
    current = read_manifest(index).current[0]
    shutil.rmtree(index / "segments" / current.segment)
    assert [one.policy_id for one in repair_index(index, encoder)] == [NEWER.policy_id]
    generation = open_generation(index, encoder.fingerprint)
    assert [segment.policy for segment in generation.segments] == [NEWER, SECOND]
    assert [one.policy_id for one in generation.versions_of("甲")] == [FIRST.policy_id, NEWER.policy_id]


def test_a_repair_brings_back_what_only_an_earlier_generation_has(index, encoder):
    add_policies(index, [SECOND], encoder)
    remove_apps(index, ["甲"])
    add_policies(index, [NEWER], encoder)
    [lost] = [one for one in read_manifest(index).current if one.app == "甲"]
    (index / "segments" / lost.segment / "clauses.json").unlink()
    assert [one.policy_id for one in repair_index(index, encoder)] == [NEWER.policy_id]
    segments = open_generation(index, encoder.fingerprint).segments
    assert [segment.policy for segment in segments] == [SECOND, FIRST]
    assert not (index / "segments" / lost.segment).exists()
