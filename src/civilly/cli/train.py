"""``civilly train``: makes what ships as weights, each from a recipe or the data alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._options import DataOption
from civilly.errors import MissingExtraError

RecipeArgument = Annotated[Path, typer.Argument(help="Recipe file.")]
OutOption = Annotated[Path, typer.Option("--output", "--out", "-o", help="Folder for the result.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with -o after a stop.")]
TakeOutLeaksOption = Annotated[
    bool,
    typer.Option(
        "--take-out-leaks",
        help="Leave pairs that repeat held-out or official texts out, instead of refusing.",
    ),
]

trainings = typer.Typer(
    help="Train an adapter, a detector or a language model; choose the vocabulary.",
    no_args_is_help=True,
    epilog="Example: civilly train sft recipes/tuned.toml -o runs/tuned",
)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.add_typer(trainings, name="train")


@contextlib.contextmanager
def _needing_extra(feature: str) -> Iterator[None]:
    """Turns a package that cannot be imported into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(feature, "train", error.name or "torch") from error


def _train_adapter(
    train: Callable[[dict[str, Any], Path, Path], object],
    recipe: Path,
    output: Path,
    data: Path | None,
) -> None:
    from civilly.data.pairs import data_folder
    from civilly.data.recipe_table import read_recipe

    folder = data_folder(data)
    train(read_recipe(recipe), folder, output)
    _console.note(f"done: {output}")


@trainings.command(epilog="Example: civilly train sft recipes/tuned.toml -o runs/tuned --resume")
def sft(
    recipe: RecipeArgument,
    output: OutOption,
    data: DataOption = None,
    resume: ResumeOption = False,
    take_out_leaks: TakeOutLeaksOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Fine-tune a rewriting adapter on pairs (LoRA), checked for leaks first."""
    with _needing_extra("Fine-tuning"):
        from civilly.train.sft import train_sft

        train = partial(train_sft, resume=resume, take_out_leaks=take_out_leaks)
        _train_adapter(train, recipe, output, data)


@trainings.command(epilog="Example: civilly train fim recipes/fim.toml -o runs/fim --resume")
def fim(
    recipe: RecipeArgument,
    output: OutOption,
    data: DataOption = None,
    resume: ResumeOption = False,
    take_out_leaks: TakeOutLeaksOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Fine-tune an adapter that fills holes (FIM) on pairs, checked for leaks first."""
    with _needing_extra("Fine-tuning"):
        from civilly.train.fim.run import train_fim

        train = partial(train_fim, resume=resume, take_out_leaks=take_out_leaks)
        _train_adapter(train, recipe, output, data)


@trainings.command(epilog="Example: civilly train sweep recipes/sweep.toml -o runs/sweep --resume")
def sweep(
    recipe: RecipeArgument,
    output: OutOption,
    data: DataOption = None,
    resume: ResumeOption = False,
    take_out_leaks: TakeOutLeaksOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Search over models and settings of a fine-tuning; writes the best recipe and a report."""
    from civilly.data.pairs import data_folder

    with _needing_extra("A sweep"):
        from civilly.data.recipe_table import read_recipe
        from civilly.train.sweep.run import Workplace, run_sweep

        place = Workplace(data_folder(data), output, take_out_leaks)
        run_sweep(read_recipe(recipe), place, resume=resume, progress=_console.note)
    _console.note(f"done: {output}")


@trainings.command(epilog="Example: civilly train detector recipes/detector.toml -o runs/detector")
def detector(
    recipe: RecipeArgument,
    output: OutOption,
    data: DataOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Train the toxicity detector on labelled texts."""
    from civilly.data.pairs import data_folder

    with _needing_extra("Training a detector"):
        from civilly.data.recipe_table import read_recipe
        from civilly.train.detector import train_detector

        train_detector(read_recipe(recipe), data_folder(data), output, recipe.parent)
    _console.note(f"done: {output}")


@trainings.command(epilog="Example: civilly train language recipes/language.toml -o runs/language")
def language(
    recipe: RecipeArgument,
    output: OutOption,
    data: DataOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Train what tells apart the languages that share a script."""
    from civilly.data.pairs import data_folder

    with _needing_extra("Training the language model"):
        from civilly.data.recipe_table import read_recipe
        from civilly.train.language import train_language

        train_language(read_recipe(recipe), data_folder(data), output, recipe.parent)
    _console.note(f"done: {output}")


@trainings.command(epilog="Example: civilly train vocabulary -o runs/kept_tokens.safetensors")
def vocabulary(
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the list.")],
    data: DataOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Choose the tokens that the trimmed model keeps."""
    from civilly.data.pairs import data_folder
    from civilly.train.vocabulary import write_vocabulary

    kept = write_vocabulary(data_folder(data), output)
    _console.note(f"done: {output}, {kept} tokens")


@trainings.command(epilog="Example: civilly train seams recipes/seams.toml -o runs/seams.json")
def seams(
    recipe: RecipeArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the table.")],
    data: DataOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Count which frequent words never stand side by side in civil text."""
    from civilly.data.pairs import data_folder

    with _needing_extra("Counting words"):
        from civilly.data.recipe_table import read_recipe
        from civilly.train.seams import train_seams

        found = train_seams(read_recipe(recipe), data_folder(data), output)
    for lang, (pairs, threshold) in found.items():
        _console.note(f"{lang}: {pairs} pairs, threshold {threshold}")


@trainings.command(epilog="Example: civilly train smoothing recipes/distilled_pairs -o peaks")
def smoothing(
    pairs: Annotated[Path, typer.Argument(help="Folder of pairs, a file per language.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the peaks.")],
    debug: _console.DebugOption = False,
) -> None:
    """Measure the activations by which the embedded model's rounding is smoothed."""
    with _needing_extra("Measuring activations"):
        from civilly.train.smoothing import train_smoothing

        train_smoothing(pairs, output)
    _console.note(f"done: {output}")


@trainings.command(epilog="Example: civilly train suite -o runs/suite")
def suite(output: OutOption, data: DataOption = None, debug: _console.DebugOption = False) -> None:
    """Fit the embedded suite's few coefficients to people's judgements."""
    from civilly.data.pairs import data_folder

    with _needing_extra("Fitting the embedded suite"):
        from civilly.train.suite import train_suite

        train_suite(data_folder(data), output)
    _console.note(f"done: {output}")
