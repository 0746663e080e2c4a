// Small things for drawing: elements, numbers in words, and the one place where the page speaks up.
export const byId = (id) => document.getElementById(id);
export const number = (count) => count.toLocaleString("en");
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
export const percent = (value) => `${Math.round(100 * value)} %`;

/** What the server wrote into the page: languages, names of columns. */
export const setup = JSON.parse(byId("setup").textContent);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function button(label, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

/** Tells everybody, those who hear the page too. Said twice, it is heard twice. */
export function say(text) {
  const said = byId("said");
  said.textContent = said.textContent === text && text ? `${text}\u00a0` : text;
}

/** A text in its language and direction. */
export function textIn(lang, ...children) {
  const language = setup.languages[lang];
  return element("bdi", { class: "text", lang: language?.code ?? "und", dir: language?.direction ?? "auto" }, ...children);
}

/** Puts a text on the clipboard; browsers offer the new way only where the page is encrypted or local. */
export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const field = element("textarea", { class: "hidden", "aria-hidden": "true" });
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  if (!done) throw new Error("The browser does not let the page copy.");
  return undefined;
}

export function save(content, name, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
