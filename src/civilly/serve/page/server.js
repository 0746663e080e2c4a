// Speaks to the server's own interface (/v1/…) and says in one way what went wrong.
const KEY = "civilly-key";
let key = null;
try {
  key = sessionStorage.getItem(KEY);
} catch {
  // Without a memory the key lives as long as the page.
}

/** The key is kept for this tab only. */
export function setKey(value) {
  key = value || null;
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}

/**
 * What went wrong. `kind` says what to do about it: "busy" and "away" (wait `seconds`, try again),
 * "key" (ask for one), "large" (send less), "refused" (the request is at fault), "broken" (the server is).
 */
export class Problem extends Error {
  constructor(kind, message, { mend = "", allowed = "", seconds = 0, type = "" } = {}) {
    super(message);
    Object.assign(this, { kind, mend, allowed, seconds, type });
  }
}

/** Seconds that a server asks to wait: a number, or a date. */
export function secondsOf(header, now = Date.now()) {
  const given = /^\d+(\.\d+)?$/.test(header ?? "") ? Number(header) : (Date.parse(header ?? "") - now) / 1000;
  return Number.isFinite(given) ? Math.min(Math.max(given, 0.2), 120) : 2;
}

const KINDS = { 401: "key", 403: "key", 408: "busy", 413: "large", 429: "busy", 503: "busy" };

async function answered(response) {
  let content = null;
  try {
    content = await response.json();
  } catch {
    // A proxy may answer with a page; the number of the error still says what to do.
  }
  if (response.ok && content) return content;
  const error = content?.error ?? {};
  const kind = KINDS[response.status] ?? (response.status >= 500 || response.ok ? "broken" : "refused");
  throw new Problem(kind, error.message ?? `The server answered with error ${response.status}.`, {
    type: error.type, mend: inWords(error.mend), allowed: inWords(error.allowed), seconds: secondsOf(response.headers.get("Retry-After")),
  });
}

export const inWords = (value) => (Array.isArray(value) ? value.join(", ") : value ?? "");

/** Sends to a path of the server, or gets from it if there is nothing to send. */
export async function ask(path, content) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const sent = content === undefined ? {} : {
    method: "POST", body: JSON.stringify(content), headers: { ...headers, "Content-Type": "application/json" },
  };
  let response;
  try {
    response = await fetch(path, { headers, credentials: "same-origin", cache: "no-store", ...sent });
  } catch {
    throw new Problem("away", "The server cannot be reached.", { mend: "see whether it runs; your work is kept" });
  }
  return answered(response);
}
