"""What is wrong in a sentence."""

from collections.abc import Iterator, Sequence

from nerlab.commands.characters import has_loose_end, oddities, visible
from nerlab.commands.findings import Severity
from nerlab.data.sentence import WHERE_TAGS_STAND, Sentence
from nerlab.messages import counted
from nerlab.schemes import is_tag, violations
from nerlab.tags import Span, spans_of
from nerlab.text import MAX_SENTENCE_TOKENS

_MESSAGES = {
    "tag-count": "sentences with more or fewer tags than tokens",
    "unknown-tag": "words in place of a tag",
    "illegal-tag": "tags that {scheme} forbids",
    "empty-sentence": "sentences without a token",
    "empty-token": "tokens without a character",
    "long-sentence": f"sentences of more than {MAX_SENTENCE_TOKENS} tokens",
    "loose-end": "entities with a loose mark or space at an end",
}
_REMEDIES = {
    "tag-count": "fix the file",
    "unknown-tag": f"{WHERE_TAGS_STAND}; or fix them",
    "illegal-tag": "set data.scheme to the scheme of the file, or data.repair=true",
}


def readable_spans(sentence: Sentence) -> list[Span]:
    """The entities of a sentence; none unless each token has a tag of any scheme."""
    tokens, tags = sentence.tokens, sentence.tags
    return spans_of(tags) if len(tags) == len(tokens) and all(map(is_tag, tags)) else []


def faults(
    sentence: Sentence, spans: Sequence[Span], scheme: str
) -> Iterator[tuple[str, int, str]]:
    """Everything that is wrong in a sentence: the kind, the token, and what is found there."""
    tokens, tags = sentence.tokens, sentence.tags
    if not tokens:
        yield "empty-sentence", 0, "no token"
    if len(tokens) > MAX_SENTENCE_TOKENS:
        yield "long-sentence", 0, counted(len(tokens), "token")
    for position, token in enumerate(tokens):
        if not token:
            yield "empty-token", position, "no character"
        for oddity in oddities(token):
            yield f"{oddity}-characters", position, visible(token)
    if len(tokens) != len(tags):
        yield "tag-count", 0, f"{counted(len(tokens), 'token')}, but {counted(len(tags), 'tag')}"
        return
    for violation in violations(tags, scheme):
        kind = "illegal-tag" if is_tag(tags[violation.position]) else "unknown-tag"
        yield kind, violation.position, visible(str(violation))
    for start, end, label in spans:
        if has_loose_end(tokens[start:end]):
            yield "loose-end", start, f"'{visible(' '.join(tokens[start:end]))}' {visible(label)}"


def describe(kind: str, scheme: str, repair: bool) -> tuple[str, Severity, str]:
    """What is said of a kind of faults: the message, how severe it is, and what to do."""
    oddity, _, suffix = kind.rpartition("-")
    if suffix == "characters":
        return f"tokens with odd characters, {oddity}", "warning", ""
    message = _MESSAGES[kind].format(scheme=scheme)
    if kind == "illegal-tag" and repair:
        return message, "warning", "read by conlleval's rules (data.repair=true)"
    return message, "error" if kind in _REMEDIES else "warning", _REMEDIES.get(kind, "")
