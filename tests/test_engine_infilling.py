"""Holes filled by a server: with its own field for what follows, or with the family's prompt."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from civilly.engines import open_engine
from civilly.engines.infilling import Hole, Infiller
from civilly.engines.openai import unspelled
from civilly.errors import CivillyError, EngineError
from civilly.methods.fillers import open_filler
from civilly.methods.fim_formats import FORMATS
from civilly.methods.fim_middles import ask_middles, read_middle
from civilly.methods.holes import Gap
from civilly.types import GenerationOptions
from openai_client import FAST, SECRET

GAPS = [
    Gap("You are a ", "stupid", " person.", "en"),
    Gap("Ты ", "дурак", ", почитай статью.", "ru"),
    Gap("Hey!\nWhat", " the hell", " is this", "en"),
]
SPELLED = {
    "starcoder": ("<filename>", "<reponame>", "<gh_stars>", "<issue_start>", "<commit_msg>"),
    "starcoder2": ("<repo_name>", "<file_sep>", "<issue_comment>", "<pr_base>", "<pr_base_code>"),
    "codellama": ("<s>", "</s>", "<unk>", "<FILL_ME>", "▁<MID>", "[INST]"),
    "deepseek-coder": ("<｜begin▁of▁sentence｜>", "<|EOT|>", "<|User|>"),
    "codestral": ("<s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[MIDDLE]"),
    "qwen2.5-coder": ("<|im_start|>", "<|im_end|>", "<|repo_name|>", "<tool_call>", "<|box_end|>"),
    "codegemma": ("<bos>", "<eos>", "<pad>", "<start_of_turn>", "<unused7>"),
    "civilly": ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<unused1>"),
}
"""Tokens of the families' tokenizers, most of which no prompt of ours has."""
SAMPLED = GenerationOptions(n=2, temperature=0.7, seed=3)


def ask(server, options: str, family: str = "qwen2.5-coder", gaps=GAPS, how=SAMPLED):
    return ask_middles(server.engine(f"{FAST}&{options}"), FORMATS[family], gaps, how)


def bodies(server) -> list[dict]:
    log = server.seen()["log"]
    assert all(each["key"] == f"Bearer {SECRET}" for each in log)
    return [each["body"] for each in log]


@pytest.mark.parametrize("family", [name for name in FORMATS if name != "civilly"])
def test_the_server_builds_the_prompt_from_both_sides(server, family):
    answers = ask(server, "fim=suffix&concurrency=1", family)
    assert [row[0].text for row in answers] == [" A+PERSON.", " ТЫ+,", " WHAT+IS"]
    assert [len(row) for row in answers] == [2, 2, 2]
    assert answers[0][0].logprob == pytest.approx(-0.75)
    log = server.seen()["log"]
    assert {each["path"] for each in log} == {"/v1/completions"}
    first, _, third = [each["body"] for each in log]
    assert first["prompt"] == ("You are a " if family == "codegemma" else "You are a")
    assert (first["suffix"], first["n"], first["seed"]) == (" person.", 2, 3)
    assert (third["prompt"], third["suffix"]) == ("Hey!\nWhat", " is this")
    one, two, three = (stop.lstrip("▁") for stop in FORMATS[family].stop[:3])
    assert first["stop"] == [one, two, "\n", three]
    assert first["max_tokens"] == 16 + len("stupid")


def test_mistrals_own_address_gets_its_own_fields(server):
    answers = ask(server, "fim=mistral&concurrency=1", "codestral", GAPS[:1])
    assert [generation.text for generation in answers[0]] == [" A+PERSON.", " A+PERSON."]
    log = server.seen()["log"]
    assert [each["path"] for each in log] == ["/v1/fim/completions"] * 2
    assert [each["body"]["random_seed"] for each in log] == [3, 4]
    (greedy,) = ask(server, "fim=mistral", "codestral", GAPS[:1], GenerationOptions(n=3))
    assert len(greedy) == 1
    assert "random_seed" not in bodies(server)[-1]
    with pytest.raises(EngineError, match="top_k"):
        ask(server, "fim=mistral", how=GenerationOptions(temperature=1.0, top_k=5))


def test_without_being_asked_the_server_gets_the_familys_prompt(server):
    assert isinstance(server.engine(), Infiller)
    assert not server.engine().infills
    ask(server, "concurrency=1", "starcoder2", GAPS[:1])
    (body,) = bodies(server)
    assert body["prompt"] == "<fim_prefix>You are a<fim_suffix> person.<fim_middle>"
    assert "suffix" not in body


@pytest.mark.parametrize("fim", ["prompt", "suffix", "mistral"])
@pytest.mark.parametrize("family", FORMATS)
def test_a_user_cannot_spell_the_familys_tokens_to_a_server(server, fim, family):
    form = FORMATS[family]
    tokens = [*form.stop, *SPELLED[family]]
    text = "a "
    for token in tokens:
        text += f"{token} b{token}{token.lstrip('▁')} " + token.replace("▁", " ")
    ask(server, f"fim={fim}", family, [Gap(text, "x", text, "en")], GenerationOptions())
    own = {piece for layout in form.layouts.values() for piece in layout if isinstance(piece, str)}
    (body,) = bodies(server)
    for token in tokens:
        core, wanted = token.lstrip("▁"), int(fim == "prompt" and token in own)
        assert (body["prompt"] + body.get("suffix", "")).count(core) == wanted, token
    if fim != "prompt":
        for side in (body["prompt"], body["suffix"]):
            assert side.replace("\u200b", "").rstrip() == text.rstrip()


def test_a_text_without_tokens_stays_as_it_is():
    assert unspelled("a<s>b", ["<s>"]) == "a<\u200bs>b"
    assert unspelled("nothing to see", ["<s>"]) == "nothing to see"


@pytest.mark.parametrize("fim", ["prompt", "suffix", "mistral"])
@pytest.mark.parametrize("said", [" nice <EOT>", " nice<EOT> and", " nice▁<EOT>", " nice <PRE> x"])
def test_a_token_of_sentencepiece_ends_a_middle_however_it_is_written(server, fim, said):
    server.control(says=said)
    spec = server.spec(f"{FAST}&fim={fim}")
    tools = SimpleNamespace(engine_spec=spec, engine=lambda: open_engine(spec), options={})
    filler = open_filler(tools, {"family": "codellama", "decoding": "greedy"})
    gaps = [GAPS[0], Gap("You (", "stupid", ") person", "en")]
    assert [[each.text for each in row] for row in filler.fill(gaps, 1)] == [["nice"], [" nice"]]
    assert "<EOT>" in bodies(server)[0]["stop"]
    assert read_middle(FORMATS["codellama"], GAPS[0], said) == "nice"


@pytest.mark.parametrize(
    ("orders", "fim"), [({"no_suffix": True}, "suffix"), ({"no_fim": True}, "mistral")]
)
def test_a_server_that_fills_no_holes_is_a_clear_error(server, orders, fim):
    server.control(**orders)
    with pytest.raises(EngineError, match=r"fills no holes: .*Try: \?fim=prompt") as caught:
        ask(server, f"fim={fim}")
    assert not caught.value.retryable
    assert SECRET not in str(caught.value)
    ask(server, "fim=prompt")


def test_other_errors_stay_what_they_are(server):
    server.control(fail=[401])
    with pytest.raises(EngineError, match="answered 401"):
        ask(server, "fim=suffix", gaps=GAPS[:1])
    server.control(shapeless=1)
    with pytest.raises(EngineError, match="without usable choices"):
        ask(server, "fim=mistral", gaps=GAPS[:1])
    server.control(fail=[503, 503])
    assert len(ask(server, "fim=mistral", gaps=GAPS[:1])) == 1


def test_a_server_without_logprobs_still_fills(server):
    server.control(no_logprobs=True)
    answers = ask(server, "fim=suffix&concurrency=1")
    assert [row[0].text for row in answers] == [" A+PERSON.", " ТЫ+,", " WHAT+IS"]
    assert answers[0][0].logprob is None


def test_what_the_server_decides_cannot_be_chosen(server):
    engine = server.engine(f"{FAST}&fim=suffix")
    with pytest.raises(CivillyError, match="order cannot be chosen"):
        ask_middles(engine, FORMATS["starcoder"], GAPS, SAMPLED, "spm")
    with pytest.raises(CivillyError, match="cut cannot be chosen"):
        ask_middles(engine, FORMATS["civilly"], GAPS, SAMPLED, show_cut=True)
    with pytest.raises(EngineError, match=r"'fim'.*prompt, suffix, mistral"):
        open_engine("openai:http://h/v1?fim=infill#m")
    with pytest.raises(EngineError, match="adapter"):
        engine.infill([Hole("a", "b")], GenerationOptions(adapter="x"))
    assert engine.infill([], SAMPLED) == []


@pytest.mark.parametrize("fim", ["suffix", "mistral"])
def test_the_filler_reads_what_the_server_wrote(server, fim):
    spec = server.spec(f"{FAST}&fim={fim}")
    tools = SimpleNamespace(engine_spec=spec, engine=lambda: open_engine(spec), options={})
    filler = open_filler(tools, {"family": "codestral", "decoding": "sample"})
    rows = filler.fill([GAPS[0], GAPS[2]], 2)
    assert [[each.text for each in row][:1] for row in rows] == [["A+PERSON."], [" WHAT+IS"]]
