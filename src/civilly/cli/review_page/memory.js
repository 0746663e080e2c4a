// Decisions outlive the tab: in the browser's own memory, and in a file for other machines.
const PREFIX = `civilly-review:${data.fingerprint}:`;
const FILE_KIND = "civilly review decisions";
const memory = { works: false, unsaved: false };

function memoryWorks() {
  try {
    localStorage.setItem(`${PREFIX}try`, "1");
    localStorage.removeItem(`${PREFIX}try`);
    return true;
  } catch {
    return false;
  }
}

/** One entry per row: a decision is on disk at once, and two tabs do not overwrite each other's. */
function remember(changes) {
  memory.unsaved = true;
  if (!memory.works) return;
  try {
    for (const [index, made] of changes) {
      if (made) localStorage.setItem(PREFIX + index, JSON.stringify(packed(made)));
      else localStorage.removeItem(PREFIX + index);
    }
  } catch {
    memory.works = false;
    warnOfMemory();
  }
}

function remembered(index) {
  try {
    return unpacked(index, JSON.parse(localStorage.getItem(PREFIX + index)));
  } catch {
    return null;
  }
}

function warnOfMemory() {
  byId("memory").hidden = memory.works;
}

function recall() {
  memory.works = memoryWorks();
  warnOfMemory();
  if (!memory.works) return;
  rows.forEach((_, index) => {
    const made = remembered(index);
    if (made) decisions.set(index, made);
  });
}

/** Follows what is decided in another tab with the same page. */
function follow(event) {
  if (event.storageArea !== localStorage || !event.key?.startsWith(PREFIX)) return;
  const index = Number(event.key.slice(PREFIX.length));
  if (!rows[index]) return;
  const made = remembered(index);
  if (made) decisions.set(index, made);
  else decisions.delete(index);
  redraw([index]);
}

function decisionsFile() {
  const made = [...decisions].sort(([a], [b]) => a - b);
  return JSON.stringify({
    kind: FILE_KIND, version: 1, fingerprint: data.fingerprint, input: data.name,
    decisions: made.map(([index, decision]) => ({ row: index + 1, decision: statusOf(index), packed: packed(decision) })),
  }, null, 1) + "\n";
}

/** Takes the decisions of a saved file; says what happened, in words. */
function loadDecisions(text) {
  let saved;
  try {
    saved = JSON.parse(text);
  } catch {
    return "This file holds no saved decisions.";
  }
  if (saved?.kind !== FILE_KIND || !Array.isArray(saved.decisions)) return "This file holds no saved decisions.";
  if (saved.fingerprint !== data.fingerprint) {
    return `These decisions belong to another page${saved.input ? ` (${saved.input})` : ""}: its texts or suggestions differ. Nothing was loaded.`;
  }
  const changes = new Map();
  for (const { row, packed: list } of saved.decisions) {
    const made = unpacked(row - 1, list);
    if (made) changes.set(row - 1, made);
  }
  if (changes.size) decide(changes);
  const lost = saved.decisions.length - changes.size;
  return `Loaded ${plural(changes.size, "decision")}.${lost ? ` ${plural(lost, "entry", "entries")} made no sense and stayed out.` : ""}`;
}

function save(content, name, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function saveDecisions() {
  save(decisionsFile(), `${data.stem}.decisions.json`, "application/json");
  memory.unsaved = false;
  say("The decisions are saved as a file.");
}

/** Only what would be lost is worth a question: decisions without memory, and a text being typed. */
function askBeforeLeaving(event) {
  const lost = memory.unsaved && !memory.works && decisions.size > 0;
  if (lost || unfinished()) event.preventDefault();
}
