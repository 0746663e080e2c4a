"""``civilly interpret latents``: chooses toxic latents, measures them beside controls, reports."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from civilly.engines.residual import Subject, open_subject
from civilly.interpret.latents.choice import (
    CALIBRATE,
    CHOOSE,
    choose_latents,
    difference_of_means,
    direction_reading,
    encoded,
    language_areas,
    latents_reading,
    like_random,
    logistic_probe,
    masses,
    sparse_probe,
)
from civilly.interpret.latents.effects import Profile, profiles
from civilly.interpret.latents.examples import PARTS, read_examples
from civilly.interpret.latents.measures import area
from civilly.interpret.latents.reader import reader_scores
from civilly.interpret.latents.streams import Floats, Tokens, read_streams, tokens_of
from civilly.interpret.latents.tables import Contestant, Row, Transfer, table, transfers
from civilly.model.sparse.autoencoder import SparseAutoencoder
from civilly.model.sparse.layouts import load_sae
from civilly.model.sparse.toxic import About, Toxic, ToxicLatents
from civilly.model.sparse.toxic_file import FILE, write_toxic

CACHE = "streams"
PROBED = 256
"""Latents of the best areas that the sparse probe of either sign is fitted on."""
_INVERSES = (1e-4, 5e-4, 2e-3)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is studied, and how.

    Attributes:
        sae: Folder of a sparse autoencoder.
        cases: Folder of detection cases.
        pairs: Folders of written pairs.
        model: As `civilly.engines.residual.open_subject` takes it.
        layer: The stream's layer; None: the one that the autoencoder was made for.
        wrong_layer: The layer of the controls that read another one.
        most: At most so many latents are chosen.
        per_language: The most sentences of each part and source; 0: all.
        seed: Of everything random.
    """

    sae: Path
    cases: Path
    pairs: Sequence[Path] = ()
    model: str = "embedded"
    layer: int | None = None
    wrong_layer: int = 0
    most: int = 32
    per_language: int = 160
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Study:
    """What came out.

    Attributes:
        settings: What was studied.
        layer: Of the stream.
        width: Latents of the autoencoder.
        sentences: Sentences by part.
        tokens: Tokens by part.
        rows: The table, each contestant on the same sentences.
        transfers: Chosen by some languages, measured in others.
        profiles: Of the chosen latents.
        probed: Latents of the sparse probe of either sign.
        readings: What the file holds.
    """

    settings: Settings
    layer: int
    width: int
    sentences: Mapping[str, int]
    tokens: Mapping[str, int]
    rows: Sequence[Row]
    transfers: Sequence[Transfer]
    profiles: Sequence[Profile]
    probed: int
    readings: Sequence[Toxic]


def study(settings: Settings, output: Path, progress: Callable[[str], None]) -> Study:
    """Chooses and measures; streams are kept in a folder of the output until it is done.

    Raises:
        ModelError: If the autoencoder does not fit the model, or nothing tells insults.
        DataError: If a file cannot be read or written.
    """
    sae = load_sae(settings.sae)
    subject = open_subject(settings.model)
    layer = subject.layer_of(sae) if settings.layer is None else settings.layer
    subject.require_layer(layer)
    subject.require_layer(settings.wrong_layer)
    examples = read_examples(settings.cases, settings.pairs, settings.per_language, settings.seed)
    tokens = tokens_of(examples, subject)
    stream, other = (
        read_streams(tokens, subject, at, output / CACHE, progress)
        for at in (layer, settings.wrong_layer)
    )
    progress("choosing latents")
    latents = encoded(sae, stream)
    learnt = tokens.part == CHOOSE
    chosen = choose_latents(latents, tokens, learnt, settings.most)
    places = _Places(subject, sae, settings, layer, tokens, stream, other)
    readings = places.readings(chosen, latents)
    progress("measuring")
    contestants, probed = _contestants(readings, places, latents)
    rows = table(tokens, contestants, settings.seed)
    progress("leaving languages out")
    scores = {each.name: each.scores for each in contestants}
    named = {name: scores[name] for name in ("latents", "difference", "probe")}
    first = readings[0]
    assert isinstance(first, ToxicLatents)
    made = Study(
        settings,
        layer,
        sae.width,
        {part: sum(each.part == part for each in examples) for part in PARTS},
        {part: int((tokens.part == number).sum()) for number, part in enumerate(PARTS)},
        rows,
        transfers(tokens, latents, stream, settings.most, named),
        profiles(first, latents, tokens, tokens.part != CALIBRATE, subject),
        probed,
        readings,
    )
    write_toxic(output / FILE, readings)
    shutil.rmtree(output / CACHE, ignore_errors=True)
    return made


@dataclass(frozen=True, slots=True)
class _Places:
    """What all readings are made from."""

    subject: Subject
    sae: SparseAutoencoder
    settings: Settings
    layer: int
    tokens: Tokens
    stream: Floats
    other: Floats

    def readings(self, chosen: Any, latents: Any) -> list[Toxic]:
        """The chosen latents and their controls."""
        tokens, learnt, wrong = self.tokens, self.tokens.part == CHOOSE, self.settings.wrong_layer
        drawn = like_random(chosen, latents, learnt, self.settings.seed)
        mean = difference_of_means(self.stream, tokens, learnt)
        probe = logistic_probe(self.stream, tokens, learnt)
        probe_there = logistic_probe(self.other, tokens, learnt)
        return [
            latents_reading(chosen, self.sae, self._about("latents"), self.stream, tokens),
            latents_reading(drawn, self.sae, self._about("random", "random"), self.stream, tokens),
            latents_reading(
                chosen, self.sae, self._about("wrong_layer", layer=wrong), self.other, tokens
            ),
            direction_reading(mean, self._about("difference", "direction"), self.stream, tokens),
            direction_reading(probe, self._about("probe", "direction"), self.stream, tokens),
            direction_reading(
                probe_there,
                self._about("wrong_layer_probe", "direction", wrong),
                self.other,
                tokens,
            ),
        ]

    def _about(self, name: str, kind: str = "latents", layer: int | None = None) -> About:
        width = 0 if kind == "direction" else self.sae.width
        return About(name, kind, self.subject.name, self.layer if layer is None else layer, width)

    def scores(self, reading: Toxic) -> Any:
        """The mass of all tokens; of a direction its place on it, below the usual, too."""
        stream = self.stream if reading.about.layer == self.layer else self.other
        if hasattr(reading, "vector"):
            return np.asarray(stream @ reading.vector.numpy(), np.float64)
        return masses(reading, stream)


def _contestants(
    readings: Sequence[Toxic], places: _Places, latents: Any
) -> tuple[list[Contestant], int]:
    """All that are compared, and the size of the sparse probe."""
    tokens = places.tokens
    learnt, calibrates = tokens.part == CHOOSE, tokens.part == CALIBRATE
    means = np.nan_to_num(np.nanmean(language_areas(latents, tokens, learnt), axis=0))
    candidates = np.argsort(-means, kind="stable")[:PROBED]
    squares = latents[np.flatnonzero(learnt)][:, candidates]
    scales = np.sqrt(np.maximum(np.asarray(squares.multiply(squares).mean(axis=0)).ravel(), 1e-12))
    tried = []
    for inverse in _INVERSES:
        odds = sparse_probe(latents, tokens, learnt, candidates, inverse)
        scores = np.asarray(latents[:, candidates] @ (odds / scales)).ravel()
        own = area(scores[calibrates], tokens.toxic[calibrates])
        tried.append((own, int((odds != 0).sum()), scores))
    _, probed, by_probe = max(tried, key=lambda each: each[0])
    best = int(candidates[0])
    return [
        *(Contestant(each.about.name, places.scores(each)) for each in readings),
        Contestant("best_latent", np.asarray(latents[:, [best]].todense()).ravel()),
        Contestant("sparse_probe", by_probe),
        reader_scores(tokens, places.subject),
    ], probed
