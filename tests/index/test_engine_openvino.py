"""The shipped model on OpenVINO: the vectors of sentence-transformers, none of its imports, and no report to anyone."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index.encoder import SentenceEncoder, load_encoder
from index.engine import Precision
from index.engine_openvino import OpenVinoEngine
from index.model import prepare_model, prepare_openvino_model, shipped_difference, shipped_projection

ROOT = Path(__file__).parents[2]
TEXTS = (
    "津心办怎么销号",
    "",
    "How do I withdraw the camera permission?",
    "註銷帳號要多久?",
    "cookie 怎么关",
    "三、" + "为向您提供服务,我们会收集并使用您的姓名、身份证号码、手机号码。" * 12,
    "隐私" * 2000,
)
OUTSIDE = ("torch", "transformers", "sentence_transformers", "huggingface_hub", "openvino_telemetry", "openvino.tools")


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return load_encoder(precision="f32", threads=1)


@pytest.fixture(scope="module")
def original() -> SentenceEncoder:
    """The same weights on sentence-transformers."""
    folder = prepare_model(difference=shipped_difference(), projection=shipped_projection())
    return load_encoder(folder, precision="f32")


@pytest.mark.model
def test_both_engines_have_one_fingerprint(encoder: SentenceEncoder, original: SentenceEncoder) -> None:
    assert encoder.fingerprint == original.fingerprint
    assert (encoder.dimension, encoder.token_dimension) == (original.dimension, original.token_dimension) == (384, 64)


@pytest.mark.model
@pytest.mark.parametrize(
    ("precision", "least", "least_of_tokens"), [("f32", 0.999999, 0.999999), ("bf16", 0.999, 0.99)]
)
def test_vectors_are_those_of_sentence_transformers(
    original: SentenceEncoder, precision: Precision, least: float, least_of_tokens: float
) -> None:
    encoder = load_encoder(precision=precision, threads=1)
    for ours, theirs in (
        (encoder.encode_queries(TEXTS), original.encode_queries(TEXTS)),
        (encoder.encode_passages(TEXTS), original.encode_passages(TEXTS)),
    ):
        assert np.sum(ours.vectors * theirs.vectors, axis=1).min() > least
        for own, other in zip(ours.tokens, theirs.tokens, strict=True):
            assert own.shape == other.shape
            assert np.sum(own * other, axis=1).min() > least_of_tokens


@pytest.mark.model
def test_a_text_is_the_same_alone_and_beside_a_longer_one(encoder: SentenceEncoder) -> None:
    [alone] = encoder.encode_queries([TEXTS[0]])
    beside = next(iter(encoder.encode_queries([TEXTS[0], TEXTS[2]])))
    np.testing.assert_allclose(alone.vector, beside.vector, atol=1e-6)
    np.testing.assert_allclose(alone.tokens, beside.tokens, atol=1e-5)


@pytest.mark.model
def test_threads_share_an_encoder(encoder: SentenceEncoder) -> None:
    texts = TEXTS[:5] * 4
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: encoder.encode_queries([text]).vectors, texts))
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_array_equal(row, encoder.encode_queries([text]).vectors)


@pytest.mark.model
def test_threads_are_those_that_are_allowed_on_any_core(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepare_openvino_model(difference=shipped_difference(), projection=shipped_projection())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for threads, expected in ((None, 1), (2, 2)):
        engine = OpenVinoEngine(folder, precision="f32", threads=threads)
        compiled = engine._request.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == expected
        assert compiled.get_property("ENABLE_CPU_PINNING") is False


@pytest.mark.model
def test_encoding_imports_no_torch_and_reports_to_nobody() -> None:
    """OpenVINO's conversion tools, imported with it unless kept out, send a report when they are imported."""
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('the network was asked')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
        "from index.encoder import load_encoder\n"
        "load_encoder().encode_queries(['津心办怎么销号'])\n"
        f"print(*[name for name in {OUTSIDE!r} if sys.modules.get(name)])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("\n", "")


@pytest.mark.model
def test_products_of_numpy_leave_the_other_cores_to_the_model() -> None:
    code = (
        "import numpy\n"
        "from threadpoolctl import threadpool_info, threadpool_limits\n"
        "threadpool_limits(2, user_api='blas')\n"
        "from index.encoder import load_encoder\n"
        "load_encoder()\n"
        "print(*{one['num_threads'] for one in threadpool_info() if one['user_api'] == 'blas'})\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("1\n", "")
