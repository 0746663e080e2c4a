// Everything by keyboard; single letters do nothing while somebody types, and can be switched off.
import { byId, setup } from "./dom.js";
import { settings } from "./memory.js";
import * as model from "./rows.js";
import * as list from "./list_view.js";

const rightToLeft = (id) => setup.languages[model.rows.get(id)?.found?.lang]?.direction === "rtl";

/** A decision on the whole comment, then on to the next; on a change that has the focus, only on it. */
function decide(id, act, whole, take) {
  const at = list.focusedChange();
  if (at !== null) act.decide(at, take);
  else if (whole() !== false) list.goOn();
}

const ROW_KEYS = {
  a: (id, act) => decide(id, act, act.accept, true),
  A: (id, act) => act.accept() && list.goOn(),
  x: (id, act) => decide(id, act, act.keep, false),
  X: (id, act) => act.keep() && list.goOn(),
  e: (id, act) => {
    const at = list.focusedChange();
    if (at === null) act.edit();
    else act.startRewording(at);
  },
  c: (id, act) => act.copy(),
  l: (id) => byId("rows").querySelector(`[data-row="${id}"] [data-key="language"]`)?.focus(),
  s: (id) => byId("rows").querySelector(`[data-row="${id}"] [data-key="strength"]`)?.focus(),
  ArrowRight: (id, act) => act.step(rightToLeft(id) ? -1 : 1),
  ArrowLeft: (id, act) => act.step(rightToLeft(id) ? 1 : -1),
};
const PAGE_KEYS = {
  j: () => list.step(1),
  k: () => list.step(-1),
  n: () => list.stepChange(1),
  p: () => list.stepChange(-1),
};

/** Listens; `commands` are the page's own keys: a function for each. */
export function listen(commands) {
  const pageKeys = { ...PAGE_KEYS, ...commands };
  document.addEventListener("keydown", (event) => {
    const { key, target } = event, typing = target.closest?.("select, input, textarea");
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && !typing && key.toLowerCase() === "z") pageKeys[event.shiftKey ? "Z" : "z"]();
    else if (event.ctrlKey || event.metaKey || event.altKey || !settings.keys) return;
    else if (typing) {
      if (key !== "Escape" || !target.closest("#filters, .details")) return;
      list.focusRow(list.currentId() ?? list.listed().find((entry) => !Array.isArray(entry)));
    } else if (ROW_KEYS[key] && list.actions(list.currentId())) ROW_KEYS[key](list.currentId(), list.actions(list.currentId()));
    else if (pageKeys[key]) pageKeys[key]();
    else return;
    event.preventDefault();
  });
}
