"""The linear-chain conditional random field: every sum, maximum and sample of it, exactly.

This folder needs torch alone and can be copied as a whole. ``recursions.py`` has the mathematics,
``chain.py`` what training and decoding take, ``distribution.py`` all that can be asked besides.
"""

from .distribution import LinearChain, Spans
from .recursions import FORBIDDEN

__all__ = ["FORBIDDEN", "LinearChain", "Spans"]
