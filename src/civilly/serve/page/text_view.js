// A comment as it is drawn: rude words marked, each change a button, and a card for each that says why.
import { button, element, percent, textIn } from "./dom.js";
import { shown } from "./rows.js";

const langOf = (row) => row.found?.lang ?? row.lang;
const quoted = (text) => `“${text.trim()}”`;

/** A stretch that stays, with what the detector marks in it. */
function staying(row, start, end) {
  const parts = [];
  let place = start;
  for (const span of row.found?.spans ?? []) {
    const from = Math.max(span.start, place), to = Math.min(span.end, end);
    if (from >= to) continue;
    const why = `rude, ${percent(span.score)} sure`;
    parts.push(row.text.slice(place, from), element("mark", { title: why, class: span.score >= 0.8 ? "sure" : null }, row.text.slice(from, to)));
    place = to;
  }
  return [...parts, row.text.slice(place, end)].filter((part) => part !== "");
}

const putOf = (edit, take) => (typeof take === "string" ? take : edit.put);

function inWords(row, edit, take) {
  const cut = row.text.slice(edit.start, edit.end), put = putOf(edit, take);
  const what = cut && put ? `${quoted(cut)} becomes ${quoted(put)}` : cut ? `${quoted(cut)} is taken out` : `${quoted(put)} is put in`;
  return take === false ? `left out: ${what}` : what;
}

/** The text with its changes, each a button that takes or leaves it. */
export function marked(row, act) {
  const { wording, taken, typed } = shown(row);
  if (typed !== null || wording < 0) return textIn(langOf(row), ...staying(row, 0, row.text.length));
  const parts = [];
  let place = 0;
  row.wordings[wording].edits.forEach((edit, at) => {
    const press = button("", () => act.decide(at, taken[at] === false), {
      class: "edit", "data-key": `change-${at}`, "aria-pressed": String(taken[at] !== false),
      "aria-label": `Change ${at + 1}: ${inWords(row, edit, taken[at])}`, title: "Press to take or leave this change",
    });
    press.append(element("del", {}, row.text.slice(edit.start, edit.end)), element("ins", {}, putOf(edit, taken[at])));
    parts.push(...staying(row, place, edit.start), press);
    place = edit.end;
  });
  return textIn(langOf(row), ...parts, ...staying(row, place, row.text.length));
}

/** Why a stretch is changed: how sure the detector is of the worst of it. */
function why(row, edit) {
  const scores = (row.found?.spans ?? []).filter((span) => span.start < edit.end && span.end > edit.start).map((span) => span.score);
  if (edit.score !== null && edit.score !== undefined) scores.push(edit.score);
  return scores.length ? `rude, ${percent(Math.max(...scores))} sure` : "so that the rest reads well";
}

function differences(row, edit, take) {
  const cut = row.text.slice(edit.start, edit.end), put = putOf(edit, take);
  return textIn(langOf(row), ...(cut ? [element("span", { class: "hidden" }, "cut: "), element("del", {}, cut)] : []), cut && put ? " " : "",
    ...(put ? [element("span", { class: "hidden" }, "put in: "), element("ins", {}, put)] : []));
}

function rewordField(row, edit, take, at, act) {
  const field = element("input", { type: "text", dir: "auto", "data-key": `reword-${at}`, "aria-label": `Text instead of change ${at + 1}` });
  field.value = putOf(edit, take);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") act.reword(at, field.value);
    else if (event.key === "Escape") act.reword(at, null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return element("span", { class: "tools" }, field, button("Take", () => act.reword(at, field.value)), button("Cancel", () => act.reword(at, null)));
}

/** One card per change: what, why, and accept, leave, reword. */
export function cards(row, rewording, act) {
  const { wording, taken, typed } = shown(row);
  if (typed !== null || wording < 0) return null;
  const made = row.wordings[wording].edits.map((edit, at) => {
    const take = taken[at], decided = Boolean(row.decision);
    const tools = rewording === at ? rewordField(row, edit, take, at, act) : element("span", { class: "tools" },
      button("Take", () => act.decide(at, true), { "data-key": `take-${at}`, "aria-pressed": String(decided && take !== false), "aria-label": `Take change ${at + 1}` }),
      button("Leave", () => act.decide(at, false), { "data-key": `leave-${at}`, "aria-pressed": String(take === false), "aria-label": `Leave change ${at + 1}` }),
      button("Reword", () => act.startRewording(at), { "data-key": `start-${at}`, "aria-label": `Reword change ${at + 1}` }));
    return element("li", { "data-change": at, class: take === false ? "left" : null }, differences(row, edit, take), element("small", {}, why(row, edit)), tools);
  });
  return element("ul", { class: "cards", "aria-label": "Changes" }, ...made);
}

const LONG = 60;

/** The beginning and the end of a stretch that stays, if it is long. */
function shortened(text) {
  const characters = [...text];
  return characters.length <= LONG ? text : `${characters.slice(0, LONG / 2).join("")} … ${characters.slice(-LONG / 2).join("")}`;
}

/** A wording as it reads, what is put in underlined. */
export function briefly(row, edits) {
  const parts = [];
  let place = 0;
  for (const { start, end, put } of edits) {
    parts.push(shortened(row.text.slice(place, start)), ...(put ? [element("ins", {}, put)] : []));
    place = end;
  }
  return textIn(langOf(row), ...parts, shortened(row.text.slice(place)));
}

/** What is rude in a text to which nothing is suggested. */
export function spansInWords(row) {
  const spans = row.found?.spans ?? [];
  if (!spans.length) return null;
  return element("p", { class: "note" }, "Found rude: ", ...spans.flatMap((span, at) => [
    at ? ", " : "", textIn(langOf(row), quoted(row.text.slice(span.start, span.end))), ` ${percent(span.score)}`,
  ]));
}
