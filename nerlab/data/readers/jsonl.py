"""JSON records of tokens and their tags."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nerlab.data.readers.records import Layout, fetch, records
from nerlab.data.readers.tagged import ClassNames, RowError, tokens_and_tags
from nerlab.data.sentence import Sentence


def read(
    path: str | Path,
    layout: Layout,
    encoding: str,
    tokens: str,
    tags: str,
    labels: Sequence[str] | None = None,
    document: str | None = None,
) -> Iterator[Sentence]:
    """Yield the sentences of a file, a record each. Records without tokens are passed over.

    What the options mean stands in ``conf/data/reader/jsonl.yaml``.

    Raises:
        ValueError: a record is no JSON object, lacks something or has another number of tags than
            of tokens, or a byte does not decode.
    """
    names = None if labels is None else ClassNames(labels)
    number, last = None, None
    for record in records(path, layout, encoding):
        listed_tokens = fetch(record.value, tokens, list, "tokens", record.where)
        listed_tags = fetch(record.value, tags, list, "tags", record.where)
        try:
            words, written = tokens_and_tags(listed_tokens, listed_tags, names)
        except RowError as error:
            raise ValueError(f"{record.where}: {error}; fix the record") from None
        if document is not None:
            mark = fetch(record.value, document, (int, str), "document", record.where)
            number = 0 if number is None else number + (mark != last)
            last = mark
        if words:
            yield Sentence(words, written, number, record.line, lines_a_token=0)
