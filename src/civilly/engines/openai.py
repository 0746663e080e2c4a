"""Any server that speaks OpenAI's protocol: hosted, or local such as llama.cpp, vLLM, Ollama.

A target is the server's address, a hash and the model: ``openai:http://localhost:8080/v1#model``,
with options in the address's query: ``…/v1?api=completions&concurrency=4#model``. The key comes
from the environment variable ``OPENAI_API_KEY``. Nothing is sent before `OpenAiEngine.generate`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from civilly.engines.http import JsonClient, StatusError
from civilly.engines.infilling import Hole
from civilly.engines.openai_answers import read_answer
from civilly.engines.requests import (
    as_written,
    check,
    check_search,
    choice,
    limit_of,
    positive,
    read_options,
    well_formed,
)
from civilly.errors import EngineError
from civilly.registry import Option
from civilly.types import Generation, GenerationOptions, Prompt, Segment, Usage

OPTIONS = (
    Option("api", "Which of the server's services.", ("auto", "chat", "completions"), "auto"),
    Option("concurrency", "The most requests at a time.", default="8"),
    Option("timeout", "Seconds that one answer may take.", default="120"),
    Option("retries", "How often a request is sent again.", default="5"),
    Option("backoff", "Seconds before the first retry; twice as many before each next.",
           default="0.5"),
    Option("limit_field", "What the server calls the token limit.",
           ("max_tokens", "max_completion_tokens"), "max_tokens"),
    Option("fim", "Who builds the prompt of a hole.", ("prompt", "suffix", "mistral"), "prompt"),
)  # fmt: skip
"""Options of a target."""

KEY_VARIABLE = "OPENAI_API_KEY"
"""Environment variable with the key."""

TOKENS_PER_REQUEST = 128
"""Tokens of texts that are worked on at a time, by the requests that are sent at a time."""

_MOST_STOPS = 4  # of the protocol


@dataclass(frozen=True, slots=True)
class Target:
    """Which model of which server, and how to ask it.

    Attributes:
        url: Address up to the version, for example ``http://localhost:8080/v1``.
        model: The server's name of the model.
        api: ``chat``, ``completions``, or ``auto``: chat for a prompt of one plain segment,
            completions for prompts with structure of their own.
        concurrency: The most requests at a time.
        limit_field: How the server calls the token limit; newer models of OpenAI want
            ``max_completion_tokens``.
        fim: How holes are filled: ``prompt`` with the prompt of the model's family, ``suffix`` by
            the server, with the field ``suffix`` of a completion, ``mistral`` by it at Mistral's
            own address ``/fim/completions``.
        client: How requests are made.
    """

    url: str
    model: str
    api: str
    concurrency: int
    limit_field: str
    fim: str
    client: JsonClient

    @classmethod
    def parse(cls, target: str, key: str = "") -> Target:
        """Reads ``http://host:port/v1?option=value#model``.

        Raises:
            EngineError: If the address, the model or an option is wrong.
            UnknownNameError: If there is no such option.
        """
        try:
            parts = urlsplit(target)
            well_addressed = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            well_addressed = False
        if well_addressed and parts.username is not None:
            raise EngineError(
                "The address of the engine 'openai' holds a name or password, which would be told.",
                mend=f"openai:{parts.scheme}://{parts.hostname}…, the key in {KEY_VARIABLE}",
            )
        if not well_addressed or not parts.fragment:
            raise EngineError(
                f"The engine 'openai' cannot open {target!r}.",
                allowed="an http or https address, a hash and the model's name",
                mend="openai:http://localhost:8080/v1#model",
            )
        given = read_options("openai", parts.query, OPTIONS)
        fields = ("max_tokens", "max_completion_tokens")
        numbers = {
            name: positive("openai", name, given[name])
            for name in ("concurrency", "timeout", "backoff")
        }
        if not given["retries"].isdecimal():
            raise EngineError(
                f"The option 'retries' of the engine 'openai' is {given['retries']!r}.",
                allowed="0 or a whole number above",
            )
        return cls(
            url=urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")),
            model=parts.fragment,
            api=choice("openai", "api", given["api"], ("auto", "chat", "completions")),
            concurrency=max(1, int(numbers["concurrency"])),
            limit_field=choice("openai", "limit_field", given["limit_field"], fields),
            fim=choice("openai", "fim", given["fim"], ("prompt", "suffix", "mistral")),
            client=JsonClient(key, numbers["timeout"], int(given["retries"]), numbers["backoff"]),
        )


class OpenAiEngine:
    """Generates on a server.

    Args:
        target: Which model of which server.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._refused_fields: set[str] = set()
        self._counting = threading.Lock()
        self._usage: Usage | None = None

    @property
    def tokens_at_once(self) -> int:
        """See `civilly.engines.pacing.Paced`: for every connection some short texts, or a long."""
        return TOKENS_PER_REQUEST * self._target.concurrency

    @property
    def requests_at_once(self) -> int:
        """See `civilly.engines.pacing.Concurrent`."""
        return self._target.concurrency

    @property
    def usage(self) -> Usage | None:
        """Tokens of all answers so far, as the server counts them; None if it never did."""
        return self._usage

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        """``1..options.n`` generations per prompt, in order.

        At temperature 0 one is asked for, since they would be alike. Some servers give one
        whatever they are asked for.

        Raises:
            EngineError: If one prompt fails after all retries. Nothing is returned then, so that
                no row is silently lost; requests that wait are not sent any more. Also if beams
                are asked for by name: the protocol knows none.
        """
        check(prompts, options)
        return self._together(
            [partial(self._answer, prompt, options) for prompt in prompts], options
        )

    @property
    def infills(self) -> bool:
        """Whether the server is given both sides of a hole, and builds the prompt itself."""
        return self._target.fim != "prompt"

    def infill(self, holes: Sequence[Hole], options: GenerationOptions) -> list[list[Generation]]:
        """See `civilly.engines.infilling.Infiller`.

        Raises:
            EngineError: As `generate`; also if the server fills no holes.
        """
        check((), options)
        return self._together([partial(self._fill, hole, options) for hole in holes], options)

    def _together(
        self, calls: Sequence[Callable[[], list[Generation]]], options: GenerationOptions
    ) -> list[list[Generation]]:
        check_search("openai", options, ())
        if options.adapter is not None:
            raise EngineError(
                "A server cannot load the adapter of a request, which the default method asks for.",
                mend="--method prompt, which needs no adapter; or start the server with the "
                "adapter merged into its model",
            )
        if not calls:
            return []
        first_contact = self._target.client.first_contact(self._target.url)
        with first_contact, ThreadPoolExecutor(min(self._target.concurrency, len(calls))) as pool:
            futures = [pool.submit(call) for call in calls]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _answer(self, prompt: Prompt, options: GenerationOptions) -> list[Generation]:
        chat = self._uses_chat(prompt)
        url = self._target.url + ("/chat/completions" if chat else "/completions")
        body = self._body(limit_of(prompt, options), options)
        if chat:
            body["messages"] = [{"role": "user", "content": well_formed(prompt.text)}]
        else:
            body["prompt"] = spelled_prompt(prompt.segments, prompt.control)
        return self._read(url, body, options, chat)

    def _fill(self, hole: Hole, options: GenerationOptions) -> list[Generation]:
        limit = limit_of(Prompt((), hole.max_new_tokens), options)
        body = self._body(limit, options)
        body["prompt"] = unspelled(well_formed(hole.prefix), hole.control)
        body["suffix"] = unspelled(well_formed(hole.suffix), hole.control)
        try:
            if self._target.fim == "suffix":
                return self._read(f"{self._target.url}/completions", body, options, False)
            return self._fill_at_mistral(body, options)
        except StatusError as error:
            missing = self._target.fim == "mistral" and error.status in (404, 405)
            if missing or (error.status in (400, 422) and "suffix" in error.message.lower()):
                raise EngineError(
                    f"The server at {self._target.url} fills no holes: {error.message}",
                    mend="?fim=prompt sends the prompt of the model's family instead",
                ) from error
            raise

    def _fill_at_mistral(
        self, body: dict[str, Any], options: GenerationOptions
    ) -> list[Generation]:
        """One request per generation: there is no ``n``, and the seed has a name of its own."""
        if options.top_k > 0:
            raise EngineError("Mistral's address for holes knows no top_k.", mend="top_p")
        wanted, seed = body.pop("n", 1), body.pop("seed", None)
        url = f"{self._target.url}/fim/completions"
        found = []
        for number in range(wanted):
            asked = body if seed is None else {**body, "random_seed": seed + number}
            answer = self._target.client.post(url, asked)
            self._count(answer)
            found += read_answer(answer, True, replace(options, n=1), url)
        return found

    def _read(
        self, url: str, body: dict[str, Any], options: GenerationOptions, chat: bool
    ) -> list[Generation]:
        fields: dict[str, Any] = {"logprobs": True if chat else 1}
        if options.schema and chat:
            form = {"name": "answer", "schema": json.loads(options.schema), "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": form}
        asked = {name: value for name, value in fields.items() if name not in self._refused_fields}
        while True:
            try:
                answer = self._target.client.post(url, body | asked)
                break
            except StatusError as error:
                unknown = [name for name in asked if name in error.message]
                if error.status not in (400, 422) or not unknown:
                    raise
                self._refused_fields.update(unknown)
                asked = {name: value for name, value in asked.items() if name not in unknown}
        self._count(answer)
        return read_answer(answer, chat, options, url)

    def _count(self, answer: Any) -> None:
        told = answer.get("usage") if isinstance(answer, Mapping) else None
        if not isinstance(told, Mapping):
            return
        read, written = (told.get(f"{part}_tokens") for part in ("prompt", "completion"))
        with self._counting:
            before = self._usage or Usage()
            self._usage = Usage(
                before.prompt_tokens + (read if isinstance(read, int) else 0),
                before.answer_tokens + (written if isinstance(written, int) else 0),
            )

    def _uses_chat(self, prompt: Prompt) -> bool:
        plain = len(prompt.segments) == 1 and not prompt.segments[0].special
        if self._target.api == "chat" and any(segment.special for segment in prompt.segments):
            raise EngineError(
                "A prompt with special tokens cannot be sent as a chat message.",
                mend="api=completions",
            )
        return self._target.api == "chat" or (self._target.api == "auto" and plain)

    def _body(self, limit: int, options: GenerationOptions) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._target.model,
            self._target.limit_field: limit,
            "temperature": options.temperature,
        }
        if options.temperature > 0:
            body["n"] = options.n
            body["seed"] = options.seed
        if options.top_p < 1:
            body["top_p"] = options.top_p
        if options.top_k > 0:
            body["top_k"] = options.top_k
        if options.stop:
            body["stop"] = [as_written(word)[-1] for word in options.stop[:_MOST_STOPS]]
        return body


def spelled_prompt(segments: Sequence[Segment], control: Sequence[str] = ()) -> str:
    """A prompt as one string, in which plain text spells no control token.

    A server reads special tokens from a string, also in what a user wrote.

    Args:
        segments: The prompt.
        control: Further tokens of the model than the prompt's own.
    """
    known = {*control, *(segment.text for segment in segments if segment.special)}
    text = ""
    for special, group in groupby(segments, key=lambda segment: segment.special):
        joined = well_formed("".join(segment.text for segment in group))
        text += joined if special else unspelled(joined, known)
    return text


def unspelled(text: str, control: Iterable[str]) -> str:
    """The text with a zero-width space after the first character of every spelled token.

    SentencePiece writes a space as ``▁``, so one at a token's beginning makes no difference.
    """
    for spelling in sorted(control):
        core = as_written(spelling)[-1]
        if core:
            text = text.replace(core, f"{core[:1]}\u200b{core[1:]}")
    return text


def check_target(target: str) -> None:
    """Makes sure that a target is understood, without opening it; raises as `create` does."""
    Target.parse(target)


def create(target: str) -> OpenAiEngine:
    """Opens a model of a server; the first request is sent when text is generated.

    Args:
        target: ``http://host:port/v1?option=value#model`` (see `Target`).

    Raises:
        EngineError: If the target or an option is wrong.
    """
    return OpenAiEngine(Target.parse(target, os.environ.get(KEY_VARIABLE, "").strip()))
