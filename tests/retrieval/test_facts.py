"""Facts are lifted verbatim, of the right kind, in linear time."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.facts import FactSpan, find_facts, is_vague, named_kinds, select_facts, wanted_kinds


def found(text: str, kind: str) -> list[str]:
    return [text[fact.start : fact.end] for fact in find_facts(text) if fact.kind == kind]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("您可以通过“个人中心-设置-账号注销”提交申请。", "个人中心-设置-账号注销"),
        ("您可在我的—>个人资料中修改头像", "我的—>个人资料"),
        ("请打开我的->个人资料，进行修改", "我的->个人资料"),
        ("您可在【我的 → 设置 → 隐私】中关闭", "我的 → 设置 → 隐私"),
        ("您可以清理缓存(我的-设置-清理缓存)。", "我的-设置-清理缓存"),
        ("您可通过“我的”-“设置”-“隐私”页面关闭", "“我的”-“设置”-“隐私”"),
        ("您可以在「我的」—「设置」中查看", "「我的」—「设置」"),
        ("可在我的>设置>屏蔽与过滤中修改", "我的>设置>屏蔽与过滤"),
        ("通过路径<我的-设置-隐私设置>来控制", "我的-设置-隐私设置"),
        ("您可以在【我】-【≡】-【设置】中注销", "【我】-【≡】-【设置】"),
        ("点击【我的】、点击【设置】，点击【帐号注销】，注销您的帐号", "【我的】、点击【设置】，点击【帐号注销】"),
    ],
)
def test_a_menu_path_is_lifted_in_every_print(text: str, path: str) -> None:
    assert found(text, "menu_path") == [path]


@pytest.mark.parametrize("margin", ["\r", " ", "\u3000", "\x1c", "\x85"])
def test_no_fact_begins_or_ends_with_white_space(margin: str) -> None:
    data, limit = "手机号码、身份证号", "15个工作日内"
    assert found(f"我们收集{margin}{data}{margin}等信息。", "data_types") == [data]
    assert found(f"{margin}{data}{margin}。", "data_types") == [data]
    assert found(f"最迟{margin}{limit}{margin}回复", "time_limit") in ([limit], [f"最迟{margin}{limit}"])
    assert found(f"由{margin}北京市海淀区人民法院{margin}管辖", "court") == ["北京市海淀区人民法院"]


@pytest.mark.parametrize(
    "text",
    [
        "符合GB/T 35273-2020《信息安全技术-个人信息安全规范》",
        "请拨打022-12345",
        "更新日期：2022-09-29",
        "每天3-5次",
        "https://www.example.com/my-settings/user-center",
        "附近的Wi-Fi信息和e-mail",
        "您可点击“在线客服”联系我们",
    ],
)
def test_other_hyphens_are_no_menu_path(text: str) -> None:
    assert found(text, "menu_path") == []


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("请拨打022-12345/022-88355251咨询", ["022-12345", "022-88355251"]),
        ("服务热线：400-7800-900。", ["400-7800-900"]),
        ("可拨打12360海关服务热线", ["12360"]),
        ("拨打95588客服热线", ["95588"]),
        ("电话：010-59231388 转 827", ["010-59231388 转 827"]),
        ("热线：+86(10)52817668；", ["+86(10)52817668"]),
        ("遵守GB/T 35273的要求，客服会答复", []),
        ("京ICP备12345678号", []),
        ("最高赔偿12345元，请致电客服", []),
        ("订单共95588件", []),
    ],
)
def test_phones_need_their_form_or_a_word_beside_them(text: str, phones: list[str]) -> None:
    assert found(text, "phone") == phones


@pytest.mark.parametrize(
    ("kind", "text", "facts"),
    [
        ("time_limit", "我们将在15个工作日内答复", ["15个工作日内"]),
        ("time_limit", "在【15】个工作日内处理", ["【15】个工作日内"]),
        ("time_limit", "接到投诉之日起十五日内予以回复", ["十五日内"]),
        ("time_limit", "将至少提前三十日通知您", ["至少提前三十日"]),
        ("time_limit", "日志至少保存3年，订单保留6个月", ["至少保存3年", "保留6个月"]),
        ("time_limit", "将于48小时内删除", ["48小时内"]),
        ("time_limit", "于2024年8月1日生效", []),
        ("time_limit", "未满14周岁的儿童", []),
        ("age", "若您是不满14周岁的儿童", ["不满14周岁"]),
        ("age", "18周岁以下的未成年人", ["18周岁以下"]),
        ("age", "一、年龄\n18周岁以下的未成年人", ["18周岁以下"]),
        ("date", "生效日期：2024年8月1日", ["2024年8月1日"]),
        ("court", "向宁波市鄞州区人民法院提起诉讼", ["宁波市鄞州区人民法院"]),
        ("court", "可向有管辖权的人民法院起诉", ["有管辖权的人民法院"]),
        ("court", "由被告所在地的人民法院管辖", ["被告所在地的人民法院"]),
        ("court", "根据最高人民法院的规定", []),
        ("address", "地址：天津市河西区梅江道20号，邮编300061", ["天津市河西区梅江道20号"]),
        ("address", "位于上海市浦东新区碧波路690号5号楼301-A室。", ["上海市浦东新区碧波路690号5号楼301-A室"]),
        ("organisation", "由甲乙科技（北京）有限公司提供", ["甲乙科技（北京）有限公司"]),
        ("email", "请发邮件至privacy-a@b-c.com.cn。", ["privacy-a@b-c.com.cn"]),
        ("url", "详见https://a.cn/p?x=1，谢谢", ["https://a.cn/p?x=1"]),
        (
            "data_types",
            "您需要提供您的手机号码、姓名、短信验证码、证件类型，以完成认证",
            ["手机号码、姓名、短信验证码、证件类型"],
        ),
        ("data_types", "我们会收集您的位置信息。", ["位置信息"]),
        ("data_types", "我们会收集您的个人信息。", []),
    ],
)
def test_every_kind_is_lifted_verbatim(kind: str, text: str, facts: list[str]) -> None:
    assert found(text, kind) == facts


def test_positions_are_those_of_the_policy() -> None:
    assert find_facts("请拨打95588客服热线", offset=100) == [FactSpan("phone", 103, 108)]


@pytest.mark.parametrize(
    ("question", "language", "kinds"),
    [
        ("怎么注销账号", "zh", ("menu_path",)),
        ("how do I delete my account", "en", ("menu_path",)),
        ("where do I tap to close my account", "en", ("menu_path",)),
        ("怎麼註銷帳號", "zh-Hant", ("menu_path",)),
        ("客服电话是多少", "zh", ("phone",)),
        ("is there a hotline", "en", ("phone",)),
        ("注销要多久", "zh", ("time_limit",)),
        ("how long do you keep my data", "en", ("time_limit",)),
        ("收集哪些信息", "zh", ("data_types",)),
        ("what data do you collect", "en", ("data_types",)),
        ("运营你们的是哪家公司", "zh", ("organisation",)),
        ("which company runs this", "en", ("organisation",)),
        ("几岁才能用", "zh", ("age",)),
        ("打官司去哪个法院", "zh", ("court",)),
        ("会不会偷听我说话", "zh", ()),
    ],
)
def test_a_question_names_the_kind_it_asks_for(question: str, language: str, kinds: tuple[str, ...]) -> None:
    assert wanted_kinds(question, language)[: len(kinds) or None] == kinds


@pytest.mark.parametrize(
    ("question", "language", "kinds"),
    [
        ("的客服热线是多少", "zh", ("phone",)),
        ("投诉打哪个号", "zh", ("phone",)),
        ("你们有没有邮箱？", "zh", ("email",)),
        ("隱私投訴 電話 郵箱", "zh-Hant", ("email", "phone")),
        ("打官司去哪个法院", "zh", ("court",)),
        ("公司地址在哪里", "zh", ("address",)),
        ("is there a hotline I can ring?", "en", ("phone",)),
        ("What's the customer service number?", "en", ("phone",)),
        ("privacy officer email and postal address", "en", ("email", "address")),
        ("which court would hear disputes", "en", ()),  # "hear" is not of these words: the model judges it
        ("你们会打电话给我吗", "zh", ()),
        ("为什么要收集我的电话", "zh", ()),
        ("怎么换绑邮箱", "zh", ()),
        ("客服", "zh", ()),
        ("怎么联系你们", "zh", ()),
        ("do you share my phone number", "en", ()),
        ("how do I change my email address", "en", ()),
        ("does it record phone calls", "en", ()),
        ("What e-mail address should I use to reach your privacy team?", "en", ("email",)),
        ("what do you do with email addresses", "en", ()),
        ("do you contact customers by phone", "en", ()),
        ("为什么要电话号码", "zh", ()),
        ("你们要电话吗", "zh", ()),
        ("电话", "zh", ()),
        ("热线", "zh", ("phone",)),
        ("那客服电话呢", "zh", ("phone",)),
        ("诉讼 管辖法院", "zh", ("court",)),
        ("", "zh", ()),
    ],
)
def test_a_question_for_nothing_but_a_contact_is_told_from_others(
    question: str, language: str, kinds: tuple[str, ...]
) -> None:
    assert named_kinds(question, language) == kinds


@pytest.mark.parametrize(
    ("court", "vague"), [("有管辖权的人民法院", True), ("宁波市鄞州区人民法院", False), ("被告住所地法院", True)]
)
def test_a_court_without_a_place_is_vague(court: str, vague: bool) -> None:
    assert is_vague("court", court) is vague
    assert not is_vague("phone", court)


def test_facts_of_the_asked_kind_come_and_others_do_not() -> None:
    path, phone, data = FactSpan("menu_path", 0, 5), FactSpan("phone", 9, 14), FactSpan("data_types", 20, 30)
    assert select_facts([data, phone, path], ("menu_path",)) == [path]
    assert select_facts([data, phone], ("menu_path",)) == [phone]
    assert select_facts([data, phone, path], ()) == [path, phone]
    assert select_facts([phone, path], ("court",)) == []


@given(
    st.text(alphabet="我的设置-—>→“”【】（）、，。 15个工作日内有限公司人民法院收集您北京市路号室a@.h/", max_size=200)
)
def test_facts_lie_inside_the_text_and_do_not_overlap(text: str) -> None:
    facts = find_facts(text)
    assert all(0 <= fact.start < fact.end <= len(text) for fact in facts)
    assert all(one.end <= two.start for one, two in pairwise(facts))


@pytest.mark.parametrize(
    "unit",
    [
        "我的-",
        "“",
        "（",
        "、",
        "姓名、",
        "有限公司",
        "北京路1号",
        "法院",
        "自我起",
        "a.",
        "a@b.c ",
        "1",
        "400-",
        "收集您的",
        "<我-",
    ],
)
def test_hostile_text_costs_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        best = float("inf")
        for _ in range(2):
            start = time.thread_time()
            find_facts(text)
            best = min(best, time.thread_time() - start)
        return best

    # Processor time, so that a loaded machine counts little; ten times the text would cost a quadratic search 100-fold.
    assert seconds(100_000) < max(0.5, 40 * seconds(10_000))
