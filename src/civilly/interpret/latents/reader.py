"""The shipped reader's own scores of tokens and sentences, to stand beside what was chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from civilly.detect.context import load, put_words
from civilly.engines.residual import Subject
from civilly.interpret.latents.streams import Tokens
from civilly.interpret.latents.tables import TEST, Contestant
from civilly.types import Text

NAME = "reader"
UNREAD = -30.0
"""A logit for what the reader does not look at."""


def reader_scores(tokens: Tokens, subject: Subject) -> Contestant:
    """The logit of each token being of an insult, and p(toxic) of each sentence.

    Only of the part that tests; the others keep `UNREAD`.
    """
    rows = np.unique(tokens.sentence[tokens.part == TEST])
    texts = [Text(tokens.examples[i].text, tokens.examples[i].lang) for i in rows]
    heights = [np.full(len(text.text) + 1, -np.inf) for text in texts]
    detector = load()
    for window, verdict in detector.verdicts(texts):
        put_words(heights[window.row], window, verdict)
    scores = np.full(len(tokens), UNREAD)
    for row, height, seen in zip(
        rows, heights, subject.encode([text.text for text in texts]), strict=True
    ):
        own = np.flatnonzero(tokens.sentence == row)
        for at in own:
            start, end = seen.offsets[int(tokens.place[at])]
            scores[at] = max(UNREAD, float(height[start : max(end, start + 1)].max()))
    sentences: NDArray[np.float64] = np.zeros(len(tokens.examples))
    sentences[rows] = [each.p_toxic for each in detector.detect(texts)]
    return Contestant(NAME, scores, sentences)
