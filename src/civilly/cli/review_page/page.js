// The page: turning it, the keys, the dialogs.
const form = byId("filters");
const view = { blurred: true, keys: true };

function say(text) {
  byId("said").textContent = text;
}

const drawn = () => [...document.querySelectorAll(".row")];
const drawnRow = (index) => document.querySelector(`.row[data-row="${index}"]`);
const currentRow = () => document.activeElement?.closest?.(".row") || null;

function redraw(indices) {
  for (const index of indices) drawnRow(index)?.refresh();
  count();
}

function count() {
  const found = counts();
  byId("count").textContent = `${found.decided.toLocaleString("en")} of ${found.toDecide.toLocaleString("en")} decided`;
  byId("progress").max = Math.max(1, found.toDecide);
  byId("progress").value = found.decided;
  byId("rude").textContent = `Still rude in the file as it stands: ${found.rude.toLocaleString("en")}${found.unmeasured ? `; not measured: ${found.unmeasured.toLocaleString("en")}` : ""}`;
  byId("undo").disabled = !undoable.length;
  for (const option of form.elements.show.options) {
    const size = rows.reduce((sum, _, index) => sum + Number(SHOWN[option.value].holds(index)), 0);
    option.textContent = `${SHOWN[option.value].label} (${size.toLocaleString("en")})`;
  }
}

function showPage(page) {
  list.page = Math.min(Math.max(0, page), pages() - 1);
  const begin = list.page * data.rowsPerPage, found = onPage();
  byId("rows").replaceChildren(...found.map(rowOf));
  byId("shown").textContent = found.length
    ? `${(begin + 1).toLocaleString("en")}–${(begin + found.length).toLocaleString("en")} of ${plural(list.found.length, "row")}`
    : "No row is like that: 0 of 0 rows";
  for (const name of ["previous", "previous-below"]) byId(name).disabled = list.page === 0;
  for (const name of ["next", "next-below"]) byId(name).disabled = list.page >= pages() - 1;
}

function search() {
  const value = (name) => form.elements[name].value;
  list.found = find({ show: value("show"), order: value("order"), lang: value("lang"), search: value("search") });
  showPage(0);
}

function turn(by) {
  showPage(list.page + by);
  byId("rows").scrollIntoView();
  drawn()[0]?.focus();
}

/** Puts the cursor on a row, wherever it is; shows all rows if it is not among those found. */
function goTo(index) {
  say("");
  if (!rows[index]) {
    say(`There is no such row; the last one is ${rows.length.toLocaleString("en")}.`);
    return;
  }
  if (!list.found.includes(index)) {
    for (const [name, value] of [["show", "all"], ["lang", ""], ["search", ""]]) form.elements[name].value = value;
    search();
  }
  if (!drawnRow(index)) showPage(pageOf(index));
  drawnRow(index).focus();
}

function step(by) {
  const row = currentRow(), place = row ? list.found.indexOf(Number(row.dataset.row)) + by : list.page * data.rowsPerPage;
  const index = list.found[place];
  if (index === undefined) say(by > 0 ? "This is the last row." : "This is the first row.");
  else goTo(index);
}

function stepChange(by) {
  const buttons = [...document.querySelectorAll("button.edit")];
  if (!buttons.length) return;
  const at = buttons.indexOf(document.activeElement);
  const row = currentRow();
  const first = row ? buttons.findIndex((press) => row.contains(press)) : 0;
  buttons[at < 0 ? Math.max(0, first) : Math.min(Math.max(0, at + by), buttons.length - 1)].focus();
}

/** After a decision: on to the next row that waits for one. */
function goOn(row) {
  const place = list.found.indexOf(Number(row.dataset.row));
  const next = list.found.slice(place + 1).find((index) => toDecide(index) && !decisions.has(index));
  if (next !== undefined) goTo(next);
  else say("No row after this one waits for a decision.");
}

const ROW_KEYS = {
  a: (row) => row.accept() && goOn(row),
  r: (row) => row.keep() && goOn(row),
  e: (row) => row.edit(),
  o: (row) => row.others(),
};
const PAGE_KEYS = {
  j: () => step(1),
  k: () => step(-1),
  n: () => stepChange(1),
  p: () => stepChange(-1),
  u: () => undoLast(),
  b: () => blur(!view.blurred),
  "/": () => form.elements.search.select(),
  g: () => byId("go").elements.row.select(),
  "?": () => byId("help").showModal(),
};

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !view.keys || document.querySelector("dialog[open]")) return;
  if (event.target.closest?.("select, input, textarea")) {
    if (event.key === "Escape" && event.target.closest("main form")) drawn()[0]?.focus();
    return;
  }
  const row = view.blurred ? null : currentRow(), key = event.key;
  if (row && ROW_KEYS[key]) ROW_KEYS[key](row);
  else if (row && /^[1-9]$/.test(key)) {
    if (row.pick(Number(key) - 1)) goOn(row);
    else say("There is no such wording here; o opens the other wordings, to be read first.");
  } else if (PAGE_KEYS[key]) PAGE_KEYS[key]();
  else return;
  event.preventDefault();
}

function undoLast() {
  const indices = undo();
  if (!indices.length) say("There is nothing to undo.");
  else if (indices.length > 1) say(`Undone: ${plural(indices.length, "row")}.`);
  else {
    goTo(indices[0]);
    say(`Undone: row ${(indices[0] + 1).toLocaleString("en")}.`);
  }
}

/** Nothing can be decided while it cannot be read. */
function blur(hidden) {
  view.blurred = hidden;
  byId("rows").classList.toggle("blurred", hidden);
  byId("rows").inert = hidden;
  byId("warning").hidden = !hidden;
  byId("blur").hidden = hidden;
  byId("rest").disabled = hidden;
  (hidden ? byId("reveal") : drawn()[0])?.focus();
}

const waiting = () => list.found.filter((index) => rows[index].changed && !decisions.has(index));

function askForRest() {
  const found = waiting(), rude = found.filter(stillRude).length;
  byId("rest-text").textContent = found.length
    ? `${plural(found.length, "suggestion")} in the rows listed now ${found.length === 1 ? "waits" : "wait"} for a decision: nobody has read ${found.length === 1 ? "it" : "them"} here. ` +
      `${rude ? `${rude.toLocaleString("en")} of them ${rude === 1 ? "is" : "are"} still rude. ` : ""}` +
      "Suggestions can be wrong: they drop words, or say something else. The file will say “accepted-unread”."
    : "No suggestion in the rows listed now waits for a decision.";
  byId("rest-yes").textContent = `Accept ${plural(found.length, "unread suggestion")}`;
  byId("rest-yes").disabled = !found.length;
  byId("rest-dialog").showModal();
}

function acceptRest() {
  const found = waiting();
  decide(new Map(found.map((index) => [index, accepting(index, true)])));
  byId("rest-dialog").close();
  say(`Accepted unread: ${plural(found.length, "row")}. Undo takes it back.`);
}

function askForgetting() {
  if (!decisions.size) return say("There is no decision to take back.");
  byId("forget-yes").textContent = `Take back ${plural(decisions.size, "decision")}`;
  return byId("forget-dialog").showModal();
}

function showFinish() {
  const found = counts();
  const parts = Object.entries(STATUS).filter(([name]) => name !== "unseen" && found.status[name]);
  const said = parts.map(([name, label]) => `${found.status[name].toLocaleString("en")} ${label}`).join(", ");
  byId("finish-decided").textContent = said ? `Decided: ${said}.` : "Nothing is decided yet.";
  byId("finish-open").textContent = found.undecided
    ? `${plural(found.undecided, "row")} still ${found.undecided === 1 ? "waits" : "wait"} for a decision: the original text goes into the file, not the suggestion, marked “unseen”.`
    : "No row waits for a decision.";
  byId("finish-open").classList.toggle("warning", found.undecided > 0);
  byId("finish-rude").textContent = `In the file ${found.rude === 1 ? "1 text is" : `${found.rude.toLocaleString("en")} texts are`} still rude${found.unmeasured ? `; ${plural(found.unmeasured, "edited or mixed text")} not measured` : ""}.`;
  nameFile();
  byId("finish-dialog").showModal();
}

function nameFile() {
  const format = byId("format").value;
  byId("with-status").disabled = format === "lines";
  byId("download").textContent = `Download ${fileName(format)}`;
}

function download() {
  const format = byId("format").value;
  save(reviewedFile(format, byId("with-status").checked), fileName(format), FORMATS[format].type);
  if (!counts().undecided) memory.unsaved = false;
  byId("finish-dialog").close();
}

async function load(event) {
  const [file] = event.target.files;
  if (file) say(loadDecisions(await file.text()));
  event.target.value = "";
}

function fill() {
  for (const [name, { label }] of Object.entries(SHOWN)) form.elements.show.append(element("option", { value: name }, label));
  for (const [name, { label }] of Object.entries(ORDERS)) form.elements.order.append(element("option", { value: name }, label));
  for (const [code, language] of Object.entries(data.languages)) form.elements.lang.append(element("option", { value: code }, language.name));
  for (const name of formatsOffered()) byId("format").append(element("option", { value: name }, FORMATS[name].label));
  byId("format").closest("p").hidden = formatsOffered().length < 2;
  byId("status-name").textContent = data.file.status;
  byId("go").elements.row.max = rows.length;
}

function listen() {
  listeners.push(() => say(""), remember, (changes) => redraw(changes.keys()));
  const actions = {
    reveal: () => blur(false), blur: () => blur(true), undo: undoLast, finish: showFinish, download,
    keys: () => byId("help").showModal(), rest: askForRest, "rest-yes": acceptRest, "save-decisions": saveDecisions,
    forget: askForgetting,
    "forget-yes": () => { decide(new Map([...decisions.keys()].map((index) => [index, null]))); byId("forget-dialog").close(); },
    "load-decisions": () => byId("decisions-file").click(),
    previous: () => turn(-1), next: () => turn(1), "previous-below": () => turn(-1), "next-below": () => turn(1),
  };
  for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
  for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog").close());
  byId("menu").addEventListener("click", (event) => { if (event.target.closest("button")) byId("menu").open = false; });
  byId("decisions-file").addEventListener("change", load);
  byId("format").addEventListener("change", nameFile);
  byId("single-keys").addEventListener("change", (event) => { view.keys = event.target.checked; });
  let later = 0;
  form.addEventListener("input", (event) => {
    clearTimeout(later);
    later = setTimeout(search, event.target.name === "search" ? 150 : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(later);
    search();
    drawn()[0]?.focus();
  });
  byId("go").addEventListener("submit", (event) => {
    event.preventDefault();
    goTo(Number(byId("go").elements.row.value) - 1);
  });
  document.addEventListener("keydown", press);
  window.addEventListener("beforeunload", askBeforeLeaving);
  window.addEventListener("storage", follow);
}

recall();
fill();
listen();
count();
search();
