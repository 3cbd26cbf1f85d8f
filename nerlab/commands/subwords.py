"""``python -m nerlab subwords``: pieces for an embedder, learned from a training split."""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig
from sentencepiece import SentencePieceProcessor

from nerlab.config import check_values
from nerlab.data.load import load_split, splits_of
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages
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
    corpora = {split: load_split(config.data, split, trusted) for split in splits}
    counts = {split: dict(corpus.token_counts()) for split, corpus in corpora.items()}
    content = train_subwords(
        counts["train"].items(), config.vocab_size, config.algorithm, config.coverage
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with new_file(output) as file:
        file.write_bytes(content)
    processor = open_sentencepiece(content, str(output))
    # Splits of one file have the same warnings of its reader.
    warnings = dict.fromkeys(w for corpus in corpora.values() for w in corpus.warnings)
    lines = [f"warning: {warning}" for warning in warnings]
    lines.append(f"written: {output}  {len(processor):,} pieces")
    lines += (f"{split:<6} {summary(processor, found)}" for split, found in counts.items())
    print(*lines, sep="\n")


def summary(processor: SentencePieceProcessor, counts: Mapping[str, int]) -> str:
    """Pieces a token, and the share of tokens in which a piece is unknown."""
    values, offsets = cut_sentencepieces(processor, list(counts))
    unknown = processor.unk_id()
    pieces = with_unknown = 0
    for first, last, count in zip(offsets, offsets[1:], counts.values(), strict=False):
        pieces += (last - first) * count
        with_unknown += (unknown in values[first:last]) * count
    total = sum(counts.values())
    return f"{pieces / total:.2f} pieces a token, {with_unknown / total:.3%} with an unknown one"
