"""The pages tell what the benchmarks found, and their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from conftest import REPOSITORY, benchmark


def pages() -> list[Path]:
    """The Markdown files of the repository, and no others that lie in its folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    names = listed.stdout.split() or ["README.md", "BENCHMARKS.md", "CONTRIBUTING.md"]
    return [REPOSITORY / name for name in names if (REPOSITORY / name).exists()]


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_the_pages_are_what_the_benchmarks_left() -> None:
    for path, text in benchmark("assemble").assembled().items():
        assert path.read_text("utf-8") == text, f"python benchmarks/assemble.py ({path.name})"


def test_no_page_of_benchmarks_is_left_over_and_no_result_is_left_out() -> None:
    assemble = benchmark("assemble")
    made = {path for path in assemble.assembled() if path.parent.name == "benchmarks"}
    assert {*(REPOSITORY / "docs" / "benchmarks").iterdir()} == made
    shown = {part.file for page in assemble.PAGES for part in page.parts}
    assert {path.name for path in assemble.RESULTS.glob("*.md")} <= shown


@pytest.mark.parametrize("path", pages(), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, heading = target.partition("#")
        if "://" in target:
            continue
        linked = (path.parent / file).resolve() if file else path
        if path.is_relative_to(REPOSITORY / "benchmarks"):
            linked = REPOSITORY / file  # read where `assemble` puts them
        assert linked.exists(), target
        if heading:
            found = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
            assert heading in map(anchor, found), target


def test_pages_that_are_cited_by_title_exist() -> None:
    titles = {page.title for page in benchmark("assemble").PAGES}
    cited = 0
    for folder in ("src", "recipes", "docs"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.suffix in (".md", ".toml", ".py"):
                text = " ".join(path.read_text("utf-8").split())
                for match in re.findall(r'BENCHMARKS\.md[,:]? ((?:(?:and )?"[^"]+",? ?)+)', text):
                    for title in re.findall(r'"([^"]+)"', match):
                        cited += 1
                        assert title in titles, f"{path}: {title}"
    assert cited
