"""The doctor finds what is planted in a small index, names its place and its command, and the command mends it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest

from corpus.datatypes import Policy
from corpus.load import default_policies_folder, load_policies
from corpus.messages import messages
from index.doctor import (
    Finding,
    FindingKind,
    describe_finding,
    examine_index,
    exit_code,
    mend_index,
)
from index.encoder import FakeEncoder
from index.journal import encode_packed
from index.maintain import (
    add_policies,
    forget_snapshot,
    prune_index,
    read_current,
    remove_apps,
    repair_index,
    take_snapshot,
    update_policies,
)
from index.manifest import hash_files, read_manifest, write_generation
from index.segment import Segment, _first_units
from index.storage import list_quarantine
from index.store import CHECKSUMS, build_index, default_index_folder, open_default, open_generation
from index.units import clause_units
from web.cli import make_parser

TODAY = date(2025, 6, 1)
STATED = {"operator": "某某科技有限公司", "updated": "2025-01-01", "contact": "400-0000-000"}
FIRST = Policy(
    "甲",
    "目录\n一、信息的收集\n二、账号的注销\n三、信息的共享\n四、政策的更新\n"
    "一、信息的收集\n我们收集您的手机号码,用于注册账号。我们收集设备型号,用于排查故障。\n您可以拒绝提供这些信息。\n"
    "二、账号的注销\n您可以在“我的-设置-注销”里注销账号。\n我们会在十五天内处理您的请求。\n"
    "三、信息的共享\n我们不会向第三方共享您的信息。\n法律法规另有规定的除外。\n"
    "四、政策的更新\n我们会在页面上公布新的政策。\n重大变更会以弹窗的形式告知。",
    aliases=("小甲",),
    **STATED,
)
SECOND = Policy("乙", "我们存储您的订单信息。\n订单信息保存三年。", aliases=("小乙",), **STATED)


def examine(out: Path, encoder: FakeEncoder | None = None) -> tuple[Finding, ...]:
    encoder = encoder or FakeEncoder()
    return examine_index(
        out,
        encoder_fingerprint=encoder.fingerprint,
        dimension=encoder.dimension,
        token_dimension=encoder.token_dimension,
        today=TODAY,
    )


def bad(out: Path) -> list[str]:
    """Return the kinds of all that is more than a note."""
    return [finding.kind for finding in examine(out) if finding.severity != "note"]


def find(out: Path, kind: FindingKind) -> Finding:
    """Return the one finding of that kind."""
    [finding] = [finding for finding in examine(out) if finding.kind == kind]
    return finding


def segment_of(out: Path, app: str) -> str:
    return next(one.segment for one in read_manifest(out).versions if one.app == app and one.is_current)


def rewrite_hashes(out: Path, name: str) -> None:
    """Make the checksums of a segment, and the manifest, those of the files that are there now."""
    folder = out / "segments" / name
    (folder / CHECKSUMS).unlink()
    (folder / CHECKSUMS).write_text(json.dumps(hash_files(folder), sort_keys=True))
    manifest = read_manifest(out)
    versions = tuple(
        replace(one, files=hash_files(folder)) if one.segment == name else one for one in manifest.versions
    )
    write_generation(out, replace(manifest, versions=versions))
    prune_index(out)


def plant(out: Path, app: str, edit: Callable[[Segment], Segment]) -> str:
    """Change a segment and all hashes with it, so that its files are as written; return the place of its files."""
    name = segment_of(out, app)
    folder = out / "segments" / name
    edited = edit(Segment.load(folder))
    shutil.rmtree(folder)
    edited.save(folder)
    (folder / CHECKSUMS).write_text("{}")
    rewrite_hashes(out, name)
    return f"segments/{name}"


@pytest.fixture
def index(tmp_path):
    out = tmp_path / "an index"
    build_index([FIRST, SECOND], out, FakeEncoder())
    return out


@pytest.fixture
def repair(index):
    return f"wentiao index repair --out {shlex.quote(str(index))}"


def test_nothing_is_wrong_with_a_sound_index(index):
    assert examine(index) == ()
    assert examine_index(index, today=TODAY) == ()
    assert exit_code(()) == 0


def test_nothing_is_more_than_a_note_in_the_shipped_policies(tmp_path):
    build_index(load_policies([default_policies_folder()]), tmp_path, FakeEncoder())
    assert bad(tmp_path) == []
    assert {finding.kind for finding in examine(tmp_path)} == {"unstated"}


# -- files


def test_a_damaged_file_is_found_and_repaired(index, repair):
    path = index / "segments" / segment_of(index, "甲") / "vectors.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    finding = find(index, "file_damaged")
    assert (finding.place, finding.command, finding.severity) == (str(path.relative_to(index)), repair, "error")
    assert exit_code([finding]) == 1
    repair_index(index, FakeEncoder())
    assert bad(index) == []


def test_a_missing_and_an_unknown_file_are_found_and_repaired(index, repair):
    folder = index / "segments" / segment_of(index, "乙")
    (folder / "units.json").unlink()
    (folder / "notes.txt").write_text("x")
    for kind, name in (("file_missing", "units.json"), ("file_unknown", "notes.txt")):
        finding = find(index, kind)
        assert (finding.place, finding.command) == (f"segments/{folder.name}/{name}", repair)
    repair_index(index, FakeEncoder())
    assert bad(index) == []


def test_a_lost_text_is_taken_out_by_repair_and_its_file_added_again(index, repair):
    (index / "segments" / segment_of(index, "乙") / "policy.json").write_text("{}")
    finding = find(index, "text_lost")
    add = f"wentiao corpus add FILE --app '乙' --index {shlex.quote(str(index))}"
    assert (finding.place, finding.command) == ("乙", f"{repair} && {add}")
    assert [version.app for version in repair_index(index, FakeEncoder())] == ["乙"]
    add_policies(index, [SECOND], FakeEncoder())
    prune_index(index, quarantine=True)
    assert examine(index) == ()


def test_a_lost_text_with_an_earlier_version_that_is_whole_is_replaced_by_that(tmp_path):
    newer = replace(SECOND, text=SECOND.text + "\n我们不会出售它。")
    build_index([replace(SECOND, updated="2025-01-01")], tmp_path, FakeEncoder())
    update_policies(tmp_path, [newer], FakeEncoder())
    (tmp_path / "segments" / segment_of(tmp_path, "乙") / "policy.json").write_text("{}")
    finding = find(tmp_path, "text_replaced")
    assert (finding.severity, finding.place, finding.detail["version"]) == ("error", "乙", SECOND.policy_id[:12])
    update = f"wentiao corpus update FILE --app '乙' --index {tmp_path}"
    assert finding.command == f"wentiao index repair --out {tmp_path} && {update}"
    repair_index(tmp_path, FakeEncoder())
    update_policies(tmp_path, [newer], FakeEncoder())
    assert bad(tmp_path) == []
    assert [one.policy_id for one in read_manifest(tmp_path).current] == [newer.policy_id]


def test_the_lost_text_of_the_only_app_wants_a_new_index(tmp_path):
    build_index([SECOND], tmp_path, FakeEncoder())
    shutil.rmtree(tmp_path / "segments" / segment_of(tmp_path, "乙"))
    assert find(tmp_path, "text_lost").command == f"wentiao index build --policies FOLDER --out {tmp_path}"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0" * 64])
def test_a_damaged_current_is_found_and_a_repair_mends_it(index, content):
    (index / "CURRENT").write_bytes(content)
    [finding] = examine(index)
    repair = f"wentiao index repair --out {shlex.quote(str(index))}"
    assert (finding.kind, finding.place, finding.command) == ("current_damaged", "CURRENT", repair)
    assert mend_index(index, FakeEncoder()) == ()
    assert bad(index) == []


def test_where_there_is_no_index_the_command_builds_one(tmp_path):
    [finding] = examine(tmp_path / "none")
    assert (finding.kind, finding.severity) == ("index_missing", "error")
    assert finding.command == f"wentiao index build --policies FOLDER --out {tmp_path / 'none'}"


def test_a_damaged_manifest_is_found(index):
    [path] = (index / "generations").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert [finding.kind for finding in examine(index)] == ["current_damaged"]


def test_orphans_and_leftovers_are_found_and_pruned(index):
    segments = index / "segments"
    shutil.copytree(segments / segment_of(index, "乙"), segments / ("0" * 32))
    (index / "generations" / "broken.json").write_text("{")
    (segments / ".partial-x").mkdir()
    prune = f"wentiao corpus prune --index {shlex.quote(str(index))}"
    found = [(one.kind, one.place, one.command, one.severity) for one in examine(index)]
    assert sorted(found) == [
        ("leftover", "segments/.partial-x", prune, "note"),
        ("orphan", "generations/broken.json", prune, "note"),
        ("orphan", f"segments/{'0' * 32}", prune, "note"),
    ]
    prune_index(index)
    assert examine(index) == ()


def test_leftovers_of_single_files_are_found_and_pruned(index):
    (index / "snapshots").mkdir()
    paths = [index / ".partial-a", index / "snapshots" / ".partial-b"]
    for path in paths:
        path.write_text("x")
    found = [(one.kind, one.place, one.command) for one in examine(index)]
    assert found == [
        ("leftover", ".partial-a", f"wentiao corpus prune --index {shlex.quote(str(index))}"),
        ("leftover", "snapshots/.partial-b", f"wentiao corpus prune --index {shlex.quote(str(index))}"),
    ]
    prune_index(index)
    assert examine(index) == ()


@dataclass
class HalfFilledStore:
    """A vector store that lacks some segments; it notes what it was opened for and that it was closed."""

    lacking: tuple[str, ...]
    opened: list[object] = field(default_factory=list)

    def open(self, address: str, out: Path, *, fingerprint: str, dimension: int) -> HalfFilledStore:
        self.opened.append((address, out, fingerprint, dimension))
        return self

    def missing(self, segments):
        return tuple(name for name in segments if name in self.lacking)

    def close(self) -> None:
        self.opened.append("closed")


def test_the_password_of_the_store_is_not_shown_with_what_it_lacks(index, monkeypatch):
    store = HalfFilledStore((segment_of(index, "乙"),))
    monkeypatch.setattr("index.doctor.open_store", store.open)
    [finding] = examine_index(index, today=TODAY, store="milvus://root:secret@h:1")
    assert finding.place == "milvus://h:1" and "secret" not in repr(finding)
    assert store.opened[0][0] == "milvus://root:secret@h:1"


def test_vectors_that_the_store_lacks_are_found_with_what_puts_them_there(index, monkeypatch):
    store = HalfFilledStore((segment_of(index, "乙"),))
    monkeypatch.setattr("index.doctor.open_store", store.open)
    [finding] = examine_index(index, today=TODAY, store="milvus://h:1")
    assert (finding.kind, finding.severity, finding.place) == ("store_lacks", "warning", "milvus://h:1")
    assert (finding.detail, finding.command) == ({"count": 1, "total": 2}, "wentiao apps")
    assert store.opened == [("milvus://h:1", index, FakeEncoder().fingerprint, 256), "closed"]
    store.lacking = ()
    assert examine_index(index, today=TODAY, store="milvus://h:1") == ()


def test_where_the_default_index_is_missing_no_folder_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    [finding] = examine_index(default_index_folder())
    assert (finding.kind, finding.command) == ("index_missing", "wentiao index build")
    [finding] = examine_index(tmp_path)
    assert finding.command == f"wentiao index build --policies FOLDER --out {tmp_path}"


def test_what_was_set_aside_is_a_note_until_the_maintainer_has_it_pruned(index):
    name = segment_of(index, "甲")
    (index / "segments" / name / "units.json").write_text("[]")
    assert repair_index(index, FakeEncoder()) == ()
    [place] = list_quarantine(index)
    assert (index / place / "units.json").read_text() == "[]"
    assert place.endswith(f"Z/segments/{name}") and place.startswith("quarantine/")
    finding = find(index, "quarantined")
    prune = f"wentiao corpus prune --index {shlex.quote(str(index))} --quarantine"
    assert (finding.severity, finding.detail["count"], finding.command) == ("note", 1, prune)
    prune_index(index)
    assert (index / place / "units.json").exists()
    assert prune_index(index, quarantine=True) > 0
    assert not (index / "quarantine").exists() and examine(index) == ()


def test_what_only_earlier_generations_use_is_a_note_and_pruned(index):
    update_policies(index, [replace(SECOND, contact="a@b.cn")], FakeEncoder())
    finding = find(index, "superseded")
    assert (finding.severity, finding.detail["count"]) == ("note", 2)
    take_snapshot(index, "kept")
    prune_index(index)
    assert examine(index) == ()


@pytest.mark.parametrize(("content", "kind"), [("", "snapshot_empty"), ("0" * 64, "snapshot_lost")])
def test_a_snapshot_that_names_nothing_is_found_and_forgotten(index, content, kind):
    take_snapshot(index, "before")
    path = index / "snapshots" / "before"
    path.write_text(content)
    finding = find(index, kind)
    command = f"wentiao corpus forget before --index {shlex.quote(str(index))}"
    assert (finding.place, finding.command) == ("snapshots/before", command)
    forget_snapshot(index, "before")
    assert examine(index) == ()


def test_a_snapshot_whose_text_is_damaged_cannot_be_restored(index):
    take_snapshot(index, "before")
    lost = segment_of(index, "乙")
    remove_apps(index, ["乙"])
    (index / "segments" / lost / "clauses.json").write_text("[]")
    assert bad(index) == ["snapshot_lost"]


def test_a_damaged_old_version_is_found_and_taken_out_by_repair(index, repair):
    old = segment_of(index, "乙")
    update_policies(index, [replace(SECOND, text=SECOND.text + "\n我们不会出售它。")], FakeEncoder())
    (index / "segments" / old / "clauses.json").write_text("[]")
    finding = find(index, "old_text_lost")
    assert finding.place == f"乙 · {SECOND.policy_id} · segments/{old}"
    assert finding.command == repair
    repair_index(index, FakeEncoder())
    assert bad(index) == []
    assert len(open_generation(index, FakeEncoder().fingerprint).versions_of("乙")) == 1


# -- what made it


def test_another_model_parser_and_format_are_found_and_repaired(index, repair):
    manifest = read_manifest(index)
    other = {**manifest.made_by, "encoder": "another", "parser": "0", "format": "0"}
    write_generation(index, replace(manifest, made_by=other))
    found = [one for one in examine(index) if one.kind == "made_differently"]
    assert [one.detail["part"] for one in found] == ["part_encoder", "part_format", "part_parser"]
    assert {one.command for one in found} == {repair}
    unknown_model = [one.detail.get("part") for one in examine_index(index, today=TODAY) if one.severity == "error"]
    assert unknown_model == ["part_format", "part_parser"]
    mend_index(index, FakeEncoder())
    assert bad(index) == []


def test_a_default_index_of_other_shipped_policies_is_found_and_opening_mends_it(tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "甲.txt").write_text(FIRST.text)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for module in ("store", "doctor"):
        monkeypatch.setattr(f"index.{module}.default_policies_folder", lambda: shipped)
    open_default(FakeEncoder())
    out = default_index_folder()
    assert bad(out) == []
    (shipped / "甲.txt").write_text(FIRST.text + "\n我们不会出售它。")
    assert find(out, "shipped_differs").command == "wentiao apps"
    open_default(FakeEncoder())
    assert bad(out) == []


def test_a_manifest_that_says_other_than_the_policy_is_repaired(index, repair):
    manifest = read_manifest(index)
    first, second = manifest.versions
    write_generation(index, replace(manifest, versions=(first, replace(second, date="1999-01-01"))))
    finding = find(index, "record_differs")
    assert (finding.place, finding.detail["part"], finding.command) == ("乙", "part_date", repair)
    repair_index(index, FakeEncoder())
    assert bad(index) == []


def test_an_app_with_two_current_versions_is_found_and_removed(index):
    manifest = read_manifest(index)
    other = replace(SECOND, text="我们什么也不存储。")
    update_policies(index, [other], FakeEncoder())
    newer = [one for one in read_manifest(index).versions if one.policy_id == other.policy_id]
    write_generation(index, replace(manifest, versions=(*manifest.versions, *newer)))
    finding = find(index, "app_twice")
    assert (finding.place, finding.detail["count"]) == ("乙", 2)
    assert finding.command == f"wentiao corpus remove '乙' --index {shlex.quote(str(index))}"
    remove_apps(index, ["乙"])
    assert bad(index) == []


# -- faults in files that are as they were written


def scaled(segment: Segment) -> Segment:
    vectors = segment.vectors.copy()
    vectors[1] *= 1.02
    return replace(segment, vectors=vectors)


def undefined(segment: Segment) -> Segment:
    vectors = segment.vectors.copy()
    vectors[2:4, 0] = np.nan, np.inf
    return replace(segment, vectors=vectors)


def narrow(segment: Segment) -> Segment:
    return replace(segment, vectors=FakeEncoder(64).encode_passages(["x"] * len(segment.units)).vectors)


def one_vector_less(segment: Segment) -> Segment:
    return replace(segment, vectors=segment.vectors[:-1])


def other_units(segment: Segment) -> Segment:
    units = tuple(replace(unit, end=unit.end - 1) for unit in segment.units)
    return replace(segment, units=units)


def flat(segment: Segment) -> Segment:
    return replace(segment, vectors=segment.vectors[0])


@pytest.mark.parametrize(
    ("edit", "kind", "file", "detail"),
    [
        (scaled, "norm", "vectors.npy", {"app": "甲", "count": 1, "row": 2, "length": "1.02"}),
        (undefined, "not_finite", "vectors.npy", {"app": "甲", "count": 2, "row": 3}),
        (narrow, "dimension", "vectors.npy", {"app": "甲", "found": 64, "expected": 256}),
        (one_vector_less, "array_length", "vectors.npy", {"app": "甲", "found": 9, "expected": 10}),
        (other_units, "units_differ", "units.json", {"app": "甲"}),
        (flat, "unreadable", "vectors.npy", {"app": "甲"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_arrays_that_are_wrong_as_written_are_found_and_made_anew(index, repair, edit, kind, file, detail):
    place = plant(index, "甲", edit)
    [finding] = examine(index)
    assert (finding.kind, finding.place, finding.command) == (kind, f"{place}/{file}", repair)
    assert dict(finding.detail) == detail
    assert mend_index(index, FakeEncoder()) == ()
    prune_index(index, quarantine=True)
    assert examine(index) == ()


def test_without_a_model_the_dimension_of_most_segments_is_expected(index):
    add_policies(index, [Policy("丙", "我们不会出售您的信息。", **STATED)], FakeEncoder())
    plant(index, "甲", narrow)
    [finding] = examine_index(index, today=TODAY)
    assert (finding.kind, finding.detail["found"], finding.detail["expected"]) == ("dimension", 64, 256)


def with_clauses(segment: Segment, clauses) -> Segment:
    """Give a segment other clauses and everything that fits them."""
    units = clause_units(clauses)
    return replace(
        Segment.make(segment.name, segment.policy, clauses, partial(encode_packed, encoder=FakeEncoder())),
        units=units,
        token_starts=np.zeros(len(_first_units(units, len(clauses))) + 1, np.int64),
    )


def dropped(segment: Segment) -> Segment:
    return with_clauses(segment, segment.clauses[:3] + segment.clauses[4:])


def shifted(segment: Segment) -> Segment:
    clauses = list(segment.clauses)
    clauses[2] = replace(clauses[2], text=clauses[2].text.replace("注销", "删除"))
    return with_clauses(segment, tuple(clauses))


def doubled(segment: Segment) -> Segment:
    clauses = list(segment.clauses)
    start = clauses[2].start - 3
    clauses[2] = replace(clauses[2], start=start, text=segment.policy.text[start : clauses[2].end])
    clauses[1] = replace(clauses[1], end=start + 1, text=segment.policy.text[clauses[1].start : start + 1])
    return with_clauses(segment, tuple(clauses))


def renamed(segment: Segment) -> Segment:
    clauses = tuple(replace(clause, path=("一、别的",)) for clause in segment.clauses)
    return with_clauses(segment, clauses)


def with_contents(segment: Segment) -> Segment:
    """Make clauses of the contents list at the head."""
    listed = []
    offset = len("目录\n")
    for number, line in enumerate(FIRST.text.split("\n")[1:5]):
        clause = replace(segment.clauses[0], start=offset, end=offset + len(line), text=line, path=(), label="")
        listed.append(replace(clause, clause_id=f"{clause.policy_id}.9{number:03d}"))
        offset += len(line) + 1
    return with_clauses(segment, (*listed, *segment.clauses))


@pytest.mark.parametrize(
    ("edit", "kind", "place", "detail"),
    [
        (dropped, "coverage", "甲", {"count": 15, "percent": "92.27", "line": 11}),
        (shifted, "offsets", f"甲 · 二 · {FIRST.policy_id}.0002", {"count": 1, "line": 10}),
        (doubled, "overlap", "甲", {"count": 1, "line": 9}),
        (renamed, "clauses_differ", "甲", {}),
        (with_contents, "contents_taken", f"甲 · — · {FIRST.policy_id}.9000", {"count": 4, "line": 2}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_clauses_that_are_wrong_as_written_are_found_and_made_anew(index, repair, edit, kind, place, detail):
    plant(index, "甲", edit)
    [finding] = examine(index)
    assert (finding.kind, finding.place, finding.command) == (kind, place, repair)
    assert dict(finding.detail) == detail
    mend_index(index, FakeEncoder())
    prune_index(index, quarantine=True)
    assert examine(index) == ()


# -- what the texts themselves are like


def renew(app: str, index: Path) -> str:
    return f"wentiao corpus update FILE --app '{app}' --index {shlex.quote(str(index))}"


def test_a_sentence_that_the_model_does_not_read_to_its_end_is_found_and_a_new_text_mends_it(index):
    long = "我们收集" + "手机号码和设备型号以及" * 90 + "其他信息。"
    update_policies(index, [replace(SECOND, text=f"{SECOND.text}\n{long}")], FakeEncoder())
    finding = find(index, "sentence_too_long")
    policy = read_current(index, "乙")
    assert (finding.place, finding.command) == (f"乙 · — · {policy.policy_id}.0002", renew("乙", index))
    assert dict(finding.detail) == {"tokens": 654, "limit": 512, "characters": len(long), "unread": 217}
    counted = examine_index(index, count_tokens=lambda texts: [512 for _ in texts], today=TODAY)
    assert "sentence_too_long" not in [one.kind for one in counted]
    update_policies(index, [SECOND], FakeEncoder())
    assert bad(index) == []


def test_a_long_clause_of_short_sentences_loses_nothing_and_is_a_note(index):
    long = "我们收集手机号码。" * 120
    update_policies(index, [replace(SECOND, text=f"{SECOND.text}\n{long}")], FakeEncoder())
    finding = find(index, "clause_too_long")
    assert (finding.severity, finding.detail["unread"], finding.detail["tokens"]) == ("note", 0, 707)
    assert finding.command == f"wentiao corpus show '乙' --outline --index {shlex.quote(str(index))}"


@pytest.mark.parametrize("text", ["12345", "3.", "§ 7", "无"])
def test_a_clause_too_short_to_mean_anything_is_found_and_a_new_text_mends_it(index, text):
    update_policies(index, [replace(SECOND, text=f"{SECOND.text}\n{text}")], FakeEncoder())
    finding = find(index, "too_short")
    assert finding.place.startswith("乙 · ")
    assert finding.detail["text"] == text
    update_policies(index, [SECOND], FakeEncoder())
    assert "too_short" not in [one.kind for one in examine(index)]


def test_two_apps_with_nearly_one_text_are_found_and_one_removed(index):
    twin = Policy("丙", FIRST.text.replace("十五天", "三十天"), **STATED)
    add_policies(index, [twin], FakeEncoder())
    finding = find(index, "near_identical")
    assert (finding.place, finding.detail["percent"]) == ("甲 / 丙", 88)
    assert finding.command == f"wentiao corpus remove '丙' --index {shlex.quote(str(index))}"
    remove_apps(index, ["丙"])
    assert bad(index) == []


def test_a_texts_own_name_does_not_make_it_another_text(tmp_path):
    text = "我们是{}的运营方\n{}会收集您的手机号码\n您可以在{}里注销账号"
    build_index([Policy(app, text.replace("{}", app)) for app in ("蓝天", "白云")], tmp_path, FakeEncoder())
    assert find(tmp_path, "near_identical").detail["percent"] == 100


def test_apps_with_one_name_are_found_and_one_removed(tmp_path):
    build_index([Policy("Ｋeep", FIRST.text), Policy("KEEP", SECOND.text)], tmp_path, FakeEncoder())
    finding = find(tmp_path, "name_collision")
    assert (finding.place, finding.detail["other"]) == ("KEEP", "Ｋeep")
    assert finding.command == f"wentiao corpus remove KEEP --index {tmp_path}"
    remove_apps(tmp_path, ["KEEP"])
    assert bad(tmp_path) == []


def test_aliases_that_name_another_app_are_found_and_the_others_kept(tmp_path):
    third = Policy("丙", "我们不会出售您的信息。", aliases=("小甲", "it's", "乙"), **STATED)
    build_index([FIRST, SECOND, third], tmp_path, FakeEncoder())
    finding = find(tmp_path, "alias_collision")
    assert (finding.place, dict(finding.detail)) == ("丙", {"aliases": "小甲、乙", "others": "甲、乙"})
    assert shlex.split(finding.command) == [
        *("wentiao", "corpus", "update", "--app", "丙"),
        *("--drop-alias", "小甲", "--drop-alias", "乙", "--index", str(tmp_path)),
    ]
    update_policies(tmp_path, [replace(third, aliases=("it's",))], FakeEncoder())
    assert bad(tmp_path) == []


def test_what_is_not_stated_and_dates_that_cannot_be_are_found_and_corrected(index):
    odd = replace(SECOND, operator=None, contact=None, updated="gestern", effective="2026-01-01")
    update_policies(index, [odd], FakeEncoder())
    out = shlex.quote(str(index))
    assert [(one.kind, one.place, one.command) for one in examine(index) if one.place == "乙"] == [
        ("bad_date", "乙", f"wentiao corpus update --app '乙' --updated YYYY-MM-DD --index {out}"),
        ("unstated", "乙", f"wentiao corpus update --app '乙' --operator NAME --contact TEXT --index {out}"),
        ("future_date", "乙", f"wentiao corpus update --app '乙' --effective YYYY-MM-DD --index {out}"),
    ]
    update_policies(index, [replace(SECOND, updated="2019-05-01")], FakeEncoder())
    finding = find(index, "old_date")
    assert (finding.command, finding.detail["date"]) == (renew("乙", index), "2019-05-01")
    update_policies(index, [SECOND], FakeEncoder())
    prune_index(index)
    assert examine(index) == ()


# -- whatever happens to the files


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def another_shape(path: Path) -> None:
    path.write_text('[{"text": 1, "aliases": null}]')


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [Path.unlink, emptied, another_shape, cut_short, made_a_folder])
@pytest.mark.parametrize("hashes", ["as written", "rewritten"])
def test_whatever_file_is_damaged_the_doctor_says_so_and_goes_on(index, tmp_path, damage, hashes):
    take_snapshot(index, "kept")
    name = segment_of(index, "甲")
    files = sorted(path.relative_to(index) for path in index.rglob("*") if path.is_file() and path.name != ".lock")
    if damage is Path.unlink:
        files.remove(Path("snapshots", "kept"))  # as if it had never been taken
        files.remove(Path("ID"))  # as of an index from before there was one
    for number, file in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(index, copy)
        damage(copy / file)
        if hashes == "rewritten" and name in file.parts and file.name != CHECKSUMS:
            rewrite_hashes(copy, name)
        findings = examine(copy)
        assert exit_code(findings) == 1, file
        assert all(describe_finding(finding, "en") for finding in findings)


# -- what is read


def test_every_command_is_one_that_the_command_line_takes(tmp_path):
    out = tmp_path / "an index"
    encoder = FakeEncoder()
    texts = ["三。", "我们收集" + "手机号码以及" * 150 + "信息。"]
    odd = [
        replace(SECOND, app="it's", text="\n".join([SECOND.text, *texts]), operator=None, effective="2030-01-01"),
        replace(SECOND, app="IT'S", text=FIRST.text, updated="2001-01-01"),
    ]
    build_index([FIRST, SECOND, *odd], out, encoder)
    plant(out, "甲", scaled)
    take_snapshot(out, "kept")
    (out / "snapshots" / "kept").write_text("")
    (out / "segments" / ".partial-x").mkdir()
    (out / "segments" / segment_of(out, "乙") / "policy.json").unlink()
    findings = [*examine(out), *examine(tmp_path)]
    kinds = {
        "name_collision",
        "alias_collision",
        "near_identical",
        "norm",
        "text_lost",
        "sentence_too_long",
        "unstated",
    }
    kinds |= {"too_short", "future_date", "old_date", "index_missing", "leftover", "snapshot_empty"}
    assert kinds <= {finding.kind for finding in findings}
    parser = make_parser(
        SimpleNamespace(default_host="", default_port=1, default_root_path="", default_workers=1, language="en")
    )
    for finding in findings:
        for part in finding.command.split(" && "):
            program, *arguments = shlex.split(part)
            if program == "wentiao":
                options = vars(parser.parse_args(arguments))
                assert (options.get("index") or options.get("out")) in (out, tmp_path)
            else:
                assert arguments[:2] == ["-r", "--"], part


@pytest.mark.parametrize("language", ["zh", "zh-Hant", "en"])
def test_every_kind_has_its_words(language):
    assert {*get_args(FindingKind)} <= {*messages("doctor", language)}


def test_a_finding_reads_as_severity_place_fault_and_command(index, repair):
    place = plant(index, "甲", narrow)
    [finding] = examine(index)
    assert describe_finding(finding, "en") == (
        f"[error] {place}/vectors.npy: The vectors of 甲 have 64 dimensions, the model's 256.\n  to mend it: {repair}"
    )
    assert describe_finding(finding, "zh") == (
        f"[错误] {place}/vectors.npy：《甲》的向量是 64 维，模型的是 256 维。\n  处理：{repair}"
    )
    assert finding.to_dict() == {
        "kind": "dimension",
        "severity": "error",
        "place": f"{place}/vectors.npy",
        "detail": {"app": "甲", "found": 64, "expected": 256},
        "command": repair,
    }


def test_names_from_outside_steer_neither_terminal_nor_shell(tmp_path):
    app = "a\x1b[2J'; rm -rf ~"
    build_index([Policy(app, SECOND.text)], tmp_path, FakeEncoder())
    finding = find(tmp_path, "unstated")
    assert describe_finding(finding, "en").isprintable() is False  # the newline before the command
    assert "\x1b" not in describe_finding(finding, "en")
    assert r"--app $'a\U0000001b[2J\'; rm -rf ~'" in finding.command
