"""Asks an engine for each text, many at a time; every answer is on disk before the next is asked.

What was answered is in a journal (`civilly.data.journal`), so that a kill loses only what was under
way: nothing that was answered is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass, field, replace
from typing import Any, Protocol

from civilly.data.journal import Journal, Record
from civilly.engines.pacing import BYTES_PER_TOKEN, Concurrent
from civilly.errors import EngineError
from civilly.synth.budget import Budget, Limits, Spent
from civilly.types import Engine, GenerationOptions, Metered, Prompt

REFUSED = frozenset({400, 413, 422})
"""Statuses with which a server refuses one text, as filters of content do, and not the others."""
HOPELESS = 5
"""So many texts refused, and none answered: it is not the texts."""
BATCH = 16
"""Texts at a time of an engine on this machine."""


class Task(Protocol):
    """A text to be rewritten, or whatever else a model is asked once for."""

    def row(self) -> dict[str, Any]:
        """What is written down of it beside its answers: ``id``, ``lang``, ``text`` and more."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How tasks are asked for.

    Attributes:
        prompt: What a model is asked for a task.
        options: How to generate; ``n`` candidates per task.
        at_once: The most requests at a time; None: what the engine says.
    """

    prompt: Callable[[Any], Prompt]
    options: GenerationOptions
    at_once: int | None = None


@dataclass(slots=True)
class _Answer:
    """Of some rows: their records, and what they cost if nobody else counts."""

    records: list[Record] = field(default_factory=list)
    requests: int = 0
    estimated: Spent = field(default_factory=Spent)


def ask(
    engine: Engine,
    texts: Sequence[Task],
    asking: Asking,
    journal: Journal,
    limits: Limits,
    tell: Callable[[int, Budget], object] = lambda done, budget: None,
) -> Budget:
    """Asks for all texts that are not in the journal, as far as the budget reaches.

    A record holds ``answers`` (text and whether it is finished) and ``error``, what the server
    said that refused this one text; and what was spent when it came, which sums up to all.

    Args:
        engine: Who generates.
        texts: All of them.
        asking: How.
        journal: What was answered before; what is answered now is appended.
        limits: What may be spent in all, with what was spent before.
        tell: Called with the number of texts that are done, after each answer.

    Raises:
        EngineError: If the engine fails. What was under way is waited for and kept first, as it is
            at an interrupt.
    """
    budget = Budget(limits, spent_in(journal.records.values()))
    work = _Work(engine, texts, asking, journal, budget, tell)
    work.run()
    return budget


def spent_in(records: Any) -> Spent:
    """What the answers of a journal have cost."""
    return sum((Spent(*record["spent"]) for record in records), Spent())


class _Work:
    def __init__(
        self,
        engine: Engine,
        texts: Sequence[Task],
        asking: Asking,
        journal: Journal,
        budget: Budget,
        tell: Callable[[int, Budget], object],
    ) -> None:
        self._engine, self._texts, self._asking = engine, texts, asking
        self._journal, self._budget, self._tell = journal, budget, tell
        at_once = engine.requests_at_once if isinstance(engine, Concurrent) else 0
        self._workers = (asking.at_once or at_once) if at_once else 1
        self._rows_at_once = 1 if at_once else BATCH
        self._one_each = False  # whether the server gives one answer whatever it is asked for
        self._counted = self._usage()

    def run(self) -> None:
        chunks = self._chunks()
        running: dict[Future[_Answer], tuple[list[int], Spent]] = {}
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                while self._fill(pool, chunks, running):
                    self._collect(running)
            except BaseException:
                while running:  # it is paid for
                    self._collect(running, failing=True)
                raise

    def _chunks(self) -> Iterator[list[int]]:
        """The rows of each call; they depend on nothing that was done before."""
        for start in range(0, len(self._texts), self._rows_at_once):
            rows = list(range(start, min(start + self._rows_at_once, len(self._texts))))
            if any(row not in self._journal.records for row in rows):
                yield rows

    def _fill(
        self,
        pool: ThreadPoolExecutor,
        chunks: Iterator[list[int]],
        running: dict[Future[_Answer], tuple[list[int], Spent]],
    ) -> bool:
        """Begins what there is room and budget for; whether anything is under way."""
        while len(running) < self._workers:
            rows = next(chunks, None)
            if rows is None:
                break
            prompts = [self._prompt(row) for row in rows]
            expected = self._expected(prompts)
            if not self._budget.take(expected):
                break
            running[pool.submit(self._answer, prompts)] = rows, expected
        return bool(running)

    def _collect(
        self, running: dict[Future[_Answer], tuple[list[int], Spent]], failing: bool = False
    ) -> None:
        """Takes in what is there; raises what went wrong after everything else is on disk."""
        errors = []
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            rows, expected = running.pop(future)
            try:
                answer = future.result()
            except Exception as error:
                self._budget.settle(expected, Spent())
                errors.append(error)
                continue
            real = self._real(answer)
            self._budget.settle(expected, real)
            answer.records[0]["spent"] = list(astuple(real))
            self._journal.append(rows, answer.records)
            self._tell(len(self._journal.records), self._budget)
        if not failing:
            if errors:
                raise errors[0]
            self._refuse_the_hopeless()

    def _refuse_the_hopeless(self) -> None:
        records = self._journal.records.values()
        if len(records) == HOPELESS and all(record["error"] for record in records):
            raise EngineError(
                f"The server refused each of the first {HOPELESS} texts: "
                f"{next(iter(records))['error']}",
                mend="check the model's name and the options; --overwrite to begin again",
            )

    def _prompt(self, row: int) -> Prompt:
        return self._asking.prompt(self._texts[row])

    def _answer(self, prompts: Sequence[Prompt]) -> _Answer:
        options = self._asking.options
        answer = _Answer(requests=len(prompts))
        try:
            made = self._engine.generate(prompts, options)
        except EngineError as error:
            if len(prompts) > 1 or getattr(error, "status", None) not in REFUSED:
                raise
            answer.records = [{"answers": [], "error": str(error), "spent": [0, 0, 0]}]
            return answer
        if len(prompts) == 1 and options.temperature > 0:
            while len(made[0]) < options.n:
                self._one_each = True
                other = replace(options, n=1, seed=options.seed + len(made[0]))
                made[0] += self._engine.generate(prompts, other)[0][:1]
                answer.requests += 1
        answer.records = [
            {
                "answers": [{"text": each.text, "finished": each.finished} for each in row],
                "error": "",
                "spent": [0, 0, 0],
            }
            for row in made
        ]
        written = sum(_tokens(each.text) for row in made for each in row)
        answer.estimated = Spent(0, sum(_tokens(p.text) for p in prompts), written)
        return answer

    def _expected(self, prompts: Sequence[Prompt]) -> Spent:
        """At most, by and large; of one that gives one answer at a time once that is known."""
        options = self._asking.options
        times = options.n if self._one_each else 1
        limits = [min(p.max_new_tokens or options.max_new_tokens, options.max_new_tokens)
                  for p in prompts]  # fmt: skip
        read = sum(_tokens(prompt.text) for prompt in prompts)
        return Spent(times * len(prompts), times * read, options.n * sum(limits))

    def _usage(self) -> Spent | None:
        usage = self._engine.usage if isinstance(self._engine, Metered) else None
        return None if usage is None else Spent(0, usage.prompt_tokens, usage.answer_tokens)

    def _real(self, answer: _Answer) -> Spent:
        """As the engine counts, since it was last looked at; else as estimated."""
        now, before = self._usage(), self._counted
        self._counted = now
        if now is None:
            return replace(answer.estimated, requests=answer.requests)
        return replace(now - (before or Spent()), requests=answer.requests)


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)
