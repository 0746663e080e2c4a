"""The normaliser: what it undoes, and that every offset leads back."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.detect.normalise import normalise
from civilly.errors import UnknownNameError
from civilly.languages import CODES

anything = st.text(st.characters(exclude_categories=()), max_size=60)  # also lone surrogates


@pytest.mark.parametrize(
    ("text", "lang", "expected"),
    [
        ("Hello, World", "en", "hello, world"),
        ("ｆｕｃｋ", "en", "fuck"),
        ("f\u200bu\u00adc\ufeffk", "en", "fuck"),
        ("f u c k you", "en", "fuck you"),
        ("F.U.C.K. off", "en", "fuck. off"),
        ("i d i o t", "it", "idiot"),
        ("sh1t a$$ a55", "en", "shit ass ass"),
        ("fuuuuck", "en", "fuck"),
        ("asssss", "en", "ass"),
        ("s**t f_ck", "en", "s*t f*ck"),
        ("**bold** f***", "en", "bold f*"),
        ("fu\u0441k", "en", "fuck"),  # Cyrillic es
        ("x\u0443\u0439", "ru", "хуй"),  # Latin x
        ("п1здец", "ru", "пиздец"),
        ("f\u0336u\u0336c\u0336k\u0336", "en", "fuck"),
        ("كـــلب كَلْب", "ar", "كلب كلب"),
        ("7mar", "ar", "حمر"),
        ("שָׁלוֹם", "he", "שלומ"),
        ("傻 逼 傻.逼", "zh", "傻逼傻逼"),
        ("әнкәң", "tt", "энкэн"),
        ("I'm 25, born 1999", "en", "i'm 25, born 1999"),
        ("", "ja", ""),
    ],
)
def test_undoes_disguises(text, lang, expected):
    assert normalise(text, lang).text == expected


@pytest.mark.parametrize(
    ("text", "lang", "found", "source"),
    [
        ("you f.u.c.k er", "en", "fuck", "f.u.c.k"),
        ("ﬁlthy fuuuuck!", "en", "fuck", "fuuuuck"),
        ("z\u200bz\u0336 ass", "en", "ass", "ass"),
        ("это х\u200bу\u200bй", "ru", "хуй", "х\u200bу\u200bй"),
    ],
)
def test_offsets_lead_back_to_the_disguise(text, lang, found, source):
    result = normalise(text, lang)
    at = result.text.index(found)
    start, end = result.original_span(at, at + len(found))
    assert text[start:end] == source


@settings(max_examples=300, derandomize=True, deadline=None)
@given(anything, st.sampled_from(CODES))
def test_offsets_are_valid_for_any_text(text, lang):
    result = normalise(text, lang)
    assert len(result.text) == len(result.starts) == len(result.ends)
    for start, end in zip(result.starts, result.ends, strict=True):
        assert 0 <= start < end <= len(text)
    assert list(result.starts) == sorted(result.starts)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(st.sampled_from("abcdefgh "), max_size=30))
def test_plain_words_keep_their_letters(text):
    # Independent of the implementation: with no run of three and no lone letters there is
    # nothing to undo.
    words = [w for w in text.split() if len(w) > 1]
    line = " ".join(w for w in words if all(w.count(c * 3) == 0 for c in w))
    assert normalise(line.upper(), "en").text == line


def test_compatibility_forms_equal_their_nfkc():
    circled = "ⓗⓔⓛⓛⓞ ½ ℡"
    assert normalise(circled, "de").text.startswith("hello")
    assert unicodedata.normalize("NFKC", "℡").lower() in normalise(circled, "de").text


def test_unknown_language_is_named():
    with pytest.raises(UnknownNameError, match="klingon"):
        normalise("nuqneH", "klingon")
