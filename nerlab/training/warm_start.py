"""A new run begins with the weights of another one, whose corpus and labels may be others.

Tensors of the same name and shape are copied. The rows of words, characters and pieces go by what
they stand for, the tags of the linear layer and of the CRF by their names. All else stays as drawn.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nerlab.data.vocabulary import Vocabulary
from nerlab.models.loading import Checkpoint
from nerlab.models.tagger import Tagger


class Indices(NamedTuple):
    """What the indices of the first ``axes`` axes of a tensor stand for, in the new tagger and in
    the old one; those that stand for nothing (padding, the unknown word) are the same in both."""

    new: Mapping[str, int] = {}
    old: Mapping[str, int] = {}
    axes: int = 0


@torch.no_grad()
def begin_with(before: Checkpoint, tagger: Tagger, vocabulary: Vocabulary) -> list[str]:
    """Copy what fits of the weights of a checkpoint into a tagger on the CPU; returns what the log
    says of it.

    A part of another class, or with a tensor of another shape, stays new as a whole.

    Raises:
        ValueError: no embedder, context or encoder fits.
    """
    lines, copied, of_body = [], 0, 0
    old_parts = _parts(before.tagger)
    for name, part in _parts(tagger).items():
        found: int | str = "there is none"
        if name in old_parts:
            found = _copy_part(name, part, old_parts[name], vocabulary, before.vocabulary)
        size = sum(tensor.numel() for tensor in part.state_dict().values())
        number = found if isinstance(found, int) else 0
        copied += number
        of_body += number if "." in name else 0
        if size:
            new = f"new: {found}" if isinstance(found, str) else f"{number:,} of {size:,} numbers"
            lines.append(f"  {name}: {new}")
    if not of_body:
        raise ValueError(
            f"init={before.run}: nothing in it fits; expected a model with parts of the same "
            f"names, classes and shapes, found{';'.join(lines)}"
        )
    labels, known = set(vocabulary.labels), set(before.vocabulary.labels)
    said = {"labels that it lacks": labels - known, "labels left out": known - labels}
    for what, some in said.items():
        if some:
            lines.append(f"  {what}: {' '.join(sorted(some))}")
    total = sum(tensor.numel() for tensor in tagger.state_dict().values())
    return [f"init: {copied:,} of {total:,} numbers are those of {before.run}", *lines]


def _parts(tagger: Tagger) -> dict[str, nn.Module]:
    parts = dict(tagger.named_modules())
    names = [*(f"embedder.{n}" for n in tagger.embedder), *(f"stages.{n}" for n in tagger.stages)]
    return {name: parts[name] for name in (*names, "linear", "decoder")}


def _copy_part(
    name: str, part: nn.Module, old: nn.Module, vocabulary: Vocabulary, old_vocabulary: Vocabulary
) -> int | str:
    """Copy what fits of a part; returns how many numbers, or why it stays new."""
    if type(part) is not type(old):
        return f"it is a {type(old).__name__} there"
    indices = _indices(name, part, vocabulary, old_vocabulary)
    if indices is None:
        return "what its numbers stand for there is not known"
    tensors, old_tensors = part.state_dict(), old.state_dict()
    shared = [n for n in tensors if n in old_tensors]
    for n in shared:
        axes = indices.get(n, Indices()).axes
        if tensors[n].shape[axes:] != old_tensors[n].shape[axes:]:
            return f"{n} is {tuple(old_tensors[n].shape)} there, {tuple(tensors[n].shape)} here"
    return sum(_copy(tensors[n], old_tensors[n], indices.get(n, Indices())) for n in shared)


def _indices(
    name: str, part: nn.Module, vocabulary: Vocabulary, old_vocabulary: Vocabulary
) -> dict[str, Indices] | None:
    """What the indices of some tensors of a part stand for; None: that is not known."""
    tags, old_tags = ({t: i for i, t in enumerate(v.tags)} for v in (vocabulary, old_vocabulary))
    if name == "linear":
        return {n: Indices(tags, old_tags, 1) for n in part.state_dict()}
    if name == "decoder" and getattr(part, "by_tag", False):
        return {n: Indices(tags, old_tags, x.ndim) for n, x in part.state_dict().items()}
    if name == "decoder":
        return {} if tags == old_tags else None
    section, _, embedder = name.partition(".")
    if section == "stages":
        return {}
    new, old = (v.indexers[embedder] for v in (vocabulary, old_vocabulary))
    if hasattr(part, "named_rows") and type(new) is type(old):
        rows, old_rows = part.named_rows(new), part.named_rows(old)  # type: ignore[operator]
        return {n: Indices(rows[n], old_rows[n], 1) for n in rows}
    return {} if new.files() == old.files() else None


def _copy(tensor: Tensor, old: Tensor, indices: Indices) -> int:
    """Copy what of a tensor is in both; returns how many numbers these are."""
    if not indices.axes:
        tensor.copy_(old)
        return tensor.numel()
    pairs = [(row, indices.old[name]) for name, row in indices.new.items() if name in indices.old]
    named = {*indices.new.values(), *indices.old.values()}
    pairs += ((row, row) for row in range(min(len(tensor), len(old))) if row not in named)
    to, source = (
        torch.meshgrid([rows] * indices.axes, indexing="ij")
        for rows in torch.tensor(pairs).view(-1, 2).T
    )
    tensor[to] = old[source]
    return old[source].numel()
