"""Output that cannot be written."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from nerlab.terminal import LastingStream, lasting_output


@pytest.fixture(params=["closed pipe", "full disk", "none"])
def broken(request: pytest.FixtureRequest) -> Iterator[TextIO | None]:
    """A stream that nothing can be written to; None where a process has been given none.

    That it is closed at the end would raise, if something were left in it.
    """
    if request.param == "none":
        yield None
        return
    if request.param == "full disk":
        if not Path("/dev/full").exists():
            pytest.skip("this system has no full disk to try")
        target = os.open("/dev/full", os.O_WRONLY)
    else:
        source, target = os.pipe()
        os.close(source)
    with open(target, "w", encoding="utf-8") as file:
        yield file


def test_output_that_cannot_be_written_is_dropped(broken: TextIO | None) -> None:
    stream = LastingStream(broken)
    for _ in range(2):
        assert stream.write("text\n" * 10_000) == 50_000
        stream.flush()
    assert not stream.isatty()


def test_work_goes_on_without_output(
    broken: TextIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", broken)
    with lasting_output():
        print("one line, held until the end")
    assert sys.stdout is broken


def test_output_that_can_be_written_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "output"
    with path.open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with lasting_output():
            print("Bakı", file=sys.stderr)
            assert sys.stderr.encoding == "utf-8"
        assert path.read_text(encoding="utf-8") == "Bakı\n"
