"""One file a format, one contract: ``read(path, ...) -> Iterator[Sentence]``."""
