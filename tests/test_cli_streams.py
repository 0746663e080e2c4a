"""Streams that are closed, full or a terminal; names and texts of every kind; two at once."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fake_pipeline import CHUNK_ROWS

CLI = shlex.join([sys.executable, str(Path(__file__).with_name("fake_pipeline.py"))])

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command line in which ``civilly`` is the command line with the fake pipeline."""
    return subprocess.run(
        ["bash", "-c", f'civilly() {{ {CLI} "$@"; }}\n{command}'],
        capture_output=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"a damn row {n} {'x' * (n * 7 % 90)}\n" for n in range(300)))
    return path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "command", ["rewrite 'a damn text'", "rewrite {source}", "detect x", "ls methods", "--help"]
)
def test_a_full_disk_behind_standard_output(source: Path, command: str) -> None:
    result = shell(f"civilly {command.format(source=source)} > /dev/full")
    assert result.returncode == 2
    assert b"No space left on device" in result.stderr
    assert b"Traceback" not in result.stderr
    assert b"Exception ignored" not in result.stderr


def test_closed_streams(source: Path, tmp_path: Path) -> None:
    result = shell("civilly rewrite 'a damn text' >&-")
    assert (result.returncode, b"output is closed" in result.stderr) == (2, True)
    result = shell("civilly rewrite - <&-")
    assert (result.returncode, b"input is closed" in result.stderr) == (2, True)
    result = shell(f"civilly rewrite {source} -o {tmp_path}/o.txt 2>&-")
    assert (result.returncode, result.stdout) == (0, b"")
    assert (tmp_path / "o.txt").read_text() == source.read_text().replace("damn ", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_messages_that_cannot_be_written_do_not_stop_the_work(source: Path, tmp_path: Path) -> None:
    result = shell(f"civilly rewrite {source} -o {tmp_path}/o.txt 2> /dev/full")
    assert result.returncode == 0
    assert (tmp_path / "o.txt").read_text() == source.read_text().replace("damn ", "")
    assert shell("civilly rewrite none.tsv 2> /dev/full").returncode == 2


def test_a_reader_that_stops_reading(source: Path) -> None:
    result = shell(f"civilly rewrite {source} | head -n 1", CIVILLY_TEST_DELAY="0.05")
    assert result.stdout == b"a row 0 \n"
    assert b"Traceback" not in result.stderr
    assert b"BrokenPipe" not in result.stderr


def test_rows_come_in_order_and_the_first_ones_soon(source: Path) -> None:
    process = subprocess.Popen(
        ["bash", "-c", f"{CLI} rewrite {source}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "CIVILLY_TEST_DELAY": "0.3"},
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert process.poll() is None, "the first row waits for one chunk, not for all"
    rest = process.stdout.read()
    process.communicate()
    assert first + rest == source.read_bytes().replace(b"damn ", b"")


def terminal(command: str, **environment: str) -> str:
    """What a terminal shows of a command, all it was sent."""
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", command], stdin=child, stdout=child, stderr=child,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "90", **environment},
    )  # fmt: skip
    os.close(child)
    shown = b""
    try:
        while chunk := os.read(parent, 65536):
            shown += chunk
    except OSError:  # the other end was closed
        pass
    assert process.wait(timeout=60) == 0
    os.close(parent)
    return shown.decode()


def screen(sent: str) -> list[str]:
    """The lines of a terminal that was sent this: line feeds, returns, up, and erased lines."""
    lines, row, column = [""], 0, 0
    for piece in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", sent):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            column = 0
        elif piece.startswith("\x1b["):
            if piece.endswith("A"):
                row -= int(piece[2:-1] or 1)
            elif piece.endswith("K"):
                lines[row] = ""
            else:
                assert piece[-1] in "mhl", f"unknown sequence {piece!r}"
        elif piece:
            lines[row] = lines[row].ljust(column)
            lines[row] = lines[row][:column] + piece + lines[row][column + len(piece) :]
            column += len(piece)
    return lines


def test_a_terminal_shows_a_bar_from_the_first_rows_on_and_whole_results(source: Path) -> None:
    sent = terminal(f"{CLI} rewrite {source}", CIVILLY_TEST_DELAY="0.1")
    counts = [int(n) for n in re.findall(r"(\d+)/300", sent)]
    assert counts[0] == 0, "the bar is there before the first row is done"
    assert len(set(counts)) > 300 // CHUNK_ROWS // 2, "and goes on with every chunk"
    assert sent.index("0/300") < sent.index("a row 0")
    expected = source.read_text().replace("damn ", "").splitlines()
    assert [line.rstrip() for line in screen(sent) if line] == [line.rstrip() for line in expected]


def test_a_terminal_shows_the_bar_alone_where_results_go_to_a_file(
    source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "o.txt"
    sent = terminal(f"{CLI} rewrite {source} -o {output}", CIVILLY_TEST_DELAY="0.05")
    assert "0/300" in sent
    assert [line for line in screen(sent) if line] == [f"300 rows, 300 rewritten, 0 kept: {output}"]


def test_a_kill_costs_one_chunk(source: Path, tmp_path: Path) -> None:
    """For the page alone, too: it has a journal of its own."""
    page, whole = tmp_path / "page.html", tmp_path / "whole.html"
    assert shell(f"civilly rewrite {source} --page {whole}").returncode == 0
    process = subprocess.Popen(
        ["bash", "-c", f"exec {CLI} rewrite {source} --page {page}"],
        stderr=subprocess.PIPE,
        env={**os.environ, "CIVILLY_TEST_DELAY": "0.2"},
    )
    journal, deadline = tmp_path / "page.html.partial", time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = journal.read_bytes().count(b'"rewritten"')
    assert done >= CHUNK_ROWS
    result = shell(f"civilly rewrite {source} --page {page} --resume")
    assert f"going on after {done} of 300 rows".encode() in result.stderr
    assert page.read_bytes() == whole.read_bytes()
    assert not journal.exists()


def test_a_full_disk_says_that_resume_goes_on(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.txt"
    result = shell(f"ulimit -f 40; civilly rewrite {source} -o {output}")
    assert result.returncode == 2
    assert b"then go on with --resume" in result.stderr.replace(b"\n", b" ")
    assert shell(f"civilly rewrite {source} -o {output} --resume").returncode == 0
    assert output.read_text() == source.read_text().replace("damn ", "")


def test_an_engine_that_fails_says_that_resume_goes_on(source: Path, tmp_path: Path) -> None:
    with source.open("a") as file:
        file.write("explode\n")
    result = shell(f"civilly rewrite {source} -o {tmp_path}/o.txt")
    assert result.returncode == 2
    assert b"The engine exploded." in result.stderr
    assert b"another engine; then go on with --resume" in result.stderr


def test_an_argument_in_a_locale_without_utf8() -> None:
    old = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    result = shell("civilly rewrite 'это damn плохо'", **old)
    assert result.stdout.decode() == "это плохо\n"


def test_a_text_that_is_a_file_name_or_begins_with_a_dash(tmp_path: Path) -> None:
    (tmp_path / "damn bus").write_text("content\n")
    here = f"cd {tmp_path}; "
    assert shell(f"{here}civilly rewrite 'damn bus'").stdout == b"content\n"
    assert shell(f"{here}civilly rewrite --text 'damn bus'").stdout == b"bus\n"
    for spelling in ("--text '-x damn bus'", "-- '-x damn bus'"):
        assert shell(f"civilly rewrite {spelling}").stdout == b"-x bus\n"
    refused = shell("civilly rewrite '-x damn bus'")
    assert refused.returncode == 2
    assert b"--text" in refused.stderr


def test_a_dash_is_standard_output(source: Path, tmp_path: Path) -> None:
    for verb in ("rewrite", "detect --json"):
        plain = shell(f"cd {tmp_path}; civilly {verb} {source}")
        dashed = shell(f"cd {tmp_path}; civilly {verb} {source} -o -")
        assert (dashed.returncode, dashed.stdout) == (0, plain.stdout)
    assert {path.name for path in tmp_path.iterdir()} == {"in.txt"}
