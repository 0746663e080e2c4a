// One comment on the page: its head, the text, the result, and for the current one all that can be done.
import { again, unmeasurable } from "./work.js";
import { button, copy, element, number, percent, say, setup, textIn } from "./dom.js";
import * as model from "./rows.js";
import { settings } from "./memory.js";
import { briefly, cards, marked, spansInWords } from "./text_view.js";

export const STATUS = {
  waiting: "waiting", unseen: "not decided", accepted: "accepted", partly: "accepted in part", other: "other wording", edited: "edited",
  kept: "original kept", civil: "civil", failed: "failed",
};
const FLAGS = {
  "self-harm": ["about self-harm", "This may be about harm to oneself. It is not rewritten: it needs somebody to answer, not an edit. Follow your rules for people in danger."],
  threat: ["a threat", "This may be a threat. A civil wording does not make it harmless: look at what is meant before you take one."],
};

/** What is open in a row, also while it is not drawn: half a text must not be lost. */
const opened = new Map();
export const unfinished = () => [...opened.values()].some(({ field }) => field && field.value !== field.defaultValue);
export const closeAll = () => opened.clear();
const openedIn = (id) => {
  if (!opened.has(id)) opened.set(id, { field: null, box: null, rewording: null });
  return opened.get(id);
};

function figure(row) {
  if (!row.found) return null;
  const after = model.rudenessOf(row), limit = model.threshold(row), same = model.textOf(row) === row.text;
  const measured = after === undefined ? (unmeasurable(row) ? "not measured" : "…") : percent(after);
  const said = `The detector is ${percent(row.found.p)} sure that the text is rude${same ? "" : `, and of what is shown now ${measured}`}.`;
  const seen = element("span", { "aria-hidden": "true" }, "rude ", element("b", { class: row.found.p >= limit ? "rude" : null }, percent(row.found.p)),
    ...(same ? [] : [" → ", element("b", { class: after >= limit ? "rude" : null }, measured)]));
  return element("span", { class: "figure" }, element("span", { class: "hidden" }, said), seen);
}

/** What there is to say where nothing is suggested, or something is special. */
function notes(row) {
  const found = (row.found?.flags ?? []).filter((flag) => FLAGS[flag]).map((flag) => element("p", { class: "warning" }, FLAGS[flag][1]));
  const status = model.statusOf(row);
  if (status === "failed") {
    const { message, mend } = row.problem;
    found.push(element("p", { class: "warning" }, `${message}${mend ? ` Mend: ${mend}.` : ""} `, button("Try again", () => again([row.id]), { "data-key": "again" })));
  } else if (status === "unseen" && !row.suggested && !row.found?.flags.includes("self-harm")) {
    found.push(element("p", { class: "note" }, row.wordings.length
      ? "No wording was good enough to suggest, so the text is kept. Weaker wordings stand below; edit it, or keep it."
      : "No wording was found that reads well, so the text is kept. Edit it, or keep it."));
  }
  if (!row.suggested && row.found?.rude) found.push(spansInWords(row));
  return found;
}

/** The wordings to choose from; the chosen one is shown above with its changes. */
function wordings(row, act) {
  if (row.wordings.length < 2 && (row.suggested || !row.wordings.length)) return null;
  const { wording: now, typed } = model.shown(row);
  const entries = row.wordings.map((wording, at) => {
    const { p } = wording;
    const press = button("", () => act.choose(at), { class: "wording", "data-key": `wording-${at}`, "aria-pressed": String(typed === null && now === at) });
    press.append(briefly(row, wording.edits), element("small", {}, `${at === 0 && row.suggested ? "suggested" : ""}${at === 0 && row.suggested && p !== null ? ", " : ""}${p === null ? "" : `rude ${percent(p)}`}`));
    return element("li", {}, press);
  });
  return element("div", {}, element("h3", {}, "Wordings ", element("kbd", { "aria-hidden": "true" }, "←"), element("kbd", { "aria-hidden": "true" }, "→")),
    element("ol", { class: "wordings" }, ...entries));
}

function languageChoice(row) {
  const choice = element("select", { "data-key": "language", "aria-label": `Language of comment ${row.id + 1}` });
  const found = row.found ? `${setup.languages[row.found.lang]?.name ?? row.found.lang}${row.found.sure ? "" : "?"}` : "…";
  choice.append(element("option", { value: "" }, row.lang ? "detect" : `${found} (detected)`));
  for (const [code, { name }] of Object.entries(setup.languages)) choice.append(element("option", { value: code, selected: row.lang === code }, name));
  choice.addEventListener("change", () => {
    again([row.id], { lang: choice.value || null });
    say(`Comment ${row.id + 1} is read again${choice.value ? ` as ${setup.languages[choice.value].name}` : ""}.`);
  });
  return element("label", {}, "Language ", choice);
}

function strengthChoice(row) {
  const slider = element("input", { type: "range", min: 0, max: 1, step: 0.1, "data-key": "strength", "aria-label": `Strength for comment ${row.id + 1}` });
  slider.value = row.strength ?? settings.strength;
  slider.addEventListener("change", () => {
    again([row.id], { strength: Number(slider.value) });
    say(`Comment ${row.id + 1} is rewritten at strength ${slider.value}.`);
  });
  return element("label", { title: "How much is dared: 0 keeps what is not sure to read well, 1 takes nearly everything" }, "Strength ", slider, ` ${percent(row.strength ?? settings.strength)}`);
}

function editor(row, close, act) {
  const field = element("textarea", { lang: setup.languages[row.found?.lang]?.code, dir: setup.languages[row.found?.lang]?.direction ?? "auto", rows: 2, "data-key": "field", "aria-label": `Text of comment ${row.id + 1}` });
  field.defaultValue = model.textOf(row);
  const problem = element("span", { role: "alert", class: "rude" });
  const take = () => {
    if (!field.value.trim()) {
      problem.textContent = "An empty text cannot be taken. To leave the text as it was, press “Keep original”.";
      return;
    }
    close();
    act.set(model.typing(row, field.value));
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) take();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const box = element("div", { class: "editor" }, field, element("p", { class: "tools" }, button("Take this text", take, { "data-key": "take-text" }), button("Cancel", close, { "data-key": "cancel-text" }),
    element("small", {}, element("kbd", {}, "Ctrl"), "+", element("kbd", {}, "Enter"), " takes it, ", element("kbd", {}, "Esc"), " leaves it"), problem));
  return { box, field };
}

/** The actions of a row, for its buttons and for keys. */
export function actionsOf(id, redraw) {
  const row = () => model.rows.get(id), open = openedIn(id);
  const set = (decision) => {
    model.change(new Map([[id, { decision }]]));
    const after = model.rudenessOf(row());
    say(`Comment ${number(id + 1)}: ${STATUS[model.statusOf(row())]}${after === undefined ? "" : `, rude ${percent(row().found.p)} to ${percent(after)}`}.`);
    return true;
  };
  return {
    set,
    accept: () => {
      const made = model.accepting(row());
      if (made) return set(made);
      say("There is no suggestion here: keep the text, edit it, or choose another wording.");
      return false;
    },
    keep: () => set(model.keeping(row())),
    decide: (at, take) => set(model.deciding(row(), at, take)),
    choose: (at) => (row().wordings[at] ? set(model.choosing(row(), at)) : false),
    step: (by) => {
      const { wording } = model.shown(row()), most = row().wordings.length;
      if (!most) return say("There is no other wording.");
      return set(model.choosing(row(), (wording + by + most) % most));
    },
    startRewording: (at) => {
      open.rewording = at;
      redraw(`reword-${at}`);
    },
    reword: (at, text) => {
      open.rewording = null;
      if (text === null) redraw(`start-${at}`);
      else set(model.deciding(row(), at, text));
    },
    edit: () => {
      if (!open.box) {
        Object.assign(open, editor(row(), () => {
          Object.assign(open, { box: null, field: null });
          redraw("");
        }, { set }));
      }
      redraw("field");
      open.field.setSelectionRange(open.field.value.length, open.field.value.length);
    },
    copy: async () => {
      try {
        await copy(model.textOf(row()));
        say(`Comment ${number(id + 1)} is copied as it is shown.`);
      } catch (error) {
        say(error.message);
      }
    },
  };
}

/** Draws a row anew; the focus stays on what had it, or goes to what `focus` names. */
export function draw(item, id, current, act, focus) {
  const row = model.rows.get(id), status = model.statusOf(row), result = model.textOf(row), open = openedIn(id);
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  const wanted = focus ?? focused?.dataset.key ?? (focused ? "" : undefined);
  item.dataset.status = status;
  if (current) item.setAttribute("aria-current", "true");
  else item.removeAttribute("aria-current");
  item.classList.toggle("toxic", Boolean(row.found?.rude || model.flagged(row)));
  const pressed = (...names) => String(names.includes(status));
  const tools = element("span", { class: "tools" },
    row.suggested || row.decision?.wording >= 0 ? button("Accept", act.accept, { class: "accept", title: "a", "data-key": "accept", "aria-pressed": pressed("accepted", "other") }) : null,
    button("Keep original", act.keep, { class: "keep", title: "x", "data-key": "keep", "aria-pressed": pressed("kept") }),
    button("Edit", act.edit, { class: "edit-text", title: "e", "data-key": "edit", "aria-pressed": pressed("edited") }),
    button("Copy", act.copy, { class: "copy", title: "c", "data-key": "copy" }));
  const language = setup.languages[row.found?.lang ?? row.lang]?.name ?? "";
  const head = element("div", { class: "head" },
    element("h2", { id: `row-${id}` }, element("span", { class: "hidden" }, "Comment "), number(id + 1), element("small", {}, ` ${language}${row.found && !row.found.sure && !row.lang ? "?" : ""}`)),
    figure(row), element("span", { class: "status" }, STATUS[status]),
    ...(row.found?.flags ?? []).filter((flag) => FLAGS[flag]).map((flag) => element("strong", { class: "flag" }, FLAGS[flag][0])), tools);
  const details = current ? element("div", { class: "details" }, cards(row, open.rewording, act), wordings(row, act),
    element("p", { class: "choices" }, languageChoice(row), strengthChoice(row), row.reason ? element("small", {}, `Why: ${row.reason}`) : null)) : null;
  item.replaceChildren(head, element("p", { class: "marked" }, marked(row, act)),
    ...(result === row.text ? [] : [element("p", { class: "result" }, element("span", { class: "hidden" }, "Result: "), textIn(row.found?.lang, result))]),
    ...notes(row).filter(Boolean), ...[open.box, details].filter(Boolean));
  if (wanted !== undefined) ((wanted && item.querySelector(`[data-key="${wanted}"]`)) || item).focus({ preventScroll: true });
}

export const newItem = (id) => element("li", { class: "row", tabindex: -1, "data-row": id, "aria-labelledby": `row-${id}` });
