"""XCOMET-lite: against the official packages, a plain computation, and literal numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentencepiece")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

import tiny_scorers  # noqa: E402
from civilly.errors import ModelError  # noqa: E402
from civilly.score.models import ModelSource, Runtime  # noqa: E402
from civilly.score.mqm import combined, error_spans, mqm  # noqa: E402
from civilly.score.xcomet import XComet  # noqa: E402

GOLDEN = json.loads((Path(__file__).parent / "golden" / "xcomet.json").read_text("utf-8"))
CPU = Runtime("cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("xcomet")
    encoder = tiny_scorers.deberta(root / "mdeberta")
    return {"encoder": encoder, "fl": tiny_scorers.xcomet(root / "xcomet", encoder)}


def opened(folders, runtime=CPU):
    return XComet(ModelSource(str(folders["fl"])), ModelSource(str(folders["encoder"])), runtime)


@pytest.fixture(scope="module")
def metric(folders):
    return opened(folders)


def columns(cases=GOLDEN):
    return ([case[name] for case in cases] for name in ("src", "mt", "ref"))


@pytest.mark.parametrize("form", ["with_reference", "without_reference"])
def test_equals_unbabel_comet(metric, form):
    """The golden values are those of unbabel-comet 2.2.7 on transformers 4.35.2."""
    sources, outputs, references = columns()
    judged = metric.judge(sources, outputs, references if form == "with_reference" else None)
    for ours, case in zip(judged, GOLDEN, strict=True):
        official = case[form]
        assert ours.score == pytest.approx(official["score"], abs=2e-5)
        theirs = official["sentence_scores"]  # without a reference they report it clipped
        given = (
            [min(1.0, s) for s in ours.sentence_scores]
            if len(theirs) == 1
            else ours.sentence_scores
        )
        assert given == pytest.approx(theirs, abs=1e-5)
        assert ours.mqm == pytest.approx(official["mqm"], abs=1e-6)
        assert [[s.start, s.end, s.severity] for s in ours.spans] == official["spans"]


def test_the_golden_values_reach_every_branch():
    official = [case["with_reference"] for case in GOLDEN]
    severities = {span[2] for each in official for span in each["spans"]}
    assert severities == {"minor", "major", "critical"}
    assert any(each["mqm"] == 0 for each in official), "the cap of 25"
    assert any(max(each["sentence_scores"]) > 1 for each in official), "a clipped score"
    assert any(len(case["ids"]) == 508 for case in GOLDEN), "a text that is cut off"
    assert any(case["mt"] == "" for case in GOLDEN)


def test_tokens_are_those_of_transformers_4(folders):
    """Full-width letters and ligatures are normalised; the class of transformers 5 keeps them."""
    from civilly.score.deberta_tokenizer import open_tokenizer

    tokenizer = open_tokenizer(ModelSource(str(folders["encoder"])))
    tokenizer.enable_truncation(508)
    for case in GOLDEN:
        assert tokenizer.encode(case["mt"]).ids == case["ids"]
    assert tokenizer.encode("ＡＢＣ ﬁ").ids == tokenizer.encode("ABC fi").ids


def plain_xcomet(folders, source: str, output: str, reference: str | None) -> float:
    """One sentence at a time, from the checkpoint's numbers and the formulas."""
    from transformers import AutoConfig, AutoModel

    from civilly.score.deberta_tokenizer import open_tokenizer

    state = load_file(folders["fl"] / "model.safetensors")
    encoder = AutoModel.from_config(AutoConfig.from_pretrained(folders["encoder"])).eval()
    start = "encoder.model."
    encoder.load_state_dict({k[len(start) :]: v for k, v in state.items() if k.startswith(start)})
    tokenizer = open_tokenizer(ModelSource(str(folders["encoder"])))
    cls, sep = 1, 2
    bare = {t: tokenizer.encode(t, add_special_tokens=False).ids
            for t in (source, output, reference or "")}  # fmt: skip
    forms = [[output, source]]
    if reference is not None:
        forms += [[output, reference], [output, source, reference]]
    regression, tags = [], []
    for form in forms:
        ids = [cls]
        for text in form:
            ids = ids + bare[text] + [sep]
        with torch.no_grad():
            states = encoder(torch.tensor([ids]), output_hidden_states=True).hidden_states
        raw = [float(state[f"layerwise_attention.scalar_parameters.{i}"]) for i in range(10)]
        exps = [2.718281828459045**x for x in raw]
        mixed = torch.zeros(16)
        for each, hidden in zip(exps, states, strict=True):
            mixed = mixed + each / sum(exps) * hidden[0][0]
        mixed = mixed * float(state["layerwise_attention.gamma"])
        for number in ("0", "3"):
            weight, bias = (state[f"estimator.ff.{number}.{kind}"] for kind in ("weight", "bias"))
            mixed = torch.tanh(weight @ mixed + bias)
        regression.append(
            float(state["estimator.ff.6.weight"] @ mixed + state["estimator.ff.6.bias"])
        )
        logits = states[8][0] @ state["hidden2tag.weight"].T + state["hidden2tag.bias"]
        tags.append(torch.exp(logits) / torch.exp(logits).sum(dim=1, keepdim=True))
    length = len(bare[output]) + 2
    if reference is None:
        probabilities = tags[0][:length]
        sentence = 0.78 * min(1.0, regression[0])
    else:
        shares = (0.1667, 0.3333, 0.5)
        probabilities = sum(w * t[:length] for w, t in zip(shares, tags, strict=True))
        a, b, c = (min(1.0, x) for x in regression)
        sentence = 0.12 * a + 0.33 * b + 0.33 * c
    charge, running = 0, 0
    for tag in probabilities.argmax(dim=1).tolist():
        if tag and not running:
            running = tag
        elif not tag and running:
            charge += {1: 1, 2: 5, 3: 10}[running]
            running = 0
    return sentence + 0.22 * (25 - min(25, charge)) / 25


def test_equals_a_plain_computation(metric, folders):
    texts = tiny_scorers.SENTENCES
    cases = [(texts[1], texts[0], texts[2]), (texts[0], texts[4], texts[1]), (texts[5], "", "x")]
    for source, output, reference in cases:
        with_reference = metric.judge([source], [output], [reference])[0].score
        assert with_reference == pytest.approx(
            plain_xcomet(folders, source, output, reference), abs=5e-6
        )
        alone = metric.judge([source], [output])[0].score
        assert alone == pytest.approx(plain_xcomet(folders, source, output, None), abs=5e-6)


def test_batches_and_order_change_nothing(metric, folders):
    sources, outputs, references = map(list, columns())
    scores = [each.score for each in metric.judge(sources, outputs, references)]
    one_by_one = opened(folders, Runtime("cpu", "fp32", 1))
    again = one_by_one.judge(sources[::-1], outputs[::-1], references[::-1])
    assert [each.score for each in again][::-1] == pytest.approx(scores, abs=1e-5)
    assert metric.judge([], []) == []


def test_bfloat16_stays_near(metric, folders):
    sources, outputs, references = columns(GOLDEN[:4])
    exact = [case["with_reference"]["sentence_scores"] for case in GOLDEN[:4]]
    half = opened(folders, Runtime("cpu", "bf16")).judge(sources, outputs, references)
    assert [s.sentence_scores for s in half] != exact
    for ours, official in zip(half, exact, strict=True):
        assert ours.sentence_scores == pytest.approx(official, abs=0.1)


def rows(*tags: int) -> list[list[float]]:
    """Probabilities that make these the most likely tags, .7 each."""
    return [[0.7 if tag == place else 0.1 for place in range(4)] for tag in tags]


OFFSETS = [(0, 0), (0, 3), (4, 7), (8, 11), (12, 15), (0, 0)]


def spans(*tags: int) -> list[tuple[int, int, str]]:
    return [(s.start, s.end, s.severity) for s in error_spans(rows(*tags), OFFSETS)]


def test_spans_group_neighbours_under_the_first_severity():
    assert spans(0, 1, 3, 2, 0, 0) == [(0, 11, "minor")]
    assert spans(0, 3, 1, 0, 2, 0) == [(0, 7, "critical"), (12, 15, "major")]
    assert spans(0, 0, 0, 0, 0, 0) == []


def test_spans_at_the_ends():
    assert spans(2, 2, 0, 0, 0, 0) == [(0, 3, "major")]
    assert spans(1, 0, 0, 0, 0, 0) == [(0, 0, "minor")]
    assert spans(0, 0, 0, 0, 3, 3) == [], "a run that is not closed is dropped"
    assert spans(0, 0, 0, 0, 3, 0) == [(12, 15, "critical")]


def test_confidence_is_the_mean_over_the_span():
    [span] = error_spans([[1, 0, 0, 0], [0, 0.6, 0.4, 0], [0, 0.1, 0.9, 0], [1, 0, 0, 0]],
                         [(0, 0), (0, 2), (2, 4), (0, 0)])  # fmt: skip
    assert span.confidence == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("severities", "quality"),
    [([], 1.0), (["minor"], 0.96), (["major"], 0.8), (["critical"], 0.6),
     (["critical", "major", "minor"], 0.36), (["critical", "critical", "major"], 0.0),
     (["critical"] * 3, 0.0), (["minor"] * 24, 0.04), (["minor"] * 80, 0.0)],
)  # fmt: skip
def test_mqm_charges_and_caps(severities, quality):
    assert mqm(severities) == pytest.approx(quality)


@pytest.mark.parametrize(
    ("scores", "quality", "total"),
    [((1, 1, 1), 1, 1.0), ((0.5, 0.8, 0.9), 0.6, 0.06 + 0.264 + 0.297 + 0.132),
     ((1.4, 1.2, 3.0), 0.0, 0.78), ((2.0, 0.5, 0.5), 1.0, 0.12 + 0.165 + 0.165 + 0.22),
     ((0.5,), 1.0, 0.61), ((7.0,), 0.0, 0.78), ((-0.1, 0.0, 0.0), 0.0, -0.012)],
)  # fmt: skip
def test_the_weighted_sum(scores, quality, total):
    assert combined(scores, quality) == pytest.approx(total)


@given(st.lists(st.sampled_from(["minor", "major", "critical"])), st.floats(0, 2))
def test_more_errors_never_score_higher(severities, score):
    better = combined((score,) * 3, mqm(severities[1:]))
    assert 0 <= combined((score,) * 3, mqm(severities)) <= better <= 1 + 1e-12


def changed(folders, tmp_path, change) -> dict:
    state = load_file(folders["fl"] / "model.safetensors")
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    return {**folders, "fl": tmp_path}


def test_a_checkpoint_must_have_exactly_the_right_weights(folders, tmp_path):
    def change(state):
        del state["hidden2tag.bias"], state["layerwise_attention.scalar_parameters.3"]
        state["estimator.ff.9.weight"] = torch.zeros(1)
        state["layerwise_attention.gamma"] = torch.zeros(2)

    with pytest.raises(ModelError) as raised:
        opened(changed(folders, tmp_path, change))
    message = str(raised.value)
    assert "missing: layerwise_attention.scalar_parameters.3, hidden2tag.bias" in message
    assert "unexpected: estimator.ff.9.weight" in message
    assert "of another shape: layerwise_attention.gamma (2,) instead of (1,)" in message


def test_a_pickled_checkpoint_without_training_leftovers_is_the_same(metric, folders, tmp_path):
    state = load_file(folders["fl"] / "model.safetensors")
    kept = {k: v for k, v in state.items() if "dropout" not in k and "wordloss" not in k}
    torch.save(kept, tmp_path / "pytorch_model.bin")
    sources, outputs, references = map(list, columns(GOLDEN[:3]))
    again = opened({**folders, "fl": tmp_path}).judge(sources, outputs, references)
    assert again == metric.judge(sources, outputs, references)


def test_what_is_not_there_is_named(folders, tmp_path):
    with pytest.raises(ModelError, match="no weights"):
        opened({**folders, "fl": tmp_path})
    shutil.copy(folders["encoder"] / "config.json", tmp_path)
    with pytest.raises(ModelError, match="no tokenizer"):
        opened({**folders, "encoder": tmp_path})
