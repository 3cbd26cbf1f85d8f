"""Splits and sentences as their files have them."""

from nerlab.config import DataConfig
from nerlab.data.load import split_source, splits_of
from nerlab.data.missing import MissingFileError
from nerlab.data.sentence import Sentence, check_tag_count, tag_problem
from nerlab.schemes import is_tag, violations
from nerlab.tags import Span, spans_of


def entities_of(sentence: Sentence, scheme: str, repair: bool, source: str) -> list[Span]:
    """The entities that the tags of a sentence, which are of ``scheme``, stand for.

    With ``repair`` illegal tag sequences are read by conlleval's rules; else they raise.

    Args:
        sentence: the sentence.
        scheme: that of its tags.
        repair: whether illegal sequences are read.
        source: the file, for messages.

    Raises:
        ValueError: a tag is unknown or illegal, or there are more or fewer tags than tokens; the
            message names file and line.
    """
    check_tag_count(sentence, source)
    for violation in violations(sentence.tags, scheme):
        if not (repair and is_tag(sentence.tags[violation.position])):
            raise tag_problem(sentence, violation.position, violation, source)
    return spans_of(sentence.tags)


def present_splits(data: DataConfig) -> tuple[list[str], list[str]]:
    """The splits of a data set, but for a test split whose file is not there, which training can
    do without too; and what to warn of then."""
    names = splits_of(data)
    try:
        if "test" in names:
            split_source(data, "test")
    except MissingFileError as error:
        return [name for name in names if name != "test"], [f"test is left out: {error}"]
    return names, []
