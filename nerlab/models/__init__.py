"""Taggers: their parts that know batches, how they are built, saved and scored."""
