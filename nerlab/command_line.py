"""The frame around the scripts: Hydra composes, and what a user can get wrong is one line."""

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from traceback import walk_tb

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from nerlab.config import CONF, register_schemas
from nerlab.free_text import FREE_TEXT_KEYS, quote_free_text, quoted
from nerlab.process import Interrupted, exit_on_signal, on_signals, quiet_exit
from nerlab.sweeps import SweepFolder, name_by_what_is_swept, note_failure


def command(
    config_name: str,
    open_section: str | None = None,
    words: str | None = None,
    after_sweep: Callable[[Path], None] | None = None,
) -> Callable[[Callable[[DictConfig], object]], Callable[[], None]]:
    """Make a script of a function that takes the composed configuration ``config_name``.

    Keys of ``open_section``, which only the function knows, are let through to it. Words that are
    no ``key=value`` are the list ``words``. What the function returns is what a sweeper optimises;
    ``after_sweep`` is called with the folder of a sweep when its jobs are done, or have failed. An
    error that the user can fix is one line on standard error and exit status 1; ``debug=true``
    shows where it came from.
    """

    def decorate(main: Callable[[DictConfig], object]) -> Callable[[], None]:
        def fail(error: Exception) -> None:
            """End with one line if the user can fix the error."""
            from nerlab.explanation import explain, is_users  # few runs need it

            # What Hydra stumbles over before the job has begun was typed.
            entered = [frame.f_code for frame, _ in walk_tb(error.__traceback__)]
            if is_users(error, job.__code__ in entered) and "debug=true" not in sys.argv:
                print(f"error: {explain(error, str(CONF), config_name)}", file=sys.stderr)
                sys.exit(1)

        def job(config: DictConfig) -> object:
            # Within, else Hydra writes a line of its own; no decorator, which joblib cannot pickle.
            with quiet_exit():
                try:
                    return main(config)
                except Exception as error:
                    if HydraConfig.get().mode is not RunMode.MULTIRUN:
                        fail(error)
                    elif after_sweep is not None and not isinstance(error, Interrupted):
                        from nerlab.explanation import explain, is_users

                        reason = f"{type(error).__name__}: {error}"
                        if is_users(error):
                            reason = explain(error, str(CONF), config_name)
                        note_failure(" ".join(reason.split()))
                    raise  # Hydra goes on with the next job of a sweep, and fails at the end

        def end_sweep() -> None:
            if SweepFolder.noted is not None and after_sweep is not None:
                after_sweep(SweepFolder.noted)

        @quiet_exit()
        def run() -> None:
            register_schemas()
            os.environ["HYDRA_FULL_ERROR"] = "1"  # raise, so that we can say it shorter
            # What a file is named is shown, whether or not its bytes are text.
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")
            SweepFolder.noted = None
            try:
                sys.argv[1:] = prepared(sys.argv[1:], open_section, words)
                conf = str(CONF)
                start = hydra.main(version_base="1.3", config_path=conf, config_name=config_name)
                with on_signals(exit_on_signal):
                    try:
                        start(job)()
                    except Exception:
                        end_sweep()
                        raise
                    end_sweep()
                    if sys.stdout is not None:
                        sys.stdout.flush()  # here a full disk is still an error of ours
            except Exception as error:
                fail(error)
                raise

        return run

    return decorate


def find_in_current_folder() -> None:
    """Look for a package that is trusted in the current folder too, as ``python -m`` does."""
    if any(argument.lstrip("+").startswith("trust=") for argument in sys.argv[1:]):
        sys.path.append(os.getcwd())


def prepared(
    arguments: list[str], open_section: str | None = None, words: str | None = None
) -> list[str]:
    """The arguments as Hydra reads them: free text quoted, keys of ``open_section`` admitted, words
    collected into the list ``words``; the jobs of a sweep named by what is swept."""
    is_sweep = not {"-m", "--multirun"}.isdisjoint(arguments)
    result = []
    if words is not None:
        arguments, found = split_words(arguments)
        result += [f"{words}=[{','.join(map(quoted, found))}]"] if found else []
    for argument in arguments:
        key = argument.partition("=")[0].lstrip("+")
        # In a sweep, commas stand between values of any key.
        if key in FREE_TEXT_KEYS and not (is_sweep and "," in argument):
            argument = quote_free_text(argument)
        is_open = open_section is not None and argument.startswith(f"{open_section}.")
        result.append(f"++{argument}" if is_open else argument)
    return name_by_what_is_swept(result) if is_sweep else result


def split_words(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments that are ``key=value`` or options, and the others: what has a slash before its
    first ``=`` is the path of a file, and what stands behind an option is its value."""
    others, words = list[str](), list[str]()
    for before, argument in zip(["", *arguments], arguments, strict=False):
        key, equals, _ = argument.partition("=")
        is_value = before.startswith("-") and "=" not in before
        is_word = "/" in key or not equals
        (words if is_word and not is_value and key[:1] != "-" else others).append(argument)
    return others, words
