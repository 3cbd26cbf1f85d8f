"""One small batch through a tagger: the shapes of the outputs, and whose is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from nerlab.data.batch import Batch, Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Vocabulary
from nerlab.memory import is_out_of_memory
from nerlab.models.tagger import Tagger

Shape = tuple[int, ...]
_LENGTHS = (9, 6, 4)  # so B, T and U differ, and there is padding


def example_batch(vocabulary: Vocabulary, lengths: Sequence[int] = _LENGTHS) -> Batch:
    """Sentences of these lengths, whose tokens are all different, in documents of two."""
    words = ("Angela", "flew", "to", "Baden-Baden", "Əliyeva", ".")
    tokens = [
        [f"{words[i % len(words)]}{i or ''}{'.' * number}" for i in range(length)]
        for number, length in enumerate(lengths)
    ]
    sentences = (Sentence(row, ["O"] * len(row), number // 2) for number, row in enumerate(tokens))
    corpus = build_corpus(sentences, scheme="iobes", repair=False, source="example")
    return Batcher(corpus, vocabulary, with_tags=False).collate(np.arange(len(lengths)))


def trace(tagger: Tagger, batch: Batch, keys: Mapping[str, str]) -> dict[str, Shape]:
    """The shape of the output of each module that a batch goes through, by its name in the tagger.

    Nothing is left behind: there is no dropout, no gradient, and random numbers go on as they would
    without it.

    Args:
        tagger: in training mode or not.
        batch: on the device of the tagger; no tags are needed.
        keys: those of the configuration, by the names of the parts: ``part_keys`` of
            :mod:`nerlab.models.build`.

    Raises:
        ValueError: a part fails, or returns what its contract does not say; it is named.
    """
    shapes: dict[str, Shape] = {}
    contracts = _contracts(tagger, batch)
    at_work = [""]  # the parts that the batch is in

    def enter(name: str) -> None:
        if name in contracts:
            at_work.append(name)

    def leave(name: str, output: object) -> None:
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            shapes[name] = tuple(first.shape)
        if name in contracts:
            at_work.pop()
            _check(f"{keys[name]}: what forward returns", output, *contracts[name])

    with ExitStack() as stack:
        device = batch.lengths.device
        stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        stack.enter_context(_in_evaluation(tagger))
        stack.enter_context(torch.no_grad())  # what a part keeps may be used in training
        for name, module in tagger.named_modules():
            first = module.register_forward_pre_hook(lambda *_, name=name: enter(name))
            last = module.register_forward_hook(lambda *a, name=name: leave(name, a[-1]))
            stack.callback(first.remove)
            stack.callback(last.remove)
        try:
            emissions = tagger.emissions(batch)
            at_work.append("decoder")
            outputs = _decoded(tagger, emissions, batch.lengths)
        except Exception as error:  # a part of one's own may raise anything
            if not at_work[-1] or is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            size = f"{len(batch.lengths)} sentences of up to {batch.token_index.shape[1]} tokens"
            raise ValueError(f"{keys[at_work[-1]]}: fails on {size}: {reason}") from error
    _check_decoder(keys["decoder"], outputs, emissions.shape)
    return shapes | {"decoder": tuple(outputs["decode"].shape)}


def _contracts(tagger: Tagger, batch: Batch) -> dict[str, tuple[str, Shape]]:
    """What embedders and stages return, by their names: axes and sizes."""
    (B, T), (U,) = batch.token_index.shape, batch.distinct.shape
    contracts = {}
    for name, part in tagger.embedder.items():
        contextual = getattr(part, "contextual", False)
        axes, sizes = ("(B, T, output_dim)", (B, T)) if contextual else ("(U, output_dim)", (U,))
        contracts[f"embedder.{name}"] = (axes, (*sizes, int(part.output_dim)))  # type: ignore
    for name, part in tagger.stages.items():
        contracts[f"stages.{name}"] = ("(B, T, output_dim)", (B, T, int(part.output_dim)))  # type: ignore
    return contracts


def _decoded(tagger: Tagger, emissions: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """What each method of the decoder returns."""
    decoder = tagger.decoder
    tags = torch.zeros(emissions.shape[:2], dtype=torch.long, device=lengths.device)  # all O
    log_p, conditional = decoder.path_log_probabilities(emissions, lengths, tags)
    return {
        "loss": decoder.loss(emissions, lengths, tags),
        "nll": decoder.nll(emissions, lengths, tags),
        "decode": decoder.decode(emissions, lengths),
        "marginals": decoder.marginals(emissions, lengths),
        "path_log_probabilities": log_p,
        "path_log_probabilities, the second,": conditional,
    }


def _check_decoder(key: str, outputs: Mapping[str, Tensor], shape: torch.Size) -> None:
    B, T, K = shape
    axes = {"loss": ("()", ()), "nll": ("(B,)", (B,)), "marginals": ("(B, T, K)", (B, T, K))}
    for name, output in outputs.items():
        _check(f"{key}: what {name} returns", output, *axes.get(name, ("(B, T)", (B, T))))


def _check(what: str, output: object, axes: str, shape: Shape) -> None:
    if not isinstance(output, Tensor):
        raise ValueError(f"{what}: expected a tensor {axes}, found a {type(output).__name__}")
    found = tuple(output.shape)
    if found != shape:
        advice = ""
        if axes.endswith("output_dim)") and found[:-1] == shape[:-1]:
            advice = f"; self.output_dim is {shape[-1]}, set it to {found[-1]}"
        raise ValueError(f"{what}: expected {axes} = {shape}, found {found}{advice}")


@contextmanager
def _in_evaluation(tagger: nn.Module) -> Iterator[None]:
    """Evaluation mode within the block; afterwards each module has the mode that it had."""
    modes = [(module, module.training) for module in tagger.modules()]
    tagger.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
