"""The one place that makes objects from the configuration."""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from pkgutil import resolve_name
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

Node = dict[Any, Any]


def instantiate(
    node: DictConfig,
    admitted: Sequence[str],
    trusted: Sequence[str],
    functions: bool = False,
    without: str = "",
) -> partial[Any]:
    """What a configuration node names with ``_target_``, with the arguments that stand beside it.

    It is called by whoever asked for it, with the arguments that are known then; so every node has
    ``_partial_: true``. Only what is listed here is made, wherever the configuration came from:
    loading a checkpoint must not be a way to run somebody's code.

    Args:
        node: a section with a ``_target_``; its arguments are plain values.
        admitted: the full names of nerlab's parts that belong here.
        trusted: packages whose public classes may be named too, and hold others in any argument.
        functions: whether functions of theirs may be named too.
        without: a section in it that is made by itself.

    Raises:
        ValueError: a ``_target_`` does not exist, is not admitted, or refuses its arguments.
    """
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise ValueError(f"found {node}, expected a section that names its _target_")
    # What is checked and what is made is the same: references are looked up before, once.
    try:
        plain = cast(Node, OmegaConf.to_container(node, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise ValueError(" ".join(str(error).split())) from None
    plain.pop(without, None)
    target, check_nested = str(plain["_target_"]), _refuse
    if target not in admitted:
        from nerlab.trust import check_trusted  # imports what it finds

        check_nested = partial(
            check_trusted, admitted=admitted, trusted=trusted, functions=functions
        )
        check_nested(plain)
    if plain.pop("_partial_", None) is not True:
        needed = "expected _partial_: true beside it; it is called later, with more arguments"
        raise ValueError(f"_target_ {target!r}: {needed}")
    del plain["_target_"]
    try:
        make, arguments = resolve_name(target), _make(plain, check_nested)
        signature(make).bind_partial(**arguments)
    except Exception as error:  # the constructors of a trusted package may raise anything
        raise ValueError(f"{target}: {' '.join(str(error).split())}") from error
    return partial(make, **arguments)


def _make(value: Any, check: Callable[[Node], None]) -> Any:
    """A plain value, in which each section that names a ``_target_`` is checked, then made."""
    if isinstance(value, list):
        return [_make(item, check) for item in value]
    if not isinstance(value, dict):
        return value
    if "_target_" not in value:
        return {key: _make(item, check) for key, item in value.items()}
    check(value)
    make, is_partial = resolve_name(value.pop("_target_")), value.pop("_partial_", None) is True
    arguments = _make(value, check)
    return partial(make, **arguments) if is_partial else make(**arguments)


def _refuse(node: Node) -> None:
    raise ValueError(f"_target_ {str(node['_target_'])!r}: expected a value, not a part")


def trusted_packages(trust: str | Sequence[str] | None) -> tuple[str, ...]:
    """The packages that the person who runs trusts beside nerlab, imported; see
    :func:`nerlab.trust.import_packages`."""
    if trust is None:
        return ()
    from nerlab.trust import import_packages

    return import_packages(trust)
