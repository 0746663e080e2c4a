"""What readers are trained on: parts kept apart, spans, made faults, steps, losses, calibration."""

import math
import random
import re
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from civilly.data.kept_apart import (
    case_calibrates,
    case_kept_apart,
    judgement_kept_apart,
    reading_kept_apart,
)
from civilly.data.readings import FAULTS, Case, Reading
from civilly.detect.context import Window
from civilly.errors import DataError, UnknownNameError
from civilly.languages import CODES
from civilly.score.human import Judgement
from civilly.train.detector_data import Example
from civilly.train.reader.calibration import (
    IDENTITY,
    Labelled,
    Seen,
    calibration,
    exceeded_by,
    shared_fit,
    threat_excess,
)
from civilly.train.reader.detector import Item as DetectorItem
from civilly.train.reader.detector import plan
from civilly.train.reader.fit import LEAST_RATE, rate, steps_of_like_lengths
from civilly.train.reader.judge import Item, better, loss_of
from civilly.train.reader.made_faults import FaultMaker, _mask
from civilly.train.reader.measure import judge_measures
from civilly.train.reader.recipe import CalibrationSettings, DetectorSettings, SetLimits
from civilly.train.reader.rewrites import Output, from_judgements, from_readings, made_from_pairs
from civilly.train.reader.sentences import Sentence, from_cases, from_pairs, from_sets, replaced
from civilly.types import Text


def case(lang: str, pair: int) -> Case:
    return Case(lang, pair, "toy", "civil", "well", ())


# By ``printf KEY | sha1sum``, modulo 100: en12 50, zh3 73, tt200 30, de5 62 of the key "det:…".
@pytest.mark.parametrize(("lang", "pair"), [("en", 12), ("zh", 3), ("tt", 200), ("de", 5)])
def test_cases_above_15_percent_are_trained_on(lang, pair):
    assert not case_kept_apart(case(lang, pair))
    assert from_cases([case(lang, pair)])


APART_EN = [14, 37, 40, 44, 45]
CALIBRATING_EN = [14, 37, 44]
"""Groups of English cases below 60, by sha1sum."""


def test_what_is_kept_apart_never_changes():
    """Weights were shipped that rely on it: counts and hashes of the script that trained them."""
    assert reading_kept_apart("Ты тупой")  # 10
    assert not reading_kept_apart("You are an idiot.")  # 53
    assert judgement_kept_apart("toxic_en_7")  # 20
    assert not judgement_kept_apart("42")  # 79
    apart = [n for n in range(60) if case_kept_apart(case("en", n))]
    assert apart == APART_EN
    assert [n for n in apart if case_calibrates(case("en", n))] == CALIBRATING_EN


def test_no_example_is_of_a_part_kept_apart():
    texts = [f"text {n}" for n in range(200)]
    readings = [Reading(t, "en", t, "", "better", (), "good", 2, "", "") for t in texts]
    groups = from_readings(readings)
    assert {group.text for group in groups} == {t for t in texts if not reading_kept_apart(t)}
    scores = {"STA": 1.0, "SIM": 0.0, "FL": 0.5, "J": 0.0}
    judgements = [
        Judgement("same", "en", str(n), "out", (), scores, {"id": str(n)}) for n in range(200)
    ]
    kept = sum(not judgement_kept_apart(str(n)) for n in range(200))
    assert len(from_judgements(judgements)) == kept
    assert from_judgements(judgements)[0].outputs[0].human == (0.97, 0.03, 0.5)


def test_labels_of_readings_are_smoothed_and_sum_to_one():
    row = Reading("1", "en", "You are an idiot.", "", "You err.", (), "gap", 1, "", "")
    (group,) = from_readings([row])
    (output,) = group.outputs
    assert sum(output.faults) == pytest.approx(1.0)
    assert output.faults[FAULTS.index("gap")] == pytest.approx(0.95 + 0.05 / 7)
    assert output.use == 1.0


def test_made_faults_leave_texts_kept_apart_out(tmp_path):
    (tmp_path / "ru.jsonl").write_text(
        '{"toxic": "Ты тупой", "neutral": "Ты неправ"}\n{"toxic": "да", "neutral": "да"}\n'
        '{"toxic": "Ты глупый осёл", "neutral": "Ты неправ"}\n',
        "utf-8",
    )
    groups = made_from_pairs([tmp_path], 150, random.Random(0))
    assert [group.text for group in groups] == ["Ты глупый осёл"]


@pytest.mark.parametrize(
    ("lang", "text", "civil", "stretches"),
    [
        ("en", "you stupid man, leave", "you man, please leave", ["stupid"]),
        ("en", "What a fucking awful idea!", "What a bad idea!", ["fucking awful"]),
        ("zh", "你这个白痴很好", "你这个人很好", ["白痴"]),
        ("de", "Du Idiot", "Mein Herr", None),
        ("en", "fine as it is", "fine as it is", []),
    ],
)
def test_spans_are_what_a_civil_version_replaces(lang, text, civil, stretches):
    spans = replaced(text, civil, lang)
    assert (spans is None) == (stretches is None)
    assert [text[a:b] for a, b in spans or ()] == (stretches or [])


class Sets:
    """The published sets of a toy world."""

    def examples(self, lang: str) -> list[Example]:
        if lang != "en":
            return []
        return [
            Example("you fool go", True, 3.0, "you go", core=True),
            Example("a listed b", True, 0.5, "a b"),
            *(Example(f"calm {n}", False) for n in range(9)),
            Example("a rude look", False, 2.0, core=True),
            Example("fool", True, 0.3),
            Example("they are all fools", True, 0.1),
        ]


def test_published_sets_are_read_by_kind():
    limits = SetLimits(core=9, twins=9, benign=9, clean=4, terms=9, toxic=9)
    found = {s.text: s for s in from_sets(Sets(), limits, random.Random(0))}
    assert sum(text.startswith("calm") for text in found) == 4
    assert found["you fool go"].spans == ((4, 8),)
    assert found["you go"].toxic == 0.0
    assert found["fool"].spans == ((0, 4),)
    assert found["they are all fools"].spans is None
    assert found["they are all fools"].weight == 0.25
    assert math.isnan(found["a rude look"].self_harm)
    assert not any(sentence.unseen for sentence in found.values())


WORDS = st.lists(st.sampled_from(["ah", "be", "cut", "dim", "far", "got"]), min_size=1, max_size=9)


@given(old=WORDS, new=WORDS, lang=st.sampled_from(["en", "zh"]), seed=st.integers(0, 99))
def test_made_faults_are_labelled_and_differ(old, new, lang, seed):
    glue = " " if lang == "en" else ""
    toxic, civil = glue.join(old), glue.join(new)
    assume(toxic != civil)
    maker = FaultMaker(lang, ["jug kin", "log mad"], ["nun oak"], random.Random(seed))
    made = maker.rewrites(toxic, civil)
    rewrites = [each.rewrite for each in made]
    assert len(set(rewrites)) == len(rewrites)
    assert "" not in rewrites
    for each in made:
        assert sum(each.faults) == pytest.approx(1.0)
        assert (each.faults[FAULTS.index("kept")] == 1.0) == (each.rewrite == toxic)
        assert (each.use == 2.0) == (each.rewrite == civil)


@pytest.mark.parametrize(
    ("unit", "masked"),
    [(" idiot", " i***t"), ("ass", "a*s"), ("no ", "* "), ("x", "*"), (" ", " "), ("", "")],
)
def test_a_masked_word_keeps_its_ends(unit, masked):
    assert _mask(unit, "*") == masked


@pytest.mark.parametrize("row", ['{"toxic": "a"}', '{"toxic": "a", "neutral": null}'])
def test_a_pair_without_a_side_is_named(tmp_path, row):
    (tmp_path / "en.jsonl").write_text('{"toxic": "b", "neutral": "b"}\n' + row + "\n")
    with pytest.raises(DataError, match=r"en\.jsonl, row 2: 'neutral' is missing"):
        from_pairs([tmp_path], 1.0, random.Random(0))
    (tmp_path / "en.jsonl").rename(tmp_path / "xx.jsonl")
    with pytest.raises(UnknownNameError, match="xx"):
        from_pairs([tmp_path], 1.0, random.Random(0))


def test_differences_of_pairs_may_teach_no_words(tmp_path):
    row = '{"toxic": "you fool go", "neutral": "you go", "kind": "noun"}\n'
    (tmp_path / "en.jsonl").write_text(row, "utf-8")
    with_spans, civil = from_pairs([tmp_path], 1.0, random.Random(0))
    without, same = from_pairs([tmp_path], 1.0, random.Random(0), spans=False)
    assert (with_spans.spans, without.spans) == (((4, 8),), None)
    assert (civil, without.toxic) == (same, 1.0)


def test_newer_cases_come_more_often():
    plain = DetectorSettings(repeats=2)
    assert [plain.times(number) for number in (None, 1, 2000)] == [1, 2, 2]
    weighted = DetectorSettings(repeats=1, newer=2000, newer_repeats=3)
    assert [weighted.times(number) for number in (None, 1, 1999, 2000)] == [1, 1, 1, 3]
    sentences = [Sentence("en", "ah", 0.0, case=number) for number in (None, 7, 2007)]
    items = [
        DetectorItem(each, Window(0, [1], [(0, 2)], [0.0], 0.0), np.zeros(3, np.float32))
        for each in sentences
    ]
    steps = plan(items, weighted, random.Random(0))
    assert sorted(number for step in steps for number in step) == [0, 1, 2, 2, 2]


def test_each_kind_of_fault_is_made():
    toxic, civil = "you idiot shut the damn door right now", "you sir shut the door right now"
    foreign, found = ["Guten Tag"], set()
    for seed in range(80):
        maker = FaultMaker("en", ["apples oranges"], foreign, random.Random(seed))
        made = maker.rewrites(toxic, civil)
        found |= {FAULTS[int(np.argmax(each.faults))] for each in made}
        by_fault = {FAULTS[int(np.argmax(each.faults))]: each.rewrite for each in made}
        if "insult" in by_fault:
            assert {"idiot", "i***t", "damn", "d**n"} & set(
                re.sub(r"[#._-]", "*", by_fault["insult"]).split()
            )
        if "meaning" in by_fault:
            assert {"apples", "oranges"} & set(by_fault["meaning"].split())
        if "other" in by_fault:
            assert by_fault["other"] == "Guten Tag"
    assert found == set(FAULTS)


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    most=st.integers(1, 120),
    window=st.integers(1, 40),
)
def test_steps_hold_every_example_once_and_are_small(lengths, most, window):
    order = list(range(len(lengths)))
    steps = steps_of_like_lengths(
        order, lengths.__getitem__, lengths.__getitem__, most, window, random.Random(0)
    )
    assert sorted(n for step in steps for n in step) == order
    for step in steps:
        assert sum(lengths[n] for n in step[:-1]) < most
        assert [lengths[n] for n in step] == sorted(lengths[n] for n in step)


def test_the_rate_rises_and_falls():
    rates = [rate(step, 100, 10) for step in range(100)]
    assert rates[0] == 0.0
    assert rates[5] == pytest.approx(0.5 * 0.5 * (1 + math.cos(math.pi * 0.05)))
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] == LEAST_RATE


def item(use=None, faults=None, human=None, weight=1.0) -> Item:
    return Item([0, 2], 1, Output("x", faults, use, human, weight))


def test_only_clear_differences_in_use_rank():
    group = [item(2.0), item(1.5), item(0.0), item(None)]
    assert better(group) == [(0, 2), (1, 2)]


class Said(torch.nn.Module):
    """A network that says what it is told to."""

    def __init__(self, logits) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def vectors(self, batch):
        return self.logits

    def head(self, vectors, real, cuts):
        return vectors


def test_the_judges_loss_is_what_its_parts_say():
    """By hand: entropy of the faults, squared error of use, entropy of judgements, order."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((3, 11)).astype(np.float32)
    good = (1.0, 0, 0, 0, 0, 0, 0)
    gap = (0, 1.0, 0, 0, 0, 0, 0)
    group = [item(2.0, good), item(0.0, gap, weight=0.5), item(human=(0.9, 0.2, 0.6))]
    loss = loss_of(Said(logits), [group], ranking=0.5)([0]).item()

    def softplus(x):
        return math.log1p(math.exp(x))

    log_p = logits[:, :7] - np.log(np.exp(logits[:, :7]).sum(1, keepdims=True))
    faults = (-log_p[0, 0] - 0.5 * log_p[1, 1]) / 1.5
    use = [2 / (1 + math.exp(-logits[row, 7])) for row in (0, 1)]
    off = ((use[0] - 2) ** 2 + use[1] ** 2) / 2
    people = np.mean(
        [softplus(z) - y * z for z, y in zip(logits[2, 8:], (0.9, 0.2, 0.6), strict=True)]
    )
    odds = [logits[row, 0] - math.log(np.exp(logits[row, 1:7]).sum()) for row in (0, 1)]
    order = softplus(logits[1, 7] - logits[0, 7]) + softplus(odds[1] - odds[0])
    assert loss == pytest.approx(faults + 0.5 * off + 0.5 * people + 0.5 * order, rel=1e-5)


def test_a_shared_fit_finds_each_language_and_what_is_common():
    rng = np.random.default_rng(0)
    evidence = rng.standard_normal((6000, 2)) * 2
    langs = rng.integers(0, 2, 6000)
    shift = np.where(langs == 0, -1.0, 1.0)
    p = 1 / (1 + np.exp(-(1.5 * evidence[:, 0] + 0.5 * evidence[:, 1] + shift)))
    labels = rng.random(6000) < p
    table = shared_fit(evidence, langs, labels, np.ones(6000), own=1.0)
    np.testing.assert_allclose(table[:2], [[1.5, 0.5, -1.0], [1.5, 0.5, 1.0]], atol=0.2)
    np.testing.assert_allclose(table[14], [1.5, 0.5, 0.0], atol=0.2)  # it has no rows
    same = shared_fit(evidence, langs, labels, np.ones(6000), own=0.0)
    assert (same == same[0]).all()


def _calibrating(rng, lang, clean_shift) -> tuple[list[Labelled], list[Seen]]:
    texts, seen = [], []
    for n in range(300):
        toxic, clean = n % 3 == 0, n % 3 == 1
        own = float(rng.normal(2.0 if toxic else clean_shift if clean else -2.0))
        spans = ((0, 2),) if toxic else None if clean else ()
        texts.append(Labelled(Text("ab cd", lang), toxic, clean, spans))
        words = [(0, 2, own), (3, 5, -3.0 + own / 4)]
        seen.append(Seen(own, 0.0, words))
    return texts, seen


def test_everyday_text_passes_after_calibration():
    rng = np.random.default_rng(0)
    texts, seen = _calibrating(rng, "en", -2.0)
    noisy, noisy_seen = _calibrating(rng, "de", 1.0)  # everyday German looks toxic
    settings = CalibrationSettings(clean_rate=0.05)
    table = calibration([*texts, *noisy], [*seen, *noisy_seen], settings)
    for lang, mean in (("en", -2.0), ("de", 1.0)):
        slope, _, offset = table[CODES.index(lang), :3]
        flagged = 1 - NormalDist(mean).cdf(-offset / slope)
        assert flagged < 0.08, lang
    assert flagged > 0.02, "no more than it takes"
    assert table[CODES.index("de"), 2] < table[CODES.index("en"), 2]
    assert (table[:, 1] >= 0).all()
    insults = table[0, 3] * 2.0 + table[0, 4]
    others = table[0, 3] * -3.0 + table[0, 4]
    assert insults > 0 > others


def test_what_people_post_says_what_the_n_gram_model_is_worth():
    """Of cases written to provoke it, it is wrong about half; of what people post, right."""
    rng = np.random.default_rng(0)
    texts, seen = [], []
    for n in range(800):
        toxic, posted = n % 2 == 0, n % 4 < 2
        right = 3.0 if toxic else -3.0
        own = float(rng.normal(1.0 if toxic else -1.0))
        known = right if posted else float(rng.choice([-3.0, 3.0]))
        texts.append(Labelled(Text("ab", "en"), toxic, spans=((0, 2),) * toxic, posted=posted))
        seen.append(Seen(own, known, [(0, 2, own)]))
    as_posted = calibration(texts, seen, CalibrationSettings())
    provoking = [replace(text, posted=False) for text in texts]
    as_provoking = calibration(provoking, seen, CalibrationSettings())
    assert as_posted[0, 1] > 1.2 * as_provoking[0, 1] > 0


def test_a_share_exceeds_what_the_tail_promises():
    """Of an exponential population of mean 2, 2 % exceed 2 ln 50 = 7.82."""
    estimates, quantiles = [], []
    for seed in range(200):
        sample = np.random.default_rng(seed).exponential(2.0, 400)
        estimates.append(exceeded_by(sample, 0.02, 0.15))
        quantiles.append(float(np.quantile(sample, 0.98)))
    assert np.mean(estimates) == pytest.approx(2 * math.log(50), abs=0.1)
    assert np.std(estimates) < 0.9 * np.std(quantiles)


@given(
    values=st.lists(st.floats(-9, 9), min_size=1, max_size=50),
    rate=st.floats(0, 1),
    tail=st.floats(0, 1),
)
def test_the_tail_begins_within_the_sample(values, rate, tail):
    sample = np.array(values)
    limit = exceeded_by(sample, rate, tail)
    assert limit >= np.quantile(sample, 1 - max(rate, tail)) - 1e-9
    if rate == 0 or rate >= tail:
        assert limit == np.quantile(sample, 1 - rate)


def test_hardly_any_everyday_text_is_flagged_as_a_threat():
    settings = CalibrationSettings(threat_rate=0.1)
    texts = [Labelled(Text("ab", CODES[n % 15]), False, clean=True) for n in range(101)]
    seen = [Seen(0.0, 0.0, [], threat=n - 80.0) for n in range(101)]
    assert threat_excess(texts, seen, settings) == pytest.approx(10.0)  # the 90th of 0 … 100
    others = [Labelled(each.text, True) for each in texts]
    assert threat_excess(others, seen, settings) == 0.0
    calm = [Seen(0.0, 0.0, [], threat=-9.0) for _ in texts]
    assert threat_excess(texts, calm, settings) == 0.0
    unread = [Seen(0.0, 0.0, []) for _ in texts]
    assert threat_excess(texts, unread, settings) == 0.0


def test_nothing_to_calibrate_on_leaves_the_logits():
    read = Labelled(Text("ab", "en"), False), Seen(-np.inf, 0.0, [])
    np.testing.assert_array_equal(
        calibration([read[0]], [read[1]], CalibrationSettings()), IDENTITY
    )


class Judging:
    """Finds short rewrites good."""

    def opinions(self, texts, rewrites):
        from civilly.score.reader import Opinion

        human = {"STA": 1.0, "SIM": 1.0, "FL": 1.0}
        shares = [1 / (1 + len(rewrite)) for rewrite in rewrites]
        return [
            Opinion({f: p if f == "good" else (1 - p) / 6 for f in FAULTS}, p, human)
            for p in shares
        ]


def test_the_measures_compare_good_with_others_of_the_same_text():
    """Of 'Ты тупой', kept apart: good 'a' before 'bb', 'ccc' behind it; ties are half."""
    rows = [("a", "good"), ("ccc", "good"), ("bb", "gap"), ("aa", "kept")]
    readings = [Reading("", "ru", "Ты тупой", "", r, (), f, 0, "", "") for r, f in rows]
    other = Reading("", "en", "You are an idiot.", "", "", (), "good", 0, "", "")  # trained on
    measures = judge_measures(Judging(), [*readings, other], [])
    assert measures == {"readings": 4.0, "good_first": 0.5}
