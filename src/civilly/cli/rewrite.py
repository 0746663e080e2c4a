"""``civilly rewrite``: a text, stdin or a file goes in, its civil version comes out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from civilly.cli import _console
from civilly.cli._options import complete_option, parse_options
from civilly.cli._source import (
    EncodingOption,
    FormatOption,
    LangColumnOption,
    LangOption,
    TextArgument,
    TextColumnOption,
    TextOption,
    complete_entry,
    file_or_stdout,
    losses_of,
    open_source,
)
from civilly.cli._verbs import TextVerb
from civilly.errors import CivillyError, DataError, UnknownNameError

RUNNERS = ("local", "ray")

EXAMPLES = """Examples:

civilly rewrite "What the hell is wrong with you?"

civilly rewrite comments.tsv -o civil.tsv --resume

civilly rewrite comments.tsv --method tuned+infill --page review.html

civilly rewrite comments.tsv --method infill --detector sae

civilly rewrite comments.tsv --strength 0.2 --option decoding=sample -n 8 --select consensus

civilly rewrite comments/ -o civil/ --only-toxic 0.5 --runner ray

cat comments.txt | civilly rewrite - --lang en --json"""


def complete_method(incomplete: str) -> list[tuple[str, str]]:
    """Rewriting methods for shell completion, with their summaries."""
    return complete_entry("methods", incomplete)


def complete_selector(incomplete: str) -> list[tuple[str, str]]:
    """Selectors for shell completion, with their summaries."""
    return complete_entry("select", incomplete)


def complete_detector(incomplete: str) -> list[tuple[str, str]]:
    """Detectors for shell completion, with their summaries."""
    return complete_entry("detect", incomplete)


def complete_engine(incomplete: str) -> list[tuple[str, str]]:
    """Engines for shell completion, with their summaries."""
    return complete_entry("engines", incomplete)


def complete_model(incomplete: str) -> list[str]:
    """Sizes of the product for shell completion."""
    from civilly.engines import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


def complete_runner(incomplete: str) -> list[str]:
    """Runners for shell completion."""
    return [name for name in RUNNERS if name.startswith(incomplete)]


def complete_method_option(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Options of the method for shell completion."""
    given = [item for item in ctx.params.get("option") or [] if item]
    return complete_option("methods", ctx.params.get("method") or "tuned", given, incomplete)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES, cls=TextVerb)(rewrite)


def rewrite(
    text: TextArgument = None,
    given_text: TextOption = None,
    lang: LangOption = "auto",
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            autocompletion=complete_method,
            help="Rewriting method: see civilly ls methods. Several: tuned+infill.",
        ),
    ] = "tuned",
    engine: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_engine,
            help="Engine that generates: see civilly ls engines. Default: the embedded one.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_model,
            help='Size: light is the default; large (pip install "civilly[large]") is ten times '
            "as slow and no better yet: with --adapter, or other methods.",
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="Folder of civilly train, or of a LoRA adapter, instead of the shipped one."
        ),
    ] = None,
    route: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|off",
            help="Route file of civilly route: what writes which language. off: no route.",
        ),
    ] = None,
    n_candidates: Annotated[
        int | None, typer.Option("--n-candidates", "-n", min=1, help="Candidates per text.")
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="0 keeps a text unless a wording reads well, 1 takes nearly any.",
        ),
    ] = 0.5,
    only_toxic: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="P",
            help="Pass texts by whose p(toxic) is below this: they stay as they are, at the "
            "detector's speed.",
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_detector,
            help="What finds toxicity: see civilly ls detectors. Default: context.",
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_selector,
            help="What chooses among candidates: see civilly ls selectors. "
            "Default: the method's own.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            autocompletion=complete_method_option,
            help="Option of the method: see civilly ls options; repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=file_or_stdout,
            help="File to write; its suffix says the format. Default, and -: standard output. "
            "Of a folder: a folder.",
        ),
    ] = None,
    runner: Annotated[
        str,
        typer.Option(
            autocompletion=complete_runner,
            help='Who works on a folder of files: local, or ray (pip install "civilly[ray]").',
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of --runner ray. Default: one per core it has."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster. Default: one on this machine, for this job.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with -o FILE, or --page, after a stop.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace -o FILE and unfinished work on it.")
    ] = False,
    json_lines: Annotated[
        bool,
        typer.Option("--json", help="One JSON object per text: spans, edits, candidates, why."),
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="Also a page on which a person decides row by row (HTML)."),
    ] = None,
    format_name: FormatOption = None,
    text_column: TextColumnOption = None,
    lang_column: LangColumnOption = None,
    encoding: EncodingOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Rewrite toxic text so that it says the same thing civilly.

    A text that is civil already, or that nothing better was found for, stays as it is. A file
    keeps its rows, their order and its other columns; a folder its files (-o FOLDER).
    """
    source = None
    if _is_job(text, runner, workers, address):
        _check_folders(output, page, given_text)
    else:
        _check_page(page, text, output, json_lines=json_lines, resume=resume, overwrite=overwrite)
        _check_output(output, page, json_lines=json_lines, resume=resume, overwrite=overwrite)
        source = open_source(
            text, lang, format_name, text_column, lang_column, encoding, given_text
        )
        _console.warn([*source.warnings, *losses_of(source, output, json_lines=json_lines)])
    from civilly.batch.rows import identity_of
    from civilly.cli._rewriting import to_files, to_person, to_stdout
    from civilly.pipeline import Detoxifier

    options = parse_options(option or [])
    detoxifier = Detoxifier(
        method=method,
        engine=engine,
        model=model,
        adapter=adapter,
        n_candidates=n_candidates,
        options=options,
        select=select,
        strength=strength,
        only_toxic=only_toxic,
        detector=detector,
        route=route,
    )
    if source is None:
        from civilly.batch.source import Reading
        from civilly.cli._batch import to_folder

        reading = Reading(lang, format_name, text_column, lang_column, encoding)
        assert text is not None
        assert output is not None
        to_folder(
            detoxifier, Path(text), output, reading, runner=runner, workers=workers,
            address=address, json_lines=json_lines, overwrite=overwrite,
        )  # fmt: skip
    elif output is not None or page is not None:
        identity = identity_of(detoxifier, source, options)
        to_files(
            detoxifier, source, output, page, identity,
            json_lines=json_lines, resume=resume, overwrite=overwrite,
        )  # fmt: skip
    elif source.single and not json_lines:
        to_person(detoxifier, source)
    else:
        to_stdout(detoxifier, source, json_lines)


def _is_job(text: str | None, runner: str, workers: int | None, address: str | None) -> bool:
    """Whether a folder of files is meant, or a cluster.

    Raises:
        UnknownNameError: If there is no such runner.
        CivillyError: If options of a cluster stand where there is none.
        DataError: If there is nothing that a cluster could read.
    """
    if runner not in RUNNERS:
        raise UnknownNameError("runner", runner, RUNNERS)
    if runner == "local" and (workers or address):
        raise CivillyError("--workers and --address are about a cluster.", mend="--runner ray")
    try:
        there = text is not None and Path(text).exists()
        is_folder = there and Path(str(text)).is_dir()
    except (OSError, ValueError):  # too long for a file name, or a NUL in it
        there = is_folder = False
    if runner == "ray" and not there:
        raise DataError(
            "--runner ray is for a file or a folder that exists.", mend="name it, or leave it out"
        )
    return is_folder or runner == "ray"


def _check_folders(output: Path | None, page: Path | None, given_text: str | None) -> None:
    if given_text is not None:
        raise CivillyError("There are two texts.", mend="leave one out, or hand over a file")
    if output is None:
        raise CivillyError("There is no folder for the outputs.", mend="-o FOLDER")
    if output.exists() and not output.is_dir():
        raise DataError(f"{str(output)!r} is no folder.", mend="-o FOLDER")
    if page is not None:
        raise CivillyError("A page is made of one file.", mend="name that file, or leave it out")


def _check_page(
    page: Path | None,
    text: str | None,
    output: Path | None,
    *,
    json_lines: bool,
    resume: bool,
    overwrite: bool,
) -> None:
    """Finds out before the work whether the page can be written, and over nothing else."""
    from civilly.data.files import refuse_existing
    from civilly.data.journal import journal_path

    if page is None:
        return
    if json_lines and output is None:
        raise CivillyError("--page and --json would both be the output.", mend="-o FILE.jsonl")
    others = [os.path.abspath(path) for path in (text, output) if path]
    if os.path.abspath(page) in others:
        raise DataError(f"The page {str(page)!r} is the input or -o.", mend="another name")
    if page.suffix.lower() not in (".html", ".htm"):
        raise DataError(f"{str(page)!r}: the page is HTML.", mend="--page FILE.html")
    unfinished = resume and journal_path(output or page).exists()
    refuse_existing(page, overwrite or unfinished)


def _check_output(
    output: Path | None, page: Path | None, *, json_lines: bool, resume: bool, overwrite: bool
) -> None:
    """Finds out before the work whether its result can be written."""
    from civilly.data.files import check_writable
    from civilly.data.io import format_of

    if resume and overwrite:
        raise CivillyError("--resume and --overwrite exclude each other.", mend="give one of them")
    if output is None:
        if (resume or overwrite) and page is None:
            raise CivillyError(
                "--resume and --overwrite are about a file.", mend="name it with -o FILE"
            )
        return
    format_name = format_of(output, writing=True)
    if format_name == "parquet":
        import civilly.data.parquet as parquet

        parquet.require()
    if json_lines and format_name != "jsonl":
        raise DataError(
            f"--json writes JSON lines, but {str(output)!r} is another format.",
            mend="-o FILE.jsonl",
        )
    check_writable(output)
