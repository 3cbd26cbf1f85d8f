"""Signs in tokens that are seldom meant: invisible, broken, or of two scripts at once."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_BY_CATEGORY = {"Cc": "control", "Co": "private-use", "Cs": "surrogate", "Cn": "unassigned"}
# A Cyrillic а looks like a Latin a. Other scripts are mixed on purpose ("T恤"), and are seen to be.
_LOOK_ALIKE = ("LATIN", "CYRILLIC", "GREEK")
_JOINERS = "\u200c\u200d"  # between letters they are Persian spelling and families of emoji
_INVISIBLE_CATEGORIES = ("Cf", "Cc", "Mn", "Me", "Zs", "Zl", "Zp")
_PAIRS = """ () [] {} <> «» “” „“ ”” ‘’ ’’ `' '' "" 《》 「」 （） """
_PARTNERS = {pair[0]: pair[1] for pair in _PAIRS.split()}
_HANDLE = "@#&"  # begin a name on the web
_UNIT = "%‰"  # end a quantity


@lru_cache(maxsize=65536)
def oddities(token: str) -> tuple[str, ...]:
    """What is odd about the characters of a token.

    ``control``, ``private-use``, ``surrogate`` (half a pair), ``unassigned``, ``replacement``
    (U+FFFD: the text was decoded wrongly once), ``zero-width`` (but for joiners between letters),
    ``white-space`` (which programs that split at any white space take for a border),
    ``invisible`` (nothing of the token can be seen) and ``mixed-scripts``.
    """
    if token.isascii() and token.isprintable() and " " not in token:
        return ()
    categories = [unicodedata.category(character) for character in token]
    found = {_BY_CATEGORY[category] for category in categories if category in _BY_CATEGORY}
    if "\ufffd" in token:
        found.add("replacement")
    if any(character.isspace() for character in token):
        found.add("white-space")
    inner = token.strip(_JOINERS)
    formats = [c for c in inner if unicodedata.category(c) == "Cf" and c not in _JOINERS]
    if inner != token or formats:
        found.add("zero-width")
    if all(category in _INVISIBLE_CATEGORIES for category in categories):
        found.add("invisible")
    if len(_scripts(token)) > 1:
        found.add("mixed-scripts")
    return tuple(sorted(found))


def _scripts(token: str) -> set[str]:
    letters = (unicodedata.name(character, "") for character in token if character.isalpha())
    return {name.split(" ")[0] for name in letters} & set(_LOOK_ALIKE)


def has_loose_end(tokens: Sequence[str]) -> bool:
    """Whether an entity begins or ends with a mark or white space that hardly belongs to it.

    Belonging to it are the full stop of an abbreviation (``U.S.``), the sign of a handle or a
    quantity (``@nerlab``, ``10%``), and a bracket or quote whose partner is inside.
    """
    text = " ".join(tokens)
    first, last = text[:1], text[-1:]
    is_handle = first in _HANDLE and len(tokens[0]) > 1
    if _is_mark(first) and not is_handle and _PARTNERS.get(first, "\n") not in text[1:]:
        return True
    is_abbreviation = last == "." and len(tokens[-1]) > 1
    if not _is_mark(last) or last in _UNIT or is_abbreviation:
        return False
    return not any(opener in text[:-1] for opener in _PARTNERS if _PARTNERS[opener] == last)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character or " ")[0] in "PZC"
