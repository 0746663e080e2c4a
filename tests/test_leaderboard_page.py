"""The leaderboard's page in a real browser: everything that can be seen, sorted and clicked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boards import CIVIL, TEXTS, rows, write_scores
from civilly.leaderboard.page import write_site
from civilly.leaderboard.runs import read_runs
from civilly.leaderboard.standings import build
from opened_page import PATIENCE, Opened, expect_shown, sync_api

EVIL = (
    "<script>window.stolen = 1</script></script><img src='http://127.0.0.1:9/x' onerror='stolen=2'>"
)
OVERRIDE = "\u202etxet desrever"
CONTRAST = """
() => {
  const shine = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (/^rgb\\(/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("td, th, p, small, b, label, h2, ins, del, li, .tick")]
    .filter((node) => node.getClientRects().length && node.textContent.trim())
    .map((node) => {
      const style = getComputedStyle(node);
      const ink = node instanceof SVGElement ? style.fill : style.color;
      const [a, b] = [shine(ink), shine(ground(node))].sort((x, y) => y - x);
      const name = node.tagName + "." + node.getAttribute("class");
      return [(a + 0.05) / (b + 0.05), name, node.textContent.trim().slice(0, 30)];
    })
    .filter(([ratio]) => ratio < 4.5)
    .slice(0, 5);
}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three systems in 15 languages; one knows four languages, one has an evil text."""
    folder = tmp_path_factory.mktemp("leaderboard")
    evil = {**rows(0.9, ("en",), n=1)[0], "toxic": "evil " + EVIL, "output": EVIL + OVERRIDE}
    write_scores(folder / "runs", "good", [evil, *rows(0.8, seed=1)])
    write_scores(folder / "runs", "poor", rows(0.4, seed=3))
    write_scores(folder / "runs", "narrow", rows(0.8, ("en", "ar", "zh", "tt"), n=60, seed=4))
    board = build(read_runs(folder / "runs").systems, {"en": {"spearman_J": 0.31}})
    write_site(board, folder / "site")
    return folder / "site" / "index.html"


@pytest.fixture
def opened(browser: Any, site: Path) -> Iterator[Opened]:
    opened = Opened(browser, site)
    yield opened
    opened.context.close()
    assert opened.complaints == []
    assert opened.requests == [site.as_uri()]


def test_tables_have_all_columns_and_gaps(opened: Opened) -> None:
    page = opened.page
    table = page.locator("table.scores >> visible=true")
    assert table.count() == 1
    assert table.locator("thead th").count() == 1 + 17
    assert "ρ .31" in table.locator("thead th").nth(2).inner_text()
    narrow = table.locator("tbody tr", has_text="narrow").locator("td")
    assert narrow.nth(0).inner_text() == "–"  # AvgP
    assert narrow.nth(1).inner_text().split()[0] == "1"  # en: rank, mean, interval


def test_the_measure_switches_everything(opened: Opened) -> None:
    page = opened.page
    before = page.locator("table.scores >> visible=true").inner_text()
    page.locator(".switch input[value=SIM]").check(force=True)
    assert page.locator("#meaning").inner_text() == "SIM: same content"
    assert page.locator("table.scores >> visible=true").inner_text() != before
    for kind in ("table.scores", "table.ranks", ".panels"):
        assert page.locator(f"{kind} >> visible=true").count() == 1
    assert "SIM" in page.locator("figcaption >> visible=true").first.inner_text()


def test_sorting_puts_gaps_last_in_both_directions(opened: Opened) -> None:
    page = opened.page
    table = page.locator("table.scores >> visible=true")
    heading = table.locator("thead th").nth(1)

    def names() -> list[str]:
        return [name.strip() for name in table.locator("tbody th").all_inner_texts()]

    assert names() == ["good", "poor", "narrow"]
    heading.locator("button").click()
    assert (heading.get_attribute("aria-sort"), names()) == (
        "ascending",
        ["poor", "good", "narrow"],
    )
    heading.locator("button").click()
    assert (heading.get_attribute("aria-sort"), names()) == (
        "descending",
        ["good", "poor", "narrow"],
    )
    table.locator("thead th button").first.click()
    assert names() == ["good", "narrow", "poor"]


def test_plots_are_there_and_large_enough(opened: Opened) -> None:
    page = opened.page
    plots = page.locator("svg.plot >> visible=true")
    assert plots.count() == 17 + 1
    for number in range(plots.count()):
        box = plots.nth(number).bounding_box()
        assert box["width"] > 150
        assert box["height"] > 60
        assert plots.nth(number).get_attribute("aria-label")
    page.select_option("#scatter-column", "tt")
    assert "in tt" in page.locator(".scatter svg >> visible=true").get_attribute("aria-label")
    assert page.locator(".scatter >> visible=true").locator("circle").count() == 3


def test_a_picked_system_is_followed(opened: Opened) -> None:
    page = opened.page
    page.locator("table.scores >> visible=true").locator(".pick", has_text="poor").click()
    picked = page.locator("tr.picked th >> visible=true").all_inner_texts()
    assert {name.split()[-1] for name in picked} == {"poor"}
    assert page.locator(".mark.picked >> visible=true").count() == 18
    page.locator("table.scores >> visible=true").locator(".pick", has_text="poor").click()
    assert page.locator(".picked").count() == 0


def test_the_matrix_says_who_is_better(opened: Opened) -> None:
    page = opened.page
    page.select_option("#matrix-column", "en")
    matrix = page.locator("#matrix")
    assert matrix.locator("tbody tr").count() == 3
    poor = matrix.locator("tbody tr", has_text="poor")
    assert poor.locator("td.worse").count() == 2
    poor.locator("td.worse").first.click()
    detail = page.inner_text("#matrix-detail")
    assert detail.startswith("poor is worse than ")
    assert "difference -." in detail
    assert matrix.locator("td.better").count() == 2


def test_examples_are_blurred_until_asked(opened: Opened) -> None:
    page = opened.page
    text = page.locator("#rows .text").first
    assert "blur" in text.evaluate("node => getComputedStyle(node).filter")
    assert page.locator("#rows").get_attribute("aria-hidden") == "true"
    page.click("#reveal")
    assert text.evaluate("node => getComputedStyle(node).filter") == "none"
    assert page.locator("#rows").get_attribute("aria-hidden") == "false"
    assert "toxic" in page.inner_text("#examples .warning")


def first_of(sentences: int) -> str:
    """What the first page of so many sentences says."""
    return f"1–{min(10, sentences)} of {sentences} sentences"


def test_examples_are_filtered_and_paged(opened: Opened) -> None:
    page = opened.page
    # 15 languages of 20, one evil, and 40 more in four languages.
    expect_shown(page, "1–10 of 461 sentences")
    assert page.locator("#rows article").count() == 10
    assert page.locator("#previous").is_disabled()
    page.click("#next")
    expect_shown(page, "11–20 of 461 sentences")
    page.select_option("[name=lang]", "zh")
    expect_shown(page, "1–10 of 60 sentences")
    for start in range(11, 60, 10):
        page.click("#next-below")
        expect_shown(page, f"{start}–{start + 9} of 60 sentences")
    assert page.locator("#next").is_disabled()
    page.select_option("[name=lang]", "en")
    page.select_option("[name=failure]", "copied")
    expect_shown(page, first_of(12))  # each fifth of 60
    page.select_option("[name=failure]", "toxic")
    page.select_option("[name=system]", label="poor")
    poor = [row for row in rows(0.4, seed=3) if row["lang"] == "en"]
    expected = sum(row["STA"] < 0.5 for row in poor)
    expect_shown(page, first_of(expected))
    page.fill("[name=low]", "0.45")
    expected = sum(row["STA"] < 0.45 for row in poor)
    assert 0 < expected < 20
    expect_shown(page, first_of(expected))
    page.select_option("[name=failure]", "broken")
    expected = sum(row["FL"] < 0.45 for row in poor)
    expect_shown(page, first_of(expected))
    page.select_option("[name=failure]", "")
    page.fill("[name=search]", "FOOL NUMBER 7")
    expect_shown(page, "1–1 of 1 sentences")
    page.fill("[name=search]", "nowhere to be found")
    expect_shown(page, "No sentence matches.")


def test_edits_are_marked_by_words_and_by_characters(opened: Opened) -> None:
    page = opened.page
    for lang, gone, new in (
        ("en", ["stupid fool"], ["dear person"]),
        ("zh", ["笨蛋"], ["朋友"]),
        ("ar", ["أحمق"], ["مخطئ"]),
    ):
        page.select_option("[name=lang]", lang)
        page.fill("[name=search]", TEXTS[lang].format(n=7))
        expect_shown(page, "1–1 of 1 sentences")
        output = page.locator("#rows .output").first
        sync_api.expect(output.locator("del")).to_have_text(gone, timeout=PATIENCE)
        sync_api.expect(output.locator("ins")).to_have_text(new, timeout=PATIENCE)
        page.uncheck("[name=edits]")
        sync_api.expect(output).to_have_text(CIVIL[lang].format(n=7), timeout=PATIENCE)
        assert output.locator("del, ins").count() == 0
        page.check("[name=edits]")


def test_right_to_left_texts_are_isolated(opened: Opened) -> None:
    page = opened.page
    page.select_option("[name=lang]", "he")
    expect_shown(page, first_of(20))
    text = page.locator("#rows .text").first
    assert (text.get_attribute("dir"), text.get_attribute("lang")) == ("rtl", "he")
    style = "node => [getComputedStyle(node).direction, getComputedStyle(node).unicodeBidi]"
    assert text.evaluate(style) == ["rtl", "isolate"]
    page.select_option("[name=lang]", "hin")
    first = page.locator("#rows .text").first
    sync_api.expect(first).to_have_attribute("lang", "hi-Latn", timeout=PATIENCE)


def test_markup_in_texts_stays_text(opened: Opened) -> None:
    page = opened.page
    page.fill("[name=search]", "window.stolen")
    expect_shown(page, "1–1 of 1 sentences")
    page.click("#reveal")
    page.uncheck("[name=edits]")
    output = page.locator("#rows .output").first
    sync_api.expect(output).to_have_text(EVIL + OVERRIDE, timeout=PATIENCE)
    assert page.evaluate("window.stolen") is None
    assert page.locator("#rows script, #rows img").count() == 0


def test_the_policy_forbids_other_scripts_and_the_network(browser: Any, site: Path) -> None:
    opened = Opened(browser, site)
    page = opened.page
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.stolen = 1";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "http://127.0.0.1:9/x.png";
          document.body.append(image);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.stolen") is None
    assert len(opened.complaints) >= 2
    assert all("Content Security Policy" in complaint for complaint in opened.complaints)
    opened.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_read_on_every_screen(browser: Any, site: Path, width: int, scheme: str) -> None:
    """No sideways scrolling, and a contrast of 4.5 (WCAG AA) for every text."""
    opened = Opened(browser, site, width, scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.click("#reveal")
    assert page.evaluate(CONTRAST) == []
    opened.context.close()
