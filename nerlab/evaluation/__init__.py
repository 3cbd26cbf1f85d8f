"""Spans right and wrong, and how it is told."""
