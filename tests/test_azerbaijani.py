"""The endings that data/azerbaijani.py attaches, against forms written by hand."""

import re

import pytest
from azerbaijani import ENDINGS, VOWELS, attach, inflected, small
from hypothesis import given
from hypothesis import strategies as st

FORMS = """
Bakı+gen Bakının            Bakı+dat Bakıya             Bakı+loc Bakıda
Bakı+abl Bakıdan            Bakı+acc Bakını             Bakı+loc+ki Bakıdakı
Gəncə+gen Gəncənin          Gəncə+dat Gəncəyə           Gəncə+loc Gəncədə
Gəncə+abl Gəncədən          İstanbul+gen İstanbulun     İstanbul+dat İstanbula
İstanbul+acc İstanbulu      Kür+gen Kürün               Kür+dat Kürə
Kür+acc Kürü                Göygöl+loc Göygöldə         Tokio+gen Tokionun
Tokio+dat Tokioya           Şəki+acc Şəkini             Xırdalan+abl Xırdalandan
Əliyev+gen Əliyevin         Əliyeva+gen Əliyevanın      Həsənzadə+dat Həsənzadəyə
Ağayeva+acc Ağayevanı       Quliyev+abl Quliyevdən      Rəhimli+gen Rəhimlinin
İraq+gen İraqın             Tofiq+acc Tofiqi            Bişkek+dat Bişkekə
Bişkek+loc Bişkekdə         Nyu-York+gen Nyu-Yorkun     Qazax+dat Qazaxa
uşaq+poss uşağı             uşaq+dat uşağa              uşaq+loc uşaqda
uşaq+pl uşaqlar             çörək+acc çörəyi            kitab+pl+poss+dat kitablarına
xalq+gen xalqın             bank+acc bankı              hüquq+poss hüququ
ittifaq+poss+loc ittifaqında      Nazirlik+poss Nazirliyi     Nazirlik+poss+gen Nazirliyinin
Nazirlik+poss+dat Nazirliyinə     Nazirlik+poss+loc Nazirliyində
Prokurorluq+gen Prokurorluğun      Balıqçılıq+dat Balıqçılığa
Kubok+poss+acc Kubokunu           əməkdaşlıq+abl əməkdaşlıqdan
Nazirlik+poss+abl Nazirliyindən   Nazirlik+poss+acc Nazirliyini
küçə+poss küçəsi            küçə+poss+loc küçəsində     göl+poss+abl gölündən
şəhər+poss+gen şəhərinin    çay+poss+dat çayına         türk+pl+gen türklərin
BMT+gen BMT-nin             BMT+dat BMT-yə              BMT+loc BMT-də
ABŞ+gen ABŞ-ın              ABŞ+loc ABŞ-da              ABŞ+dat ABŞ-a
NATO+gen NATO-nun           SOCAR+dat SOCAR-a           ASC+gen ASC-nin
ATƏT+gen ATƏT-in            UNESCO+abl UNESCO-dan       FHN+gen FHN-in
ÜST+gen ÜST-ün              MSK+gen MSK-nın             AMEA+dat AMEA-ya
1+ord 1-ci                  3+ord 3-cü                  6+ord 6-cı
9+ord 9-cu                  10+ord 10-cu                20+ord 20-ci
40+ord 40-cı                1990+ord 1990-cı            2000+ord 2000-ci
2024+ord 2024-cü            1900+ord 1900-cü            15:30+loc 15:30-da
COVID-19+gen COVID-19-un    2:1+is 2:1-dir              paytaxt+poss+is paytaxtıdır
"""


@pytest.mark.parametrize(("stem", "form"), re.findall(r"(\S+) +(\S+)", FORMS))
def test_endings(stem: str, form: str) -> None:
    word, *endings = stem.split("+")
    assert attach(word, endings) == form


def test_an_ending_goes_inside_the_entity() -> None:
    text = "{PERSON: Leyla Rəhimli}+gen {GPE: Bakı} şəhər+poss+loc +994 {LAW: Birlik+poss}+abl"
    wanted = "{PERSON: Leyla Rəhimlinin} {GPE: Bakı} şəhərində +994 {LAW: Birliyindən}"
    assert inflected(text) == wanted


LETTERS = "abcçdeəfgğhxıijkqlmnoöprsştuüvyz"
WORDS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda word: set(word) & set(VOWELS))


@given(WORDS, st.lists(st.sampled_from(sorted(ENDINGS)), min_size=1, max_size=3))
def test_vowels_of_endings_are_back_or_front_as_the_last_of_the_stem(
    word: str, endings: list[str]
) -> None:
    form = attach(word, endings)
    back = [letter in "aıou" for letter in form if letter in VOWELS]
    of_stem = sum(letter in VOWELS for letter in word)
    assert set(back[of_stem:]) <= {back[of_stem - 1]}
    assert form[: len(word) - 1] == word[:-1]


@given(WORDS, st.sampled_from(sorted(ENDINGS)))
def test_endings_put_no_vowel_next_to_a_vowel(word: str, ending: str) -> None:
    form = attach(word, [ending])
    added = form[len(word) - 1 :]
    assert not (added[0] in VOWELS and added[1] in VOWELS)


def test_small_letters_are_the_turkic_ones() -> None:
    assert small("İSTANBUL QIZIL IRAQ") == "istanbul qızıl ıraq"
