"""The one place that makes objects from the configuration."""

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from hydra._internal.utils import _locate
from hydra.utils import instantiate as _hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_NERLAB = __name__.partition(".")[0]


def trusted_packages(trust: str | Sequence[str] | None) -> tuple[str, ...]:
    """The packages that are trusted beside nerlab, each of them imported.

    Args:
        trust: one name or several, as the person who runs gives them; never what a file says.

    Raises:
        ValueError: a name is none, is of nerlab or of Python itself, or cannot be imported.
    """
    if trust is not None and not isinstance(trust, Sequence):
        raise ValueError(f"trust={trust!r}: expected the name of a package, or a list of names")
    names = () if trust is None else (trust,) if isinstance(trust, str) else tuple(trust)
    for name in names:
        if not isinstance(name, str) or not all(map(str.isidentifier, name.split("."))):
            raise ValueError(f"trust={name!r}: expected the name of a package, or a list of names")
        if _is_ours_or_pythons(name):
            raise ValueError(
                f"trust={name}: expected a package of your own; what of nerlab and of Python may "
                "be named is fixed"
            )
        try:
            import_module(name)
        except Exception as error:  # the package runs, and may raise anything
            raise ValueError(
                f"trust={name}: cannot be imported ({' '.join(str(error).split())}); install it, "
                "put it beside the script, or name the folder that it is in in PYTHONPATH"
            ) from error
    return names


def _is_ours_or_pythons(name: str) -> bool:
    root = name.partition(".")[0]
    return root == _NERLAB or root in sys.stdlib_module_names


def instantiate(node: DictConfig, *packages: str, functions: bool = False) -> Any:
    """Make the object that a configuration node names with ``_target_``.

    Only what ``packages`` themselves define is made, wherever the configuration came from:
    loading a checkpoint must not be a way to run somebody's code.

    Args:
        node: a section with a ``_target_``.
        packages: those of nerlab that belong here, and those that are trusted.
        functions: whether functions may be named too, to be handed on (``_partial_: true``); else
            classes alone.

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
    _check(plain, packages, functions)
    try:
        made = _hydra_instantiate(plain, _convert_="all")
        if isinstance(made, partial):  # called later, with more arguments; these may be wrong now
            signature(made.func).bind_partial(*made.args, **made.keywords)
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"{node.get('_target_')}: {' '.join(str(cause).split())}") from error
    return made


def _check(node: Any, packages: tuple[str, ...], functions: bool) -> None:
    if isinstance(node, dict):
        if "_target_" in node:
            target = str(node["_target_"])
            if not isinstance(_find(target, packages), type):
                if not functions:
                    raise ValueError(f"_target_ {target!r}: expected a class")
                if not node.get("_partial_"):  # it may be handed on, but not be called here
                    raise ValueError(
                        f"_target_ {target!r}: a function needs _partial_: true beside it"
                    )
        for value in node.values():
            _check(value, packages, functions)
    elif isinstance(node, list):
        for item in node:
            _check(item, packages, functions)
    elif isinstance(node, str) and "${" in node:
        # It would be looked up while the object is made, when nobody looks at it any more.
        raise ValueError(f"{node!r}: a reference, or text with ${{ in it, is not possible here")


def _find(target: str, packages: tuple[str, ...]) -> object:
    """What a ``_target_`` names, if one of the packages defines it."""
    refusal = f"_target_ {target!r}: only what {' and '.join(packages)} define may be named"
    inside = tuple(f"{package}." for package in packages)
    if not target.startswith(inside):
        raise ValueError(refusal + _advice(target))
    try:
        found = _locate(target)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ValueError(f"_target_ {target!r} cannot be found: {reason}") from error
    # A module's imports are attributes too: nerlab.x.os.system is not nerlab's.
    if not f"{getattr(found, '__module__', '')}.".startswith(inside):
        raise ValueError(refusal)
    return found


def _advice(target: str) -> str:
    """What somebody can do whose own package was refused; nothing where that would be no advice."""
    package = target.partition(".")[0]
    if _is_ours_or_pythons(package) or not package.isidentifier():
        return ""
    return f"; trust={package} admits it, if you trust its author and that of this configuration"
