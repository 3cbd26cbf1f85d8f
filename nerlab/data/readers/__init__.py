"""One file a format, one contract: ``read(path, ...) -> Iterator[Sentence]``.

A reader that reads other files than ``path`` says which in ``sources(path, ...) -> list[Path]``,
so that the cache knows when they change. What it leaves out or alters it says at the end of the
file with :func:`nerlab.data.readers.messages.warn`.
"""
