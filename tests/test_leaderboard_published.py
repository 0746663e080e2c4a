"""The page over all published systems and one of ours, scored here, clicked in a real browser.

What it must show is worked out once more from the files of scores.
"""

from __future__ import annotations

import json
import random
import statistics
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from civilly import registry
from civilly.data.alignment import AlignedRow
from civilly.languages import CODES, NEW_CODES, PARALLEL_CODES
from civilly.leaderboard.agreement import read_agreement
from civilly.leaderboard.page import ROWS_PER_PAGE, write_site
from civilly.leaderboard.runs import Submission, read_runs, sentences_of
from civilly.leaderboard.scoring import score_submission
from civilly.leaderboard.standings import build
from civilly.pipeline import Detoxifier, Toolbox
from civilly.score.scores_file import write_scores
from conftest import REPOSITORY, benchmark
from opened_page import PATIENCE, Opened, expect_shown

OURS = "civilly delete"
SENTENCES = 5
"""Of each system in each language; all that can be compared get the same ones."""
MEASURES = ("J", "STA", "SIM", "FL")
AVERAGED = {"AvgP": PARALLEL_CODES, "AvgNP": NEW_CODES}
COLUMNS = ("AvgP", *PARALLEL_CODES, "AvgNP", *NEW_CODES)
FAILING = {
    "toxic": lambda row: round(1000 * row["STA"]) < 500,
    "copied": lambda row: plain(row["toxic"]) == plain(row["output"]),
    "lost": lambda row: round(1000 * row["SIM"]) < 500,
    "broken": lambda row: round(1000 * row["FL"]) < 500,
}
"""What the page calls a failure, on the thousandths that it shows."""
CELLS = """rows => rows.map(row => [...row.cells].map(cell => ({
  text: cell.innerText.trim(), kind: cell.className, value: cell.dataset.value,
  ground: getComputedStyle(cell).backgroundColor })))"""
PLOTS = """figures => figures.map(figure => {
  const box = (node) => (({x, y, width, height}) => [x, y, width, height])(
    node.getBoundingClientRect());
  return {
    caption: figure.querySelector("figcaption")?.textContent,
    box: box(figure.querySelector("svg")),
    titles: [...figure.querySelectorAll(".mark title")].map(title => title.textContent),
    circles: [...figure.querySelectorAll(".mark circle")].map(box) }; })"""
EXAMPLES = """articles => articles.map(article => [
  article.querySelector(".input").textContent,
  [...article.querySelectorAll("tbody tr")].map(row => [
    row.querySelector("th").textContent,
    ...[...row.querySelectorAll(".score")].map(cell => Number(cell.textContent))])])"""


@dataclass(frozen=True)
class Published:
    """A page and what it was made of.

    Attributes:
        site: The page.
        rows: Rows of the files of scores, by system.
    """

    site: Path
    rows: dict[str, list[dict[str, Any]]]

    def of(self, system: str, lang: str) -> list[dict[str, Any]]:
        return [row for row in self.rows[system] if row["lang"] == lang]

    @cached_property
    def texts(self) -> dict[str, dict[str, frozenset[str]]]:
        """By language: the sentences of each system that has any."""
        found = {
            lang: {s: frozenset(row["toxic"] for row in self.of(s, lang)) for s in self.rows}
            for lang in CODES
        }
        return {lang: {s: t for s, t in of.items() if t} for lang, of in found.items()}

    @cached_property
    def shared(self) -> dict[str, frozenset[str]]:
        """By language: the sentences that most of the published systems have."""
        return {
            lang: Counter(t for s, t in texts.items() if s != OURS).most_common(1)[0][0]
            for lang, texts in self.texts.items()
        }

    @cached_property
    def ranked(self) -> dict[str, set[str]]:
        """By column: the systems that have all shared sentences."""
        found = {
            lang: {system for system, t in texts.items() if t >= self.shared[lang]}
            for lang, texts in self.texts.items()
        }
        averages = {
            name: set.intersection(*map(found.__getitem__, codes))
            for name, codes in AVERAGED.items()
        }
        return found | averages

    def mean(self, system: str, column: str, measure: str) -> float:
        """On the shared sentences; of a system that is not ranked, on its own."""
        if column in AVERAGED:
            return statistics.mean(self.mean(system, c, measure) for c in AVERAGED[column])
        ranked = system in self.ranked[column]
        texts = self.shared[column] if ranked else self.texts[column][system]
        return statistics.mean(r[measure] for r in self.of(system, column) if r["toxic"] in texts)


def some_rows(submission: Submission) -> Submission:
    """The same few sentences of each language for every system that has the same ones."""
    keys = sentences_of(submission.rows)
    wanted = set()
    for lang in CODES:
        mine = sorted(key for key in keys if key.lang == lang and key.occurrence == 0)
        wanted.update(random.Random(lang).sample(mine, min(SENTENCES, len(mine))))
    pairs = zip(keys, submission.rows, strict=True)
    return Submission(submission.name, [row for key, row in pairs if key in wanted])


def ours(others: list[Submission]) -> Submission:
    """Our rewrites, by the cheapest method, of all sentences of the others."""
    found = {(row.lang, " ".join(row.toxic.split())) for each in others for row in each.rows}
    langs, texts = zip(*sorted(found), strict=True)
    made = Detoxifier("delete").rewrite(texts, langs)
    return Submission(OURS, [AlignedRow(r.lang, r.text, r.rewritten, ()) for r in made])


@pytest.fixture(scope="module")
def published(
    shared_data: Path, browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    folder = tmp_path_factory.mktemp("published")
    module = benchmark("leaderboard")
    every = module.submissions(shared_data, folder / "none.tsv")
    shared = {submission.name: submission for submission in module.restricted(every)}
    submissions = [some_rows(shared.get(each.name, each)) for each in every]
    submissions.append(ours(submissions))
    (folder / "scores").mkdir()
    rows = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIVILLY_CACHE", str(folder / "cache"))
        suite = registry.create("score", "embedded", Toolbox(None, {}))
        for number, submission in enumerate(submissions):
            path = folder / "scores" / f"{number}.json"
            write_scores(path, score_submission(submission, "embedded", suite))
            rows[submission.name] = json.loads(path.read_text("utf-8"))["rows"]
    agreement = read_agreement(REPOSITORY / "benchmarks" / "results" / "agreement_embedded.json")
    board = build(read_runs(folder / "scores").systems, agreement)
    write_site(board, folder / "site")
    return Published(folder / "site" / "index.html", rows)


@pytest.fixture(scope="module")
def opened(browser: Any, published: Published) -> Iterator[Opened]:
    """One page for all tests: opening it takes longer than most of them."""
    opened = Opened(browser, published.site)
    yield opened
    opened.context.close()
    assert opened.complaints == []
    assert opened.requests == [published.site.as_uri()]


def cells_of(table: Any) -> dict[str, list[dict[str, Any]]]:
    """The cells of a table's rows, by system."""
    rows = table.locator("tbody tr").evaluate_all(CELLS)
    return {head["text"]: cells for head, *cells in rows}


def test_every_published_system_is_there(
    opened: Opened, published: Published, shared_data: Path
) -> None:
    files = {path.stem for path in (shared_data / "submissions").rglob("*.tsv")}
    assert len(files) == 20
    table = opened.page.locator("table.scores >> visible=true")
    assert cells_of(table).keys() == files | {OURS} == published.rows.keys()
    assert "21 systems" in opened.page.inner_text(".facts")
    assert opened.page.locator(".warning", has_text="Not one scale").count() == 0


def test_the_tables_hold_the_means(opened: Opened, published: Published) -> None:
    for measure in MEASURES:
        opened.page.locator(f".switch input[value={measure}]").check(force=True)
        table = opened.page.locator("table.scores >> visible=true")
        headings = [text.split()[0] for text in table.locator("thead th").all_inner_texts()]
        assert headings == ["System", *COLUMNS]
        for system, cells in cells_of(table).items():
            for column, cell in zip(COLUMNS, cells, strict=True):
                if system in published.ranked[column]:
                    rank, mean, interval = cell["text"].split()
                    assert ("first" in cell["kind"]) == (rank == "1")
                    low, high = map(float, interval.split("–"))
                    assert low - 0.006 <= float(mean) <= high + 0.006
                elif column not in AVERAGED and system in published.texts[column]:
                    mean, number, n = cell["text"].replace("n", " n").split()
                    mean = mean.strip("()")
                    assert (number, int(n)) == ("n", SENTENCES)
                else:
                    assert cell["text"] == "–"
                    continue
                expected = published.mean(system, column, measure)
                assert float(cell["value"]) == pytest.approx(expected, abs=1e-9)
                assert float(mean) == pytest.approx(expected, abs=0.000501)


def test_the_heat_map_is_coloured_by_rank(opened: Opened, published: Published) -> None:
    for measure in MEASURES:
        opened.page.locator(f".switch input[value={measure}]").check(force=True)
        table = cells_of(opened.page.locator("table.ranks >> visible=true"))
        assert table.keys() == published.rows.keys()
        for place, column in enumerate(COLUMNS):
            cells = {system: cells[place] for system, cells in table.items()}
            ranked = {system for system, cell in cells.items() if cell["text"] != "–"}
            assert ranked == published.ranked[column]
            first = [cell for cell in cells.values() if cell["text"] == "1"]
            assert {cell["kind"] for cell in first} == {"shade-1"}
            grounds = {cell["ground"]: int(cells[s]["text"]) for s, cell in cells.items()
                       if s in ranked}  # fmt: skip
            assert "rgba(0, 0, 0, 0)" not in grounds
            assert (len(grounds) > 1) == any(rank > 1 for rank in grounds.values())


def test_every_plot_shows_every_ranked_system(opened: Opened, published: Published) -> None:
    page = opened.page
    for measure in MEASURES:
        page.locator(f".switch input[value={measure}]").check(force=True)
        panels = page.locator(".panels >> visible=true").locator("figure")
        for plot, column in zip(panels.evaluate_all(PLOTS), COLUMNS, strict=True):
            assert f"{measure}, n = " in plot["caption"]
            check_plot(plot, published.ranked[column])
    for column in COLUMNS:
        page.select_option("#scatter-column", column)
        (plot,) = page.locator(".scatter >> visible=true").evaluate_all(PLOTS)
        check_plot(plot, published.ranked[column])


def check_plot(plot: dict[str, Any], systems: set[str]) -> None:
    """One mark per system, named, inside a plot of a visible size."""
    left, top, width, height = plot["box"]
    assert min(width, height) > 40
    assert {title.rpartition(": ")[0] for title in plot["titles"]} == systems
    assert len(plot["circles"]) == len(systems)
    for x, y, size, _ in plot["circles"]:
        assert size > 0
        assert left <= x <= left + width
        assert top <= y <= top + height


def test_the_matrix_compares_every_pair(opened: Opened, published: Published) -> None:
    page, results = opened.page, Counter[str]()
    page.locator(".switch input[value=J]").check(force=True)
    for column in COLUMNS:
        page.select_option("#matrix-column", column)
        rows = cells_of(page.locator("#matrix"))
        names = {name.partition(" ")[2] for name in rows}
        assert names == published.ranked[column]
        kinds = [[cell["kind"] for cell in cells] for cells in rows.values()]
        mirrored = {"self": "self", "better": "worse", "worse": "better", "equal": "equal"}
        for i, row in enumerate(kinds):
            assert [mirrored[kind] for kind in row] == [other[i] for other in kinds]
            results.update(row)
    assert results["better"] > 0
    page.select_option("#matrix-column", "AvgP")
    page.locator("#matrix td.better").first.click()
    assert " is better than " in page.inner_text("#matrix-detail")


def test_failures_are_counted(opened: Opened, published: Published) -> None:
    shown = cells_of(opened.page.locator("table.failures"))
    assert shown.keys() == published.rows.keys()
    every = [row for rows in published.rows.values() for row in rows]
    for system, (number, *shares) in shown.items():
        rows = published.rows[system]
        assert int(number["text"].replace(",", "")) == len(rows)
        for share, fails in zip(shares, FAILING.values(), strict=True):
            expected = statistics.mean(map(fails, rows))
            assert float(share["value"]) == pytest.approx(expected, abs=1e-9)
            assert share["text"] == f"{expected:.0%}"
    found = {kind for kind, fails in FAILING.items() for row in every if fails(row)}
    assert found >= {"toxic", "copied", "lost"}


def test_examples_are_filtered_by_language_and_failure(
    opened: Opened, published: Published
) -> None:
    page = opened.page
    everything = {(r["lang"], r["toxic"]) for rows in published.rows.values() for r in rows}
    expect_shown(page, f"1–{ROWS_PER_PAGE} of {len(everything)} sentences")
    page.click("#reveal")
    for lang in CODES:
        page.select_option("[name=lang]", lang)
        expect_examples(page, published, lang, None, None)
    for failure in FAILING:
        page.select_option("[name=failure]", failure)
        for lang, system in (("en", None), ("ru", "mt0_baseline"), ("tt", OURS)):
            page.select_option("[name=system]", label=system or "any system")
            page.select_option("[name=lang]", lang)
            expect_examples(page, published, lang, failure, system)


def expect_examples(
    page: Any, published: Published, lang: str, failure: str | None, system: str | None
) -> None:
    """Every sentence where the system, or any, fails; each with all outputs and scores."""
    made: dict[str, dict[str, dict[str, Any]]] = {}
    for name, rows in published.rows.items():
        for row in rows:
            if row["lang"] == lang:
                made.setdefault(" ".join(row["toxic"].split()), {})[name] = row
    wanted = {
        text: by_system
        for text, by_system in made.items()
        if any(
            failure is None or FAILING[failure](row)
            for name, row in by_system.items()
            if system in (None, name)
        )
    }
    shown = settled_examples(page, set(wanted))
    assert {text for text, _ in shown} == wanted.keys()
    n = len(wanted)
    first = f"1–{min(n, ROWS_PER_PAGE)} of {n} sentences"
    expect_shown(page, first if n else "No sentence matches.")
    for text, rows in shown:
        assert {name for name, *_ in rows} == wanted[text].keys()
        for name, *scores in rows:
            expected = [wanted[text][name][measure] for measure in MEASURES]
            assert scores == pytest.approx(expected, abs=0.0056)  # rounded twice


def settled_examples(page: Any, wanted: set[str]) -> list[Any]:
    """Input, and per system its name and scores, once the form has settled on the wanted inputs.

    The form waits a moment for more input; how many rows are shown may be the same before.
    """
    patient_until = time.monotonic() + PATIENCE / 1000
    while True:
        shown = all_examples(page)
        if {text for text, _ in shown} == wanted or time.monotonic() > patient_until:
            return shown
        page.wait_for_timeout(50)


def all_examples(page: Any) -> list[Any]:
    """What the form shows, page by page; the first is shown again at the end.

    The form may be drawn anew meanwhile: a button that is disabled then does nothing, where a click
    of the browser's driver would wait until it is enabled.
    """
    shown: list[Any] = page.locator("#rows article").evaluate_all(EXAMPLES)
    while page.locator("#next").is_enabled():
        page.locator("#next").evaluate("(button) => button.click()")
        shown += page.locator("#rows article").evaluate_all(EXAMPLES)
    while page.locator("#previous").is_enabled():
        page.locator("#previous").evaluate("(button) => button.click()")
    return shown


def plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())
