"""The character CNN by looked-up rows, against a convolution of torch and a masked maximum."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from nerlab.models.characters import CharacterIndexer, Characters

words = st.lists(st.integers(1, 5), min_size=1, max_size=8)  # few characters: n-grams recur


def make_cnn(widths: list[int], filters: int = 3) -> Characters:
    torch.manual_seed(0)
    indexer = CharacterIndexer(max_word_length=64)
    indexer.fit((character, 1) for character in "abcdabcd")
    cnn = Characters(indexer, 4, filters, widths).double()
    torch.nn.init.normal_(cnn.bias)
    return cnn


def padded(characters: list[list[int]], columns: int = 0) -> dict[str, Tensor]:
    longest = max(map(len, characters)) + columns
    rows = [word + [0] * (longest - len(word)) for word in characters]
    return {"characters": torch.tensor(rows)}


def convolved(cnn: Characters, features: dict[str, Tensor]) -> Tensor:
    """The same by ``nn.functional.conv1d`` over padded character vectors."""
    characters = features["characters"]
    inside = characters > 0
    vectors = (cnn.embedding[characters] * inside[..., None]).transpose(1, 2)  # (U, D, C)
    pooled = []
    for weight in cnn.weights:  # (w, D, F)
        left = len(weight) // 2
        around = F.pad(vectors, (left, len(weight) - 1 - left))
        scores = F.conv1d(around, weight.permute(2, 1, 0))  # (U, F, C)
        pooled.append(scores.masked_fill(~inside[:, None], -torch.inf).max(2).values)
    return torch.cat(pooled, dim=1) + cnn.bias


@settings(max_examples=60, deadline=None)
@given(
    st.lists(words, min_size=1, max_size=6),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_values_and_gradients_are_those_of_a_convolution(
    characters: list[list[int]], widths: list[int]
) -> None:
    cnn, ids = make_cnn(widths), padded(characters)
    found, expected = cnn(ids), convolved(cnn, ids)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        torch.testing.assert_close(cnn(ids), expected)
    weights = torch.linspace(-1.0, 2.0, expected.numel(), dtype=torch.float64).view_as(expected)
    parameters = list(cnn.parameters())
    gradients = torch.autograd.grad((found * weights).sum(), parameters)
    by_torch = torch.autograd.grad((expected * weights).sum(), parameters)
    for ours, theirs in zip(gradients, by_torch, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_gradients_agree_with_finite_differences(width: int) -> None:
    cnn, ids = make_cnn([width], filters=2), padded([[1, 2, 3, 4], [5], [2, 5, 1]])
    names, values = zip(*cnn.named_parameters(), strict=True)

    def output(*parameters: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(
            cnn, dict(zip(names, parameters, strict=True)), (ids,)
        )
        return result

    assert torch.autograd.gradcheck(output, values)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_a_word_of_one_character_meets_the_middle_of_each_filter(width: int) -> None:
    cnn = make_cnn([width])
    expected = cnn.embedding[3] @ cnn.weights[0][width // 2] + cnn.bias
    torch.testing.assert_close(cnn(padded([[3]]))[0], expected)


def test_the_maximum_is_over_the_characters_of_the_word_alone() -> None:
    cnn = make_cnn([3])
    torch.nn.init.constant_(cnn.embedding, 1.0)
    torch.nn.init.constant_(cnn.weights[0], -1.0)  # every score of a character is negative
    with_padding = cnn(padded([[1, 2], [1, 2, 3, 4, 5]]))[0]
    torch.testing.assert_close(with_padding, cnn.bias - 8.0)  # padding alone would score 0 or -4


@settings(max_examples=20, deadline=None)
@given(st.lists(words, min_size=1, max_size=4), st.integers(1, 6))
def test_columns_of_padding_change_nothing(characters: list[list[int]], columns: int) -> None:
    cnn = make_cnn([1, 2, 3, 5])
    torch.testing.assert_close(cnn(padded(characters, columns)), cnn(padded(characters)))
    with torch.no_grad():
        torch.testing.assert_close(cnn(padded(characters, columns)), cnn(padded(characters)))


def test_padding_is_never_learned() -> None:
    cnn = make_cnn([3, 5])
    cnn(padded([[1, 2, 3], [4]])).sum().backward()
    assert cnn.embedding.grad is not None
    assert not cnn.embedding.grad[0].any()
    assert cnn.embedding.grad[1:5].any(1).all()


def test_width_of_the_output_is_filters_times_widths() -> None:
    cnn = make_cnn([2, 3, 4], filters=7)
    assert cnn(padded([[1, 2], [3]])).shape == (2, cnn.output_dim) == (2, 21)
