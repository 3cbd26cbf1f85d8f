"""The verbs of ``python -m nerlab``: a file of the same name each, beside what they share."""
