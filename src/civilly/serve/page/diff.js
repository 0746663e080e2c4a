// What another wording changes, word by word.
const MOST_COMPARED = 250_000;
const segmenters = new Map();

/** Words, blanks and marks; by the language's own idea of a word. */
function tokens(text, lang) {
  if (!segmenters.has(lang)) {
    let segmenter;
    try {
      segmenter = new Intl.Segmenter(lang, { granularity: "word" });
    } catch {
      segmenter = new Intl.Segmenter("en", { granularity: "word" });
    }
    segmenters.set(lang, segmenter);
  }
  return [...segmenters.get(lang).segment(text)].map(({ segment }) => segment);
}

/** Lengths of the longest common subsequences of all ends of two lists. */
function table(old, put) {
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint16Array(put.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = put.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = old[i] === put[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

/**
 * The edits {start, end, put} that lead from one text to the other, in UTF-16 units, in order.
 * Neighbours with only blanks between them are one edit.
 */
export function edits(before, after, lang) {
  const old = tokens(before, lang), put = tokens(after, lang);
  if (old.length * put.length > MOST_COMPARED) return before === after ? [] : [{ start: 0, end: before.length, put: after }];
  const lengths = table(old, put), found = [];
  let i = 0, j = 0, place = 0;
  while (i < old.length || j < put.length) {
    if (i < old.length && j < put.length && old[i] === put[j]) {
      place += old[i].length;
      i += 1;
      j += 1;
      continue;
    }
    const edit = { start: place, end: place, put: "" };
    while ((i < old.length || j < put.length) && !(i < old.length && j < put.length && old[i] === put[j])) {
      if (j >= put.length || (i < old.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
        edit.end += old[i].length;
        i += 1;
      } else {
        edit.put += put[j];
        j += 1;
      }
    }
    place = edit.end;
    const last = found.at(-1), between = last ? before.slice(last.end, edit.start) : "";
    if (last && !between.trim()) found.splice(-1, 1, { start: last.start, end: edit.end, put: last.put + between + edit.put });
    else found.push(edit);
  }
  return found;
}

/** The text after some edits. */
export function apply(text, chosen) {
  let made = "", place = 0;
  for (const { start, end, put } of chosen) {
    made += text.slice(place, start) + put;
    place = end;
  }
  return made + text.slice(place);
}
