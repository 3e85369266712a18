"""Bytes of one file -> the text of a policy, read in a process of its own that cannot take more than it is given.

``python -m corpus.formats SUFFIX LIMITS`` is that process: the file's bytes come in, one JSON object goes out.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

SUFFIXES = (".txt", ".md", ".html", ".htm", ".docx", ".pdf")
"""What can be read; a name ends with one of these, in upper or lower case."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Word before 2007, and every encrypted .docx
_MIB = 1 << 20
_BREAKS = re.compile("[\x0b\x0c\r]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class Limits:
    """What one file may take. The longest policies known have some 60,000 characters, 60 pages and 3 MiB."""

    seconds: float = 30.0
    """Wall-clock time, and time of the processor."""
    memory_mib: int = 1024
    """Address space of the process that reads, the interpreter included (it needs some 150 MiB)."""
    file_mib: float = 50.0
    """Size of a file, an archive included."""
    unpacked_mib: float = 200.0
    """Size of all that a .docx or an archive holds, once unpacked."""
    pages: int = 500
    """Pages of a PDF."""
    characters: int = 2_000_000
    """Characters of the text that was read."""
    entries: int = 5_000
    """Files in an archive."""
    files: int = 20_000
    """Files of a batch, those in folders and archives included; four times the largest corpus measured."""


class UnreadableError(ValueError):
    """A file cannot be read as a policy; the message says why, and does not name the file."""


def read_file(path: Path, *, limits: Limits | None = None) -> str:
    """Read the policy in ``path`` within ``limits``.

    :raises UnreadableError: if it cannot be read: format, damage, or a limit.
    :raises OSError: if the file cannot be opened.
    """
    limits = limits or Limits()
    with path.open("rb") as file:
        data = file.read(math.ceil(limits.file_mib * _MIB) + 1)
    return read_bytes(data, path.suffix, limits=limits)


def read_bytes(data: bytes, suffix: str, *, limits: Limits | None = None) -> str:
    """Read a file's bytes as the format of ``suffix``, all but plain text in a process of its own.

    A crash, a timeout or a kill of that process is an error of this file alone.

    :raises UnreadableError: if they cannot be read: format, damage, or a limit.
    """
    limits = limits or Limits()
    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        raise UnreadableError(f"the format {suffix or 'without a suffix'} is not read; allowed: {' '.join(SUFFIXES)}")
    if len(data) > limits.file_mib * _MIB:
        raise UnreadableError(f"larger than {limits.file_mib:g} MiB")
    if not data.strip():
        raise UnreadableError(f"empty ({len(data)} bytes)")
    if suffix == ".txt":  # decoding needs no parser, and a process for each of thousands of files needs minutes
        try:
            return read_here(data, suffix, limits)
        except ValueError as exc:
            raise UnreadableError(str(exc)) from exc
    root = str(Path(__file__).parents[1])
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "PYTHONHOME")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-X", "utf8", "-m", "corpus.formats", suffix, json.dumps(asdict(limits))]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=limits.seconds, env=environment)
    except subprocess.TimeoutExpired as exc:
        raise UnreadableError(f"reading took longer than {limits.seconds:g} seconds") from exc
    return _take_result(done, limits)


def _take_result(done: subprocess.CompletedProcess[bytes], limits: Limits) -> str:
    if done.returncode == 0:
        result: dict[str, str] = json.loads(done.stdout)
        if "text" in result:
            return result["text"]
        raise UnreadableError(result["error"])
    if -done.returncode == getattr(signal, "SIGXCPU", None):
        raise UnreadableError(f"reading took longer than {limits.seconds:g} seconds")
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise UnreadableError(
        f"reading it ended the process that reads ({ended}): the file is damaged, or needs more than"
        f" {limits.memory_mib} MiB of memory"
    )


# -- in the process that reads


def read_here(data: bytes, suffix: str, limits: Limits) -> str:
    """Read a file's bytes in this process.

    The text holds no control characters but tab and newline: text and Markdown with some are refused as binary, from
    the other formats, whose programs show none, they are taken away.

    :raises ValueError: if they cannot be read as the format of ``suffix``.
    """
    _check_kind(data, suffix)
    if suffix in (".html", ".htm"):
        from corpus.from_html import read_html

        text = read_html(data)
    elif suffix == ".docx":
        from corpus.from_docx import read_docx

        check_archive(io.BytesIO(data), limits)
        text = read_docx(data)
    elif suffix == ".pdf":
        from corpus.from_pdf import read_pdf

        text = read_pdf(data, max_pages=limits.pages)
    else:
        from corpus.from_text import decode_text, read_markdown

        text = read_markdown(data) if suffix == ".md" else decode_text(data)
    if suffix not in (".md", ".txt"):
        text = _CONTROLS.sub("", _BREAKS.sub(" ", text))
        if not text.strip():
            raise ValueError("no text in it but control characters")
    if len(text) > limits.characters:
        raise ValueError(f"{len(text)} characters of text; allowed are {limits.characters}")
    return text


def check_archive(file: BinaryIO, limits: Limits) -> None:
    """Check what a ZIP archive says it holds, before more than its directory is read.

    :raises ValueError: if it is damaged, has too many entries or unpacks to too much.
    """
    entry_count, directory_size = _read_directory_size(file, limits)
    if entry_count > limits.entries or directory_size > 512 * limits.entries:
        raise ValueError(f"{entry_count} files in the archive; allowed are {limits.entries}")
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as exc:
        raise ValueError("a damaged archive; save or download it again") from exc
    size = sum(entry.file_size for entry in entries)
    if size > limits.unpacked_mib * _MIB:
        raise ValueError(f"unpacks to {size / _MIB:.0f} MiB; allowed are {limits.unpacked_mib:g} MiB")
    if len(entries) > limits.entries:
        raise ValueError(f"{len(entries)} files in the archive; allowed are {limits.entries}")


def _read_directory_size(file: BinaryIO, limits: Limits) -> tuple[int, int]:
    """How many entries an archive says it has and the bytes of its directory, before anything else is read of it."""
    size = file.seek(0, os.SEEK_END)
    if size > limits.file_mib * _MIB:
        raise ValueError(f"larger than {limits.file_mib:g} MiB")
    file.seek(max(0, size - 65_557))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise ValueError("a damaged archive; save or download it again")
    return int.from_bytes(tail[end + 10 : end + 12], "little"), int.from_bytes(tail[end + 12 : end + 16], "little")


def _check_kind(data: bytes, suffix: str) -> None:
    """Tell a file that is named as another format from a damaged one."""
    kinds = {b"%PDF-": ".pdf", b"PK\x03\x04": ".docx or .zip", _OLE: ".doc", b"{\\rtf": ".rtf"}
    kind = next((kind for mark, kind in kinds.items() if data.startswith(mark)), None)
    if kind == ".doc":
        raise ValueError("an old Word file (.doc) or an encrypted one; save it as .docx without a password")
    if kind is not None and suffix not in kind:
        raise ValueError(f"named {suffix}, but it is a {kind} file; give it its right name")
    if suffix == ".pdf" and b"%PDF-" not in data[:1024]:
        raise ValueError("named .pdf, but it is no PDF")
    if suffix == ".docx" and kind is None:
        raise ValueError("named .docx, but it is no Word document")


def _limit_process(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the time limit of the caller holds there as well
        return
    seconds = max(1, math.ceil(limits.seconds))
    wanted = {
        resource.RLIMIT_AS: limits.memory_mib * _MIB,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (allowed, allowed))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS
            continue


def main() -> int:
    """Read standard input as the format that the first argument names; write ``{"text"}`` or ``{"error"}``."""
    suffix, limits = sys.argv[1], Limits(**json.loads(sys.argv[2]))
    _limit_process(limits)
    try:
        result = {"text": read_here(sys.stdin.buffer.read(), suffix, limits)}
    except ValueError as exc:
        result = {"error": str(exc)}
    except MemoryError:
        result = {"error": f"reading needs more than {limits.memory_mib} MiB of memory"}
    except RecursionError:
        result = {"error": "nested too deeply"}
    sys.stdout.write(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
