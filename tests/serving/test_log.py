"""What the server writes, and that no request waits for it."""

import io
import logging
import re
from contextlib import redirect_stdout
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.serving import log
from nerlab.serving.log import Log, describe

SECRET = "Angela Merkel"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"


def test_an_answer_is_a_line() -> None:
    with redirect_stdout(io.StringIO()) as out, Log() as written:
        for number in range(3):
            written.answered(200, 39, 217, 0.0123456 * number)
    lines = out.getvalue().splitlines()
    milliseconds = ["0.0", "12.3", "24.7"]
    for line, expected in zip(lines, milliseconds, strict=True):
        assert re.fullmatch(f"{TIME} 200 in=39 out=217 {expected} ms", line)


def test_what_libraries_say_is_a_line_that_names_code() -> None:
    with redirect_stdout(io.StringIO()) as out, Log():
        logging.getLogger("some.library").warning("found %s", SECRET)
        logging.getLogger("some.library").info(SECRET)
        try:
            raise ValueError(SECRET)
        except ValueError:
            logging.getLogger("other").exception(SECRET)
    logging.getLogger("some.library").warning(SECRET)
    first, second = out.getvalue().splitlines()
    assert re.fullmatch(rf"{TIME} warning some\.library test_log\.py:\d+", first)
    own = r"test_log\.py:\d+"
    assert re.fullmatch(rf"{TIME} error other {own} ValueError {own}", second)


@given(st.text(min_size=5), st.booleans())
def test_an_error_is_described_without_its_message(text: str, is_explicit: bool) -> None:
    def fail() -> None:
        try:
            raise KeyError(text)
        except KeyError as error:
            if is_explicit:
                raise RuntimeError(text) from error
            raise RuntimeError(text)  # noqa: B904

    with pytest.raises(RuntimeError) as caught:
        fail()
    line = r"test_log\.py:\d+"
    pattern = f"RuntimeError {line} {line} after KeyError {line}"
    assert re.fullmatch(pattern, describe(caught.value))


def test_what_was_hidden_stays_so() -> None:
    def fail() -> None:
        try:
            raise KeyError
        except KeyError:
            raise RuntimeError from None

    with pytest.raises(RuntimeError) as caught:
        fail()
    assert "KeyError" not in describe(caught.value)


def test_a_deep_error_names_the_innermost_lines() -> None:
    def fall(depth: int) -> None:
        if depth == 0:
            raise ValueError
        fall(depth - 1)

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fall(100)
    words = describe(caught.value).split()
    assert len(words) == 1 + 12
    assert len({*words[1:-1]}) == 1 < len({*words[1:]})


class Stalled(io.StringIO):
    """A stream that is not read until ``reader`` comes."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = Event()

    def write(self, text: str) -> int:
        self.reader.wait()
        return super().write(text)


def test_who_reads_slowly_loses_lines_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_MOST_LINES", 10)
    with redirect_stdout(Stalled()) as stalled, Log() as written:

        def answer() -> None:
            for number in range(100):
                written.answered(number, 0, 0, 0)

        answering = Thread(target=answer)
        answering.start()
        answering.join(10)
        is_held_up = answering.is_alive()
        stalled.reader.set()
    assert not is_held_up
    statuses = [int(line.split()[1]) for line in stalled.getvalue().splitlines()]
    assert 10 <= len(statuses) <= 11
    assert statuses == list(range(len(statuses)))
