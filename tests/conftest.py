"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

from openai_client import SECRET, Server, started

# The same examples in every run: a test must not fail by chance on somebody else's change.
settings.register_profile("civilly", derandomize=True, max_examples=60, deadline=None)
settings.load_profile("civilly")

REPOSITORY = Path(__file__).resolve().parent.parent

ROUNDED = frozenset({
    "test_benchmark_engines_large", "test_cli_rewrite", "test_cli_route", "test_contributing",
    "test_data_search", "test_detect_sae", "test_detect_toxicity", "test_docs_serve",
    "test_embedded", "test_embedded_blanks", "test_engine_batches", "test_engine_diverse",
    "test_engine_gguf", "test_engine_hf", "test_engine_infilling", "test_engine_large",
    "test_engine_residual", "test_fim_families", "test_interpret_latents",
    "test_methods_fillers_baselines", "test_methods_infill", "test_methods_inside",
    "test_model_formats", "test_model_gguf", "test_model_large", "test_model_smoothquant",
    "test_model_toxic", "test_readme", "test_score_agreement", "test_score_embedded",
    "test_score_judge", "test_score_reading", "test_score_room", "test_serve_native",
    "test_serve_page", "test_synth_filters", "test_textdetox_suites", "test_textdetox_xcomet",
    "test_train_audit", "test_train_detector", "test_train_fim", "test_train_grpo",
    "test_train_languages", "test_train_large", "test_train_prefer", "test_train_prefer_losses",
    "test_train_reader", "test_train_rewards", "test_train_sae", "test_train_sft",
    "test_train_speed", "test_train_sweep",
})  # fmt: skip
"""Modules whose tests run models or train them: what these compute depends on how the processor
rounds. They have the marker ``rounding``; see CONTRIBUTING.md."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of `ROUNDED`."""
    for item in items:
        if item.path.stem in ROUNDED:
            item.add_marker(pytest.mark.rounding)


def benchmark(name: str) -> ModuleType:
    """A module of the folder ``benchmarks``, which is no package."""
    path = REPOSITORY / "benchmarks" / f"{name}.py"
    if str(path.parent) not in sys.path:  # they import one another
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the shared data sets; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CIVILLY_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the shared data are not here; CIVILLY_DATA can name them")
    return folder


# Not of the session: an open browser keeps other tests from running loops of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser; see opened_page.py."""
    from opened_page import launched

    with launched() as browser:
        yield browser


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
