// The examples: unpacked from the page itself, filtered, fifty rows at a time.
const form = byId("filters");
const state = { rows: [], found: [], page: 0 };

async function unpack() {
  const packed = atob(byId("packed").textContent.trim());
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const rows = JSON.parse(await new Response(stream).text());
  byId("packed").remove();
  return rows.map(([lang, input, references, outputs, systems]) => ({
    lang, input, references,
    systems: systems.map(([system, output, ...rest]) => ({
      system, output: outputs[output], scores: rest.slice(0, -1), copied: rest[rest.length - 1] === 1,
    })),
  }));
}

function wanted() {
  const value = (name) => form.elements[name].value;
  return {
    lang: value("lang"),
    failure: data.failures.find((failure) => failure.name === value("failure")),
    system: value("system") === "" ? null : Number(value("system")),
    low: 1000 * (parseFloat(value("low")) || 0),
    search: value("search").normalize("NFC").toLowerCase().trim(),
    edits: form.elements.edits.checked,
  };
}

function fails(made, failure, low) {
  if (!failure.measure) return made.copied;
  return made.scores[data.measures.indexOf(failure.measure)] < low;
}

function matches(row, want) {
  if (want.lang && row.lang !== want.lang) return false;
  const made = want.system === null ? row.systems : row.systems.filter((m) => m.system === want.system);
  if (!made.length) return false;
  if (want.failure && !made.some((m) => fails(m, want.failure, want.low))) return false;
  if (!want.search) return true;
  const holds = (text) => text.normalize("NFC").toLowerCase().includes(want.search);
  return holds(row.input) || row.references.some(holds) || made.some((m) => holds(m.output));
}

function textIn(lang, ...children) {
  const language = data.languages[lang];
  return element("bdi", { class: "text", lang: language.code, dir: language.direction }, ...children);
}

function outputOf(row, made, edits) {
  const stretches = edits ? difference(row.input, made.output, data.languages[row.lang].spaces) : null;
  if (!stretches) return textIn(row.lang, made.output || "(empty)");
  const shown = stretches.filter(([kind, text]) => kind !== "gone" || text.trim()); // a lost space is no news
  const names = { gone: "del", new: "ins" };
  return textIn(row.lang, ...shown.map(([kind, text]) => (kind === "same" ? text : element(names[kind], {}, text))));
}

function exampleOf(row, number, want) {
  const article = element("article", { class: "example" },
    element("h3", {}, `${number.toLocaleString("en")} · ${data.languages[row.lang].name}`),
    element("p", { class: "input" }, textIn(row.lang, row.input)));
  for (const reference of row.references) {
    article.append(element("p", { class: "reference" }, element("span", { class: "hidden" }, "reference: "), textIn(row.lang, reference)));
  }
  const head = element("tr", {}, element("th", { scope: "col" }, "System"), element("th", { scope: "col" }, "Output"));
  data.measures.forEach((name) => head.append(element("th", { scope: "col", class: "score" }, name)));
  const body = element("tbody");
  for (const made of row.systems) {
    const line = element("tr", { "data-system": made.system },
      element("th", { scope: "row" }, element("bdi", {}, data.systems[made.system])),
      element("td", { class: "output" }, outputOf(row, made, want.edits),
        ...(made.copied ? [element("span", { class: "copy" }, "copied")] : [])));
    made.scores.forEach((score, place) => {
      const low = place > 0 && score < want.low;
      line.append(element("td", { class: low ? "score low" : "score", "data-label": data.measures[place] },
        (score / 1000).toFixed(2).replace(/^0/, "")));
    });
    body.append(line);
  }
  article.append(element("table", {}, element("thead", {}, head), body));
  return article;
}

function showPage(page) {
  const pages = Math.max(1, Math.ceil(state.found.length / data.rowsPerPage));
  state.page = Math.min(Math.max(0, page), pages - 1);
  const begin = state.page * data.rowsPerPage;
  const rows = state.found.slice(begin, begin + data.rowsPerPage);
  const want = wanted();
  byId("rows").replaceChildren(...rows.map((row, place) => exampleOf(row, begin + place + 1, want)));
  byId("shown").textContent = rows.length
    ? `${(begin + 1).toLocaleString("en")}–${(begin + rows.length).toLocaleString("en")} of ${state.found.length.toLocaleString("en")} sentences`
    : "No sentence matches.";
  for (const id of ["previous", "previous-below"]) byId(id).disabled = state.page === 0;
  for (const id of ["next", "next-below"]) byId(id).disabled = state.page >= pages - 1;
}

function search() {
  const want = wanted();
  state.found = state.rows.filter((row) => matches(row, want));
  showPage(0);
}

function turn(step) {
  showPage(state.page + step);
  byId("examples").scrollIntoView();
}

async function begin() {
  state.rows = await unpack();
  const present = new Set(state.rows.map((row) => row.lang));
  for (const [code, language] of Object.entries(data.languages)) {
    if (present.has(code)) form.elements.lang.append(element("option", { value: code }, language.name));
  }
  data.systems.forEach((name, index) => form.elements.system.append(element("option", { value: index }, name)));
  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 150);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["previous", "previous-below"]) byId(id).addEventListener("click", () => turn(-1));
  for (const id of ["next", "next-below"]) byId(id).addEventListener("click", () => turn(1));
  search();
}

byId("reveal").addEventListener("click", () => {
  const hidden = byId("rows").classList.toggle("blurred");
  byId("rows").setAttribute("aria-hidden", String(hidden));
  byId("reveal").setAttribute("aria-pressed", String(!hidden));
  byId("reveal").textContent = hidden ? "Show the texts" : "Blur the texts";
});
begin().catch((error) => { byId("shown").textContent = `The examples cannot be unpacked: ${error.message}`; });
