"""Looking at a corpus and rewriting it: the work of ``python -m nerlab.data``."""
