"""A lexicon reads like the list of strings that it was made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.corpus import Lexicon

strings = st.lists(st.text(max_size=4) | st.sampled_from(["", "\x00", "\ud800", "😀", "İ"]))


@given(strings)
def test_it_reads_like_a_list(words: list[str]) -> None:
    lexicon = Lexicon.of(words)
    assert list(lexicon) == words
    assert len(lexicon) == len(words)
    assert [lexicon[i] for i in range(-len(words), len(words))] == words + words
    assert lexicon.lengths.tolist() == [len(word) for word in words]
    for index in (len(words), -len(words) - 1):
        with pytest.raises(IndexError, match="out of range"):
            lexicon[index]


@given(strings)
def test_its_arrays_hold_the_code_points(words: list[str]) -> None:
    lexicon = Lexicon.of(words)
    assert lexicon.characters.tolist() == [ord(c) for word in words for c in word]
    assert lexicon.characters.dtype == np.uint32
    assert lexicon.offsets.dtype == np.int64
    assert list(Lexicon(lexicon.characters, lexicon.offsets)) == words
