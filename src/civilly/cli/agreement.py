"""``civilly agreement``: how well a metric agrees with people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._scoring import EngineOption, complete_metric
from civilly.cli._table import aligned
from civilly.data.values import short

if TYPE_CHECKING:
    from civilly.score.agreement import Agreement
    from civilly.score.human import Judgement
    from civilly.score.intervals import Interval
    from civilly.types import Metric

EXAMPLES = """Examples:

civilly agreement reading --judgements textdetox2024

civilly agreement --column XCOMET-LITE --judgements russe2022_ru --target SIM"""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(agreement)


def agreement(
    metric: Annotated[
        str | None,
        typer.Argument(autocompletion=complete_metric, help="Metric: see civilly ls metrics."),
    ] = None,
    judgements: Annotated[
        str,
        typer.Option(help="textdetox2024, russe2022_ru, emnlp2021_en, or a file like them."),
    ] = "textdetox2024",
    column: Annotated[
        str | None,
        typer.Option(help="A column of numbers instead of a metric, of the judgements' file."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="The file of --column, if another: the judgements' rows, in order."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="STA, SIM, FL or J; default: all that apply.")
    ] = None,
    references: Annotated[
        bool, typer.Option("--references", help="Give the metric references; only rows with one.")
    ] = False,
    engine: EngineOption = None,
    resamples: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap.")] = 1_000,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the data sets. Default: $CIVILLY_DATA, else ../shared/data."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Compare a metric, or saved numbers, with people's judgements.

    Sentence level: Spearman and Kendall (tau-b); system level: Spearman and pairwise accuracy; per
    language, with 95 % intervals from resampling source sentences. A suite's components are each
    compared with what people judged, a plain metric with everything. Judgements that a metric was
    trained on are left out.
    """
    from civilly.errors import CivillyError
    from civilly.score.agreement import agreement as agree
    from civilly.score.agreement import require_scipy
    from civilly.score.human import TARGETS, read_judgements, resolve, with_references
    from civilly.score.published import published

    if (metric is None) == (column is None):
        raise CivillyError(
            "Two things to compare with people are named, a metric and --column."
            if metric
            else "Nothing is named to compare with people.",
            allowed="either a metric or a --column of numbers",
            mend="civilly agreement reading, or civilly agreement --column NAME",
        )
    if target is not None and target not in TARGETS:
        raise CivillyError(f"Unknown target {target!r}.", allowed=", ".join(TARGETS))
    require_scipy()
    path = resolve(judgements, data)
    judged = read_judgements(path)
    if column is not None:
        signature = f"column|{column}"
        columns = dict.fromkeys(TARGETS, _saved(judged, column, scores))
    else:
        judged = with_references(judged) if references else judged
        if not judged:
            raise CivillyError(
                f"No row of {judgements!r} has a reference.", mend="leave --references out"
            )
        made = _metric(str(metric), engine)
        judged = _unlearnt(made, judged, path)
        signature = made.signature
        columns = _computed(made, str(metric), judged, references)
    wanted = [name for name in TARGETS if name in columns and target in (None, name)]
    found = {name: agree(columns[name], judged, name, resamples) for name in wanted}
    if as_json:
        _write_json(signature, judgements, found)
        return
    _console.write_out(f"{signature}\n{judgements}: {len(judged)} judged outputs\n")
    for name, rows in found.items():
        _console.write_out(_table(name, rows))
        for row in published(judgements, name):
            what = f"  published, {row.statistic.replace('_', ' ')}: {row.metric}"
            _console.write_out(f"{what}{_values(row.values)} mean {short(row.mean, 2)}\n")


def _metric(name: str, engine: str | None) -> Metric:
    from civilly import registry
    from civilly.toolbox import Toolbox

    return registry.create("score", name, Toolbox(engine, {}))  # type: ignore[no-any-return]


def _unlearnt(metric: Metric, judged: list[Judgement], path: Path) -> list[Judgement]:
    """The judgements that the metric was not trained on; says how many are left out."""
    from civilly.score.human import unlearnt

    apart = unlearnt(metric, judged, path)
    if len(apart) < len(judged):
        _console.note(
            f"{len(judged) - len(apart)} of {len(judged)} judged outputs are left out: the metric "
            "was trained on judgements of their sentences"
        )
    return apart


def _computed(
    made: Metric, name: str, judged: Sequence[Judgement], references: bool
) -> dict[str, list[float]]:
    """The metric's scores, by what they are compared with."""
    from civilly.score.human import TARGETS
    from civilly.score.scoring import columns_of, score_texts, steps
    from civilly.types import Suite, Text

    scores: dict[str, list[float]] = {column: [] for column in columns_of(made, name)}
    with _console.progress(f"scoring with {name}", len(judged)) as advance:
        for rows in steps(made, range(len(judged)), len(judged)):
            part = [judged[row] for row in rows]
            inputs = [Text(j.text, j.lang) for j in part]
            given = [j.references for j in part] if references else None
            found = score_texts(made, name, inputs, [j.output for j in part], given)
            for column, values in found.items():
                scores[column] += values
            advance(len(part))
    return scores if isinstance(made, Suite) else dict.fromkeys(TARGETS, scores[name])


def _saved(judged: Sequence[Judgement], column: str, scores: Path | None) -> list[float]:
    """The numbers of a column, one per judged output."""
    from civilly.data.io import read_utf8
    from civilly.errors import DataError

    rows = [j.row for j in judged] if scores is None else read_utf8(scores).rows
    if len(rows) != len(judged):
        raise DataError(
            f"{scores}: {len(rows)} rows for {len(judged)} judged outputs.",
            mend="a file with one row for each row of the judgements, in their order",
        )
    numbers = []
    for number, row in enumerate(rows, start=1):
        try:
            numbers.append(float(row[column]))
        except KeyError as error:
            raise DataError(
                f"No column {column!r}.",
                allowed=", ".join(row),
                mend="--column with one of these, or --scores FILE for another file",
            ) from error
        except (TypeError, ValueError) as error:
            raise DataError(
                f"Row {number}, column {column!r}: {row[column]!r}.",
                allowed="a number",
                mend="fill it in, or take that row out of scores and judgements",
            ) from error
    return numbers


def _write_json(signature: str, judgements: str, found: dict[str, list[Agreement]]) -> None:
    from dataclasses import asdict

    from civilly.data.values import as_json
    from civilly.score.published import published

    targets: dict[str, Any] = {
        name: {
            "measured": [row.as_row() for row in rows],
            "published": [asdict(row) for row in published(judgements, name)],
        }
        for name, rows in found.items()
    }
    content = {"metric": signature, "judgements": judgements, "targets": targets}
    _console.write_out(as_json(content) + "\n")


def _table(name: str, rows: Sequence[Agreement]) -> str:
    from civilly.score.agreement import STATISTICS

    titles = ["lang", "n", "sentences", "systems", *(s.replace("_", " ") for s in STATISTICS)]
    lines = []
    for row in rows:
        statistics = [_cell(getattr(row, statistic)) for statistic in STATISTICS]
        counts = [row.rows, row.sentences, row.systems]
        lines.append([row.lang, *map(str, counts), *statistics])
    return f"\n{name}\n{aligned(titles, lines)}"


def _cell(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    return f"{short(interval.mean, 2)} [{interval.ends(digits=2)}]"


def _values(values: dict[str, float]) -> str:
    return "".join(f" {lang} {short(value, 2)}" for lang, value in values.items())
