"""Candidates of another language, script or length are refused; people's rewrites are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from civilly import registry
from civilly.data.pairs import data_folder, read_authored, read_pairs
from civilly.data.split import dev_part
from civilly.errors import DataError
from civilly.select.guards import (
    EMPTIED,
    FILLED,
    FOREIGN,
    LINES,
    LONG,
    RUBBLE,
    SCRIPT,
    SHORT,
    SYMBOL,
    refusals,
)
from civilly.types import Candidate, Detection, Text

RUSSIAN = "Заткнись, придурок, ты ничего не понимаешь в футболе и в людях"


def refused(text: str, lang: str, candidate: str) -> str | None:
    (reason,) = refusals([Text(text, lang)], [candidate])
    return reason


@pytest.mark.parametrize(
    ("text", "lang", "candidate", "wanted"),
    [
        (RUSSIAN, "ru", "Please be quiet, you know nothing about football or people", SCRIPT),
        (RUSSIAN, "ru", "Будь ласка, помовч, ти нічого не розумієш у футболі", "Ukrainian"),
        (RUSSIAN, "ru", "Пожалуйста, помолчи, ты не разбираешься в футболе", None),
        (RUSSIAN, "ru", "ну", SHORT),
        (RUSSIAN, "ru", "Ты не понимаешь\nВежливо\n", LINES),
        (RUSSIAN + "\nслышишь?", "ru", "Ты не понимаешь\nслышишь?", None),
        (RUSSIAN, "ru", RUSSIAN * 2, LONG),
        ("Halt die Fresse, das stimmt doch gar nicht", "de", "Be quiet, that is not true at all",
         "English"),
        ("Halt die Fresse, das stimmt doch gar nicht", "de", "Das stimmt doch gar nicht", None),
        ("син дурак, бернәрсә дә аңламыйсың", "tt", "ты ничего не понимаешь, друг мой", "Russian"),
        ("この馬鹿野郎、黙れよ本当に", "ja", "请你安静一点，不要再这样说话了，谢谢大家", SCRIPT),
        ("この馬鹿野郎、黙れ", "ja", "静粛願", None),
        ("你这个白痴，什么都不懂", "zh", "あなたは何もわかっていません", SCRIPT),
        ("abe chutiye tujhe kuch nahi pata cricket ke baare me", "hin",
         "bhai tujhe cricket ke baare me kuch nahi pata", None),
        ("abe chutiye tujhe kuch nahi pata cricket ke baare me", "hin",
         "भाई तुझे क्रिकेट के बारे में कुछ नहीं पता", SCRIPT),
        ("滚，lkd", "zh", "请离我远一点，谢谢", None),
        ("you idiot", "en", "No, thank you", None),
        ("!!! 123", "en", "!!!", None),
        ("Shut up!!!", "en", "!!!", EMPTIED),
        ("滚！", "zh", "。", EMPTIED),
        ("Room 12, idiot", "en", "12", SHORT),
        ("元嬢なの？   それともババア", "ja", "元嬢なの？ \ufffd\ufffdそれとも元嬢", RUBBLE),
        ("broken \ufffd text, you idiot", "en", "broken \ufffd text, you person", None),
        ("you idiot friend", "en", "you \x07 friend", RUBBLE),
        ("you idiot friend", "en", "you \ue000 friend", RUBBLE),
        ("you idiot friend", "en", "\u202eyou friend", RUBBLE),
        ("तू मूर्ख है क्\u200dया", "hi", "तू नासमझ है क्\u200dया क्\u200dयों", None),
        ("Hello {{first_name}}, you are an idiot", "en", "Hello ろし、you are not right", FOREIGN),
        ("bitch please ;} whatever", "en", "please ;にとって whatever", FOREIGN),
        ("你这个白痴什么都不懂，根本没看过这部电影", "zh",
         "你这个の什么都不懂，根本没看过这部电影", FOREIGN),
        ("Заткнись, придурок", "ru", "Помолчи, 친구", FOREIGN),
        ("Заткнись, дурак, в игре", "ru", "Помолчи, в PUBG", None),
        ("このクソゲー『また落ちてる", "ja", "このゲーム㏏また落ちてる", SYMBOL),
        ("you idiot 😀", "en", "you person 😀😀", SYMBOL),
        ("you idiot ①", "en", "you person ②", SYMBOL),
        ("you idiot ❤", "en", "you person ❤️", None),
        ("यह बकवास है।", "hi", "यह ठीक नहीं है |", None),
        ("大事に思うが   それを押し付けるな     キチガイ", "ja",
         "大事に思うが   苦手で それを押し付けるな", FILLED),
        ("大事に思うが   それを押し付けるな     キチガイ", "ja",
         "大事に思うが   それを押し付けないで", None),
        ("", "en", "", None),
    ],
)  # fmt: skip
def test_reasons(text: str, lang: str, candidate: str, wanted: str | None) -> None:
    reason = refused(text, lang, candidate)
    if wanted is None:
        assert reason is None
    else:
        assert reason is not None
        assert wanted in reason


def test_the_language_is_judged_only_where_the_text_is_surely_in_its_own() -> None:
    english = "You do not understand anything about this"
    assert "English" in (refused("Tu n'y comprends rien du tout, connard", "fr", english) or "")
    # A text that is itself English is no reason to refuse English, whatever code it came with.
    assert refused("You moron understand nothing about this", "fr", english) is None


def test_words_that_are_only_left_out_change_no_language() -> None:
    mixed = "ce connard said you are welcome to the party tonight"
    assert refused(mixed, "fr", "you are welcome to the party tonight") is None


def test_rows_keep_their_place_and_an_empty_batch_is_empty() -> None:
    texts = [Text(RUSSIAN, "ru"), Text("you idiot friend", "en"), Text(RUSSIAN, "ru")]
    found = refusals(texts, ["ну", "you friend", "Please be quiet, you know nothing about it"])
    assert found == [SHORT, None, SCRIPT]
    assert refusals([], []) == []


def test_people_are_hardly_ever_refused() -> None:
    """Less than .5 % of the human references of the tune part."""
    try:
        folder = data_folder()
    except DataError:
        pytest.skip("no data folder")
    pairs = read_pairs(folder / "parallel" / "multiparadetox_dev.jsonl.gz")
    pairs += read_authored(Path(__file__).parent.parent / "recipes" / "authored_pairs")
    chosen = [
        (Text(pair.toxic, pair.lang), reference)
        for pair in pairs
        if dev_part(pair.id) == "tune"
        for reference in pair.neutral
    ]
    reasons = refusals([text for text, _ in chosen], [reference for _, reference in chosen])
    assert len(chosen) > 300
    assert sum(reason is not None for reason in reasons) / len(chosen) < 0.005


class Lenient:
    """A detector that finds everything but one insult civil."""

    def detect(self, texts):
        return [Detection(0.9 if "придурок" in text.text else 0.0) for text in texts]


@pytest.mark.parametrize("name", [entry.name for entry in registry.entries("select")])
def test_no_selector_takes_what_is_refused_and_the_trace_says_why(name: str) -> None:
    class Tools:
        detector, options = Lenient(), {}

    selector = registry.create("select", name, Tools())
    foreign = Candidate("Please be quiet, you know nothing about football or people", "a", -0.01)
    own = Candidate("Ты ничего не понимаешь в футболе", "b", -2.0)
    text, before = Text(RUSSIAN, "ru"), Detection(0.9)
    first, second = selector.select([text, text], [before, before], [[foreign, own], [foreign]])
    assert first.candidate == own
    assert {c: s.refused for c, s in first.scored} == {own: None, foreign: SCRIPT}
    assert second.candidate is None
    assert SCRIPT in second.reason
