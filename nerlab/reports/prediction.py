"""The work of predict.py: texts in, tagged texts out."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from omegaconf import DictConfig

from nerlab.config import Range
from nerlab.inference.annotation import brat, labelstudio, spacy
from nerlab.inference.lines import opened
from nerlab.inference.output import Tagged, conll, jsonl
from nerlab.inference.predictor import Predictor, load
from nerlab.messages import escape_controls, make_console, progress_bar
from nerlab.paths import output_file
from nerlab.reports.tagged_text import page, table

FORMATS = ("jsonl", "conll", "table", "html", "brat", "spacy", "labelstudio", "auto")
# Of these every text is complete in itself, so that a person can be answered.
_ANSWERS = ("jsonl", "conll", "table", "spacy", "auto")
_QUIT = ":quit"

Write = Callable[[Iterable[Tagged]], None]


def run_prediction(config: DictConfig) -> None:
    """Tag ``text``, or each line of ``input``, and write the result to ``output``.

    On a terminal, without either of them, a person is asked for texts. A file appears under its
    name only when it is whole. ``ValueError``: a value is not one of those that a key may have, a
    file is missing, or there is nothing to tag."""
    source = config.input
    to_stdout = config.output in (None, "-", "/dev/stdout")
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: expected one of {', '.join(FORMATS)}")
    if not Range(0, 1).holds(config.min_score):
        raise ValueError(f"min_score={config.min_score}: expected {Range(0, 1)}")
    if config.format == "brat" and to_stdout:
        raise ValueError("format=brat: expected output=NAME; NAME.txt and NAME.ann are written")
    asks = config.text is None and source is None and config.format in _ANSWERS
    asks = asks and config.output is None and _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
    if (config.text is None) == (source is None) and not asks:
        raise ValueError("expected text=... or input=FILE (input=- reads standard input)")
    if source not in (None, "-") and (not Path(source).exists() or Path(source).is_dir()):
        raise ValueError(f"input={source}: no such file")
    predictor = load(config.checkpoint, config.device, config.trust)
    tag = partial(predictor.stream, document=config.document, min_score=config.min_score)
    output = "-" if to_stdout else config.output
    title = f"Entities in {Path(source).name}" if source not in (None, "-") else "Entities"
    with _writer(config.format, output, predictor.labels, title) as write:
        if asks:
            for text in _typed(predictor):
                write(tag([text]))
        elif source is None:
            write(tag([config.text]))
        else:
            with opened(source) as lines, _progress(source, to_stdout) as followed:
                write(followed(tag(lines, is_ready=lines.is_ready)))


@contextmanager
def _writer(name: str, output: str, labels: Sequence[str], title: str) -> Iterator[Write]:
    """What writes texts in the format ``name`` to a file, or to standard output for ``-``."""
    on_terminal = output == "-" and _is_terminal(sys.stdout)
    if name == "auto":
        name = "table" if on_terminal else "jsonl"
    if name == "brat":
        base = output.removesuffix(".txt").removesuffix(".ann")
        with output_file(f"{base}.txt") as document, output_file(f"{base}.ann") as annotations:
            yield partial(_write_pairs, document, annotations)
        return
    if name == "table" and on_terminal:
        yield partial(_print_table, labels)
        return
    convert: dict[str, Callable[[Iterable[Tagged]], Iterable[str]]] = {
        "jsonl": jsonl,
        "conll": conll,
        "spacy": spacy,
        "labelstudio": labelstudio,
        "table": lambda texts: (text.plain for text in table(texts, labels)),
        "html": partial(page, labels=labels, title=title),
    }
    with nullcontext(sys.stdout) if output == "-" else output_file(output) as file:
        if isinstance(file, TextIOWrapper):
            # Whoever waits for the answer to a line has it at once.
            file.reconfigure(encoding="utf-8", line_buffering=True)
        yield lambda texts: file.writelines(convert[name](texts))


def _write_pairs(document: TextIO, annotations: TextIO, texts: Iterable[Tagged]) -> None:
    for text, lines in brat(texts):
        document.write(text)
        annotations.write(lines)


def _print_table(labels: Sequence[str], texts: Iterable[Tagged]) -> None:
    console = make_console()
    for text in table(texts, labels):
        console.print(text, end="")


def _typed(predictor: Predictor) -> Iterator[str]:
    """What a person types, a line a text, until ``:quit`` or the end."""
    with suppress(ImportError):
        import readline  # noqa: F401 - with it, input() has a history and the keys of an editor
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    labels = " ".join(map(escape_controls, predictor.labels))
    print(f"finds {labels}; type a text and Enter, {_QUIT} or Ctrl-D to end")
    while True:
        try:
            line = input("> ")
        except EOFError:
            print()
            return
        if line.strip() == _QUIT:
            return
        if line.strip():
            yield line


@contextmanager
def _progress(
    source: str, to_stdout: bool
) -> Iterator[Callable[[Iterable[Tagged]], Iterable[Tagged]]]:
    """What passes texts on and shows on the terminal of standard error how much of a file is
    tagged, unless standard output comes to a terminal too."""
    if not Path(source).is_file() or (to_stdout and _is_terminal(sys.stdout)):
        yield iter
        return
    with progress_bar(make_console(stderr=True), "tagging") as show:
        show(total=Path(source).stat().st_size)

        def follow(texts: Iterable[Tagged]) -> Iterator[Tagged]:
            done = 0
            for text, tagged in texts:
                yield text, tagged
                done += len(text.encode()) + 1
                show(completed=done)

        yield follow


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
