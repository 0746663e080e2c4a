"""infill: holes in whole words, nothing else touched, and nothing toxic back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from civilly.detect.by_sentence import open_detector
from civilly.detect.toxicity import create as toxicity
from civilly.detect.words import whole_words, words
from civilly.errors import CivillyError
from civilly.languages import CODES
from civilly.methods.banned_words import BannedWords
from civilly.methods.delete import delete_spans
from civilly.methods.fillers import open_filler
from civilly.methods.fillers.fim import FimFiller
from civilly.methods.fillers.plain import PlainFiller
from civilly.methods.fim_formats import FORMATS
from civilly.methods.fim_middles import ask_middles
from civilly.methods.holes import Filling, Gap, filled, gap_at, holes_of
from civilly.methods.infill import InfillRewriter, create
from civilly.pipeline import Detoxifier
from civilly.types import Detection, Generation, GenerationOptions, Prompt, Span, Text
from test_contracts import NASTY, Given

TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("ab  .,'\n你好老ガーのאבن्यـة\u0301\u200d🙂"), st.characters()
    ),
    max_size=60,
)
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=5)


class Scripted:
    """Gives every gap the same fillings, and remembers the gaps."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.gaps: list[Gap] = []

    def fill(self, gaps: Sequence[Gap], n: int) -> list[list[Filling]]:
        self.gaps += gaps
        return [[Filling(text, -0.1 * i) for i, text in enumerate(self.texts)] for _ in gaps]


class Calm:
    """A detector that finds nothing toxic."""

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        return [Detection(0.0) for _ in texts]


def candidates(
    text: str, lang: str, spans: Sequence[Span], filler: Scripted, n: int = 9
) -> list[str]:
    rewriter = InfillRewriter(filler, Calm())
    found = rewriter.rewrite([Text(text, lang)], [Detection(0.9, tuple(spans))], n)[0]
    return [candidate.text for candidate in found]


@settings(max_examples=300, deadline=None)
@given(TEXT, SPANS, st.sampled_from(CODES), st.lists(st.text(max_size=8), min_size=9))
@example("   ", [(0, 3)], "en", [""] * 9)
@example("You ugly, mean man, you damned liar", [(4, 4), (24, 6)], "en", ["", "kind"] * 9)
def test_outside_the_holes_every_byte_stays(
    text: str, ranges: list[tuple[int, int]], lang: str, made: list[str]
) -> None:
    spans = [Span(a, min(a + size, len(text))) for a, size in ranges if a < len(text)]
    holes = holes_of(text, spans, lang)
    bounds = words(text, lang)
    place = 0
    for start, end in holes:
        assert place <= start < end <= len(text)
        assert whole_words(start, end, bounds) == (start, end)
        place = end
    fillings = made[: len(holes)]
    put, empty = text, []
    for (start, end), filling in reversed([*zip(holes, fillings, strict=True)]):
        if filling:
            put = put[:start] + filling + put[end:]
            grown = len(filling) - (end - start)
            empty = [Span(span.start + grown, span.end + grown) for span in empty]
        else:
            empty.append(Span(start, end))
    assert filled(text, holes, fillings) == delete_spans(put, empty)
    if not empty:
        assert filled(text, holes, fillings) == put


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("lang", ["en", "zh", "ja", "ar"])
def test_real_inputs_stay_outside_their_holes(text: str, lang: str) -> None:
    text = text[:2_000]
    detection = toxicity().detect([Text(text, lang)])[0]
    holes = holes_of(text, detection.spans, lang)
    (proposed,) = InfillRewriter(Scripted("ok"), Calm(), most_holes=999).rewrite(
        [Text(text, lang)], [detection], 9
    )
    full = filled(text, holes, ["ok"] * len(holes))
    assert (full in [candidate.text for candidate in proposed]) == bool(holes)
    kept = [
        text[a:b]
        for (_, a), (b, _) in zip([(0, 0), *holes], [*holes, (len(text),) * 2], strict=True)
    ]
    assert full == "ok".join(kept)


def test_several_holes_are_filled_from_left_to_right() -> None:
    filler = Scripted("kind")
    text = "You stupid man are an ugly liar, really."
    spans = [Span(4, 10, 0.9), Span(22, 31, 0.8)]
    assert candidates(text, "en", spans, filler)[0] == "You kind man are an kind, really."
    assert [(g.before, g.cut, g.after) for g in filler.gaps] == [
        ("You ", "stupid", " man are an, really."),
        ("You kind man are an ", "ugly liar", ", really."),
    ]


def test_the_worst_holes_are_filled_and_the_others_deleted() -> None:
    spans = [Span(4, 10, 0.5), Span(22, 31, 0.8)]
    rewriter = InfillRewriter(Scripted("kind"), Calm(), most_holes=1)
    text = Text("You stupid man are an ugly liar, really.", "en")
    found = rewriter.rewrite([text], [Detection(0.9, tuple(spans))], 9)[0]
    assert "You man are an kind, really." in [candidate.text for candidate in found]


def test_deletion_is_always_among_them_and_n_is_kept() -> None:
    spans = [Span(8, 14, 0.9)]
    assert "You are man" in candidates("You are stupid man", "en", spans, Scripted("a", "b", "c"))
    assert len(candidates("You are stupid man", "en", spans, Scripted("a", "b", "c"), n=2)) == 2


def test_holes() -> None:
    def cut(text: str, lang: str, *parts: str) -> list[str]:
        spans = [Span(text.index(part), text.index(part) + len(part)) for part in parts]
        return [text[a:b] for a, b in holes_of(text, spans, lang)]

    assert cut("a stupid, ugly man", "en", "stup", "gly") == ["stupid, ugly"]
    assert cut("so stupid is ugly man", "en", "stupid", "ugly") == ["stupid is ugly"]
    assert cut("so stupid that ugly man", "en", "stupid", "ugly") == ["stupid", "ugly"]
    assert cut(" you idiot! ", "en", "you idiot") == ["you idiot!"]
    assert cut("このメーカーは遅いです", "ja", "カ") == ["メーカー"]
    assert cut("nothing here at all", "en") == []
    assert cut("अरे मूर्ख है गधा, यह लेख पढ़ो", "hi", "मूर्ख", "गधा") == ["मूर्ख है गधा"]
    assert cut("अरे मूर्ख आदमी गधा, यह लेख पढ़ो", "hi", "मूर्ख", "गधा") == ["मूर्ख", "गधा"]
    assert cut("so stupid\nugly man there", "en", "stupid", "ugly") == ["stupid", "ugly"]
    assert cut("so stupid a\nugly man there", "en", "stupid", "ugly") == ["stupid", "ugly"]
    assert cut("so stupid a b ugly man", "en", "stupid", "ugly") == ["stupid", "ugly"]
    assert cut("that is ok ❤\ufe0fidiot", "en", "idiot") == ["idiot"]
    assert holes_of("   ", [Span(0, 3)], "en") == []


@pytest.mark.parametrize(
    ("lang", "cut", "filling", "back"),
    [
        ("en", "stupid idiot", "1d10t", True),
        ("en", "stupid idiot", "i d i o t", True),
        ("en", "stupid idiot", "idiotic", True),
        ("en", "stupid idiot", "unwise man", False),
        ("en", "fuck", "f**k", True),
        ("en", "ass", "class", False),
        ("ru", "дурак", "дуpaк", True),  # Latin p and a
        ("zh", "白痴", "大白 痴", True),
        ("ja", "クソ", "クソゲー", True),
        ("ar", "غبي", "غَبِي", True),
        ("hi", "मूर्ख", "समझदार", False),
        ("hi", "मूर्ख", "मासूम", False),
        ("hi", "मूर्ख", "बड़ा मूर्ख", True),
    ],
)
def test_what_comes_back(lang: str, cut: str, filling: str, back: bool) -> None:
    banned = BannedWords(Text(f"x {cut} y", lang), [Span(2, 2 + len(cut))])
    assert banned.found_in(filling) == back


def test_a_toxic_filling_is_dropped() -> None:
    text = Text("You are a damn fool, please go.", "en")
    detection = Detection(0.9, (Span(10, 19, 0.9),))
    rewriter = InfillRewriter(Scripted("fucking moron", "dAmn", "person"), toxicity())
    (found,) = rewriter.rewrite([text], [detection], 9)
    assert [c.text for c in found if "person" not in c.text] == ["You are a, please go."]


class Answers:
    """An engine with the same answers to every prompt, which can also score text."""

    def __init__(self, *answers: Generation) -> None:
        self.answers = list(answers)
        self.prompts: list[Prompt] = []

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        self.prompts += prompts
        return [self.answers[: options.n] for _ in prompts]

    def logprobs(
        self, prompts: Sequence[Prompt], texts: Sequence[str], adapter: str | None = None
    ) -> list[float]:
        return [-float(len(text)) for text in texts]


def test_fim_reads_what_belongs_into_the_hole() -> None:
    gap = Gap("You are a ", "damn fool", ", please go.", "en")
    engine = Answers(
        Generation(" wise man", -0.2),
        Generation(" wise man, please go.", -0.3),  # goes on with the text after the hole
        Generation(" broken of", -0.4, finished=False),
        Generation(" person" * 20, -0.5),  # far longer than the hole
        Generation(", so", -0.5),
        Generation(" person\nEnglish\nYou", -0.6, finished=False),  # stops at a line break
        Generation(" ", -0.7),
    )
    filler = FimFiller(engine, FORMATS["civilly"])
    (found,) = filler.fill([gap], 9)
    assert [(f.text, f.logprob) for f in found] == [
        ("wise man", -0.2),
        ("person", -0.6),
        ("", -0.7),
    ]


def test_what_the_token_limit_broke_off_is_no_filling() -> None:
    gap = Gap("You are a", " damn fool ", "(please go).", "en")
    engine = Answers(
        Generation(" wise ", finished=False),
        Generation("  ", finished=False),
        Generation("\nYou are", finished=False),  # what was read is whole: nothing
    )
    (found,) = FimFiller(engine, FORMATS["civilly"]).fill([gap], 9)
    assert [each.text for each in found] == [""]


class Stops(Answers):
    """Remembers the stops of each prompt, by the prompt's text."""

    def __init__(self) -> None:
        super().__init__(Generation("x"))
        self.stops: dict[str, tuple[str, ...]] = {}

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        self.stops |= {prompt.text: options.stop for prompt in prompts}
        return [[Generation(prompt.text)] for prompt in prompts]


def test_a_holes_stops_and_place_do_not_depend_on_its_batch() -> None:
    gaps = [Gap("a ", "b", " c", "en"), Gap("d ", "e\nf", " g", "en"), Gap("h ", "i", "", "en")]
    together, alone = Stops(), Stops()
    form, options = FORMATS["starcoder"], GenerationOptions()
    rows = ask_middles(together, form, gaps, options)
    assert rows == [ask_middles(alone, form, [gap], options)[0] for gap in gaps]
    assert together.stops == alone.stops
    assert ["\n" in alone.stops[row[0].text] for row in rows] == [True, False, True]


def test_plain_ranks_by_what_follows() -> None:
    gap = Gap("You are a ", "damn fool", ", please go.", "en")
    engine = Answers(Generation(" good man and a"), Generation(" fine"))
    (found,) = PlainFiller(engine).fill([gap], 3)
    assert [f.text for f in found] == ["good", "fine", "good man"]
    assert found[1].logprob == -float(len(" fine, please go."))
    assert PlainFiller(engine).fill([Gap("", "fool", " go", "en")], 2) == [[]]


def test_options() -> None:
    for options, hint in (
        ({"filler": "fimm"}, "fim"),
        ({"holes": 0}, "1 or more"),
        ({"order": "pms"}, "psm"),
        ({"cut": "maybe"}, "shown"),
        ({"family": "starcoder", "cut": "shown"}, "hidden"),
    ):
        with pytest.raises(CivillyError, match=hint):
            create(Given("echo", options, open_detector()))
    tools = Given("echo", {"filler": "delete"}, open_detector())
    assert open_filler(tools, tools.options).fill([Gap("a ", "b", " c", "en")], 3) == [
        [Filling("")]
    ]


def test_methods_together() -> None:
    text = "You are a damn fool, please go."
    result = Detoxifier(
        "duplicate+infill", engine="echo", options={"infill.filler": "delete"}
    ).rewrite([text], "en")[0]
    assert {candidate.method for candidate, _ in result.candidates} >= {"duplicate", "infill"}
    with pytest.raises(CivillyError, match="twice"):
        Detoxifier("infill+infill", engine="echo")
    with pytest.raises(CivillyError, match="One adapter"):
        Detoxifier("duplicate+infill", engine="echo", adapter="folder")
    with pytest.raises(CivillyError, match=r"prompt.*Allowed: duplicate, infill"):
        Detoxifier("duplicate+infill", engine="echo", options={"prompt.holes": 1})


def test_gaps_show_what_the_text_will_be() -> None:
    text = "(crap) one shit two"
    gap = gap_at(text, [(1, 5), (11, 15)], 1, [""], "en")
    assert gap == Gap("one ", "shit", " two", "en")
