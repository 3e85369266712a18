"""Any question gets an answer or a decline: nothing but the documented errors, and always what is always true.

That every answer keeps what is always true is checked by `always_true` of tests/conftest.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.datatypes import Policy
from corpus.lexicons import load_known_apps
from corpus.load import load_policies
from retrieval import Assistant, Turn
from retrieval.apps import AppResolver
from retrieval.facts import find_facts, select_facts
from retrieval.names import is_spelt_out
from retrieval.question import detect_language, is_elliptical, is_gibberish, simplify, split_parts

from ..conftest import Shelf, decide

APPS = ("津心办", "口袋证件照", "掌上海关", "汇容客", "昶联")
QUIET = list(HealthCheck)
WORDS = (
    *(
        "怎么注销账号",
        "收集哪些信息",
        "会分享给第三方吗",
        "多久会回复",
        "那呢",
        "how do I delete my account",
        "what if I refuse?",
    ),
    *(
        "哪些应用",
        "which apps",
        "对比",
        "用微信登录",
        "通过支付宝",
        "《",
        "》",
        "app",
        "的",
        "和",
        "还是",
        "？",
        "?",
        "，",
        "\n",
        " ",
    ),
    *(
        "津心伴",
        "jinxinban",
        "JXB",
        "掌上",
        "海关",
        "chiong",
        "微信",
        "淘宝",
        "keep",
        "soul",
        "\u202e",
        "\u200b",
        "\ufeff",
    ),
    *(
        "e\u0301",
        "津\u0301心\u0301办",
        "ｊｉｎ",
        "津心辦",
        "註銷",
        "隱私",
        "<script>",
        "=1+1",
        "%00",
        "../../etc/passwd",
        "\x00",
        "\ud800",
    ),
    *APPS,
)
text = st.one_of(
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), max_size=12).map("".join),
    st.text(max_size=60),
    st.builds(lambda word, times: (word * times)[:500], st.sampled_from(WORDS), st.integers(1, 500)),
)
app = st.one_of(st.none(), st.none(), st.sampled_from((*APPS, "淘宝", "")), st.text(max_size=12))
history = st.lists(st.one_of(text, st.builds(Turn, text, app)), max_size=4)


@pytest.fixture(scope="module", params=["answers all", "answers none", "takes nothing for a question"])
def anyone(request: pytest.FixtureRequest, shipped: Shelf) -> Assistant:
    decisions = {
        "answers all": decide(bias=20.0),
        "answers none": decide(bias=-20.0),
        "takes nothing for a question": decide(topic=False),
    }
    return shipped.assistant(decisions[request.param])


@pytest.mark.faults
def test_any_question_is_answered_or_declined(anyone: Assistant, amount: Callable[[int, int], int]) -> None:
    @settings(max_examples=amount(60, 30_000), deadline=None, suppress_health_check=QUIET)
    @given(text, app, history, st.integers(1, 50))
    def ask(question: str, app: str | None, history: Sequence[Turn | str], top_k: int) -> None:
        answer = anyone.ask(question, app=app, history=history, top_k=top_k)
        parts = split_parts(anyone.completed(question, history), language=detect_language(question))
        assert len(answer.citations) <= max(top_k, len(parts))
        if app in APPS:
            assert answer.app in (app, None)
        assert anyone.ask(question, app=app, history=history, top_k=top_k) == answer

    ask()


@pytest.mark.faults
def test_any_query_is_searched_and_compared(assistant: Assistant, amount: Callable[[int, int], int]) -> None:
    @settings(max_examples=amount(40, 20_000), deadline=None, suppress_health_check=QUIET)
    @given(text, app, st.lists(st.one_of(st.sampled_from(APPS), st.text(max_size=8)), max_size=4), st.integers(1, 2000))
    def search(query: str, app: str | None, apps: list[str], top_k: int) -> None:
        try:
            passages = assistant.search(query, app=app, top_k=top_k)
        except ValueError as exc:
            assert str(exc).startswith("no app ")
        else:
            assert len(passages) <= top_k
        names = {row.app for row in assistant.compare(query, apps)}
        assert len(names) <= len(apps)
        assistant.completed(query, [query])
        assistant.is_on_topic(query)

    search()


@pytest.mark.faults
def test_no_app_is_found_in_random_letters(shipped: Shelf, amount: Callable[[int, int], int]) -> None:
    """Two letters of a name, or its homophones, may come up by chance; whole names do not."""
    chance = random.Random(20261122)
    letters = [chr(code) for code in range(0x4E00, 0x9FA5)]
    for _ in range(amount(300, 60_000)):
        made = "".join(chance.choices(letters, k=chance.randint(1, 30)))
        found = [name for name in shipped.resolver.resolve(made).subjects if name in APPS]
        assert not found or any(set(name) & set(made) for name in found), made
    for _ in range(amount(300, 60_000)):
        made = "".join(chance.choices("0123456789 qwxzvkj,.?!()", k=chance.randint(1, 40)))
        assert not [name for name in shipped.resolver.resolve(made).subjects if name in APPS], made


@pytest.mark.faults
def test_a_name_is_found_whatever_stands_around_it(shipped: Shelf, amount: Callable[[int, int], int]) -> None:
    chance = random.Random(20261122)
    around = ("怎么注销", "会收集位置吗", "的客服电话", "里怎么改密码", "多久回复", "能不能导出信息")
    for _ in range(amount(200, 20_000)):
        name = chance.choice(APPS)
        question = (
            f"{chance.choice(('', '请问', '在', '我想问'))}{name}{chance.choice(around)}{chance.choice('？?。 ')}"
        )
        assert shipped.resolver.resolve(question).subjects == (name,), question


@pytest.mark.faults
def test_resolution_never_breaks_and_strips_only_what_it_found(
    shipped: Shelf, amount: Callable[[int, int], int]
) -> None:
    @settings(max_examples=amount(300, 50_000), deadline=None, suppress_health_check=QUIET)
    @given(text.map(lambda made: made.encode(errors="replace").decode()))
    def resolve(made: str) -> None:
        found = shipped.resolver.resolve(made)
        assert len(found.stripped) <= len(made) + len(found.mentions)
        if not found.mentions:
            assert found.stripped == made
        for one in (simplify(made), found.stripped):
            language = detect_language(one)
            is_elliptical(one, language=language)
            is_gibberish(one)
            assert split_parts(one, language=language)
        shipped.resolver.find(made)
        shipped.resolver.near_names(made)

    resolve()


@pytest.mark.faults
def test_every_fact_stands_in_the_text_where_it_says(amount: Callable[[int, int], int]) -> None:
    pieces = (
        *(
            "400-123-4567",
            "022-12345678",
            "12345",
            "a@b.cn",
            "https://a.cn/b",
            "www.a.cn",
            "15个工作日",
            "三十日内",
            "18周岁",
        ),
        *(
            "天津市河西区友谊路5号院1号楼",
            "人民法院",
            "北京市海淀区人民法院",
            "2023年1月2日",
            "“我的-设置-注销”",
            "我的>设置>注销",
        ),
        *(
            "手机号码、身份证号",
            "某某科技有限公司",
            "点击",
            "【",
            "】",
            "(",
            "（",
            "。",
            "，",
            "14 周岁",
            "7 x 24",
            "\ufeff",
            "\n",
            "-",
        ),
    )
    body = st.lists(st.one_of(st.sampled_from(pieces), st.text(max_size=5)), max_size=25).map("".join)

    @settings(max_examples=amount(300, 60_000), deadline=None, suppress_health_check=QUIET)
    @given(body, st.integers(0, 1000))
    def find(made: str, offset: int) -> None:
        found = find_facts(made, offset=offset)
        for fact in found:
            assert fact.start < fact.end
            assert (
                made[fact.start - offset : fact.end - offset].strip() == made[fact.start - offset : fact.end - offset]
            )
            assert fact.start - offset >= 0 and fact.end - offset <= len(made)
        assert set(select_facts(found, ("phone", "email", "url"))) <= set(found)

    find()


HOSTILE = (
    "chiong",
    "aoiao",
    "的",
    "必要的",
    " ",
    "\u3000",
    "e\u0301",
    "\u0301",
    "\u202e",
    "\u200b",
    "(",
    "（",
    "，",
    "？",
    "a",
    "1",
)
SOON = 20.0
"""Seconds for one question on any machine; some milliseconds here. What was cut in every way there is took years."""


@pytest.mark.parametrize(
    "word", [*HOSTILE, "津心办", "微信和", "用微信登录", "哪些app", "和", "\n", "谁", "the ", "app ", "、"]
)
def test_a_question_of_one_word_again_and_again_is_answered_soon(assistant: Assistant, word: str) -> None:
    for tail in ("", "注销？", "q9"):
        start = time.monotonic()
        assistant.ask((word * 500)[:498] + tail)
        assistant.ask("那呢？", history=[(word * 500)[:498] + tail])
        assert time.monotonic() - start < SOON


def test_a_hundred_thousand_combining_marks_are_a_question_like_any_other(assistant: Assistant) -> None:
    start = time.monotonic()
    answer = assistant.ask("津心办怎么注销" + "\u0301" * 100_000 + "？")
    assert answer.app == "津心办"
    assert time.monotonic() - start < 3 * SOON


def test_pinyin_is_told_from_other_letters() -> None:
    spelt = [
        word
        for word in ("zhongguo", "zhuang", "xian", "lv", "chiong", "wechat", "keep", "", "q9")
        if is_spelt_out(word)
    ]
    assert spelt == ["zhongguo", "zhuang", "xian", "lv", "chiong"]
    assert not is_spelt_out("chiong" * 2000 + "q9")


def test_the_profile_of_a_hostile_policy_is_read_soon(shelve: Callable[[Sequence[Policy]], Shelf]) -> None:
    lines = [
        *("隐私政策", "一、我们如何收集和使用您的个人信息"),
        *(
            f"为了服务,我们会收集您的{word * (1900 // len(word))}。"
            for word in ("必要的", "技术基本", "的", "信息、", "（", "号")
        ),
        *(
            "二、我们如何共享、转让、公开披露您的个人信息",
            f"我们会接入{'和' * 900}SDK。",
            f"微信{'和支付及' * 200}宝SDK。",
        ),
        *(f"不会{'共享' * 900}", "三、权限", f"{'；' * 1500}甲：乙", "\n" * 3000, f"开启{'权限' * 900}"),
    ]
    shelf = shelve([Policy(app="甲乙丙", text="\n".join(lines))])
    start = time.monotonic()
    shelf.assistant(decide(bias=20.0)).profile("甲乙丙")
    assert time.monotonic() - start < 3 * SOON


POLICIES = Path(__file__).parents[3] / "shared" / "data" / "policies"


@pytest.mark.policies130
@pytest.mark.faults
def test_every_clause_asked_back_is_answered_or_declined(
    shelve: Callable[[Sequence[Policy]], Shelf], amount: Callable[[int, int], int]
) -> None:
    if not POLICIES.is_dir():
        pytest.skip(f"{POLICIES} is not there")
    policies = load_policies([POLICIES])
    if amount(0, 1) == 0:
        policies = tuple(random.Random(20261122).sample(policies, 12))
    shelf = shelve(policies)
    assistants = [shelf.assistant(decide(bias=bias)) for bias in (20.0, -20.0)]
    chance = random.Random(20261122)
    clauses = [(policy.app, clause) for policy in policies for clause in assistants[0].clauses(policy.app)]
    asked = clauses if amount(0, 1) else chance.sample(clauses, 150)
    for number, (name, clause) in enumerate(asked):
        answer = assistants[number % 2].ask(clause.text[:500], app=chance.choice((name, None)))
        assert answer.status in ("answered", "silent", "unknown_app", "which_app", "compared", "off_topic")


def test_the_general_list_of_apps_does_not_name_a_policy_of_ours() -> None:
    resolver = AppResolver([Policy(app="甲乙丙", text="隐私政策")], load_known_apps())
    assert resolver.resolve("微信怎么注销").subjects == ("微信",)
    assert resolver.find("微信") is None
