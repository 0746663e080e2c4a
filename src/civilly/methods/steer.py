"""Takes words with toxic latents back while it writes, for the next most likely ones.

Nothing is changed in the model: it writes greedily (adapter ``tuned``), and where the residual
stream at a word has more toxic mass than a threshold, the word goes and the next most likely one
that begins a word in the text's scripts is tried (`civilly.engines.rollback`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from civilly.methods import toxic_options
from civilly.methods.blanks import restore_blanks_and_symbols
from civilly.methods.same_language import left_language, scripts_for
from civilly.methods.toxic_options import LONGEST_TEXT, MOST_TOKENS, Inside, number_of, open_inside
from civilly.methods.tuned_prompt import MAX_GROWTH, tuned_prompt
from civilly.registry import Option
from civilly.types import Candidate, Detection, Text, Tools

if TYPE_CHECKING:
    from civilly.engines.rollback import Decoded

METHOD = "steer"
CANDIDATES = 1
"""Greedy: one candidate per text."""
THRESHOLD = 2.0
"""Words of more toxic mass are taken back, where the user does not say; from 1 on, mass speaks for
an insult (`civilly.model.sparse.toxic`)."""

OPTIONS = (
    Option("threshold", "Words of more toxic mass are taken back; 1 is an insult's."),
    *toxic_options.OPTIONS,
)


class SteerRewriter:
    """See the module.

    Args:
        inside: The model, and what is toxic in it.
        threshold: Words of more toxic mass are taken back.
    """

    def __init__(self, inside: Inside, threshold: float = THRESHOLD) -> None:
        self._inside = inside
        self._threshold = threshold

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """At most one candidate per text, whatever ``n`` is; see `civilly.types.Rewriter`."""
        return self.proposed(texts, detections, self.decoded(texts))

    def proposed(
        self,
        texts: Sequence[Text],
        detections: Sequence[Detection],
        answers: Mapping[int, Decoded],
    ) -> list[list[Candidate]]:
        """The candidates that answers are good for; see `decoded`."""
        made = []
        for i, answer in answers.items():
            if answer.finished and answer.text.strip():
                cut = [texts[i].text[span.start : span.end] for span in detections[i].spans]
                text = restore_blanks_and_symbols(texts[i].text, answer.text.strip(), cut)
                candidate = Candidate(text, METHOD, answer.logprob, trace=self._trace(answer))
                made.append((i, candidate))
        left = left_language([texts[i] for i, _ in made], [c.text for _, c in made])
        rows: list[list[Candidate]] = [[] for _ in texts]
        for (i, candidate), gone in zip(made, left, strict=True):
            if not gone:
                rows[i] = [candidate]
        return rows

    def decoded(self, texts: Sequence[Text]) -> dict[int, Decoded]:
        """What the model writes for each text, by its number; nothing for empty and long ones."""
        from civilly.engines.rollback import Decoder, Watch, batches

        inside = self._inside
        prompts = {
            i: inside.prompt(tuned_prompt(text.text, text.lang))
            for i, text in enumerate(texts)
            if text.text.strip() and len(text.text) <= LONGEST_TEXT
        }
        asked = [i for i, ids in prompts.items() if len(ids) <= MOST_TOKENS]
        found: dict[int, Decoded] = {}
        for batch in batches([len(prompts[i]) for i in asked]):
            rows = [asked[place] for place in batch]
            watch = Watch(
                inside.layer, inside.toxic.mass, inside.why, self._threshold,
                [scripts_for(texts[i]) for i in rows],
            )  # fmt: skip
            limits = [int(MAX_GROWTH * len(prompts[i])) for i in rows]
            decoder = Decoder(inside.subject, [prompts[i] for i in rows], limits, watch)
            found |= zip(rows, decoder.run(), strict=True)
        return found

    def _trace(self, answer: Decoded) -> dict[str, Any]:
        return {
            **self._inside.described,
            "threshold": self._threshold,
            "replaced": len(answer.replacements),
            "replacements": [asdict(each) for each in answer.replacements],
        }


def create(tools: Tools) -> SteerRewriter:
    """The method; see `OPTIONS`.

    Raises:
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If a file is missing or does not fit the model.
        EngineError: If the engine is none that can be looked into.
        CivillyError: If an option is wrong.
    """
    threshold = number_of(tools.options, "threshold", THRESHOLD)
    return SteerRewriter(open_inside(tools), threshold)
