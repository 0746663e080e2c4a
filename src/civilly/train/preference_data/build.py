"""Assembles the preferences of a recipe: licences, duplicates, leaks, the split, the filters."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from civilly.data.corpus.build import DEV_FILE, evaluation_texts
from civilly.data.corpus.licences import refused_licences
from civilly.data.leaks import find_leaks, normalise
from civilly.data.pair_leaks import MIN_LETTERS, Sides, leaks_between, refuse_leaks, strictest
from civilly.data.pairs import read_authored, read_pairs
from civilly.data.split import dev_part
from civilly.errors import DataError
from civilly.train.preference_data import from_judgements, from_readings, from_samples
from civilly.train.preference_data.confirm import Question, confirmed, open_judge
from civilly.train.preference_data.pairing import Preference, labelled_of, preferences_of
from civilly.train.preference_data.rated import Rated, RatedText, Read
from civilly.train.preference_data.recipe import (
    JudgementsSource,
    PreferenceRecipe,
    ReadingsSource,
    SamplesSource,
    Source,
)

HELD_PERCENT = 10
"""Of the ids; never trained on, besides the texts that measure a reader or metric."""
TRAIN, HELD = "train", "held"
REASONS = {
    "licence": "under a licence that is not allowed, or none",
    "duplicate": "another text is the same, but for case, punctuation and links; outputs joined",
    "leak": "it, or an output, repeats held-out or official texts, exactly or nearly",
    "near_held": "nearly repeats a text that is held",
    "one_sided": "no output is good, or none is bad: of use unpaired only",
    "filtered": "has good and bad outputs, but the filters leave no pair",
}
"""Why a text gives no pair, in the order in which it is looked at."""


@dataclass(slots=True)
class Part:
    """One side of the split.

    Attributes:
        pairs: Texts with one preference each.
        unpaired: Texts with one labelled output each.
    """

    pairs: list[tuple[RatedText, Preference]] = field(default_factory=list)
    unpaired: list[tuple[RatedText, Rated]] = field(default_factory=list)


@dataclass(slots=True)
class Preferences:
    """What a recipe gives.

    Attributes:
        recipe: The recipe, defaults filled in.
        parts: By `TRAIN` and `HELD`.
        texts: Texts that the sources gave.
        outputs: Their outputs.
        left_out: Texts that give no pair, by the reason (`REASONS`).
        refused: Pairs of outputs that are not made, by the reason
            (`civilly.train.preference_data.pairing.REASONS`).
        ties: Comparisons that found neither side better, by the reason.
        licences: The licence of each data set whose texts are in.
    """

    recipe: PreferenceRecipe
    parts: dict[str, Part] = field(default_factory=lambda: {TRAIN: Part(), HELD: Part()})
    texts: int = 0
    outputs: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    ties: Counter[str] = field(default_factory=Counter)
    licences: dict[str, str] = field(default_factory=dict)


def build_preferences(
    content: Mapping[str, Any],
    beside: Path,
    data: Path,
    *,
    take_out_leaks: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Preferences:
    """The preferences of a recipe; the same recipe and data give the same ones.

    Args:
        content: The parsed recipe: ``seed``, and ``preferences`` as in `PreferenceRecipe`.
        beside: The recipe's folder.
        data: The data folder.
        take_out_leaks: Leave texts that repeat evaluation texts out, even if the recipe does not
            say so.
        tell: Called with a line for each step that is done.

    Raises:
        DataError: If the recipe is wrong, a source is missing or empty, a licence is not allowed,
            or no pair is left.
        LeakError: If texts repeat evaluation texts and are not to be taken out.
    """
    made = Preferences(PreferenceRecipe.parse(content))
    found: list[RatedText] = []
    for source in made.recipe.sources:
        read = read_source(source, beside, data, tell)
        made.ties.update(read.ties)
        made.texts += len(read.texts)
        made.outputs += sum(len(text.outputs) for text in read.texts)
        found += _licensed(read.texts, source, made)
        if tell:
            tell(f"{source.name}: {len(read.texts)} texts")
    texts = _joined(found)
    made.left_out["duplicate"] = len(found) - len(texts)
    if tell:
        tell(f"looking for leaks in {len(texts)} texts and their outputs")
    take_out = take_out_leaks or made.recipe.leaks == "take_out"
    authored = beside / made.recipe.authored if made.recipe.authored else None
    clean = _without_leaks(texts, evaluation_sides(data, authored), take_out)
    made.left_out["leak"] = len(texts) - len(clean)
    _fill(made, clean)
    _confirm(made, tell)
    if not made.parts[TRAIN].pairs:
        raise DataError(
            f"The recipe leaves no pairs to train on, of {made.texts} texts: {_why_not(made)}.",
            mend="look at the sources and filters under [preferences]",
        )
    return made


def read_source(
    source: Source, beside: Path, data: Path, tell: Callable[[str], object] | None = None
) -> Read:
    """Texts with rated outputs of a source.

    Args:
        source: What the recipe says.
        beside: The recipe's folder.
        data: The data folder.
        tell: Called with a line now and then.

    Raises:
        DataError: If its files are missing or not as they should be.
    """
    if isinstance(source, SamplesSource):
        return from_samples.read_source(source, beside, tell)
    if isinstance(source, JudgementsSource):
        return from_judgements.read_source(source, beside, data)
    assert isinstance(source, ReadingsSource)
    return from_readings.read_source(source, beside)


def _licensed(texts: Sequence[RatedText], source: Source, made: Preferences) -> list[RatedText]:
    """The texts whose licences are allowed; notes the licences."""
    licensed = []
    for text in texts:
        licence = source.licence_of(text.source)
        refused = refused_licences(licence, made.recipe.licences)
        if not refused:
            made.licences[text.source] = licence
            licensed.append(text)
        elif made.recipe.unlicensed == "leave_out":
            made.left_out["licence"] += 1
        else:
            raise DataError(
                f"source {source.name!r}: texts of {text.source!r} have the licence: "
                f"{', '.join(refused)}.",
                allowed=", ".join(made.recipe.licences),
                mend="state it in the source's licence = {…}; or licences = […] or "
                'unlicensed = "leave_out" under [preferences]',
            )
    return licensed


def _joined(texts: Sequence[RatedText]) -> list[RatedText]:
    """The texts without duplicates; the first one gets the outputs of those that repeat it."""
    first: dict[tuple[str, str], RatedText] = {}
    for text in texts:
        key = text.lang, normalise(text.text) or text.text
        known = first.get(key)
        if known:
            had = {rated.output for rated in known.outputs}
            new = tuple(rated for rated in text.outputs if rated.output not in had)
            apart = known.kept_apart or text.kept_apart
            text = replace(known, outputs=known.outputs + new, kept_apart=apart)
        first[key] = text
    return list(first.values())


def evaluation_sides(data: Path, authored: Path | None) -> list[Sides]:
    """What no training may see: held-out pairs with their references, and the official inputs.

    Args:
        data: The data folder.
        authored: Folder of the authored pairs, part of which is held out.
    """
    pairs = [pair for pair in read_pairs(data / DEV_FILE) if dev_part(pair.id) != "train"]
    if authored:
        pairs += [pair for pair in read_authored(authored) if dev_part(pair.id) == "eval"]
    held = []
    for pair in pairs:
        references = (text for text in pair.neutral if len(normalise(text)) >= MIN_LETTERS)
        held.append(Sides(pair.toxic, tuple(references), (pair.id,)))
    return held + [Sides(text) for text in evaluation_texts(data, authored)]


def _without_leaks(
    texts: Sequence[RatedText], evaluation: Sequence[Sides], take_out: bool
) -> list[RatedText]:
    sides = [
        Sides(text.text, tuple(rated.output for rated in text.outputs), (text.id,))
        for text in texts
    ]
    found = strictest(leaks_between(sides, evaluation))
    if not take_out:
        refuse_leaks(
            {f"{texts[row].source} {texts[row].id}": leak.kind for row, leak in found.items()},
            mend='--take-out-leaks, or leaks = "take_out" under [preferences] in the recipe',
        )
    return [text for number, text in enumerate(texts) if number not in found]


def is_held(row_id: str) -> bool:
    """Whether texts of this id are held, by the SHA-1 of the id."""
    bucket = int(hashlib.sha1(f"preferences:{row_id}".encode()).hexdigest(), 16) % 100
    return bucket < HELD_PERCENT


def _fill(made: Preferences, texts: Sequence[RatedText]) -> None:
    """Splits the texts and makes the rows of both formats."""
    apart = {text.id for text in texts if text.kept_apart}
    held = [text for text in texts if text.id in apart or is_held(text.id)]
    held_ids = {text.id for text in held}
    train = [text for text in texts if text.id not in held_ids]
    near = find_leaks([text.text for text in train], [text.text for text in held])
    made.left_out["near_held"] = len(near)
    leaking = {leak.training for leak in near}
    train = [text for number, text in enumerate(train) if number not in leaking]
    filters = made.recipe.filters
    for name, some in ((TRAIN, train), (HELD, held)):
        part = made.parts[name]
        for text in some:
            pairs = preferences_of(text, filters, made.refused)
            part.pairs += [(text, pair) for pair in pairs]
            part.unpaired += [(text, rated) for rated in labelled_of(text, filters)]
            if not pairs:
                both = {True, False} <= {rated.label for rated in text.outputs}
                made.left_out["filtered" if both else "one_sided"] += 1
    rng = random.Random(made.recipe.seed)
    rng.shuffle(made.parts[TRAIN].pairs)
    rng.shuffle(made.parts[TRAIN].unpaired)


def _confirm(made: Preferences, tell: Callable[[str], object] | None) -> None:
    """Leaves out the pairs that a language model does not confirm, if the recipe names one."""
    settings = made.recipe.confirm
    if settings is None:
        return
    engine = open_judge(settings.engine)
    for name, part in made.parts.items():
        if tell:
            tell(f"asking {settings.engine} about {len(part.pairs)} pairs ({name})")
        questions = [
            Question(text.text, text.lang, pair.chosen.output, pair.rejected.output)
            for text, pair in part.pairs
        ]
        kept = confirmed(questions, engine, settings.answer_tokens, made.ties, made.refused)
        part.pairs = [row for row, keep in zip(part.pairs, kept, strict=True) if keep]


def _why_not(made: Preferences) -> str:
    """What was left out and refused, in a few words."""
    counts = [*made.left_out.items(), *made.refused.items(), *made.ties.items()]
    counts.append(("held pairs", len(made.parts[HELD].pairs)))
    return ", ".join(f"{reason} {count}" for reason, count in counts if count) or "no outputs"
