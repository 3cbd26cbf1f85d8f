"""A BERT by transformers, as people call it: the baseline of benchmarks/transformer.py."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn

from nerlab.data.corpus import Corpus
from nerlab.device import choose_device

BATCH = 32  # sentences
_VOCABULARY = 8000  # pieces: about 1.4 a word


class Size(NamedTuple):
    """A model; how many rounds are measured, with how many sentences of valid.txt (None: all)."""

    layers: int
    dim: int
    heads: int
    feedforward_dim: int
    rounds: int
    sentences: int | None


SIZES = {"small": Size(6, 384, 12, 1536, 3, None), "base": Size(12, 768, 12, 3072, 3, 600)}


class Setting(NamedTuple):
    """What a process needs to know; it can be pickled."""

    folder: str  # of the model
    data: str
    sentences: int | None  # of valid.txt; None: all
    threads: int
    device: str
    precision: str


class Theirs:
    """The same model by transformers."""

    def __init__(self, setting: Setting, train: Corpus, valid: Corpus) -> None:
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.device, self.corpora = choose_device(setting.device), {"train": train, "valid": valid}
        self.dtype = torch.bfloat16 if setting.precision == "bf16" else torch.float32
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(setting.folder)
        self.model = transformers.AutoModelForTokenClassification.from_pretrained(setting.folder)
        self.model.to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 5e-5, fused=True)

    @cached_property
    def pipeline(self) -> Any:
        """As people call it."""
        work = "token-classification"
        make: Any = transformers.pipeline
        return make(work, model=self.model, tokenizer=self.tokenizer, device=self.device)

    def decode_by_pipeline(self, batch_size: int | None) -> object:
        """The tags of the pieces of valid.txt; without a batch size its default."""
        self.model.eval()
        options = {} if batch_size is None else {"batch_size": batch_size}
        with self._autocast():
            return self.pipeline([" ".join(tokens) for tokens in self._words("valid")], **options)

    def decode(self) -> np.ndarray:
        """The tag ids of the words of valid.txt, in batches in the order of the file."""
        words = self._words("valid")
        parts = (self._scores(words[i : i + BATCH]) for i in range(0, len(words), BATCH))
        return np.concatenate([scores.argmax(1).cpu().numpy() for p in parts for scores in p])

    def scores(self, sentences: np.ndarray) -> list[Tensor]:
        """The logits of the words of each sentence ``(T, K)``."""
        return [s.float().cpu() for s in self._scores([self._words("valid")[i] for i in sentences])]

    @torch.inference_mode()
    def _scores(self, words: Sequence[Sequence[str]]) -> list[Tensor]:
        encoded, first = self._encode(words)
        with self._autocast():
            logits = self.model.eval()(**encoded).logits
        return [logits[b, row] for b, row in enumerate(first)]

    def prepare(self, sentences: np.ndarray, tags: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """The inputs of a training step."""
        encoded, first = self._encode([self._words("train")[i] for i in sentences])
        labels = torch.full_like(encoded["input_ids"], -100)
        for b, row in enumerate(first):
            labels[b, row] = torch.from_numpy(tags[b]).to(self.device)
        return {**encoded, "labels": labels}

    def step(self, inputs: dict[str, Tensor]) -> float:
        """A training step; the loss before it."""
        self.model.train()
        with self._autocast():
            loss = self.model(**inputs).loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.detach())

    def _words(self, split: str) -> list[list[str]]:
        corpus = self.corpora[split]
        return [list(corpus.sentence_tokens(i)) for i in range(len(corpus))]

    def _encode(self, words: Sequence[Sequence[str]]) -> tuple[Any, list[list[int]]]:
        """Padded pieces, and where the first one of each word is."""
        encoded = self.tokenizer(words, is_split_into_words=True, padding=True, return_tensors="pt")
        first = []
        for b in range(len(words)):
            ids = encoded.word_ids(b)
            first.append([i for i, w in enumerate(ids) if w is not None and w != ids[i - 1]])
        return encoded.to(self.device), first

    def _autocast(self) -> torch.autocast:
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=enabled)


def make_folder(folder: Path, size: Size, train: Corpus, tags: Sequence[str]) -> None:
    """A BERT as transformers saves it."""
    lines = (" ".join(train.sentence_tokens(i)) for i in range(len(train)))
    tokenizer = BertWordPieceTokenizer(lowercase=False)
    tokenizer.train_from_iterator(lines, vocab_size=_VOCABULARY, show_progress=False)
    folder.mkdir()
    tokenizer.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=size.dim,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.feedforward_dim,
        id2label=dict(enumerate(tags)),
        label2id={tag: i for i, tag in enumerate(tags)},
    )
    transformers.utils.logging.disable_progress_bar()
    transformers.BertForTokenClassification(config).save_pretrained(folder)
