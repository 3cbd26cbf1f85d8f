// Elements of the page, and new ones; what they hold is always text.

// What str.isprintable of Python refuses, and a mark without a letter to stand on.
const UNSEEN = /\p{C}|\p{Zl}|\p{Zp}|(?! )\p{Zs}|(?<=^| )[\p{Mn}\p{Me}]/gu;
const SHORT = new Map([["\n", "\\n"], ["\t", "\\t"], ["\r", "\\r"]]);

/** Those of index.html, by their id. */
export const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (e) => [e.id, e]));

/** The text, with what cannot be seen spelt as \x85 or \u200b; what `keep` holds stays. The same as
 * `visible` of nerlab/messages.py. */
export function visible(text, keep = "") {
  return text.replace(UNSEEN, (character) => (keep.includes(character) ? character : spelt(character)));
}

function spelt(character) {
  const code = character.codePointAt(0);
  const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return SHORT.get(character) ?? `\\${letter}${code.toString(16).padStart(digits, "0")}`;
}

/** An element with attributes and children; a string is a text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A name from outside, which keeps its direction to itself. */
export function bdi(name) {
  return element("bdi", {}, visible(name));
}

/** A number to see first; the cards of a page stand in <div class="cards">. */
export function card(name, value, note = "") {
  const parts = { name, value, note };
  return element("div", { class: "card" }, ...Object.entries(parts).filter(([, part]) => part !== "").map(
    ([kind, part]) => element("div", { class: kind }, part),
  ));
}

/** A table; a cell is a string or an element. All columns but `textColumns` are numbers. */
export function table(head, rows, textColumns = [0]) {
  const names = head.map((name, column) => element("th", textColumns.includes(column) ? {} : { class: "n" }, name));
  const body = element("tbody", {}, ...rows.map((cells) => row(cells, textColumns)));
  const made = element("table", {}, element("thead", {}, element("tr", {}, ...names)), body);
  return element("div", { class: "wide" }, made);
}

/** A row of such a table. */
export function row(cells, textColumns) {
  return element("tr", {}, ...cells.map((value, column) => {
    const content = typeof value === "string" ? bdi(value) : value;
    return element("td", { class: textColumns.includes(column) ? "text" : "n" }, content);
  }));
}
