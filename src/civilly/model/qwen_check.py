"""Makes sure that a GGUF file holds a whole Qwen2 model, and one that is run as it was meant."""

from __future__ import annotations

from itertools import chain

from civilly.errors import ModelError
from civilly.model.qwen_source import TEXT, QwenSource
from civilly.model.smoothquant import PROJECTION

_TOKENIZER, _CUT = "gpt2", "qwen2"
"""How GGUF calls byte-level BPE, and how Qwen2 cuts a text before it merges bytes."""


def check_source(source: QwenSource, mend: str, instead: str) -> None:
    """Reads no weights but those that tell whether input and output matrix are one.

    Args:
        source: The file.
        mend: What to do about one that is damaged.
        instead: What to do with a model that asks for what we do not have.

    Raises:
        ModelError: If parts are missing, or it is another kind of model.
    """
    _check_parts(source)
    _check_vocabulary(source, mend)
    _check_tokenizer(source, instead)
    scaling = source.file.optional("qwen2.rope.scaling.type") or "none"
    if scaling != "none":
        raise ModelError(
            f"{source.path} stretches its positions ({scaling}).",
            allowed="a model as it was trained",
            mend=instead,
        )
    _check_shapes(source, mend)


def _check_parts(source: QwenSource) -> None:
    count = source.file.optional("split.count") or 1
    if count > 1:
        raise ModelError(
            f"{source.path} is one of {count} parts of a model.",
            mend="join them: llama-gguf-split --merge FIRST_PART WHOLE.gguf",
        )


def _check_vocabulary(source: QwenSource, mend: str) -> None:
    """The library that merges pieces ends the process over a merge that makes none."""
    text = {piece for piece, kind in zip(source.pieces, source.kinds, strict=False) if kind == TEXT}
    try:
        sound = all({a, b, a + b} <= text for a, b in source.merges)
    except ValueError:
        sound = False
    if not sound or len(source.pieces) != len(source.kinds):
        raise ModelError(f"The vocabulary of {source.path} is damaged.", mend=mend)


def _check_tokenizer(source: QwenSource, instead: str) -> None:
    kind = source.file.field("tokenizer.ggml.model")
    cut = source.file.optional("tokenizer.ggml.pre") or _CUT  # old files do not say
    if (kind, cut) != (_TOKENIZER, _CUT):
        raise ModelError(
            f"{source.path} has a tokenizer of the kind {kind!r}, {cut!r}.",
            allowed=f"{_TOKENIZER!r}, {_CUT!r}",
            mend=instead,
        )
    steering = source.steering
    for token in (source.begin, source.end):
        if token not in steering:
            raise ModelError(
                f"{source.path} has no special token {token!r}.",
                allowed=f"a vocabulary of Qwen2, not {', '.join(steering) or 'without any'}",
                mend=instead,
            )


def _check_shapes(source: QwenSource, mend: str) -> None:
    found, size = source.shapes(), len(source.pieces)
    wanted = source.architecture.shapes(size)
    own = () if source.tied else ((PROJECTION, (size, source.architecture.width)),)
    # As many as a damaged head asks for are not written down first.
    for name, shape in chain(wanted, own):
        if name not in found:
            raise ModelError(f"{source.path} lacks {name}.", mend=mend)
        if found[name] != shape:
            raise ModelError(
                f"{source.path} has {name} as {found[name]}.", allowed=str(shape), mend=mend
            )
