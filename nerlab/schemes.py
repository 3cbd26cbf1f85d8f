"""Tag schemes: which tags and sequences of tags each of them knows and forbids."""

from collections.abc import Iterator, Sequence

from nerlab.tags import OUTSIDE, SCHEMES, continues, split_tag

_NOTHING = (OUTSIDE, "")


class TagError(ValueError):
    """A tag that its scheme does not know or forbids; ``position`` counts tokens from 0."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


def is_tag(tag: str) -> bool:
    """Whether a word is a tag of any scheme."""
    try:
        split_tag(tag)
    except ValueError:
        return False
    return True


def is_of_scheme(tag: str, scheme: str) -> bool:
    """Whether a scheme knows the prefix of a tag."""
    return tag == OUTSIDE or tag[0] in _prefixes(scheme)


def _prefixes(scheme: str) -> set[str]:
    return set(SCHEMES[scheme] + ("B" if scheme == "iob1" else ""))


def may_follow(previous: tuple[str, str], current: tuple[str, str], scheme: str) -> bool:
    """Whether a scheme allows a tag behind another, both as :func:`nerlab.tags.split_tag` splits
    them; O stands for the end of the sentence on either side."""
    (role, label), (next_role, next_label) = previous, current
    is_open = role in ("B", "I")
    if scheme == "iob1":
        return next_role != "B" or (is_open and label == next_label)
    if next_role in ("I", "E"):
        return continues(previous, current)
    return scheme == "iob2" or not is_open


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
