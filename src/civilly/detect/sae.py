"""Marks words by what the embedded model itself finds toxic: the toxic mass of its stream.

The model reads a text from left to right; a word's mass is that of its most toxic token
(`civilly.model.sparse.toxic`). Whether a text is toxic at all, threatens or speaks of harm to
oneself, the detector in context says (`civilly.detect.context`): the stream alone is not safe
enough for that. Where no word has any mass there is no span, and methods leave the text alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from civilly.detect import context
from civilly.detect.context import as_read, stretches
from civilly.detect.spans import Mark, outstanding_spans
from civilly.detect.toxicity import SPAN_FLOOR
from civilly.detect.words import words
from civilly.errors import UnknownNameError
from civilly.languages import language
from civilly.types import Detection, Detector, Span, Text, Tools

if TYPE_CHECKING:
    from civilly.engines.residual import Subject
    from civilly.model.sparse.toxic import Toxic

LIMIT = 1.0
"""From this mass on, a word is in a span; the worst one is, if above `LEAST`."""
LEAST = 0.1
_TEXTS_AT_ONCE = 256

Floats = NDArray[np.float32]


class Masses:
    """The toxic mass of words, by one model and what was found in its stream.

    Args:
        subject: The model.
        toxic: What counts as toxic in its stream.

    Raises:
        ModelError: If that was made for another model.
    """

    def __init__(self, subject: Subject, toxic: Toxic) -> None:
        from civilly.model.sparse.toxic import require_model

        require_model(toxic, subject.name, subject.width)
        self._subject = subject
        self.toxic = toxic
        self._layer = subject.require_layer(toxic.about.layer)

    def marks(self, texts: Sequence[Text]) -> list[list[Mark]]:
        """The words and emoji of texts (as `civilly.detect.context.as_read` gives them).

        A mark's score is its mass m, its p is m / (1 + m).
        """
        found: list[list[Mark]] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            plain = [text.text for text in part]
            streams = self._subject.streams(plain, self._layer)
            tokens = self._subject.encode(plain)
            for text, each, stream in zip(part, tokens, streams, strict=True):
                found.append(_marks(text, each.offsets, self._mass(stream)))
        return found

    def _mass(self, stream: Floats) -> Floats:
        import torch

        return np.asarray(self.toxic.mass(torch.from_numpy(stream)).numpy())


class StreamDetector:
    """See the module; `civilly.types.Detector`.

    Args:
        masses: Of words.
        reader: Says how toxic a text is, and what else a moderator must know.
    """

    def __init__(self, masses: Masses, reader: Detector) -> None:
        self._masses = masses
        self._reader = reader

    @property
    def toxic(self) -> Toxic:
        """What counts as toxic in the stream."""
        return self._masses.toxic

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        """What the reader says of each text, with spans by toxic mass, in order.

        Raises:
            UnknownNameError: If a language is not one of the 15.
        """
        found = [replace(each, spans=()) for each in self._reader.detect(texts)]
        rows = [row for row, each in enumerate(found) if each.p_toxic >= SPAN_FLOOR]
        spans = self.spans([texts[row] for row in rows])
        for row, own in zip(rows, spans, strict=True):
            found[row] = replace(found[row], spans=own)
        return found

    def spans(self, texts: Sequence[Text]) -> list[tuple[Span, ...]]:
        """The spans of each text by mass alone, whatever the reader says of it."""
        for lang in {text.lang for text in texts}:
            language(lang)
        read = as_read(texts)
        found = []
        for text, seen, marks in zip(texts, read, self._masses.marks(read), strict=True):
            bounds = words(seen.text, text.lang)
            found.append(
                outstanding_spans(marks, text.text, seen.text, text.lang, bounds, LIMIT, LEAST)
            )
        return found


def _marks(text: Text, places: Sequence[tuple[int, int]], masses: Floats) -> list[Mark]:
    """The words of a text, each as toxic as its most toxic token."""
    heights = np.zeros(len(text.text) + 1, np.float32)
    for (start, end), mass in zip(places, masses.tolist(), strict=True):
        heights[start:end] = np.maximum(heights[start:end], mass)
    found = []
    for start, end in stretches(text.text, text.lang, words(text.text, text.lang)):
        mass = float(heights[start:end].max())
        found.append(Mark(start, end, mass, mass / (1 + mass)))
    return found


def check_target(target: str) -> None:
    """Makes sure that what follows the colon of ``sae:`` is there, without loading a model.

    Args:
        target: Empty, ``PLACE``, ``PLACE#READING`` or ``#READING``; see `load`.

    Raises:
        MissingExtraError: If torch is not installed.
        ModelError: If there is no such file, or it is of another kind.
        UnknownNameError: If the file holds no such reading.
    """
    from civilly.model.sparse.toxic_file import names_in

    place, name = _split(target)
    if name not in (known := names_in(place)):
        raise UnknownNameError("reading of the detector 'sae'", name, known)


def _split(target: str) -> tuple[Path | None, str]:
    from civilly.model.sparse.toxic_file import DEFAULT

    place, _, name = target.partition("#")
    return (Path(place) if place else None), name or DEFAULT


@cache
def _subject(model: str) -> Subject:
    from civilly.engines.residual import open_subject

    return open_subject(model)


@cache
def load(target: str = "") -> StreamDetector:
    """A detector by a file of toxic latents, loaded once per process.

    Args:
        target: Empty: the file that the package brings; else another one, or a folder with one,
            and perhaps a reading of it (a control): ``PLACE``, ``PLACE#READING``, ``#READING``.

    Raises:
        MissingExtraError: If the extra ``sae`` is not installed.
        ModelError: If the file or the model cannot be loaded, or they do not fit.
        UnknownNameError: If the file holds no such reading.
    """
    from civilly.model.sparse.toxic_file import open_toxic

    toxic = open_toxic(*_split(target))
    return StreamDetector(Masses(_subject(toxic.about.model), toxic), context.load())


def create(tools: Tools | None = None, target: str = "") -> Detector:
    """The detector with what ships, or with another file; see `load`."""
    return load(target)
