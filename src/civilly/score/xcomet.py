"""XCOMET-lite on current libraries: how well an output says what the input and a reference say.

Larionov et al. 2024 (https://arxiv.org/abs/2406.14553): XCOMET on mDeBERTa-v3-base. The package
unbabel-comet, which runs it officially, needs libraries of 2024; this computes the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from civilly.engines.requests import well_formed
from civilly.errors import ModelError
from civilly.score.deberta_tokenizer import CLS, PAD, SEP, open_tokenizer
from civilly.score.models import ModelSource, Runtime, batches, opening
from civilly.score.mqm import TAG_WEIGHTS, TAGS, ErrorSpan, combined, error_spans, mqm
from civilly.score.xcomet_network import build, load, predict

SEGMENT_ROOM = 4
SEQUENCE_ROOM = 2
"""unbabel-comet stays this far below the encoder's positions (512): 508 tokens for each of output,
input and reference with its two special tokens, 510 for them joined."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What XCOMET says of one output.

    Attributes:
        score: The weighted sum, at most 1; above 0 for any sensible model, but not clipped there.
        sentence_scores: Regression scores of (mt;src), (mt;ref), (mt;src;ref), not clipped; of
            (mt;src) alone without a reference.
        mqm: Quality by the error spans, in [0, 1].
        spans: The errors found in the output.
    """

    score: float
    sentence_scores: tuple[float, ...]
    mqm: float
    spans: tuple[ErrorSpan, ...]


@dataclass(frozen=True, slots=True)
class _Segment:
    ids: list[int]  # with [CLS] and [SEP]
    offsets: list[tuple[int, int]]


class XComet:
    """The metric.

    Args:
        source: The checkpoint: ``model.safetensors`` or ``pytorch_model.bin`` with the names that
            unbabel-comet gives its weights (``encoder.model.…``, ``estimator.ff.…``, …).
        encoder: Where the configuration and the tokenizer of its encoder are.
        runtime: Device, number format and rows per batch.

    Raises:
        MissingExtraError: If torch, transformers or sentencepiece is not installed.
        ModelError: If it cannot be opened, or its weights are not exactly those of the network.
    """

    def __init__(self, source: ModelSource, encoder: ModelSource, runtime: Runtime) -> None:
        self._batch = runtime.batch
        with opening("FL", encoder):
            from transformers import AutoConfig

            self._torch, self._device, dtype = runtime.resolve()
            config = AutoConfig.from_pretrained(encoder.name, **encoder.where)
            self._tokenizer = open_tokenizer(encoder)
        with opening("FL", source):
            path = source.file("model.safetensors", "pytorch_model.bin")
            if path is None:
                raise ModelError(
                    f"The checkpoint {source.name!r} has no weights.",
                    allowed="model.safetensors or pytorch_model.bin",
                    mend="name another with --option fl=",
                )
            network = build(self._torch, config)
            load(self._torch, network, path)
            self._network = network.eval().to(self._device, dtype)
        positions = int(config.max_position_embeddings)
        self._tokenizer.enable_truncation(positions - SEGMENT_ROOM)
        self._longest = positions - SEQUENCE_ROOM
        vocabulary = self._tokenizer.get_vocab()
        self._cls, self._sep, self._pad = (vocabulary[name] for name in (CLS, SEP, PAD))

    def judge(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        references: Sequence[str] | None = None,
    ) -> list[Judgement]:
        """One judgement per output, in order.

        Args:
            inputs: The sources, ``src``.
            outputs: What is judged, ``mt``.
            references: One reference per output, or None to judge by the input alone.
        """
        columns = [outputs, inputs] if references is None else [outputs, inputs, references]
        segments = self._segments([*chain.from_iterable(columns)])
        rows = [
            [segments[text] for text in map(well_formed, row)] for row in zip(*columns, strict=True)
        ]
        judged: dict[int, Judgement] = {}
        lengths = [sum(len(segment.ids) for segment in row) for row in rows]
        for batch in batches(lengths, self._batch, "FL"):
            judged.update(zip(batch, self._judge([rows[index] for index in batch]), strict=True))
        return [judged[index] for index in range(len(rows))]

    def _segments(self, texts: Sequence[str]) -> dict[str, _Segment]:
        unique = list(dict.fromkeys(map(well_formed, texts)))
        made = {}
        for text, encoding in zip(unique, self._tokenizer.encode_batch(unique), strict=True):
            # A text may spell "[PAD]"; padding is dropped before the segments are joined.
            kept = [(i, o) for i, o in zip(encoding.ids, encoding.offsets, strict=True)
                    if i != self._pad]  # fmt: skip
            made[text] = _Segment([i for i, _ in kept], [o for _, o in kept])
        return made

    def _judge(self, rows: Sequence[Sequence[_Segment]]) -> list[Judgement]:
        """Judges a batch of (mt, src) or (mt, src, ref)."""
        forms = ((0, 1),) if len(rows[0]) == 2 else ((0, 1), (0, 2), (0, 1, 2))
        weights = (1.0,) if len(forms) == 1 else TAG_WEIGHTS
        longest = max(len(row[0].ids) for row in rows)
        scores, tags = [], self._torch.zeros(len(rows), longest, len(TAGS))
        for form, weight in zip(forms, weights, strict=True):
            sentence, token = predict(
                self._torch,
                self._network,
                [self._joined([row[place] for place in form]) for row in rows],
                self._pad,
            )
            scores.append(sentence.tolist())
            tags += weight * token[:, :longest].cpu()
        return [
            self._judgement(row[0], sentence_scores, tag)
            for row, sentence_scores, tag in zip(
                rows, zip(*scores, strict=True), tags.tolist(), strict=True
            )
        ]

    def _joined(self, segments: Sequence[_Segment]) -> list[int]:
        """``[CLS] mt [SEP] …  [SEP]``, cut off where the encoder's room ends."""
        ids = [self._cls]
        for segment in segments:
            ids += [*segment.ids[1:-1], self._sep]
        return ids[: self._longest]

    @staticmethod
    def _judgement(
        output: _Segment, scores: tuple[float, ...], tags: Sequence[Sequence[float]]
    ) -> Judgement:
        spans = error_spans(tags[: len(output.ids)], output.offsets)
        quality = mqm(span.severity for span in spans)
        return Judgement(combined(scores, quality), scores, quality, tuple(spans))
