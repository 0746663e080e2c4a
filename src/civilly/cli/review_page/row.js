// A row on the page: what stays, what is cut and put, the result, and the buttons that decide.
const byId = (id) => document.getElementById(id);
const percent = (value) => (value === null ? "not measured" : `${Math.round(100 * value)} %`);
const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
const STATUS = {
  unseen: "not decided", accepted: "accepted", "accepted-unread": "accepted unread", partly: "accepted in part",
  other: "other wording", edited: "edited", kept: "original kept",
};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function textIn(lang, ...children) {
  const language = data.languages[lang];
  return element("bdi", { class: "text", lang: language.code, dir: language.direction }, ...children);
}

function button(label, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

/** A label, part of which only wide screens have room for. */
function wide(name, more, rest = "") {
  const label = document.createDocumentFragment();
  label.append(name, element("span", { class: "wide" }, more), rest);
  return label;
}

/** A stretch that stays, with what the detector marks in it. */
function staying(row, start, end) {
  const parts = [];
  let place = start;
  for (const [from, to] of row.marked) {
    const a = Math.max(from, place), b = Math.min(to, end);
    if (a >= b) continue;
    parts.push(row.text.slice(place, a), element("mark", {}, row.text.slice(a, b)));
    place = b;
  }
  return [...parts, row.text.slice(place, end)].filter((part) => part !== "");
}

function editButton(index, number) {
  const row = rows[index], made = shown(index);
  const [start, end, put] = row.proposals[made.wording].edits[number];
  const cut = row.text.slice(start, end);
  const what = cut && put ? `“${cut.trim()}” becomes “${put.trim()}”` : cut ? `“${cut.trim()}” is taken out` : `“${put.trim()}” is put in`;
  return button("", () => decide(new Map([[index, toggling(index, number)]])),
    { class: "edit", "aria-pressed": String(made.taken[number]), "aria-label": what, title: "Press to take or leave this change" });
}

/** The text with its changes, each a button. */
function marked(index) {
  const row = rows[index], made = shown(index);
  if (made.typed !== null || made.wording < 0) return textIn(row.lang, ...staying(row, 0, row.text.length));
  const parts = [];
  let place = 0;
  row.proposals[made.wording].edits.forEach(([start, end, put], number) => {
    const press = editButton(index, number);
    press.append(element("del", {}, row.text.slice(start, end)), element("ins", {}, put));
    parts.push(...staying(row, place, start), press);
    place = end;
  });
  return textIn(row.lang, ...parts, ...staying(row, place, row.text.length));
}

function figure(index) {
  const row = rows[index], after = rudenessOf(index);
  const said = element("span", { class: "hidden" },
    `The detector is ${percent(row.before)} sure that the text is rude; ${after === null ? "of what is shown now it was not measured" : `of what is shown now ${percent(after)}`}.`);
  const seen = element("span", { "aria-hidden": "true" }, "rude ",
    element("b", { class: row.before >= data.rude ? "rude" : null }, percent(row.before)), " → ",
    element("b", { class: after >= data.rude ? "rude" : null }, percent(after)));
  return element("span", { class: "figure" }, said, seen);
}

/** What there is to say where nothing is suggested. */
function note(row) {
  if (row.changed) return "";
  if (row.before < data.rude) return "Nothing to change was found.";
  return row.proposals.length
    ? "No wording was good enough to suggest; weaker ones stand under “Other wordings”. Edit the text, or keep it."
    : "No wording was found. Edit the text, or keep it.";
}

function wordings(index) {
  const row = rows[index], made = shown(index);
  const entries = row.proposals.map((proposal, wording) => {
    const chosen = made.typed === null && made.wording === wording && made.taken.every(Boolean) && decisions.has(index);
    const press = button("", () => decide(new Map([[index, choosing(index, wording)]])), { class: "wording", "aria-pressed": String(chosen) });
    press.append(element("kbd", { "aria-hidden": "true" }, String(wording + 1)), textIn(row.lang, textOf(index, choosing(index, wording))),
      element("small", {}, `${wording === suggested(row) ? "suggested, " : ""}rude ${percent(proposal.after)}`));
    return element("li", {}, press);
  });
  return element("ol", { class: "wordings" }, ...entries);
}

/** What is open in a row, also while the row is not drawn: half a text must not be lost by turning the page. */
const opened = new Map();
const unfinished = () => [...opened.values()].some(({ field }) => field && field.value !== field.defaultValue);

function editor(index, close) {
  const row = rows[index], language = data.languages[row.lang];
  const field = element("textarea", { lang: language.code, dir: language.direction, rows: 2, "aria-label": `Text of row ${index + 1}` });
  field.defaultValue = textOf(index);
  const problem = element("span", { role: "alert", class: "rude" });
  const take = () => {
    if (!field.value.trim()) {
      problem.textContent = "An empty text cannot be taken. To leave the text as it was, press “Keep original”.";
      return;
    }
    // What was not touched is no text of one's own, but it was read and meant.
    const same = field.value === field.defaultValue && shown(index).typed === null;
    close();
    decide(new Map([[index, same ? { ...shown(index), unread: false } : typing(index, field.value)]]));
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) take();
    else return;
    event.preventDefault();
  });
  const box = element("div", { class: "editor" }, field, element("p", { class: "tools" },
    button("Take this text", take), button("Cancel", close), element("small", {}, element("kbd", {}, "Ctrl"), "+", element("kbd", {}, "Enter"), " takes it, ",
      element("kbd", {}, "Esc"), " leaves it. The detector is not in this page: your text is not measured."), problem));
  return { box, field };
}

function rowOf(index) {
  const row = rows[index];
  const section = element("section", { class: "row", tabindex: -1, "data-row": index, "aria-labelledby": `row-${index}` });
  const others = row.proposals.length - (row.changed ? 1 : 0);
  const open = opened.get(index) || { wordings: false, box: null, field: null };
  opened.set(index, open);
  const tools = {
    accept: button("Accept", () => press(tools.accept, section.accept), { class: "accept" }),
    keep: button(wide("Keep", " original"), () => press(tools.keep, section.keep), { class: "keep" }),
    edit: button("Edit", () => section.edit(), { class: "edit-text" }),
    others: button(wide("Other", " wordings", ` (${others})`), () => section.others(), { class: "others" }),
  };
  const offered = [
    ...(row.changed ? [tools.accept] : []), tools.keep, tools.edit,
    ...(others ? [tools.others] : []),
  ];
  const toolbar = element("span", { class: "tools" }, ...offered);
  const take = (made) => {
    decide(new Map([[index, made]]));
    return true;
  };
  // A button that is pressed already takes its decision back; a key never does, so that it can be hit twice.
  const press = (pressed, act) => (pressed.getAttribute("aria-pressed") === "true" ? take(null) : act());

  section.accept = () => {
    const made = accepting(index);
    if (made) return take(made);
    say("There is no suggestion here: keep the text, edit it, or choose another wording.");
    return false;
  };
  section.keep = () => take(keeping(index));
  section.others = () => {
    if (!others) return say("There is no other wording.");
    open.wordings = !open.wordings;
    return section.refresh();
  };
  section.pick = (wording) => {
    if (!open.wordings || !row.proposals[wording]) return false;
    decide(new Map([[index, choosing(index, wording)]]));
    return true;
  };
  section.edit = () => {
    if (!open.box) {
      Object.assign(open, editor(index, () => {
        Object.assign(open, { box: null, field: null });
        drawnRow(index)?.refresh();
        drawnRow(index)?.focus();
      }));
    }
    section.refresh();
    open.field.focus();
  };
  section.refresh = () => {
    const status = statusOf(index), result = textOf(index);
    const again = section.contains(document.activeElement) ? placeOf(document.activeElement, section) : null;
    section.dataset.status = status;
    tools.accept.setAttribute("aria-pressed", String(["accepted", "accepted-unread", "other"].includes(status)));
    tools.keep.setAttribute("aria-pressed", String(status === "kept"));
    tools.others.setAttribute("aria-expanded", String(open.wordings));
    const head = element("div", { class: "head" },
      element("h2", { id: `row-${index}` }, (index + 1).toLocaleString("en"), element("small", {}, ` ${data.languages[row.lang].name}`)),
      figure(index), element("span", { class: "status" }, STATUS[status]), toolbar);
    const said = note(row);
    section.replaceChildren(head, element("p", { class: "marked" }, marked(index)),
      ...(result === row.text ? [] : [element("p", { class: "result" }, element("span", { class: "hidden" }, "Result: "), textIn(row.lang, result))]),
      ...(said && status === "unseen" ? [element("p", { class: "note" }, said)] : []),
      ...(open.wordings ? [wordings(index)] : []), ...(open.box ? [open.box] : []));
    again?.().focus();
  };
  section.refresh();
  return section;
}

/** How to find the focused element again after a row was drawn anew. */
function placeOf(focused, section) {
  if (!focused.matches("button.edit, button.wording")) return () => (focused.isConnected ? focused : section);
  const kind = focused.matches("button.edit") ? "button.edit" : "button.wording";
  const place = [...section.querySelectorAll(kind)].indexOf(focused);
  return () => section.querySelectorAll(kind)[place] || section;
}
