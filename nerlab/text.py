"""Raw text to sentences of tokens, in any script, with the offsets of each token.

The rules follow the Penn Treebank where they are not tied to a language: punctuation stands
alone, a hyphenated word and a number with its inner marks (``1,000.50``, ``6-4``,
``1996-08-30``) are one token, ``U.N.`` keeps its dots, ``'s`` and ``n't`` leave their word.
Chinese and Japanese characters and emoji are tokens by themselves.

Every character is first mapped to a one-letter class (:class:`_Classes`), which keeps the
length of the text; one regular expression over those classes finds the tokens. So combining
marks, which Python's ``\\w`` leaves out, stay with their letters in every script, and a
text has the same tokens whether its letters are composed (NFC) or not (NFD).
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

# A sentence longer than this is cut: it is no sentence, and memory must stay bounded.
MAX_SENTENCE_TOKENS = 500
_BYTE_ORDER_MARKS = (  # that of UTF-16 begins that of UTF-32
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ZEROS = 16  # so many zero bytes in every other place are no accident


class Token(NamedTuple):
    """``text[start:end]``, counted in characters of the original string."""

    text: str
    start: int
    end: int


class _Classes(dict[int, str]):
    """Character code to class: a letter, d digit, m mark, c ideograph or kana, e symbol,
    k what modifies the symbol before it, z joiner, s space or control; marks of punctuation
    that the rules name stand for themselves, all others are p."""

    _NAMED = {"'": "'", "\u2019": "'", "-": "-", ".": ".", ",": ",", ":": ":", "/": "/"} | {
        "_": "a",
        "@": "@",
        "#": "@",
        "\u200d": "z",  # zero-width joiner: holds an emoji family together
        "\u200c": "m",  # zero-width non-joiner: inside Persian words
        "\ufe0f": "k",
    }

    def __missing__(self, code: int) -> str:
        letter = self[code] = self._NAMED.get(chr(code)) or _class_of(chr(code))
        return letter


def _class_of(character: str) -> str:
    code = ord(character)
    category = unicodedata.category(character)
    if category[0] == "M":  # before the ranges: the voicing marks of kana are marks too
        return "m"
    if 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF:
        return "m"  # vowels and finals, which join the initial of a Hangul syllable
    if 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF:
        return "c"
    if 0x20000 <= code <= 0x3FFFF:
        return "c"
    if 0x1F1E6 <= code <= 0x1F1FF:
        return "f"  # regional indicators: two of them make a flag
    if 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:
        return "k"  # skin tones and the tags of sub-national flags
    if character.isspace() or category in ("Cc", "Zs"):
        return "s"
    by_category = {"L": "a", "N": "d", "P": "p"}
    return by_category.get(category[0], "e")


_CLASSES = _Classes()
_TOKEN = re.compile(
    r"""
      d+ (?: [-.,:/]? d+ )* (?: -? [am][amd]* )*    # numbers, also 1990s and 20-year-old
         (?: ' a [am]* )?
    | a m* \. (?: a m* \. )+ (?: ' a [am]* )?        # U.N.
    | @? [am] [amdz]* (?: [-'] [amdz]+ )*          # words, hashtags, handles
    | c m*
    | e [km]* (?: z [km]* [ea] [km]* )*            # emoji, with skin tone and joined ones
    | ff
    | \.{2,} | --+
    | [^s]
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(?:n['’]t|['’](?:s|m|d|re|ve|ll))$", re.IGNORECASE)
_TERMINAL = re.compile(r"[.!?…。！？｡؟।॥։።၊။]+")
_CLOSING = re.compile(r"[\"'”’»)\]}」』）】]+")
_NO_SPACE_AFTER = "。！？｡"
_ABBREVIATION = re.compile("Mr|Mrs|Ms|Dr|Prof|St|Gen|Sen|Gov|Lt|Col|Capt|Sgt|Rev|No|vs")


def wide_encoding(beginning: bytes) -> str | None:
    """``utf-16``, ``utf-16-le``, ``utf-16-be`` or ``utf-32`` if a file that begins with these bytes
    has that encoding: by its byte order mark, or because every other byte is often zero."""
    if 0 not in beginning:
        return None
    for mark, name in _BYTE_ORDER_MARKS:
        if beginning.startswith(mark):
            return name
    even, odd = beginning[0::2].count(0), beginning[1::2].count(0)
    if max(even, odd) < _ZEROS or 10 * min(even, odd) > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def tokenize(text: str) -> Iterator[Token]:
    """The tokens of a text in order; ``text[token.start:token.end] == token.text`` for each.

    >>> [token.text for token in tokenize("The U.N. didn't pay $1,000.50.")]
    ['The', 'U.N.', 'did', "n't", 'pay', '$', '1,000.50', '.']
    """
    for match in _TOKEN.finditer(text.translate(_CLASSES)):
        start, end = match.span()
        clitic = _CLITIC.search(text, start, end) if end - start > 2 else None
        if clitic and clitic.start() > start:
            yield Token(text[start : clitic.start()], start, clitic.start())
            start = clitic.start()
        yield Token(text[start:end], start, end)


def sentences(text: str) -> Iterator[list[Token]]:
    """The tokens of a text, sentence by sentence.

    A sentence ends at a line break, and at a final mark (with the quotes and brackets that
    close behind it) unless the next token follows without a space or begins in lower case,
    or the mark is the full stop of an initial or a title (``J. Smith``, ``Dr. Smith``).
    """
    sentence: list[Token] = []
    last = 0  # the last token that closes no quote or bracket
    for token in tokenize(text):
        if sentence and _is_boundary(text, sentence, last, token):
            yield sentence
            sentence, last = [], 0
        if not _CLOSING.fullmatch(token.text):
            last = len(sentence)
        sentence.append(token)
    if sentence:
        yield sentence


def _is_boundary(text: str, sentence: list[Token], last: int, token: Token) -> bool:
    gap = text[sentence[-1].end : token.start]
    if len(sentence) == MAX_SENTENCE_TOKENS or "\n" in gap or "\r" in gap:
        return True
    final = sentence[last].text
    closes = not gap and (_CLOSING.fullmatch(token.text) or _TERMINAL.fullmatch(token.text))
    if closes or not _TERMINAL.fullmatch(final):
        return False
    if final == "." and last > 0 and _is_abbreviation(sentence[last - 1].text):
        return False
    return final[-1] in _NO_SPACE_AFTER or (bool(gap) and not token.text[0].islower())


def _is_abbreviation(word: str) -> bool:
    is_initial = len(unicodedata.normalize("NFC", word)) == 1 and word.isupper()
    return is_initial or _ABBREVIATION.fullmatch(word) is not None
