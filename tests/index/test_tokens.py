from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from index.tokens import pack_tokens, unit_rows, unpack_tokens


def test_packing_keeps_directions_and_drops_lengths():
    rows = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32)
    again = unpack_tokens(pack_tokens(rows * 7))
    np.testing.assert_allclose(np.linalg.norm(again, axis=1), 1, atol=1e-6)
    assert np.sum(again * unit_rows(rows), axis=1).min() > 0.999


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_rows_pack_into_finite_unit_rows_or_zeros(rows):
    lengths = np.linalg.norm(unpack_tokens(pack_tokens(rows)), axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))


def test_no_token_is_no_row():
    assert unpack_tokens(pack_tokens(np.empty((0, 64), np.float32))).shape == (0, 64)
