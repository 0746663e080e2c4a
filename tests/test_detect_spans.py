"""A span holds words and what masks them, and nothing that stands between words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.detect.features import extract
from civilly.detect.protected import blanked
from civilly.detect.spans import toxic_spans
from civilly.languages import CODES

RUDE = {"fucking", "idiot", "moron", "shit", "crap", "piss", "fuck", "傻", "逼", "バ", "カ", "5h1t"}
RUDE |= {"figlio", "di", "puttana"}


def marked(text: str, lang: str = "en", loud: str = "") -> list[str]:
    """What a detector marks that knows these words by heart, and the characters of ``loud``."""
    read = blanked(text)
    features = extract([read], lang)
    tokens = zip(features.starts.tolist(), features.ends.tolist(), strict=True)
    normal = features.normalised[0].text
    scores = np.array(
        [
            2.0 if (word := normal[a:b]) in RUDE or "*" in word or word in loud else -1.0
            for a, b in tokens
        ]
    )
    alone = np.where(scores > 0, 0.9, 0.1)
    found = toxic_spans(features, 0, text, read, lang, scores, alone, 1.0)
    return [text[span.start : span.end] for span in found]


@pytest.mark.parametrize(
    ("lang", "text", "spans"),
    [
        ("en", "You fucking idiot, see", "fucking idiot"),
        ("en", "\"you idiot\" and 'piss off' (moron) [shit] {crap}", "idiot|piss|moron|shit|crap"),
        ("en", "“fucking” “idiot!” moron", "fucking|idiot|moron"),
        ("en", "fucking, idiot... moron\nshit", "fucking|idiot|moron|shit"),
        ("it", "sto figlio di puttana!” #Bonucci idiot", "figlio di puttana|idiot"),
        ("en", "\u202eyou fucking idiot\u202c \u2067moron\u2069\u200b", "fucking idiot|moron"),
        ("en", "**you fucking idiot** and _moron_", "fucking idiot|moron"),
        ("en", "idiot @bob moron", "idiot|moron"),
        ("en", "idiot https://x.org/idiot moron #shit idiot@x.org", "idiot|moron"),
        ("en", "what the f**k, bull**** and fu**c**k", "f**k|bull****|fu**c**k"),
        ("en", "5_h_1_t, s_h_i_t, you f u c k.", "5_h_1_t|s_h_i_t|f u c k"),
        ("en", "i\u200bd\u200biot, i.d.i.o.t, so", "i\u200bd\u200biot|i.d.i.o.t"),
        ("zh", "你 傻*逼*，滚。傻-逼", "傻*逼*|傻-逼"),
        ("zh", "“傻逼”傻逼", "傻逼|傻逼"),
        ("ja", "「バカ」バカ\u202c", "バカ|バカ"),
    ],
)  # fmt: skip
def test_what_a_span_holds(lang: str, text: str, spans: str) -> None:
    assert "|".join(marked(text, lang)) == spans


def test_an_emoji_is_a_span_of_its_own_if_it_can_insult() -> None:
    loud = "🤡🖕😂🐷🏽🎉"
    assert marked("you idiot 🤡🤡🤡 😂", loud=loud) == ["idiot", "🤡🤡🤡"]
    assert marked("🤣moron 🖕🏽, ok 🎉", loud=loud) == ["moron", "🖕🏽"]
    assert marked("a 🐷 moron", loud="") == ["moron"]
    assert marked("a 🐷 moron", loud="🐷") == ["🐷", "moron"]
    assert marked("a 🤡 moron", loud="") == ["🤡", "moron"]
    assert marked("傻逼😂😂 ok", "zh", loud=loud) == ["傻逼"]


PARTS = ["idiot", "moron", "傻逼", "f**k", "ok", " ", " ", '"', "“", "”", "(", ")", "!", ",", "**",
         "@bob", "#x", "`c`", "12", "😀", "🤡", "\n", "\u202c", "http://x.org"]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=20).map("".join), st.sampled_from(CODES))
def test_no_span_holds_a_mark_that_may_be_one_of_a_pair(text: str, lang: str) -> None:
    for span in marked(text, lang):
        assert not set(span) & set('"“”()!,\n\u202c😀')
        assert span == span.strip()
