"""Segments are verified once and opened when they are asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from corpus.datatypes import Policy
from index import reader as reader_module
from index.encoder import FakeEncoder
from index.errors import IndexMismatchError
from index.manifest import read_manifest
from index.reader import SegmentReader, SegmentsByApp
from index.store import build_index, fill_store, open_generation
from index.vectors import FolderVectors

POLICIES = [Policy(f"应用{number}", f"一、收集\n我们收集手机号码{number}。\n您可以注销账号。") for number in range(4)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    build_index(POLICIES, tmp_path, FakeEncoder())
    return tmp_path


def make_reader(index: Path) -> SegmentReader:
    return SegmentReader(index)


def test_names_are_known_without_a_segment_being_opened(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generation = open_generation(index, FakeEncoder().fingerprint)
    monkeypatch.setattr(reader_module.Segment, "load", lambda *_: pytest.fail("a segment was opened"))
    assert list(generation.by_app) == [policy.app for policy in POLICIES]
    assert "应用1" in generation.by_app and "应用9" not in generation.by_app
    assert [(one.app, one.aliases, one.units) for one in generation.current[:1]] == [("应用0", (), 2)]


def test_a_segment_is_opened_once_and_its_arrays_are_mapped(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "HELD_BYTES", 0)
    generation = open_generation(index, FakeEncoder().fingerprint)
    segment = generation.by_app["应用2"]
    assert generation.by_app["应用2"] is segment
    assert segment.policy == POLICIES[2]
    assert isinstance(segment.vectors, np.memmap) and not segment.vectors.flags.writeable


def test_the_last_used_segments_stay_open(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MOST_OPEN", 2)
    versions = read_manifest(index).current
    reader = make_reader(index)
    reader.verify(versions)
    by_app = SegmentsByApp(versions, reader)
    first = by_app["应用0"]
    by_app["应用1"]
    assert by_app["应用0"] is first
    by_app["应用2"]  # takes the place of 应用1
    assert by_app["应用0"] is first
    assert by_app["应用1"].policy == POLICIES[1]


def test_a_damaged_file_of_a_large_index_is_found_when_its_segment_is_first_used(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MOST_VERIFIED_AT_ONCE", 0)
    versions = read_manifest(index).current
    path = index / "segments" / versions[1].segment / "units.json"
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    opened = make_reader(index)
    opened.verify(versions)
    assert opened.open(versions[0]).policy == POLICIES[0]
    with pytest.raises(IndexMismatchError, match=r"units\.json is not the file that was written"):
        opened.open(versions[1])


def test_a_missing_file_of_a_large_index_is_found_at_once(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MOST_VERIFIED_AT_ONCE", 0)
    versions = read_manifest(index).current
    (index / "segments" / versions[3].segment / "vectors.npy").unlink()
    with pytest.raises(IndexMismatchError, match=r"vectors\.npy"):
        make_reader(index).verify(versions)


def test_a_segment_that_was_pruned_since_is_said_to_be_gone(index: Path) -> None:
    versions = read_manifest(index).current
    reader = make_reader(index)
    reader.verify(versions)
    shutil.rmtree(index / "segments" / versions[0].segment)
    with pytest.raises(IndexMismatchError, match="is not the file that was written"):
        reader.open(versions[0])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="tells what is open on Linux alone")
def test_an_open_segment_holds_two_files_open(index: Path) -> None:
    generation = open_generation(index, FakeEncoder().fingerprint)
    before = len(list(Path("/proc/self/fd").iterdir()))
    held = [generation.by_app[policy.app] for policy in POLICIES]
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 2 * len(held)


def test_damaged_vectors_of_a_large_index_are_never_searched(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MOST_VERIFIED_AT_ONCE", 0)
    path = index / "segments" / read_manifest(index).current[2].segment / "vectors.npy"
    path.write_bytes(path.read_bytes()[::-1][:-128][::-1] + bytes(128))
    generation = open_generation(index, FakeEncoder().fingerprint)
    with pytest.raises(IndexMismatchError, match=r"vectors\.npy"):
        generation.near_apps(FakeEncoder().encode_queries(["注销"]).vectors[0], 3)
    with pytest.raises(IndexMismatchError, match=r"vectors\.npy"):
        fill_store(FolderVectors(index / "elsewhere"), index, generation.current)
