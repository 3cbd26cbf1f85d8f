"""Any texts with any of their stretches of tokens as entities."""

from hypothesis import strategies as st

from nerlab.inference.output import Tagged
from nerlab.inference.predictor import Entity, TaggedSentence
from nerlab.tags import Span, tags_of
from nerlab.text import Token, sentences

LABELS = ("PER", "Work of art", "地点", "<b>")
some_text = st.one_of(
    st.text(max_size=20),
    st.lists(
        st.sampled_from(
            [
                "Anna",
                "محمد",
                "שלום",
                "北京",
                "👩🏽‍🚀",
                "e\u0301",
                " ",
                "  ",
                "\n",
                "\t",
                "\x85",
                "\u2028",
                "\0",
                ".",
            ]
        )
    ).map("".join),
)


def sentence_of(text: str, tokens: list[Token], spans: list[Span]) -> TaggedSentence:
    """A sentence of a text whose entities have the scores 0.5, 0.25 …"""
    entities = []
    for number, span in enumerate(spans, start=1):
        start, end = tokens[span.start].start, tokens[span.end - 1].end
        entities.append(Entity(text[start:end], span.label, start, end, 0.5**number))
    return TaggedSentence(tokens, tags_of(spans, len(tokens)), entities)


@st.composite
def tagged_texts(draw: st.DrawFn) -> list[Tagged]:
    """Texts of any script, and entities of one token or several."""
    result = []
    for text in draw(st.lists(some_text, max_size=3)):
        tagged = []
        for tokens in sentences(text):
            borders = sorted(draw(st.sets(st.integers(0, len(tokens)), max_size=6)))
            spans = [
                Span(start, end, draw(st.sampled_from(LABELS)))
                for start, end in zip(borders[::2], borders[1::2], strict=False)
            ]
            tagged.append(sentence_of(text, tokens, spans))
        result.append((text, tagged))
    return result
