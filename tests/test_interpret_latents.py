"""Toxic latents are found where they were planted, and the verb runs from end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")

from scipy.sparse import csr_matrix  # noqa: E402
from sklearn.metrics import f1_score, roc_auc_score  # noqa: E402

import tiny_models  # noqa: E402
from civilly.cli import app  # noqa: E402
from civilly.data.kept_apart import case_calibrates, case_kept_apart  # noqa: E402
from civilly.data.readings import read_cases  # noqa: E402
from civilly.engines.residual import open_subject  # noqa: E402
from civilly.errors import DataError, ModelError  # noqa: E402
from civilly.interpret.latents import choice, measures, tables  # noqa: E402
from civilly.interpret.latents.examples import Example, read_examples  # noqa: E402
from civilly.interpret.latents.streams import Tokens, firsts, highest, tokens_of  # noqa: E402
from civilly.languages import CODES  # noqa: E402
from civilly.model.sparse.autoencoder import About, JumpRelu, SparseAutoencoder  # noqa: E402
from civilly.model.sparse.layouts import save_sae  # noqa: E402
from civilly.model.sparse.toxic_file import names_in, open_toxic  # noqa: E402

CASES = Path(__file__).parent.parent / "recipes" / "readings" / "cases"
PLANTED = [4, 17, 30]
LANGS = ("en", "ja", "ru")


def planted(seed: int = 0) -> tuple[csr_matrix, Tokens]:
    """Tokens of three languages; three latents of 40 fire on two fifths of the insults each."""
    rng = np.random.default_rng(seed)
    count = 6_000
    toxic = rng.random(count) < 0.2
    heights = rng.exponential(1, (count, 40)) * (rng.random((count, 40)) < 0.05)
    for number in PLANTED:
        heights[:, number] += toxic * (rng.random(count) < 0.4) * rng.exponential(3, count)
    sentence = np.repeat(np.arange(count // 10), 10)
    langs = np.array([CODES.index(LANGS[i % 3]) for i in range(count // 10)])[sentence]
    part = np.arange(count // 10)[sentence] // 3 % 3
    examples = [
        Example("test", LANGS[i % 3], "x", bool(toxic[sentence == i].any()), ())
        for i in range(count // 10)
    ]
    words = np.arange(count) // 2
    return csr_matrix(heights), Tokens(
        examples, sentence, words, np.arange(count) % 10, toxic, langs, part
    )


def test_areas_are_those_of_sklearn() -> None:
    latents, tokens = planted()
    dense = latents.toarray()
    wanted = [roc_auc_score(tokens.toxic, dense[:, n]) for n in range(40)]
    assert measures.areas(latents.tocsc(), tokens.toxic) == pytest.approx(wanted)
    assert measures.area(dense[:, 4], tokens.toxic) == pytest.approx(wanted[4])
    assert np.isnan(measures.area(dense[:, 4], np.ones(6_000, bool)))
    times = np.random.default_rng(0).integers(0, 3, (4, 6_000))
    drawn = [roc_auc_score(np.repeat(tokens.toxic, t), np.repeat(dense[:, 4], t)) for t in times]
    assert measures.areas_of_draws(dense[:, 4], tokens.toxic, times) == pytest.approx(drawn)


def test_precision_is_taken_at_the_recall() -> None:
    scores = np.array([9.0, 8, 7, 6, 5, 4])
    truths = np.array([True, False, True, False, False, True])
    assert measures.precision_at(scores, truths, 0.3) == 1
    assert measures.precision_at(scores, truths, 0.5) == pytest.approx(2 / 3)
    assert measures.precision_at(scores, truths, 1.0) == pytest.approx(3 / 6)
    latents = csr_matrix(np.column_stack([scores, np.zeros(6)])).tocsc()
    assert measures.precisions(latents, truths, 0.5).tolist() == pytest.approx([2 / 3, 0.5])


def test_groups_keep_their_highest() -> None:
    latents, tokens = planted()
    wanted = latents.toarray().reshape(-1, 2, 40).max(axis=1)
    assert np.array_equal(measures.highest_of(latents, tokens.word).toarray(), wanted)
    column = latents.toarray()[:, 4]
    assert np.array_equal(highest(column, tokens.word), wanted[:, 4])
    assert firsts(tokens.word).tolist() == list(range(0, 6_000, 2))


def test_the_limit_has_the_best_f1() -> None:
    rng = np.random.default_rng(1)
    truths = rng.random(400) < 0.3
    scores = np.maximum(0, rng.normal(truths * 1.5, 1))
    found = measures.best_limit(scores, truths, np.zeros(400, np.int64))
    values = [f1_score(truths, scores >= limit) for limit in np.unique(scores[scores > 0])]
    assert f1_score(truths, scores >= found) > max(values) - 0.02
    assert measures.best_limit(np.zeros(9), np.ones(9, bool), np.zeros(9, np.int64)) == 1


def test_planted_latents_are_chosen_and_random_ones_are_not() -> None:
    latents, tokens = planted()
    learnt = tokens.part == 0
    chosen = choice.choose_latents(latents, tokens, learnt, 3)
    assert sorted(chosen.numbers) == PLANTED
    assert (chosen.weights > 0).all()
    drawn = choice.like_random(chosen, latents, learnt, 0)
    assert not set(drawn.numbers) & set(chosen.numbers)
    assert len(set(drawn.numbers)) == 3
    mass = {
        name: np.asarray(latents[:, found.numbers] @ found.weights).ravel()
        for name, found in (("latents", chosen), ("random", drawn))
    }
    rows = tables.table(tokens, [tables.Contestant(*each) for each in mass.items()], 0)
    assert rows[0].areas["word"].low > rows[1].areas["word"].high
    assert rows[1].areas["token"].low < 0.5 < rows[1].areas["token"].high + 0.05
    stream = latents.toarray().astype(np.float32)
    moved = tables.transfers(tokens, latents, stream, 3, {"latents": mass["latents"]})[0]
    assert moved.left_out == pytest.approx(moved.all_languages, abs=0.05)
    assert set(moved.by_language) == set(LANGS)


def test_where_nothing_tells_insults_that_is_said() -> None:
    latents, tokens = planted()
    nothing = csr_matrix(latents.shape)
    with pytest.raises(ModelError, match="No latent"):
        choice.choose_latents(nothing, tokens, tokens.part == 0, 3)


def test_directions_point_where_insults_lie() -> None:
    rng = np.random.default_rng(0)
    _, tokens = planted()
    stream = rng.standard_normal((len(tokens), 12)).astype(np.float32)
    stream[:, 3] += 3 * tokens.toxic
    for make in (choice.difference_of_means, choice.logistic_probe):
        found = make(stream, tokens, tokens.part == 0)
        assert found[3] / np.linalg.norm(found) > 0.95


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 2, a random autoencoder of its layer 1, and cases of three languages."""
    folder = tmp_path_factory.mktemp("latents")
    model = tiny_models.MODELS["gemma2"](folder / "model")
    cases = folder / "cases"
    cases.mkdir()
    for lang in LANGS:
        lines = (CASES / f"{lang}.jsonl").read_text("utf-8").splitlines()[:160]
        (cases / f"{lang}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    made = torch.Generator().manual_seed(0)
    encoder = torch.randn(32, 60, generator=made)
    sae = SparseAutoencoder(
        encoder, torch.zeros(60), encoder.T / 32, torch.zeros(32), JumpRelu(torch.ones(60)),
        about=About(str(model), 1, "model.layers.1.output"),
    )  # fmt: skip
    save_sae(sae, folder / "sae", "fp32")
    return folder


def test_tokens_know_their_words(place: Path) -> None:
    subject = open_subject(str(place / "model"))
    example = Example("test", "en", "You utter fool, go!", True, ((10, 14),))
    tokens = tokens_of([example, example], subject)
    (seen, _) = subject.encode([example.text] * 2)
    marked = {
        seen.offsets[p]
        for p, toxic, s in zip(tokens.place, tokens.toxic, tokens.sentence, strict=True)
        if toxic and not s
    }
    assert "".join(example.text[a:b] for a, b in sorted(marked)).strip() == "fool"
    assert len(np.unique(tokens.word)) == 8
    assert len(np.unique(tokens.word[tokens.toxic])) == 2


def test_parts_are_kept_apart(place: Path) -> None:
    examples = read_examples(place / "cases", [], 0, 0)
    by_text = {case.text: case for case in read_cases(place / "cases")}
    known = [(each, by_text[each.text]) for each in examples if each.text in by_text]
    assert len(known) > 300
    for each, case in known:
        assert (each.part == "choose") != case_kept_apart(case)
        assert (each.part == "calibrate") == case_calibrates(case)
    with pytest.raises(DataError, match="no toxic or no civil"):
        one = place / "one"
        one.mkdir()
        (one / "en.jsonl").write_text(
            (place / "cases" / "en.jsonl").read_text("utf-8").split("\n")[0] + "\n", "utf-8"
        )
        read_examples(one, [], 0, 0)


def test_the_verb_finds_writes_and_reports(place: Path) -> None:
    out = place / "out"
    words = [
        "interpret", "latents", str(place / "sae"), "-o", str(out), "--model",
        str(place / "model"), "--cases", str(place / "cases"), "--per-language", "40", "--most",
        "5", "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report == json.loads((out / "latents.json").read_text("utf-8"))
    names = [row["name"] for row in report["table"]]
    assert names == [
        "latents", "random", "wrong_layer", "difference", "probe", "wrong_layer_probe",
        "best_latent", "sparse_probe", "reader",
    ]  # fmt: skip
    reader = report["table"][-1]["areas"]["word"]
    assert reader["low"] > report["table"][1]["areas"]["word"]["high"]
    assert names_in(out) == names[:6]
    first = open_toxic(out)
    assert [each["number"] for each in report["latents"]] == list(first.numbers)
    assert 1 <= len(first.numbers) <= 5
    assert open_toxic(out, "wrong_layer").about.layer == 0
    assert first.about.layer == 1
    assert not (out / "streams").exists()
    page = (out / "index.html").read_text("utf-8")
    assert "folded in" in page
    assert not re.search(r"<script|https?://|src=", page)


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--layer", "9"], "has no layer 9"), (["--cases", "nowhere"], "no toxic or no civil")],
)
def test_what_does_not_fit_is_said(place: Path, more: list[str], said: str) -> None:
    words = ["interpret", "latents", str(place / "sae"), "-o", str(place / "bad"), *more]
    result = CliRunner().invoke(app, [*words, "--model", str(place / "model")])
    assert said in str(result.exception)
