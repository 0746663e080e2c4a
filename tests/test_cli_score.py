"""``civilly score``, end to end, with a suite whose scores can be worked out by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from civilly.cli import app
from civilly.errors import CivillyError, DataError, LeakError, UnknownNameError
from civilly.score.scores_file import read_scores
from overlap_suite import install

REFERENCES = """toxic_sentence	neutral_sentence	lang
you idiot go home	please go home	en
what an idiot he is	he is wrong	en
 shut up idiot 	be quiet	en
vete a casa idiota	vete a casa	es
callate idiota ya	silencio ya	es
"""
SUBMISSION = """id	lang	toxic	output
3	es	vete a casa idiota	vete a casa
1	en	you idiot go home	you go home
0	en	what an idiot he is	what an idiot he is
2	en	shut up idiot	be quiet
4	es	callate idiota ya	callate ya
"""
# By hand, in the order of the references: (STA, SIM, FL).
COMPONENTS = [(1, 3 / 4, 0.5), (0, 1, 0.5), (1, 0, 1), (1, 3 / 4, 1), (1, 2 / 3, 0.5)]
J = [sta * sim * fl for sta, sim, fl in COMPONENTS]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the files above and the suite installed."""
    package = tmp_path / "package"
    package.mkdir()
    install(package)
    monkeypatch.syspath_prepend(str(package))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (work / "dev.tsv").write_text(REFERENCES, encoding="utf-8")
    (work / "mine.tsv").write_text(SUBMISSION, encoding="utf-8")
    return work


def score_json(*arguments: object) -> Any:
    return json.loads(run("score", *arguments, "-r", "dev.tsv", "-s", "overlap", "--json").stdout)


@pytest.mark.usefixtures("folder")
def test_means_per_language_and_the_averages() -> None:
    found = score_json("mine.tsv")
    system = found["systems"][0]
    assert system["system"] == "mine"
    for code, rows in (("en", slice(0, 3)), ("es", slice(3, 5))):
        by_column = list(zip(*COMPONENTS[rows], strict=True))
        for column, values in zip(("STA", "SIM", "FL"), by_column, strict=True):
            mean = sum(values) / len(values)
            assert system["languages"][code][column]["mean"] == pytest.approx(mean)
        assert system["languages"][code]["J"]["mean"] == pytest.approx(sum(J[rows]) / len(J[rows]))
        assert system["languages"][code]["J"]["n"] == len(J[rows])
    average = system["averages"]["AvgP"]
    assert average["langs"] == ["en", "es"]
    assert average["J"]["mean"] == pytest.approx((sum(J[:3]) / 3 + sum(J[3:]) / 2) / 2)
    assert "AvgNP" not in system["averages"]
    assert system["config"]["report"] == {"reordered": [2, 3, 4], "whitespace": [4]}


@pytest.mark.usefixtures("folder")
def test_the_table_and_the_signature() -> None:
    lines = run("score", "mine.tsv", "-r", "dev.tsv", "-s", "overlap").stdout.splitlines()
    assert lines[0].split() == ["lang", "n", "STA", "SIM", "FL", "J"]
    assert lines[1].startswith("en             3  .667 [")
    assert lines[3].startswith("AvgP (2 of 9)  5  ")
    assert lines[4].startswith("signature: overlap|other:0.5|ref:")
    assert lines[4].endswith("|n:5|bs:1000|seed:12345|conf:0.95")


@pytest.mark.usefixtures("folder")
def test_options_reach_the_suite_and_the_signature() -> None:
    found = score_json("mine.tsv", "--option", "other=0", "--lang", "es")
    assert found["signature"].startswith("overlap|other:0.0|")
    assert list(found["systems"][0]["languages"]) == ["es"]
    assert found["systems"][0]["languages"]["es"]["J"]["mean"] == pytest.approx(3 / 8)


def test_the_scores_file_holds_every_number_and_can_be_shown_again(folder: Path) -> None:
    first = score_json("mine.tsv", "-o", "mine.json")
    content = json.loads((folder / "mine.json").read_text(encoding="utf-8"))
    assert set(content) == {"format", "system", "suite", "signature", "config", "rows"}
    assert (content["format"], content["suite"]) == (1, "overlap")
    assert content["rows"][2] == {
        "lang": "en", "toxic": " shut up idiot ", "output": "be quiet", "reference": "be quiet",
        "STA": 1.0, "SIM": 0.0, "FL": 1.0, "J": 0.0,
    }  # fmt: skip
    assert [row["J"] for row in content["rows"]] == pytest.approx(J)
    again = score_json("mine.json")
    assert again == first
    with pytest.raises(DataError, match="--overwrite"):
        run("score", "mine.tsv", "-r", "dev.tsv", "-s", "overlap", "-o", "mine.json")
    before = (folder / "mine.json").read_bytes()
    score_json("mine.tsv", "-o", "mine.json", "--overwrite")
    assert (folder / "mine.json").read_bytes() == before


def test_every_sentence_with_its_components(folder: Path) -> None:
    score_json("mine.tsv", "--per-sentence", "all.tsv")
    with (folder / "all.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [float(row["J"]) for row in rows] == pytest.approx(J)
    assert [float(row["SIM"]) for row in rows] == pytest.approx([sim for _, sim, _ in COMPONENTS])
    assert rows[0]["neutral_sentence"] == "you go home"
    assert rows[0]["reference"] == "please go home"
    assert rows[2]["toxic_sentence"] == " shut up idiot "
    with pytest.raises(DataError, match="plain lines"):
        score_json("mine.tsv", "--per-sentence", "all.txt")


def test_several_systems_make_one_table_and_a_folder(folder: Path) -> None:
    header, *rows = (line.split("\t") for line in REFERENCES.splitlines())
    copies = [header, *([toxic, toxic, lang] for toxic, _, lang in rows)]
    text = "\n".join("\t".join(row) for row in copies)
    (folder / "copy.tsv").write_text(text, encoding="utf-8")
    arguments = ("-r", "dev.tsv", "-s", "overlap")
    shown = run("score", "mine.tsv", "copy=copy.tsv", *arguments, "-o", "runs").stdout
    lines = shown.splitlines()
    assert lines[0] == "J"
    assert lines[1].split() == ["system", "n", "en", "es", "AvgP"]
    # In English a copy keeps the insult, STA 0; "idiota" holds "idiot" too.
    assert lines[3].split()[:4] == ["copy", "5", ".000", ".000"]
    assert lines[2].startswith("mine    5  .125  .542  ")
    assert read_scores(folder / "runs" / "mine.json").system == "mine"
    assert read_scores(folder / "runs" / "copy.json").system == "copy"
    with pytest.raises(DataError, match="-o FOLDER"):
        run("score", "mine.tsv", "copy.tsv", *arguments, "-o", "one.json")
    with pytest.raises(CivillyError, match="NAME=FILE"):
        run("score", "mine.tsv", "mine.tsv", *arguments)


def test_what_is_missing_is_refused_or_counts_zero_or_is_left_out(folder: Path) -> None:
    lines = SUBMISSION.splitlines()
    (folder / "part.tsv").write_text("\n".join([*lines[:2], lines[3] + "\n"]), encoding="utf-8")
    with pytest.raises(DataError, match=r"part\.tsv.*3 missing .*rows 1, 3, 5"):
        score_json("part.tsv")
    zero = score_json("part.tsv", "--mismatch", "zero")["systems"][0]["languages"]
    assert zero["en"]["STA"]["mean"] == 0
    assert zero["es"]["J"]["mean"] == pytest.approx(J[3] / 2)
    skipped = score_json("part.tsv", "--mismatch", "skip")
    assert skipped["systems"][0]["languages"]["es"]["J"]["mean"] == pytest.approx(J[3])
    assert "|mismatch:skip|" in skipped["signature"]
    with pytest.raises(UnknownNameError, match="refuse, skip, zero"):
        score_json("part.tsv", "--mismatch", "skp")


@pytest.mark.usefixtures("folder")
def test_a_metric_that_is_no_suite_has_one_column() -> None:
    pytest.importorskip("sacrebleu")
    found = json.loads(run("score", "mine.tsv", "-r", "dev.tsv", "-s", "chrf", "--json").stdout)
    languages = found["systems"][0]["languages"]
    assert list(languages["es"]) == ["chrf"]
    assert languages["es"]["chrf"]["mean"] > languages["en"]["chrf"]["mean"]


def test_a_submission_alone_is_scored_on_its_own_rows(folder: Path) -> None:
    with pytest.raises(CivillyError, match="needs references"):
        run("score", "mine.tsv", "-s", "overlap")
    shown = run("score", "mine.tsv", "-s", "civility").stdout
    assert "ref:none|n:5" in shown


def test_leaks_are_refused_with_their_rows(folder: Path) -> None:
    (folder / "train.jsonl").write_text(
        '{"toxic": "an entirely different sentence", "neutral": ["fine by me"]}\n'
        '{"toxic": "You idiot, GO home!", "neutral": ["please leave"]}\n'
        '{"toxic": "something else again", "neutral": ["no", "be quiet"]}\n',
        encoding="utf-8",
    )
    with pytest.raises(LeakError, match=r"1 training row repeats .*train\.jsonl, row 2\."):
        score_json("mine.tsv", "--trained-on", "train.jsonl")
    found = score_json("mine.tsv", "--trained-on", "train.jsonl", "--go-on")
    assert found["leaks"] == ["train.jsonl, row 2 (normalised)"]
    clean = folder / "clean.tsv"
    clean.write_text("toxic_sentence\tneutral_sentence\ncompletely new text\tnothing alike\n")
    assert score_json("mine.tsv", "--trained-on", clean)["leaks"] == []
    with pytest.raises(LeakError, match=r"5 training rows repeat .*row 1, mine\.tsv, row 2"):
        score_json("mine.tsv", "--trained-on", "mine.tsv")


@pytest.mark.usefixtures("folder")
def test_mistakes_are_told_before_any_work() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'overlap'"):
        run("score", "mine.tsv", "-s", "overlp")
    with pytest.raises(CivillyError, match="more than 0, less than 1"):
        score_json("mine.tsv", "--confidence", "95")
    with pytest.raises(UnknownNameError, match="language 'xx'"):
        score_json("mine.tsv", "--lang", "xx")
    with pytest.raises(CivillyError, match="nothing to score in tt"):
        score_json("mine.tsv", "--lang", "tt")
    with pytest.raises(DataError, match="--per-sentence for a table"):
        score_json("mine.tsv", "-o", "scores.tsv")
    with pytest.raises(DataError, match="no file"):
        score_json("nobody.tsv")


@pytest.mark.usefixtures("folder")
def test_confidence_resamples_and_seed_change_the_intervals_only() -> None:
    wide, narrow = (
        score_json("mine.tsv", "--confidence", c)["systems"][0]["languages"]["en"]["J"]
        for c in ("0.95", "0.5")
    )
    assert wide["mean"] == narrow["mean"]
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "no scores file"),
        ("{", "not JSON"),
        ('{"format": 2, "rows": []}', "format 2"),
        ('{"format": 1, "system": "a", "rows": []}', "'suite' must be a string"),
        ('{"format": 1, "system": "a", "suite": "b", "signature": "c", "rows": []}', "nothing"),
        (
            '{"format": 1, "system": "a", "suite": "b", "signature": "c", "rows": '
            '[{"lang": "en", "toxic": "x", "output": "y", "J": NaN}]}',
            "row 1: 'J' must be a finite number",
        ),
        (
            '{"format": 1, "system": "a", "suite": "b", "signature": "c", "rows": '
            '[{"lang": "en", "toxic": "x", "output": "y", "J": 0.5},'
            ' {"lang": "en", "toxic": "x", "output": "y", "SIM": 0.5}]}',
            "row 2: scores",
        ),
    ],
)
def test_damaged_scores_files_say_what_is_wrong(folder: Path, content: str, message: str) -> None:
    (folder / "bad.json").write_text(content, encoding="utf-8")
    with pytest.raises(CivillyError, match=message):
        run("score", "bad.json")


@pytest.mark.usefixtures("folder")
def test_one_sentence_has_no_interval() -> None:
    head, *lines = REFERENCES.splitlines(keepends=True)
    Path("one.tsv").write_text(head + lines[0] + lines[3])  # one in en, one in es
    arguments = ("one.tsv", "-r", "one.tsv", "-s", "overlap")
    shown = run("score", *arguments).stdout
    assert " [–]" in shown
    assert "[" not in shown.replace("[–]", "").partition("signature:")[0]
    found = json.loads(run("score", *arguments, "--json").stdout)["systems"][0]
    for intervals in found["languages"].values():
        assert {(i["low"], i["high"]) for i in intervals.values()} == {(None, None)}
    Path("two.tsv").write_text(Path("one.tsv").read_text().replace("vete a casa\t", "otra\t"))
    compared = run("compare", "one.tsv", "two.tsv", "-r", "one.tsv", "-s", "overlap", "--json")
    for row in json.loads(compared.stdout)["comparisons"]:
        assert (row["low"], row["high"], row["p_bootstrap"]) == (None, None, 1.0)
        assert row["verdict"] == "no difference shown"


@pytest.mark.usefixtures("folder")
def test_chrf_without_references_says_what_to_do() -> None:
    with pytest.raises(CivillyError, match="chrF needs references") as error:
        run("score", "mine.tsv", "-s", "chrf")
    assert "--reference" in error.value.mend


@pytest.mark.usefixtures("folder")
def test_a_judge_is_asked_for() -> None:
    with pytest.raises(CivillyError, match="no verdicts") as error:
        run("score", "mine.tsv", "-r", "dev.tsv", "-s", "judge")
    assert "--engine openai:" in error.value.mend
