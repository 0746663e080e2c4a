"""Trains the readers by a recipe, from the data to the files that the package ships."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from civilly.data.readings import Case, Reading, read_cases, read_readings
from civilly.data.recipe_table import read_recipe
from civilly.detect.context import ContextDetector
from civilly.detect.toxicity import shipped
from civilly.errors import CivillyError, MissingExtraError
from civilly.model.e5 import Encoder, encoder_folder, packaged_path, read_packed, write_encoder
from civilly.model.reader_weights import head_tensors
from civilly.model.token_encoder import TokenEncoder
from civilly.score.human import Judgement, read_judgements, resolve
from civilly.score.reader import RewriteJudge
from civilly.train.detector_data import TrainingData
from civilly.train.reader import rewrites, sentences
from civilly.train.reader.calibration import (
    IDENTITY,
    calibration,
    seen_in,
    texts_apart,
    threat_excess,
)
from civilly.train.reader.measure import detector_measures, judge_measures
from civilly.train.reader.pieces import kept_pieces, texts_of_data
from civilly.train.reader.recipe import (
    DETECTOR,
    JUDGE,
    DetectorSettings,
    JudgeSettings,
    ReaderRecipe,
    ReaderSettings,
)
from civilly.train.reader.save import packed_tensors, write_reader
from civilly.train.run_folder import (
    CONFIG_FILE,
    RESULT_FILE,
    as_read_back,
    read_json,
    refuse_another_recipe,
    write_json,
)

if TYPE_CHECKING:
    from civilly.train.reader.network import ReaderNetwork

Progress = Callable[[str], None]


def train_reader(
    content: Mapping[str, Any],
    data: Path,
    out: Path,
    written: Path,
    *,
    resume: bool = False,
    progress: Progress,
) -> Path:
    """Trains the detector in context, the judge of rewrites, or both.

    Args:
        content: The recipe's tables (`civilly.train.reader.recipe.ReaderRecipe`).
        data: The data folder.
        out: Run folder: ``config.json`` (all settings), ``detector.safetensors`` and
            ``judge.safetensors``, ``result.json`` (examples, and measures on what was kept apart);
            checkpoints while it runs.
        written: Folder of what was written for this project; ``recipes`` of the repository.
        resume: Go on from the newest checkpoints in the run folder.
        progress: Is told how it goes.

    Returns:
        The run folder. The same recipe and data give the same bytes on one machine, resumed or not.

    Raises:
        MissingExtraError: If torch, transformers, peft or scikit-learn are not installed.
        DataError: If the recipe or a training file is wrong.
        CivillyError: If the run folder holds another run.
    """
    recipe = ReaderRecipe.parse(content, "the recipe")
    try:
        import peft  # noqa: F401 - asked for before anything is read
        import sklearn  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Training a reader", "train", str(error.name)) from error
    out.mkdir(parents=True, exist_ok=True)
    _begin(out, recipe, resume=resume)
    run = _Run(recipe, _Sources(recipe, data, written), out, progress)
    result = read_json(out / RESULT_FILE)
    if recipe.detector and DETECTOR not in result:
        result[DETECTOR] = run.detector(recipe.detector)
        run.note(DETECTOR, result)
    if recipe.judge and JUDGE not in result:
        result[JUDGE] = run.judge(recipe.judge)
        run.note(JUDGE, result)
    return out


def _begin(out: Path, recipe: ReaderRecipe, *, resume: bool) -> None:
    """Notes the recipe in an empty run folder, or compares it with the one that is noted."""
    now = as_read_back(recipe)
    before = read_json(out / CONFIG_FILE)
    if not before:
        write_json(out / CONFIG_FILE, now)
        return
    if not resume:
        raise CivillyError(
            f"{out} already holds another run.",
            mend="--resume to go on with it, or another --out",
        )
    refuse_another_recipe(out, before, now)


class _Sources:
    """What both readers learn from, read when it is first asked for."""

    def __init__(self, recipe: ReaderRecipe, data: Path, written: Path) -> None:
        self._recipe = recipe
        self.data = data
        self.written = written

    def folders(self, names: Sequence[str]) -> list[Path]:
        return [self.written / name for name in names]

    @cached_property
    def cases(self) -> list[Case]:
        return read_cases(self.written / self._recipe.sources.cases)

    @cached_property
    def readings(self) -> list[Reading]:
        folders = self.folders(self._recipe.sources.readings)
        return [reading for folder in folders for reading in read_readings(folder)]

    @cached_property
    def judgements(self) -> list[Judgement]:
        return read_judgements(resolve(self._recipe.sources.judgements, self.data))

    @cached_property
    def sets(self) -> TrainingData:
        recipe = read_recipe(self.written / self._recipe.sources.sets)
        return TrainingData(recipe, self.data, self.written)

    @cached_property
    def encoder(self) -> Encoder:
        return read_packed(packaged_path())

    @cached_property
    def cutter(self) -> TokenEncoder:
        return TokenEncoder(encoder_folder)

    @cached_property
    def pieces(self) -> NDArray[np.bool_]:
        return kept_pieces(self.encoder, self.cutter, texts_of_data(self.data, self.written))


@dataclass(frozen=True, slots=True)
class _Run:
    recipe: ReaderRecipe
    sources: _Sources
    out: Path
    progress: Progress

    def _file(self, kind: str) -> Path:
        return self.out / f"{kind}.safetensors"

    def _checkpoint(self, kind: str) -> Path:
        return self.out / f"{kind}.checkpoint.pt"

    def note(self, kind: str, result: Mapping[str, Any]) -> None:
        """Writes the result; with it, this reader is done."""
        write_json(self.out / RESULT_FILE, result)
        self._checkpoint(kind).unlink(missing_ok=True)

    def _random(self, what: str) -> random.Random:
        return random.Random(f"{self.recipe.seed}-{what}")

    def detector(self, settings: DetectorSettings) -> dict[str, Any]:
        """Trains, calibrates and measures it; what ``result.json`` says of it."""
        from civilly.train.reader import detector
        from civilly.train.reader.fit import Course
        from civilly.train.reader.network import DetectorHead

        sources, paths = self.sources, self.sources.folders(self.recipe.sources.pairs)
        parts = {
            "cases": sentences.from_cases(sources.cases),
            "pairs": sentences.from_pairs(
                paths, settings.pair_share, self._random("pairs"), spans=settings.pair_spans
            ),
            "sets": sentences.from_sets(sources.sets, settings.sets, self._random("sets")),
        }
        items = detector.items_of(
            [each for part in parts.values() for each in part], sources.cutter
        )
        network = self._network(DetectorHead, settings)
        steps = detector.plan(items, settings, self._random("steps of the detector"))
        loss = detector.loss_of(network, items, settings.loss)
        self._fit(Course(DETECTOR, network, steps, loss), settings)
        factors, head = network.arrays()
        self._write(DETECTOR, factors, {**head, "calibration": IDENTITY}, settings)
        measures = self._calibrated(settings, factors, head)
        return {"examples": {name: len(part) for name, part in parts.items()}, **measures}

    def _calibrated(
        self, settings: DetectorSettings, factors: Mapping[str, Any], head: Mapping[str, Any]
    ) -> dict[str, float]:
        """Calibrates the detector as it runs, in int8, writes it again and measures it."""
        path, sources = self._file(DETECTOR), self.sources
        with tempfile.TemporaryDirectory() as folder:
            write_encoder(Path(folder), path)
            encoder = TokenEncoder(lambda: Path(folder))
            apart = texts_apart(
                sources.cases, sources.sets, sources.data, settings.calibration.clean
            )
            self.progress(f"{DETECTOR}: calibrating on {len(apart)} texts")
            seen = seen_in([each.text for each in apart], encoder, head_tensors(path))
            table = calibration(apart, seen, settings.calibration)
            lang = head["lang"].copy()
            lang[:, 1] -= threat_excess(apart, seen, settings.calibration)
            made = {**head, "lang": lang, "calibration": table}
            self._write(DETECTOR, factors, made, settings)
            detector = ContextDetector(encoder, head_tensors(path), shipped())
            return detector_measures(detector, sources.cases)

    def judge(self, settings: JudgeSettings) -> dict[str, Any]:
        """Trains and measures it; what ``result.json`` says of it."""
        from civilly.train.reader import judge
        from civilly.train.reader.fit import Course
        from civilly.train.reader.network import JudgeHead

        names, sources = self.recipe.sources, self.sources
        paths = sources.folders([*names.pairs, *names.authored])
        parts = {
            "readings": rewrites.from_readings(sources.readings),
            "made": rewrites.made_from_pairs(paths, settings.made, self._random("made")),
            "judgements": rewrites.from_judgements(sources.judgements),
        }
        read, made, judged = (judge.items_of(part, sources.cutter) for part in parts.values())
        network = self._network(JudgeHead, settings)
        groups, steps = judge.plan(read, made, judged, settings, self._random("steps of the judge"))
        loss = judge.loss_of(network, groups, settings.ranking)
        self._fit(Course(JUDGE, network, steps, loss), settings)
        factors, head = network.arrays()
        self._write(JUDGE, factors, head, settings)
        with tempfile.TemporaryDirectory() as folder:
            write_encoder(Path(folder), self._file(JUDGE))
            encoder = TokenEncoder(lambda: Path(folder))
            trained = RewriteJudge(encoder, head_tensors(self._file(JUDGE)))
            measures = judge_measures(trained, sources.readings, sources.judgements)
        counts = {name: sum(len(g.outputs) for g in part) for name, part in parts.items()}
        return {"examples": counts, **measures}

    def _network(self, head: Callable[[int], Any], settings: ReaderSettings) -> ReaderNetwork:
        import torch

        from civilly.engines.hardware import dtype_of
        from civilly.train.reader.network import ReaderNetwork

        torch.manual_seed(self.recipe.seed)
        half = dtype_of(torch, "auto", torch.device("cpu")) == torch.bfloat16
        encoder = self.sources.encoder
        network = ReaderNetwork(encoder, head(encoder.width), settings, half)
        begun = self._begun(settings)
        if begun:
            network.begin_with(begun, settings.scale)
        return network

    def _begun(self, settings: ReaderSettings) -> Path | None:
        """The file that a training goes on from, if it does."""
        if settings.start == DETECTOR:
            return self._file(DETECTOR)
        return Path(settings.start) if settings.start else None

    def _fit(self, course: Any, settings: ReaderSettings) -> None:
        from civilly.train.reader.fit import fit

        self.progress(f"{course.name}: {len(course.steps)} steps")
        fit(course, settings, self._checkpoint(course.name), self.progress)
        begun = self._begun(settings)
        if begun and settings.of_start:
            course.network.draw_to(begun, settings.scale, settings.of_start)

    def _write(
        self,
        kind: str,
        factors: Mapping[str, Any],
        heads: Mapping[str, Any],
        settings: ReaderSettings,
    ) -> None:
        tensors = packed_tensors(factors, heads, settings.scale, self.sources.pieces)
        write_reader(self._file(kind), tensors)
