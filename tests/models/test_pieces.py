"""Pieces of tokens, held against those that transformers and sentencepiece make of them."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.vocabulary import Ragged
from nerlab.models.pieces import index_pieces


class Letters:
    """A tokenizer whose pieces are the letters a to z."""

    num_pieces, unknown, start, end = 29, 26, 27, 28

    def cut(self, tokens: Sequence[str]) -> Ragged:
        rows = [[ord(c) - ord("a") for c in token if "a" <= c <= "z"] for token in tokens]
        return Ragged(
            np.array(list(chain.from_iterable(rows)), np.int32), np.cumsum([0, *map(len, rows)])
        )

    def files(self) -> dict[str, bytes]:
        return {}


def rows_of(ragged: object) -> list[list[int]]:
    assert isinstance(ragged, Ragged)
    values, offsets = ragged.values.tolist(), ragged.offsets.tolist()
    return [values[first:last] for first, last in zip(offsets, offsets[1:], strict=False)]


@given(st.lists(st.text(alphabet="abz.", max_size=3)))
def test_a_token_without_a_piece_gets_the_unknown_one_and_0_is_padding(tokens: list[str]) -> None:
    indexed = index_pieces(Letters(), tokens)
    expected = [[ord(c) - 96 for c in t if c != "."] or [27] for t in tokens]
    assert rows_of(indexed.arrays["pieces"]) == expected
    assert indexed.costs is not None
    assert indexed.costs.tolist() == [len(row) for row in expected]
