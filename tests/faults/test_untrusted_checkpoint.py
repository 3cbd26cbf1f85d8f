"""An untrusted checkpoint: nothing in it is executed, looked up or written."""

import io
import itertools
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import run_script
from helpers import one_in, reseal
from own_package import importable, write_package

import nerlab
from nerlab.models.loading import load_checkpoint

CPU = torch.device("cpu")
FILES = ("config.yaml", "model.safetensors", "labels.json", "indexer.words.words.json")


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A checkpoint folder of one's own."""
    return Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "checkpoint"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that untrusted code would make."""
    return tmp_path / "marker"


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.place),)


def as_pickle(bomb: object) -> bytes:
    return pickle.dumps(bomb)


def as_torch(bomb: object) -> bytes:
    file = io.BytesIO()
    torch.save(bomb, file)
    return file.getvalue()


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    reseal(folder)


def refusal(folder: Path, *trusted: str) -> str:
    """Loading is refused in one line; returns it."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the line is looked at here
        load_checkpoint(folder, CPU, trusted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("spell", [as_pickle, as_torch])
def test_the_bomb_goes_off_where_a_pickle_is_loaded(
    spell: Callable[[object], bytes], marker: Path
) -> None:
    file = io.BytesIO(spell(Bomb(marker)))
    torch.load(file, weights_only=False) if spell is as_torch else pickle.load(file)
    assert marker.exists()


@pytest.mark.parametrize("spell", [as_pickle, as_torch])
@pytest.mark.parametrize("name", FILES)
def test_a_pickle_in_place_of_a_file_is_not_unpickled(
    folder: Path, marker: Path, name: str, spell: Callable[[object], bytes]
) -> None:
    (folder / name).write_bytes(spell(Bomb(marker)))
    reseal(folder)
    assert str(folder) in refusal(folder)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.bin", "vocab.pt", "training.pt", "config.pkl"])
def test_a_pickle_beside_the_files_is_not_read(folder: Path, marker: Path, name: str) -> None:
    (folder / name).write_bytes(as_torch(Bomb(marker)))
    reseal(folder)
    load_checkpoint(folder, CPU)
    assert not marker.exists()


def test_a_pickle_is_not_taken_for_the_weights_that_lack(folder: Path, marker: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.pt").write_bytes(as_torch(Bomb(marker)))
    assert "model.safetensors" in refusal(folder)
    assert not marker.exists()


FOREIGN = [
    "os.mkdir",
    "builtins.eval",
    "subprocess.run",
    "torch.nn.Identity",  # a class, but not ours
    "nerlab.data.load.sys.exit",
    "nerlab.models.checkpoint.os.mkdir",
    "nerlab.models.checkpoint.shutil.rmtree",
    "nerlab.training.recorder.Recorder",  # ours, but no part of a model: it opens a file to write
    "nerlab.training.run_directory.point_latest_to",
    "nerlab.data.load.load_split",
]


def put(node: dict[str, Any], place: str) -> Callable[[dict[str, Any]], object]:
    def change(config: dict[str, Any]) -> None:
        *way, last = place.split(".")
        for key in way:
            config = config[key]
        config[last] = node

    return change


@pytest.mark.parametrize(
    ("target", "convert", "partial"),
    one_in(4, itertools.product(FOREIGN, [None, "none", "object"], [True, False, "yes"])),
)
def test_a_foreign_target_is_refused_by_its_name(
    folder: Path, marker: Path, target: str, partial: object, convert: str | None
) -> None:
    node = {"_target_": target, "_partial_": partial, "_args_": [str(marker)]}
    if convert is not None:
        node |= {"_convert_": convert, "_recursive_": False}
    edit(folder, put(node, "model.encoder"))
    assert f"_target_ '{target}'" in refusal(folder)
    assert not marker.exists()


PLACES = [
    "model.embedder",
    "model.decoder",
    "model.embedder.words",
    "model.embedder._args_",
    "model.encoder._convert_",
    "model.encoder._recursive_",
    "model.encoder.hidden_dim",
]


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_a_foreign_target_is_refused_in_every_place(
    folder: Path, marker: Path, place: str, nested: bool
) -> None:
    node: dict[str, Any] = {"_target_": "os.mkdir", "_args_": [str(marker)]}
    edit(folder, put({"deep": [[{"er": node}]]} if nested else node, place))
    message = refusal(folder)
    reasons = (
        *("_target_ 'os.mkdir'", "its _target_", "Hydra's keys _target_ and _partial_"),
        "expected a whole number",
    )
    assert any(reason in message for reason in reasons)
    assert not marker.exists()


@pytest.mark.parametrize("target", FOREIGN)
def test_a_foreign_reader_is_refused_by_its_name(
    folder: Path, corpus: Path, marker: Path, target: str
) -> None:
    node = {"_target_": target, "_partial_": True, "_args_": [str(marker)]}
    edit(folder, put(node, "data.reader"))
    result = run_script("evaluate", f"checkpoint={folder}", f"data.dir={corpus}")
    assert result.status == 1
    assert f"_target_ '{target}'" in result.err
    assert result.err.count("\n") == 1
    assert not marker.exists()


def test_a_foreign_tracker_of_a_checkpoint_is_never_made(folder: Path, marker: Path) -> None:
    edit(folder, put({"_target_": "os.mkdir", "_args_": [str(marker)]}, "tracker"))
    nerlab.load(folder).predict(["Eve"])
    assert not marker.exists()


TAGS = [
    '!!python/object/apply:os.mkdir ["{marker}"]',
    '!!python/object/new:os.mkdir ["{marker}"]',
    "!!python/name:os.mkdir",
    "!!python/module:os",
    '!!python/object/apply:pathlib.Path ["{marker}"]',
    "!!python/object/apply:pathlib.PosixPath [1]",
    "!!python/object/apply:pathlib.WindowsPath [a]",
    "!!binary aGVsbG8=",
    "2020-01-01",  # YAML makes a date of it
    "!!set {a, b}",
]


@pytest.mark.parametrize("tag", TAGS)
def test_nothing_but_plain_values_stands_in_a_configuration(
    folder: Path, marker: Path, tag: str
) -> None:
    with (folder / "config.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nextra: {tag}\n".replace("{marker}", str(marker)))
    assert str(folder / "config.yaml") in refusal(folder)
    assert not marker.exists()


def test_aliases_that_stand_for_more_than_memory_holds_are_refused(folder: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60))]
    with (folder / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", *lines]))
    assert "alias" in refusal(folder)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_a_configuration_that_is_nested_without_end_is_refused(folder: Path, opening: str) -> None:
    (folder / "config.yaml").write_text(opening * 1_500)
    reseal(folder)
    assert str(folder / "config.yaml") in refusal(folder)


REFERENCES = [
    "${oc.env:SECRET}",
    "\\${oc.env:SECRET}",
    "\\\\\\${oc.env:SECRET}",
    "${oc.decode:${oc.env:SECRET}}",
    "${oc.create:{_target_: os.mkdir, _args_: ['{marker}']}}",
    "\\${oc.create:{_target_: os.mkdir, _args_: ['{marker}']}}",
    "\\\\\\${oc.create:{_target_: os.mkdir, _args_: ['{marker}']}}",
    "\\${oc.create:{_target_: builtins.print, _args_: [executed]}}",
    "${data}",
    "${",
]


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("place", ["model.encoder", "model.encoder.dropout", "model.dropout"])
def test_a_reference_is_not_looked_up_in_a_model(
    folder: Path,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reference: str,
    place: str,
) -> None:
    monkeypatch.setenv("SECRET", "the secret")
    value: Any = reference.replace("{marker}", str(marker))
    edit(folder, put(value, place))
    message = refusal(folder)
    assert "the secret" not in message
    assert "${" in message
    assert not marker.exists()
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("reference", one_in(4, [*REFERENCES, "???"]))
def test_a_reference_is_not_looked_up_in_the_data_section(
    folder: Path,
    corpus: Path,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
    reference: str,
) -> None:
    monkeypatch.setenv("SECRET", "the secret")
    value: Any = reference.replace("{marker}", str(marker))
    for place in ("data.dev", "data.reader.encoding"):
        edit(folder, put(value, place))
        result = run_script("evaluate", f"checkpoint={folder}", f"data.dir={corpus}")
        assert result.status == 1
        assert result.err.count("\n") == 1
        assert "the secret" not in result.err
        assert not marker.exists()


def test_a_folder_may_have_the_look_of_a_reference(
    corpus: Path, run: Path, folder: Path, tmp_path: Path
) -> None:
    odd = Path(shutil.copytree(corpus, tmp_path / "${data} \\${x}"))
    edit(folder, put(str(odd), "data.dir"))  # type: ignore[arg-type]
    for override in ((), (f"data.dir={odd}",)):
        result = run_script("evaluate", f"checkpoint={folder}", *override)
        assert (result.status, result.err) == (0, "")
        assert "26 sentences" in result.out


@pytest.fixture
def evil(tmp_path: Path) -> Iterator[Path]:
    """What importing the package ``mylab_evil`` makes, which lies beside the trusted ``mylab``."""
    write_package(tmp_path)
    with importable(tmp_path):
        yield tmp_path / "mylab_evil" / "imported"


GRU = {"_target_": "mylab.encoders.GRU", "_partial_": True, "hidden_dim": 32}
EVIL = {**GRU, "_target_": "mylab_evil.encoders.Evil"}


def test_the_evil_package_runs_where_it_is_trusted(folder: Path, evil: Path) -> None:
    edit(folder, put(EVIL, "model.encoder"))
    assert "weights do not fit" in refusal(folder, "mylab_evil")  # it was built
    assert evil.exists()


BESIDE_TRUST = [
    "mylab_evil.encoders.Evil",
    "mylab_evil",
    "mylab",
    "mylab.",
    "mylab..encoders.GRU",
    ".mylab.encoders.GRU",
    "MYLAB.encoders.GRU",
    "mylab.encoders",
    "mylab.encoders.os.mkdir",
    "mylab.encoders.os.system",
    "mylab.encoders.Identity",  # what a trusted module imports is not its own
    "mylab.encoders.nn.Identity",
    "mylab.encoders.nn.modules.rnn.os.mkdir",
    "mylab.encoders.GRU.forward.__globals__",
    "mylab.encoders.__builtins__.get",
    "mylab.readers.Sentence",  # ours, but no part of a model
    "nerlab.mylab.encoders.GRU",
    "nerlab.models.mylab.encoders.GRU",
    *FOREIGN,
]


@pytest.mark.parametrize(
    ("target", "partial"), one_in(5, itertools.product(BESIDE_TRUST, [True, False]))
)
def test_trust_in_one_package_admits_nothing_else(
    folder: Path, marker: Path, evil: Path, target: str, partial: bool
) -> None:
    node = {"_target_": target, "_partial_": partial, "_args_": [str(marker)]}
    edit(folder, put(node, "model.encoder"))
    assert f"_target_ '{target}'" in refusal(folder, "mylab")
    assert not marker.exists()
    assert not evil.exists()


@pytest.mark.parametrize("target", one_in(8, BESIDE_TRUST))
def test_trust_in_one_package_admits_no_other_reader(
    folder: Path, corpus: Path, marker: Path, evil: Path, target: str
) -> None:
    edit(
        folder, put({"_target_": target, "_partial_": True, "_args_": [str(marker)]}, "data.reader")
    )
    result = run_script("evaluate", f"checkpoint={folder}", f"data.dir={corpus}", "trust=mylab")
    assert result.status == 1
    assert f"_target_ '{target}'" in result.err
    assert result.err.count("\n") == 1
    assert not marker.exists()
    assert not evil.exists()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("mylab.encoders.make", "expected a class"),
        ("mylab.encoders.GRU.forward", "expected a class"),
        ("nerlab.models.checkpoint.save_checkpoint", "expected one of"),
        ("nerlab.models.build.build_tagger", "expected one of"),
    ],
)
@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("place", ["encoder", "embedder", "decoder", "embedder.words"])
@pytest.mark.usefixtures("evil")
def test_a_part_of_a_model_is_a_class(
    folder: Path, target: str, reason: str, partial: bool, place: str
) -> None:
    edit(folder, put({"_target_": target, "_partial_": partial}, f"model.{place}"))
    assert f"_target_ '{target}': {reason}" in refusal(folder, "mylab")


@pytest.mark.parametrize(
    "trust",
    [
        "mylab_evil",
        pytest.param(["mylab_evil"], marks=pytest.mark.long),
        pytest.param("os", marks=pytest.mark.long),
        pytest.param({"mylab_evil": True}, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize(
    "place", ["trust", "data.trust", "model.trust", "model.encoder.trust", "trainer.trust"]
)
def test_a_checkpoint_cannot_say_whom_to_trust(
    folder: Path, corpus: Path, evil: Path, trust: object, place: str
) -> None:
    edit(folder, put(EVIL, "model.encoder"))
    edit(folder, put(EVIL, "data.reader"))
    edit(folder, put(trust, place))  # type: ignore[arg-type]
    advice = "trust=mylab_evil admits it, if you trust its author"
    assert advice in refusal(folder)
    assert advice in refusal(folder, "mylab")
    for script, key in (("evaluate", f"data.dir={corpus}"), ("predict", "text=Eve")):
        result = run_script(script, f"checkpoint={folder}", key)
        assert (result.status, result.err.count("\n")) == (1, 1)
        assert advice in result.err
    assert not evil.exists()


@pytest.mark.parametrize("place", ["trust", "data.trust"])
def test_nor_can_it_for_the_reader_alone(
    folder: Path, corpus: Path, evil: Path, place: str
) -> None:
    edit(folder, put(EVIL, "data.reader"))
    edit(folder, put("mylab_evil", place))  # type: ignore[arg-type]
    assert "trust" not in load_checkpoint(folder, CPU).config
    result = run_script("evaluate", f"checkpoint={folder}", f"data.dir={corpus}")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "trust" in result.err
    assert not evil.exists()


@pytest.mark.parametrize("section", ["model.encoder", "data.reader", "tracker"])
def test_a_run_that_is_resumed_cannot_say_whom_to_trust(
    run: Path, tmp_path: Path, evil: Path, section: str
) -> None:
    begun = Path(shutil.copytree(run, tmp_path / "run"))
    edit(begun / "checkpoints" / "last", put(EVIL, section))
    edit(begun / "checkpoints" / "last", put("mylab_evil", "trust"))  # type: ignore[arg-type]
    for more in ([], ["trust=mylab"]):
        result = run_script("train", f"resume={begun}", *more)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert "trust=mylab_evil admits it" in result.err
    assert not evil.exists()
