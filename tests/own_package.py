"""A researcher's own package, as it would lie beside hers, and one that only sounds like it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

FILES = {
    "mylab/__init__.py": "",
    "mylab/encoders.py": """
        import os

        from torch import Tensor, nn
        from torch.nn import Identity


        class GRU(nn.Module):
            def __init__(self, input_dim: int, hidden_dim: int) -> None:
                super().__init__()
                self.gru = nn.GRU(input_dim, hidden_dim, batch_first=True)
                self.output_dim = hidden_dim

            def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
                output, _ = self.gru(x)
                return output


        def make(input_dim: int, hidden_dim: int) -> GRU:
            return GRU(input_dim, hidden_dim)
    """,
    "mylab/readers.py": """
        from typing import TYPE_CHECKING

        from nerlab.data.sentence import Sentence

        if TYPE_CHECKING:
            from mylab.types import Separator


        def read(path, separator: "Separator"):
            tokens, tags = [], []
            for line in path.read_text(encoding="utf-8").split("\\n"):
                if line and not line.startswith("-DOCSTART-"):
                    token, tag = line.split(separator)
                    tokens.append(token)
                    tags.append(tag)
                elif tokens:
                    yield Sentence(tokens, tags, 1)
                    tokens, tags = [], []
    """,
    "mylab/trackers.py": """
        class Lines:
            def __init__(self, run_directory, name, config):
                self.path = run_directory / "lines.txt"
                self.path.write_text("begun\\n")

            def log(self, metrics, step):
                pass

            def log_report(self, report):
                self.path.write_text(self.path.read_text() + report.split + "\\n")

            def finish(self):
                self.path.write_text(self.path.read_text() + "finished\\n")
    """,
    "conf/model/encoder/gru.yaml": """
        _target_: mylab.encoders.GRU
        _partial_: true
        hidden_dim: 24
    """,
    "conf/data/reader/mine.yaml": """
        _target_: mylab.readers.read
        _partial_: true
        separator: " "
    """,
    "conf/tracker/lines.yaml": """
        _target_: mylab.trackers.Lines
        _partial_: true
    """,
    "mylab_evil/__init__.py": """
        from pathlib import Path

        Path(__file__).with_name("imported").touch()
    """,
    "mylab_evil/encoders.py": """
        from mylab.encoders import GRU


        class Evil(GRU):
            pass
    """,
    "corrupted.py": "raise RuntimeError('two\\nlines')",
}


def write_package(folder: Path) -> None:
    """Write the packages, and a folder ``conf`` that names what is in one of them."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip(), encoding="utf-8")


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Within it the packages are found; afterwards nothing is left of them in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        try:
            yield
        finally:
            roots = {Path(name).parts[0].removesuffix(".py") for name in FILES}
            for name in [name for name in sys.modules if name.partition(".")[0] in roots]:
                del sys.modules[name]
