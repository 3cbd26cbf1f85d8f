"""Words of messages, and columns of CoNLL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.messages import as_column, conll_sentence, counted


def test_a_number_and_its_noun_agree() -> None:
    found = [counted(n, "epoch") for n in (0, 1, 2, 1200)]
    assert found == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]


rows = st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1)))


@given(rows, st.sampled_from([" ", "\t"]))
def test_lines_and_columns_can_be_told_apart(
    rows: list[tuple[str, str, str]], separator: str
) -> None:
    columns = [[as_column(row[i]) for row in rows] for i in range(3)]
    text = conll_sentence(*columns, separator=separator)
    assert text.endswith("\n")
    lines = text.split("\n")[:-2]
    assert [line.split(separator) for line in lines] == [
        list(row) for row in zip(*columns, strict=True)
    ]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        conll_sentence(["a", "b"], ["O"])
