// The page: what a person types goes to the server, and what it finds is shown.
// Whatever comes from a person, a label or a model is only ever inserted as text.

import { ask, UNAUTHORISED, useToken } from "./api.js";
import { modelCard } from "./card.js";
import { bdi, element, page } from "./elements.js";
import { showAnswer, shownAsJson, useColors } from "./result.js";

const EXAMPLES = 6; // that are shown at first
const FRAGMENT = "text"; // #text=... is the text of a link; browsers keep it from the server

let running = null; // what stops the request that is under way
let again = open; // what the button of an error does
let learning = null; // what the model knows, asked once

/** Learn what the model knows; then tag the text of the link that was followed, if there is one. */
async function open() {
  const text = new URLSearchParams(location.hash.slice(1)).get(FRAGMENT);
  if ((await attempt(open, learn)) && text !== null) take(text);
}

async function learn() {
  try {
    await (learning ??= askFacts());
  } catch (error) {
    learning = null;
    throw error;
  }
}

async function askFacts() {
  const [labels, { examples }, card] = await Promise.all(["labels", "examples", "model"].map((path) => ask(path)));
  useColors(labels.colors);
  const name = card.members.length ? `An ensemble of ${card.members.length}` : card.name;
  page.about.replaceChildren(bdi(name), " finds ", bdi(labels.labels.join(", ")), ".");
  page.card.replaceChildren(...modelCard(card));
  page.model.hidden = false;
  showExamples(examples);
}

function showExamples(examples) {
  const buttons = examples.map(({ language, text }) =>
    button(text, () => take(text), { lang: language, dir: "auto" }));
  const others = buttons.splice(EXAMPLES);
  if (others.length) {
    buttons.push(button(`${others.length} more`, (event) => {
      event.target.replaceWith(...others);
      others[0].focus();
    }));
  }
  page.examples.lastElementChild.replaceChildren(...buttons);
  page.examples.hidden = examples.length === 0;
}

function button(text, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

function take(text) {
  page.text.value = text;
  return submit();
}

/** Tag what stands in the text box. */
async function submit() {
  const text = page.text.value.toWellFormed();
  if (text.trim()) {
    await attempt(submit, async (signal) => {
      await learn();
      showAnswer(await ask("predict", { text, tokens: true }, signal));
      if (page.drawing.getBoundingClientRect().top > 0.7 * innerHeight) page.result.scrollIntoView();
    });
    return;
  }
  stop("Type a text, or take an example.");
  page.result.hidden = true;
  page.text.focus();
}

/** Do `work`, which another attempt or the person may stop; `repeat` does it once more. True: it was
 * done. */
async function attempt(repeat, work) {
  running?.abort();
  const own = (running = new AbortController());
  again = repeat;
  finish("Working …");
  page.progress.classList.add("turning");
  page.result.setAttribute("aria-busy", "true");
  page.stop.hidden = false;
  try {
    await work(own.signal);
    if (running === own) finish("");
  } catch (error) {
    if (running === own) fail(error);
    return false;
  }
  return running === own;
}

/** Nothing is under way, and nothing has failed. */
function finish(message) {
  page.progress.textContent = message;
  page.progress.classList.remove("turning");
  page.result.setAttribute("aria-busy", "false");
  page.problem.hidden = page.unlock.hidden = page.stop.hidden = true;
}

function stop(message) {
  running?.abort();
  running = null;
  finish(message);
}

function fail(error) {
  finish("");
  const isLocked = error.status === UNAUTHORISED;
  page.result.hidden = true;
  page.problem.hidden = error.message === "";
  page.reason.textContent = error.message;
  page.again.hidden = isLocked;
  page.unlock.hidden = !isLocked;
  if (isLocked) page.token.focus();
}

function linkToText() {
  const link = new URL(location.href);
  link.hash = new URLSearchParams({ [FRAGMENT]: page.text.value.toWellFormed() });
  history.replaceState(null, "", link);
  return link.href;
}

async function copy(text) {
  page.copied.textContent = "";
  page.copied.textContent = (await isCopied(text)) ? "Copied." : "The browser does not let this page copy.";
}

async function isCopied(text) {
  try {
    await navigator.clipboard.writeText(text); // under https and on this machine
    return true;
  } catch {
    const box = element("textarea", { class: "unseen", readonly: "" });
    box.value = text;
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy"); // elsewhere there is only this
    box.remove();
    return done;
  }
}

page.ask.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
page.text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  submit();
});
page.unlock.addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(page.token.value);
  again();
});
page.again.addEventListener("click", () => again());
page.stop.addEventListener("click", () => stop("Stopped."));
page.copy.addEventListener("click", () => copy(shownAsJson()));
page.link.addEventListener("click", () => copy(linkToText()));
window.addEventListener("hashchange", open);
open();
