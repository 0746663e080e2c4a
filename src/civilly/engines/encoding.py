"""Prompts to token ids and back, for the tokenizers of the transformers library."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from tokenizers import Tokenizer

from civilly.engines.requests import well_formed
from civilly.errors import EngineError
from civilly.types import Prompt

_MARKUP = re.compile(r"[<>\[\]{}|｜]")
_CONTEXT = 4


class PromptEncoder:
    """Encodes prompts so that only special segments become special tokens.

    Args:
        tokenizer: A tokenizer of transformers.
        chat: ``"auto"`` uses the tokenizer's chat template, if it has one, for a prompt of one
            plain segment; ``"always"`` insists on a template; ``"never"`` uses none.
        bos: ``"auto"`` begins a text as the tokenizer does; ``"always"`` also puts the token for
            the beginning where the tokenizer was saved without that habit.
        sentinels: Further tokens that steer the model, though the tokenizer has them as text.
        closing: Whether the tokens that the tokenizer puts after a text belong to a prompt (the
            end of an encoder's input) or not (a causal model goes on writing).

    Raises:
        EngineError: If ``chat`` is ``"always"`` and there is no chat template.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        chat: str,
        closing: bool,
        bos: str = "auto",
        sentinels: Sequence[str] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self._closing = closing
        self._forced_bos = tokenizer.bos_token_id if bos == "always" else None
        has_template = bool(getattr(tokenizer, "chat_template", None))
        if chat == "always" and not has_template:
            raise EngineError("This model's tokenizer has no chat template.", mend="use chat=never")
        self._chat = has_template and chat != "never"
        self.vocabulary: dict[str, int] = tokenizer.get_vocab()
        self._sentinels = sentinels
        self._blind: dict[bool, Tokenizer] = {}

    @cached_property
    def control(self) -> Mapping[str, int]:
        """Tokens that steer the model, by spelling: special ones, and added ones like markup.

        Added tokens that are words or white space are text. The token for unknown characters is
        not counted: it stands for text, too.
        """
        tokenizer = self._tokenizer
        found = {
            str(token): index
            for index, token in tokenizer.added_tokens_decoder.items()
            if token.special or _MARKUP.search(str(token))
        }
        found.update(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
        steering = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
        if tokenizer.unk_token_id not in steering:
            found.pop(tokenizer.unk_token, None)
        found.update((each, self.vocabulary[each]) for each in self._sentinels)
        return found

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt, ready for the model.

        Raises:
            EngineError: If a special segment is not one token of the model.
        """
        segments = prompt.segments
        if self._chat and len(segments) == 1 and not segments[0].special:
            before, after = self._chat_frame
            return [*before, *self.encode_text(segments[0].text), *after]
        opening, closing = self._frame
        if self._forced_bos is not None and self._forced_bos not in opening:
            opening = [self._forced_bos, *opening]
        ids: list[int] = []
        for segment in segments:
            if segment.special:
                ids.append(self._special_id(segment.text))
            elif segment.text:
                ids += self.encode_text(segment.text, goes_on=ids not in ([], opening))
        opened = bool(segments) and segments[0].special and ids[: len(opening)] == opening
        if not opened:
            ids = [*opening, *ids]
        return [*ids, *closing] if self._closing else ids

    def encode_text(self, text: str, *, goes_on: bool = False) -> list[int]:
        """Token ids of a plain text; no spelling in it becomes a control token.

        Args:
            text: Any text.
            goes_on: Whether something stands before it. Some tokenizers put a space before a
                text's beginning; what goes on begins as it is written.
        """
        text = well_formed(text)
        ids: list[int] = (
            list(self._continuing.encode(text, add_special_tokens=False).ids)
            if goes_on and self._continuing is not None
            else self._tokenizer(
                text, add_special_tokens=False, split_special_tokens=True, verbose=False
            )["input_ids"]
        )
        if self._control_ids.isdisjoint(ids):
            return ids
        # The text spells a control token. Splitting *special* tokens is not enough: some models
        # add theirs as plain tokens, and a unigram vocabulary finds its own pieces in any text.
        if getattr(self._tokenizer, "is_fast", False):
            return list(self._blind_tokenizer(goes_on).encode(text, add_special_tokens=False).ids)
        return self._encode_broken(text)

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids as `encode_text` gives them, and the characters ``[start, end)`` of each.

        Raises:
            EngineError: If the tokenizer does not say where its tokens stand (only those of the
                library ``tokenizers`` do).
        """
        if not getattr(self._tokenizer, "is_fast", False):
            raise EngineError(
                "This tokenizer does not say where its tokens stand in a text.",
                allowed="a tokenizer with a tokenizer.json",
            )
        text = well_formed(text)
        found = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False,
            return_offsets_mapping=True,
        )  # fmt: skip
        ids, places = list(found["input_ids"]), [tuple(each) for each in found["offset_mapping"]]
        if not self._control_ids.isdisjoint(ids):  # see `encode_text`
            encoded = self._blind_tokenizer(goes_on=False).encode(text, add_special_tokens=False)
            ids, places = list(encoded.ids), list(encoded.offsets)
        return ids, places

    @property
    def opening(self) -> list[int]:
        """The ids that stand before a text."""
        return list(self._frame[0])

    def decode(self, ids: Sequence[int], context: Sequence[int] = ()) -> str:
        """The text of generated ids, without special tokens.

        Args:
            ids: What the model wrote.
            context: The ids before them; many tokenizers drop a space where a text begins, so the
                last few tell whether the continuation starts with one.
        """
        tail = [each for each in context[-2 * _CONTEXT :] if each not in self._control_ids]
        tail = tail[-_CONTEXT:]
        head = self._decode(tail)
        # Where tokens are bytes, a part of a character spoils all bytes that follow it.
        while "\ufffd" in head:
            tail = tail[1:]
            head = self._decode(tail)
        whole = self._decode([*tail, *ids])
        return whole[len(head) :] if whole.startswith(head) else self._decode(ids)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    @cached_property
    def _control_ids(self) -> frozenset[int]:
        return frozenset(self.control.values())

    def _special_id(self, spelling: str) -> int:
        if spelling not in self.vocabulary:
            raise EngineError(
                f"This model has no token {spelling!r}.",
                allowed=", ".join(sorted(self.control)[:20]),
                mend="choose a method whose prompt fits the model (for infill: --option family=), "
                "or a model of that family",
            )
        return self.vocabulary[spelling]

    @cached_property
    def _frame(self) -> tuple[list[int], list[int]]:
        """The ids that the tokenizer puts before and after a text."""
        bare = self._tokenizer("a", add_special_tokens=False)["input_ids"]
        full = self._tokenizer("a")["input_ids"]
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return list(full[:start]), list(full[start + len(bare) :])
        return [], []

    @cached_property
    def _chat_frame(self) -> tuple[list[int], list[int]]:
        """The ids of the chat template before and after the user's message."""
        marker = secrets.token_hex(12)
        rendered = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": marker}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        before, found, after = rendered.partition(marker)
        if not found:
            raise EngineError("The chat template leaves the message out.", mend="use chat=never")
        return tuple(  # type: ignore[return-value]
            list(self._tokenizer(part, add_special_tokens=False)["input_ids"]) if part else []
            for part in (before, after)
        )

    @cached_property
    def _continuing(self) -> Tokenizer | None:
        """The same tokenizer without the space that it puts before a text; None if it puts none."""
        if not getattr(self._tokenizer, "is_fast", False):
            return None
        backend = self._tokenizer.backend_tokenizer
        habits = {
            "normalizer": _state(backend.normalizer),
            "pre_tokenizer": _state(backend.pre_tokenizer),
        }
        if "WhitespaceSplit" in json.dumps(habits):
            changed = _spaces_kept(habits["normalizer"])
        else:
            changed = {name: _without_space(habit) for name, habit in habits.items()}
        if changed == habits:
            return None
        data = json.loads(backend.to_str())
        data.update(**changed, truncation=None, padding=None)
        made = Tokenizer.from_str(json.dumps(data))
        made.encode_special_tokens = True
        return made

    def _blind_tokenizer(self, goes_on: bool) -> Tokenizer:
        """The same tokenizer, which knows the control tokens by no spelling that a user can write.

        They keep their ids but get a random name, in the vocabulary as in the merges.
        """
        if goes_on not in self._blind:
            source = self._continuing if goes_on else None
            self._blind[goes_on] = self._blinded(source or self._tokenizer.backend_tokenizer)
        return self._blind[goes_on]

    def _blinded(self, source: Tokenizer) -> Tokenizer:
        data = json.loads(source.to_str())
        names = {spelling: f"\uffff{secrets.token_hex(16)}" for spelling in self.control}
        data["added_tokens"] = [
            each for each in data["added_tokens"] if each["content"] not in names
        ]
        data.update(post_processor=None, truncation=None, padding=None)
        model = data["model"]
        vocabulary = model["vocab"]
        if isinstance(vocabulary, dict):
            model["vocab"] = {names.get(piece, piece): index for piece, index in vocabulary.items()}
        else:
            model["vocab"] = [[names.get(piece, piece), score] for piece, score in vocabulary]
        if model.get("unk_token") in names:
            model["unk_token"] = names[model["unk_token"]]
        if "merges" in model:
            model["merges"] = [
                pair for pair in model["merges"] if not {*pair, "".join(pair)} & names.keys()
            ]
        return Tokenizer.from_str(json.dumps(data))

    def _encode_broken(self, text: str) -> list[int]:
        """Encodes a text piecewise, so that no piece holds a control token's whole spelling."""
        spellings = sorted(self.control, key=len, reverse=True)
        pieces = re.split(f"({'|'.join(map(re.escape, spellings))})", text)
        ids: list[int] = []
        for number, piece in enumerate(pieces):
            for part in (piece[:1], piece[1:]) if number % 2 else (piece,):
                if part:
                    ids += self._tokenizer(
                        part, add_special_tokens=False, split_special_tokens=True, verbose=False
                    )["input_ids"]
        if not self._control_ids.isdisjoint(ids):
            raise EngineError(
                "The text spells a control token that this tokenizer cannot split.",
                mend="take that spelling out of the text, or use another model",
            )
        return ids


def _state(component: Any) -> Any:
    """A normalizer or pre-tokenizer as JSON; None if there is none."""
    return None if component is None else json.loads(component.__getstate__())


def _without_space(component: Any) -> Any:
    """The same normalizer or pre-tokenizer, putting no space before a text."""
    if component is None or component["type"] == "Prepend":
        return None
    for name in ("normalizers", "pretokenizers"):
        if name in component:
            parts = map(_without_space, component[name])
            component = {**component, name: [part for part in parts if part is not None]}
    silent = {"prepend_scheme": "never", "add_prefix_space": False}
    return {**component, **{name: silent[name] for name in silent.keys() & component.keys()}}


def _spaces_kept(normalizer: Any) -> dict[str, Any]:
    """The habits of a tokenizer that cuts texts at white space and puts a space before each word.

    Only that a word without white space before it gets none.
    """
    steps = [
        *([] if normalizer is None else [normalizer]),
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
        {"type": "Strip", "strip_left": False, "strip_right": True},
    ]
    words = {
        "type": "Split",
        "pattern": {"String": " "},
        "behavior": "MergedWithNext",
        "invert": False,
    }
    spaces = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": False}
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [words, spaces]},
    }
