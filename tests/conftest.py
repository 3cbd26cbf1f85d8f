"""What the tests share: a tiny corpus, a tagger trained on it once, the scripts as functions."""

import gc
import io
import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, redirect_stderr, redirect_stdout
from functools import cache, lru_cache, partial
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import composed
import hydra
import pytest
import torch
import yaml
from fork_server import Process, start_cold, start_python
from hypothesis import settings
from omegaconf import OmegaConf
from server_process import Server, running_server

ROOT = Path(__file__).resolve().parent.parent
SMALL_MODEL = (
    "data=conll",
    "data.test=test.conll",
    "tracker=none",
    "model.embedder.words.dim=16",
    "model.embedder.characters.dim=8",
    "model.embedder.characters.filters=8",
    "model.encoder.hidden_dim=32",
    "trainer.learning_rate=0.02",
    "trainer.batch_tokens=100",
    "trainer.log_every=4",
    "trainer.epochs=6",
    "model.dropout=0.2",
)

# Each run draws other examples, and keeps those that failed.
settings.register_profile("quick", deadline=None, max_examples=50)
settings.register_profile("long", deadline=None, max_examples=1000)  # make test-long
settings.load_profile("quick")
torch.set_num_threads(1)
# Of a background job of a shell SIGINT is ignored, and of every process that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Garbage is looked for among what the tests make, not again and again in all modules."""
    _look_for_garbage_in_what_comes()
    gc.set_threshold(1_000, 10, 200)


def _look_for_garbage_in_what_comes() -> None:
    gc.collect()
    gc.freeze()


class Result(NamedTuple):
    """What a script left behind."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the person who runs the tests gets into them: no key, no mode, no home."""
    cache = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("WANDB_", "HYDRA_")):
                patch.delenv(name)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("NERLAB_CACHE", cache)
        patch.setenv("no_proxy", "*")  # servers of the tests are on this machine
        yield


@pytest.fixture(scope="session", autouse=True)
def _files_parsed_once() -> Iterator[None]:
    """YAML is parsed at a tenth of a megabyte a second: of the same text there are copies."""
    load, load_plain, events = OmegaConf.load, yaml.safe_load, yaml.parse
    parse_plain = lru_cache(maxsize=256)(lambda text: pickle.dumps(load_plain(text)))
    parse_events = lru_cache(maxsize=256)(lambda text, loader: tuple(events(text, loader)))
    parse = lru_cache(maxsize=256)(lambda text: pickle.dumps(load(io.StringIO(text))))

    def load_copy(source: Any) -> Any:
        try:
            is_file = isinstance(source, io.TextIOWrapper)
            text = source.read() if is_file else Path(source).read_text(encoding="utf-8")
            return pickle.loads(parse(text))
        except Exception:  # as it would be raised: with the name of the file
            if is_file:
                source.seek(0)
            return load(source)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load_copy)
        patch.setattr(yaml, "safe_load", lambda text: pickle.loads(parse_plain(text)))
        patch.setattr(yaml, "parse", parse_events)
        yield


@pytest.fixture(scope="session", autouse=True)
def _composed_once() -> Iterator[None]:
    """Scripts that are called in this process have copies of a configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hydra, "main", composed.main)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Nothing here loses its power; test_files.py sees that the calls are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train, dev and test in IOB2 columns, simple enough to be learned in seconds."""
    folder = tmp_path_factory.mktemp("corpus")
    people = ("Anna Smith", "Omar", "Li Wei", "Aygün Əliyeva", "محمد", "Tom")
    places = (
        "Berlin",
        "Paris",
        "Bakı",
        "北京",
        "القاهرة",
        "New York",
        "Rome",
        "Oslo",
        "Lima",
        "Riga",
    )
    sentences = [
        (person, "flew", "to", place, ".") if i % 2 else ("In", place, person, "met", "Eve", ".")
        for i, (person, place) in enumerate(product(people, places))
    ]
    # Every third sentence of dev and test is in train as well.
    splits = {"train": sentences[::3] + sentences[1::3], "dev": sentences[2::3] + sentences[:6]}
    for split, chosen in {**splits, "test": splits["dev"][::2]}.items():
        labels = dict.fromkeys((*people, "Eve"), "PER") | dict.fromkeys(places, "LOC")
        text = "-DOCSTART- O\n\n" + "\n".join(_columns(s, labels) for s in chosen)
        (folder / f"{split}.conll").write_text(text, encoding="utf-8")
    return folder


def _columns(sentence: Sequence[str], labels: dict[str, str]) -> str:
    lines = []
    for part in sentence:
        for i, token in enumerate(part.split()):
            tag = f"{'I' if i else 'B'}-{labels[part]}" if part in labels else "O"
            lines.append(f"{token} {tag}\n")
    return "".join(lines)


@pytest.fixture(scope="session")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of train.py with a small model; do not write into it."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    result = run_script("train", *SMALL_MODEL, f"data.dir={corpus}", f"run.dir={directory}")
    assert result.status == 0, result.err
    _look_for_garbage_in_what_comes()  # the first step of a training imports much
    return directory


StartServer = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def start_server(tmp_path: Path, run: Path) -> StartServer:
    """:func:`running_server` with the model of the tests, which other arguments follow."""
    return partial(running_server, tmp_path, f"checkpoint={run}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Iterator[Server]:
    """A server with the model of the tests, which all share; do not stop it."""
    with running_server(tmp_path_factory.mktemp("server"), f"checkpoint={run}") as server:
        yield server


def run_script(name: str, *arguments: str, stdin: bytes = b"", encoding: str = "utf-8") -> Result:
    """Call a script of the repository in this process; what it raises comes through."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2))
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryFile() as file,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        file.write(stdin)
        file.seek(0)
        patch.setattr(sys, "argv", [f"{name}.py", *arguments])
        patch.setattr(sys, "stdin", file)
        patch.setenv("HYDRA_FULL_ERROR", "0")  # the script sets it: restore it afterwards
        status = 0
        try:
            load_script(name).main()
        except SystemExit as stop:
            status = int(stop.code or 0)
    streams = (stream.buffer for stream in (out, err))
    written = [s.getvalue().decode() for s in streams if isinstance(s, io.BytesIO)]
    return Result(status, *written)


def run_process(command: Sequence[str], cwd: Path, **env: str) -> Result:
    """Run ``python COMMAND`` as a process of its own; torch is imported in it already."""
    return _result(start_python(command, cwd, env))


def run_cold(command: Sequence[str], cwd: Path, **env: str) -> Result:
    """Run ``python COMMAND`` as a person would, with an interpreter that imports everything."""
    return _result(start_cold(command, cwd, env))


def _result(process: Process) -> Result:
    out, err = process.communicate(timeout=300)
    return Result(process.wait(), out, err)


@cache
def load_script(name: str) -> ModuleType:
    """A script of the repository as a module."""
    spec = spec_from_file_location(f"script_{name}", ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
