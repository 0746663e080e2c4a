"""``civilly interpret``: looks into the model that rewrites, and reports what it finds there."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from civilly.cli import _console
from civilly.cli._options import DataOption
from civilly.cli._source import LangOption
from civilly.cli._verbs import Shell, TextVerb
from civilly.errors import MissingExtraError

if TYPE_CHECKING:
    from civilly.interpret.explain import Explanation
    from civilly.train.reader.sentences import Sentence

verbs = Shell(
    help="Look into the model: which latents find a text toxic, and what they do.",
    epilog='Example: civilly interpret explain "You fucking idiot."',
)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.add_typer(verbs, name="interpret")


@contextlib.contextmanager
def needing_extra(feature: str) -> Iterator[None]:
    """Turns a package that cannot be imported into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = "train" if error.name in ("sklearn", "scipy") else "sae"
        raise MissingExtraError(feature, extra, error.name or "torch") from error


@verbs.command(epilog="Example: civilly interpret report runs/sae")
def report(
    sae: Annotated[
        str,
        typer.Argument(
            help="Folder of a sparse autoencoder or of `civilly train sae`, embedded, or the name "
            "of a published one."
        ),
    ] = "embedded",
    model: Annotated[
        str, typer.Option(help="Model: embedded, a folder in Hugging Face form, or a hub id.")
    ] = "embedded",
    written: Annotated[
        Path, typer.Option(help="Folder of detector.toml and authored_pairs.")
    ] = Path("recipes"),
    per_language: Annotated[
        int, typer.Option(min=2, help="The most held-out texts of each language.")
    ] = 60,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Measure how well a sparse autoencoder describes the model, per language.

    Into a folder of civilly train sae it writes report.json and report.md.
    """
    from civilly.data.pairs import data_folder

    with needing_extra("Measuring a sparse autoencoder"):
        from civilly.data.values import as_json as printed
        from civilly.interpret.report import as_markdown
        from civilly.interpret.report_run import report_folder
        from civilly.train.sae.held_texts import held_texts

        texts = held_texts(data_folder(data), written, per_language)
        reports = report_folder(sae, model, texts, _console.note)
    if as_json:
        text = printed([each.as_json() for each in reports]) + "\n"
    else:
        text = "\n".join(map(as_markdown, reports))
    _console.write_out(text)


@verbs.command(epilog="Example: civilly interpret latents embedded -o runs/latents")
def latents(
    sae: Annotated[
        str,
        typer.Argument(
            help="Folder of a sparse autoencoder, embedded, or the name of a published one."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for toxic.safetensors and the report.")
    ],
    cases: Annotated[Path, typer.Option(help="Folder of detection cases.")] = Path(
        "recipes/readings/cases"
    ),
    pairs: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of written pairs to choose by, too; repeatable."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Model: embedded, a folder in Hugging Face form, or a hub id.")
    ] = "embedded",
    layer: Annotated[
        int | None, typer.Option(min=0, help="Layer. Default: the autoencoder's.")
    ] = None,
    wrong_layer: Annotated[
        int, typer.Option(min=0, help="Layer of the controls that read another one.")
    ] = 0,
    most: Annotated[int, typer.Option(min=1, help="At most so many latents are chosen.")] = 32,
    per_language: Annotated[
        int,
        typer.Option(min=0, help="The most sentences of each part and language; 0: all."),
    ] = 160,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Find the latents that fire on insults; measure them beside controls in all languages.

    Writes toxic.safetensors, which --detector sae:FOLDER and other methods read, latents.json and
    index.html.
    """
    from civilly.data.files import check_folder

    check_folder(output)
    with needing_extra("Studying latents"):
        from civilly.interpret.latents import report
        from civilly.interpret.latents.run import Settings, study

        report.check_page_can_be_made()
        folders = tuple(pairs or ())
        settings = Settings(
            sae, cases, folders, model, layer, wrong_layer, most, per_language, seed
        )
        rng = random.Random(seed)
        written = _sentences(folders, rng)
        found = study(settings, written, rng, output, _console.note)
        paths = report.write_report(found, output)
    if as_json:
        from civilly.data.values import as_json as printed

        _console.write_out(printed(report.as_json(found)) + "\n")
    _console.note(report.verdict(found))
    for path in paths:
        _console.note(str(path))
    _console.done(output, f'civilly rewrite "You fucking idiot." --detector sae:{output}')


def _sentences(pairs: Sequence[Path], rng: random.Random) -> list[Sentence]:
    """Both sides of written pairs, with what the civil one replaces."""
    if not pairs:
        return []
    from civilly.train.reader.sentences import from_pairs

    return from_pairs(pairs, 1.0, rng)


@verbs.command(cls=TextVerb, epilog='Example: civilly interpret explain "You fucking idiot."')
def explain(
    text: Annotated[str, typer.Argument(help="A text.")],
    lang: LangOption = "auto",
    toxic: Annotated[
        Path | None, typer.Option(help="What civilly interpret latents wrote. Default: what ships.")
    ] = None,
    reading: Annotated[
        str | None, typer.Option(help="Which of its readings. Default: latents.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="embedded, or hf:MODEL.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Show what the model finds toxic in a text, and what each use of that would write."""
    from civilly.cli._source import settled_languages
    from civilly.data.files import check_writable, write_bytes
    from civilly.data.values import as_json as printed
    from civilly.languages import chosen_language

    code = settled_languages([text], [chosen_language(lang, auto=True)])[0]
    if html is not None:
        check_writable(html)
    with needing_extra("Looking into a model"):
        from civilly.interpret import explain as explaining

        found = explaining.explain(text, code, toxic, reading, engine)
    if html is not None:
        write_bytes(html, explaining.page(found).encode())
        _console.note(str(html))
    if as_json:
        _console.write_out(printed(found.as_dict()) + "\n")
    else:
        _show(found)


def _show(found: Explanation) -> None:
    """Prints an explanation; coloured only at a terminal."""
    from rich.text import Text

    from civilly.interpret.explain import LIMIT, pieces, told

    shown = Text()
    for text, word in pieces(found):
        mass = word.mass if word else 0.0
        style = "bold white on red" if mass >= LIMIT else "red" if mass > 0 else ""
        shown.append(_console.visible(text), style=style)
    if _console.stdout_is_terminal():
        _console.console().print(shown)
    lines = [f"{word.mass:.2f}\t{word.text}\t{told(word)}" for word in found.words if word.mass > 0]
    lines += [f"{name}\t{use.rewritten or '–'}" for name, use in found.uses.items()]
    _console.write_out("\n".join(lines) + "\n")
