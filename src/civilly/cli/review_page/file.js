// The reviewed file. Its rows were written by Civilly with a gap; here the decided text is put in, and how it was decided.
const FORMATS = {
  tsv: { label: "TSV", suffix: "tsv", type: "text/tab-separated-values" },
  csv: { label: "CSV", suffix: "csv", type: "text/csv" },
  jsonl: { label: "JSON lines", suffix: "jsonl", type: "application/jsonl" },
  lines: { label: "plain lines: the decided texts alone", suffix: "txt", type: "text/plain" },
};

const formatsOffered = () => (data.file.lines ? [data.file.format, "lines"] : [data.file.format]);
const fileName = (format) => `${data.stem}.${FORMATS[format].suffix}`;

/** A text as the format has it: JSON, or quoted as RFC 4180 says. */
function spelt(text) {
  const { format, quoted, delimiter } = data.file;
  if (format === "jsonl") return JSON.stringify(text).slice(1, -1);
  return quoted || text.includes(delimiter) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function lineOf(index, withStatus) {
  const [start, rest, behind, kept] = data.file.rows[index], { text } = rows[index], decided = inFile(index);
  const before = rest === 0 ? start : start + text + rest;
  const line = before + (decided === text ? kept ?? spelt(text) : spelt(decided)) + behind;
  if (!withStatus) return line;
  if (data.file.format !== "jsonl") return line + data.file.delimiter + spelt(statusOf(index));
  return `${line.slice(0, -1)}, ${JSON.stringify(data.file.status)}: ${JSON.stringify(statusOf(index))}}`;
}

function headOf(withStatus) {
  const { head, end, delimiter, format, status } = data.file;
  if (!withStatus || format === "jsonl" || !delimiter) return head;
  return head.slice(0, -end.length) + delimiter + spelt(status) + end;
}

function reviewedFile(format, withStatus) {
  const { end, closed } = data.file;
  const plain = format === "lines";
  const lines = rows.map((_, index) => (plain ? inFile(index).replace(end === "\r" ? /\r/g : /\r?\n/g, " ") : lineOf(index, withStatus)));
  const content = (plain ? "" : headOf(withStatus)) + lines.join(end) + (lines.length && closed ? end : "");
  return plain && content.startsWith("\ufeff") ? `\ufeff${content}` : content; // reading takes one mark away
}
