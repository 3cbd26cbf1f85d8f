"""A training goes on from a saved state, which somebody else may have written.

An optimiser writes through the shapes that it is given and does not look; so everything is checked
before it is used. What is wrong is a ``ValueError`` that names the value.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nerlab.models.checkpoint import State
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.run_directory import PROGRESS, TrainingState

_MOST = 2**53  # whole numbers beyond it have no float
_LARGEST = torch.finfo(torch.float32).max


def restore(state: TrainingState, saved: State) -> None:
    """Go on from a :meth:`TrainingState.snapshot`, bit for bit.

    The tagger has the weights of the checkpoint already.

    Raises:
        ValueError: something in it is missing, unknown, or makes no sense.
    """
    tensors, values = saved
    progress = section(values, "progress")
    for name in PROGRESS:
        value = number(progress, name, -1, 1) if name == "best_f1" else whole(progress, name)
        setattr(state, name, value)
    state.accumulator.tokens = whole(progress, "tokens")
    state.accumulator.sums = _like(tensors, "accumulator", state.accumulator.sums)
    _check_scaler(state.optimizer, section(values, "scaler"))
    state.optimizer.scaler.load_state_dict(dict(section(values, "scaler")))
    _restore_moments(state.optimizer, tensors)
    if state.average is not None:
        own = state.tagger.state_dict()
        own = {name: _like(tensors, f"weights.{name}", weight) for name, weight in own.items()}
        steps = _like(tensors, "steps_averaged", state.average.n_averaged)
        state.average.module.load_state_dict(state.tagger.state_dict())
        state.average.n_averaged.fill_(whole({"steps_averaged": steps.item()}, "steps_averaged"))
        state.tagger.load_state_dict(own)
    _check_names(state, saved)
    _restore_rng(tensors, state.optimizer.device)


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


def _restore_moments(optimizer: TaggerOptimizer, tensors: Mapping[str, Tensor]) -> None:
    for owner, method in enumerate(optimizer.optimizers):
        moments: dict[int, dict[str, Tensor]] = {}
        parameters = [p for group in method.param_groups for p in group["params"]]
        for index, parameter in enumerate(parameters):
            prefix = f"optimizer.{owner}.{index}."
            # Without a gradient so far, Adam has nothing to remember.
            if isinstance(method, torch.optim.SGD) or any(
                key.startswith(prefix) for key in tensors
            ):
                found = {
                    name: _like(tensors, prefix + name, _moment(name, parameter))
                    for name in _moment_names(method)
                }
                if "step" in found:
                    number({"step": found["step"].item()}, "step", 0, _LARGEST, prefix)
                moments[index] = found
        groups = method.state_dict()["param_groups"]
        method.load_state_dict({"state": moments, "param_groups": groups})


def _moment_names(method: torch.optim.Optimizer) -> tuple[str, ...]:
    """What an optimiser remembers of a parameter."""
    if isinstance(method, torch.optim.SGD):
        return ("momentum_buffer",) if method.defaults["momentum"] else ()
    return ("step", "exp_avg", "exp_avg_sq")


def _moment(name: str, parameter: Tensor) -> Tensor:
    return torch.zeros(()) if name == "step" else parameter


def _check_scaler(optimizer: TaggerOptimizer, scaler: Mapping[str, Any]) -> None:
    for name, fresh in optimizer.scaler.state_dict().items():
        whole(scaler, name) if isinstance(fresh, int) else number(scaler, name, 0, _LARGEST)


def _check_names(state: TrainingState, saved: State) -> None:
    """Raise ``ValueError`` at a name that the training does not have itself, now restored."""
    known = state.snapshot().tensors
    for name in saved.tensors:
        if name not in known:
            raise ValueError(f"{name}: unknown")


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


def section(values: object, name: str) -> Mapping[str, Any]:
    """The section of this name."""
    found = values.get(name) if isinstance(values, Mapping) else None
    if not isinstance(found, Mapping):
        raise ValueError(f"{name}: expected an object, found {_shown(found)}")
    return found


def whole(values: Mapping[str, Any], name: str) -> int:
    """The whole number of this name, at least 0."""
    found = values.get(name)
    if type(found) is not int or not 0 <= found <= _MOST:
        raise ValueError(
            f"{name}: expected a whole number from 0 to {_MOST}, found {_shown(found)}"
        )
    return found


def number(
    values: Mapping[str, Any], name: str, least: float, most: float, prefix: str = ""
) -> float:
    """The number of this name, ``least`` to ``most``."""
    found = values.get(name)
    is_number = isinstance(found, float) or (type(found) is int and abs(found) <= _MOST)
    if not is_number or not least <= values[name] <= most:
        raise ValueError(
            f"{prefix}{name}: expected a number from {least} to {most}, found {_shown(found)}"
        )
    return float(values[name])


def _shown(value: object) -> str:
    """A value for a message; what holds others, or a number of many digits, by its type."""
    if isinstance(value, int) and not -_MOST <= value <= _MOST:
        return "a number that is out of range"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
