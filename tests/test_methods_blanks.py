"""A rewrite has the blanks of its text; nothing else of it changes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.methods.blanks import restore_blanks, single_blanks

BLANKS = st.text(alphabet=" \t\u3000\xa0", min_size=1, max_size=5)
WORDS = st.lists(
    st.text(alphabet="abcdeかクなに人", min_size=1, max_size=6), min_size=1, max_size=8
)


def joined(data, words):
    text = words[0]
    for word in words[1:]:
        text += data.draw(BLANKS) + word
    return text


@given(st.data(), WORDS)
def test_blanks_that_were_flattened_come_back(data, words):
    text = joined(data, words)
    assert restore_blanks(text, single_blanks(text)) == text
    assert restore_blanks(text, text) == text


@given(st.data(), WORDS, st.integers(0, 7))
def test_blanks_around_a_changed_word_come_back(data, words, place):
    text = joined(data, words)
    changed = [*words]
    changed[place % len(words)] = "xyz"
    blanks = re.findall(r"\s+", text)
    assert re.findall(r"\s+", restore_blanks(text, " ".join(changed))) == blanks


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_blanks_change(source, rewritten):
    restored = restore_blanks(source, rewritten)
    assert re.sub(r"\s", "", restored) == re.sub(r"\s", "", rewritten)


@given(st.text(alphabet="ab \n", max_size=30))
def test_texts_with_single_spaces_alone_are_left_alone(rewritten):
    text = " ".join("abc")
    if not re.search(r"\s\s|\n", rewritten):
        assert restore_blanks(text, rewritten) is rewritten


@pytest.mark.parametrize(
    ("source", "rewritten", "wanted"),
    [("やわ   クソババアが", "やわ 人が", "やわ   人が"),
     ("やわ   クソババアが", "やわ人が", "やわ   人が"),
     ("A   idiot B", "A B", "A   B"),
     ("A idiot   B", "A B", "A   B"),
     ("A   x", "A", "A"),
     ("クソ   あ", "あ", "あ"),
     ("you\tare\u3000an idiot", "you are a person", "you\tare\u3000a person"),
     ("tais-toi\xa0!", "chut !", "chut\xa0!"),
     ("a b", "a   b", "a b"),
     ("can not", "cannot", "cannot"),
     ("a  b", "a b\nc", "a  b\nc")],
)  # fmt: skip
def test_examples(source, rewritten, wanted):
    assert restore_blanks(source, rewritten) == wanted
