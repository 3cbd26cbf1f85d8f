"""Signals that ask a process to end."""

import os
import signal
from collections.abc import Iterator

import pytest

from nerlab.interruption import SIGNALS, Interruption, exit_on_signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Every signal is handled, whatever started the tests, and raises here."""
    before = {number: signal.signal(number, _unexpected) for number in SIGNALS}
    yield
    after = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert set(after.values()) <= {_unexpected, signal.SIG_IGN}


def _unexpected(*_: object) -> None:
    raise AssertionError("a signal that nobody has handled")


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted(number: signal.Signals) -> None:
    interruption = Interruption()
    with interruption.listening():
        assert interruption.requested is None
        os.kill(os.getpid(), number)
        assert interruption.requested == number


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_so(number: signal.Signals) -> None:
    """As nohup ignores SIGHUP, and a shell SIGINT for what runs in its background."""
    signal.signal(number, signal.SIG_IGN)
    interruption = Interruption()
    with exit_on_signals(), interruption.listening():
        os.kill(os.getpid(), number)
    assert interruption.requested is None
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_ends_with_an_exception(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as stop, exit_on_signals():
        os.kill(os.getpid(), number)
    assert stop.value.code == 128 + number
