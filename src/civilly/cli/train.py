"""``civilly train``: makes what ships as weights, each from a recipe or the data alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._options import DataOption
from civilly.cli._source import a_file
from civilly.cli._verbs import Shell
from civilly.errors import MissingExtraError

if TYPE_CHECKING:
    from civilly.train.finetuning import Options

RecipeArgument = Annotated[Path, typer.Argument(help="Recipe file.")]
OutOption = Annotated[
    Path,
    typer.Option("--output", "--out", "-o", callback=a_file, help="Folder for the result."),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with -o after a stop.")]
TakeOutLeaksOption = Annotated[
    bool,
    typer.Option(
        "--take-out-leaks",
        help="Leave pairs that repeat held-out or official texts out, instead of refusing.",
    ),
]

trainings = Shell(
    help="Train an adapter, a detector or a language model; choose the vocabulary.",
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


@dataclass(frozen=True, slots=True)
class Job:
    """What the user asked a training by a recipe for.

    Attributes:
        recipe: The recipe file.
        output: Folder for the result.
        data: The data folder.
        resume: Go on after a stop.
        take_out_leaks: Leave pairs that repeat held-out or official texts out.
    """

    recipe: Path
    output: Path
    data: Path
    resume: bool = False
    take_out_leaks: bool = False

    @property
    def options(self) -> Options:
        """How a fine-tuning is begun."""
        return {"resume": self.resume, "take_out_leaks": self.take_out_leaks}

    @property
    def content(self) -> dict[str, Any]:
        """The recipe's tables."""
        from civilly.data.recipe_table import read_recipe

        return read_recipe(self.recipe)


Training = Callable[[Job], None]


def _run(train: Training, feature: str, job: Job) -> None:
    from civilly.data.files import check_folder

    check_folder(job.output)
    with _needing_extra(feature):
        train(job)
    _console.done(job.output, _following(train.__name__, job))


def _following(verb: str, job: Job) -> str:
    """What to type next, for a training whose result the other verbs take."""
    import shlex

    from civilly.model.adapter import weights_folder

    run = shlex.quote(str(job.output))
    if verb == "sweep":
        return f"civilly train sft {shlex.quote(str(job.output / 'best.toml'))} -o RUN"
    if verb not in ("sft", "fim", "prefer"):
        return ""
    base = job.content.get("base", {}).get("name", "embedded")
    if base == "embedded":
        method = " -m infill" if verb == "fim" else ""
        return f'civilly rewrite "You fucking idiot."{method} --adapter {run}'
    engine = f"hf:{weights_folder(job.output)}"
    return f'civilly rewrite "You fucking idiot." --engine {shlex.quote(engine)}'


def _fine_tuning(feature: str) -> Callable[[Training], None]:
    """Makes a verb of a training on pairs, which can go on after a stop and looks for leaks."""

    def add(train: Training) -> None:
        @trainings.command(train.__name__, help=train.__doc__, epilog=_example(train, " --resume"))
        def verb(
            recipe: RecipeArgument,
            output: OutOption,
            data: DataOption = None,
            resume: ResumeOption = False,
            take_out_leaks: TakeOutLeaksOption = False,
            debug: _console.DebugOption = False,
        ) -> None:
            from civilly.data.pairs import data_folder

            job = Job(recipe, output, data_folder(data), resume, take_out_leaks)
            _run(train, feature, job)

    return add


def _fitting(feature: str) -> Callable[[Training], None]:
    """Makes a verb of a training that is done in one go."""

    def add(train: Training) -> None:
        @trainings.command(train.__name__, help=train.__doc__, epilog=_example(train))
        def verb(
            recipe: RecipeArgument,
            output: OutOption,
            data: DataOption = None,
            debug: _console.DebugOption = False,
        ) -> None:
            from civilly.data.pairs import data_folder

            _run(train, feature, Job(recipe, output, data_folder(data)))

    return add


def _example(train: Training, more: str = "") -> str:
    name = train.__name__
    recipe = {"sft": "tuned", "prefer": "prefer_dpo"}.get(name, name)
    return f"Example: civilly train {name} recipes/{recipe}.toml -o runs/{recipe}{more}"


@_fine_tuning("Fine-tuning")
def sft(job: Job) -> None:
    """Fine-tune a model to rewrite: LoRA, DoRA or as a whole, on pairs checked for leaks first."""
    from civilly.train.sft import train_sft

    train_sft(job.content, job.data, job.output, **job.options)


@_fine_tuning("Fine-tuning")
def fim(job: Job) -> None:
    """Fine-tune a model to fill holes (FIM), on pairs checked for leaks first."""
    from civilly.train.fim.run import train_fim

    train_fim(job.content, job.data, job.output, **job.options)


@_fine_tuning("Learning from preferences")
def prefer(job: Job) -> None:
    """Train a model to write what people prefer: DPO, IPO, KTO, ORPO, SimPO, CPO, GRPO."""
    from civilly.train.prefer.run import train_prefer

    train_prefer(job.content, job.data, job.output, **job.options)


@trainings.command(epilog="Example: civilly train audit runs/prefer_grpo")
def audit(
    run: Annotated[Path, typer.Argument(help="Run folder with checkpoints.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", help="A recipe whose table audit counts instead of the run's own."
        ),
    ] = None,
    data: DataOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Look at every checkpoint with referees that a training never saw; find a gamed reward."""
    from civilly.data.pairs import data_folder
    from civilly.data.recipe_table import read_recipe

    with _needing_extra("An audit"):
        from civilly.train.audit.run import audit_run

        content = read_recipe(recipe) if recipe else None
        report = audit_run(run, data_folder(data), content, progress=_console.note)
    _console.note(report.verdict)
    _console.done(run / "audit" / "index.html")


@_fine_tuning("A sweep")
def sweep(job: Job) -> None:
    """Search over models and settings of a fine-tuning; writes the best recipe and a report."""
    from civilly.train.sweep.run import Workplace, run_sweep

    place = Workplace(job.data, job.output, job.take_out_leaks)
    run_sweep(job.content, place, resume=job.resume, progress=_console.note)


@trainings.command(
    epilog="Example: civilly train languages recipes/languages.toml -o runs/languages --resume"
)
def languages(
    recipe: RecipeArgument,
    output: OutOption,
    lang: Annotated[
        list[str] | None,
        typer.Option("--lang", help="Only this language of the recipe; repeatable."),
    ] = None,
    data: DataOption = None,
    resume: ResumeOption = False,
    take_out_leaks: TakeOutLeaksOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Fine-tune a small adapter for each language, from one recipe."""
    from civilly.data.pairs import data_folder

    def train(job: Job) -> None:
        from civilly.train.languages.run import Workplace, train_languages

        place = Workplace(job.data, job.output, job.take_out_leaks)
        train_languages(
            job.content, place, langs=lang or (), resume=job.resume, progress=_console.note
        )

    _run(
        train,
        "Fine-tuning",
        Job(recipe, output, data_folder(data), resume, take_out_leaks),
    )


@_fitting("Training a detector")
def detector(job: Job) -> None:
    """Train the toxicity detector on labelled texts."""
    from civilly.train.detector import train_detector

    train_detector(job.content, job.data, job.output, job.recipe.parent)


@_fitting("Training the language model")
def language(job: Job) -> None:
    """Train what tells apart the languages that share a script."""
    from civilly.train.language import train_language

    train_language(job.content, job.data, job.output, job.recipe.parent)


@trainings.command(
    epilog="Example: civilly train reader recipes/reader.toml -o runs/reader --resume"
)
def reader(
    recipe: RecipeArgument,
    output: OutOption,
    data: DataOption = None,
    resume: ResumeOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Train what reads in context: the detector, and the judge of rewrites."""
    from civilly.data.pairs import data_folder

    def train(job: Job) -> None:
        from civilly.train.reader.run import train_reader

        train_reader(
            job.content,
            job.data,
            job.output,
            job.recipe.parent,
            resume=job.resume,
            progress=_console.note,
        )

    _run(train, "Training a reader", Job(recipe, output, data_folder(data), resume))


@trainings.command(epilog="Example: civilly train sae recipes/sae.toml -o runs/sae --resume")
def sae(
    recipe: RecipeArgument,
    output: OutOption,
    data: DataOption = None,
    resume: ResumeOption = False,
    debug: _console.DebugOption = False,
) -> None:
    """Train sparse autoencoders on the residual stream of a language model, and report on them."""
    from civilly.data.pairs import data_folder

    def train(job: Job) -> None:
        from civilly.interpret.report_run import report_folder
        from civilly.train.sae.held_texts import held_texts
        from civilly.train.sae.run import model_of, train_sae

        train_sae(
            job.content,
            job.data,
            job.output,
            job.recipe.parent,
            resume=job.resume,
            progress=_console.note,
        )
        model = model_of(job.content)
        texts = held_texts(job.data, job.recipe.parent, 60)
        report_folder(str(job.output), model, texts, _console.note)

    _run(train, "Training a sparse autoencoder", Job(recipe, output, data_folder(data), resume))


@trainings.command(epilog="Example: civilly train vocabulary -o runs/kept_tokens.safetensors")
def vocabulary(
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=a_file, help="File for the list.")
    ],
    data: DataOption = None,
    debug: _console.DebugOption = False,
) -> None:
    """Choose the tokens that the trimmed model keeps."""
    from civilly.data.pairs import data_folder
    from civilly.train.vocabulary import write_vocabulary

    kept = write_vocabulary(data_folder(data), output)
    _console.done(f"{output}, {kept} tokens")


@trainings.command(epilog="Example: civilly train seams recipes/seams.toml -o runs/seams.json")
def seams(
    recipe: RecipeArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=a_file, help="File for the table.")
    ],
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
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=a_file, help="File for the peaks.")
    ],
    debug: _console.DebugOption = False,
) -> None:
    """Measure the activations by which the embedded model's rounding is smoothed."""
    with _needing_extra("Measuring activations"):
        from civilly.train.smoothquant import train_smoothing

        train_smoothing(pairs, output)
    _console.done(output)


@trainings.command(epilog="Example: civilly train suite -o runs/suite")
def suite(output: OutOption, data: DataOption = None, debug: _console.DebugOption = False) -> None:
    """Fit the embedded suite's few coefficients to people's judgements."""
    from civilly.data.pairs import data_folder

    with _needing_extra("Fitting the embedded suite"):
        from civilly.train.suite import train_suite

        train_suite(data_folder(data), output)
    _console.done(output)
