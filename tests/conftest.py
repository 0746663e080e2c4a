"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from openai_client import SECRET, Server, started

# The same examples in every run: a test must not fail by chance on somebody else's change.
settings.register_profile("civilly", derandomize=True, max_examples=60, deadline=None)
settings.load_profile("civilly")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the shared data sets; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CIVILLY_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the shared data are not here; CIVILLY_DATA can name them")
    return folder


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    """A server that speaks OpenAI's protocol, in another process."""
    with started() as server:
        yield server


@pytest.fixture
def server(process: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same server, well behaved again."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    process.control()
    return process
