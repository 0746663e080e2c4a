// The tables and plots: which measure is shown, sorting, the matrix, following one system.
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const short = (x) => x.toFixed(3).replace(/^(-?)0\./, "$1.");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function sortTable(table, place, heading) {
  const body = table.tBodies[0];
  const names = place === 0;
  const now = heading.getAttribute("aria-sort");
  const ascending = now ? now === "descending" : names;
  const key = (row) => {
    const cell = row.cells[place];
    return names ? cell.textContent.trim() : parseFloat(cell.dataset.value);
  };
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (names) return ascending ? a.localeCompare(b) : b.localeCompare(a);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // gaps last
    return ascending ? a - b : b - a;
  });
  body.append(...rows.map(([, row]) => row));
  all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

for (const table of all("table.sortable")) {
  all("thead th", table).forEach((heading, place) => {
    heading.querySelector("button").addEventListener("click", () => sortTable(table, place, heading));
  });
}

function pick(system) {
  const on = !document.querySelector(`.pick[aria-pressed="true"]`)?.closest(`[data-system="${system}"]`);
  all("[data-system]").forEach((marked) => {
    marked.classList.toggle("picked", on && marked.dataset.system === system);
  });
  all(".pick").forEach((button) => {
    button.setAttribute("aria-pressed", on && button.closest("[data-system]").dataset.system === system);
  });
}
for (const button of all(".pick")) {
  button.addEventListener("click", () => pick(button.closest("[data-system]").dataset.system));
}
for (const mark of all(".mark")) mark.addEventListener("click", () => pick(mark.dataset.system));

const measure = () => document.body.dataset.measure;

function outcome([, , difference, , , p]) {
  if (p >= data.level) return 0;
  return difference > 0 ? 1 : -1;
}

function describe(column, row, other, [, , difference, low, high, p], sign) {
  const [d, l, h] = sign > 0 || low === null ? [sign * difference, low, high] : [-difference, -high, -low];
  const ends = l === null ? "–" : `${short(l)}, ${short(h)}`;
  const claim = p < data.level ? (d > 0 ? "better than" : "worse than") : "not significantly different from";
  const shown = p < 0.001 ? "< .001" : `= ${short(p)}`;
  return `${data.systems[row]} is ${claim} ${data.systems[other]} in ${column}: ` +
    `difference ${short(d)} [${ends}], p ${shown}`;
}

function drawMatrix() {
  const column = byId("matrix-column").value;
  const table = byId("matrix");
  table.replaceChildren();
  byId("matrix-detail").textContent = "";
  if (!column) return;
  const means = data.means[measure()][column];
  const order = Object.keys(means).map(Number).sort((a, b) => means[b] - means[a] || a - b);
  const pairs = new Map(data.comparisons[measure()][column].map((pair) => [`${pair[0]},${pair[1]}`, pair]));
  const head = element("tr", {}, element("th", { scope: "col", class: "system" }, "System"));
  order.forEach((system, place) => {
    head.append(element("th", { scope: "col", title: data.systems[system] }, String(place + 1)));
  });
  const body = element("tbody");
  order.forEach((row, place) => {
    const line = element("tr", { "data-system": row });
    line.append(element("th", { scope: "row", class: "system" }, `${place + 1} `, element("bdi", {}, data.systems[row])));
    for (const other of order) line.append(matrixCell(column, row, other, pairs));
    body.append(line);
  });
  const caption = element("caption", { class: "hidden" }, `Significant differences by ${measure()} in ${column}`);
  table.append(caption, element("thead", {}, head), body);
}

function matrixCell(column, row, other, pairs) {
  if (row === other) return element("td", { class: "self" });
  const sign = row < other ? 1 : -1;
  const pair = pairs.get(sign > 0 ? `${row},${other}` : `${other},${row}`);
  const result = sign * outcome(pair);
  const [mark, kind, said] = result > 0 ? ["▲", "better", "better"] : result < 0 ? ["▼", "worse", "worse"] : ["·", "equal", "no difference"];
  const text = describe(column, row, other, pair, sign);
  const cell = element("td", { class: kind, title: text },
    element("span", { "aria-hidden": "true" }, mark), element("span", { class: "hidden" }, said));
  cell.addEventListener("click", () => {
    all(".chosen", byId("matrix")).forEach((chosen) => chosen.classList.remove("chosen"));
    cell.classList.add("chosen");
    byId("matrix-detail").textContent = text;
  });
  return cell;
}

byId("matrix-column").addEventListener("change", drawMatrix);
byId("scatter-column").addEventListener("change", (event) => {
  all(".scatter").forEach((figure) => { figure.hidden = figure.dataset.column !== event.target.value; });
});
for (const input of all('.switch input')) {
  input.addEventListener("change", () => {
    document.body.dataset.measure = input.value;
    byId("meaning").textContent = input.closest("label").title;
    drawMatrix();
  });
}
drawMatrix();
