"""The tokenizer of mDeBERTa-v3, built from its SentencePiece model.

XCOMET-lite was trained and is officially run with the normalisation that is stored in ``spm.model``
(NFKC, among others). The class of transformers 5 puts NFC in its place, so full-width letters or
ligatures would become other tokens and get other scores.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from civilly.errors import ModelError
from civilly.score.models import ModelSource

CLS, SEP, PAD = "[CLS]", "[SEP]", "[PAD]"
SPECIAL = (CLS, SEP, PAD, "[UNK]", "[MASK]")


def open_tokenizer(source: ModelSource) -> Tokenizer:
    """The tokenizer of an encoder that has ``spm.model``, or else ``tokenizer.json``.

    Raises:
        ModelError: If it has neither.
        ImportError: If sentencepiece or protobuf is not installed.
        OSError: If a hub id cannot be reached.
    """
    path = source.file("spm.model", "tokenizer.json")
    if path is None:
        raise ModelError(
            f"The encoder {source.name!r} has no tokenizer.",
            allowed="spm.model or tokenizer.json",
            mend="name another with --option fl_encoder=",
        )
    tokenizer = Tokenizer.from_file(str(path)) if path.suffix == ".json" else _from_spm(path)
    lacking = [name for name in (CLS, SEP, PAD) if tokenizer.token_to_id(name) is None]
    if lacking:
        raise ModelError(
            f"The tokenizer of {source.name!r} lacks {', '.join(lacking)}.",
            mend="name an encoder of the DeBERTa family with --option fl_encoder=",
        )
    tokenizer.no_padding()
    return tokenizer


def _from_spm(path: Path) -> Tokenizer:
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(path.read_bytes())
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=proto.trainer_spec.unk_id))
    charsmap = proto.normalizer_spec.precompiled_charsmap
    steps = [
        normalizers.Strip(),
        *([normalizers.Precompiled(charsmap)] if charsmap else []),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in SPECIAL]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (CLS, SEP)],
    )
    return tokenizer
