"""Files, folders and archives -> policies: what can be taken in, and for what cannot, why."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any

from corpus.datatypes import Policy
from corpus.formats import SUFFIXES, Limits, UnreadableError, check_archive, read_bytes
from corpus.load import escape_unprintable, find_name_problem, make_policy, parse_catalog
from corpus.metadata import read_metadata

_Catalog = dict[str, dict[str, Any]] | str  # what it states by file name; or why it cannot be read
_CATALOG = "catalog.toml"
_LONGEST_CATALOG = 1 << 20  # bytes; 135 apps need 40 kB
_ALLOWED = f"allowed: {' '.join(SUFFIXES)}, a folder or a .zip of them"
_NAMELESS = re.compile(
    "(?=.*(?:privacy|polic|agreement|terms|index|default|page|doc|file|download|untitled|隐私|政策|协议|声明|指引|文档|文件))"
    r"(?:(?:app|index|default|main|page|document|doc|file|download|untitled|user|children|the|our|policy|policies|privacy"
    r"|agreement|statement|notice|terms|zh|cn|en|copy|软件|应用|平台|用户|儿童|未成年人|个人|信息|隐私|隐私权|保护|政策|协议"
    r"|声明|指引|条款|说明|最新|正式|新建|文档|文件|副本|版|[\W_]|\d|v(?=\d))+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Corrections:
    """What is stated by hand; it wins over the catalogue and over what the text states. Dates are ISO 8601 days."""

    operator: str | None = None
    updated: str | None = None
    effective: str | None = None
    source: str | None = None
    contact: str | None = None


@dataclass(frozen=True)
class Taken:
    """A policy and the file that it came from; a file in an archive is ``archive.zip/folder/name``.

    ``path`` is for people to read: what is not printable is escaped.
    """

    path: str
    policy: Policy


@dataclass(frozen=True)
class Rejected:
    """A file that was not taken in, and why, in words for people; nothing in either is unprintable."""

    path: str
    reason: str


@dataclass(frozen=True)
class Intake:
    """What became of the files of a batch, both in the order of the batch."""

    policies: tuple[Taken, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class _File:
    """A file to be read, on disk or in an open archive, and what the catalogue beside it states of it."""

    path: str
    name: str
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None
    entry: dict[str, Any] | None = None


def take_in(
    paths: Sequence[Path],
    *,
    app: str | None = None,
    aliases: Sequence[str] = (),
    corrections: Corrections | None = None,
    limits: Limits | None = None,
) -> Intake:
    """Read the policies in ``paths``: files, folders with all that is below them, and ZIP archives.

    Hidden files are passed over. The name of a policy's app is ``app``, else what a ``catalog.toml`` beside the file
    states, else the NFC file stem; a stem that names no app (``privacy.html``, ``隐私政策.docx``) gives way to the
    name in the text's own title. Operator, dates, aliases and contact are the catalogue's, else the text's.
    Of two files for one app, the second is rejected, and so is a name that is blank or holds control characters.
    Nothing here raises for what is in a file.

    :param app: the app of the only file of the batch; every further file is rejected as a second one for it.
    :param aliases: further names of the app, besides those that the catalogue or the text states.
    """
    limits = limits or Limits()
    with ExitStack() as archives, ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        found = _most(limits.files, (item for path in paths for item in _find(path, limits, archives)))
        texts = list(pool.map(partial(_read, limits=limits), found))
    policies: dict[str, Taken] = {}
    rejected: list[Rejected] = []
    for item, text in zip(found, texts, strict=True):
        if isinstance(text, Rejected):
            rejected.append(_reject(text.path, text.reason))
            continue
        assert isinstance(item, _File)  # what is found rejected stays so
        policy = _name(text, item, app, tuple(aliases), corrections or Corrections())
        problems = map(find_name_problem, (policy.app, *aliases))
        if problem := next(filter(None, problems), None):
            rejected.append(_reject(item.path, problem))
            continue
        if (first := policies.get(policy.app)) is not None:
            reason = f"a second file for the app {policy.app!r}; the first is {first.path}"
            rejected.append(_reject(item.path, f"{reason}. Give one of them another name with --app"))
            continue
        policies[policy.app] = Taken(escape_unprintable(item.path), policy)
    return Intake(tuple(policies.values()), tuple(rejected))


def _reject(path: str, reason: str) -> Rejected:
    return Rejected(escape_unprintable(path), escape_unprintable(reason))


def propose_app(text: str, stem: str) -> str:
    """Return the NFC stem, or where it names no app, the name in the text's own title, if it has one.

    >>> propose_app("《甲乙丙隐私政策》\\n我们非常重视您的隐私。", "privacy-policy")
    '甲乙丙'
    """
    stem = unicodedata.normalize("NFC", stem)
    if not _NAMELESS.fullmatch(stem):
        return stem
    return next(iter(read_metadata(text, app="").aliases), stem)


def _read(file: _File | Rejected, *, limits: Limits) -> str | Rejected:
    if isinstance(file, Rejected):
        return file
    try:
        if file.archive is not None and file.member is not None:
            data = _unpack(file.archive, file.member, limits)
        else:
            with Path(file.path).open("rb") as stream:
                data = stream.read(int(limits.file_mib * (1 << 20)) + 1)
        return read_bytes(data, PurePosixPath(file.name).suffix, limits=limits)
    except UnreadableError as exc:
        return Rejected(file.path, str(exc))
    except OSError as exc:
        return Rejected(file.path, f"cannot be opened: {exc.strerror or exc}")


def _name(text: str, file: _File, app: str | None, aliases: tuple[str, ...], corrections: Corrections) -> Policy:
    stem = (
        app if app is not None else (file.entry or {}).get("name") or propose_app(text, PurePosixPath(file.name).stem)
    )
    policy = make_policy(text, stem=stem, entry=file.entry)
    given = {name: value for name, value in vars(corrections).items() if value is not None}
    names = dict.fromkeys((*aliases, *(alias for alias in policy.aliases if find_name_problem(alias) is None)))
    names.pop(stem, None)
    return replace(policy, app=stem, aliases=tuple(names), **given)


# -- where the files are


def _most(count: int, items: Iterator[_File | Rejected]) -> list[_File | Rejected]:
    """Return the first ``count`` files; one more says that the others were left."""
    taken = list(islice(items, count))
    if (further := next(items, None)) is not None:
        reason = f"this file and all after it: more than {count} in one batch; add them in several"
        taken.append(Rejected(further.path, reason))
    return taken


def _find(path: Path, limits: Limits, archives: ExitStack) -> Iterator[_File | Rejected]:
    if path.is_dir():
        yield from _find_in_folder(path, limits, archives)
    elif not path.exists():
        yield Rejected(str(path), "no such file or folder")
    elif not stat.S_ISREG(path.stat().st_mode):
        yield Rejected(str(path), "neither a file nor a folder")
    else:
        yield from _find_file(path, _catalog_beside(path.parent), limits, archives)


def _find_in_folder(folder: Path, limits: Limits, archives: ExitStack) -> Iterator[_File | Rejected]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(parent)
        catalog = _catalog_beside(here)
        for name in sorted(names):
            path = here / name
            if name.startswith(".") or not path.is_file():
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                yield Rejected(str(path), "a link to a file outside the folder; give that file itself")
            else:
                yield from _find_file(path, catalog, limits, archives)


def _find_file(path: Path, catalog: _Catalog, limits: Limits, archives: ExitStack) -> Iterator[_File | Rejected]:
    suffix = path.suffix.lower()
    if path.name == _CATALOG:
        return
    if suffix == ".zip":
        yield from _find_in_archive(path, limits, archives)
    elif suffix not in SUFFIXES:
        yield Rejected(str(path), f"the format {suffix or 'without a suffix'} is not read; {_ALLOWED}")
    elif isinstance(catalog, str):
        yield Rejected(str(path), catalog)
    else:
        yield _File(str(path), path.name, entry=catalog.get(unicodedata.normalize("NFC", path.name)))


def _catalog_beside(folder: Path) -> _Catalog:
    """What the catalogue in ``folder`` states; where it cannot be read, why."""
    path = folder / _CATALOG
    try:
        return _read_catalog(path) if path.is_file() else {}
    except (ValueError, OSError) as exc:
        return f"the catalogue beside it cannot be read: {exc}"


def _read_catalog(path: Path) -> dict[str, dict[str, Any]]:
    with path.open("rb") as stream:
        data = stream.read(_LONGEST_CATALOG + 1)
    if len(data) > _LONGEST_CATALOG:
        raise ValueError(f"{path}: larger than {_LONGEST_CATALOG >> 20} MiB")
    return parse_catalog(data, name=str(path))


def _find_in_archive(path: Path, limits: Limits, archives: ExitStack) -> Iterator[_File | Rejected]:
    """The files of a ZIP archive; nothing is unpacked to disk, so a name with ``..`` is a name like any other."""
    try:
        with path.open("rb") as file:
            check_archive(file, limits)
        archive = archives.enter_context(zipfile.ZipFile(path))
    except OSError as exc:
        yield Rejected(str(path), f"cannot be opened: {exc.strerror or exc}")
    except ValueError as exc:
        yield Rejected(str(path), str(exc))
    else:
        yield from _find_entries(archive, path, limits)


def _find_entries(archive: zipfile.ZipFile, path: Path, limits: Limits) -> Iterator[_File | Rejected]:
    entries = [(PurePosixPath(_decode_name(entry)), entry) for entry in archive.infolist() if not entry.is_dir()]
    shown = sorted((pair for pair in entries if not _is_hidden(pair[0])), key=lambda pair: pair[0])
    catalogs: dict[PurePosixPath, _Catalog] = {}
    left = _LONGEST_CATALOG  # for those of all its folders: they are read in this process
    for name, entry in shown:
        if name.name == _CATALOG:
            try:
                if entry.file_size > left:
                    raise ValueError(f"{path}/{name}: the archive's are larger than {_LONGEST_CATALOG >> 20} MiB")
                left -= entry.file_size
                catalogs[name.parent] = parse_catalog(_unpack(archive, entry, limits), name=f"{path}/{name}")
            except ValueError as exc:
                catalogs[name.parent] = f"the catalogue beside it cannot be read: {exc}"
    for name, entry in shown:
        full = f"{path}/{name}"
        suffix = name.suffix.lower()
        catalog = catalogs.get(name.parent, {})
        if name.name == _CATALOG:
            continue
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            yield Rejected(full, "no file but a link or a device in the archive; put the file itself in")
        elif suffix == ".zip":
            yield Rejected(full, "an archive in an archive; unpack it first")
        elif suffix not in SUFFIXES:
            yield Rejected(full, f"the format {suffix or 'without a suffix'} is not read; {_ALLOWED}")
        elif isinstance(catalog, str):
            yield Rejected(full, catalog)
        else:
            yield _File(full, name.name, archive, entry, catalog.get(unicodedata.normalize("NFC", name.name)))


def _is_hidden(name: PurePosixPath) -> bool:
    parts = [part for part in name.parts if part not in (".", "..")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _decode_name(entry: zipfile.ZipInfo) -> str:
    """An entry's name: UTF-8 where the archive says so, else UTF-8 or GBK, whichever it can be."""
    name = entry.filename
    if not entry.flag_bits & 0x800:
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return name.replace("\\", "/")


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits) -> bytes:
    """An entry's bytes, never more than it says it has.

    :raises UnreadableError: if it is encrypted, too large, damaged, or packed in a way that is not read.
    """
    if entry.flag_bits & 0x1:
        raise UnreadableError("encrypted; unpack the archive with its password first")
    if entry.file_size > limits.file_mib * (1 << 20):
        raise UnreadableError(f"larger than {limits.file_mib:g} MiB")
    try:
        with archive.open(entry) as stream:
            return stream.read(entry.file_size + 1)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, zlib.error, LZMAError) as exc:
        raise UnreadableError(f"damaged in the archive, or packed in a way that is not read ({exc})") from exc
