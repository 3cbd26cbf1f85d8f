"""What config.json says of a published model."""

import json
from typing import Any, NamedTuple

from nerlab.config import Range

# Names of keys that are not BERT's, and the id of padding where config.json does not say it.
_DISTILBERT = {
    **{"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"},
    **{"intermediate_size": "hidden_dim", "hidden_act": "activation"},
    **{"hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout"},
}
_FAMILIES: dict[str, tuple[dict[str, str], int]] = {
    "bert": ({}, 0),
    "roberta": ({}, 1),
    "xlm-roberta": ({}, 1),
    "distilbert": (_DISTILBERT, 0),
    "electra": ({}, 0),
}
_SUPPORTED: dict[str, tuple[object, ...]] = {
    "hidden_act": ("gelu", "gelu_python"),  # both exact
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
}
_SHORTEST = 3  # sequence: [CLS], a piece, [SEP]
_WIDTH, _SHARE = Range(1, 10_000, int), Range(0, 0.99)


class Architecture(NamedTuple):
    """What there is to know of a model before its weights; names are those of ``Layer``.

    Attributes:
        family: model_type of config.json.
        num_pieces: rows of the table of pieces.
        embedding_dim: width of its vectors; where it is not ``dim`` they are projected.
        positions: the longest sequence, [CLS] and [SEP] counted.
        first_position: the row of the first position.
        types: rows of the table of token types, of which the first is used; 0: there is no table.
        padding: the id of padding.
    """

    family: str
    num_pieces: int
    embedding_dim: int
    dim: int
    layers: int
    heads: int
    feedforward_dim: int
    positions: int
    first_position: int
    types: int
    padding: int
    dropout: float
    attention_dropout: float
    epsilon: float


def read_config(content: bytes) -> Architecture:
    """The architecture that a config.json describes; somebody else may have written it.

    Raises:
        ValueError: it is no such file, or describes a model that there is not here.
    """
    try:
        config = json.loads(content)
        if not isinstance(config, dict):
            raise ValueError(f"expected an object, found a {type(config).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"broken file ({error}); download it again") from None
    family = config.get("model_type")
    if not isinstance(family, str) or family not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise ValueError(f"model_type={family!r:.60}: expected one of {known}; choose such a model")
    names, padding_id = _FAMILIES[family]

    def number(key: str, allowed: Range, default: float | None = None) -> Any:
        key = names.get(key, key)
        if not allowed.holds(found := config.get(key, default)):
            raise ValueError(f"{key}={found!r:.60}: expected {allowed}; download the file again")
        return found

    for key, supported in _SUPPORTED.items():
        key = names.get(key, key)
        if (found := config.get(key, supported[0])) not in supported:
            raise ValueError(f"{key}={found!r:.60}: expected {supported[0]}; choose another model")
    dim, heads = number("hidden_size", _WIDTH), number("num_attention_heads", Range(1, 100, int))
    if dim % heads:
        raise ValueError(f"expected a width that is a multiple of the {heads} heads, found {dim}")
    num_pieces = number("vocab_size", Range(1, 10**7, int))
    padding = number("pad_token_id", Range(0, num_pieces - 1, int), padding_id)
    first_position = padding + 1 if "roberta" in family else 0
    rows = number("max_position_embeddings", Range(first_position + _SHORTEST, 10**6, int))
    is_distilbert = family == "distilbert"  # it has no types, and its epsilon is in its code
    return Architecture(
        family=family,
        num_pieces=num_pieces,
        embedding_dim=number("embedding_size", _WIDTH) if family == "electra" else dim,
        dim=dim,
        layers=number("num_hidden_layers", Range(1, 100, int)),
        heads=heads,
        feedforward_dim=number("intermediate_size", Range(1, 100_000, int)),
        positions=rows - first_position,
        first_position=first_position,
        types=0 if is_distilbert else number("type_vocab_size", Range(1, 1000, int), 2),
        padding=padding,
        dropout=number("hidden_dropout_prob", _SHARE, 0.1),
        attention_dropout=number("attention_probs_dropout_prob", _SHARE, 0.1),
        epsilon=1e-12 if is_distilbert else number("layer_norm_eps", Range(0, 0.1), 1e-12),
    )
