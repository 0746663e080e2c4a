"""Whatever is sent, the service answers with an error that tells nothing, and goes on serving."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode

from civilly.serve.settings import Settings
from conftest import REPOSITORY
from fake_service import fake_service
from hostile_requests import BODIES, HEAD, PATHS, RAW, TEXTS
from served import served

PATIENCE = 20
"""Seconds after which a server counts as hung."""
IDLE = 1_000
ROUTES = (
    "/v1/detect", "/v1/rewrite", "/v1/feedback", "/v1/moderations", "/v1/chat/completions",
    "/v1alpha1/comments:analyze", "/v1alpha1/comments:suggestscore", "/batch",
)  # fmt: skip
"""Routes that read a body."""
INSIDE = re.compile(
    rb"Traceback|File \"|site-packages|\.py\b|starlette|pydantic|uvicorn|0x[0-9a-f]{6}|"
    + re.escape(str(REPOSITORY)).encode()
)
"""What answers never hold: paths, lines of code, names of libraries, addresses in memory."""
MOST_ECHO = 2_000
"""Characters of an error, however long what was sent."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    asked = Settings(head_seconds=3.0, body_seconds=1.0, max_body_bytes=1_000_000)
    with served(asked, fake_service(asked), server_header=False) as port:
        yield port


@pytest.fixture(scope="module")
def client(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
        yield client


def check(status: int, body: bytes) -> None:
    """An answer that is no failure, and tells nothing of the inside."""
    assert status < 500 or status == 503, body[:500]
    assert not INSIDE.search(body), body[:2_000]
    if status >= 400:
        assert len(body) < MOST_ECHO


def still_serves(client: httpx.Client) -> None:
    answer = client.post("/v1/rewrite", json={"text": "a damn row"})
    assert answer.json()["results"][0]["rewritten"] == "a row"


@dataclass
class Raw:
    """What a server sent until it closed, or kept silent after a whole answer."""

    sent: bytes

    @property
    def status(self) -> int | None:
        match = re.match(rb"HTTP/1\.\d (\d{3})", self.sent)
        return int(match[1]) if match else None


def raw(port: int, data: bytes, silence: float = 1.0) -> Raw:
    """Sends bytes; what comes back until there is silence. A server may close meanwhile."""
    sent = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            connection.sendall(data)
            while chunk := connection.recv(65_536):
                sent += chunk
                connection.settimeout(silence)
        except TimeoutError:
            assert sent, "no answer, and the connection stays open"
        except OSError:
            pass
    return Raw(sent)


@pytest.mark.parametrize("route", ROUTES)
def test_bodies(route: str, client: httpx.Client) -> None:
    for name, body in BODIES.items():
        answer = client.post(route, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 400, 404, 413, 415), (name, answer.status_code)
        check(answer.status_code, answer.content)
    still_serves(client)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_get_their_results(name: str, client: httpx.Client) -> None:
    text = TEXTS[name]
    body = json.dumps({"texts": [text, "a damn row"]})  # escapes what is no Unicode by itself
    for route in ("/v1/detect", "/v1/rewrite"):
        answer = client.post(route, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        first, second = answer.json()["results"]
        mended = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert first["text"] == mended
        assert second["text"] == "a damn row"
        assert "error" not in second


@pytest.mark.parametrize("name", RAW)
def test_heads(name: str, port: int, client: httpx.Client) -> None:
    answer = raw(port, RAW[name])
    if answer.sent:
        assert answer.status is not None
        assert answer.status < 500 or answer.status in (501, 503, 505)
        assert not INSIDE.search(answer.sent), answer.sent[:2_000]
        assert not re.search(rb"^set-cookie", answer.sent, re.IGNORECASE | re.MULTILINE)
    still_serves(client)


def test_paths(port: int, client: httpx.Client) -> None:
    for path in PATHS:
        for method in ("GET", "POST"):
            line = f"{method} {path} HTTP/1.1\r\n".encode()
            answer = raw(port, line + HEAD + b"connection: close\r\ncontent-length: 0\r\n\r\n")
            assert answer.status in (200, 307, 400, 404, 405, 415), (path, answer.sent[:200])
            assert b"root:" not in answer.sent
            if answer.status >= 400:
                assert not INSIDE.search(answer.sent), answer.sent[:2_000]
    still_serves(client)


def test_methods(client: httpx.Client) -> None:
    for route in (*ROUTES, "/v1/methods", "/healthz", "/metrics", "/"):
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
            answer = client.request(method, route)
            assert answer.status_code in (400, 404, 405, 415), (method, route)
            check(answer.status_code, answer.content)


def test_half_a_body_is_told_after_its_time(port: int, client: httpx.Client) -> None:
    for half in (b"content-length: 99\r\n\r\n{", b"transfer-encoding: chunked\r\n\r\n5\r\n{"):
        begin = time.monotonic()
        answer = raw(port, b"POST /v1/detect HTTP/1.1\r\n" + HEAD + half)
        assert answer.status == 408
        assert time.monotonic() - begin < PATIENCE
    still_serves(client)


@pytest.mark.parametrize("begun", [b"", b"P", b"POST /v1/detect HTTP/1.1\r\nhost: a\r\nx: "])
def test_half_a_head_is_told_after_its_time(begun: bytes, port: int) -> None:
    begin = time.monotonic()
    assert raw(port, begun).status == 408
    assert 2 < time.monotonic() - begin < PATIENCE


def test_half_a_second_head_is_told_after_its_time(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /hea")
        answers = b""
        while chunk := connection.recv(65_536):
            answers += chunk
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"408"]


def test_a_body_that_drips_does_not_hold_up_others(port: int, client: httpx.Client) -> None:
    with ExitStack() as stack:
        dripping = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(50)
        ]
        for connection in dripping:
            connection.sendall(
                b"POST /v1/detect HTTP/1.1\r\n" + HEAD + b"content-length: 99\r\n\r\n"
            )
        for _ in range(5):
            for connection in dripping:
                connection.sendall(b" ")
            still_serves(client)
        for connection in dripping:
            connection.settimeout(PATIENCE)
            assert connection.recv(12) == b"HTTP/1.1 408"


def test_many_connections_that_wait(port: int, client: httpx.Client) -> None:
    with ExitStack() as stack:
        for i in range(IDLE):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall((b"", b"G", b"GET / HTTP/1.1\r\nhost: a\r\nx: ")[i % 3])
        still_serves(client)
    still_serves(client)


def test_who_hangs_up_leaves_nothing_behind(port: int, client: httpx.Client) -> None:
    body = json.dumps({"texts": ["a damn row"] * 50}).encode()
    request = b"POST /v1/rewrite HTTP/1.1\r\n" + HEAD + b"content-length: %d\r\n\r\n" % len(body)
    for cut in (10, len(request), len(request) + 10, len(request) + len(body)):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall((request + body)[:cut])
    deadline = time.monotonic() + PATIENCE
    waiting = re.compile(r"^civilly_requests_in_flight (\S+)", re.MULTILINE)
    while (match := waiting.search(client.get("/metrics").text)) and float(match[1]) != 1:
        assert time.monotonic() < deadline, "requests of those who went are still in flight"
        time.sleep(0.05)
    still_serves(client)


def test_who_asks_much_and_reads_nothing_does_not_hold_up_others(
    port: int, client: httpx.Client
) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setblocking(False)
        request = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n"
        try:
            for _ in range(2_000):
                connection.send(request)
        except BlockingIOError:  # the server reads no more, either
            pass
        still_serves(client)


def test_keys_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    asked = Settings(keys=("a-secret-key",))
    with served(asked, fake_service(asked)) as port:
        for key in ("a-secret-kez", "a-secret-key\x00", "é", "a" * 5_000, "%00", ""):
            answer = httpx.get(f"http://127.0.0.1:{port}/v1/methods", params={"key": key})
            assert answer.status_code == 401
            check(answer.status_code, answer.content)
            assert b"a-secret" not in answer.content
    assert "a-secret" not in caplog.text


@pytest.mark.parametrize("mode", GenerationMode)
def test_requests_drawn_from_the_description(mode: GenerationMode, port: int) -> None:
    """Such as it allows, and such as it does not."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    drawn: Counter[int] = Counter()
    for operation in schema.get_all_operations():
        if mode.is_negative and not operation.ok().body:
            continue  # nothing in it can be wrong
        cases = operation.ok().as_strategy(generation_mode=mode)

        @settings(max_examples=15, derandomize=True, deadline=None, database=None)
        @given(cases)
        def answered(case: schemathesis.Case) -> None:
            answer = case.call(timeout=PATIENCE)
            drawn[answer.status_code] += 1
            check(answer.status_code, answer.content)
            told = {*case.operation.definition.raw["responses"]}
            if "400" in told:  # it says which errors there are
                assert str(answer.status_code) in told | {"404", "405"}

        answered()
    assert drawn[200 if mode.is_positive else 400] > 20
