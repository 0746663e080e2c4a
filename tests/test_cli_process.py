"""The command line as its own process: streams, exit codes, kills, speed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fake_pipeline import CHUNK_ROWS

CLI = [sys.executable, str(Path(__file__).with_name("fake_pipeline.py"))]
ROWS = CHUNK_ROWS * 15 + 17


def civilly(*arguments: object, delay: float = 0, **options: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, "CIVILLY_TEST_DELAY": str(delay)}
    command = [*CLI, *map(str, arguments)]
    return subprocess.run(  # type: ignore[call-overload]
        command, capture_output=True, timeout=120, env=environment, **options
    )


def start(*arguments: object, delay: float) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CIVILLY_TEST_DELAY": str(delay)}
    return subprocess.Popen(
        [*CLI, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A background job of a shell ignores the signal, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.tsv"
    rows = "".join(
        f"a damn row {number} {'of many ' * (number * 7 % 23)}\t{'en' if number % 3 else ''}\n"
        for number in range(ROWS)
    )
    path.write_text("toxic_sentence\tlang\n" + rows, encoding="utf-8")
    return path


def wait_for_chunks(journal: Path, chunks: int) -> None:
    """Waits until the journal has its header and some finished chunks."""
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 1 + chunks:
        assert time.monotonic() < deadline, "the journal does not grow"
        time.sleep(0.02)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_killed_and_resumed_gives_the_same_bytes(
    tmp_path: Path, source: Path, options: list[str]
) -> None:
    suffix = ".jsonl" if options else ".tsv"
    whole, output = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    assert civilly("rewrite", source, "-o", whole, *options).returncode == 0

    process = start("rewrite", source, "-o", output, *options, delay=0.2)
    wait_for_chunks(output.with_name(output.name + ".partial"), 2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not output.exists()

    refused = civilly("rewrite", source, "-o", output, *options)
    assert refused.returncode == 2
    assert b"--resume" in refused.stderr
    assert b"--overwrite" in refused.stderr
    resumed = civilly("rewrite", source, "-o", output, "--resume", *options)
    assert resumed.returncode == 0, resumed.stderr
    assert b"going on after" in resumed.stderr
    assert output.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"in.tsv", whole.name, output.name}


def test_resuming_other_work_is_refused(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.tsv"
    process = start("rewrite", source, "-o", output, delay=0.2)
    wait_for_chunks(tmp_path / "out.tsv.partial", 1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    other_method = civilly("rewrite", source, "-o", output, "--resume", "--method", "delete")
    assert (other_method.returncode, b"pipeline differ" in other_method.stderr) == (2, True)
    source.write_text(source.read_text().replace("row 9 ", "row nine "))
    other_input = civilly("rewrite", source, "-o", output, "--resume")
    assert (other_input.returncode, b"input differ" in other_input.stderr) == (2, True)
    assert civilly("rewrite", source, "-o", output, "--overwrite").returncode == 0


def test_interrupt_ends_cleanly_and_says_how_to_go_on(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.tsv"
    process = start("rewrite", source, "-o", output, delay=0.2)
    wait_for_chunks(tmp_path / "out.tsv.partial", 1)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"--resume" in stderr
    assert b"Traceback" not in stderr
    assert not (tmp_path / "out.tsv.partial.lock").exists()


def test_interrupt_without_a_file_is_quiet(source: Path) -> None:
    process = start("rewrite", source, delay=0.2)
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr


def test_a_closed_pipe_is_no_error(source: Path) -> None:
    process = start("rewrite", source, delay=0.2)
    assert process.stdout is not None
    assert process.stdout.readline() == b"toxic_sentence\tneutral_sentence\tlang\n"
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read()
    process.wait(timeout=30)
    assert b"Traceback" not in stderr
    assert b"BrokenPipe" not in stderr


def test_errors_are_one_line_and_a_mend_without_colours(tmp_path: Path) -> None:
    result = civilly("rewrite", tmp_path / "none.tsv")
    assert result.returncode == 2
    assert result.stdout == b""
    first, second = result.stderr.decode().splitlines()
    assert first.startswith("error: There is no file")
    assert second.startswith("  try: ")
    assert "\x1b" not in result.stderr.decode()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = civilly("rewrite", tmp_path / "none.tsv", "--debug")
    assert result.returncode != 0
    assert b"Traceback" in result.stderr
    assert b"DataError" in result.stderr


def test_progress_is_on_stderr_and_results_on_stdout(source: Path) -> None:
    result = civilly("rewrite", source)
    assert result.stdout.count(b"\n") == ROWS + 1
    assert f"rewriting: {ROWS}/{ROWS} rows".encode() in result.stderr


def test_invalid_bytes_in_the_argument() -> None:
    command = [os.fsencode(part) for part in [*CLI, "rewrite"]] + [b"a damn \xff byte"]
    result = subprocess.run(command, capture_output=True, timeout=60)
    assert result.stdout == "a \ufffd byte\n".encode()


def test_results_are_utf8_whatever_the_locale() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [*CLI, "rewrite", "это damn плохо"]
    result = subprocess.run(command, capture_output=True, timeout=60, env=environment)
    assert result.stdout.decode() == "это плохо\n"


def test_at_a_terminal_the_difference_is_coloured() -> None:
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*CLI, "rewrite", "the damn \x1b]0;title\x07 bus"],
        stdin=child, stdout=child, stderr=child, env=environment,
    )  # fmt: skip
    os.close(child)
    shown = b""
    try:
        while chunk := os.read(parent, 4096):
            shown += chunk
    except OSError:  # the other end was closed
        pass
    assert process.wait(timeout=30) == 0
    text = shown.decode()
    assert "\x1b[9;31m damn\x1b[0m" in text
    assert "p(toxic) 0.90 → 0.10" in text
    assert "\x1b]0;title" not in text, "a text must not control the terminal"
    assert "\\x1b]0;title" in text


HEAVY = ("numpy", "tokenizers", "ctranslate2", "xllamacpp", "torch", "transformers", "pyarrow",
         "gguf", "py3langid")  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["rewrite", "--help"], ["ls"], ["version"]])
def test_nothing_heavy_is_imported_for_help(arguments: list[str]) -> None:
    program = (
        "import sys, json\n"
        "from civilly.cli import main\n"
        f"sys.argv = ['civilly', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.decode().splitlines()[-1]) == []


def processor_time(command: list[str]) -> float:
    """Of three runs, in seconds: not the clock, as other work on the machine must fail no test."""
    before = os.times()
    for _ in range(3):
        subprocess.run(command, capture_output=True, check=True)
    after = os.times()
    return (
        after.children_user - before.children_user + after.children_system - before.children_system
    )


def test_help_costs_little_more_than_what_prints_it() -> None:
    frame = processor_time([sys.executable, "-c", "import typer, rich.console"])
    assert processor_time([*CLI, "--help"]) < 8 * frame
