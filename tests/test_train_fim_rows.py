"""Holes and rows of the training to fill in the middle: by hand, and put together again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.pairs import Pair
from civilly.languages import CODES, LANGUAGES
from civilly.methods.delete import BLANKS
from civilly.methods.fim_formats import FORMATS, FimFormat, Slot
from civilly.methods.holes import Gap
from civilly.train.examples import Example
from civilly.train.fim.differences import tokens
from civilly.train.fim.holes import Hole, Sides, cut_characters, cut_words, hole_at
from civilly.train.fim.rows import FimSettings, example_of, fim_rows, gold_holes
from civilly.types import Segment

OWN = FORMATS["civilly"]


def pair(toxic: str, neutral: str, lang: str = "en") -> Pair:
    return Pair("1", lang, toxic, (neutral,))


def all_holes(made: Pair) -> list[Hole]:
    sides = Sides(made)
    return sides.holes(sides.changes)


def special(number: int) -> Segment:
    return Segment(f"<unused{number}>", special=True)


@pytest.mark.parametrize(
    ("text", "lang", "expected"),
    [
        ("You, f**k !", "en", ["You", ",", "f**k", "!"]),
        ("नहीं समझा।", "hi", ["नहीं", "समझा", "।"]),
        ("a\u00a0b\nc", "en", ["a", "b", "\n", "c"]),
        ("犬とABが悪", "ja", ["犬", "と", "AB", "が", "悪"]),
    ],
)
def test_tokens_by_hand(text, lang, expected):
    assert [token.text for token in tokens(text, lang)] == expected


@pytest.mark.parametrize(
    ("toxic", "neutral", "lang", "expected"),
    [
        # The cut holds no blanks, the middle holds those that remain: here none before the comma.
        ("You stupid fool, go home", "You, go home", "en",
         [("You ", "stupid fool", ", go home", "")]),
        # In the middle of a text a deletion leaves one blank.
        ("a damn good text", "a good text", "en", [("a ", "damn", " good text", " ")]),
        # The later hole is deleted from what follows, the earlier one is filled.
        ("this idiot wrote a shitty text", "this person wrote a bad text", "en",
         [("this ", "idiot", " wrote a text", " person "),
          ("this person wrote a ", "shitty", " text", " bad ")]),
        # Cuts with only a comma between them are one.
        ("go, idiot, moron", "go", "en", [("go", ", idiot, moron", "", "")]),
        # A pure insertion takes the next word in; at the end, the last one.
        ("shut up", "please shut up", "en", [("", "shut", " up", "please shut ")]),
        ("go away", "go away please", "en", [("go ", "away", "", " away please")]),
        ("你这个傻逼快走开", "你快走开", "zh", [("你", "这个傻逼", "快走开", "")]),
        # One character in common between two changes is chance.
        ("他妈的你妹滚", "请你走", "zh", [("", "他妈的你妹滚", "", "请你走")]),
        ("तुम गधे हो", "तुम गलत हो", "hi", [("तुम ", "गधे", " हो", " गलत ")]),
        ("ok", "ok", "en", []),
    ],
)  # fmt: skip
def test_holes_of_pairs_by_hand(toxic, neutral, lang, expected):
    found = [
        (hole.gap.before, hole.gap.cut, hole.gap.after, hole.middle)
        for hole in all_holes(pair(toxic, neutral, lang))
    ]
    assert found == expected


def test_marks_alone_are_no_hole_and_stand_as_the_civil_side_has_them():
    (hole,) = gold_holes(pair("you idiot, no!!!", "you person, no."), FimSettings())
    assert hole == Hole(Gap("you ", "idiot", ", no.", "en"), " person", ", no.")


def test_prompts_by_hand():
    (hole,) = all_holes(pair("a damn good text", "a good text"))
    english, before, after = Segment("English\n"), Segment("a"), Segment("good text")
    shown = (special(1), Segment("damn"))
    orders = {
        ("psm", True): (special(0), english, before, *shown, special(3), after, special(4)),
        ("psm", False): (special(0), english, before, special(3), after, special(4)),
        ("spm", True): (special(0), english, *shown, special(3), after, special(4), before),
        ("spm", False): (special(0), english, special(3), after, special(4), before),
    }
    for (order, show), segments in orders.items():
        example = example_of(hole, OWN, order, shown=show)
        assert (example.prompt.segments, example.answer) == (segments, " ")


def test_a_hole_between_characters_by_hand():
    hole = hole_at("he went home", 5, 8, "en")
    assert hole == Hole(Gap("he we", "", "home", "en"), "nt ", "home")
    blank = hole_at("he went home", 3, 7, "en")
    assert (blank.gap.before, blank.middle, blank.gap.after) == ("he ", " went ", " home")


def together(example: Example, family: FimFormat, order: str) -> str:
    """Before + answer + after, read from the prompt of a hole whose cut is not shown."""
    layout = [piece for piece in family.layout(order) if piece is not Slot.SHOWN]
    sides = dict(zip(layout, (s.text for s in example.prompt.segments), strict=True))
    before = sides[Slot.PREFIX]
    if family.leading_space and before:
        before = before.removeprefix(" ")
    return before + example.answer + sides[Slot.SUFFIX]


def assert_whole(hole: Hole, text: str) -> None:
    for family in FORMATS.values():
        for order in family.layouts:
            example = example_of(hole, family, order, shown=False)
            assert together(example, family, order) == text, family.name
    before, after = (example_of(hole, OWN, "psm", shown=False).prompt.segments[i] for i in (2, 4))
    assert before.text.rstrip(BLANKS) == before.text
    assert after.text.lstrip(BLANKS) == after.text


@st.composite
def texts(draw: st.DrawFn) -> tuple[list[str], str]:
    """Words of a language as its own instruction has them, and the language."""
    lang = draw(st.sampled_from(CODES))
    known = [token.text for token in tokens(LANGUAGES[lang].instruction, lang)]
    return draw(st.lists(st.sampled_from(known), min_size=1, max_size=12)), lang


def joined(words: list[str], lang: str, draw: st.DrawFn) -> str:
    gaps = st.sampled_from((" ", "  ", "\u00a0") if LANGUAGES[lang].spaces else ("", "", "\u3000"))
    return "".join(word + draw(gaps) for word in words[:-1]) + words[-1]


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """A sentence with words taken out, put in and put in the place of others."""
    words, lang = draw(texts())
    toxic = []
    for word in words:
        change = draw(st.sampled_from(("keep", "keep", "keep", "drop", "put", "replace")))
        toxic += {"keep": [word], "drop": [], "put": ["####", word], "replace": ["*x*"]}[change]
    return pair(joined(toxic or ["#"], lang, draw), joined(words, lang, draw), lang)


@given(pairs())
def test_filled_holes_make_the_civil_side_again(made):
    holes = all_holes(made)
    if not holes:
        return
    text = holes[0].gap.before.rstrip(BLANKS)
    for hole in holes:
        assert hole.gap.before.rstrip(BLANKS) == text
        assert hole.gap.cut in made.toxic
        text += hole.middle + hole.until_next
    assert text == made.neutral[0]
    assert_whole(holes[-1], made.neutral[0])


@given(pairs(), st.integers(0, 9))
def test_harmless_and_wider_holes_make_the_civil_side_again(made, seed):
    sides, rng = Sides(made), random.Random(seed)
    if extra := sides.harmless(rng):
        (hole,) = sides.holes([extra])
        words = [token.text for token in tokens(hole.middle, made.lang)]
        assert words == [token.text for token in tokens(hole.gap.cut, made.lang)]
        assert_whole(hole, made.neutral[0])
    for change in sides.changes:
        wider = sides.widened(change, rng)
        assert wider.old_end - wider.old_start <= change.old_end - change.old_start + 1
        (hole,) = sides.holes([wider])
        assert_whole(hole, made.neutral[0])


@given(texts(), st.data(), st.integers(0, 99))
def test_cut_text_comes_together_again_in_every_script(given_text, data, seed):
    words, lang = given_text
    text = joined(words, lang, data.draw)
    for cut in (cut_words, cut_characters):
        hole = cut(text, lang, random.Random(seed))
        if hole:
            assert hole.middle
            assert_whole(hole, text)
        else:
            assert cut is cut_words
            assert len(words) == 1


@given(st.text(max_size=40), st.integers(0, 99))
def test_any_text_comes_together_again(text, seed):
    for cut in (cut_words, cut_characters):
        if hole := cut(text, "en", random.Random(seed)):
            assert_whole(hole, text)


@given(st.text(max_size=60), st.sampled_from(["en", "ja"]))
def test_tokens_are_the_text_without_blanks(text, lang):
    row = tokens(text, lang)
    assert "".join(t.text for t in row) == "".join(c for c in text if c not in BLANKS)
    for token in row:
        assert text[token.start : token.end] == token.text


PAIRS = [pair("this idiot wrote a shitty text today", "this person wrote a bad text today")] * 40
EXACT = {"harmless": 0.0, "widened": 0.0, "plain": 0.0}


def rows(pairs_, seed=1, **settings):
    return fim_rows(pairs_, FimSettings(**{**EXACT, **settings}), OWN, seed)


def test_every_stretch_is_a_row():
    found = rows(PAIRS, cut_shown=1.0, spm=0.0)
    assert found.kinds == {"pair, cut shown": 80}
    assert {example.answer for example in found.examples} == {" person ", " bad "}
    assert all(example.prompt.segments[3] == special(1) for example in found.examples)


def test_the_same_seed_gives_the_same_rows():
    knobs = {"harmless": 0.3, "widened": 0.3, "plain": 0.5}
    assert rows(PAIRS, **knobs).examples == rows(PAIRS, **knobs).examples
    assert rows(PAIRS, **knobs).examples != rows(PAIRS, 2, **knobs).examples


def test_knobs():
    assert rows(PAIRS, cut_shown=0.0).kinds == {"pair, cut hidden": 80}
    assert sum(rows(PAIRS, rows_per_pair=1).kinds.values()) == 40
    assert rows(PAIRS, most_holes=1).kinds == {"pairs left out": 40}
    # Two of seven tokens differ on either side.
    assert rows(PAIRS, most_changed=0.28).kinds == {"pairs left out": 40}
    assert sum(rows(PAIRS, most_changed=0.29).kinds.values()) == 80
    spm = rows(PAIRS, spm=1.0).examples
    assert all(example.prompt.segments[-1] != special(4) for example in spm)
    half = [e.prompt.segments[-1] == special(4) for e in rows(PAIRS, spm=0.5).examples]
    assert 20 < sum(half) < 60
    plain = rows(PAIRS, plain=1.0, rate=0.0).kinds
    assert plain["left to right"] == 40
    assert rows(PAIRS, plain=1.0, rate=1.0, characters=1.0).kinds["plain, characters"] == 40


def test_harmless_words_are_shown_and_put_back_even_if_other_cuts_are_hidden():
    found = rows(PAIRS, harmless=1.0, cut_shown=0.0, spm=0.0)
    assert found.kinds == {"pair, cut hidden": 80, "harmless, cut shown": 40}
    shown = [e for e in found.examples if special(1) in e.prompt.segments]
    for example in shown:
        assert example.answer.strip() == example.prompt.segments[4].text
        assert example.answer.strip() not in ("person", "bad", "idiot", "shitty")


def test_sides_that_are_equal_give_a_harmless_hole():
    assert rows([pair("Nice weather today", "Nice weather today")]).kinds == {
        "harmless, cut shown": 1
    }
    assert rows([pair("!!!", "!!!")]).kinds == {}


def test_a_family_that_cannot_show_the_cut_hides_it():
    found = fim_rows(PAIRS, FimSettings(**EXACT, cut_shown=1.0), FORMATS["starcoder2"], 1)
    assert found.kinds == {"pair, cut hidden": 80}
    only_spm = fim_rows(PAIRS, FimSettings(**EXACT, spm=0.0), FORMATS["codestral"], 1)
    assert all(e.prompt.segments[0].text == "[SUFFIX]" for e in only_spm.examples)
