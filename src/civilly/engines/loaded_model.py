"""A built model on the CPU, through CTranslate2: no torch, no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from civilly.engines.background import Background
from civilly.engines.batches import (
    BATCH_TOKENS,
    Batch,
    Reading,
    batches_of,
    equal_lengths,
    reading_of,
    step_class,
)
from civilly.engines.limits import limit_of, stop_after
from civilly.engines.memory import share_freed_buffers
from civilly.engines.requests import check, check_search, width_of
from civilly.engines.sampling import seeded_lanes
from civilly.model.cache import loaded
from civilly.types import Generation, GenerationOptions, Prompt

if TYPE_CHECKING:
    from civilly.model.tokenizer import TextTokenizer

LEAST_BRANCH_PROBABILITY = 0.01
"""A first token that the model finds less likely than this is no other turn worth taking."""
SCORED_LOGITS = 6_000_000
"""The most logits that one scoring batch may hold (24 MB)."""


class LoadedModel:
    """One CTranslate2 folder in memory.

    Args:
        folder: The folder, with its tokenizer.
        threads: CPU threads.
        window: The most tokens that the model reads alike, however they are handed to it.
        read_tokenizer: Reads the tokenizer of the folder.
        engine: What errors call the engine.
    """

    def __init__(
        self,
        folder: Path,
        threads: int,
        window: int,
        read_tokenizer: Callable[[Path], TextTokenizer],
        engine: str,
    ) -> None:
        self._folder = folder
        self._read_tokenizer = read_tokenizer
        self._engine = engine
        self._window = window
        self._threads = threads
        self._stopping: dict[tuple[str, ...], list[int]] = {}
        share_freed_buffers()
        # CTranslate2 reads the weights without holding the interpreter, so that the tokenizer can
        # be read at the same time.
        self._loading = Background(self._load)

    def _load(self) -> Any:
        import ctranslate2

        # A worker per core, each on a batch of its own, is three times as fast as all cores on one
        # batch: much of a decoding step is not parallel inside.
        return loaded(
            lambda: self._folder,
            lambda folder: ctranslate2.Generator(
                str(folder), device="cpu", inter_threads=self._threads, intra_threads=1
            ),
        )

    @property
    def _generator(self) -> Any:
        return self._loading.result()

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer of the folder."""
        return loaded(lambda: self._folder, self._read_tokenizer)

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        """Continues each prompt.

        But for sampling, what comes out for a prompt depends on that prompt and the options alone,
        to the last bit: prompts that are read alike (`civilly.engines.batches`) are decoded
        together. Samples depend on the prompts of the call as well; the same call gives the same.

        Raises:
            EngineError: If an option is out of range, or asks for a diverse beam search, which
                CTranslate2 does not have.
        """
        check(prompts, options)
        check_search(self._engine, options, ("beam",))
        encoded = self.tokenizer.encode_prompts(prompts)
        limits = [limit_of(p, len(ids), options) for p, ids in zip(prompts, encoded, strict=True)]
        readings = self._readings(prompts, encoded, limits, options)
        batches = list(batches_of(encoded, readings))
        workers = self._workers(options)
        running = [
            self._start(workers[n % len(workers)], encoded, batch, limits, options)
            for n, batch in enumerate(batches)
        ]

        def read(i: int, ids: list[int], score: float) -> Generation:
            return self._generation(ids, score, limits[i], options)

        return _collected([batch.positions for batch in batches], running, read)

    def _readings(
        self,
        prompts: Sequence[Prompt],
        encoded: Sequence[list[int]],
        limits: Sequence[int],
        options: GenerationOptions,
    ) -> list[Reading]:
        """How each prompt is read, and how far a batch of its like is decoded."""
        heads: dict[str, list[int]] = {}
        for prompt in prompts:
            if prompt.head not in heads:
                (heads[prompt.head],) = self.tokenizer.encode_prompts([Prompt.of(prompt.head)])
        greedy = _is_greedy(options)
        return [
            reading_of(
                ids,
                heads[prompt.head],
                # Greedy rows stop one by one; how a beam search goes depends on where it must end.
                0 if greedy else step_class(limit),
                self._window,
                whole=options.temperature == 0 and not greedy,
            )
            for prompt, ids, limit in zip(prompts, encoded, limits, strict=True)
        ]

    def _workers(self, options: GenerationOptions) -> list[Any]:
        """The generators to hand the batches of one call to, by turns."""
        if options.temperature > 0:
            begin = self.tokenizer.begin_piece
            return loaded(
                lambda: self._folder,
                lambda folder: seeded_lanes(folder, options.seed, self._threads, begin),
            )
        return [self._generator]

    def _start(
        self,
        worker: Any,
        encoded: Sequence[list[int]],
        batch: Batch,
        limits: Sequence[int],
        options: GenerationOptions,
    ) -> list[Any]:
        """Hands one batch to a worker; each row's result can be waited for."""
        sampling, greedy = options.temperature > 0, _is_greedy(options)
        head = len(batch.reading.head)
        rows = [
            [self.tokenizer.piece(i) for i in encoded[position]] for position in batch.positions
        ]
        own = [row[head:] for row in rows]
        most = [limits[i] + 1 for i in batch.positions]  # with the end of the answer
        if greedy and len(own[-1]) > batch.reading.at_once:
            # As much is read at once as the shortest row has: one more row, which stops at once.
            own.append(own[-1][: batch.reading.at_once])
            most.append(1)
        started = worker.generate_batch(
            own,
            # CTranslate2 can also keep what it read for later calls, but never forgets it.
            static_prompt=rows[0][:head] or None,
            cache_static_prompt=False,
            beam_size=1 if sampling else width_of(options),
            num_hypotheses=options.n,
            max_length=max(most) if greedy else batch.reading.steps,
            callback=stop_after(most) if greedy else None,
            end_token=self._end_tokens(options.stop),
            sampling_topk=options.top_k if sampling else 1,
            sampling_topp=options.top_p if sampling else 1.0,
            sampling_temperature=options.temperature if sampling else 1.0,
            include_prompt_in_result=False,
            return_scores=True,
            return_end_token=True,
            asynchronous=True,
        )
        return list(started[: len(rows)])

    def _end_tokens(self, stops: tuple[str, ...]) -> list[int]:
        """Tokens after which nothing is read: the end of a text, and what holds a stop string."""
        if stops not in self._stopping:
            texts = self.tokenizer.texts() if stops else []
            found = [i for i, text in enumerate(texts) if any(stop in text for stop in stops)]
            self._stopping[stops] = [self.tokenizer.end, *found]
        return self._stopping[stops]

    def _generation(
        self, ids: list[int], score: float, limit: int, options: GenerationOptions
    ) -> Generation:
        finished = bool(ids) and len(ids) <= limit + 1 and self._ends(ids[-1], options.stop)
        text = self.tokenizer.decode(ids[:limit] if not finished else ids[:-1])
        for stop in options.stop:
            cut = text.find(stop)
            if cut >= 0:
                text, finished = text[:cut], True
        return Generation(text, score, finished)

    def _ends(self, token: int, stops: tuple[str, ...]) -> bool:
        """Whether a token ends an answer as a whole: no text, part of which might be kept."""
        if token == self.tokenizer.end:
            return True
        return token in self.tokenizer.special.values() and self.tokenizer.piece(token) in stops

    def branch(
        self, prompts: Sequence[Prompt], n: int, max_new_tokens: int
    ) -> list[list[Generation]]:
        """Beginnings of continuations that differ in their first token.

        Args:
            prompts: What to continue; a prompt may end inside the answer.
            n: The most continuations per prompt.
            max_new_tokens: Tokens after which a continuation is broken off.

        Returns:
            Per prompt 1 to ``n`` generations, most likely first token first.
        """
        encoded = self.tokenizer.encode_prompts(prompts)
        # In batches of equal lengths, no part of a prompt is read token by token.
        batches = list(equal_lengths([len(row) for row in encoded], BATCH_TOKENS // n))
        running = [
            self._generator.generate_batch(
                [[self.tokenizer.piece(token) for token in encoded[i]] for i in batch],
                num_hypotheses=n,
                return_alternatives=True,
                min_alternative_expansion_prob=LEAST_BRANCH_PROBABILITY,
                # With alternatives, CTranslate2 counts the prompt as well.
                max_length=len(encoded[batch[0]]) + max_new_tokens,
                include_prompt_in_result=False,
                return_scores=True,
                return_end_token=True,
                asynchronous=True,
            )
            for batch in batches
        ]
        return _collected(batches, running, lambda _, ids, total: self._beginning(ids, total))

    def _beginning(self, ids: list[int], total: float) -> Generation:
        finished = bool(ids) and ids[-1] == self.tokenizer.end
        text = self.tokenizer.decode(ids[:-1] if finished else ids)
        # CTranslate2's score of an alternative is the log probability of its first token plus the
        # mean of the rest: divided by the length it ranks, but is no mean per token.
        return Generation(text, total / max(1, len(ids)), finished)

    def logprobs(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """Mean natural log probability per token of each text after its prompt.

        Args:
            prompts: What the model has read.
            texts: What it would have to write; same length.

        Returns:
            One number <= 0 per text; an empty text gives 0. Of a prompt and text that are longer
            than the window, only the window is read: past a sliding window, CTranslate2's forward
            pass can do no more.
        """
        heads = self.tokenizer.encode_prompts(prompts)
        tails = self.tokenizer.encode_batch(texts)
        scores = [0.0] * len(texts)
        heads = [head[: self._window // 2] for head in heads]
        tails = [tail[: self._window - len(head)] for head, tail in zip(heads, tails, strict=True)]
        rows = [head + tail for head, tail in zip(heads, tails, strict=True)]
        room = SCORED_LOGITS // self.tokenizer.size

        def score(batch: list[int]) -> None:
            logits = np.asarray(self._forward([rows[i] for i in batch]))
            for row_logits, i in zip(logits, batch, strict=True):
                if tails[i]:
                    start = len(heads[i])
                    scores[i] = _mean_logprob(row_logits[start - 1 : len(rows[i]) - 1], tails[i])

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(score, equal_lengths([len(row) for row in rows], room)))
        return scores

    def _forward(self, rows: list[list[int]]) -> Any:
        import ctranslate2

        ids = ctranslate2.StorageView.from_array(np.asarray(rows, dtype=np.int32))
        lengths = ctranslate2.StorageView.from_array(
            np.full(len(rows), len(rows[0]), dtype=np.int32)
        )
        return self._generator.forward_batch(ids, lengths, return_log_probs=False)


def _collected(
    batches: Sequence[Sequence[int]],
    running: Sequence[Sequence[Any]],
    read: Callable[[int, list[int], float], Generation],
) -> list[list[Generation]]:
    """Waits for all batches and puts what came out in the order of the prompts.

    Args:
        batches: Positions of prompts, each position in one batch.
        running: CTranslate2's pending results of each batch.
        read: From a position, token ids and CTranslate2's score to a generation.
    """
    results: list[list[Generation]] = [[] for batch in batches for _ in batch]
    for batch, outputs in zip(batches, running, strict=True):
        for position, output in zip(batch, outputs, strict=True):
            decoded = output.result()
            results[position] = [
                read(position, list(ids), float(score))
                for ids, score in zip(decoded.sequences_ids, decoded.scores, strict=True)
            ]
    return results


def _mean_logprob(logits: np.ndarray[Any, np.dtype[np.float32]], ids: Sequence[int]) -> float:
    """Mean log softmax of the given ids; ``logits`` is [tokens, vocabulary]."""
    peak = logits.max(axis=1, keepdims=True)
    normaliser = peak[:, 0] + np.log(np.exp(logits - peak).sum(axis=1))
    return float((logits[np.arange(len(ids)), ids] - normaliser).mean())


def _is_greedy(options: GenerationOptions) -> bool:
    return options.temperature == 0 and width_of(options) == 1
