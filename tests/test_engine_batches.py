"""Beginnings that prompts share are read once, and nothing of what is generated changes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_gemma
from civilly.engines.batches import LEAST_SHARED, common_beginning, shared_batches
from civilly.engines.embedded import LoadedModel, like_lengths
from civilly.model.ctranslate2_format import write_ctranslate2
from civilly.types import GenerationOptions, Prompt, Segment

BEGIN = Segment("<bos>", special=True)
FRAME = "Say it in a polite way, please. Rude: Hello. Polite: "
ENDINGS = ["you", "What is this?", "a", "I do not know what to say", "you two", "zz"]
WINDOW = 96


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    hf, folder = tiny_gemma.save(root / "hf"), root / "ct2"
    shape = replace(tiny_gemma.SHAPE, window=WINDOW)
    write_ctranslate2(
        tiny_gemma.weights(), shape, tiny_gemma.vocabulary().pieces, folder, "float32"
    )
    (folder / "tokenizer.json").write_bytes((hf / "tokenizer.json").read_bytes())
    return LoadedModel(folder, threads=2, window=WINDOW)


def said(loaded, texts, **options):
    prompts = [Prompt((BEGIN, Segment(text))) for text in texts]
    made = loaded.generate(prompts, GenerationOptions(**{"max_new_tokens": 12, **options}))
    return [[(g.text, pytest.approx(g.logprob, abs=1e-4)) for g in row] for row in made]


@pytest.mark.parametrize("n", [1, 3])
def test_what_is_read_once_changes_no_answer(loaded, n):
    texts = [FRAME + ending for ending in ENDINGS]
    together = said(loaded, [*texts, "Hello", FRAME], n=n)
    alone = [said(loaded, [text], n=n)[0] for text in [*texts, "Hello", FRAME]]
    assert together == alone


def test_batches_of_shared_prompts_read_the_frame_once(loaded):
    rows = loaded.tokenizer.encode_prompts([Prompt.of(FRAME + e) for e in [*ENDINGS, "", ""]])
    batches = list(shared_batches(rows, like_lengths, WINDOW))
    # Two prompts are the bare frame after <bos>, and each must keep two tokens of its own.
    assert {b.shared for b in batches} == {1 + len(loaded.tokenizer.encode(FRAME)) - 2}
    (single,) = shared_batches(rows[:1], like_lengths, WINDOW)
    assert single.shared == 0


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(0, 1), max_size=6)).map(
        lambda made: [made[0]] * LEAST_SHARED * (made[0] > 0) + made[1]
    ),
    max_size=30,
)


@given(ROWS)
def test_every_prompt_is_in_one_batch_and_shares_what_it_says(rows):
    batches = list(shared_batches(rows, like_lengths, LEAST_SHARED + 4))
    assert sorted(i for batch in batches for i in batch.positions) == list(range(len(rows)))
    for batch in batches:
        assert len({tuple(rows[i][: batch.shared]) for i in batch.positions}) == 1
        if batch.shared:
            assert batch.shared >= LEAST_SHARED
            lengths = [len(rows[i]) for i in batch.positions]
            assert batch.shared + 2 <= min(lengths) <= max(lengths) <= LEAST_SHARED + 4
        else:
            assert len({len(rows[i]) > 1 for i in batch.positions}) == 1


def test_what_the_prompts_of_a_batch_keep_is_bounded():
    rows = [[1] * 400 + [2, 3, i] for i in range(64)]
    batches = list(shared_batches(rows, like_lengths, 512))
    assert [batch.shared for batch in batches] == [401] * len(batches)
    assert max(len(batch.positions) for batch in batches) * 403 <= 4_096 < 11 * 403


def test_the_common_beginning():
    assert common_beginning([[1, 2, 3, 4, 5], [1, 2, 9, 9], [1, 2, 3, 7]]) == 2
    assert common_beginning([[1, 2, 3], [1, 2, 3]]) == 1
    assert common_beginning([[1, 2, 3, 4], [1, 2, 3]]) == 1
    assert common_beginning([[]]) == 0


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
    other = LoadedModel(loaded._folder, threads=1, window=WINDOW)
    assert said(other, texts, temperature=1.0, seed=5) == said(
        loaded, texts, temperature=1.0, seed=5
    )
