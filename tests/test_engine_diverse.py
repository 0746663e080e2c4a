"""Diverse beam search on tiny random models, against a plain search without cache or batches."""

from __future__ import annotations

from collections import Counter

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tiny_models  # noqa: E402
from civilly.engines import open_engine  # noqa: E402
from civilly.errors import EngineError  # noqa: E402
from civilly.types import GenerationOptions, Prompt  # noqa: E402

TEXTS = ("You people", "Этот человек опять ничего не понял", "a", "0123456789 times!")
LIMITS = (7, 3, 9, 1)
END = 1


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: tiny_models.MODELS[name](root / name) for name in ("gemma", "t5")}


@pytest.fixture(scope="module", params=["gemma", "t5"])
def parts(request, folders):
    """The engine, and the same model and tokenizer as transformers opens them."""
    folder = folders[request.param]
    family = (
        transformers.AutoModelForSeq2SeqLM
        if request.param == "t5"
        else transformers.AutoModelForCausalLM
    )
    model = family.from_pretrained(folder).eval().float()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return open_engine(f"hf:{folder}?dtype=fp32&batch=12"), model, tokenizer


@torch.no_grad()
def next_scores(model, prompt, made):
    if model.config.is_encoder_decoder:
        logits = model(
            input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[0, *made]])
        ).logits
    else:
        logits = model(input_ids=torch.tensor([prompt + made])).logits
    return logits[0, -1].log_softmax(-1).tolist()


def plain_search(model, prompt, limit, groups, size, diversity):
    """Per group its (tokens, log probabilities), as the paper's algorithm has it, in lists.

    A beam is [tokens, log probabilities, total with penalties, going on]. A beam that ends keeps
    one of its group's places.
    """
    beams = [[[[], [], 0.0, True]] for _ in range(groups)]
    for _ in range(limit):
        taken = Counter()
        for group in beams:
            ended = [beam for beam in group if not beam[3]]
            offers = []
            for tokens, scores, total, going in group:
                if going:
                    for token, score in enumerate(next_scores(model, prompt, tokens)):
                        worth = total + score - diversity * taken[token]
                        offers.append((worth, tokens, scores, token, score))
            offers.sort(key=lambda offer: -offer[0])
            new = [
                [[*tokens, token], [*scores, score], worth, token != END]
                for worth, tokens, scores, token, score in offers[: size - len(ended)]
            ]
            taken.update(beam[0][-1] for beam in new)
            group[:] = ended + new
    return [[(tokens, scores) for tokens, scores, _, _ in group] for group in beams]


@pytest.mark.parametrize(("groups", "size", "diversity"), [(3, 1, 0.8), (2, 2, 0.5), (2, 2, 0.0)])
def test_it_agrees_with_a_plain_search(parts, groups, size, diversity):
    engine, model, tokenizer = parts
    prompts = [Prompt.of(text, limit) for text, limit in zip(TEXTS, LIMITS, strict=True)]
    n = groups * size
    options = GenerationOptions(n=n, beams=n, groups=groups, diversity=diversity)
    answers = engine.generate(prompts, options)
    assert len(answers) == len(prompts)
    for prompt, limit, row in zip(prompts, LIMITS, answers, strict=True):
        ids = tokenizer(prompt.text)["input_ids"]
        found = [
            beam
            for group in plain_search(model, ids, limit, groups, size, diversity)
            for beam in group
        ]
        wanted = sorted((sum(scores) / len(scores) for _, scores in found), reverse=True)
        assert [each.logprob for each in row] == pytest.approx(wanted, abs=1e-4)
        texts = {
            tokenizer.decode(tokens, skip_special_tokens=True).rstrip("\ufffd").strip()
            for tokens, _ in found
        }
        assert {each.text.strip().rstrip("\ufffd").strip() for each in row} == texts
        assert [each.finished for each in row].count(True) == sum(
            tokens[-1] == END for tokens, _ in found
        )


def test_the_first_group_is_greedy_and_a_high_price_parts_the_others(parts):
    engine, _, _ = parts
    prompts = [Prompt.of(text, 6) for text in TEXTS]
    greedy = engine.generate(prompts, GenerationOptions())
    same = engine.generate(prompts, GenerationOptions(n=3, beams=3, groups=3))
    apart = engine.generate(prompts, GenerationOptions(n=3, beams=3, groups=3, diversity=1e3))
    for (best,), alike, others in zip(greedy, same, apart, strict=True):
        assert {each.text for each in alike} == {best.text}
        assert best.text in {each.text for each in others}
        # Tokens may spell the same text, but no two have the same probability.
        assert len({round(each.logprob, 5) for each in others}) == 3


def test_fewer_than_the_beams_are_one_of_each_group(parts):
    engine, model, tokenizer = parts
    text, limit = TEXTS[0], 5
    options = GenerationOptions(n=2, beams=4, groups=2, diversity=0.7)
    (row,) = engine.generate([Prompt.of(text, limit)], options)
    found = plain_search(model, tokenizer(text)["input_ids"], limit, 2, 2, 0.7)
    wanted = [max(sum(scores) / len(scores) for _, scores in group) for group in found]
    assert [each.logprob for each in row] == pytest.approx(sorted(wanted)[::-1], abs=1e-4)


def test_stop_strings_end_a_beam(parts):
    engine, _, _ = parts
    options = GenerationOptions(n=3, beams=3, groups=3, diversity=1.0, max_new_tokens=8)
    ((first, *_),) = engine.generate([Prompt.of(TEXTS[0])], options)
    stop = first.text.strip()[2:3]
    stopping = GenerationOptions(
        n=3, beams=3, groups=3, diversity=1.0, max_new_tokens=8, stop=(stop,)
    )
    (row,) = engine.generate([Prompt.of(TEXTS[0])], stopping)
    assert all(stop not in each.text for each in row)
    assert any(each.finished for each in row)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 3, "groups": 2}, "evenly"),
        ({"groups": 0}, "groups"),
        ({"diversity": -1.0}, "diversity"),
        ({"top_p": 0.0}, "top_p"),
        ({"beams": 2, "temperature": 0.5}, "temperature"),
    ],
)
def test_options_that_make_no_sense_are_refused(parts, wrong, message):
    with pytest.raises(EngineError, match=message):
        parts[0].generate([Prompt.of("a")], GenerationOptions(**wrong))


def test_a_wider_beam_finds_no_less_likely_best_and_top_p_narrows_a_sample(parts):
    engine, _, _ = parts
    prompts = [Prompt.of(text, 1) for text in TEXTS]
    greedy = engine.generate(prompts, GenerationOptions())
    wide = engine.generate(prompts, GenerationOptions(n=1, beams=4))
    assert [len(row) for row in wide] == [1] * len(prompts)
    for (best,), (found,) in zip(greedy, wide, strict=True):
        assert found.logprob >= best.logprob - 1e-4
    narrow = GenerationOptions(temperature=1.0, top_p=1e-6)
    assert [row[0].text for row in engine.generate(prompts, narrow)] == [
        row[0].text for row in greedy
    ]
