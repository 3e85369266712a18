"""SDKs as rows, from each of the forms in which policies list them."""

from __future__ import annotations

import pytest

from corpus.datatypes import Policy
from retrieval.sdks import sdk_rows

LEAD = "一、第三方共享\n为实现相关功能,我们会接入第三方软件开发工具包(SDK):\n"

FORMS = {
    "an item each": (
        LEAD
        + "(1)地图SDK:为了向您提供定位服务,我们使用了北京示例科技有限公司的地图SDK,需要获取您的位置信息、设备型号。\n"
        "(2)推送SDK:收集您的设备标识信息,用于消息推送。\n",
        [
            ("地图SDK", "北京示例科技有限公司", "向您提供定位服务", "位置信息、设备型号"),
            ("推送SDK", "", "消息推送", "设备标识信息"),
        ],
    ),
    "a paragraph each, the letters SDK only behind the name": (
        LEAD + "示例统计分析:由北京示例科技有限公司提供技术支持,SDK可能读取您的IMEI码、MAC地址。\n",
        [("示例统计分析", "北京示例科技有限公司", "", "IMEI码、MAC地址")],
    ),
    "all in one line": (
        "一、收集\n本应用已集成第三方SDK,用户在分享资讯时候,系统会调用微博SDK;用户在支付时候,系统需要调用支付示例SDK,未引用第三方代码。\n",
        [("微博SDK", "", "用户在分享资讯", ""), ("支付示例SDK", "", "用户在支付", "")],
    ),
    "several names before one description": (
        LEAD + "当您分享内容时,我们使用了微信分享SDK、微博分享SDK,会收集您的设备标识信息。\n",
        [
            ("微信分享SDK", "", "您分享内容", "设备标识信息"),
            ("微博分享SDK", "", "您分享内容", "设备标识信息"),
        ],
    ),
    "lines of key and value": (
        LEAD
        + "SDK名称:微信支付SDK\n公司名称:财付通支付科技有限公司\n使用目的:支付\n收集的信息类型:设备信息、网络信息\n"
        "SDK名称:示例推送\n公司名称:示例信息有限公司\n使用目的:推送消息\n收集的信息类型:设备标识\n",
        [
            ("微信支付SDK", "财付通支付科技有限公司", "支付", "设备信息、网络信息"),
            ("示例推送", "示例信息有限公司", "推送消息", "设备标识"),
        ],
    ),
    "a table with tabs": (
        LEAD + "序号\tSDK名称\t使用场景\t收集的信息\t公司名称\n1\t友盟示例\t统计\t设备标识\t示例信息有限公司\n",
        [("友盟示例", "示例信息有限公司", "统计", "设备标识")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_name_company_purpose_and_data(shelve, form: str) -> None:
    text, expected = FORMS[form]
    [segment] = shelve([Policy("示例", text)]).generation.segments
    rows = sdk_rows(segment)
    assert [tuple(text[start:end] for start, end in row.values) for row in rows] == expected
    assert all(row.start <= start <= end <= row.end for row in rows for start, end in row.values)


@pytest.mark.parametrize(
    "text",
    [
        "一、其他\n我们会对合作方的软件工具开发包(SDK)进行严格的安全检测。\n",
        "一、其他\n详情请见《第三方SDK目录》。\n您可以点击此处查看我们接入的SDK清单。\n",
        "一、其他\n我们重视您的隐私。\n",
    ],
)
def test_a_mention_of_sdks_in_general_is_no_row(shelve, text: str) -> None:
    [segment] = shelve([Policy("示例", text)]).generation.segments
    assert sdk_rows(segment) == []
