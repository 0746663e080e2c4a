"""What the trimmed vocabulary keeps whatever its frequency."""

import string

import pytest

from civilly.model.tokenizer import SPACE
from civilly.train.vocabulary import always_kept


@pytest.mark.parametrize(
    "piece",
    [*string.ascii_letters, *string.digits, *string.punctuation, *"£©™×→★『』〜［］＠ﾊ㍿㊙€₹÷½²",
     *"éßяұقעक़ሀ漢かカー々μΩ𝓯", "\u0301", "\u064b", "\ufe0f", "\u200d", "\u20e3", "🏽", "🇺", "🤬",
     SPACE, SPACE * 2, SPACE * 31, "\n", "\n\n", "\t\t\t", SPACE + "★", SPACE + "{", "⚠️", "★★",
     "\x1b"],
)  # fmt: skip
def test_characters_of_our_scripts_symbols_and_runs_stay(piece):
    assert always_kept(piece)


@pytest.mark.parametrize(
    "piece",
    ["한", "ก", "ა", "\ue000", "\U000e1000", "hello", SPACE + "hello", "你好", ");",
     SPACE * 2 + "a", " \n", "a★"],
)  # fmt: skip
def test_letters_of_other_scripts_words_and_code_must_earn_their_place(piece):
    assert not always_kept(piece)
