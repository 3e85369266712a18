"""A comparison as a table to keep: its lines, and the same lines as CSV and as an Excel workbook."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from corpus.messages import message
from retrieval.datatypes import Fact, Language, Payload, Row, Status
from web.language import LANGUAGES
from web.render import PATH_SEPARATOR, reader_url

if TYPE_CHECKING:
    from corpus.datatypes import Policy

Stance = Literal["yes", "no"]
Table = list[list[str]]
"""Rows of cells, the header first; all rows are of one length."""

# Column -> its width in an Excel sheet, in characters.
COLUMNS = {
    "subject": 28,
    "time": 22,
    "app": 16,
    "status": 12,
    "text": 56,
    "facts": 32,
    "quote": 64,
    "label": 14,
    "path": 40,
    "date": 14,
    "sha256": 24,
    "place": 32,
    "note": 44,
}
# A spreadsheet takes what begins like this for a formula, in full width too (OWASP, "CSV Injection"), and some drop
# white space and what is not seen before it; the apostrophe makes it text.
FORMULA_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
CONTROL_SIGNS = ("\t", "\r", "\n")
LONGEST_CELL = 32_767  # characters that Excel takes


@dataclass(frozen=True)
class Line(Payload):
    """What one app's policy says, with its citation's address and its version.

    ``stance`` is what the policy says to a yes/no question, where its wording is explicit. Nothing is cited where
    ``quote`` is empty; ``place`` is the citation's ``CLAUSE_ID:START-END`` and ``url`` the reader's address, relative
    to the site's root. Of an app that is not in the index there is no version: ``policy_id`` is ``None``.
    """

    app: str
    status: Status
    stance: Stance | None
    text: str
    facts: tuple[Fact, ...]
    quote: str
    label: str
    path: tuple[str, ...]
    place: str
    url: str
    policy_id: str | None
    sha256: str | None
    date: str | None


def line_of(row: Row, policy: Policy | None) -> Line:
    """Return ``row`` as a line; ``policy`` is the version that it is about, ``None`` for an app that is not there."""
    cited = row.citation
    version = cited or policy
    return Line(
        app=row.app,
        status=row.status,
        stance=_stance(row.text) if cited else None,
        text=row.text,
        facts=row.facts,
        quote=cited.quote if cited else "",
        label=cited.label if cited else "",
        path=cited.path if cited else (),
        place=f"{cited.clause_id}:{cited.start}-{cited.end}" if cited else "",
        url=reader_url(cited.app, cited.clause_id, (cited.start, cited.end)) if cited else "",
        policy_id=version.policy_id if version else None,
        sha256=version.sha256 if version else None,
        date=version.date if version else None,
    )


def tabulate(lines: Sequence[Line], *, subject: str, time: datetime, language: Language) -> Table:
    """Return ``lines`` under a header in ``language``; every row says by itself what was compared, and when.

    :param subject: the question, or the topic's name.
    """
    moment = time.astimezone(UTC).isoformat(timespec="seconds")
    notes = (message("answer.official", language), message("chat.disclaimer", language))
    header = [message(f"compare.column_{name}", language) for name in COLUMNS]
    return [header, *(_cells(line, subject, moment, " · ".join(notes), language) for line in lines)]


def write_csv(table: Table) -> bytes:
    """Return ``table`` as CSV (RFC 4180) in UTF-8 with the mark by which Excel knows it.

    A cell that a spreadsheet would calculate gets an apostrophe before it. All cells are quoted, so that none falls
    apart into such cells where a semicolon separates.
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([_neutral(cell) for cell in row] for row in table)
    return text.getvalue().encode("utf-8-sig")


def write_xlsx(table: Table, *, name: str) -> bytes:
    """Return ``table`` as a workbook of one sheet called ``name``; every cell is text, whatever it looks like."""
    from xlsxwriter import Workbook

    content = io.BytesIO()
    with Workbook(content, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet(name)
        head = workbook.add_format({"bold": True, "valign": "top", "bottom": 1})
        body = workbook.add_format({"text_wrap": True, "valign": "top"})
        for place, width in enumerate(COLUMNS.values()):
            sheet.set_column(place, place, width)
        for number, row in enumerate(table):
            for place, cell in enumerate(row):
                # `write_string` alone makes neither formula nor link nor number of it, and refuses what is too long.
                sheet.write_string(number, place, cell[:LONGEST_CELL], head if number == 0 else body)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(table) - 1, len(COLUMNS) - 1)
    return content.getvalue()


def _cells(line: Line, subject: str, moment: str, note: str, language: Language) -> list[str]:
    facts = (f"{message(f'chat.fact_{fact.kind}', language)}: {fact.text}" for fact in line.facts)
    undated = message("answer.date_unknown", language) if line.policy_id else ""
    return [
        subject,
        moment,
        line.app,
        message(f"compare.status_{line.status}", language),
        line.text,
        "\n".join(facts),
        line.quote,
        line.label,
        PATH_SEPARATOR.join(line.path),
        line.date or undated,
        line.sha256 or "",
        line.place,
        note if line.policy_id else "",
    ]


def _neutral(cell: str) -> str:
    shown = next((one for one in cell if one.isprintable() and not one.isspace()), "")
    is_calculated = shown in FORMULA_SIGNS or cell.startswith(CONTROL_SIGNS)
    return f"'{cell}" if is_calculated else cell


def _stance(text: str) -> Stance | None:
    """Return what a line of an answer begins with: the catalogue's yes or no, which stand for explicit wording only."""
    lines = text.split("\n")  # a quote takes one line, so that none of its own wording begins one
    for stance in ("yes", "no"):
        if any(line.startswith(message(f"answer.{stance}", language)) for language in LANGUAGES for line in lines):
            return stance
    return None
