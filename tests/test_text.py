"""Tokens and sentences of raw text: what holds for any text, and examples in many scripts."""

import sys
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invariants import check_tokens

from nerlab.text import MAX_SENTENCE_TOKENS, sentences, tokenize

# Characters that the rules treat apart, so that random texts meet the rules.
NOTABLE = (
    "aBİéñя中の한ناह09٣ \n\r\t\x00\u00a0\u2028\u0085'’-.,:/_@#!?…。！？।؟\"”)」($€"
    "\u0301\u093f\u094d\u200c\u200d\ufe0f\u20e3\U0001f469\U0001f3fd\U0001f1e6\U0001f1ff"
    "\U000e0067\U00020000\ud800\ufeff\u00ad"
)
texts = (
    st.text(alphabet=st.sampled_from(NOTABLE), max_size=40)
    | st.text(max_size=40)
    | st.text(alphabet=st.characters(), max_size=40)  # lone surrogates too
    | st.lists(
        st.sampled_from(["Mr.", "J.", "U.N.", "don't", "it's", "Why?", "！", "。", "go", '."', "B"])
    ).map(" ".join)
)


TITLES = "Mr Mrs Ms Dr Prof St Gen Sen Gov Lt Col Capt Sgt Rev No vs J Ə"


def words(text: str) -> list[str]:
    return [token.text for token in tokenize(text)]


def split(text: str) -> list[str]:
    """The sentences of a text, their tokens with a space between."""
    return [" ".join(token.text for token in sentence) for sentence in sentences(text)]


@settings(max_examples=300)
@given(texts)
@example("a. B! c? D\nE 中。文")
def test_tokens_lie_in_order_at_their_offsets_and_sentences_hold_each_once(text: str) -> None:
    check_tokens(text)


@settings(max_examples=120)
@given(texts, st.sampled_from(" \t\n\u00a0\u3000"), texts)
def test_what_stands_beyond_a_space_changes_no_token(left: str, space: str, right: str) -> None:
    assert words(left + space + right) == words(left) + words(right)


composed = st.text(alphabet="éÜİñがパ각힣≠\u0385ṩक़ə1٣ .'’-:@_A。x👍(", max_size=20)


@settings(max_examples=300)
@given(composed | texts)
@example("1923'ün, U.N.'nün É.Ü. É. Smith")
def test_composed_and_decomposed_letters_make_the_same_tokens_and_sentences(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    expected = [[token.text for token in sentence] for sentence in sentences(composed)]
    assert [
        [unicodedata.normalize("NFC", token.text) for token in sentence]
        for sentence in sentences(decomposed)
    ] == expected


@pytest.mark.long
@pytest.mark.parametrize("around", ["{}", "x{}y", "1{}2", "1'{}n", "a.b.'{}", "a.{}.b.", "-{}x"])
def test_every_composed_character_makes_the_same_tokens_decomposed(around: str) -> None:
    for code in range(sys.maxunicode + 1):
        text = around.format(chr(code))
        composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
        if composed != decomposed:
            found = [unicodedata.normalize("NFC", word) for word in words(decomposed)]
            assert found == words(composed), hex(code)


@settings(max_examples=120)
@given(texts)
def test_no_sentence_goes_across_a_line_break(text: str) -> None:
    for sentence in sentences(text):
        whole = text[sentence[0].start : sentence[-1].end]
        assert "\n" not in whole
        assert "\r" not in whole


@settings(max_examples=120)
@given(texts)
def test_a_sentence_is_one_sentence_when_it_stands_alone(text: str) -> None:
    for sentence in sentences(text):
        alone = text[sentence[0].start : sentence[-1].end]
        assert split(alone) == [" ".join(token.text for token in sentence)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.N. paid $1,000.50.", "The U.N. paid $ 1,000.50 ."),
        ("e.g. this", "e.g. this"),
        ("don't DON'T don’t", "do n't DO N'T do n’t"),
        ("it's they've I'm we'd you'll they're", "it 's they 've I 'm we 'd you 'll they 're"),
        ("Peter’s dogs' 'tis", "Peter ’s dogs ' ' tis"),
        ("O'Neill rock'n'roll", "O'Neill rock'n'roll"),
        ("He won 6-4, 7-5 on 1996-08-30.", "He won 6-4 , 7-5 on 1996-08-30 ."),
        ("at 12:30, 3/4 of it", "at 12:30 , 3/4 of it"),
        ("a 20-year-old F-16 of the 1990s", "a 20-year-old F-16 of the 1990s"),
        ("wait... what--no", "wait ... what -- no"),
        ("#nlp @user snake_case", "#nlp @user snake_case"),
        ('("x")[y]', '( " x " ) [ y ]'),
        ("İlham Əliyev Bakıda danışdı.", "İlham Əliyev Bakıda danışdı ."),
        ("cafe\u0301 re\u0301sume\u0301", "cafe\u0301 re\u0301sume\u0301"),
        ("我在北京。", "我 在 北 京 。"),
        ("東京タワー", "東 京 タ ワ ー"),
        ("김정은은 평양", "김정은은 평양"),
        ("1923'u\u0308n U.N.'nu\u0308n", "1923'u\u0308n U.N.'nu\u0308n"),
        ("مرحبا، بالعالم؟", "مرحبا ، بالعالم ؟"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया ।"),
        ("\u0664\u0662 ४२", "\u0664\u0662 ४२"),
        ("hi👍🏽👍 ❤️", "hi 👍🏽 👍 ❤️"),
        ("👩‍👩‍👧🇦🇿🇩🇪", "👩‍👩‍👧 🇦🇿 🇩🇪"),
        ("", ""),
        (" \n\t\x00\u00a0", ""),
    ],
)
def test_tokens_of(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@pytest.mark.parametrize("word", ["Peter", "F-16", "U.N.", "1990"])
def test_the_possessive_leaves_what_it_stands_behind(word: str) -> None:
    assert words(f"{word}'s plan") == [word, "'s", "plan"]


@pytest.mark.parametrize("word", ["ශ්\u200dරී", "क्\u200dष", "ന്\u200d"])
def test_a_joiner_between_letters_stays_in_their_word(word: str) -> None:
    assert words(f"{word} {word}") == [word, word]


@pytest.mark.parametrize("unit", ["a", "1", ".", "-", "'", "中", "👍", "1-", "a.", "a'", "\u200d"])
def test_a_very_long_run_without_spaces_loses_nothing(unit: str) -> None:
    text = unit * 20_000
    assert "".join(words(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He left. She stayed! Why? No.", ["He left .", "She stayed !", "Why ?", "No ."]),
        ("It is at example.com now. ok", ["It is at example . com now . ok"]),
        ("It cost 5 p. a piece.", ["It cost 5 p . a piece ."]),
        ("Mr. Smith met J. Smith. He left.", ["Mr . Smith met J . Smith .", "He left ."]),
        ('"Why?" she asked. (Yes.) No', ['" Why ? " she asked .', "( Yes . )", "No"]),
        ('"Go." "No."', ['" Go . "', '" No . "']),
        ("What?! No... Yes", ["What ? !", "No ...", "Yes"]),
        ("one\ntwo\r\nthree\n\n", ["one", "two", "three"]),
        ("Mr.\nSmith", ["Mr .", "Smith"]),
        ("Sonra getdi. İlham qaldı.", ["Sonra getdi .", "İlham qaldı ."]),
        ("我来了。你好吗？好！", ["我 来 了 。", "你 好 吗 ？", "好 ！"]),
        ("他说：「好。」然后走了。", ["他 说 ： 「 好 。 」", "然 后 走 了 。"]),
        ("مرحبا بالعالم؟ نعم.", ["مرحبا بالعالم ؟", "نعم ."]),
        ("यह है। वह था।", ["यह है ।", "वह था ।"]),
        ("", []),
    ],
)
def test_sentences_of(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize("title", TITLES.split())
def test_the_full_stop_of_a_title_or_an_initial_ends_no_sentence(title: str) -> None:
    assert split(f"With {title}. Smith. He") == [f"With {title} . Smith .", "He"]


def test_final_marks_in_a_row_stay_in_one_sentence_without_spaces_too() -> None:
    assert split("真的吗？！好的！！！走。") == ["真 的 吗 ？ ！", "好 的 ！ ！ ！", "走 。"]


def test_a_sentence_without_end_is_cut_at_the_limit() -> None:
    lengths = [len(sentence) for sentence in sentences("word " * (2 * MAX_SENTENCE_TOKENS + 3))]
    assert lengths == [MAX_SENTENCE_TOKENS, MAX_SENTENCE_TOKENS, 3]
