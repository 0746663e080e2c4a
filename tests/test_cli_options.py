"""Names of options and engines: what exists is offered and told; what does not exist is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from civilly import registry
from civilly.cli import app
from civilly.cli._options import complete_option
from civilly.errors import CivillyError, UnknownNameError
from civilly.pipeline import Detoxifier


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if isinstance(result.exception, CivillyError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--option", "decodng=beam"], r"'decodng'.*did you mean 'decoding'"),
        (["-m", "infill", "--option", "fillr=delete"], r"'fillr'.*did you mean 'filler'"),
        (["-m", "delete", "--option", "zzz=1"], r"method 'delete' 'zzz'"),
        (["-m", "delete", "--adapter", "x"], r"method 'delete' 'adapter'"),
        (["-m", "tuned+infill", "--option", "infil.filler=delete"], r"did you mean 'infill'"),
        (["-m", "tuned+infill", "--option", "infill.fillr=delete"], r"did you mean 'filler'"),
        (["-m", "tuned+infill", "--option", "decodng=beam"], r"did you mean 'decoding'"),
        (["-m", "infill", "--option", "filler=delete", "--option", "masks=3"], r"'masks'"),
        (["-m", "infill", "--option", "filler=delte"], r"did you mean 'delete'"),
        (["-m", "prompt", "--option", "exmples=1"], r"did you mean 'examples'"),
        (["--engine", "hf:x?dtyp=fp32"], r"engine 'hf' 'dtyp'.*did you mean 'dtype'"),
        (["-m", "delete", "--engine", "hf:x?dtyp=fp32"], r"did you mean 'dtype'"),
        (["--engine", "openai:http://x/v1?retrys=1#m"], r"did you mean 'retries'"),
        (["--engine", "embeded"], r"did you mean 'embedded'"),
        (["--engine", "embedded:x"], r"opens nothing"),
        (["--select", "rerankk"], r"did you mean 'rerank'"),
        (["--adapter", "a", "--option", "adapter=b"], r"given twice"),
        (["--option", "seed=1", "--option", "seed=2"], r"'seed' is given twice"),
        (["--option", "strength=1"], r"--strength"),
    ],
)
def test_names_that_do_not_exist_are_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(CivillyError, match=words):
        run("rewrite", "a text", *arguments)


def test_score_refuses_them_too(tmp_path: Path) -> None:
    file = tmp_path / "s.tsv"
    file.write_text("toxic_sentence\tneutral_sentence\tlang\na\tb\ten\n")
    for suite, wrong, words in [
        ("embedded", "zzz=1", "cache"),
        ("judge", "retrys=1", "did you mean 'retries'"),
        ("textdetox2025", "fll=x", "did you mean 'fl'"),
        ("chrf", "order=1", "none"),
    ]:
        with pytest.raises(UnknownNameError, match=words):
            run("score", file, "--suite", suite, "--option", wrong)


def test_options_of_several_methods_go_to_those_that_have_them() -> None:
    made = Detoxifier("tuned+infill", options={"holes": 2, "second_look": "off", "seed": 1})
    assert made.describe()["options"]["holes"] == "2"
    Detoxifier("delete+infill", options={"infill.filler": "delete"})


@pytest.mark.parametrize("room", ["methods", "engines", "select", "score"])
def test_every_method_of_ours_says_which_options_it_has(room: str) -> None:
    for entry in registry.entries(room):
        known = registry.options_of(registry.load(room, entry.name), {})
        assert known is not None, f"{entry.name} declares none"
        names = [option.name for option in known]
        assert len(set(names)) == len(names)
        assert all(option.help.endswith(".") for option in known)


class Tools:
    """Notes every option that is asked for."""

    engine_spec = "echo"

    def __init__(self) -> None:
        self.asked: set[str] = set()
        tools = self

        class Options(dict[str, Any]):
            def get(self, name: str, default: Any = None) -> Any:
                tools.asked.add(name)
                return default

        self.options = Options()

    @property
    def detector(self) -> Any:
        return registry.create("detect", "toxicity", None)

    def engine(self) -> Any:
        return registry.create("engines", "echo", "")


@pytest.mark.parametrize(
    ("room", "name"),
    [("methods", name) for name in ("delete", "duplicate", "infill", "prompt", "tuned")]
    + [("select", "rerank"), ("select", "consensus"), ("score", "judge")],
)
def test_what_a_method_reads_is_what_it_declares(room: str, name: str) -> None:
    tools = Tools()
    registry.create(room, name, tools)
    known = registry.options_of(registry.load(room, name), {}) or ()
    declared = {option.name for option in known}
    assert tools.asked - {"strength"} == declared


def test_a_method_of_another_package_is_given_options_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import civilly.methods

    source = (Path(civilly.methods.__path__[0]) / "duplicate.py").read_text()
    assert "OPTIONS = ()" in source
    (tmp_path / "foreign.py").write_text(source.replace("OPTIONS = ()", ""))
    monkeypatch.setattr(civilly.methods, "__path__", [*civilly.methods.__path__, str(tmp_path)])
    Detoxifier("foreign", options={"anything": 1})
    Detoxifier("foreign+delete", options={"anything": 1})
    with pytest.raises(UnknownNameError, match="zzz"):
        Detoxifier("foreign+delete", options={"delete.zzz": 1})


def test_shell_completion_offers_options_and_their_values() -> None:
    def offered(names: str, given: list[str], incomplete: str) -> list[str]:
        return [text for text, _ in complete_option("methods", names, given, incomplete)]

    assert offered("tuned", [], "dec") == ["decoding="]
    assert offered("tuned", [], "decoding=b") == ["decoding=beam"]
    assert "masks=" in offered("infill", ["filler=masked"], "")
    assert "masks=" not in offered("infill", [], "")
    assert offered("infil", [], "") == []
    assert [text for text, _ in complete_option("score", "judge", [], "sw")] == ["swap="]


def test_ls_tells_every_option() -> None:
    listed = run("ls", "options")
    assert "tuned: decoding" in listed
    assert "hf:MODEL only" in listed
    assert "openai: concurrency" in listed
    assert "options" not in run("ls"), "which is about what there is to choose from"


def test_help_says_nothing_of_the_type_of_a_flag() -> None:
    for verb in (["rewrite"], ["detect"], ["score"], ["train", "sft"], ["data", "leaks"], []):
        assert "<bool>" not in run(*verb, "--help")


@pytest.mark.parametrize("verb", [[], ["train"], ["data"]])
def test_no_verb_at_all_asks_for_the_help(verb: list[str]) -> None:
    assert run(*verb) == run(*verb, "--help")


def test_a_format_may_be_written_in_capitals(tmp_path: Path) -> None:
    file = tmp_path / "odd"
    file.write_text("text\tlang\nyou idiot\ten\n")
    assert run("rewrite", file, "--format", "TSV", "-m", "duplicate").startswith("text\trewritten")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rewrite", "none.json"], r"no file 'none\.json'.*--text none\.json"),
        (["rewrite", "x", "-o", "o.docx"], r"\.docx.*choose one of these"),
        (["rewrite", "x", "--page", "p.pdf"], r"--page FILE\.html"),
        (["rewrite", "x", "--text", "y"], r"two texts"),
        (["detect", "x", "--json", "-o", "d.tsv"], r"-o FILE\.jsonl"),
        (["detect", "x", "-o", "none/d.tsv"], r"mkdir -p"),
        (["detect", "x", "-o", "d" * 300 + ".tsv"], r"shorter name"),
        (["detect", "x", "--overwrite"], r"about a file"),
        (["rewrite", "x", "-o", "/proc/o.tsv"], r"/proc/o\.tsv.*cannot be written"),
        (["rewrite", "x", "--page", "/proc/p.html"], r"/proc/p\.html.*cannot be written"),
        (["detect", "x", "-o", "/proc/d.tsv"], r"/proc/d\.tsv.*cannot be written"),
        (["train", "sft", "r.toml", "-o", "/proc/run"], r"/proc/run.*cannot be written"),
        (["data", "leaks", "a.tsv", "b.tsv", "-o", "-"], r"standard output"),
        (["train", "sft", "r.toml", "-o", "-"], r"standard output"),
    ],
)
def test_places_that_cannot_be_are_refused_before_the_work(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIVILLY_DATA", str(tmp_path))
    with pytest.raises(CivillyError, match=words):
        run(*arguments)
    assert list(tmp_path.iterdir()) == []
