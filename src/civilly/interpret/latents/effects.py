"""What each latent does: where it fires most, and what the next token would be without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.engines.residual import Subject
from civilly.interpret.latents.measures import LATENT_RECALL, areas, highest_of, precisions
from civilly.interpret.latents.streams import Floats, Tokens
from civilly.languages import CODES
from civilly.model.sparse.toxic import ToxicLatents

CONTEXTS = 8
"""Strongest contexts of a latent that are shown, of different languages first."""
READ = 4
"""So many of them are read again without the latent."""
SHOWN_TOKENS = 8
LEAST_PROBABILITY = 1e-4
"""Tokens that are less likely with and without a latent are not listed."""
_AROUND = 60
"""Characters around a token that are shown."""


@dataclass(frozen=True, slots=True)
class Context:
    """A place where a latent fires.

    Attributes:
        lang: Language code.
        before: Text before the token.
        token: The token.
        after: Text after it.
        height: The activation.
        insult: Whether the token's word is marked as an insult.
    """

    lang: str
    before: str
    token: str
    after: str
    height: float
    insult: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a latent.

    Attributes:
        number: In its autoencoder.
        weight: Mass per unit of activation.
        peak: Usual activation on insults.
        rate: Share of tokens on which it fires.
        insults: Share of the tokens on which it fires that insult.
        areas: Area under the curve by level: token, word, sentence.
        precision: Where it finds a tenth of the insults.
        by_language: Area of tokens by language.
        rates: Firing rate by language.
        contexts: Its strongest ones.
        promoted: Tokens that are likelier with it than without, and by how many nats.
        suppressed: Those that are less likely.
        divergence: Nats between both distributions, mean over the contexts.
    """

    number: int
    weight: float
    peak: float
    rate: float
    insults: float
    areas: dict[str, float]
    precision: float
    by_language: dict[str, float]
    rates: dict[str, float]
    contexts: list[Context]
    promoted: list[tuple[str, float]]
    suppressed: list[tuple[str, float]]
    divergence: float


def profiles(
    toxic: ToxicLatents, latents: Any, tokens: Tokens, rows: NDArray[np.bool_], subject: Subject
) -> list[Profile]:
    """What is known of each latent, in their order.

    Args:
        toxic: The latents.
        latents: Activations of all tokens, sparse, in rows: of all latents of the autoencoder.
        tokens: All tokens.
        rows: Which are looked at.
        subject: The model.
    """
    places = np.flatnonzero(rows)
    own = latents[places][:, list(toxic.numbers)].tocsc()
    truths = tokens.toxic[places]
    levels = {"token": areas(own, truths)}
    for level, groups in (("word", tokens.word[places]), ("sentence", tokens.sentence[places])):
        first = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
        told = truths[first]
        if level == "sentence":
            told = np.array([tokens.examples[i].toxic for i in groups[first]])
        levels[level] = areas(highest_of(own, groups), told)
    found_at = precisions(own, truths, LATENT_RECALL)
    by_language = {
        CODES[n]: np.flatnonzero(tokens.language[places] == n)
        for n in np.unique(tokens.language[places])
    }
    area_of = {lang: areas(own[at], truths[at]) for lang, at in by_language.items()}
    made = []
    for j, number in enumerate(toxic.numbers):
        column = own[:, j]
        fired = column.indices
        top = _strongest(column, places, tokens)
        promoted, suppressed, divergence = _without(toxic, j, top, tokens, subject)
        made.append(
            Profile(
                number,
                float(toxic.weights[j]),
                float(toxic.peaks[j]),
                len(fired) / len(places),
                float(truths[fired].mean()) if len(fired) else 0.0,
                {level: float(each[j]) for level, each in levels.items()},
                float(found_at[j]),
                {lang: float(each[j]) for lang, each in area_of.items()},
                {lang: float((own[at][:, [j]] > 0).mean()) for lang, at in by_language.items()},
                [_context(at, height, tokens, subject) for at, height in top],
                promoted,
                suppressed,
                divergence,
            )
        )
    return made


def _strongest(column: Any, places: NDArray[np.int64], tokens: Tokens) -> list[tuple[int, float]]:
    """Tokens where a latent fires most: the best of each language, then the next best."""
    order = np.argsort(-column.data, kind="stable")
    seen: set[int] = set()
    taken: dict[int, int] = {}
    ranked = []
    for i in order[:2_000]:
        at = int(places[column.indices[i]])
        if int(tokens.sentence[at]) in seen:
            continue
        seen.add(int(tokens.sentence[at]))
        lang = int(tokens.language[at])
        turn = taken[lang] = taken.get(lang, -1) + 1
        ranked.append((turn, -float(column.data[i]), at))
    ranked.sort()
    return sorted(((at, -height) for _, height, at in ranked[:CONTEXTS]), key=lambda p: -p[1])


def _context(at: int, height: float, tokens: Tokens, subject: Subject) -> Context:
    example = tokens.examples[int(tokens.sentence[at])]
    (seen,) = subject.encode([example.text])
    start, end = seen.offsets[int(tokens.place[at])]
    before = example.text[max(0, start - _AROUND) : start]
    after = example.text[end : end + _AROUND]
    insult = bool(tokens.toxic[at])
    return Context(example.lang, before, example.text[start:end], after, height, insult)


def _without(
    toxic: ToxicLatents, j: int, top: Sequence[tuple[int, float]], tokens: Tokens, subject: Subject
) -> tuple[list[tuple[str, float]], list[tuple[str, float]], float]:
    """The next token after a latent's strongest contexts, with it and with it set to zero."""
    rows = []
    for at, _ in top[:READ]:
        (seen,) = subject.encode([tokens.examples[int(tokens.sentence[at])].text])
        rows.append([*subject.opening, *seen.ids[: int(tokens.place[at]) + 1]])
    if not rows:
        return [], [], 0.0

    def edit(x: Any) -> Any:
        def change(latents: Any) -> Any:
            other = latents.clone()
            other[..., j] = 0
            return other

        return toxic.part.edited(x.float(), change)

    before = _log_softmax(subject.next_logits(rows))
    with subject.editing(toxic.about.layer, edit):
        after = _log_softmax(subject.next_logits(rows))
    likely = np.maximum(np.exp(before).mean(axis=0), np.exp(after).mean(axis=0))
    change = np.where(likely >= LEAST_PROBABILITY, (before - after).mean(axis=0), 0)
    divergence = float((np.exp(before) * (before - after)).sum(axis=1).mean())
    order = np.argsort(-change, kind="stable")

    def named(ids: NDArray[np.int64]) -> list[tuple[str, float]]:
        return [(subject.decode([int(i)]), float(change[i])) for i in ids]

    up = order[:SHOWN_TOKENS]
    down = order[::-1][:SHOWN_TOKENS]
    return named(up[change[up] > 0]), named(down[change[down] < 0]), divergence


def _log_softmax(logits: Floats) -> NDArray[np.float64]:
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    return np.asarray(exact - np.log(np.exp(exact).sum(axis=1, keepdims=True)))
