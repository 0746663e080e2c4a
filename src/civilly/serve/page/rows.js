// The comments, what the server said of them, and what was decided; nothing here touches the page.
import { apply } from "./diff.js";

/*
 * A row is {id, text, columns, file, lang, strength, strengthTaken, state, found, wordings, suggested, reason,
 * problem, decision}:
 * `lang` is what somebody said, or null; `strength` is its own, or null; `strengthTaken` is the one it was rewritten at;
 * `state` is "new" (nobody looked), "rude" (waits for a wording), "civil", "done" or "failed";
 * `found` is {lang, sure, p, rude, spans, flags}; a wording is {edits: [{start, end, put, score}], p};
 * `suggested` says whether the first wording is what the server suggests.
 * A decision is {wording, taken, typed}: the place of a wording, or -1; of each of its edits true, false,
 * or another text to put in; a text typed instead of it all, or null.
 */
export const rows = new Map();
export const measured = new Map();
const done = [];
const undone = [];
const listeners = [];
const MOST_STEPS = 500;

export const onChange = (listener) => listeners.push(listener);
const tell = (ids, what) => listeners.forEach((listener) => listener(ids, what));
export const steps = () => ({ undo: done.length, redo: undone.length });

export function blankRow(id, text, { lang = null, columns = null, file = null } = {}) {
  return {
    id, text, columns, file, lang, strength: null, strengthTaken: null, state: "new", found: null, wordings: [], suggested: false, reason: "", problem: null,
    decision: null,
  };
}

export function add(made) {
  for (const row of made) rows.set(row.id, row);
  tell(made.map((row) => row.id), "added");
}

export function clear() {
  rows.clear();
  measured.clear();
  done.length = 0;
  undone.length = 0;
  tell([], "cleared");
}

/** Writes into rows what nobody decided: what the server found. */
export function learn(changes) {
  for (const [id, patch] of changes) if (rows.has(id)) Object.assign(rows.get(id), patch);
  tell([...changes.keys()], "learned");
}

/** Changes rows as one step that can be undone. */
export function change(changes) {
  const step = [...changes].filter(([id]) => rows.has(id)).map(([id, patch]) => {
    const row = rows.get(id);
    return { id, before: Object.fromEntries(Object.keys(patch).map((name) => [name, row[name]])), after: patch };
  });
  if (!step.length) return;
  done.push(step);
  if (done.length > MOST_STEPS) done.shift();
  undone.length = 0;
  settle(step, "after");
}

function settle(step, side) {
  for (const part of step) {
    const row = rows.get(part.id);
    if (!row) continue;
    Object.assign(row, part[side]);
    if (row.decision && !possible(row)) row.decision = null; // it was about wordings that are gone
  }
  tell(step.map(({ id }) => id), "decided");
}

const possible = ({ wordings, decision: { wording, taken } }) => taken.length === (wording < 0 ? 0 : wordings[wording]?.edits.length);

function move(from, to, side) {
  const step = from.pop();
  if (!step) return [];
  to.push(step);
  settle(step, side);
  return step.map(({ id }) => id);
}

/** Takes the last step back, or takes it again; the ids of its rows. */
export const undo = () => move(done, undone, "before");
export const redo = () => move(undone, done, "after");

const rude = (row) => Boolean(row.found?.rude);
export const flagged = (row) => (row.found?.flags ?? []).length > 0;
const suggestion = (row) => (row.suggested ? 0 : -1);
const every = (row, wording, value) => (wording < 0 ? [] : row.wordings[wording].edits.map(() => value));

/** What a row shows: its decision, else its suggestion. */
export function shown(row) {
  const wording = suggestion(row);
  return row.decision ?? { wording, taken: every(row, wording, true), typed: null };
}

export function textOf(row, { wording, taken, typed } = shown(row)) {
  if (typed !== null) return typed;
  if (wording < 0) return row.text;
  const chosen = row.wordings[wording].edits
    .map((edit, at) => ({ ...edit, put: typeof taken[at] === "string" ? taken[at] : edit.put }))
    .filter((_, at) => taken[at] !== false);
  return apply(row.text, chosen);
}

/** p(rude) of what the row shows: known, measured since, or undefined. */
export function rudenessOf(row, made = shown(row)) {
  const text = textOf(row, made);
  if (text === row.text) return row.found?.p;
  if (made.typed === null && made.wording >= 0 && made.taken.every((take) => take === true)) {
    const { p } = row.wordings[made.wording];
    if (p !== null) return p;
  }
  return measured.get(measuredKey(row, text));
}
export const measuredKey = (row, text) => `${row.found?.lang ?? ""}\n${text}`;

export function statusOf(row) {
  const { decision, state } = row;
  if (decision) {
    if (decision.typed !== null || decision.taken.some((take) => typeof take === "string")) return "edited";
    if (!decision.taken.includes(true)) return "kept";
    if (decision.taken.includes(false)) return "partly";
    return decision.wording === suggestion(row) ? "accepted" : "other";
  }
  if (state === "new" || state === "rude") return "waiting";
  if (state === "failed" || state === "civil") return flagged(row) ? "unseen" : state;
  return "unseen";
}

/** Whether a person should look: something is suggested, it is rude or flagged, or it failed. */
export const toDecide = (row) => statusOf(row) !== "civil" && statusOf(row) !== "waiting";

export function accepting(row) {
  const made = shown(row), wording = made.wording < 0 ? suggestion(row) : made.wording;
  return wording < 0 ? null : { wording, taken: every(row, wording, true), typed: null };
}
export function keeping(row) {
  const { wording } = shown(row);
  return { wording, taken: every(row, wording, false), typed: null };
}
export const choosing = (row, wording) => ({ wording, taken: every(row, wording, true), typed: null });

/** Takes one change (true), leaves it (false), or puts something else in (a text). */
export function deciding(row, at, take) {
  const { wording, taken } = shown(row);
  const edit = row.wordings[wording].edits[at];
  let made = take;
  if (take === edit.put) made = true;
  else if (take === row.text.slice(edit.start, edit.end)) made = false;
  return { wording, taken: taken.map((value, place) => (place === at ? made : value)), typed: null };
}

/** A typed text; one that says what could be had without typing is that. */
export function typing(row, text) {
  // A text field has only line feeds.
  const typed = /\r\n/.test(row.text) ? text.replace(/\r?\n/g, "\r\n") : text;
  const known = row.wordings.map((_, wording) => choosing(row, wording)).find((made) => textOf(row, made) === typed);
  const { wording } = shown(row);
  return known ?? (typed === row.text ? keeping(row) : { wording, taken: every(row, wording, false), typed });
}

/** Into an exported file goes the text as it was until somebody decided. */
export const inFile = (row) => (row.decision ? textOf(row) : row.text);

export function counts() {
  const found = { rows: rows.size, waiting: 0, toDecide: 0, decided: 0, civil: 0, failed: 0, stillRude: 0 };
  for (const row of rows.values()) {
    const status = statusOf(row);
    if (status === "waiting") found.waiting += 1;
    else if (status === "civil") found.civil += 1;
    else if (status === "failed") found.failed += 1;
    if (toDecide(row) || row.state === "rude") found.toDecide += 1;
    if (row.decision) found.decided += 1;
    if (row.decision ? rudenessOf(row) >= threshold(row) : rude(row)) found.stillRude += 1;
  }
  return found;
}

/** From which p(rude) on the server calls a text rude. */
export const threshold = (row) => row.found?.threshold ?? 0.5;
export const isRude = rude;
