"""What may be typed behind train.py: it composes, or ends in one line."""

import re
from pathlib import Path

import pytest
from conftest import SMALL_MODEL, run_script
from helpers import one_in
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invariants import composed_or_refused, refused

keys = st.sampled_from(
    [
        "model",
        "model/encoder",
        "data",
        "data.dir",
        "data.reader",
        "data.scheme",
        "trainer.epochs",
        "trainer",
        "tracker",
        "run",
        "run.name",
        "seed",
        "model.dropout",
        "hydra",
        "hydra.run.dir",
        "data@x",
        "a.b",
        "debug",
        "_target_",
        "defaults",
        "model.0",
        "hydra/job_logging",
    ]
)
values = st.text(st.characters(exclude_characters="\0"), max_size=8) | st.sampled_from(
    [
        "null",
        "???",
        "1,2",
        "${x}",
        "${oc.env:NONE}",
        "${",
        "[",
        "{a:1}",
        "choice(1,2)",
        "range(3)",
        "glob(*)",
        "'",
        '"',
        "\\",
        "1e999",
        "nan",
        "crf",
        "../train",
        "none",
    ]
)
overrides = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "+", "++", "~", "@"]), keys, st.just("="), values
) | st.builds("{}{}".format, st.sampled_from(["~", "+", "", "="]), keys)


@settings(max_examples=40)
@given(st.lists(overrides, min_size=1, max_size=2))
@example(["seed=${oc.env:NONE}"])
@example(["model=../data/demo"])
@example(["="])
@example(["~model"])
@example(["hydra=null"])
def test_any_override_composes_or_is_refused_in_one_line(arguments: list[str]) -> None:
    composed_or_refused(run_script("train", "--cfg=job", *arguments))


@pytest.mark.parametrize(
    ("override", "place"),
    one_in(
        3,
        [
            ("seed=abc", "seed"),
            ("seed=-1", "seed"),
            ("seed=null", "seed"),
            ("seed=1e99", "seed"),
            ("seed=99999999999999999999999", "seed"),
            ("test=abc", "test"),
            ("device=null", "device"),
            ("device=[cpu]", "device"),
            ("run=null", "run"),
            ("run.root=null", "run.root"),
            ("~run.root", "run.root"),
            (
                "model.embedder.words.indexer.min_count=-1",
                "min_count=-1: expected a whole number, 1 to",
            ),
            (
                "model.embedder.words.indexer.min_count=0",
                "min_count=0: expected a whole number, 1 to",
            ),
            (
                "model.embedder.characters.indexer.max_word_length=0",
                "max_word_length=0: expected a whole number, 1 to 2147483647",
            ),
            (
                "model.embedder.characters.indexer.max_word_length=-1",
                "max_word_length=-1: expected a whole number, 1 to 2147483647",
            ),
            (
                "model.embedder.characters.indexer.max_word_length=2147483648",
                "max_word_length=.*: expected a whole number, 1 to 2147483647",
            ),
            ("data.split_seed=-1", "data.split_seed=-1: expected a whole number, 0 to"),
            ("data.split_seed=1.5", "data.split_seed"),
            ("trainer.epochs=0", "trainer.epochs=0: expected a whole number, 1 to"),
            ("trainer.ema=2", "trainer.ema=2.0: expected a number, 0 to 1"),
            (
                "trainer.learning_rate=nan",
                "trainer.learning_rate=nan: expected a number, at least 0",
            ),
            ("trust=''", "trust='': expected the name of a package"),
            ("trust=3", "trust=3: expected the name of a package"),
            ("trust={os:1}", "trust=.*: expected the name of a package"),
            ("trust=[nerlab_of_mine,3]", "trust=nerlab_of_mine: cannot be imported"),
            ("trust=[[nerlab_of_mine]]", "trust=.*: expected the name of a package"),
            ("trust=../mylab", "trust='../mylab': expected the name of a package"),
            ("trust=.mylab", "trust='.mylab': expected the name of a package"),
            ("trust=nerlab", "trust=nerlab: expected a package of your own"),
            ("trust=nerlab.training", "trust=nerlab.training: expected a package of your own"),
            ("trust=os", "trust=os: expected a package of your own"),
            ("trust=[os.path]", "trust=os.path: expected a package of your own"),
            ("trust=builtins", "trust=builtins: expected a package of your own"),
            ("trust=no_such_package", "trust=no_such_package: cannot be imported .*PYTHONPATH"),
            ("trust=torch.no_such_part", "trust=torch.no_such_part: cannot be imported"),
            ("+tracker.surprise=1", "surprise"),
            ("+data.reader.surprise=1", "data.reader: .*surprise"),
            ("~data.reader._target_", "data.reader: .*_target_"),
            ("~data.reader.token_column", "data.reader: .*token_column"),
            ("data.reader._partial_=false", "data.reader: .*_partial_"),
            ("seed='7.5'", "seed: Value '7.5'"),
            ("test='x'", "test: Value 'x'"),
            ("device=nan", "device=nan: not to be had here"),
            ("device=true", "device=True: not to be had here"),
            ("device=0.5", "device=0.5: not to be had here"),
            ("device=meta", "device=meta: not to be had here"),
            (
                "hydra.verbose=-0.0",
                "hydra.verbose=-0.0: expected a configuration, found AssertionError",
            ),
            ("trainer.ema=1" + "0" * 400, "trainer.ema=10+: .*too large"),
            ("model.dropout=nan", "model.dropout=nan: expected a number, 0 to 0.99"),
            (
                "model.encoder.layers=4294967297",
                "layers=4294967297: expected a whole number, 1 to 100",
            ),
            ("~model.encoder._partial_", "model.encoder: .*expected _partial_: true beside it"),
            (
                "model.decoder._partial_=false",
                "model.decoder: .*expected _partial_: true beside it",
            ),
            ("~tracker._partial_", "tracker: .*expected _partial_: true beside it"),
            ("~data.reader._partial_", "data.reader: .*expected _partial_: true beside it"),
            (
                "model.embedder.words._partial_=null",
                "model.embedder.words: .*expected _partial_: true beside it",
            ),
            ("~model.embedder.words.indexer", "model.embedder.words: expected a section indexer"),
            ("model.embedder.words.indexer=3", "model.embedder.words.indexer: .*_target_"),
            ("model.embedder=null", "model.embedder: .*_target_"),
            ("model.embedder.words.indexer.lowercase=no", "lowercase='no': expected true or false"),
            ("model.embedder.words.rare_word_dropout=2", "rare_word_dropout=2: expected a number"),
            ("model.dropout=abc", "model.dropout"),
            ("model.encoder=null", "_target_"),
            ("model.encoder=3", "_target_"),
            ("~model.decoder", "model.decoder"),
            ("model.encoder.hidden_dim=abc", "model.encoder"),
            ("model.embedder.words=3", "model.embedder"),
        ],
    ),
)
def test_a_value_that_makes_no_sense_is_refused_before_anything_is_made(
    corpus: Path, tmp_path: Path, override: str, place: str
) -> None:
    made = tmp_path / "run"
    arguments = [f"run.dir={made}"] if "run" not in override.split("=")[0] else []
    arguments = [*SMALL_MODEL, f"data.dir={corpus}", *arguments, override]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = run_script("train", *arguments)
    assert re.search(place, refused(result))
    assert list(tmp_path.iterdir()) == []
