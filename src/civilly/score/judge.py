"""A language model as judge of toxicity, content and fluency, on any engine.

The model compares input and output; see `civilly.score.judge_questions` for what it is asked. Each
question is put twice, with the texts in both orders, because models favour a place (Zheng et al.,
2023, arXiv:2306.05685): a score stands where both verdicts score alike, else it is 0.5.

The scale is that of TextDetox 2024's judgements by people, except that people judged content by yes
or no, and the fluency of each text by itself:

* STA: 0 if the output is more toxic than the input, 0.5 if equally, 1 if less.
* SIM: 1 if both say the same, 0.5 partly, 0 not.
* FL: 1 if the output is at least as fluent as the input, else 0.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from civilly import __version__
from civilly.engines import DEFAULT
from civilly.errors import CivillyError
from civilly.registry import Option
from civilly.score.joint import JointSuite
from civilly.score.judge_questions import (
    QUESTIONS,
    UNKNOWN,
    Case,
    Order,
    prompt_of,
    prompts_hash,
    verdict_of,
)
from civilly.types import Engine, GenerationOptions, Metered, Prompt, Text, Tools, Usage

BATCH = 256
"""Prompts per call of the engine; what was answered before a failure need not be asked again."""

ROWS_AT_ONCE = 8
"""Rows between two reports of progress: 48 questions."""
NEUTRAL = 0.5
"""Score where the judge gives no verdict, or the two orders disagree."""

_BY_NAME = {question.name: question for question in QUESTIONS}
_YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of the judge.

    Attributes:
        swap: Whether each question is put in both orders.
        retries: How often a question is put again after an answer that is not allowed.
        answer_tokens: The most tokens of an answer; a model that thinks aloud needs hundreds.
        longest: Longest text in characters that is judged; a pair with a longer one has the
            verdict "unknown".
    """

    swap: bool = True
    retries: int = 2
    answer_tokens: int = 24
    longest: int = 4000

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Settings:
        """Takes the options that belong to the judge: typed, or as strings.

        Raises:
            CivillyError: If one has a value that is not allowed.
        """
        chosen: dict[str, Any] = {}
        for name, least in (("retries", 0), ("answer_tokens", 1), ("longest", 1)):
            given = str(options.get(name, getattr(cls(), name))).strip()
            if not given.isdecimal() or int(given) < least:
                raise _wrong(name, given, f"a whole number, {least} or above")
            chosen[name] = int(given)
        given = str(options.get("swap", "yes")).strip().lower()
        if given not in _YES_OR_NO:
            raise _wrong("swap", given, "yes, no")
        return cls(swap=_YES_OR_NO[given], **chosen)


@dataclass(frozen=True, slots=True)
class Record:
    """One question about one row, as it was answered.

    Attributes:
        row: Index of the row, from 0.
        question: ``toxicity``, ``content`` or ``fluency``.
        order: Which text was shown first: ``input-first`` or ``output-first``.
        answers: What the model said, one string per attempt; none where input and output are the
            same text, or one of them is too long.
        verdict: Of toxicity and fluency, which text has more of it: ``input``, ``output`` or
            ``equal``; of content ``yes``, ``partly`` or ``no``; else ``unknown``.
    """

    row: int
    question: str
    order: Order
    answers: tuple[str, ...]
    verdict: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a judge has used so far.

    Attributes:
        calls: Prompts sent, with retries.
        prompt_characters: Characters sent.
        answer_characters: Characters received.
        usage: The same in tokens, if the engine tells (`civilly.types.Metered`), else None.
    """

    calls: int = 0
    prompt_characters: int = 0
    answer_characters: int = 0
    usage: Usage | None = None


class Judge(JointSuite):
    """Pairwise judgements of a language model; references are not used.

    The same question about the same two texts is put once in the life of a judge; input and output
    that are the same text are not asked about (equal, yes, equal).

    Args:
        tools: Gives the engine, which is opened when the first question needs it, and the options
            (see `Settings`).

    Attributes:
        records: Every question of the last call of `components` or `score`, by row; made to be
            written as JSONL, one ``dataclasses.asdict(record)`` per line.
        cost: What all calls so far have used.

    Raises:
        CivillyError: If an option is wrong.
    """

    rows_at_once = ROWS_AT_ONCE
    """See `civilly.score.scoring.Paced`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._settings = Settings.read(tools.options)
        self._answers: dict[Case, list[str]] = {}
        self.records: list[Record] = []
        self.cost = Cost()

    @property
    def signature(self) -> str:
        """See `civilly.types.Metric`; a password in the engine's address is left out."""
        spec = re.sub(r"//[^/@]*@", "//", self._tools.engine_spec or DEFAULT)
        chosen = self._settings
        return (
            f"judge|engine:{spec.replace('|', '%7C')}|prompt:{prompts_hash()}"
            f"|swap:{'yes' if chosen.swap else 'no'}|retries:{chosen.retries}"
            f"|tokens:{chosen.answer_tokens}|longest:{chosen.longest}|civilly:{__version__}"
        )

    @property
    def unknown(self) -> dict[str, int]:
        """Questions of the last call without a verdict, per component; each scores 0.5."""
        return {
            question.component: sum(
                record.verdict == UNKNOWN and record.question == question.name
                for record in self.records
            )
            for question in QUESTIONS
        }

    @property
    def disagreements(self) -> dict[str, int]:
        """Rows of the last call whose two orders score differently, per component."""
        scores: dict[tuple[str, int], set[float]] = {}
        for record in self.records:
            scores.setdefault((record.question, record.row), set()).add(_value(record))
        return {
            question.component: sum(
                len(given) > 1 for (name, _), given in scores.items() if name == question.name
            )
            for question in QUESTIONS
        }

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """``STA``, ``SIM`` and ``FL``, each 0, 0.5 or 1 per output, in order.

        Raises:
            EngineError: If the engine fails; asking again goes on where it stopped.
        """
        pairs = list(zip(inputs, outputs, strict=True))
        self._ask(
            case
            for text, output in pairs
            for case in self._cases(text, output).values()
            if self._is_asked(case)
        )
        self.records = [
            record for row, pair in enumerate(pairs) for record in self._read(row, *pair)
        ]
        scores: dict[str, list[list[float]]] = {
            question.component: [[] for _ in pairs] for question in QUESTIONS
        }
        for record in self.records:
            component = _BY_NAME[record.question].component
            scores[component][record.row].append(_value(record))
        return {name: [_agreed(row) for row in rows] for name, rows in scores.items()}

    def _cases(self, text: Text, output: str) -> dict[tuple[str, Order], Case]:
        """What is to be asked of one row, by the question's name and the order."""
        orders: list[tuple[Order, str, str]] = [("input-first", text.text, output)]
        if self._settings.swap:
            orders.append(("output-first", output, text.text))
        return {
            (question.name, order): Case(question, text.lang, first, second)
            for question in QUESTIONS
            for order, first, second in orders
        }

    def _is_asked(self, case: Case) -> bool:
        longest = max(len(case.first), len(case.second))
        return case.first != case.second and longest <= self._settings.longest

    def _read(self, row: int, text: Text, output: str) -> list[Record]:
        """The records of one row, once everything was asked."""
        records = []
        for (name, order), case in self._cases(text, output).items():
            answers = tuple(self._answers.get(case, ()))
            verdict = verdict_of(case.question, answers[-1], order) if answers else None
            if case.first == case.second:
                verdict = "yes" if name == "content" else "equal"
            records.append(Record(row, name, order, answers, verdict or UNKNOWN))
        return records

    def _ask(self, cases: Iterable[Case]) -> None:
        """Puts every case that has no allowed answer yet, and again as often as is allowed."""
        waiting = deque(case for case in dict.fromkeys(cases) if self._is_open(case))
        if not waiting:
            return
        engine = self._tools.engine()
        options = GenerationOptions(max_new_tokens=self._settings.answer_tokens)
        while waiting:
            batch = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
            prompts = [
                Prompt.of(prompt_of(case, len(self._answers.get(case, ())))) for case in batch
            ]
            answers = [made[0].text for made in engine.generate(prompts, options)]
            self._charge(engine, prompts, answers)
            for case, answer in zip(batch, answers, strict=True):
                self._answers.setdefault(case, []).append(answer)
            waiting.extend(case for case in batch if self._is_open(case))

    def _is_open(self, case: Case) -> bool:
        answers = self._answers.get(case, ())
        if not answers:
            return True
        allowed = verdict_of(case.question, answers[-1], "input-first") is not None
        return not allowed and len(answers) <= self._settings.retries

    def _charge(self, engine: Engine, prompts: Sequence[Prompt], answers: Sequence[str]) -> None:
        self.cost = replace(
            self.cost,
            calls=self.cost.calls + len(prompts),
            prompt_characters=self.cost.prompt_characters + sum(len(p.text) for p in prompts),
            answer_characters=self.cost.answer_characters + sum(map(len, answers)),
            usage=engine.usage if isinstance(engine, Metered) else None,
        )


def _value(record: Record) -> float:
    """The score of one verdict."""
    return _BY_NAME[record.question].values.get(record.verdict, NEUTRAL)


def _agreed(scores: Sequence[float]) -> float:
    """The score that all orders give, else 0.5."""
    return scores[0] if len(set(scores)) == 1 else NEUTRAL


def _wrong(name: str, given: str, allowed: str) -> CivillyError:
    return CivillyError(f"The option {name!r} of the judge is {given!r}.", allowed=allowed)


OPTIONS = (
    Option("swap", "Whether each question is put in both orders.", ("yes", "no")),
    Option("retries", "How often a question is put again."),
    Option("answer_tokens", "The most tokens of an answer."),
    Option("longest", "Longest text in characters that is judged."),
)


def create(tools: Tools) -> Judge:
    """The suite; options ``swap``, ``retries``, ``answer_tokens``, ``longest`` (see `Settings`).

    Raises:
        CivillyError: If an option is wrong, or the engine is the embedded model.
    """
    if (tools.engine_spec or DEFAULT).strip().partition(":")[0] == DEFAULT:
        raise CivillyError(
            "The suite 'judge' asks a model that follows instructions; the embedded model does "
            "not: its answers are no verdicts.",
            mend="--engine openai:http://localhost:8080/v1#MODEL or --engine hf:ORG/MODEL; or the "
            "suite 'embedded', which needs no other model",
        )
    return Judge(tools)
