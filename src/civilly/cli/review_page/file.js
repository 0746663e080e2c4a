// The reviewed file: the input's columns, the decided text where the rewrite belongs, and how it was decided.
const MISSING = 0, THE_TEXT = 1, THE_RESULT = 2; // cells that _review_rows.py leaves to us
const FORMATS = {
  tsv: { label: "TSV", suffix: "tsv", type: "text/tab-separated-values" },
  csv: { label: "CSV", suffix: "csv", type: "text/csv" },
  jsonl: { label: "JSON lines", suffix: "jsonl", type: "application/jsonl" },
  lines: { label: "plain lines, the decided texts alone", suffix: "txt", type: "text/plain" },
};
const DELIMITERS = { tsv: "\t", csv: "," };

/** What is offered, the input's own first. Plain lines have no room for a decision, so they come last. */
function formatsOffered() {
  const own = data.file.format;
  const first = own === "parquet" ? "jsonl" : own === "lines" ? "tsv" : own;
  return [first, ...Object.keys(FORMATS).filter((name) => name !== first && (name !== "lines" || own === "lines"))];
}

const fileName = (format) => `${data.file.stem}.${FORMATS[format].suffix}`;

/** Quoted as RFC 4180 says. */
function delimited(format, withStatus) {
  const delimiter = DELIMITERS[format];
  const columns = withStatus ? [...data.file.columns, data.file.status] : data.file.columns;
  const record = (fields) => fields.map((field) => (
    field.includes(delimiter) || /["\r\n]/.test(field) || (fields.length === 1 && !field)
      ? `"${field.replaceAll('"', '""')}"`
      : field)).join(delimiter) + "\n";
  const plain = (cell, index) => {
    if (cell === THE_TEXT) return rows[index].text;
    if (cell === THE_RESULT) return inFile(index);
    if (cell === MISSING || cell[0] === "null") return "";
    return typeof cell === "string" ? cell : cell[0];
  };
  const lines = data.cells.map((cells, index) => {
    const fields = cells.map((cell) => plain(cell, index));
    return record(withStatus ? [...fields, statusOf(index)] : fields);
  });
  return [record(columns), ...lines].join("");
}

function jsonLines(withStatus) {
  return data.cells.map((cells, index) => {
    const pairs = cells.flatMap((cell, place) => {
      if (cell === MISSING) return [];
      const value = cell === THE_TEXT ? rows[index].text : cell === THE_RESULT ? inFile(index) : cell;
      // Numbers are handed through as they were written: a script would round long ones.
      return [[data.file.columns[place], Array.isArray(value) ? value[0] : JSON.stringify(value)]];
    });
    if (withStatus) pairs.push([data.file.status, JSON.stringify(statusOf(index))]);
    return `{${pairs.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(", ")}}\n`;
  }).join("");
}

function reviewedFile(format, withStatus) {
  if (format === "lines") return rows.map((_, index) => `${inFile(index).replace(/\r\n|\r|\n/g, " ")}\n`).join("");
  const content = format === "jsonl" ? jsonLines(withStatus) : delimited(format, withStatus);
  return content.startsWith("\ufeff") ? `\ufeff${content}` : content; // reading takes one mark away
}
