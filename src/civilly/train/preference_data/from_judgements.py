"""Preferences of people who judged the outputs of systems (`civilly.score.human`).

The sets that the shared tasks published judge rewrites of official inputs: the leak check takes all
of their texts out. What is left are judgements of one's own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from civilly.data.kept_apart import judgement_kept_apart
from civilly.score.human import Judgement, read_judgements, resolve
from civilly.score.joint import COMPONENTS, JOINT
from civilly.train.preference_data.rated import Rated, RatedText, Read, label_of
from civilly.train.preference_data.recipe import JudgementsSource


def read_source(source: JudgementsSource, beside: Path, data: Path) -> Read:
    """The texts of a file of judgements, with every output that people judged.

    An output of several systems is worth the mean of its judgements. The fault of an output is the
    component that people found worst.

    Args:
        source: What the recipe says.
        beside: The recipe's folder.
        data: The data folder, for sets that are named.

    Raises:
        DataError: If there is no such file, or a row is not as it should be.
    """
    own = beside / source.judgements
    path = own if own.is_file() else resolve(source.judgements, data)
    by_text: dict[tuple[str, str], list[Judgement]] = {}
    for judgement in read_judgements(path):
        by_text.setdefault((judgement.lang, judgement.text), []).append(judgement)
    return Read([_rated(judged, source) for judged in by_text.values()])


def _rated(judged: list[Judgement], source: JudgementsSource) -> RatedText:
    by_output: dict[str, list[Judgement]] = {}
    for judgement in judged:
        by_output.setdefault(judgement.output, []).append(judgement)
    rated = []
    for output, several in by_output.items():
        means = {
            name: sum(each.scores[name] for each in several) / len(several)
            for name in (*COMPONENTS, JOINT)
        }
        label = label_of(means[JOINT], source.chosen_from, source.rejected_to)
        worst = min(COMPONENTS, key=lambda name: means[name])
        rated.append(Rated(output, means[JOINT], label, "" if label else worst))
    first = judged[0]
    row_id = str(first.row.get("id") or hashlib.sha1(first.text.encode()).hexdigest()[:12])
    apart = judgement_kept_apart(row_id)
    return RatedText(row_id, first.lang, first.text, source.name, tuple(rated), apart)
