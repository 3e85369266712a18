import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.encoder import Encoded, FakeEncoder
from index.journal import Journal, encode_packed, slice_texts
from index.tokens import MAX_CLAUSE_TOKENS, pack_tokens, unit_rows

MADE_BY = {"encoder": "one"}
TEXTS = [f"我们收集第{number}种信息。" + "细则。" * number for number in range(12)]


class SpellingEncoder(FakeEncoder):
    """A fake with two numbers a character for token vectors, that keeps every call it got and fails at one if told."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__(dimension=16)
        self.token_dimension = 2
        self.calls: list[list[str]] = []
        self.fails_at = fails_at

    def encode_passages(self, texts, *, progress=None):
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        tokens = [np.array([[ord(char), 3e4] for char in text], np.float32).reshape(-1, 2) for text in texts]
        return Encoded(super().encode_passages(texts, progress=progress).vectors, tuple(map(unit_rows, tokens)))


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr("index.journal.CHARACTERS_PER_SLICE", 100)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "journal"


def begun(path: Path, encoder: FakeEncoder, made_by=MADE_BY) -> Journal:
    journal = Journal(path, encoder, made_by)
    journal.begin(["甲", "乙"])
    return journal


def stopped(path: Path, calls: int) -> list[list[str]]:
    """Leave a journal of a build that was stopped after so many calls; return the texts of each."""
    encoder = SpellingEncoder(fails_at=calls)
    with pytest.raises(KeyboardInterrupt):
        begun(path, encoder).encode(TEXTS)
    return encoder.calls


def assert_same(journal: Journal, texts: list[str]) -> None:
    for text, packed in zip(texts, journal.packed(texts), strict=True):
        [expected] = encode_packed([text], SpellingEncoder())
        np.testing.assert_array_equal(packed.vector, expected.vector)
        np.testing.assert_array_equal(packed.tokens, expected.tokens)
        assert (packed.vector.dtype, packed.tokens.dtype) == (np.float32, np.int8)


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=40))
def test_slices_hold_every_text_once_longest_first_whatever_the_order(texts):
    slices = list(slice_texts(texts))
    flat = [text for one in slices for text in one]
    assert sorted(flat) == sorted(set(texts))
    assert [len(text) for text in flat] == sorted(map(len, flat), reverse=True)
    assert all(len(one) == 1 or len(one) * len(one[0]) <= 100 for one in slices)
    assert list(slice_texts(reversed(texts))) == slices


def test_what_was_encoded_is_read_back_and_not_encoded_again(path):
    done = stopped(path, calls=3)
    encoder = SpellingEncoder()
    journal = begun(path, encoder)
    assert journal.segments == ("甲", "乙")
    journal.encode(TEXTS)
    assert done + encoder.calls == list(slice_texts(TEXTS))
    assert_same(journal, TEXTS)
    again = SpellingEncoder()
    begun(path, again).encode(TEXTS)
    assert again.calls == []


def test_a_text_keeps_the_tokens_that_a_clause_may_have(path):
    [long] = encode_packed(["长" * (MAX_CLAUSE_TOKENS + 5)], SpellingEncoder())
    assert long.tokens.shape == (MAX_CLAUSE_TOKENS, 2)
    expected = pack_tokens(np.array([[ord("长"), 3e4]], np.float32))
    np.testing.assert_array_equal(long.tokens, np.repeat(expected, MAX_CLAUSE_TOKENS, axis=0))


def test_texts_without_token_vectors_and_an_empty_text_are_read_back(path):
    texts = ["", "注销", "注册"]
    begun(path, FakeEncoder()).encode(texts)
    packed = Journal(path, FakeEncoder(), MADE_BY).packed(texts)
    assert [one.tokens.shape for one in packed] == [(0, 0)] * 3
    np.testing.assert_array_equal(packed[1].vector, FakeEncoder().encode_passages(["注销"]).vectors[0])


def test_wherever_a_journal_is_torn_the_whole_records_before_count_and_the_rest_is_encoded(path):
    done = stopped(path, calls=3)
    content = path.read_bytes()
    kept = set()
    for length in range(0, len(content) + 1, 7):
        path.write_bytes(content[:length])
        encoder = SpellingEncoder()
        journal = begun(path, encoder)
        journal.encode(TEXTS)
        assert encoder.calls in [list(slice_texts(TEXTS))[whole:] for whole in range(4)]
        kept.add(len(slices := list(slice_texts(TEXTS))) - len(encoder.calls))
        assert_same(journal, TEXTS)
        # What was appended to the whole records is found where they end.
        assert_same(Journal(path, SpellingEncoder(), MADE_BY), TEXTS)
        assert slices[:3] == done
    assert kept >= {0, 1, 2}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_flipped_bit_changes_no_vector(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "journal"
    stopped(path, calls=3)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    encoder = SpellingEncoder()
    journal = begun(path, encoder)
    journal.encode(TEXTS)
    assert 0 < len(encoder.calls) - (len(list(slice_texts(TEXTS))) - 3) <= 3  # the record and those after it
    assert_same(journal, TEXTS)


@pytest.mark.parametrize("other", ["made by", "dimension", "version"])
def test_a_journal_of_another_encoder_is_as_good_as_none(path, monkeypatch, other):
    stopped(path, calls=3)
    encoder, made_by = SpellingEncoder(), MADE_BY
    if other == "made by":
        made_by = {"encoder": "another"}
    elif other == "dimension":
        encoder = SpellingEncoder()
        encoder.token_dimension = 3
    else:
        monkeypatch.setattr("index.journal.JOURNAL_VERSION", "another")
    journal = Journal(path, encoder, made_by)
    assert journal.segments == ()
    with pytest.raises(KeyError):
        journal.packed([max(TEXTS, key=len)])
    journal.begin(["丙"])
    assert Journal(path, encoder, made_by).segments == ("丙",)


def test_progress_counts_what_was_done_before(path):
    done = sum(map(len, stopped(path, calls=3)))
    told: list[tuple[int, int]] = []
    begun(path, SpellingEncoder()).encode([*TEXTS, *TEXTS], lambda *one: told.append(one))
    sizes = [len(one) for one in list(slice_texts(TEXTS))[3:]]
    assert told == [(int(done + so_far), len(TEXTS)) for so_far in np.cumsum([0, *sizes])]


def test_a_removed_journal_is_gone_and_begins_anew(path):
    journal = begun(path, SpellingEncoder())
    journal.encode(TEXTS)
    journal.remove()
    assert not os.path.exists(path)
    journal.remove()
    journal.begin(["丙"])
    journal.encode(TEXTS[:2])
    assert journal.segments == ("丙",)
    assert_same(Journal(path, SpellingEncoder(), MADE_BY), TEXTS[:2])


def test_a_journal_of_other_segments_is_forgotten(path):
    stopped(path, calls=3)
    encoder = SpellingEncoder()
    journal = Journal(path, encoder, MADE_BY)
    journal.begin(["丙"])
    journal.encode(TEXTS)
    assert encoder.calls == list(slice_texts(TEXTS))
    assert Journal(path, encoder, MADE_BY).segments == ("丙",)
