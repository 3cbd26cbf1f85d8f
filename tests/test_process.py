"""Signals that ask a process to end, and output that cannot be written."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from nerlab.process import (
    SIGNALS,
    Interrupted,
    Interruption,
    exit_on_signal,
    lasting_output,
    on_signals,
    quiet_exit,
)


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


def test_output_that_cannot_be_written_is_dropped(
    broken: TextIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", broken)
    with lasting_output():
        for _ in range(2):
            assert sys.stderr.write("text\n" * 10_000) == 50_000
            sys.stderr.flush()
        assert not sys.stderr.isatty()


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


def test_a_run_that_a_signal_stops_ends_with_its_status_wherever_its_output_goes(
    broken: TextIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", broken)
    with pytest.raises(SystemExit) as stop, quiet_exit():
        raise Interrupted(signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGTERM


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Every signal is handled, whatever started the tests, and raises here."""
    before = {number: signal.signal(number, _unexpected) for number in SIGNALS}
    yield
    after = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert set(after.values()) <= {_unexpected, signal.SIG_IGN}


def _unexpected(*_: object) -> None:
    raise AssertionError("a signal that nobody has handled")


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted(number: signal.Signals) -> None:
    interruption = Interruption()
    with on_signals(interruption.note):
        assert interruption.requested is None
        os.kill(os.getpid(), number)
        assert interruption.requested == number


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_so(number: signal.Signals) -> None:
    """As nohup ignores SIGHUP, and a shell SIGINT for what runs in its background."""
    signal.signal(number, signal.SIG_IGN)
    interruption = Interruption()
    with on_signals(exit_on_signal), on_signals(interruption.note):
        os.kill(os.getpid(), number)
    assert interruption.requested is None
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_ends_with_an_exception(number: signal.Signals) -> None:
    with pytest.raises((SystemExit, KeyboardInterrupt)) as stop, on_signals(exit_on_signal):
        os.kill(os.getpid(), number)
    if number == signal.SIGINT:
        assert stop.type is KeyboardInterrupt
    else:
        assert stop.value.args == (128 + number,)


def test_the_second_signal_ends_the_process() -> None:
    child = os.fork()
    if child == 0:
        with on_signals(Interruption().note):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)  # SIGHUP is ignored under nohup
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGINT
