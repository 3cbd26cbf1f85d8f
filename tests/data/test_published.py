"""Published corpora come by themselves, or the error says from where."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import run_script
from corpora import compose_data, real
from file_server import Answer, Server, files, serving, sha256
from omegaconf import DictConfig, OmegaConf

from nerlab.config import DataConfig, Published
from nerlab.data.load import load_split
from nerlab.data.published import PUBLICATIONS, PinnedFile, Publication
from nerlab.saved_config import data_config

SENTENCES = b"Ada\tB-person\nflew\tO\n\nto\tO\nRome\tB-location\n\n"
TRAIN = "wnut17train.conll"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that wnut17 has moved to, with two sentences in train and dev."""
    with serving(Answer(SENTENCES)) as server:
        pinned = PinnedFile(server.url, sha256(SENTENCES))
        corpus = Publication("https://example.org", {TRAIN: pinned, "emerging.dev.conll": pinned})
        monkeypatch.setitem(PUBLICATIONS, Published.wnut17, corpus)
        yield server


def wnut17(folder: Path, *overrides: str) -> DataConfig:
    return compose_data("data=wnut17", f"data.dir={folder / 'corpus'}", *overrides)


def saved_by(data: DataConfig) -> DictConfig:
    """The data section of a checkpoint."""
    saved = OmegaConf.create(OmegaConf.to_yaml(data, resolve=True))
    assert isinstance(saved, DictConfig)
    return saved


def test_a_split_that_is_missing_is_fetched_once(published: Server, tmp_path: Path) -> None:
    for _ in range(2):
        for split in ("train", "dev"):
            corpus = load_split(wnut17(tmp_path), split)
            assert corpus.sentence_tokens(0) == ["Ada", "flew"]
    assert files(tmp_path / "corpus") == ["emerging.dev.conll", TRAIN]
    assert published.asked == 2


def test_a_partial_file_is_never_taken_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / f"{TRAIN}.part").write_bytes(SENTENCES)
    with pytest.raises(ValueError, match=r"wnut17train\.conll: no such file"):
        load_split(wnut17(tmp_path, "data.download=null"), "train")


def test_a_packed_file_is_there(published: Server, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / f"{TRAIN}.gz").write_bytes(gzip.compress(SENTENCES))
    assert len(load_split(wnut17(tmp_path), "train")) == 2
    assert published.asked == 0


@pytest.mark.parametrize(
    ("overrides", "split", "source"),
    [
        (["data.download=null"], "train", ""),
        (["data.train=mine"], "train", "put it there, from https://example.org, or "),
        ([], "test", "put it there, from https://example.org, or "),
    ],
)
def test_only_what_the_list_names_is_fetched(
    published: Server, tmp_path: Path, overrides: list[str], split: str, source: str
) -> None:
    pattern = f"no such file, expected the {split} split; {source}set data.dir to "
    with pytest.raises(ValueError, match=pattern):
        load_split(wnut17(tmp_path, *overrides), split)
    assert published.asked == 0
    assert files(tmp_path) == []


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("train", [TRAIN, "mine"])
def test_nothing_is_fetched_into_a_folder_with_files_from_elsewhere(
    published: Server, tmp_path: Path, train: str, packed: bool
) -> None:
    (tmp_path / "corpus").mkdir()
    other = SENTENCES.replace(b"Rome", b"Rom")
    there = tmp_path / "corpus" / (f"{train}.gz" if packed else train)
    there.write_bytes(gzip.compress(other) if packed else other)
    message = rf"no such file, .*; it is not fetched, as {there} is of another corpus; put it there"
    with pytest.raises(ValueError, match=message):
        load_split(wnut17(tmp_path, f"data.train={train}"), "dev")
    assert published.asked == 0
    assert files(tmp_path / "corpus") == [there.name]


@pytest.mark.parametrize("packed", [False, True])
def test_what_lacks_is_fetched_beside_a_file_of_the_corpus(
    published: Server, tmp_path: Path, packed: bool
) -> None:
    (tmp_path / "corpus").mkdir()
    there = tmp_path / "corpus" / (f"{TRAIN}.gz" if packed else TRAIN)
    there.write_bytes(gzip.compress(SENTENCES) if packed else SENTENCES)
    assert len(load_split(wnut17(tmp_path), "dev")) == 2
    assert published.asked == 1


@pytest.mark.parametrize(("language", "fetched"), [("en", True), ("null", True), ("de", False)])
def test_wikiann_is_fetched_in_its_language_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, fetched: bool
) -> None:
    data = compose_data("data=wikiann", f"data.language={language}", f"data.dir={tmp_path}")
    sentences = b"en:Ada\tB-PER\n"
    with serving(Answer(sentences)) as server:
        english = PUBLICATIONS[Published.wikiann_en]
        pinned = {"train": PinnedFile(server.url, sha256(sentences))}
        monkeypatch.setitem(PUBLICATIONS, Published.wikiann_en, english._replace(files=pinned))
        if fetched:
            assert load_split(data, "train").sentence_tokens(0) == ["Ada"]
        else:
            message = "no such file, .*; it is fetched for data.language=en alone; put it there, "
            with pytest.raises(ValueError, match=message):
                load_split(data, "train")
            assert server.asked == 0
            (tmp_path / "train").write_bytes(b"de:Ada\tB-PER\n")
            assert load_split(data, "train").sentence_tokens(0) == ["Ada"]


def test_each_language_of_wikiann_has_a_folder_of_its_own() -> None:
    assert compose_data("data=wikiann").dir == "data/wikiann_en"
    assert compose_data("data=wikiann", "data.language=az").dir == "data/wikiann_az"


@pytest.mark.parametrize(
    ("preset", "file", "home"),
    [
        ("conll2003", "train.txt", "https://www.clips.uantwerpen.be/conll2003/ner/"),
        ("gmb", "ner_dataset.csv", "https://www.kaggle.com/"),
    ],
)
def test_what_may_not_be_passed_on_is_said_where_to_get_and_put(
    tmp_path: Path, preset: str, file: str, home: str
) -> None:
    data = compose_data(f"data={preset}", f"data.dir={tmp_path}")
    with pytest.raises(
        ValueError, match=f"^{tmp_path / file}: no such file, .*put it there, from {home}"
    ):
        load_split(data, "train")


def test_a_checkpoint_fetches_too_and_one_without_the_key_does_not(
    published: Server, tmp_path: Path
) -> None:
    saved, nothing = saved_by(wnut17(tmp_path)), OmegaConf.create({"dev": None})
    old = OmegaConf.create({key: saved[key] for key in saved if key != "download"})
    with pytest.raises(ValueError, match="no such file"):
        load_split(data_config(old, nothing), "dev")
    assert published.asked == 0
    assert len(load_split(data_config(saved, nothing), "dev")) == 2
    assert published.asked == 1


def test_a_checkpoint_cannot_name_an_address(tmp_path: Path) -> None:
    saved = saved_by(wnut17(tmp_path))
    saved.download = {TRAIN: {"url": "https://example.org", "sha256": sha256(b"")}}
    with pytest.raises(ValueError, match=r"^data: .*expected the keys of conf/data/base\.yaml$"):
        data_config(saved, OmegaConf.create({}))


def test_a_failure_of_train_py_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Answer(status=404)) as server:
        pinned = {TRAIN: PinnedFile(server.url, sha256(SENTENCES))}
        monkeypatch.setitem(PUBLICATIONS, Published.wnut17, Publication("", pinned))
        monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
        result = run_script("train", "data=wnut17", f"data.dir={tmp_path}")
    assert (result.status, result.out) == (1, "")
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: {server.url}: 404 ")


def test_every_corpus_of_the_configuration_is_in_the_list_and_pinned() -> None:
    assert PUBLICATIONS.keys() == set(Published)
    for corpus in PUBLICATIONS.values():
        for name, pinned in corpus.files.items():
            pattern = rf"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{{40}}/.*{name}"
            assert re.fullmatch(pattern, pinned.url)
            assert re.fullmatch("[0-9a-f]{64}", pinned.sha256)


@pytest.mark.parametrize("preset", ["wnut17", "wikiann"])
def test_every_file_of_a_preset_that_fetches_is_in_the_list(preset: str) -> None:
    data = compose_data(f"data={preset}")
    assert data.download is not None
    named = {name for name in (data.train, data.dev, data.test) if name is not None}
    assert PUBLICATIONS[data.download].files.keys() == named


@pytest.mark.parametrize(
    ("corpus", "name"),
    [(corpus, name) for corpus in Published for name in PUBLICATIONS[corpus].files],
)
def test_the_digests_are_those_of_the_published_files(corpus: Published, name: str) -> None:
    content = real(f"{corpus.value}/{name}").read_bytes()
    assert sha256(content) == PUBLICATIONS[corpus].files[name].sha256
