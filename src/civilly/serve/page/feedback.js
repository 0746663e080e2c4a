// Decisions for the server to learn from; only when somebody presses the button.
import { plural } from "./dom.js";
import { learn, rows, shown, statusOf, textOf } from "./rows.js";
import { ask, Problem } from "./server.js";

/** What was decided about a suggestion, as the server takes it. */
function decisionOf(row) {
  const suggestion = textOf(row, { wording: 0, taken: row.wordings[0].edits.map(() => true), typed: null });
  const decision = { accepted: "accepted", kept: "rejected" }[statusOf(row)] ?? "edited";
  return { text: row.text, rewritten: suggestion, lang: row.found.lang, decision, ...(decision === "edited" ? { final: textOf(row) } : {}) };
}

const signature = (row) => JSON.stringify(shown(row));

/** Sends what was not sent before; says in words how it went. */
export async function sendFeedback() {
  const wanted = [...rows.values()].filter((row) => row.decision && row.suggested && row.sent !== signature(row));
  let sent = 0;
  try {
    for (const row of wanted) {
      const made = signature(row);
      await ask("v1/feedback", decisionOf(row));
      learn(new Map([[row.id, { sent: made }]]));
      sent += 1;
    }
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return `${plural(sent, "decision")} sent. ${problem.message}${problem.mend ? ` Mend: ${problem.mend}.` : ""}`;
  }
  return `${plural(sent, "decision")} sent to the server.`;
}
