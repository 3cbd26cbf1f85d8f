"""The version of nerlab."""

__version__ = "0.1.0"
