"""The entities of a sentence as its file has it."""

from nerlab.data.sentence import Sentence, check_tag_count, tag_problem
from nerlab.tags import Span, is_tag, spans_of, violations


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
