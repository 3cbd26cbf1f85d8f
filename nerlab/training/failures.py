"""What is said of a training that cannot go on: numbers that are not finite, too little memory."""

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from nerlab.data.corpus import Corpus
from nerlab.files import write_file
from nerlab.memory import is_out_of_memory
from nerlab.messages import counted

if TYPE_CHECKING:
    from nerlab.training.loop import Trainer

_NAMED = 10  # sentences in the message; the file has them all


class NotFinite(Exception):  # noqa: N818 - the run makes an error of it, see explain()
    """Too many steps in a row were skipped; ``sentences`` are those of the last one."""

    def __init__(self, step: int, sentences: np.ndarray) -> None:
        super().__init__(f"step {step}: the loss or its gradient is not finite")
        self.sentences = sentences


def explain(error: Exception, trainer: "Trainer") -> ValueError | None:
    """The error that says why a training cannot go on, if it is known."""
    if isinstance(error, NotFinite):
        return _explain_not_finite(error, trainer)
    if trainer.step_batches and is_out_of_memory(error):
        return _explain_memory(trainer.step_batches, trainer.train.corpus)
    return None


def _explain_not_finite(found: NotFinite, trainer: "Trainer") -> ValueError:
    """Write the sentences of the step to ``not-finite.jsonl``; returns the error that names them.

    Each sentence has the loss that the model gives it alone, without dropout, in nats a token;
    null where it is not finite.
    """
    tagger, train, run = trainer.state.tagger.eval(), trainer.train, trainer.recorder.run
    device = trainer.state.optimizer.device
    lines = ""
    for sentence in found.sentences.tolist():
        with torch.inference_mode():
            loss = tagger.loss(train.collate(np.array([sentence])).to(device)).item()
        line = {
            "sentence": sentence + 1,
            "loss": loss if math.isfinite(loss) else None,
            "tokens": train.corpus.sentence_tokens(sentence),
            "tags": train.corpus.sentence_tags(sentence),
        }
        lines += json.dumps(line) + "\n"
    path = run / "not-finite.jsonl"
    write_file(path, lines)
    return ValueError(
        f"{found}, as in the steps before it; it had sentences {_numbers(found.sentences)} of "
        f"train, see {path} for the loss of each; lower trainer.learning_rate, or fix the data; "
        f"{run / 'checkpoints' / 'last'} has the weights before these steps"
    )


def _explain_memory(batches: list[np.ndarray], corpus: Corpus) -> ValueError:
    """The error that names the largest batch of a step that does not fit into memory."""
    lengths = [corpus.lengths[sentences] for sentences in batches]
    sizes = [len(of_batch) * int(of_batch.max()) for of_batch in lengths]
    size, sentences = max(zip(sizes, batches, strict=True), key=lambda pair: pair[0])
    if len(sentences) == 1:
        return ValueError(
            f"{corpus.describe(sentences[0])} of train does not fit into memory; cut it into "
            "shorter ones, or choose a smaller model"
        )
    return ValueError(
        f"a batch of {counted(size, 'token')}, padding counted, does not fit into memory, of "
        f"sentences {_numbers(sentences)} of train; set trainer.batch_tokens to less than "
        f"{size}, or choose a smaller model"
    )


def _numbers(sentences: np.ndarray) -> str:
    """Sentences as they are counted in messages, from 1."""
    named = ", ".join(str(sentence + 1) for sentence in sentences[:_NAMED])
    more = len(sentences) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
