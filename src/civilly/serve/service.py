"""What all surfaces call: detection and rewriting for many requests at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from civilly.data.files import mend_surrogates
from civilly.errors import CivillyError
from civilly.languages import AUTO, chosen_language
from civilly.methods.edits import Edit, explained
from civilly.pipeline.pass_by import passes, unchanged
from civilly.registry import Entry
from civilly.select.reads import TOXIC
from civilly.select.strength import USUAL
from civilly.serve.batching import Batcher
from civilly.serve.detoxifiers import Detoxifiers
from civilly.serve.metrics import Metrics
from civilly.serve.refusals import TEXT_TOO_LONG, Refused
from civilly.serve.settings import Settings
from civilly.types import Detection, Detector, Rewrite, Text

SURE = 0.9
"""From this probability on a detected language is called sure."""
WARM_UP = "You are an idiot."
"""A text that goes through all models."""
UNSURE = "ok"
"""A text whose language only the slower of the two identifiers tells."""
MAX_BATCH_CHARS = 6_000
"""Characters of a batch: long texts take long, and others must not wait for many of them."""
MAX_WAIT = {"detect": 3.0, "rewrite": 30.0}
"""Seconds that a request may have to wait for others: clients give up after as many."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Kind = TypeVar("Kind", bound=Hashable)
_log = logging.getLogger("civilly.serve")


@dataclass(frozen=True, slots=True)
class Asked:
    """A text of a request.

    Attributes:
        text: Any string.
        lang: A language, however people write it; None or ``"auto"``: it is detected.
    """

    text: str
    lang: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a text.

    Attributes:
        lang: Code of its language.
        sure: Whether that was given, or detected with a probability of `SURE`.
        detection: How toxic it is, and where.
    """

    lang: str
    sure: bool
    detection: Detection

    @property
    def toxic(self) -> bool:
        """Whether p(toxic) reaches the threshold of the rewriter."""
        return self.detection.p_toxic >= TOXIC


@dataclass(frozen=True, slots=True)
class Choices:
    """How a request wants its texts rewritten; requests with equal ones share batches.

    Attributes:
        method: A rewriting method, or several: ``tuned+infill``; None: the server's.
        strength: In [0, 1]; see `civilly.pipeline.Detoxifier`.
        alternatives: Candidates per text, at least 1; None: what the method says.
        only_toxic: Texts of a lower p(toxic) pass at the detector's speed; None: none does.
    """

    method: str | None = None
    strength: float = USUAL
    alternatives: int | None = None
    only_toxic: float | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A rewrite and what a surface may say beside it.

    Attributes:
        rewrite: It.
        edits: How its output differs from its input.
        filler: Who fills holes, where its method is ``infill``.
    """

    rewrite: Rewrite
    edits: tuple[Edit, ...] = ()
    filler: str = ""


class Rewrites(Protocol):
    """What rewrites texts, such as `civilly.pipeline.Detoxifier`."""

    def rewrite(self, texts: Sequence[str], langs: Sequence[str]) -> list[Rewrite]:
        """One result per text, in order."""


class Service:
    """Two lanes with a thread each: detection, which is fast, does not wait for rewriting.

    Args:
        settings: What the server was started with.
        metrics: Is told what happens.
        detector: Instead of the shipped one.
        detoxifier_for: Gives what rewrites as a request wants it, instead of the real models.

    Raises:
        CivillyError: If the settings name a method, engine or option that does not exist.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics | None = None,
        *,
        detector: Detector | None = None,
        detoxifier_for: Callable[[Choices], Rewrites] | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics(settings)
        self.ready = False
        self.failure: CivillyError | None = None
        self._given_detector = detector
        self._detoxifiers = Detoxifiers(settings)
        self._detoxifier_for = detoxifier_for or (
            lambda choices: self._detoxifiers.of(
                choices.method, choices.strength, choices.alternatives
            )
        )
        self._detection: Batcher[Asked, Found, None] = self._lane("detect", self._detect)
        self._rewriting: Batcher[Asked, Rewritten, Choices] = self._lane("rewrite", self._rewrite)
        self._warming: asyncio.Task[None] | None = None

    @property
    def methods(self) -> tuple[Entry, ...]:
        """The rewriting methods that a request may name."""
        return self._detoxifiers.known

    async def detect(self, asked: Sequence[Asked]) -> list[Found | CivillyError]:
        """What was found in each text, or why it was refused, in order.

        Raises:
            Overloaded: If there is no room for them.
        """
        results = await self._good(asked, self._found)
        for found in results:
            if isinstance(found, Found):
                self.metrics.text(found.lang, "toxic" if found.toxic else "civil")
        return results

    async def rewrite(
        self, asked: Sequence[Asked], choices: Choices = Choices()
    ) -> list[Rewritten | CivillyError]:
        """Each text civilly, or why it was refused, in order.

        Raises:
            Overloaded: If there is no room for them.
            CivillyError: If there is no such method.
        """
        if choices.method is not None:
            self._detoxifiers.check_method(choices.method)

        async def work(good: list[Asked]) -> list[Rewritten | CivillyError]:
            return await self._written(good, choices)

        results = await self._good(asked, work)
        for made in results:
            if isinstance(made, Rewritten):
                self.metrics.text(made.rewrite.lang, "changed" if made.rewrite.changed else "kept")
        return results

    def check_room_to_detect(self) -> None:
        """Makes sure that the detection of one text more would be taken.

        Raises:
            Overloaded: If it would not.
        """
        self._detection.check_room()

    def start(self) -> None:
        """Begins to load the models; `ready` or `failure` tell of the end."""
        self._warming = asyncio.create_task(self._warm_up())

    async def close(self) -> None:
        """Takes nothing new, and finishes what was accepted."""
        await asyncio.gather(self._detection.close(), self._rewriting.close())
        if self._warming is not None:
            await self._warming

    def _lane(
        self, name: str, run: Callable[[Kind, list[Asked]], list[Result]]
    ) -> Batcher[Asked, Result, Kind]:
        batcher: Batcher[Asked, Result, Kind] = Batcher(
            run,
            max_batch=self.settings.max_batch,
            window=self.settings.window_ms / 1000,
            max_queue=self.settings.max_queue,
            max_wait=MAX_WAIT[name],
            size=lambda asked: len(asked.text),
            max_size=MAX_BATCH_CHARS,
            observe=lambda count: self.metrics.batch(name, count),
        )
        self.metrics.watch_queue(name, lambda: batcher.waiting)
        return batcher

    async def _warm_up(self) -> None:
        begin = time.monotonic()
        try:
            for text in (WARM_UP, UNSURE):
                only(await self._detection.submit([Asked(text)], None))
            only(await self._rewriting.submit([Asked(WARM_UP, "en")], Choices()))
        except CivillyError as error:  # also: stopped before it was ready
            self.failure = error
            return
        self.ready = True
        _log.info("ready after %.1f s", time.monotonic() - begin)

    async def _good(
        self,
        asked: Sequence[Asked],
        work: Callable[[list[Asked]], Awaitable[list[Result | CivillyError]]],
    ) -> list[Result | CivillyError]:
        """What the work makes of the texts that can be worked on, and why of the others."""
        checked = [self._checked(each) for each in asked]
        good = [each for each in checked if isinstance(each, Asked)]
        results = iter(await work(good))
        return [next(results) if isinstance(each, Asked) else each for each in checked]

    def _checked(self, asked: Asked) -> Asked | CivillyError:
        most = self.settings.max_text_chars
        if len(asked.text) > most:
            return Refused(
                f"The text has {len(asked.text):,} characters.",
                status=413,
                kind=TEXT_TOO_LONG,
                allowed=f"{most:,} at most",
                mend="cut it into several texts",
            )
        try:
            lang = chosen_language((asked.lang or AUTO)[:40], auto=True)
        except CivillyError as error:
            return error
        return Asked(mend_surrogates(asked.text), None if lang == AUTO else lang)

    async def _found(self, asked: list[Asked]) -> list[Found | CivillyError]:
        return await self._detection.submit(asked, None)

    async def _written(
        self, asked: list[Asked], choices: Choices
    ) -> list[Rewritten | CivillyError]:
        if choices.only_toxic is None:
            return await self._rewriting.submit(asked, choices)
        found = await self._found(asked)
        made: dict[int, Rewritten | CivillyError] = {}
        for i, (each, seen) in enumerate(zip(asked, found, strict=True)):
            if isinstance(seen, CivillyError):
                made[i] = seen
            elif passes(seen.detection, choices.only_toxic):
                text = Text(each.text, seen.lang)
                made[i] = Rewritten(unchanged(text, seen.detection, choices.only_toxic))
            else:
                asked[i] = replace(each, lang=seen.lang)
        rest = [i for i in range(len(asked)) if i not in made]
        alike = replace(choices, only_toxic=None)
        written = await self._rewriting.submit([asked[i] for i in rest], alike)
        made.update(zip(rest, written, strict=True))
        return [made[i] for i in range(len(asked))]

    def _detector(self) -> Detector:
        if self._given_detector is None:
            from civilly.detect.by_sentence import open_detector

            self._given_detector = open_detector()
        return self._given_detector

    def _detect(self, kind: None, asked: list[Asked]) -> list[Found]:
        """On the thread of the lane."""
        from civilly.detect.language import probabilities

        langs = [(each.lang, True) for each in asked]
        unknown = [i for i, each in enumerate(asked) if each.lang is None]
        for i, row in zip(unknown, probabilities([asked[i].text for i in unknown]), strict=True):
            lang = max(row, key=row.__getitem__)
            langs[i] = lang, row[lang] >= SURE
        texts = [Text(each.text, lang or "") for each, (lang, _) in zip(asked, langs, strict=True)]
        found = self._detector().detect(texts)
        return [
            Found(text.lang, sure, detection)
            for text, (_, sure), detection in zip(texts, langs, found, strict=True)
        ]

    def _rewrite(self, choices: Choices, asked: list[Asked]) -> list[Rewritten]:
        """On the thread of the lane."""
        detoxifier = self._detoxifier_for(choices)
        results = detoxifier.rewrite(
            [each.text for each in asked], [each.lang or AUTO for each in asked]
        )
        edits = explained(
            [Text(result.text, result.lang) for result in results],
            [result.rewritten for result in results],
            [result.before for result in results],
            self._detector(),
        )
        filler = self._detoxifiers.filler(choices.method)
        return [
            Rewritten(result, tuple(row), filler)
            for result, row in zip(results, edits, strict=True)
        ]


def only(results: Sequence[Result | CivillyError]) -> Result:
    """The one result of a request of one text.

    Raises:
        CivillyError: If it was refused.
    """
    (result,) = results
    if isinstance(result, CivillyError):
        raise result
    return result
