"""What happened since the last line of metrics."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nerlab.training.optimisation import Step
from nerlab.training.state import number, whole


@dataclass(frozen=True)
class Window:
    """Loss, speed and skipped steps since the last line of metrics, added up on the device.

    Attributes:
        loss: the sum over batches, those of skipped steps apart.
        batches: of how many batches.
        skipped: steps skipped in this window.
        in_a_row: skipped steps since the last one that was not, in whatever window.
        tokens: tokens seen.
        start: when the window began, seconds of ``time.perf_counter``.
    """

    loss: Tensor
    batches: Tensor
    skipped: Tensor
    in_a_row: Tensor
    tokens: int = 0
    start: float = field(default_factory=time.perf_counter)

    @classmethod
    def empty(cls, device: torch.device) -> "Window":
        """One in which nothing has happened."""
        return cls(*torch.zeros(4, device=device))

    def add(self, step: Step, batches: int, tokens: int) -> "Window":
        """With one more step, of some batches with so many tokens."""
        skipped = step.skipped
        return replace(
            self,
            loss=self.loss + torch.where(skipped > 0, 0.0, step.loss * batches),
            batches=self.batches + batches * (1 - skipped),
            skipped=self.skipped + skipped,
            in_a_row=(self.in_a_row + 1) * skipped,
            tokens=self.tokens + tokens,
        )

    def next(self) -> "Window":
        """The window after this one."""
        return replace(Window.empty(self.loss.device), in_a_row=self.in_a_row)

    def metrics(self) -> dict[str, float]:
        """The metrics of this window; the loss is nan where every step was skipped."""
        loss, batches, skipped = torch.stack([self.loss, self.batches, self.skipped]).tolist()
        return {
            "train/loss": loss / batches if batches else float("nan"),
            "train/skipped_steps": int(skipped),
            "train/tokens_per_second": self.tokens / (time.perf_counter() - self.start),
        }

    def state(self) -> dict[str, float]:
        """What :meth:`restored` needs."""
        sums = {name: getattr(self, name).item() for name in _SUMS}
        return {**sums, "tokens": self.tokens}

    @classmethod
    def restored(cls, state: Mapping[str, Any], device: torch.device) -> "Window":
        """A window that goes on from a :meth:`state`; the speed counts from now.

        Raises:
            ValueError: a number is missing or makes no sense.
        """
        # Two of them are younger than the format; a sum of losses may be out of range.
        values = {"skipped": 0, "in_a_row": 0, **state}
        sums = [number(values, "loss", -math.inf, math.inf)]
        sums += [number(values, name, 0, _MOST_STEPS) for name in _SUMS[1:]]
        loss, batches, skipped, in_a_row = (torch.tensor(value, device=device) for value in sums)
        return cls(loss, batches, skipped, in_a_row, whole(values, "tokens"))


@dataclass
class SpeedWatch:
    """Tells when the speed of a run has fallen to a fifth of its best, once for each fall.

    It tells at the second slow window in a row: a single one may have held the saving of a
    checkpoint, or a few tokens only.

    Attributes:
        best: the highest speed so far, tokens a second.
        slow: slow windows in a row.
    """

    best: float = 0.0
    slow: int = 0

    def has_fallen(self, speed: float) -> bool:
        """Whether the speed of one more window is what tells it."""
        self.best = max(self.best, speed)
        self.slow = self.slow + 1 if speed <= self.best / 5 else 0
        return self.slow == 2


_SUMS = ("loss", "batches", "skipped", "in_a_row")
_MOST_STEPS = 2**53
