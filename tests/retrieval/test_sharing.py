"""With whom and in which case data is shared, from made policies."""

from __future__ import annotations

import pytest

from retrieval.sharing import sharing_rows

from .listed import segment_of, values

SHARING = """一、我们如何共享您的个人信息
我们不会与其他公司共享您的个人信息,但以下情况除外:
1.在法定情形下的共享:我们可能会根据法律法规对外共享您的个人信息;
2.与快递公司共享:为了完成配送,我们会向快递公司提供您的收货地址。
根据法律规定,共享经匿名化处理的信息不属于个人信息的对外共享。
二、安全
我们采取加密措施。
"""


def test_sharing_names_the_case_or_the_recipient(shelve) -> None:
    segment = segment_of(shelve, SHARING)
    assert values(segment, sharing_rows(segment)) == [("在法定情形下", ""), ("与快递公司", "完成配送")]


def test_a_policy_that_says_nothing_of_it_has_no_rows(shelve) -> None:
    segment = segment_of(shelve, "一、引言\n欢迎使用本应用。\n二、联系我们\n请拨打客服电话。\n")
    assert sharing_rows(segment) == []


def test_data_handed_on_outside_the_chapter_on_sharing_is_found_and_a_refusal_is_not(shelve) -> None:
    text = (
        "一、我们收集的信息\n当您支付时,我们会将您的订单信息与支付公司共享。\n我们不会与广告公司共享您的姓名。\n"
        "二、我们如何共享您的个人信息\n除非事先获得您的同意,我们不会与他人共享您的个人信息,但以下情形除外:\n1.您主动公开的信息。\n"
    )
    segment = segment_of(shelve, text)
    assert values(segment, sharing_rows(segment)) == [
        ("支付公司", ""),
        ("事先获得您的同意", ""),
        ("您主动公开的信息", ""),
    ]


LEAD = "一、我们如何共享您的个人信息\n我们不会共享您的个人信息,但以下情况除外:\n"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (  # a title that names a kind of case: what follows says which, and 其他方 is nobody
            "1.在获取明确同意的情况下共享:获得您的明确同意后,我们会与其他方共享您的信息;\n"
            "2.法定情形下的共享:我们可能会根据监管规定,或按司法机关的要求,对外共享您的信息;\n"
            "3.基于法律的披露:在诉讼程序要求的情况下,我们可能会披露您的信息。\n"
            "4.在征得同意情况下的共享。且获得用户的同意后,我们会向用户同意的第三方共享信息。\n",
            [
                ("获得您的明确同意后", ""),
                ("根据监管规定,或按司法机关的要求", ""),
                ("在诉讼程序要求的情况下", ""),
                ("用户同意的第三方", ""),
            ],
        ),
        (  # the aim is the one that the sentences name, not the remark that there is one
            "1.为提供服务之必要,我们会向物流服务提供商提供您的地址,以便将货物寄给您。\n"
            "2.您使用寄件功能时,我们须与快递公司共享您的地址,寄送才能完成。\n"
            "3.您使用打印功能时,我们会将您的照片提供第三方打印店。\n",
            [("物流服务提供商", "将货物寄给您"), ("快递公司", "寄送才能完成"), ("第三方打印店", "打印功能")],
        ),
        (  # a merger is what happens, not who takes part; 社会 holds no 会
            "1.我们及我们的关联方有可能进行合并、收购或类似的交易,您的信息可能被转移。\n"
            "2.在法律允许的范围内,为维护合作伙伴或社会公众的利益而有必要提供。\n",
            [
                ("合并、收购或类似的交易", ""),
                (
                    "在法律允许的范围内,为维护合作伙伴或社会公众的利益而有必要提供",
                    "维护合作伙伴或社会公众的利益而有必要提供",
                ),
            ],
        ),
        (  # a case of its own before the ground on which it rests
            "1.如果您违反本协议,或为保护他人的财产安全,我们可能依据相关法规的规定披露您的信息;\n",
            [("如果您违反本协议", "保护他人的财产安全")],
        ),
    ],
)
def test_the_recipient_is_the_party_or_the_case_and_the_purpose_the_aim(shelve, items: str, expected: list) -> None:
    segment = segment_of(shelve, LEAD + items)
    assert values(segment, sharing_rows(segment)) == expected


def test_what_is_never_shared_names_no_recipient_but_the_exceptions_do(shelve) -> None:
    text = (
        "一、共享和披露\n我们不会共享您的信息至示例公司外的第三方,如需要将您的信息共享至第三方情形时,我们会征得同意。\n"
        "除非获得您的单独同意,我们不会向任何公司、组织和个人共享您的信息。\n"
        "我们不会披露您的信息,如必须披露时,我们会告知您,但根据法律规定或按主管部门的要求,我们可能会披露您的信息。\n"
    )
    segment = segment_of(shelve, text)
    assert values(segment, sharing_rows(segment)) == [
        ("如需要将您的信息共享至第三方情形时", ""),
        ("获得您的单独同意", ""),
        ("如必须披露时", ""),
        ("根据法律规定或按主管部门的要求", ""),
    ]


def test_a_third_party_that_takes_data_through_the_app_gets_them(shelve) -> None:
    text = "一、我们收集的信息\n当您使用由他人提供的便民服务,第三方可能会通过本应用获取您的姓名。\n"
    segment = segment_of(shelve, text)
    assert values(segment, sharing_rows(segment)) == [("第三方", "由他人提供的便民服务")]
