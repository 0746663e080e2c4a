// The rows and what was decided on them; nothing here touches the page.
const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows.map(([lang, text, before, marked, changed, proposals]) => ({
  lang, text, before, marked, changed: changed === 1,
  proposals: proposals.map(([edits, after, measured]) => ({ edits, after, measured })),
}));

/*
 * A decision is {wording, taken, typed, unread}: the place of a proposal, or -1 for none; which of its
 * edits are taken; a text typed instead, or null; whether it was accepted with all the rest, unread.
 * A row without a decision is shown with its suggestion, and goes into the file as it was.
 */
const decisions = new Map();
const undoable = [];
const listeners = [];

const suggested = (row) => (row.changed ? 0 : -1);
const all = (row, wording) => (wording < 0 ? [] : row.proposals[wording].edits.map(() => true));
const none = (row, wording) => all(row, wording).map(() => false);

/** What a row shows: its decision, else its suggestion. */
function shown(index) {
  const row = rows[index], wording = suggested(row);
  return decisions.get(index) || { wording, taken: all(row, wording), typed: null, unread: false };
}

function textOf(index, { wording, taken, typed } = shown(index)) {
  const row = rows[index];
  if (typed !== null) return typed;
  if (wording < 0) return row.text;
  let text = "", place = 0;
  row.proposals[wording].edits.forEach(([start, end, put], number) => {
    if (!taken[number]) return;
    text += row.text.slice(place, start) + put;
    place = end;
  });
  return text + row.text.slice(place);
}

/** How sure the detector is that what the row shows is rude; null where nobody measured it. */
function rudenessOf(index, { wording, taken, typed } = shown(index)) {
  const row = rows[index];
  if (typed !== null) return null;
  if (!taken.includes(true)) return row.before;
  const proposal = row.proposals[wording];
  if (!taken.includes(false)) return proposal.after;
  return proposal.measured[taken.map(Number).join("")] ?? null;
}

/** What stands in the file for a row: its text as it was until somebody decided. */
const inFile = (index) => (decisions.has(index) ? textOf(index) : rows[index].text);
const rudenessInFile = (index) => (decisions.has(index) ? rudenessOf(index) : rows[index].before);

function statusOf(index) {
  const made = decisions.get(index);
  if (!made) return "unseen";
  if (made.typed !== null) return "edited";
  if (!made.taken.includes(true)) return "kept";
  if (made.taken.includes(false)) return "partly";
  if (made.wording !== suggested(rows[index])) return "other";
  return made.unread ? "accepted-unread" : "accepted";
}

/** Whether a row needs a person: something was changed, or it is rude as it is. */
const toDecide = (index) => rows[index].changed || rows[index].before >= data.rude;

const accepting = (index, unread = false) => {
  const row = rows[index], made = shown(index);
  const wording = made.wording < 0 ? suggested(row) : made.wording;
  return wording < 0 ? null : { wording, taken: all(row, wording), typed: null, unread };
};
const keeping = (index) => {
  const row = rows[index], { wording } = shown(index);
  return { wording, taken: none(row, wording), typed: null, unread: false };
};
const choosing = (index, wording) => ({ wording, taken: all(rows[index], wording), typed: null, unread: false });

function toggling(index, number) {
  const { wording, taken } = shown(index);
  return { wording, taken: taken.map((value, at) => (at === number ? !value : value)), typed: null, unread: false };
}

/** A typed text; one that says what could be had without typing is that. */
function typing(index, text) {
  const row = rows[index], { wording } = shown(index);
  // A text field has only line feeds.
  const typed = /\r\n/.test(row.text) ? text.replace(/\r?\n/g, "\r\n") : text;
  const same = (choice) => textOf(index, choice) === typed;
  const known = row.proposals.map((_, place) => choosing(index, place)).find(same);
  return known || (typed === row.text ? keeping(index) : { wording, taken: none(row, wording), typed, unread: false });
}

/** Takes decisions, or takes them back where they are null: one step for undoing. */
function decide(changes) {
  undoable.push([...changes.keys()].map((index) => [index, decisions.get(index) || null]));
  settle(changes);
}

function settle(changes) {
  for (const [index, made] of changes) {
    if (made) decisions.set(index, made);
    else decisions.delete(index);
  }
  for (const listener of listeners) listener(changes);
}

/** Takes the last step back; the rows that it was about. */
function undo() {
  const step = undoable.pop();
  if (!step) return [];
  settle(new Map(step));
  return step.map(([index]) => index);
}

/** A decision as a list that survives being written down. */
const packed = ({ wording, taken, typed, unread }) => [wording, taken.map(Number).join(""), typed, unread ? 1 : 0];

/** The decision that a list stands for; null if it cannot be one on this row. */
function unpacked(index, list) {
  if (!Array.isArray(list) || list.length !== 4 || !rows[index]) return null;
  const [wording, marks, typed, unread] = list;
  if (!Number.isInteger(wording) || wording < -1 || wording >= rows[index].proposals.length) return null;
  if (typeof marks !== "string" || !/^[01]*$/.test(marks)) return null;
  if (marks.length !== all(rows[index], wording).length) return null;
  if (typed !== null && (typeof typed !== "string" || !typed.trim())) return null;
  return { wording, taken: [...marks].map((mark) => mark === "1"), typed, unread: unread === 1 };
}

function counts() {
  const found = { rows: rows.length, toDecide: 0, decided: 0, undecided: 0, rude: 0, unmeasured: 0, status: {} };
  rows.forEach((row, index) => {
    const status = statusOf(index), rudeness = rudenessInFile(index);
    found.status[status] = (found.status[status] || 0) + 1;
    if (toDecide(index)) {
      found.toDecide += 1;
      if (status !== "unseen") found.decided += 1;
    }
    if (rudeness === null) found.unmeasured += 1;
    else if (rudeness >= data.rude) found.rude += 1;
  });
  found.undecided = found.toDecide - found.decided;
  return found;
}
