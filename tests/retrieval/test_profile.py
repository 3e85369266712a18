"""The profile as a whole: every cell there, every value verbatim, every quote standing."""

from __future__ import annotations

import json
import time

import pytest

from retrieval import Assistant, Profile
from retrieval.datatypes import CELL_COLUMNS, CELL_KEYS
from retrieval.profile import all_phrasings

APPS = ("口袋证件照", "掌上海关", "昶联", "汇容客", "津心办")


def check_profile(assistant: Assistant, profile: Profile) -> None:
    """Check what is always true of a profile."""
    text = assistant.policy(profile.app).text
    assert tuple(cell.key for cell in profile.cells) == CELL_KEYS
    for cell in profile.cells:
        assert cell.columns == CELL_COLUMNS.get(cell.key, ())
        citations = [row.citation for row in cell.rows] + ([cell.citation] if cell.citation else [])
        assert all(assistant.verify(citation) and citation.app == profile.app for citation in citations)
        for row in cell.rows:
            assert len(row.values) == len(cell.columns)
            assert all(value in row.citation.quote for value in row.values)
        for fact in cell.facts:
            assert cell.citation and text[fact.start : fact.end] == fact.text
            assert cell.citation.start <= fact.start < fact.end <= cell.citation.end


@pytest.mark.parametrize("app", APPS)
def test_every_cell_of_a_shipped_policy_is_a_quote_or_not_stated(assistant: Assistant, app: str) -> None:
    profile = assistant.profile(app)
    check_profile(assistant, profile)
    assert profile == assistant.profile(app)
    assert json.loads(json.dumps(profile.to_dict())) == profile.to_dict()


def test_the_lists_do_not_hang_on_the_model(assistant: Assistant) -> None:
    rows = {cell.key: cell.rows for cell in assistant.profile("掌上海关").cells}
    assert [row.values[:2] for row in rows["sdks"]] == [
        ("友盟统计分析", "北京锐讯灵通科技有限公司"),
        ("微信分享", "深圳市腾讯计算机系统有限公司"),
        ("微博分享", "北京微梦创科网络技术有限公司"),
        ("华为推送", "华为技术有限公司"),
        ("小米推送", "小米科技有限责任公司"),
        ("魅族推送", "珠海市魅族通讯设备有限公司"),
        ("科大讯飞语音识别", "科大讯飞股份有限公司"),
        ("百度地图", "北京百度网讯科技有限公司"),
    ]
    assert [row.values[0] for row in rows["permissions"]][2:4] == ["录制音频", "拍摄照片和录制视频"]


def test_an_app_that_is_not_there_is_refused(assistant: Assistant) -> None:
    with pytest.raises(ValueError, match="没有的应用"):
        assistant.profile("没有的应用")


def test_an_alias_leads_to_its_app_and_a_cell_that_is_none_is_named(assistant: Assistant) -> None:
    profile = assistant.profile("津心办")
    assert profile.app == "津心办"
    with pytest.raises(KeyError, match="no cell 'weather'"):
        profile.cell("weather")  # type: ignore[arg-type]


def test_the_phrasings_are_encoded_once(assistant: Assistant) -> None:
    assistant.profile("昶联")
    before = assistant._profile_phrasings
    assistant.profile("汇容客")
    assert assistant._profile_phrasings is before
    assert len(before) == len(all_phrasings())


def test_a_hostile_policy_takes_no_longer_than_its_length(shelve) -> None:
    from corpus.datatypes import Policy

    from ..conftest import decide

    text = "一、我们收集的信息\n" + "我们会收集您的、" * 3000 + "\n" + "SDK、" * 3000 + "用户" * 3000 + "\n"
    assistant = shelve([Policy("敌意", text)]).assistant(decide(bias=20.0))
    start = time.perf_counter()
    check_profile(assistant, assistant.profile("敌意"))
    assert time.perf_counter() - start < 20
