"""The leaderboard: what it reads, how it compares, what it writes; the page is tested apart."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import overlap_suite
from boards import rows, write_scores
from civilly.cli import app
from civilly.errors import CivillyError, DataError, MissingExtraError
from civilly.languages import CODES, NEW_CODES, PARALLEL_CODES
from civilly.leaderboard import tables
from civilly.leaderboard.agreement import read_agreement
from civilly.leaderboard.comparisons import Comparison, means_and_comparisons
from civilly.leaderboard.examples import example_data, failure_shares
from civilly.leaderboard.page import FILES, render, write_site
from civilly.leaderboard.plots import axis_of
from civilly.leaderboard.runs import Row, Sentence, System, chosen_suite, read_runs
from civilly.leaderboard.scatter import place_labels
from civilly.leaderboard.standings import Board, build, shared_sentences, tie_groups
from civilly.score.intervals import Interval, bootstrap_average
from civilly.score.significance import approximate_randomisation, holm


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four systems: two alike and good, one poor, one good that knows two languages only."""
    runs = tmp_path / "runs"
    write_scores(runs, "good", rows(0.8, seed=1))
    write_scores(runs, "alike", rows(0.8, seed=2))
    write_scores(runs, "poor", rows(0.4, seed=3))
    write_scores(runs, "narrow", rows(0.8, ("en", "ar"), seed=4))
    return runs


@pytest.fixture
def board(folder: Path) -> Board:
    return build(read_runs(folder).systems, {"en": {"spearman_J": 0.31}})


def index_of(board: Board, name: str) -> int:
    return next(i for i, system in enumerate(board.systems) if system.name == name)


# Comparisons


def test_all_pairs_at_once_are_what_the_score_room_says_pair_by_pair() -> None:
    rng = np.random.default_rng(3)
    strata = [rng.random((size, 4)) * [1, 1, 0.8, 0.9] for size in (40, 65)]
    other = [rng.random(scores.shape) for scores in strata]  # a second measure changes nothing
    both = [np.stack(each, axis=1) for each in zip(other, strata, strict=True)]
    _, (means, comparisons) = means_and_comparisons(both)
    for system in range(4):
        expected = bootstrap_average([scores[:, system] for scores in strata])  # type: ignore[misc]
        assert means[system].mean == pytest.approx(expected.mean, abs=1e-12)
        assert means[system].low == pytest.approx(expected.low, abs=1e-12)
        assert means[system].high == pytest.approx(expected.high, abs=1e-12)
        assert means[system].n == expected.n == 105
    pairs = list(combinations(range(4), 2))
    differences = [[scores[:, a] - scores[:, b] for scores in strata] for a, b in pairs]
    p = holm([approximate_randomisation(each) for each in differences])
    assert [(c.first, c.second) for c in comparisons] == pairs
    assert [c.p for c in comparisons] == pytest.approx(p, abs=1e-12)
    assert {c.significant for c in comparisons} == {True, False}
    for comparison, each in zip(comparisons, differences, strict=True):
        expected = bootstrap_average(each)  # type: ignore[arg-type]
        assert comparison.difference.mean == pytest.approx(expected.mean, abs=1e-12)
        assert comparison.difference.low == pytest.approx(expected.low, abs=1e-12)


def test_many_pairs_can_still_be_significant() -> None:
    """With 10,000 trials 1,000 pairs could not: 1,000 / 10,001 > .05."""
    scores = np.repeat(np.arange(34) / 100, 20).reshape(34, 20).T
    ((_, comparisons),) = means_and_comparisons([scores[:, None]])
    assert len(comparisons) == 561
    assert all(c.significant for c in comparisons)


def test_one_system_has_no_comparison() -> None:
    ((means, comparisons),) = means_and_comparisons([np.array([[[0.25]], [[0.75]]])])
    assert means[0].mean == 0.5
    assert comparisons == []


def pair(first: int, second: int, p: float) -> Comparison:
    return Comparison(first, second, Interval(0.1, 0.0, 0.2, 9), p)


def test_systems_share_a_rank_unless_the_groups_best_is_significantly_better() -> None:
    means = {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.6}
    some = [pair(0, 1, 0.2), pair(0, 2, 0.01), pair(0, 3, 0.01), pair(1, 2, 0.3), pair(1, 3, 0.01),
            pair(2, 3, 0.06)]  # fmt: skip
    assert tie_groups(means, some) == {0: 1, 1: 1, 2: 3, 3: 3}
    assert tie_groups(
        means, [pair(a, b, 0.5) for a, b in combinations(range(4), 2)]
    ) == dict.fromkeys(range(4), 1)
    assert tie_groups(means, [pair(a, b, 0.0) for a, b in combinations(range(4), 2)]) == {
        0: 1,
        1: 2,
        2: 3,
        3: 4,
    }
    assert tie_groups({7: 0.5}, []) == {7: 1}


def sentences(first: int, last: int) -> list[Sentence]:
    return [Sentence("en", str(number)) for number in range(first, last)]


def test_a_column_uses_the_sentences_that_all_its_systems_share() -> None:
    kept, shared = shared_sentences([sentences(0, 100), sentences(40, 600), sentences(0, 90), []])
    assert kept == (0, 1, 2)
    assert shared == sentences(40, 90)


def test_a_system_with_other_sentences_does_not_empty_the_column() -> None:
    kept, shared = shared_sentences([sentences(0, 600), sentences(0, 600), sentences(600, 1300)])
    assert (kept, len(shared)) == ((0, 1), 600)
    # Two systems with 3,000 sentences of their own against three that share a hundred.
    few, many = sentences(0, 100), sentences(1000, 4000)
    kept, shared = shared_sentences([many, few, few, many, few])
    assert (kept, shared) == ((1, 2, 4), few)


def test_few_sentences_are_enough_if_nobody_has_more() -> None:
    assert shared_sentences([sentences(0, 9), sentences(1, 9)])[0] == (0, 1)
    assert shared_sentences([sentences(0, 20), sentences(0, 20), sentences(0, 60)])[0] == (0, 1, 2)
    assert shared_sentences([sentences(0, 600), sentences(580, 1200)])[1] == sentences(580, 600)
    assert shared_sentences([[], []]) == ((), [])


def test_small_submissions_do_not_shrink_the_column() -> None:
    few, many = sentences(0, 4), sentences(0, 600)
    assert shared_sentences([few, many, few, many]) == ((1, 3), many)


@given(st.lists(st.sets(st.integers(0, 60)), max_size=6))
def test_what_is_shared_is_in_every_kept_system(sets: list[set[int]]) -> None:
    systems = [[Sentence("en", str(n)) for n in sorted(numbers)] for numbers in sets]
    kept, shared = shared_sentences(systems)
    assert all(set(shared) <= set(systems[i]) for i in kept)
    assert bool(kept) == any(sets)
    if kept:
        assert set(shared) == set.intersection(*(set(systems[i]) for i in kept))
        assert shared or len(kept) == 1


# The board


def test_means_are_plain_means_and_averages_weigh_languages_equally(board: Board) -> None:
    en = [row["J"] for row in rows(0.8, seed=1) if row["lang"] == "en"]
    good = index_of(board, "good")
    assert board.columns["en"].cells["J"][good].mean.mean == pytest.approx(sum(en) / 20)
    for name, codes in (("AvgP", PARALLEL_CODES), ("AvgNP", NEW_CODES)):
        cells = [board.columns[code].cells["SIM"][good].mean.mean for code in codes]
        assert board.columns[name].cells["SIM"][good].mean.mean == pytest.approx(
            sum(cells) / len(codes)
        )
        assert board.columns[name].n == 20 * len(codes)


def test_a_missing_language_is_a_gap_and_leaves_no_average(board: Board) -> None:
    narrow = index_of(board, "narrow")
    present = {name for name, column in board.columns.items() if narrow in column.cells["J"]}
    assert present == {"en", "ar"}
    assert list(board.columns) == ["AvgP", *PARALLEL_CODES, "AvgNP", *NEW_CODES]
    assert [system.name for system in board.systems[2:]] == ["poor", "narrow"]


def test_ranks_are_tie_groups(board: Board) -> None:
    ranks = {board.systems[i].name: c.rank for i, c in board.columns["AvgP"].cells["J"].items()}
    assert ranks == {"good": 1, "alike": 1, "poor": 3}
    ranks = {board.systems[i].name: c.rank for i, c in board.columns["en"].cells["STA"].items()}
    assert ranks == {"good": 1, "alike": 1, "narrow": 1, "poor": 4}


def test_comparisons_point_the_right_way_after_sorting(board: Board) -> None:
    for column in board.columns.values():
        for c in column.comparisons["J"]:
            assert c.first < c.second
            first, second = (column.cells["J"][i].mean.mean for i in (c.first, c.second))
            assert c.difference.mean == pytest.approx(first - second)
            assert c.difference.low <= c.difference.mean <= c.difference.high


def test_a_system_with_other_sentences_is_shown_unranked(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_scores(tmp_path, name, rows(0.6, ("tt",), n=40))
    write_scores(tmp_path, "elsewhere", rows(0.9, ("tt",), n=50, start=1000))
    board = build(read_runs(tmp_path).systems)
    cell = board.columns["tt"].cells["J"][index_of(board, "elsewhere")]
    assert (cell.rank, cell.mean.n, board.columns["tt"].n) == (None, 50, 40)
    markdown = tables.markdown(board)
    assert re.search(r"\| elsewhere \| \(\.\d{3} \[.*\], n=50\) \|", markdown)
    assert "not ranked" in render(board)


def test_two_suites_are_not_one_board(tmp_path: Path) -> None:
    write_scores(tmp_path, "one", rows(0.6, ("en",)), "first")
    write_scores(tmp_path, "one", rows(0.6, ("en",)), "second")
    runs = read_runs(tmp_path)
    with pytest.raises(CivillyError, match="2 suites: first, second"):
        chosen_suite(runs, "embedded")
    with pytest.raises(DataError, match="several suites"):
        build(runs.systems)
    assert chosen_suite(read_runs(tmp_path, "second"), "embedded") == "second"


# Reading


def test_scores_and_submissions_are_read_from_all_folders(tmp_path: Path) -> None:
    write_scores(tmp_path / "deep" / "er", "scored", rows(0.5, ("en",)))
    (tmp_path / "scored.tsv").write_text("toxic_sentence\tneutral_sentence\tlang\na\tb\ten\n")
    (tmp_path / "mine.tsv").write_text("id\tlang\ttoxic\toutput\n1\tru\tтак\tда\n2\tru\tтак\t\n")
    for part in ("x", "y"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "same.csv").write_text("toxic_sentence,neutral_sentence,lang\na,b,en\n")
    (tmp_path / "config.json").write_text('{"seed": 1}')
    (tmp_path / "words.tsv").write_text("word\nbad\n")
    (tmp_path / "log.txt").write_text("not looked at")
    runs = read_runs(tmp_path)
    assert [system.name for system in runs.systems] == ["scored"]
    assert [submission.name for submission in runs.submissions] == ["mine", "x/same", "y/same"]
    assert [row.output for row in runs.submissions[0].rows] == ["да", None]
    assert sorted(Path(warning.split(":")[0]).name for warning in runs.warnings) == [
        "config.json",
        "words.tsv",
    ]


def test_the_same_sentence_twice_is_two_sentences(tmp_path: Path) -> None:
    row = rows(0.5, ("en",), n=1)[0]
    write_scores(tmp_path, "one", [row, {**row, "output": "second"}])
    (system,) = read_runs(tmp_path).systems
    assert [sentence.occurrence for sentence in system.rows] == [0, 1]
    assert [row.output for row in system.rows.values()] == [row["output"], "second"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"J": 1.5}, "row 1: a score is outside"),
        ({"lang": "xx"}, "row 1"),
        ({"STA": None}, "row 1"),
    ],
)
def test_damaged_scores_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_scores(tmp_path, "one", [{**rows(0.5, ("en",), n=1)[0], **change}])
    with pytest.raises(DataError, match=message):
        read_runs(tmp_path)


def test_other_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        read_runs(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no scores"):
        read_runs(tmp_path)
    write_scores(tmp_path / "a", "one", rows(0.5, ("en",), n=1))
    write_scores(tmp_path / "b", "one", rows(0.5, ("en",), n=1))
    with pytest.raises(DataError, match="both the scores of 'one'"):
        read_runs(tmp_path)
    metric = {"lang": "en", "toxic": "a", "output": "b", "chrf": 0.5}
    write_scores(tmp_path / "c", "two", [metric], "chrf")
    with pytest.raises(DataError, match="lack J, STA, SIM, FL"):
        read_runs(tmp_path, "chrf")


def test_agreement_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "agreement.json"
    path.write_text('{"en": {"spearman_J": 0.31, "spearman_FL": null, "n": 940}, "tt": {}}')
    assert read_agreement(path) == {"en": {"spearman_J": 0.31}, "tt": {}}
    for bad in (
        "[]",
        "{",
        '{"xx": {}}',
        '{"en": {"spearman_J": 2}}',
        '{"en": {"spearman_J": "a"}}',
    ):
        path.write_text(bad)
        with pytest.raises(DataError):
            read_agreement(path)


# Failures and examples


def system(*outputs: tuple[str, str, float, float, float]) -> System:
    made = {
        Sentence("en", toxic): Row(
            output, (), {"J": sta * sim * fl, "STA": sta, "SIM": sim, "FL": fl}
        )
        for toxic, output, sta, sim, fl in outputs
    }
    return System("one", "formula", "", made)


def test_failures_are_shares_of_rows() -> None:
    shares = failure_shares(
        system(
            ("You fool", "you  FOOL ", 0.1, 1.0, 1.0),
            ("Ｆｏｏｌ", "Fool", 0.49, 0.9, 0.5),
            ("a fool", "a friend", 0.5, 0.49, 0.4),
            ("the fool", "hello", 1.0, 0.2, 1.0),
        )
    )
    assert shares == [0.5, 0.5, 0.5, 0.25]


def test_examples_lose_nothing(board: Board) -> None:
    packed = json.loads(gzip.decompress(example_data(board.systems)))
    assert len(packed) == 20 * 15
    assert [row[0] for row in packed] == [code for code in CODES for _ in range(20)]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for lang, _, references, outputs, made in packed:
        for index, place, *scores, copied in made:
            name = board.systems[index].name
            found.setdefault((name, lang), []).append((outputs[place], scores, copied, references))
    expected = rows(0.8, ("en", "ar"), seed=4)
    assert [row[0] for row in found["narrow", "ar"]] == [r["output"] for r in expected[20:]]
    assert found["narrow", "en"][3][1] == [
        round(1000 * expected[3][m]) for m in ("J", "STA", "SIM", "FL")
    ]
    assert [row[2] for row in found["narrow", "en"]] == [int(n % 5 == 0) for n in range(20)]
    assert found["narrow", "en"][1][3] == ["civil you dear person number 1"]


# Files


def test_the_files_say_the_same(board: Board, tmp_path: Path) -> None:
    paths = write_site(board, tmp_path / "new" / "site")
    assert [path.name for path in paths] == list(FILES)
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_site(board, tmp_path / "new" / "site")] == first
    cells = list(csv.DictReader(paths[2].read_text("utf-8").splitlines()))
    content = json.loads(paths[3].read_text("utf-8"))
    assert len(cells) == len(content["cells"]) == 4 * (3 * 17 + 2)
    key = {"system": "poor", "column": "AvgP", "measure": "J"}
    (cell,) = [c for c in cells if key.items() <= c.items()]
    mean = float(cell["mean"])
    plain = {
        code: [r["J"] for r in rows(0.4, seed=3) if r["lang"] == code] for code in PARALLEL_CODES
    }
    assert mean == pytest.approx(sum(sum(v) / len(v) for v in plain.values()) / 9, abs=1e-6)
    assert cell["rank"] == "3"
    assert f"3 · {mean:.3f}".replace("0.", ".") in paths[1].read_text("utf-8")
    worse = [
        c
        for c in content["comparisons"]
        if c["column"] == "AvgP" and c["measure"] == "J" and c["significant"]
    ]
    assert {(c["first"], c["second"]) for c in worse} == {("good", "poor"), ("alike", "poor")}
    lines = paths[1].read_text("utf-8").splitlines()
    assert "| good | poor |" in lines or "| alike | poor |" in lines
    assert "| *agreement with people* | – | ρ .31 | – | – | – | – | – | – | – | – |" in lines


def test_markdown_names_cannot_break_the_table(tmp_path: Path) -> None:
    write_scores(tmp_path, "a|b *c*", rows(0.5, ("en",)))
    line = next(
        x
        for x in tables.markdown(build(read_runs(tmp_path).systems)).splitlines()
        if "a" in x and "b" in x and x.startswith("| a")
    )
    assert line.startswith(r"| a\|b \*c\* | **1 · ")


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u202e"
    row = {**rows(0.5, ("en",), n=1)[0], "toxic": evil, "output": evil, "reference": evil}
    path = write_scores(tmp_path, "plain", [row])
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "system": evil, "signature": evil}), "utf-8")
    page = render(build(read_runs(tmp_path).systems))
    assert page.count("<script") == page.count("</script>") == 3  # ours: data, examples, code
    assert "<img" not in page
    assert "alert(1)" in page


def test_a_missing_extra_is_named(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[report\]"):
        render(board)


def test_axes_hold_their_values() -> None:
    rng = random.Random(1)
    for _ in range(200):
        values = [rng.random() for _ in range(rng.randint(1, 5))]
        axis = axis_of(values, 100, 300)
        assert 0 <= axis.low <= min(values) <= max(values) <= axis.high <= 1
        assert all(100 <= axis(value) <= 300 for value in [*values, *axis.ticks])
        assert 2 <= len(axis.ticks) <= 7


def test_labels_of_near_points_do_not_overlap() -> None:
    places = {i: (300.0 + 4 * i, 200.0 + 3 * i) for i in range(6)}
    boxes = [
        label.box for label in place_labels({i: f"system {i}" for i in places}, places).values()
    ]
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


# Command line


@pytest.fixture
def overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of plain arithmetic, installed like one of another package."""
    package = tmp_path / "package"
    package.mkdir()
    overlap_suite.install(package)
    monkeypatch.syspath_prepend(str(package))


@pytest.mark.usefixtures("overlap")
def test_submissions_are_scored_on_the_fly(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    head = "toxic_sentence\tneutral_sentence\tlang\n"
    (tmp_path / "dev.tsv").write_text(
        head + "you idiot go\tplease go\ten\nidiot here\thello here\ten\n"
    )
    (runs / "kind.tsv").write_text(head + "you idiot go\tplease go\ten\nidiot here\there\ten\n")
    (runs / "copy.tsv").write_text(
        head + "you idiot go\tyou idiot go\ten\nidiot here\tidiot here\ten\n"
    )
    site = tmp_path / "site"
    result = run(
        "leaderboard", runs, "-o", site, "--suite", "overlap", "-r", tmp_path / "dev.tsv", "--json"
    )
    # By hand: kind keeps 1 of 3 words and is the reference; then 1 of 2 words, fluency .5.
    cells = {(c["system"], c["measure"]): c["mean"] for c in json.loads(result.stdout)["cells"]}
    assert cells["kind", "J"] == pytest.approx((1 / 3 + 1 / 2 * 0.5) / 2, abs=1e-6)
    assert cells["copy", "J"] == 0.0
    assert cells["copy", "SIM"] == 1.0
    assert "overlap|other:0.5" in (site / "index.html").read_text("utf-8")
    again = ["leaderboard", runs, "-o", site, "--suite", "overlap"]
    before = {path: path.read_bytes() for path in site.iterdir()}
    with pytest.raises(CivillyError, match=r"index\.html.*leaderboard\.json exist\.") as error:
        run(*again)
    assert "--overwrite" in error.value.mend
    assert {path: path.read_bytes() for path in site.iterdir()} == before
    with pytest.raises(CivillyError, match="needs references"):
        run(*again, "--overwrite")
    (runs / "other.tsv").write_text(head + "unknown\tsentence\ten\n")
    with pytest.raises(CivillyError, match="1 of 1 rows of 'other' have no reference"):
        run(*again, "--overwrite", "-r", tmp_path / "dev.tsv")
    (runs / "other.tsv").unlink()
    run(*again, "--overwrite", "-r", tmp_path / "dev.tsv")
    assert {path: path.read_bytes() for path in site.iterdir()} == before


@pytest.mark.usefixtures("overlap")
def test_a_metric_is_not_a_suite(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("toxic_sentence\tneutral_sentence\tlang\na\tb\ten\n")
    with pytest.raises(CivillyError, match="not a suite"):
        run("leaderboard", tmp_path, "-o", tmp_path / "site", "--suite", "civility")


def test_the_verb_reads_scores_and_agreement(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "agreement.json").write_text('{"en": {"spearman_J": 0.31}}')
    result = run(
        "leaderboard", folder, "-o", tmp_path / "site", "--agreement", tmp_path / "agreement.json"
    )
    assert result.stdout == ""
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert "ρ .31" in page
    assert "suite <code>formula</code>" in page


def test_different_signatures_are_a_warning(tmp_path: Path) -> None:
    write_scores(tmp_path / "runs", "one", rows(0.5, ("en",)))
    path = write_scores(tmp_path / "runs", "two", rows(0.5, ("en",)))
    path.write_text(path.read_text("utf-8").replace("version:1", "version:2"), "utf-8")
    result = run("leaderboard", tmp_path / "runs", "-o", tmp_path / "site")
    assert "different signatures" in result.stderr
    assert "Not one scale" in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_few_sentences_are_ranked_and_the_page_says_by_which_rule(tmp_path: Path) -> None:
    write_scores(tmp_path, "good", rows(0.8, ("en", "tt"), n=8, seed=1))
    write_scores(tmp_path, "poor", rows(0.4, ("en", "tt"), n=8, seed=2))
    write_scores(tmp_path, "little", rows(0.8, ("en",), n=3, seed=3))  # fewer than half of 8
    board = build(read_runs(tmp_path).systems)
    by_name = {system.name: index for index, system in enumerate(board.systems)}
    cells = board.columns["en"].cells["J"]
    assert board.columns["en"].n == 8
    assert [cells[by_name[name]].rank for name in ("good", "poor", "little")] == [1, 2, None]
    page = " ".join(render(board).split())
    assert "fewer than 30 with the others (where nobody has 60: fewer than half of the" in page


def test_ranks_list_all_columns_and_copies_are_explained(board: Board) -> None:
    page = render(build(board.systems[:1]))
    ranks = page[page.index('<table class="ranks">') :]
    header = ranks[: ranks.index("</thead>")]
    assert header.count('<th scope="col">') == 17
    assert ranks[: ranks.index("</tbody>")].count("<td") == 17
    assert "<b>Copies.</b>" in page


def test_one_sentence_has_no_interval(tmp_path: Path) -> None:
    write_scores(tmp_path, "one", rows(0.8, ("en",), n=1, seed=1))
    write_scores(tmp_path, "two", rows(0.4, ("en",), n=1, seed=2))
    board = build(read_runs(tmp_path).systems)
    page = render(board)
    assert "null" in page
    assert re.search(r"\| 1 · \.\d{3} \[–\] \|", tables.markdown(board).replace("**", ""))
    for row in csv.DictReader(tables.csv(board).decode().splitlines()):
        assert (row["low"], row["high"]) == ("", "")
    content = json.loads(tables.json(board))
    assert {(c["low"], c["high"]) for c in content["cells"]} == {(None, None)}
    assert all(c["low"] is None and not c["significant"] for c in content["comparisons"])
