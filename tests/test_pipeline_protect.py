"""What must not be touched comes back byte for byte, whatever is proposed or preferred."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from civilly import registry
from civilly.cli import app
from civilly.detect.protected import keeps_protected
from civilly.pipeline import Detoxifier
from civilly.pipeline.protect import REFUSED, KeepsProtected, mended
from civilly.pipeline.stand_ins import shortened
from civilly.types import Candidate, Choice, Detection, Scores, Span, Text

LINK = "https://example.org/list?page=12"
SOURCE = f"Read {LINK} first, you stupid idiot."
SELECTORS = [entry.name for entry in registry.entries("select")]


class Proposes:
    """A method that proposes what it was given, and remembers what it was asked."""

    def __init__(self, *proposals, generates=False):
        self.proposals, self.generates, self.seen = proposals, generates, []

    def rewrite(self, texts, detections, n=1):
        self.seen += zip(texts, detections, strict=True)
        return [[Candidate(p, "test", -0.1) for p in self.proposals] for _ in texts]

    def score(self, texts, proposals):
        self.seen += [*texts, *proposals]
        return [-0.2] * len(proposals)


class TakesTheFirst:
    """A selector without scruples."""

    def worth_trying(self, detection):
        return True

    def satisfied(self, choice):
        return True

    def select(self, texts, detections, candidates):
        scores = Scores(1.0, 1.0, 1.0, 1.0)
        return [
            Choice(row[0] if row else None, "the first", tuple((c, scores) for c in row))
            for row in candidates
        ]


def made_of(method, select=None):
    made = Detoxifier("duplicate", select=select)
    made.__dict__["_rewriter"] = method
    return made


@pytest.mark.parametrize("select", [*SELECTORS, None])
@pytest.mark.parametrize(
    "broken",
    ["Read it first.", f"Read {LINK} and {LINK} first.", "Read https://example.org first, @all."],
)
def test_a_proposal_that_breaks_it_is_refused_with_the_reason(select, broken):
    made = made_of(Proposes(broken), select)
    if select is None:
        made.__dict__["_selector"] = TakesTheFirst()
    (result,) = made.rewrite([SOURCE], "en")
    assert result.rewritten == SOURCE
    assert REFUSED in result.reason
    assert [(c.text, s.refused) for c, s in result.candidates] == [(broken, REFUSED)]


@pytest.mark.parametrize("select", SELECTORS)
def test_another_proposal_is_taken_and_the_refused_one_stands_behind_it(select):
    good = f"Read {LINK} first, please."
    (result,) = made_of(Proposes("Read it first.", good), select).rewrite([SOURCE], "en")
    assert result.rewritten == good
    assert [(c.text, s.refused) for c, s in result.candidates] == [
        (good, None), ("Read it first.", REFUSED)
    ]  # fmt: skip


def test_what_is_spelt_differently_at_its_place_is_put_right():
    wrong = "Read https://Example.org/list?page=21 first."
    assert mended(SOURCE, wrong) == f"Read {LINK} first."
    assert mended("Ask @Mo at 9:30, idiot.", "Ask @mo at 9:20.") == "Ask @Mo at 9:30."
    (result,) = made_of(Proposes(wrong), "rerank").rewrite([SOURCE], "en")
    assert result.rewritten == f"Read {LINK} first."


@pytest.mark.parametrize("unsure", ["Read @all first.", "Read it first.", f"{LINK} and {LINK}"])
def test_where_it_is_not_sure_nothing_is_put_right(unsure):
    assert mended(SOURCE, unsure) == unsure


THINGS = (
    LINK, "max.muster@firma-xy.de", "`git push --force`", "/var/log/nginx/access.log",
    "@kermit_2019", '<a href="/profil/anna">', "#SaveTheParkNow", "{{user_name}}",
    "2024-11-30", "@user1", "XJ-900",
)  # fmt: skip
WORDS = ("Read", "das", "читай", "idiot", "भाई", "please", "傻逼", "غبي", "again,")

texts = st.lists(st.sampled_from(THINGS + WORDS), max_size=9).map(" ".join)


@given(texts, st.randoms(use_true_random=False))
def test_stand_ins_give_back_what_they_stand_for(text, random):
    places = [i for i in range(len(text)) if text[i : i + 5] == "idiot" or random.random() < 0.05]
    spans = tuple(Span(i, min(len(text), i + 5), 0.9) for i in places[::5])
    short = shortened(Text(text, "en"), Detection(0.9, spans, ("threat",)))
    assert short.told(short.text.text) == text
    assert short.told(short.given(text)) == text
    if len(set(text.split())) == len(text.split()):
        assert short.given(text) == short.text.text
    cut = [text[span.start : span.end] for span in spans]
    assert [short.text.text[s.start : s.end] for s in short.detection.spans] == cut
    assert short.detection.flags == ("threat",)
    assert not set(short.originals) & set(text.split())


@given(st.lists(st.sampled_from(THINGS), min_size=1, max_size=4), st.booleans())
def test_a_model_that_copies_names_keeps_everything(things, drops):
    """It reads short names only, and what it drops or repeats is refused."""
    text = Text(" ".join([*things, "you idiot"]), "en")
    short = shortened(text, Detection(0.9))
    assert len(short.text.text) <= len(text.text)
    answer = short.text.text.replace(" you idiot", "")
    assert keeps_protected(text.text, short.told(answer))
    if short.originals:
        name = next(iter(short.originals))
        wrong = answer.replace(name, "" if drops else f"{name} {name}", 1)
        assert not keeps_protected(text.text, short.told(wrong))


def test_only_a_method_that_generates_gets_stand_ins_also_to_score_with():
    method = Proposes("Read @user1 first, please.", generates=True)
    made = made_of(method, "rerank")
    (result,) = made.rewrite([SOURCE], "en")
    assert f"Read {LINK} first, please." in [candidate.text for candidate, _ in result.candidates]
    (given, found), *scored = method.seen
    assert given.text == "Read @user1 first, you stupid idiot."
    assert given.text[found.spans[-1].start : found.spans[-1].end].endswith("stupid idiot")
    assert scored[0] == given
    assert scored[1].startswith("Read @user1 first")
    plain = Proposes(f"Read {LINK} first.")
    made_of(plain).rewrite([SOURCE], "en")
    assert plain.seen[0][0].text == SOURCE


def test_the_selector_itself_is_asked_about_the_rest():
    law = KeepsProtected(TakesTheFirst())
    assert law.worth_trying(Detection(0.0))
    assert law.satisfied(Choice(None, ""))
    assert law.select([], [], []) == []


def test_the_trace_of_the_command_line_shows_refusals_and_faults():
    asked = ["rewrite", "You are fucking wrong about this.", "-l", "en", "-m", "delete", "--json"]
    found = json.loads(CliRunner().invoke(app, asked).stdout)
    assert found["candidates"][0]["scores"]["faults"] == {}
    assert found["candidates"][0]["scores"]["refused"] is None
    assert found["before"]["flags"] == found["after"]["flags"] == []
