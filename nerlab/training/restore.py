"""A training goes on from a saved state, which somebody else may have written.

An optimiser writes through the shapes that it is given and does not look; so everything is checked
before it is used. What is wrong is a ``ValueError`` that names the value.
"""

import reprlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nerlab.config import Range
from nerlab.models.checkpoint import State
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.run_directory import PROGRESS, TrainingState

COUNT = Range(0, 2**53, kind=int)  # whole numbers beyond it have no float
_AMOUNT = Range(0, torch.finfo(torch.float32).max)
_F1 = Range(-1, 1)  # -1 before any was measured


def restore(state: TrainingState, saved: State) -> None:
    """Go on from a :meth:`TrainingState.snapshot`, bit for bit.

    The tagger has the weights of the checkpoint already.

    Raises:
        ValueError: something in it is missing, unknown, or makes no sense.
    """
    tensors, values = saved
    progress = _section(values, "progress")
    for name in PROGRESS:
        setattr(state, name, number(progress, name, _F1 if name == "best_f1" else COUNT))
    state.accumulator.tokens = number(progress, "tokens", COUNT)
    state.accumulator.sums = _like(tensors, "accumulator", state.accumulator.sums)
    scaler, found = state.optimizer.scaler, _section(values, "scaler")
    kinds = {n: COUNT if isinstance(v, int) else _AMOUNT for n, v in scaler.state_dict().items()}
    scaler.load_state_dict({name: number(found, name, kind) for name, kind in kinds.items()})
    _restore_moments(state.optimizer, tensors)
    if state.average is not None:
        own = state.tagger.state_dict()
        own = {name: _like(tensors, f"weights.{name}", weight) for name, weight in own.items()}
        steps = _like(tensors, "steps_averaged", state.average.n_averaged)
        number({"steps_averaged": steps.item()}, "steps_averaged", COUNT)
        state.average.module.load_state_dict(state.tagger.state_dict())
        state.average.n_averaged.copy_(steps)
        state.tagger.load_state_dict(own)
    if unknown := tensors.keys() - state.snapshot().tensors.keys():
        raise ValueError(f"{min(unknown)}: unknown")
    _restore_rng(tensors, state.optimizer.device)


def _restore_moments(optimizer: TaggerOptimizer, tensors: Mapping[str, Tensor]) -> None:
    for owner, method in enumerate(optimizer.optimizers):
        moments: dict[int, dict[str, Tensor]] = {}
        parameters = [p for group in method.param_groups for p in group["params"]]
        for index, parameter in enumerate(parameters):
            prefix = f"optimizer.{owner}.{index}."
            fresh = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
            if isinstance(method, torch.optim.SGD):
                fresh = {"momentum_buffer": parameter} if method.defaults["momentum"] else {}
            elif not any(name.startswith(prefix) for name in tensors):
                continue  # without a gradient so far, Adam has nothing to remember
            found = {name: _like(tensors, prefix + name, own) for name, own in fresh.items()}
            if "step" in found:
                number({f"{prefix}step": found["step"].item()}, f"{prefix}step", _AMOUNT)
            moments[index] = found
        groups = method.state_dict()["param_groups"]
        method.load_state_dict({"state": moments, "param_groups": groups})


def _restore_rng(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    name = "rng_state.cpu"
    try:  # torch looks at the numbers in them
        torch.set_rng_state(_like(tensors, name, torch.get_rng_state()))
        if device.type == "cuda":
            name = "rng_state.cuda"
            fresh = torch.cuda.get_rng_state(device)
            torch.cuda.set_rng_state(_like(tensors, name, fresh), device)
    except RuntimeError as error:
        raise ValueError(f"{name}: {str(error).splitlines()[0]}") from None


def _like(tensors: Mapping[str, Tensor], name: str, fresh: Tensor) -> Tensor:
    """The tensor of this name on the device of another, if it has its shape and its type."""
    if (found := tensors.get(name)) is None:
        raise ValueError(f"{name}: missing")
    if (found.shape, found.dtype) != (fresh.shape, fresh.dtype):
        raise ValueError(
            f"{name}: expected {fresh.dtype} of shape {tuple(fresh.shape)}, found {found.dtype} "
            f"of shape {tuple(found.shape)}"
        )
    return found.to(fresh.device)


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
