"""Which app a question is about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.lexicons import load_app_words, load_known_apps
from corpus.load import default_policies_folder, load_policies
from evaluation.questions import load_questions
from retrieval.apps import AppResolver, render_english
from retrieval.names import fold, name_key

SHARED = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Names:
    """The names of one policy."""

    app: str
    aliases: tuple[str, ...] = ()
    operator: str | None = None


FIVE = (
    Names("津心办", operator="天津市大数据管理中心"),
    Names("掌上海关"),
    Names("口袋证件照"),
    Names("汇容客", operator="厦门惠榕软件科技有限公司"),
    Names("昶联", operator="宁波昶联软件有限公司"),
)
MANY = (
    *FIVE,
    *map(
        Names,
        [
            "KEEP",
            "soul",
            "wink",
            "wechart",
            "QQ",
            "qq音乐",
            "百度",
            "百度地图",
            "建行",
            "建行生活",
            "京东",
            "元神",
            "咸鱼",
            "饿了吗",
            "新剑侠奇缘",
            "工商",
            "哔哩哔哩",
            "小红书",
            "爱彼迎",
            "抖音",
            "高德地图",
            "顺丰速运",
            "中国移动",
            "中国银行",
            "中国农业银行",
            "58同城",
            "12306",
        ],
    ),
)


@pytest.fixture(scope="module")
def five() -> AppResolver:
    return AppResolver(FIVE, load_known_apps())


@pytest.fixture(scope="module")
def many() -> AppResolver:
    return AppResolver(MANY, load_known_apps())


def test_the_list_is_large_and_names_no_app_twice() -> None:
    known = load_known_apps()
    owner: dict[str, str] = {}
    for app in known:
        for name in (app.name, *app.aliases):
            assert owner.setdefault(name_key(name), app.name) == app.name, name
        assert set(app.words) <= {app.name, *app.aliases}, app.name
    assert len({app.name for app in known}) == len(known) > 550


@pytest.mark.parametrize(
    ("question", "app"),
    [
        ("津心办怎么销号", "津心办"),
        ("how do I delete my account in 津心办", "津心办"),
        ("「匯容客」會把資料存放於何處", "汇容客"),
        ("津心辦怎麼註銷帳號", "津心办"),
        ("jinxinban zenme zhuxiao", "津心办"),
        ("jin xin ban怎么注销", "津心办"),
        ("zhangshang海关在哪改密码", "掌上海关"),
        ("delete account jinxingban", "津心办"),
        ("kdzjz删照片在哪", "口袋证件照"),
        ("ＪＸＢ怎么注销", "津心办"),
        ("津心伴怎么销号", "津心办"),
        ("津新办修改密码在哪", "津心办"),
        ("律心办怎么销号", "津心办"),
        ("口代证件照怎么退款", "口袋证件照"),
        ("口袋证照怎么退款", "口袋证件照"),
        ("掌上关海电话", "掌上海关"),
        ("Palm Customs hotline number", "掌上海关"),
        ("is Handheld Customs safe", "掌上海关"),
        ("Pocket ID Photo refund", "口袋证件照"),
        ("宁波昶联软件有限公司注册地址在哪", "昶联"),
        ("厦门惠榕的投诉电话", "汇容客"),
    ],
)
def test_an_app_is_known_by_every_way_to_write_its_name(five: AppResolver, question: str, app: str) -> None:
    assert five.resolve(question).subjects == (app,)


@pytest.mark.parametrize(
    ("question", "app"),
    [
        ("微信会读取我的通讯录吗", "wechart"),
        ("原神怎么注销", "元神"),
        ("Genshin Impact delete account", "元神"),
        ("饿了么注销账号在哪", "饿了吗"),
        ("闲鱼怎么注销", "咸鱼"),
        ("新剑侠情缘的客服", "新剑侠奇缘"),
        ("小破站注销账号怎么弄", "哔哩哔哩"),
        ("how do I close my Airbnb acount on airbnbb", "爱彼迎"),
        ("ICBC login password", "工商"),
        ("QQ音乐怎么退订会员", "qq音乐"),
        ("百度地图怎么注销", "百度地图"),
        ("建行生活的积分", "建行生活"),
        ("12306app怎么改密码", "12306"),
        ("58客服电话", "58同城"),
        ("移动会不会录音", "中国移动"),
    ],
)
def test_nicknames_english_names_and_the_longest_name_tell_the_app(many: AppResolver, question: str, app: str) -> None:
    assert many.resolve(question).subjects == (app,)


def test_a_short_name_inside_a_longer_known_name_does_not_count(many: AppResolver) -> None:
    resolution = many.resolve("京东金融会查我的征信吗")
    assert resolution.subjects == resolution.unknown == ("京东金融",)


@pytest.mark.parametrize(
    ("question", "subjects"),
    [
        ("用微信登录津心办安全吗", ("津心办",)),
        ("sign in to 津心办 with WeChat: what do you read?", ("津心办",)),
        ("津心办有没有接入友盟", ("津心办",)),
        ("汇容客接了友盟,友盟会收集我手机什么", ("汇容客",)),
        ("在掌上海关里用百度地图会被收集哪些信息", ("掌上海关",)),
        ("通过微信分享掌上海关的内容,微信SDK会读取什么", ("掌上海关",)),
        ("用第三方帐号比如QQ登口袋证件照会拿我什么", ("口袋证件照",)),
        ("用微信登录会拿到我什么信息", ()),
        ("what do you get when I log in with WeChat?", ()),
        ("will other players see my WeChat name and picture?", ()),
        ("微信分享要什么权限", ()),
    ],
)
def test_a_partner_is_not_the_subject(five: AppResolver, question: str, subjects: Sequence[str]) -> None:
    assert five.resolve(question).subjects == subjects


@pytest.mark.parametrize("question", ["微信怎么注销账号", "how do I delete my WeChat account?", "在微信里怎么改头像"])
def test_what_is_a_partner_elsewhere_can_be_the_subject(many: AppResolver, question: str) -> None:
    assert many.resolve(question).subjects == ("wechart",)


@pytest.mark.parametrize(
    ("question", "subjects"),
    [
        ("how long do you keep my data", ()),
        ("Keep my data safe, will you?", ()),
        ("Will you keep my face photo after I delete my account?", ()),
        ("does Keep share my workouts", ("KEEP",)),
        ("how do I delete my account in keep", ("KEEP",)),
        ("keep app privacy contact", ("KEEP",)),
        ("在keep里怎么注销", ("KEEP",)),
        ("keep的客服电话", ("KEEP",)),
        ("how do i cancel my account in the wink app", ("wink",)),
        ("How do I delete my Soul account?", ("soul",)),
        ("移动端会不会录音", ()),
    ],
)
def test_a_name_that_is_an_ordinary_word_needs_case_or_context(
    many: AppResolver, question: str, subjects: Sequence[str]
) -> None:
    assert many.resolve(question).subjects == subjects


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("what data does instagram collect about me", "instagram"),
        ("Does WhatsApp share my phone number with advertisers?", "WhatsApp"),
        ("蝦皮購物怎麼刪除帳號", "蝦皮購物"),
        ("抖因怎么注销账号", "抖音"),
        ("喵喵记账app会收集我的位置吗", "喵喵记账"),
        ("“云朵日记”APP怎么注销", "云朵日记"),
        ("how do I delete my data in the foobar app", "foobar"),
        ("How long does BlueFox Wallet keep my ID photo?", "BlueFox Wallet"),
        ("星途打车怎么注销账号", "星途打车"),
        ("云朵记账怎么注销账号", "云朵记账"),
        ("怎么注销青禾笔记的账号", "青禾笔记"),
        ("想知道青禾笔记会不会收集位置", "青禾笔记"),
        ("那星河云盘呢？", "星河云盘"),
        ("换成晨光健身", "晨光健身"),
        ("我想知道在云雀商城里怎么注销", "云雀商城"),
        ("有人说蓝鲸记账会卖数据", "蓝鲸记账"),
        ("And Zorblax?", "Zorblax"),
        ("can I close my Nimbo account without calling anyone", "Nimbo"),
        ("What does the app Fennwick collect?", "Fennwick"),
        ("How do I delete my account in Foobarly?", "Foobarly"),
        ("Is Zibble sharing data with advertisers?", "Zibble"),
        ("在 Foobarly 里怎么删除账号", "Foobarly"),
        ("foobarly怎么注销", "foobarly"),
    ],
)
def test_an_app_that_the_corpus_lacks_is_named(five: AppResolver, question: str, name: str) -> None:
    resolution = five.resolve(question)
    assert resolution.unknown == resolution.subjects == (name,)


@pytest.mark.parametrize(
    "question",
    [
        "这个app会录音吗",
        "does the app read my contacts",
        "你们的软件安全吗",
        "can your app see my photos",
        "what does the banking app read",
        "手机app在后台会不会定位",
        "我已经把App从手机上卸掉了",
        "does my Huawei phone send you anything",
        "“我已阅读并同意”要不要点",
        "《隐私政策》多久更新一次",
        "自动记账会读取短信吗",
        "家庭相册会上传吗",
        "离线地图怎么清除",
        "删除小孩子账号怎么办",
        "注销第三方账号",
        "OAID会收集吗",
        "AndroidID会收集吗",
        "zhanghao怎么注销",
        "cookei怎么清掉",
        "私密日记怎么删除",
        "注销孩子游戏账号需要什么",
        "那家庭相册呢",
        "What about Fingerprints?",
        "is my data stored in Frankfurt?",
        "Is It true that you sell data",
        "My account was banned",
        "我在 Settings 里怎么关闭",
        "if I use it from London, do I have more rights",
        "How do I delete my data in Settings?",
        "share with Advertisers in Europe?",
        "怎么注销账号",
        "",
    ],
)
def test_a_question_without_an_app_names_none(many: AppResolver, question: str) -> None:
    resolution = many.resolve(question)
    assert resolution.subjects == () and not resolution.across_apps and resolution.stripped == question


@pytest.mark.parametrize(
    ("question", "subjects"),
    [
        ("津心办和掌上海关哪个会用人脸", ("津心办", "掌上海关")),
        ("Compare how 津心办 and 掌上海关 let me delete my account", ("津心办", "掌上海关")),
        ("津心办跟携程注销有什么不同", ("津心办", "携程")),
    ],
)
def test_apps_that_are_compared_are_all_subjects(five: AppResolver, question: str, subjects: Sequence[str]) -> None:
    assert five.resolve(question).subjects == subjects


@pytest.mark.parametrize(
    ("question", "across"),
    [
        ("哪些APP會收集位置資訊", True),
        ("Which apps collect my location?", True),
        ("所有app里谁会把数据传到境外", True),
        ("你们会看我手机装了哪些app吗", False),
        ("can it see which apps I have installed", False),
        ("which apps on my phone can you see", False),
        ("津心办会读取哪些应用", False),
    ],
)
def test_a_question_across_apps_is_told_from_one_about_installed_apps(
    five: AppResolver, question: str, across: bool
) -> None:
    assert five.resolve(question).across_apps is across


@pytest.mark.parametrize(
    ("question", "stripped"),
    [
        ("how do I delete my account in 津心办", "how do I delete my account"),
        ("How do I close my account in the 津心办 app?", "How do I close my account?"),
        ("在“津心办”App里怎么销号", "怎么销号"),
        ("津心办的客服电话", "客服电话"),
        ("津心办’s hotline", "hotline"),
        ("用微信登录津心办安全吗", "用微信登录安全吗"),
        ("sign in to 津心办 with WeChat", "sign in with WeChat"),
        ("《掌上海关》收集哪些信息", "收集哪些信息"),
        ("掌上海关上传照片要什么权限", "上传照片要什么权限"),
        ("津心办", "津心办"),
    ],
)
def test_the_name_is_taken_out_of_the_query(five: AppResolver, question: str, stripped: str) -> None:
    assert five.resolve(question).stripped == stripped


def test_find_takes_names_and_no_mistakes(many: AppResolver) -> None:
    assert [many.find(name) for name in ("津心办", "ＫＥＥＰ", "Keep", "微信", "jinxinban", "B站", "闲鱼")] == [
        "津心办",
        "KEEP",
        "KEEP",
        "wechart",
        "津心办",
        "哔哩哔哩",
        "咸鱼",
    ]
    assert many.find("津心伴怎么") is None
    assert many.find("携程") is None


def test_near_names_are_those_that_look_or_sound_alike(many: AppResolver) -> None:
    assert many.near_names("津云办")[0] == "津心办"
    assert many.near_names("百度文库")[0] in {"百度", "百度地图"}
    assert many.near_names("Instagram") == ()
    assert many.near_names("") == ()


def test_english_renderings_come_from_the_parts_of_a_name() -> None:
    renderings = render_english("口袋证件照", load_app_words())
    assert {"pocket id photo", "pocket passport photo"} <= set(renderings)
    assert "xigua video" in render_english("西瓜视频", load_app_words())
    assert render_english("知乎", load_app_words()) == []


def test_folding_keeps_every_character_in_its_place() -> None:
    assert fold("請問「匯容客」ＡＰＰ é ﬁ ㈱") == "请问「汇容客」app e ﬁ ㈱"


TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)), st.sampled_from("津心办掌上海关用微信登录的里在《》“”appKeep 58")
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_any_text_resolves_and_its_mentions_lie_inside(text: str) -> None:
    resolver = _shared_resolver()
    resolution = resolver.resolve(text)
    assert len(fold(text)) == len(text)
    ends = [0]
    for mention in resolution.mentions:
        assert ends[-1] <= mention.start < mention.end <= len(text)
        assert mention.app is None or mention.app in {names.app for names in FIVE}
        ends.append(mention.end)
    assert resolver.resolve(text) == resolution
    assert resolver.find(text) is None or resolver.find(text) in {names.app for names in FIVE}
    resolver.near_names(text)


@cache
def _shared_resolver() -> AppResolver:
    return AppResolver(FIVE, load_known_apps())


def test_ten_thousand_apps_do_not_make_a_question_slow() -> None:
    syllables = "云海星河山风月光花木石泉林野原川田禾麦桃杏梅兰竹菊松柏枫"
    names = [Names(f"{a}{b}{c}通") for a in syllables for b in syllables for c in syllables][:10_000]
    resolver = AppResolver([*FIVE, *names], load_known_apps())
    questions = [
        "how do I delete my account in 津心办 and what happens to the photos that I uploaded last year",
        "我把手机号换了之后原来的账号还能不能登录，里面的照片和聊天记录会不会被别人看到",
        "云海星通怎么注销",
    ]
    for question in questions:
        resolver.resolve(question)
    began = time.process_time()
    for _ in range(20):
        for question in questions:
            resolver.resolve(question)
    assert (time.process_time() - began) / 60 < 0.005


@pytest.mark.policies130
@pytest.mark.skipif(not (SHARED / "questions").exists(), reason="../shared/data/questions is absent")
def test_of_all_questions_without_their_app_hardly_one_names_another() -> None:
    """Where the wording leaves a doubt, no app is made up: what was asked would not be answered."""
    resolver = AppResolver(load_policies([default_policies_folder(), SHARED / "policies"]), load_known_apps())
    asked = [one.question for part in ("train", "dev") for one in load_questions(SHARED / "questions" / part)]
    invented = [
        (mention.name, question)
        for question in (resolver.resolve(question).stripped for question in asked)
        for mention in resolver.resolve(question).mentions
        if mention.invented
    ]
    assert len(asked) > 5000
    assert len(invented) <= 3, invented
