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

from nerlab.config import register_schemas
from nerlab.free_text import FREE_TEXT_KEYS, quote_free_text
from nerlab.process import exit_on_signal, on_signals, quiet_exit

CONF = str(Path(__file__).resolve().parents[1] / "conf")


def command(
    config_name: str, open_section: str | None = None
) -> Callable[[Callable[[DictConfig], object]], Callable[[], None]]:
    """Make a script of a function that takes the composed configuration ``config_name``.

    Keys of ``open_section``, which only the function knows, are let through to it. What the
    function returns is what a sweeper optimises. An error that the user can fix is one line on
    standard error and exit status 1; ``debug=true`` shows where it came from.
    """

    def decorate(main: Callable[[DictConfig], object]) -> Callable[[], None]:
        def fail(error: Exception) -> None:
            """End with one line if the user can fix the error."""
            from nerlab.explanation import explain, is_users  # few runs need it

            # What Hydra stumbles over before the job has begun was typed.
            entered = [frame.f_code for frame, _ in walk_tb(error.__traceback__)]
            if is_users(error, job.__code__ in entered) and "debug=true" not in sys.argv:
                print(f"error: {explain(error, CONF, config_name)}", file=sys.stderr)
                sys.exit(1)

        def job(config: DictConfig) -> object:
            # Within, else Hydra writes a line of its own; no decorator, which joblib cannot pickle.
            with quiet_exit():
                try:
                    return main(config)
                except Exception as error:
                    if HydraConfig.get().mode is not RunMode.MULTIRUN:
                        fail(error)
                    raise  # Hydra goes on with the next job of a sweep, and fails at the end

        @quiet_exit()
        def run() -> None:
            register_schemas()
            os.environ["HYDRA_FULL_ERROR"] = "1"  # raise, so that we can say it shorter
            # What a file is named is shown, whether or not its bytes are text.
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")
            try:
                sys.argv[1:] = prepared(sys.argv[1:], open_section)
                with on_signals(exit_on_signal):
                    hydra.main(version_base="1.3", config_path=CONF, config_name=config_name)(job)()
                    if sys.stdout is not None:
                        sys.stdout.flush()  # here a full disk is still an error of ours
            except Exception as error:
                fail(error)
                raise

        return run

    return decorate


def prepared(arguments: list[str], open_section: str | None = None) -> list[str]:
    """The arguments as Hydra reads them: free text quoted, keys of ``open_section`` admitted."""
    is_sweep = not {"-m", "--multirun"}.isdisjoint(arguments)
    result = []
    for argument in arguments:
        key = argument.partition("=")[0].lstrip("+")
        # In a sweep, commas stand between values of any key.
        if key in FREE_TEXT_KEYS and not (is_sweep and "," in argument):
            argument = quote_free_text(argument)
        is_open = open_section is not None and argument.startswith(f"{open_section}.")
        result.append(f"++{argument}" if is_open else argument)
    return result
