"""Runs grouped by what differs in their configurations, and names for the groups."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

# Sections and keys that change no result, or that repetitions of a run differ in.
NO_SETTINGS = (
    *("seed", "run", "tracker", "device", "threads", "test", "resume", "debug"),
    *("data.dir", "data.cache", "data.download"),
)
_TARGET = "_target_"
Settings = Mapping[str, Any]  # by dotted key, sections opened


def flat(node: object, key: str = "") -> dict[str, Any]:
    """The values of a configuration of plain containers by their dotted keys, sections opened.

    >>> flat({"model": {"dropout": 0.5}, "seed": 1})
    {'model.dropout': 0.5, 'seed': 1}
    """
    if not isinstance(node, Mapping):
        return {key: node}
    found: dict[str, Any] = {}
    for name, value in node.items():
        found |= flat(value, f"{key}.{name}".removeprefix("."))
    return found


def is_in(key: str, sections: Iterable[str]) -> bool:
    """Whether a key is one of ``sections`` or lies in one."""
    return any(f"{key}.".startswith(f"{section}.") for section in sections)


def differing(configs: Sequence[Settings]) -> list[str]:
    """The keys, sorted, that have not the same value in all configurations."""
    keys = sorted(set[str]().union(*configs))
    return [key for key in keys if len({_hashable(config, key) for config in configs}) > 1]


def grouped(configs: Sequence[Settings], keys: Sequence[str]) -> list[list[int]]:
    """The numbers of the configurations that agree in ``keys``, in order of the first of each."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, config in enumerate(configs):
        groups.setdefault(tuple(_hashable(config, key) for key in keys), []).append(number)
    return list(groups.values())


def naming_keys(groups: Sequence[Settings], candidates: Iterable[str]) -> list[str]:
    """Of the ``candidates``, so many that any two groups differ in the value of one: each in turn
    that tells apart what those before it do not."""
    chosen: list[str] = []
    for key in candidates:
        if len(grouped(groups, chosen)) == len(groups):
            break
        if len(grouped(groups, [*chosen, key])) > len(grouped(groups, chosen)):
            chosen.append(key)
    return chosen


def in_reading_order(keys: Iterable[str]) -> list[str]:
    """What a part is before its options, and what lies less deep before what lies deeper."""
    return sorted(keys, key=lambda key: (not key.endswith(_TARGET), key.count("."), key))


def shown_key(key: str) -> str:
    """A key as a person types it: ``model.encoder._target_`` chooses ``model.encoder``."""
    return key.removesuffix(f".{_TARGET}")


def shown_value(config: Settings, key: str) -> str:
    """A value as a person types it; a dash where the configuration lacks the key."""
    if key not in config:
        return "–"
    value = config[key]
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value).rpartition(".")[2] if key.endswith(_TARGET) else str(value)


def _hashable(config: Settings, key: str) -> object:
    """A value to compare by: 1 is not true, and no key is not null."""
    return repr(config[key]) if key in config else None


def configuration_name(config: Mapping[str, Any]) -> str:
    """A name that all runs of a configuration share, whatever their seed, machine and folder: the
    parts of the model, and a digest of the settings, in which digests of the data that stand
    beside these (``train_sha256``) tell corpora apart."""
    settings = {key: value for key, value in flat(config).items() if not is_in(key, NO_SETTINGS)}
    digest = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    model = config.get("model", {})
    sections = (model.get(name) for name in ("embedder", "context", "encoder", "decoder"))
    return "-".join([*("+".join(_parts(s)) for s in sections if s is not None), digest])


def _parts(section: Mapping[str, Any]) -> list[str]:
    """The part that a section is, or the parts that it holds by name."""
    target = section.get(_TARGET)
    return [str(target).rpartition(".")[2].lower()] if target else [str(name) for name in section]
