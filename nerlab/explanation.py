"""What went wrong, in one line that says where, what was expected and what was found."""

import re
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain, product

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nerlab.memory import is_out_of_memory
from nerlab.messages import escape_controls
from nerlab.process import is_closed_pipe


def is_users(error: Exception, has_begun: bool = True) -> bool:
    """Whether an error is one that the user can fix: before the work has begun, any."""
    if is_closed_pipe(error):
        return False
    kinds = (ValueError, OSError, HydraException, OmegaConfBaseException)
    return not has_begun or isinstance(error, kinds) or is_out_of_memory(error)


def explain(error: Exception, conf: str, config_name: str) -> str:
    """One line for an error that the user can fix; ``conf`` is the folder of configurations."""
    return escape_controls(_explain(error, conf, config_name))


def _explain(error: Exception, conf: str, config_name: str) -> str:
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
    if not is_users(error):
        what = ": ".join([type(error).__name__, *lines[:1]])
        typed = [a for a in sys.argv[1:] if "hydra" in a] or sys.argv[1:]
        return f"{' '.join(typed)}: expected a configuration, found {what}; --help lists the keys"
    if not lines:
        return type(error).__name__
    if needed := re.search(r"Missing mandatory value: (\S+)", text):
        return f"{needed[1]}=... is needed; --help says what it takes"
    if key := re.search(r"full_key: (\S+)", text):
        if "not in" in lines[0]:
            return f"{key[1]}: no such key{nearest(key[1], _known_keys(conf, config_name))}"
        return f"{key[1]}: {lines[0]}"
    if missing := re.match(r"In '.*': Could not find '(\S+)'", lines[0]):
        group, _, name = missing[1].rpartition("/")
        listed = text.partition(f"Available options in '{group}':")[2].partition("Config search")
        known = [option for option in listed[0].split() if option not in ("schema", "base")]
        return f"{group}={name}: no such option; expected one of {', '.join(known)}"
    return " ".join(lines)


def nearest(key: str, known: Sequence[str]) -> str:
    """Advice that names the known key that somebody who typed ``key`` most likely means: that of
    this name, or with such initials, letters or words."""
    section, _, name = key.rpartition(".")
    # Of keys with one name, those of the section that was typed, then those that are least deep.
    order = sorted(known, key=lambda k: (k.rpartition(".")[0] != section, k.count("."), k))
    by_name: dict[str, str] = {}
    for candidate in order:
        by_name.setdefault(candidate.rpartition(".")[2], candidate)
    words = {other: other.split("_") for other in by_name}
    meant = chain(
        (other for other in by_name if name == other),
        (o for o in by_name if "_" in o and name == "".join(word[:1] for word in words[o])),
        get_close_matches(name, by_name, n=1, cutoff=0.6),
        (o for o in by_name if any(_related(*pair) for pair in product(name.split("_"), words[o]))),
    )
    found = next(meant, None)
    return f"; the nearest is {by_name[found]}" if found else "; --help lists them"


def _related(word: str, other: str) -> bool:
    """Whether one of two words begins with the other."""
    return min(len(word), len(other)) >= 3 and (word.startswith(other) or other.startswith(word))


def _known_keys(conf: str, config_name: str) -> list[str]:
    """Every key of the configuration, under the groups that the user chose where they compose."""
    groups = [a for a in sys.argv[1:] if re.match(r"[\w/]+=", a) and "." not in a.split("=")[0]]
    for overrides in (groups, []):
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(conf, version_base="1.3"):
                return list(_dotted(OmegaConf.to_container(compose(config_name, overrides))))
        except HydraException:
            continue
    return []


def _dotted(section: object, prefix: str = "") -> Iterator[str]:
    """The keys of a section, and of those within it, as they are typed."""
    for name, value in section.items() if isinstance(section, dict) else ():
        yield f"{prefix}{name}"
        yield from _dotted(value, f"{prefix}{name}.")
