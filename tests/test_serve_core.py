"""The service over loopback, with a stand-in for the models: queues, limits, keys, ids, the log."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from civilly.data.readings import read_readings
from civilly.errors import DataError
from civilly.serve.keys import read_keys
from civilly.serve.server import _listening
from civilly.serve.service import Service
from civilly.serve.settings import Settings
from civilly.types import Detection
from fake_service import Gate, fake_service
from served import served

RUDE = "a damn thing"


@pytest.fixture
def ask() -> Iterator[Callable[..., httpx.Client]]:
    """Starts a server with these settings, and gives a client of it."""
    with ExitStack() as stack:

        def started(gate: Gate | None = None, **options: Any) -> httpx.Client:
            settings = Settings(**options)
            port = stack.enter_context(served(settings, fake_service(settings, gate)))
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
            return stack.enter_context(client)

        yield started


def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def metric(client: httpx.Client, name: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


# --- queues --------------------------------------------------------------------------------------


def test_requests_are_rewritten_together_and_a_full_queue_says_so(ask) -> None:
    gate = Gate(shut=True)
    client = ask(gate, max_queue=4, window_ms=1)
    gate.wait_for_batch()  # the warm-up
    with ThreadPoolExecutor(8) as pool:
        waiting = [
            pool.submit(client.post, "/v1/rewrite", json={"text": f"{RUDE} {i}"}) for i in range(4)
        ]
        until(lambda: metric(client, 'civilly_queue_depth{lane="rewrite"}') == 4)
        refused = client.post("/v1/rewrite", json={"text": "one more"})
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.json()["error"]["type"] == "overloaded"
        found = client.post("/v1/detect", json={"text": RUDE})  # the other lane is free
        assert found.json()["results"][0]["toxic"] is True
        gate.open()
        answers = [each.result() for each in waiting]
    assert [each.status_code for each in answers] == [200] * 4
    assert [each.json()["results"][0]["rewritten"] for each in answers] == [
        f"a thing {i}" for i in range(4)
    ]
    assert sorted(gate.begun[1]) == [f"{RUDE} {i}" for i in range(4)]
    assert not any("one more" in batch for batch in gate.begun)


def test_who_hangs_up_before_the_work_begins_is_not_worked_for(ask) -> None:
    gate = Gate(shut=True)
    client = ask(gate)
    gate.wait_for_batch()
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/rewrite", json={"text": "never mind"}, timeout=0.2)
    until(lambda: metric(client, 'civilly_requests_total{code="499",route="/v1/rewrite"}') == 1)
    assert metric(client, 'civilly_queue_depth{lane="rewrite"}') == 0
    gate.open()
    assert client.post("/v1/rewrite", json={"text": RUDE}).status_code == 200
    assert [batch for batch in gate.begun if "never mind" in batch] == []


def test_requests_with_other_choices_are_no_batch(ask) -> None:
    gate = Gate(shut=True)
    client = ask(gate)
    gate.wait_for_batch()
    with ThreadPoolExecutor(4) as pool:
        waiting = [
            pool.submit(client.post, "/v1/rewrite", json={"text": RUDE, "strength": strength})
            for strength in (0.2, 0.204, 0.9)
        ]
        until(lambda: metric(client, 'civilly_queue_depth{lane="rewrite"}') == 3)
        gate.open()
        assert all(each.result().status_code == 200 for each in waiting)
    assert sorted(len(batch) for batch in gate.begun[1:]) == [1, 2]
    assert {choice.strength for choice in gate.choices[1:]} == {0.2, 0.9}


def test_one_bad_text_does_not_spoil_the_others(ask, caplog) -> None:
    client = ask(Gate())
    with caplog.at_level(logging.DEBUG):
        texts = [RUDE, "poison", "x" * 30_000, {"text": "a", "lang": "klingon", "id": 7}, "fine"]
        results = client.post("/v1/rewrite", json={"texts": texts}).json()["results"]
        single = client.post("/v1/rewrite", json={"text": "poison"})
        exploded = client.post("/v1/rewrite", json={"text": "explode"})
    assert [each.get("rewritten") for each in results] == ["a thing", None, None, None, "fine"]
    assert [each["error"]["type"] for each in results if "error" in each] == [
        "internal_error", "text_too_long", "invalid_request",
    ]  # fmt: skip
    assert results[3]["id"] == 7
    assert single.status_code == 500
    assert exploded.status_code == 503
    assert "secret" not in single.text + exploded.text
    assert "poison" not in caplog.text
    assert "/secret/path exploded." in caplog.text  # who runs the server must know


# --- limits --------------------------------------------------------------------------------------


def test_limits_are_clear_errors(ask) -> None:
    client = ask(max_text_chars=10, max_texts=3, max_body_bytes=200)
    long = client.post("/v1/detect", json={"text": "12345678901"})
    many = client.post("/v1/detect", json={"texts": ["a"] * 4})
    large = client.post("/v1/detect", json={"text": "a" * 300})
    pieces = client.post(
        "/v1/detect",
        content=iter([b'{"text":"', *[b"a" * 50] * 9, b'"}']),  # without a Content-Length
        headers={"Content-Type": "application/json"},
    )
    exact = client.post("/v1/detect", json={"text": "1234567890"})
    assert [each.status_code for each in (long, many, large, pieces, exact)] == [
        413, 413, 413, 413, 200,
    ]  # fmt: skip
    assert [each.json()["error"]["type"] for each in (long, many, large, pieces)] == [
        "text_too_long", "too_many_texts", "body_too_large", "body_too_large",
    ]  # fmt: skip
    assert long.json()["error"]["allowed"] == "10 at most"


def test_who_is_too_slow_is_told(ask) -> None:
    client = ask(body_seconds=0.2)
    with socket.create_connection((client.base_url.host, client.base_url.port), 20) as slow:
        slow.sendall(
            b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99\r\n\r\n{"
        )
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"a"', b"\xff\xfe{", b'{"text": 1}', b'{"texts": ["a", 1]}', b"{}",
     b'{"text": "a", "texts": []}', b'{"text": "a", "other": 1}', b'{"text": NaN}', b"[" * 100_000,
     b'{"text": ' + b"9" * 5000 + b"}", b'{"text": "a", "lang": "klingon"}',
     b'{"text": "a", "lang": ["en"]}', b'{"text": "a", "offsets": "bytes"}'],
)  # fmt: skip
def test_what_is_not_understood_is_400(body: bytes, garbage: httpx.Client) -> None:
    answer = garbage.post("/v1/detect", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request"
    assert answer.json()["error"]["request_id"] == answer.headers["X-Request-ID"]


@pytest.fixture(scope="module")
def garbage() -> Iterator[httpx.Client]:
    settings = Settings()
    with (
        served(settings, fake_service(settings)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("choice", "status"),
    [({"method": "tuned+infill"}, 200), ({"method": "nonsense"}, 400), ({"strength": 1.5}, 400),
     ({"method": "delete+tuned+infill+prompt"}, 400), ({"alternatives": 0}, 400),
     ({"only_toxic": "much"}, 400), ({"strength": 0}, 200)],
)  # fmt: skip
def test_choices_are_checked(choice: dict[str, Any], status: int, garbage: httpx.Client) -> None:
    assert garbage.post("/v1/rewrite", json={"text": RUDE, **choice}).status_code == status


def test_other_kinds_of_content_paths_and_methods(garbage: httpx.Client) -> None:
    form = garbage.post(
        "/v1/detect", content=b'{"text":"a"}', headers={"Content-Type": "text/plain"}
    )
    assert (form.status_code, form.json()["error"]["type"]) == (415, "unsupported_media_type")
    assert garbage.get("/nothing").json()["error"]["type"] == "not_found"
    wrong = garbage.get("/v1/detect")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")


def test_half_an_emoji_is_mended(garbage: httpx.Client) -> None:
    body = b'{"texts": ["a \\ud83d", {"text": "\\ude00", "id": "\\ud83d"}]}'
    answer = garbage.post("/v1/detect", content=body, headers={"Content-Type": "application/json"})
    assert [each["text"] for each in answer.json()["results"]] == ["a \ufffd", "\ufffd"]


# --- keys, ids, origins, the log -----------------------------------------------------------------


def test_keys(ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text("first  # of the bot\n\n# nobody's\nsécond\n", encoding="utf-8")
    monkeypatch.setenv("CIVILLY_API_KEYS", "third, first")
    keys = read_keys(file)
    assert keys == ("third", "first", "sécond")
    client = ask(keys=keys)
    for headers in (
        {"Authorization": "Bearer first"}, {"X-API-Key": "third"}, {"x-goog-api-key": "first"},
    ):  # fmt: skip
        assert client.get("/v1/languages", headers=headers).status_code == 200
    assert client.get("/v1/languages?key=s%C3%A9cond").status_code == 200
    missing = client.get("/v1/languages")
    wrong = client.get("/metrics", headers={"Authorization": "Bearer firs"})
    assert (missing.status_code, missing.json()["error"]["type"]) == (401, "missing_api_key")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (401, "invalid_api_key")
    assert [client.get(path).status_code for path in ("/healthz", "/openapi.json")] == [200, 200]
    for content in ("# none\n", None):
        if content:
            file.write_text(content)
        with pytest.raises(DataError):
            read_keys(file if content else tmp_path / "missing")


def test_request_ids(garbage: httpx.Client) -> None:
    def identity(given: str) -> str:
        return garbage.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]

    assert identity("a-1.b_c:2") == "a-1.b_c:2"
    for odd in ("a b", "a" * 65, "<script>", ""):
        assert len(identity(odd)) == 32
    assert identity("") != identity("")


def test_pages_of_elsewhere_may_ask_only_where_that_was_said(ask, garbage: httpx.Client) -> None:
    origin = {"Origin": "https://example.org"}
    assert "access-control-allow-origin" not in garbage.get("/v1/languages", headers=origin).headers
    client = ask(cors=("https://example.org",), keys=("k",))
    refused = client.get("/v1/languages", headers=origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://example.org"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    assert client.options("/v1/detect", headers={**origin, **asked}).status_code == 200


def test_the_log_tells_of_requests_but_not_what_they_say(ask, caplog) -> None:
    client = ask(keys=("secretkey",))
    with caplog.at_level(logging.DEBUG):
        client.post("/v1/rewrite?key=secretkey&q=sercet", json={"text": "a damn sercet"})
        client.post("/v1/rewrite", json={"text": "a damn sercet"})
        client.get("/sercet", headers={"X-API-Key": "secretkey", "X-Request-ID": "id-1"})
        client.post("/v1/detect?key=secretkey", json={"sercet": "sercet"})

        def told() -> list[str]:
            return [each.getMessage() for each in caplog.records if each.name == "civilly.access"]

        until(lambda: len(told()) == 4)  # a line is written when the answer is out
    assert told()[2].startswith("GET other 404 ")
    assert told()[2].endswith(" id-1")
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))
    assert "sercet" not in ours
    assert "secretkey" not in ours


def test_metrics_tell_what_became_of_texts(ask) -> None:
    client = ask()
    client.post("/v1/rewrite", json={"texts": [RUDE, "fine"], "lang": "en"})
    client.post("/v1/detect", json={"text": RUDE, "lang": "de"})
    for name, value in {
        'civilly_texts_total{decision="changed",lang="en"}': 1,
        'civilly_texts_total{decision="kept",lang="en"}': 1,
        'civilly_texts_total{decision="toxic",lang="de"}': 1,
        'civilly_requests_total{code="200",route="/v1/rewrite"}': 1,
        'civilly_request_seconds_count{route="/v1/rewrite"}': 1,
        'civilly_batch_size_sum{lane="rewrite"}': 3,  # and the warm-up
        "civilly_build_info{": 1,
        "civilly_requests_in_flight": 1,  # this one
    }.items():
        assert metric(client, name) == value, name


def test_it_is_ready_when_its_models_are(ask) -> None:
    gate = Gate(shut=True)
    client = ask(gate)
    gate.wait_for_batch()
    loading = client.get("/readyz")
    assert (loading.status_code, loading.json()) == (503, {"status": "loading"})
    assert client.get("/healthz").status_code == 200
    gate.open()
    until(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/health").json() == {"status": "ready"}


# --- what people decide --------------------------------------------------------------------------


def test_feedback_is_read_as_readings(ask, tmp_path: Path) -> None:
    file = tmp_path / "feedback.jsonl"
    client = ask(feedback=file)
    given = {"text": "You damn\nfool 😀", "rewritten": "You fool 😀", "lang": "en-GB"}
    decisions: list[dict[str, Any]] = [
        {"decision": "accepted", "method": "tuned"},
        {"decision": "rejected", "note": "still rude", "id": "c-1"},
        {"decision": "edited", "final": "You are wrong", "id": 2},
    ]
    answers = [client.post("/v1/feedback", json={**given, **each}) for each in decisions]
    assert [each.json() for each in answers] == [{"written": 1}, {"written": 1}, {"written": 2}]
    rows = read_readings(file)
    assert [(row.rewrite, row.systems, row.fault, row.use) for row in rows] == [
        ("You fool 😀", ("tuned",), "good", 2),
        ("You fool 😀", ("civilly",), "other", 0),
        ("You fool 😀", ("civilly",), "other", 1),
        ("You are wrong", ("person",), "good", 2),
    ]
    assert {(row.text, row.lang, row.source) for row in rows} == {(given["text"], "en", "feedback")}
    assert [row.id for row in rows[1:]] == ["c-1", "2", "2"]
    for wrong in ({"decision": "edited"}, {"decision": "accepted", "final": "x"}, {"decision": 1}):
        assert client.post("/v1/feedback", json={**given, **wrong}).status_code == 400
    assert len(read_readings(file)) == 4


def test_feedback_of_many_at_once_keeps_its_lines_whole(ask, tmp_path: Path) -> None:
    file = tmp_path / "feedback.jsonl"
    client = ask(feedback=file)
    bodies = [
        {"text": f"{i} " + "x" * 9000, "rewritten": "y", "lang": "en", "decision": "accepted"}
        for i in range(40)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda body: client.post("/v1/feedback", json=body), bodies))
    assert sorted(row.text for row in read_readings(file)) == sorted(b["text"] for b in bodies)


def test_without_a_file_feedback_is_refused(garbage: httpx.Client) -> None:
    body = {"text": "a", "rewritten": "b", "lang": "en", "decision": "accepted"}
    refused = garbage.post("/v1/feedback", json=body)
    assert refused.status_code == 404
    assert "--feedback" in refused.json()["error"]["mend"]


def test_a_file_that_cannot_be_written_is_no_fault_of_the_client(ask, tmp_path: Path) -> None:
    client = ask(feedback=tmp_path / "missing" / "feedback.jsonl")
    body = {"text": "a", "rewritten": "b", "lang": "en", "decision": "accepted"}
    refused = client.post("/v1/feedback", json=body)
    assert refused.status_code == 503
    assert "missing" not in json.dumps(refused.json())


# --- at the door ---------------------------------------------------------------------------------


def test_what_there_is_no_room_for_is_refused_before_it_is_read() -> None:
    began, finished = threading.Event(), threading.Event()

    class Slow:
        def detect(self, texts: Any) -> list[Detection]:
            began.set()
            finished.wait(30)
            return [Detection(0.9) for _ in texts]

    settings = Settings(max_queue=1, max_batch=1, window_ms=0, keys=("a-key",))
    service = Service(settings, detector=Slow(), detoxifier_for=lambda choices: None)
    shapes = {
        "/v1/detect": lambda said: said["error"]["type"] == "overloaded",
        "/v1/moderations": lambda said: said["error"]["code"] is not None,
        "/v1alpha1/comments:analyze": lambda said: said["error"]["status"] == "RESOURCE_EXHAUSTED",
    }
    with (
        served(settings, service) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        assert began.wait(20)  # the warm-up
        waits = pool.submit(
            client.post, "/v1/detect", json={"text": RUDE}, headers={"X-API-Key": "a-key"}
        )
        until(lambda: service._detection.waiting == 1)
        for path, right in shapes.items():
            for identity in ("an-id", "another"):
                answer = client.post(path, content=b"{", headers={"X-Request-ID": identity})
                assert answer.status_code == 429
                assert right(answer.json())
                assert answer.headers["x-request-id"] == identity
                assert 1 <= int(answer.headers["retry-after"]) <= 60
                assert "0" * 32 not in answer.text
        half = b"POST /v1/detect HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(half)
            assert connection.recv(12) == b"HTTP/1.1 429"
            connection.sendall(b"x" * 99 + b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            answers = b""
            while b"HTTP/1.1 200" not in answers:  # the rest of the refused one is dropped
                answers += connection.recv(65_536)
        finished.set()
        assert waits.result().status_code == 200
        page = client.get("/metrics", headers={"X-API-Key": "a-key"}).text
        assert 'civilly_requests_total{code="429",route="/v1/moderations"} 2.0' in page


def test_small_answers_are_not_held_back() -> None:
    """asyncio turns off Nagle's algorithm where it sees that a socket is TCP's."""
    with (
        _listening(Settings(port=0)) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.proto == socket.IPPROTO_TCP
