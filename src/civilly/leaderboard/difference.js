// What an output changed: words are compared, characters where a language has no spaces.
const MOST_PIECES = 600; // the comparison is quadratic
const WORD = /[\p{L}\p{M}\p{N}_]+|\s+|[^\p{L}\p{M}\p{N}_\s]/gu;

const pieces = (text, spaces) => (spaces ? text.match(WORD) || [] : Array.from(text));

/** Stretches [kind, text] with kind "same", "gone" or "new"; null if the texts are too long. */
function difference(before, after, spaces) {
  const old = pieces(before, spaces), now = pieces(after, spaces);
  if (old.length > MOST_PIECES || now.length > MOST_PIECES) return null;
  // longest[i][j]: length of the longest common subsequence of old[i…] and now[j…].
  const width = now.length + 1;
  const longest = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      longest[i * width + j] = old[i] === now[j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const steps = [];
  let i = 0, j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) { steps.push(["same", old[i]]); i++; j++; }
    else if (j >= now.length || (i < old.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) steps.push(["gone", old[i++]]);
    else steps.push(["new", now[j++]]);
  }
  return joined(steps);
}

/** Joins neighbours; a lone space between changes belongs to them, and what went stands before what came. */
function joined(steps) {
  const found = [];
  let gone = "", fresh = "";
  const flush = () => {
    if (gone) found.push(["gone", gone]);
    if (fresh) found.push(["new", fresh]);
    gone = fresh = "";
  };
  steps.forEach(([kind, text], place) => {
    const between = kind === "same" && /^\s+$/.test(text) && place > 0 && place + 1 < steps.length &&
      steps[place - 1][0] !== "same" && steps[place + 1][0] !== "same";
    if (kind === "gone" || between) gone += text;
    if (kind === "new" || between) fresh += text;
    if (kind === "same" && !between) {
      flush();
      if (found.length && found[found.length - 1][0] === "same") found[found.length - 1][1] += text;
      else found.push(["same", text]);
    }
  });
  flush();
  return found;
}
