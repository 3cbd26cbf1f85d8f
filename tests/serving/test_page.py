"""The page in a browser, with a real server behind it; its states are in test_page_states.py."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import pytest
from browser import chromium, visited
from conftest import ROOT
from entity_page import SCRIPT, TEXT, answer_of, answer_with, find, marks, move_slider, tagged
from hypothesis import assume, example, given
from playwright.sync_api import Browser, Page, expect
from server_process import Server
from tagged_texts import LABELS, sentence_of, tagged_texts

from nerlab.inference.output import Tagged, jsonl
from nerlab.inference.predictor import TaggedSentence
from nerlab.messages import visible
from nerlab.reports.look import colors_of
from nerlab.reports.tagged_text import page as html_of
from nerlab.tags import Span
from nerlab.text import Token, tokenize

PAGE = ROOT / "nerlab" / "serving" / "page"
PHONE = {"width": 390, "height": 844}
HARD = "a \u0301a\u0301 👩🏽‍🚀\u202e<b>&amp;\x00\r\n\t\u0301\u2028\xa0\u200b\ud800\U000e0001 x"
# Elements as lists: name, attributes, children. The browser writes a style with a space and a ;
TREE = """(() => {
  const tree = (node) => node.nodeType === 3 ? node.data : [
    node.localName,
    Object.fromEntries(Array.from(node.attributes, (a) => [a.name, a.value.replace(/[ ;]/g, "")])),
    ...Array.from(node.childNodes, tree),
  ];
  return tree;
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page of the server, with what it has learned of the model."""
    with visited(browser, server.url) as page:
        expect(page.get_by_text("finds LOC, PER.")).to_be_visible()
        yield page


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    pixels: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return pixels


def test_entities_of_a_typed_text_are_highlighted_counted_and_listed(page: Page, run: Path) -> None:
    expected = tagged(run, TEXT)["entities"]
    assert {entity["label"] for entity in expected} == {"PER", "LOC"}
    find(page, TEXT)
    expect(marks(page)).to_have_text(
        [f"{e['text']}{e['label']} {e['score']:.2f}" for e in expected]
    )
    tokens = [token.text for token in tokenize(TEXT)]
    expect(page.locator("#summary")).to_have_text(f"{len(expected)} entities in 12 tokens.")
    for label in ("PER", "LOC"):
        names = [entity["text"] for entity in expected if entity["label"] == label]
        card = page.locator("#types .card").filter(has=page.get_by_text(label, exact=True))
        expect(card.locator(".value")).to_have_text(str(len(names)))
        expect(card.locator("li")).to_have_text(names)
    page.get_by_role("heading", name="Tokens").click()
    rows = page.locator("#rows tr")
    expect(rows.locator("td:first-child")).to_have_text(tokens)
    expect(rows.nth(1)).to_have_text(re.compile(r"^SmithI-PER[01]\.\d{3}5–10$"))


def test_the_slider_hides_what_has_a_lower_score(page: Page) -> None:
    entities = [(0, 4, "PER", 0.25), (5, 10, "PER", 0.5), (11, 17, "LOC", 0.75)]
    answer_with(page, "predict", answer_of("Anna Smith Berlin", *entities))
    find(page, "Anna Smith Berlin")
    for least, shown, cards in ((0.5, 2, 2), (0.51, 1, 1), (0.76, 0, 0), (0.25, 3, 2)):
        move_slider(page, least)
        expect(marks(page)).to_have_count(shown)
        expect(page.locator("#types .card")).to_have_count(cards)
        expect(page.locator("#drawing")).to_contain_text("Berlin")
    move_slider(page, 0.3)
    expect(page.locator("#summary")).to_have_text("3 entities in 3 tokens, 2 of them shown.")


@pytest.mark.parametrize(
    ("status", "answer", "shown"),
    [
        (503, {"error": "the queue is full"}, "the queue is full (wait 7 s)"),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in (
                (413, {"error": "body: too large; cut the text"}, "body: too large; cut the text"),
                (500, {"error": SCRIPT}, SCRIPT),
                (502, "<h1>Bad Gateway</h1>", "the server answered 502 Bad Gateway"),
                (200, "<h1>Hello</h1>", "the server answered 200 OK"),
            )
        ),
    ],
)
def test_an_error_says_what_the_server_says_and_can_be_tried_again(
    page: Page, status: int, answer: object, shown: str
) -> None:
    headers = {"Retry-After": "7"} if status == 503 else {}
    answer_with(page, "predict", answer, status, **headers)
    find(page, TEXT)
    expect(page.get_by_role("alert")).to_contain_text(shown)
    expect(page.locator("#result")).to_be_hidden()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(marks(page).first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_markup_in_a_text_a_label_an_example_and_the_card_stays_text(
    browser: Browser, server: Server
) -> None:
    with visited(browser, "about:blank") as page:
        card = json.loads(page.request.get(f"{server.url}model").text())
        score = card["figures"]["dev"]
        card |= {"name": SCRIPT, "labels": [SCRIPT]}
        card["parts"] = [dict.fromkeys(("part", "class", "options"), SCRIPT) | {"parameters": 1}]
        card["figures"] = {SCRIPT: {**score, "per_type": {SCRIPT: score}}}
        card["data"] = {"dir": SCRIPT, "scheme": SCRIPT, "splits": {SCRIPT: score}}
        card["members"] = [card | {"members": []}]
        answer_with(page, "model", card)
        answer_with(page, "labels", {"labels": [SCRIPT], "colors": {SCRIPT: "#123456"}})
        answer_with(page, "examples", {"examples": [{"language": SCRIPT, "text": SCRIPT}]})
        found = answer_of(SCRIPT, (0, len(SCRIPT), SCRIPT, 0.5))
        found["tokens"] = [{"text": SCRIPT, "start": 0, "end": 9, "tag": SCRIPT, "score": 0.5}]
        answer_with(page, "predict", found)
        page.goto(server.url)
        page.get_by_role("button", name="<script>").click()
        expect(marks(page)).to_have_text(f"{SCRIPT}{SCRIPT} 0.50")
        for summary in page.locator("summary").all():
            summary.click()
        for place in ("#types", "#rows", "#card", "#examples", "#about"):
            expect(page.locator(place)).to_contain_text(SCRIPT)
        assert page.locator("body script, body img").count() == 0
        assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("scheme", ["dark", pytest.param("light", marks=pytest.mark.long)])
def test_a_phone_need_not_scroll_sideways(browser: Browser, server: Server, scheme: str) -> None:
    label, word = "A_LONG_NAME_OF_A_TYPE_" * 3, "Smith" * 60
    with visited(browser, server.url, viewport=PHONE, color_scheme=scheme) as page:
        answer_with(page, "predict", answer_of(word, (0, len(word), label, 0.5)))
        find(page, word)
        expect(marks(page)).to_be_in_viewport()
        for summary in page.locator("summary").all():
            summary.click()
        assert overflow(page) <= 0
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.fixture(scope="module")
def canvas(browser: Browser, server: Server) -> Iterator[Page]:
    """A page that nothing is typed on, which may read that of predict.py with its styles."""
    with visited(browser, server.url, bypass_csp=True) as page:
        yield page


def drawn_and_written(page: Page, texts: list[Tagged]) -> tuple[list[object], list[object]]:
    """What the page makes of the answers of a server, and what predict.py writes."""
    script = f"""async ([answers, colors, html]) => {{
        const {{ drawing }} = await import("./drawing.js");
        const known = new Map(Object.entries(colors));
        const found = answers.map((answer) => JSON.parse(answer));
        const drawn = found.flatMap((answer) => drawing(answer.text, answer.entities, known));
        const page = new DOMParser().parseFromString(html, "text/html");
        return [drawn.map({TREE}), Array.from(page.querySelectorAll(".tagged"), {TREE})];
    }}"""
    html = "".join(html_of(texts, LABELS, "t"))
    drawn, written = page.evaluate(script, [list(jsonl(texts)), colors_of(LABELS), html])
    return drawn, written


def with_plain_scores(texts: list[Tagged]) -> list[Tagged]:
    """None of them is halfway between two that have fewer digits, where Python rounds to even."""

    def plain(sentence: TaggedSentence) -> TaggedSentence:
        entities = [entity._replace(score=0.9 * entity.score) for entity in sentence.entities]
        return sentence._replace(entities=entities)

    return [(text, [plain(sentence) for sentence in tagged]) for text, tagged in texts]


@given(tagged_texts())
@example([(HARD, [sentence_of(HARD, [Token("👩🏽‍🚀", 3, 7)], [Span(0, 1, "<b>")])])])
@example([("😀😀", [sentence_of("😀😀", [Token("😀", 1, 2)], [Span(0, 1, "地点")])])])
def test_the_page_draws_what_predict_writes(canvas: Page, texts: list[Tagged]) -> None:
    # Which characters there are depends on the version of Unicode, and so what can be seen.
    assume(all(category(c) != "Cn" for text, _ in texts for c in text))
    texts = with_plain_scores(texts)
    drawn, written = drawn_and_written(canvas, texts)
    assert len(drawn) == len(texts)
    assert drawn == written


@pytest.mark.long
def test_every_character_is_spelt_or_kept_as_in_python(canvas: Page) -> None:
    known = [chr(code) for code in range(0x110000) if category(chr(code)) not in ("Cn", "Cs")]
    spell = """async (characters) => {
        const { visible } = await import("./elements.js");
        return Array.from(characters, (character) => visible("a" + character));
    }"""
    found = canvas.evaluate(spell, "".join(known))
    assert found == [visible(f"a{character}") for character in known]


def test_nothing_on_the_page_is_ever_read_as_markup() -> None:
    """Its Content-Security-Policy would let no script of it run, either."""
    scripts = sorted(PAGE.glob("*.js"))
    assert len(scripts) >= 5
    for file in scripts:
        script = file.read_text("utf-8")
        found = re.search(r"HTML|\bwrite\(|\beval\b|\bFunction\b", script)
        assert not found, file
    markup = (PAGE / "index.html").read_text("utf-8")
    assert not re.search(r"\bon\w+=|<style|style=|<script>|https?://|href=\"/|src=\"/", markup)
