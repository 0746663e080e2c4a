"""The tokenizer loses nothing and lets no special token in."""

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.errors import ModelError
from civilly.model.source import BYTE, CONTROL, USER_DEFINED, Vocabulary
from civilly.model.tokenizer import SPACE, TextTokenizer, build_tokenizer, byte_piece, merges_of
from civilly.model.vocabulary import close_over_merges, pack, unpack
from civilly.types import Prompt, Segment

RUNS = [blank * length for blank in (SPACE, "\n", "\t") for length in range(2, 6)]
WORDS = ["he", "ll", "hell", "hello", SPACE + "w", "or", SPACE + "wor", SPACE + "world", "ld"]


def small_vocabulary() -> Vocabulary:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>"]
    kinds = [CONTROL] * 4
    pieces += [byte_piece(b) for b in range(256)]
    kinds += [BYTE] * 256
    normal = [*string.ascii_lowercase, SPACE, *WORDS]
    scores = [-1000.0] * 260 + [-1000.0] * 27 + [-float(i) for i in range(len(WORDS))]
    kinds += [1] * len(normal)
    runs = ["\n", "\t", *RUNS]
    pieces += normal + runs
    return Vocabulary(
        tuple(pieces),
        tuple(scores + [-5.0] * len(runs)),
        tuple(kinds + [USER_DEFINED] * len(runs)),
    )


@pytest.fixture(scope="module")
def sentencepiece() -> Any:
    """Google's own tokenizer on the same vocabulary."""
    library = pytest.importorskip("sentencepiece")
    from sentencepiece import sentencepiece_model_pb2

    v = small_vocabulary()
    model = sentencepiece_model_pb2.ModelProto()
    for piece, score, kind in zip(v.pieces, v.scores, v.kinds, strict=True):
        model.pieces.add(piece=piece, score=score, type=2 if piece == "<unk>" else kind)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    return library.SentencePieceProcessor(model_proto=model.SerializeToString())


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    v = small_vocabulary()
    return TextTokenizer(
        build_tokenizer(v.pieces, merges_of(v.pieces, v.scores, v.atomic)), {"<bos>": 2, "<eos>": 1}
    )


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_survives_a_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "text", [SPACE, f"a{SPACE}b", "<0x0A>", "  two", "\x00", "🤬\u200d", "\n\n"]
)
def test_odd_texts_survive(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(alphabet="helowrd \n\t★é", max_size=40))
def test_texts_are_cut_as_sentencepiece_cuts_them(tokenizer, sentencepiece, text):
    assert tokenizer.encode(text) == sentencepiece.encode(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [("a   b", ["a", SPACE * 3, "b"]), (" world", [SPACE + "world"]),
     ("  world", [SPACE * 2, "w", "or", "ld"]), (" " * 6 + "world", [SPACE * 5, SPACE + "world"]),
     ("a\n\n\nb\t\t", ["a", "\n" * 3, "b", "\t" * 2])],
)  # fmt: skip
def test_runs_of_blanks_are_one_piece_as_far_as_they_go(tokenizer, text, pieces):
    assert [tokenizer.piece(i) for i in tokenizer.encode(text)] == pieces


def test_words_are_merged(tokenizer):
    assert [tokenizer.piece(i) for i in tokenizer.encode("hello world")] == ["hello", "▁world"]


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text(alphabet="<bos>e/unkad ", max_size=40))
def test_user_text_never_becomes_a_special_token(tokenizer, text):
    assert not {0, 1, 2, 3} & set(tokenizer.encode(text))


def test_special_segments_become_one_id(tokenizer):
    prompt = Prompt((Segment("<bos>", special=True), Segment("<bos>")))
    (ids,) = tokenizer.encode_prompts([prompt])
    assert ids[0] == 2
    assert 2 not in ids[1:]


def test_unknown_special_is_an_error(tokenizer):
    with pytest.raises(ModelError, match="no special token '<fim>'"):
        tokenizer.encode_prompts([Prompt((Segment("<fim>", special=True),))])


def test_closing_keeps_the_merge_path_and_all_bytes():
    v = small_vocabulary()
    kept = close_over_merges([v.pieces.index("hello")], v)
    pieces = {v.pieces[i] for i in kept}
    assert {"h", "e", "l", "o", "he", "ll", "hell", "hello"} <= pieces
    assert "▁world" not in pieces
    assert {byte_piece(b) for b in range(256)} <= pieces
    restricted = v.restricted_to(kept)
    small = TextTokenizer(
        build_tokenizer(
            restricted.pieces, merges_of(restricted.pieces, restricted.scores, restricted.atomic)
        ),
        {},
    )
    assert [small.piece(i) for i in small.encode("hello")] == ["hello"]
    assert small.decode(small.encode("hello world")) == "hello world"


def test_closing_keeps_the_shorter_runs():
    v = small_vocabulary()
    kept = {v.pieces[i] for i in close_over_merges([v.pieces.index(SPACE * 4)], v)}
    assert {SPACE * length for length in range(1, 5)} <= kept
    assert SPACE * 5 not in kept


@settings(derandomize=True, max_examples=50)
@given(st.sets(st.integers(0, 60_000), min_size=1))
def test_packing_round_trip(ids):
    assert unpack(pack(ids)) == sorted(ids)


def test_packing_refuses_wide_gaps():
    with pytest.raises(OverflowError):
        pack([1, 70_000])
