// A text with its entities marked, as the elements that predict.py format=html makes of it.

import { element, visible } from "./elements.js";

const KEPT = "\n\t\u00a0\u2009\u202f\u200c\u200d"; // as `prose` of nerlab/reports/look.py keeps
const NO_COLOR = "#888888";

/** What is marked in the colour of a label; `colors` is a Map. */
export function mark(label, colors, attributes, ...children) {
  const made = element("mark", attributes, ...children);
  made.style.setProperty("--color", colors.get(label) ?? NO_COLOR);
  return made;
}

/** The text with a mark for each entity {label, start, end, score}. These are in order and do not
 * overlap; their offsets count characters as Python does, one outside the basic plane as one. */
export function drawing(text, entities, colors) {
  const characters = Array.from(text);
  const piece = (start, end) => visible(characters.slice(start, end).join(""), KEPT);
  const drawn = element("span", { class: "tagged", dir: "auto" });
  let done = 0;
  for (const { label, start, end, score } of entities) {
    drawn.append(piece(done, start));
    const name = element("bdi", { class: "label" }, `${visible(label)} ${score.toFixed(2)}`);
    drawn.append(mark(label, colors, { title: score.toFixed(3) }, piece(start, end), name));
    done = end;
  }
  drawn.append(piece(done, characters.length));
  drawn.normalize(); // no empty texts
  return drawn;
}
