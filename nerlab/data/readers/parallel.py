"""Two files side by side: the tokens of a sentence on a line of one, their tags in the other."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from nerlab.data.readers.lines import fields, numbered_lines
from nerlab.data.sentence import Sentence
from nerlab.messages import counted


def sources(path: str | Path, words: str, tags: str, encoding: str) -> list[Path]:
    """The files that :func:`read` with the same arguments reads: tokens and tags."""
    path = Path(path)
    name = path.name.replace(words, tags)
    tag_path = path.parent / name
    if words not in path.name or Path(name).name != name or not tag_path.is_file():
        raise ValueError(
            f"{path}: expected the tags beside it in {name}, found no such file; set "
            "data.reader.words and data.reader.tags to what differs in the two names"
        )
    return [path, tag_path]


def read(path: str | Path, words: str, tags: str, encoding: str) -> Iterator[Sentence]:
    """Yield the sentences of two parallel files.

    Tokens and tags stand apart by spaces or tabs. Lines that are blank in both files are passed
    over.

    ``path`` is the file of the tokens; what the options mean stands in
    ``conf/data/reader/parallel.yaml``.

    Raises:
        ValueError: the other file is not there, a line has more tokens than tags or fewer, or a
            byte does not decode.
    """
    path, tag_path = sources(path, words, tags, encoding)
    pairs = zip_longest(numbered_lines(path, encoding), numbered_lines(tag_path, encoding))
    for one, other in pairs:
        number = (one or other)[0]
        tokens, labels = (fields(line[1] if line else "") for line in (one, other))
        if len(tokens) != len(labels):
            raise ValueError(
                f"{path}:{number}: {counted(len(tokens), 'token')}, but "
                f"{counted(len(labels), 'tag')} in {tag_path.name}; fix the lines"
            )
        if tokens:
            yield Sentence(tokens, labels, line=number, lines_a_token=0)
