"""Files -> policies: decoding, and what the catalogue beside the files states."""

from __future__ import annotations

import tomllib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpus.blocks import ZERO_WIDTH
from corpus.datatypes import Policy
from corpus.metadata import read_metadata

_SUFFIXES = (".txt", ".md")
_ALLOWED = "allowed is text in UTF-8 (with or without BOM) or GB18030"
_CONTROL = frozenset(map(chr, range(32))) - set("\t\n\x0b\x0c\r")


def default_policies_folder() -> Path:
    """Return the folder of the policies that the project ships."""
    return Path(__file__).parent / "policies"


def decode_policy(data: bytes, *, name: str) -> str:
    """Decode a policy file; newlines become ``\\n`` and a leading BOM goes, nothing else changes.

    :param name: the file's name, for the error messages.
    :raises ValueError: if the data is empty, blank, binary or in another encoding.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError as exc:
            raise ValueError(f"{name}: {len(data)} bytes in an unknown encoding; {_ALLOWED}") from exc
    if control := next((character for character in text if character in _CONTROL), None):
        raise ValueError(f"{name}: binary data (character {control!r}, {len(data)} bytes); {_ALLOWED}")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip().strip(ZERO_WIDTH).strip():
        raise ValueError(f"{name}: empty ({len(data)} bytes); {_ALLOWED}, with at least one word in it")
    return text


def load_policies(folders: Sequence[Path]) -> tuple[Policy, ...]:
    """Read every ``.txt`` and ``.md`` file of ``folders``, in order of folder and file name.

    A ``catalog.toml`` in a folder states name, aliases, operator, dates, source and contact by file name; without an
    entry the app is the NFC file stem and the rest is what the text itself states.

    :raises FileNotFoundError: if a folder does not exist.
    :raises ValueError: if a file cannot be decoded, the catalogue is not valid or names a file that is not there, or
        two files are of the same app.
    """
    policies: dict[str, tuple[Policy, Path]] = {}
    for folder in folders:
        catalog = _read_catalog(folder)
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
        unknown = set(catalog) - {unicodedata.normalize("NFC", path.name) for path in paths}
        if unknown:
            raise ValueError(f"{folder / 'catalog.toml'}: no such file: {', '.join(sorted(unknown))}")
        for path in paths:
            policy = _read_policy(path, catalog.get(unicodedata.normalize("NFC", path.name)))
            if policy.app in policies:
                raise ValueError(f"two files for the app {policy.app!r}: {policies[policy.app][1]} and {path}")
            policies[policy.app] = (policy, path)
    return _without_shared_aliases([policy for policy, _ in policies.values()])


def _without_shared_aliases(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """Drop an alias that is another app's name or that several apps claim: it tells none of them from the others."""
    claims = Counter(alias for policy in policies for alias in set(policy.aliases))
    apps = {policy.app for policy in policies}
    return tuple(
        replace(policy, aliases=tuple(name for name in policy.aliases if claims[name] == 1 and name not in apps))
        for policy in policies
    )


def _read_catalog(folder: Path) -> dict[str, dict[str, Any]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of policies")
    path = folder / "catalog.toml"
    if not path.exists():
        return {}
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ValueError(f"{path}: not a TOML file in UTF-8: {exc}") from exc
    allowed = {"name", "aliases", "operator", "updated", "effective", "source", "contact"}
    for file_name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) - allowed:
            raise ValueError(f"{path}: [{file_name}] may hold only {', '.join(sorted(allowed))}")
    return {unicodedata.normalize("NFC", file_name): entry for file_name, entry in entries.items()}


def _read_policy(path: Path, entry: dict[str, Any] | None) -> Policy:
    text = decode_policy(path.read_bytes(), name=path.name)
    stem = unicodedata.normalize("NFC", path.stem)
    if entry is None:
        found = read_metadata(text, app=stem)
        return Policy(
            app=stem,
            text=text,
            aliases=found.aliases,
            operator=found.operator,
            updated=found.updated,
            effective=found.effective,
            contact=found.contact,
        )
    return Policy(
        app=entry.get("name", stem),
        text=text,
        aliases=tuple(entry.get("aliases", ())),
        operator=entry.get("operator"),
        updated=entry.get("updated"),
        effective=entry.get("effective"),
        source=entry.get("source"),
        contact=entry.get("contact"),
    )
