import hashlib
from pathlib import Path

import pytest

from corpus.load import decode_policy, default_policies_folder, find_name_problem, load_policies, parse_catalog

SEEDS = {
    "口袋证件照": "miaohu2024app@163.com",
    "掌上海关": "12360海关服务热线",
    "昶联": "legal@solutioncl.com",
    "汇容客": "400-0000-690",
    "津心办": "客服热线:12345",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_every_encoding_gives_the_same_text(encoding: str) -> None:
    assert decode_policy("一、总则\r\n(一)您好。\r完".encode(encoding), name="a.txt") == "一、总则\n(一)您好。\n完"


def test_a_byte_order_mark_within_the_text_stays() -> None:
    assert decode_policy("一\ufeff二".encode("utf-8-sig"), name="a.txt") == "一\ufeff二"


@pytest.mark.parametrize("data", [b"", b" \r\n\t", b"\xef\xbb\xbf", "\u200b\ufeff\n".encode()])
def test_an_empty_file_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^a\.txt: empty \(\d+ bytes\); allowed is text in UTF-8"):
        decode_policy(data, name="a.txt")


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\x00\x00", b"PK\x03\x04abc", b"\xff\xfe\x00\x4e"])
def test_a_binary_file_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^a\.txt: .*allowed is text in UTF-8 \(with or without BOM\) or GB18030"):
        decode_policy(data, name="a.txt")


def test_the_five_policies_are_shipped_with_their_catalogue() -> None:
    policies = load_policies([default_policies_folder()])
    assert [policy.app for policy in policies] == list(SEEDS)
    for policy in policies:
        assert policy.contact is not None and SEEDS[policy.app] in policy.contact
        assert policy.contact in policy.text
        assert policy.operator is None or policy.operator in policy.text
        assert policy.sha256 == hashlib.sha256(policy.text.encode()).hexdigest()
    assert {policy.app: policy.date for policy in policies if policy.date} == {
        "掌上海关": "2022-09-29",
        "昶联": "2024-08-01",
    }


def test_a_file_without_an_entry_takes_its_name_and_what_the_text_states(tmp_path: Path) -> None:
    text = "甲乙丙网隐私政策\n更新日期:2023年5月6日\n由天津某某科技有限公司运营。\n联系我们:service@example.com\n"
    (tmp_path / "甲乙丙.md").write_text(text, encoding="utf-8")
    (policy,) = load_policies([tmp_path])
    assert (policy.app, policy.aliases, policy.operator) == ("甲乙丙", ("甲乙丙网",), "天津某某科技有限公司")
    assert (policy.updated, policy.effective, policy.contact) == ("2023-05-06", None, "service@example.com")


def test_a_folder_of_several_formats_is_read_with_its_catalogue(tmp_path: Path) -> None:
    for name, data in (("甲.md", "# 一、总则\n**您好**。"), ("乙.html", "<nav>首页</nav><h1>一、总则</h1><p>您好。")):
        (tmp_path / name).write_text(data, encoding="utf-8")
    (tmp_path / "catalog.toml").write_text('["乙.html"]\nname = "丙"\n', encoding="utf-8")
    policies = load_policies([tmp_path])
    assert {policy.app: policy.text for policy in policies} == {"丙": "一、总则\n您好。\n", "甲": "一、总则\n您好。"}
    (tmp_path / "丁.pdf").write_bytes(b"%PDF-1.7 cut off")
    with pytest.raises(ValueError, match=r"^丁\.pdf: not a PDF that can be read"):
        load_policies([tmp_path])


def test_a_decomposed_file_name_becomes_nfc(tmp_path: Path) -> None:
    (tmp_path / "Cafe\u0301.txt").write_text("一、总则\n您好。", encoding="utf-8")
    assert load_policies([tmp_path])[0].app == "Café"


def test_two_files_of_one_app_are_refused_by_both_names(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "甲.txt").write_text("您好。", encoding="utf-8")
    with pytest.raises(ValueError, match=r"two files for the app '甲': .*a/甲\.txt and .*b/甲\.txt"):
        load_policies([tmp_path / "a", tmp_path / "b"])


def test_an_alias_that_several_apps_claim_is_dropped(tmp_path: Path) -> None:
    for app in ("甲甲甲", "乙乙乙"):
        (tmp_path / f"{app}.txt").write_text("《丙丙丙隐私政策》\n您好。", encoding="utf-8")
    assert [policy.aliases for policy in load_policies([tmp_path])] == [(), ()]


def test_an_absent_folder_and_a_bad_catalogue_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder of policies"):
        load_policies([tmp_path / "absent"])
    (tmp_path / "catalog.toml").write_text('["甲.txt"]\nname = "甲"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"no such file: 甲\.txt"):
        load_policies([tmp_path])
    (tmp_path / "catalog.toml").write_text('["甲.txt"]\nnick = "甲"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="may hold only aliases, contact"):
        load_policies([tmp_path])
    (tmp_path / "catalog.toml").write_text("= 1", encoding="utf-8")
    with pytest.raises(ValueError, match="not a TOML file"):
        load_policies([tmp_path])


def test_a_date_of_a_catalogue_is_its_iso_day() -> None:
    data = '["甲.txt"]\nupdated = 2024-01-01\neffective = 2024-02-03T04:05:06Z\naliases = ["小甲"]\n'.encode()
    assert parse_catalog(data, name="catalog.toml") == {
        "甲.txt": {"updated": "2024-01-01", "effective": "2024-02-03", "aliases": ["小甲"]}
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("name = 5", r"name is 5 \(int\); allowed is a string"),
        ("contact = 95588", r"contact is 95588 \(int\); allowed is a string"),
        ('aliases = "小甲"', r"aliases is '小甲' \(str\); allowed is a list of strings"),
        ("aliases = [1]", r"aliases is \[1\] \(list\); allowed is a list of strings"),
        ('updated = "2024年1月"', r"updated is '2024年1月' \(str\); allowed is a day, \"2024-08-01\""),
        ("effective = 2024", r"effective is 2024 \(int\); allowed is a day"),
        ('name = " "', "name: the app name ' ' is blank"),
        ('aliases = ["a\\u202eb"]', r"aliases: the app name 'a\\u202eb' holds a control character"),
    ],
)
def test_a_value_that_no_catalogue_holds_is_refused_by_entry(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^c\.toml: \[甲\.txt\] {reason}"):
        parse_catalog(f'["甲.txt"]\n{line}\n'.encode(), name="c.toml")


@pytest.mark.parametrize("name", ["", " \u3000", "\u200b", "甲\n乙", "甲\x1b[2J", "甲\u202e乙", "甲\x9b", "甲\udcff"])
def test_a_name_that_is_blank_or_not_printable_is_no_apps(name: str) -> None:
    assert find_name_problem(name) is not None
    assert find_name_problem(f"甲 {name!a}·2（免费）") is None


def test_a_file_name_that_is_not_printable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "甲\x1b[2J.txt").write_text("您好。", encoding="utf-8")
    with pytest.raises(ValueError, match=r"甲\\x1b\[2J\.txt: the app name '甲\\x1b\[2J' holds a control character"):
        load_policies([tmp_path])
