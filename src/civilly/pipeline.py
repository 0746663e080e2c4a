"""The line from text to rewrite: find → write → choose, for a batch, with the trace of why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from civilly import __version__, arguments, registry
from civilly.data.chunks import AT_ONCE
from civilly.data.files import mend_surrogates
from civilly.engines import check_engine
from civilly.engines.pacing import chunks_for
from civilly.languages import AUTO
from civilly.methods.decoding import CANDIDATES, usual_candidates
from civilly.methods.ensemble import Ensemble, Member, names_of, options_of
from civilly.methods.long_text import (
    Effort,
    Part,
    bloats,
    efforts,
    joined,
    parts_of,
    rows_with_one_part,
    told,
)
from civilly.methods.options import check_names, with_adapter
from civilly.select.strength import FREE, USUAL, checked_strength
from civilly.toolbox import Toolbox
from civilly.types import (
    Candidate,
    CandidateScorer,
    Choice,
    Detection,
    Rewrite,
    Rewriter,
    SecondLook,
    Selector,
    Text,
)

DEFAULT_METHOD = "tuned"
DEFAULT_SELECTOR = "rerank"
FALLBACK = "delete"
"""Its candidates stand beside those of a model: free, and civil by construction."""
NOTHING_TO_DO = "the text is civil already, or has no words"
TOXIC_PART = 0.3
"""Parts of a long text are rewritten from this p(toxic) on; one short text is always tried."""


class Detoxifier:
    """Rewrites toxic texts civilly.

    Args:
        method: A rewriting method of the registry, or several: ``"tuned+infill"``.
        engine: ``"embedded"``, ``"hf:ID"``, ``"openai:URL#MODEL"`` or ``"echo"``; None: embedded.
        adapter: Folder of another adapter for ``tuned``.
        n_candidates: Candidates per text that the method makes, at least 1; None: what the method
            says, else 1, but several for a decoding that gives several, and for a high strength.
        options: Further options of the method; among several, ``infill.filler`` is that of one.
        select: A selector of the registry; None: the method's own, or ``rerank``.
        strength: From the candidate nearest to the input (0) to one that need not be near it (1).

    It may be used by several threads at once. Pickled or copied it is only what it was made of, and
    loads its models anew.

    Raises:
        UnknownNameError: If the method, the engine or the selector does not exist.
        CivillyError: If an argument is of another kind, ``n_candidates`` is less than 1, or the
            strength not in [0, 1].
    """

    def __init__(
        self,
        method: str = DEFAULT_METHOD,
        engine: str | None = None,
        adapter: str | os.PathLike[str] | None = None,
        n_candidates: int | None = None,
        options: Mapping[str, Any] | None = None,
        select: str | None = None,
        strength: float = USUAL,
    ) -> None:
        own_options = arguments.checked_options(options)
        self._made_of = {
            "method": method, "engine": engine, "adapter": adapter, "n_candidates": n_candidates,
            "options": own_options, "select": select, "strength": strength,
        }  # fmt: skip
        self.method = arguments.checked_name(method, "method")
        asked = arguments.checked_candidates(n_candidates)
        chosen = with_adapter(own_options, arguments.checked_adapter(adapter))
        chosen["strength"] = checked_strength(strength)
        names = names_of(method)
        selector = DEFAULT_SELECTOR if select is None else arguments.checked_name(select, "select")
        check_names(chosen, names, selector)
        check_engine(None if engine is None else arguments.checked_name(engine, "engine"))
        self._modules = {name: registry.load("methods", name) for name in names}
        self._tools = Toolbox(engine, chosen)
        self._own = {
            name: Toolbox(engine, options_of(chosen, name, names), self._tools) for name in names
        }
        self._asked = {
            name: asked or _usual_candidates(module, self._own[name].options)
            for name, module in self._modules.items()
        }
        self.n_candidates = max(self._asked.values())
        self._select = select

    def __getstate__(self) -> dict[str, Any]:
        return self._made_of

    def __setstate__(self, made_of: dict[str, Any]) -> None:
        Detoxifier.__init__(self, **made_of)

    @cached_property
    def _rewriter(self) -> Rewriter:
        made = {name: each.create(self._own[name]) for name, each in self._modules.items()}
        if len(made) == 1:
            return made.popitem()[1]  # type: ignore[no-any-return]
        return Ensemble([Member(rewriter, self._asked[name]) for name, rewriter in made.items()])

    @cached_property
    def _fallback(self) -> Rewriter | None:
        """Deletion, for methods that generate; the baselines stand alone."""
        if not getattr(self._rewriter, "generates", True):
            return None
        return registry.create("methods", FALLBACK, self._tools)  # type: ignore[no-any-return]

    @cached_property
    def _selector(self) -> Selector:
        own: str = getattr(self._rewriter, "selector", DEFAULT_SELECTOR)
        return registry.create("select", self._select or own, self._tools)  # type: ignore[no-any-return]

    def describe(self) -> dict[str, Any]:
        """What the results depend on, for journals and reports."""
        prints = {
            name: module.fingerprint(self._own[name].options)
            for name, module in self._modules.items()
            if hasattr(module, "fingerprint")
        }
        return {
            "civilly": __version__,
            "method": self.method,
            "engine": self._tools.engine_spec or "embedded",
            "options": {k: str(v) for k, v in sorted(self._tools.options.items())},
            "fingerprint": prints if len(self._modules) > 1 else next(iter(prints.values()), None),
            "n_candidates": self.n_candidates,
            "select": self._select,
        }

    def chunks(self, texts: Sequence[str], window: int = AT_ONCE) -> list[list[int]]:
        """The rows of each call of `rewrite`, for long work; see `civilly.engines.pacing`."""
        named = getattr(self._rewriter, "generates", True) and self._tools.engine_spec
        return chunks_for(texts, self._tools.engine() if named else self._tools.opened, window)

    def rewrite(self, texts: Iterable[str], langs: str | Iterable[str] = AUTO) -> list[Rewrite]:
        """Rewrites a batch: same length, same order.

        Args:
            texts: Any strings, in a list, column, array or generator; one text is a list of one.
            langs: A language, one per text, or ``"auto"`` (also per text); codes are read as
                `civilly.languages.language_code` does: ``"en"``, ``"EN"``, ``"en-US"``.

        Returns:
            One `Rewrite` per text; where nothing better was found the text itself, with the reason.

        Raises:
            UnknownNameError: If a language is not one of the 15.
            CivillyError: If ``texts`` or ``langs`` is of another kind (it says which position), or
                ``langs`` has another length than ``texts``.
        """
        texts = arguments.checked_texts(texts)
        selector = self._selector  # first, since a model may load in the background meanwhile
        codes = self._languages(texts, langs)
        parts = [p for row, text in enumerate(texts) for p in parts_of(row, text)]
        inputs = [Text(part.core, codes[part.row]) for part in parts]
        found = self._tools.detector.detect(inputs)
        alone = rows_with_one_part(parts)
        tried = [
            i
            for i, (part, detection) in enumerate(zip(parts, found, strict=True))
            if selector.worth_trying(detection)
            and (part.row in alone or detection.p_toxic >= TOXIC_PART)
        ]
        choices = self._choices(parts, inputs, found, tried)
        outputs = joined(texts, parts, choices)
        bloated = {
            row for row, (t, o) in enumerate(zip(texts, outputs, strict=True)) if bloats(t, o)
        }
        if bloated:
            again = [i for i in choices if parts[i].row in bloated]
            choices |= self._shorter(again, inputs, found, choices)
            outputs = joined(texts, parts, choices)
        before = self._detected(texts, codes, parts, found)
        return self._results(texts, codes, outputs, before, parts, choices)

    def _languages(self, texts: Sequence[str], langs: str | Iterable[str]) -> list[str]:
        given = arguments.checked_languages(langs, len(texts))
        unknown = [i for i, code in enumerate(given) if code == AUTO]
        if unknown:
            from civilly.detect.language import identify

            for i, code in zip(unknown, identify([texts[i] for i in unknown]), strict=True):
                given[i] = code
        return given

    def _choices(
        self, parts: list[Part], inputs: list[Text], found: list[Detection], tried: list[int]
    ) -> dict[int, Choice]:
        """The choice for each part that is tried; equal ones are rewritten once."""
        effort = efforts(parts, inputs, found, tried)
        unique: dict[tuple[Text, Effort], int] = {}
        for i in tried:
            unique.setdefault((inputs[i], effort[i]), i)
        texts = [text for text, _ in unique]
        detections = [found[i] for i in unique.values()]
        made = self._choose(texts, detections, [spent for _, spent in unique])
        of_text = dict(zip(unique, made, strict=True))
        return told(parts, effort, {i: of_text[inputs[i], effort[i]] for i in tried})

    def _shorter(
        self,
        again: list[int],
        inputs: list[Text],
        found: list[Detection],
        choices: Mapping[int, Choice],
    ) -> dict[int, Choice]:
        """Choices anew, among the candidates that are no longer than their part."""
        candidates = [
            [c for c, _ in choices[i].scored if len(c.text) <= len(inputs[i].text)] for i in again
        ]
        made = self._selector.select(
            [inputs[i] for i in again], [found[i] for i in again], candidates
        )
        return dict(zip(again, made, strict=True))

    def _choose(
        self, texts: list[Text], detections: list[Detection], effort: list[Effort]
    ) -> list[Choice]:
        asked = [i for i, spent in enumerate(effort) if spent > Effort.CUT or not self._fallback]
        inputs, found = [texts[i] for i in asked], [detections[i] for i in asked]
        answers = _encodable(self._rewriter.rewrite(inputs, found, self.n_candidates))
        of_text = dict(zip(asked, answers, strict=True))
        candidates = [of_text.get(i, []) for i in range(len(texts))]
        if self._fallback is not None:
            self._add_fallback(texts, detections, candidates, set(asked))
        choices = self._selector.select(texts, detections, candidates)
        if isinstance(self._rewriter, SecondLook):
            self._look_again(texts, detections, effort, candidates, choices)
        return choices

    def _look_again(
        self,
        texts: list[Text],
        detections: list[Detection],
        effort: list[Effort],
        candidates: list[list[Candidate]],
        choices: list[Choice],
    ) -> None:
        """Asks the method for more where the selector is not satisfied, and chooses anew there."""
        assert isinstance(self._rewriter, SecondLook)
        poor = [
            i
            for i, choice in enumerate(choices)
            if effort[i] == Effort.LOOK_AGAIN and not self._selector.satisfied(choice)
        ]
        more = self._rewriter.look_again([texts[i] for i in poor], [detections[i] for i in poor])
        for i, found in zip(poor, _encodable(more), strict=True):
            known = {candidate.text for candidate in candidates[i]}
            candidates[i] += [c for c in found if c.text not in known]
        again = self._selector.select(
            [texts[i] for i in poor], [detections[i] for i in poor], [candidates[i] for i in poor]
        )
        for i, choice in zip(poor, again, strict=True):
            choices[i] = choice

    def _add_fallback(
        self,
        texts: list[Text],
        detections: list[Detection],
        candidates: list[list[Candidate]],
        asked: set[int],
    ) -> None:
        """Adds deletions, scored by the method if it can and wrote to that text, too."""
        assert self._fallback is not None
        extra = self._fallback.rewrite(texts, detections, 1)
        new = [
            (i, c)
            for i, row in enumerate(extra)
            for c in row
            if c.text not in {known.text for known in candidates[i]}
        ]
        if isinstance(self._rewriter, CandidateScorer):
            rated = [(i, c) for i, c in new if i in asked]
            scores = self._rewriter.score([texts[i] for i, _ in rated], [c.text for _, c in rated])
            scored = [(i, replace(c, logprob=s)) for (i, c), s in zip(rated, scores, strict=True)]
            new = [*scored, *((i, c) for i, c in new if i not in asked)]
        for i, candidate in new:
            candidates[i].append(candidate)

    def _detected(
        self,
        texts: Sequence[str],
        codes: list[str],
        parts: list[Part],
        found: list[Detection],
    ) -> list[Detection]:
        """Detections on the whole inputs; on those of one part they were made already."""
        known = {p.row: d for p, d in zip(parts, found, strict=True) if p.core == texts[p.row]}
        rest = [row for row in range(len(texts)) if row not in known]
        detections = self._tools.detector.detect([Text(texts[i], codes[i]) for i in rest])
        known.update(zip(rest, detections, strict=True))
        return [known[row] for row in range(len(texts))]

    def _results(
        self,
        texts: Sequence[str],
        codes: list[str],
        outputs: list[str],
        before: list[Detection],
        parts: list[Part],
        choices: Mapping[int, Choice],
    ) -> list[Rewrite]:
        """The last word on safety: no output may be more toxic than its input."""
        written = [Text(o, c) for o, c in zip(outputs, codes, strict=True)]
        after = self._tools.detector.detect(written)
        of_row: dict[int, list[Choice]] = {}
        for i, part in enumerate(parts):
            if i in choices:
                of_row.setdefault(part.row, []).append(choices[i])
        results = []
        for row, (text, output) in enumerate(zip(texts, outputs, strict=True)):
            made = of_row.get(row, [])
            result = Rewrite(
                text=text,
                rewritten=output,
                lang=codes[row],
                method=next((c.candidate.method for c in made if c.candidate), "keep"),
                reason=_reason(made),
                before=before[row],
                after=after[row],
                candidates=tuple(item for choice in made for item in choice.scored),
            )
            if output != text and after[row].p_toxic > before[row].p_toxic:
                result = replace(
                    result,
                    rewritten=text,
                    method="keep",
                    reason="the rewrite was more toxic than the text",
                    after=before[row],
                )
            results.append(result)
        return results


def _encodable(rows: Sequence[Sequence[Candidate]]) -> list[list[Candidate]]:
    """Candidates without lone surrogates; a server's JSON may spell some."""
    return [[replace(each, text=mend_surrogates(each.text)) for each in row] for row in rows]


def _reason(made: Sequence[Choice]) -> str:
    """Why a text became what it is: the reason of its first part that changed, if any did."""
    changed = [choice.reason for choice in made if choice.candidate]
    return next(iter([*changed, *(choice.reason for choice in made)]), NOTHING_TO_DO)


def _usual_candidates(module: Any, options: Mapping[str, Any]) -> int:
    """Candidates per text where the user does not say how many."""
    if hasattr(module, "CANDIDATES"):
        return int(module.CANDIDATES)
    if options["strength"] >= FREE and options.get("decoding") is None:
        return CANDIDATES
    return usual_candidates(options)


@lru_cache(maxsize=4)
def _shared(method: str) -> Detoxifier:
    return Detoxifier(method)


def rewrite(text: str, lang: str = AUTO, method: str = DEFAULT_METHOD) -> str:
    """Rewrites one text with the embedded default; `Detoxifier.rewrite` does many, and says why.

    Args:
        text: Any string.
        lang: One of the 15 languages, or ``"auto"``.
        method: A rewriting method.

    Returns:
        The civil version, or the text itself when nothing better was found.

    Raises:
        UnknownNameError: If the language or the method does not exist.
        CivillyError: If an argument is no string.
    """
    text, lang = arguments.checked_text(text), arguments.checked_language(lang)
    detoxifier = _shared(arguments.checked_name(method, "method"))
    return detoxifier.rewrite([text], lang)[0].rewritten
