"""The cache of indexed corpora: found again, never trusted blindly, harmless to share."""

import ast
import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from helpers import fit_on
from omegaconf import OmegaConf
from test_corpus import contents, data_config

from nerlab.data import index, load
from nerlab.data.batch import Batch, Batcher
from nerlab.data.build import build_corpus
from nerlab.data.corpus import ARRAYS, LEXICON, Corpus
from nerlab.data.load import load_file, load_split
from nerlab.data.readers import conll
from nerlab.data.readers.lines import numbered_lines
from nerlab.data.readers.messages import warn
from nerlab.files import file_lock

TEXT = "-DOCSTART- O\n\nAda B-X\nLovelace I-X\nwrote O\n\n-DOCSTART- O\n\nİo B-Y\nshone O\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of one test."""
    path = tmp_path / "cache"
    monkeypatch.setenv("NERLAB_CACHE", str(path))
    return path


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The folder of every corpus that is indexed, not opened; None is memory."""
    made: list[Path | None] = []

    def counting(*arguments: Any) -> Corpus:
        made.append(arguments[-1])
        return build_corpus(*arguments)

    monkeypatch.setattr(index, "build_corpus", counting)
    return made


def data(folder: Path, text: str = TEXT, **options: Any) -> Any:
    (folder / "a").write_text(text, encoding="utf-8")
    return data_config(folder, **({"scheme": "iob2", "cache": True} | options))


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/corpus"))


def test_a_corpus_is_indexed_once_and_then_opened(
    tmp_path: Path, folder: Path, builds: list[Path | None]
) -> None:
    first, again = (load_split(data(tmp_path), "train") for _ in range(2))
    memory = load_split(data(tmp_path, cache=False), "train")
    assert len(builds) == 2
    assert builds[1] is None
    for corpus in (first, again):
        assert contents(corpus) == contents(memory)
        assert corpus.digest() == memory.digest()
        assert corpus.labels == memory.labels
        assert list(corpus.token_counts()) == list(memory.token_counts())
    assert len(entries(folder)) == 1


def test_batches_from_disk_are_those_from_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"w{rng.zipf(1.5)} {'B-X' if rng.random() < 0.3 else 'O'}\n" for _ in range(3000)]
    text = "".join(row + "\n" * (rng.random() < 0.1) for row in rows)
    corpora = [load_split(data(tmp_path, text, cache=flag), "train") for flag in (False, True)]
    assert isinstance(corpora[1].tokens.base, np.memmap)
    vocabulary = fit_on(corpora[0])
    batches: list[list[Batch]] = []
    for corpus in corpora:
        batcher, generator = Batcher(corpus, vocabulary, True), np.random.default_rng(1)
        groups = batcher.shuffled_groups(300, generator)
        batches.append([batcher.collate(group) for group in groups])
    for left, right in zip(*batches, strict=True):
        assert plain(left) == plain(right)


def plain(batch: Batch) -> dict[str, Any]:
    """Every number of a batch."""

    def listed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: listed(part) for name, part in value.items()}
        return value if value is None else value.tolist()

    return {name: listed(value) for name, value in vars(batch).items()}


def test_the_same_content_in_another_folder_is_the_same_entry(
    tmp_path: Path, builds: list[Path | None]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        load_split(data(tmp_path / name), "train")
    assert len(builds) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"text": TEXT + "more O\n"},
        {"scheme": "bilou", "text": TEXT.replace("I-X", "L-X").replace("B-Y", "U-Y")},
        {"repair": True},
        {"split": "hash"},
        {"reader": {"tag_column": 1}},
        {"reader": {"comment": "#"}},
        {"reader": {"encoding": "latin-1"}},
    ],
)
def test_another_text_or_another_reading_is_another_entry(
    tmp_path: Path, builds: list[Path | None], options: dict[str, Any]
) -> None:
    load_split(data(tmp_path), "train")
    text = options.pop("text", TEXT)
    other = OmegaConf.merge(data(tmp_path, text), options)
    for _ in range(2):
        corpus = load_split(other, "train")  # type: ignore[arg-type]
    other.cache = False
    memory = load_split(other, "train")  # type: ignore[arg-type]
    assert [path is None for path in builds] == [False, False, True]
    assert contents(corpus) == contents(memory)


def test_each_split_of_one_file_is_an_entry(tmp_path: Path, builds: list[Path | None]) -> None:
    text = "".join(f"w{i} O\n\n" for i in range(100))
    config = data(tmp_path, text, split="hash")
    sizes = [[len(load_split(config, name)) for name in load.SPLITS] for _ in range(2)]
    assert len(builds) == 3
    assert sizes[0] == sizes[1]
    assert sum(sizes[0]) == 100


def test_a_change_in_a_file_beside_the_source_is_seen(
    tmp_path: Path, builds: list[Path | None]
) -> None:
    (tmp_path / "train_words").write_text("a b\n")
    (tmp_path / "train_tags").write_text("O O\n")
    reader = {"_target_": "nerlab.data.readers.parallel.read", "_partial_": True}
    reader |= {"words": "words", "tags": "tags", "encoding": "utf-8"}
    config = data(tmp_path, train="train_words")
    config.reader = reader
    assert load_split(config, "train").labels == []
    (tmp_path / "train_tags").write_text("B-X O\n")
    assert load_split(config, "train").labels == ["X"]
    assert len(builds) == 2


def test_an_edit_of_the_code_that_reads_makes_a_new_entry(
    tmp_path: Path, builds: list[Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "reader.py"
    monkeypatch.setattr(load, "code_of", lambda package: iter([code]))
    for version in ("one", "two", "two"):
        code.write_text(version)
        load_split(data(tmp_path), "train")
    assert len(builds) == 2


@pytest.mark.parametrize("changed", ["__init__.py", "reader.py", "inner/words.py"])
def test_an_edit_in_the_package_of_a_trusted_reader_indexes_anew(
    tmp_path: Path, builds: list[Path | None], monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    name = f"lab_{tmp_path.name}"
    (tmp_path / name / "inner").mkdir(parents=True)
    for part in ("__init__.py", "reader.py", "inner/words.py"):
        (tmp_path / name / part).write_text("from nerlab.data.readers.conll import read as columns")
    text = "def read(path, **options):\n    yield from columns(path, **options)\n"
    with (tmp_path / name / "reader.py").open("a") as file:
        file.write("\n" + text)
    monkeypatch.syspath_prepend(tmp_path)
    config = data(tmp_path)
    config.reader._target_ = f"{name}.reader.read"
    for _ in range(2):
        load_split(config, "train", (name,))
    assert len(builds) == 1
    with (tmp_path / name / changed).open("a") as file:
        file.write("\n# edited\n")
    load_split(config, "train", (name,))
    assert len(builds) == 2


@pytest.mark.parametrize("kind", ["one file", "no __init__.py"])
def test_the_code_of_a_package_is_found_whatever_it_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name = f"lab_{tmp_path.name}"
    path = tmp_path / (f"{name}.py" if kind == "one file" else f"{name}/reader.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import_module(name)
    assert path in set(load.code_of(name)) - set(load.code_of("nerlab"))


def imported(path: Path) -> set[Path]:
    """The files of nerlab that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    parts = [name.split(".") for name in names if name.startswith("nerlab.")]
    files = {ROOT.joinpath(*of).with_suffix(".py") for of in parts}
    return {file for file in files if file.is_file()}


def test_the_code_of_the_key_is_all_that_readers_and_indexing_import_and_no_more() -> None:
    folder = ROOT / "nerlab" / "data"
    found: set[Path] = set()
    new = {*(folder / "readers").glob("*.py"), folder / "build.py", folder / "splits.py"}
    while new:
        found |= new
        new = {other for path in new for other in imported(path)} - found
    ways_in = {folder / f"{name}.py" for name in ("load", "index", "plausibility")}
    assert set(load.code_of("nerlab")) == found | ways_in


@pytest.mark.parametrize(("name", "builds_anew"), [("data/splits.py", True), ("config.py", False)])
def test_an_edit_of_other_code_of_nerlab_keeps_the_entries(
    tmp_path: Path,
    builds: list[Path | None],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    builds_anew: bool,
) -> None:
    package = Path(shutil.copytree(ROOT / "nerlab", tmp_path / "nerlab"))
    monkeypatch.setattr(load, "_PACKAGE", package)
    for _ in range(2):
        load_split(data(tmp_path), "train")
        with (package / name).open("a") as file:
            file.write("# edited\n")
    assert len(builds) == 1 + builds_anew


def corruptions(entry: Path) -> Iterator[None]:
    """Every way of corrupting an entry, one a turn."""
    for path in sorted(entry.iterdir()):
        whole = path.read_bytes()
        for content in (b"", whole[:-1], whole + b"\0", bytes([whole[0] ^ 1]) + whole[1:]):
            path.write_bytes(content)
            yield
        path.unlink()
        yield
    meta = entry / "meta.json"
    for content in (b"[]", b"null", b"{}", b'{"sha256": {}}', b"\xff"):
        meta.write_bytes(content)
        yield


def test_a_corrupted_entry_is_built_again(
    tmp_path: Path, folder: Path, builds: list[Path | None]
) -> None:
    config = data(tmp_path)
    expected = contents(load_split(config, "train"))
    (entry,) = entries(folder)
    turns = 0
    for turns, _ in enumerate(corruptions(entry), start=1):
        assert contents(load_split(config, "train")) == expected
        assert entries(folder) == [entry]
        assert set(os.listdir(entry)) == {*ARRAYS, LEXICON, "meta.json"}
        assert len(builds) == turns + 1
    assert turns == 5 * 6 + 5
    load_split(config, "train")
    assert len(builds) == turns + 1


def test_an_entry_may_be_deleted_while_it_is_used(tmp_path: Path, folder: Path) -> None:
    corpora = [load_split(data(tmp_path), "train") for _ in range(2)]
    expected = contents(load_split(data(tmp_path, cache=False), "train"))
    for path in entries(folder)[0].iterdir():
        path.unlink()
    assert [contents(corpus) for corpus in corpora] == [expected, expected]


def test_an_error_of_the_source_leaves_nothing_behind(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"a:2: tag 'I-X' follows 'O'"):
        load_split(data(tmp_path, "a O\nb I-X\n"), "train")
    assert entries(folder) == []


def test_warnings_of_the_reader_are_kept(
    tmp_path: Path, builds: list[Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = numbered_lines

    def warning_reader(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
        yield from lines(path, encoding)
        warn(f"{path.name}: one row passed over")

    monkeypatch.setattr(conll, "numbered_lines", warning_reader)
    for _ in range(2):
        assert load_split(data(tmp_path), "train").warnings == ["a: one row passed over"]
    assert len(builds) == 1


def test_what_a_killed_builder_has_left_is_removed_by_the_next_one(
    tmp_path: Path, folder: Path
) -> None:
    load_split(data(tmp_path), "train")
    (entry,) = entries(folder)
    part = entry.with_name("corpus.part")
    entry.rename(part)
    (part / "meta.json").unlink()
    load_split(data(tmp_path), "train")
    assert entries(folder) == [entry]
    assert os.listdir(entry.parent) == ["corpus"]


def test_an_entry_is_locked_while_it_is_built(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()

    def build(*arguments: Any) -> Corpus:
        with pytest.raises(ValueError, match="another process"), file_lock(arguments[-1].parent):
            pass
        monkeypatch.setattr(index, "build_corpus", build_corpus)
        load_split(data(tmp_path / "other", "b O\n"), "train")  # another entry is not
        return build_corpus(*arguments)

    monkeypatch.setattr(index, "build_corpus", build)
    assert len(load_split(data(tmp_path), "train")) == 2
    assert len(entries(folder)) == 2


def test_a_file_system_without_locks_is_cached_on_too(
    tmp_path: Path, builds: list[Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    for _ in range(2):
        load_split(data(tmp_path), "train")
    assert len(builds) == 1


@pytest.mark.parametrize("obstacle", ["a file", "no folder may be made"])
def test_a_cache_that_cannot_be_written_costs_a_warning_not_the_corpus(
    tmp_path: Path, folder: Path, obstacle: str
) -> None:
    if obstacle == "a file":
        folder.write_text("in the way")
    else:
        folder.symlink_to("/proc/nowhere")
    corpus = load_split(data(tmp_path), "train")
    assert contents(corpus) == contents(load_split(data(tmp_path, cache=False), "train"))
    (warning,) = corpus.warnings
    assert warning.startswith(str(folder))
    assert "held in memory; set NERLAB_CACHE" in warning


def test_a_source_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def slow(*arguments: Any) -> Corpus:
        corpus = build_corpus(*arguments)
        (tmp_path / "a").write_text(TEXT + "late O\n")
        return corpus

    config = data(tmp_path)
    monkeypatch.setattr(index, "build_corpus", slow)
    with pytest.raises(ValueError, match=r"a: changed while it was read; run again"):
        load_split(config, "train")
    assert entries(folder) == []


def test_a_file_by_itself_is_kept_too(tmp_path: Path, builds: list[Path | None]) -> None:
    config = data(tmp_path)
    for _ in range(2):
        load_file(config, tmp_path / "a")
    assert len(builds) == 1


def test_of_several_that_ask_at_once_one_builds(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads, each of which opens the lock for itself, as processes do."""
    started, built = threading.Barrier(4), []
    config = data(tmp_path)

    def build(*arguments: Any) -> Corpus:
        built.append(arguments[-1])
        time.sleep(0.2)
        return build_corpus(*arguments)

    def ask() -> str:
        started.wait()
        return load_split(config, "train").digest()

    monkeypatch.setattr(index, "build_corpus", build)
    with ThreadPoolExecutor(4) as pool:
        digests = {future.result() for future in [pool.submit(ask) for _ in range(4)]}
    assert len(digests) == len(built) == len(entries(folder)) == 1
