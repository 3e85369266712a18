"""Any text at all is parsed: nothing lost, nothing twice, in time that grows with its length."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.blocks import is_blank
from corpus.contents import find_contents
from corpus.datatypes import Policy
from corpus.from_text import decode_text, read_markdown
from corpus.metadata import read_metadata
from corpus.parser import parse_policy
from corpus.sentences import split_sentences
from corpus.versions import diff_outlines

NUMBERS = (
    *(
        "一、",
        "二、",
        "十、",
        "第一条",
        "第二章 ",
        "第三部分",
        "(一)",
        "（二）",
        "【三】",
        "1.",
        "2、",
        "3．",
        "1.1",
        "1.1.1 ",
    ),
    *(
        "2.3.4.5.6",
        "(1)",
        "（2）",
        "3)",
        "a.",
        "B、",
        "(c)",
        "i)",
        "iv.",
        "①",
        "⑳",
        "•",
        "- ",
        "*",
        "+",
        "百百",
        "〇、",
        "999、",
    ),
    *("第〇条", "1.1.1.1.1.1.1", "0.", "(0)", "（百）", "z)", "1", "一", "１．", "㈠"),
)
WORDS = (
    *(
        "我们会收集您的手机号码",
        "您可以注销账号",
        "以下情形",
        "如下",
        "包括",
        "隐私政策",
        "《甲乙隐私政策》",
        "目录",
        "联系我们",
    ),
    *(
        "更新日期：2023年1月2日",
        "联系电话 400-123-4567",
        "a@b.cn",
        "https://a.cn/b?c=d",
        "SDK",
        "\t",
        "|",
        "<delimiter>",
        "---",
    ),
    *(
        "<end>",
        "摘要",
        "附录",
        "定义",
        "本政策",
        "第三方",
        "有限公司",
        "甲",
        "😀",
        "𠀀",
        "e\u0301\u0302",
        "\u202e",
        "\u200b",
        "\ufeff",
    ),
    *("&amp;", "<b>", "**粗**", "# ", "~~", "`", "![", "](", "\u2028", "\x85", "\x0b", "\u3000", "\xa0", "\U0010ffff"),
)
MARKS = tuple("。！？；：，、,.;:!?…“”‘’《》（）()【】[]「」—-·%")
ENDS = ("\n", "\n", "\n\n", "\r\n", "\r", "\n\ufeff", " \n", "\t\n", "\n\u3000\u3000", "")

line = st.builds(
    lambda number, pieces, end: number + "".join(pieces) + end,
    st.sampled_from(("", "", *NUMBERS)),
    st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(MARKS), st.text(max_size=6)), max_size=8),
    st.sampled_from(ENDS),
)
repeated = st.builds(lambda piece, times: piece * times, line, st.integers(2, 40))
policies = st.lists(st.one_of(line, line, line, repeated), min_size=1, max_size=60).map("".join)


def whole(text: str) -> None:
    """Fail where the outline of ``text`` is not the text: DESIGN.md, always true, 1 and 2."""
    outline = parse_policy(Policy(app="甲", text=text))
    pieces = sorted([(c.start, c.end) for c in outline.clauses] + [(f.start, f.end) for f in outline.furniture])
    end = 0
    for start, stop in pieces:
        assert end <= start < stop
        assert all(map(is_blank, text[end:start]))
        end = stop
    assert all(map(is_blank, text[end:]))
    ids = {clause.clause_id for clause in outline.clauses}
    assert len(ids) == len(outline.clauses)
    for clause in outline.clauses:
        assert text[clause.start : clause.end] == clause.text
        assert clause.lead_in is None or clause.lead_in in ids
        spans = split_sentences(clause.text)
        assert all(a < b for a, b in spans) and all(b <= c for (_, b), (c, _) in pairwise(spans))
        ends, starts = [0, *(b for _, b in spans)], [*(a for a, _ in spans), None]
        outside = "".join(clause.text[b:a] for b, a in zip(ends, starts, strict=True))
        assert all(map(is_blank, outside))


@pytest.mark.faults
def test_every_text_is_parsed_whole(amount: Callable[[int, int], int]) -> None:
    @settings(max_examples=amount(250, 60_000), deadline=None, suppress_health_check=list(HealthCheck))
    @given(policies)
    def parse(text: str) -> None:
        whole(text)

    parse()


@pytest.mark.faults
def test_bytes_are_decoded_or_refused_and_markdown_loses_no_word(amount: Callable[[int, int], int]) -> None:
    @settings(max_examples=amount(150, 30_000), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(policies.map(str.encode), st.binary(max_size=300), policies.map(lambda t: t.encode("gb18030"))))
    def decode(data: bytes) -> None:
        try:
            text = decode_text(data)
        except ValueError as exc:
            assert "allowed is text in UTF-8" in str(exc)
            return
        whole(text)
        read_metadata(text, app="甲")
        assert "我们会收集您的手机号码" not in text or "我们会收集您的手机号码" in read_markdown(data)

    decode()


@pytest.mark.faults
def test_two_versions_of_any_text_can_be_compared(amount: Callable[[int, int], int]) -> None:
    @settings(max_examples=amount(40, 8_000), deadline=None, suppress_health_check=list(HealthCheck))
    @given(policies, policies)
    def compare(old: str, new: str) -> None:
        one, other = (Policy(app="甲", text=text) for text in (old, new))
        versions = [(policy, parse_policy(policy).clauses) for policy in (one, other)]
        assert diff_outlines(versions[0], versions[0]) == ()
        diff_outlines(*versions)

    compare()


HOSTILE = (
    *(
        "（",
        "(",
        "1",
        "12.",
        "第一条",
        "第一条\n",
        "\n",
        "中",
        "\t",
        "\ufeff",
        "（(【[",
        "一、",
        "一、\n",
        "1.\n",
        "1.1.1.1 甲\n",
    ),
    *(
        "(1)；(2)；(3)；",
        "a\n",
        "甲：\n",
        "甲\n乙\n丙\n丁；戊，己；。\n",
        "以下：\n•甲\n",
        "以下情形：\n(1)甲\n",
        "，",
        "，\n",
        "。",
    ),
    *(
        "“",
        "”",
        "”\n",
        "《甲隐私政策》\n更新日期：2023年1月1日\n",
        "《",
        "\r\n",
        " \u3000",
        "e\u0301",
        "😀",
        "更新日期",
        "由",
    ),
    *(
        "甲有限公司",
        "联系我们",
        "热线",
        "a@",
        "1.\n2.\n",
        "目录\n一、甲\n二、乙\n三、丙\n",
        "1、甲\n",
        "A. a\n",
        "- a\n",
        "甲乙\t丙\n",
    ),
    *(
        "<delimiter>\n",
        "---\n",
        "i) a\n",
        "(\n",
        ")\n",
        "ABC甲：\n•ABD\n丙丁戊己庚\n",
        "*a",
        "**a",
        "[a](",
        "`a",
        "<!--",
        "__a",
    ),
)
READERS: dict[str, Callable[[str], object]] = {
    "parse": lambda text: parse_policy(Policy(app="甲", text=text)),
    "metadata": lambda text: read_metadata(text, app="甲"),
    "sentences": split_sentences,
    "markdown": lambda text: read_markdown(f"甲{text}".encode()),
}
GROWTH = 14.0
"""Time for five times the text: 5 where it grows with the length, 25 with its square."""


def time_of(read: Callable[[str], object], text: str) -> float:
    start = time.perf_counter()
    read(text)
    return time.perf_counter() - start


@pytest.mark.faults
@pytest.mark.parametrize("name", READERS)
def test_hostile_text_takes_time_that_grows_with_its_length(name: str, amount: Callable[[int, int], int]) -> None:
    read, length = READERS[name], amount(10_000, 400_000)
    steep = {}
    for body in HOSTILE:
        text = body * (length // len(body))
        if time_of(read, text) < 0.15:
            continue
        ratios = []
        for _ in range(3):
            few = min(time_of(read, text[: length // 5]) for _ in range(2))
            ratios.append(time_of(read, text) / few)
            if ratios[-1] <= GROWTH:
                break
        if min(ratios) > GROWTH:
            steep[body] = ratios
    assert steep == {}


def test_lists_without_end_are_compared_a_limited_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    from corpus import contents
    from corpus.blocks import split_blocks

    asked = 0

    def resembles(title: str, other: str) -> bool:
        nonlocal asked
        asked += 1
        return False

    monkeypatch.setattr(contents, "resembles", resembles)
    text = "".join(f"目录\n一、甲{n}\n二、乙{n}\n三、丙{n}\n我们会收集信息；您可以注销；谢谢。\n" for n in range(3000))
    find_contents(split_blocks(text))
    assert asked <= contents._MOST_COMPARED + 10 * contents._LATER
