"""Agreement with people against scipy, hand numbers and a plain bootstrap."""

import json
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from typer.testing import CliRunner

from civilly.cli import app
from civilly.errors import DataError
from civilly.score.agreement import MEAN, agreement, kendall, pairwise_accuracy, spearman
from civilly.score.human import Judgement, read_judgements

HEADER = "lang\tsystem\ttoxic\toutput\tSTA\tSIM\tFL\tmine\n"


def judged(rows: int = 240, seed: int = 1) -> tuple[list[Judgement], list[float]]:
    """Random judgements of 4 systems in two languages, and a metric that half follows them."""
    rng = random.Random(seed)
    judgements, metric = [], []
    for row in range(rows):
        system, lang = f"s{row % 4}", "en" if row < rows // 2 else "de"
        skill = (row % 4) / 4
        values = {name: float(rng.random() < 0.3 + 0.6 * skill) for name in ("STA", "SIM", "FL")}
        values["J"] = values["STA"] * values["SIM"] * values["FL"]
        text = f"sentence {row // 4}"
        judgements.append(Judgement(text, lang, system, f"out {row}", (), values, {}))
        metric.append(0.5 * values["SIM"] + rng.random())
    return judgements, metric


def of(judgements, lang, target):
    return [j.scores[target] for j in judgements if j.lang == lang]


def test_statistics_equal_scipy_and_means_by_hand():
    judgements, metric = judged()
    rows = {row.lang: row for row in agreement(metric, judgements, "SIM", resamples=0)}
    for lang in ("en", "de"):
        mine = [m for m, j in zip(metric, judgements, strict=True) if j.lang == lang]
        human = of(judgements, lang, "SIM")
        assert rows[lang].spearman.mean == pytest.approx(spearmanr(mine, human).statistic)
        assert rows[lang].kendall.mean == pytest.approx(kendalltau(mine, human).statistic)
        by_system = [(statistics.mean(mine[s::4]), statistics.mean(human[s::4])) for s in range(4)]
        expected = spearmanr(*zip(*by_system, strict=True)).statistic
        assert rows[lang].system_spearman.mean == pytest.approx(expected)
        assert (rows[lang].rows, rows[lang].sentences, rows[lang].systems) == (120, 30, 4)
    both = [rows[lang].spearman.mean for lang in ("en", "de")]
    assert rows[MEAN].spearman.mean == pytest.approx(statistics.mean(both))


def test_pairwise_accuracy_by_hand():
    # People: a > b > c = d. Five ordered pairs; the metric has ab wrong, ac tied, the rest right.
    metric = np.array([0.5, 0.7, 0.5, 0.1])
    human = np.array([0.9, 0.6, 0.2, 0.2])
    assert pairwise_accuracy(metric, human) == pytest.approx((0 + 0.5 + 1 + 1 + 1) / 5)
    assert np.isnan(pairwise_accuracy(metric, np.ones(4)))


def test_interval_agrees_with_a_plain_cluster_bootstrap():
    judgements, metric = judged(120)
    english = [(m, j) for m, j in zip(metric, judgements, strict=True) if j.lang == "en"]
    found = agreement([m for m, _ in english], [j for _, j in english], "SIM", resamples=800)[0]
    groups: dict[str, list[tuple[float, float]]] = {}
    for m, j in english:
        groups.setdefault(j.text, []).append((m, j.scores["SIM"]))
    rng, draws = random.Random(5), []
    for _ in range(800):
        chosen = [pair for _ in groups for pair in rng.choice(list(groups.values()))]
        draws.append(spearmanr(*zip(*chosen, strict=True)).statistic)
    draws.sort()
    assert found.spearman.low == pytest.approx(draws[20], abs=0.05)
    assert found.spearman.high == pytest.approx(draws[779], abs=0.05)
    assert found.spearman.low < found.spearman.mean < found.spearman.high


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=3, max_size=40))
def test_correlations_equal_scipy_with_ties(pairs):
    left, right = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    if len(set(left)) == 1 or len(set(right)) == 1:
        assert np.isnan(spearman(left, right))
        return
    assert spearman(left, right) == pytest.approx(spearmanr(left, right).statistic)
    assert kendall(left, right) == pytest.approx(kendalltau(left, right).statistic)
    assert spearman(np.exp(left), right) == pytest.approx(spearman(left, right))


def test_a_constant_metric_has_no_correlation():
    judgements, _ = judged(40)
    row = agreement([0.5] * 40, judgements, "J", resamples=10)[0]
    assert row.spearman is None and row.kendall is None
    assert row.pairwise_accuracy.mean == 0.5


def test_bad_scores_and_files_are_refused(tmp_path):
    judgements, metric = judged(8)
    with pytest.raises(DataError, match="7 scores for 8"):
        agreement(metric[:7], judgements, "J")
    with pytest.raises(DataError, match="Row 2"):
        agreement([0.1, float("nan"), *metric[2:]], judgements, "J")
    path = tmp_path / "human.tsv"
    path.write_text(HEADER + "en\ta\tx\ty\t1\t2\t1\t0\n", "utf-8")
    with pytest.raises(DataError, match="row 1, column 'SIM'"):
        read_judgements(path)
    path.write_text(HEADER + "xx\ta\tx\ty\t1\t1\t1\t0\n", "utf-8")
    with pytest.raises(DataError, match="'xx'"):
        read_judgements(path)


def test_command_line_compares_a_column(tmp_path):
    rng = random.Random(3)
    lines, human, mine = [], [], []
    for row in range(40):
        sim, score = rng.randint(0, 1), rng.random()
        human.append(sim)
        mine.append(score + 0.4 * sim)
        lines.append(f"en\tsys{row % 4}\tin {row // 4}\tout\t1\t{sim}\t1\t{mine[-1]}\n")
    path = tmp_path / "human.tsv"
    path.write_text(HEADER + "".join(lines), "utf-8")
    command = ["agreement", "--column", "mine", "--judgements", str(path), "--resamples", "20"]
    shown = CliRunner().invoke(app, [*command, "--json"])
    assert shown.exit_code == 0, shown.output
    targets = json.loads(shown.stdout)["targets"]
    value = targets["SIM"]["measured"][0]["spearman"]["value"]
    assert value == pytest.approx(spearmanr(mine, human).statistic)
    assert targets["STA"]["measured"][0]["spearman"] is None  # people said the same of all rows
    table = CliRunner().invoke(app, command).stdout
    assert f"{value:.2f}".replace("0.", ".") in table


def test_published_figures_stand_beside(shared_data):
    command = ["agreement", "--column", "XCOMET-LITE", "--judgements", "russe2022_ru",
               "--target", "SIM", "--resamples", "0", "--data", str(shared_data)]  # fmt: skip
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "published, spearman: XCOMET-lite ru .46 mean .46" in shown.stdout


def test_one_source_sentence_has_no_interval():
    judgements, metric = judged()
    few = [row for row, j in enumerate(judgements) if j.text == "sentence 3"]
    one = agreement([metric[r] for r in few], [judgements[r] for r in few], "SIM", resamples=20)
    values = [v for v in (one[0].spearman, one[0].system_spearman) if v is not None]
    assert values
    assert all((v.low, v.high) == (None, None) for v in values)


@pytest.mark.parametrize("named", [[], ["embedded", "--column", "mine"]])
def test_one_thing_is_compared(named):
    result = CliRunner().invoke(app, ["agreement", *named])
    assert "civilly agreement reading" in result.exception.mend


def test_without_data_the_mend_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CIVILLY_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["agreement", "embedded"])
    assert isinstance(result.exception, DataError)
    assert "no part of the package" in result.exception.problem
    assert "CIVILLY_DATA" in result.exception.mend
    assert "--judgements FILE" in result.exception.mend


def test_a_judge_reports_progress_and_gives_the_same_scores(server, tmp_path, monkeypatch):
    server.control(judge="just")
    path = tmp_path / "judged.tsv"
    rows = [f"en\ts{n % 3}\tyou idiot {n}\t{'you ' * (n % 2)}{n}\t1\t{n % 2}\t.5\n"
            for n in range(20)]  # fmt: skip
    path.write_text(HEADER.replace("\tmine", "") + "".join(rows))
    result = CliRunner().invoke(
        app, ["agreement", "judge", "--judgements", str(path), "--engine", server.spec(), "--json"]
    )
    assert result.exit_code == 0, result.exception
    assert "scoring with judge: 20/20 rows" in result.stderr
    assert json.loads(result.stdout)["targets"]["SIM"]["measured"][0]["rows"] == 20
