"""T5 and mT5 fill holes marked by sentinels, all holes of a text in one call.

The format is that of their pre-training (Raffel et al. 2020, §3.1.4): holes are ``<extra_id_0>``,
``<extra_id_1>``, … and the answer is ``<extra_id_0> first <extra_id_1> second <extra_id_2>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from civilly.engines.encoding import PromptEncoder
from civilly.errors import ModelError
from civilly.methods.fillers.checkpoint import MOST_LOGITS, Checkpoint, open_checkpoint
from civilly.methods.fim_formats import longest_middle
from civilly.methods.fim_middles import fit_middle
from civilly.methods.holes import Broken, Filling, Gap, fits
from civilly.registry import Option
from civilly.types import Prompt, Segment, Tools

EXAMPLE = "google/mt5-base"
MOST_HOLES = 99
"""One sentinel more closes the last hole."""
LEAST_BEAMS = 4


class SentinelFiller:
    """Fills holes by beam search of an encoder-decoder model.

    Args:
        checkpoint: The model.

    Raises:
        ModelError: If its vocabulary has no sentinels.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._spellings = _sentinels(checkpoint)
        self._encoder = PromptEncoder(
            checkpoint.tokenizer, chat="never", closing=True, sentinels=self._spellings
        )
        vocabulary: Mapping[str, int] = self._encoder.vocabulary
        self._sentinels = [vocabulary[each] for each in self._spellings]

    def fill(self, gaps: Sequence[Gap], n: int) -> list[list[Filling]]:
        """See `civilly.methods.holes.Filler`."""
        texts = [Broken((gap.before, gap.after), (gap.cut,), gap.lang) for gap in gaps]
        return [[way[0] for way in ways] for ways in self.fill_texts(texts, n)]

    def fill_texts(self, texts: Sequence[Broken], n: int) -> list[list[tuple[Filling, ...]]]:
        """See `civilly.methods.holes.JointFiller`; the log probability is the whole answer's."""
        answers: list[list[tuple[Filling, ...]]] = [[] for _ in texts]
        fitting = [
            place for place, text in enumerate(texts) if len(text.cuts) < len(self._sentinels)
        ]
        # The sentinel that ends an answer depends on the number of holes.
        fitting.sort(key=lambda place: len(texts[place].cuts))
        for holes, group in groupby(fitting, key=lambda place: len(texts[place].cuts)):
            for places in self._batches(list(group), texts, n):
                batch = [texts[place] for place in places]
                for place, ways in zip(places, self._generate(batch, holes, n), strict=True):
                    answers[place] = ways
        return answers

    def _batches(
        self, places: Sequence[int], texts: Sequence[Broken], n: int
    ) -> Iterator[list[int]]:
        """Places in batches, the longest texts first."""
        beams = max(n, LEAST_BEAMS)
        size = self._checkpoint.model.config.vocab_size
        rows = max(1, min(self._checkpoint.rows, MOST_LOGITS // (size * beams)))
        ordered = sorted(places, key=lambda place: -sum(map(len, texts[place].kept)))
        for start in range(0, len(ordered), rows):
            yield ordered[start : start + rows]

    def _generate(
        self, batch: Sequence[Broken], holes: int, n: int
    ) -> list[list[tuple[Filling, ...]]]:
        torch, model = self._checkpoint.torch, self._checkpoint.model
        rows = [self._encoder.encode(self._prompt(text)) for text in batch]
        beams = max(n, LEAST_BEAMS)
        begin = [model.config.decoder_start_token_id, self._sentinels[0]]
        with torch.inference_mode():
            output = model.generate(
                **self._checkpoint.padded(rows, model.config.pad_token_id),
                decoder_input_ids=torch.tensor([begin] * len(rows)).to(self._checkpoint.device),
                generation_config=self._configuration(batch, holes, beams),
            )
        made = zip(output.sequences.tolist(), output.sequences_scores.tolist(), strict=True)
        return [
            _distinct((self._read(text, next(made)) for _ in range(beams)), n) for text in batch
        ]

    def _configuration(self, batch: Sequence[Broken], holes: int, beams: int) -> Any:
        model = self._checkpoint.model
        longest = max(
            sum(longest_middle(Gap("", cut, "", text.lang)) + 1 for cut in text.cuts)
            for text in batch
        )
        unknown = self._checkpoint.tokenizer.unk_token_id
        return self._checkpoint.transformers.GenerationConfig(
            max_new_tokens=longest,
            num_beams=beams,
            num_return_sequences=beams,
            length_penalty=1.0,
            early_stopping=False,
            do_sample=False,
            eos_token_id=[model.config.eos_token_id, self._sentinels[holes]],
            pad_token_id=model.config.pad_token_id,
            decoder_start_token_id=model.config.decoder_start_token_id,
            suppress_tokens=[
                self._sentinels[0],
                *self._sentinels[holes + 1 :],
                *([] if unknown is None else [unknown]),
            ],
            return_dict_in_generate=True,
            output_scores=True,
        )  # fmt: skip

    def _prompt(self, text: Broken) -> Prompt:
        first, *others = text.kept
        segments = [Segment(first)]
        for spelling, kept in zip(self._spellings, others, strict=False):
            segments += [Segment(spelling, special=True), Segment(kept)]
        return Prompt(tuple(segments))

    def _read(self, text: Broken, made: tuple[list[int], float]) -> tuple[Filling, ...] | None:
        """The fillings in one answer; None if it is none for every hole, in their order."""
        ids, logprob = made
        model = self._checkpoint.model
        pieces = between(
            ids[2:],
            self._sentinels[1 : len(text.cuts) + 1],
            {model.config.eos_token_id, model.config.pad_token_id},
        )
        if pieces is None:
            return None
        fillings: list[Filling] = []
        before = text.kept[0]
        for place, piece in enumerate(pieces):
            after = "".join(text.kept[place + 1 :])
            gap = Gap(before, text.cuts[place], after, text.lang)
            written = self._encoder.decode(piece, self._encoder.encode_text(before))
            filling = fit_middle(gap, written)
            if not fits(gap, filling):
                return None
            fillings.append(Filling(filling, logprob))
            before += filling + text.kept[place + 1]
        return tuple(fillings)


def between(ids: Sequence[int], sentinels: Sequence[int], ends: set[int]) -> list[list[int]] | None:
    """What stands before each of the sentinels.

    Instead of the last one, the answer may end. None if the sentinels do not come in this order,
    or if the answer was broken off.
    """
    pieces: list[list[int]] = [[]]
    for index in ids:
        if index in ends or (index == sentinels[-1] and len(pieces) == len(sentinels)):
            return pieces if len(pieces) == len(sentinels) else None
        if index not in sentinels:
            pieces[-1].append(index)
        elif index == sentinels[len(pieces) - 1]:
            pieces.append([])
        else:
            return None
    return None


def _distinct(ways: Iterator[tuple[Filling, ...] | None], n: int) -> list[tuple[Filling, ...]]:
    found: dict[tuple[str, ...], tuple[Filling, ...]] = {}
    for way in ways:
        if way is not None:
            found.setdefault(tuple(filling.text for filling in way), way)
    return list(found.values())[:n]


def _sentinels(checkpoint: Checkpoint) -> list[str]:
    """The sentinels that the model has embeddings for, by spelling; mT5 has them as pieces."""
    vocabulary = checkpoint.tokenizer.get_vocab()
    size = checkpoint.model.get_input_embeddings().weight.shape[0]
    found = []
    for number in range(MOST_HOLES + 1):
        known = [
            each
            for each in (f"<extra_id_{number}>", f"▁<extra_id_{number}>")
            if vocabulary.get(each, size) < size
        ]
        if not known:
            break
        found.append(min(known, key=vocabulary.__getitem__))
    if len(found) < 2:
        raise ModelError(
            "The model of the filler 'sentinel' has no sentinels such as <extra_id_0>.",
            allowed="T5, T5 v1.1, mT5, umT5",
            mend=f"--option model={EXAMPLE}",
        )
    return found


OPTIONS = (Option("model", "Hub id or folder of a model with sentinels, as T5."),)


def create(tools: Tools, options: Mapping[str, Any]) -> SentinelFiller:
    """The filler; the option ``model`` names the model, by hub id or folder.

    Raises:
        CivillyError: If no model is named.
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If the model cannot be loaded, or has no sentinels.
    """
    return SentinelFiller(
        open_checkpoint("sentinel", "AutoModelForSeq2SeqLM", options.get("model"), EXAMPLE)
    )
