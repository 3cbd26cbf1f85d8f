// The card of the model, as GET /model answers it.

import { bdi, card, element, table } from "./elements.js";

const grouped = (number) => number.toLocaleString("en");
const percent = (share) => (100 * share).toFixed(2);

/** The elements of a card; each member of an ensemble has its own. */
export function modelCard(model) {
  const scores = Object.entries(model.figures).map(([split, { f1, support }]) =>
    card(`F1 on ${split}`, `${percent(f1)} %`, `${grouped(support)} entities`));
  const cards = [
    card("types", grouped(model.labels.length), bdi(model.labels.join(", "))),
    ...scores,
    card("parameters", grouped(model.parameters)),
    card("nerlab", model.versions.nerlab, `torch ${model.versions.torch}`),
  ];
  const members = model.members.map((member) =>
    section(member.name, modelCard({ ...member, members: [] })));
  return [
    element("div", { class: "cards" }, ...cards),
    ...Object.entries(model.figures).map(([split, found]) => section(`Figures on ${split}`, figures(found))),
    ...(model.data ? [section("Data", data(model.data, model.training))] : []),
    ...(model.parts.length ? [section("Parts", parts(model.parts))] : []),
    ...members,
  ];
}

function section(name, content) {
  return element("details", {}, element("summary", {}, element("h3", {}, bdi(name))), ...content);
}

function figures(found) {
  const scores = [...Object.entries(found.per_type), ["all", found]];
  const rows = scores.map(([label, { precision, recall, f1, support }]) =>
    [label, ...[precision, recall, f1].map(percent), grouped(support)]);
  const sizes = `${grouped(found.sentences)} sentences, ${grouped(found.tokens)} tokens; in percent.`;
  return [element("p", { class: "soft" }, sizes), table(["type", "precision", "recall", "F1", "entities"], rows)];
}

function data({ dir, scheme, splits }, training) {
  const rows = Object.entries(splits).map(([split, { sentences, tokens }]) =>
    [split, grouped(sentences), grouped(tokens)]);
  const facts = [`Trained on ${dir ?? "data that is not known"}, tag scheme ${scheme ?? "not known"}`];
  if (training.published) facts.push(`begun with ${training.published}`);
  if (training.versions.nerlab) facts.push(`with nerlab ${training.versions.nerlab}`);
  const shown = [element("p", { class: "soft" }, bdi(`${facts.join(", ")}.`))];
  return rows.length ? [...shown, table(["split", "sentences", "tokens"], rows)] : shown;
}

function parts(found) {
  const rows = found.map((part) => [part.part, part.class, part.options, grouped(part.parameters)]);
  return [table(["part", "class", "options", "parameters"], rows, [0, 1, 2])];
}
