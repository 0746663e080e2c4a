"""Long work is cut into chunks of like length, every row once, the first ones soon."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from civilly.data.chunks import LEAST_LENGTH, chunks_of
from civilly.engines.pacing import TOKENS_AT_ONCE, chunks_for
from civilly.types import Generation, GenerationOptions, Prompt

LENGTHS = st.lists(st.integers(0, 3000), max_size=600)


@given(LENGTHS, st.integers(1, 5000), st.integers(1, 600))
def test_every_row_is_in_one_chunk_that_is_not_too_long(
    lengths: list[int], most: int, window: int
) -> None:
    chunks = chunks_of(lengths, most, window)
    assert sorted(row for chunk in chunks for row in chunk) == list(range(len(lengths)))
    for chunk in chunks:
        assert chunk == sorted(chunk)
        assert len(chunk) == 1 or sum(max(lengths[r], LEAST_LENGTH) for r in chunk) <= most


@given(LENGTHS, st.integers(33, 600))
def test_rows_are_done_nearly_in_order(lengths: list[int], window: int) -> None:
    """Nobody who waits for the next row waits for more than what a window holds."""
    done: set[int] = set()
    for chunk in chunks_of(lengths, 32 * LEAST_LENGTH, window):
        done.update(chunk)
        first_missing = next(row for row in range(len(lengths) + 1) if row not in done)
        assert max(done) - first_missing < window


def test_the_first_rows_come_first_and_later_ones_in_company() -> None:
    lengths = [(row * 7919) % 200 + 1 for row in range(4000)]
    chunks = chunks_of(lengths, 1024, 1024)
    assert max(row for chunk in chunks[:4] for row in chunk) < 32
    spreads = [max(part) - min(part) for part in ([lengths[r] for r in c] for c in chunks[-90:-5])]
    assert max(spreads) < 60, "rows of a chunk are of like length"


class Counting:
    tokens_at_once = 2048

    def count_tokens(self, texts: list[str]) -> list[int]:
        return [len(text.split()) * 100 for text in texts]

    def generate(self, prompts: list[Prompt], options: GenerationOptions) -> list[list[Generation]]:
        return [[] for _ in prompts]


def test_an_engine_says_how_much_it_does_at_a_time() -> None:
    texts = ["one two"] * 400
    assert max(len(c) for c in chunks_for(texts, Counting(), 400)) == 10
    assert len(chunks_for(texts, None, 400)) == 1, "what needs no model is quick"
    plain = chunks_for(texts, object(), 400)  # type: ignore[arg-type]
    assert max(map(len, plain)) == TOKENS_AT_ONCE // LEAST_LENGTH
