"""The recipes of docs/infill.md name families, models and options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from civilly.engines.hf_target import Target
from civilly.engines.openai import Target as Server
from civilly.methods.fillers import FILLERS
from civilly.methods.fillers.fim import FimFiller
from civilly.methods.fim_formats import FORMATS, family_of, format_of
from civilly.methods.infill import InfillRewriter
from civilly.types import Detection, Span, Text

PAGE = (Path(__file__).parents[1] / "docs" / "infill.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line.replace("\\\n", " "))
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in re.split(r"(?<!\\)\n", block)
    if "civilly rewrite" in line
]


def options_of(command: list[str]) -> dict[str, str]:
    pairs = [command[i + 1] for i, word in enumerate(command) if word == "--option"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_every_family_has_a_row_with_its_licence():
    rows = {
        cells[0].strip("` "): cells
        for line in PAGE.splitlines()
        if line.startswith("| `") and len(cells := line.strip("|").split("|")) == 5
    }
    assert FORMATS.keys() <= rows.keys()
    for name, form in FORMATS.items():
        assert [each.strip() for each in rows[name][3].split(",")] == list(form.layouts)
        for model in re.findall(r"`([\w.-]+/[\w.-]+)`", rows[name][1]):
            assert family_of(model) is form, model


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_can_be_read(command):
    given = options_of(command)
    assert {*given} <= {"order", "family", "decoding", "filler", "model"}
    assert given.get("filler", "fim") in FILLERS
    if "--engine" not in command:
        assert Target.parse(given["model"]).model
        return
    kind, _, target = command[command.index("--engine") + 1].partition(":")
    model = Target.parse(target).model if kind == "hf" else Server.parse(target).model
    form = format_of(given["family"]) if "family" in given else family_of(model)
    form.layout(given.get("order"))


def test_as_many_beams_are_searched_as_the_page_says():
    asked = []

    class Remembers:
        def generate(self, prompts, options):
            asked.append((options.n, options.beams, options.temperature))
            return [[] for _ in prompts]

    detector = SimpleNamespace(detect=lambda texts: [Detection(0.0) for _ in texts])
    rewriter = InfillRewriter(FimFiller(Remembers(), FORMATS["starcoder2"]), detector)
    text = Text("You are a stupid person, please go.", "en")
    rewriter.rewrite([text], [Detection(0.9, (Span(10, 16, 0.9),))], 4)
    assert "`-n 4` searches with three beams" in PAGE
    assert asked == [(3, 0, 0.0)]


def test_every_family_of_others_has_a_command():
    shown = " ".join(" ".join(command) for command in COMMANDS)
    found = {
        family_of(model).name
        for model in re.findall(r"hf:([\w./-]+)", shown)
        if "mine" not in model
    }
    assert found | {"civilly"} >= FORMATS.keys() - {"starcoder"} and "starcoder" in found
