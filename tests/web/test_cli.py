from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import app as composition
from corpus.datatypes import Policy
from corpus.load import load_policies
from index.encoder import FakeEncoder
from index.maintain import add_policies
from index.store import build_index, default_index_folder
from retrieval import Assistant
from web.cli import (
    EXIT_ANSWERED,
    EXIT_DECLINED,
    EXIT_STOPPED,
    EXIT_UNREAD,
    EXIT_UNUSABLE,
    EXIT_USAGE,
    Commands,
    ProgressBar,
    run,
)

from ..conftest import decide


class Desk:
    """The command over a real assistant with the small encoder; keeps what it was told to serve."""

    def __init__(self, assistant: Assistant | None, index: Path) -> None:
        self.assistant = assistant
        self.index = index
        self.served: list[tuple[str, int, str, int]] = []

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        commands = Commands(
            open_assistant=lambda: self.assistant or Assistant.open(self.index, encoder=FakeEncoder()),
            serve=self.serve,
            build_index=self.build,
            load_encoder=FakeEncoder,
            prepare_index=lambda: None,
            index=self.index,
        )
        code = run(arguments, commands, out=out, err=err)
        return code, out.getvalue(), err.getvalue()

    def serve(self, host, port, root_path, workers):
        self.served.append((host, port, root_path, workers))
        return port != 1

    def build(self, folders, out):
        build_index(load_policies(folders), out or self.index, FakeEncoder())
        return f"{len(load_policies(folders))} policies"


@pytest.fixture
def wentiao(assistant, tmp_path):
    return Desk(assistant, tmp_path / "index")


@pytest.fixture
def silent(shipped, tmp_path):
    return Desk(shipped.assistant(decide(bias=-20.0)), tmp_path / "index")


@pytest.fixture
def bare(tmp_path):
    return Desk(None, tmp_path / "index")


def test_an_answer_is_printed_with_its_address_its_date_and_the_official_version(wentiao):
    code, out, err = wentiao("ask", "昶联怎么联系你们")
    assert (code, err) == (EXIT_ANSWERED, "")
    citation = wentiao.assistant.ask("昶联怎么联系你们").citations[0]
    assert f"“{citation.quote}”" in out
    assert f"昶联 · {citation.label}" in out
    assert "2024-08-01" in out
    assert "以官方最新版本为准" in out


def test_every_decline_is_an_answer_with_exit_code_one(wentiao, silent):
    for desk, question, said in [
        (silent, "津心办怎么注销账号", "没有说明"),
        (wentiao, "京东怎么注销账号", "京东"),
        (wentiao, "？？？", "隐私政策"),
        (silent, "津心办和昶联怎么注销账号", "0 个"),
    ]:
        code, out, err = desk("ask", question)
        assert (code, err) == (EXIT_DECLINED, "")
        assert said in out


@pytest.mark.parametrize("question", ["津心办怎么注销账号", "怎么注销账号", "京东怎么注销账号", "津心办和昶联怎么注销"])
def test_json_is_the_answers_own_dictionary(wentiao, question):
    _, out, _ = wentiao("ask", question, "--json")
    assert json.loads(out) == wentiao.assistant.ask(question).to_dict()
    _, out, _ = wentiao("ask", question, "--app", "津心办", "--json")
    assert json.loads(out) == wentiao.assistant.ask(question, app="津心办").to_dict()


def test_search_lists_ranked_clauses(wentiao):
    code, out, _ = wentiao("search", "怎么注销账号", "--app", "津心办", "--top-k", "2")
    assert code == EXIT_ANSWERED
    assert [block.split(" ")[0] for block in out.split("\n\n") if block.startswith(("1.", "2.", "3."))] == ["1.", "2."]
    _, out, _ = wentiao("search", "怎么注销账号", "--json")
    assert json.loads(out) == [passage.to_dict() for passage in wentiao.assistant.search("怎么注销账号")]


def test_compare_prints_a_row_an_app_and_declines_where_none_answers(wentiao, silent):
    code, out, _ = wentiao("compare", "怎么注销账号", "--apps", "津心办", "昶联", "--json")
    assert code == EXIT_ANSWERED
    assert json.loads(out) == [row.to_dict() for row in wentiao.assistant.compare("怎么注销账号", ["津心办", "昶联"])]
    code, out, _ = silent("compare", "怎么注销账号", "--apps", "津心办", "昶联")
    assert code == EXIT_DECLINED
    assert [line.split(":")[0] for line in out.split("\n\n")] == ["津心办", "昶联"]


def test_apps_are_listed(wentiao):
    assert wentiao("apps") == (EXIT_ANSWERED, "".join(f"{app}\n" for app in wentiao.assistant.apps()), "")
    assert json.loads(wentiao("apps", "--json")[1]) == list(wentiao.assistant.apps())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "required"),
        (("nonsense",), "nonsense"),
        (("ask",), "QUESTION"),
        (("serve", "--port", "0"), "1 to 65535"),
        (("serve", "--port", "65536"), "1 to 65535"),
        (("serve", "--port", "http"), "'http'"),
        (("search", "注销", "--top-k", "0"), "'0'"),
        (("index",), "required"),
    ],
)
def test_what_the_command_cannot_take_is_told_on_stderr_with_exit_code_two(wentiao, capsys, arguments, said):
    with pytest.raises(SystemExit) as stopped:
        wentiao(*arguments)
    printed = capsys.readouterr()
    assert stopped.value.code == EXIT_USAGE
    assert printed.out == ""
    assert said in printed.err
    assert "--help" in printed.err


def test_an_app_that_cannot_be_searched_is_a_mistake_of_the_caller(wentiao):
    code, out, err = wentiao("search", "注销", "--app", "津云办")
    assert (code, out) == (EXIT_USAGE, "")
    assert err.startswith("wentiao: no app '津云办'")
    assert "津心办" in err


@pytest.mark.parametrize("verb", ["ask", "search", "compare"])
def test_a_question_longer_than_the_api_takes_is_a_mistake_of_the_caller(wentiao, verb):
    assert wentiao(verb, "怎么注销账号" * 83)[0] != EXIT_USAGE
    code, out, err = wentiao(verb, "怎么注销账号" * 84)
    assert (code, out) == (EXIT_USAGE, "")
    assert "504" in err and "500" in err


def test_an_index_that_is_not_there_is_unusable_and_the_message_says_what_mends_it(bare):
    code, out, err = bare("ask", "怎么注销账号")
    assert (code, out) == (EXIT_UNUSABLE, "")
    assert "wentiao index build" in err


def test_a_damaged_index_and_a_missing_folder_are_unusable(bare, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "甲应用.txt").write_text("您可以注销账号。", encoding="utf-8")
    assert bare("index", "build", "--policies", str(tmp_path / "texts"))[0] == EXIT_ANSWERED
    next(bare.index.rglob("vectors.npy")).write_bytes(b"nothing")
    assert bare("apps")[0] == EXIT_UNUSABLE
    code, _, err = bare("index", "build", "--policies", str(tmp_path / "nowhere"))
    assert code == EXIT_UNUSABLE
    assert "nowhere" in err


def test_an_index_is_built_of_folders_and_answers_after_they_are_gone(bare, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "甲应用.txt").write_text("一、注销\n您可以在“我的-设置-注销”里注销账号。", encoding="utf-8")
    (folder / "乙应用.txt").write_text("我们不会出售您的信息。", encoding="gb18030")
    assert bare("index", "build", "--policies", str(folder)) == (EXIT_ANSWERED, "2 policies\n", "")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert set(bare("apps")[1].split()) == {"甲应用", "乙应用"}
    assert "我的-设置-注销" in bare("search", "注销账号", "--app", "甲应用")[1]


def test_serve_takes_where_to_listen_and_in_how_many_processes(wentiao):
    assert wentiao("serve")[0] == EXIT_ANSWERED
    wentiao("serve", "--host", "0.0.0.0", "--port", "8080", "--root-path", "/wentiao", "--workers", "3")
    assert wentiao.served == [("127.0.0.1", 7860, "", 1), ("0.0.0.0", 8080, "/wentiao", 3)]


def test_serving_that_could_not_begin_ends_with_the_code_of_an_unusable_index(wentiao):
    assert wentiao("serve", "--port", "1")[0] == EXIT_UNUSABLE


def test_the_help_says_what_the_exit_codes_mean_and_gives_examples(wentiao, capsys):
    with pytest.raises(SystemExit) as stopped:
        wentiao("--help")
    printed = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "exit codes:" in printed
    assert all(f"\n  {code}  " in printed for code in range(4))
    for verb in ("serve", "ask", "search", "compare", "index", "apps"):
        assert verb in printed


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", ""])
def test_a_port_in_the_environment_that_is_none_stops_the_command(monkeypatch, capsys, port):
    monkeypatch.setenv("WENTIAO_PORT", port)
    monkeypatch.setenv("LC_ALL", "C")
    assert composition.main(["apps"]) == EXIT_USAGE
    assert f"1 to 65535, got {port!r}" in capsys.readouterr().err


def test_progress_is_drawn_on_stderr(capsys):
    bar = ProgressBar()
    bar(1, 2)
    bar(2, 2)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "2/2" in printed.err


def test_a_policy_file_that_cannot_be_used_is_named(bare, tmp_path):
    (tmp_path / "甲应用.txt").write_bytes(b"\x00\x01\x02")
    code, out, err = bare("index", "build", "--policies", str(tmp_path))
    assert (code, out) == (EXIT_UNUSABLE, "")
    assert "甲应用.txt" in err


def test_a_comparison_takes_a_question_or_a_topic(wentiao):
    for arguments in (("compare",), ("compare", "怎么注销", "--topic", "rights")):
        code, _, err = wentiao(*arguments)
        assert (code, "a question or a --topic" in err) == (EXIT_USAGE, True)
    with pytest.raises(SystemExit):
        wentiao("search", "注销", "--topic", "weather")


def test_building_the_default_index_again_keeps_what_was_added_and_a_folder_says_what_falls_out(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("index.encoder.load_encoder", lambda model=None: FakeEncoder())
    settings = composition.Settings()
    assert composition.build_index(settings, [], None).startswith("policies indexed: 5, at ")
    add_policies(default_index_folder(), [Policy("甲应用", "我们存储您的个人信息。")], FakeEncoder())
    assert composition.build_index(settings, [], None).startswith("policies indexed: 6, at ")
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "乙应用.txt").write_text("我们不会出售您的信息。", encoding="utf-8")
    told = composition.build_index(settings, [folder], default_index_folder())
    assert told.startswith("policies indexed: 1, at ")
    assert set(told.partition("no longer in it: ")[2].split("、")) == {
        *("津心办", "掌上海关", "口袋证件照", "汇容客", "昶联", "甲应用")
    }


def test_a_build_that_is_stopped_says_what_became_of_it_without_a_traceback(bare, monkeypatch):
    def stop(folders, out):
        raise KeyboardInterrupt

    monkeypatch.setattr(bare, "build", stop)
    code, out, err = bare("index", "build", "--policies", "folder")
    assert (code, out) == (EXIT_STOPPED, "")
    assert err.strip().endswith("the same command goes on from there; the index is as it was.")


@pytest.mark.parametrize("given", ["0", "65", "500", "two"])
def test_more_processes_than_a_machine_bears_are_refused(wentiao, capsys, given):
    with pytest.raises(SystemExit) as ended:
        wentiao("serve", "--workers", given)
    assert ended.value.code == EXIT_USAGE and not wentiao.served
    assert f"a number of processes from 1 to 64, each of half a gigabyte, got {given!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("list",), ("show", "甲应用", "--outline")]
)  # little, and more than a pipe holds
def test_a_command_whose_output_nobody_reads_any_more_ends_quietly(arguments, tmp_path):
    text = "".join(f"第{number}条 我们为了第{number}项功能收集您的个人信息。\n" for number in range(2000))
    index = tmp_path / "index"
    build_index([Policy("甲应用", text)], index, FakeEncoder())
    command = [sys.executable, "app.py", "corpus", *arguments, "--index", str(index)]
    root = Path(composition.__file__).parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(120) == EXIT_UNREAD == 128 + signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_an_output_that_cannot_be_written_is_told(tmp_path):
    build_index([Policy("甲应用", "我们收集您的个人信息。")], tmp_path, FakeEncoder())
    command = [sys.executable, "app.py", "corpus", "list", "--index", str(tmp_path)]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            command, cwd=Path(composition.__file__).parent, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr) == (EXIT_UNUSABLE, b"wentiao: [Errno 28] No space left on device\n")
