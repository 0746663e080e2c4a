// How comments come in: pasted, typed, dropped, or from a file.
import { byId, element, number, plural, say, setup } from "./dom.js";
import * as files from "./files.js";
import { settings, keepSettings } from "./memory.js";
import { add, blankRow, rows } from "./rows.js";

const MOST_ROWS = 50_000;
let open = null;

function addComments(comments) {
  const first = Math.max(-1, ...rows.keys()) + 1;
  const wanted = comments.filter(([text, { columns = null } = {}]) => columns || text.trim());
  if (!wanted.length) return say("There is no text to rewrite.");
  if (rows.size + wanted.length > MOST_ROWS) {
    return say(`This page holds ${number(MOST_ROWS)} comments. For more use the command: civilly rewrite FILE --page review.html`);
  }
  add(wanted.map(([text, about], at) => blankRow(first + at, text, about)));
  return say(`${plural(wanted.length, "comment")} added.`);
}

/** Adds a text: each line a comment, or all of it one. */
export function addText(text) {
  const lang = byId("input-lang").value || null;
  addComments((settings.lines === "lines" ? files.linesOf(text) : [text]).map((line) => [line, { lang }]));
}

async function choose(file) {
  try {
    const text = files.decoded(await file.arrayBuffer());
    open = { name: file.name, text, table: null };
    byId("file-name").textContent = file.name;
    byId("file-format").value = files.formatOf(file.name, text);
    showColumns();
    byId("file-dialog").showModal();
  } catch (error) {
    say(`${file.name}: ${error.message}`);
  }
}

/** Shows what the file would be in the chosen format, and which columns matter. */
function showColumns() {
  const format = byId("file-format").value;
  byId("file-problem").textContent = "";
  try {
    open.table = files.tableOf(open.text, format);
  } catch (error) {
    open.table = { columns: [], rows: [] };
    byId("file-problem").textContent = error instanceof SyntaxError ? "This is not JSON. Choose another format." : error.message;
  }
  const { columns } = open.table;
  byId("file-columns").hidden = !columns.length;
  byId("file-text").replaceChildren(...columns.map((name) => element("option", { value: name }, name)));
  byId("file-lang").replaceChildren(element("option", { value: "" }, "none: detect"), ...columns.map((name) => element("option", { value: name }, name)));
  byId("file-text").value = files.textColumn(columns);
  byId("file-lang").value = files.langColumn(columns);
  byId("file-count").textContent = plural(open.table.rows.length, "comment");
  byId("file-take").disabled = !open.table.rows.length;
}

function take() {
  byId("file-dialog").close();
  const text = open.table.columns.length ? byId("file-text").value : "text";
  addComments(files.commentsOf(open.table, text, byId("file-lang").value, open.name));
  open = null;
}

export function listen() {
  for (const code of Object.keys(setup.languages)) byId("input-lang").append(element("option", { value: code }, setup.languages[code].name));
  const field = byId("input-text");
  const submit = () => {
    if (!field.value.trim()) return say("Paste or type a comment first.");
    addText(field.value);
    field.value = "";
    return undefined;
  };
  byId("input-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
  });
  for (const choice of document.querySelectorAll("[name=lines]")) {
    choice.checked = choice.value === settings.lines;
    choice.addEventListener("change", () => {
      settings.lines = choice.value;
      keepSettings();
    });
  }
  byId("open-file").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) choose(target.files[0]);
    target.value = "";
  });
  byId("file-format").addEventListener("change", showColumns);
  byId("file-take").addEventListener("click", take);
  listenToDrops();
}

/** What is dropped or pasted anywhere on the page comes in, too. */
function listenToDrops() {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files, text = event.dataTransfer.getData("text/plain");
    if (file) choose(file);
    else if (text) addText(text);
  });
  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea") || document.querySelector("dialog[open]")) return;
    const [file] = event.clipboardData.files, text = event.clipboardData.getData("text/plain");
    if (file) choose(file);
    else if (text) addText(text);
  });
}
