"""Tags and the entity spans that they stand for.

Five ways of writing entity spans as one tag a token are in use. They differ in the prefixes
that open, continue, close and make up an entity:

=======  =====  ======  ====  =======  =============================================
scheme   begin  inside  end   single   note
=======  =====  ======  ====  =======  =============================================
iob1     I      I       I     I        B only where an entity touches one of its type
iob2     B      I       I     B
iobes    B      I       E     S        nerlab works with this one inside
bmes     B      M       E     S
bilou    B      I       L     U
=======  =====  ======  ====  =======  =============================================

Whatever the scheme of a file, it is read into spans and written as IOBES, the scheme that
tells a model the most (Ratinov and Roth 2009). What a scheme forbids: :mod:`nerlab.schemes`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

OUTSIDE = "O"
SCHEMES = {"iob1": "IIII", "iob2": "BIIB", "iobes": "BIES", "bmes": "BMES", "bilou": "BILU"}
# A model has four tags a label and O: K = 4,093 at most, and a CRF K^2 transitions.
MAX_LABELS = 1023
# With more of them a CRF takes more time than all the rest of a training step.
MANY_LABELS = 100
_ROLE_OF_PREFIX = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}


class Span(NamedTuple):
    """An entity over the tokens ``start`` to ``end``, half open."""

    start: int
    end: int
    label: str


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


def continues(previous: tuple[str, str], current: tuple[str, str]) -> bool:
    """Whether a tag, as :func:`split_tag` splits it, goes on with the entity of the tag before."""
    return previous[0] in ("B", "I") and current[0] in ("I", "E") and current[1] == previous[1]


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans of a tag sequence of any scheme, by rules that extend those of conlleval.

    They give a meaning to illegal sequences too: an inside or end tag that continues nothing
    begins an entity, and a change of label ends one. On the prefixes B and I alone these are the
    spans of the perl script conlleval (2004-01-26). It knows E as well, but joins ``E-X B-X``;
    here B always begins an entity.
    """
    spans = []
    start, previous = 0, (OUTSIDE, "")
    for position, tag in enumerate([*tags, OUTSIDE]):
        current = split_tag(tag)
        if not continues(previous, current):
            if previous[0] != OUTSIDE:
                spans.append(Span(start, position, previous[1]))
            start = position
        previous = current
    return spans


def tags_of(spans: Iterable[Span], length: int, scheme: str = "iobes") -> list[str]:
    """Write spans as ``length`` tags of a scheme.

    Raises:
        ValueError: spans overlap, or one is empty or leaves the sentence.
    """
    begin, inside, end, single = list(SCHEMES[scheme])
    tags = [OUTSIDE] * length
    previous = Span(0, 0, "")
    for span in sorted(spans):
        label, last = span.label, span.end - 1
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} does not lie within a sentence of {length} tokens")
        if span.start < previous.end:
            raise ValueError(f"{previous} and {span} overlap; one tag a token cannot say that")
        tags[span.start : span.end] = [f"{inside}-{label}"] * (span.end - span.start)
        tags[last] = f"{end}-{label}"
        tags[span.start] = f"{single if span.start == last else begin}-{label}"
        if scheme == "iob1" and (previous.end, previous.label) == (span.start, label):
            tags[span.start] = f"B-{label}"
        previous = span
    return tags


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
    roles = [split_tag(tag)[0] for tag in tags]
    opens = np.isin(roles, ["B", "I"])  # an entity that has not ended
    goes_on = np.isin(roles, ["I", "E"])
    labels = np.unique([split_tag(tag)[1] for tag in tags], return_inverse=True)[1]
    inside = opens[:, None] & (labels[:, None] == labels)  # [from, to]
    return Constraints(~goes_on, np.where(goes_on, inside, ~opens[:, None]), ~opens)
