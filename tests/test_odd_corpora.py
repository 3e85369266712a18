"""Odd corpora: added, asked, read, exported and removed, or refused in words; nothing is written beside the index."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from corpus.formats import UnreadableError, read_bytes
from corpus.intake import Corrections, take_in
from corpus.lexicons import load_glossary
from corpus.load import load_policies
from index.encoder import FakeEncoder
from index.maintain import add_policies, export_policies, remove_apps
from index.store import open_generation
from retrieval import Assistant
from retrieval.assistant import _resolver_of
from web.server import WebSettings, create_app

from .conftest import decide

ENCODER = FakeEncoder()
TEXT = "隐私政策\n一、收集\n我们会收集您的手机号码，用于注册账号。\n二、注销\n您可以在“我的-设置-注销”里注销账号。\n"
ODD_NAMES = (
    *(
        "../../etc",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:",
        "CON",
        "NUL.txt",
        "catalog",
        "policy-1",
        "policy-2",
        "-rf",
        "*",
    ),
    *(
        "?a=b#c",
        "%2e%2e%2f",
        "a" * 100,
        "应" * 100,
        "<script>alert(1)</script>",
        "=1+1",
        "'; DROP TABLE",
        "A",
        "a",
        "𠀀𠀁",
        "😀",
    ),
    *(
        "e\u0301\u0302\u0303",
        "甲\u200b乙",
        " 前后 ",
        "百度",
        "QQ",
        "安全",
        "怎么",
        "津心",
        "津心办",
        "津心办公",
        "{app}",
        "%s",
        "null",
    ),
)
HIDDEN = ("甲\n乙", "甲\x00乙", "甲\u202e乙", "甲\u2066乙", "\x1b[2J", "", " ", "\ufeff", "\u200b")


class Desk:
    """A maintainer's desk: a folder for files, an index, and nothing else that may change."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.index, self.files = folder, folder / "desk" / "index", folder / "desk" / "files"
        self.files.mkdir(parents=True)

    def add(self, app: str, text: str = TEXT) -> list[str]:
        """Take a file in as ``app`` and add it; return why not."""
        path = self.files / "甲.txt"
        path.write_text(text, encoding="utf-8")
        intake = take_in([path], app=app, corrections=Corrections(operator="某公司"))
        if intake.policies:
            add_policies(self.index, [taken.policy for taken in intake.policies], ENCODER)
        return [rejected.reason for rejected in intake.rejected]

    def assistant(self) -> Assistant:
        generation = open_generation(self.index, ENCODER.fingerprint)
        return Assistant(generation, ENCODER, _resolver_of(generation), load_glossary(), decide(bias=20.0))

    def strays(self) -> list[str]:
        """What lies in the test's folder outside files, index and export."""
        allowed = {"desk", "out"}
        return [path.name for path in self.folder.iterdir() if path.name not in allowed] + [
            path.name for path in (self.folder / "desk").iterdir() if path.name not in ("index", "files")
        ]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("odd"))
    for name in ODD_NAMES:
        assert desk.add(name, TEXT + f"三、{len(name)}\n本应用的其他说明。\n") == []
    return desk


def test_an_app_of_any_name_that_can_be_seen_is_added_and_asked(odd: Desk) -> None:
    assistant = odd.assistant()
    assert assistant.apps() == ODD_NAMES
    for name in ODD_NAMES:
        answer = assistant.ask("怎么注销账号？", app=name)
        assert (answer.status, answer.app) == ("answered", name)
        assert "注销账号" in answer.citations[0].quote
    assert odd.strays() == []


def test_the_page_of_an_app_of_any_name_is_read(odd: Desk) -> None:
    assistant = odd.assistant()
    app = _build(assistant)
    with TestClient(app, base_url="http://localhost") as client:
        for name in ODD_NAMES:
            page = client.get(f"/read/{quote(name, safe='')}")
            assert "<script>alert(1)" not in page.text
            if name in ("%2e%2e%2f",):  # an address that is encoded twice is no app's; the API gives its policy
                assert page.status_code == 404
            elif name not in (".", ".."):  # a client makes another address of these before it asks
                assert page.status_code == 200, name
                assert "您可以在" in page.text, name
        for name in ODD_NAMES:
            told = client.post("/api/v1/ask", json={"question": "怎么注销账号？", "app": name})
            assert told.status_code == 200 and told.json()["app"] == name, name


def _build(assistant: Assistant) -> object:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def build() -> object:
        return create_app(assistant, WebSettings())

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(build())).result()


def test_apps_of_any_name_are_exported_and_come_back(odd: Desk) -> None:
    out = odd.folder / "out"
    written = export_policies(odd.index, out)
    assert {path.resolve().parent for path in written} == {out.resolve()}
    assert len(set(written)) == len(ODD_NAMES)
    back = {policy.app: policy.text for policy in load_policies([out])}
    assistant = odd.assistant()
    assert back == {name: assistant.policy(name).text for name in ODD_NAMES}
    assert odd.strays() == []


def test_apps_of_any_name_are_removed(desk: Desk) -> None:
    for name in ("留下", "../../etc", "a/b", "QQ"):
        desk.add(name, TEXT + name)
    remove_apps(desk.index, ["../../etc", "a/b"])
    assert desk.assistant().apps() == ("留下", "QQ")
    assert desk.strays() == []


@pytest.mark.parametrize("name", HIDDEN)
def test_a_name_that_cannot_be_seen_is_refused(desk: Desk, name: str) -> None:
    [reason] = desk.add(name)
    assert reason.startswith("the app name ")
    assert not desk.index.exists()


def test_a_name_longer_than_the_api_takes_is_refused(desk: Desk) -> None:
    assert desk.add("应" * 101) == ["the app name has 101 characters, allowed are 100; give a shorter one, with --app"]
    assert not desk.index.exists()


def test_two_apps_of_one_name_are_refused_the_second_time(desk: Desk) -> None:
    desk.add("甲应用")
    with pytest.raises(ValueError, match="甲应用"):
        desk.add("甲应用", TEXT + "三、其他\n另一份。\n")
    assert desk.assistant().policy("甲应用").text == TEXT


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("安全吗？我的信息会不会泄露", ()),
        ("你们怎么保护我的信息安全", ()),
        ("安全措施有哪些", ()),
        ("百度一下就能搜到我的信息吗", ()),
        ("怎么注销账号", ()),
        ("怎么才能删除我的个人信息", ()),
        ("津心办公怎么注销", ("津心办公",)),
        ("津心办怎么注销", ("津心办",)),
        ("QQ怎么注销", ("QQ",)),
        ("百度怎么注销账号", ("百度",)),
        ("《安全》怎么注销", ("安全",)),
    ],
)
def test_a_name_that_is_a_common_word_counts_only_where_it_names(
    odd: Desk, question: str, wanted: tuple[str, ...]
) -> None:
    assert odd.assistant().apps_named(question) == wanted


@pytest.mark.parametrize("text", ["", " ", "\n\n\t\u3000", "\ufeff\u200b"])
def test_a_text_without_a_word_is_refused(desk: Desk, text: str) -> None:
    [reason] = desk.add("甲", text)
    assert reason.startswith("empty (")


def test_a_policy_of_one_character_is_asked(desk: Desk) -> None:
    assert desk.add("甲应用", "甲") == []
    assistant = desk.assistant()
    assert [clause.text for clause in assistant.clauses("甲应用")] == ["甲"]
    assert assistant.ask("怎么注销账号？", app="甲应用").status == "answered"
    assert assistant.profile("甲应用").cells
    assert assistant.compare("怎么注销账号？")


def test_a_policy_of_rules_alone_is_refused(desk: Desk) -> None:
    with pytest.raises(ValueError, match="holds no clause, only headings or rules; give its whole text"):
        desk.add("甲应用", "---\n***\n")


@pytest.mark.faults
@pytest.mark.parametrize(
    "text",
    [
        "我们会收集您的手机号码用于注册账号" * 20_000,
        ("我们会收集您的手机号码，用于注册账号。" * 20 + "\n") * 4_600,
        "一" * 300_000,
        "（" * 300_000,
        "以下：\n" + "(1)甲；" * 60_000,
    ],
    ids=["a line of 1 MB without a mark", "5 MB of sentences", "a numeral of 1 MB", "brackets", "a list of 60,000"],
)
def test_a_long_policy_is_added_and_asked(desk: Desk, text: str, amount: Callable[[int, int], int]) -> None:
    cut = text[: amount(60_000, len(text))]
    start = time.monotonic()
    assert desk.add("甲应用", cut + "\n二、注销\n您可以注销账号。\n") == []
    assistant = desk.assistant()
    for question in ("怎么注销账号？", "收集哪些信息？"):
        assert assistant.ask(question).app == "甲应用"
    assistant.profile("甲应用")
    assert time.monotonic() - start < amount(60, 900)


def test_a_text_of_more_than_two_million_characters_is_refused() -> None:
    with pytest.raises(UnreadableError, match="2000001 characters of text; allowed are 2000000"):
        read_bytes(("甲" * 2_000_001).encode(), ".txt")


@pytest.mark.faults
def test_thousands_of_tiny_policies_are_added_and_asked(desk: Desk, amount: Callable[[int, int], int]) -> None:
    count = amount(200, 2000)
    for number in range(count):
        (desk.files / f"应用{number:04}.txt").write_text(
            f"{TEXT}三、编号\n本应用的编号是{number}。\n", encoding="utf-8"
        )
    intake = take_in([desk.files])
    assert (len(intake.policies), intake.rejected) == (count, ())
    add_policies(desk.index, [taken.policy for taken in intake.policies], ENCODER)
    assistant = desk.assistant()
    assert len(assistant.apps()) == count
    assert assistant.ask("应用0123怎么注销账号？").app == "应用0123"
    assert assistant.ask("怎么注销账号？").status == "which_app"
    assert len(assistant.ask("哪些应用可以注销账号？").rows) == min(200, count)
    assert len(export_policies(desk.index, desk.folder / "out")) == count
    remove_apps(desk.index, [f"应用{number:04}" for number in range(count - 1)])
    assert desk.assistant().apps() == (f"应用{count - 1:04}",)
    assert desk.strays() == []
