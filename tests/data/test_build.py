"""Tags of many sentences at once, held against rewriting each sentence by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.build import TagRewriter
from nerlab.schemes import TagError, check
from nerlab.tags import MAX_LABELS, SCHEMES, iobes_tags, spans_of, tags_of

tags = st.builds("{}-{}".format, st.sampled_from("BIESMLU"), st.sampled_from(["X", "Y.Z"]))
sentences = st.lists(st.lists(tags | st.just("O"), min_size=1, max_size=7), max_size=8)


def rewrite(rewriter: TagRewriter, text: list[list[str]]) -> tuple[list[list[str]], list[int]]:
    """The sentences in IOBES, and which of them are illegal."""
    offsets = np.cumsum([0, *map(len, text)])
    ids, illegal = rewriter.rewrite([tag for part in text for tag in part], offsets)
    assert ids.dtype == np.int32
    names = [iobes_tags(rewriter.labels)[i] for i in ids]
    return [names[a:b] for a, b in zip(offsets, offsets[1:], strict=False)], illegal.tolist()


def is_illegal(part: list[str], scheme: str) -> bool:
    try:
        check(part, scheme)
    except TagError:
        return True
    return False


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=60)
@given(chunks=st.lists(sentences, min_size=1, max_size=3))
def test_every_sentence_is_rewritten_as_if_it_stood_alone(
    scheme: str, chunks: list[list[list[str]]]
) -> None:
    rewriter = TagRewriter(scheme)
    for text in chunks:  # what is learned from one chunk serves the next
        found, illegal = rewrite(rewriter, text)
        assert found == [tags_of(spans_of(part), len(part)) for part in text]
        assert illegal == [i for i, part in enumerate(text) if is_illegal(part, scheme)]


def test_labels_stand_in_order_of_first_occurrence() -> None:
    rewriter = TagRewriter("iob2")
    rewrite(rewriter, [["O", "B-Z"], ["I-Z", "B-A"]])
    rewrite(rewriter, [["B-M", "B-Z"]])
    assert rewriter.labels == ["Z", "A", "M"]


@pytest.mark.parametrize("tag", ["", "X", "B-", "o", "Z-X"])
def test_a_tag_of_no_scheme_is_named_with_its_first_place(tag: str) -> None:
    rewriter = TagRewriter("iob2")
    rewrite(rewriter, [["O", "B-X"]])
    with pytest.raises(TagError, match=f"tag '{tag}' is neither") as caught:
        rewriter.rewrite(["O", "B-X", tag, tag], np.array([0, 4]))
    assert caught.value.position == 2


@pytest.mark.parametrize("prefixes", ["B", "BIESMLU"])
def test_more_labels_than_a_model_takes_are_refused(prefixes: str) -> None:
    def names(first: int, last: int) -> list[str]:
        return [f"{prefix}-{i}" for i in range(first, last) for prefix in prefixes]

    rewriter = TagRewriter("iobes")
    fitting = names(0, MAX_LABELS)
    rewriter.rewrite(fitting, np.array([0, len(fitting)]))
    assert len(rewriter.labels) == MAX_LABELS
    more = names(MAX_LABELS - 1, MAX_LABELS + 3)
    message = r"^at least 1,026 entity types, expected 1,023 at most: they make K = 4,105 tags, "
    with pytest.raises(ValueError, match=message):
        rewriter.rewrite(more, np.array([0, len(more)]))


def test_any_number_of_labels_is_refused_before_a_table_of_them_is_made() -> None:
    names = [f"B-{i}" for i in range(1_000_000)]
    with pytest.raises(ValueError, match=r"^at least 1,000,000 entity types, "):
        TagRewriter("iob2").rewrite(names, np.array([0, len(names)]))
