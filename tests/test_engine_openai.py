"""The OpenAI-compatible engine against a real server in another process."""

from __future__ import annotations

import time

import pytest

from civilly.engines import open_engine
from civilly.engines.openai import spelled_prompt
from civilly.errors import EngineError, UnknownNameError
from civilly.types import GenerationOptions, Prompt, Segment
from openai_client import FAST, SECRET


def texts(answers):
    return [[generation.text for generation in row] for row in answers]


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_both_apis_keep_the_order_and_read_everything(server, api):
    prompts = [Prompt.of(f"first line\nnumber {i}") for i in range(20)]
    options = GenerationOptions(n=2, temperature=0.5, seed=7, max_new_tokens=9, top_k=3, top_p=0.8)
    answers = server.engine(f"{FAST}&api={api}").generate(prompts, options)
    assert texts(answers) == [[f"NUMBER {i}", f"NUMBER {i}~"] for i in range(20)]
    assert [row[0].logprob for row in answers] == [pytest.approx(-0.75)] * 20
    assert [row[1].logprob for row in answers] == [pytest.approx(-1.25)] * 20
    seen = server.seen()
    assert 1 < seen["most"] <= 8
    path = "/v1/chat/completions" if api == "chat" else "/v1/completions"
    for request in seen["log"]:
        assert request["path"] == path
        assert request["key"] == f"Bearer {SECRET}"
        body = request["body"]
        assert (body["n"], body["seed"], body["max_tokens"], body["top_k"]) == (2, 7, 9, 3)
        assert body["top_p"] == 0.8


def test_limits_and_stops(server):
    prompts = [Prompt.of("one two three", max_new_tokens=2), Prompt.of("one two three")]
    plain, stopped = server.engine().generate(prompts, GenerationOptions(stop=("ZZ", " T")))
    assert (plain[0].text, plain[0].finished) == ("ONE", True)
    assert (stopped[0].text, stopped[0].finished) == ("ONE", True)
    (cut,) = server.engine().generate(prompts[:1], GenerationOptions())[0]
    assert (cut.text, cut.finished) == ("ONE TWO", False)
    field = "limit_field=max_completion_tokens"
    server.engine(field).generate(prompts[:1], GenerationOptions())
    assert server.seen()["log"][-1]["body"]["max_completion_tokens"] == 2


def test_only_four_stops_travel_but_all_of_them_cut(server):
    options = GenerationOptions(stop=("1", "2", "3", "4", "C"))
    (row,) = server.engine().generate([Prompt.of("abcd")], options)
    assert row[0].text == "AB"
    assert server.seen()["log"][0]["body"]["stop"] == ["1", "2", "3", "4"]


def test_at_most_as_many_requests_at_a_time_as_allowed(server):
    server.control(delay=0.05)
    prompts = [Prompt.of(str(i)) for i in range(9)]
    server.engine(f"{FAST}&concurrency=3").generate(prompts, GenerationOptions())
    assert server.seen()["most"] == 3


@pytest.mark.parametrize(
    "trouble",
    [
        {"fail": [429, 500, 503]},
        {"garble": 3},
        {"hang_up": 3},
        {"fail": [429], "retry_after": "0"},
        {"fail": [429], "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_passing_trouble_is_retried(server, trouble):
    server.control(**trouble)
    prompts = [Prompt.of("a"), Prompt.of("b")]
    answers = server.engine().generate(prompts, GenerationOptions())
    assert texts(answers) == [["A"], ["B"]]
    troubles = max(value if isinstance(value, int) else len(value) for value in [
        next(iter(trouble.values()))
    ])  # fmt: skip
    assert len(server.seen()["log"]) == 2 + troubles


def test_waits_as_long_as_the_server_asks(server):
    server.control(fail=[429], retry_after="0.4")
    begin = time.monotonic()
    server.engine().generate([Prompt.of("a")], GenerationOptions())
    assert time.monotonic() - begin >= 0.4


def test_retries_end_and_the_error_names_the_status_and_hides_the_key(server):
    server.control(fail=[500] * 10)
    with pytest.raises(EngineError) as caught:
        server.engine(f"{FAST}&retries=2").generate([Prompt.of("a")], GenerationOptions())
    assert len(server.seen()["log"]) == 3
    assert caught.value.retryable
    assert "500" in str(caught.value)
    assert "told to fail with 500" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize(("status", "hint"), [(401, "OPENAI_API_KEY"), (400, ""), (404, "/v1")])
def test_lasting_trouble_is_not_retried(server, status, hint):
    server.control(fail=[status] * 3)
    with pytest.raises(EngineError) as caught:
        server.engine().generate([Prompt.of("a")], GenerationOptions())
    assert len(server.seen()["log"]) == 1
    assert not caught.value.retryable
    assert str(status) in caught.value.problem
    assert hint in caught.value.mend


def test_one_lost_prompt_fails_the_batch(server):
    server.control(fail=[200, 200, 400])
    prompts = [Prompt.of(str(i)) for i in range(5)]
    with pytest.raises(EngineError, match="400"):
        server.engine(f"{FAST}&concurrency=1").generate(prompts, GenerationOptions())
    assert len(server.seen()["log"]) <= 4  # the rest was not sent


def test_an_answer_without_choices_is_an_error(server):
    server.control(shapeless=1)
    with pytest.raises(EngineError, match="without usable choices"):
        server.engine().generate([Prompt.of("a")], GenerationOptions())


def test_a_slow_server_times_out(server):
    server.control(delay=0.6)
    with pytest.raises(EngineError, match=r"0\.2 seconds") as caught:
        server.engine("timeout=0.2&retries=0").generate([Prompt.of("a")], GenerationOptions())
    assert caught.value.retryable
    time.sleep(0.5)


def test_a_server_without_logprobs_is_asked_again_without_them(server):
    server.control(no_logprobs=True)
    engine = server.engine(f"{FAST}&concurrency=1")
    (row,) = engine.generate([Prompt.of("a")], GenerationOptions())
    assert (row[0].text, row[0].logprob) == ("A", None)
    engine.generate([Prompt.of("b")], GenerationOptions())
    assert ["logprobs" in each["body"] for each in server.seen()["log"]] == [True, False, False]


def test_a_redirect_is_not_followed(server):
    server.control(redirect=f"{server.url}/elsewhere")
    with pytest.raises(EngineError, match="307"):
        server.engine().generate([Prompt.of("a")], GenerationOptions())
    assert [each["path"] for each in server.seen()["log"]] == ["/v1/chat/completions"]


def test_nobody_there():
    engine = open_engine("openai:http://127.0.0.1:9/v1?retries=1&backoff=0.01#m")
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        engine.generate([Prompt.of("a")], GenerationOptions())
    assert caught.value.retryable


@pytest.mark.parametrize("odd", ["", "\x00\x07", "😡", "\ud800 lone", "\u202eback", "a" * 100_000])
def test_odd_text_travels(server, odd):
    (row,) = server.engine().generate([Prompt.of(f"x\n{odd}")], GenerationOptions())
    assert row[0].text == odd.replace("\ud800", "\ufffd").upper()


def test_special_segments_go_to_completions_and_cannot_be_spelled_by_a_user(server):
    prompt = Prompt((Segment("<fim>", True), Segment("say <fim> now"), Segment("<end>", True)))
    server.engine().generate([prompt], GenerationOptions())
    (request,) = server.seen()["log"]
    assert request["path"] == "/v1/completions"
    assert request["body"]["prompt"].count("<fim>") == 1
    assert spelled_prompt(prompt.segments).replace("\u200b", "") == "<fim>say <fim> now<end>"
    with pytest.raises(EngineError, match="chat"):
        server.engine("api=chat").generate([prompt], GenerationOptions())


@pytest.mark.parametrize(
    "target",
    ["", "localhost:8080#m", "http://localhost/v1", "ftp://host/v1#m", "http://[::1/v1#m"],
)
def test_wrong_targets_say_what_is_right(target):
    with pytest.raises(EngineError, match="openai:http://localhost"):
        open_engine(f"openai:{target}")


@pytest.mark.parametrize("option", ["timeout=0", "retries=-1", "api=soap", "concurrency=x"])
def test_wrong_options_are_named(option):
    with pytest.raises(EngineError, match=option.split("=")[0]):
        open_engine(f"openai:http://h/v1?{option}#m")


def test_an_unknown_option_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'timeout'"):
        open_engine("openai:http://h/v1?timout=3#m")


def test_an_adapter_is_refused(server):
    with pytest.raises(EngineError, match="adapter"):
        server.engine().generate([Prompt.of("a")], GenerationOptions(adapter="x"))


def test_opening_sends_nothing(server):
    server.engine()
    assert server.engine().generate([], GenerationOptions()) == []
    assert server.seen()["log"] == []
