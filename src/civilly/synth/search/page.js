"use strict";
// Shows the texts, which are toxic, when somebody asks for them.
const reveal = document.getElementById("reveal");
const examples = document.getElementById("all-examples");
reveal.addEventListener("click", () => {
  const hidden = examples.classList.toggle("hidden-texts");
  examples.setAttribute("aria-hidden", String(hidden));
  reveal.setAttribute("aria-pressed", String(!hidden));
  reveal.textContent = hidden ? "Show the texts" : "Blur the texts";
});
