"""Lists of tokens and lists of tags, whatever stands in them, as tokens and tags of a sentence."""

from collections.abc import Sequence

from nerlab.data.readers.messages import shown
from nerlab.messages import counted
from nerlab.tags import OUTSIDE


class RowError(ValueError):
    """What is wrong with one sentence of a file; ``kind`` says it without the particulars."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ClassNames:
    """The names of the classes 0, 1, ...; ``O`` is no entity.

    Names with the prefixes of a tag scheme (``B-PER``) are tags as they stand. Where no name has
    one, a class is an entity type: neighbours of one class are one entity, written as IOB2. What
    is no list of names raises ``ValueError``.
    """

    def __init__(self, names: object) -> None:
        if not isinstance(names, list | tuple) or not names:
            raise ValueError(f"data.reader.labels: expected a list of names, found {shown(names)}")
        for name in names:
            if not isinstance(name, str) or not name:
                raise ValueError(
                    f"data.reader.labels: expected names, found {shown(name)}; put it in quotes"
                )
        self._names: list[str] = list(names)
        self._are_tags = any(name.startswith(("B-", "I-")) for name in self._names)

    def tags(self, classes: Sequence[object]) -> list[str]:
        """The tags of a sentence of these classes, numbers or strings that spell a number;
        ``RowError`` if there is no such class."""
        names = [self._name(number) for number in classes]
        if self._are_tags:
            return names
        before = [OUTSIDE, *names]
        return [
            name if name == OUTSIDE else f"{'I' if name == previous else 'B'}-{name}"
            for previous, name in zip(before, names, strict=False)
        ]

    def _name(self, number: object) -> str:
        if isinstance(number, str) and number.isdecimal() and len(number) < 10:
            number = int(number)
        if type(number) is int and 0 <= number < len(self._names):
            return self._names[number]
        raise RowError(
            "of an unknown class",
            f"tag {shown(number)} is none of the classes 0 to {len(self._names) - 1} of "
            "data.reader.labels",
        )


def tokens_and_tags(
    tokens: Sequence[object], tags: Sequence[object], names: ClassNames | None
) -> tuple[list[str], list[str]]:
    """The tokens of a sentence, and its tags as strings; class numbers where there are ``names``.

    Raises:
        RowError: a token or a tag is not what it should be, or there is not one tag a token.
    """
    if len(tokens) != len(tags):
        raise RowError(
            "of unequal lengths",
            f"{counted(len(tokens), 'token')}, but {counted(len(tags), 'tag')}",
        )
    words = []
    for token in tokens:
        if not isinstance(token, str) or not token:
            raise RowError("with a token that is no text", f"token {shown(token)} is no text")
        words.append(token)
    if names is not None:
        return words, names.tags(tags)
    written = []
    for tag in tags:
        if not isinstance(tag, str):
            raise RowError(
                "with tags that are no names",
                f"tag {shown(tag)} is no name; set data.reader.labels to the names of the "
                "classes 0, 1, ... if these are numbers",
            )
        written.append(tag)
    return words, written
