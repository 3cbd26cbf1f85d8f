"""The work of ``python -m nerlab explain``: which words an entity rests on."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig, ListConfig

from nerlab.config import Range, check_values
from nerlab.device import choose_device
from nerlab.inference.attribution import (
    IntegratedGradients,
    Lime,
    integrated_gradients,
    lime,
    occlusion,
)
from nerlab.inference.masking import MaskedSentence, TaggedSpan
from nerlab.inference.predictor import Entity, Predictor, TaggedSentence, TagSequence
from nerlab.instantiation import trusted_packages
from nerlab.models.loading import load_checkpoint
from nerlab.tags import Span, spans_of, tags_of
from nerlab.text import Token

METHODS = ("lime", "occlusion", "gradients")
_NUMBER = Range(0, 2**31 - 1, int)  # of an entity


class Target(NamedTuple):
    """An entity to explain: where it is in the ``tokens`` of its sentence, and which of those that
    the tagger finds in the text it is; None: it is not found."""

    tokens: list[Token]
    span: TaggedSpan
    number: int | None


@dataclass(frozen=True)
class Explanation:
    """What the words of a sentence do to log p of an entity in it, in nats.

    Attributes:
        text: it holds the sentence.
        entities: those that the tagger finds in the text.
        target: what is explained.
        log_probability: of the entity.
        masked: the same where every word of the sentence is masked.
        lime, occlusion, gradients: of each word; None where the method was not asked for.
        sequences: the best tag sequences of the sentence, the best first.
    """

    text: str
    entities: list[Entity]
    target: Target
    log_probability: float
    masked: float
    lime: Lime | None
    occlusion: np.ndarray | None
    gradients: IntegratedGradients | None
    sequences: list[TagSequence]

    @property
    def entity(self) -> Entity:
        """What is explained, in characters of the text."""
        tokens, span, _ = self.target
        start, end = tokens[span.start].start, tokens[span.end - 1].end
        probability = min(1.0, math.exp(self.log_probability))
        return Entity(self.text[start:end], span.label, start, end, probability)

    @property
    def values(self) -> dict[str, list[float]]:
        """The value of each word ``(T,)``, by method."""
        found = {
            "lime": None if self.lime is None else self.lime.values,
            "occlusion": self.occlusion,
            "gradients": None if self.gradients is None else self.gradients.values,
        }
        return {name: values.tolist() for name, values in found.items() if values is not None}


def explain_entity(config: DictConfig) -> Explanation:
    """Explain the entity that ``config`` names, see ``conf/explain.yaml``.

    ``ValueError``: a key has no such value, the text no such entity, or the checkpoint is broken.
    """
    check_values("", config)
    if not _NUMBER.holds(config.entity):
        raise ValueError(f"entity={config.entity!r}: expected {_NUMBER}")
    methods = _methods(config.method)
    trusted = trusted_packages(config.trust)
    checkpoint = load_checkpoint(config.checkpoint, choose_device(config.device), trusted)
    checkpoint.tagger.autocast_dtype = torch.float32  # differences of bfloat16 are rough
    ((text, tagged),) = Predictor([checkpoint]).stream([config.text])
    found = _found(tagged)
    if config.span is not None:
        target = _named(text, config, checkpoint.vocabulary.labels, tagged, found)
    else:
        target = _numbered(config.entity, found)
    words = len(target.tokens)
    f = MaskedSentence(checkpoint, [token.text for token in target.tokens], target.span)
    log_probability, masked = f.values(np.stack([np.ones(words), np.zeros(words)])).tolist()
    return Explanation(
        text=text,
        entities=[entity for sentence in tagged for entity in sentence.entities],
        target=target,
        log_probability=log_probability,
        masked=masked,
        lime=_lime(f, words, config) if "lime" in methods else None,
        occlusion=occlusion(f, words) if "occlusion" in methods else None,
        gradients=integrated_gradients(f, words, config.steps) if "gradients" in methods else None,
        sequences=f.best_sequences(config.sequences),
    )


def _methods(chosen: object) -> Sequence[str]:
    if chosen == "all":
        return METHODS
    names = list(map(str, chosen)) if isinstance(chosen, ListConfig) else [str(chosen)]
    for name in names:
        if name not in METHODS:
            raise ValueError(f"method={name}: expected all, or some of {', '.join(METHODS)}")
    return names


def _lime(f: MaskedSentence, words: int, config: DictConfig) -> Lime:
    generator = np.random.default_rng(config.seed)
    return lime(f, words, config.samples, config.kernel_width, config.ridge, generator)


def _found(tagged: list[TaggedSentence]) -> list[Target]:
    """The entities that the tagger has found, as their tags have it."""
    found: list[Target] = []
    for sentence in tagged:
        for span in spans_of(sentence.tags):
            tags = sentence.tags[span.start : span.end]
            found.append(Target(sentence.tokens, TaggedSpan(*span, tags), len(found)))
    return found


def _numbered(number: int, found: list[Target]) -> Target:
    if not found:
        advice = "span=WORDS label=TYPE explains one that it does not find"
        raise ValueError(f"text: the tagger finds no entity in it; {advice}")
    if number >= len(found):
        up_to = f"expected 0 to {len(found) - 1}"
        raise ValueError(f"entity={number}: {up_to}, one of the {len(found)} that are found")
    return found[number]


def _named(
    text: str,
    config: DictConfig,
    labels: Sequence[str],
    tagged: list[TaggedSentence],
    found: list[Target],
) -> Target:
    """The first stretch of whole words of a sentence that ``config.span`` names."""
    words, label = str(config.span).strip(), config.label
    if label not in labels:
        raise ValueError(f"label={label}: expected the type of span=, one of {', '.join(labels)}")
    for start in (match.start() for match in re.finditer(re.escape(words or "\0"), text)):
        for tokens in (sentence.tokens for sentence in tagged):
            starts = {token.start: i for i, token in enumerate(tokens)}
            ends = {token.end: i for i, token in enumerate(tokens, start=1)}
            if start in starts and start + len(words) in ends:
                span = Span(starts[start], ends[start + len(words)], label)
                tags = tags_of([span], len(tokens))[span.start : span.end]
                itself = (t for t in found if t.tokens is tokens and t.span[:3] == span)
                return next(itself, Target(tokens, TaggedSpan(*span, tags), None))
    raise ValueError(f"span={words}: expected whole words of one sentence of the text")
