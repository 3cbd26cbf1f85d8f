"""``python -m nerlab convert``: a corpus in another format and tag scheme, nothing of it lost."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from omegaconf import DictConfig

from nerlab.commands.reading import Annotated, present_splits, read_annotated
from nerlab.config import DataConfig, Scheme, check_values
from nerlab.data.load import SPLITS, file_source, split_source
from nerlab.data.readers.conll import DOCUMENT_MARK
from nerlab.data.readers.messages import collected_warnings
from nerlab.data.sentence import Sentence
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages
from nerlab.messages import conll_sentence, counted
from nerlab.tags import tags_of

_BYTE_ORDER_MARK = "\ufeff"
_UNWRITABLE = re.compile(r"[ \t\r\n\ud800-\udfff]")


def run(config: DictConfig) -> None:
    """Write the splits that the configuration names to ``<output>/<split>.<format>``.

    All of them appear when all are whole. Warnings of the readers are printed. ``ValueError``: an
    option is unknown, a file is missing or would be overwritten, or the data is wrong.
    """
    schemes = Scheme.__members__
    for key, known in (("format", WRITERS), ("to", schemes), ("split", (*SPLITS, "all"))):
        if str(config[key]) not in known:
            raise ValueError(f"{key}={config[key]}: expected one of {', '.join(known)}")
    check_values("data", config.data)
    trusted = trusted_packages(config.trust)
    lines = []
    with collected_warnings() as warned, ExitStack() as stack:
        if config.split == "all":
            sources = present_splits(config.data, trusted)
        else:
            sources = {config.split: split_source(config.data, config.split, trusted)}
        targets = [Path(config.output) / f"{split}.{config.format}" for split in sources]
        _refuse_to_overwrite(targets, config.data, config.overwrite, trusted)
        Path(config.output).mkdir(parents=True, exist_ok=True)
        files = [stack.enter_context(new_file(target)) for target in targets]
        for file, target, source in zip(files, targets, sources.values(), strict=True):
            sentences = retagged(read_annotated(source, config.data), schemes[config.to].value)
            texts = WRITERS[config.format](sentences, str(source.path))
            with file.open("w", encoding="utf-8", newline="\n") as stream:
                count = sum(1 for text in texts if stream.write(text))
            lines.append(f"written: {target}  {counted(count, 'sentence')}")
    print(*(f"warning: {text}" for text in dict.fromkeys(warned)), *lines, sep="\n")


def retagged(sentences: Iterable[Annotated], scheme: str) -> Iterator[Sentence]:
    """The sentences with tags of ``scheme`` for their entities."""
    for sentence, spans in sentences:
        yield sentence._replace(tags=tags_of(spans, len(sentence.tokens), scheme))


def _refuse_to_overwrite(
    targets: list[Path], data: DataConfig, overwrite: bool, trusted: tuple[str, ...]
) -> None:
    names = [name for name in (data.train, data.dev, data.test) if name is not None]
    named = [path for name in names if (path := Path(data.dir) / name).exists()]
    sources = [file for path in named for file in file_source(data, path, trusted).files()]
    for target in filter(Path.exists, targets):
        if any(target.samefile(source) for source in sources):
            raise ValueError(f"{target}: a file of the data itself; set output=FOLDER to another")
        if not overwrite:
            raise ValueError(f"{target}: exists; set overwrite=true, or output=FOLDER to another")


def conll(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    r"""A line a token with its tag behind a tab, a blank line after each sentence.

    :mod:`nerlab.data.readers.conll` separates columns at tabs and spaces alone, so ``\x85`` and
    the no-break space come back as they were. A ``-DOCSTART-`` line stands wherever another
    document begins. A sentence without tokens is left out. ``ValueError``: a token or tag is
    empty, holds a space, a tab, a line break or half a surrogate pair, or is ``-DOCSTART-``.
    """
    document = None
    # A reader drops a byte order mark that a file begins with, but not a second one.
    first = _BYTE_ORDER_MARK
    for sentence in sentences:
        if not sentence.tokens:
            continue
        for position, pair in enumerate(zip(sentence.tokens, sentence.tags, strict=True)):
            for text in pair:
                if text in ("", DOCUMENT_MARK) or _UNWRITABLE.search(text):
                    where = f"{source}:{sentence.line_of(position)}"
                    raise ValueError(
                        f"{where}: columns cannot hold {text[:40]!r}; set format=jsonl"
                    )
        text = conll_sentence(sentence.tokens, sentence.tags, separator="\t")
        if sentence.document != document:
            text = f"{DOCUMENT_MARK}\tO\n\n{text}"
        document = sentence.document
        yield first + text if text.startswith(_BYTE_ORDER_MARK) else text
        first = ""


def jsonl(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    """A line a sentence, ``{"tokens": [...], "tags": [...], "document": 0}``; without ``document``
    where the corpus marks none. ``ValueError``: a token or tag holds the two halves of a surrogate
    pair as two characters, which JSON reads as one."""
    for sentence in sentences:
        record: dict[str, object] = {"tokens": list(sentence.tokens), "tags": list(sentence.tags)}
        if sentence.document is not None:
            record["document"] = sentence.document
        # Half a surrogate pair is no UTF-8, but JSON has an escape for it.
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        if json.loads(line) != record:
            halves = "the two halves of a surrogate pair as two characters"
            raise ValueError(f"{source}:{sentence.line}: JSON cannot hold {halves}; fix the token")
        yield line + "\n"


WRITERS = {"conll": conll, "jsonl": jsonl}
