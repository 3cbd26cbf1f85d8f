"""``python -m nerlab summary``: modules, shapes, parameters and memory."""

import re
from pathlib import Path

import pytest
import torch
from composed import compose
from conftest import SMALL_MODEL, Result, run_script
from helpers import make_batcher
from own_package import importable, write_package
from safetensors.torch import load_file

from nerlab.models.forward import example_batch
from nerlab.training.experiment import begin_training
from nerlab.training.summary import log_lines, modules_of, with_letters

SMALL, _ = make_batcher()
MODEL = [key for key in SMALL_MODEL if key.startswith("model")]


def summary(*arguments: str) -> Result:
    result = run_script("nerlab/__main__", "summary", *arguments)
    assert (result.status, result.err) == (0, "")
    return result


def rows(printed: str) -> dict[str, list[str]]:
    """The cells of each row of the table, by the first one."""
    lines = (re.split(r"\s*[│┃]\s*", line.strip(" │┃")) for line in printed.splitlines())
    return {cells[0]: cells[1:] for cells in lines if len(cells) == 6}


def test_the_table_has_the_numbers_of_the_weights(run: Path, corpus: Path) -> None:
    saved = load_file(run / "checkpoints" / "best" / "model.safetensors")
    of_checkpoint = summary(f"checkpoint={run}").out
    of_configuration = summary(*MODEL, "data=conll", f"data.dir={corpus}").out
    assert of_configuration.startswith(of_checkpoint)
    found = rows(of_checkpoint)
    assert int(found["all"][2].replace(",", "")) == sum(w.numel() for w in saved.values())
    for name, (_, _, parameters, trainable, _) in found.items():
        if name not in ("module", "all"):
            inside = (w.numel() for n, w in saved.items() if n.startswith(f"{name}."))
            assert int(parameters.replace(",", "")) == sum(inside), name
            assert trainable == parameters
    assert found["stages.encoder"][:2] == ["LSTM", "(B, T, 32)"]
    assert found["embedder.words"][:2] == ["Words", "(U, 16)"]
    assert found["decoder"][:2] == ["CRF", "(B, T)"]
    assert "training takes, beside what it makes of a batch: weights " in of_configuration


def test_a_part_with_a_wrong_output_dim_is_one_line(corpus: Path, tmp_path: Path) -> None:
    write_package(tmp_path)
    path = tmp_path / "mylab" / "encoders.py"
    path.write_text(path.read_text().replace("self.output_dim = hidden_dim", "self.output_dim = 5"))
    keys = [f"--config-dir={tmp_path / 'conf'}", "data=conll", f"data.dir={corpus}", "trust=mylab"]
    with importable(tmp_path):
        for script, *verb in (("nerlab/__main__", "summary"), ("train",)):
            more = ["model/encoder=gru"] if verb else ["model/encoder=gru", f"run.dir={tmp_path}/r"]
            result = run_script(script, *verb, *keys, *more)
            assert (result.status, result.out) == (1, "")
            assert result.err == (
                "error: model.encoder: what forward returns: expected (B, T, output_dim) = "
                "(3, 9, 5), found (3, 9, 24); self.output_dim is 5, set it to 24\n"
            )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("keys", "moments", "averages"),
    [
        ([], 2, 0),
        (["trainer.ema=0.9"], 2, 1),
        (["trainer.optimizer=sgd", "trainer.momentum=0.9"], 1, 0),
        (["trainer.optimizer=sgd"], 0, 0),
    ],
)
def test_the_memory_is_that_of_the_tensors(keys: list[str], moments: int, averages: int) -> None:
    config = compose("train", [*MODEL, *keys])
    state = begin_training(config, SMALL, (), torch.device("cpu"))
    modules = modules_of(state.tagger, SMALL, config.model)
    first, *others = log_lines(state, modules)
    assert len(others) == 5
    weights = sum(4 * p.numel() for p in state.tagger.parameters())
    kilobytes = {name: float(n) for name, n in re.findall(r"(\w+) ([\d.]+) kB", first)}
    assert kilobytes["gradients"] == pytest.approx(weights / 1000, abs=0.1)
    assert kilobytes.get("optimiser", 0) == pytest.approx(moments * weights / 1000, abs=0.3)
    assert kilobytes.get("average", 0) == pytest.approx(averages * weights / 1000, abs=0.4)


def test_many_parts_are_summed_up_in_the_log() -> None:
    encoder = compose("train").model.encoder
    config = compose("train", MODEL)
    config.model.encoder = {f"number_{i}": encoder for i in range(8)}
    state = begin_training(config, SMALL, (), torch.device("cpu"))
    lines = log_lines(state, modules_of(state.tagger, SMALL, config.model))
    assert len(lines) == 7
    numbers = [int(re.findall(r"([\d,]+) parameter", line)[0].replace(",", "")) for line in lines]
    assert numbers[0] == sum(numbers[1:])


def test_letters_stand_for_the_sizes_of_the_batch() -> None:
    batch = example_batch(SMALL)
    shapes = [(3, 9, 7), (19, 7), (3, 21, 7), (5, 9), (3,), ()]
    expected = ["(B, T, 7)", "(U, 7)", "(B, 21, 7)", "(5, 9)", "(B)", "()"]
    assert [with_letters(shape, batch) for shape in shapes] == expected
