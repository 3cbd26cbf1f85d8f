"""A tagger that is exported is the same tagger, with a card that says what it is."""

import json
import re
import resource
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from itertools import chain
from pathlib import Path

import pytest
import torch
from conftest import SMALL_MODEL, run_script
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from own_package import importable, write_package
from published_folders import make_folder

import nerlab
from nerlab.commands import export as command
from nerlab.inference.onnx import load_onnx
from nerlab.messages import markdown
from nerlab.models.loading import verify

TEXTS = ["Anna Smith flew to New York .", "In Bakı Li Wei met Eve .", "x", ""]
CHANGED = ("config.yaml", "manifest.json", "README.md")  # of a checkpoint that is exported
_SECRET = "nobody-should-see-this"


def export(checkpoint: Path, output: Path, **options: object) -> str:
    """Export as the configuration says; returns what is printed."""
    keys = {"format": "nerlab", "overwrite": False, "trust": None} | options
    config = {"checkpoint": str(checkpoint), "output": str(output), **keys}
    with redirect_stdout(StringIO()) as printed:
        command.run(OmegaConf.create(config))
    return printed.getvalue()


def train(corpus: Path, run: Path, *more: str) -> None:
    arguments = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={run}", "trainer.epochs=2", *more)
    result = run_script("train", *arguments)
    assert result.status == 0, result.err


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def tagger(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the run; do not write into it."""
    folder = tmp_path_factory.mktemp("exported") / "tagger"
    printed = export(run, folder)
    assert printed.startswith(f"written: {folder}  ")
    return folder


def test_an_export_is_the_checkpoint_without_the_state_of_its_training(
    run: Path, tagger: Path
) -> None:
    best, exported = files_of(run / "checkpoints" / "best"), files_of(tagger)
    assert exported.keys() == best.keys() | {"README.md", "card.json"}
    assert all(exported[name] == best[name] for name in best if name not in CHANGED)
    verify(tagger)
    assert export(run / "checkpoints" / "last", tagger.with_name("last"))
    assert files_of(tagger.with_name("last")).keys() == exported.keys()


def outputs(folder: Path) -> list[object]:
    """Entities and scores of texts, with their bits."""
    return [nerlab.load(folder, device="cpu").predict(TEXTS)]


def test_an_export_tags_bit_for_bit_as_the_run(run: Path, tagger: Path) -> None:
    assert outputs(tagger) == outputs(run)
    assert any(outputs(tagger)[0])  # type: ignore[arg-type]
    again = tagger.with_name("again")
    export(tagger, again)
    assert outputs(again) == outputs(run)


def export_and_compare(corpus: Path, folder: Path, *model: str) -> None:
    """Train any model, and export it with its graph."""
    small = ("data=conll", "tracker=none", "trainer.epochs=1", f"data.dir={corpus}")
    assert run_script("train", *small, *model, f"run.dir={folder}/run").status == 0
    export(folder / "run", folder / "tagger", format="onnx")
    assert outputs(folder / "tagger") == outputs(folder / "run")


def test_a_transformer_of_reduced_precision_is_exported_and_its_graph_is_exact(
    corpus: Path, tmp_path: Path
) -> None:
    sizes = ("hidden_dim=16", "layers=1", "positions=learned", "max_positions=30")
    export_and_compare(
        corpus,
        tmp_path,
        "model=transformer_crf",
        "trainer.precision=bf16",
        *(f"model.encoder.{size}" for size in sizes),
    )


def test_a_part_of_ones_own_is_exported_by_whoever_trusts_it(corpus: Path, tmp_path: Path) -> None:
    write_package(tmp_path / "lab")
    small = [key for key in SMALL_MODEL if not key.startswith("model.encoder")]
    own = ("model.encoder._target_=mylab.encoders.GRU", "model/encoder=none")
    keys = (*own, "+model.encoder.hidden_dim=8", "trust=mylab", "trainer.epochs=1")
    run, output = tmp_path / "run", tmp_path / "tagger"
    with importable(tmp_path / "lab"):
        arguments = (*small, *keys, f"data.dir={corpus}", f"run.dir={run}")
        assert run_script("train", *arguments).status == 0
        with pytest.raises(ValueError, match="trust=mylab admits it"):
            export(run, output)
        export(run, output, trust="mylab", format="onnx")
        card = (output / "README.md").read_text(encoding="utf-8")
        commands = re.findall(r"^python .*$", card, re.M)
        assert len(commands) == 3
        assert all(line.endswith(" 'trust=[mylab]'") for line in commands)
        assert "trust" not in (run / "environment.json").read_text()
        predictors = [nerlab.load(folder, "cpu", "mylab") for folder in (run, output)]
        assert predictors[0].predict(TEXTS) == predictors[1].predict(TEXTS)


@pytest.mark.long
def test_subwords_are_exported_with_their_tokenizer(corpus: Path, tmp_path: Path) -> None:
    sizes = ("model.embedder.subwords.indexer.vocab_size=80", "model.encoder.hidden_dim=16")
    export_and_compare(corpus, tmp_path, "model/embedder=subwords", *sizes)


@pytest.mark.long
def test_a_published_model_is_exported_with_its_tokenizer(corpus: Path, tmp_path: Path) -> None:
    published = make_folder(tmp_path / _SECRET, "xlm-roberta")
    export_and_compare(corpus, tmp_path, "model=pretrained", f"model.path={published}")
    shutil.rmtree(published)
    assert outputs(tmp_path / "tagger") == outputs(tmp_path / "run")
    card = (tmp_path / "tagger" / "README.md").read_text(encoding="utf-8")
    assert f"model.path={_SECRET}" in card  # the last name
    assert f"- begun with the published model {_SECRET}\n" in card


def test_scores_of_an_export_are_those_of_the_run(
    run: Path, tagger: Path, corpus: Path, tmp_path: Path
) -> None:
    for source in (run, tagger):
        arguments = (
            f"checkpoint={source}",
            f"data.dir={corpus}",
            f"output={tmp_path}/{source.name}",
        )
        assert run_script("evaluate", *arguments).status == 0
    names = ("metrics.json", "predictions.conll")
    first, second = (tmp_path / s.name / "evaluation" / "dev" for s in (run, tagger))
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_what_only_the_machine_of_the_run_knows_is_not_handed_on(
    corpus: Path, tmp_path: Path
) -> None:
    home = tmp_path / _SECRET
    shutil.copytree(corpus, home / "news corpus")
    (home / "vectors.txt").write_text("berlin" + " 0.5" * 16 + "\n")
    vectors = f"model.embedder.words.indexer.vectors={home}/vectors.txt"
    train(home / "news corpus", home / "run", vectors, f"run.root={home}", "run.name=mine")
    export(home / "run", tmp_path / "tagger")
    for name, content in files_of(tmp_path / "tagger").items():
        assert _SECRET.encode() not in content, name
    config = OmegaConf.load(tmp_path / "tagger" / "config.yaml")
    assert config.data.dir == "news corpus"
    assert config.model.embedder.words.indexer.vectors == "vectors.txt"
    assert {"run", "tracker"}.isdisjoint(config)
    assert outputs(tmp_path / "tagger") == outputs(home / "run")


def test_the_card_says_what_the_run_has_measured(corpus: Path, tmp_path: Path) -> None:
    train(corpus, tmp_path / "run", "test=true", "seed=7")
    export(tmp_path / "run", tmp_path / "tagger")
    card = (tmp_path / "tagger" / "README.md").read_text(encoding="utf-8")
    for split in ("dev", "test"):
        found = json.loads((tmp_path / "run/evaluation" / split / "metrics.json").read_text())
        assert f"\n{split}: {found['sentences']} sentences, {found['tokens']} tokens\n" in card
        for name, score in [*found["per_type"].items(), ("all", found)]:
            percents = [f"{100 * score[key]:.2f}" for key in ("precision", "recall", "f1")]
            assert f"\n| {' | '.join([name, *percents, str(score['support'])])} |\n" in card
    assert "Dev has chosen the epoch of these weights; test was not" in card
    last = json.loads((tmp_path / "run/checkpoints/last/training.json").read_text())
    for digest in ("train_sha256", "dev_sha256"):
        assert last[digest] in card
    tokens = (corpus / "train.conll").read_text(encoding="utf-8").count(" ") - 1  # -DOCSTART- O
    assert f"- train: 40 sentences, {tokens} tokens, SHA-256" in card
    assert "\n- test: 13 sentences, " in card
    assert "\n- seed 7, precision auto\n" in card
    assert f"\n- trained with nerlab {nerlab.__version__} and torch {torch.__version__}\n" in card
    assert "\n- LOC\n- PER\n" in card
    assert "| encoder | LSTM | hidden\\_dim=32, layers=1, bidirectional=True, dropout=0.2 |" in card


def test_the_command_in_a_card_trains_the_same_tagger(corpus: Path, tmp_path: Path) -> None:
    train(corpus, tmp_path / "run", "seed=3")
    export(tmp_path / "run", tmp_path / "tagger")
    card = (tmp_path / "tagger" / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^python (train\.py .*)$", card, re.M)
    words = shlex.split(line)
    assert f"data.dir={corpus.name}" in words
    assert not [word for word in words if word.startswith(("run.", "tracker"))]
    # Whoever has the corpus puts it where they type this.
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(corpus.parent)
        again = run_script("train", *words[1:], "tracker=none", f"run.dir={tmp_path}/again")
    assert again.status == 0, again.err
    weights = "checkpoints/best/model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (tmp_path / "run" / weights).read_bytes()


def test_a_resumed_run_keeps_its_command(corpus: Path, tmp_path: Path) -> None:
    train(corpus, tmp_path / "run")
    export(tmp_path / "run", tmp_path / "card_1")
    assert run_script("train", f"resume={tmp_path}/run").status == 0
    export(tmp_path / "run", tmp_path / "card_2")
    before, after = (tmp_path / name / "README.md" for name in ("card_1", "card_2"))
    assert "resume=" not in before.read_text()
    assert after.read_text() == before.read_text().replace("card_1", "card_2")


def test_a_run_of_an_earlier_version_has_its_figures_in_the_card(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    export(copy, tmp_path / "card_1")
    facts = json.loads((copy / "environment.json").read_text())
    before = {name: facts[name] for name in ("command", "splits")} | facts["versions"]
    (copy / "run.json").write_text(json.dumps(before))
    (copy / "environment.json").unlink()
    export(copy, tmp_path / "card_2")
    new, old = (tmp_path / name / "README.md" for name in ("card_1", "card_2"))
    assert "SHA-256 of tokens and tags" in old.read_text()
    assert old.read_text() == new.read_text().replace("card_1", "card_2")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_the_commands_that_a_card_names_for_use_run(
    command: str, tagger: Path, corpus: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tagger, tmp_path / "tagger"))
    card = (copy / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^python {command}\.py (.*)$", card, re.M)
    words = [word.replace("FOLDER", str(corpus)) for word in shlex.split(line)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = run_script(command, *words)
    assert (result.status, result.err) == (0, "")


def test_a_checkpoint_that_stands_alone_gets_a_card_without_figures(
    run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run / "checkpoints" / "best", tmp_path / "alone")
    export(tmp_path / "alone", tmp_path / "tagger")
    card = (tmp_path / "tagger" / "README.md").read_text(encoding="utf-8")
    assert "None: no scores lie beside the checkpoint" in card
    assert "python train.py" not in card
    assert "| entities |" not in card


def test_figures_of_the_best_checkpoint_are_not_said_of_another(run: Path, tmp_path: Path) -> None:
    export(run / "checkpoints" / "last", tmp_path / "tagger")
    card = (tmp_path / "tagger" / "README.md").read_text(encoding="utf-8")
    assert "None: no scores lie beside the checkpoint" in card
    assert "python train.py" in card


@given(st.text())
def test_any_name_is_one_line_of_markdown_that_is_no_markup(text: str) -> None:
    found = markdown(text)
    assert len(found.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(\\\\)*[`*_<>|\[\]]", found)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("environment.json", "{"),
        ("environment.json", "[]"),
        ("environment.json", '{"splits": {"train": {"sentences": "many"}}}'),
        ("environment.json", '{"splits": [1]}'),
        ("environment.json", '{"command": 3}'),
        ("environment.json", '{"command": [3]}'),
        ("environment.json", '{"versions": [3]}'),
        ("evaluation/dev/metrics.json", '{"sentences": 1, "tokens": 1, "per_type": {"X": 3}}'),
        ("evaluation/dev/metrics.json", '{"f1": 1}'),
    ],
)
def test_figures_that_no_run_has_written_are_one_line(
    run: Path, tmp_path: Path, file: str, content: str
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / file).write_text(content)
    result = run_script(
        "nerlab/__main__", "export", f"checkpoint={copy}", f"output={tmp_path}/tagger"
    )
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error: {copy}")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "tagger").exists()


def test_a_broken_checkpoint_is_one_line_and_nothing_is_written(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "copy"))
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-9, 2)
        file.write(b"\1")
    with pytest.raises(ValueError, match=r"model\.safetensors: broken file, its checksum"):
        export(copy, tmp_path / "tagger")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_an_export_takes_no_place_of_something_else(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "tagger"
    export(run, output)
    with pytest.raises(ValueError, match=r"exists; set overwrite=true"):
        export(run, output)
    export(run, output, overwrite=True)
    (output / "notes.txt").write_text("precious")
    before = files_of(output)
    with pytest.raises(ValueError, match=r"earlier export alone, found notes\.txt in it"):
        export(run, output, overwrite=True)
    assert files_of(output) == before
    last = Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "best"))
    with pytest.raises(ValueError, match=r"earlier export alone, found no README\.md in it"):
        export(run, last, overwrite=True)
    (tmp_path / "link").symlink_to(output)
    with pytest.raises(ValueError, match="expected a folder or nothing"):
        export(run, tmp_path / "link", overwrite=True)
    for name in ("other.part", "other.old"):
        (tmp_path / name).mkdir()
        with pytest.raises(ValueError, match=rf"{name}: exists"):
            export(run, tmp_path / "other")
        assert (tmp_path / name).is_dir()
        (tmp_path / name).rmdir()
    (tmp_path / "empty").mkdir()
    export(run, tmp_path / "empty")
    assert outputs(tmp_path / "empty") == outputs(run)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What is longer cannot be written, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [100, 10_000], ids=["config.yaml", "model.safetensors"])
def test_a_full_disk_is_one_line_and_what_was_there_stays(
    size: int, run: Path, tmp_path: Path
) -> None:
    output = tmp_path / "tagger"
    export(run, output)
    before = files_of(output)
    words = ("export", f"checkpoint={run}", f"output={output}", "overwrite=true")
    with files_of_at_most(size):
        result = run_script("nerlab/__main__", *words)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error: output={output}: ")
    assert result.err.endswith("; nothing was written\n")
    assert result.err.count("\n") == 1
    assert files_of(output) == before
    assert [path.name for path in tmp_path.iterdir()] == ["tagger"]


def test_a_format_that_there_is_not_is_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format=pickle: expected one of nerlab, onnx"):
        export(run, tmp_path / "tagger", format="pickle")


@pytest.fixture(scope="module")
def with_graph(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the run with a graph; do not write into it."""
    folder = tmp_path_factory.mktemp("exported") / "graph"
    export(run, folder, format="onnx")
    return folder


def test_an_export_with_a_graph_is_the_same_tagger_beside_it(
    run: Path, tagger: Path, with_graph: Path
) -> None:
    verify(with_graph)
    plain, found = files_of(tagger), files_of(with_graph)
    assert found.keys() == plain.keys() | {"emissions.onnx"}
    assert all(found[name] == plain[name] for name in plain if name not in CHANGED)
    assert outputs(with_graph) == outputs(run)
    assert b"`load_onnx` of `nerlab.inference.onnx`" in found["README.md"]
    assert b"onnx" not in plain["README.md"]


def test_onnxruntime_and_our_decoding_find_the_same_entities(
    run: Path, with_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = nerlab.load(run, device="cpu").predict(TEXTS)
    predictor = load_onnx(with_graph)
    # Nothing but the decoder is computed by torch.
    monkeypatch.setattr("nerlab.models.tagger.Tagger.emissions", None)
    found = predictor.predict(TEXTS)
    assert [[entity[:4] for entity in row] for row in found] == [
        [entity[:4] for entity in row] for row in expected
    ]
    for pair in zip(*(chain.from_iterable(rows) for rows in (found, expected)), strict=True):
        assert abs(pair[0].score - pair[1].score) < 1e-4


def test_a_folder_without_a_graph_is_told_how_it_gets_one(tagger: Path) -> None:
    with pytest.raises(
        ValueError, match=r"emissions\.onnx: no such file; .* format=onnx writes it"
    ):
        load_onnx(tagger)


def test_a_graph_that_has_changed_is_found(with_graph: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(with_graph, tmp_path / "copy"))
    (copy / "emissions.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"emissions\.onnx: broken file, its checksum"):
        load_onnx(copy)


def test_a_graph_that_cannot_be_made_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match="format=onnx needs onnx "):
        export(run, tmp_path / "tagger", format="onnx")
    assert list(tmp_path.iterdir()) == []
