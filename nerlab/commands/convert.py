"""``python -m nerlab convert``: a corpus in another format and tag scheme."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from omegaconf import DictConfig

from nerlab.commands.reading import Annotated, present_splits, read_annotated
from nerlab.commands.writers import WRITERS
from nerlab.config import DataConfig, Scheme, check_numbers
from nerlab.data.load import SPLITS, file_source, split_source
from nerlab.data.reader_warnings import collected_warnings
from nerlab.data.sentence import Sentence
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted
from nerlab.tags import tags_of


def run(config: DictConfig) -> None:
    """Write the splits that the configuration names to ``<output>/<split>.<format>``.

    All of them appear when all are whole. Warnings of the readers are printed.

    Raises:
        ValueError: an option is unknown, a file is missing or would be overwritten, or the data
            is not what it should be.
        OSError: a file cannot be read or written.
    """
    schemes = Scheme.__members__
    for key, known in (("format", WRITERS), ("to", schemes), ("split", (*SPLITS, "all"))):
        if str(config[key]) not in known:
            raise ValueError(f"{key}={config[key]}: expected one of {', '.join(known)}")
    check_numbers("data", config.data)
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
