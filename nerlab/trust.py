"""What a configuration may name beside nerlab's own parts: public names of trusted packages."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

_NERLAB = __name__.partition(".")[0]


def import_packages(trust: str | Sequence[str]) -> tuple[str, ...]:
    """The packages that are trusted beside nerlab, each of them imported.

    Args:
        trust: one name or several, as the person who runs gives them; never what a file says.

    Raises:
        ValueError: a name is none, is of nerlab or of Python itself, or cannot be imported.
    """
    several = isinstance(trust, Sequence) and not isinstance(trust, str)
    names: Sequence[Any] = trust if several else [trust]
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
    return tuple(names)


def _is_ours_or_pythons(name: str) -> bool:
    root = name.partition(".")[0]
    return root == _NERLAB or root in sys.stdlib_module_names


def check_trusted(
    node: dict[Any, Any], admitted: Sequence[str], trusted: Sequence[str], functions: bool
) -> None:
    """Raise ``ValueError`` unless a node, or one within it, names one of ``admitted``, or a public
    class (with ``functions`` also a function) that a trusted package defines.

    A function may be handed on, but is not called while the configuration is read.
    """
    target = str(node["_target_"])
    if target in admitted:
        return
    found = _find(target, admitted, trusted)
    if isinstance(found, type):
        return
    if not functions:
        raise ValueError(f"_target_ {target!r}: expected a class")
    if node.get("_partial_") is not True:
        raise ValueError(f"_target_ {target!r}: a function needs _partial_: true beside it")


def _find(target: str, admitted: Sequence[str], trusted: Sequence[str]) -> object:
    """What a ``_target_`` names, if a trusted package defines it under a public name."""
    inside = tuple(f"{package}." for package in trusted)
    expected = [*admitted, *(f"what {package} defines" for package in trusted)]
    refusal = f"_target_ {target!r}: expected one of {', '.join(expected)}"
    if not target.startswith(inside):
        package = target.partition(".")[0]
        if package.isidentifier() and not _is_ours_or_pythons(package):
            refusal += f"; trust={package} admits it, if you trust its author and that of this "
            refusal += "configuration"
        raise ValueError(refusal)
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
