// A text with its entities marked, as the elements that predict.py format=html makes of it.

import { element, visible } from "./elements.js";

const KEPT = "\n\t\u00a0\u2009\u202f\u200c\u200d"; // as `prose` of nerlab/reports/look.py keeps
const NO_COLOR = "#888888";
const MARKS = 500; // of an element: browsers take quadratic time to lay it out

/** What is marked in the colour of a label; `colors` is a Map. */
export function mark(label, colors, attributes, ...children) {
  const made = element("mark", attributes, ...children);
  made.style.setProperty("--color", colors.get(label) ?? NO_COLOR);
  return made;
}

/** The text with a mark for each entity {label, start, end, score}. These are in order and do not
 * overlap; their offsets count characters as Python does, one outside the basic plane as one.
 * Returns elements: one, or several where there are many marks, which end with a line or a word. */
export function drawing(text, entities, colors) {
  const characters = Array.from(text);
  const piece = (start, end) => visible(characters.slice(start, end).join(""), KEPT);
  const parts = [element("span", { class: "tagged" })];
  let done = 0;
  for (const { label, start, end, score } of entities) {
    const place = lastSpace(characters.slice(done, start));
    if (parts.at(-1).childElementCount >= MARKS && place > 0) {
      parts.at(-1).append(piece(done, (done += place)));
      parts.push(element("span", { class: "tagged" }));
    }
    const name = element("bdi", { class: "label" }, `${visible(label)} ${score.toFixed(2)}`);
    const marked = mark(label, colors, { title: score.toFixed(3) }, piece(start, end), name);
    parts.at(-1).append(piece(done, start), marked);
    done = end;
  }
  parts.at(-1).append(piece(done, characters.length));
  for (const part of parts) {
    part.normalize(); // no empty texts
    part.dir = "auto"; // at last: browsers look for the direction whenever something is added
  }
  return parts;
}

/** The place behind the last line end, or if there is none, behind the last space; 0: neither. */
function lastSpace(characters) {
  return (characters.lastIndexOf("\n") + 1) || (characters.lastIndexOf(" ") + 1);
}
