"""What a model is given in place of long links, paths, code and markup: a short name it copies.

A generating method copies ``@user1`` where it garbles or drops a path (docs/decisions.md); what it
stands for comes back at its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from civilly.detect.protected import Protected, protected
from civilly.pipeline.substitution import substituted
from civilly.types import Detection, Text

LONG = 8
"""What has fewer characters is given as it is."""
_STAND_IN = re.compile(r"@user[0-9]+")


@dataclass(frozen=True, slots=True)
class Shortened:
    """A text as a model gets it.

    Attributes:
        text: The text with stand-ins.
        detection: What was found in it, at the places where it now is.
        originals: What each stand-in stands for.
    """

    text: Text
    detection: Detection
    originals: dict[str, str]

    def given(self, proposal: str) -> str:
        """A proposal of somebody who saw the text itself, as the model would write it."""
        for stand_in, original in self.originals.items():
            proposal = proposal.replace(original, stand_in, 1)
        return proposal

    def told(self, answer: str) -> str:
        """An answer of the model, with everything that its stand-ins stand for."""
        if not self.originals:
            return answer
        return _STAND_IN.sub(lambda found: self.originals.get(found[0], found[0]), answer)


def shortened(text: Text, detection: Detection) -> Shortened:
    """A text with stand-ins for what is protected, long, and no name already.

    Args:
        text: The text.
        detection: What was found in it; what one of its spans touches stays.
    """
    hidden = list(_hidden(text.text, detection))
    if not hidden:
        return Shortened(text, detection, {})
    taken = set(_STAND_IN.findall(text.text))
    names = (name for number in count(1) if (name := f"@user{number}") not in taken)
    originals = {next(names): text.text[each.start : each.end] for each in hidden}
    places = zip(hidden, originals, strict=True)
    given = substituted(text, detection, [(each.start, each.end, name) for each, name in places])
    return Shortened(*given, originals)


def _hidden(text: str, detection: Detection) -> Iterator[Protected]:
    for each in protected(text):
        touched = any(s.start < each.end and each.start < s.end for s in detection.spans)
        if each.end - each.start >= LONG and each.kind != "name" and not touched:
            yield each
