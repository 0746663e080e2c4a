// The queue: comments are looked at in large batches, and rude ones get a wording in small ones, those in view first.
import { detected, foundOf, rewritten } from "./answers.js";
import { ask, Problem } from "./server.js";
import { change, isRude, learn, measured, measuredKey, rows, rudenessOf, textOf } from "./rows.js";

const LOOKED_AT_ONCE = 32;
const REWRITTEN_AT_ONCE = 4;
const MOST_BREAKDOWNS = 3;
const waking = new Set();
let options = { strength: () => 0.5, near: () => 0, noted: () => {}, keyed: () => {} };

/** Says how the work is to be done; `noted` hears of waiting and going on, `keyed` that a key is wanted. */
export function begin(given) {
  options = { ...options, ...given };
  for (const lane of [looking, rewriting, measuring]) run(lane);
}

/** There may be something to do, or no reason to wait any longer. */
export function wake() {
  for (const wakeOne of [...waking]) wakeOne();
}

const pause = (seconds) => new Promise((resolve) => {
  const timer = seconds === undefined ? 0 : setTimeout(awake, 1000 * seconds);
  function awake() {
    clearTimeout(timer);
    waking.delete(awake);
    resolve();
  }
  waking.add(awake);
});

/** Rows in a state, from the one that somebody looks at onwards. */
function next(state, most) {
  const found = [...rows.values()].filter((row) => row.state === state), near = options.near();
  const at = Math.max(0, found.findIndex((row) => row.id >= near));
  const inOrder = [...found.slice(at), ...found.slice(0, at)];
  return inOrder.filter((row) => row.strength === inOrder[0].strength).slice(0, most);
}

const sent = (row) => (row.lang ? { text: row.text, lang: row.lang } : { text: row.text });

const looking = {
  most: LOOKED_AT_ONCE,
  next: (most) => next("new", most),
  ask: (batch) => ask("v1/detect", { texts: batch.map(sent), offsets: "utf16" }),
  take: (row, result) => detected(result),
};

const rewriting = {
  most: REWRITTEN_AT_ONCE,
  next: (most) => next("rude", most),
  ask: (batch) => ask("v1/rewrite", {
    texts: batch.map((row) => ({ ...sent(row), lang: row.lang ?? row.found.lang })), offsets: "utf16",
    strength: batch[0].strength ?? options.strength(),
  }),
  take: (row, result) => ({ ...rewritten(row, result), strengthTaken: row.strength ?? options.strength() }),
};

/** How rude is what somebody mixed or typed? */
const measuring = {
  most: LOOKED_AT_ONCE,
  next: (most) => [...rows.values()].filter((row) => row.found && row.state !== "new" && !measuringFailed.has(measuredKey(row, textOf(row)))
    && (row.decision || row.id === options.near()) && rudenessOf(row) === undefined).slice(0, most),
  ask: (batch) => ask("v1/detect", { texts: batch.map((row) => ({ text: textOf(row), lang: row.found.lang })) }),
  asked: (batch) => batch.map((row) => measuredKey(row, textOf(row))),
  take: (row, result, key) => {
    if (result.error) measuringFailed.add(key);
    else measured.set(key, foundOf(result).p);
    return {};
  },
  failed: (row, key) => measuringFailed.add(key),
};
const measuringFailed = new Set();
export const unmeasurable = (row) => measuringFailed.has(measuredKey(row, textOf(row)));

async function run(lane) {
  let most = lane.most, breakdowns = 0;
  for (;;) {
    const batch = lane.next(most);
    if (!batch.length) {
      await pause();
      continue;
    }
    const keys = lane.asked?.(batch) ?? [], askedFor = batch.map((row) => [row.lang, row.strength]);
    try {
      const { results } = await lane.ask(batch);
      if (!Array.isArray(results) || results.length !== batch.length) throw new Problem("broken", "The server's answer makes no sense.");
      take(lane, batch, results, keys, askedFor);
      [most, breakdowns] = [lane.most, 0];
      options.noted(null);
      wake();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      breakdowns = problem.kind === "broken" || problem.kind === "away" ? breakdowns + 1 : 0;
      most = await mend(lane, batch, keys, problem, most, breakdowns);
    }
  }
}

function take(lane, batch, results, keys, askedFor) {
  const patches = batch.map((row, at) => {
    const [lang, strength] = askedFor[at];
    // Somebody may have asked for something else meanwhile; this answer is then of no use.
    const stale = !rows.has(row.id) || row.lang !== lang || row.strength !== strength;
    return [row.id, stale ? {} : lane.take(row, results[at], keys[at])];
  });
  learn(new Map(patches));
}

/** Waits, or sends less, or gives a row up with a reason; nothing is lost. How many to send next. */
async function mend(lane, batch, keys, problem, most, breakdowns) {
  if (problem.kind === "busy" || problem.kind === "away") {
    const seconds = problem.kind === "busy" ? problem.seconds : Math.min(30, 2 ** breakdowns);
    options.noted({ problem, until: Date.now() + 1000 * seconds });
    await pause(seconds);
    return most;
  }
  if (problem.kind === "key") {
    options.keyed(problem);
    await pause();
    return most;
  }
  if (problem.kind === "broken" && breakdowns < MOST_BREAKDOWNS) {
    options.noted({ problem, until: Date.now() + 2000 });
    await pause(2);
    return most;
  }
  // One text may spoil a batch: then each goes alone.
  if (batch.length > 1) return problem.kind === "large" ? Math.ceil(batch.length / 2) : 1;
  const [row] = batch;
  if (lane.failed) lane.failed(row, keys[0]);
  else learn(new Map([[row.id, { state: "failed", problem: { message: problem.message, mend: problem.mend } }]]));
  return lane.most;
}

/** Has rows looked at again: in another language, at another strength, or because it failed. One step for undoing. */
export function again(ids, patch = {}) {
  const changes = ids.filter((id) => rows.has(id)).map((id) => {
    const row = rows.get(id);
    const state = "lang" in patch || !row.found || row.state === "failed" ? "new" : "rude";
    return [id, { lang: row.lang, strength: row.strength, strengthTaken: row.strengthTaken, found: row.found, wordings: row.wordings, suggested: row.suggested,
      reason: row.reason, problem: null, decision: null, ...patch, state }];
  });
  change(new Map(changes));
  wake();
}

/** Undecided rows that were rewritten at another strength than the one that is set now. */
export const outdated = () => [...rows.values()].filter((row) => row.state === "done" && !row.decision && isRude(row)
  && row.strength === null && row.strengthTaken !== options.strength()).map((row) => row.id);
