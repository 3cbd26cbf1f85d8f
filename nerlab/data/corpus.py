"""A corpus as flat arrays: no Python object a token, so it is small and fast to batch."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nerlab.data.sentence import Sentence
from nerlab.tags import TagError, split_tag, to_iobes


@dataclass(frozen=True, eq=False)
class Corpus:
    """S sentences with N tokens of L distinct forms.

    Attributes:
        lexicon: the distinct tokens ``(L,)``, in order of first occurrence.
        tag_names: the distinct tags, IOBES.
        tokens: ``(N,)`` int32, into ``lexicon``.
        tags: ``(N,)`` int32, into ``tag_names``.
        offsets: ``(S + 1,)`` int64; sentence s is ``tokens[offsets[s]:offsets[s + 1]]``.
        documents: ``(S,)`` int32, the document of each sentence.
    """

    lexicon: list[str]
    tag_names: list[str]
    tokens: np.ndarray
    tags: np.ndarray
    offsets: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.documents)

    @cached_property
    def lengths(self) -> np.ndarray:
        """``(S,)`` tokens of each sentence."""
        return np.diff(self.offsets)

    @property
    def labels(self) -> set[str]:
        """The entity types."""
        return {split_tag(tag)[1] for tag in self.tag_names} - {""}

    def token_counts(self) -> list[tuple[str, int]]:
        """How often each distinct token occurs."""
        counts = np.bincount(self.tokens, minlength=len(self.lexicon))
        return list(zip(self.lexicon, counts.tolist(), strict=True))

    def sentence_tokens(self, sentence: int) -> list[str]:
        """The tokens of one sentence."""
        start, end = self.offsets[sentence : sentence + 2]
        return [self.lexicon[i] for i in self.tokens[start:end]]

    def sentence_tags(self, sentence: int) -> list[str]:
        """The tags of one sentence, IOBES."""
        start, end = self.offsets[sentence : sentence + 2]
        return [self.tag_names[i] for i in self.tags[start:end]]

    def digest(self) -> str:
        """SHA-256 of tokens, tags and borders: equal for equal data, whatever the file format."""
        state = hashlib.sha256()
        strings = json.dumps([self.lexicon, self.tag_names])
        state.update(strings.encode())
        for array in (self.tokens, self.tags, self.offsets):
            state.update(array.tobytes())
        return state.hexdigest()


def build_corpus(sentences: Iterable[Sentence], scheme: str, repair: bool, source: str) -> Corpus:
    """Index sentences, whose tags are of ``scheme``, into flat arrays.

    With ``repair`` illegal tag sequences are read by conlleval's rules; else they raise.

    Args:
        source: the file, for messages.

    Raises:
        ValueError: a tag is unknown or illegal; the message names file and line.
    """
    lexicon: dict[str, int] = {}
    tag_names: dict[str, int] = {}
    tokens: list[int] = []
    tags: list[int] = []
    lengths: list[int] = []
    documents: list[int] = []
    for sentence in sentences:
        try:
            iobes = to_iobes(sentence.tags, scheme, repair)
        except TagError as error:
            line = sentence.line + sentence.lines_a_token * error.position
            remedy = "set data.scheme to the scheme of the file, or data.repair=true"
            raise ValueError(f"{source}:{line}: {error}; {remedy}") from None
        except ValueError as error:
            raise ValueError(f"{source}:{sentence.line}: in this sentence, {error}") from None
        tokens.extend([lexicon.setdefault(token, len(lexicon)) for token in sentence.tokens])
        tags.extend([tag_names.setdefault(tag, len(tag_names)) for tag in iobes])
        lengths.append(len(sentence.tokens))
        documents.append(sentence.document)
    return Corpus(
        lexicon=list(lexicon),
        tag_names=list(tag_names),
        tokens=np.array(tokens, dtype=np.int32),
        tags=np.array(tags, dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        documents=np.array(documents, dtype=np.int32),
    )
