"""What a person can type, and what can be wrong with it."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import hydra
import pytest
from conftest import ROOT, SMALL_MODEL, Result, run_script
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hypothesis import assume, example, given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from nerlab.command_line import prepared
from nerlab.explanation import nearest
from nerlab.free_text import FREE_TEXT_KEYS, quote_free_text

NASTY = [
    "a=b",
    "f(x)",
    "${x}",
    "\\${x}",
    "\\\\${x} ${",
    "it's",
    "\\'",
    "back\\slash \\",
    "a\\\\",
    "comma, then",
    "{a: b}",
    "[1, 2]",
    "line\nbreak\n",
    "trailing\\\n",
    '"Yes", he said',
    '"',
    "'",
    "'a' 'b'",
    "\ttab ",
    "#hash",
    "~~ ++",
    "true",
    "1e3",
    "",
    "北京 القاهرة Bakı 👩‍👩‍👧‍👦",
    "\udcff",
    "@:$!%&*<>?|",
]


def value_of(argument: str) -> object:
    """What Hydra and OmegaConf make of an override."""
    override = OverridesParser.create().parse_override(argument)
    assert not override.is_sweep_override()
    assert override.key_or_group == "text"
    value = override.value()
    plain = value if isinstance(value, str) or value is None else str(value.text)  # type: ignore[union-attr]
    return OmegaConf.create({"text": plain}).text


some_text = st.one_of(
    st.text(st.characters(exclude_characters="\0")),
    st.text(st.sampled_from("\\'\"${}x \n,=")),
)


@given(some_text)
def test_free_text_comes_through_hydra_as_it_is(text: str) -> None:
    assume(text != "null")
    assume(text[:1] not in ("'", '"'))  # a quoted value is Hydra's to read
    assert value_of(quote_free_text(f"text={text}")) == text


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_comes_through_hydra_as_it_is(text: str) -> None:
    assert value_of(quote_free_text(f"text={text}")) == text


def test_what_is_quoted_for_hydra_already_is_left_alone() -> None:
    for argument in ("text='a=b'", 'text="a=b"', "text=null", "+text='x'", "data.dir='a','b'"):
        assert quote_free_text(argument) == argument


@pytest.mark.parametrize(
    "argument", ["model=bilstm", "seed=1,2,3", "trainer.epochs=3", "-m", "--help", "text", "~text"]
)
def test_what_is_no_free_text_is_left_alone(argument: str) -> None:
    assert prepared([argument]) == [argument]


@given(some_text)
@example("seed=1,2")
def test_only_the_value_of_a_known_key_is_quoted(argument: str) -> None:
    key = argument.partition("=")[0].lstrip("+")
    assume(key not in FREE_TEXT_KEYS)
    assert prepared([argument]) == [argument]


@pytest.mark.parametrize(
    ("typed", "scheme"),
    [("bio", "iob2"), ("iob", "iob1"), ("bioes", "iobes"), ("bioul", "bilou"), ("bmes", "bmes")],
)
def test_a_scheme_is_known_by_its_common_names_and_kept_under_its_own(
    typed: str, scheme: str
) -> None:
    result = run_script("train", "--cfg=job", "data=conll", f"data.scheme={typed}")
    assert OmegaConf.create(result.out).data.scheme == scheme


def one_line(result: Result) -> str:
    """An error as a person sees it: status 1 and one line; returns the line."""
    assert result.status == 1, result
    assert re.fullmatch(r"error: [^\n]+\n", result.err), result.err
    assert result.out == ""
    return result.err


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("train", "trainer.epoch=3", "trainer.epoch: no such key; the nearest is trainer.epochs"),
        ("train", "epochs=3", "the nearest is trainer.epochs"),
        ("train", "trainer.lr=1", "trainer.lr: no such key; the nearest is trainer.learning_rate"),
        ("train", "model=transformer model.encoder.head=9", "nearest is model.encoder.heads"),
        ("train", "sead=3", "the nearest is seed"),
        ("train", "qqqqqq=3", "qqqqqq: no such key"),
        ("predict", "checkpoint=x txt=hello", "the nearest is text"),
        ("evaluate", "checkpoint=x splt=dev", "the nearest is split"),
        ("train", "trainer.epochs=many", "trainer.epochs: Value 'many'"),
        ("train", "trainer.precision=fp8", "expected one of [auto, fp32, bf16, fp16]"),
        ("train", "data.scheme=conll", "expected one of [iob1, iob, iob2, bio, iobes, bioes"),
        ("train", "seed", "'seed': expected key=value"),
        ("train", "seed=(", "'seed=(': expected key=value"),
        ("train", "model=gpt", "bilstm_crf, lstm, pretrained, transformer"),
        ("train", "model/encoder=gru", "bilstm, lstm, none, transformer"),
        (
            "train",
            "data=nowhere",
            "azerbaijani, conll, conll2003, csv, demo, demo_az, fashion_brands, gmb",
        ),
        ("train", "tracker=mlflow", "none, tensorboard, wandb"),
        ("train", "data.dir=nowhere", "nowhere/train.conll: no such file"),
        ("evaluate", "", "checkpoint=... is needed"),
        ("predict", "text=x", "checkpoint=... is needed"),
        ("predict", "checkpoint=nowhere text=x", "nowhere: no such folder"),
        ("evaluate", "checkpoint=nowhere", "nowhere: no such folder"),
        ("evaluate", "checkpoint=x split=valid", "expected one of train, dev, test, all"),
        ("predict", "checkpoint=x", "expected text=... or input=FILE"),
        ("predict", "checkpoint=x text=a input=b", "expected text=... or input=FILE"),
        ("predict", "checkpoint=x input=nowhere", "input=nowhere: no such file"),
        ("predict", "checkpoint=x text=a format=xml", "expected one of jsonl, conll, table"),
        ("predict", "checkpoint=x text=a min_score=2", "min_score=2: expected a number, 0 to 1"),
        ("predict", "checkpoint=x text=a format=brat", "expected output=NAME"),
    ],
)
def test_an_error_is_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, arguments: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    extra = ["data=conll"] if script == "train" and "data=" not in arguments else []
    assert expected in one_line(run_script(script, *extra, *arguments.split()))
    assert not (tmp_path / "runs").exists()


KEYS = [
    *(
        "data",
        "data.dir",
        "data.scheme",
        "model.embedder.words.indexer.vectors",
        "device",
        "model.dropout",
        "seed",
        "trust",
    ),
    *("model.embedder.words.dim", "model.encoder.dropout", "model.encoder.hidden_dim"),
    *("model.encoder.heads", "model.encoder.layers", "trainer.batch_tokens", "trainer.clip_norm"),
    *("trainer.ema", "trainer.epochs", "trainer.learning_rate", "trainer.optimizer"),
    *("trainer.patience", "trainer.precision", "trainer.schedule", "trainer.weight_decay"),
]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("trainer.lr", "trainer.learning_rate"),
        ("lr", "trainer.learning_rate"),
        ("trainer.wd", "trainer.weight_decay"),
        ("wd", "trainer.weight_decay"),
        ("batch_size", "trainer.batch_tokens"),
        ("dropout", "model.dropout"),
        ("encoder.dropout", "model.dropout"),
        ("model.encoder.droput", "model.encoder.dropout"),
        ("model.encoder.hidden", "model.encoder.hidden_dim"),
        ("hidden_size", "model.encoder.hidden_dim"),
        ("random_seed", "seed"),
        ("max_epochs", "trainer.epochs"),
        ("num_layers", "model.encoder.layers"),
        ("grad_clip", "trainer.clip_norm"),
        ("lr_scheduler", "trainer.schedule"),
        ("data.shceme", "data.scheme"),
        ("trainer.ep", None),
        ("qqqqqq", None),
        ("", None),
    ],
)
def test_the_key_that_is_meant_is_found(typed: str, meant: str | None) -> None:
    expected = "; --help lists them" if meant is None else f"; the nearest is {meant}"
    assert nearest(typed, KEYS) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Anna B-PER\nflew\n", "dev.conll:2: expected 2 columns or more, found 1"),
        (b"Anna B-PER\n\nRome Q-LOC\n", "dev.conll:3: tag 'Q-LOC'"),
        (b"a O\nAnna I-PER\n", "dev.conll:2: tag 'I-PER' follows 'O', which iob2 forbids; set"),
        (b"", "dev.conll: no sentence found"),
        (b"a O\n" * 9000 + b"caf\xe9 O\n", "dev.conll:9001: byte 0xe9 is not utf-8; set data.rea"),
        ("Anna B-PER\n".encode("utf-16"), "dev.conll: expected utf-8, found what is utf-16"),
    ],
)
def test_an_error_in_the_data_names_file_line_and_remedy(
    corpus: Path, tmp_path: Path, content: bytes, expected: str
) -> None:
    shutil.copy(corpus / "train.conll", tmp_path)
    (tmp_path / "dev.conll").write_bytes(content)
    arguments = (*SMALL_MODEL, f"data.dir={tmp_path}", f"run.root={tmp_path / 'runs'}")
    assert f"{tmp_path}/{expected}" in one_line(run_script("train", *arguments))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.conll", "train.conll"]


def other_version(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))


@pytest.mark.parametrize(
    ("breaking", "expected"),
    [
        (other_version, "manifest.json: checkpoint format 99, expected 4"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "model.safetensors"),
        (lambda folder: (folder / "config.yaml").write_text("a: ["), "config.yaml"),
        (lambda folder: (folder / "labels.json").write_text("{"), "labels.json"),
        (lambda folder: (folder / "labels.json").unlink(), "labels.json: No such file"),
        (lambda folder: (folder / "config.yaml").unlink(), "no whole checkpoint"),
    ],
)
def test_a_broken_checkpoint_is_one_line(
    run: Path, tmp_path: Path, breaking: Callable[[Path], object], expected: str
) -> None:
    folder = Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "checkpoint"))
    breaking(folder)
    assert expected in one_line(run_script("evaluate", f"checkpoint={folder}"))
    assert not (folder / "evaluation").exists()


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    arguments = ("data=conll", f"data.dir={tmp_path}", "debug=true")
    with pytest.raises(ValueError, match="no such file") as caught:
        run_script("train", *arguments)
    assert caught.traceback[-1].path.parent == ROOT / "nerlab" / "data"  # type: ignore[union-attr]


def test_a_run_directory_that_is_taken_is_refused_and_left_alone(run: Path, corpus: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    result = run_script("train", *SMALL_MODEL, f"data.dir={corpus}", f"run.dir={run}")
    assert f"run.dir={run}: expected a directory that is new or empty" in one_line(result)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_an_interrupt_ends_with_a_word_and_its_status(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nerlab.training.recorder.Recorder.log", interrupt)
    arguments = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={tmp_path / 'run'}")
    result = run_script("train", *arguments)
    assert (result.status, result.err) == (130, "interrupted\n")


@pytest.mark.parametrize("script", ["train", "evaluate", "predict"])
def test_help_shows_examples_and_every_key_that_others_rely_on(script: str) -> None:
    result = run_script(script, "--help")
    assert (result.status, result.err) == (0, "")
    keys = {
        "train": "model= data= data.dir= tracker= run.dir= trainer.precision= debug=",
        "evaluate": "checkpoint= split= path= data.dir= output= debug=",
        "predict": "checkpoint= text= input= output= format=",
    }
    for key in keys[script].split():
        assert key in result.out
    for key in ("device:", "debug:"):
        assert key in result.out


@pytest.mark.parametrize("script", ["train", "evaluate", "predict"])
def test_a_script_leaves_nothing_in_the_current_directory(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_script(script, "checkpoint=nowhere" if script != "train" else "data.dir=nowhere")
    assert list(tmp_path.iterdir()) == []


def test_the_scripts_are_called_from_anywhere(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_script("predict", f"checkpoint={run}", "text=Eve").status == 0


def test_every_key_of_the_contract_can_be_set() -> None:
    for script, keys in (
        ("train", "model data data.dir seed device tracker run.dir trainer.epochs"),
        ("evaluate", "checkpoint split path data.dir device"),
        ("predict", "checkpoint input output text format device"),
    ):
        values = {"model": "bilstm", "data": "demo", "tracker": "none"}
        arguments = [f"{key}={values.get(key, '3')}" for key in keys.split()]
        result = run_script(script, "--cfg", "job", *arguments)
        assert (result.status, result.err) == (0, "")
        for key in keys.split():
            assert key in values or f"{key.rpartition('.')[2]}:" in result.out


def test_a_sweeper_gets_what_the_work_of_a_script_returns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    returned = []

    class Listener(Callback):
        def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: object) -> None:
            returned.append((config.seed, job_return.return_value))

    work = "nerlab.commands.train.run_experiment"
    monkeypatch.setattr(work, lambda config, _: config.seed / 8)
    monkeypatch.setattr(sys.modules[__name__], "Listener", Listener, raising=False)
    callback = f"+hydra.callbacks.listener._target_={__name__}.Listener"
    sweep = f"hydra.sweep.dir={tmp_path}"
    assert run_script("train", "-m", "seed=1,2", callback, sweep).status == 0
    assert run_script("train", "seed=3", callback).status == 0
    assert returned == [(1, 0.125), (2, 0.25), (3, 0.375)]


def test_a_sweep_may_send_the_work_of_a_script_to_other_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = []

    def launcher(**_: object) -> Callable[[Callable[..., None]], Callable[[], None]]:
        return lambda job: lambda: sent.append(cloudpickle.dumps(job))

    monkeypatch.setattr(hydra, "main", launcher)
    assert run_script("train").status == 0
    assert len(sent) == 1
