"""Published models in our code against transformers: the same folder, the same words.

Ours is the whole path: configuration, tokenizer, batches, :class:`Pretrained`. Theirs is called as
its documentation does, and pieces are put together to words by plain loops.
"""

import shutil
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from composed import compose
from published_folders import FAMILIES, make_folder
from torch import Tensor, nn

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.data.batch import Batch, Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.pretrained import Pretrained
from nerlab.models.tagger import Tagger
from nerlab.training.optimizer import TaggerOptimizer

# Of different lengths; the words of each are cut into one to ten pieces.
SENTENCES = [
    line.split()
    for line in (
        "Angela Merkel flew from Berlin to Paris .",
        "Geneva",
        "nobody came to New York ; Siemens met Ada",
        "Bakı Gəncə İstanbul in 1918 !",
        "the United Nations",
    )
]
TAGS = ("B-PER", "I-PER", "O", "O", "B-LOC", "O", "B-ORG", "I-ORG")  # of a sentence, over and over
NUM_TAGS = 1 + 3 * 4  # O, and IOBES of three types
LONG = 510  # pieces that BERT's 512 positions hold


@pytest.fixture(scope="session", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of each family with a head for tokens, and without dropout."""
    path = tmp_path_factory.mktemp("parity") / request.param
    sizes: dict[str, Any] = {
        "max_position_embeddings": LONG + 2 + 2 * ("roberta" in request.param),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "num_labels": NUM_TAGS,
    }
    return make_folder(path, request.param, "ForTokenClassification", **sizes)


def ours(
    folder: Path, sentences: Sequence[Sequence[str]], align: str = "first"
) -> tuple[Tagger, Batch]:
    """A tagger without dropout that begins with the model, and a batch of all sentences."""
    keys = ("model=pretrained", f"model.path={folder}", f"model.embedder.align={align}")
    model = compose("train", [*keys, "model/decoder=softmax", "model.dropout=0.0"]).model
    tagged = [Sentence(tokens, list(islice(cycle(TAGS), len(tokens)))) for tokens in sentences]
    corpus = build_corpus(tagged, "iob2", False, "parity")
    vocabulary = fit_vocabulary(model, corpus)
    tagger = build_tagger(model, vocabulary).eval()
    return tagger, Batcher(corpus, vocabulary, with_tags=True).collate(np.arange(len(corpus)))


def embedder_of(tagger: Tagger) -> Pretrained:
    embedder = tagger.embedder["embedder"]
    assert isinstance(embedder, Pretrained)
    return embedder


def tokenize(folder: Path, sentences: Sequence[Sequence[str]]) -> Any:
    """The encoding of transformers, and nothing is cut off."""
    from transformers import AutoTokenizer

    options = {"add_prefix_space": True} if folder.name == "roberta" else {}
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    return tokenizer(
        [list(tokens) for tokens in sentences],
        is_split_into_words=True,
        padding=True,
        return_tensors="pt",
    )


def pooled(vectors: Tensor, word_ids: Sequence[int | None], align: str) -> Tensor:
    """The vectors of words ``(T, D)``: that of the first piece, or the mean of all of them."""
    rows = []
    for word in range(max(w for w in word_ids if w is not None) + 1):
        pieces = vectors[[i for i, w in enumerate(word_ids) if w == word]]
        assert len(pieces)
        rows.append(pieces[0] if align == "first" else pieces.mean(0))
    return torch.stack(rows)


@torch.no_grad()
def theirs(folder: Path, sentences: Sequence[Sequence[str]], align: str) -> list[Tensor]:
    """The vectors of the words of each sentence ``(T, D)``."""
    from transformers import AutoModel

    encoded = tokenize(folder, sentences)
    hidden = AutoModel.from_pretrained(folder).eval()(**encoded).last_hidden_state
    return [pooled(hidden[b], encoded.word_ids(b), align) for b in range(len(sentences))]


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("align", ["first", "mean"])
@torch.no_grad()
def test_the_vector_of_each_word_is_theirs(folder: Path, align: str) -> None:
    tagger, batch = ours(folder, SENTENCES, align)
    vectors = tagger.embedder(batch)
    assert vectors.shape[:2] == (len(SENTENCES), max(map(len, SENTENCES)))
    for b, expected in enumerate(theirs(folder, SENTENCES, align)):
        assert_close(vectors[b, : len(expected)], expected)
        assert not vectors[b, len(expected) :].any() or align == "first"


@pytest.mark.long
@torch.no_grad()
def test_a_model_of_real_size_gives_the_vectors_of_theirs(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {
        "vocab_size": 250_002,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 514,
    }
    path = make_folder(tmp_path / "xlm-roberta", "xlm-roberta", std=0.03, **sizes)
    sentences = [*SENTENCES, words_of_pieces(path, 200)]
    tagger, batch = ours(path, sentences)
    vectors = tagger.embedder(batch)
    for b, expected in enumerate(theirs(path, sentences, "first")):
        assert_close(vectors[b, : len(expected)], expected, 1e-4)


@torch.no_grad()
def test_each_layer_computes_what_theirs_does(folder: Path) -> None:
    from transformers import AutoModel

    tagger, batch = ours(folder, SENTENCES)
    layers = embedder_of(tagger).layers
    found: list[Tensor] = []
    layers.layers[0].register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    for layer in layers.layers:
        layer.register_forward_hook(lambda _, inputs, output: found.append(output))
    tagger.embedder(batch)
    encoded = tokenize(folder, SENTENCES)
    model = AutoModel.from_pretrained(folder).eval()
    hidden = model(**encoded, output_hidden_states=True).hidden_states
    mask = encoded["attention_mask"].bool()
    assert len(hidden) == len(found) == 1 + len(layers.layers)
    for ours_here, theirs_here in zip(found, hidden, strict=True):
        if theirs_here.shape == ours_here.shape:  # ELECTRA's first are not projected yet
            assert_close(ours_here[mask], theirs_here[mask])


@torch.no_grad()
def test_a_sentence_alone_has_the_vectors_that_it_has_in_a_batch(folder: Path) -> None:
    tagger, batch = ours(folder, SENTENCES, "mean")
    together = tagger.embedder(batch)
    for b, tokens in enumerate(SENTENCES):
        alone = tagger.embedder(ours(folder, [tokens], "mean")[1])
        assert_close(together[b, : len(tokens)], alone[0])


def words_of_pieces(folder: Path, count: int) -> list[str]:
    """A sentence of so many pieces."""
    counts = {word: pieces_of(folder, [word]).numel() for words in SENTENCES for word in words}
    (filler, *_) = (word for word, pieces in counts.items() if pieces == 1)
    tokens: list[str] = []
    for word in cycle(counts):
        if counts[word] + 10 > count:
            return tokens + [filler] * count
        tokens.append(word)
        count -= counts[word]
    raise AssertionError


def pieces_of(folder: Path, tokens: Sequence[str]) -> Tensor:
    """The ids of the pieces of a sentence ``(S,)``, without those that stand around it."""
    ids: Tensor = tokenize(folder, [tokens])["input_ids"][0, 1:-1]
    return ids


@torch.no_grad()
def test_a_sentence_as_long_as_the_positions_is_not_cut(folder: Path) -> None:
    tokens = words_of_pieces(folder, LONG)
    assert len(pieces_of(folder, tokens)) == LONG
    tagger, batch = ours(folder, [tokens, SENTENCES[0]])
    expected = theirs(folder, [tokens, SENTENCES[0]], "first")
    assert_close(tagger.embedder(batch)[0], expected[0])


@torch.no_grad()
def test_each_word_of_a_longer_sentence_is_theirs_of_the_best_window(folder: Path) -> None:
    from transformers import AutoModel

    tokens = words_of_pieces(folder, 3 * LONG - 100)
    tagger, batch = ours(folder, [SENTENCES[0], tokens])
    found = tagger.embedder(batch)[1]  # (T, D)
    model = AutoModel.from_pretrained(folder).eval()
    encoded = tokenize(folder, [tokens])
    ids, word_ids = encoded["input_ids"][0], encoded.word_ids(0)[1:-1]
    S, stride = len(word_ids), LONG - LONG // 4
    best = [-1] * len(tokens)  # how far the best window of a word reaches beyond its first piece
    expected: list[list[Tensor]] = [[] for _ in tokens]  # of the best ones, there may be two
    for start in range(0, S - LONG + stride, stride):
        end = min(start + LONG, S)
        window = torch.cat([ids[:1], ids[1:-1][start:end], ids[-1:]])
        vectors = model(window[None]).last_hidden_state[0, 1:-1]
        for word, first in ((w, word_ids.index(w)) for w in set(word_ids[start:end])):
            left = first - start if start else S
            right = end - 1 - first if end < S else S
            if start <= first and min(left, right) >= best[word]:
                kept = expected[word] if min(left, right) == best[word] else []
                expected[word] = [*kept, vectors[first - start]]
                best[word] = min(left, right)
    assert end == S
    for t in range(len(tokens)):
        errors = [(found[t] - vector).abs().max() for vector in expected[t]]
        assert min(errors) < 1e-5, f"word {t}, {errors}"


def fine_tuned(folder: Path, model: nn.Module, steps: int, learning_rate: float) -> list[float]:
    """Steps of AdamW on the sentences, as people write them around transformers; the losses.

    Biases and norms do not decay, nor do the vectors of pieces.
    """
    encoded = tokenize(folder, SENTENCES)
    tags = ["O", *(f"{p}-{label}" for label in ("LOC", "ORG", "PER") for p in "BIES")]
    assert len(tags) == NUM_TAGS
    _, batch = ours(folder, SENTENCES)
    assert batch.tags is not None
    labels = torch.full_like(encoded["input_ids"], -100)
    for b in range(len(SENTENCES)):
        word_ids = encoded.word_ids(b)
        for t in range(len(SENTENCES[b])):
            labels[b, word_ids.index(t)] = batch.tags[b, t]
    named = dict(model.named_parameters())
    still = ("bias", "LayerNorm.weight", "layer_norm.weight", "word_embeddings.weight")
    decay = [p for name, p in named.items() if not name.endswith(still)]
    rest = [p for name, p in named.items() if name.endswith(still)]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = model(**encoded, labels=labels).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("dtype", "steps", "learning_rate"), [(torch.float32, 1, 1e-4), (torch.float64, 3, 1e-3)]
)
def test_fine_tuning_changes_the_weights_as_theirs_are_changed(
    folder: Path, tmp_path: Path, dtype: torch.dtype, steps: int, learning_rate: float
) -> None:
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(folder).train().to(dtype)
    tagger, batch = ours(folder, SENTENCES)
    tagger.linear.load_state_dict(model.classifier.state_dict())
    tagger.train().to(dtype)
    trainer = TrainerConfig(
        epochs=1,
        accumulate=1,
        optimizer=Optimizer.adamw,
        learning_rate=learning_rate,
        weight_decay=0.1,
        schedule=Schedule.constant,
        warmup=0.0,
        clip_norm=1.0,
        precision=Precision.fp32,
    )
    optimizer = TaggerOptimizer(tagger, trainer, torch.device("cpu"))
    losses = []
    for _ in range(steps):
        loss = tagger.loss(batch)
        optimizer.backward(loss)
        optimizer.step(optimizer.clip(loss.detach()), 0.0)
        losses.append(loss.item())
    expected = fine_tuned(folder, model, steps, learning_rate)
    assert losses == pytest.approx(expected, rel=0.0, abs=1e-5)
    # Their weights are read as any published folder is.
    shutil.copytree(folder, changed := tmp_path / folder.name)
    model.float().save_pretrained(changed)
    after = embedder_of(ours(changed, SENTENCES)[0]).state_dict()
    before = embedder_of(ours(folder, SENTENCES)[0]).state_dict()
    for name, weights in embedder_of(tagger.float()).state_dict().items():
        assert not torch.equal(weights, before[name]), name
        if name.endswith("queries_keys_values.bias") and dtype is torch.float32:
            # A bias of all keys changes no attention: its gradient is 0 but for rounding, which
            # Adam divides by its own size.
            weights, after[name] = (w.view(3, -1)[::2] for w in (weights, after[name]))
        assert_close(weights, after[name])
    assert_close(tagger.linear.weight, model.classifier.weight)
    assert_close(tagger.linear.bias, model.classifier.bias)
