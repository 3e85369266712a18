"""``--profile``: where the time of a command's question goes."""

from __future__ import annotations

import io
import re

import pytest

from retrieval.stages import Times
from web.cli import EXIT_ANSWERED, EXIT_DECLINED, EXIT_USAGE, Commands, run
from web.cli_stages import format_stages


@pytest.fixture
def wentiao(assistant, tmp_path):
    def command(*arguments, language="en"):
        out, err = io.StringIO(), io.StringIO()
        commands = Commands(
            open_assistant=lambda: assistant,
            serve=lambda *where: None,
            build_index=lambda folders, out: "",
            load_encoder=lambda: None,
            prepare_index=lambda: None,
            index=tmp_path,
            language=language,
        )
        return run(arguments, commands, out=out, err=err), out.getvalue(), err.getvalue()

    return command


def test_the_table_gives_milliseconds_and_shares_of_the_whole_and_what_was_spent_once_apart():
    times = Times()
    times.add("answer", 0.003)
    times.add("encode", 0.012)
    times.add("upload", 0.004)
    times.total = 0.020
    assert format_stages(times, "en", opening=2.5, first=0.3).splitlines() == [
        "    ms  share  stage",
        "   12.00   60%  encode: the question becomes vectors; waiting for others counts",
        "    3.00   15%  answer: quotes and facts",
        "    4.00   20%  upload",
        "    1.00    5%  the rest",
        "   20.00  100%  in all",
        "Above: one question to a Wentiao that already runs (the command asked it twice; the second time is shown).",
        "Besides, once per start: 2.5 s to open the model and the index, 300 ms more for the first question.",
    ]


def test_the_table_speaks_the_terminals_language():
    times = Times()
    times.add("encode", 0.01)
    times.total = 0.01
    assert "编码：" in format_stages(times, "zh", opening=1.0, first=0.1)
    assert "編碼：" in format_stages(times, "zh-Hant", opening=1.0, first=0.1)


def test_a_first_time_that_was_no_slower_cost_nothing():
    assert " 0 ms more for the first question." in format_stages(Times(), "en", opening=0.0, first=-0.5)


def test_asked_for_the_stages_stand_on_standard_error_and_the_answer_is_the_same(wentiao):
    plain = wentiao("ask", "津心办怎么注销账号", "--json")
    code, out, err = wentiao("ask", "津心办怎么注销账号", "--json", "--profile")
    assert (code, out, "") == plain
    assert code == EXIT_ANSWERED
    assert [name for name in ("understand", "encode", "decide", "answer") if f"{name}: " not in err] == []
    assert re.search(r"^ +\d+\.\d\d  100%  in all$", err, re.MULTILINE)


def test_search_and_compare_have_it_too_and_corpus_has_not(wentiao):
    assert "first stage: vectors" in wentiao("search", "怎么注销账号", "--app", "津心办", "--profile")[2]
    assert "second stage" in wentiao("compare", "怎么注销账号", "--apps", "津心办", "昶联", "--profile")[2]
    code, _, err = wentiao("ask", "京东怎么注销账号", "--profile", language="zh")
    assert code == EXIT_DECLINED
    assert "理解：" in err


def test_what_a_command_cannot_take_is_said_without_a_table(wentiao):
    code, out, err = wentiao("compare", "--profile")
    assert (code, out) == (EXIT_USAGE, "")
    assert err == "wentiao: give a question or a --topic, and not both\n"
