"""A rewrite has the blanks of its text; nothing else of it changes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.methods.blanks import fills_blanks, restore_blanks_and_symbols, single_blanks

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
    assert restore_blanks_and_symbols(text, single_blanks(text)) == text
    assert restore_blanks_and_symbols(text, text) == text


@given(st.data(), WORDS, st.integers(0, 7))
def test_blanks_around_a_changed_word_come_back(data, words, place):
    text = joined(data, words)
    changed = [*words]
    changed[place % len(words)] = "xyz"
    blanks = re.findall(r"\s+", text)
    assert re.findall(r"\s+", restore_blanks_and_symbols(text, " ".join(changed))) == blanks


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_of_the_rewrite_is_lost_but_blanks(source, rewritten):
    restored = iter(restore_blanks_and_symbols(source, rewritten))
    assert all(character in restored for character in rewritten if not character.isspace())


@given(st.lists(st.sampled_from(["a", "b", " ", "★", "🤷‍♂️", "❤️", "🇮🇳", "→"]), max_size=20))
def test_symbols_that_were_dropped_come_back(clusters):
    source = " ".join(clusters)
    marks = [c for c in source if c in "★🤷♂❤🇮🇳→"]
    for rewritten in (re.sub(r"[^ab]+", " ", source).strip(), "cd", ""):
        restored = restore_blanks_and_symbols(source, rewritten)
        assert [c for c in restored if c in "★🤷♂❤🇮🇳→"] == marks


def test_symbols_of_toxic_stretches_stay_away():
    text = "you 🖕 moron ❤ ok"
    assert restore_blanks_and_symbols(text, "you person ok", ["🖕 moron"]) == "you person ❤ ok"


@given(st.text(alphabet="ab \n", max_size=30))
def test_texts_with_single_spaces_alone_are_left_alone(rewritten):
    text = " ".join("abc")
    if not re.search(r"\s\s|\n", rewritten):
        assert restore_blanks_and_symbols(text, rewritten) is rewritten


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
     ("〜 you idiot", "you person", "〜 you person"),
     ("तू मूर्ख 🇮🇳 🤷‍♂️ ❤️ है", "तू भोला 🇮🇳 ❤️ है", "तू भोला 🇮🇳 🤷‍♂️ ❤️ है"),
     ("You are an idiot ★ and late", "You are wrong and late", "You are wrong ★ and late"),
     ("Заткнись, придурок ★ ты не прав", "Зачем ты не прав", "Зачем ★ ты не прав"),
     ("このクソ★また", "このゲームまた", "このゲーム★また"),
     ("you sh¥t and a$$ ok", "you person ok", "you person ok"),
     ("(you moron) hey", "you hey", "you hey"),
     ("can not", "cannot", "cannot"),
     ("a  b", "a b\nc", "a  b\nc")],
)  # fmt: skip
def test_examples(source, rewritten, wanted):
    assert restore_blanks_and_symbols(source, rewritten) == wanted


@pytest.mark.parametrize(
    ("text", "rewritten", "filled"),
    [
        ("You idiot\n\n\n  shut up\n", "That was a mistake\n\n\n  shut up\n", False),
        ("so\n\n\n ok", "some\n\n\n bloke", False),
        ("a rule  for us", "a rule  bar for us", True),
        ("这　　那", "这些事　　那", True),
        ("a rule  for us", "a ruler  for us", False),
    ],
)
def test_a_word_that_grows_beside_a_run_of_blanks_fills_none(text, rewritten, filled):
    assert fills_blanks(text, rewritten) == filled
