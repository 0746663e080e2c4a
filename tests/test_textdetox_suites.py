"""The official suites end to end, against plain computations of their formulas."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import cache

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

import tiny_scorers  # noqa: E402
from civilly import registry  # noqa: E402
from civilly.errors import (  # noqa: E402
    CivillyError,
    EngineError,
    MissingExtraError,
    ModelError,
    UnknownNameError,
)
from civilly.pipeline import Toolbox  # noqa: E402
from civilly.score.references import best_of_references  # noqa: E402
from civilly.score.textdetox2025 import similarity, style_transfer  # noqa: E402
from civilly.types import Suite, Text  # noqa: E402

YOU, FOOLS, RUSSIAN, CHINESE, ARABIC, FOX = (
    tiny_scorers.SENTENCES[place] for place in (0, 1, 2, 3, 4, 5)
)
ROWS = (  # input, output, reference
    (FOOLS, YOU, "You people never read before you comment."),
    (RUSSIAN, "Этот человек не понял", "Этот человек опять не понял, почитай"),
    (CHINESE, "原意。", "把句子改写"),
    (ARABIC, "", ARABIC),
    (FOX, FOX, YOU),
    ("You", " ".join([FOX] * 60), "people \ud800"),
    ("😀 \x00", "the fox", "😀"),
    (YOU, FOOLS, FOX),
)
INPUTS = [Text(row[0], "en") for row in ROWS]
OUTPUTS = [row[1] for row in ROWS]
REFERENCES = [[row[2]] for row in ROWS]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    return tiny_scorers.make_all(tmp_path_factory.mktemp("scorers"))


def create(models, year, **options):
    names = ("sta", "sim") if year == 2024 else ("sta", "sim", "fl", "fl_encoder")
    known = {name: models[name] for name in names}
    return registry.create("score", f"textdetox{year}", Toolbox(None, {**known, **options}))


@pytest.fixture(scope="session")
def suites(models):
    return {year: create(models, year) for year in (2024, 2025)}


@cache
def neutral_of(folder: str, text: str) -> float:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
    with torch.no_grad():
        neutral, toxic = model(**encoded).logits[0].tolist()
    return math.exp(neutral) / (math.exp(neutral) + math.exp(toxic))


@cache
def vector_of(folder: str, text: str) -> torch.Tensor:
    """LaBSE's modules by hand: first token of BERT, dense, tanh, norm."""
    bert = transformers.AutoModel.from_pretrained(folder).eval()
    dense = load_file(f"{folder}/2_Dense/model.safetensors")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        first = bert(**encoded).last_hidden_state[0, 0]
    vector = torch.tanh(dense["linear.weight"] @ first + dense["linear.bias"])
    return vector / vector.norm()


def cosine_of(folder: str, one: str, other: str) -> float:
    return float(vector_of(folder, one) @ vector_of(folder, other))


def replaced(text: str) -> str:
    return text.replace("\ud800", "\ufffd")


def test_they_are_suites(suites):
    for suite in suites.values():
        assert isinstance(suite, Suite)


def test_2024_equals_a_plain_computation(models, suites):
    from sacrebleu import CHRF

    found = suites[2024].components(INPUTS, OUTPUTS, REFERENCES)
    for row, (source, output, reference) in enumerate(ROWS):
        assert found["STA"][row] == pytest.approx(neutral_of(models["sta"], output), abs=1e-5)
        expected = cosine_of(models["sim"], source, output)
        assert found["SIM"][row] == pytest.approx(expected, abs=1e-5)
        chrf = CHRF().sentence_score(output, [reference]).score / 100
        assert found["FL"][row] == pytest.approx(chrf)
    products = [a * b * c for a, b, c in zip(*found.values(), strict=True)]
    assert suites[2024].score(INPUTS, OUTPUTS, REFERENCES) == pytest.approx(products)


def test_2025_equals_a_plain_computation(models, suites):
    found = suites[2025].components(INPUTS, OUTPUTS, REFERENCES)
    full_marks = set()
    for row, texts in enumerate(ROWS):
        source, output, reference = map(replaced, texts)
        p_i, p_o, p_r = (neutral_of(models["sta"], text) for text in (source, output, reference))
        sta = max(float(p_r <= p_o), (p_o + float(p_i <= p_o)) / 2)
        full_marks.add(sta == 1)
        assert found["STA"][row] == pytest.approx(sta, abs=1e-5)
        to_input = cosine_of(models["sim"], source, output)
        to_reference = cosine_of(models["sim"], reference, output)
        assert found["SIM"][row] == pytest.approx(0.4 * to_input + 0.6 * to_reference, abs=1e-5)
        assert 0 < found["FL"][row] <= 1  # golden values: test_textdetox_xcomet.py
    assert full_marks == {True, False}
    products = [a * b * c for a, b, c in zip(*found.values(), strict=True)]
    assert suites[2025].score(INPUTS, OUTPUTS, REFERENCES) == pytest.approx(products)


def test_the_fluency_of_2025_takes_input_as_source(models, suites):
    from civilly.score.models import ModelSource, Runtime
    from civilly.score.xcomet import XComet

    metric = XComet(ModelSource(models["fl"]), ModelSource(models["fl_encoder"]), Runtime("cpu"))
    judged = metric.judge([FOOLS], [YOU], [FOX])[0].score
    swapped = metric.judge([FOX], [YOU], [FOOLS])[0].score
    found = suites[2025].components([Text(FOOLS, "en")], [YOU], [[FOX]])["FL"][0]
    assert found == pytest.approx(judged, abs=1e-5)
    assert abs(judged - swapped) > 1e-4


def test_an_unchanged_reference_has_full_sta_and_sim(suites):
    texts = [row[0] for row in ROWS]
    found = suites[2025].components(INPUTS, texts, [[text] for text in texts])
    assert found["STA"] == [1.0] * len(texts)
    assert found["SIM"] == pytest.approx([1.0] * len(texts), abs=1e-5)


@pytest.mark.parametrize("year", [2024, 2025])
def test_batch_and_order_change_nothing(models, suites, year):
    found = suites[year].components(INPUTS, OUTPUTS, REFERENCES)
    small = create(models, year, batch="3", device="cpu", dtype="fp32")
    again = small.components(INPUTS[::-1], OUTPUTS[::-1], REFERENCES[::-1])
    for name, values in found.items():
        assert again[name][::-1] == pytest.approx(values, abs=1e-5)
    assert suites[year].components([], [], []) == {"STA": [], "SIM": [], "FL": []}


@pytest.mark.parametrize("year", [2024, 2025])
def test_of_several_references_the_best_counts(suites, year):
    several = [[row[2], row[0], YOU] for row in ROWS]
    each = [
        suites[year].score(INPUTS, OUTPUTS, [[row[place]] for row in several]) for place in range(3)
    ]
    best = [max(scores) for scores in zip(*each, strict=True)]
    assert suites[year].score(INPUTS, OUTPUTS, several) == pytest.approx(best, abs=1e-5)
    assert len({scores.index(max(scores)) for scores in zip(*each, strict=True)}) > 1


def test_components_are_not_mixed_from_several_references():
    def score(inputs, outputs, references):
        numbers = [reference.split() for reference in references]
        return {"STA": [float(a) for a, _ in numbers], "FL": [float(b) for _, b in numbers]}

    texts = [Text("a", "en")] * 2
    references = [["1 0.1", "0 1", "0.5 0.5"], ["0.2 0.2"]]
    found = best_of_references(score, texts, ["b", "c"], references)
    assert found == {"STA": [0.5, 0.2], "FL": [0.5, 0.2]}


# STA by literal numbers: input, output, reference -> score.
@pytest.mark.parametrize(
    ("p_input", "p_output", "p_reference", "sta"),
    [
        (0.1, 0.9, 0.8, 1.0),  # cleaner than the reference
        (0.1, 0.8, 0.9, 0.9),  # dirtier than the reference, cleaner than the input
        (0.5, 0.2, 0.9, 0.1),  # dirtier than the input
        (0.5, 0.2, 0.1, 1.0),  # dirtier than the input, and the reference is dirtier still
        (0.9, 0.7, 0.7, 1.0),  # tie with the reference
        (0.3, 0.3, 0.6, 0.65),  # tie with the input
        (0.0, 0.0, 1.0, 0.5),
        (1.0, 0.0, 1.0, 0.0),
    ],
)
def test_style_transfer(p_input, p_output, p_reference, sta):
    assert style_transfer(p_input, p_output, p_reference) == pytest.approx(sta)


@given(*[st.floats(0, 1)] * 4)
def test_style_transfer_rises_with_the_output(p_input, p_reference, low, high):
    low, high = sorted((low, high))
    lower, higher = (style_transfer(p_input, p, p_reference) for p in (low, high))
    assert 0 <= lower <= higher <= 1


def test_similarity_weighs_the_reference_more():
    assert similarity(1.0, 0.0) == pytest.approx(0.4)
    assert similarity(0.0, 1.0) == pytest.approx(0.6)
    assert similarity(-0.5, 0.5) == pytest.approx(0.1)


@pytest.mark.parametrize("year", [2024, 2025])
def test_references_are_needed(suites, year):
    with pytest.raises(CivillyError, match="references"):
        suites[year].score(INPUTS, OUTPUTS)
    with pytest.raises(CivillyError, match="row 1 "):
        suites[year].score(INPUTS[:2], OUTPUTS[:2], [["a"], []])
    with pytest.raises(CivillyError, match="as many"):
        suites[year].score(INPUTS, OUTPUTS[:2], REFERENCES)


def test_signatures_name_models_and_weights(models, suites):
    signature = suites[2025].signature
    assert signature.startswith("textdetox2025|sta:classifier@sha256:")
    for part in ("|sim:labse@sha256:", "|fl:xcomet@sha256:", "|dtype:fp32|civilly:"):
        assert part in signature
    assert str(models["sta"]) not in signature, "no path of this machine"
    old = suites[2024].signature
    assert old.startswith("textdetox2024|sta:classifier@sha256:")
    assert "|fl:chrF," in old
    assert "tokenizer" not in old
    other = create(models, 2024, sta_tokenizer=models["fl_encoder"]).signature
    assert ",tokenizer:mdeberta@sha256:" in other


def test_the_digest_follows_the_weights(models, suites, tmp_path):
    tiny_scorers.classifier(tmp_path / "classifier", seed=99)
    other = create(models, 2025, sta=str(tmp_path / "classifier"))
    assert other.signature != suites[2025].signature
    assert other.signature.split("|")[2:] == suites[2025].signature.split("|")[2:]


def test_hub_models_and_revisions_are_signed(models, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    suite = registry.create(
        "score", "textdetox2025", Toolbox(None, {"sta": "civilly-test/none@v1"})
    )
    assert suite.signature.startswith("textdetox2025|sta:civilly-test/none@v1,tokenizer:")
    assert "|fl:myyycroft/XCOMET-lite@" in suite.signature


def test_a_hub_id_that_cannot_be_had_is_an_error(tmp_path):
    program = """
from civilly import registry
from civilly.errors import ModelError
from civilly.pipeline import Toolbox
from civilly.types import Text
suite = registry.create("score", "textdetox2024", Toolbox(None, {"sta": "civilly-test/none"}))
try:
    suite.score([Text("a", "en")], ["b"], [["c"]])
except ModelError as error:
    print(error)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert "The model of STA 'civilly-test/none' is not on this machine" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch": "0"}, CivillyError, "1 or more"),
        ({"batch": "many"}, CivillyError, "1 or more"),
        ({"dtype": "int8"}, CivillyError, "fp32"),
        ({"sat": "x"}, UnknownNameError, "did you mean 'sta'"),
        ({"fl": ""}, CivillyError, "names no model"),
    ],
)
def test_wrong_options_are_refused_at_once(models, options, error, message):
    with pytest.raises(error, match=message):
        create(models, 2025, **options)


def test_wrong_models_are_refused(models, tmp_path):
    def score(year=2024, **options):
        create(models, year, **options).score([Text("a", "en")], ["b"], [["c"]])

    with pytest.raises(ModelError, match=r"lacks classifier\."):
        score(sta=models["sim"], sta_tokenizer=models["sim"])
    with pytest.raises(ModelError, match=r"no modules\.json"):
        score(sim=models["sta"])
    with pytest.raises(ModelError, match="cannot be opened"):
        score(sta=str(tmp_path))
    with pytest.raises(EngineError, match="toaster"):
        score(device="toaster")
    with pytest.raises(ModelError, match="not those of XCOMET-lite"):
        score(2025, fl=models["sta"])


def test_three_labels_are_refused(models, tmp_path):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        models["sta"], num_labels=3, ignore_mismatched_sizes=True
    )
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="3 labels"):
        create(models, 2024, sta=str(tmp_path), sta_tokenizer=models["sta"]).score(
            [Text("a", "en")], ["b"], [["c"]]
        )


@pytest.mark.parametrize("module", ["torch", "sentence_transformers"])
def test_a_missing_extra_is_named(models, monkeypatch, module):
    suite = create(models, 2024)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"civilly\[official\]"):
        suite.score([Text("a", "en")], ["b"], [["c"]])
