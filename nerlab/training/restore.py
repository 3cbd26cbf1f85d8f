"""A training goes on from a saved state, which somebody else may have written.

An optimiser writes through the shapes that it is given and does not look. So everything is checked,
and then copied into the tensors that are there. What is wrong is a ``ValueError`` that names it.
"""

import reprlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nerlab.config import Range
from nerlab.models.checkpoint import State
from nerlab.training.recorder import PROGRESS, TrainingState

COUNT = Range(0, 2**53, kind=int)  # whole numbers beyond it have no float
_AMOUNT = Range(0, torch.finfo(torch.float32).max)
_F1 = Range(-1, 1)  # -1 before any was measured


def restore(state: TrainingState, saved: State) -> None:
    """Go on from a :meth:`TrainingState.snapshot`, bit for bit.

    The model has the weights of the checkpoint already.

    Raises:
        ValueError: something in it is missing, unknown, or makes no sense.
    """
    tensors, values = saved
    own = state.snapshot().tensors
    if unknown := tensors.keys() - own.keys():
        raise ValueError(f"{min(unknown)}: unknown")
    for name, tensor in own.items():
        _check_like(tensors, name, tensor)
        if name.endswith(".step") or name == "steps_averaged":
            kind = _AMOUNT if tensor.is_floating_point() else COUNT
            number({name: tensors[name].item()}, name, kind)
        tensor.copy_(tensors[name])
    progress = _section(values, "progress")
    for name in PROGRESS:
        setattr(state, name, number(progress, name, _F1 if name == "best_f1" else COUNT))
    state.accumulator.tokens = number(progress, "tokens", COUNT)
    scaler, found = state.optimizer.scaler, _section(values, "scaler")
    kinds = {n: COUNT if isinstance(v, int) else _AMOUNT for n, v in scaler.state_dict().items()}
    scaler.load_state_dict({name: number(found, name, kind) for name, kind in kinds.items()})
    _restore_rng(tensors, state.optimizer.device)


def _restore_rng(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    name = "rng_state.cpu"
    try:  # torch looks at the numbers in them
        torch.set_rng_state(tensors[name])
        if device.type == "cuda":
            name = "rng_state.cuda"
            torch.cuda.set_rng_state(tensors[name], device)
    except RuntimeError as error:
        raise ValueError(f"{name}: {str(error).splitlines()[0]}") from None


def _check_like(tensors: Mapping[str, Tensor], name: str, own: Tensor) -> None:
    """Check that there is a tensor of this name, with the shape and the type of another."""
    if (found := tensors.get(name)) is None:
        raise ValueError(f"{name}: missing")
    if (found.shape, found.dtype) != (own.shape, own.dtype):
        raise ValueError(
            f"{name}: expected {own.dtype} of shape {tuple(own.shape)}, found {found.dtype} "
            f"of shape {tuple(found.shape)}"
        )


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"{name}: expected an object, found {reprlib.repr(found)}")
    return found


def number(values: Mapping[str, Any], name: str, allowed: Range) -> Any:
    """The number of this name, if it is one of those that are ``allowed``."""
    found = values.get(name)
    if not allowed.holds(found):
        raise ValueError(f"{name}: expected {allowed}, found {reprlib.repr(found)}")
    return allowed.kind(found)  # type: ignore[arg-type]
