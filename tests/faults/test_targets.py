"""Every callable of nerlab as a ``_target_`` in every section: a rightful part, or one line."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import run_script
from helpers import make_batcher
from invariants import one_line
from omegaconf import OmegaConf
from own_package import importable, write_package

import nerlab
from nerlab.data.load import READERS
from nerlab.instantiation import instantiate
from nerlab.models.build import (
    DECODERS,
    EMBEDDERS,
    ENCODERS,
    INDEXERS,
    build_tagger,
    fit_vocabulary,
)
from nerlab.training.trackers import TRACKERS

VOCABULARY, BATCHER = make_batcher()
SECTIONS = {
    "embedder": EMBEDDERS,
    "indexer": INDEXERS,
    "encoder": ENCODERS,
    "decoder": DECODERS,
    "reader": READERS,
    "tracker": TRACKERS,
}


def callables() -> Iterator[str]:
    """The full name of everything in nerlab that can be called: imported, private, methods too."""
    for module in pkgutil.walk_packages(nerlab.__path__, "nerlab."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if callable(value):
                yield f"{module.name}.{name}"
            if inspect.isclass(value) and value.__module__.startswith("nerlab"):
                methods = (key for key, method in vars(value).items() if callable(method))
                yield from (f"{module.name}.{name}.{key}" for key in methods)


NAMES = sorted({*callables(), "nerlab", "nerlab.data", "nerlab.models.build", "nerlab."})


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that a hostile configuration names; nothing may happen to it."""
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


def nodes(target: str, victim: Path) -> Iterator[dict[str, Any]]:
    """Ways in which a configuration could try to have something called."""
    plain: dict[str, Any] = {"_target_": target, "_partial_": True}
    yield plain
    yield {"_target_": target, "path": str(victim), "mode": "w"}
    yield {**plain, "_args_": [str(victim), "w"]}
    nested = {"_target_": target, "_args_": [str(victim), "w"]}
    for rightful in (EMBEDDERS[0], ENCODERS[0], READERS[0], TRACKERS[0]):
        yield {"_target_": rightful, "_partial_": True, "x": nested}
        yield {"_target_": rightful, "_partial_": True, "x": [{"deep": nested}]}
    yield {"_target_": EMBEDDERS[0], "_partial_": True, "indexer": nested}


def test_there_are_enough_names_to_try() -> None:
    assert len(NAMES) > 500
    assert "nerlab.training.recorder.RunLog" in NAMES
    assert all(name in NAMES for names in SECTIONS.values() for name in names)


@pytest.mark.parametrize("every", [25, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("section", SECTIONS)
def test_every_callable_is_a_rightful_part_or_refused_in_one_line(
    section: str, every: int, victim: Path
) -> None:
    admitted = SECTIONS[section]
    for target in {*NAMES[::every], *admitted}:
        for node in nodes(target, victim):
            made: object
            try:
                made = instantiate(
                    OmegaConf.create(node), admitted, (), functions=section == "reader"
                )
            except ValueError as error:
                made = str(error)
            if node == {"_target_": target, "_partial_": True} and target in admitted:
                assert isinstance(made, partial)
            else:
                assert isinstance(made, str)
                one_line(made)
    assert victim.read_text() == "precious"


def rightful_model() -> dict[str, Any]:
    """A model that can be built."""
    indexer: dict[str, Any] = {"_target_": INDEXERS[1], "_partial_": True, "max_word_length": 9}
    embedder = {"_target_": EMBEDDERS[1], "_partial_": True, "indexer": indexer, "dim": 4}
    return {
        "embedder": {**embedder, "filters": 3, "widths": [2]},
        "encoder": {"_target_": ENCODERS[2], "_partial_": True},
        "decoder": {"_target_": DECODERS[0], "_partial_": True},
        "dropout": 0.1,
    }


@pytest.mark.parametrize("section", ["embedder", "indexer", "encoder", "context", "decoder"])
@pytest.mark.parametrize("target", [*EMBEDDERS, *INDEXERS, *ENCODERS, *DECODERS])
def test_a_part_of_another_section_is_refused(section: str, target: str) -> None:
    if target in SECTIONS["encoder" if section == "context" else section]:
        return
    model = rightful_model()
    if section == "indexer":
        model["embedder"]["indexer"]["_target_"] = target
    else:
        indexer = {"indexer": model["embedder"]["indexer"]}
        model[section] = {"_target_": target, "_partial_": True, **indexer}
    config = OmegaConf.create(model)
    with pytest.raises(ValueError, match=rf"_target_ '{target}': expected one of"):
        build_tagger(config, fit_vocabulary(config, BATCHER.corpus))


HYDRAS = {"_args_": ["x"], "_recursive_": False, "_convert_": "object", "_mode_": 1}


@pytest.mark.parametrize("key", HYDRAS)
def test_of_hydras_keys_two_have_a_meaning(key: str) -> None:
    node: dict[str, Any] = {"_target_": ENCODERS[0], "_partial_": True, key: HYDRAS[key]}
    with pytest.raises(ValueError, match=f"unexpected keyword argument '{key}'"):
        instantiate(OmegaConf.create(node), ENCODERS, ())


@pytest.mark.parametrize("value", [None, False, "true", 1, {"_target_": ENCODERS[0]}])
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_to_be_partial(section: str, value: object) -> None:
    node = {"_target_": SECTIONS[section][0], "_partial_": value}
    with pytest.raises(ValueError, match="expected _partial_: true beside it"):
        instantiate(OmegaConf.create(node), SECTIONS[section], ())


@pytest.mark.parametrize("section", ["embedder", "encoder", "context"])
@pytest.mark.parametrize("parts", [3, "x", [1], {}, {"a": 1}, {"a": {"dim": 3}}, {"a b": {}}])
def test_parts_are_sections_by_name(section: str, parts: object) -> None:
    config = OmegaConf.create({**rightful_model(), section: parts})
    with pytest.raises(ValueError, match=rf"^model\.{section}[^\n]+$"):
        build_tagger(config, fit_vocabulary(config, BATCHER.corpus))


@pytest.mark.parametrize("indexer", [None, 3, "x", {}, [], {"_partial_": True}])
def test_an_embedder_has_its_indexer_in_it(indexer: object) -> None:
    model = rightful_model()
    model["embedder"]["indexer"] = indexer
    config = OmegaConf.create(model)
    with pytest.raises(ValueError, match=r"^model\.embedder\.indexer: [^\n]+$"):
        fit_vocabulary(config, BATCHER.corpus)
    del model["embedder"]["indexer"]
    with pytest.raises(ValueError, match=r"^model\.embedder: expected .* indexer [^\n]+$"):
        fit_vocabulary(OmegaConf.create(model), BATCHER.corpus)


def test_a_context_and_an_encoder_of_one_name_are_refused() -> None:
    model = rightful_model()
    model["context"] = model["encoder"]
    vocabulary = fit_vocabulary(OmegaConf.create(model), BATCHER.corpus)
    assert list(build_tagger(OmegaConf.create(model), vocabulary).stages) == ["context", "encoder"]
    model["encoder"] = {"context": model["encoder"]}
    with pytest.raises(ValueError, match=r"^model\.encoder\.context: .* choose another one$"):
        build_tagger(OmegaConf.create(model), vocabulary)


@pytest.mark.parametrize(
    "target", ["mylab.encoders._Hidden", "mylab._private.GRU", "mylab.encoders.GRU.__init__"]
)
def test_a_private_name_of_a_trusted_package_is_refused(tmp_path: Path, target: str) -> None:
    write_package(tmp_path)
    with (tmp_path / "mylab" / "encoders.py").open("a") as file:
        file.write("\n\nclass _Hidden(GRU):\n    pass\n")
    (tmp_path / "mylab" / "_private.py").write_text("from mylab.encoders import GRU\n")
    node = OmegaConf.create({"_target_": target, "_partial_": True})
    with importable(tmp_path), pytest.raises(ValueError, match="expected a public name"):
        instantiate(node, ENCODERS, ("mylab",), functions=True)


def test_a_trusted_part_may_hold_others_in_any_argument(tmp_path: Path) -> None:
    write_package(tmp_path)
    with (tmp_path / "mylab" / "encoders.py").open("a") as file:
        file.write(
            "\n\nclass Stack:\n    def __init__(self, layers, parts=None):\n"
            "        self.layers = layers\n"
        )
    gru = {"_target_": "mylab.encoders.GRU", "input_dim": 2, "hidden_dim": 3}
    node = {
        "_target_": "mylab.encoders.Stack",
        "_partial_": True,
        "layers": [gru],
        "parts": {"a": 1},
    }
    with importable(tmp_path):
        made = instantiate(OmegaConf.create(node), ENCODERS, ("mylab",))()
        assert made.layers[0].output_dim == 3
        foreign = {**node, "layers": [{"_target_": "os.mkdir", "path": str(tmp_path / "made")}]}
        with pytest.raises(ValueError, match=r"_target_ 'os\.mkdir': expected one of"):
            instantiate(OmegaConf.create(foreign), ENCODERS, ("mylab",))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("nested", [True, False])
def test_a_file_is_not_emptied_by_the_tracker_of_a_run(
    run: Path, corpus: Path, victim: Path, nested: bool
) -> None:
    attack: dict[str, Any] = {
        "_target_": "nerlab.training.recorder.RunLog",
        "_args_": [str(victim), "w"],
    }
    if nested:
        attack = {"_target_": TRACKERS[0], "_partial_": True, "run_directory": attack}
    begun = victim.parent / "run"
    begun.mkdir()
    config = OmegaConf.load(run / "config.yaml")
    config.tracker = attack
    OmegaConf.save(config, begun / "config.yaml")
    result = run_script("train", f"resume={begun}")
    assert victim.read_text() == "precious"
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "_target_ 'nerlab.training.recorder.RunLog'" in result.err
    assert [path.name for path in begun.iterdir()] == ["config.yaml"]


def test_a_helper_is_no_reader(corpus: Path, run: Path) -> None:
    for name in ("lines.numbered_lines", "messages.shown", "records.array", "alignment.align"):
        result = run_script(
            "evaluate",
            f"checkpoint={run}",
            f"data.dir={corpus}",
            f"+data.reader._target_=nerlab.data.readers.{name}",
        )
        assert (result.status, result.err.count("\n")) == (1, 1)
        assert f"data.reader: _target_ 'nerlab.data.readers.{name}'" in result.err


def test_a_tracker_that_lacks_an_argument_is_refused_before_the_run_begins(tmp_path: Path) -> None:
    keys = ["tracker=none", f"tracker._target_={TRACKERS[1]}", f"run.dir={tmp_path / 'run'}"]
    message = run_script("train", *keys).err
    assert message == "error: tracker: missing a required argument: 'project'\n"
    assert not (tmp_path / "run").exists()
