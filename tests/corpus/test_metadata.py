import pytest

from corpus.metadata import read_metadata


def test_dates_are_read_in_the_forms_that_policies_print() -> None:
    found = read_metadata("更新日期：【2022】年【04】月【2】日\n本政策自2022年4月9日起生效", app="甲")
    assert (found.updated, found.effective) == ("2022-04-02", "2022-04-09")
    assert read_metadata("最新版本生效时间:2024年8月1日", app="甲").effective == "2024-08-01"
    assert read_metadata("更新日期:2022年13月1日", app="甲").updated is None


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("本平台由上海某某信息科技（上海）有限公司运营。", "上海某某信息科技（上海）有限公司"),
        ("天津某某系统有限公司（以下简称“我们”）尊重您。", "天津某某系统有限公司"),
        ("我们与其关联公司（以下简称“我们”）", None),
        ("北京某某科技有限公司及关联公司（以下简称“我们”）", "北京某某科技有限公司"),
        ("某某市甲乙科技有限公司（地址：某路1号）作为“某某”的运营者", "某某市甲乙科技有限公司"),
        ("本政策仅适用于北京某某有限公司（以下简称“我们”）的产品", "北京某某有限公司"),
        ("统计服务来自北京统计有限公司。", None),
        ("运营者：上海某某科技有限公司", "上海某某科技有限公司"),
        ("第三方运营者：上海某某科技有限公司", None),
        ("第三方SDK名称：某推\n提供方：上海某某科技有限公司", None),
        ("运营主体为上海某某科技有限公司。", "上海某某科技有限公司"),
        ("服务的提供者：即某某的运营者上海某某科技有限公司及其关联公司", "上海某某科技有限公司"),
    ],
)
def test_the_operator_is_the_company_that_the_text_calls_itself(text: str, operator: str | None) -> None:
    assert read_metadata(text, app="甲").operator == operator


@pytest.mark.parametrize(
    ("text", "aliases"),
    [
        ("《某某云用户隐私政策》适用于您。", ("某某云",)),
        ("“某某云”APP个人信息及用户隐私协议", ("某某云",)),
        ("《腾讯游戏隐私保护指引》适用于您。", ()),
        ("《用户隐私政策》适用于本平台。", ()),
        ("《某某云隐私政策》由某某云科技有限公司提供", ()),
        ("甲乙隐私政策", ()),
        ("依据《中华人民共和国个人信息保护法》和《信息安全技术 个人信息安全规范》", ()),
    ],
)
def test_an_alias_is_the_app_s_own_name_and_no_generic_word(text: str, aliases: tuple[str, ...]) -> None:
    assert read_metadata(text, app="甲乙").aliases == aliases


def test_the_contact_comes_from_the_section_on_contact() -> None:
    text = "合作方客服电话010-12345678。\n十、联系我们\n请写信至privacy@example.com。"
    assert read_metadata(text, app="甲").contact == "privacy@example.com"
    assert read_metadata("请拨打客服热线12360。", app="甲").contact == "12360"
    assert read_metadata("没有联系办法。", app="甲").contact is None
