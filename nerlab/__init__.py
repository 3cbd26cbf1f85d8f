"""Named-entity recognition from scratch in plain PyTorch.

>>> import nerlab
>>> tagger = nerlab.load("runs/latest")                         # doctest: +SKIP
>>> tagger.predict(["Angela Merkel flew from Berlin to Paris."])    # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nerlab.inference.predictor import Entity, load

__version__ = "0.1.0"
__all__ = ["Entity", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """``Entity`` and ``load``, imported when they are first used: torch takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nerlab.inference import predictor

    return getattr(predictor, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
