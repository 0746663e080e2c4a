"""``civilly synth``: a model rewrites texts or invents threads, filters decide what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from civilly.cli import _console
from civilly.cli._options import DataOption
from civilly.cli._source import (
    EncodingOption,
    FormatOption,
    LangColumnOption,
    LangOption,
    TextColumnOption,
    open_source,
    settled_languages,
)
from civilly.cli._synth import (
    AllowOption,
    AtOnceOption,
    CandidatesOption,
    EngineOption,
    FolderOption,
    JsonOption,
    LicenceOption,
    ModelLicenceOption,
    MoneyOption,
    OverwriteOption,
    ReadPriceOption,
    RequestsOption,
    ResumeOption,
    SeedOption,
    SetOption,
    ShotsOption,
    TemperatureOption,
    TokensOption,
    WithoutOption,
    WrittenPriceOption,
    digest,
    ended,
    engine_of,
    filters_of,
    one_beginning,
    real_of,
    show,
    teller,
)
from civilly.cli._verbs import Shell
from civilly.errors import CivillyError

EXAMPLE = (
    "Example: civilly synth detoxify toxic.tsv -o runs/synth --licence CC0-1.0 "
    "--engine openai:http://localhost:8080/v1#model"
)

synthetic = Shell(help="Make synthetic data with a model, and filter it.", epilog=EXAMPLE)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.add_typer(synthetic, name="synth")


InputArgument = Annotated[Path, typer.Argument(metavar="INPUT", help="File of real texts.")]


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
        one_beginning(resume, overwrite)
        from civilly import __version__
        from civilly.synth.asking import Asking
        from civilly.synth.budget import Limits
        from civilly.synth.folder import Run
        from civilly.synth.prompts import DIRECTIONS, prompt_for, prompt_version
        from civilly.synth.run import make_answers, write_set
        from civilly.synth.texts import texts_of_table

        limits = Limits(max_requests, max_tokens, max_money, price_read, price_written)
        filters, notes = filters_of(thresholds, without, data, allow)
        source = open_source(str(texts), lang, format_name, text_column, lang_column, encoding)
        _console.warn(source.warnings)
        langs = settled_languages(source.texts, source.langs)
        rows = texts_of_table(source.table, source.texts, langs, texts.name, licence)
        way = DIRECTIONS[direction]
        name, model, stop = engine_of(engine)
        n = n_candidates if temperature > 0 else 1
        run = Run(
            direction, name, model, prompt_version(way, shots), shots, n, temperature, seed,
            model_licence, digest(rows), __version__,
        )  # fmt: skip
        from civilly.engines import open_engine
        from civilly.types import GenerationOptions

        options = GenerationOptions(n, temperature=temperature, seed=seed, stop=stop)
        asking = Asking(lambda t: prompt_for(t.as_text, way, shots), options, at_once)
        answers, complete = make_answers(
            lambda: open_engine(engine), rows, run, asking, output,
            limits, resume=resume, overwrite=overwrite, tell=teller(len(rows)),
        )  # fmt: skip
        report = write_set(output, run, answers, filters, complete=complete, notes=notes)
        show(report, output, as_json)
        ended(complete, len(answers), len(rows))

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


THREADS_EXAMPLE = (
    "Example: civilly synth threads recipes/threads.toml -o runs/threads "
    "--engine openai:http://localhost:8080/v1#model"
)


@synthetic.command("threads", epilog=THREADS_EXAMPLE)
def threads(
    recipe: Annotated[Path, typer.Argument(help="Recipe: the grid, an example, how many.")],
    output: FolderOption,
    engine: EngineOption = None,
    n_candidates: CandidatesOption = 1,
    temperature: TemperatureOption = 0.8,
    seed: SeedOption = 0,
    at_once: AtOnceOption = None,
    max_requests: RequestsOption = None,
    max_tokens: TokensOption = None,
    max_money: MoneyOption = None,
    price_read: ReadPriceOption = 0.0,
    price_written: WrittenPriceOption = 0.0,
    model_licence: ModelLicenceOption = "",
    allow: AllowOption = None,
    thresholds: SetOption = None,
    without: WithoutOption = None,
    data: DataOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Let a model invent posts and the comments under them: hard negatives only, no pairs.

    The recipe's grid says what about, how, who and in which languages. Every comment comes rude
    and civil, with how toxic it is. Folder, filters, budgets and stops are those of detoxify; the
    report says besides how unlike each other and unlike real comments they are.
    """
    from civilly import __version__
    from civilly.engines import open_engine
    from civilly.synth.asking import Asking
    from civilly.synth.budget import Limits
    from civilly.synth.folder import Run
    from civilly.synth.prompts import THREADS
    from civilly.synth.run import make_answers, write_set
    from civilly.synth.threads import (
        LONGEST_ANSWER,
        SCHEMA,
        cells,
        prompt_head,
        prompt_version,
        read_thread_recipe,
    )
    from civilly.types import GenerationOptions

    one_beginning(resume, overwrite)
    limits = Limits(max_requests, max_tokens, max_money, price_read, price_written)
    filters, notes = filters_of(thresholds, without, data, allow)
    wanted = read_thread_recipe(recipe)
    asked = cells(wanted)
    name, model, stop = engine_of(engine)
    n = n_candidates if temperature > 0 else 1
    run = Run(
        THREADS.name, name, model, prompt_version(wanted), 1, n, temperature, seed, model_licence,
        digest([cell.prompt.text for cell in asked]), __version__, prompt_head(wanted),
    )  # fmt: skip
    options = GenerationOptions(
        n, LONGEST_ANSWER, temperature=temperature, seed=seed, stop=stop, schema=SCHEMA
    )
    answers, complete = make_answers(
        lambda: open_engine(engine), asked, run,
        Asking(lambda cell: cell.prompt, options, at_once), output, limits,
        resume=resume, overwrite=overwrite, tell=teller(len(asked)),
    )  # fmt: skip
    real = real_of(data, wanted.grid.languages)
    report = write_set(output, run, answers, filters, complete=complete, notes=notes, real=real)
    show(report, output, as_json)
    ended(complete, len(answers), len(asked))


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

    filters, notes = filters_of(thresholds, without, data, allow)
    folder = made
    if not made.is_dir():
        folder = _taken_up(made, output, model, (licence, model_licence), overwrite)
    elif output or model or licence or model_licence or overwrite:
        raise CivillyError(
            f"{str(made)!r} is a set, which says itself how it was made.",
            mend="leave --output, --model, --licence, --model-licence and --overwrite out",
        )
    run, rows = read_run(folder)
    real = real_of(data, sorted({row["lang"] for row in rows})) if run.way.invents else None
    report = write_set(folder, run, rows, filters, complete=True, notes=notes, real=real)
    show(report, folder, as_json)


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
        "detoxify", PUBLISHED, model, "", 0, most, 0.0, 0, licences[1], digest(rows), __version__
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
