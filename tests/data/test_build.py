"""Tags of a whole corpus, held against rewriting each sentence by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.schemes import violations
from nerlab.tags import MAX_LABELS, SCHEMES, spans_of, tags_of

tags = st.builds("{}-{}".format, st.sampled_from("BIESMLU"), st.sampled_from(["X", "Y.Z"]))
sentences = st.lists(st.lists(tags | st.just("O"), min_size=1, max_size=7), max_size=8)


def built(text: list[list[str]], scheme: str = "iob2", repair: bool = False) -> Corpus:
    """A corpus of sentences with these tags, whose lines are counted from 1."""
    parts = (Sentence(of, of, line=i, lines_a_token=0) for i, of in enumerate(text, start=1))
    return build_corpus(parts, scheme, repair, "file")


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=60)
@given(text=sentences)
def test_every_sentence_is_rewritten_as_if_it_stood_alone(
    scheme: str, text: list[list[str]]
) -> None:
    corpus = built(text, scheme, repair=True)
    found = [corpus.sentence_tags(i) for i in range(len(corpus))]
    assert found == [tags_of(spans_of(part), len(part)) for part in text]
    illegal = [i for i, part in enumerate(text, start=1) if any(violations(part, scheme))]
    if illegal:
        with pytest.raises(ValueError, match=rf"^file:{illegal[0]}: tag .*data\.repair=true$"):
            built(text, scheme)
    else:
        assert built(text, scheme).digest() == corpus.digest()


def test_labels_stand_in_order_of_first_occurrence() -> None:
    assert built([["O", "B-Z"], ["B-Z", "I-Z", "B-A"], ["B-M", "B-Z"]]).labels == ["Z", "A", "M"]


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("tag", ["", "X", "B-", "o", "Z-X"])
def test_a_tag_of_no_scheme_is_named_with_its_first_place(tag: str, repair: bool) -> None:
    with pytest.raises(ValueError, match=f"^file:2: tag '{tag}' is neither"):
        built([["O", "B-X"], ["O", "B-X", tag, tag]], repair=repair)


@pytest.mark.parametrize("prefixes", ["S", "BIESMLU"])
def test_more_labels_than_a_model_takes_are_refused(prefixes: str) -> None:
    def part(number: int) -> list[str]:
        return [f"{prefix}-{number}" for prefix in prefixes]

    fitting = [part(i) for i in range(MAX_LABELS)]
    assert len(built(fitting, "iobes", repair=True).labels) == MAX_LABELS
    message = r"^file: at least 1,024 entity types, expected 1,023 at most: they make K = 4,097 "
    with pytest.raises(ValueError, match=message):
        built([*fitting, part(0), part(MAX_LABELS)], "iobes", repair=True)
