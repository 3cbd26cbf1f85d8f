"""The one place that makes objects from the configuration."""

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from pkgutil import resolve_name
from typing import Any, NamedTuple

from hydra.utils import instantiate as _hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_NERLAB = __name__.partition(".")[0]
_KEYS = ("_target_", "_partial_")


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


def instantiate(
    node: DictConfig, admitted: Sequence[str], trusted: Sequence[str], functions: bool = False
) -> partial[Any]:
    """What a configuration node names with ``_target_``, with the arguments that stand beside it.

    It is called by whoever asked for it, with the arguments that are known then; so every section
    has ``_partial_: true``. Only what is listed here is made, wherever the configuration came
    from: loading a checkpoint must not be a way to run somebody's code. ``parts``, a section, may
    hold further nodes of the same kind by name.

    Args:
        node: a section with a ``_target_``.
        admitted: the full names of nerlab's parts that belong here.
        trusted: packages whose public classes may be named too, and hold others in any argument.
        functions: whether functions of theirs may be named too.

    Raises:
        ValueError: a ``_target_`` does not exist, is not admitted, or refuses its arguments.
    """
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise ValueError(f"found {node}, expected a section that names its _target_")
    # Looked at, and then made, is the same text: what is looked up once cannot change between.
    try:
        plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ValueError(" ".join(str(error).split())) from None
    assert isinstance(plain, dict)
    rule = _Rule(tuple(admitted), tuple(trusted), functions)
    rule.check_part(plain)
    try:
        made: partial[Any] = _hydra_instantiate(plain, _convert_="all")
        # It is called later, with more arguments; these may be wrong now.
        signature(made.func).bind_partial(*made.args, **made.keywords)
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"{node.get('_target_')}: {' '.join(str(cause).split())}") from error
    return made


class _Rule(NamedTuple):
    """What a section may name, see :func:`instantiate`."""

    admitted: tuple[str, ...]
    trusted: tuple[str, ...]
    functions: bool

    def check_part(self, node: dict[Any, Any]) -> None:
        """Check a node that will be called with more arguments."""
        self._check_target(node)
        if node.get("_partial_") is not True:
            raise ValueError(
                f"_target_ {str(node['_target_'])!r}: expected _partial_: true beside it; it is "
                "called later, with more arguments"
            )
        self._check_arguments(node)

    def _check_arguments(self, node: dict[Any, Any]) -> None:
        is_trusted = str(node["_target_"]) not in self.admitted
        for key, value in node.items():
            if key == "parts" and isinstance(value, dict) and not is_trusted:
                for name, part in value.items():
                    if not isinstance(part, dict) or "_target_" not in part:
                        raise ValueError(
                            f"parts.{name}: expected a section that names its _target_"
                        )
                    self.check_part(part)
            elif key not in _KEYS:
                self._check_argument(value, is_trusted)

    def _check_argument(self, value: Any, may_hold_parts: bool) -> None:
        if isinstance(value, dict):
            if "_target_" in value:
                self._check_target(value)
                if not may_hold_parts:
                    raise ValueError(
                        f"_target_ {str(value['_target_'])!r}: expected a value, not a part"
                    )
                self._check_arguments(value)
                return
            _check_keys(value)
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self._check_argument(item, may_hold_parts)
        elif isinstance(value, str) and "${" in value:
            # It would be looked up while the object is made, when nobody looks at it any more.
            raise ValueError(
                f"{value!r}: a reference, or text with ${{ in it, is not possible here"
            )

    def _check_target(self, node: dict[Any, Any]) -> None:
        target = str(node["_target_"])
        if target not in self.admitted:
            found = self._find(target)
            if not isinstance(found, type) and not self.functions:
                raise ValueError(f"_target_ {target!r}: expected a class")
            # It may be handed on, but not be called here.
            if not isinstance(found, type) and node.get("_partial_") is not True:
                raise ValueError(f"_target_ {target!r}: a function needs _partial_: true beside it")
        _check_keys(node)

    def _find(self, target: str) -> object:
        """What a ``_target_`` names, if a trusted package defines it under a public name."""
        inside = tuple(f"{package}." for package in self.trusted)
        expected = [*self.admitted, *(f"what {package} defines" for package in self.trusted)]
        refusal = f"_target_ {target!r}: expected one of {', '.join(expected)}"
        if not target.startswith(inside):
            raise ValueError(refusal + _advice(target))
        if any(name.startswith("_") for name in target.split(".")):
            raise ValueError(f"_target_ {target!r}: expected a public name, without _ before it")
        try:
            found = resolve_name(target)
        except Exception as error:  # importing it runs the package, which may raise anything
            reason = " ".join(str(error).split())
            raise ValueError(f"_target_ {target!r} cannot be found: {reason}") from error
        # A module's imports are attributes too: mylab.x.os.system is not mylab's.
        if not f"{getattr(found, '__module__', '')}.".startswith(inside):
            raise ValueError(refusal)
        return found


def _check_keys(node: dict[Any, Any]) -> None:
    """Refuse what Hydra would take for a key of its own."""
    for key in node:
        if str(key).startswith("_") and str(key).endswith("_") and key not in _KEYS:
            raise ValueError(
                f"{key}: expected the names of arguments, and of Hydra's keys {' and '.join(_KEYS)}"
            )


def _advice(target: str) -> str:
    """What somebody can do whose own package was refused; nothing where that would be no advice."""
    package = target.partition(".")[0]
    if _is_ours_or_pythons(package) or not package.isidentifier():
        return ""
    return f"; trust={package} admits it, if you trust its author and that of this configuration"
