"""Scores that people suggest, kept as readings (`civilly.data.readings`).

A reading says of a text and what became of it how good that is. A suggested score is one of the
text left as it is: ``good`` where it is civil, ``kept`` (returned rude) where it is toxic.
"""

from __future__ import annotations

from hashlib import sha256

from civilly.data.readings import Reading, as_line
from civilly.languages import language_code
from civilly.select.reads import TOXIC
from civilly.serve.perspective_attributes import attribute
from civilly.serve.perspective_messages import SuggestRequest

SOURCE = "suggestscore"
KEEP = "keep"


def lines_of(request: SuggestRequest, lang: str) -> list[str]:
    """A suggested score as a line of a file of readings.

    Args:
        request: What was said.
        lang: The language that the text is in.

    Returns:
        Nothing where no toxicity is said, or the languages are none of ours.
    """
    if request.languages and not any(map(language_code, request.languages)):
        return []
    said = {
        name: scores.summary_score.value
        for name, scores in request.attribute_scores.items()
        if scores.summary_score is not None and attribute(name, "strict") == "TOXICITY"
    }
    if not said:
        return []
    toxic = max(said.values()) >= TOXIC
    digest = sha256("\n".join((lang, request.comment.text)).encode("utf-8", "replace")).hexdigest()
    scores = ", ".join(f"{name} {value:g}" for name, value in said.items())
    reading = Reading(
        id=f"{SOURCE}-{digest[:16]}",
        lang=lang,
        text=request.comment.text,
        source=SOURCE,
        rewrite=request.comment.text,
        systems=(KEEP,),
        fault="kept" if toxic else "good",
        use=0 if toxic else 2,
        note="; ".join(filter(None, (scores, request.community_id))),
        sheet=f"{lang}-{SOURCE}",
    )
    return [as_line(reading)]
