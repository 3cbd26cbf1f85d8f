"""What the fuzzers feed: for each way in from outside, examples to begin with and what must hold.

``tests/faults/fuzz.py`` imports this while it instruments nerlab, so nothing else of nerlab may
be imported before.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from conftest import SMALL_MODEL, Result, run_script
from formats import FORMATS, SMALL, TOOLS, Format
from helpers import reseal
from invariants import (
    check_tagged_lines,
    check_tokens,
    composed_or_refused,
    load_or_refuse,
    load_state_or_refuse,
    one_line,
    read_or_refuse,
)

from nerlab.data.vectors import WordVectors, read_vectors

_OTHER_FILE = b"\n\0\n"  # what parts the two files of the parallel format


class Target(NamedTuple):
    """``survive`` raises if a promise is broken; ``seeds`` are inputs that go far into the code."""

    survive: Callable[[bytes], None]
    seeds: list[bytes]


def reader(form: Format, scratch: Path) -> Target:
    """A file of any bytes, or a pair of them where the format has two."""
    path, beside = scratch / "words", scratch / "tags"

    def survive(content: bytes) -> None:
        words, _, tags = content.partition(_OTHER_FILE)
        path.write_bytes(words)
        beside.write_bytes(tags)
        read_or_refuse(form.read, path)

    form.write(SMALL, path)
    tags = _OTHER_FILE + beside.read_bytes() if beside.exists() else b""
    return Target(survive, [path.read_bytes() + tags])


def vectors(scratch: Path) -> Target:
    """Word vectors in a file of any bytes: finite numbers for words that the vocabulary has."""
    words = ("paris", "oslo", "the", "0")
    path = scratch / "vectors.txt"

    def survive(content: bytes) -> None:
        path.write_bytes(content)
        try:
            found = read_vectors(path, words, str.lower)
        except ValueError as error:
            message = one_line(str(error))
        else:
            check(found)
            return
        assert message.startswith(str(path))

    def check(found: WordVectors) -> None:
        assert len(found.values) == len(found.places)
        assert np.isfinite(found.values).all()
        assert all(0 <= i < len(words) for i in found.places)

    return Target(survive, [b"2 2\nparis 0.5 -1\nOslo 1e-3 2\n", b"the 0 0 \n"])


def tokens(scratch: Path) -> Target:
    """Any text, lone surrogates too."""

    def survive(content: bytes) -> None:
        check_tokens(content.decode("utf-8", "surrogateescape"))

    words = [
        'Mr. Wu didn\'t pay $1,000.50 (U.N.) on 1996-08-30... "Why?"\n',
        "我在北京。हिन्दी 👩‍👩‍👧🇦🇿",
    ]
    return Target(survive, [word.encode() for word in words])


def _trained(scratch: Path) -> Path:
    """A run directory with a small model."""
    for split in ("train", "dev", "test"):
        FORMATS["columns"].write(SMALL, scratch / f"{split}.conll")
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={scratch}", f"run.dir={scratch}/run")
    result = run_script("train", *arguments)
    assert result.status == 0, result.err
    return scratch / "run"


def checkpoint(scratch: Path) -> Target:
    """One file of a checkpoint, its first byte saying which."""
    original = _trained(scratch) / "checkpoints" / "best"
    return _corrupted(original, scratch / "corrupted", load_or_refuse)


def state(scratch: Path) -> Target:
    """The same of the state of a training."""
    original = _trained(scratch) / "checkpoints" / "last"
    return _corrupted(original, scratch / "corrupted", load_state_or_refuse)


def _corrupted(original: Path, folder: Path, load: Callable[[Path], None]) -> Target:
    shutil.copytree(original, folder)
    names = sorted(path.name for path in original.iterdir())

    def survive(content: bytes) -> None:
        if not content:
            return
        name = names[content[0] % len(names)]
        (folder / name).write_bytes(content[1:])
        try:
            if name != "manifest.json":
                reseal(folder)
            load(folder)
        finally:
            for changed in (name, "manifest.json"):
                shutil.copy(original / changed, folder / changed)

    seeds = [bytes([i]) + (original / name).read_bytes() for i, name in enumerate(names)]
    return Target(survive, seeds)


def predicted(scratch: Path) -> Target:
    """A file of any bytes that predict.py is to tag."""
    run, path = _trained(scratch), scratch / "input"

    def survive(content: bytes) -> None:
        path.write_bytes(content)
        result = run_script("predict", f"checkpoint={run}", f"input={path}")
        check_tagged_lines(content, result)

    return Target(survive, [b"Ada met Eve.\r\n\nIn Oslo \xf0\x9f\x91\x8d", b"\xef\xbb\xbfAda\n"])


def overrides(scratch: Path) -> Target:
    """What is typed behind train.py, an argument a line."""

    def survive(content: bytes) -> None:
        text = content.decode("utf-8", "surrogateescape").replace("\0", "")
        arguments = [line for line in text.split("\n") if not line.startswith("-")]
        composed_or_refused(run_script("train", "--cfg=job", *arguments))

    lines = [b"model=transformer_crf\nseed=3", b"++data.dir='a b'", b"~model.encoder", b"seed=${x}"]
    return Target(survive, lines)


# What may stand behind any key; what is a name of a corpus on the network is not among them.
ODD_VALUES = (
    *("null", "true", "false", "0", "1", "2", "3", "-1", "0.5", "-0.0", "1e-9", "nan", "inf"),
    *("-inf", "4294967297", "9223372036854775808", "1" + "0" * 400, "1e999", "'7'", "''", '""'),
    *("[]", "[1]", "[a,null]", "{}", "{a: 1}", "{a: {b: [1]}}", "???", "'???'", "x", "auto"),
    *("cpu", "meta", "cuda:99", "é", "北京", "'\\x1b[31m'", "'a\tb'", "'a b'", "'${x}'", "${seed}"),
    *("../none", ".", "none/none", "a" * 300, "2020-01-01", "0x10", "1_000", "utf-16", "iob"),
)
# Tracebacks are what debug is for; of the others some values are sensible, and take for ever.
_LEFT_OUT = ("debug", "trainer.epochs", "tracker._target_", "run.root", "run.dir", "output")


def commands(scratch: Path) -> Target:
    """Each command with a key or two of its own set to an odd value: two bytes an override."""
    run, data = _trained(scratch), ("data=conll", f"data.dir={scratch}")
    bases = {
        "train": (*SMALL_MODEL, data[1], "trainer.epochs=1", f"run.dir={scratch}/fuzzed"),
        "evaluate": (f"checkpoint={run}", f"output={scratch}/fuzzed"),
        "predict": (f"checkpoint={run}", "text=Ada met Eve."),
        "check": data,
        "stats": (*data, f"output={scratch}/fuzzed"),
        "convert": (*data, f"output={scratch}/fuzzed"),
    }
    keys = {name: _keys_of(name, base) for name, base in bases.items()}

    def survive(content: bytes) -> None:
        name = sorted(bases)[content[0] % len(bases)] if content else "check"
        pairs = list(zip(content[1:5:2], content[2:5:2], strict=False))
        chosen = [
            (keys[name][k % len(keys[name])], ODD_VALUES[v % len(ODD_VALUES)]) for k, v in pairs
        ]
        result = _command(name, *bases[name], *(f"{key}={value}" for key, value in chosen))
        shutil.rmtree(scratch / "fuzzed", ignore_errors=True)
        assert result.status in (0, 1), (name, chosen, result)
        if result.status == 1:
            last = result.err.rstrip("\n").split("\n")[-1]
            assert last.startswith("error: "), (name, chosen, result.err)
        assert "Traceback" not in result.err, (name, chosen, result.err)

    seeds = [bytes([c, k, v]) for c in range(6) for k in range(0, 60, 7) for v in range(0, 50, 9)]
    return Target(survive, seeds)


def _command(name: str, *arguments: str) -> Result:
    if name in ("train", "evaluate", "predict"):
        return run_script(name, *arguments)
    return run_script("nerlab/__main__", name, *arguments)


def _keys_of(name: str, base: tuple[str, ...]) -> list[str]:
    """The keys of a command as it is composed, sections too."""
    composed = yaml.safe_load(_command(name, "--cfg=job", *base).out)

    def visit(node: dict[str, Any], prefix: str) -> Iterator[str]:
        for key, value in node.items():
            yield f"{prefix}{key}"
            if isinstance(value, dict):
                yield from visit(value, f"{prefix}{key}.")

    return [key for key in visit(composed, "") if key not in _LEFT_OUT]


TARGETS: dict[str, Callable[[Path], Target]] = {
    **{name: partial(reader, form) for name, form in FORMATS.items()},
    **{name: partial(reader, form) for name, form in TOOLS.items()},
    "vectors": vectors,
    "tokens": tokens,
    "checkpoint": checkpoint,
    "state": state,
    "predict": predicted,
    "overrides": overrides,
    "commands": commands,
}
logging.disable()
