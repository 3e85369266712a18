"""Where the disk or the system refuses: what a person is told, and that a damaged file is set aside and not deleted."""

from __future__ import annotations

import errno
import getpass
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from index.errors import StorageError

_log = logging.getLogger(__name__)

QUARANTINE = "quarantine"

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextmanager
def reporting(out: Path) -> Iterator[None]:
    """Say what to do where the system refuses to read or write the index at ``out`` meanwhile.

    :raises StorageError: in place of an ``OSError`` that the index itself is not to blame for.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        told = _tell(out, error)
        if told is None:
            raise
        raise StorageError(told) from error


def _tell(out: Path, error: OSError) -> str | None:
    path = error.filename or out
    stands = "What the index answers from is as it was before."
    # NumPy says how much it wrote and not why it stopped.
    if error.errno in _FULL or (error.errno is None and "written" in str(error)):
        return (
            f"the disk that holds {out} is full. {stands} Make room there and give the command again; what earlier "
            f"versions and unfinished builds take is freed by:\n  wentiao corpus prune --index {_quote(out)}"
        )
    if error.errno == errno.EFBIG:
        return (
            f"a file in {out} would be larger than this user may write. {stands} Raise the limit and give the command "
            "again:\n  ulimit -f unlimited"
        )
    if error.errno == errno.EROFS:
        return (
            f"{path} lies on a disk that can only be read. {stands} Make the disk writable, or name an index elsewhere "
            "in WENTIAO_INDEX"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{_user()} may not read or write {path}. {stands} Give the command as the user that the index belongs to, "
            f"or hand it over:\n  sudo chown -R {_user()} {_quote(out)}"
        )
    if error.errno == errno.EIO:
        return (
            f"the disk that holds {path} fails. Copy the index to another disk, then make it whole there:\n"
            "  wentiao index repair --out COPY"
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open to read {path}. Raise the limit and start again:\n  ulimit -n 8192"
    return None


def _quote(path: Path) -> str:
    from index.manifest import quote_argument

    return quote_argument(path)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name
        return "this user"


def set_aside(out: Path, path: Path) -> Path:
    """Move a damaged file or folder of the index at ``out`` into its quarantine; return where it is now.

    What is there is used by nothing and deleted only when the maintainer says so.

    :param path: inside ``out``.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    place, number = out / QUARANTINE / stamp / path.relative_to(out), 1
    while place.exists() or place.is_symlink():
        number += 1
        place = out / QUARANTINE / f"{stamp}-{number}" / path.relative_to(out)
    place.parent.mkdir(parents=True, exist_ok=True)
    path.rename(place)
    _log.warning("%s is damaged; it is kept as %s", path, place)
    return place


def list_quarantine(out: Path) -> tuple[str, ...]:
    """Return what was set aside, as paths in the index, oldest first: single files, and segments by their folder."""
    found = []
    for path in sorted((out / QUARANTINE).glob("*/**/*")):
        inside = path.relative_to(out).parts[2:]
        if len(inside) == 2 if inside[0] in ("segments", "nearest", "generations") else len(inside) == 1:
            found.append(path.relative_to(out).as_posix())
    return tuple(found)


def empty_quarantine(out: Path) -> None:
    """Delete what was set aside."""
    if (out / QUARANTINE).is_dir():
        shutil.rmtree(out / QUARANTINE)
