from __future__ import annotations

import asyncio
import json

import numpy as np

from evaluation.load import RecalledEncoder, Reply, describe, key_of, make_request, read_response
from evaluation.questions import Question
from index.encoder import FakeEncoder

ANSWER = {"status": "answered", "citations": [{"clause_id": "a.1", "quote": "可以注销。", "score": 0.5}]}
OTHER = {"status": "silent", "citations": []}


def test_a_run_is_told_by_what_came_back_and_whose_answer_it_was():
    replies = [
        Reply(0, 200, 0.1, None, json.dumps(ANSWER).encode()),
        Reply(1, 200, 0.3, None, json.dumps(ANSWER).encode()),  # the answer to another question
        Reply(0, 503, 0.01, "2", b""),
        Reply(0, 503, 0.01, None, b""),
        Reply(1, 500, 0.2, None, b""),
    ]
    told = describe(replies, 2.0, [key_of(ANSWER), key_of(OTHER)])
    assert {name: told[name] for name in ("refused", "failed", "wrong", "untold", "answers_per_second")} == {
        "refused": 2, "failed": 1, "wrong": 1, "untold": 1, "answers_per_second": 1.0,
    }  # fmt: skip
    np.testing.assert_allclose([told["answer_p50"], told["refusal_p95"]], [200, 10])


def test_a_response_is_read_to_its_length_and_a_request_says_its_own():
    async def read():
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200")
        return await read_response(reader)

    assert asyncio.run(read()) == (503, "3", b"ok")
    question = Question("q", "应用甲", "zh", "plain", "怎么注销", True, (), (), False)
    head, _, body = make_request(question).partition(b"\r\n\r\n")
    assert json.loads(body) == {"question": "怎么注销", "app": "应用甲"}
    assert f"content-length: {len(body)}".encode() in head


def test_vectors_come_from_the_batch_and_otherwise_alone():
    encoder = RecalledEncoder(FakeEncoder())
    encoder.encode_in_batches(["甲", "乙", "丙"], 2)
    asked = ["丙", "丁"]
    np.testing.assert_array_equal(encoder.encode_queries(asked).vectors, FakeEncoder().encode_queries(asked).vectors)
    assert list(encoder.asked) == asked
