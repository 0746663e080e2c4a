"""``civilly compare``, end to end, on scores files and on submissions."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from civilly.cli import app
from civilly.data.alignment import AlignedRow
from civilly.errors import CivillyError, DataError, UnknownNameError
from civilly.score.scores_file import SystemScores, write_scores
from overlap_suite import install

SENTENCES = 60
LANGS = ("en", "de", "it", "tt")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def compared(*arguments: object) -> list[dict[str, Any]]:
    found = json.loads(run("compare", *arguments, "--json").stdout)
    return found["comparisons"]  # type: ignore[no-any-return]


def save(
    folder: Path,
    system: str,
    gains: dict[str, float],
    *,
    langs: Sequence[str] = LANGS,
    signature: str = "made|v:1",
    reference: str = "r",
    reverse: bool = False,
) -> Path:
    """Scores that differ from those of the others by a gain per language, and by noise."""
    base, noise = random.Random(1), random.Random(system)
    rows, scores = [], []
    for lang in langs:
        for n in range(SENTENCES):
            sta = base.uniform(0.3, 0.6) + gains.get(lang, 0.0) + noise.gauss(0, 0.02)
            rows.append(AlignedRow(lang, f"sentence {n // 2}", f"output {n}", (reference,)))
            scores.append({"STA": sta, "SIM": 0.5, "FL": 1.0, "J": sta * 0.5})
    if reverse:  # rows of one sentence stay in their order: they occur twice
        order = sorted(range(len(rows)), key=lambda n: (-(n // 2), n))
        rows, scores = [rows[n] for n in order], [scores[n] for n in order]
    path = folder / f"{system}.json"
    write_scores(path, SystemScores(system, "made", signature, rows, scores))
    return path


def test_verdicts_per_language_and_on_average(tmp_path: Path) -> None:
    a = save(tmp_path, "a", {})
    b = save(tmp_path, "b", {"en": 0.1, "it": -0.1, "tt": 0.05})
    findings = {finding["scope"]: finding for finding in compared(a, b)}
    assert list(findings) == ["en", "de", "it", "tt", "AvgP", "AvgNP"]
    verdicts = {scope: finding["verdict"] for scope, finding in findings.items()}
    assert verdicts == {
        "en": "better", "de": "no difference shown", "it": "worse", "tt": "better",
        "AvgP": "better", "AvgNP": "worse",
    }  # fmt: skip
    en = findings["en"]
    assert en["difference"] == pytest.approx(0.05, abs=0.01)
    assert en["difference"] == pytest.approx(en["mean_b"] - en["mean_a"])
    assert en["low"] < en["difference"] < en["high"]
    assert (en["n"], findings["AvgP"]["n"]) == (60, 120)
    assert findings["AvgNP"]["langs"] == ["it", "tt"]
    halves = (findings["it"]["difference"] + findings["tt"]["difference"]) / 2
    assert findings["AvgNP"]["difference"] == pytest.approx(halves)
    assert en["p_randomisation"] == pytest.approx(1 / 10_001)
    assert en["p_corrected"] == pytest.approx(4 / 10_001)  # Holm over four languages
    assert 2 <= en["sentences_needed"] <= 10


def test_the_baseline_is_the_first(tmp_path: Path) -> None:
    a, b = save(tmp_path, "a", {}), save(tmp_path, "b", {"en": 0.1})
    there, back = compared(a, b)[0], compared(b, a)[0]
    assert there["difference"] == pytest.approx(-back["difference"])
    assert (there["verdict"], back["verdict"]) == ("better", "worse")
    itself = compared(a, f"again={a}")
    assert {finding["verdict"] for finding in itself} == {"no difference shown"}
    assert {finding["p_corrected"] for finding in itself} == {1.0}


def test_several_systems_share_one_correction(tmp_path: Path) -> None:
    a = save(tmp_path, "a", {})
    b, c = save(tmp_path, "b", {"en": 0.1}), save(tmp_path, "c", {"en": 0.1})
    found = compared(a, b, c, "--lang", "en")
    assert [finding["system"] for finding in found] == ["b", "c"]
    assert [finding["p_corrected"] for finding in found] == pytest.approx([2 / 10_001] * 2)
    milder = compared(a, b, c, "--lang", "en", "--correction", "bh")
    assert [finding["p_corrected"] for finding in milder] == pytest.approx([1 / 10_001] * 2)
    with pytest.raises(UnknownNameError, match="bh, holm"):
        compared(a, b, "--correction", "bonferroni")


def test_other_scores_than_j(tmp_path: Path) -> None:
    a, b = save(tmp_path, "a", {}), save(tmp_path, "b", {"en": 0.1})
    sta = compared(a, b, "--metric", "STA")[0]
    assert sta["difference"] == pytest.approx(0.1, abs=0.02)
    assert compared(a, b, "--metric", "SIM")[0]["difference"] == 0.0
    with pytest.raises(UnknownNameError, match="FL, J, SIM, STA"):
        compared(a, b, "--metric", "BLEU")


def test_rows_are_paired_by_sentence_not_by_position(tmp_path: Path) -> None:
    a = save(tmp_path, "a", {})
    straight = compared(a, save(tmp_path, "b", {"en": 0.03}))
    turned = compared(a, save(tmp_path, "b", {"en": 0.03}, reverse=True))
    for one, other in zip(straight, turned, strict=True):
        assert one["difference"] == pytest.approx(other["difference"])
        assert one["p_bootstrap"] == pytest.approx(other["p_bootstrap"])


def test_other_sentences_references_or_signatures_are_refused(tmp_path: Path) -> None:
    a = save(tmp_path, "a", {})
    with pytest.raises(DataError, match=r"'b' lacks 120 of the 240 sentences .*it 60, tt 60"):
        compared(a, save(tmp_path, "b", {}, langs=("en", "de")))
    assert len(compared(a, tmp_path / "b.json", "-l", "en", "-l", "de")) == 3
    with pytest.raises(DataError, match="other references in 240"):
        compared(a, save(tmp_path, "c", {}, reference="another"))
    with pytest.raises(CivillyError, match=r"not scored alike.*v:1.*v:2"):
        compared(a, save(tmp_path, "d", {}, signature="made|v:2"))
    with pytest.raises(CivillyError, match="compare A B"):
        compared(a)
    with pytest.raises(CivillyError, match="NAME=FILE"):
        compared(a, a)


def test_the_table(tmp_path: Path) -> None:
    a, b = save(tmp_path, "a", {}), save(tmp_path, "b", {"en": 0.1})
    lines = run("compare", a, b, "--confidence", "0.9").stdout.splitlines()
    assert lines[0] == "J: A = a, B = b"
    assert "B - A [90%]" in lines[1]
    english = lines[2].split("  ")
    assert english[0] == "en"
    assert "better" in lines[2]
    assert "no difference shown" in lines[3]
    assert lines[6].startswith("AvgP (2 of 9)")
    assert lines[-1].startswith("signature: made|v:1|ref:none|n:240|trials:10000|seed:12345")
    assert lines[-1].endswith("|conf:0.9|correction:holm")


def test_submissions_are_scored_on_the_fly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    toxic = [f"you idiot number {n} go away" for n in range(12)]
    head = "toxic_sentence\tneutral_sentence\tlang\n"

    def table(name: str, rewrites: Sequence[str]) -> Path:
        path = tmp_path / name
        rows = zip(toxic, rewrites, strict=True)
        path.write_text(head + "".join(f"{t}\t{r}\ten\n" for t, r in rows), encoding="utf-8")
        return path

    references = table("dev.tsv", [f"number {n} please leave" for n in range(12)])
    copy = table("copy.tsv", toxic)
    delete = table("delete.tsv", [text.replace("idiot ", "") for text in toxic])
    options = ("-r", references, "-s", "overlap")
    finding = compared(copy, delete, *options)[0]
    # A copy scores 0 (STA); without the insult 5 of 6 words are kept, FL .5, in every sentence.
    assert finding["mean_a"] == 0.0
    assert finding["mean_b"] == pytest.approx(5 / 12)
    assert finding["verdict"] == "better"
    run("score", delete, *options, "-o", tmp_path / "delete.json")
    assert compared(copy, tmp_path / "delete.json", *options)[0] == finding
