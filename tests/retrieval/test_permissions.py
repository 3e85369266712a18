"""Permissions asked for, from a made policy."""

from __future__ import annotations

from retrieval.permissions import permission_rows

from .listed import segment_of, values

PERMISSIONS = """一、我们收集的信息
在您使用本应用时,我们可能需要您开通以下权限:
(1)相机权限,用于扫描二维码;
(2)开通终端系统的麦克风权限,用于语音搜索;
您可以在系统设置中关闭相机权限。
"""


def test_permissions_are_those_asked_for_and_not_those_switched_off(shelve) -> None:
    segment = segment_of(shelve, PERMISSIONS)
    assert values(segment, permission_rows(segment)) == [("相机权限", "扫描二维码"), ("麦克风权限", "语音搜索")]


def test_a_policy_that_says_nothing_of_it_has_no_rows(shelve) -> None:
    segment = segment_of(shelve, "一、引言\n欢迎使用本应用。\n二、联系我们\n请拨打客服电话。\n")
    assert permission_rows(segment) == []


def test_of_two_aims_before_the_permission_the_nearest_counts(shelve) -> None:
    text = (
        "一、我们收集的信息\n为保障平台运行,当您使用服务时,为了识别故障,我们会申请获取您的电话权限。\n"
        "当您是企业用户时,当您邀请同事时,我们需要向您申请通讯录权限。\n"
    )
    segment = segment_of(shelve, text)
    assert values(segment, permission_rows(segment)) == [("电话权限", "识别故障"), ("通讯录权限", "您邀请同事")]
