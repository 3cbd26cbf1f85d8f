"""The frame around the scripts: Hydra composes, and what a user can get wrong is one line."""

import inspect
import os
import re
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from nerlab.config import escape_references, register_schemas
from nerlab.process import exit_on_signals, quiet_exit

# Their values are a person's words or a file's name, never Hydra's syntax ...
_FREE_TEXT = (
    *("text", "input", "output", "path", "checkpoint", "resume"),
    *("data.dir", "data.train", "data.dev", "data.test", "model.embedder.words.indexer.vectors"),
    *("data.reader.comment", "data.reader.delimiter", "data.reader.token_pattern"),
)
# ... and these too, but for ${seed} and its like, which tell the runs of a sweep apart.
_TEXT_WITH_REFERENCES = ("run.dir", "run.root", "run.name")
_PLACES_OF_WEIGHTS = ("checkpoint", "resume", *_TEXT_WITH_REFERENCES)


def command(
    config_name: str, open_section: str | None = None
) -> Callable[[Callable[[DictConfig], object]], Callable[[], None]]:
    """Make a script of a function that takes the composed configuration ``config_name``.

    The configurations lie in ``conf/`` beside the script, or beside the package that the script
    is a part of; keys of ``open_section``, which only the function knows, are let through to it.
    What the function returns is what a sweeper optimises. An error that the user can fix is one
    line on standard error and exit status 1; ``debug=true`` shows where it came from.
    """

    def decorate(main: Callable[[DictConfig], object]) -> Callable[[], None]:
        script = Path(inspect.getfile(main)).resolve()
        above = (folder for folder in script.parents if not (folder / "__init__.py").is_file())
        conf = str(next(above) / "conf")
        has_begun = False

        def job(config: DictConfig) -> object:
            nonlocal has_begun
            has_begun = True
            # Within, else Hydra writes a line of its own; no decorator, which joblib cannot pickle.
            with quiet_exit():
                try:
                    return main(config)
                except Exception as error:
                    if HydraConfig.get().mode is not RunMode.MULTIRUN:
                        _fail(error, conf, config_name, has_begun)
                    raise  # Hydra goes on with the next job of a sweep, and fails at the end

        @quiet_exit()
        def run() -> None:
            nonlocal has_begun
            has_begun = False
            register_schemas()
            os.environ["HYDRA_FULL_ERROR"] = "1"  # raise, so that we can say it shorter
            # What a file is named is shown, whether or not its bytes are text.
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")
            try:
                sys.argv[1:] = _prepared(sys.argv[1:], open_section)
                with exit_on_signals():
                    hydra.main(version_base="1.3", config_path=conf, config_name=config_name)(job)()
                    if sys.stdout is not None:
                        sys.stdout.flush()  # here a full disk is still an error of ours
            except Exception as error:
                _fail(error, conf, config_name, has_begun)
                raise

        return run

    return decorate


def _fail(error: Exception, conf: str, config_name: str, has_begun: bool) -> None:
    """End with one line if the user can fix the error: before the job begins, what Hydra stumbles
    over was typed."""
    from nerlab.explanation import explain, is_users  # few runs need it

    if is_users(error, has_begun) and "debug=true" not in sys.argv:
        print(f"error: {explain(error, conf, config_name)}", file=sys.stderr)
        sys.exit(1)


def _prepared(arguments: list[str], open_section: str | None) -> list[str]:
    """The arguments as Hydra reads them: free text quoted, keys of ``open_section`` admitted."""
    is_sweep = not {"-m", "--multirun"}.isdisjoint(arguments)
    prepared = []
    for argument in arguments:
        if open_section is not None and argument.startswith(f"{open_section}."):
            argument = f"++{argument}"
        quoted = quote_free_text(argument)
        # In a sweep, commas stand between values of any key.
        prepared.append(argument if is_sweep and "," in argument else quoted)
    return prepared


def quote_free_text(argument: str) -> str:
    """Quote the value of an override that is free text, so that any text and path parses.

    What the user has quoted for Hydra already is left alone.

    Raises:
        ValueError: weights would lie in a folder whose name safetensors cannot open.
    """
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if name in _PLACES_OF_WEIGHTS and re.search(r"[\ud800-\udfff]", value):
        raise ValueError(
            f"{argument}: bytes that are not UTF-8 in the name, which weights cannot be saved "
            "to or loaded from; rename the folder"
        )
    if not equals or name not in (*_FREE_TEXT, *_TEXT_WITH_REFERENCES) or value == "null":
        return argument
    if value[:1] in ("'", '"') and _is_quoted(argument):
        return argument
    # A backslash counts only before a quote and at the end; ${ would be a reference.
    value = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"{key}='{escape_references(value) if name in _FREE_TEXT else value}'"


def _is_quoted(argument: str) -> bool:
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:
        return False
    if isinstance(value, ChoiceSweep):
        return all(isinstance(choice, QuotedString) for choice in value.list)
    return True  # nothing else that begins with a quote parses
