"""``civilly serve`` as people start it, with the real detector and models: examples, signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from civilly.cli import app
from civilly.errors import CivillyError
from civilly.pipeline import Detoxifier
from civilly.serve.settings import Settings
from served import served

RUDE = "What the hell is wrong with you, you 😀 idiot?"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    file = tmp_path_factory.mktemp("feedback") / "feedback.jsonl"
    with (
        served(Settings(feedback=file)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def description(client: httpx.Client) -> dict[str, Any]:
    return client.get("/openapi.json").json()


# --- what is answered ----------------------------------------------------------------------------


def test_every_example_of_the_description_is_answered_as_it_says(
    client: httpx.Client, description: dict[str, Any]
) -> None:
    tried = 0
    for path, operations in description["paths"].items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            answer = client.post(path, json=example["value"])
            assert answer.status_code == 200, (path, answer.text)
            said = operations["post"]["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(answer.json(), said)
            tried += 1
    assert tried >= 6


def test_rewrites_are_those_of_the_command_line(client: httpx.Client) -> None:
    texts = [RUDE, "The meeting starts at nine.", "Eres un idiota."]
    answers = client.post("/v1/rewrite", json={"texts": texts}).json()["results"]
    direct = Detoxifier().rewrite(texts)
    for answer, result in zip(answers, direct, strict=True):
        assert (answer["text"], answer["rewritten"]) == (result.text, result.rewritten)
        assert (answer["lang"], answer["changed"]) == (result.lang, result.changed)
        assert (answer["method"], answer["reason"]) == (result.method, result.reason)
        assert [each["text"] for each in answer["candidates"]] == [
            candidate.text for candidate, _ in result.candidates
        ]
    assert [answer["changed"] for answer in answers] == [True, False, True]


def test_edits_and_spans_lead_from_text_to_rewrite_in_both_ways_to_count(
    client: httpx.Client,
) -> None:
    def units(offsets: str) -> dict[str, Any]:
        body = {"text": RUDE, "lang": "en", "method": "delete", "offsets": offsets}
        return client.post("/v1/rewrite", json=body).json()["results"][0]

    plain, wide = units("codepoints"), units("utf16")
    encoded = RUDE.encode("utf-16-le")
    assert plain["changed"]
    for span in plain["before"]["spans"]:
        assert RUDE[span["start"] : span["end"]] == span["text"]
    for span in wide["before"]["spans"]:
        assert encoded[2 * span["start"] : 2 * span["end"]].decode("utf-16-le") == span["text"]
    assert [s["start"] for s in plain["before"]["spans"]] != [
        s["start"] for s in wide["before"]["spans"]
    ]
    rewritten = RUDE
    for edit in reversed(plain["edits"]):
        assert RUDE[edit["start"] : edit["end"]] == edit["cut"]
        rewritten = rewritten[: edit["start"]] + edit["put"] + rewritten[edit["end"] :]
    assert rewritten == plain["rewritten"]
    bytes_ = encoded
    for edit in reversed(wide["edits"]):
        put = edit["put"].encode("utf-16-le")
        bytes_ = bytes_[: 2 * edit["start"]] + put + bytes_[2 * edit["end"] :]
    assert bytes_.decode("utf-16-le") == wide["rewritten"]


def test_what_is_civil_passes_where_only_the_toxic_is_asked_for(client: httpx.Client) -> None:
    body = {
        "texts": ["The meeting starts at nine.", "You are an idiot.", ""],
        "lang": "en",
        "only_toxic": 0.5,
    }
    results = client.post("/v1/rewrite", json={**body, "method": "delete"}).json()["results"]
    assert [each["changed"] for each in results] == [False, True, False]
    assert results[0]["rewritten"] == "The meeting starts at nine."
    assert "passed by" in results[0]["reason"]


def test_detection(client: httpx.Client) -> None:
    body = {"texts": ["You are an idiot.", {"text": "", "id": 1}], "lang": "EN-gb"}
    rude, empty = client.post("/v1/detect", json=body).json()["results"]
    assert rude["toxic"]
    assert rude["p_toxic"] >= rude["threshold"]
    assert [span["text"] for span in rude["spans"]] == ["idiot"]
    assert (rude["lang"], rude["language_sure"], empty["id"]) == ("en", True, 1)
    assert not empty["toxic"]
    (blank,) = client.post("/v1/detect", json={"text": "123"}).json()["results"]
    assert blank["language_sure"] is False


def test_other_choices_use_the_models_that_are_loaded() -> None:
    first = Detoxifier(engine="echo", method="delete")
    other = first.varied(method="prompt+delete", strength=0.9, n_candidates=3)
    assert (other.method, other.n_candidates) == ("prompt+delete", 3)
    for tools in (other._tools, *other._own.values()):
        assert tools.engine() is first._tools.engine()
        assert tools.detector is first._tools.detector
    assert (first.method, first.n_candidates) == ("delete", 1)


def test_what_there_is(client: httpx.Client) -> None:
    methods = client.get("/v1/methods").json()
    assert methods["default"] == "tuned"
    assert {"tuned", "delete", "infill"} <= {each["name"] for each in methods["methods"]}
    languages = {each["code"]: each for each in client.get("/v1/languages").json()["languages"]}
    assert len(languages) == 15
    assert languages["ar"]["right_to_left"]
    assert languages["he"]["aliases"] == ["heb", "iw"]
    assert languages["en"]["threshold"] == 0.5


# --- the process ---------------------------------------------------------------------------------


@contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """``civilly serve`` on a free port, its address, and what it said up to there."""
    command = [sys.executable, "-m", "civilly", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        try:
            said: list[str] = []
            while not said or "listens on" not in said[-1]:
                assert child.stderr is not None
                line = child.stderr.readline()
                assert line, f"it ended: {said}"
                said.append(line)
            yield child, said[-1].split()[3], said
        finally:
            child.kill()


def when_ready(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/readyz", timeout=30).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("it did not get ready")


class Load:
    """Asks one request after another, from several clients, until each is refused.

    Every request must be answered, or its connection refused: code 0.
    """

    def __init__(self, url: str, clients: int) -> None:
        self.url = url
        self.codes: list[list[int]] = [[] for _ in range(clients)]

    @property
    def answered(self) -> int:
        return sum(map(len, self.codes))

    def ask(self, number: int) -> None:
        codes = self.codes[number]
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not codes or codes[-1] == 200:
                text = f"You are an idiot, number {number}, {len(codes)}."
                try:
                    answer = client.post("/v1/rewrite", json={"text": text, "lang": "en"})
                except httpx.ConnectError:
                    codes.append(0)
                    continue
                codes.append(answer.status_code)
                if answer.status_code == 200:
                    assert answer.json()["results"][0]["text"] == text
                else:
                    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_nothing_that_was_accepted(workers: int) -> None:
    with process("--method", "delete", "--workers", str(workers)) as (child, url, _):
        when_ready(url)
        load = Load(url, 8)
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(load.ask, number) for number in range(8)]
            while load.answered < 24 and not any(each.done() for each in asking):
                time.sleep(0.01)
            child.send_signal(signal.SIGTERM)
            for each in asking:
                each.result()
        assert child.wait(30) in (0, -signal.SIGTERM)
    assert sum(codes.count(200) for codes in load.codes) >= 24
    assert {codes[-1] for codes in load.codes} <= {503, 0}


def test_several_workers_count_together() -> None:
    with process("--method", "duplicate", "--workers", "2") as (_, url, _said):
        when_ready(url)
        for _ in range(20):  # each over a connection of its own: to any of the workers
            assert httpx.get(f"{url}/v1/languages").status_code == 200
        name = 'civilly_requests_total{code="200",route="/v1/languages"}'
        for _ in range(5):
            lines = httpx.get(f"{url}/metrics").text.splitlines()
            assert [float(line.split()[-1]) for line in lines if line.startswith(name)] == [20.0]


def test_a_person_stops_it_and_a_second_server_is_told_that_the_port_is_taken() -> None:
    with process("--method", "duplicate") as (child, url, said):
        assert url.startswith("http://127.0.0.1:")
        assert not any("warning" in line for line in said)
        when_ready(url)
        port = url.rpartition(":")[2]
        with pytest.raises(CivillyError, match="another --port"):
            app(["serve", "--port", port, "--method", "duplicate"], standalone_mode=False)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) in (0, 130)
        assert child.stderr is not None
        assert "Traceback" not in child.stderr.read()


def test_it_warns_whoever_opens_it_to_everybody() -> None:
    with process("--method", "duplicate", "--host", "0.0.0.0") as (child, _, _said):
        assert child.stderr is not None
        assert "no API keys" in child.stderr.readline()


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--method", "nonsense"], "Unknown rewriting method"), (["--engine", "gguf:none"], "none"),
     (["--keys", "missing.txt"], "missing.txt"), (["--feedback", "missing/file"], "missing/file"),
     (["--host", "no.such.host.invalid"], "--host")],
)  # fmt: skip
def test_what_is_wrong_shows_at_the_start(
    options: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CivillyError, match=told):
        app(["serve", "--port", "0", *options], standalone_mode=False)


def test_without_the_extra_it_says_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['fastapi'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'fastapi' else real(name, *a)\n"
        "sys.argv = ['civilly', 'serve']\n"
        "from civilly.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'pip install "civilly[serve]"' in done.stderr
