"""Scores of a submission, or of a scores file: what ``score`` and ``compare`` share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._options import complete_option
from civilly.cli._source import complete_entry
from civilly.errors import CivillyError, UnknownNameError
from civilly.score import DEFAULT

if TYPE_CHECKING:
    from civilly.data.alignment import AlignedRow, Mismatch
    from civilly.data.submission import ReferenceRow, SubmittedRow
    from civilly.score.scores_file import SystemScores
    from civilly.types import Metric

SCORES_SUFFIX = ".json"


def complete_metric(incomplete: str) -> list[tuple[str, str]]:
    """Suites and metrics for shell completion, with their summaries."""
    return complete_entry("score", incomplete)


def complete_suite_option(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Options of the suite for shell completion."""
    given = [item for item in ctx.params.get("option") or [] if item]
    return complete_option("score", ctx.params.get("suite") or DEFAULT, given, incomplete)


ReferenceOption = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        "-r",
        help="References (toxic_sentence, neutral_sentence, lang) or mere inputs; its rows are "
        "what is scored. Default: the submission's own rows, without references.",
    ),
]
SuiteOption = Annotated[
    str,
    typer.Option(
        "--suite", "-s", autocompletion=complete_metric, help="Suite: see civilly ls metrics."
    ),
]
SuiteOptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        autocompletion=complete_suite_option,
        help="Option of the suite: see civilly ls options; repeatable.",
    ),
]
EngineOption = Annotated[
    str | None, typer.Option(help="Engine of a suite that asks a model: see civilly ls engines.")
]
LangsOption = Annotated[
    list[str] | None,
    typer.Option("--lang", "-l", help="Only this language; repeatable. Default: all."),
]
MismatchOption = Annotated[
    str,
    typer.Option(
        help="Rows that do not fit: refuse (as the official scorer), zero (score 0 for missing "
        "and empty rewrites), skip (leave them out)."
    ),
]
ConfidenceOption = Annotated[
    float, typer.Option(help="Confidence of the intervals, between 0 and 1.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the resampling.")]


def check_confidence(confidence: float) -> None:
    """Makes sure that a confidence is one.

    Raises:
        CivillyError: If it is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise CivillyError(
            f"--confidence is {confidence}.", allowed="more than 0, less than 1", mend="0.95"
        )


@dataclass
class Scoring:
    """How submissions are scored: one metric on one set of sentences.

    Attributes:
        suite: Name of the suite or metric.
        options: Its options.
        engine: Engine of a suite that asks a model, or None.
        reference: File of references or inputs, or None.
        langs: The languages to keep; empty: all.
        mismatch: What to do with rows that do not fit.
    """

    suite: str
    options: dict[str, Any]
    engine: str | None
    reference: Path | None
    langs: tuple[str, ...]
    mismatch: Mismatch
    _submissions: dict[Path, tuple[list[SubmittedRow], list[str]]] = field(default_factory=dict)

    @cached_property
    def metric(self) -> Metric:
        """The metric or suite, made when it is first asked for."""
        from civilly import registry
        from civilly.toolbox import Toolbox

        tools = Toolbox(self.engine, self.options)
        return registry.create("score", self.suite, tools)  # type: ignore[no-any-return]

    @cached_property
    def references(self) -> list[ReferenceRow] | None:
        """The rows of the reference file in the chosen languages, or None without a file."""
        from civilly.data.submission import read_references

        if self.reference is None:
            return None
        rows, warnings = read_references(self.reference, self.only_language)
        _console.warn(warnings)
        return [row for row in rows if not self.langs or row.lang in self.langs]

    @property
    def only_language(self) -> str | None:
        """The language of files that name none: the one that was asked for, if it is one."""
        return self.langs[0] if len(self.langs) == 1 else None

    @property
    def reference_digest(self) -> str | None:
        """The SHA-256 of the reference file, None without one."""
        from civilly.data.files import read_bytes

        if self.reference is None:
            return None
        return hashlib.sha256(read_bytes(self.reference)).hexdigest()

    def scores_of(self, argument: str) -> SystemScores:
        """Reads a scores file (``.json``), or scores a submission.

        Raises:
            DataError: If the file cannot be read or does not fit the references.
            CivillyError: If there is nothing to score.
        """
        system, path = named(argument)
        if path.suffix.lower() == SCORES_SUFFIX:
            return self._read(path, system if system != stem(path) else None)
        return self._score(path, system)

    def evaluation(self, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
        """The toxic sentences, and the references of all of them, that will be scored."""
        from civilly.score.scores_file import read_scores

        rows: list[AlignedRow | ReferenceRow] = list(self.references or [])
        toxic: list[str] = []
        for _, path in map(named, arguments):
            if path.suffix.lower() == SCORES_SUFFIX:
                rows += read_scores(path).rows
            elif self.references is None:
                toxic += [row.toxic for row in self._submission(path)[0]]
        toxic += [row.toxic for row in rows]
        return toxic, [text for row in rows for text in row.references]

    def _read(self, path: Path, system: str | None) -> SystemScores:
        from dataclasses import replace

        from civilly.score.scores_file import read_scores

        scores = read_scores(path)
        kept = [n for n, row in enumerate(scores.rows) if not self.langs or row.lang in self.langs]
        if not kept:
            raise _nothing(path, self.langs)
        return replace(
            scores,
            system=system or scores.system,
            rows=[scores.rows[n] for n in kept],
            scores=[scores.scores[n] for n in kept],
        )

    def _score(self, path: Path, system: str) -> SystemScores:
        from civilly.data.alignment import align, align_alone
        from civilly.score.scores_file import SystemScores
        from civilly.score.scoring import score_rows

        submission, warnings = self._submission(path)
        _console.warn(warnings)
        if self.references is None:
            alignment = align_alone(submission, self.mismatch, str(path))
        else:
            alignment = align(submission, self.references, self.mismatch, str(path))
        report = alignment.report
        _console.warn(f"{path}: {note}" for note in [*report.refusals(), *report.notes()])
        if not alignment.rows:
            raise _nothing(path, self.langs)
        metric = self.metric  # made before a progress bar, so that it can say what it prepares
        with _console.progress(f"scoring {system}", len(alignment.rows)) as advance:
            values = score_rows(metric, self.suite, alignment.rows, advance)
        signature = metric.signature
        config = self._config(path, report.as_dict())
        return SystemScores(system, self.suite, signature, alignment.rows, values, config)

    def _submission(self, path: Path) -> tuple[list[SubmittedRow], list[str]]:
        """The rows of a submission in the chosen languages and the warnings; read once."""
        from civilly.data.submission import read_submission

        if path not in self._submissions:
            rows, warnings = read_submission(path, self.only_language)
            chosen = [row for row in rows if not self.langs or row.lang in self.langs]
            self._submissions[path] = chosen, warnings
        return self._submissions[path]

    def _config(self, path: Path, report: dict[str, list[int]]) -> dict[str, Any]:
        """What the scores depend on, for the scores file."""
        from civilly import __version__
        from civilly.data.files import read_bytes

        return {
            "civilly": __version__,
            "submission": path.name,
            "submission_sha256": hashlib.sha256(read_bytes(path)).hexdigest(),
            "reference": self.reference.name if self.reference else None,
            "reference_sha256": self.reference_digest,
            "options": self.options,
            "engine": self.engine,
            "langs": list(self.langs),
            "mismatch": self.mismatch,
            "report": report,
        }


def _nothing(path: Path, langs: Sequence[str]) -> CivillyError:
    chosen = f" in {', '.join(langs)}" if langs else ""
    return CivillyError(f"{path}: there is nothing to score{chosen}.", mend="check --lang")


def open_scoring(
    arguments: Sequence[str],
    suite: str,
    options: Sequence[str] | None,
    engine: str | None,
    reference: Path | None,
    langs: Sequence[str] | None,
    mismatch: str,
) -> Scoring:
    """How the user wants the submissions among some arguments to be scored.

    Raises:
        UnknownNameError: If a language, the suite, or the treatment of mismatches does not exist.
        CivillyError: If an option is not understood.
    """
    from civilly import registry
    from civilly.cli._options import parse_options
    from civilly.data.alignment import MISMATCHES
    from civilly.languages import chosen_language

    codes = [chosen_language(given) for given in langs or []]
    known = {str(name): name for name in MISMATCHES}
    if mismatch not in known:
        raise UnknownNameError("treatment of mismatches", mismatch, known)
    options_by_name = parse_options(options or [])
    if any(named(argument)[1].suffix.lower() != SCORES_SUFFIX for argument in arguments):
        registry.check_options("score", suite, options_by_name)  # fails early
    return Scoring(suite, options_by_name, engine, reference, tuple(codes), known[mismatch])


def refuse_existing(files: Sequence[Path], overwrite: bool) -> None:
    """Makes sure that no file is replaced unasked.

    Raises:
        DataError: Naming what exists.
    """
    from civilly.errors import DataError

    existing = [str(file) for file in files if file.exists()]
    if existing and not overwrite:
        exists = "exists" if len(existing) == 1 else "exist"
        raise DataError(
            f"{', '.join(existing)} {exists}.",
            mend=f"--overwrite to replace {'it' if len(existing) == 1 else 'them'}",
        )


def named(argument: str) -> tuple[str, Path]:
    """The system's name and file: ``NAME=FILE``, or the file's name without its suffix."""
    name, equals, file = argument.partition("=")
    if equals and name and not Path(argument).exists():
        return name, Path(file)
    return stem(Path(argument)), Path(argument)


def stem(path: Path) -> str:
    """A file's name without the suffix of its format, and without ``.gz``."""
    from civilly.data.io import uncompressed

    return uncompressed(path).stem


def run_signature(scores: SystemScores, *parts: str) -> str:
    """The suite's signature with the data and how they were resampled, sacrebleu's way."""
    reference = str(scores.config.get("reference_sha256") or "none")[:8]
    mismatch = str(scores.config.get("mismatch", "refuse"))
    data = [f"ref:{reference}", f"n:{len(scores.rows)}"]
    data += [f"mismatch:{mismatch}"] if mismatch != "refuse" else []
    return "|".join([scores.signature, *data, *parts])


def require_distinct_names(systems: Sequence[SystemScores]) -> None:
    """Makes sure that every system can be told from the others.

    Raises:
        CivillyError: If two have one name.
    """
    names = [scores.system for scores in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CivillyError(
            f"Several systems are called {', '.join(map(repr, twice))}.",
            mend="name them: NAME=FILE",
        )
