"""Gradients to weights: parameter groups, clipping, the schedule, mixed precision."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.device import autocast_dtype
from nerlab.models.tagger import ParameterGroup


class TaggerOptimizer:
    """Everything that happens to the weights of a tagger.

    A step whose loss or gradient is not finite changes neither weights nor moments. On a CPU an
    ``if`` decides that. On a GPU torch's ``GradScaler`` does, so the host never waits for the
    device: :meth:`clip` makes all gradients of such a step nan, and the scaler skips these.
    ``ValueError`` if the precision is not available on the device.
    """

    def __init__(self, tagger: nn.Module, config: TrainerConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        if config.precision is Precision.fp16 and device.type != "cuda":
            raise ValueError(
                f"trainer.precision=fp16: expected a GPU, found device {device.type}; "
                "set trainer.precision=fp32 or bf16"
            )
        self.dtype = autocast_dtype(config.precision, device)
        self.optimizers = build_optimizers(tagger, config, device)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        self._published = [p for group in groups if group["pretrained"] for p in group["params"]]
        self.learning_rate = config.learning_rate
        scale = 2.0**16 if self.dtype == torch.float16 else 1.0
        self.scaler = torch.amp.GradScaler(device.type, scale, enabled=device.type == "cuda")

    def begin_epoch(self, epoch: int) -> None:
        """Freeze published weights in the first ``frozen_epochs``; then they learn as all others.

        What is frozen has no gradient: nothing is computed back through it, and no optimiser
        touches it or its moments. Its dropout stays that of training.
        """
        for parameter in self._published:
            parameter.requires_grad_(epoch >= self.config.frozen_epochs)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        self.scaler.scale(loss).backward()

    @torch.no_grad()
    def clip(self, loss: Tensor) -> Tensor:
        """Scale all gradients down so that their common norm is at most ``clip_norm``.

        Returns the norm before; nan, as all gradients then, if it or ``loss`` is not finite.
        """
        gradients = []
        for parameter in self._parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
                gradients.append(parameter.grad.values())
            elif parameter.grad is not None:
                gradients.append(parameter.grad)
        scaled = nn.utils.get_total_norm(gradients)
        norm = scaled / self.scaler.scale(torch.ones_like(scaled))
        norm = torch.where((norm + loss).isfinite(), norm, torch.nan)
        factor = (self.config.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        return norm

    def step(self, norm: Tensor, progress: float) -> None:
        """Change the weights, unless the ``norm`` of :meth:`clip` is nan; clear the gradients.

        ``progress`` is the share of training that is done, 0 to 1.
        """
        factor = schedule(progress, self.config.schedule, self.config.warmup)
        self.learning_rate = self.config.learning_rate * factor
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["learning_rate"] * factor
            if self.scaler.is_enabled():
                self.scaler.step(optimizer)
            elif not norm.isnan():
                optimizer.step()
            optimizer.zero_grad()
        self.scaler.update(None if self.dtype == torch.float16 else 1.0)

    def moments(self) -> dict[str, Tensor]:
        """What the optimisers remember: ``optimizer.<number>.<parameter>.<name>``."""
        return {
            f"optimizer.{number}.{parameter}.{name}": value
            for number, optimizer in enumerate(self.optimizers)
            for parameter, moments in optimizer.state_dict()["state"].items()
            for name, value in moments.items()
        }


def schedule(progress: float, kind: Schedule, warmup: float) -> float:
    """The factor of the learning rate after a share ``progress`` of training.

    It rises linearly from 0 to 1 over the share ``warmup``; over the rest it stays (constant),
    falls along a line, or along half a cosine, to 0.
    """
    if progress < warmup:
        return progress / warmup
    rest = (progress - warmup) / (1 - warmup) if warmup < 1 else 1.0
    if kind is Schedule.linear:
        return 1 - rest
    if kind is Schedule.cosine:
        return 0.5 * (1 + math.cos(math.pi * rest))
    return 1.0


def build_optimizers(
    tagger: nn.Module, config: TrainerConfig, device: torch.device
) -> list[torch.optim.Optimizer]:
    """One optimiser, and on the CPU with Adam a second one for sparse parameters.

    A batch uses some hundred rows of a table of many thousand. On the CPU, passing over the whole
    table would cost a third of the step, so its gradient is sparse there; a GPU would have to wait
    to learn which rows.
    """
    lazy = device.type == "cpu" and config.optimizer is not Optimizer.sgd
    groups = group_parameters(tagger, config, lazy)
    dense, rows = ([g for g in groups if g["sparse"] is sparse] for sparse in (False, True))
    lr = config.learning_rate
    optimizers: list[torch.optim.Optimizer]
    if config.optimizer is Optimizer.sgd:
        optimizers = [torch.optim.SGD(dense, lr, config.momentum, fused=True)]
        names = ["momentum_buffer"] if config.momentum else []
    else:
        method = torch.optim.Adam if config.optimizer is Optimizer.adam else torch.optim.AdamW
        optimizers = [method(dense, lr, fused=True), *([RowAdam(rows, lr)] if rows else [])]
        names = ["exp_avg", "exp_avg_sq"]
    # There from the start, so a checkpoint has the same names at any step; and SGD would begin with
    # uninitialised memory, should the GPU skip the first step.
    for optimizer in optimizers:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            state = optimizer.state[parameter]
            state.update({name: torch.zeros_like(parameter) for name in names})
            if "exp_avg" in state:
                state["step"] = torch.zeros((), device=parameter.device)
    return optimizers


def group_parameters(tagger: nn.Module, config: TrainerConfig, lazy: bool) -> list[dict[str, Any]]:
    """What is optimised, in groups that are optimised alike, each as torch takes it.

    Modules of the tagger name groups, and all other parameters are one. Linear layer and decoder
    have a rate of their own where ``head_learning_rate`` is one. Weight decay applies to matrices,
    and makes a sparse group dense; unless ``lazy`` there is none.

    Published weights that are frozen to the end need no gradient from now on, and are in no group.
    ``ValueError`` if there are none to freeze.
    """
    tables = {id(m.weight): m for m in tagger.modules() if isinstance(m, nn.Embedding)}
    named = [g for m in tagger.modules() for g in getattr(m, "parameter_groups", list)()]
    taken = {id(parameter) for group in named for parameter in group.parameters}
    others = ParameterGroup([p for p in tagger.parameters() if id(p) not in taken])
    published = [p for group in named if group.pretrained for p in group.parameters]
    if config.frozen_epochs and not published:
        raise ValueError(
            f"trainer.frozen_epochs={config.frozen_epochs}: expected a published model, whose "
            "weights can be frozen, found none; set it to 0, or choose model=pretrained"
        )
    if config.frozen_epochs >= config.epochs:
        for parameter in published:
            parameter.requires_grad_(False)
    rates = {id(parameter): config.learning_rate for parameter in tagger.parameters()}
    if config.head_learning_rate is not None:
        names = tagger.named_parameters()
        head = (p for name, p in names if name.startswith(("linear.", "decoder.")))
        rates |= dict.fromkeys(map(id, head), config.head_learning_rate)
    groups: dict[tuple[float, ...], dict[str, Any]] = {}
    for group in [*named, others]:
        for parameter in filter(lambda p: p.requires_grad, group.parameters):
            decay = config.weight_decay * (group.weight_decay and parameter.dim() > 1)
            table = tables.get(id(parameter))
            sparse = lazy and group.sparse and not decay and table is not None
            if table is not None:
                table.sparse = sparse
            kind = {
                "sparse": sparse,
                "weight_decay": decay,
                "learning_rate": rates[id(parameter)] * group.learning_rate_factor,
                "pretrained": group.pretrained,
            }
            alike = groups.setdefault(tuple(kind.values()), {"params": [], **kind})
            alike["params"].append(parameter)
    return list(groups.values())


class RowAdam(torch.optim.Optimizer):
    """Adam (Kingma and Ba 2015) on the rows that have a gradient, for tables with sparse ones.

    The moments of a row decay only in the steps that use it; otherwise each row moves as in Adam.
    """

    def __init__(self, tables: list[dict[str, Any]], lr: float) -> None:
        super().__init__(tables, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move the rows that have a gradient."""
        for group in self.param_groups:
            for table in (table for table in group["params"] if table.grad is not None):
                state, gradient = self.state[table], table.grad.coalesce()
                rows, values = gradient.indices()[0], gradient.values()
                state["step"] += 1
                steps = state["step"].item()
                mean = state["exp_avg"][rows].lerp_(values, 1 - 0.9)
                square = state["exp_avg_sq"][rows].lerp_(values * values, 1 - 0.999)
                state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
                # Divided by what the decay from zero has reached.
                root = (square / (1 - 0.999**steps)).sqrt_().add_(1e-8)
                table.index_add_(0, rows, mean / root, alpha=-group["lr"] / (1 - 0.9**steps))
