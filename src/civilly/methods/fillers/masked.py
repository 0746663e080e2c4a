"""Masked language models fill holes with one to several words' pieces, as CondBERT does.

Dale et al. 2021 (Text Detoxification using Large Pre-trained Neural Models) put masks where toxic
words stood, fill them from left to right with a beam, and rank what comes out. Here candidates are
ranked by the model's own pseudo log likelihood (Salazar et al. 2020) of the filling and of a token
on each side; toxicity and similarity are judged where those of all methods are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from civilly.engines.encoding import PromptEncoder
from civilly.errors import CivillyError, ModelError
from civilly.languages import UNSPACED, in_word, language, says_something
from civilly.methods.delete import BLANKS
from civilly.methods.fillers.checkpoint import MOST_LOGITS, Checkpoint, open_checkpoint
from civilly.methods.fim_middles import fit_middle
from civilly.methods.holes import Filling, Gap, fits
from civilly.registry import Option
from civilly.types import Tools

EXAMPLE = "FacebookAI/xlm-roberta-base"
MOST_MASKS = 3
"""Masks per hole, where the user does not say."""
WIDTH = 8
"""Drafts per hole and number of masks that are followed up."""
CONTEXT = 100
"""Tokens that are read on each side of a hole."""


_BETWEEN = re.compile(f"(?<=[{UNSPACED}]) (?=[{UNSPACED}])")
"""The blanks that a WordPiece tokenizer writes between Chinese characters."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A hole with its first masks filled.

    Attributes:
        gap: Which hole of the call.
        masks: How many masks it has in all.
        filled: Tokens of the first of them.
        logprob: Sum of their log probabilities when they were put in.
    """

    gap: int
    masks: int
    filled: tuple[int, ...] = ()
    logprob: float = 0.0


class MaskedFiller:
    """See the module.

    Args:
        checkpoint: The model.
        masks: The most masks per hole, at least 1.

    Raises:
        ModelError: If the tokenizer has no mask.
    """

    def __init__(self, checkpoint: Checkpoint, masks: int = MOST_MASKS) -> None:
        tokenizer = checkpoint.tokenizer
        if tokenizer.mask_token_id is None:
            raise ModelError(
                "The model of the filler 'masked' has no mask token.",
                allowed="BERT, RoBERTa, XLM-RoBERTa and the like",
                mend=f"--option model={EXAMPLE}",
            )
        self._checkpoint = checkpoint
        self._masks = masks
        self._mask = int(tokenizer.mask_token_id)
        self._encoder = PromptEncoder(tokenizer, chat="never", closing=True)
        framed = tokenizer("a")["input_ids"]
        bare = tokenizer("a", add_special_tokens=False)["input_ids"]
        start = framed.index(bare[0])
        self._frame = framed[:start], framed[start + len(bare) :]
        # RoBERTa and its kin number positions from after the padding token on.
        self._room = (checkpoint.room or 512) - 2 - len(framed) - masks
        self._begins, self._inside, self._marks_beginnings = self._kinds()

    def fill(self, gaps: Sequence[Gap], n: int) -> list[list[Filling]]:
        """See `civilly.methods.holes.Filler`; a filling has a letter and is not what was cut."""
        sides = [self._sides(gap) for gap in gaps]
        drafts = [
            _Draft(gap, masks) for gap in range(len(gaps)) for masks in range(1, self._masks + 1)
        ]
        for _ in range(self._masks):
            drafts = self._step(drafts, gaps, sides)
        texts = [self._read(gaps[draft.gap], sides[draft.gap], draft) for draft in drafts]
        kept = [number for number, text in enumerate(texts) if text is not None]
        values = self._likelihoods([drafts[number] for number in kept], sides)
        found: list[dict[str, float]] = [{} for _ in gaps]
        ranked = sorted(zip(values, kept, strict=True), key=lambda item: (-item[0], item[1]))
        for value, number in ranked:
            found[drafts[number].gap].setdefault(str(texts[number]), value)
        return [[Filling(text, value) for text, value in row.items()][:n] for row in found]

    def _sides(self, gap: Gap) -> tuple[list[int], list[int]]:
        """The tokens on both sides of a hole, as many as there is room for."""
        most = min(CONTEXT, self._room // 2)
        left = self._encoder.encode_text(gap.before.rstrip(BLANKS))
        right = self._encoder.encode_text(gap.after, goes_on=True)
        return left[max(0, len(left) - most) :], right[:most]

    def _row(
        self, draft: _Draft, sides: Sequence[tuple[list[int], list[int]]]
    ) -> tuple[list[int], int]:
        """The ids of a draft, masks where nothing is filled in yet, and where the hole begins."""
        left, right = sides[draft.gap]
        opening, closing = self._frame
        masks = [self._mask] * (draft.masks - len(draft.filled))
        ids = [*opening, *left, *draft.filled, *masks, *right, *closing]
        return ids, len(opening) + len(left)

    def _step(
        self,
        drafts: Sequence[_Draft],
        gaps: Sequence[Gap],
        sides: Sequence[tuple[list[int], list[int]]],
    ) -> list[_Draft]:
        """Fills the next mask of every draft that has one; the best `WIDTH` of each kind stay."""
        done = [draft for draft in drafts if len(draft.filled) == draft.masks]
        pending = [draft for draft in drafts if len(draft.filled) < draft.masks]
        places = []
        for draft in pending:
            ids, start = self._row(draft, sides)
            places.append((ids, start + len(draft.filled)))
        best = self._best(places, [self._allowed(gaps[draft.gap], draft) for draft in pending])
        grown: dict[tuple[int, int], list[_Draft]] = {}
        for draft, choices in zip(pending, best, strict=True):
            grown.setdefault((draft.gap, draft.masks), []).extend(
                replace(draft, filled=(*draft.filled, token), logprob=draft.logprob + logprob)
                for token, logprob in choices
            )
        for group in grown.values():
            done += sorted(group, key=lambda draft: (-draft.logprob, draft.filled))[:WIDTH]
        return done

    def _allowed(self, gap: Gap, draft: _Draft) -> Any:
        """Which tokens may come next (bool [vocabulary]): a hole begins with a word's beginning."""
        if draft.filled:
            return self._begins | self._inside
        blank = gap.before[-1:] or " "
        if blank in BLANKS + "\r\n" or gap.cut[:1] in tuple(BLANKS):
            return self._begins
        inside_word = in_word(blank) and language(gap.lang).spaces
        return self._inside if inside_word or self._marks_beginnings else self._begins

    def _best(
        self, places: Sequence[tuple[list[int], int]], allowed: Sequence[Any]
    ) -> list[list[tuple[int, float]]]:
        """The best tokens at one place of each row, with their log probabilities."""
        best: list[list[tuple[int, float]]] = []
        for row, logprobs in zip(allowed, self._logprobs(places), strict=True):
            values, tokens = logprobs.masked_fill(~row, float("-inf")).topk(WIDTH)
            pairs = zip(tokens.tolist(), values.tolist(), strict=True)
            best.append([(token, value) for token, value in pairs if value > float("-inf")])
        return best

    def _likelihoods(
        self, drafts: Sequence[_Draft], sides: Sequence[tuple[list[int], list[int]]]
    ) -> list[float]:
        """Mean log probability of each draft's tokens and its neighbours, each one masked alone."""
        opening, closing = self._frame
        places, wanted, counts = [], [], []
        for draft in drafts:
            ids, start = self._row(draft, sides)
            first = max(len(opening), start - 1)
            last = min(len(ids) - len(closing), start + draft.masks + 1)
            for place in range(first, last):
                places.append(([*ids[:place], self._mask, *ids[place + 1 :]], place))
                wanted.append(ids[place])
            counts.append(last - first)
        found = self._logprobs(places)
        values = iter(float(row[token]) for row, token in zip(found, wanted, strict=True))
        return [sum(next(values) for _ in range(count)) / count for count in counts]

    def _logprobs(self, places: Sequence[tuple[list[int], int]]) -> Iterable[Any]:
        """Log probabilities (float [vocabulary]) at one place of each row, in order."""
        torch, model = self._checkpoint.torch, self._checkpoint.model
        pad = self._checkpoint.tokenizer.pad_token_id or 0
        start = 0
        while start < len(places):
            widest = max(len(ids) for ids, _ in places[start : start + self._checkpoint.rows])
            size = len(self._begins) * widest
            batch = places[start : start + max(1, min(self._checkpoint.rows, MOST_LOGITS // size))]
            with torch.inference_mode():
                logits = model(**self._checkpoint.padded([ids for ids, _ in batch], pad)).logits
                rows = logits[range(len(batch)), [place for _, place in batch]]
                yield from rows.float().log_softmax(-1).cpu()
            start += len(batch)

    def _read(self, gap: Gap, side: tuple[list[int], list[int]], draft: _Draft) -> str | None:
        """A draft's text, fit for its gap; None without letters, or if it is what was cut."""
        written = _BETWEEN.sub("", self._encoder.decode(draft.filled, side[0]))
        text = fit_middle(gap, written)
        same = text.strip(BLANKS).casefold() == gap.cut.strip(BLANKS).casefold()
        usable = not same and says_something(text) and fits(gap, text)
        return text if usable else None

    def _kinds(self) -> tuple[Any, Any, bool]:
        """Which tokens (bool [vocabulary]) begin a word, which go on with one, and which is marked.

        SentencePiece and byte-level tokenizers mark pieces that begin a word, WordPiece the others.
        """
        torch, tokenizer = self._checkpoint.torch, self._checkpoint.tokenizer
        size = self._checkpoint.model.config.vocab_size
        pieces: list[str] = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
        mark = next(
            (each for each in ("▁", "Ġ") if any(p.startswith(each) and p != each for p in pieces)),
            None,
        )
        begins = torch.zeros(size, dtype=torch.bool)
        inside = torch.zeros(size, dtype=torch.bool)
        steering = {*self._encoder.control.values(), tokenizer.unk_token_id, self._mask}
        for index, piece in enumerate(pieces):
            if index not in steering and piece:
                going_on = piece.startswith("##") if mark is None else not piece.startswith(mark)
                (inside if going_on else begins)[index] = True
        return begins, inside, mark is not None


OPTIONS = (
    Option("model", "Hub id or folder of a masked language model."),
    Option("masks", "The most masks in a hole: 1 to 8."),
)


def create(tools: Tools, options: Mapping[str, Any]) -> MaskedFiller:
    """The filler; ``model`` names the model, by hub id or folder, ``masks`` the most per hole.

    Raises:
        CivillyError: If no model is named, or ``masks`` is no number from 1 to 8.
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If the model cannot be loaded, or has no mask.
    """
    given = str(options.get("masks") or MOST_MASKS)
    if not given.isdecimal() or not 1 <= int(given) <= 8:
        raise CivillyError(f"The option 'masks' is {given!r}.", allowed="1 to 8")
    checkpoint = open_checkpoint("masked", "AutoModelForMaskedLM", options.get("model"), EXAMPLE)
    return MaskedFiller(checkpoint, int(given))
