"""The frame around the scripts: Hydra composes, and what a user can get wrong is one line."""

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nerlab.config import register_schemas
from nerlab.interruption import exit_on_signals
from nerlab.memory import is_out_of_memory
from nerlab.messages import escape_controls
from nerlab.quiet_exit import is_closed_pipe, quiet_exit
from nerlab.saved_config import escape_references

# Their values are a person's words or a file's name, never Hydra's syntax ...
_FREE_TEXT = (
    *("text", "input", "output", "path", "checkpoint", "resume"),
    *("data.dir", "data.train", "data.dev", "data.test", "data.vectors"),
    *("data.reader.comment", "data.reader.delimiter", "data.reader.token_pattern"),
)
# ... and these too, but for ${seed} and its like, which tell the runs of a sweep apart.
_TEXT_WITH_REFERENCES = ("run.dir", "run.root", "run.name")
_PLACES_OF_WEIGHTS = ("checkpoint", "resume", *_TEXT_WITH_REFERENCES)
# Names that other toolkits have for a key, where neither letters nor words tell.
_SYNONYMS = {
    **{"bs": "batch_tokens", "gpu": "device", "cuda": "device", "amp": "precision"},
    **{"fp16": "precision", "early_stopping": "patience", "embeddings": "vectors"},
}


def command(
    config_name: str, open_section: str | None = None
) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make a script of a function that takes the composed configuration ``config_name``.

    Keys of ``open_section``, which only the function knows, are let through to it.

    The configurations lie in ``conf/`` beside the script, or beside the package that the script
    is a part of. An error that the user can mend is printed as one line, with exit status 1;
    ``debug=true`` shows where it came from.
    """

    def decorate(main: Callable[[DictConfig], None]) -> Callable[[], None]:
        conf = str(_outside_packages(Path(inspect.getfile(main)).resolve()) / "conf")

        def fail(error: Exception) -> NoReturn:
            if "debug=true" in sys.argv:
                raise error
            message = escape_controls(explain(error, conf, config_name))
            print(f"error: {message}", file=sys.stderr)
            sys.exit(1)

        has_begun = False

        def job(config: DictConfig) -> None:
            nonlocal has_begun
            has_begun = True
            # Within, else Hydra writes a line of its own; no decorator, which joblib cannot pickle.
            with quiet_exit():
                try:
                    main(config)
                except Exception as error:
                    if not _is_users(error):
                        raise
                    if HydraConfig.get().mode is RunMode.MULTIRUN:
                        raise  # Hydra goes on with the next job and fails at the end
                    fail(error)

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
                _refuse_odd_bytes(sys.argv[1:])
                sys.argv[1:] = _quoted(_admitted(sys.argv[1:], open_section))
                with exit_on_signals():
                    hydra.main(version_base="1.3", config_path=conf, config_name=config_name)(job)()
                    if sys.stdout is not None:
                        sys.stdout.flush()  # here a full disk is still an error of ours
            except Exception as error:
                # Before the job, whatever Hydra stumbles over was typed.
                if is_closed_pipe(error) or (has_begun and not _is_users(error)):
                    raise
                fail(error)

        return run

    return decorate


def _is_users(error: Exception) -> bool:
    """Whether an error is one that the user can mend."""
    if is_closed_pipe(error):
        return False
    kinds = (ValueError, OSError, HydraException, OmegaConfBaseException)
    return isinstance(error, kinds) or is_out_of_memory(error)


def _outside_packages(script: Path) -> Path:
    """The nearest folder above a script that is no package."""
    return next(folder for folder in script.parents if not (folder / "__init__.py").is_file())


def _refuse_odd_bytes(arguments: list[str]) -> None:
    """Raise ``ValueError`` where safetensors would: it opens files of UTF-8 names alone."""
    for argument in arguments:
        is_place = argument.partition("=")[0].lstrip("+") in _PLACES_OF_WEIGHTS
        if is_place and re.search(r"[\ud800-\udfff]", argument):
            raise ValueError(
                f"{argument}: bytes that are not UTF-8 in the name, which weights cannot be saved "
                "to or loaded from; rename the folder"
            )


def _admitted(arguments: list[str], section: str | None) -> list[str]:
    """Mark keys of a section as ones that may be new to the configuration."""
    return [
        f"++{argument}" if section is not None and argument.startswith(f"{section}.") else argument
        for argument in arguments
    ]


def _quoted(arguments: list[str]) -> list[str]:
    """Quote what is free text; in a sweep, commas stand between values of any key."""
    is_sweep = not {"-m", "--multirun"}.isdisjoint(arguments)
    return [
        argument if is_sweep and "," in argument else quote_free_text(argument)
        for argument in arguments
    ]


def quote_free_text(argument: str) -> str:
    """Quote the value of an override that is free text, so that any text and path parses.

    What the user has quoted for Hydra already is left alone.
    """
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if not equals or name not in (*_FREE_TEXT, *_TEXT_WITH_REFERENCES) or value == "null":
        return argument
    if value[:1] in ("'", '"'):
        try:
            parsed = OverridesParser.create().parse_override(argument)
            raw = parsed._value
            parts = raw.list if isinstance(raw, ChoiceSweep) else [raw]
        except HydraException:
            pass
        else:
            if all(isinstance(part, QuotedString) for part in parts):
                return argument
    # A backslash counts only before a quote and at the end; ${ would be a reference.
    value = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"{key}='{escape_references(value) if name in _FREE_TEXT else value}'"


def explain(error: Exception, conf: str, config_name: str) -> str:
    """One line that says where, what was expected, what was found."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if is_out_of_memory(error):
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f"memory does not suffice ({reason}); choose smaller batches"
    if isinstance(error, OverrideParseException):
        advice = "a value with signs in it needs quotes: 'key=\"value\"'"
        return f"{error.override!r}: expected key=value; {advice}"
    cause = error.__cause__ if isinstance(error, HydraException) else None
    text = str(cause or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not _is_users(error):
        what = ": ".join([type(error).__name__, *lines[:1]])
        typed = [a for a in sys.argv[1:] if "hydra" in a] or sys.argv[1:]
        return f"{' '.join(typed)}: expected a configuration, found {what}; --help lists the keys"
    if not lines:
        return type(error).__name__
    if key := re.search(r"full_key: (\S+)", text):
        if "not in" in lines[0]:
            return f"{key[1]}: no such key{nearest(key[1], _known_keys(conf, config_name))}"
        if "Missing mandatory value" in lines[0]:
            return f"{key[1]}=... is needed; --help says what it takes"
        return f"{key[1]}: {lines[0]}"
    if missing := re.match(r"In '.*': Could not find '(\S+)'", lines[0]):
        group, _, name = missing[1].rpartition("/")
        options = text.partition(f"Available options in '{group}':")[2].partition("Config search")[
            0
        ]
        known = [option for option in options.split() if option not in ("schema", "base")]
        return f"{group}={name}: no such option; expected one of {', '.join(known)}"
    return " ".join(lines)


def nearest(key: str, known: Sequence[str]) -> str:
    """Advice that names the known key that somebody who typed ``key`` most likely means."""
    section, _, name = key.rpartition(".")
    # Of keys with one name, those of the section that was typed, then those that are least deep.
    order = sorted(known, key=lambda k: (k.rpartition(".")[0] != section, k.count("."), k))
    by_name: dict[str, str] = {}
    for candidate in order:
        by_name.setdefault(candidate.rpartition(".")[2], candidate)
    meant = name if name in by_name else _meant(name, by_name)
    return f"; the nearest is {by_name[meant]}" if meant in by_name else "; --help lists them"


def _meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that another stands for: by use, by its initials, by its letters or words."""
    if name in _SYNONYMS:
        return _SYNONYMS[name]
    words = name.split("_")
    initials = (other for other in known if "_" in other and name == _initials(other))
    letters = get_close_matches(name, known, n=1, cutoff=0.6)
    share = (
        other for other in known if any(_related(w, o) for w in words for o in other.split("_"))
    )
    return next(chain(initials, letters, share), None)


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


def _related(word: str, other: str) -> bool:
    """Whether one of two words begins with the other."""
    return min(len(word), len(other)) >= 3 and (word.startswith(other) or other.startswith(word))


def _known_keys(conf: str, config_name: str) -> list[str]:
    """Every key of the configuration, under the groups that the user chose where they compose."""
    from hydra import compose, initialize_config_dir

    groups = [a for a in sys.argv[1:] if re.match(r"[\w/]+=", a) and "." not in a.split("=")[0]]
    for overrides in (groups, []):
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(conf, version_base="1.3"):
                return list(_flatten(compose(config_name, overrides=overrides)))
        except HydraException:
            continue
    return []


def _flatten(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in map(str, node):
        yield f"{prefix}{key}"
        child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            yield from _flatten(child, f"{prefix}{key}.")
