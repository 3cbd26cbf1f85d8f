"""``python -m nerlab convert``: a corpus in another format and tag scheme."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from omegaconf import DictConfig

from nerlab.commands.reading import entities_of, present_splits
from nerlab.commands.writers import WRITERS
from nerlab.config import DataConfig, Scheme, check_numbers
from nerlab.console import counted_on_terminal
from nerlab.data.load import SPLITS, file_source, split_source
from nerlab.data.reader_warnings import collected_warnings
from nerlab.data.sentence import Sentence
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted
from nerlab.tags import tags_of


def run(config: DictConfig) -> None:
    """Write the splits that the configuration names to ``<output>/<split>.<format>``.

    All of them appear together when all are whole. The warnings of the readers are printed.

    Raises:
        ValueError: an option is unknown, a file is missing or would be overwritten, or the data
            is not what it should be.
        OSError: a file cannot be read or written.
    """
    schemes = Scheme.__members__
    for key, known in (("format", WRITERS), ("to", schemes), ("split", (*SPLITS, "all"))):
        if str(config[key]) not in known:
            raise ValueError(f"{key}={config[key]}: expected one of {', '.join(known)}")
    scheme = schemes[config.to].value
    check_numbers("data", config.data)
    trusted = trusted_packages(config.trust)
    splits, warnings = [str(config.split)], list[str]()
    if config.split == "all":
        splits, warnings = present_splits(config.data)
    sources = [split_source(config.data, split, trusted) for split in splits]
    targets = [Path(config.output) / f"{split}.{config.format}" for split in splits]
    _refuse_to_overwrite(targets, config.data, config.overwrite, trusted)
    Path(config.output).mkdir(parents=True, exist_ok=True)
    counts = []
    with collected_warnings() as warned, ExitStack() as stack:
        parts = [stack.enter_context(new_file(target)) for target in targets]
        for part, source in zip(parts, sources, strict=True):
            name = str(source.path)
            sentences = counted_on_terminal(source.sentences(), name, "sentences")
            rewritten = retagged(sentences, config.data, scheme, name)
            counts.append(_write(part, WRITERS[config.format](rewritten, name)))
    for warning in dict.fromkeys([*warnings, *warned]):
        print(f"warning: {warning}")
    for target, count in zip(targets, counts, strict=True):
        print(f"written: {target}  {counted(count, 'sentence')}")


def retagged(
    sentences: Iterable[Sentence], data: DataConfig, scheme: str, source: str
) -> Iterator[Sentence]:
    """Sentences, whose tags are of ``data.scheme``, with tags of ``scheme``.

    Raises:
        ValueError: as of :func:`~nerlab.commands.reading.entities_of`.
    """
    for sentence in sentences:
        spans = entities_of(sentence, data.scheme.value, data.repair, source)
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


def _write(path: Path, sentences: Iterable[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for sentence in sentences:
            file.write(sentence)
            count += 1
    return count
