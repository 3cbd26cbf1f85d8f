"""Checks of the state of a training, which somebody else may have written, before it is used.

An optimiser writes through the shapes that it is given and does not look; so they are looked at
here. What may be wrong is a ``ValueError`` that names the value.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

_MOST = 2**53  # whole numbers beyond it have no float
_NUMPYS_GENERATOR = "PCG64"


class Expected(NamedTuple):
    """The shape and the type that a tensor of the state must have."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def like(cls, tensor: Tensor) -> "Expected":
        """Those of a tensor."""
        return cls(tuple(tensor.shape), tensor.dtype)


def check_tensor(name: str, found: Tensor | None, expected: Expected) -> Tensor:
    """The tensor, if it is there, of this shape and this type; else a ``ValueError``."""
    if found is None:
        raise ValueError(f"{name}: missing")
    if (tuple(found.shape), found.dtype) != (expected.shape, expected.dtype):
        raise ValueError(
            f"{name}: expected {expected.dtype} of shape {expected.shape}, found {found.dtype} of "
            f"shape {tuple(found.shape)}"
        )
    return found


def section(values: object, name: str) -> Mapping[str, Any]:
    """The section of this name."""
    found = values.get(name) if isinstance(values, Mapping) else None
    if not isinstance(found, Mapping):
        raise ValueError(f"{name}: expected an object, found {_shown(found)}")
    return found


def whole(values: Mapping[str, Any], name: str, most: int = _MOST) -> int:
    """The whole number of this name, 0 to ``most``."""
    found = values.get(name)
    if type(found) is not int or not 0 <= found <= most:
        raise ValueError(f"{name}: expected a whole number from 0 to {most}, found {_shown(found)}")
    return found


def number(values: Mapping[str, Any], name: str, least: float, most: float) -> float:
    """The number of this name, ``least`` to ``most``."""
    found = values.get(name)
    is_number = isinstance(found, float) or (type(found) is int and abs(found) <= _MOST)
    if not is_number or not least <= values[name] <= most:
        raise ValueError(f"{name}: expected a number from {least} to {most}, found {_shown(found)}")
    return float(values[name])


def generator_state(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The state of a numpy generator of this name."""
    found = section(values, name)
    if found.get("bit_generator") != _NUMPYS_GENERATOR:
        kind = _shown(found.get("bit_generator"))
        raise ValueError(f"{name}.bit_generator: expected {_NUMPYS_GENERATOR}, found {kind}")
    inner = section(found, "state")
    state = {key: whole(inner, key, 2**128 - 1) for key in ("state", "inc")}
    rest = {"has_uint32": whole(found, "has_uint32", 1)}
    rest["uinteger"] = whole(found, "uinteger", 2**32 - 1)
    return {"bit_generator": _NUMPYS_GENERATOR, "state": state, **rest}


def _shown(value: object) -> str:
    """A value for a message; what holds others, or a number of many digits, by its type."""
    if isinstance(value, int) and not -_MOST <= value <= _MOST:
        return "a number that is out of range"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
