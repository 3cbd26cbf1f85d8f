"""Values of the command line that are a person's words or a file's name, not Hydra's syntax."""

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException

# In these ${seed} and its like stand for values, which tell the runs of a sweep apart.
_WITH_REFERENCES = ("run.dir", "run.root", "run.name")
# Their values are a person's words or the name of a file, not the syntax of Hydra.
FREE_TEXT_KEYS = (
    *("text", "span", "label", "input", "output", "path", "checkpoint", "resume", "init"),
    *("host", "token"),
    *_WITH_REFERENCES,
    *("data.dir", "data.train", "data.dev", "data.test"),
    *("data.reader.comment", "data.reader.delimiter", "data.reader.token_pattern"),
    *("model.embedder.indexer.vectors", "model.embedder.words.indexer.vectors"),
    *("model.path", "model.embedder.subwords.indexer.model", "tracker.wandb.notes"),
)
_LISTS = ("checkpoint",)
_QUOTED = r"""\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*"""
_QUOTED_LIST = re.compile(rf"\[{_QUOTED}(?:,{_QUOTED})*\]", re.DOTALL)
_PLACES_OF_WEIGHTS = ("checkpoint", "resume", "init", *_WITH_REFERENCES)


def quote_free_text(argument: str) -> str:
    """Quote the value of an override of ``FREE_TEXT_KEYS``, so that any text or path parses; of
    ``checkpoint=[a,b]`` each member.

    What the user has quoted for Hydra already is left alone.

    Raises:
        ValueError: weights would lie in a folder whose name safetensors cannot open.
    """
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if name in _PLACES_OF_WEIGHTS and re.search(r"[\ud800-\udfff]", value):
        problem = "bytes that are not UTF-8 in the name of a folder of weights"
        raise ValueError(f"{argument}: {problem}; rename it")
    if not equals or value == "null" or (value[:1] in ("'", '"') and _is_quoted(argument)):
        return argument
    if name in _LISTS and value.startswith("[") and value.endswith("]"):
        if _QUOTED_LIST.fullmatch(value):
            return argument
        return f"{key}=[{','.join(quoted(item.strip()) for item in value[1:-1].split(','))}]"
    return f"{key}={_in_quotes(value) if name in _WITH_REFERENCES else quoted(value)}"


def quoted(text: str) -> str:
    r"""A text in quotes, as Hydra and OmegaConf read it as it is.

    >>> print(quoted("it's"))
    'it\'s'
    """
    return _in_quotes(escape_references(text))


def _in_quotes(text: str) -> str:
    # A backslash counts only before a quote and at the end.
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text) + "'"


def _is_quoted(argument: str) -> bool:
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:
        return False
    if isinstance(value, ChoiceSweep):
        return all(isinstance(choice, QuotedString) for choice in value.list)
    return True  # nothing else that begins with a quote parses


def escape_references(text: str) -> str:
    r"""A string in which ``${`` stands for itself when OmegaConf reads it.

    >>> escape_references("costs ${price}")
    'costs \\${price}'
    """
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)
