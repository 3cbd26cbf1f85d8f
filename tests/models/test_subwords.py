"""Subwords from scratch: what is trained, kept and looked up, and the vectors of words."""

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from composed import compose
from helpers import TAGGED
from hypothesis import given, settings
from hypothesis import strategies as st
from published_tokenizers import HARD_STRINGS
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Ragged
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.subwords import Algorithm, SubwordIndexer, Subwords, train_subwords
from nerlab.training.optimizer import TaggerOptimizer

WORDS = [pair.rsplit("/", 1)[0] for line in TAGGED for pair in line.split()]
COUNTS = Counter(WORDS + ["unhappily", "happily", "unlikely", "likely", "happy"] * 3)
HARD = Counter(dict.fromkeys(HARD_STRINGS, 2))


def fitted(counts: Counter[str] = COUNTS, vocab_size: int = 90) -> SubwordIndexer:
    indexer = SubwordIndexer(model=None, vocab_size=vocab_size, coverage=1.0)
    indexer.fit(counts.items())
    return indexer


HARD_INDEXER = fitted(HARD, 2000)


def rows_of(indexer: SubwordIndexer, tokens: list[str]) -> list[list[int]]:
    pieces = indexer.index(tokens).arrays["pieces"]
    assert isinstance(pieces, Ragged)
    offsets = pieces.offsets.tolist()
    return [pieces.values[a:b].tolist() for a, b in zip(offsets, offsets[1:], strict=False)]


def opened(content: bytes) -> SentencePieceProcessor:
    processor = SentencePieceProcessor()
    processor.LoadFromSerializedProto(content)
    return processor


def scores(content: bytes) -> dict[str, float]:
    processor = opened(content)
    return {processor.id_to_piece(i): processor.get_score(i) for i in range(len(processor))}


@pytest.mark.parametrize(("algorithm", "same"), [("bpe", 1.0), ("unigram", 0.95)])
def test_counts_give_the_pieces_of_the_text(algorithm: Algorithm, same: float) -> None:
    """Of a text with every token on a line of its own. Unigram begins with the frequent substrings
    of the lines, of which a token that is counted is one."""
    content = BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=COUNTS.elements(),
        model_writer=content,
        model_type=algorithm,
        vocab_size=75,
        character_coverage=1.0,
        minloglevel=2,
    )
    text = scores(content.getvalue())
    found = scores(train_subwords(COUNTS.items(), 75, algorithm, 1.0))
    assert len(found) == len(text) == 75
    if same == 1.0:
        assert found == text
    assert len(found.keys() & text.keys()) >= same * 75


@settings(max_examples=10)
@given(st.permutations(sorted(COUNTS.items())), st.sampled_from(["unigram", "bpe"]))
def test_the_same_counts_give_the_same_bytes_in_any_order(
    counts: list[tuple[str, int]], algorithm: Algorithm
) -> None:
    first = train_subwords(COUNTS.items(), 90, algorithm, 1.0)
    assert train_subwords(counts, 90, algorithm, 1.0) == first


def test_odd_tokens_do_not_disturb_the_others() -> None:
    odd = {"a\tb": 3, "c\nd": 2, "\r": 1, "": 5, "\ud800": 1, "\0": 1, "z" * 5000: 1, "▁": 1}
    found = scores(train_subwords((COUNTS | Counter(odd)).items(), 200, "unigram", 1.0))
    assert {"▁", "a", "b", "c", "d"} <= found.keys()
    assert not {"\t", "\n"} & set("".join(found))


def test_fewer_pieces_than_asked_for_are_no_error_and_fewer_than_characters_are() -> None:
    assert len(scores(train_subwords([("ab", 2)], 500, "unigram", 1.0))) < 10
    problem = r"vocab_size=9: expected at least \d\d, as each character is a piece; set it to that"
    with pytest.raises(ValueError, match=problem):
        train_subwords(COUNTS.items(), 9, "unigram", 1.0)
    for nothing in ([], [("", 3)], [("\u200b", 1)]):
        with pytest.raises(ValueError, match="found no pieces in the tokens"):
            train_subwords(nothing, 90, "bpe", 1.0)


def test_what_cannot_be_trained_names_its_key() -> None:
    config = compose("train", ["model/embedder=subwords"])
    config.model.embedder.subwords.indexer.vocab_size = 5
    corpus = build_corpus([Sentence(["Berlin", "x"], ["O", "O"])], "iob2", False, "text")
    with pytest.raises(ValueError, match=r"^model\.embedder\.subwords\.indexer: vocab_size=5: ex"):
        fit_vocabulary(config.model, corpus)


ODD = st.text(max_size=8) | st.sampled_from(HARD_STRINGS) | st.just("\ud800")


@given(st.lists(ODD, max_size=10))
def test_ids_are_those_of_sentencepiece_plus_one_and_come_back_from_the_files(
    tokens: list[str],
) -> None:
    loaded = SubwordIndexer(model="gone", vocab_size=4, coverage=1.0)
    loaded.load(HARD_INDEXER.files())
    assert loaded.files() == HARD_INDEXER.files()
    assert loaded.num_ids == HARD_INDEXER.num_ids
    processor = opened(HARD_INDEXER.files()["subwords.model"])
    texts = [
        token.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for token in tokens
    ]
    expected = [[i + 1 for i in processor.encode(text)] or [1] for text in texts]
    assert rows_of(loaded, tokens) == rows_of(HARD_INDEXER, tokens) == expected
    assert loaded.index(tokens).costs is None


def test_a_model_file_is_read_and_a_broken_or_missing_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "pieces.model"
    path.write_bytes(HARD_INDEXER.files()["subwords.model"])
    indexer = SubwordIndexer(str(path), vocab_size=4, coverage=1.0)
    indexer.fit([])
    assert indexer.files() == HARD_INDEXER.files()
    path.write_bytes(b"\x00" * 9)
    with pytest.raises(ValueError, match=r"pieces\.model: no model of sentencepiece"):
        indexer.fit([])
    path.unlink()
    with pytest.raises(ValueError, match=r"pieces\.model: No such file"):
        indexer.fit([])


def embedder(align: Any, dim: int = 6) -> Subwords:
    torch.manual_seed(1)
    return Subwords(HARD_INDEXER, dim, align, filters=4)


def test_the_vector_of_a_word_is_its_first_piece_or_the_mean_and_a_convolution() -> None:
    rows = rows_of(HARD_INDEXER, HARD_STRINGS)
    pieces = torch.zeros(len(rows), max(map(len, rows)) + 2, dtype=torch.long)  # padded by 2 more
    for i, row in enumerate(rows):
        pieces[i, : len(row)] = torch.tensor(row)
    for align, combine in (("first", lambda v: v[0]), ("mean", lambda v: v.mean(0))):
        part = embedder(align)
        found = part({"pieces": pieces}).detach().numpy()
        values = {name: p.numpy().astype(np.float64) for name, p in part.state_dict().items()}
        table, filters = values["table.weight"], values["convolution.weight"]
        bias = values["convolution.bias"]
        for row, vector in zip(rows, found, strict=True):
            padded = np.pad(table[row], ((1, 1), (0, 0)))
            sums = [
                sum(filters[:, :, k] @ padded[p + k] for k in range(3)) + bias
                for p in range(len(row))
            ]
            expected = np.concatenate([combine(table[row]), np.max(sums, axis=0)])
            np.testing.assert_allclose(vector, expected, atol=1e-5)


@pytest.mark.parametrize("align", ["first", "mean"])
def test_a_step_changes_the_pieces_of_the_batch_alone(align: str) -> None:
    options = ["model/embedder=subwords", f"model.embedder.subwords.align={align}"]
    config = compose("train", [*options, "trainer.weight_decay=0.1", "trainer.optimizer=adamw"])
    corpus = build_corpus([Sentence([t], ["O"]) for t in COUNTS], "iob2", False, "text")
    vocabulary = fit_vocabulary(config.model, corpus)
    tagger = build_tagger(config.model, vocabulary)
    part = tagger.embedder["subwords"]
    assert isinstance(part, Subwords)
    optimizer = TaggerOptimizer(tagger, config.trainer, torch.device("cpu"))
    before = part.table.weight.detach().clone()
    pieces = torch.tensor([[3, 4, 0], [5, 0, 0]])
    loss = part({"pieces": pieces}).square().sum()
    optimizer.backward(loss)
    assert part.table.weight.grad is not None
    assert part.table.weight.grad.is_sparse
    optimizer.step(optimizer.clip(loss.detach()), progress=0.5)
    changed = (part.table.weight != before).any(1).nonzero()[:, 0].tolist()
    assert changed == [3, 4, 5]
    assert not part.table.weight[0].any()
