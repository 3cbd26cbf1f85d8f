"""What is said, and kept, of a run whose loss or gradient is not finite any more."""

import json
import math
from pathlib import Path

import numpy as np
import torch

from nerlab.data.batch import Batcher
from nerlab.files import write_file
from nerlab.models.tagger import Tagger

NOT_FINITE = "not-finite"
"""The checkpoint before the step that cannot be made."""
_NAMED = 10  # sentences in the message; the file has them all


class NotFinite(Exception):  # noqa: N818 - the run makes an error of it, see explain()
    """Too many steps in a row were skipped; ``sentences`` are those of the last one."""

    def __init__(self, step: int, sentences: np.ndarray) -> None:
        super().__init__(f"step {step}: the loss or its gradient is not finite")
        self.step = step
        self.sentences = sentences


def explain(found: NotFinite, run: Path, tagger: Tagger, train: Batcher) -> ValueError:
    """Write the sentences of the step to ``not-finite.jsonl``; returns the error that names them.

    Each sentence has the loss that the model gives it alone, without dropout, in nats a token;
    null where it is not finite.
    """
    corpus = train.corpus
    losses = {int(sentence): _loss_alone(tagger, train, sentence) for sentence in found.sentences}
    lines = [
        json.dumps(
            {
                "sentence": sentence + 1,
                "loss": loss if math.isfinite(loss) else None,
                "tokens": corpus.sentence_tokens(sentence),
                "tags": corpus.sentence_tags(sentence),
            },
            ensure_ascii=True,
        )
        for sentence, loss in losses.items()
    ]
    path = run / "not-finite.jsonl"
    write_file(path, "\n".join(lines) + "\n")
    culprits = [sentence for sentence, loss in losses.items() if not math.isfinite(loss)]
    every = len(culprits) == len(losses)
    return ValueError(
        f"{found}, as in the steps before it; it had sentences {_numbers(list(losses))} of train, "
        f"not finite alone {'are all' if every else _numbers(culprits) or 'is none'}, see {path}; "
        "lower trainer.learning_rate, or mend the data; "
        f"resume={run / 'checkpoints' / NOT_FINITE} takes this step again"
    )


def _loss_alone(tagger: Tagger, train: Batcher, sentence: int) -> float:
    device = next(tagger.parameters()).device
    tagger.eval()
    with torch.inference_mode():
        return tagger.loss(train.collate(np.array([sentence])).to(device)).item()


def _numbers(sentences: list[int]) -> str:
    """Sentences as they are counted in messages, from 1."""
    named = ", ".join(str(sentence + 1) for sentence in sentences[:_NAMED])
    more = len(sentences) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
