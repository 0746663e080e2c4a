// Rewrites with their edits, each to be taken or left; nothing leaves the page but by hand.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const form = byId("filters");
const TSV_COLUMNS = ["toxic_sentence", "neutral_sentence", "lang"];
// A row's pieces are strings that stay and edits: [cut, put, score of the cut, p(toxic) with it alone].
const taken = data.rows.map((row) => row.pieces.map((piece) => typeof piece !== "string"));
const state = { found: [], page: 0 };

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const isEdit = (piece) => typeof piece !== "string";
const number = (value) => value.toFixed(2).replace(/^0\./, ".");
const textOf = (row, choose) => row.pieces.map((piece, place) => (isEdit(piece) ? choose(piece, place) : piece)).join("");
const inputOf = (index) => textOf(data.rows[index], (edit) => edit[0]);
const outputOf = (index) => textOf(data.rows[index], (edit, place) => edit[taken[index][place] ? 1 : 0]);

function textIn(lang, ...children) {
  const language = data.languages[lang];
  return element("bdi", { lang: language.code, dir: language.direction }, ...children);
}

function reasonOf([cut, put, score, alone], row) {
  const what = cut && put ? "replaced" : cut ? "taken out" : "put in";
  const toxic = score === null ? "" : `the detector gives what was cut ${number(score)}; `;
  return `${what}: ${toxic}p(toxic) ${number(row.before)} → ${number(alone)} by this change alone`;
}

/** Why, change by change. */
function reasonsOf(index) {
  const row = data.rows[index];
  const items = row.pieces.flatMap((piece, place) => (isEdit(piece)
    ? [element("li", { id: `why-${index}-${place}` }, textIn(row.lang, piece[0].trim() || piece[1].trim()), ` ${reasonOf(piece, row)}`)]
    : []));
  return element("ul", { class: "why" }, ...items);
}

function editButton(index, place) {
  const row = data.rows[index], edit = row.pieces[place];
  const button = element("button", { type: "button", class: "edit", "aria-describedby": `why-${index}-${place}` },
    element("del", {}, edit[0]), element("ins", {}, edit[1]));
  const show = () => button.setAttribute("aria-pressed", String(taken[index][place]));
  button.addEventListener("click", () => {
    taken[index][place] = !taken[index][place];
    show();
    button.closest(".row").refresh();
  });
  button.show = show;
  show();
  return button;
}

function rowOf(index) {
  const row = data.rows[index];
  const result = textIn(row.lang);
  const buttons = [];
  const marked = textIn(row.lang, ...row.pieces.map((piece, place) => {
    if (!isEdit(piece)) return piece;
    buttons.push(editButton(index, place));
    return buttons[buttons.length - 1];
  }));
  const tool = (label, act) => {
    const button = element("button", { type: "button", class: "tool" }, label);
    button.addEventListener("click", () => act(button));
    return button;
  };
  const article = element("section", { class: "row", "data-row": index },
    element("h2", {}, `${index + 1} · ${data.languages[row.lang].name} `,
      element("small", {}, `p(toxic) ${number(row.before)} → ${number(row.after)} · ${row.by}`)),
    element("p", { class: "marked" }, marked));
  article.refresh = () => {
    result.textContent = outputOf(index);
    count();
  };
  article.setAll = (value) => {
    buttons.forEach((button) => {
      const place = row.pieces.findIndex((piece, at) => isEdit(piece) && marked.childNodes[at] === button);
      taken[index][place] = value;
      button.show();
    });
    article.refresh();
  };
  const tools = [tool("Copy the text", (button) => copy(outputOf(index), button))];
  if (buttons.length) {
    tools.push(tool("Accept all", () => article.setAll(true)), tool("Reject all", () => article.setAll(false)));
    article.append(element("p", { class: "result" }, result));
  }
  article.append(element("p", { class: "why" }, row.reason), reasonsOf(index), element("p", { class: "tools" }, ...tools));
  article.refresh();
  return article;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "The browser does not let a page copy";
  }
}

function count() {
  let edits = 0, accepted = 0;
  data.rows.forEach((row, index) => row.pieces.forEach((piece, place) => {
    if (!isEdit(piece)) return;
    edits += 1;
    accepted += taken[index][place];
  }));
  byId("count").textContent = `${accepted.toLocaleString("en")} of ${edits.toLocaleString("en")} changes accepted`;
}

/** The shared task's file, quoted as RFC 4180 says. */
function submission() {
  const field = (text) => (/[\t"\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = data.rows.map((row, index) => [inputOf(index), outputOf(index), row.lang]);
  return [TSV_COLUMNS, ...rows].map((row) => row.map(field).join("\t") + "\n").join("");
}

function download() {
  const address = URL.createObjectURL(new Blob([submission()], { type: "text/tab-separated-values" }));
  const link = element("a", { href: address, download: "reviewed.tsv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function showPage(page) {
  const size = data.rowsPerPage, found = state.found;
  const pages = Math.max(1, Math.ceil(found.length / size));
  state.page = Math.min(Math.max(0, page), pages - 1);
  const begin = state.page * size;
  const rows = found.slice(begin, begin + size);
  byId("rows").replaceChildren(...rows.map(rowOf));
  byId("shown").textContent = rows.length
    ? `${(begin + 1).toLocaleString("en")}–${(begin + rows.length).toLocaleString("en")} of ${found.length.toLocaleString("en")} rows`
    : "0 of 0 rows";
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page >= pages - 1;
}

function search() {
  const lang = form.elements.lang.value, changed = form.elements.changed.checked;
  state.found = [...data.rows.keys()].filter((index) => {
    const row = data.rows[index];
    return (!lang || row.lang === lang) && (!changed || row.pieces.some(isEdit));
  });
  showPage(0);
}

function step(by) {
  const buttons = [...document.querySelectorAll("button.edit")];
  if (!buttons.length) return;
  const at = buttons.indexOf(document.activeElement);
  buttons[at < 0 ? 0 : Math.min(Math.max(0, at + by), buttons.length - 1)].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return;
  const row = document.activeElement.closest(".row");
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "a" && row) row.setAll(true);
  else if (event.key === "r" && row) row.setAll(false);
});
byId("reveal").addEventListener("click", () => {
  const hidden = byId("rows").classList.toggle("blurred");
  byId("rows").setAttribute("aria-hidden", String(hidden));
  byId("reveal").setAttribute("aria-pressed", String(!hidden));
  byId("reveal").textContent = hidden ? "Show the texts" : "Blur the texts";
});
byId("download").addEventListener("click", download);
byId("previous").addEventListener("click", () => showPage(state.page - 1));
byId("next").addEventListener("click", () => showPage(state.page + 1));
form.addEventListener("input", search);
form.addEventListener("submit", (event) => event.preventDefault());
const present = new Set(data.rows.map((row) => row.lang));
for (const [code, language] of Object.entries(data.languages)) {
  if (present.has(code)) form.elements.lang.append(element("option", { value: code }, language.name));
}
search();
count();
