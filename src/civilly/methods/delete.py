"""Cuts the detector's spans out and mends the seams; the task's second baseline."""

from __future__ import annotations

import re
from collections.abc import Sequence

from civilly.detect.protected import blanked
from civilly.languages import in_word, says_something
from civilly.types import Candidate, Detection, Span, Text, Tools

_STAND_IN = "\ue000"
"""Stands for each character of what is protected, so that no seam changes it."""
BLANKS = " \t\u00a0\u3000"
"""What separates words on a line."""
_ENDS = ".!?…؟۔।॥።፧。！？｡"
_COMMAS = ",،、，؛；：፣፤፥"
_OPENING = "([{«“„‘（［｛「『【《"
_CLOSING = ")]}»”’）］｝」』】》"
_BRACKETS = {*map("".join, zip("([{«“‘（［｛「『【《", _CLOSING, strict=True)), "„“", "„”"}
_SAME_QUOTES = {'""', "''"}
_STRAIGHT = "\"'"
_OPENED = {mark: re.compile(rf"(?<!\w){mark}(?=\S)") for mark in _STRAIGHT}
_CLOSED = {mark: re.compile(rf"(?<=\S){mark}(?!\w)") for mark in _STRAIGHT}

_LONE_MARKS = re.compile(r"(?<!\w)[#@]+$")
# A Latin colon or semicolon may begin a smiley, and a hyphen a word: they need a space.
_LEADING = re.compile(rf"(?:[{_COMMAS}]|[;:](?=\s|$)|[-–—](?=\s|$)|[{BLANKS}])+")
_LEADING_END = re.compile(rf"[{re.escape(_ENDS)}]+(?=\s|$|[^\W_])[{BLANKS}]*")
_BEHIND = re.compile(r"(?:\*{1,3}|_{1,3}|~~|\$)(?!\w)|[\u202c\u2069]")
_EMPHASIS = re.compile(r"(?:\*{1,3}|_{1,3}|~~|\$)$")
_SHOUTED = re.compile(rf"[{re.escape(_ENDS)}]+([{re.escape(_CLOSING)}\"'])")
_DANGLING = re.compile(rf"[{BLANKS}]*(?:[{_COMMAS};:]|(?<=\s)[-–—])+$")


def first_blanks(text: str) -> str:
    """The blanks that a text begins with."""
    return text[: len(text) - len(text.lstrip(BLANKS))]


def last_blanks(text: str) -> str:
    """The blanks that a text ends with."""
    return text[len(text.rstrip(BLANKS)) :]


class DeleteRewriter:
    """Cuts toxic spans; what is not next to a cut stays as it is."""

    generates = False
    selector = "rerank"  # a baseline is what it is: no reader refuses it
    """A baseline: the pipeline adds no candidates to its own."""

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """At most one candidate per text, whatever ``n`` is.

        There is none where the detector marked nothing, or where nothing readable would be left.
        """
        answers: list[list[Candidate]] = []
        for text, detection in zip(texts, detections, strict=True):
            rest = delete_spans(text.text, detection.spans)
            readable = rest != text.text and says_something(rest)
            answers.append([Candidate(rest, "delete")] if readable else [])
        return answers


def delete_spans(text: str, spans: Sequence[Span]) -> str:
    """The text without its spans, with the seams mended.

    At a seam, one of two spaces goes, and so do commas and dashes that separate nothing, the end
    mark of a sentence that is gone, empty brackets and quotes, and a lone ``#`` or ``@``; a
    sentence that began with a capital still does. Everything else stays as it is, and so does, even
    at a seam, what is protected (`civilly.detect.protected`).

    Args:
        text: Any text.
        spans: Stretches to cut, in any order. Overlaps count once; what lies outside the text is
            ignored.
    """
    cuts = merge_spans(text, spans)
    if not cuts:
        return text
    shadow = blanked(text, _STAND_IN)
    ends = [0, *(end for _, end in cuts)]
    starts = [*(start for start, _ in cuts), len(text)]
    places = list(zip(ends, starts, strict=True))
    rest, *others = [shadow[end:start] for end, start in places]
    for (start, end), kept in zip(cuts, others, strict=True):
        rest = _join(rest, shadow[start:end], kept)
    if _STAND_IN not in rest:
        return rest
    hidden = (
        text[at] for end, start in places for at in range(end, start) if shadow[at] == _STAND_IN
    )
    return "".join(next(hidden) if each == _STAND_IN else each for each in rest)


def merge_spans(text: str, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Start and end of the cuts in order; those with only spaces and commas between are one."""
    cuts: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda each: (each.start, each.end)):
        start, end = max(0, span.start), min(len(text), span.end)
        if start >= end:
            continue
        if cuts and not text[cuts[-1][1] : start].strip(BLANKS + _COMMAS):
            cuts[-1] = (cuts[-1][0], max(cuts[-1][1], end))
        else:
            cuts.append((start, end))
    return cuts


def _join(left: str, cut: str, right: str) -> str:
    """What stood before and after a cut, as one text."""
    left, right = _without_shells(left, right)
    before, after = left.rstrip(BLANKS), right.lstrip(BLANKS)
    if _is_opened(before) and before == left:
        if found := _LEADING.match(after):
            after = after[found.end() :]
        if _begins_upper(cut):
            after = _capitalised(after)
        return before + after
    if _is_over(before):
        for superfluous in (_LEADING, _LEADING_END):
            if found := superfluous.match(after):
                after = after[found.end() :]
        if _begins_upper(cut):
            after = _capitalised(after)
        gap = left[len(before) :] if after.strip() else ""
        return before + gap + after
    if not after or after[0] in _ENDS + _COMMAS + _CLOSING + "\r\n" or _is_closed(before, after):
        before = _DANGLING.sub("", before)
        # The author may put spaces before punctuation; then that is how it stays.
        gap = first_blanks(right) if after.strip() else ""
        return before + gap + after
    gap = last_blanks(left) or first_blanks(right)
    if not gap and cut.strip() != cut and in_word(before[-1]) and in_word(after[0]):
        gap = " "
    return before + gap + after


def _without_shells(left: str, right: str) -> tuple[str, str]:
    """Takes away empty brackets, quotes and emphasis around a cut, and ``#`` or ``@`` before it."""
    left = _LONE_MARKS.sub("", left)
    before, after = left.rstrip(BLANKS), right.lstrip(BLANKS)
    shell = before[-1:] + after[:1]
    touching = before == left and after == right
    if shell in _BRACKETS or (touching and shell in _SAME_QUOTES):
        return _without_shells(before[:-1], after[1:])
    bold = _EMPHASIS.search(left)
    if touching and bold and after.startswith(bold[0]):
        return _without_shells(left[: bold.start()], after[len(bold[0]) :])
    ended = _SHOUTED.match(after)
    if ended and (before[-1:] + ended[1] in _BRACKETS or before[-1:] + ended[1] in _SAME_QUOTES):
        return _without_shells(before[:-1], after[ended.end() :])
    return left, right


def _is_opened(before: str) -> bool:
    """Whether a quotation or bracket has just begun."""
    if not before:
        return False
    if before[-1] in _STRAIGHT:
        return len(before) < 2 or not (in_word(before[-2]) or before[-2] in _ENDS + _STRAIGHT)
    return before[-1] in _OPENING


def _is_closed(before: str, after: str) -> bool:
    """Whether what follows ends what began before.

    It may be a straight quotation mark, marks of emphasis, or the end of the other direction.
    """
    if _BEHIND.match(after):
        return True
    mark, line = after[0], before[max(before.rfind("\n"), before.rfind("\r")) + 1 :]
    closes = mark in _STRAIGHT and not in_word(after[1:2] or " ")
    return closes and len(_OPENED[mark].findall(line)) > len(_CLOSED[mark].findall(line))


def _is_over(before: str) -> bool:
    """Whether a new sentence begins after this text."""
    return not before or before[-1] in _ENDS + "\r\n"


def _begins_upper(cut: str) -> bool:
    return next((letter.isupper() for letter in cut if letter.isalpha()), False)


def _capitalised(text: str) -> str:
    """The text with its first character in upper case, if that is still one character."""
    upper = text[:1].upper()
    return upper + text[1:] if len(upper) == 1 else text


OPTIONS = ()


def create(tools: Tools) -> DeleteRewriter:
    """The rewriter; it has no options and needs no tools."""
    return DeleteRewriter()
