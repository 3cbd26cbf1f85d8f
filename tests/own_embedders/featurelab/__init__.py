"""A researcher's own package of embedders, each in one file, as it would lie beside hers."""
