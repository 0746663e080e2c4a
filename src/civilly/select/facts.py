"""What a rewrite must bring over unchanged: numbers, mentions, hashtags and links."""

from __future__ import annotations

import re
from collections import Counter

from civilly.types import Detection

_FACT = re.compile(r"https?://\S+|www\.\S+|[@#]\w+|\d+(?:[.,:]\d+)*")


def changed_facts(source: str, before: Detection, output: str) -> int:
    """How many numbers, mentions, hashtags and links were lost or are new.

    Args:
        source: The text before the rewrite.
        before: What the detector says of it: what overlaps a toxic span may go.
        output: The rewrite.
    """
    facts = list(_FACT.finditer(source))
    kept = Counter(
        fact[0]
        for fact in facts
        if not any(s.start < fact.end() and fact.start() < s.end for s in before.spans)
    )
    there = Counter(_FACT.findall(output))
    lost, new = kept - there, there - Counter(fact[0] for fact in facts)
    return lost.total() + new.total()
