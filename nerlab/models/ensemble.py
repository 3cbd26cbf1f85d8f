"""Several taggers that know the same labels, as one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.documents import DocumentBatcher
from nerlab.messages import escape_controls
from nerlab.models.decoded import Decoder, Details, ScoredTags, TagsWithProbabilities
from nerlab.models.decoding import CorpusDecoder
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.models.tagger import Tagger
from nerlab.modules.linear_chain import LinearChain
from nerlab.tags import Span, iobes_constraints


class MixedTags(NamedTuple):
    """Predicted tag ids ``(N,)``, and the same with the probabilities that each member gives them;
    see :class:`EnsembleDecoder`."""

    tags: np.ndarray
    members: Sequence[ScoredTags]

    def probabilities(self, tokens: slice, spans: Sequence[Span]) -> list[float]:
        """Those of the predicted spans of a sentence, whose ``tokens`` these are of the corpus."""
        found = [member.probabilities(tokens, spans) for member in self.members]
        return [sum(values) / len(values) for values in zip(*found, strict=True)]


class EnsembleDecoder:
    """Decodes a corpus with M taggers; what it is asked for is that of :class:`CorpusDecoder`.

    The ensemble is the mixture of its members, ``p(y) = 1/M Σ_m p_m(y)``. So the probability of a
    tag at a token is the mean of those that the members give it, and likewise that of a span with
    its label, whose score this is:

        q_t(k) = p(y_t = k) = 1/M Σ_m p_m(y_t = k),    p(span) = 1/M Σ_m p_m(span).

    Its tags are those of which most are expected to be right, among the sequences that IOBES
    allows: optimal accuracy decoding (Käll, Krogh and Sonnhammer 2005), a Viterbi search for

        argmax_y Σ_t q_t(y_t).

    All members look at the whole corpus before it begins. What they found is kept, for N tokens
    and K tags ``(M + 2) N K`` numbers.

    Args:
        taggers: the members, in evaluation mode.
        batchers: the corpus as each of them sees it.
        tags: the names of the K tags, in the order of each of them.
        batch_tokens: positions of a batch, padding counted.
    """

    def __init__(
        self,
        taggers: Sequence[Tagger],
        batchers: Sequence[Batcher],
        tags: Sequence[Sequence[str]],
        batch_tokens: int,
    ) -> None:
        self._taggers, self._batchers, self._batch_tokens = taggers, batchers, batch_tokens
        # Where the tags of the first member (K,) are among those of each.
        self._orders = [np.array([names.index(tag) for tag in tags[0]]) for names in tags]
        self._constraints = [
            torch.zeros(allowed.shape).masked_fill(~torch.from_numpy(allowed), -torch.inf)
            for allowed in iobes_constraints(tags[0])
        ]

    def tags(self) -> np.ndarray:
        """The predicted tag id ``(N,)`` of every token, as the first member numbers the tags."""
        return self._decode(self._look()[1])

    def marginals(self) -> np.ndarray:
        """``q_t(k)`` ``(N, K)``, the tags in the order of the first member."""
        return self._look()[1]

    def scored_tags(self) -> TagsWithProbabilities:
        """The tags with their probabilities."""
        return self.details(with_marginals=False, sequences=0).scored

    @torch.inference_mode()
    def details(self, with_marginals: bool, sequences: int) -> Details:
        """The same with the marginals. ``ValueError`` for ``sequences``: of a mixture the best ones
        are not to be found by a search along the sentence."""
        if sequences:
            raise ValueError("sequences: expected one tagger, found an ensemble, which has none")
        emissions, marginals = self._look()
        tags = self._decode(marginals)
        members = [
            ScoredTags(order[tags], np.zeros(len(tags)), np.zeros(len(tags)))
            for order in self._orders
        ]
        for positions, mask, lengths in self._groups():
            for tagger, own, scored in zip(self._taggers, emissions, members, strict=True):
                parts = (
                    _padded(own, positions, mask),
                    lengths,
                    _padded(scored.tags, positions, mask),
                )
                device = next(tagger.parameters()).device
                found = tagger.decoder.path_log_probabilities(*(part.to(device) for part in parts))
                for flat, values in zip(scored[1:], found, strict=True):
                    flat[positions[mask]] = values.cpu().numpy()[mask]
        return Details(MixedTags(tags, members), marginals if with_marginals else None, None)

    def _look(self) -> tuple[list[np.ndarray], np.ndarray]:
        """The emissions of each member, ``(N, K)`` with its own order of tags, and ``q (N, K)``."""
        size = len(self._batchers[0].corpus.tokens), len(self._orders[0])
        emissions, mean = [], np.zeros(size)
        for tagger, batcher, order in zip(self._taggers, self._batchers, self._orders, strict=True):
            own, marginals = np.zeros(size, np.float32), np.zeros(size, np.float32)

            def look(
                scores: Tensor, lengths: Tensor, tagger: Tagger = tagger
            ) -> tuple[Tensor, ...]:
                return scores.float(), tagger.decoder.marginals(scores, lengths)

            CorpusDecoder(tagger, batcher, self._batch_tokens).fill((own, marginals), look)
            emissions.append(own)
            mean += marginals[:, order] / len(self._taggers)
        return emissions, mean

    def _decode(self, marginals: np.ndarray) -> np.ndarray:
        tags = np.zeros(len(marginals), dtype=np.int64)
        start, transitions, end = self._constraints
        for positions, mask, lengths in self._groups():
            scores = _padded(marginals, positions, mask)
            best = LinearChain(scores, transitions, start, end, lengths).argmax
            tags[positions[mask]] = best.numpy()[mask]
        return tags

    def _groups(self) -> Iterator[tuple[np.ndarray, np.ndarray, Tensor]]:
        """Where the tokens of the sentences of a batch lie in the corpus and which of these places
        are theirs, not padding, both ``(B, T)``, and the lengths ``(B,)``."""
        batcher = self._batchers[0]
        for sentences in batcher.sorted_groups(self._batch_tokens):
            lengths = torch.from_numpy(batcher.corpus.lengths[sentences])
            yield *batcher.positions(sentences), lengths


def _padded(flat: np.ndarray, positions: np.ndarray, mask: np.ndarray) -> Tensor:
    """``(B, T, ...)`` of the values ``(N, ...)`` of a corpus, 0 where there is none."""
    padded = np.zeros((*mask.shape, *flat.shape[1:]), flat.dtype)
    padded[mask] = flat[positions[mask]]
    return torch.from_numpy(padded)


def decoder_of(
    checkpoints: Sequence[Checkpoint], corpus: Corpus, batch_tokens: int, by_document: bool = True
) -> Decoder:
    """What decodes a corpus with one checkpoint, or with several as an ensemble.

    Tags have the order of the first checkpoint. Models that look at documents are given whole ones,
    unless ``by_document`` is false.
    """
    taggers = [checkpoint.tagger for checkpoint in checkpoints]
    batchers = [
        (DocumentBatcher if by_document and checkpoint.by_document else Batcher)(
            corpus, checkpoint.vocabulary, with_tags=False
        )
        for checkpoint in checkpoints
    ]
    if len(taggers) == 1:
        return CorpusDecoder(taggers[0], batchers[0], batch_tokens)
    tags = [checkpoint.vocabulary.tags for checkpoint in checkpoints]
    return EnsembleDecoder(taggers, batchers, tags, batch_tokens)


def load_checkpoints(
    path: str | Path | Sequence[str | Path], device: torch.device, trusted: tuple[str, ...] = ()
) -> list[Checkpoint]:
    """A single tagger, or of a list of folders the members of an ensemble; see
    :func:`load_checkpoint`.

    Raises:
        ValueError: there is none, one cannot be loaded, or two know different labels.
    """
    paths = [path] if isinstance(path, str | Path) else path
    if not paths:
        raise ValueError("checkpoint=[]: expected at least one run directory or checkpoint folder")
    found = [load_checkpoint(path, device, trusted) for path in paths]
    for checkpoint in found[1:]:
        labels = [c.vocabulary.labels for c in (found[0], checkpoint)]
        if set(labels[0]) != set(labels[1]):
            known = [" ".join(map(escape_controls, sorted(names))) or "none" for names in labels]
            raise ValueError(
                f"{checkpoint.run}: expected the labels {known[0]}, as {found[0].run} has them, "
                f"found {known[1]}; the members of an ensemble must know the same"
            )
    return found
