"""What a question is: its language, its parts, and whether it can stand alone."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrieval.question import (
    asks_for_list,
    asks_yes_no,
    detect_language,
    is_elliptical,
    is_gibberish,
    simplify,
    split_parts,
    stance,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("怎么注销账号", "zh"),
        ("怎麼註銷帳號", "zh-Hant"),
        ("how do I delete my account in 津心办", "en"),
        ("how do I close my account in 口袋证件照", "en"),
        ("會收集 IMEI 嗎", "zh-Hant"),
        ("App 会收集 IMEI 和 Cookie 吗", "zh"),
        ("cookie policy 在哪", "zh"),
        ("cookie info 收集吗", "zh"),
        ("email account 怎么删", "zh"),
        ("SIM info 收集吗", "zh"),
        ("Can a child use 昶联?", "en"),
        ("Can a 12-year-old register with 昶联?", "en"),
        ("SDK 收集什么", "zh"),
        ("jinxinban怎么销号", "zh"),
        ("zenme zhuxiao zhanghao", "zh"),
        ("zhuxiao yao ji tian", "zh"),
        ("privacy email", "en"),
        ("ISO 27001 certificate", "en"),
        ("", "zh"),
        ("???", "zh"),
        ("乾隆年间的著作", "zh"),
    ],
)
def test_the_language_is_that_of_the_question_not_of_the_app(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("text", "simplified"),
    [
        ("怎麼註銷帳號", "怎么注销帐号"),
        ("會讀我的通訊錄嗎", "会读我的通讯录吗"),
        ("個資外洩怎麼辦", "个人信息泄露怎么办"),
        ("資料存在哪個伺服器", "资料存在哪个服务器"),
        ("剪貼簿和相簿", "剪贴板和相册"),
        ("登入與登出", "登录与退出登录"),
        ("怎么注销账号 IMEI", "怎么注销账号 IMEI"),
        ("how do I log out", "how do I log out"),
    ],
)
def test_traditional_and_taiwan_wording_becomes_mainland_wording(text: str, simplified: str) -> None:
    assert simplify(text) == simplified


@pytest.mark.parametrize(
    "text", ["", "  ", "？！。", "😀😀", "a", "啊", "哈哈哈", "asdfgh", "qwertyuiop", "jjjjjj", "zxcvbn", "111111"]
)
def test_nothing_to_search_for_is_gibberish(text: str) -> None:
    assert is_gibberish(text)


@pytest.mark.parametrize(
    "text",
    [
        "注销",
        "SDK",
        "IMEI",
        "IDFA",
        "GPS",
        "脸",
        "电话",
        "gdpr",
        "12306",
        "ssid",
        "delete",
        "zhuxiao",
        "rhythm",
        "keep",
    ],
)
def test_a_single_word_is_no_gibberish(text: str) -> None:
    assert not is_gibberish(text)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("多久会回复?", "zh"),
        ("那口袋证件照呢?", "zh"),
        ("那呢", "zh"),
        ("呢", "zh"),
        ("", "zh"),
        ("电话呢", "zh"),
        ("那小孩呢", "zh"),
        ("然后呢", "zh"),
        ("要多久", "zh"),
        ("这个能关吗", "zh"),
        ("不给这个权限会怎样", "zh"),
        ("為什麼", "zh-Hant"),
        ("那要多久呢", "zh-Hant"),
        ("what if I refuse?", "en"),
        ("and the email?", "en"),
        ("how long does that take?", "en"),
        ("what about ?", "en"),
        ("and for ?", "en"),
        ("why?", "en"),
        ("can I turn it off?", "en"),
    ],
)
def test_a_follow_up_cannot_stand_alone(question: str, language: str) -> None:
    assert is_elliptical(question, language=language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("怎么注销账号", "zh"),
        ("注销要多久", "zh"),
        ("注销之后信息还保存多久", "zh"),
        ("客服电话多少", "zh"),
        ("收集哪些信息", "zh"),
        ("怎麼註銷帳號", "zh-Hant"),
        ("how do I delete my account", "en"),
        ("what do you collect", "en"),
        ("how long do you keep my photos", "en"),
        ("which company runs this app", "en"),
        ("can I turn off ads", "en"),
    ],
)
def test_a_full_question_stands_alone(question: str, language: str) -> None:
    assert not is_elliptical(question, language=language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "language", "parts"),
    [
        ("会存多久,存在哪里?", "zh", ("会存多久", "会存 存在哪里?")),
        ("怎么注销，注销后数据还在吗", "zh", ("怎么注销", "注销 注销后数据还在吗")),
        (
            "我下周换号码。旧号怎么解绑？新号多久生效？",
            "zh",
            ("我下周换号码。旧号怎么解绑？", "我下周换号码。新号多久生效？"),
        ),
        ("個資會存在哪裡？要怎麼刪除？", "zh-Hant", ("个人信息会存在哪里？", "个人信息会存 要怎么删除？")),
        (
            "What do you collect and who do you share it with?",
            "en",
            ("What do you collect", "collect: who do you share it with?"),
        ),
        (
            "How do I close my account, and how long does it take?",
            "en",
            ("How do I close my account", "close my account: how long does it take?"),
        ),
        (
            "I sold my phone. How do I log out, and can I wipe my photos?",
            "en",
            ("I sold my phone. How do I log out", "I sold my phone. can I wipe my photos?"),
        ),
        ("怎么注销账号？投诉电话是多少？", "zh", ("怎么注销账号？", "投诉电话是多少？")),
        ("怎么注销账号？打电话行吗？", "zh", ("怎么注销账号？", "注销账号 打电话行吗？")),
        (
            "How do I delete my account? What is the hotline?",
            "en",
            ("How do I delete my account?", "What is the hotline?"),
        ),
    ],
)
def test_two_questions_come_apart_each_complete(question: str, language: str, parts: tuple[str, ...]) -> None:
    assert split_parts(question, language=language) == parts  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("我把App从手机上卸掉了，是不是就等于销户了", "zh"),
        ("不想让它知道我在哪，怎么关", "zh"),
        ("之前搜过啥怕同事看到，咋抹干净", "zh"),
        ("我往里头充了多少钱，他们有账吗？", "zh"),
        ("听说要刷脸，是真的吗？", "zh"),
        ("我改了手机号？真的假的？", "zh"),
        ("收集姓名、电话吗", "zh"),
        ("怎么注销账号", "zh"),
        ("are they adults only or do kids count?", "en"),
        ("who can see my photos and videos?", "en"),
        ("I lost my phone. How do I lock the account?", "en"),
        ("how will you tell me, and how?", "en"),
    ],
)
def test_a_story_and_a_single_question_stay_whole(question: str, language: str) -> None:
    assert split_parts(question, language=language) == (question,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "language", "asks"),
    [
        ("会卖我的信息吗", "zh", True),
        ("能不能关掉推荐", "zh", True),
        ("會不會傳到國外", "zh-Hant", True),
        ("会存多久吗啥的，怎么删", "zh", False),
        ("怎么注销账号", "zh", False),
        ("哪些信息会被共享", "zh", False),
        ("do you sell my data?", "en", True),
        ("I live abroad. Can I use it?", "en", True),
        ("how do you use my data", "en", False),
    ],
)
def test_yes_or_no_is_asked(question: str, language: str, asks: bool) -> None:
    assert asks_yes_no(question, language=language) is asks  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sentence", "question", "said"),
    [
        ("我们不会出售您的个人信息。", "会卖我的信息吗", "no"),
        ("我们不会将上述信息传输至境外。", "do you send my data abroad", "no"),
        ("您无需提供身份证号。", "要不要提供身份证", "no"),
        ("我们会收集您的位置信息。", "会收集位置信息吗", "yes"),
        ("您可以随时撤回授权。", "能撤回授权吗", "yes"),
        ("除非取得您的同意，我们不会共享您的信息。", "会共享吗", None),
        ("我们不会公开，但法律另有规定的除外。", "会公开吗", None),
        ("我们可能会收集您的位置信息。", "会收集位置信息吗", None),
        ("当您使用导航时，我们会收集您的位置。", "会收集位置信息吗", None),
        ("拒绝提供不会影响您使用其他功能。", "能不提供吗", None),
        ("我们将您的信息存储于中国境内。", "会存在国外吗", None),
        ("位置信息属于敏感个人信息。", "会收集位置信息吗", None),
        ("收集位置是为了定位您的地址，不会与其他用户混淆。", "会收集位置吗", None),
        ("收集位置是为了定位您的地址，不会与其他用户混淆。", "does it collect my location", None),
        ("我们不会出售您的个人信息。", "会收集位置信息吗", None),
        ("我们会删除您的信息。", "会收集位置信息吗", None),
        ("我们不会向任何第三方出售您的个人信息。", "会不会把个人信息给第三方", None),
        ("我们不会向任何第三方出售、共享您的个人信息。", "会不会把个人信息给第三方", "no"),
        ("We不会出售您的个人信息。", "do you rent my data out", "no"),
    ],
)
def test_a_stance_is_read_from_explicit_wording_about_what_is_asked(
    sentence: str, question: str, said: str | None
) -> None:
    assert stance(sentence, question) == said


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("哪些情形下可以要求删除", True),
        ("需要哪些权限", True),
        ("何種情形下會公開揭露", True),
        ("what are all the cases where I can ask for deletion", True),
        ("in which cases can I ask for deletion", True),
        ("怎么注销账号", False),
        ("用什么方式通知我", False),
        ("how do I delete my account", False),
    ],
)
def test_a_list_is_asked_for_as_a_whole(question: str, asks: bool) -> None:
    assert asks_for_list(question) is asks


@given(st.text(alphabet="怎么注销多久哪里吗，,。？?！ 我您會麼abc and how do I it's\n\x1f\u3000", max_size=80))
@example("？\x1f\n怎么注销账号")
@example("?\x1f\n! how do I delete my account")
def test_any_text_gets_one_to_three_parts_that_are_not_blank(text: str) -> None:
    for language in ("zh", "zh-Hant", "en"):
        parts = split_parts(text, language=language)  # type: ignore[arg-type]
        assert 1 <= len(parts) <= 3
        assert parts == (text.strip(),) or all(part.strip() for part in parts)


def test_reading_a_question_takes_under_a_millisecond() -> None:
    question = "我帮我妈查快递，把她手机号也加进来了。后来她不乐意，怎么把她号去掉？去掉以后还会接着查她的包裹吗？"
    detect_language("測試")  # OpenCC reads its dictionaries on first use
    start = time.perf_counter()
    for _ in range(100):
        detect_language(question)
        is_gibberish(question)
        is_elliptical(question, language="zh")
        split_parts(question, language="zh")
        asks_yes_no(question, language="zh")
        asks_for_list(question)
    assert (time.perf_counter() - start) / 100 < 0.001


def test_importing_the_module_does_not_load_opencc() -> None:
    code = "import sys, retrieval.question; sys.exit('opencc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
