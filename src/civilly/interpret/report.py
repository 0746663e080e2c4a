"""How well a sparse autoencoder describes a stream, per language, on texts that it never saw.

Explained variance ``1 − Σ‖x − x̂‖² / Σ‖x − mean‖²``, the mean of the language's own tokens; L0;
latents that never fired; cross-entropy with the reconstruction in the stream's place, and the share
that it recovers of what replacing the stream by zeros costs: ``(zero − sae) / (zero − clean)``.
The share is flattering (92–98 % is common), so the nats that are added stand beside it. A latent is
monolingual if one language has nine tenths of its firing rates. Intervals: bootstrap over texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from civilly.engines.residual import Subject
from civilly.score.intervals import Interval, percentile_interval

if TYPE_CHECKING:
    from civilly.model.sparse.autoencoder import SparseAutoencoder

RESAMPLES, CONFIDENCE = 1_000, 0.95
MONOLINGUAL = 0.9
"""A latent is a language's own where it has this share of the sum of all languages' rates."""
LEAST_FIRINGS = 10
"""Rarer latents say nothing about languages."""
MOST_TOKENS = 96
"""Of a text that are read."""

Progress = Callable[[str], None]
Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Row:
    """A language, or all: means of what is measured, with intervals.

    Attributes:
        lang: Language code, or ``all``: the plain mean of the languages.
        texts: How many were read.
        tokens: Likewise.
        explained: Explained variance, at most 1.
        l0: Latents that are active at a token.
        recovered: Share of the cross-entropy that the reconstruction recovers, at most 1.
        added: What it adds to the cross-entropy, nats a token.
        clean: The model's own cross-entropy, nats a token.
        monolingual: Latents that are this language's own, as a share of those that fire in it; for
            ``all``, of all that fire.
    """

    lang: str
    texts: int
    tokens: int
    explained: Interval
    l0: Interval
    recovered: Interval
    added: Interval
    clean: float
    monolingual: Interval


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported of one autoencoder.

    Attributes:
        layer: After which it reads.
        width: Latents.
        dead: Share of the latents that fired nowhere.
        rows: Of each language, then of all.
    """

    layer: int
    width: int
    dead: float
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Sums of each text of a language: [texts, …].

    Attributes:
        sums: tokens, ‖x − x̂‖², ‖x‖², active latents, predicted tokens, and the three sums of
            cross-entropy: clean, reconstructed, zero.
        vectors: Sum of its vectors.
        firings: Of each latent.
    """

    sums: NDArray[np.float64]
    vectors: NDArray[np.float64]
    firings: Counts


def report_on(
    sae: SparseAutoencoder,
    subject: Subject,
    texts: Mapping[str, Sequence[str]],
    progress: Progress,
    seed: int = 0,
) -> Report:
    """Measures an autoencoder.

    Args:
        sae: Of this model.
        subject: The model.
        texts: By language.
        progress: Is told how it goes.
        seed: Of the bootstrap.

    Raises:
        ModelError: If it does not fit the model.
    """
    layer = subject.layer_of(sae)
    measured = {}
    for lang, given in texts.items():
        progress(f"layer {layer}: {lang}, {len(given)} texts")
        measured[lang] = _measure(sae, subject, layer, given)
    draws = _draws(measured, seed)
    rates = {lang: _firing_rates(each, draws[lang]) for lang, each in measured.items()}
    own = _own(rates, sum(each.firings.sum(0) for each in measured.values()))
    rows = [_row(lang, measured[lang], draws[lang], own[lang]) for lang in measured]
    fired = sum(each.firings.sum(0) for each in measured.values()) > 0
    return Report(layer, sae.width, float(1 - fired.mean()), (*rows, _all(rows, own["all"])))


def _measure(sae: SparseAutoencoder, subject: Subject, layer: int, texts: Sequence[str]) -> Any:
    import torch

    tokens = [each.ids[:MOST_TOKENS] for each in subject.encode(texts)]
    ids = [[*subject.opening, *row] for row in tokens if row]
    before = len(subject.opening)
    sums, vectors, firings = [], [], []
    for stream in subject.read(ids, layer):
        x = torch.from_numpy(stream[before:])
        latents = sae.encode(x)
        missed = (x - sae.decode(latents, x)).double().square().sum()
        active = latents > 0
        square = x.double().square().sum()
        sums.append([len(x), missed.item(), square.item(), int(active.sum()), len(x) - 1])
        vectors.append(x.double().sum(0).numpy())
        firings.append(active.sum(0).int().numpy())

    def replaced(hidden: Any) -> Any:
        return torch.cat([hidden[:, :before], sae.reconstruct(hidden[:, before:].float())], 1)

    def zeroed(hidden: Any) -> Any:
        return torch.cat([hidden[:, :before], torch.zeros_like(hidden[:, before:])], 1)

    costs = [subject.losses(ids)]
    for edit in (replaced, zeroed):
        with subject.editing(layer, edit):
            costs.append(subject.losses(ids))
    # The first token is predicted from what stands before every text, which is not replaced.
    entropies = [[float(row[before:].sum()) for row in cost] for cost in costs]
    whole = np.concatenate([np.array(sums, float), np.array(entropies).T], axis=1)
    return _Measured(whole, np.array(vectors), np.array(firings))


def _draws(measured: Mapping[str, _Measured], seed: int) -> dict[str, NDArray[np.float64]]:
    """How often each text of a language is drawn: [1 + resamples, texts]; first, all once."""
    rng = np.random.default_rng(seed)
    found = {}
    for lang, each in measured.items():
        n = len(each.sums)
        drawn = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES)
        found[lang] = np.concatenate([np.ones((1, n)), drawn])
    return found


def _firing_rates(each: _Measured, draws: NDArray[np.float64]) -> NDArray[np.float32]:
    """Firings of each latent a token, in each resample."""
    tokens = draws @ each.sums[:, :1]
    return np.asarray(draws @ each.firings.astype(np.float32) / tokens, np.float32)


def _own(
    rates: Mapping[str, NDArray[np.float32]], firings: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Share of a language's latents that are its own, in each resample; and of all latents."""
    common = firings >= LEAST_FIRINGS
    total = np.maximum(sum(each[:, common] for each in rates.values()), 1e-12)
    alive = total > 1e-12
    found, owned = {}, np.zeros(len(total))
    for lang, each in rates.items():
        mine = each[:, common] >= MONOLINGUAL * total
        mine &= alive
        firing = (each[:, common] > 0).sum(1)
        found[lang] = mine.sum(1) / np.maximum(firing, 1)
        owned += mine.sum(1)
    return {**found, "all": owned / np.maximum(alive.sum(1), 1)}


def _row(lang: str, each: _Measured, draws: NDArray[np.float64], own: NDArray[np.float64]) -> Row:
    tokens, missed, squares, active, predicted, clean, reconstructed, zero = (draws @ each.sums).T
    means = (draws @ each.vectors) / tokens[:, None]
    variance = squares - tokens * np.square(means).sum(1)
    texts = len(each.sums)

    def interval(values: NDArray[np.float64]) -> Interval:
        return percentile_interval(float(values[0]), values[1:], [texts], CONFIDENCE)

    return Row(
        lang,
        texts,
        int(tokens[0]),
        interval(1 - missed / variance),
        interval(active / tokens),
        interval((zero - reconstructed) / (zero - clean)),
        interval((reconstructed - clean) / predicted),
        float(clean[0] / predicted[0]),
        interval(own),
    )


def _all(rows: Sequence[Row], own: NDArray[np.float64]) -> Row:
    """The plain means of the languages; their intervals by adding up variances."""
    texts = sum(row.texts for row in rows)

    def mean(name: str) -> Interval:
        each: list[Interval] = [getattr(row, name) for row in rows]
        value = float(np.mean([interval.mean for interval in each]))
        spans = [i.high - i.low for i in each if i.low is not None and i.high is not None]
        if len(spans) < len(each):
            return Interval(value, None, None, texts)
        half = float(np.sqrt(np.square(np.array(spans) / 2).sum()) / len(spans))
        return Interval(value, value - half, value + half, texts)

    return Row(
        "all",
        texts,
        sum(row.tokens for row in rows),
        mean("explained"),
        mean("l0"),
        mean("recovered"),
        mean("added"),
        float(np.mean([row.clean for row in rows])),
        percentile_interval(float(own[0]), own[1:], [texts], CONFIDENCE),
    )


def as_markdown(report: Report) -> str:
    """The table."""
    head = (
        "| language | texts | tokens | explained variance | L0 | CE recovered | nats added | "
        "model's CE | monolingual |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    lines = [
        f"| {row.lang} | {row.texts} | {row.tokens} | {row.explained} | {row.l0.mean:.1f} "
        f"[{row.l0.ends(digits=1)}] | {row.recovered} | {row.added} | {row.clean:.2f} | "
        f"{row.monolingual} |"
        for row in report.rows
    ]
    return (
        f"After layer {report.layer}, {report.width} latents, {report.dead:.1%} of them never "
        f"fired.\n\n{head}" + "\n".join(lines) + "\n"
    )
