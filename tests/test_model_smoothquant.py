"""Smoothing moves outliers of activations into weights and changes nothing that is computed."""

import numpy as np
import pytest

import tiny_gemma
from civilly.data.pairs import Pair
from civilly.engines.embedded import read_folder
from civilly.model.ctranslate2_format import write_ctranslate2
from civilly.model.smoothquant import PROJECTION, shipped_peaks, smooth
from civilly.model.source import EMBEDDING
from civilly.types import Prompt

OUTLIER = 5
TEXTS = ["Hello there", "What is this? I do not know", "zz top", "Hello you, again and again"]


def spiky_weights():
    """A model whose last norm has one channel far above the others, as Gemma's has."""
    weights = tiny_gemma.weights()
    norm = weights["model.norm.weight"].copy()
    norm[OUTLIER] = 60.0
    weights["model.norm.weight"] = norm
    return weights


def peaks():
    shape = tiny_gemma.SHAPE
    rng = np.random.default_rng(1)
    projection = np.ones(shape.width, dtype=np.float32)
    projection[OUTLIER] = 60.0
    layers = (shape.layers, shape.width)
    return {
        "attention": rng.uniform(0.5, 20, layers).astype(np.float32),
        "feed_forward": rng.uniform(0.5, 20, layers).astype(np.float32),
        "down": rng.uniform(0.0, 20, (shape.layers, shape.feed_forward)).astype(np.float32),
        "projection": projection,
    }


def scores(folder, weights, precision, hf):
    write_ctranslate2(weights, tiny_gemma.SHAPE, tiny_gemma.vocabulary().pieces, folder, precision)
    (folder / "tokenizer.json").write_bytes((hf / "tokenizer.json").read_bytes())
    model = read_folder(folder, threads=1, window=tiny_gemma.SHAPE.window)
    return np.array(model.logprobs([Prompt.of("Go")] * len(TEXTS), TEXTS))


@pytest.fixture(scope="module")
def hf(tmp_path_factory):
    return tiny_gemma.save(tmp_path_factory.mktemp("hf") / "hf")


@pytest.fixture(scope="module")
def exact(hf, tmp_path_factory):
    return scores(tmp_path_factory.mktemp("exact"), spiky_weights(), "float32", hf)


def test_the_model_computes_the_same(hf, exact, tmp_path):
    weights = spiky_weights()
    smooth(weights, tiny_gemma.SHAPE, peaks())
    assert scores(tmp_path, weights, "float32", hf) == pytest.approx(exact, abs=2e-4)


def test_the_input_embedding_stays_and_the_outlier_moves():
    plain, weights = spiky_weights(), spiky_weights()
    smooth(weights, tiny_gemma.SHAPE, peaks())
    assert np.array_equal(weights[EMBEDDING], plain[EMBEDDING])
    grown = np.abs(weights[PROJECTION]).max(axis=0) / np.abs(plain[EMBEDDING]).max(axis=0)
    assert grown.argmax() == OUTLIER
    # The divisor is peak^.3 / weight^.7, up to a factor that all channels share.
    largest = np.abs(plain[EMBEDDING]).max(axis=0)
    expected = peaks()["projection"] ** 0.3 / largest**0.7
    assert grown / grown[0] == pytest.approx(expected / expected[0], rel=1e-4)


def eight_bits(rows):
    """Each row rounded to 255 steps of its largest value, as the engine does at run time."""
    step = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.round(rows / step) * step


def rounding_error(weights, states):
    """Mean error of the logits by rounding what the last norm gives out and the output matrix."""
    given = states * (1 + weights["model.norm.weight"])
    matrix = weights.get(PROJECTION, weights[EMBEDDING])
    return np.abs(eight_bits(given) @ eight_bits(matrix).T - given @ matrix.T).mean()


def test_rounding_costs_less():
    """Computed here, not by the engine: on so small a model its own rounding differs by processor.

    On the real model: benchmarks/quantisation.py.
    """
    states = np.random.default_rng(2).normal(size=(200, tiny_gemma.SHAPE.width))
    plain, weights = spiky_weights(), spiky_weights()
    smooth(weights, tiny_gemma.SHAPE, peaks())
    assert rounding_error(weights, states) < 0.7 * rounding_error(plain, states)


def test_the_shipped_peaks_fit_the_embedded_model():
    found = shipped_peaks()
    assert {name: each.shape for name, each in found.items()} == {
        "attention": (18, 640), "feed_forward": (18, 640), "down": (18, 2048), "projection": (640,),
    }  # fmt: skip
    projection = found["projection"]
    assert projection.max() > 50 * np.median(projection)  # why all this is done
    assert all((each >= 0).all() for each in found.values())


def test_peaks_are_those_of_the_hidden_states(hf):
    torch = pytest.importorskip("torch")
    pytest.importorskip("peft")
    from civilly.train.base_model import encode, load_trainable
    from civilly.train.examples import rewriting_examples
    from civilly.train.recipe import AdapterSettings, BaseSettings
    from civilly.train.smoothquant import measured

    trainable = load_trainable(BaseSettings(), AdapterSettings(rank=2), "fp32", hf)
    pairs = [Pair("1", "en", "you fool", ("you",), "x"), Pair("2", "de", "Hallo du", ("Hi",), "x")]
    found = measured(trainable, pairs)
    largest = np.zeros(tiny_gemma.SHAPE.width)
    for row in encode(rewriting_examples(pairs), trainable):
        with torch.inference_mode():
            states = trainable.model(
                input_ids=torch.tensor([[*row["prompt"], *row["answer"]]]),
                output_hidden_states=True,
            ).hidden_states[-1]
        largest = np.maximum(largest, states.abs().amax((0, 1)).numpy())
    assert found["projection"] == pytest.approx(largest, rel=1e-5)
    assert found["down"].shape == (tiny_gemma.SHAPE.layers, tiny_gemma.SHAPE.feed_forward)
    assert (found["attention"] > 0).all()
