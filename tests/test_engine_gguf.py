"""The engine ``gguf`` on tiny models, by its doors: it says what transformers says."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import tiny_qwen
from civilly.cli import app
from civilly.engines import check_engine, model_name, open_engine, shipped_name
from civilly.engines.gguf import GgufEngine, create
from civilly.errors import CivillyError, EngineError, ModelError
from civilly.methods.prompt import few_shot
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.model import cache
from civilly.model.adapter import shipped_adapter
from civilly.model.gguf_model import INSTEAD
from civilly.pipeline import Detoxifier
from civilly.types import GenerationOptions, Prompt, Segment, Text
from tiny_qwen import by_hand, eight_bits, teach, write_gguf

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

TEXT = "You are a stupid idiot."
ANSWER, MIDDLE, FILLED = "You are wrong.", " bit wrong", "You are a bit wrong."
TUNED = "You are the wrong one."
TEXTS = ["Hello there", "a", "You are wrong. The idiot", "文明 и ич", "zz top\n\nEnglish"]
ACTIVATIONS = 0.3
"""What rounding the activations to eight bits, which transformers does not, may change of a mean
log probability of these models, a text of one token among them; `test_model_gguf` has the test
without that rounding, to the third digit."""
HOLE = Prompt(
    (
        Segment("<|fim_prefix|>", special=True), Segment("You are a"),
        Segment("<|fim_suffix|>", special=True), Segment("."),
        Segment("<|fim_middle|>", special=True),
    )
)  # fmt: skip
"""What a model of code reads where the rude words of `TEXT` are cut out (docs/infill.md)."""


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tiny_qwen.linked_cache(tmp_path_factory.mktemp("gguf") / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.CACHE_VARIABLE, str(root))
        yield root


@dataclass(frozen=True)
class Taught:
    """A model that was taught to answer, as a file and in transformers."""

    path: Path
    model: Any
    adapter: Path

    @property
    def spec(self) -> str:
        return f"gguf:{self.path}"


def taught(folder: Path, output: str) -> Taught:
    """A model that knows what to answer to the method ``prompt``, and what belongs into `HOLE`.

    Its adapter knows what to answer to the method ``tuned``.
    """
    torch.manual_seed(0)
    tokenizer = create(str(write_gguf(folder / "before.gguf"))).model().tokenizer
    model = tiny_qwen.reference(made=tiny_qwen.weights(own_output=output == "own"))
    asked, hole, tuned = tokenizer.encode_prompts(
        [few_shot(Text(TEXT, "en"), ()), HOLE, tuned_prompt(TEXT, "en")]
    )
    answer = [*tokenizer.encode(f' "{ANSWER}"'), tokenizer.end]
    middle = [*tokenizer.encode(MIDDLE), tokenizer.special["<|endoftext|>"]]
    teach(model, [(asked, answer), (hole, middle)])
    made = {
        name: weight.numpy()
        for name, weight in model.state_dict().items()
        if output == "own" or name != tiny_qwen.OUTPUT
    }
    path = write_gguf(folder / "mine.gguf", output=output, made=made)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(r=8, target_modules=r".*_proj", task_type="CAUSAL_LM")
    )
    teach(adapted, [(tuned, [*tokenizer.encode(TUNED), tokenizer.end])])
    adapted.save_pretrained(folder / "adapter")
    return Taught(path, tiny_qwen.reference(made=made), folder / "adapter")


@pytest.fixture(scope="module", params=["none", "twice", "own"])
def mine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """Tied with one matrix or two in the file, and untied."""
    return taught(tmp_path_factory.mktemp(request.param), request.param)


def run(*arguments: object) -> Result:
    """Runs ``civilly rewrite``; an error of ours is raised, as `main` gets it."""
    result = CliRunner().invoke(app, ["rewrite", *map(str, arguments)])
    if isinstance(result.exception, CivillyError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def candidates(result: Result, method: str) -> list[str]:
    found = json.loads(result.stdout)["candidates"]
    return [each["text"] for each in found if each["method"] == method]


# By the command line.


def test_few_shot_prompting_end_to_end(mine: Taught) -> None:
    """Builds once, then only reads; the model's answer is a candidate."""
    arguments = ("--engine", mine.spec, "--method", "prompt", "--option", "examples=0",
                 "-l", "en", "--json", TEXT)  # fmt: skip
    first = run(*arguments)
    assert "preparing mine.gguf" in first.stderr
    assert candidates(first, "prompt") == [ANSWER]
    built = sorted(path.name for path in cache.builds())
    again = run(*arguments)
    assert (again.stdout, again.stderr) == (first.stdout, "")
    assert sorted(path.name for path in cache.builds()) == built


def test_an_adapter_of_ones_own_end_to_end(mine: Taught) -> None:
    for how in (("--adapter", mine.adapter), ("--option", f"adapter={mine.adapter}")):
        result = run("--engine", mine.spec, *how, "-l", "en", "--json", TEXT)
        assert TUNED in candidates(result, "tuned")
    merged = peft.PeftModel.from_pretrained(
        tiny_qwen.reference(made=dict(numbers(mine.model))), mine.adapter
    ).merge_and_unload()
    engine = create(str(mine.path))
    (score,) = engine.logprobs([tuned_prompt(TEXT, "en")], [TUNED], str(mine.adapter))
    tokenizer = engine.model().tokenizer
    expected = by_hand(eight_bits(merged), tokenizer, tuned_prompt(TEXT, "en"), TUNED)
    assert score == pytest.approx(expected, abs=ACTIVATIONS)


def numbers(model: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name, weight in model.named_parameters():
        yield name, weight.detach().numpy()


def test_holes_are_filled_end_to_end(mine: Taught) -> None:
    """The middle ends with a token that is no end of an answer, and is finished nevertheless."""
    result = run("--engine", mine.spec, "--method", "infill", "--option", "family=qwen2.5-coder",
                 "-l", "en", "--json", TEXT)  # fmt: skip
    assert FILLED in candidates(result, "infill")


def test_a_token_between_texts_ends_a_middle(mine: Taught) -> None:
    engine = create(str(mine.path))
    stop = ("<|endoftext|>",)
    for how in ({}, {"n": 2}):
        ((first, *_),) = engine.generate(
            [HOLE], GenerationOptions(max_new_tokens=9, stop=stop, **how)
        )
        assert (first.text, first.finished) == (MIDDLE, True)
    ((open_,),) = engine.generate([HOLE], GenerationOptions(max_new_tokens=3, stop=stop))
    assert not open_.finished
    ((spelt,),) = engine.generate([HOLE], GenerationOptions(max_new_tokens=9, stop=(" wrong",)))
    assert (spelt.text, spelt.finished) == (" bit", True)


# Whose holes it fills how.


CODER = {"general.basename": "Qwen2.5-Coder", "general.name": "Mine"}


def test_the_family_is_known_by_what_the_file_says_or_is_called(tmp_path: Path) -> None:
    def family(name: str, **fields: Any) -> str:
        from civilly.methods.fim_formats import family_of

        path = write_gguf(tmp_path / name, fields=fields)
        return family_of(model_name(f"gguf:{path}")).name

    assert family("mine.gguf", **CODER) == "qwen2.5-coder"
    assert family("mine.gguf", **{"general.name": "Qwen2.5 Coder 7B"}) == "qwen2.5-coder"
    assert (
        family("mine.gguf", **{"general.base_model.0.name": "Qwen2.5 Coder 7B"}) == "qwen2.5-coder"
    )
    assert family("qwen2.5-coder-7b-q4_k_m.gguf") == "qwen2.5-coder"
    with pytest.raises(CivillyError, match=r"'Qwen2\.5-7B, mine\.gguf' does not tell") as error:
        family("mine.gguf", **{"general.name": "Qwen2.5 7B"})
    assert error.value.mend == "give the option family=…"


def test_other_engines_are_known_as_before() -> None:
    assert model_name("large") == "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    assert model_name("hf:org/name") == "hf:org/name"


def test_holes_are_filled_by_a_file_that_says_whose_it_is(tmp_path: Path) -> None:
    named = write_gguf(tmp_path / "named.gguf", fields=CODER)
    asked = ("--method", "infill", "-l", "en", "--json", TEXT)
    assert json.loads(run("--engine", f"gguf:{named}", *asked).stdout)["text"] == TEXT
    with pytest.raises(CivillyError, match="does not tell the model's fill-in-the-middle format"):
        run("--engine", f"gguf:{write_gguf(tmp_path / 'bare.gguf')}", *asked)


# What it computes.


@pytest.mark.parametrize("rounding", ["F32", "Q8_0", "Q5_0"])
@pytest.mark.parametrize("output", ["none", "own"])
def test_scores_and_likeliest_tokens_are_those_of_transformers(
    output: str, rounding: str, tmp_path: Path
) -> None:
    """On the weights as gguf reads them from the file."""
    made = tiny_qwen.as_gguf_reads(rounding, own_output=output == "own")
    reference = eight_bits(tiny_qwen.reference(made=made))
    engine = create(str(write_gguf(tmp_path / "a.gguf", output=output, rounding=rounding)))
    tokenizer, prompt = engine.model().tokenizer, Prompt.of("English\nYou")
    scores = engine.logprobs([prompt] * len(TEXTS), TEXTS)
    expected = [by_hand(reference, tokenizer, prompt, text) for text in TEXTS]
    assert scores == pytest.approx(expected, abs=ACTIVATIONS)
    assert np.std(expected) > 2 * ACTIVATIONS  # a constant would not pass
    prompts = [Prompt.of(text[:end]) for text in TEXTS for end in range(1, len(text) + 1)]
    answers = engine.generate(prompts, GenerationOptions(max_new_tokens=1))
    clear = 0
    for each, (answer,) in zip(prompts, answers, strict=True):
        (ids,) = tokenizer.encode_prompts([each])
        with torch.inference_mode():
            logits = reference(torch.tensor([ids])).logits[0, -1]
        first, second = torch.topk(logits, 2).values.tolist()
        if first - second > 1:
            assert answer.text == tokenizer.decode([int(logits.argmax())])
            clear += 1
    assert clear > 10
    with pytest.raises(EngineError, match="'gguf' has no diverse beam search"):
        engine.generate([prompt], GenerationOptions(n=2, beams=2, groups=2))


# Its doors.


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("file") / "tiny.gguf")


def test_a_file_is_opened_by_its_path_however_it_is_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(file.parent))
    monkeypatch.chdir(file.parent)
    folder = open_engine(f"gguf:{file}").model()._folder
    for spec in ("gguf:tiny.gguf", "gguf:~/tiny.gguf", f" gguf:{file} "):
        engine = open_engine(spec)
        assert isinstance(engine, GgufEngine)
        assert engine.model()._folder == folder


@pytest.mark.parametrize("method", ["prompt", "infill", "tuned", "delete"])
def test_a_wrong_file_is_refused_before_the_work(method: str, tmp_path: Path, file: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    (tmp_path / "half.gguf").write_bytes(file.read_bytes()[:40])
    llama = write_gguf(tmp_path / "llama.gguf", "llama")
    for target, message, mend in (
        ("", "was given no file", "gguf:"),
        (tmp_path / "none.gguf", r"none\.gguf is not there.*Allowed: a GGUF file", "gguf:FILE"),
        (tmp_path, "is a folder", "gguf:FILE"),
        (tmp_path / "text.gguf", "does not begin with 'GGUF'", "download"),
        (tmp_path / "half.gguf", "incomplete or damaged", "download"),
        (llama, "architecture 'llama'.*Allowed: qwen2", INSTEAD),
    ):
        with pytest.raises(CivillyError, match=message) as error:
            run("--engine", f"gguf:{target}", "--method", method, "A civil text.")
        assert mend in error.value.mend
        with pytest.raises(CivillyError, match=message):
            check_engine(f"gguf:{target}")


def test_a_file_cut_off_in_its_weights_is_refused_when_it_is_needed(
    tmp_path: Path, file: Path
) -> None:
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="incomplete or damaged") as error:
        run("--engine", f"gguf:{tmp_path / 'cut.gguf'}", "--method", "prompt", "-l", "en", TEXT)
    assert "download" in error.value.mend


def test_the_package_brings_no_adapter_for_it(file: Path) -> None:
    with pytest.raises(ModelError, match="no adapter of the method 'tuned' for the engine 'gguf'"):
        shipped_name("tuned", f"gguf:{file}")
    with pytest.raises(ModelError, match="no adapter of the method 'tuned'") as error:
        run("--engine", f"gguf:{file}", "-l", "en", TEXT)
    assert "--adapter FOLDER" in error.value.mend
    assert "--method prompt" in error.value.mend


def test_an_adapter_of_another_model_is_refused(file: Path) -> None:
    with pytest.raises(ModelError, match=r"does not fit the model|changes unknown weights"):
        run("--engine", f"gguf:{file}", "--adapter", shipped_adapter("tuned"), "-l", "en", TEXT)


def test_a_pickled_detoxifier_says_the_same(mine: Taught) -> None:
    made = Detoxifier("prompt", engine=mine.spec, options={"examples": 0})
    expected = made.rewrite([TEXT], "en")
    assert ANSWER in [candidate.text for candidate, _ in expected[0].candidates]
    copy = pickle.loads(pickle.dumps(made))
    assert copy.describe() == made.describe()
    assert copy.describe()["engine"] == mine.spec
    assert copy.rewrite([TEXT], "en") == expected


def test_it_is_listed_with_the_others() -> None:
    listed = CliRunner().invoke(app, ["ls", "engines"]).stdout
    (line,) = [line for line in listed.splitlines() if line.startswith("gguf ")]
    assert "Qwen2" in line
    assert "gguf:FILE" in line
