"""``civilly data search``: which data sets are like ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._options import DataOption
from civilly.cli._source import a_file
from civilly.errors import DataError

if TYPE_CHECKING:
    from civilly.synth.search.candidates import DataSet
    from civilly.synth.search.columns import Chosen
    from civilly.synth.search.run import Found

EXAMPLE = "Example: civilly data search ours.tsv sets -o runs/search"
FETCHED = "fetched"
"""Folder of the samples that came from the hub, in the folder of the search."""


def search(
    reference: Annotated[Path, typer.Argument(metavar="OURS", help="Texts or pairs of ours.")],
    places: Annotated[
        list[Path] | None, typer.Argument(metavar="SETS", help="Files and folders of candidates.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=a_file, help="Folder for the page.")
    ] = Path("search"),
    ids: Annotated[
        list[str] | None, typer.Option("--hub", metavar="ID", help="A set of the hub; repeatable.")
    ] = None,
    query: Annotated[
        str | None, typer.Option("--hub-query", metavar="WORDS", help="Sets the hub finds.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Sets of a query, at most.")] = 10,
    download: Annotated[
        bool, typer.Option("--download", help="Ask the hub: nothing is fetched without this.")
    ] = False,
    rows: Annotated[int, typer.Option(min=80, help="Texts of each set and language.")] = 400,
    languages: Annotated[
        list[str] | None, typer.Option("--lang", "-l", help="Only this language; repeatable.")
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="FILE", help="Further texts not to train on."),
    ] = None,
    licences: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Table of the sets' licences: name, licence."),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    civil_column: Annotated[str | None, typer.Option(help="Column of the civil side.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    lang_column: Annotated[str | None, typer.Option(help="Column of the language.")] = None,
    toxic_value: Annotated[
        list[str] | None, typer.Option(help="A label that means toxic; repeatable.")
    ] = None,
    data: DataOption = None,
    seed: Annotated[int, typer.Option(help="Of the choice of rows.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace -o FOLDER.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Rank data sets by how alike they are to OURS, language by language.

    A few hundred texts of each are compared: words, letters, sentence embeddings, a classifier that
    tells the sets apart, labels against our detector, edits of pairs; rows that repeat OURS or
    held-out texts are counted and left out. Columns are guessed, and can be named: a name counts
    where a set has it. Writes index.html (with examples side by side) and search.json.
    """
    from civilly.data.files import check_folder, write_bytes
    from civilly.data.values import as_json as to_json
    from civilly.synth.search.candidates import read_licences, read_set
    from civilly.synth.search.columns import Chosen
    from civilly.synth.search.page import FILES, check_page_can_be_made, render
    from civilly.synth.search.report import report
    from civilly.synth.search.run import search as compare

    names = _languages(languages or ())
    check_page_can_be_made()
    if (output / FILES[0]).exists() and not overwrite:
        raise DataError(f"{str(output)!r} holds a search.", mend="--overwrite to replace it")
    if (ids or query) and not download:
        raise DataError("Sets of the hub are fetched only if you say so.", mend="--download")
    if not (places or ids or query):
        raise DataError("There are no candidates.", mend="name files, folders, --hub ID")
    check_folder(output)
    chosen = Chosen(text_column, civil_column, label_column, lang_column, tuple(toxic_value or ()))
    known = read_licences(licences) if licences else {}
    ours = read_set(reference, chosen, rows, seed, known)
    wanted = names or list(ours.languages)
    sets, failed = _candidates(places or (), reference, chosen, rows, seed, known)
    if ids or query:
        of_hub, missing = _of_hub(ids or (), query, limit, output, chosen, rows, seed, wanted)
        sets, failed = [*sets, *of_hub], {**failed, **missing}
    _console.warn(f"left out: {name}: {why}" for name, why in failed.items())
    if not sets:
        raise DataError("No candidate could be read.", mend="see the warnings above")
    evaluation = _held_out(held_out or (), data, chosen, rows, seed)
    with _console.progress("comparing", len(sets)) as advance:
        found = compare(
            ours,
            _named_apart(sets),
            rows,
            seed,
            held_out=evaluation,
            languages=names,
            failed=failed,
            advance=advance,
        )
    output.mkdir(parents=True, exist_ok=True)
    content = report(found)
    write_bytes(output / FILES[0], render(found).encode())
    write_bytes(output / FILES[1], (to_json(content) + "\n").encode())
    _console.write_out(to_json(content) + "\n" if as_json else _table(found))
    _console.done(output / FILES[0], "look at the examples before you train on a set")


def _languages(given: Sequence[str]) -> list[str]:
    from civilly.languages import chosen_language

    return [chosen_language(each) for each in given]


def _candidates(
    places: Sequence[Path],
    reference: Path,
    chosen: Chosen,
    rows: int,
    seed: int,
    licences: dict[str, str],
) -> tuple[list[DataSet], dict[str, str]]:
    """The sets of files and folders, without the reference itself."""
    from civilly.synth.search.candidates import files_of, read_sets

    ours = reference.resolve()
    files = [path for path in files_of(places) if path.resolve() != ours]
    with _console.progress("reading", len(files)) as advance:
        sets: list[DataSet] = []
        failed: dict[str, str] = {}
        for path in files:
            some, not_read = read_sets([path], chosen, rows, seed, licences)
            sets += some
            failed |= not_read
            advance(1)
    return sets, failed


def _of_hub(
    ids: Sequence[str],
    query: str | None,
    limit: int,
    output: Path,
    chosen: Chosen,
    rows: int,
    seed: int,
    languages: Sequence[str],
) -> tuple[list[DataSet], dict[str, str]]:
    """Samples of sets of the hub; those of an earlier search are not fetched again."""
    from civilly.synth.search.candidates import set_of_table
    from civilly.synth.search.hub import check_hub, fetch_all, ids_for

    check_hub()
    names = [*dict.fromkeys([*ids, *(ids_for(query, limit) if query else ())])]
    if query:
        _console.note(f"the hub finds {', '.join(names) or 'nothing'} for {query!r}")
    samples, failed = fetch_all(names, 2 * rows, seed, output / FETCHED, languages)
    sets = []
    for known, table in samples:
        try:
            sets.append(
                set_of_table(
                    table, known.id, f"hub: {known.id}@{known.revision[:10]}", chosen, rows, seed,
                    known.licence, known.total,
                )
            )  # fmt: skip
        except DataError as error:
            failed[known.id] = str(error)
    return sets, failed


def _named_apart(sets: Sequence[DataSet]) -> list[DataSet]:
    """Sets of the same name get the folder before it."""
    from collections import Counter
    from dataclasses import replace

    times = Counter(each.name for each in sets)
    return [
        replace(each, name=f"{Path(each.where).parent.name}/{each.name}")
        if times[each.name] > 1
        else each
        for each in sets
    ]


def _held_out(
    files: Sequence[Path], data: Path | None, chosen: Chosen, rows: int, seed: int
) -> list[str]:
    """Texts not to be trained on: of the user's files, and of the data folder if there is one."""
    from civilly.data.corpus.build import DEV_FILE, evaluation_texts
    from civilly.data.pairs import data_folder
    from civilly.synth.search.candidates import read_set

    sets = [read_set(path, chosen, 10**9, seed, {}) for path in files]
    texts = [side for each in sets for row in each.rows for side in (row.text, *row.civil)]
    try:
        folder = data_folder(data)
    except DataError:
        if data is not None:
            raise
        return texts
    return texts + (evaluation_texts(folder, None) if (folder / DEV_FILE).exists() else [])


def _table(found: Found) -> str:
    """A table per language."""
    from civilly.cli._table import aligned
    from civilly.data.values import short
    from civilly.synth.search.ranking import MEASURES

    parts = []
    for lang, entries in found.ranking.items():
        rows = []
        for place, entry in enumerate(entries, start=1):
            made: dict[str, Any] = dict(entry.compared.similarities)
            cells = [short(float(made[m].mean()), 2) if m in made else "" for m in MEASURES]
            leaks = sum(found.leaks.get(entry.source.name, {}).values())
            rows.append(
                (
                    f"{place} ({entry.rank[0]}–{entry.rank[1]})",
                    entry.source.name,
                    str(entry.compared.score),
                    *cells,
                    entry.kind,
                    str(entry.compared.rows),
                    str(leaks),
                    entry.source.licence,
                )
            )
        head = (f"{lang}: rank", "set", "alike", *MEASURES, "kind", "texts", "leaks", "licence")
        parts.append(aligned(head, rows))
    if found.left_out:
        parts.append(aligned(("not ranked", "why"), list(found.left_out.items())))
    return "\n".join(parts)
