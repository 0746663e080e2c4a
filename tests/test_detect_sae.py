"""The detector by toxic mass on whatever people write; how good it is, benchmarks say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_models  # noqa: E402
from civilly.cli import app  # noqa: E402
from civilly.detect import context  # noqa: E402
from civilly.detect.by_sentence import check_detector, open_detector  # noqa: E402
from civilly.detect.protected import protected  # noqa: E402
from civilly.detect.sae import StreamDetector, _marks, create, load  # noqa: E402
from civilly.detect.toxicity import SPAN_FLOOR  # noqa: E402
from civilly.engines.residual import open_subject  # noqa: E402
from civilly.errors import (  # noqa: E402
    CivillyError,
    MissingExtraError,
    ModelError,
    UnknownNameError,
)
from civilly.languages import CODES  # noqa: E402
from civilly.model.sparse.toxic import About, ToxicDirection  # noqa: E402
from civilly.model.sparse.toxic_file import write_toxic  # noqa: E402
from civilly.pipeline import Detoxifier  # noqa: E402
from civilly.types import Detector, Text  # noqa: E402
from valid_detections import assert_valid  # noqa: E402

RUDE = "you are a fucking moron"
anything = st.text(
    st.one_of(st.characters(codec=None), st.sampled_from("🤡😀 \n\ud83d@#*_.!傻逼ab1")), max_size=30
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 2 and two directions of its stream: one often high, one never."""
    folder = tmp_path_factory.mktemp("sae")
    model = str(tiny_models.MODELS["gemma2"](folder / "model"))
    stream = np.concatenate(open_subject(model).streams([RUDE, "傻逼", "Глупый дурак"], 1))
    vector = torch.zeros(32)
    vector[5] = 1
    made = [
        ToxicDirection(About(name, "direction", model, 1), vector, level, 0.2, level + 1)
        for name, level in (("latents", float(np.median(stream[:, 5]))), ("never", 1e6))
    ]
    write_toxic(folder / "toxic.safetensors", made)
    return folder


@pytest.fixture(scope="module")
def detector(place: Path) -> StreamDetector:
    made = create(None, str(place))
    assert isinstance(made, Detector)
    assert isinstance(made, StreamDetector)
    return made


@settings(max_examples=12, derandomize=True, deadline=None)
@given(st.lists(st.tuples(anything, st.sampled_from(CODES)), max_size=5))
def test_any_text_gives_one_valid_detection_each(place: Path, rows: list[tuple[str, str]]) -> None:
    texts = [Text(text, lang) for text, lang in rows]
    detector = load(str(place))
    found = detector.detect(texts)
    assert_valid(texts, found)
    by_reader = context.load().detect(texts)
    for own, reader in zip(found, by_reader, strict=True):
        assert (own.p_toxic, own.flags) == (reader.p_toxic, reader.flags)
        assert not own.spans or own.p_toxic >= SPAN_FLOOR
    for text, spans in zip(texts, detector.spans(texts), strict=True):
        for span in spans:
            assert not any(p.start < span.end and span.start < p.end for p in protected(text.text))


def test_a_word_is_as_toxic_as_its_most_toxic_token() -> None:
    places = [(0, 2), (2, 5), (5, 9), (9, 10)]
    found = _marks(Text("whole word", "en"), places, np.array([0.5, 2.0, 0.25, 1.0], np.float32))
    assert [(mark.start, mark.end, mark.score) for mark in found] == [(0, 5, 2.0), (6, 10, 1.0)]
    assert [mark.p for mark in found] == pytest.approx([2 / 3, 1 / 2])


def test_spans_are_where_the_mass_is(place: Path, detector: StreamDetector) -> None:
    texts = [Text(RUDE, "en"), Text("ты тупой дурак", "ru"), Text("この馬鹿野郎", "ja")]
    spans = detector.spans(texts)
    assert any(spans)
    assert load(f"{place}#never").spans(texts) == [()] * 3
    assert load(f"{place}#never").detect(texts[:1])[0].p_toxic >= 0.5
    assert detector.spans([Text("", "en"), Text(" \n", "he"), Text("\x00", "ja")]) == [(), (), ()]
    assert [detector.spans([text])[0] for text in texts] == spans


def test_it_takes_turns_in_the_line(place: Path) -> None:
    words = ["rewrite", RUDE, "--method", "delete", "--select", "rerank", "--json", "--lang", "en"]
    rows = {}
    for name in ("latents", "never"):
        spec = f"sae:{place}#{name}"
        result = CliRunner().invoke(app, [*words, "--detector", spec], catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        rows[name] = json.loads(result.stdout)
        found = json.loads(
            CliRunner()
            .invoke(app, ["detect", RUDE, "--lang", "en", "--json", "--detector", spec])
            .stdout
        )
        assert bool(found["spans"]) == (name == "latents")
    assert rows["never"]["rewritten"] == RUDE
    made = Detoxifier("delete", detector=f"sae:{place}")
    assert made.describe()["detector"] == f"sae:{place}"
    assert made.varied(detector="context")._tools.detector is not made._tools.detector


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("sae:nowhere", "There is no 'nowhere'"),
        ("sae:{place}#laten", "did you mean 'latents'"),
        ("context:x", "opens nothing"),
        ("sea", "did you mean 'sae'"),
    ],
)
def test_what_cannot_be_opened_is_said(place: Path, spec: str, said: str) -> None:
    with pytest.raises(CivillyError, match=said):
        Detoxifier("delete", detector=spec.format(place=place))


def test_another_models_file_is_refused(place: Path, tmp_path: Path) -> None:
    model = str(place / "model")
    other = ToxicDirection(About("latents", "direction", model, 1), torch.ones(8), 0.0, 1.0, 2.0)
    write_toxic(tmp_path / "toxic.safetensors", [other])
    with pytest.raises(ModelError, match="width 8"):
        load(str(tmp_path))
    far = ToxicDirection(About("latents", "direction", model, 9), torch.ones(32), 0.0, 1.0, 2.0)
    write_toxic(tmp_path / "far.safetensors", [far])
    with pytest.raises(ModelError, match="no layer 9"):
        load(str(tmp_path / "far.safetensors"))


def test_an_unknown_language_is_an_error(detector: StreamDetector) -> None:
    with pytest.raises(UnknownNameError):
        detector.spans([Text("hei", "fi")])


def test_without_torch_the_extra_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[sae\]"):
        check_detector(f"sae:{place}")
    with pytest.raises(MissingExtraError, match=r"civilly\[sae\]"):
        Detoxifier("delete", detector=f"sae:{place}")


def test_it_is_asked_sentence_by_sentence(place: Path) -> None:
    text = Text("The train leaves at noon. " + RUDE, "en")
    (found,) = open_detector(f"sae:{place}").detect([text])
    assert all(span.start >= len(text.text) - len(RUDE) for span in found.spans)
