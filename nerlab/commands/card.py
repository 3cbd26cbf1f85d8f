"""The model card of an export as Markdown, its ``README.md``."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nerlab.messages import escape_controls, markdown

README = "README.md"


def readme(card: Mapping[str, Any], folder: str, trusted: tuple[str, ...], with_graph: bool) -> str:
    """The ``card`` of :mod:`nerlab.reports.card`, of a tagger that is exported to ``folder``."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        # Names of types may hold anything. Markup is no plain str.
        finalize=lambda value: markdown(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md").render(
        card,
        folder=shlex.quote(escape_controls(folder)),
        trust=f" {shlex.quote(f'trust=[{names}]')}" if (names := ",".join(trusted)) else "",
        with_graph=with_graph,
        command=escape_controls(shlex.join(card["training"]["command"] or ())),
    )
