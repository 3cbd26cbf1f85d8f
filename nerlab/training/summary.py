"""What a model is made of: modules, the shapes of their outputs, parameters, memory."""

from collections.abc import Iterable
from typing import NamedTuple

from omegaconf import DictConfig
from rich.filesize import decimal
from torch import Tensor

from nerlab.data.batch import Batch
from nerlab.data.vocabulary import Vocabulary
from nerlab.messages import counted
from nerlab.models.build import part_keys
from nerlab.models.forward import Shape, example_batch, trace
from nerlab.models.tagger import Tagger
from nerlab.training.recorder import TrainingState

_MOST_PARTS = 6  # that the log has a line of


class Module(NamedTuple):
    """A module, with all that is within it.

    Attributes:
        name: in the tagger, as in ``model.safetensors``.
        kind: its class.
        shape: of its output, B, T and U being those of a batch; empty if it has none.
        parameters: numbers that are learned, or were.
        trainable: those of them that are learned now.
        size: bytes of parameters and buffers.
        is_part: whether a section of the configuration makes it, or it is the linear layer: the
            parts have all parameters of a tagger.
    """

    name: str
    kind: str
    shape: str
    parameters: int
    trainable: int
    size: int
    is_part: bool


def modules_of(tagger: Tagger, vocabulary: Vocabulary, model: DictConfig) -> list[Module]:
    """The modules of a tagger that have parameters, and its parts.

    An example goes through it, so a part whose output has the wrong shape is a ``ValueError`` that
    names it; see :func:`nerlab.models.forward.trace`.
    """
    batch = example_batch(vocabulary).to(tagger.linear.weight.device)
    keys, found = part_keys(model), []
    shapes = trace(tagger, batch, keys)
    for name, module in tagger.named_modules():
        parameters, is_part = list(module.parameters()), name in keys or name == "linear"
        # Others are lists of what is called.
        is_used = name in shapes or any(True for _ in module.parameters(recurse=False))
        if name and (is_part or (parameters and is_used)):
            shape = with_letters(shapes[name], batch) if name in shapes else ""
            count = sum(p.numel() for p in parameters)
            trainable = sum(p.numel() for p in parameters if p.requires_grad)
            size = _bytes([*parameters, *module.buffers()])
            kind = type(module).__name__
            found.append(Module(name, kind, shape, count, trainable, size, is_part))
    return found


def with_letters(shape: Shape, batch: Batch) -> str:
    """A shape as it is written: ``(B, T, 200)`` for ``(3, 9, 200)``."""
    (B, T), (U,) = batch.token_index.shape, batch.distinct.shape
    axes = list(map(str, shape))
    if shape[:2] == (B, T):
        axes[:2] = ["B", "T"]
    elif shape[:1] in ((B,), (U,)):
        axes[0] = "B" if shape[0] == B else "U"
    return f"({', '.join(axes)})"


def log_lines(state: TrainingState, modules: Iterable[Module]) -> list[str]:
    """What the log says of a model: parameters, the memory that it takes beside a batch, parts."""
    parts = [module for module in modules if module.is_part]
    count, trainable = sum(p.parameters for p in parts), sum(p.trainable for p in parts)
    frozen = f", {count - trainable:,} of them frozen" if trainable < count else ""
    lines = [f"{counted(count, 'parameter')}{frozen}; memory: {memory(state)}"]
    shown = parts if len(parts) <= _MOST_PARTS else parts[: _MOST_PARTS - 1]
    lines += (
        f"  {p.name}: {p.kind} {p.shape}, {counted(p.parameters, 'parameter')}" for p in shown
    )
    if rest := parts[len(shown) :]:
        number = counted(sum(p.parameters for p in rest), "parameter")
        lines.append(f"  {len(rest)} more parts, {number}: python -m nerlab summary lists them")
    return lines


def memory(state: TrainingState) -> str:
    """What training takes beside what it makes of a batch."""
    tagger = state.tagger
    weights = _bytes([*tagger.parameters(), *tagger.buffers()])
    sizes = {
        "weights": weights,
        "gradients": _bytes(p for p in tagger.parameters() if p.requires_grad),
        "optimiser": _bytes(state.optimizer.moments().values()),
        "average": weights if state.average is not None else 0,
    }
    return ", ".join(f"{name} {decimal(size)}" for name, size in sizes.items() if size)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
