"""Every command and every example of README.md and docs/ is run, as a reader would run it."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run_process
from formats import write_columns, write_rows

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A code block, and the file that it is to be written to, if the text before it names one.
_BLOCK = re.compile(r"(?:`([\w/]+\.(?:py|yaml))`:\n\n)?^```(\w*)\n(.*?)^```", re.M | re.S)
# What is not run here, and why.
NOT_RUN = {
    "make": "CI runs make test, which installs; the other targets take long",
    "python train.py data=wnut17": "downloads",
    "python train.py data=localdoc": "tests/data/test_data_presets.py makes such a file",
    "python train.py experiment=": "tests/training/test_published_runs.py, with small models",
    "python train.py tracker": "tests/training/test_tracking.py and test_tensorboard.py",
    "python train.py -m hydra/sweeper=optuna": "needs what is in no lock, Optuna 2",
    "pip install": "installs",
    "python train.py model=pretrained model.path=": "tests/models/test_pretrained.py",
    "python -m nerlab serve": "serves until it is ended: tests/serving",
    "python benchmarks/": "measures, for minutes",
}
NEEDS_AN_ACCOUNT = "import json\n\nimport boto3"
TEXT = [
    sentence
    for number in range(60)
    for sentence in (
        [("Anna", "B-PER"), ("Smith", "I-PER"), ("flew", "O"), ("to", "O"), ("Paris", "B-LOC")],
        [("Paris", "B-LOC"), ("has", "O"), (str(number), "O"), ("trains", "O"), (".", "O")],
    )
]
CLASSES = {"O": 0, "B-PER": 1, "I-PER": 1, "B-LOC": 2}


def commands(block: str) -> list[list[str]]:
    """The words of each command of a block; a comment is none."""
    lines = block.replace("\\\n", " ").splitlines()
    lines = [line.replace(".venv/bin/python", "python") for line in lines]
    lines = ["python train.py" if line == "make train" else line for line in lines]
    wanted = (line for line in lines if "<" not in line and not line.startswith(tuple(NOT_RUN)))
    return [words for line in wanted if (words := shlex.split(line, comments=True))]


def quick(words: list[str]) -> list[str]:
    """The arguments of python for a command, with which a training run takes one epoch."""
    arguments = words[1:] if words[0] == "python" else ["-m", *words]
    if arguments[0] == "train.py":
        arguments = [*arguments, "tracker=none"]
        if "resume=runs/latest" not in arguments:
            arguments.append("trainer.epochs=1")
    return arguments


def write_corpora(folder: Path) -> None:
    """What the pages call FOLDER, with a file of each format that they read from it, and EXPORT
    beside it, with one of an annotation tool."""
    export = folder.with_name("EXPORT")
    folder.mkdir()
    export.mkdir()
    for name in ("train.txt", "dev.txt", "valid.txt", "FILE"):
        write_columns(TEXT, folder / name)
        columns = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(f"-DOCSTART-\tO\n\n{columns}", encoding="utf-8")
    for name in ("train.csv", "dev.csv", "all.csv", "ner_dataset.csv"):
        write_rows(TEXT, folder / name)
        rows = (folder / name).read_text(encoding="utf-8").partition("\n")[2]
        (folder / name).write_text(f"Sentence #,Word,Tag\n{rows}", encoding="utf-8")
    records, exported = [], []
    for sentence in TEXT:
        tokens, tags = zip(*sentence, strict=True)
        classes = [CLASSES[tag] for tag in tags]
        records.append({"tokens": tokens, "tags": tags, "ner_tags": classes})
        text = " ".join(tokens)
        span = {"start": text.index("Paris"), "end": text.index("Paris") + 5, "label": "LOC"}
        exported.append({"text": text, "spans": [span], "answer": "accept"})
    for split in ("train.jsonl", "dev.jsonl"):
        for place, lines in ((folder, records), (export, exported)):
            (place / split).write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("train", "valid"):
        for kind, column in (("words", 0), ("tags", 1)):
            texts = (" ".join(pair[column] for pair in part) + "\n" for part in TEXT)
            (folder / f"{name}_{kind}").write_text("".join(texts))


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_run_runs(page: Path, tmp_path: Path) -> None:
    for name in ("conf", "nerlab", "data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for script in ROOT.glob("*.py"):
        shutil.copy(script, tmp_path)
    build = tmp_path / "nerlab" / "models" / "build.py"
    listed = 'ENCODERS = ("nerlab.modules.gru.GRU",'  # as docs/extending.md says
    build.write_text(build.read_text(encoding="utf-8").replace("ENCODERS = (", listed))
    write_corpora(tmp_path / "FOLDER")
    write_columns(TEXT, tmp_path / "FILE")
    (tmp_path / "VECTORS").write_text("paris" + " 0.1" * 50 + "\n")
    environment = {"PYTHONPATH": str(tmp_path), "WANDB_MODE": "offline"}
    first = ["train.py", "trainer.epochs=1", "tracker=none"]
    assert run_process(first, tmp_path, **environment).status == 0  # runs/latest
    for name, _, block in _BLOCK.findall((ROOT / "docs" / "extending.md").read_text("utf-8")):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(block, encoding="utf-8")
    for name, language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if name:
            continue
        if language == "python" and not block.startswith(NEEDS_AN_ACCOUNT):
            result = run_process(["-c", block], tmp_path, **environment)
            assert result.status == 0, f"{block}\n{result.err}"
        elif not language:
            for words in commands(block):
                if words[0] not in ("python", "nerlab"):
                    continue  # a picture of files or of the tree
                result = run_process(quick(words), tmp_path, **environment)
                assert result.status == 0, f"{shlex.join(words)}\n{result.err}"
