"""A checkpoint of a published model that somebody else has changed."""

import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from conftest import run_script
from helpers import reseal
from invariants import one_line
from no_hang import no_hang
from published_folders import make_folder

from nerlab.models.loading import load_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    folder = make_folder(root / "folder", "bert")
    keys = ("model=pretrained", f"model.path={folder}", "data=conll", "tracker=none")
    more = (f"data.dir={corpus}", f"run.dir={root / 'run'}", "trainer.epochs=1")
    assert run_script("train", *keys, *more).status == 0
    return root / "run" / "checkpoints" / "best"


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "checkpoint"))


def refusal(folder: Path) -> str:
    """Loading is refused in one line, soon, without memory, that names a file of the folder."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    with no_hang(10), pytest.raises(ValueError) as caught:  # noqa: PT011 - looked at here
        load_checkpoint(folder, CPU)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18
    assert str(folder) in str(caught.value)
    return one_line(str(caught.value))


SIZES = [
    *(("vocab_size", value) for value in (0, 1, 135, 137, 10**7, 10**400, True)),
    *(("hidden_size", value) for value in (8, 32, 10_000, 10**9, -16)),
    *(("num_hidden_layers", value) for value in (0, 1, 3, 100, 10**9)),
    *(("num_attention_heads", value) for value in (0, -2, 3, 100)),
    *(("intermediate_size", value) for value in (0, 25, 100_000, 10**18)),
    *(("max_position_embeddings", value) for value in (0, 2, 39, 10**6, 10**18)),
    *(("pad_token_id", value) for value in (-1, 136, 10**18)),
    *(("type_vocab_size", value) for value in (0, 1, 3)),
    *(("model_type", value) for value in ("distilbert", "electra", "os", None, 3)),
    *(("hidden_dropout_prob", value) for value in (1.0, -0.1, "0.1", float("nan"))),
]


@pytest.mark.parametrize(("key", "value"), SIZES)
def test_a_configuration_that_the_weights_do_not_have_is_refused(
    folder: Path, key: str, value: object
) -> None:
    path = folder / "indexer.embedder.config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    reseal(folder)
    refusal(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '{"model_type": "bert"}'])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_files_of_the_model_that_are_none_are_refused(
    folder: Path, name: str, content: str
) -> None:
    (folder / f"indexer.embedder.{name}").write_text(content)
    reseal(folder)
    if name == "config.json" or content[:1] != "{" or content == "{":
        assert "not what the indexer of embedder has saved" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "vocab.txt"])
def test_a_file_of_the_model_that_is_not_there_is_named(folder: Path, name: str) -> None:
    (folder / f"indexer.embedder.{name}").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"][f"indexer.embedder.{name}"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    refusal(folder)


@pytest.mark.parametrize("key", ["align", "layer_decay"])
def test_options_that_make_no_sense_are_refused(folder: Path, key: str) -> None:
    path = folder / "config.yaml"
    lines = path.read_text().splitlines()
    changed = [
        line.split(":")[0] + ": 7" if line.strip().startswith(key) else line for line in lines
    ]
    assert changed != lines
    path.write_text("\n".join(changed))
    reseal(folder)
    assert f"model.embedder.{key}=7: expected" in refusal(folder)
