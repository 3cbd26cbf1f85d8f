"""The entities of a sentence as its file has it."""

from nerlab.data.sentence import Sentence
from nerlab.tags import Span, TagError, check, spans_of


def entities_of(sentence: Sentence, scheme: str, repair: bool, source: str) -> list[Span]:
    """The entities that the tags of a sentence, which are of ``scheme``, stand for.

    With ``repair`` illegal tag sequences are read by conlleval's rules; else they raise.

    Args:
        source: the file, for messages.

    Raises:
        ValueError: a tag is unknown or illegal, or there are more or fewer tags than tokens; the
            message names file and line.
    """
    if len(sentence.tokens) != len(sentence.tags):
        counts = f"{len(sentence.tokens)} tokens, but {len(sentence.tags)} tags"
        raise ValueError(f"{source}:{sentence.line}: {counts} in this sentence; mend the file")
    try:
        if not repair:
            check(sentence.tags, scheme)
        return spans_of(sentence.tags)
    except TagError as error:
        remedy = "set data.scheme to the scheme of the file, or data.repair=true"
        line = sentence.line_of(error.position)
        raise ValueError(f"{source}:{line}: {error}; {remedy}") from None
    except ValueError as error:
        raise ValueError(f"{source}:{sentence.line}: in this sentence, {error}") from None
