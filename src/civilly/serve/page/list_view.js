// Which comments are listed, page by page; civil ones are folded away.
import { button, byId, element, number, plural, say } from "./dom.js";
import * as model from "./rows.js";
import { actionsOf, draw, newItem } from "./row_view.js";

const PER_PAGE = 50;
const unseen = (row) => model.statusOf(row) === "unseen";
export const SHOWN = {
  all: { label: "all, civil ones folded", holds: () => true },
  open: { label: "to decide", holds: (row) => unseen(row) || model.statusOf(row) === "failed" },
  decided: { label: "decided", holds: (row) => Boolean(row.decision) },
  rude: { label: "still rude", holds: (row) => model.rudenessOf(row) >= model.threshold(row) },
  flagged: { label: "threats, self-harm", holds: model.flagged },
  failed: { label: "failed", holds: (row) => model.statusOf(row) === "failed" },
  waiting: { label: "waiting", holds: (row) => model.statusOf(row) === "waiting" },
  civil: { label: "civil", holds: (row) => model.statusOf(row) === "civil" },
};
const ALIKE = { ё: "е" };
const view = { show: "all", lang: "", search: "", page: 0, found: [], current: null, unfolded: new Set(), staying: new Set() };
const items = new Map();
export const currentId = () => view.current;
export const listed = () => view.found;

/** A text as it is searched: without case, width, accents, vowel points, invisible marks. */
const folded = (text) => text.normalize("NFKC").toLowerCase().normalize("NFD")
  .replace(/(\p{Script=Latin})\p{M}+/gu, "$1").replace(/[\p{Cf}\u0640\u0591-\u05c7\u064b-\u065f\u0670]/gu, "")
  .normalize("NFC").replace(/ё/g, (letter) => ALIKE[letter]);

function holds(row) {
  if (view.lang && row.found?.lang !== view.lang) return false;
  if (view.search && !folded(`${row.text}\n${model.textOf(row)}`).includes(view.search)) return false;
  return view.staying.has(row.id) || SHOWN[view.show].holds(row);
}

const civil = (row) => view.show === "all" && model.statusOf(row) === "civil" && row.id !== view.current && !view.unfolded.has(row.id);

/** The listed rows; runs of civil ones as lists of their own. */
function entries() {
  const found = [];
  for (const row of model.rows.values()) {
    if (!holds(row)) continue;
    if (!civil(row)) found.push(row.id);
    else if (Array.isArray(found.at(-1))) found.at(-1).push(row.id);
    else found.push([row.id]);
  }
  return found;
}

function foldedItem(ids) {
  const places = ids.length === 1 ? number(ids[0] + 1) : `${number(ids[0] + 1)} to ${number(ids.at(-1) + 1)}`;
  const show = button(`${plural(ids.length, "civil comment")} folded away (${places}): show`, () => {
    for (const id of ids) view.unfolded.add(id);
    refill();
    focusRow(ids[0]);
  });
  return element("li", { class: "folded" }, show);
}

function itemOf(id) {
  if (!items.has(id)) {
    const item = newItem(id);
    items.set(id, { item, act: actionsOf(id, (focus) => redraw(id, focus)) });
    redraw(id);
  }
  return items.get(id).item;
}

export const actions = (id) => items.get(id)?.act;
const isDrawn = (id) => items.get(id)?.item.isConnected;

export function redraw(id, focus) {
  const { item, act } = items.get(id);
  draw(item, id, view.current === id, act, focus);
}

/** Draws changed rows again, and lists anew who belongs on the page. */
export function refresh(ids) {
  for (const id of ids) {
    if (!items.has(id)) continue;
    if (isDrawn(id)) redraw(id);
    else items.delete(id);
  }
  refill();
}

/** Puts the page's items in place; those that stay are not touched, so that the focus stays. */
function refill() {
  view.found = entries();
  const pages = Math.max(1, Math.ceil(view.found.length / PER_PAGE));
  view.page = Math.min(view.page, pages - 1);
  const begin = view.page * PER_PAGE, found = view.found.slice(begin, begin + PER_PAGE), list = byId("rows");
  const wanted = found.map((entry) => (Array.isArray(entry) ? foldedItem(entry) : itemOf(entry)));
  const kept = new Set(wanted);
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
  let at = list.firstElementChild;
  for (const item of wanted) {
    if (item === at) at = at.nextElementSibling;
    else list.insertBefore(item, at);
  }
  for (const id of items.keys()) if (!isDrawn(id)) items.delete(id);
  byId("shown").textContent = pages > 1 ? `Page ${number(view.page + 1)} of ${number(pages)}` : "";
  byId("none").hidden = view.found.length > 0 || !model.rows.size;
  byId("turn").hidden = pages < 2;
  byId("previous").disabled = view.page === 0;
  byId("next").disabled = view.page >= pages - 1;
}

/** Lists by other filters; what was kept in sight after a decision may go. */
export function find({ show, lang, search }) {
  Object.assign(view, { show, lang, search: folded(search.trim()), page: 0 });
  view.unfolded.clear();
  view.staying.clear();
  refill();
}

export function empty() {
  Object.assign(view, { page: 0, current: null });
  items.clear();
  view.unfolded.clear();
  view.staying.clear();
  refill();
}

/** The row that somebody looks at is drawn with all that can be done. */
export function setCurrent(id) {
  if (view.current === id) return;
  const before = view.current;
  view.current = id;
  if (id !== null) view.staying.add(id); // it must not vanish under the hands
  for (const changed of [before, id]) if (changed !== null && isDrawn(changed)) redraw(changed);
}

export function focusRow(id) {
  if (!model.rows.has(id)) return;
  if (!isDrawn(id)) {
    const at = view.found.indexOf(id);
    if (at < 0) view.unfolded.add(id);
    else view.page = Math.floor(at / PER_PAGE);
    refill();
    if (!isDrawn(id)) {
      view.page = Math.max(0, Math.floor(view.found.indexOf(id) / PER_PAGE));
      refill();
    }
  }
  if (!isDrawn(id)) return;
  setCurrent(id);
  items.get(id).item.focus();
}

export function turn(by) {
  view.page += by;
  refill();
  const first = view.found.slice(view.page * PER_PAGE).find((entry) => !Array.isArray(entry));
  if (first !== undefined) focusRow(first);
}

const rowsListed = () => view.found.filter((entry) => !Array.isArray(entry));

export function step(by) {
  const found = rowsListed(), at = found.indexOf(view.current);
  const id = at < 0 ? found[0] : found[at + by];
  if (id === undefined) say(by > 0 ? "This is the last comment." : "This is the first comment.");
  else focusRow(id);
}

/** After a decision: on to the next comment that waits for one. */
export function goOn() {
  const id = rowsListed().find((other) => other > view.current && unseen(model.rows.get(other)));
  const waiting = [...model.rows.values()].some((row) => row.id > view.current && model.statusOf(row) === "waiting");
  if (id === undefined) say(`${byId("said").textContent} ${waiting ? "The next comments are still being read." : "No comment after this one waits for a decision."}`);
  else focusRow(id);
}

/** To the next change of the current comment, or of the next one that has any. */
export function stepChange(by) {
  const buttons = [...document.querySelectorAll("#rows button.edit")];
  if (!buttons.length) return say("There is no change here.");
  const item = view.current === null ? null : items.get(view.current)?.item;
  const at = buttons.indexOf(document.activeElement);
  const own = buttons.findIndex((press) => item?.contains(press));
  const next = at >= 0 ? buttons[at + by] : buttons[Math.max(0, own)];
  if (!next) return say(by > 0 ? "This is the last change." : "This is the first change.");
  const { key } = next.dataset, id = Number(next.closest(".row").dataset.row);
  setCurrent(id);
  return items.get(id).item.querySelector(`[data-key="${key}"]`).focus();
}

/** The number of the change that has the focus, in its text or on its card; or null. */
export function focusedChange() {
  const focused = document.activeElement, card = focused?.closest?.("[data-change]");
  if (card) return Number(card.dataset.change);
  return focused?.matches?.("button.edit") ? Number(focused.dataset.key.split("-")[1]) : null;
}
