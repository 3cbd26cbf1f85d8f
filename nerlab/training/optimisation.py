"""Gradients to weights: optimisers, schedule, mixed precision, clipping, moving average."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.models.checkpoint import State
from nerlab.training.row_adam import RowAdam
from nerlab.training.state import Expected, check_tensor, number, section, whole

_LARGEST = torch.finfo(torch.float32).max
_AVERAGE_EVERY = 8  # steps; the average of the weights would cost a tenth of a step otherwise


class Step(NamedTuple):
    """What a step was, on the device.

    Attributes:
        loss: the sum of its losses.
        norm: that of the gradient before clipping.
        skipped: 1.0 if weights and moments stayed as they were, because the loss or the gradient
            was not finite; else 0.0.
    """

    loss: Tensor
    norm: Tensor
    skipped: Tensor


class Optimisation:
    """Everything that happens to the weights of a tagger.

    Args:
        tagger: the model, already on ``device``.
        config: the trainer's configuration.
        device: where it is trained.

    Raises:
        ValueError: the precision is not to be had on the device.
    """

    def __init__(self, tagger: nn.Module, config: TrainerConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.autocast_dtype = _autocast_dtype(config.precision, device)
        self._parameters = [p for p in tagger.parameters() if p.requires_grad]
        self._optimizers = _build_optimizers(tagger, config, device)
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=self.autocast_dtype == torch.float16
        )
        self._average = WeightAverage(self._parameters, config.ema) if config.ema else None
        self.learning_rate = config.learning_rate
        self._loss = torch.zeros((), device=device)

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """The arithmetic of the forward pass."""
        enabled = self.autocast_dtype != torch.float32
        with torch.autocast(self.device.type, dtype=self.autocast_dtype, enabled=enabled):
            yield

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of one of the ``accumulate`` losses of a step."""
        self._loss = self._loss + loss.detach()
        self._scaler.scale(loss).backward()

    def clear_gradients(self) -> None:
        """Begin the step anew."""
        self._loss = torch.zeros_like(self._loss)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)

    def step(self, progress: float) -> Step:
        """Change the weights, unless loss or gradient is not finite, and clear the gradients.

        Args:
            progress: the share of training that is done, 0 to 1.
        """
        self.learning_rate = self.config.learning_rate * schedule(
            progress, self.config.schedule, self.config.warmup
        )
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        norm = clip_gradients(self._parameters, self.config.clip_norm)
        skipped = (~(torch.isfinite(norm) & torch.isfinite(self._loss))).float()
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate
            # At 1 a fused optimiser changes nothing, and nobody has to wait for the device.
            optimizer.found_inf = skipped  # type: ignore[attr-defined]
            optimizer.step()
        self._scaler.update()
        if self._average:
            self._average.update()
        step = Step(self._loss, norm, skipped)
        self.clear_gradients()
        return step

    def state(self) -> State:
        """Everything that the next step depends on beside the weights."""
        tensors: dict[str, Tensor] = {}
        values: dict[str, Any] = {"scaler": self._scaler.state_dict()}
        for owner, optimizer in enumerate(self._optimizers):
            for parameter, moments in optimizer.state_dict()["state"].items():
                for name, value in moments.items():
                    key = f"optimizer.{owner}.{parameter}.{name}"
                    if isinstance(value, Tensor):
                        tensors[key] = value
                    else:
                        values[key] = value
        if self._average:
            tensors |= self._average.tensors()
            values["average_steps"] = self._average.steps
        return State(tensors, values)

    def restore(self, state: State) -> None:
        """Go on from a :meth:`state`; the weights are restored by whoever holds the model.

        Raises:
            ValueError: a tensor or a value is missing, unknown, or none of this optimisation's.
        """
        self._check(state)
        self._scaler.load_state_dict(dict(state.values["scaler"]))
        for owner, optimizer in enumerate(self._optimizers):
            moments: dict[int, dict[str, Any]] = {}
            for key, value in {**state.tensors, **state.values}.items():
                kind, _, rest = key.partition(".")
                which, _, rest = rest.partition(".")
                if kind == "optimizer" and int(which) == owner:
                    parameter, _, name = rest.partition(".")
                    moments.setdefault(int(parameter), {})[name] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if self._average:
            self._average.restore(state.tensors, state.values["average_steps"])

    def _check(self, state: State) -> None:
        """Raise ``ValueError`` unless everything in a state is what :meth:`state` gives."""
        scaler = section(state.values, "scaler")
        for name, fresh in self._scaler.state_dict().items():
            whole(scaler, name) if isinstance(fresh, int) else number(scaler, name, 0, _LARGEST)
        known: set[str] = set()
        for owner, optimizer in enumerate(self._optimizers):
            parameters = (p for group in optimizer.param_groups for p in group["params"])
            for index, parameter in enumerate(parameters):
                prefix = f"optimizer.{owner}.{index}."
                names = {prefix + name for name in _moment_names(optimizer)}
                # Without a gradient so far, Adam has nothing to remember.
                if isinstance(optimizer, torch.optim.SGD) or any(
                    key.startswith(prefix) for key in (*state.tensors, *state.values)
                ):
                    known |= names
                    _check_moments(state, prefix, parameter, optimizer)
        if self._average:
            whole(state.values, "average_steps")
            for name, tensor in self._average.tensors().items():
                known.add(name)
                check_tensor(name, state.tensors.get(name), Expected.like(tensor))
        own = ("optimizer", "average", "weight")
        for name in (*state.tensors, *state.values):
            if name.partition(".")[0] in own and name not in known:
                raise ValueError(f"{name}: unknown")

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Inside, the model has the averaged weights (its own, without ``trainer.ema``)."""
        if self._average is None:
            yield
            return
        self._average.swap()
        try:
            yield
        finally:
            self._average.swap()


class WeightAverage:
    """An exponential moving average of weights (Polyak and Juditsky 1992).

    After n steps the decay of one step is ``min(decay, (1 + n) / (10 + n))``, so that the first
    weights are soon forgotten.
    """

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self._weights = [p.data for p in parameters]
        self._averages = [p.data.clone() for p in parameters]
        self._decay = decay
        self.steps = 0

    def tensors(self) -> dict[str, Tensor]:
        """The averages, and the weights, which a checkpoint has the averages in place of."""
        named = {"average": self._averages, "weight": self._weights}
        return {
            f"{name}.{i}": tensor.clone()  # they are exchanged while they wait to be written
            for name, group in named.items()
            for i, tensor in enumerate(group)
        }

    def restore(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Go on from :meth:`tensors`."""
        self.steps = steps
        for i, (weight, average) in enumerate(zip(self._weights, self._averages, strict=True)):
            weight.copy_(tensors[f"weight.{i}"])
            average.copy_(tensors[f"average.{i}"])

    def update(self) -> None:
        """Count a step."""
        self.steps += 1
        interval = 1 if self.steps < _AVERAGE_EVERY else _AVERAGE_EVERY
        if self.steps % interval == 0:
            decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay**interval)

    def swap(self) -> None:
        """Exchange weights and averages."""
        for weight, average in zip(self._weights, self._averages, strict=True):
            weight_before = weight.clone()
            weight.copy_(average)
            average.copy_(weight_before)


def _moment_names(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """What an optimiser remembers of a parameter."""
    if isinstance(optimizer, torch.optim.SGD):
        return ("momentum_buffer",) if optimizer.defaults["momentum"] else ()
    return ("step", "exp_avg", "exp_avg_sq")


def _check_moments(
    state: State, prefix: str, parameter: Tensor, optimizer: torch.optim.Optimizer
) -> None:
    """Raise ``ValueError`` unless all that is remembered of a parameter is there, in its shape."""
    for name in _moment_names(optimizer):
        key = prefix + name
        if name != "step":
            check_tensor(key, state.tensors.get(key), Expected.like(parameter))
        elif isinstance(optimizer, RowAdam):
            whole(state.values, key)
        else:
            step = check_tensor(key, state.tensors.get(key), Expected((), torch.float32))
            number({key: step.item()}, key, 0, _LARGEST)


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


def clip_gradients(parameters: list[nn.Parameter], max_norm: float) -> Tensor:
    """Scale all gradients down so that their common norm is at most ``max_norm``.

    Returns the norm before, without waiting for the device. Sparse gradients are merged first.
    """
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            gradients.append(parameter.grad._values())
        else:
            gradients.append(parameter.grad)
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


def _autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    on_gpu = device.type == "cuda"
    if precision is Precision.auto:
        return torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float32
    if precision is Precision.fp16 and not on_gpu:
        raise ValueError(
            f"trainer.precision=fp16: expected a GPU, found device {device.type}; "
            "set trainer.precision=fp32 or bf16"
        )
    return {
        Precision.fp32: torch.float32,
        Precision.bf16: torch.bfloat16,
        Precision.fp16: torch.float16,
    }[precision]


def _build_optimizers(
    tagger: nn.Module, config: TrainerConfig, device: torch.device
) -> list[torch.optim.Optimizer]:
    """One optimiser, and on the CPU with Adam a second one for the lookup tables.

    A batch touches some hundred rows of a table of many thousand. On the CPU, passing over the
    whole table would cost a third of the step, so its gradient is sparse there and Adam's moments
    of a row move only when the row is used. A GPU would have to wait to learn which rows.

    Which tables these are the embedders say. Weight decay spares them everywhere: it would wear
    down the rows of rare words between their uses. An ``nn.Embedding`` that no embedder names, of
    positions say, is a matrix like any other: every step uses it, and it decays.
    """
    named = {id(t) for part in tagger.modules() for t in getattr(part, "lookup_tables", ())}
    tables = [m for m in tagger.modules() if isinstance(m, nn.Embedding) and id(m.weight) in named]
    lazy = device.type == "cpu" and config.optimizer is not Optimizer.sgd and bool(tables)
    for table in tables:
        table.sparse = lazy
    rows = [table.weight for table in tables if table.weight.requires_grad]
    in_tables = {id(weight) for weight in rows}
    decayed: list[Tensor] = []
    spared: list[Tensor] = [] if lazy else list(rows)
    for parameter in tagger.parameters():
        if parameter.requires_grad and id(parameter) not in in_tables:
            matrix = parameter.dim() > 1 and id(parameter) not in named
            (decayed if matrix and config.weight_decay else spared).append(parameter)
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in ((decayed, config.weight_decay), (spared, 0.0))
        if parameters
    ]
    optimizers: list[torch.optim.Optimizer] = []
    if lazy and rows:
        optimizers.append(RowAdam(rows, lr=config.learning_rate))
    if config.optimizer is Optimizer.sgd:
        sgd = torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
        if config.momentum:
            # torch would begin with memory as it finds it, should the first step be skipped.
            for weight in decayed + spared:
                sgd.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        optimizers.append(sgd)
    else:
        method = torch.optim.Adam if config.optimizer is Optimizer.adam else torch.optim.AdamW
        optimizers.append(method(groups, lr=config.learning_rate, fused=True))
    return optimizers
