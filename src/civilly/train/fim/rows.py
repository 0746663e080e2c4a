"""What a fill-in-the-middle model learns: prompts and middles, drawn by the knobs of a recipe."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from civilly.data.corpus.recipe import Share
from civilly.data.pairs import Pair
from civilly.data.recipe_table import Count, RecipeTable
from civilly.languages import language
from civilly.methods.delete import BLANKS
from civilly.methods.fim_formats import FimFormat, Slot, fim_prompt
from civilly.train.examples import Example
from civilly.train.fim.differences import Change
from civilly.train.fim.holes import Hole, Sides, cut_characters, cut_words
from civilly.types import Prompt, Segment


class FimSettings(RecipeTable):
    """What is cut, and how a hole is shown; all shares in [0, 1].

    Attributes:
        family: A format of `civilly.methods.fim_formats`; default: the embedded model's own, or
            the one that the name of the base model speaks of.
        spm: Share of prompts in the order suffix, prefix, middle.
        cut_shown: Share of holes from pairs whose prompt shows what was cut.
        harmless: Share of pairs in which harmless words are cut, too, to be put back.
        widened: Share of other pairs with a hole that is a harmless word wider than what differs.
        most_changed: Pairs of which a larger share of tokens differs are left out.
        most_holes: So are those with more holes.
        rows_per_pair: At most so many holes of a pair, drawn at random; None: all of them.
        plain: Share of pairs whose civil side is learnt as text, besides the holes.
        rate: Share of those that get a hole anywhere; the rest is read from left to right.
        characters: Share of those holes between any two characters, instead of whole words.
        whole_sentences: Whether a validation also fills whole sentences and scores them with the
            suite; otherwise chrF of the middles decides.
    """

    family: str | None = None
    spm: Share = 0.5
    cut_shown: Share = 0.6
    harmless: Share = 0.15
    widened: Share = 0.15
    most_changed: Share = 0.6
    most_holes: Count = 5
    rows_per_pair: Count | None = None
    plain: Share = 0.4
    rate: Share = 0.9
    characters: Share = 0.3
    whole_sentences: bool = False


@dataclass(slots=True)
class FimRows:
    """Rows and where they come from.

    Attributes:
        examples: To train on.
        kinds: How many of each kind there are, and of the pairs left out.
    """

    examples: list[Example] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, example: Example) -> None:
        """Takes a row in."""
        self.examples.append(example)
        self.kinds[kind] += 1


def fim_rows(pairs: Iterable[Pair], settings: FimSettings, family: FimFormat, seed: int) -> FimRows:
    """All rows of a corpus; the same arguments give the same rows.

    Args:
        pairs: With one reference each; sides that are the same give a harmless hole.
        settings: The knobs.
        family: The format.
        seed: Of everything random.
    """
    rng, rows = random.Random(seed), FimRows()
    for pair in pairs:
        for hole, kind in _holes(pair, settings, rng, rows.kinds):
            shown = (kind == "harmless" or rng.random() < settings.cut_shown) and can_show(family)
            example = _example(hole, family, settings, rng, shown=shown)
            rows.add(f"{kind}, {'cut shown' if shown else 'cut hidden'}", example)
        if rng.random() < settings.plain:
            _add_plain(rows, pair, settings, family, rng)
    rng.shuffle(rows.examples)
    return rows


def gold_holes(pair: Pair, settings: FimSettings) -> list[Hole]:
    """The holes of a pair as they are, none if it differs too much."""
    sides = Sides(pair)
    picked = [change for change in sides.changes if sides.cuts_words(change)]
    return sides.holes(picked) if _usable(sides, picked, settings) else []


def _usable(sides: Sides, picked: Sequence[Change], settings: FimSettings) -> bool:
    return sides.changed_share <= settings.most_changed and len(picked) <= settings.most_holes


def _holes(
    pair: Pair, settings: FimSettings, rng: random.Random, kinds: Counter[str]
) -> list[tuple[Hole, str]]:
    """The holes of a pair, some wider than need be, perhaps with a harmless one among them."""
    sides = Sides(pair)
    picked = [change for change in sides.changes if sides.cuts_words(change)]
    if not _usable(sides, picked, settings):
        kinds["pairs left out"] += 1
        return []
    extra = None
    if not picked or rng.random() < settings.harmless:
        extra = sides.harmless(rng)
    elif rng.random() < settings.widened:
        at = rng.randrange(len(picked))
        picked[at] = sides.widened(picked[at], rng)
    found = sorted([*picked, *([extra] if extra else [])], key=lambda change: change.old_start)
    named = [("harmless" if change is extra else "pair") for change in found]
    rows = list(zip(sides.holes(found), named, strict=True))
    return rng.sample(rows, min(settings.rows_per_pair or len(rows), len(rows)))


def _add_plain(
    rows: FimRows, pair: Pair, settings: FimSettings, family: FimFormat, rng: random.Random
) -> None:
    """The civil side with a hole anywhere, or from left to right."""
    text = pair.neutral[0]
    if rng.random() >= settings.rate:
        frame = Prompt((Segment(f"{language(pair.lang).name}\n"),))
        rows.add("left to right", Example(frame, text))
        return
    cut = cut_characters if rng.random() < settings.characters else cut_words
    if hole := cut(text, pair.lang, rng):
        name = "plain, characters" if cut is cut_characters else "plain, words"
        rows.add(name, _example(hole, family, settings, rng, shown=False))


def _example(
    hole: Hole, family: FimFormat, settings: FimSettings, rng: random.Random, *, shown: bool
) -> Example:
    """The prompt that asks for a hole's middle, in one of the family's orders."""
    wanted = "spm" if rng.random() < settings.spm else "psm"
    order = wanted if wanted in family.layouts else next(iter(family.layouts))
    return example_of(hole, family, order, shown=shown)


def can_show(family: FimFormat) -> bool:
    """Whether the family's prompts can show what was cut out."""
    return any(Slot.SHOWN in layout for layout in family.layouts.values())


def example_of(hole: Hole, family: FimFormat, order: str, *, shown: bool) -> Example:
    """The prompt for a hole, with the blanks around it on the side where the family has them."""
    left, core, right = _parted(hole.middle)
    before, after = hole.gap.before.rstrip(BLANKS), hole.gap.after.lstrip(BLANKS)
    if family.blank_in_prefix:
        before, left = before + left, ""
    if family.blank_in_suffix:
        after, right = right + after, ""
    gap = replace(hole.gap, before=before, after=after)
    return Example(fim_prompt(family, gap, order, show_cut=shown), left + core + right)


def with_blanks(hole: Hole, family: FimFormat, answer: str) -> str:
    """An answer to `example_of` with those blanks around it that the prompt had."""
    left, _, right = _parted(hole.middle)
    before = left if family.blank_in_prefix else ""
    return before + answer + (right if family.blank_in_suffix else "")


def _parted(middle: str) -> tuple[str, str, str]:
    """The blanks at the beginning of a middle, its core, and those at its end."""
    rest = middle.lstrip(BLANKS)
    core = rest.rstrip(BLANKS)
    return middle[: len(middle) - len(rest)], core, rest[len(core) :]
