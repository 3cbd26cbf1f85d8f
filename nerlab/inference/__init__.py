"""A checkpoint at work: on files with tags, and on raw text."""
