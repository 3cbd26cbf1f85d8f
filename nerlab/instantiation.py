"""The one place that makes objects from the configuration."""

from functools import partial
from inspect import signature
from typing import Any

from hydra._internal.utils import _locate
from hydra.utils import instantiate as _hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def instantiate(node: DictConfig, *packages: str) -> Any:
    """Make the object that a configuration node names with ``_target_``.

    Only what ``packages`` themselves define is made, wherever the configuration came from:
    loading a checkpoint must not be a way to run somebody's code.

    Raises:
        ValueError: a ``_target_`` does not exist, is not of these packages, or refuses its
            arguments.
    """
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise ValueError(f"found {node}, expected a section that names its _target_")
    # Looked at, and then made, is the same text: what is looked up once cannot change between.
    try:
        plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ValueError(" ".join(str(error).split())) from None
    _check(plain, packages)
    try:
        made = _hydra_instantiate(plain, _convert_="all")
        if isinstance(made, partial):  # called later, with more arguments; these may be wrong now
            signature(made.func).bind_partial(*made.args, **made.keywords)
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"{node.get('_target_')}: {' '.join(str(cause).split())}") from error
    return made


def _check(node: Any, packages: tuple[str, ...]) -> None:
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(str(node["_target_"]), bool(node.get("_partial_")), packages)
        for value in node.values():
            _check(value, packages)
    elif isinstance(node, list):
        for item in node:
            _check(item, packages)
    elif isinstance(node, str) and "${" in node:
        # It would be looked up while the object is made, when nobody looks at it any more.
        raise ValueError(f"{node!r}: a reference, or text with ${{ in it, is not possible here")


def _check_target(target: str, handed_on: bool, packages: tuple[str, ...]) -> None:
    refusal = f"_target_ {target!r}: only what {' and '.join(packages)} define may be named"
    inside = tuple(f"{package}." for package in packages)
    if not target.startswith(inside):
        raise ValueError(refusal)
    try:
        found = _locate(target)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ValueError(f"_target_ {target!r} cannot be found: {reason}") from None
    # A module's imports are attributes too: nerlab.x.os.system is not nerlab's.
    own = f"{getattr(found, '__module__', '')}.".startswith(inside)
    if not own:
        raise ValueError(refusal)
    # And a function may be handed on, but not be called.
    if not (isinstance(found, type) or handed_on):
        raise ValueError(f"_target_ {target!r}: a function needs _partial_: true beside it")
