"""Named-entity recognition from scratch in plain PyTorch.

>>> import nerlab
>>> tagger = nerlab.load("runs/latest")                         # doctest: +SKIP
>>> tagger.predict(["Angela Merkel flew from Berlin to Paris."])    # doctest: +SKIP
"""

from nerlab.device import choose_vector_kernels
from nerlab.inference.predictor import Entity, load
from nerlab.version import __version__

__all__ = ["Entity", "__version__", "load"]

choose_vector_kernels()
