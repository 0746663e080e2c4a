// Reads what people open or paste into rows, and writes the reviewed rows as a file.
import { setup } from "./dom.js";
import { inFile, rudenessOf, statusOf } from "./rows.js";

export const FORMATS = {
  csv: { label: "CSV", suffix: "csv", type: "text/csv" },
  tsv: { label: "TSV", suffix: "tsv", type: "text/tab-separated-values" },
  jsonl: { label: "JSON lines", suffix: "jsonl", type: "application/jsonl" },
};

/** Bytes as text: UTF-8, or UTF-16 with its mark. Throws an error in words for anything else. */
export function decoded(bytes) {
  const [first, second] = new Uint8Array(bytes.slice(0, 2));
  const name = first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(name, { fatal: true }).decode(bytes);
  } catch {
    throw new Error("This file is no UTF-8 text. Save it as UTF-8, or as CSV UTF-8 in a spreadsheet, and open it again.");
  }
}

/** Lines without their ends; a last empty one is no line. */
export function linesOf(text) {
  const lines = text.split(/\r\n|\n|\r/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** The fields of delimited text, row by row, quoted as RFC 4180 says. */
export function delimited(text, delimiter) {
  const table = [];
  let fields = [], field = "", quoted = false, at = 0;
  const endRow = () => {
    table.push([...fields, field]);
    fields = [];
    field = "";
  };
  for (; at < text.length; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character !== '"') field += character;
      else if (text[at + 1] === '"') field += text[(at += 1)];
      else quoted = false;
    } else if (character === '"' && field === "") quoted = true;
    else if (character === delimiter) {
      fields.push(field);
      field = "";
    } else if (character === "\n" || character === "\r") {
      if (character === "\r" && text[at + 1] === "\n") at += 1;
      endRow();
    } else field += character;
  }
  if (quoted) throw new Error(`A quotation mark in row ${table.length + 1} is never closed. Mend the file, or open it as plain lines.`);
  if (field !== "" || fields.length) endRow();
  return table.filter((row) => row.length > 1 || row[0] !== "");
}

/** A table {columns, rows: [{column: value}]} of a file; plain lines have no columns. */
export function tableOf(text, format) {
  if (format === "lines") return { columns: [], rows: linesOf(text).map((line) => ({ text: line })) };
  if (format === "jsonl") return jsonTable(text);
  const delimiter = format === "tsv" ? "\t" : delimiterOf(text);
  const [columns = [], ...found] = delimited(text, delimiter);
  const names = columns.map((name, at) => name.trim() || `column ${at + 1}`);
  return {
    columns: names,
    rows: found.map((fields) => Object.fromEntries(names.map((name, at) => [name, fields[at] ?? ""]))),
  };
}

const delimiterOf = (text) => {
  const [head] = text.split(/\r?\n/, 1);
  return [",", ";", "\t"].sort((a, b) => head.split(b).length - head.split(a).length)[0];
};

function jsonTable(text) {
  const columns = new Set();
  let objects;
  if (text.trimStart().startsWith("[")) objects = JSON.parse(text);
  else {
    objects = linesOf(text).map((line, at) => [line, at + 1]).filter(([line]) => line.trim()).map(([line, at]) => {
      try {
        return JSON.parse(line);
      } catch {
        throw new Error(`Line ${at} is not JSON. Mend it, or open the file as plain lines.`);
      }
    });
  }
  const found = objects.map((value) => (value && typeof value === "object" && !Array.isArray(value) ? value : { text: value }));
  for (const row of found) for (const name of Object.keys(row)) columns.add(name);
  return { columns: [...columns], rows: found };
}

/** What a file's name says of its format. */
export function formatOf(name, text) {
  const suffix = name.toLowerCase().split(".").at(-1);
  if (suffix === "json" || suffix === "ndjson") return "jsonl";
  if (suffix in FORMATS) return suffix;
  return text.trimStart().startsWith("{") ? "jsonl" : "lines";
}

const named = (columns, names) => names.map((name) => columns.find((column) => column.toLowerCase() === name)).find(Boolean) ?? "";
export const textColumn = (columns) => named(columns, setup.textColumns) || columns[0] || "text";
export const langColumn = (columns) => named(columns, setup.langColumns);

/** A language code, however a file writes it, or null. */
export function languageOf(value) {
  const given = String(value ?? "").trim().toLowerCase();
  return setup.languages[given] ? given : setup.aliases[given] ?? setup.aliases[given.split(/[-_]/)[0]] ?? null;
}

const asText = (value) => (typeof value === "string" ? value : value === null || value === undefined ? "" : JSON.stringify(value));

/** The comments of a table: what `blankRow` takes. */
export function commentsOf(table, text, lang, file) {
  return table.rows.map((row) => [
    asText(row[text]), { lang: lang ? languageOf(row[lang]) : null, columns: table.columns.length ? row : null, file },
  ]);
}

function freeName(name, taken) {
  for (let at = 1; ; at += 1) {
    const tried = at === 1 ? name : `${name}_${at}`;
    if (!taken.has(tried)) return tried;
  }
}

/** The reviewed rows as records: their own columns first, then what was found and decided. */
export function records(reviewed) {
  const own = new Set(reviewed.flatMap((row) => (row.columns ? Object.keys(row.columns) : ["text"])));
  const names = Object.fromEntries(["language", "rewritten", "decision", "p_toxic", "p_toxic_after", "flags"].map((name) => [name, freeName(name, own)]));
  return reviewed.map((row) => {
    const after = row.decision ? rudenessOf(row) : row.found?.p;
    return {
      ...(row.columns ?? { text: row.text }),
      [names.language]: row.found?.lang ?? row.lang ?? "",
      [names.rewritten]: inFile(row),
      [names.decision]: statusOf(row),
      [names.p_toxic]: row.found ? Number(row.found.p.toFixed(4)) : "",
      [names.p_toxic_after]: after === undefined ? "" : Number(after.toFixed(4)),
      [names.flags]: (row.found?.flags ?? []).join(" "),
    };
  });
}

export function reviewedFile(reviewed, format) {
  const found = records(reviewed);
  if (format === "jsonl") return found.map((record) => `${JSON.stringify(record)}\n`).join("");
  const delimiter = format === "tsv" ? "\t" : ",";
  const columns = [...new Set(found.flatMap(Object.keys))];
  const spelt = (value) => {
    const text = asText(value);
    return /["\r\n]/.test(text) || text.includes(delimiter) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns, ...found.map((record) => columns.map((name) => record[name]))];
  return lines.map((line) => `${line.map(spelt).join(delimiter)}\n`).join("");
}
