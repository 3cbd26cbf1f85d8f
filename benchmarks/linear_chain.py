"""Time the linear-chain CRF against pytorch-crf, torch-struct and the textbook loop.

    python benchmarks/linear_chain.py

Every baseline is first held to our loss, gradients and best paths. Then all take turns; what is
printed are medians of the rounds, "times" being the median of the rounds' ratios. Lengths are
drawn from T/2 to T. Memory is what one pass allocates at its peak beyond its inputs: on a GPU
as torch counts it, on a CPU the growth of the resident memory of the process (Linux). Every
measurement has a process of its own, for what one leaves behind slows down the next; and
torch-struct, which takes up to half a minute a call, is timed in one round apart from the others.
"""

import argparse
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
import torch_struct
import torchcrf
from torch import Tensor

from nerlab.device import choose_device
from nerlab.modules.linear_chain import LinearChain

Shape = tuple[int, int, int]  # B, T, K
Rows = Iterator[list[str]]
Result = TypeVar("Result")

# How many times as fast as pytorch-crf we want to be: loss and gradients, best paths
_CPU_SHAPES = {
    (32, 50, 9): (5.0, 4.5),
    (32, 50, 17): (5.0, 4.5),
    (64, 120, 37): (10.0, 5.5),
    (128, 40, 51): (10.0, 6.5),
    (8, 512, 17): (14.0, 5.0),
}
_GPU_SHAPES = {(32, 50, 17): (20.0, 20.0), (8, 512, 17): (20.0, 20.0)}
_MOST_K_BEST = 12.0  # topk(10) against argmax
_ROUND_SECONDS = 0.15


@dataclass
class Problem:
    """Emissions with gradients, parameters, lengths and gold tags."""

    emissions: Tensor  # (B, T, K)
    transitions: Tensor  # (K, K)
    start: Tensor  # (K,)
    end: Tensor  # (K,)
    lengths: Tensor  # (B,)
    tags: Tensor  # (B, T)
    mask: Tensor  # (B, T)

    @property
    def scores(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What gradients are taken in."""
        return self.emissions, self.transitions, self.start, self.end


def make_problem(B: int, T: int, K: int, device: torch.device) -> Problem:
    """Normal scores; the longest sentence has T tokens."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(B, T, K), (K, K), (K,), (K,)]
    emissions, transitions, start, end = (
        torch.randn(shape, generator=generator).to(device).requires_grad_() for shape in shapes
    )
    lengths = torch.randint((T + 1) // 2, T + 1, (B,), generator=generator)
    lengths[0] = T
    tags = torch.randint(K, (B, T), generator=generator)
    mask = torch.arange(T) < lengths[:, None]
    lengths, tags, mask = lengths.to(device), tags.to(device), mask.to(device)
    return Problem(emissions, transitions, start, end, lengths, tags, mask)


class Ours:
    """nerlab's, for one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def _chain(self) -> LinearChain:
        return LinearChain(*self.problem.scores, self.problem.lengths)

    def nll(self) -> Tensor:
        """Summed over the batch."""
        return -self._chain().log_prob(self.problem.tags).sum()

    def best(self) -> list[list[int]]:
        """The best path of each sentence."""
        with torch.no_grad():
            paths = self._chain().argmax.tolist()
        return [path[:n] for path, n in zip(paths, self.problem.lengths.tolist(), strict=True)]

    def ten_best(self) -> Tensor:
        """The scores of the ten best paths ``(10, B)``."""
        with torch.no_grad():
            return self._chain().topk(10)[1]


class PytorchCRF:
    """The CRF most widely used: loops over T with a (B, K, K) log-sum-exp, Python lists."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.crf = torchcrf.CRF(len(problem.start), batch_first=True)
        self.crf.transitions = torch.nn.Parameter(problem.transitions.detach())
        self.crf.start_transitions = torch.nn.Parameter(problem.start.detach())
        self.crf.end_transitions = torch.nn.Parameter(problem.end.detach())

    def scores(self) -> tuple[Tensor, ...]:
        """What gradients are taken in."""
        crf = self.crf
        parameters = crf.transitions, crf.start_transitions, crf.end_transitions
        return self.problem.emissions, *parameters

    def nll(self) -> Tensor:
        """Summed over the batch."""
        loss: Tensor = -self.crf(self.problem.emissions, self.problem.tags, self.problem.mask)
        return loss

    def best(self) -> list[list[int]]:
        """The best path of each sentence."""
        with torch.no_grad():
            paths: list[list[int]] = self.crf.decode(self.problem.emissions, self.problem.mask)
        return paths


class TorchStruct:
    """Structured distributions in PyTorch: a tree of (K, K) semiring products."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def _distribution(self) -> torch_struct.LinearChainCRF:
        p = self.problem
        T = p.emissions.shape[1]
        steps = torch.arange(T - 1, device=p.lengths.device)
        edges = p.transitions.t() + p.emissions[:, 1:, :, None]  # [to, from]
        first = (steps == 0)[:, None, None] * (p.start + p.emissions[:, 0])[:, None, None, :]
        last = (steps == p.lengths[:, None] - 2)[..., None, None] * p.end[:, None]
        return torch_struct.LinearChainCRF(edges + first + last, lengths=p.lengths)

    def nll(self) -> Tensor:
        """Summed over the batch."""
        chain = LinearChain(*self.problem.scores, self.problem.lengths)  # the gold score alone
        gold = chain.path_score(self.problem.tags).float()
        return (self._distribution().partition - gold).sum()

    def best(self) -> list[list[int]]:
        """The best path of each sentence."""
        edges = self._distribution().argmax  # (B, T - 1, to, from), one 1 a step
        to, from_ = edges.sum(3).argmax(2).tolist(), edges.sum(2).argmax(2).tolist()
        return [
            [f[0], *o[: n - 1]]
            for o, f, n in zip(to, from_, self.problem.lengths.tolist(), strict=True)
        ]


class Textbook:
    """The forward recursion and Viterbi as a textbook has them, batched, in log space."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def nll(self) -> Tensor:
        """Summed over the batch."""
        p = self.problem
        chain = LinearChain(*p.scores, p.lengths)  # the gold score alone
        alpha = p.start + p.emissions[:, 0]
        for t in range(1, p.emissions.shape[1]):
            onward = torch.logsumexp(alpha[:, :, None] + p.transitions, 1) + p.emissions[:, t]
            alpha = torch.where(p.mask[:, t, None], onward, alpha)
        log_z = torch.logsumexp(alpha + p.end, 1)
        return (log_z - chain.path_score(p.tags).float()).sum()

    @torch.no_grad()
    def best(self) -> list[list[int]]:
        """The best path of each sentence."""
        p = self.problem
        score, sources = p.start + p.emissions[:, 0], []
        for t in range(1, p.emissions.shape[1]):
            onward, source = (score[:, :, None] + p.transitions).max(1)
            score = torch.where(p.mask[:, t, None], onward + p.emissions[:, t], score)
            sources.append(source)
        tags = (score + p.end).argmax(1).tolist()
        steps = [source.tolist() for source in sources]
        paths = []
        for b, n in enumerate(p.lengths.tolist()):
            path = [tags[b]]
            for step in reversed(steps[: n - 1]):
                path.append(step[b][path[-1]])
            paths.append(path[::-1])
        return paths


Implementation = Ours | PytorchCRF | TorchStruct | Textbook
_IMPLEMENTATIONS: dict[str, type[Implementation]] = {
    "nerlab": Ours,
    "pytorch-crf": PytorchCRF,
    "torch-struct": TorchStruct,
    "textbook": Textbook,
}


def loss_and_gradients(implementation: Implementation) -> tuple[Tensor, ...]:
    """One forward and backward pass."""
    inputs = (
        implementation.scores()
        if isinstance(implementation, PytorchCRF)
        else implementation.problem.scores
    )
    loss = implementation.nll()
    return loss.detach(), *torch.autograd.grad(loss, inputs)


def check_agreement(implementations: dict[str, Implementation]) -> None:
    """Raise ``AssertionError`` where a baseline disagrees with us."""
    ours = loss_and_gradients(implementations["nerlab"])
    best = path_log_probs(implementations["nerlab"])
    for name, implementation in implementations.items():
        for mine, theirs in zip(ours, loss_and_gradients(implementation), strict=True):
            # Theirs is float32 all the way.
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=2e-3, msg=name)
        # Paths may differ where their scores do not, as far as float32 goes.
        torch.testing.assert_close(
            path_log_probs(implementation), best, rtol=0.0, atol=1e-3, msg=name
        )


def path_log_probs(implementation: Implementation) -> Tensor:
    """log p ``(B,)`` of the paths that an implementation finds best, in float64."""
    problem = implementation.problem
    T = problem.emissions.shape[1]
    paths = [path + [0] * (T - len(path)) for path in implementation.best()]
    emissions, transitions, start, end = (scores.detach().double() for scores in problem.scores)
    chain = LinearChain(emissions, transitions, start, end, problem.lengths)
    return chain.log_prob(torch.tensor(paths, device=emissions.device))


def measure(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of one call in each round; the calls of a round take turns."""
    repeats = {}
    for name, work in works.items():
        work()
        repeats[name] = max(1, round(_ROUND_SECONDS / _seconds(work, 1)))
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(_seconds(work, repeats[name]))
    return times


def _seconds(work: Callable[[], object], repeats: int) -> float:
    _wait()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait()
    return (time.perf_counter() - start) / repeats


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass
class Measured:
    """Seconds of each implementation in each round."""

    nll: dict[str, list[float]]
    best: dict[str, list[float]]
    ten_best: list[float]


def measure_shape(names: list[str], shape: Shape, rounds: int, device: torch.device) -> Measured:
    """Hold the implementations against each other and time them."""
    _quiet_torch_struct()
    implementations = {name: _IMPLEMENTATIONS[name](make_problem(*shape, device)) for name in names}
    check_agreement(implementations)
    ours = implementations["nerlab"]
    assert isinstance(ours, Ours)
    passes: dict[str, Callable[[], object]] = {
        name: partial(loss_and_gradients, implementation)
        for name, implementation in implementations.items()
    }
    paths: dict[str, Callable[[], object]] = {
        n: implementation.best for n, implementation in implementations.items()
    }
    best = measure(paths | {"ten best": ours.ten_best}, rounds)
    return Measured(measure(passes, rounds), best, best.pop("ten best"))


def apart(function: Callable[..., Result], *arguments: object) -> Result:
    """The result of a function that runs in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _quiet_torch_struct() -> None:
    torch.distributions.Distribution.set_default_validate_args(False)
    warnings.filterwarnings("ignore", message=".*arg_constraints")


def peak_memory(name: str, shape: Shape, device: torch.device) -> float:
    """MiB that the loss and its gradients take beyond the inputs."""
    _quiet_torch_struct()
    small = _IMPLEMENTATIONS[name](make_problem(2, 3, shape[2], device))
    loss_and_gradients(small)  # loads the libraries
    implementation = _IMPLEMENTATIONS[name](make_problem(*shape, device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss_and_gradients(implementation)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    resident = _resident("VmRSS")
    loss_and_gradients(implementation)
    return _resident("VmHWM") - resident


def _resident(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 2**10


def rows(shape: Shape, wanted: tuple[float, float], rounds: int, device: torch.device) -> Rows:
    """The lines of the table for one shape."""
    together = [name for name in _IMPLEMENTATIONS if name != "torch-struct"]
    measured = apart(measure_shape, together, shape, rounds, device)
    slow = apart(measure_shape, ["nerlab", "torch-struct"], shape, 1, device)
    for name in _IMPLEMENTATIONS:
        this = slow if name == "torch-struct" else measured
        row = [str(shape) if name == "nerlab" else "", name]
        for times, want in ((this.nll, wanted[0]), (this.best, wanted[1])):
            row.append(f"{1e3 * statistics.median(times[name]):.2f}")
            ratio = _ratio(times[name], times["nerlab"])
            target = f" ({want:g})" if name == "pytorch-crf" else ""
            row.append("" if name == "nerlab" else f"{ratio:.1f}{target}")
        row.append(f"{apart(peak_memory, name, shape, device):.1f}")
        k_best = f"{_ratio(this.ten_best, this.best['nerlab']):.1f} ({_MOST_K_BEST:g})"
        yield [*row, k_best if name == "nerlab" else ""]


def _ratio(numerators: list[float], denominators: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("milliseconds, how many times ours (wanted), peak MiB of loss and gradients,")
    print("and topk(10) as a multiple of argmax (at most)\n")
    head = ["B, T, K", "", "NLL", "times", "Viterbi", "times", "MiB", "topk"]
    layout = "{:<14}{:<14}{:>9}{:>12}{:>9}{:>12}{:>8}{:>11}"
    print(layout.format(*head))
    for shape, wanted in (_CPU_SHAPES if device.type == "cpu" else _GPU_SHAPES).items():
        for row in rows(shape, wanted, arguments.rounds, device):
            print(layout.format(*row), flush=True)


if __name__ == "__main__":
    main()
