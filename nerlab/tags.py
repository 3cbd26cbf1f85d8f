"""Tag schemes and entity spans.

Five ways of writing entity spans as one tag a token are in use. They differ in the prefixes
that open, continue, close and make up an entity:

=======  =====  ======  ====  =======  =============================================
scheme   begin  inside  end   single   remark
=======  =====  ======  ====  =======  =============================================
iob1     I      I       I     I        B only where an entity touches one of its type
iob2     B      I       I     B
iobes    B      I       E     S        nerlab works with this one inside
bmes     B      M       E     S
bilou    B      I       L     U
=======  =====  ======  ====  =======  =============================================

Whatever the scheme of a file, it is read into spans and written as IOBES, the scheme that
tells a model the most (Ratinov and Roth 2009).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

OUTSIDE = "O"
_BEGIN_INSIDE_END_SINGLE = {
    "iob1": "IIII",
    "iob2": "BIIB",
    "iobes": "BIES",
    "bmes": "BMES",
    "bilou": "BILU",
}
# A model has four tags a label and O: K = 4,093 at most, and a CRF K^2 transitions.
MAX_LABELS = 1023
SCHEMES = tuple(_BEGIN_INSIDE_END_SINGLE)
_ROLE_OF_PREFIX = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
_OPEN = ("B", "I")
_NOTHING = (OUTSIDE, "")


class Span(NamedTuple):
    """An entity over the tokens ``start`` to ``end``, half open."""

    start: int
    end: int
    label: str


class TagError(ValueError):
    """A tag that its scheme does not know or forbids; ``position`` counts tokens from 0."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


@lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """The role (one of B, I, E, S, O) and the label of a tag of any scheme.

    >>> split_tag("L-PER.NOM")
    ('E', 'PER.NOM')
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, hyphen, label = tag.partition("-")
    if not hyphen or not label or prefix not in _ROLE_OF_PREFIX:
        raise ValueError(f"tag {tag!r} is neither 'O' nor a prefix of B I E S M L U, '-', a label")
    return _ROLE_OF_PREFIX[prefix], label


def is_tag(tag: str) -> bool:
    """Whether a word is a tag of any scheme."""
    try:
        split_tag(tag)
    except ValueError:
        return False
    return True


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans of a tag sequence of any scheme, by rules that extend those of conlleval.

    They give a meaning to illegal sequences too: an inside or end tag that continues nothing
    begins an entity, and a change of label ends one. On the legal sequences of each scheme
    the result is what the scheme says.

    On tags with the prefixes B and I alone these are the spans of the perl script conlleval
    (2004-01-26). It knows E as well, but goes over ``E-X B-X`` without a border, and so joins
    neighbours that IOBES keeps apart; here B always begins an entity. It does not know the other
    prefixes: M counts as I, L as E, and S and U are an entity by themselves.
    """
    spans = []
    start, previous = 0, _NOTHING
    for position, tag in enumerate(tags):
        current = split_tag(tag)
        if not continues(previous, current):
            if previous != _NOTHING:
                spans.append(Span(start, position, previous[1]))
            start = position
        previous = current
    if previous != _NOTHING:
        spans.append(Span(start, len(tags), previous[1]))
    return spans


def continues(previous: tuple[str, str], current: tuple[str, str]) -> bool:
    """Whether a tag, given as :func:`split_tag` splits it, goes on with the entity of the tag
    before it, by the rules of :func:`spans_of`."""
    return previous[0] in _OPEN and current[0] in ("I", "E") and current[1] == previous[1]


def tags_of(spans: Iterable[Span], length: int, scheme: str = "iobes") -> list[str]:
    """Write spans as ``length`` tags of a scheme.

    Raises:
        ValueError: spans overlap, or one is empty or leaves the sentence.
    """
    begin, inside, end, single = list(_BEGIN_INSIDE_END_SINGLE[scheme])
    tags = [OUTSIDE] * length
    previous: Span | None = None
    for span in sorted(spans):
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} does not lie within a sentence of {length} tokens")
        if previous is not None and span.start < previous.end:
            raise ValueError(f"{previous} and {span} overlap; one tag a token cannot say that")
        label = span.label
        last = span.end - 1
        tags[span.start : span.end] = [f"{inside}-{label}"] * (span.end - span.start)
        tags[last] = f"{end}-{label}"
        tags[span.start] = f"{single if span.start == last else begin}-{label}"
        if scheme == "iob1" and previous and (previous.end, previous.label) == (span.start, label):
            tags[span.start] = f"B-{label}"
        previous = span
    return tags


def check(tags: Sequence[str], scheme: str) -> None:
    """Raise :class:`TagError` at the first tag that ``scheme`` does not know or forbids."""
    for violation in violations(tags, scheme):
        raise violation


def violations(tags: Sequence[str], scheme: str) -> Iterator[TagError]:
    """Every tag that ``scheme`` does not know or forbids where it stands, in their order.

    A tag that cannot be read counts as O for the tag behind it.
    """
    previous, previous_tag = _NOTHING, OUTSIDE
    for position, tag in enumerate(tags):
        try:
            current = split_tag(tag)
        except ValueError as error:
            yield TagError(position, str(error))
            previous, previous_tag = _NOTHING, tag
            continue
        if not is_of_scheme(tag, scheme):
            known = " ".join(sorted(_prefixes(scheme)))
            yield TagError(
                position, f"tag {tag!r}: {scheme} knows the prefixes {known} and the tag O"
            )
        elif not may_follow(previous, current, scheme):
            hint = " and iob2, often called IOB too, does not" if scheme == "iob1" else ""
            yield TagError(
                position, f"tag {tag!r} follows {previous_tag!r}, which {scheme} forbids{hint}"
            )
        previous, previous_tag = current, tag
    if not may_follow(previous, _NOTHING, scheme):
        message = f"tag {previous_tag!r} ends the sentence, which {scheme} forbids"
        yield TagError(len(tags) - 1, message)


def _prefixes(scheme: str) -> set[str]:
    return set(_BEGIN_INSIDE_END_SINGLE[scheme] + ("B" if scheme == "iob1" else ""))


def is_of_scheme(tag: str, scheme: str) -> bool:
    """Whether a scheme knows the prefix of a tag."""
    return tag == OUTSIDE or tag[0] in _prefixes(scheme)


def may_follow(previous: tuple[str, str], current: tuple[str, str], scheme: str) -> bool:
    """Whether a scheme allows a tag behind another, both given as :func:`split_tag` splits them;
    O stands for the end of the sentence on either side."""
    (role, label), (next_role, next_label) = previous, current
    inside_same = role in _OPEN and label == next_label
    if scheme == "iob1":
        return next_role != "B" or inside_same
    if scheme == "iob2":
        return next_role != "I" or inside_same
    return inside_same if next_role in ("I", "E") else role not in _OPEN


def iobes_tags(labels: Iterable[str]) -> list[str]:
    """The tag set of some labels: O, then B, I, E and S of each label in order."""
    return [OUTSIDE] + [f"{role}-{label}" for label in labels for role in "BIES"]


class Constraints(NamedTuple):
    """What may begin a sequence ``(K,)``, move where ``(K, K)`` [from, to], end it ``(K,)``."""

    start: np.ndarray
    transitions: np.ndarray
    end: np.ndarray


def iobes_constraints(tags: Sequence[str]) -> Constraints:
    """The boolean constraints that IOBES puts on sequences over ``tags``."""
    roles = [split_tag(tag) for tag in tags]
    opens = np.array([role in _OPEN for role, _ in roles], dtype=bool)
    goes_on = np.array([role in ("I", "E") for role, _ in roles], dtype=bool)
    numbers = {label: number for number, (_, label) in enumerate(roles)}
    labels = np.array([numbers[label] for _, label in roles], dtype=np.int64)
    # For thousands of tags, as may_follow says for two; broadcast over [from, to].
    inside_same = opens[:, None] & (labels[:, None] == labels)
    return Constraints(
        start=np.array([may_follow(_NOTHING, tag, "iobes") for tag in roles], dtype=bool),
        transitions=np.where(goes_on, inside_same, ~opens[:, None]),
        end=np.array([may_follow(tag, _NOTHING, "iobes") for tag in roles], dtype=bool),
    )
