"""The parts of a text: sentences, and what they cost; together they are the text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.detect.parts import LONGEST_PART, parts
from civilly.languages import CODES


def cut(text, lang="en", longest=LONGEST_PART):
    return [text[start:end] for start, end in parts(text, lang, longest)]


@settings(max_examples=200)
@given(st.text(max_size=2_000), st.sampled_from(CODES), st.integers(1, 60))
def test_they_join_to_the_text(text, lang, longest):
    found = cut(text, lang, longest)
    assert "".join(found) == text
    assert all(0 < len(part) <= longest for part in found)


@pytest.mark.parametrize(
    ("character", "most"),
    [("a", 400), ("я", 400), ("ह", 400), ("የ", 200), ("傻", 133), ("💩", 100)],
)
def test_one_has_as_many_characters_as_cost_alike(character, most):
    assert {len(part) for part in cut(character * 1_000)[:-1]} == {most}


def test_a_huge_line_is_cut():
    assert max(map(len, cut("a" * 100_000))) <= LONGEST_PART


def test_a_chinese_sentence_without_an_end_is_cut_at_commas():
    found = cut("你这个人根本没看过这部电影，" * 40, "zh")
    assert all(part.endswith("，") for part in found)
    assert max(map(len, found)) <= LONGEST_PART // 3


def test_each_sentence_is_one_however_short():
    assert cut("No. You go first! I wait.") == ["No. ", "You go first! ", "I wait."]


def test_what_says_nothing_belongs_to_the_sentence_before_it_on_its_line():
    assert cut("Well done! 🎉 ... And you?\n!!!") == ["Well done! 🎉 ... ", "And you?\n", "!!!"]
