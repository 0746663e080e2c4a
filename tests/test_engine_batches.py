"""How prompts are read together, and that no answer depends on its neighbours.

The tiny model is too small to round otherwise where it reads a prompt otherwise; the real one does
(test_same_text_same_result.py). Here limits, orders, stops and the rows of a batch are tried.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_gemma
from civilly.engines.batches import (
    BATCH_PROMPTS,
    LEAST_OWN,
    LEAST_SHARED,
    LEAST_STEPS,
    MOST_KEPT,
    batches_of,
    reading_of,
    step_class,
    stride,
)
from civilly.engines.embedded import read_folder
from civilly.model.ctranslate2_format import write_ctranslate2
from civilly.types import GenerationOptions, Prompt, Segment

BEGIN = Segment("<bos>", special=True)
FRAME = "Say it in a polite way, please. Rude: Hello. Polite: "
ENDINGS = ["you", "What is this?", "a", "I do not know what to say", "you two", "zz"]
WINDOW = 96


def tiny(root, precision):
    hf, folder = tiny_gemma.save(root / "hf"), root / "ct2"
    shape = replace(tiny_gemma.SHAPE, window=WINDOW)
    write_ctranslate2(
        tiny_gemma.weights(), shape, tiny_gemma.vocabulary().pieces, folder, precision
    )
    (folder / "tokenizer.json").write_bytes((hf / "tokenizer.json").read_bytes())
    return read_folder(folder, threads=2, window=WINDOW)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("float"), "float32")


@pytest.fixture(scope="module")
def eight_bits(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("int8"), "int8")


def prompt(text, most=None):
    return Prompt((BEGIN, Segment(text)), most, head=FRAME if text.startswith(FRAME) else "")


def said(loaded, texts, **options):
    options = GenerationOptions(**{"max_new_tokens": 12, **options})
    made = loaded.generate([prompt(text) for text in texts], options)
    return [[(g.text, pytest.approx(g.logprob, abs=1e-4)) for g in row] for row in made]


WORDS = st.sampled_from(["", "you", " are", " a", "!", "\n", "Ω", " x y z", " donkey"])
TEXTS = st.lists(WORDS, max_size=8).map("".join)
PROMPTS = st.builds(
    prompt, st.one_of(TEXTS, TEXTS.map(FRAME.__add__)), st.one_of(st.none(), st.integers(1, 99))
)


@settings(max_examples=25, deadline=None)
@given(st.lists(PROMPTS, min_size=2, max_size=40), st.sampled_from([1, 3]), st.data())
def test_an_answer_depends_on_its_prompt_alone_to_the_last_bit(eight_bits, prompts, n, data):
    options = GenerationOptions(
        n=n, max_new_tokens=data.draw(st.sampled_from([3, 20])), stop=("q",)
    )
    together = eight_bits.generate(prompts, options)
    order = data.draw(st.permutations(range(len(prompts))))
    again = eight_bits.generate([prompts[i] for i in order], options)
    assert again == [together[i] for i in order]
    some = sorted(order[: 1 + len(order) // 4])
    assert eight_bits.generate([prompts[i] for i in some], options) == [together[i] for i in some]
    assert eight_bits.generate([prompts[order[0]]], options) == [together[order[0]]]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=2, max_size=40))
def test_scores_and_branches_depend_on_their_prompt_alone_to_the_last_bit(eight_bits, pairs):
    prompts, texts = [prompt(text) for text, _ in pairs], [text for _, text in pairs]
    scores, turns = eight_bits.logprobs(prompts, texts), eight_bits.branch(prompts, 3, 4)
    for i in {0, len(pairs) // 2, len(pairs) - 1}:
        assert eight_bits.logprobs([prompts[i]], [texts[i]]) == [scores[i]]
        assert eight_bits.branch([prompts[i]], 3, 4) == [turns[i]]


@pytest.mark.parametrize("n", [1, 3])
def test_what_is_read_once_changes_no_answer(loaded, n):
    texts = [FRAME + ending for ending in [*ENDINGS, ""]]
    bare = [Prompt((BEGIN, Segment(text))) for text in texts]
    options = GenerationOptions(n=n, max_new_tokens=12)
    made = [[g.text for g in row] for row in loaded.generate(bare, options)]
    assert made == [[text for text, _ in row] for row in said(loaded, texts, n=n)]


def test_a_head_is_read_once_for_all_prompts_that_have_it(loaded):
    head = loaded.tokenizer.encode_prompts([Prompt.of(FRAME)])[0]
    prompts = [prompt(FRAME + ending) for ending in ("you", "What is this?", "you two")]
    prompts += [prompt("Hello"), prompt(FRAME)]
    encoded = loaded.tokenizer.encode_prompts(prompts)
    readings = loaded._readings(prompts, encoded, [9] * 5, GenerationOptions())
    assert {r.head for r in readings[:3]} == {tuple(head)}
    assert readings[3].head == ()
    # A prompt that is a bare head keeps two tokens of its own.
    assert readings[4].head == tuple(head[:-LEAST_OWN])
    beyond = reading_of(head + [5] * WINDOW, head, 0, WINDOW, whole=False)
    assert beyond.head == ()


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(0, 1), max_size=90)).map(
        lambda made: [made[0]] * LEAST_SHARED * (made[0] > 0) + made[1]
    ),
    max_size=60,
)


@given(ROWS, st.booleans())
def test_every_prompt_is_in_one_batch_of_prompts_that_are_read_like_it(rows, whole):
    readings = [reading_of(row, [1] * LEAST_SHARED, 0, 100, whole=whole) for row in rows]
    batches = list(batches_of(rows, readings))
    assert sorted(i for batch in batches for i in batch.positions) == list(range(len(rows)))
    for batch in batches:
        assert {readings[i] for i in batch.positions} == {batch.reading}
        own = [len(rows[i]) - len(batch.reading.head) for i in batch.positions]
        assert own == sorted(own, reverse=True)
        assert batch.reading.at_once <= own[-1] <= own[0] < batch.reading.at_once + stride(own[0])
        assert batch.reading.at_once >= min(own[-1], LEAST_OWN)
        assert not whole or {batch.reading.at_once} == {*own}
        assert len(batch.positions) <= BATCH_PROMPTS
        for i in batch.positions:
            assert tuple(rows[i][: len(batch.reading.head)]) == batch.reading.head


def test_what_the_prompts_of_a_batch_keep_is_bounded():
    rows = [[1] * 400 + [2, 3, i] for i in range(64)]
    readings = [reading_of(row, [1] * 400, 0, 512, whole=False) for row in rows]
    batches = list(batches_of(rows, readings))
    assert {len(batch.reading.head) for batch in batches} == {400}
    assert max(len(batch.positions) for batch in batches) * 403 <= MOST_KEPT < 11 * 403


def test_limits_of_beams_fall_into_few_classes():
    assert {step_class(limit) for limit in range(1, 500)} == {LEAST_STEPS * 2**k for k in range(4)}
    assert all(limit <= step_class(limit) < 2 * max(limit, LEAST_STEPS) for limit in range(1, 500))


def test_the_answer_to_a_prompt_of_one_token_has_no_other_prompt_in_it(loaded):
    texts = ["", "you", "What", ""]
    assert said(loaded, texts) == [said(loaded, [text])[0] for text in texts]


def test_generation_ends_with_a_stop_string(loaded):
    prompts = [Prompt.of(ending) for ending in ENDINGS]
    whole = [g for (g,) in loaded.generate(prompts, GenerationOptions(max_new_tokens=20))]
    letter = next(char for g in whole for char in g.text if char.isascii())
    options = GenerationOptions(max_new_tokens=20, stop=(letter,))
    for (cut,), before in zip(loaded.generate(prompts, options), whole, strict=True):
        assert cut.text == before.text.partition(letter)[0]
        assert cut.finished == (letter in before.text or before.finished)


def test_a_prompt_without_the_beginning_gets_it(loaded):
    bare, begun = Prompt.of("Hello"), Prompt((BEGIN, Segment("Hello")))
    options = GenerationOptions(max_new_tokens=8)
    assert loaded.generate([bare], options) == loaded.generate([begun], options)
    assert loaded.logprobs([bare], ["you"]) == loaded.logprobs([begun], ["you"])
    assert loaded.logprobs([Prompt(())], ["you"]) == loaded.logprobs([Prompt((BEGIN,))], ["you"])


def test_sampling_repeats_with_its_seed(loaded):
    texts = [FRAME + ending for ending in ENDINGS] * 8
    drawn = [said(loaded, texts, temperature=1.0, n=2, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    said(loaded, ["other draws between"], temperature=1.0, seed=7)
    assert said(loaded, texts, temperature=1.0, n=2, seed=1) == drawn[0]
    assert said(loaded, texts[:1], temperature=1.0, seed=-1)


def test_samples_do_not_depend_on_the_number_of_threads(loaded):
    texts = [FRAME + ending for ending in ENDINGS] * 8
    other = read_folder(loaded._folder, threads=1, window=WINDOW)
    assert said(other, texts, temperature=1.0, seed=5) == said(
        loaded, texts, temperature=1.0, seed=5
    )
