"""What a server's answer in OpenAI's shape says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.engines.requests import as_written, cut_at_stop
from civilly.errors import EngineError
from civilly.types import Generation, GenerationOptions


def read_answer(
    answer: Mapping[str, Any], chat: bool, options: GenerationOptions, url: str
) -> list[Generation]:
    """The generations in a server's answer, in the order of their index.

    Raises:
        EngineError: If the answer is not shaped like the protocol's.
    """
    try:
        choices = sorted(answer["choices"], key=lambda each: each.get("index") or 0)
        read = [_generation(each, chat, options.stop) for each in choices[: options.n]]
    except (KeyError, TypeError, AttributeError, ValueError):
        read = []
    if not read:
        raise EngineError(
            f"The server at {url} gave an answer without usable choices: {str(answer)[:200]}",
            allowed="choices with a text (completions) or a message (chat)",
            mend="check that the model serves this kind of request (?api=chat or completions)",
        )
    return read


def _generation(choice: Mapping[str, Any], chat: bool, stop: Sequence[str]) -> Generation:
    text = choice["message"].get("content") if chat else choice["text"]
    if text is None:  # a refusal or a filter: the model said nothing
        text = ""
    if not isinstance(text, str):
        raise TypeError("the text is not a string")
    text, stopped = cut_at_stop(text, [each for word in stop for each in as_written(word)])
    finished = stopped or choice.get("finish_reason") != "length"
    return Generation(text, _mean_logprob(choice.get("logprobs")), finished)


def _mean_logprob(logprobs: Any) -> float | None:
    """Mean over the tokens that have one; both shapes of the protocol; None where not offered."""
    if not isinstance(logprobs, Mapping):
        return None
    values = logprobs.get("token_logprobs")
    if values is None:
        values = [each.get("logprob") for each in logprobs.get("content") or []]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return sum(known) / len(known) if known else None
