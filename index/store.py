"""Segments and generations on disk: written once, listed by a manifest, switched to by replacing ``CURRENT``.

Layout of an index folder::

    CURRENT                       the name of the generation that readers open
    generations/<sha256>.json     its manifest: what made it, and every segment with the sha256 of every file
    segments/<name>/              one policy version (index/segment.py)

A manifest is named by the hash of its bytes and lists the hash of every file, so that ``CURRENT`` vouches for all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.datatypes import Clause, Policy
from corpus.load import default_policies_folder, load_policies
from corpus.parser import parse_policy
from index.encoder import Encoder, Progress
from index.errors import IndexMismatchError, IndexNotBuiltError
from index.segment import Segment, made_by, segment_name
from index.units import clause_units

_log = logging.getLogger(__name__)

CHECKSUMS = "checksums.json"


@dataclass(frozen=True)
class Generation:
    """What a reader opens: the segments of every app, as one build left them."""

    name: str
    made_by: dict[str, str]
    segments: tuple[Segment, ...]


def build_index(policies: Sequence[Policy], out: Path, encoder: Encoder, *, progress: Progress | None = None) -> str:
    """Make ``out`` hold exactly ``policies``; return the name of the generation.

    Segments that are there already are kept as they are, so adding one policy encodes one policy. Killed at any
    moment, the generation from before stands. A second builder waits for the first.

    :raises ValueError: if ``policies`` is empty or names an app twice, or one of them holds no clause.
    """
    from filelock import FileLock

    if not policies:
        raise ValueError("no policies to index; give a folder that holds at least one .txt file")
    apps = [policy.app for policy in policies]
    if twice := {app for app in apps if apps.count(app) > 1}:
        raise ValueError(f"app named by more than one policy: {', '.join(sorted(twice))}; keep one file for each app")
    segments_folder = out / "segments"
    segments_folder.mkdir(parents=True, exist_ok=True)
    with FileLock(out / ".lock"):
        for leftover in segments_folder.glob(".partial-*"):
            shutil.rmtree(leftover)
        names = [segment_name(policy, encoder.fingerprint) for policy in policies]
        # A segment that is there but not as it was written is written again.
        files = {name: _hash_files(segments_folder / name) for name in names if _is_whole(segments_folder / name)}
        missing = [(policy, name) for policy, name in zip(policies, names, strict=True) if name not in files]
        for name, segment in _make_segments(missing, encoder, progress):
            files[name] = _write_segment(segment, segments_folder / name)
        manifest: dict[str, object] = {
            "made_by": made_by(encoder.fingerprint),
            "segments": [
                {"name": name, "app": policy.app, "policy_id": policy.policy_id, "files": files[name]}
                for policy, name in zip(policies, names, strict=True)
            ],
        }
        return _write_generation(out, manifest)


def open_generation(out: Path, encoder_fingerprint: str) -> Generation:
    """Read the current generation of the index at ``out`` after checking every file of it.

    :raises IndexNotBuiltError: if there is no index.
    :raises IndexMismatchError: if another model, parser or format made it, or a file is damaged or missing.
    """
    name, manifest = _read_manifest(out)
    repair = f"wentiao index build --policies FOLDER --out {out}"
    expected = made_by(encoder_fingerprint)
    if manifest["made_by"] != expected:
        differing = [part for part in expected if manifest["made_by"].get(part) != expected[part]]
        raise IndexMismatchError(
            f"the index at {out} was made with another {' and '.join(differing)}; build it again:\n  {repair}"
        )
    segments: list[Segment] = []
    for entry in manifest["segments"]:
        folder = out / "segments" / entry["name"]
        found = _hash_files(folder) if folder.is_dir() else {}
        if found != entry["files"]:
            bad = sorted({*found.items()} ^ {*entry["files"].items()})[0][0]
            raise IndexMismatchError(
                f"the index at {out} is damaged: {folder / bad} is not the file that was written; "
                f"build it again:\n  {repair}"
            )
        segments.append(Segment.load(folder))
    return Generation(name, manifest["made_by"], tuple(segments))


def default_index_folder() -> Path:
    """Return where the index of the shipped policies lives: in the user's cache directory."""
    from platformdirs import user_cache_path

    return user_cache_path("wentiao") / "index"


def open_default(encoder: Encoder, *, progress: Progress | None = None) -> Generation:
    """Open the index of the shipped policies in the user's cache directory; build it first if it is not current."""
    out = default_index_folder()
    policies = load_policies([default_policies_folder()])
    if is_current(policies, out, encoder.fingerprint):
        try:
            return open_generation(out, encoder.fingerprint)
        except IndexMismatchError:
            _log.warning("the default index at %s is damaged and is built again", out)
    build_index(policies, out, encoder, progress=progress)
    return open_generation(out, encoder.fingerprint)


def is_current(policies: Sequence[Policy], out: Path, encoder_fingerprint: str) -> bool:
    """Say whether the index at ``out`` holds exactly ``policies`` and was made as it would be made now."""
    try:
        _, manifest = _read_manifest(out)
    except (IndexNotBuiltError, IndexMismatchError):
        return False
    wanted = [segment_name(policy, encoder_fingerprint) for policy in policies]
    return [entry["name"] for entry in manifest["segments"]] == wanted


def _make_segments(
    missing: Sequence[tuple[Policy, str]], encoder: Encoder, progress: Progress | None
) -> Iterator[tuple[str, Segment]]:
    total = done = 0
    outlines: list[tuple[Policy, str, tuple[Clause, ...], int]] = []
    for policy, name in missing:
        clauses = parse_policy(policy).clauses
        if not clauses:
            raise ValueError(
                f"the policy of {policy.app!r} holds no clause, only headings or rules; give its whole text"
            )
        count = len(clause_units(clauses))
        total += count
        outlines.append((policy, name, clauses, count))
    for policy, name, clauses, count in outlines:
        before = done

        def tell(encoded: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + encoded, total)

        yield name, Segment.make(name, policy, clauses, encoder, tell)
        done += count


def _write_segment(segment: Segment, folder: Path) -> dict[str, str]:
    """Write beside the final place, make it durable, then rename: the folder is whole or not there."""
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    segment.save(partial / "segment")
    checksums = json.dumps(_hash_files(partial / "segment"), sort_keys=True)
    (partial / "segment" / CHECKSUMS).write_text(checksums, encoding="utf-8")
    files = _hash_files(partial / "segment")
    for path in (partial / "segment", *sorted((partial / "segment").rglob("*"))):
        _sync(path)
    if folder.exists():
        folder.rename(partial / "damaged")
    (partial / "segment").rename(folder)
    _sync(folder.parent)
    shutil.rmtree(partial)
    return files


def _write_generation(out: Path, manifest: dict[str, object]) -> str:
    content = json.dumps(manifest, ensure_ascii=False, sort_keys=True).encode()
    name = hashlib.sha256(content).hexdigest()
    folder = out / "generations"
    folder.mkdir(exist_ok=True)
    _replace(folder / f"{name}.json", content)
    _replace(out / "CURRENT", f"{name}\n".encode())
    _log.info("generation %s of %s is current", name[:12], out)
    return name


def _read_manifest(out: Path) -> tuple[str, dict[str, Any]]:
    repair = f"wentiao index build --policies FOLDER --out {out}"
    try:
        name = (out / "CURRENT").read_text(encoding="ascii").strip()
        content = (out / "generations" / f"{name}.json").read_bytes()
    except FileNotFoundError as error:
        raise IndexNotBuiltError(f"no index at {out}; build one:\n  {repair}") from error
    except UnicodeDecodeError as error:
        raise IndexMismatchError(f"{out / 'CURRENT'} is damaged; build the index again:\n  {repair}") from error
    if hashlib.sha256(content).hexdigest() != name:
        raise IndexMismatchError(f"generation {name[:12]} of {out} is damaged; build it again:\n  {repair}")
    return name, json.loads(content)


def _is_whole(segment: Path) -> bool:
    """Say whether a segment's folder holds exactly the files that were written, by the checksums among them."""
    try:
        recorded = json.loads((segment / CHECKSUMS).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    files = _hash_files(segment)
    del files[CHECKSUMS]
    return bool(files == recorded)


def _hash_files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _replace(path: Path, content: bytes) -> None:
    handle, partial = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
