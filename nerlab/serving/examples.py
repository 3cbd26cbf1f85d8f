"""Sentences to try a tagger with, in the languages that it knows."""

import math
from collections import Counter
from statistics import mean
from typing import NamedTuple

import numpy as np

from nerlab.data.vocabulary import Indexer, Ragged, Vocabulary
from nerlab.models.characters import CharacterIndexer
from nerlab.models.pretrained import PretrainedIndexer
from nerlab.models.subwords import SubwordIndexer
from nerlab.models.words import WordIndexer
from nerlab.text import tokenize

_MOST = 24  # sentences that are offered
_LEAST_KNOWN = 0.7  # share of the words of a sentence that are no names
_UNSEEN = "\U0010ffff"  # a character of no text: the last part of it is the unknown one
# The array that an indexer makes, and how many parts a word has at most that it knows.
_PARTS: tuple[tuple[type[Indexer], str, float], ...] = (
    (WordIndexer, "words", 1),
    (SubwordIndexer, "pieces", 2),
    (PretrainedIndexer, "pieces", 2),
    (CharacterIndexer, "characters", math.inf),
)


class Example(NamedTuple):
    """A sentence and the tag of its language (BCP 47)."""

    language: str
    text: str


EXAMPLES = tuple(
    Example(language, text)
    for language, texts in {
        "en": (
            "Angela Merkel flew from Berlin to Paris.",
            "The United Nations said on Monday that talks in Geneva would resume next week.",
            "Marie Curie was born in Warsaw and worked at the University of Paris.",
            "Toyota will open a new plant in Mexico, its president told reporters in Tokyo.",
        ),
        "de": (
            "Angela Merkel ist gestern mit dem Zug von Berlin nach Hamburg gefahren.",
            "Die Siemens AG hat im März ein neues Werk bei Leipzig eröffnet.",
        ),
        "nl": (
            "Het bedrijf wil volgend jaar bij Eindhoven een nieuwe fabriek openen.",
            "Vincent van Gogh werd in Zundert geboren en woonde later bij Arles.",
        ),
        "fr": (
            "Emmanuel Macron est arrivé hier à Lyon avec le maire de Marseille.",
            "La société Renault a ouvert une nouvelle usine près de Lille.",
        ),
        "es": (
            "El presidente llegó ayer a Madrid para hablar con el alcalde de Sevilla.",
            "Gabriel García Márquez nació en Colombia y vivió muchos años en México.",
        ),
        "pt": (
            "O presidente chegou ontem a Brasília para falar com a prefeita de São Paulo.",
            "Fernando Pessoa nasceu em Lisboa e não saiu mais da cidade.",
        ),
        "it": (
            "Il presidente è arrivato ieri a Roma per parlare con il sindaco di Milano.",
            "La Fiat ha aperto una nuova fabbrica vicino a Torino.",
        ),
        "pl": (
            "Maria Skłodowska-Curie urodziła się w Warszawie i pracowała we Francji.",
            "Prezydent przyjechał wczoraj do Krakowa, żeby spotkać się z burmistrzem Gdańska.",
        ),
        "tr": (
            "Orhan Pamuk dün İstanbul'da yeni kitabı hakkında konuştu.",
            "Türk Hava Yolları bu yıl Ankara ile Tokyo arasında uçmaya başladı.",
        ),
        "az": (
            "İlham Əliyev dünən Bakıda Türkiyənin baş naziri ilə görüşüb.",
            "Azərbaycan Dövlət Neft Şirkəti bu il Gəncədə yeni zavod açıb.",
            "Heydər Əliyev 1923-cü ildə Naxçıvan şəhərində anadan olub.",
        ),
        "ru": (
            "Лев Толстой родился в Ясной Поляне и долго жил в Москве.",
            "Вчера президент прилетел в Казань, чтобы встретиться с министром.",
        ),
        "uk": (
            "Тарас Шевченко народився на Черкащині і довго жив у Петербурзі.",
            "Учора президент приїхав до Львова, щоб зустрітися з міністром.",
        ),
        "el": (
            "Ο πρωθυπουργός έφτασε χθες στη Θεσσαλονίκη για να μιλήσει με τον δήμαρχο.",
            "Ο Νίκος Καζαντζάκης γεννήθηκε στο Ηράκλειο της Κρήτης.",
        ),
        "ka": ("პრეზიდენტი გუშინ თბილისში პრემიერ-მინისტრს შეხვდა.",),
        "ar": (
            "وصل الرئيس أمس إلى القاهرة للقاء وزير خارجية الأردن.",
            "ولد نجيب محفوظ في القاهرة وعاش فيها كل حياته.",
        ),
        "he": ("ראש הממשלה הגיע אתמול לירושלים כדי לפגוש את ראש העיר תל אביב.",),
        "fa": ("رئیس جمهور دیروز برای دیدار با وزیر به تهران آمد.",),
        "hi": (
            "प्रधानमंत्री नरेन्द्र मोदी कल दिल्ली से मुंबई गए।",
            "रवीन्द्रनाथ ठाकुर का जन्म कोलकाता में हुआ था।",
        ),
        "zh": ("李明昨天从北京飞到上海，会见了华为公司的经理。",),
        "ja": ("田中さんは昨日、東京から大阪へ行きました。",),
        "ko": ("김민수 씨는 어제 서울에서 부산으로 갔다.",),
    }.items()
    for text in texts
)


def examples_for(vocabulary: Vocabulary) -> list[Example]:
    """The sentences most of whose words a tagger has seen, names aside; the first of each language
    before the second of any."""
    known = [example for example in EXAMPLES if _share_known(vocabulary, example) >= _LEAST_KNOWN]
    seen = Counter[str]()
    order = []
    for example in known:
        order.append(seen[example.language])
        seen[example.language] += 1
    ranked = sorted(zip(order, range(len(known)), known, strict=True))
    return [example for _, _, example in ranked[:_MOST]]


def _share_known(vocabulary: Vocabulary, example: Example) -> float:
    """The share of the words that each indexer knows, of the one that knows fewest."""
    tokens = (token.text for token in tokenize(example.text))
    words = [token for token in tokens if token[0].isalpha() and not token[0].isupper()]
    shares = (_share(indexer, words) for indexer in vocabulary.indexers.values())
    return min((share for share in shares if share is not None), default=0.0)


def _share(indexer: Indexer, words: list[str]) -> float | None:
    """The share of the words that an indexer knows; None: it is none of nerlab's."""
    for kind, name, most in _PARTS:
        if isinstance(indexer, kind):
            found = indexer.index([_UNSEEN, *words]).arrays[name]
            values, offsets = found if isinstance(found, Ragged) else _one_each(found)
            unknown, *rows = np.split(values, offsets[1:-1])
            return mean(len(row) <= most and unknown[-1] not in row for row in rows)
    return None


def _one_each(values: np.ndarray) -> Ragged:
    return Ragged(values, np.arange(len(values) + 1))
