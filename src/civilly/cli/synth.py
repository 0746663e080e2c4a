"""``civilly synth``: a model rewrites real texts, filters decide what may be trained on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._options import DataOption, parse_options
from civilly.cli._source import (
    EncodingOption,
    FormatOption,
    LangColumnOption,
    LangOption,
    TextColumnOption,
    a_file,
    open_source,
    settled_languages,
)
from civilly.cli._verbs import Shell
from civilly.errors import CivillyError

if TYPE_CHECKING:
    from civilly.synth.budget import Budget
    from civilly.synth.filters import Filter

EXAMPLE = (
    "Example: civilly synth detoxify toxic.tsv -o runs/synth --licence CC0-1.0 "
    "--engine openai:http://localhost:8080/v1#model"
)
_SECONDS_BETWEEN_LINES = 5.0

synthetic = Shell(help="Make synthetic data with a model, and filter it.", epilog=EXAMPLE)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.add_typer(synthetic, name="synth")


InputArgument = Annotated[Path, typer.Argument(metavar="INPUT", help="File of real texts.")]
FolderOption = Annotated[
    Path, typer.Option("--output", "-o", callback=a_file, help="Folder for the set.")
]
EngineOption = Annotated[
    str | None, typer.Option(help="Engine that generates: see civilly ls engines.")
]
CandidatesOption = Annotated[
    int, typer.Option("--n-candidates", "-n", min=1, help="Candidates per text.")
]
TemperatureOption = Annotated[float, typer.Option(min=0.0, help="0 is greedy: one candidate.")]
SeedOption = Annotated[int, typer.Option(help="Seed of sampling.")]
ShotsOption = Annotated[
    int, typer.Option("--examples", min=0, max=4, help="Examples in a prompt, of its language.")
]
AtOnceOption = Annotated[
    int | None, typer.Option(min=1, help="Requests at a time. Default: what the engine says.")
]
RequestsOption = Annotated[int | None, typer.Option(min=1, help="Budget: requests in all.")]
TokensOption = Annotated[
    int | None, typer.Option(min=1, help="Budget: tokens in all, read and written.")
]
MoneyOption = Annotated[
    float | None, typer.Option(min=0.0, help="Budget: money in all; needs prices.")
]
ReadPriceOption = Annotated[float, typer.Option(min=0.0, help="Price of a million tokens read.")]
WrittenPriceOption = Annotated[
    float, typer.Option(min=0.0, help="Price of a million tokens written.")
]
LicenceOption = Annotated[
    str, typer.Option(help="Licence (SPDX) of texts whose column licence states none.")
]
ModelLicenceOption = Annotated[
    str, typer.Option(help="Terms (SPDX) under which the model's outputs may be used.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", help="A licence that is allowed too; repeatable."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FILTER=VALUE", help="Another threshold; repeatable."),
]
WithoutOption = Annotated[
    list[str] | None, typer.Option("--without", metavar="FILTER", help="Leave a filter out.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on after a stop.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Begin again.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The report as one JSON object.")]


def _verb(direction: str) -> Callable[..., None]:
    def verb(
        texts: InputArgument,
        output: FolderOption,
        engine: EngineOption = None,
        n_candidates: CandidatesOption = 1,
        temperature: TemperatureOption = 0.7,
        seed: SeedOption = 0,
        shots: ShotsOption = 3,
        at_once: AtOnceOption = None,
        max_requests: RequestsOption = None,
        max_tokens: TokensOption = None,
        max_money: MoneyOption = None,
        price_read: ReadPriceOption = 0.0,
        price_written: WrittenPriceOption = 0.0,
        licence: LicenceOption = "",
        model_licence: ModelLicenceOption = "",
        allow: AllowOption = None,
        thresholds: SetOption = None,
        without: WithoutOption = None,
        data: DataOption = None,
        resume: ResumeOption = False,
        overwrite: OverwriteOption = False,
        as_json: JsonOption = False,
        lang: LangOption = "auto",
        format_name: FormatOption = None,
        text_column: TextColumnOption = None,
        lang_column: LangColumnOption = None,
        encoding: EncodingOption = None,
        debug: _console.DebugOption = False,
    ) -> None:
        if resume and overwrite:
            raise CivillyError("--resume and --overwrite exclude each other.", mend="give one")
        from civilly import __version__
        from civilly.synth.asking import Asking
        from civilly.synth.budget import Limits
        from civilly.synth.folder import Run
        from civilly.synth.prompts import DIRECTIONS, prompt_version
        from civilly.synth.run import make_answers, write_set
        from civilly.synth.texts import texts_of_table

        limits = Limits(max_requests, max_tokens, max_money, price_read, price_written)
        filters, notes = _filters(thresholds, without, data, allow)
        source = open_source(str(texts), lang, format_name, text_column, lang_column, encoding)
        _console.warn(source.warnings)
        langs = settled_languages(source.texts, source.langs)
        rows = texts_of_table(source.table, source.texts, langs, texts.name, licence)
        way = DIRECTIONS[direction]
        name, model, stop = _engine(engine)
        n = n_candidates if temperature > 0 else 1
        run = Run(
            direction, name, model, prompt_version(way, shots), shots, n, temperature, seed,
            model_licence, _digest(rows), __version__,
        )  # fmt: skip
        from civilly.engines import open_engine
        from civilly.types import GenerationOptions

        options = GenerationOptions(n, temperature=temperature, seed=seed, stop=stop)
        answers, complete = make_answers(
            lambda: open_engine(engine), rows, run, Asking(way, options, shots, at_once), output,
            limits, resume=resume, overwrite=overwrite, tell=_teller(len(rows)),
        )  # fmt: skip
        report = write_set(output, run, answers, filters, complete=complete, notes=notes)
        _show(report, output, as_json)
        if not complete:
            _console.note(
                f"the budget ended after {len(answers)} of {len(rows)} texts; go on with --resume "
                "and a larger one"
            )

    return verb


_detoxify = _verb("detoxify")
_detoxify.__doc__ = """Let a model rewrite real toxic texts civilly: pairs to train on.

    Writes accepted.jsonl, rejected.jsonl, answers.jsonl, synthetic.json and a card, README.md.
    Every answer is on disk before the next is asked for: a stop at any moment loses nothing.
    """
_toxify = _verb("toxify")
_toxify.__doc__ = """Let a model rewrite civil texts rudely: hard negatives only, no pairs.

    Rewriters that are trained on a model's toxic sides are misled, so civilly data build refuses
    such a set. Otherwise as detoxify.
    """
synthetic.command("detoxify", epilog=EXAMPLE)(_detoxify)
synthetic.command("toxify", epilog=EXAMPLE)(_toxify)


def _filters(
    thresholds: list[str] | None,
    without: list[str] | None,
    data: Path | None,
    allow: list[str] | None,
) -> tuple[list[Filter], list[str]]:
    """The filters, and what they cannot know."""
    from civilly.data.corpus.recipe import SHIPPABLE
    from civilly.data.pairs import data_folder
    from civilly.errors import DataError
    from civilly.synth.filters import NO_DATA, FilterTools, open_filters

    notes = []
    try:
        folder = data_folder(data)
    except DataError:
        if data is not None:
            raise
        folder = None
        notes = [f"Leaks were not looked for: {NO_DATA}."]
        _console.warn(notes)
    tools = FilterTools(folder, [*SHIPPABLE, *(allow or [])])
    return open_filters(tools, parse_options(thresholds or []), without or []), notes


def _engine(spec: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Its name, its model, and where an answer ends.

    A server's chat model ends its answers itself; others would go on with further examples.
    """
    from civilly.engines import check_engine, engine_name, model_name

    check_engine(spec)
    name = engine_name(spec)
    if name == "openai":
        return name, (spec or "").partition("#")[2], ()
    return name, model_name(spec) if spec else name, ("\n\n",)


def _digest(rows: Any) -> str:
    import hashlib

    return hashlib.sha256(repr(rows).encode("utf-8", "replace")).hexdigest()


def _teller(total: int) -> Callable[[int, Budget], None]:
    """A running count on standard error."""
    last = 0.0

    def tell(done: int, budget: Budget) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES or done == total:
            last = now
            _console.note(f"asked: {done}/{total} texts, {budget}")

    return tell


def _show(report: Mapping[str, Any], folder: Path, as_json: bool) -> None:
    from civilly.cli._table import aligned
    from civilly.data.values import as_json as to_json

    if as_json:
        _console.write_out(to_json(report) + "\n")
    else:
        rows = [
            (each["name"], "" if each["threshold"] is None else f"{each['threshold']:g}",
             str(each["took"]), str(each["failed"]), str(each["alone"]), each["summary"])
            for each in report["filters"]
        ]  # fmt: skip
        langs = [(code, str(n["texts"]), str(n["accepted"]))
                 for code, n in report["languages"].items()]  # fmt: skip
        header = ("filter", "threshold", "took", "failed", "alone", "looks for")
        _console.write_out(aligned(header, rows) + "\n")
        _console.write_out(aligned(("lang", "texts", "accepted"), langs))
    following = 'name it in a recipe as a source of the kind "synthetic"'
    _console.done(folder, following if report["use"] == "pairs" else "")


@synthetic.command("filter", epilog="Example: civilly synth filter runs/synth --set similarity=0.6")
def refilter(
    made: Annotated[Path, typer.Argument(metavar="SET", help="Folder of a set, or file of pairs.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the set, of a file of pairs.")
    ] = None,
    model: Annotated[str, typer.Option(help="Which model wrote a file's civil sides.")] = "",
    licence: LicenceOption = "",
    model_licence: ModelLicenceOption = "",
    overwrite: OverwriteOption = False,
    allow: AllowOption = None,
    thresholds: SetOption = None,
    without: WithoutOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Filter the answers of a set again, with other thresholds; nothing is asked.

    Of pairs that others published (columns toxic, neutral, lang; id, source and licence are kept)
    it makes a set first, in the folder --output.
    """
    from civilly.synth.folder import read_run
    from civilly.synth.run import write_set

    filters, notes = _filters(thresholds, without, data, allow)
    folder = made
    if not made.is_dir():
        folder = _taken_up(made, output, model, (licence, model_licence), overwrite)
    elif output or model or licence or model_licence or overwrite:
        raise CivillyError(
            f"{str(made)!r} is a set, which says itself how it was made.",
            mend="leave --output, --model, --licence, --model-licence and --overwrite out",
        )
    run, rows = read_run(folder)
    _show(write_set(folder, run, rows, filters, complete=True, notes=notes), folder, as_json)


def _taken_up(
    pairs: Path, output: Path | None, model: str, licences: tuple[str, str], overwrite: bool
) -> Path:
    """The folder of a set made of a file of pairs."""
    if output is None or not model:
        raise CivillyError(
            f"{str(pairs)!r} is no folder; of a file of pairs a set is made.",
            mend="say where with --output, and which model wrote its civil sides with --model",
        )
    from civilly import __version__
    from civilly.data.io import read_utf8
    from civilly.synth.folder import Run
    from civilly.synth.published import PUBLISHED, published_rows, take_up

    rows = published_rows(read_utf8(pairs), str(pairs), pairs.name, licences[0])
    most = max(len(row["answers"]) for row in rows)
    run = Run(
        "detoxify", PUBLISHED, model, "", 0, most, 0.0, 0, licences[1], _digest(rows), __version__
    )
    take_up(output, run, rows, overwrite=overwrite)
    return output


@synthetic.command("sweep", epilog="Example: civilly synth sweep runs/synth similarity")
def sweep(
    folder: Annotated[Path, typer.Argument(help="Folder of a set.")],
    name: Annotated[str, typer.Argument(metavar="FILTER", help="Filter to sweep.")],
    steps: Annotated[int, typer.Option(min=2, help="Thresholds between 0 and 1.")] = 21,
    as_json: JsonOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Tell how many texts keep a candidate at every threshold of a filter; nothing is written."""
    from civilly.cli._table import aligned
    from civilly.data.values import as_json as to_json
    from civilly.synth.sweep import swept

    curve = swept(folder, name, steps)
    if as_json:
        _console.write_out(to_json([{"threshold": t, "texts": n} for t, n in curve]) + "\n")
        return
    _console.write_out(aligned(("threshold", "texts"), [(f"{t:.2f}", str(n)) for t, n in curve]))


@synthetic.command("refusals", epilog="Example: civilly synth refusals recipes/refusals")
def refusals(
    folder: Annotated[Path, typer.Argument(help="Folder of labelled answers, a file a language.")],
    threshold: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the filter.")] = 0.5,
    errors: Annotated[bool, typer.Option("--errors", help="Show what is found wrongly.")] = False,
    as_json: JsonOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Measure how refusals and disclaimers are found: precision and recall of each language."""
    from civilly.cli._table import aligned
    from civilly.data.values import as_json as to_json
    from civilly.data.values import short
    from civilly.synth.labelled_refusals import measure, read_labelled_answers

    found = measure(read_labelled_answers(folder), threshold)
    if as_json:
        _console.write_out(to_json(found) + "\n")
        return
    header = ("lang", "part", "rows", "precision", "recall")
    rows = [
        (each["lang"], each["part"], str(each["rows"]), *(
            "" if each[what] is None else short(each[what]) for what in ("precision", "recall")))
        for each in found
    ]  # fmt: skip
    _console.write_out(aligned(header, rows))
    if errors:
        _console.write_out("".join(f"{e['lang']} {e['part']} {text}\n" for e in found
                                   if e["lang"] != "all" for text in e["errors"]))  # fmt: skip
