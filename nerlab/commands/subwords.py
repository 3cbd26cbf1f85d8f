"""``python -m nerlab subwords``: pieces for an embedder, learned from a training split."""

from collections import Counter
from pathlib import Path

from omegaconf import DictConfig
from sentencepiece import SentencePieceProcessor

from nerlab.config import DataConfig, check_values
from nerlab.data.index import sentences_of
from nerlab.data.load import split_source, splits_of
from nerlab.data.readers.messages import collected_warnings
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted_on_terminal
from nerlab.models.pieces import cut_sentencepieces, open_sentencepiece
from nerlab.models.subwords import train_subwords


def run(config: DictConfig) -> None:
    """Train a model of sentencepiece on the tokens of train, write it to ``config.output``, and
    print how it cuts train and dev. ``ValueError``: an option is unknown, the file is there, or
    the data cannot be read.
    """
    check_values("", config)
    output = Path(config.output)
    if output.exists() and not config.overwrite:
        raise ValueError(f"{output}: exists; set overwrite=true, or output=FILE to another")
    trusted = trusted_packages(config.trust)
    splits = [split for split in splits_of(config.data) if split != "test"]
    with collected_warnings() as warned:
        counts = {split: token_counts(config.data, split, trusted) for split in splits}
    content = train_subwords(
        counts["train"].items(), config.vocab_size, config.algorithm, config.coverage
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with new_file(output) as file:
        file.write_bytes(content)
    processor = open_sentencepiece(content, str(output))
    print(*(f"warning: {text}" for text in dict.fromkeys(warned)), sep="\n", end="")
    print(f"written: {output}  {len(processor):,} pieces")
    for split, found in counts.items():
        print(f"{split:<6} {summary(processor, found)}")


def token_counts(data: DataConfig, split: str, trusted: tuple[str, ...]) -> Counter[str]:
    """How often each distinct token of a split occurs."""
    source = split_source(data, split, trusted)
    sentences = counted_on_terminal(sentences_of(source), str(source.path), "sentences")
    return Counter(token for sentence in sentences for token in sentence.tokens)


def summary(processor: SentencePieceProcessor, counts: Counter[str]) -> str:
    """Pieces a token, and the share of tokens in which a piece is unknown."""
    values, offsets = cut_sentencepieces(processor, list(counts))
    unknown = processor.unk_id()
    pieces = with_unknown = 0
    for first, last, count in zip(offsets, offsets[1:], counts.values(), strict=False):
        pieces += (last - first) * count
        with_unknown += (unknown in values[first:last]) * count
    total = counts.total()
    return f"{pieces / total:.2f} pieces a token, {with_unknown / total:.3%} with an unknown one"
