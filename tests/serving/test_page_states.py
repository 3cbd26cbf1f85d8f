"""What the page says when it has nothing to show, when it waits, when something goes wrong; links,
copies, directions."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium, visited
from conftest import StartServer
from entity_page import TEXT, answer_of, answer_with, find, marks, move_slider, tagged
from playwright.sync_api import Browser, Page, Route, expect
from server_process import Server

import nerlab

pytestmark = pytest.mark.long


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


def test_the_keyboard_is_enough(page: Page) -> None:
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("In Paris Omar met Eve .")
    page.keyboard.press("Control+Enter")
    expect(marks(page)).to_have_count(3)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Find entities")).to_be_focused()
    page.get_by_label("Least score").focus()
    page.keyboard.press("End")
    expect(page.locator("#least-shown")).to_have_text("1.00")
    page.keyboard.press("Home")
    expect(marks(page)).to_have_count(3)
    page.locator("summary").filter(has_text="Tokens").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("cell", name="Omar", exact=True)).to_be_visible()


def test_what_is_copied_is_what_predict_writes_of_what_is_shown(
    browser: Browser, server: Server, run: Path
) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    with visited(browser, server.url, permissions=allowed) as page:
        find(page, TEXT)
        for least in (0.0, 0.97):
            move_slider(page, least)
            page.get_by_role("button", name="Copy JSON").click()
            expect(page.get_by_text("Copied.")).to_be_visible()
            expected = tagged(run, TEXT)
            expected["entities"] = [e for e in expected["entities"] if e["score"] >= least]
            assert json.loads(page.evaluate("navigator.clipboard.readText()")) == expected


def test_a_browser_without_a_clipboard_for_pages_copies_as_well(page: Page) -> None:
    """As of a page that does not come by https."""
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    find(page, TEXT)
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    page.get_by_label("Text").fill("")
    page.keyboard.press("Control+v")
    assert json.loads(page.get_by_label("Text").input_value())["text"] == TEXT


def test_a_link_carries_the_text_which_the_page_then_tags(browser: Browser, server: Server) -> None:
    text = "In Paris Omar met Eve & 100 % + #1 = \u202b👩🏽‍🚀\n."
    with visited(browser, server.url) as page:
        find(page, text)
        page.get_by_role("button", name="Copy link").click()
        expect(page).to_have_url(re.compile("#text=In"))
        link = page.url
    with visited(browser, link) as page:
        expect(marks(page).first).to_be_visible()
        assert page.get_by_label("Text").input_value() == text
        page.evaluate("location.hash = '#text=Eve+met+Omar'")
        expect(page.locator("#drawing")).to_contain_text("met Omar")
        page.evaluate("location.hash = '#text=%zz'")
        expect(page.locator("#drawing")).to_contain_text("%zz")


def test_an_example_is_tagged_at_once(page: Page) -> None:
    answer_with(
        page, "examples", {"examples": [{"language": "ar", "text": "محمد flew to القاهرة ."}]}
    )
    page.reload()
    example = page.get_by_role("button", name="محمد")
    expect(example).to_have_attribute("lang", "ar")
    assert example.evaluate("e => getComputedStyle(e).direction") == "rtl"
    example.click()
    expect(marks(page).first).to_be_visible()
    assert page.get_by_label("Text").input_value() == "محمد flew to القاهرة ."


@pytest.mark.parametrize(("space", "begin"), [("\n", "👍"), (" ", "👍"), ("", "Eve")])
def test_a_text_with_many_entities_is_drawn_in_parts(page: Page, space: str, begin: str) -> None:
    """Each of five hundred names or one more, and cut at a space or the end of a line."""
    text = f"👍Eve met Eve,{space}" * 1000
    names = [(match.start(), match.end(), "PER", 0.5) for match in re.finditer("Eve", text)]
    answer_with(page, "predict", answer_of(text, *names))
    find(page, "x")
    expect(marks(page)).to_have_count(2000)
    parts = page.locator("#drawing .tagged")
    expect(parts).to_have_count(4)
    found = [part.text_content() or "" for part in parts.all()]
    assert "".join(found).replace("EvePER 0.50", "Eve") == text
    assert all(part.startswith(begin) for part in found[1:])


def test_of_many_examples_the_first_are_offered_until_one_asks_for_more(page: Page) -> None:
    texts = [f"Anna met Eve {number} times ." for number in range(9)]
    offered = [{"language": "en", "text": text} for text in texts]
    answer_with(page, "examples", {"examples": offered})
    page.reload()
    examples = page.locator("#examples button")
    expect(examples).to_have_text([*texts[:6], "3 more"])
    examples.last.click()
    expect(examples).to_have_text(texts)
    expect(examples.nth(6)).to_be_focused()


def test_nothing_to_tag_and_nothing_found_are_said(page: Page) -> None:
    find(page, " \n ")
    expect(page.get_by_text("Type a text, or take an example.")).to_be_visible()
    expect(page.get_by_label("Text")).to_be_focused()
    expect(page.locator("#result")).to_be_hidden()
    answer_with(page, "predict", answer_of("Nothing here"))
    find(page, "Nothing here")
    expect(page.get_by_text("No entities found.")).to_be_visible()
    expect(page.locator("#drawing")).to_have_text("Nothing here")


def test_a_server_that_is_gone_and_comes_back(
    browser: Browser, start_server: StartServer, run: Path
) -> None:
    with start_server() as server:
        port = server.port
        with visited(browser, server.url) as page:
            find(page, TEXT)
            expect(marks(page).first).to_be_visible()
            server.stop()
            find(page, TEXT)
            expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
            assert page.get_by_label("Text").input_value() == TEXT
            with start_server(f"port={port}"):
                page.get_by_role("button", name="Try again").click()
                expect(marks(page).first).to_be_visible()


def test_a_text_that_is_too_long_for_the_server(
    browser: Browser, start_server: StartServer
) -> None:
    """It answers before it has read all of it."""
    with start_server("max_body=1000") as server, visited(browser, server.url) as page:
        for size in (2_000, 50_000):
            find(page, "word " * (size // 5))
            message = "body: expected 1,000 bytes at most"
            expect(page.get_by_role("alert")).to_contain_text(message)
        find(page, TEXT)
        expect(marks(page).first).to_be_visible()


def test_what_takes_long_is_shown_and_can_be_stopped(page: Page) -> None:
    held = list[Route]()
    page.route("**/predict", lambda route: held.append(route))
    find(page, "Omar")
    expect(page.get_by_text("Working …")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    find(page, "Eve")
    find(page, "Tom")
    page.wait_for_timeout(50)
    bodies = [json.loads(route.request.post_data or "") for route in held]
    assert [body["text"] for body in bodies] == ["Omar", "Eve", "Tom"]
    held[2].fulfill(json=answer_of("Tom"))
    expect(page.locator("#drawing")).to_have_text("Tom")
    assert [route.request.failure for route in held[:2]] == ["net::ERR_ABORTED"] * 2


def test_a_server_that_wants_a_token_is_given_it(
    browser: Browser, start_server: StartServer
) -> None:
    with start_server("token=secret") as server, visited(browser, server.url) as page:
        expect(page.get_by_label("token")).to_be_focused()
        expect(page.get_by_role("alert")).to_be_hidden()
        page.get_by_label("token").fill("wrong")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("The server does not accept this token.")).to_be_visible()
        page.get_by_label("token").fill("secret")
        page.keyboard.press("Enter")
        expect(page.get_by_text("finds LOC, PER.")).to_be_visible()
        find(page, TEXT)
        expect(marks(page).first).to_be_visible()


def test_the_page_works_behind_a_prefix(browser: Browser, server: Server) -> None:
    with visited(browser, "about:blank") as page:
        inner = re.compile(re.escape(server.url) + "ner/(.*)")

        def proxy(route: Route) -> None:
            match = inner.match(route.request.url)
            assert match, f"not behind the prefix: {route.request.url}"
            route.fulfill(response=route.fetch(url=f"{server.url}{match[1]}"))

        page.route("**/*", proxy)
        page.goto(f"{server.url}ner/")
        find(page, TEXT)
        expect(marks(page).first).to_be_visible()


def test_a_text_is_shown_in_its_direction(page: Page) -> None:
    for text, direction in (("محمد flew to القاهرة .", "rtl"), ("Omar flew to القاهرة .", "ltr")):
        find(page, text)
        expect(page.locator("#drawing")).to_contain_text(text[:4])
        for place in ("#text", "#drawing .tagged"):
            found = page.locator(place).evaluate("e => getComputedStyle(e).direction")
            assert found == direction, (text, place)


def test_of_many_tokens_the_first_are_listed_until_one_asks_for_all(page: Page) -> None:
    answer_with(page, "predict", answer_of("word " * 1200))
    find(page, "word")
    page.get_by_role("heading", name="Tokens").click()
    expect(page.locator("#rows tr")).to_have_count(500)
    page.get_by_role("button", name="Show all 1,200 tokens").click()
    expect(page.locator("#rows tr")).to_have_count(1200)
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()


def test_the_card_of_the_model_is_shown(page: Page) -> None:
    page.get_by_role("heading", name="Model").click()
    card = page.request.get(f"{page.url}model").json()
    expect(page.locator("#card")).to_contain_text(f"{100 * card['figures']['dev']['f1']:.2f} %")
    expect(page.locator("#card")).to_contain_text(f"{card['parameters']:,}")
    for name in ("Figures on dev", "Data", "Parts"):
        page.get_by_role("heading", name=name).click()
    for text in ("embedder.characters", "iob2", "precision", nerlab.__version__):
        expect(page.locator("#card").get_by_text(text).first).to_be_visible()


def test_the_card_of_an_ensemble_has_those_of_its_members(
    browser: Browser, start_server: StartServer, run: Path
) -> None:
    members = f"checkpoint=[{run},{run}/checkpoints/last]"
    with start_server(members) as server, visited(browser, server.url) as page:
        expect(page.get_by_text("An ensemble of 2 finds LOC, PER.")).to_be_visible()
        card = page.request.get(f"{server.url}model").json()
        page.get_by_role("heading", name="Model").click()
        names = [member["name"] for member in card["members"]]
        assert len(names) == 2
        expect(page.locator("#card > details > summary")).to_have_text(names)
        find(page, TEXT)
        expect(marks(page).first).to_be_visible()
