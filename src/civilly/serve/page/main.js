// The page: brings rows, the server, the memory and the keys together.
import { byId, copy, element, number, percent, plural, save, say, setup } from "./dom.js";
import { sendFeedback } from "./feedback.js";
import * as files from "./files.js";
import * as input from "./input.js";
import * as keys from "./keys.js";
import * as list from "./list_view.js";
import * as memory from "./memory.js";
import * as model from "./rows.js";
import { closeAll, STATUS, unfinished } from "./row_view.js";
import { setKey } from "./server.js";
import * as work from "./work.js";

const { settings } = memory;
const filters = byId("filters");
let noticed = null;

function count() {
  const found = model.counts(), looked = found.rows - found.waiting;
  document.body.classList.toggle("empty", !found.rows);
  byId("count").textContent = `${number(found.decided)} of ${number(Math.max(found.toDecide, found.decided))} decided`;
  byId("progress").max = Math.max(1, found.toDecide);
  byId("progress").value = found.decided;
  byId("working").textContent = found.waiting ? `reading: ${number(looked)} of ${number(found.rows)}` : `${plural(found.rows, "comment")}, ${number(found.civil)} civil`;
  byId("working").classList.toggle("busy", found.waiting > 0);
  byId("still-rude").textContent = found.stillRude ? `${number(found.stillRude)} still rude in the result as it stands` : "";
  const steps = model.steps();
  byId("undo").disabled = !steps.undo;
  byId("redo").disabled = !steps.redo;
  const waiting = work.outdated().length;
  byId("again").hidden = !waiting;
  byId("again").textContent = `Rewrite ${plural(waiting, "undecided comment")} again`;
  for (const option of filters.elements.show.options) {
    const { label, holds } = list.SHOWN[option.value];
    option.textContent = `${label} (${number([...model.rows.values()].filter(holds).length)})`;
  }
}

/** Counting looks at every row: once for all that happens at the same time. */
let counting = false;
function countSoon() {
  if (counting) return;
  counting = true;
  requestAnimationFrame(() => {
    counting = false;
    count();
  });
}

function find() {
  const value = (name) => filters.elements[name].value;
  list.find({ show: value("show"), lang: value("lang"), search: value("search") });
}

/** What keeps the work waiting, and for how long. */
function notice(given) {
  clearInterval(noticed);
  byId("notice").hidden = !given;
  if (!given) return;
  const { problem, until } = given;
  const what = problem.type === "overloaded" ? "The server has more to do than it can take." : problem.message;
  const show = () => {
    const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    byId("notice-text").textContent = `${what} Nothing is lost; trying again in ${seconds} s.${problem.kind === "away" ? ` Mend: ${problem.mend}.` : ""}`;
  };
  if (!byId("said").textContent.startsWith(what)) say(`${what} Nothing is lost; the page tries again.`);
  show();
  noticed = setInterval(show, 1000);
}

function askForKey(problem) {
  byId("key-text").textContent = `${problem.message}${problem.mend ? ` Mend: ${problem.mend}.` : ""}`;
  if (!byId("key-dialog").open) byId("key-dialog").showModal();
}

function move(step, said) {
  const ids = step();
  if (!ids.length) return say(`There is nothing to ${said}.`);
  if (ids.length === 1) list.focusRow(ids[0]);
  work.wake();
  return say(`${said === "undo" ? "Undone" : "Done again"}: ${ids.length === 1 ? `comment ${number(ids[0] + 1)}, ${STATUS[model.statusOf(model.rows.get(ids[0]))]}` : plural(ids.length, "comment")}.`);
}

function blur(on) {
  settings.blur = on;
  memory.keepSettings();
  document.body.classList.toggle("blur-rude", on);
  byId("blur").checked = on;
}

const all = () => [...model.rows.values()];

function showExport() {
  const found = {};
  for (const row of all()) found[model.statusOf(row)] = (found[model.statusOf(row)] ?? 0) + 1;
  byId("export-text").textContent = `${Object.entries(found).map(([name, size]) => `${number(size)} ${STATUS[name]}`).join(", ")}.`;
  const open = (found.unseen ?? 0) + (found.waiting ?? 0) + (found.failed ?? 0);
  byId("export-open").hidden = !open;
  byId("export-open").textContent = `${plural(open, "comment")} without a decision: the original text goes into the file, not the suggestion.`;
  byId("export-dialog").showModal();
}

const stem = () => `${(all().find((row) => row.file)?.file ?? "comments").replace(/\.[^.]*$/, "")}.reviewed`;

function download() {
  const format = byId("export-format").value, { suffix, type } = files.FORMATS[format];
  save(files.reviewedFile(all(), format), `${stem()}.${suffix}`, type);
  byId("export-dialog").close();
  say(`${plural(model.rows.size, "comment")} exported.`);
}

async function copyAll() {
  try {
    await copy(all().map(model.inFile).join("\n"));
    say(`${plural(model.rows.size, "text")} copied: decided ones as decided, others as they were.`);
  } catch (error) {
    say(error.message);
  }
  byId("export-dialog").close();
}

async function feedback() {
  byId("feedback").disabled = true;
  say(await sendFeedback());
  byId("feedback").disabled = false;
  byId("export-dialog").close();
}

async function clear() {
  byId("clear-dialog").close();
  closeAll();
  model.clear();
  await memory.forget();
  say("All comments and decisions are gone from this browser.");
  byId("input-text").focus();
}

function fill() {
  for (const [name, { label }] of Object.entries(list.SHOWN)) filters.elements.show.append(element("option", { value: name }, label));
  for (const [code, { name }] of Object.entries(setup.languages)) filters.elements.lang.append(element("option", { value: code }, name));
  for (const [name, { label }] of Object.entries(files.FORMATS)) byId("export-format").append(element("option", { value: name }, label));
  byId("strength").value = settings.strength;
  byId("strength-shown").textContent = percent(settings.strength);
  byId("single-keys").checked = settings.keys;
  blur(settings.blur);
}

function listen() {
  const actions = {
    undo: () => move(model.undo, "undo"), redo: () => move(model.redo, "redo"), export: showExport, download, "copy-all": copyAll, feedback,
    help: () => byId("help-dialog").showModal(), clear: () => byId("clear-dialog").showModal(), "clear-yes": clear,
    previous: () => list.turn(-1), next: () => list.turn(1), "try-now": () => work.wake(), again: () => work.again(work.outdated()),
  };
  for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
  for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog").close());
  followFocus();
  byId("rows").addEventListener("click", ({ target }) => {
    const item = target.closest(".row");
    if (item && !target.closest("button, input, select, textarea, label") && !String(getSelection())) list.focusRow(Number(item.dataset.row));
  });
  byId("strength").addEventListener("input", ({ target }) => {
    settings.strength = Number(target.value);
    byId("strength-shown").textContent = percent(settings.strength);
    memory.keepSettings();
  });
  byId("strength").addEventListener("change", countSoon);
  byId("single-keys").addEventListener("change", ({ target }) => {
    settings.keys = target.checked;
    memory.keepSettings();
  });
  byId("blur").addEventListener("change", ({ target }) => blur(target.checked));
  filters.addEventListener("input", find);
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    list.step(1);
  });
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(byId("key").value.trim());
    byId("key").value = "";
    byId("key-dialog").close();
    work.wake();
  });
  window.addEventListener("beforeunload", (event) => {
    if (unfinished() || (!memory.memory.works && model.counts().decided)) event.preventDefault();
  });
  window.addEventListener("online", () => work.wake());
  keys.listen({
    z: actions.undo, Z: actions.redo, "?": actions.help, b: () => blur(!settings.blur), "/": () => filters.elements.search.select(),
    i: () => byId("input-text").focus(),
  });
}

/**
 * The comment with the focus is the current one. Not while a mouse button is down: what is drawn anew moves
 * away under the pointer, and the click is lost.
 */
function followFocus() {
  let held = false, waiting = null;
  const release = () => setTimeout(() => {
    held = false;
    if (waiting !== null) list.setCurrent(waiting);
    waiting = null;
  });
  document.addEventListener("pointerdown", () => { held = true; }, true);
  for (const name of ["click", "pointercancel"]) document.addEventListener(name, release);
  document.addEventListener("pointerup", () => setTimeout(release, 50));
  byId("rows").addEventListener("focusin", ({ target }) => {
    const item = target.closest(".row");
    if (!item) return;
    if (held) waiting = Number(item.dataset.row);
    else list.setCurrent(Number(item.dataset.row));
  });
}

function follow() {
  model.onChange((ids, what) => {
    if (what === "cleared") list.empty();
    else {
      memory.remember(ids, model.rows, () => { byId("memory").hidden = false; });
      list.refresh(ids);
      work.wake();
    }
    countSoon();
  });
}

async function start() {
  memory.recallSettings();
  fill();
  input.listen();
  listen();
  follow();
  const found = await memory.recall();
  byId("memory").hidden = memory.memory.works;
  if (memory.memory.elsewhere) byId("memory").textContent = "Civilly is open in another tab of this browser, which keeps the work. What you do in this one is gone when you close it.";
  if (found.length) model.add(found);
  find();
  count();
  work.begin({ strength: () => settings.strength, near: () => list.currentId() ?? 0, noted: notice, keyed: askForKey });
}

start();
