// What was found in a text: the drawing, what there is of each type, the tokens.

import { drawing, mark } from "./drawing.js";
import { bdi, card, element, page, row } from "./elements.js";

const ROWS = 500; // of the table of tokens, until one asks for all
const NAMES = 5; // of each type

let colors = new Map(); // of the labels
let answer = null; // of the server
let isDrawn = true;

/** Draw labels in these colours. */
export function useColors(found) {
  colors = new Map(Object.entries(found));
}

/** Show an answer {text, entities, tokens}. */
export function showAnswer(found) {
  answer = found;
  page.result.hidden = false;
  showEntities();
  showTokens(ROWS);
}

/** The answer as predict.py writes it, without what the threshold hides. */
export function shownAsJson() {
  return JSON.stringify({ text: answer.text, entities: shownEntities() }, null, 2);
}

function shownEntities() {
  return answer.entities.filter(({ score }) => score >= page.least.valueAsNumber);
}

function showEntities() {
  const entities = shownEntities();
  page.drawing.replaceChildren(...drawing(answer.text, entities, colors));
  page.types.replaceChildren(...typeCards(entities));
  page.summary.textContent = summary(entities.length, answer.entities.length);
  isDrawn = true;
}

function summary(shown, all) {
  if (all === 0) return "No entities found.";
  const total = `${counted(all, "entity", "entities")} in ${counted(answer.tokens.length, "token", "tokens")}`;
  return shown === all ? `${total}.` : `${total}, ${shown.toLocaleString("en")} of them shown.`;
}

function counted(number, one, more) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : more}`;
}

/** A card for each type that is shown, the most frequent first. */
function typeCards(entities) {
  const byType = new Map();
  for (const { label, text } of entities) {
    if (!byType.has(label)) byType.set(label, []);
    byType.get(label).push(text.replace(/\s+/g, " "));
  }
  const types = Array.from(byType).sort(([, one], [, other]) => other.length - one.length);
  return types.map(([label, names]) =>
    card(mark(label, colors, {}, bdi(label)), names.length.toLocaleString("en"), mostFrequent(names)));
}

function mostFrequent(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const often = Array.from(counts).sort(([, one], [, other]) => other - one);
  const items = often.slice(0, NAMES).map(([name, count]) =>
    element("li", {}, bdi(name), count > 1 ? ` × ${count}` : ""));
  if (often.length > NAMES) items.push(element("li", {}, `and ${often.length - NAMES} more`));
  return element("ul", {}, ...items);
}

function showTokens(limit) {
  const tokens = answer.tokens.slice(0, limit);
  page.rows.replaceChildren(...tokens.map(tokenRow));
  page.more.hidden = tokens.length === answer.tokens.length;
  page.more.textContent = `Show all ${counted(answer.tokens.length, "token", "tokens")}`;
}

function tokenRow({ text, tag, score, start, end }) {
  const label = tag.slice(tag.indexOf("-") + 1);
  const shown = tag === "O" ? element("span", { class: "soft" }, tag) : mark(label, colors, {}, bdi(tag));
  const bar = element("span", { class: "bar" });
  bar.style.width = `${(4 * score).toFixed(2)}rem`;
  return row([text, shown, score.toFixed(3), bar, `${start}–${end}`], [0, 1, 3]);
}

page.least.addEventListener("input", () => {
  page["least-shown"].textContent = page.least.valueAsNumber.toFixed(2);
  if (answer === null || !isDrawn) return;
  isDrawn = false; // once a frame, however fast the slider moves
  requestAnimationFrame(showEntities);
});
page.more.addEventListener("click", () => showTokens(Infinity));
