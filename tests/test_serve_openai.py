"""OpenAI's shape, asked over loopback by the ``openai`` client, unmodified, and by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from civilly.serve.openai_surface import refusal
from civilly.serve.refusals import STOPPING, Overloaded, Refused
from civilly.serve.settings import Settings
from served import warm

KEY = "a-key-of-ours"
RUDE, CIVIL = "You are a stupid idiot.", "The meeting starts at nine."
TOLD = [
    {"role": "system", "content": "You are a stupid system."},
    {"role": "user", "content": "You fool."},
    {"role": "assistant", "content": "You moron."},
    {"role": "user", "content": f"{CIVIL} {RUDE}"},
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with warm(Settings(method="delete", keys=(KEY,), max_text_chars=500, max_texts=8)) as port:
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as made:
        yield made


# --- moderations ---------------------------------------------------------------------------------


def test_moderations(client: openai.OpenAI) -> None:
    answer = client.moderations.create(input=[RUDE, CIVIL], model="omni-moderation-latest")
    rude, civil = answer.results
    assert answer.model == "omni-moderation-latest"
    assert rude.flagged
    assert rude.categories.harassment
    assert not civil.flagged
    assert rude.category_scores.harassment > 0.8 > 0.3 > civil.category_scores.harassment
    assert rude.category_applied_input_types.harassment == ["text"]


def test_what_is_not_evaluated_is_said(client: openai.OpenAI) -> None:
    (result,) = client.moderations.create(input=RUDE).results
    applied = result.category_applied_input_types.model_dump(by_alias=True)
    assert len(applied) == 13
    evaluated = {name for name, types in applied.items() if types}
    assert evaluated == {"harassment", "harassment/threatening", "self-harm"}
    scores = result.category_scores.model_dump(by_alias=True)
    assert scores.keys() == applied.keys()
    assert all(scores[name] == 0 for name in scores.keys() - evaluated)
    assert result.categories.illicit is None


def test_moderations_tell_where_it_is_toxic(client: openai.OpenAI) -> None:
    (result,) = client.moderations.create(input=f"😀 {RUDE}").results
    more: Any = result.model_extra["civilly"]  # type: ignore[index]
    assert more["lang"] == "en"
    assert more["p_toxic"] == result.category_scores.harassment
    assert any("idiot" in span["text"] for span in more["spans"])
    text = f"😀 {RUDE}"
    assert all(text[span["start"] : span["end"]] == span["text"] for span in more["spans"])


def test_parts_get_one_result(client: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": CIVIL}, {"type": "text", "text": RUDE}]
    (result,) = client.moderations.create(input=parts).results
    assert result.flagged


@pytest.mark.parametrize("given", [[], ["a"] * 9, "a" * 501, [{"type": "image_url"}]])
def test_inputs_that_are_not_read(client: openai.OpenAI, given: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.moderations.create(input=given)
    assert caught.value.type == "invalid_request_error"


# --- chat ----------------------------------------------------------------------------------------


def test_the_last_message_of_the_user_is_rewritten(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="civilly", messages=TOLD, temperature=0.3, seed=1, max_tokens=3  # type: ignore[arg-type]
    )  # fmt: skip
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    said = choice.message.content or ""
    assert said.startswith(CIVIL)
    assert not any(word in said for word in ("idiot", "fool", "moron", "system"))
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 10  # words
    assert answer.usage.total_tokens == 10 + answer.usage.completion_tokens
    why: Any = answer.model_extra["civilly"]  # type: ignore[index]
    assert why["changed"]
    assert why["p_toxic"]["after"] < why["p_toxic"]["before"]


def test_a_civil_message_comes_back(client: openai.OpenAI) -> None:
    for content in (CIVIL, f" {CIVIL}\n", "", "\u0000"):
        answer = client.chat.completions.create(
            model="civilly", messages=[{"role": "user", "content": content}]
        )
        assert answer.choices[0].message.content == content


def test_a_stream_says_the_same(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="civilly", messages=TOLD)  # type: ignore[call-overload]
    chunks = list(
        client.chat.completions.create(  # type: ignore[call-overload]
            model="civilly", messages=TOLD, stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert deltas[0].role == "assistant"
    assert len([delta for delta in deltas if delta.content]) == 2  # sentences
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * 3 + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_asynchronous_client_streams(url: str) -> None:
    async def streamed() -> str:
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
            stream = await client.chat.completions.create(
                model="civilly", messages=[{"role": "user", "content": CIVIL}], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(streamed()) == CIVIL


def test_a_stream_ends_as_clients_expect(http: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "é 😀 idiot"}], "stream": True}
    answer = http.post("/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(event.removeprefix("data: ")) for event in events[:-2])


def test_the_language_is_told(client: openai.OpenAI) -> None:
    for options in ({"model": "civilly:de"}, {"model": "civilly", "metadata": {"lang": "de-AT"}}):
        answer = client.chat.completions.create(
            messages=[{"role": "user", "content": "Idiot"}], **options  # type: ignore[call-overload]
        )  # fmt: skip
        assert answer.model_extra["civilly"]["lang"] == "de"


def test_parts_of_a_message(client: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": "The meeting "}, {"type": "text", "text": "starts."}]
    answer = client.chat.completions.create(
        model="civilly", messages=[{"role": "user", "content": parts}]
    )
    assert answer.choices[0].message.content == "The meeting starts."


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "a"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": "a"}], "n": 2}, "n"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content.str"),
        (
            {"messages": [{"role": "user", "content": "a"}], "metadata": {"strength": "2"}},
            "metadata.strength",
        ),
        ({}, "messages"),
    ],
)
def test_messages_that_are_not_read(http: httpx.Client, body: Any, param: str) -> None:
    answer = http.post("/chat/completions", json={"model": "civilly", **body})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b'{"n": NaN}'])
def test_what_is_no_json(http: httpx.Client, body: bytes) -> None:
    for path in ("/chat/completions", "/moderations"):
        answer = http.post(path, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"


# --- models, keys, a busy server -----------------------------------------------------------------


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "civilly"
    assert len(names) == 16
    assert client.models.retrieve("civilly:hin").id == "civilly:hin"


def test_a_model_that_does_not_exist(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "a"}]
    for ask in (
        lambda: client.models.retrieve("gpt-4o"),
        lambda: client.chat.completions.create(model="civilly:pt", messages=messages),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"


def test_a_wrong_key(url: str) -> None:
    with (
        openai.OpenAI(base_url=url, api_key="another") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    "refused", [Overloaded(1.0), Refused("Stopping.", status=503, kind=STOPPING, retry_after=1)]
)
def test_the_client_tries_again_where_the_server_is_busy(url: str, refused: Any) -> None:
    """What the service refuses under load, put in front of the first answer."""
    seen: list[int] = []
    busy = refusal(refused, "an id")

    class First(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if not seen:
                seen.append(busy.status_code)
                return httpx.Response(busy.status_code, headers=busy.headers, content=busy.body)
            answer = super().handle_request(request)
            seen.append(answer.status_code)
            return answer

    with (
        httpx.Client(transport=First()) as transport,
        openai.OpenAI(base_url=url, api_key=KEY, http_client=transport, max_retries=1) as client,
    ):
        assert client.moderations.create(input=RUDE).results[0].flagged
    assert seen == [refused.status, 200]
    assert int(busy.headers["retry-after"]) >= 1
