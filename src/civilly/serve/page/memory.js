// Work outlives the tab: rows in the browser's database, settings in its small memory. Nothing of it is sent.
const NAME = "civilly";
const SETTINGS = "civilly-settings";
export const memory = { works: false, elsewhere: false };
let database = null;

export const settings = { strength: 0.5, blur: true, keys: true, lines: "lines" };

export function recallSettings() {
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem(SETTINGS)));
  } catch {
    // What cannot be read is as it is at first.
  }
}

export function keepSettings() {
  try {
    localStorage.setItem(SETTINGS, JSON.stringify(settings));
  } catch {
    // Then they last as long as the page.
  }
}

/** Only one tab writes: two would overwrite each other's rows. Without locks (not encrypted, not local) all do. */
function alone() {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks.request(NAME, { ifAvailable: true }, (lock) => {
      resolve(Boolean(lock));
      return lock ? new Promise(() => {}) : undefined; // held until the tab is closed
    });
  });
}

const finished = (request) => new Promise((resolve, reject) => {
  request.addEventListener("success", () => resolve(request.result));
  request.addEventListener("error", () => reject(request.error));
});

/** The rows of last time. */
export async function recall() {
  memory.elsewhere = !(await alone());
  if (memory.elsewhere) return [];
  try {
    const opening = indexedDB.open(NAME, 1);
    opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore("rows", { keyPath: "id" }));
    database = await finished(opening);
    memory.works = true;
    return await finished(database.transaction("rows").objectStore("rows").getAll());
  } catch {
    return [];
  }
}

const unwritten = new Set();
let writing = false;

/** Writes rows down at once; what changes together is one write. */
export function remember(ids, rows, failed) {
  if (!memory.works) return;
  for (const id of ids) unwritten.add(id);
  if (writing) return;
  writing = true;
  queueMicrotask(() => {
    writing = false;
    const store = database.transaction("rows", "readwrite").objectStore("rows");
    store.transaction.addEventListener("abort", () => {
      memory.works = false;
      failed();
    });
    for (const id of unwritten) if (rows.has(id)) store.put(rows.get(id));
    unwritten.clear();
  });
}

export async function forget() {
  unwritten.clear();
  if (memory.works) await finished(database.transaction("rows", "readwrite").objectStore("rows").clear());
}
