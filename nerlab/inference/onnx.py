"""Prediction with an exported graph: onnxruntime computes the emissions, nerlab decodes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from nerlab.data.batch import Batch
from nerlab.inference.predictor import Predictor
from nerlab.instantiation import trusted_packages
from nerlab.models.checkpoint import EMISSIONS
from nerlab.models.loading import find_checkpoint, load_checkpoint
from nerlab.models.onnx import run_emissions, start_session
from nerlab.models.tagger import Embedders, Tagger


class OnnxTagger(Tagger):
    """A tagger whose emissions onnxruntime computes; the decoder is that of ``tagger``."""

    def __init__(self, tagger: Tagger, file: Path) -> None:
        decoder, K = tagger.get_submodule("decoder"), tagger.linear.out_features
        super().__init__(tagger.embedder, {}, decoder, K, dropout=0.0)
        self.embedder = Embedders({})  # the weights are in the graph
        self.embedder.contextual = True  # and nothing is embedded before it
        self._session = start_session(file)

    def emissions(self, batch: Batch) -> Tensor:
        """The score of each tag at each token ``(B, T, K)``."""
        return run_emissions(self._session, batch)


def load_onnx(path: str | Path, trust: str | Sequence[str] | None = None) -> Predictor:
    """As :func:`nerlab.load`, for a folder of ``python -m nerlab export format=onnx``, on the CPU.

    >>> tagger = load_onnx("tagger")                        # doctest: +SKIP
    >>> tagger.predict(["Angela Merkel flew to Paris ."])   # doctest: +SKIP
    [[Entity(text='Angela Merkel', label='PER', start=0, end=13, score=0.9998...), ...]]
    """
    folder = find_checkpoint(path)
    file = folder / EMISSIONS
    if not file.is_file():
        raise ValueError(f"{file}: no such file; python -m nerlab export format=onnx writes it")
    checkpoint = load_checkpoint(folder, torch.device("cpu"), trusted_packages(trust))
    return Predictor([replace(checkpoint, tagger=OnnxTagger(checkpoint.tagger, file).eval())])
