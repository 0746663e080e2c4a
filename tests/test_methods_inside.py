"""Steer and soften on tiny Gemma 2 and Gemma 3, with autoencoders of every layout; explanations."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from civilly import registry
from civilly.cli import app
from civilly.errors import CivillyError, EngineError, MissingExtraError, ModelError
from civilly.methods.same_language import left_language
from civilly.methods.soften import Edit, SoftenRewriter, rejoined
from civilly.pipeline import Detoxifier, Toolbox
from civilly.types import Detection, Span, Text

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_models  # noqa: E402
import tiny_saes  # noqa: E402
from civilly.engines.rollback import TRIES, Decoded, Decoder, Watch  # noqa: E402
from civilly.methods.toxic_options import Inside, open_inside  # noqa: E402

TEXTS = [
    Text("You people never read the article", "en"),
    Text("Этот человек опять ничего не понял", "ru"),
    Text("", "en"),
    Text("把粗鲁的句子改写", "zh"),
]
DETECTIONS = [
    Detection(0.9, (Span(4, 10),)),
    Detection(0.9, (Span(5, 12),)),
    Detection(0.0),
    Detection(0.9, (Span(1, 3),)),
]


@dataclass(frozen=True)
class Made:
    """Tiny models of one family, with a file of what is toxic for each layout."""

    engine: str
    files: dict[str, Path]

    def tools(self, layout: str = "gemma_scope", **options: Any) -> Toolbox:
        return Toolbox(self.engine, {"toxic": str(self.files[layout]), **options})


@pytest.fixture(scope="module", params=["gemma2", "gemma"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp(request.param)
    model = tiny_models.MODELS[request.param](folder / "model")
    files = {
        layout: tiny_saes.toxic(model, tiny_saes.save(folder, layout), folder / f"{layout}.st")
        for layout in tiny_saes.LAYOUTS
    }
    return Made(f"hf:{model}", files)


def prompts_of(inside: Inside) -> list[list[int]]:
    rows = inside.subject.encode([text.text for text in TEXTS])
    return [[*inside.subject.opening, *row.ids] for row in rows]


@pytest.mark.parametrize("method", ["steer", "soften"])
def test_every_layout_gives_the_same(made: Made, method: str) -> None:
    rows = []
    for layout in tiny_saes.LAYOUTS:
        tools = made.tools(layout, threshold="0.5")
        rows.append(registry.create("methods", method, tools).rewrite(TEXTS, DETECTIONS))
        assert [len(row) for row in rows[-1]] == [len(row) for row in rows[0]]
    assert rows[0] == rows[1] == rows[2]
    assert rows[0][2] == []


def test_nobody_watching_is_what_transformers_generates(made: Made) -> None:
    inside = open_inside(made.tools())
    subject = inside.subject
    subject.model.float()
    for prompt, answer in zip(
        prompts_of(inside), Decoder(subject, prompts_of(inside), [12] * 4).run(), strict=True
    ):
        given = torch.tensor([prompt])
        wanted = subject.model.generate(
            input_ids=given, attention_mask=torch.ones_like(given), max_new_tokens=12,
            do_sample=False,
        )[0, len(prompt) :].tolist()  # fmt: skip
        ended = 1 in wanted
        assert answer.finished == ended
        assert answer.text == subject.decode(wanted)


def watching(inside: Inside, threshold: float) -> Watch:
    anything = frozenset({"Latin", "Cyrillic", "Han", "Kana", "Arabic"})
    return Watch(inside.layer, inside.toxic.mass, inside.why, threshold, [anything] * 4)


def test_words_above_the_threshold_are_taken_back(made: Made) -> None:
    inside = open_inside(made.tools())
    prompts = prompts_of(inside)
    free = Decoder(inside.subject, prompts, [12] * 4).run()
    never = Decoder(inside.subject, prompts, [12] * 4, watching(inside, 1e9)).run()
    assert [a.text for a in never] == [a.text for a in free]
    assert not any(answer.replacements for answer in never)
    strict = Decoder(inside.subject, prompts, [12] * 4, watching(inside, 0.5)).run()
    told = [each for answer in strict for each in answer.replacements]
    assert told
    for each in told:
        assert each.mass > 0.5
        assert each.tries <= TRIES or each.put_mass <= each.mass  # the least bad was taken
        assert each.tries >= 1
        assert sum(part["mass"] for part in each.why) <= each.mass + 0.01 or len(each.why) == 5
    assert any(each.put != each.word for each in told)


def test_the_words_that_stay_are_as_light_as_told(made: Made) -> None:
    """The answer is read again, alone: no word that was settled below the threshold is above it."""
    inside = open_inside(made.tools())
    inside.subject.model.float()
    prompts = prompts_of(inside)
    for prompt, answer in zip(
        prompts, Decoder(inside.subject, prompts, [12] * 4, watching(inside, 0.5)).run(),
        strict=True,
    ):  # fmt: skip
        if any(each.put_mass > 0.5 for each in answer.replacements) or "\ufffd" in answer.text:
            continue  # given up there
        ids = list(answer.ids)
        if inside.subject.decode(ids) != answer.text or not ids:
            continue
        stream = torch.from_numpy(inside.subject.read([[*prompt, *ids]], inside.layer)[0])
        mass = inside.toxic.mass(stream[len(prompt) :]).tolist()
        for token, height in zip(ids[:-1], mass[:-1], strict=True):
            spelt = inside.subject.decode([token])
            assert height <= 0.51 or not any(map(str.isalnum, spelt))


def test_the_stream_is_changed_from_its_place_on(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a cache and in a batch as in one text that is read anew for each token."""
    inside = open_inside(made.tools())
    subject = inside.subject
    subject.model.float()
    monkeypatch.setattr("civilly.methods.soften.MOST_WRITTEN", 8)
    prompts, starts = prompts_of(inside), [3, 2, 0, 1]
    plain = [answer.ids for answer in Decoder(subject, prompts, [8] * 4).run()]
    nothing = SoftenRewriter(inside, Edit(strength=0)).continued(prompts, starts)
    assert [answer.ids for answer in nothing] == plain
    for how, strength in (("zero", 2.0), ("clamp", 1.0), ("project", 1.0)):
        found = SoftenRewriter(inside, Edit(how, strength)).continued(prompts, starts)
        for prompt, start, answer in zip(prompts, starts, found, strict=True):
            row = list(prompt)

            def late(stream: Any, first: int = start, h: str = how, s: float = strength) -> Any:
                changed = inside.toxic.removed(stream[:, first:], h, s)
                return torch.cat([stream[:, :first], changed], 1)

            with subject.editing(inside.layer, late):
                for token in answer.ids:
                    assert int(subject.next_logits([row])[0].argmax()) == token
                    row.append(token)
        assert how == "project" or [answer.ids for answer in found] != plain


def test_a_place_is_written_anew_and_told(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tiny random model says never meets the text, so it is told what to say."""
    said = {"en": " kind folk never read", "ru": " друг опять ничего не", "zh": "礼貌的句子"}

    def continued(self: Any, prompts: Any, starts: Any) -> list[Decoded]:
        asked = [self._inside.subject.decode(list(prompt)) for prompt in prompts]
        lang = ["en" if "You" in each else "ru" if "Этот" in each else "zh" for each in asked]
        return [Decoded(said[each], -0.5, finished=False) for each in lang]

    monkeypatch.setattr(SoftenRewriter, "continued", continued)
    rows = registry.create("methods", "soften", made.tools()).rewrite(TEXTS, DETECTIONS)
    assert [row[0].text if row else None for row in rows[:3]] == [
        "You kind folk never read the article", "Этот друг опять ничего не понял", None,
    ]  # fmt: skip
    trace = rows[0][0].trace
    assert trace["places"] == [
        {"start": 4, "end": 11, "cut": "people", "put": "kind folk", "rejoined": True}
    ]
    assert (trace["edit"], trace["strength"], trace["layer"]) == ("zero", 1.0, tiny_saes.LAYER)


@pytest.mark.parametrize(
    ("continuation", "rest", "wanted"),
    [
        (" kind people, leave us", ", leave us alone!", (" kind people, ", 2)),
        (" nothing and stay the", " idiots and stay there", (" nothing ", 8)),  # cut off
        (" nothing and stray", " idiots and stay there", None),
        (" nothing and stay there", " idiots and stay there", (" nothing ", 8)),
        ("这个人，快走", "，快走吧", ("这个人，", 1)),
        (" good", "", None),
        (" goodness the", " the dog", (" goodness ", 1)),
        (" is not", " isn't so", None),
    ],
)  # fmt: skip
def test_it_rejoins_where_both_agree_longest(
    continuation: str, rest: str, wanted: tuple[str, int] | None
) -> None:
    assert rejoined(continuation, rest) == wanted


def test_a_rewrite_that_left_its_language_is_known() -> None:
    english = Text("You people never read the article before you comment", "en")
    german = "Ihr lest den Artikel nie, bevor ihr ihn kommentiert, das ist schade"
    assert left_language([english] * 3, [english.text, german, "You читать it"]) == [
        False, True, True,
    ]  # fmt: skip


def test_what_does_not_fit_is_said(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, error, said in (
        ({"layer": "9"}, ModelError, "no layer 9"),
        ({"threshold": "-1"}, CivillyError, "threshold"),
        ({"reading": "none"}, CivillyError, "latents"),
    ):
        with pytest.raises(error, match=said):
            registry.create("methods", "steer", made.tools(**options))
    for option, value in (("edit", "erase"), ("start", "luck"), ("edit_strength", "x")):
        with pytest.raises(CivillyError, match=value):
            registry.create("methods", "soften", made.tools(**{option: value}))
    for engine in ("echo", "openai:http://127.0.0.1:9/v1#m"):
        with pytest.raises(EngineError, match="look into"):
            registry.create("methods", "steer", replace(made.tools(), engine_spec=engine))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[sae\]"):
        registry.create("methods", "steer", made.tools())


def test_in_one_selection_with_the_trace_in_json(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole pipelines keep rows and order; what the methods did can be read in JSON."""
    from civilly.methods.records import record_of

    answer = Decoded(" friend, read the article", -0.5, finished=True)
    monkeypatch.setattr(SoftenRewriter, "continued", lambda _, prompts, __: [answer] * len(prompts))
    texts = [text.text for text in TEXTS] + ["You stupid idiot, read the article!"]
    options = {f"{name}.toxic": str(made.files["gemma_scope"]) for name in ("steer", "soften")}
    pipeline = Detoxifier("steer+soften", made.engine, options=options, select="rerank")
    results = pipeline.rewrite(texts, ["en", "ru", "en", "zh", "en"])
    assert [result.text for result in results] == texts
    for result in results:
        assert result.after.p_toxic <= result.before.p_toxic + 1e-6
    told = [
        candidate
        for result in results
        for candidate in json.loads(json.dumps(record_of(result, result.text, "")))["candidates"]
    ]
    for candidate in told:
        assert ("trace" in candidate) == (candidate["method"] in ("steer", "soften"))
        if "trace" in candidate:
            assert candidate["trace"]["layer"] == tiny_saes.LAYER
    assert any("trace" in candidate for candidate in told)


def test_an_explanation_in_every_form(made: Made, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command = [
        "interpret", "explain", "You <b>people</b> never read", "--lang", "en", "--engine",
        made.engine, "--toxic", str(made.files["gemma_scope_2"]),
    ]  # fmt: skip
    result = CliRunner().invoke(app, [*command, "--json", "--html", str(page)])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [word["text"] for word in found["words"]] == ["You", "b", "people", "b", "never", "read"]
    assert set(found["uses"]) == {"infill", "steer", "soften"}
    assert any(word["mass"] > 0 and word["latents"] for word in found["words"])
    shown = page.read_text("utf-8")
    assert "<b>people" not in shown
    assert "&gt;" in shown
    plain = CliRunner().invoke(app, command)
    assert plain.exit_code == 0
    assert "\x1b" not in plain.stdout
    assert "steer\t" in plain.stdout
