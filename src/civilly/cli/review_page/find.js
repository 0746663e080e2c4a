// Which rows are shown, in which order.
const ORDERS = {
  rude: { label: "still rude first", key: (index) => (stillRude(index) ? 0 : 1) },
  file: { label: "as in the file", key: (index) => index },
  after: { label: "rudest after first", key: (index) => -(rudenessOf(index) ?? -1) },
  before: { label: "rudest before first", key: (index) => -rows[index].before },
  mild: { label: "mildest before first", key: (index) => rows[index].before },
};
const SHOWN = {
  open: { label: "needs a decision", holds: toDecide },
  unseen: { label: "not decided yet", holds: (index) => toDecide(index) && !decisions.has(index) },
  decided: { label: "decided", holds: (index) => decisions.has(index) },
  rude: { label: "still rude", holds: (index) => stillRude(index) },
  changed: { label: "with a suggestion", holds: (index) => rows[index].changed },
  unchanged: { label: "without a suggestion", holds: (index) => !rows[index].changed },
  all: { label: "all rows", holds: () => true },
};
const list = { found: [], page: 0 };

/** Whether what the row shows, its decision or its suggestion, still counts as rude. */
const stillRude = (index) => rudenessOf(index) >= data.rude;

/**
 * A text as it is searched: without case, half and full width, accents of Latin letters, vowel points of
 * Hebrew and Arabic, invisible marks. Signs of other scripts are letters of their own and stay.
 */
function folded(text) {
  return text.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFD")
    .replace(/(\p{Script=Latin})\p{M}+/gu, "$1")
    .replace(/[\p{Cf}\u0640\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670]/gu, "")
    .normalize("NFC")
    .replaceAll("ё", "е");
}

const searchable = [];
/** Everything of a row that can be found: its text, its wordings, its other columns. */
function searchableOf(index) {
  searchable[index] ??= folded([
    rows[index].text,
    ...rows[index].proposals.map((_, wording) => textOf(index, choosing(index, wording))),
    ...data.file.rows[index].filter((piece) => piece !== 0),
  ].join("\n"));
  const typed = decisions.get(index)?.typed;
  return typed ? `${searchable[index]}\n${folded(typed)}` : searchable[index];
}

function find({ show, order, lang, search }) {
  const wanted = folded(search.trim()), holds = SHOWN[show].holds, key = ORDERS[order].key;
  return rows.map((_, index) => index)
    .filter((index) => holds(index) && (!lang || rows[index].lang === lang) && (!wanted || searchableOf(index).includes(wanted)))
    .map((index) => [key(index), index])
    .sort(([a, i], [b, j]) => a - b || i - j)
    .map(([, index]) => index);
}

const pages = () => Math.max(1, Math.ceil(list.found.length / data.rowsPerPage));
const pageOf = (index) => Math.floor(list.found.indexOf(index) / data.rowsPerPage);
const onPage = () => list.found.slice(list.page * data.rowsPerPage, (list.page + 1) * data.rowsPerPage);
