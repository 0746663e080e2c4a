"""Requests against servers that misbehave on the wire, one raw answer per connection."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from civilly.engines import open_engine
from civilly.engines.http import JsonClient, StatusError
from civilly.errors import EngineError

KEY = "sk-very-secret"
GOOD = b'{"said": "hello"}'


def answer(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, "Connection: close", *headers, "", ""]).encode() + body


@contextmanager
def wire(*answers: bytes | float) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives each connection the next answer as it stands; a number drips."""
    received: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for each in answers:
            connection, _ = listening.accept()
            with connection:
                received.append(request(connection))
                if isinstance(each, bytes):
                    connection.sendall(each)
                else:
                    drip(connection, each)
        listening.close()  # dies: from here on connections are refused

    def request(connection: socket.socket) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(65_536)
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += connection.recv(65_536)
        return head + b"\r\n\r\n" + body

    def drip(connection: socket.socket, seconds: float) -> None:
        connection.sendall(answer(b"", length=1_000_000))
        for _ in range(1_000):
            try:
                connection.sendall(b" ")
            except OSError:
                return
            time.sleep(seconds)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", received
    listening.close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def client(pauses: list[float] | None = None, **settings: object) -> JsonClient:
    waits = pauses if pauses is not None else []
    made = JsonClient(KEY, sleep=waits.append, **{"timeout": 5.0, **settings})
    made.heard.set()
    return made


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        answer(GOOD[:5], length=len(GOOD)),
        answer(GOOD[:5]),
        answer(b"[1, 2]"),
        answer(b"[" * 100_000),
        answer(b"\xff\xfe"),
        answer(b"not gzip", "200 OK", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"SSH-2.0-OpenSSH\r\n",
        answer(b"", "503 Service Unavailable"),
    ],
)
def test_half_answers_and_nonsense_are_asked_again(bad: bytes) -> None:
    pauses: list[float] = []
    with wire(bad, bad, answer(GOOD)) as (url, received):
        assert client(pauses).post(url, {"text": "schön"}) == {"said": "hello"}
    assert len(received) == 3
    assert len(set(received)) == 1
    head, _, body = received[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {"text": "schön"}
    assert b"Bearer " + KEY.encode() in head
    assert len(pauses) == 2


def test_pauses_double_and_differ_by_chance() -> None:
    pauses: list[float] = []
    busy = [answer(b"{}", "500 Oops")] * 8
    with wire(*busy) as (url, _), pytest.raises(StatusError):
        client(pauses, retries=7, backoff=0.5, longest_wait=20.0).post(url, {})
    assert len(pauses) == 7
    for number, pause in enumerate(pauses):
        assert min(0.5 * 2**number, 20.0) <= pause <= min(0.5 * 2**number + 0.5, 20.0)
    assert pauses[-1] == 20.0
    assert len({pause % 0.5 for pause in pauses}) > 3


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("7", 7, 7.5), ("999", 60, 60), ("-3", 0, 0.5), ("soon", 0.5, 1), ("date", 20, 45.5)],
)
def test_retry_after_is_honoured(header: str, least: float, most: float) -> None:
    pauses: list[float] = []
    value = formatdate(time.time() + 45, usegmt=True) if header == "date" else header
    refusal = answer(b"{}", "429 Too Many Requests", f"Retry-After: {value}")
    with wire(refusal, answer(GOOD)) as (url, _):
        client(pauses, backoff=0.5).post(url, {})
    assert len(pauses) == 1
    assert least <= pauses[0] <= most


def test_a_server_that_dies_is_tried_to_the_end() -> None:
    pauses: list[float] = []
    with wire(answer(GOOD)) as (url, _):
        asked = client(pauses, retries=2)
        assert asked.post(url, {}) == {"said": "hello"}
        for _ in range(100):  # until it is gone
            try:
                socket.create_connection(("127.0.0.1", int(url.split(":")[2][:-3]))).close()
            except OSError:
                break
            time.sleep(0.02)
        with pytest.raises(EngineError, match="cannot be reached") as error:
            asked.post(url, {})
    assert error.value.retryable
    assert len(pauses) == 2


def test_an_answer_that_drips_ends_with_the_time() -> None:
    with wire(0.05) as (url, _), pytest.raises(EngineError, match=r"within 0\.3 seconds"):
        client(retries=0, timeout=0.3).post(url, {})


def test_an_endless_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("civilly.engines.http._LONGEST_ANSWER", 1_000)
    with wire(answer(b" " * 200_000)) as (url, received), pytest.raises(EngineError, match="64 MB"):
        client().post(url, {})
    assert len(received) == 1


def test_the_key_is_in_no_message_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = json.dumps({"error": {"message": f"no such key: {KEY}"}}).encode()
    asked = client()
    with wire(answer(told, "401 Unauthorized"), b"\x00") as (url, _):
        with pytest.raises(StatusError) as refused:
            asked.post(url, {"text": "a private text"})
        with pytest.raises(EngineError) as broken:
            JsonClient(KEY, retries=0).post(url, {"text": "a private text"})
    said = [repr(asked), caplog.text, *(f"{e.value!r} {e.value.__cause__!r}" for e in
            (refused, broken))]  # fmt: skip
    assert "***" in said[2]
    assert not [each for each in said if KEY in each or "private" in each]


@pytest.mark.parametrize("key", ["sk-\nsecret", "sk-sécret", "sk-\x00secret"])
def test_a_key_that_cannot_be_sent_is_refused_without_telling_it(
    key: str,
) -> None:
    with pytest.raises(EngineError, match="cannot be sent") as error:
        JsonClient(key)
    assert "cret" not in str(error.value)


def test_a_password_in_an_address_is_refused_without_telling_it() -> None:
    with pytest.raises(EngineError, match="OPENAI_API_KEY") as error:
        open_engine("openai:http://me:hush@localhost/v1#m")
    assert "hush" not in str(error.value)


def test_a_proxy_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "gopher://localhost:1")
    with pytest.raises(EngineError, match="proxy"):
        client().post("http://127.0.0.1:9/v1", {})
