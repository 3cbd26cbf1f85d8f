"""The one place that makes objects from the configuration."""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any, cast

from hydra.utils import instantiate as _hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

Node = dict[Any, Any]
_KEYS = ("_target_", "_partial_")


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
        raise ValueError(
            f"_target_ {target!r}: expected _partial_: true beside it; it is called later, with "
            "more arguments"
        )
    del plain["_target_"]
    _check_values(plain, check_nested)
    try:
        made: partial[Any] = _hydra_instantiate(
            {"_target_": target, "_partial_": True, **plain}, _convert_="all"
        )
        # It is called later, with more arguments; these may be wrong now.
        signature(made.func).bind_partial(*made.args, **made.keywords)
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"{target}: {' '.join(str(cause).split())}") from error
    return made


def _refuse(node: Node) -> None:
    raise ValueError(f"_target_ {str(node['_target_'])!r}: expected a value, not a part")


def _check_values(value: Any, check_nested: Callable[[Node], None]) -> None:
    """Raise ``ValueError`` at what is neither a plain value nor a node that may stand there.

    Of Hydra's own keys only two are possible, and no reference: it would be looked up while the
    object is made, when nobody looks at it any more.
    """
    if isinstance(value, dict):
        if "_target_" in value:
            check_nested(value)
        for key, item in value.items():
            if key not in _KEYS and str(key).startswith("_") and str(key).endswith("_"):
                known = " and ".join(_KEYS)
                raise ValueError(
                    f"{key}: expected the names of arguments, and of Hydra's keys {known}"
                )
            _check_values(item, check_nested)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, check_nested)
    elif isinstance(value, str) and "${" in value:
        raise ValueError(f"{value!r}: a reference, or text with ${{ in it, is not possible here")


def trusted_packages(trust: str | Sequence[str] | None) -> tuple[str, ...]:
    """The packages that the person who runs trusts beside nerlab, imported; see
    :func:`nerlab.trust.import_packages`."""
    if trust is None:
        return ()
    from nerlab.trust import import_packages

    return import_packages(trust)
