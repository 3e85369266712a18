"""The manifest of a generation: which versions of which policies an index holds, and what made it.

Layout of an index folder::

    CURRENT                       the name of the generation that readers open
    generations/<sha256>.json     its manifest: what made it, and every version with the sha256 of every file
    segments/<name>/              one policy version (index/segment.py)
    snapshots/<name>              the name of a generation that the maintainer named
    ID                            what this index is called where several share a vector store (see index_id)
    quarantine/<time>/...         what was damaged, kept until the maintainer deletes it (index/storage.py)

A manifest is named by the hash of its bytes and lists the hash of every file, so that ``CURRENT`` vouches for all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import secrets
import shlex
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from index.errors import IndexMismatchError, IndexNotBuiltError
from index.storage import set_aside

_log = logging.getLogger(__name__)

_NAME = re.compile(r"[0-9a-f]{64}")
_CURRENT = re.compile(rb"([0-9a-f]{64})\n")
_SEGMENT = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"(?:\w[\w.-]*/)?\w[\w.-]*")
MOST_MANIFEST_BYTES = 1 << 30  # a version takes 1.5 KB: 700,000 of them; more is read from nowhere into memory


@dataclass(frozen=True)
class Version:
    """One version of an app's policy in an index.

    ``date`` is the policy's own, ``added`` when it came into the index (ISO 8601, UTC); ``segment`` names its folder,
    ``files`` the sha256 of each file in it, and ``units`` how many vectors it has. ``shipped``: it came with the
    project, which may replace it. ``aliases`` and ``operator`` are the policy's: an app is found by them without its
    segment being opened.
    """

    app: str
    policy_id: str
    sha256: str
    date: str | None
    added: str
    is_current: bool
    segment: str
    files: Mapping[str, str]
    shipped: bool = False
    aliases: tuple[str, ...] = ()
    operator: str | None = None
    units: int = 0

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Version:
        """Read what ``asdict`` gave, from JSON.

        :raises TypeError: if it is of another format.
        :raises ValueError: if it names what lies outside of its segment, or no segment.
        """
        version = cls(**{**record, "aliases": tuple(record.get("aliases", ()))})
        texts = (version.app, version.policy_id, version.sha256, version.added, version.segment, *version.aliases)
        texts += tuple(text for text in (version.date, version.operator) if text is not None)
        if not all(isinstance(text, str) for text in (*texts, *version.files, *version.files.values())):
            raise TypeError("a text of a version is no text")
        if type(version.units) is not int or version.units < 0:
            raise TypeError(f"a version has a number of units, got {version.units!r}")
        if not _SEGMENT.fullmatch(version.segment) or not all(map(_FILE.fullmatch, version.files)):
            raise ValueError(f"{version.segment!r} is no name of a segment, or has no files")
        return version


@dataclass(frozen=True)
class Manifest:
    """All versions of an index, those of an app together, oldest first; the last of an app may be its current one.

    ``shipped`` is the hash of the shipped policies that the default index was made of, else empty.
    """

    made_by: Mapping[str, str]
    versions: tuple[Version, ...]
    shipped: str = ""

    @property
    def current(self) -> tuple[Version, ...]:
        """The version of every app that questions are answered from."""
        return tuple(version for version in self.versions if version.is_current)


def find_version(versions: Sequence[Version], wanted: str) -> Version:
    """Return the version that ``wanted`` names: its number from 1, its date, or the beginning of its ``policy_id``.

    :param versions: those of one app, oldest first.
    :raises ValueError: if it names none, or several.
    """
    if wanted.isdecimal() and 1 <= int(wanted) <= len(versions):
        return versions[int(wanted) - 1]
    found = [one for one in versions if one.date == wanted or (len(wanted) >= 4 and one.policy_id.startswith(wanted))]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"{number}: {one.policy_id}, {one.date}" for number, one in enumerate(versions, start=1))
    kind = "several versions" if found else "no version"
    raise ValueError(f"{wanted!r} names {kind} of {versions[-1].app!r}; there are {listed}")


def current_generation(out: Path) -> str:
    """Return the name of the generation that ``CURRENT`` names.

    :raises IndexNotBuiltError: if there is no index.
    :raises IndexMismatchError: if the file is damaged, or gone from an index that has generations.
    """
    try:
        content = read_file(out / "CURRENT", 100)
    except (FileNotFoundError, NotADirectoryError) as error:
        if generations(out):
            raise _unusable(out, f"{out / 'CURRENT'} is gone") from error
        raise IndexNotBuiltError(f"no index at {out}; build one:\n  {build_command(out)}") from error
    except ValueError as error:
        raise _unusable(out, f"{out / 'CURRENT'} is damaged") from error
    named = _CURRENT.fullmatch(content)
    if named is None:
        raise _unusable(out, f"{out / 'CURRENT'} is damaged")
    return named[1].decode()


def read_manifest(out: Path, generation: str | None = None) -> Manifest:
    """Read the manifest of a generation, by default the current one.

    :raises IndexNotBuiltError: if there is no index.
    :raises IndexMismatchError: if the manifest is gone, damaged or of another format.
    """
    name = generation or current_generation(out)
    try:
        return _read(out, name)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _unusable(out, f"generation {name[:12]} of {out} is gone") from error
    except ValueError as error:
        raise _unusable(out, f"generation {name[:12]} of {out} is damaged or of another format") from error


def newest_manifest(out: Path) -> Manifest | None:
    """Read the whole manifest that was written last, whatever ``CURRENT`` says; ``None`` if there is none."""
    for path in generations(out):
        try:
            return _read(out, path.stem)
        except (OSError, ValueError):
            continue
    return None


def damaged_names(out: Path) -> list[Path]:
    """Return ``CURRENT``, where it names no generation, and the manifests that are not as they were written."""
    paths = (out / "CURRENT", *(out / "generations").glob("*.json"))
    return [path for path in paths if _is_damaged(out, path)]


def _is_damaged(out: Path, path: Path) -> bool:
    """Whether ``CURRENT`` or a manifest is there and not as it was written."""
    try:
        if path.name == "CURRENT":
            named = _CURRENT.fullmatch(read_file(path, 100))
            return named is None or not os.path.lexists(out / "generations" / f"{named[1].decode()}.json")
        _read_content(out, path.stem)
    except ValueError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return path.is_symlink()
    return False


def _read(out: Path, generation: str) -> Manifest:
    content = _read_content(out, generation)
    try:
        record = json.loads(content)
        manifest = Manifest(record["made_by"], tuple(map(Version.from_dict, record["versions"])), record["shipped"])
        texts = (manifest.shipped, *manifest.made_by, *manifest.made_by.values())
    except (KeyError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        raise ValueError("the manifest is of another format") from error
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("the manifest is of another format")
    return manifest


def _read_content(out: Path, generation: str) -> bytes:
    if not _NAME.fullmatch(generation):
        raise ValueError(f"{generation[:64]!r} names no generation")
    content = read_file(out / "generations" / f"{generation}.json", MOST_MANIFEST_BYTES)
    if hashlib.sha256(content).hexdigest() != generation:
        raise ValueError("the manifest is not what it is named by")
    return content


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a file of the index.

    :param most: bytes that it may have.
    :raises ValueError: if it has more, or is no file: a folder, a pipe, a link that leads round in a circle.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{path} is no file")
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path} is no file") from error
        raise
    with path.open("rb") as file:  # as much as is asked for is taken from memory before anything is read
        content = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    if len(content) > most:
        raise ValueError(f"{path} has more than {most} bytes")
    return content


def write_generation(out: Path, manifest: Manifest) -> str:
    """Write the manifest and make it the current generation, in one step for every reader; return its name."""
    content = json.dumps(asdict(manifest), ensure_ascii=False, sort_keys=True).encode()
    name = hashlib.sha256(content).hexdigest()
    folder = out / "generations"
    folder.mkdir(exist_ok=True)
    for path in (folder / f"{name}.json", out / "CURRENT"):
        if _is_damaged(out, path):
            set_aside(out, path)
    replace_file(folder / f"{name}.json", content)
    replace_file(out / "CURRENT", f"{name}\n".encode())
    _log.info("generation %s of %s is current", name[:12], out)
    return name


def index_id(out: Path) -> str:
    """Return the 16 hexadecimal digits that tell the index at ``out`` from others in the same vector store.

    They stand in the file ``ID`` and go with the folder wherever it is moved. A copy of the folder has them too, and is
    the same index: to make it one of its own, delete the file there and build. Without the file, or with a damaged
    one, they are the hash of the folder's path.
    """
    return read_index_id(out) or hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]


def read_index_id(out: Path) -> str | None:
    """Return what the file ``ID`` of the index says; ``None`` where it is not there or damaged."""
    try:
        written = read_file(out / "ID", 100)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    name = written[:16].decode("ascii", "replace")
    return name if written == _id_file(name) else None


def check_index_id(out: Path) -> None:
    """Check that the file ``ID``, where there is one, is as it was written.

    :raises IndexMismatchError: if it is not.
    """
    if os.path.lexists(out / "ID") and read_index_id(out) is None:
        raise damaged(out, out / "ID")


def write_index_id(out: Path) -> None:
    """Give the index at ``out`` an ``ID`` where it has none that is whole, inside :func:`index.store.locked`."""
    if read_index_id(out) is None:
        if os.path.lexists(out / "ID"):
            set_aside(out, out / "ID")
        replace_file(out / "ID", _id_file(secrets.token_hex(8)))


def _id_file(name: str) -> bytes:
    return f"{name} {hashlib.sha256(name.encode()).hexdigest()[:16]}\n".encode()


def default_index_folder() -> Path:
    """Return where the default index lives: the shipped policies, and what the maintainer of this machine added."""
    from platformdirs import user_data_path

    return user_data_path("wentiao") / "index"


def build_command(out: Path) -> str:
    """Return the command that makes an index anew from files; the default one is made of the shipped ones."""
    if out.absolute() == default_index_folder().absolute():
        return "wentiao index build"
    return f"wentiao index build --policies FOLDER --out {quote_argument(out)}"


def repair_command(out: Path) -> str:
    """Return the command that makes an index whole from the texts in it."""
    return f"wentiao index repair --out {quote_argument(out)}"


def add_command(out: Path, app: str) -> str:
    """Return the command that adds an app that the index does not have."""
    return f"wentiao corpus add FILE --app {quote_argument(app)} --index {quote_argument(out)}"


def update_command(out: Path, app: str) -> str:
    """Return the command that gives an app of the index a new version."""
    return f"wentiao corpus update FILE --app {quote_argument(app)} --index {quote_argument(out)}"


def quote_argument(argument: object) -> str:
    """Return ``argument`` as a shell takes it, without what moves a terminal's cursor or turns its writing around."""
    text = str(argument)
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in re.sub(r"([\\'])", r"\\\1", text))
    return f"$'{escaped}'"


def generations(out: Path) -> list[Path]:
    """Return the files of the generations, the one that was written last first."""

    def written(path: Path) -> int:
        try:
            return path.stat().st_mtime_ns
        except OSError:  # pruned since it was listed, or a link to nothing
            return 0

    paths = (path for path in (out / "generations").glob("*.json") if _NAME.fullmatch(path.stem))
    return sorted(paths, key=written, reverse=True)


def _unusable(out: Path, what: str) -> IndexMismatchError:
    command = repair_command(out) if newest_manifest(out) else build_command(out)
    return IndexMismatchError(f"{what}; make the index whole:\n  {command}")


def damaged(out: Path, path: Path) -> IndexMismatchError:
    """Return the error that says that a file of the index is gone or not what was written."""
    return IndexMismatchError(
        f"the index at {out} is damaged: {path} is not the file that was written; make it whole again:\n"
        f"  {repair_command(out)}"
    )


def hash_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below ``folder``, by its path in it.

    A link, and what else is neither file nor folder, is there with another text: nothing that leads out of the folder
    is read.
    """
    if folder.is_symlink():
        return {".": "a link"}
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            found[name] = "no file"
        elif path.is_file():
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or as it was before, whenever the machine stops."""
    partial = path.with_name(f".partial-{secrets.token_hex(8)}")  # with the rights that the user's files have
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file, or the entries of a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
