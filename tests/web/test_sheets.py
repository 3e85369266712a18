"""The table as a file: read back by the csv module and by openpyxl, nothing in it is calculated."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import openpyxl
import pytest

from corpus.messages import message
from retrieval.datatypes import Row
from web.language import LANGUAGES
from web.sheets import COLUMNS, Line, Table, line_of, tabulate, write_csv, write_xlsx

from .fakes import FakeAssistant

TIME = datetime(2025, 6, 1, 10, 30, tzinfo=timezone(timedelta(hours=8)))
DANGEROUS = [
    "=1+1",
    "+86 12345",
    "-短信信息",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "＝1+1",
    "=cmd|' /C calc'!A0",
]
HARMLESS = ["四(三)", "https://a.example/?a=1", "0123", "12345", "a=b", 'say "hi", twice\nand again', ""]


@pytest.fixture
def line(fake: FakeAssistant) -> Line:
    [row] = fake.compare("怎么注销", ["津心办"])
    return line_of(row, fake.policy("津心办"))


def read_csv(content: bytes) -> Table:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_a_line_holds_the_quote_its_address_and_its_version(fake: FakeAssistant, line: Line) -> None:
    [row] = fake.compare("怎么注销", ["津心办"])
    policy = fake.policy("津心办")
    assert row.citation is not None
    assert (line.quote, line.label, line.path) == (row.citation.quote, row.citation.label, row.citation.path)
    clause_id, _, span = line.place.partition(":")
    start, end = map(int, span.split("-"))
    assert (clause_id, policy.text[start:end]) == (row.citation.clause_id, line.quote)
    assert line.url.startswith("read/%E6%B4%A5%E5%BF%83%E5%8A%9E?clause=")
    assert (line.policy_id, line.sha256, line.date) == (policy.policy_id, policy.sha256, policy.date)


def test_a_silent_policy_keeps_its_version_and_an_unknown_app_has_none(fake: FakeAssistant) -> None:
    policy = fake.policy("昶联")
    silent = line_of(Row("昶联", "silent", "没有说明"), policy)
    assert (silent.quote, silent.url, silent.policy_id, silent.date) == ("", "", policy.policy_id, "2024-08-01")
    unknown = line_of(Row("淘宝", "unknown_app", "没有收录"), None)
    assert (unknown.policy_id, unknown.sha256, unknown.date) == (None, None, None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_yes_or_no_is_what_the_answer_begins_with(fake: FakeAssistant, language: str) -> None:
    [row] = fake.compare("怎么注销", ["津心办"])
    texts = {name: "电话：1\n" + message(f"answer.{name}", language) + "“……”" for name in ("yes", "no", "states")}
    stances = {name: line_of(replace(row, text=text), None).stance for name, text in texts.items()}
    assert stances == {"yes": "yes", "no": "no", "states": None}
    assert line_of(Row("昶联", "silent", texts["yes"]), None).stance is None


def test_every_row_says_what_was_compared_when_and_of_which_version(fake: FakeAssistant, line: Line) -> None:
    unknown = line_of(Row("淘宝", "unknown_app", "没有收录"), None)
    table = tabulate([line, unknown], subject="怎么注销", time=TIME, language="en")
    assert table[0][:4] == ["Question or topic", "Compared at (UTC)", "App", "Status"]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table[1:]]
    assert rows[0] == {
        "subject": "怎么注销",
        "time": "2025-06-01T02:30:00+00:00",
        "app": "津心办",
        "status": "Stated",
        "text": line.text,
        "facts": "Menu path: 个人中心-设置-账号注销",
        "quote": line.quote,
        "label": "四(三)",
        "path": "四、您如何管理您的个人信息 › (三)注销用户管理",
        "date": "Version date not stated",
        "sha256": fake.policy("津心办").sha256,
        "place": line.place,
        "note": "The operator's latest official version prevails · Quoted from the policy; not legal advice.",
    }
    assert (rows[1]["status"], rows[1]["date"], rows[1]["note"]) == ("Not in this collection", "", "")


def test_csv_is_read_back_as_it_was_and_excel_knows_its_encoding() -> None:
    table = [HARMLESS, HARMLESS]
    content = write_csv(table)
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == 2
    assert read_csv(content) == table


@pytest.mark.parametrize("cell", DANGEROUS)
def test_csv_holds_no_cell_that_a_spreadsheet_would_calculate(cell: str) -> None:
    assert read_csv(write_csv([[cell, f"a;{cell}"]])) == [["'" + cell, f"a;{cell}"]]
    assert f'"a;{cell}"'.encode() in write_csv([[f"a;{cell}"]])


def test_every_cell_of_the_workbook_is_the_text_that_it_was(line: Line) -> None:
    cells = [*DANGEROUS, *HARMLESS[:-1], "_x0041_", "\x07"]
    lines = [replace(line, text=cell) for cell in cells]
    table = tabulate(lines, subject="=问题", time=TIME.astimezone(UTC), language="zh")
    workbook = openpyxl.load_workbook(io.BytesIO(write_xlsx(table, name="比较")))
    assert workbook.sheetnames == ["比较"]
    sheet = workbook["比较"]
    read = [[cell.value or "" for cell in row] for row in sheet.iter_rows()]
    # openpyxl hands on the escapes that Excel has for what XML does not know.
    escaped = {"\x07": "_x0007_", "\r=1": "_x000D_=1"}
    assert read == [[escaped.get(cell, cell) for cell in row] for row in table]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value} == {"s"}
    assert not any(cell.hyperlink for row in sheet.iter_rows() for cell in row)
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", f"A1:M{len(table)}")


def test_a_cell_is_cut_where_excel_would_refuse_it(line: Line) -> None:
    table = tabulate([replace(line, text="长" * 40_000)], subject="问", time=TIME, language="zh")
    sheet = openpyxl.load_workbook(io.BytesIO(write_xlsx(table, name="比较"))).worksheets[0]
    assert sheet["E2"].value == "长" * 32_767
