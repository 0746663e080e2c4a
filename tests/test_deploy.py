"""What is shown for running the service: a container file, a systemd unit, a bot."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from civilly.serve.settings import Settings
from conftest import REPOSITORY
from fake_service import fake_service
from served import served
from test_readme import read_by_the_command_line

DEPLOY = REPOSITORY / "deploy"
DOCKERFILE, UNIT = DEPLOY / "Dockerfile", DEPLOY / "civilly.service"
BOT = REPOSITORY / "examples" / "discord_bot.py"
MOST_EXPOSED = 20
"""Tenths of what `systemd-analyze security` gives: it calls up to 2 of 10 all right."""


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage of the container file."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text("utf-8"))
    found: dict[str, list[tuple[str, str]]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, rest = line.split(maxsplit=1)
            if word == "FROM":
                found[rest.split()[-1]] = []
            if found:
                found[[*found][-1]].append((word, rest))
    return found


def test_a_linter_finds_nothing_in_the_container_file() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_images_run_without_root_and_say_whether_they_work() -> None:
    core, serve = stages()["core"], stages()["serve"]
    assert dict(core)["USER"] == "10001"
    assert serve[0] == ("FROM", "core AS serve")
    assert not [rest for word, rest in serve if word == "USER"]
    assert "/readyz" in dict(serve)["HEALTHCHECK"]
    entry, command = (json.loads(dict(serve)[word]) for word in ("ENTRYPOINT", "CMD"))
    read_by_the_command_line(" ".join([*entry, *command]))
    copied = [rest.split() for stage in stages().values() for word, rest in stage if word == "COPY"]
    sources = {name for words in copied if "--from=" not in words[0] for name in words[:-1]}
    allowed = {
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }  # fmt: skip
    assert sources == allowed
    assert all((REPOSITORY / name).exists() for name in sources)


def test_the_unit_starts_the_service_without_rights() -> None:
    lines = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    read_by_the_command_line(lines["ExecStart"].replace("/opt/civilly/bin/", ""))
    assert lines["DynamicUser"] == "yes"
    assert float(lines["TimeoutStopSec"]) >= Settings().stop_seconds
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed")
    verified = subprocess.run([analyze, "verify", str(UNIT)], capture_output=True, text=True)
    assert not [
        line for line in verified.stderr.splitlines()
        if line.startswith(UNIT.name) and "is not executable" not in line
    ]  # fmt: skip
    exposed = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT)],
        capture_output=True,
        text=True,
    )
    assert exposed.returncode == 0, exposed.stdout[-2_000:]


def test_the_bot_suggests_and_stays_quiet() -> None:
    """discord.py, unmodified but for the address of Discord."""
    pytest.importorskip("discord")
    from fake_discord import Discord

    assert len(BOT.read_text("utf-8").splitlines()) <= 40
    discord = Discord([
        ("a fine row", False),
        ("a damn bot", True),
        ("", False),
        ("a damn row @everyone", False),
    ])  # fmt: skip
    settings = Settings(keys=("a-key",))
    with discord.running(), served(settings, fake_service(settings)) as port:
        environment = {
            **os.environ, "FAKE_DISCORD": discord.address, "DISCORD_TOKEN": "a-token",
            "CIVILLY_URL": f"http://127.0.0.1:{port}", "CIVILLY_API_KEY": "a-key",
        }  # fmt: skip
        script = Path(__file__).with_name("fake_discord.py")
        with subprocess.Popen(
            [sys.executable, str(script), str(BOT)], env=environment, stderr=subprocess.DEVNULL
        ) as bot:
            deadline = time.monotonic() + 60
            while not discord.posted and bot.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            bot.terminate()
    assert discord.tokens == ["a-token"]
    (posted,) = discord.posted
    assert posted["content"] == "How about: a row @everyone"
    assert posted["allowed_mentions"]["parse"] == []
    assert posted["message_reference"]["message_id"] == 103
