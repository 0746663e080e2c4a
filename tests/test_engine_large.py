"""The engine ``large`` on a tiny model: it says what transformers says, by every door."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import tiny_qwen
from civilly.cli import app
from civilly.cli.rewrite import complete_model
from civilly.engines import engine_of, open_engine, shipped_name
from civilly.engines.large import LargeEngine, create
from civilly.engines.loaded_model import LoadedModel
from civilly.errors import CivillyError, EngineError, ModelError, UnknownNameError
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.model import cache, large
from civilly.pipeline import Detoxifier
from civilly.types import GenerationOptions, Prompt, Segment
from tiny_qwen import by_hand, eight_bits, teach

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

TEXT, ANSWER = "You are a stupid idiot.", "You are wrong."
TEXTS = ["Hello there", "a", "You are wrong. The idiot", "文明 и ич", "zz top\n\nEnglish"]
ACTIVATIONS, CLEAR = 0.15, 1.0
"""What rounding the activations to eight bits, which transformers does not, may change of a mean
log probability of this model, and of the distance between two tokens."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny model's packages, and a cache that holds what is built of the other models."""
    root = tmp_path_factory.mktemp("large")
    own = tiny_qwen.linked_cache(root / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.CACHE_VARIABLE, str(own))
        made = tiny_qwen.install(root / "packages")
        made.use(patch.setattr)
        yield made


@pytest.fixture(scope="module")
def engine(packages: Any) -> LargeEngine:
    return create()


@pytest.fixture(scope="module")
def loaded(engine: LargeEngine) -> LoadedModel:
    return engine.model()


@pytest.fixture(scope="module")
def reference() -> Any:
    return eight_bits(tiny_qwen.reference())


@pytest.fixture(scope="module")
def adapter(packages: Any, loaded: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the upper two layers, trained by peft alone to answer `TEXT` with `ANSWER`."""
    torch.manual_seed(0)
    base = tiny_qwen.reference(large.large_training_folder())
    upper = r".*layers\.[12]\..*_proj"
    model = peft.get_peft_model(
        base, peft.LoraConfig(r=8, lora_alpha=16, target_modules=upper, task_type="CAUSAL_LM")
    )
    (prompt,) = loaded.tokenizer.encode_prompts([tuned_prompt(TEXT, "en")])
    teach(model, [(prompt, [*loaded.tokenizer.encode(ANSWER), loaded.tokenizer.end])])
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    return folder


# What it computes.


def test_scores_of_given_text_equal_transformers(
    engine: LargeEngine, loaded: LoadedModel, reference: Any
) -> None:
    prompt = Prompt((Segment("<|im_start|>", special=True), Segment("English\nYou")))
    scores = engine.logprobs([prompt] * len(TEXTS), TEXTS)
    expected = [by_hand(reference, loaded.tokenizer, prompt, text) for text in TEXTS]
    assert scores == pytest.approx(expected, abs=ACTIVATIONS)
    assert np.std(expected) > 2 * ACTIVATIONS  # a constant would not pass
    assert engine.logprobs([prompt], [""]) == [0.0]


def test_a_text_scores_the_same_alone_and_in_a_batch(engine: LargeEngine) -> None:
    prompt = Prompt.of("You")
    together = engine.logprobs([prompt] * len(TEXTS), TEXTS)
    alone = [engine.logprobs([prompt], [text])[0] for text in TEXTS]
    assert together == pytest.approx(alone, abs=1e-4)


def test_greedy_output_is_the_likeliest_of_transformers(
    engine: LargeEngine, loaded: LoadedModel, reference: Any
) -> None:
    """Where it is clearly the likeliest: rounding activations may decide what is nearly even."""
    prompts = [Prompt.of(text[:end]) for text in TEXTS for end in range(1, len(text) + 1)]
    answers = engine.generate(prompts, GenerationOptions(max_new_tokens=1))
    clear = 0
    for prompt, (answer,) in zip(prompts, answers, strict=True):
        (ids,) = loaded.tokenizer.encode_prompts([prompt])
        with torch.inference_mode():
            logits = reference(torch.tensor([ids])).logits[0, -1]
        first, second = torch.topk(logits, 2).values.tolist()
        if first - second > CLEAR:
            assert answer.text == loaded.tokenizer.decode([int(logits.argmax())])
            clear += 1
    assert clear > 10


def test_an_adapter_answers_as_peft_does(
    engine: LargeEngine, loaded: LoadedModel, adapter: Path
) -> None:
    prompts = [tuned_prompt(text, "en") for text in (TEXT, "the idiot", "Rude")]
    base = tiny_qwen.reference(large.large_training_folder())
    merged = eight_bits(peft.PeftModel.from_pretrained(base, adapter).merge_and_unload())
    options = GenerationOptions(max_new_tokens=20, adapter=str(adapter))
    (answer, *_), (plain, *_) = (
        engine.generate(prompts, each) for each in (options, GenerationOptions(max_new_tokens=20))
    )
    assert (answer[0].text, answer[0].finished) == (ANSWER, True)
    assert plain[0].text != ANSWER
    for prompt in prompts:
        (score,) = engine.logprobs([prompt], [ANSWER], str(adapter))
        assert score == pytest.approx(
            by_hand(merged, loaded.tokenizer, prompt, ANSWER), abs=2 * ACTIVATIONS
        )


def test_stop_strings_limits_and_candidates(
    engine: LargeEngine, adapter: Path, loaded: LoadedModel
) -> None:
    prompt = tuned_prompt(TEXT, "en")

    def said(prompt: Prompt = prompt, **options: Any) -> Any:
        given = GenerationOptions(adapter=str(adapter), **options)
        return engine.generate([prompt], given)[0]

    (stopped,) = said(stop=(" wro",))
    assert (stopped.text, stopped.finished) == ("You are", True)
    ends = [loaded.tokenizer.piece(i) for i in loaded._end_tokens((" wro",))]
    assert sorted(ends) == ["<|im_end|>", "Ġwro", "Ġwron", "Ġwrong"]  # nothing is read after them
    (short,) = said(max_new_tokens=2)
    assert (short.text, short.finished) == ("You are", False)
    beam = said(n=3, beams=3, max_new_tokens=12)
    assert beam[0].text == ANSWER
    assert len({each.text for each in beam}) == 3
    assert [each.logprob for each in beam] == sorted((e.logprob for e in beam), reverse=True)
    with pytest.raises(EngineError, match="'large' has no diverse beam search"):
        said(n=2, beams=2, groups=2)
    assert engine.count_tokens(["You are wrong.", ""], str(adapter)) == [4, 0]
    (first, *others) = engine.branch([prompt], 3, 4, str(adapter))[0]
    assert first.text.startswith("You are")
    assert len({each.text for each in others}) == len(others)


def test_a_control_token_ends_an_answer_but_its_spelling_does_not(
    engine: LargeEngine, loaded: LoadedModel
) -> None:
    begun = Prompt((Segment("You"), Segment("<|im_end|>", special=True)))
    spelt = Prompt.of("You<|im_end|>")
    one, other = loaded.tokenizer.encode_prompts([begun, spelt])
    assert one[-1] == loaded.tokenizer.end
    assert loaded.tokenizer.end not in other
    assert len(other) > len(one)
    answers = engine.generate([begun, spelt], GenerationOptions(max_new_tokens=6))
    assert all("im_end" not in row[0].text for row in answers[:1])


# Its doors.


def test_the_engine_opens_nothing(packages: Any) -> None:
    assert isinstance(open_engine("large"), LargeEngine)
    with pytest.raises(EngineError, match=r"'large' opens nothing.*--engine large"):
        open_engine("large:folder")


def test_a_size_stands_for_an_engine() -> None:
    assert engine_of(None, None) is None
    assert engine_of(None, "echo") == "echo"
    assert (engine_of("light", None), engine_of("large", None)) == ("embedded", "large")
    assert (shipped_name("tuned", "large"), shipped_name("tuned", None)) == ("tuned_large", "tuned")
    assert shipped_name("tuned", "echo") == "tuned"


def run(*arguments: object) -> Result:
    """Runs ``civilly rewrite``; an error of ours is raised, as `main` gets it."""
    result = CliRunner().invoke(app, ["rewrite", *map(str, arguments)])
    if isinstance(result.exception, CivillyError):
        raise result.exception
    return result


def test_the_command_line_end_to_end(
    packages: Any, adapter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Builds in an empty place once, then only reads; what the adapter says is a candidate."""
    for build in cache.builds():
        if build.name.startswith("large-"):
            build.rename(build.with_name(f"{build.name}.building"))  # as if never finished
    arguments = ("--model", "large", "--adapter", adapter, "-l", "en", "--json", TEXT)
    first = run(*arguments)
    assert first.exit_code == 0
    assert "preparing the large model" in first.stderr
    found = json.loads(first.stdout)
    tuned = [each["text"] for each in found["candidates"] if each["method"] == "tuned"]
    assert ANSWER in tuned
    assert found["before"]["p_toxic"] > 0.5
    assert found["rewritten"] in [TEXT, *(each["text"] for each in found["candidates"])]
    again = run(*arguments)
    assert (again.stdout, again.stderr) == (first.stdout, "")
    light = run("--model", "light", "-l", "en", "--json", TEXT)
    assert ANSWER not in [each["text"] for each in json.loads(light.stdout)["candidates"]]
    assert light.stdout == run("-l", "en", "--json", TEXT).stdout


def test_a_model_and_an_engine_exclude_each_other() -> None:
    with pytest.raises(CivillyError, match="exclude each other") as error:
        run("--model", "large", "--engine", "echo", TEXT)
    assert error.value.mend == "give one of them"


@pytest.mark.parametrize(
    ("name", "suggestion"), [("huge", ""), ("larg", "did you mean 'large'?"), ("Light", "light")]
)
def test_an_unknown_model_is_refused_with_the_names_there_are(name: str, suggestion: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Unknown model {name!r}") as error:
        run("--model", name, TEXT)
    assert error.value.allowed == "large, light"
    assert suggestion in error.value.mend


def test_the_shell_completes_models() -> None:
    assert complete_model("") == ["light", "large"]
    assert complete_model("la") == ["large"]
    assert complete_model("x") == []


def test_an_adapter_of_the_light_model_is_refused(packages: Any) -> None:
    from civilly.model.adapter import shipped_adapter

    made = Detoxifier(model="large", adapter=shipped_adapter("tuned"))
    with pytest.raises(ModelError, match=r"does not fit the model|changes unknown weights"):
        made.rewrite([TEXT], "en")


def test_a_pickled_detoxifier_says_the_same(packages: Any, adapter: Path) -> None:
    made = Detoxifier(model="large", adapter=adapter)
    expected = made.rewrite([TEXT], "en")
    copy = pickle.loads(pickle.dumps(made))
    assert copy.describe() == made.describe()
    assert copy.rewrite([TEXT], "en") == expected
    assert ANSWER in [candidate.text for candidate, _ in expected[0].candidates]


def test_descriptions_tell_the_models_apart(packages: Any, adapter: Path) -> None:
    light, by_size, by_engine = (
        Detoxifier(adapter=adapter, **how).describe()
        for how in ({"model": "light"}, {"model": "large"}, {"engine": "large"})
    )
    assert by_size == by_engine
    assert {key for key, value in light.items() if by_size[key] != value} == {"engine"}
    assert (light["engine"], by_size["engine"]) == ("embedded", "large")
    assert light == Detoxifier(adapter=adapter).describe()
    assert Detoxifier().describe()["fingerprint"] != light["fingerprint"]
