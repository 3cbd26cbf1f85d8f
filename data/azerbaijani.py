"""Attaches the endings of Azerbaijani nouns to names, words, numbers and abbreviations.

Every ending is written once, with `A` for a or ə and `I` for ı, i, u or ü: which of them it is
follows from the last vowel before it (vowel harmony). A letter in brackets stands only after a
vowel. A template says `Bakı+gen`, or several at once: `Nazirlik+poss+loc`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ENDINGS = {
    "pl": "lAr",  # şəhərlər
    "poss": "(s)I",  # the third person's: Maarif Nazirliyi, Bakı şəhəri
    "gen": "(n)In",  # Bakının
    "dat": "(y)A",  # Bakıya
    "acc": "(n)I",  # Bakını
    "loc": "dA",  # Bakıda
    "abl": "dAn",  # Bakıdan
    "ki": "kI",  # Bakıdakı
    "is": "dIr",  # Bakıdır
    "ord": "cI",  # 5-ci, 40-cı: the short form after digits
}
BACK = "aıou"
VOWELS = BACK + "eəiöü"
I_AFTER = dict(zip(VOWELS, "ııuuiiiüü", strict=True))
SOFT = {"k": "y", "q": "ğ"}  # uşaq, uşağı
ABSTRACT = ("lıq", "lik", "luq", "lük")  # the ending of many common nouns
# Loanwords whose last consonant stays as it is.
KEEPS_CONSONANT = ("əxlaq", "hüquq", "iştirak", "ittifaq", "kubok", "noutbuk")
DIGITS = ("sıfır", "bir", "iki", "üç", "dörd", "beş", "altı", "yeddi", "səkkiz", "doqquz")
TENS = ("", "on", "iyirmi", "otuz", "qırx", "əlli", "altmış", "yetmiş", "səksən", "doxsan")
# Letters of abbreviations by name: `BMT` ends in `te`. The others are the letter and `e`.
LETTERS = {"k": "ka", "l": "el", "m": "em", "n": "en", "r": "er"}
# Abbreviations read neither as a word nor letter by letter, with a word of the same ending.
READINGS = {"ABŞ": "ştat", "ÜST": "üst"}
WORD = re.compile(r"([^\s{}+]+)((?:\+[a-z]+)+)")


def inflected(text: str) -> str:
    """The text with each `word+ending` replaced; an ending behind an entity goes inside it.

    >>> inflected("{GPE: Bakı}+loc {LAW: Seçki Məcəllə+poss}+gen {ORGANISATION: BMT}+dat")
    '{GPE: Bakıda} {LAW: Seçki Məcəlləsinin} {ORGANISATION: BMT-yə}'
    """
    inside = re.sub(r"(\})((?:\+[a-z]+)+)", r"\2\1", text)
    return WORD.sub(lambda found: attach(found[1], found[2][1:].split("+")), inside)


def unknown_ending(text: str) -> str:
    """The first ending in the text that is none of `ENDINGS`, or an empty text."""
    return next((it for it in re.findall(r"\+([a-z]+)", text) if it not in ENDINGS), "")


def attach(word: str, endings: Sequence[str]) -> str:
    """The word with endings of `ENDINGS` in their order.

    An ending that is none of them, or a word without a vowel, is a ValueError.

    >>> attach("Şuşa", ["dat"]), attach("uşaq", ["poss"]), attach("2024", ["ord"])
    ('Şuşaya', 'uşağı', '2024-cü')
    """
    spoken = reading(word)
    if wrong := set(endings) - set(ENDINGS):
        raise ValueError(f"unknown ending '{min(wrong)}' after '{word}'")
    if not set(spoken) & set(VOWELS):
        raise ValueError(f"'{word}' has no vowel for its endings to agree with")
    hyphen = "-" if word[-1].isdigit() or _is_abbreviation(word) else ""
    possessed = False
    for ending in endings:
        shape = ENDINGS[ending]
        if possessed and ending in ("dat", "loc", "abl"):
            shape = "n" + shape.removeprefix("(y)")
        if not hyphen and shape[0] in "(A" and _softens(word, ending):
            soft = SOFT[spoken[-1]]
            word, spoken = word[:-1] + soft, spoken[:-1] + soft
        last = next(letter for letter in reversed(spoken) if letter in VOWELS)
        shape = re.sub(r"\((.)\)", r"\1" if spoken[-1] in VOWELS else "", shape)
        shape = shape.replace("A", "a" if last in BACK else "ə").replace("I", I_AFTER[last])
        word, spoken, hyphen = f"{word}{hyphen}{shape}", spoken + shape, ""
        possessed = ending == "poss"
    return word


def _is_abbreviation(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _softens(word: str, ending: str) -> bool:
    """Whether a last k or q changes before a vowel: not in one syllable, not in names (İraqın).

    A name whose last word is a common noun changes all the same: Baş Prokurorluğun.
    """
    letters = small(word)
    if letters[-1] not in SOFT or letters.endswith(KEEPS_CONSONANT):
        return False
    is_common = word[0].islower() or ending == "poss" or letters.endswith(ABSTRACT)
    return is_common and sum(letter in VOWELS for letter in letters) > 1


def reading(word: str) -> str:
    """How the end of a word is spoken, in small letters.

    A number is read by its last part (`1990` ends in `doxsan`); an abbreviation as a word if
    one of its last two letters is a vowel (`SOCAR`), else by its letters (`BMT`).
    """
    if word in READINGS:
        return READINGS[word]
    if digits := re.search(r"\d+$", word):
        return _number_reading(digits[0])
    letters = small(word)
    if _is_abbreviation(word) and not set(letters[-2:]) & set(VOWELS):
        return LETTERS.get(letters[-1], letters[-1] + "e")
    return letters


def _number_reading(digits: str) -> str:
    if digits[-1] != "0" or not int(digits):
        return DIGITS[int(digits[-1])]
    zeros = len(digits) - len(digits.rstrip("0"))
    if zeros == 1:
        return TENS[int(digits[-2])]
    return "yüz" if zeros == 2 else "min" if zeros < 6 else "milyon"


def small(text: str) -> str:
    """The text in small letters: İ to i, I to ı."""
    return text.translate({ord("İ"): "i", ord("I"): "ı"}).lower()
