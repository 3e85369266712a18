"""Every package is pinned, installed as pinned, and of a licence that asks nothing of those who use the product."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.!+]+)(?:\s*;.*)?(?:\s*#.*)?")
# By words of a licence's name, as its package tells it. The Mozilla licence asks for the source of changes to its own
# files, and nobody changes them here.
ALLOWED = re.compile(
    r"\b(?:MIT|BSD|Apache|ISC|Python Software Foundation|PSF|Mozilla Public License 2\.0|MPL-2\.0|Zlib|CC0|CNRI-Python"
    r"|BSL-1\.0|LLVM-exception|Unlicense)\b",
    re.IGNORECASE,
)
COPYLEFT = re.compile(r"\b(?:A|L)?GPL|General Public|SSPL|EUPL|BUSL|Commons Clause", re.IGNORECASE)
# Packages that tell no licence in a field of its own, with what their LICENSE file says.
TOLD_ELSEWHERE = {"axe-playwright-python": "MIT"}


def pins(name: str) -> dict[str, str]:
    """Return package -> version of one requirements file."""
    lines = [line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    wanted = [line for line in lines if line and not line.startswith(("#", "-r"))]
    matches = {line: PIN.fullmatch(line) for line in wanted}
    assert [line for line, match in matches.items() if match is None] == []
    return {match[1]: match[2] for match in matches.values() if match}


def is_permissive(licence: str) -> bool:
    """Say whether a licence asks nothing of those who use the product."""
    return ALLOWED.search(licence) is not None and COPYLEFT.search(licence) is None


def licence_of(package: str) -> str:
    """Return what a package's metadata says of its licence."""
    told = metadata(package)
    classifiers = [one.split(" :: ")[-1] for one in told.get_all("Classifier") or [] if one.startswith("License ::")]
    line = (told.get("License") or "").strip().partition("\n")[0]
    return told.get("License-Expression") or "; ".join(classifiers) or line or TOLD_ELSEWHERE.get(package, "")


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_package_is_pinned(name: str) -> None:
    assert pins(name)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_installed_is_what_is_pinned(name: str) -> None:
    installed = {package: version(package).partition("+")[0] for package in pins(name)}
    assert installed == pins(name)


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_licence_is_permissive(name: str) -> None:
    found: dict[str, str] = {}
    absent = []
    for package in pins(name):
        try:
            found[package] = licence_of(package)
        except PackageNotFoundError:
            absent.append(package)
    refused = {package: licence for package, licence in found.items() if not is_permissive(licence)}
    assert refused == {}
    if absent:
        pytest.skip(f"not installed here, so not looked at: {', '.join(absent)}")


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("GNU Affero General Public License v3", False),
        ("LGPL-2.1-or-later", False),
        ("MIT OR GPL-2.0-only", False),
        ("Some Company Limited, all rights reserved", False),
        ("", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("BSD-3-Clause", True),
        ("Apache 2.0", True),
    ],
)
def test_a_licence_is_permissive_by_its_words(licence: str, permissive: bool) -> None:
    assert is_permissive(licence) is permissive
