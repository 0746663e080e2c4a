"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const slider = document.getElementById("step");
const shown = document.getElementById("shown-step");
const chosen = document.getElementById("language");
const changed = document.getElementById("changed");
const list = document.getElementById("examples");
const count = document.getElementById("shown");
const VISIBLE = 0.05; // a score that moved by less is not coloured

function row(term, text, lang, className) {
  const name = document.createElement("dt");
  const said = document.createElement("dd");
  name.textContent = term;
  said.textContent = text === "" ? "(nothing)" : text;
  said.dir = "auto";
  if (lang) said.lang = lang === "hin" ? "hi-Latn" : lang;
  if (className) said.className = className;
  return [name, said];
}

function scores(at, now, start) {
  const [name, said] = row("scores", " ", "", "scores");
  said.textContent = "";
  for (const [who, values] of Object.entries(now.scores)) {
    const before = start.scores[who][at];
    const part = document.createElement("span");
    part.textContent = `${who} ${before.toFixed(2)} → ${values[at].toFixed(2)}   `;
    if (values[at] - before > VISIBLE) part.className = "up";
    if (before - values[at] > VISIBLE) part.className = "down";
    said.append(part);
  }
  return [name, said];
}

function draw() {
  const start = data.looks[0];
  const now = data.looks[Number(slider.value)];
  shown.value = `step ${now.step}`;
  const cards = [];
  data.texts.forEach((each, at) => {
    if (chosen.value && each.lang !== chosen.value) return;
    const same = now.outputs[at] === start.outputs[at];
    if (changed.checked && same) return;
    const card = document.createElement("li");
    const rows = document.createElement("dl");
    rows.append(
      ...row("text", each.text, each.lang),
      ...row("people", each.references[0], each.lang, "same"),
      ...row("start", start.outputs[at], each.lang),
      ...row(`step ${now.step}`, now.outputs[at], each.lang, same ? "same" : ""),
      ...scores(at, now, start),
    );
    card.append(rows);
    cards.push(card);
  });
  list.replaceChildren(...cards);
  count.textContent = `${cards.length} of ${data.texts.length} texts`;
}

slider.max = String(data.looks.length - 1);
slider.value = slider.max;
for (const control of [slider, chosen, changed]) control.addEventListener("input", draw);
draw();
