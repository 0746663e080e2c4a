// What the server's answers mean for a row.
import { apply, edits } from "./diff.js";
import { textOf } from "./rows.js";
import { inWords } from "./server.js";

const OTHER_WORDINGS = 3;

export function foundOf(result) {
  return {
    lang: result.lang, sure: result.language_sure !== false, p: result.p_toxic, threshold: result.threshold ?? 0.5,
    rude: Boolean(result.toxic ?? result.p_toxic >= 0.5), flags: result.flags ?? [],
    spans: result.spans.map(({ start, end, score }) => ({ start, end, score })),
  };
}

/** What to write into a row that was looked at: it is civil, or waits for a wording. */
export function detected(result) {
  const failed = failure(result);
  if (failed) return failed;
  const found = foundOf(result);
  // A threat may do without a rude word.
  return { found, problem: null, state: found.rude || found.flags.includes("threat") ? "rude" : "civil" };
}

export function rewritten(row, result) {
  const failed = failure(result);
  if (failed) return failed;
  const { before, after } = result;
  const found = {
    ...row.found, lang: result.lang, p: before.p_toxic, rude: before.p_toxic >= (row.found?.threshold ?? 0.5), flags: before.flags ?? [],
    spans: before.spans.map(({ start, end, score }) => ({ start, end, score })),
  };
  const suggested = result.changed
    ? [{ edits: result.edits.map(({ start, end, put, score }) => ({ start, end, put, score })), p: after.p_toxic }] : [];
  const state = result.changed || found.rude || found.flags.length ? "done" : "civil";
  return {
    found, state, problem: null, reason: result.reason, suggested: result.changed, decision: settled(row),
    wordings: [...suggested, ...others(row.text, result, suggested[0]?.edits ?? [])],
  };
}

/** What was decided while the answer was on its way stands, whatever the wordings are now. */
function settled(row) {
  if (!row.decision) return null;
  const text = textOf(row);
  return { wording: -1, taken: [], typed: text === row.text ? null : text };
}

const failure = (result) => (result.error
  ? { state: "failed", problem: { message: result.error.message, mend: inWords(result.error.mend) } } : null);

/** What two wordings must differ in to be worth a choice: more than blanks, marks and case. */
const gist = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "") || text;

/**
 * Further wordings: those of one sentence keep what is suggested for the others. How rude such a mixture is,
 * is not known before somebody asks; `p` is null.
 */
function others(text, result, suggested) {
  const known = new Set([gist(text), gist(result.rewritten)]), found = [];
  for (const candidate of result.candidates ?? []) {
    const [start, end] = candidate.place ?? [0, text.length];
    const p = 1 - candidate.scores.civility;
    if (candidate.scores.refused || p >= result.before.p_toxic || found.length >= OTHER_WORDINGS) continue;
    const apart = suggested.filter((edit) => edit.end <= start || edit.start >= end);
    const inside = edits(text.slice(start, end), candidate.text, result.lang).map((edit) => ({ start: edit.start + start, end: edit.end + start, put: edit.put, score: null }));
    const all = [...apart, ...inside].sort((a, b) => a.start - b.start);
    const whole = start === 0 && end === text.length, name = gist(apply(text, all));
    if (known.has(name)) continue;
    known.add(name);
    found.push({ edits: all, p: whole ? p : null });
  }
  return found;
}
