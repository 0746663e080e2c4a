"""The moderator's page against a real server and the embedded model, in a real browser."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civilly.data.readings import read_readings
from opened_page import PATIENCE
from served_page import Desk, expect, served

ENGLISH = "You are a fucking idiot, read the article first."
ARABIC = "أنت غبي جدا ولا تفهم شيئا"
JAPANESE = "😀このアプリ、クソ重い"
CIVIL = "Thank you for the update!"
TWO = "This update is fucking useless. Your moderators are stupid morons."
THREAT, HARM = "I will find you and kill you.", "I want to kill myself"
EVIL = "you fucking idiot </script><script>window.stolen = 1</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def feedback(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback") / "feedback.jsonl"


@pytest.fixture(scope="module")
def site(feedback: Path) -> Iterator[str]:
    with served(feedback=feedback) as address:
        yield address


@pytest.fixture
def desk(browser: Any, site: str) -> Iterator[Desk]:
    opened = Desk(browser, site)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("text", "lang", "direction"),
    [(ENGLISH, "en", "ltr"), (ARABIC, "ar", "rtl"), (JAPANESE, "ja", "ltr")],
)
def test_a_comment_is_accepted_kept_edited_undone_and_exported(
    desk: Desk, tmp_path: Path, text: str, lang: str, direction: str
) -> None:
    desk.add(CIVIL, text)
    desk.expect_status(1, "unseen")
    shown = desk.row(1).locator(".marked .text")
    assert (shown.get_attribute("lang"), shown.get_attribute("dir")) == (lang, direction)
    assert desk.original(1) == text
    suggested = desk.result(1)
    assert suggested != text
    desk.row(1).locator(".accept").click()
    desk.expect_status(1, "accepted")
    desk.said("accepted, rude")
    desk.row(1).locator(".keep").click()
    desk.expect_status(1, "kept")
    assert desk.row(1).locator(".result").count() == 0
    desk.page.click("#undo")
    desk.expect_status(1, "accepted")
    assert desk.result(1) == suggested
    desk.page.click("#undo")
    desk.expect_status(1, "unseen")
    for _ in range(2):
        desk.page.click("#redo")
    desk.expect_status(1, "kept")
    desk.row(1).locator(".edit-text").click()
    field = desk.row(1).locator("textarea")
    assert (field.get_attribute("dir"), field.input_value()) == (direction, text)
    field.fill(f"{suggested} 🙂")
    desk.press("Control+Enter")
    desk.expect_status(1, "edited")
    # What somebody typed is measured by the server.
    expect(desk.row(1).locator(".figure [aria-hidden]")).to_have_text(
        re.compile(r"rude \d+ % → \d+ %"), timeout=PATIENCE
    )
    path = desk.export(tmp_path, "csv")
    assert path.name == "comments.reviewed.csv"
    first, second = csv.DictReader(path.open(encoding="utf-8", newline=""))
    assert (first["text"], first["rewritten"], first["decision"]) == (CIVIL, CIVIL, "civil")
    assert (second["text"], second["rewritten"]) == (text, f"{suggested} 🙂")
    assert (second["language"], second["decision"]) == (lang, "edited")
    assert float(second["p_toxic"]) > 0.5 > float(second["p_toxic_after"])
    found = desk.export(tmp_path, "jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["rewritten"] for line in found] == [CIVIL, f"{suggested} 🙂"]


def test_each_change_is_taken_left_and_reworded(desk: Desk) -> None:
    desk.add(TWO)
    buttons = desk.row(0).locator("button.edit")
    assert buttons.count() == 2
    whole = desk.result(0)
    buttons.nth(0).click()
    desk.expect_status(0, "partly")
    assert "fucking" in desk.result(0)
    assert "moron" not in desk.result(0)
    desk.row(0).get_by_role("button", name="Leave change 2").click()
    desk.expect_status(0, "kept")
    for change in (1, 2):
        desk.row(0).get_by_role("button", name=f"Take change {change}").click()
    desk.expect_status(0, "accepted")
    assert desk.result(0) == whole
    desk.row(0).get_by_role("button", name="Reword change 2").click()
    field = desk.row(0).get_by_label("Text instead of change 2")
    assert field.evaluate("(field) => field === document.activeElement")
    field.fill("asleep")
    desk.press("Enter")
    desk.expect_status(0, "edited")
    assert desk.result(0).rstrip(".").endswith("asleep")
    assert re.search(r"rude, \d+ % sure", desk.row(0).locator(".cards").inner_text())
    desk.page.click("#undo")
    assert desk.result(0) == whole


def test_other_wordings_language_and_strength(desk: Desk) -> None:
    desk.add(ENGLISH)
    desk.focus(0)
    first = desk.result(0)
    desk.row(0).locator(".wording").nth(1).click()
    desk.expect_status(0, "other")
    second = desk.result(0)
    assert second not in (first, ENGLISH)
    assert desk.original(0) == ENGLISH
    desk.press("ArrowLeft")
    assert desk.result(0) == first
    desk.row(0).get_by_label("Language of comment 1").select_option("de")
    desk.wait()
    assert desk.row(0).locator(".head h2 small").inner_text().strip() == "German"
    desk.expect_status(0, "unseen")
    desk.page.click("#undo")
    assert desk.row(0).locator(".head h2 small").inner_text().strip() == "English"
    assert desk.result(0) == first
    strength = desk.row(0).get_by_label("Strength for comment 1")
    strength.focus()
    with desk.page.expect_request("**/v1/rewrite") as asked:
        desk.press("End")
    assert json.loads(asked.value.post_data)["strength"] == 1
    desk.wait()


def test_the_keyboard_alone_is_enough(desk: Desk) -> None:
    desk.press("i")
    desk.page.keyboard.insert_text("\n".join([TWO, ENGLISH, ARABIC]))
    desk.press("Control+Enter")
    desk.wait()
    desk.press("j")
    assert desk.page.input_value("#input-text") == "j"  # letters in a field are letters
    desk.page.fill("#input-text", "")
    desk.page.locator("#input-text").blur()
    desk.press("j", "n", "x")
    desk.expect_status(0, "partly")
    desk.press("n", "x")
    desk.expect_status(0, "kept")
    desk.press("p", "a", "e", "Escape", "A")  # all of it, and on
    desk.expect_status(0, "accepted")
    desk.expect_status(1, "unseen")
    assert desk.row(1).get_attribute("aria-current") == "true"
    desk.press("a", "x")
    desk.expect_status(1, "accepted")
    desk.expect_status(2, "kept")
    desk.press("z", "z")
    desk.expect_status(1, "unseen")
    desk.press("Shift+Z")
    desk.expect_status(1, "accepted")
    desk.press("Control+z")
    desk.expect_status(1, "unseen")
    desk.press("j")
    assert desk.row(2).get_attribute("aria-current") == "true"
    wordings = desk.row(2).locator(".wording")
    if wordings.count() > 1:  # from right to left the next one is on the left
        desk.press("ArrowLeft")
        assert wordings.nth(1).get_attribute("aria-pressed") == "true"
    desk.press("k", "e")
    desk.page.keyboard.insert_text("Please. ")
    desk.press("Control+Enter")
    desk.expect_status(1, "edited")
    desk.press("?")
    assert desk.page.locator("#help-dialog").is_visible()
    desk.press("x")  # not behind a dialog
    desk.page.uncheck("#single-keys")
    desk.press("Escape")
    desk.focus(1)
    desk.press("x")
    desk.expect_status(1, "edited")


def test_work_survives_a_reload_until_it_is_cleared(desk: Desk) -> None:
    desk.add(ENGLISH, CIVIL, TWO)
    accepted = desk.result(0)
    desk.row(0).locator(".accept").click()
    desk.row(2).locator("button.edit").nth(1).click()
    partly = desk.result(2)
    asked = len([url for url in desk.requests if "v1/rewrite" in url])
    desk.page.reload()
    desk.expect_status(0, "accepted")
    desk.expect_status(2, "partly")
    assert (desk.result(0), desk.result(2)) == (accepted, partly)
    assert len([url for url in desk.requests if "v1/rewrite" in url]) == asked
    desk.page.click("#clear")
    desk.page.click("#clear-yes")
    expect(desk.page.locator(".row")).to_have_count(0)
    desk.page.reload()
    expect(desk.page.locator("#start")).to_be_visible()
    assert desk.page.locator(".row").count() == 0


def test_a_second_tab_says_that_the_first_keeps_the_work(desk: Desk) -> None:
    desk.add(CIVIL)
    other = desk.context.new_page()
    other.goto(desk.site)
    expect(other.locator("#memory")).to_contain_text("another tab")


def test_a_file_of_200_rows_goes_through_the_queue(desk: Desk, tmp_path: Path) -> None:
    rude = {3: ENGLISH, 40: EVIL, 120: 'a "quoted"\tfucking idiot,\nreally', 199: TWO}
    texts = [rude.get(number, f"Comment {number} was kind.") for number in range(200)]
    path = tmp_path / "queue.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "comment", "note"])
        writer.writerows([f"c-{i}", text, 'say, "hi"'] for i, text in enumerate(texts))
    desk.open(path)
    desk.wait()
    assert desk.page.inner_text("#working") == "200 comments, 196 civil"
    folded = desk.page.locator(".folded").all_inner_texts()
    assert len(folded) == 4
    assert folded[0] == "3 civil comments folded away (1 to 3): show"
    desk.page.locator(".folded button").first.click()
    assert desk.original(0) == texts[0]
    assert desk.row(0).evaluate("(row) => row === document.activeElement")
    desk.page.select_option("#filters [name=show]", "open")
    assert [int(row.get_attribute("data-row")) for row in desk.page.locator(".row").all()] == [
        *rude
    ]
    desk.focus(3)
    desk.press("a", "a", "x")
    expect(desk.page.locator("#count")).to_have_text("3 of 4 decided")
    desk.page.fill("#filters [name=search]", "MORON")
    expect(desk.page.locator(".row")).to_have_count(1)
    assert desk.page.evaluate("() => window.stolen === undefined")
    out = desk.export(tmp_path, "csv")
    assert out.name == "queue.reviewed.csv"
    rows = list(csv.DictReader(out.open(encoding="utf-8", newline="")))
    assert [row["id"] for row in rows] == [f"c-{i}" for i in range(200)]
    assert [row["comment"] for row in rows] == texts
    assert {row["note"] for row in rows} == {'say, "hi"'}
    decisions = {i: row["decision"] for i, row in enumerate(rows) if row["decision"] != "civil"}
    assert decisions == {3: "accepted", 40: "accepted", 120: "kept", 199: "unseen"}
    changed = {i for i, row in enumerate(rows) if row["rewritten"] != row["comment"]}
    assert changed == {3, 40}


def test_threats_and_self_harm_are_said_and_not_folded(desk: Desk) -> None:
    desk.add(THREAT, HARM)
    expect(desk.row(0).locator(".warning")).to_contain_text("may be a threat")
    expect(desk.row(1).locator(".warning")).to_contain_text("needs somebody to answer")
    assert desk.row(1).locator(".accept, .result").count() == 0


def test_rude_texts_are_blurred_until_they_have_the_focus(desk: Desk) -> None:
    desk.add(ENGLISH, CIVIL, TWO)
    blur = "(text) => getComputedStyle(text).filter"
    text = desk.row(2).locator(".marked .text")
    assert "blur" in text.evaluate(blur)
    desk.focus(2)
    expect(text).to_have_css("filter", "none")
    desk.press("b")
    expect(desk.row(0).locator(".marked .text")).to_have_css("filter", "none")


def test_an_overloaded_server_is_asked_again_and_no_row_is_lost(browser: Any, site: str) -> None:
    desk = Desk(browser, site)
    refusals = [(429, "1"), (503, "1"), (500, None), (None, None)]

    def refuse(route: Any) -> None:
        if not refusals:
            route.continue_()
            return
        status, wait = refusals.pop(0)
        if status is None:
            route.abort()
            return
        error = {"error": {"message": "The queue is full.", "mend": "wait"}}
        headers = {"Retry-After": wait} if wait else {}
        route.fulfill(status=status, json=error, headers=headers)

    desk.page.route("**/v1/*", refuse)
    desk.add(ENGLISH, CIVIL, wait=False)
    expect(desk.page.locator("#notice")).to_contain_text("Nothing is lost", timeout=PATIENCE)
    desk.wait()
    assert refusals == []
    desk.expect_status(0, "unseen")
    expect(desk.page.locator("#notice")).to_be_hidden()
    desk.close("Failed to load resource")


def test_a_refused_text_says_why_and_spoils_no_other(desk: Desk) -> None:
    desk.page.check('[name=lines][value="lines"]')
    desk.add("fucking " * 3000, CIVIL)
    desk.expect_status(0, "failed")
    expect(desk.row(0).locator(".warning")).to_contain_text("24,000 characters")
    desk.row(0).locator(".warning button").click()
    desk.wait()
    desk.expect_status(0, "failed")
    expect(desk.page.locator(".folded")).to_have_count(1)


def test_a_key_is_asked_for_and_sent(browser: Any, site: str) -> None:
    desk = Desk(browser, site)

    def guard(route: Any) -> None:
        if route.request.headers.get("authorization") == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"message": "No key.", "mend": "send one"}})

    desk.page.route("**/v1/*", guard)
    desk.add(CIVIL, wait=False)
    expect(desk.page.locator("#key-dialog")).to_be_visible()
    desk.page.fill("#key", "secret")
    desk.press("Enter")
    desk.wait()
    assert "secret" not in desk.page.evaluate("() => JSON.stringify({ ...localStorage })")
    desk.close("Failed to load resource")


def test_decisions_are_sent_only_when_somebody_says_so(desk: Desk, feedback: Path) -> None:
    desk.add(ENGLISH, TWO, CIVIL)
    suggested = [desk.result(0), desk.result(1)]
    desk.row(0).locator(".keep").click()
    desk.row(1).locator("button.edit").nth(1).click()
    assert not feedback.exists()
    desk.page.click("#export")
    desk.page.click("#feedback")
    desk.said("2 decisions sent")
    rows = [(r.text, r.rewrite, r.use) for r in read_readings(feedback)]
    assert rows == [
        (ENGLISH, suggested[0], 0), (TWO, suggested[1], 1), (TWO, desk.result(1), 2)
    ]  # fmt: skip
    desk.page.click("#export")
    desk.page.click("#feedback")
    desk.said("0 decisions sent")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(browser: Any, site: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    desk = Desk(browser, site, color_scheme=scheme)
    desk.page.set_viewport_size({"width": width, "height": 900})

    def check(where: str) -> None:
        found = axe.run(desk.page).response["violations"]
        serious = [
            (where, each["id"], node["html"][:200])
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]
        assert serious == []

    check("empty")
    desk.add(ENGLISH, CIVIL, ARABIC, JAPANESE, HARM, TWO)
    desk.row(0).locator(".accept").click()
    desk.row(5).locator("button.edit").nth(0).click()
    desk.page.uncheck("#blur")
    check("rows")
    assert desk.page.evaluate("() => document.documentElement.scrollWidth") == width
    desk.row(5).locator(".edit-text").click()
    check("editor")
    for dialog in ("help", "export", "clear"):
        desk.page.click(f"#{dialog}")
        check(dialog)
        desk.press("Escape")
    desk.close()


def test_the_page_may_load_and_ask_nothing_but_its_own(site: str) -> None:
    from urllib.request import urlopen

    with urlopen(site) as answer:
        policy = answer.headers["Content-Security-Policy"]
        content = answer.read().decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in policy
    assert re.findall(r"(?:src|href)=\"(?!page/|#)", content) == []


TABLES = [
    [["id", "text"], ["1", 'a "b", c'], ["2", "two\nlines"], ["3", ""]],
    [["text"], [" blanks "], ["\u202eنص"], ["😀,"]],
]


def test_files_are_read_as_others_read_them(desk: Desk, tmp_path: Path) -> None:
    chance = random.Random(7)
    alphabet = 'ab ,;\t"\n😀ش'
    tables = TABLES + [
        [["a", "b"], *(
            ["".join(chance.choices(alphabet, k=5)) + "x" for _ in range(2)] for _ in range(9)
        )]
        for _ in range(20)
    ]  # fmt: skip
    for table in tables:
        for delimiter in (",", "\t"):
            path = tmp_path / "table"
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, delimiter=delimiter).writerows(table)
            found = desk.page.evaluate(
                """async ([text, delimiter]) =>
                (await import("/page/files.js")).delimited(text, delimiter)""",
                [path.read_bytes().decode(), delimiter],
            )
            assert found == table


def test_edits_lead_from_one_text_to_the_other(desk: Desk) -> None:
    chance = random.Random(3)
    words = ["you", "idiot", " ", ", ", "not", "😀", "غبي", "クソ", "a b"]
    pairs = [
        ["".join(chance.choices(words, k=chance.randrange(12))) for _ in range(2)]
        for _ in range(200)
    ]
    made = desk.page.evaluate(
        """async (pairs) => { const { edits, apply } = await import("/page/diff.js");
        return pairs.map(([a, b]) => { const found = edits(a, b, "en");
        return [apply(a, found), found.map((e) => a.slice(e.start, e.end) === e.put)]; }); }""",
        pairs,
    )
    assert [text for text, _ in made] == [after for _, after in pairs]
    assert not any(same for _, flags in made for same in flags)
