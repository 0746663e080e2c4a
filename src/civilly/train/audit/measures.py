"""What rewrites are like, counted without an opinion: copies, deletions, length, language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from civilly.detect.language import identify
from civilly.detect.toxicity import shipped
from civilly.detect.words import words
from civilly.score.chrf import Chrf
from civilly.types import Text

Values = list[float]
References = Sequence[Sequence[str]]


def measure(
    texts: Sequence[Text], outputs: Sequence[str], references: References
) -> dict[str, Values]:
    """Each of `MEASURES` of each output, in order.

    Args:
        texts: The inputs.
        outputs: One rewrite of each.
        references: What people wrote for each.
    """
    return {name: one(texts, outputs, references) for name, one in MEASURES.items()}


def _against_references(
    texts: Sequence[Text], outputs: Sequence[str], references: References
) -> Values:
    return Chrf().score(texts, outputs, references)


def _lengths(texts: Sequence[Text], outputs: Sequence[str], references: References) -> Values:
    return [
        len(output.strip()) / max(1, len(text.text.strip()))
        for text, output in zip(texts, outputs, strict=True)
    ]


def _unchanged(texts: Sequence[Text], outputs: Sequence[str], references: References) -> Values:
    pairs = zip(texts, outputs, strict=True)
    return [float(output.strip() == text.text.strip()) for text, output in pairs]


def _deletions(texts: Sequence[Text], outputs: Sequence[str], references: References) -> Values:
    return [
        float(is_deletion(text.text, output, text.lang))
        for text, output in zip(texts, outputs, strict=True)
    ]


def is_deletion(text: str, output: str, lang: str) -> bool:
    """Whether a rewrite is the text without some of its words, and nothing else is new.

    Case and marks do not count; an output without a word is a deletion of all.
    """
    before, after = _words(text, lang), _words(output, lang)
    left = iter(before)
    return len(after) < len(before) and all(word in left for word in after)


def _words(text: str, lang: str) -> list[str]:
    return [text[start:end].casefold() for start, end in words(text, lang)]


def _toxicity(texts: Sequence[Text], outputs: Sequence[str], references: References) -> Values:
    written = [Text(output, text.lang) for text, output in zip(texts, outputs, strict=True)]
    return list(shipped().p_toxic(written))


def _language(texts: Sequence[Text], outputs: Sequence[str], references: References) -> Values:
    """1 where an output is of another language than its text, as the identifier sees both."""
    before, after = identify([text.text for text in texts]), identify(list(outputs))
    return [
        float(output not in (text.lang, source))
        for text, source, output in zip(texts, before, after, strict=True)
    ]


def distinct_words(texts: Sequence[Text], outputs: Sequence[str]) -> float:
    """Different words per word of all outputs together, in [0, 1]; languages do not share words."""
    said = [
        (text.lang, word)
        for text, output in zip(texts, outputs, strict=True)
        for word in _words(output, text.lang)
    ]
    return len(set(said)) / max(1, len(said))


MEASURES: Mapping[str, Callable[[Sequence[Text], Sequence[str], References], Values]] = {
    "chrF": _against_references,
    "length": _lengths,
    "unchanged": _unchanged,
    "deletion": _deletions,
    "p_toxic": _toxicity,
    "language": _language,
}
"""``chrF`` against the references; ``length`` per character of the text; whether it is
``unchanged``, a plain ``deletion``; p(toxic) by the n-gram model; whether the ``language`` is
another one."""
