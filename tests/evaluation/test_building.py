from corpus.datatypes import Policy
from corpus.load import load_policies
from evaluation.building import NotingEncoder, measure_resumption, measure_throughput, read_calls, read_texts
from index.encoder import FakeEncoder
from index.store import build_index, open_generation


def test_the_texts_are_those_that_a_build_encodes_longest_first(tmp_path):
    policy = Policy("甲", "一、收集\n我们收集手机号码。用于注册账号。\n二、注销\n您可以注销。")
    texts = read_texts([policy])
    assert texts[0] == "一、收集\n我们收集手机号码。用于注册账号。"
    assert sorted(texts[1:]) == ["一、收集\n我们收集手机号码。", "一、收集\n用于注册账号。", "二、注销\n您可以注销。"]
    build_index([policy], tmp_path / "index", NotingEncoder(FakeEncoder(), tmp_path / "calls"))
    assert sorted(text for call in read_calls(tmp_path / "calls") for text in call) == sorted(texts)


def test_a_build_is_killed_at_half_and_goes_on_with_the_other_half(tmp_path):
    folder = tmp_path / "policies"
    folder.mkdir()
    clauses = [f"{number}、我们收集第{number}种信息，{'以及其他信息，' * 200}等。" for number in range(1, 11)]
    (folder / "甲.txt").write_text("\n".join(clauses), encoding="utf-8")
    build_index(load_policies([folder]), tmp_path / "whole", FakeEncoder())
    rows = list(measure_resumption([folder], FakeEncoder, tmp_path / "whole", tmp_path / "out"))
    # A clause has 1417 characters and a slice 6000: four clauses, four and two.
    assert rows == [
        "killed at half: recorded 4, in the call that was killed 4, of 10",
        "encoded by the build after it 6    0.600 of all",
        "recorded and encoded again 0",
        "segments as of a build that was not killed: True",
    ]


def test_the_rows_of_throughput_name_both_clocks_and_leave_an_index(tmp_path):
    rows = list(measure_throughput([Policy("甲", "我们收集手机号码。")], FakeEncoder(), 2, tmp_path / "out"))
    assert [row.partition(":")[0] for row in rows] == ["wall"] * 4 + ["processor"] * 4
    [segment] = open_generation(tmp_path / "out", FakeEncoder().fingerprint).segments
    assert segment.policy.app == "甲"
