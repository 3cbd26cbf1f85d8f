"""The gradients of a step, whether or not its batches fit into memory."""

import logging
import sys
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from nerlab.config import TrainerConfig
from nerlab.data.batch import Batcher
from nerlab.memory import if_it_fits
from nerlab.messages import counted
from nerlab.models.tagger import Tagger
from nerlab.training.optimisation import Optimisation

logger = logging.getLogger(__name__)


@dataclass
class Gradients:
    """Makes the gradients of the tagger's loss on some batches.

    Attributes:
        tagger: the model, on its device.
        optimisation: has the arithmetic, and keeps the gradients for its step.
        train: batches of the training split, with tags.
        config: the trainer's configuration.
        generator: the chance in the dropping of rare words.
    """

    tagger: Tagger
    optimisation: Optimisation
    train: Batcher
    config: TrainerConfig
    generator: np.random.Generator
    _too_large: int = field(default=sys.maxsize, init=False)

    def make(self, batches: list[np.ndarray]) -> None:
        """Make the gradients of a step, of the mean of its batches' losses.

        A batch that does not fit into memory is split in two. The step then begins anew, because
        a part of the gradients may be there already.

        Raises:
            ValueError: a single sentence does not fit.
        """
        parts = [(sentences, 1 / len(batches)) for sentences in batches]
        done = 0
        while done < len(parts):
            if if_it_fits(partial(self._backward, *parts[done])):
                done += 1
            else:
                parts[done : done + 1] = self._halves(*parts[done])
                done = 0
                self.optimisation.clear_gradients()

    def _backward(self, sentences: np.ndarray, weight: float) -> bool:
        """Make the gradients of ``weight`` times the loss of one batch; true when it is done."""
        batch = self.train.training_batch(
            sentences, self.config.rare_word_dropout, self.generator
        ).to(self.optimisation.device)
        with self.optimisation.autocast():
            loss = self.tagger.loss(batch) * weight
        self.optimisation.backward(loss)
        return True

    def _halves(self, sentences: np.ndarray, weight: float) -> list[tuple[np.ndarray, float]]:
        """Two parts of a batch with their shares of its weight, which count by tokens."""
        corpus = self.train.corpus
        if len(sentences) == 1:
            raise ValueError(
                f"{corpus.describe(sentences[0])} of train does not fit into memory; "
                "cut it into shorter ones, or choose a smaller model"
            )
        lengths = corpus.lengths[sentences]
        size = len(lengths) * int(lengths.max())
        if size < self._too_large:
            self._too_large = size
            logger.warning(
                "a batch of %s, padding counted, does not fit into memory and is split; "
                "with a trainer.batch_tokens below that no time is lost",
                counted(size, "token"),
            )
        middle = len(sentences) // 2
        share = weight * int(lengths[:middle].sum()) / int(lengths.sum())
        return [(sentences[:middle], share), (sentences[middle:], weight - share)]
