"""Runs a job on Ray: actors that hold the models take one shard after the other.

Plain actors over our manifest, not Ray Data: see docs/scale.md. A worker that dies is replaced, and
its shard goes on where its journal ends; so does the whole job when it is run again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from civilly.batch.job import Job, Outcome
from civilly.batch.shard import failed, rewrite_shard
from civilly.errors import EngineError, MissingExtraError

ATTEMPTS = 3
"""So many workers may die of one shard before it is set aside."""
SECONDS_BETWEEN_LOOKS = 2.0
_STORE_BYTES = 100_000_000
"""Room of Ray's object store on one machine: only names and counts go through it."""


class Worker:
    """Holds the models and rewrites one shard at a time; lives in a process of Ray's.

    Args:
        job: What is done.
        identity: The job's, as the driver has it.
    """

    def __init__(self, job: Job, identity: Mapping[str, Any]) -> None:
        os.environ.setdefault("CIVILLY_THREADS", "1")
        self._job = job
        self._identity = identity
        self._rows = 0
        own = job.identity()
        different = [name for name in identity if identity[name] != own[name]]
        self._unlike = (
            f"This node's Civilly would make other outputs: {', '.join(different)} differ."
            if different
            else ""
        )

    def rewrite(self, name: str) -> Outcome:
        """Rewrites a shard; see `civilly.batch.shard.rewrite_shard`."""
        if self._unlike:
            return failed(self._job, name, self._unlike)
        return rewrite_shard(self._job, name, self._identity, self._advance)

    def _advance(self, rows: int) -> None:
        self._rows += rows

    def rows(self) -> int:
        """How many rows it has done so far."""
        return self._rows


def require() -> Any:
    """The package.

    Raises:
        MissingExtraError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when it is imported
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingExtraError("The runner ray", "ray", "ray") from None
    return ray


def run(
    job: Job,
    identity: Mapping[str, Any],
    advance: Callable[[int], None],
    workers: int | None = None,
    address: str | None = None,
) -> Iterator[Outcome]:
    """What became of each shard, as soon as it is known.

    Args:
        job: What is done; every node sees its folders under the same paths.
        identity: Its, as `civilly.batch.job.opened` gives it.
        advance: Is told of rows that are done.
        workers: Processes, each on one core; None: as many as the cluster has.
        address: Of a cluster (``auto``, ``HOST:PORT``, ``ray://…``); None: one on this machine, for
            this job alone.

    Raises:
        MissingExtraError: If Ray is not installed.
        EngineError: If Ray does not start, or there is no cluster at the address.
    """
    ray = require()
    ours = not ray.is_initialized()
    if ours:
        _start(ray, workers, address)
    try:
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield from _Crew(ray, job, identity, min(count, len(job.names))).outcomes(advance)
    finally:
        if ours:
            ray.shutdown()


def _start(ray: Any, workers: int | None, address: str | None) -> None:
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        # A worker takes half a GB whatever its shard is. Where other programs fill the memory, Ray
        # would kill ours in their stead.
        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
        # By default workers run at niceness 15: beside other work they would get next to nothing.
        os.environ.setdefault("RAY_worker_niceness", "0")
        how |= {
            "num_cpus": workers, "include_dashboard": False, "object_store_memory": _STORE_BYTES,
        }  # fmt: skip
    try:
        ray.init(address or "local", **how)  # "local" whatever RAY_ADDRESS says
    except Exception as error:  # Ray raises plain ones, too
        if address is None:
            what = f"Ray did not start on this machine: {error}"
            raise EngineError(what, mend="the same command again, or --runner local") from error
        raise EngineError(
            f"There is no Ray cluster at {address!r}: {error}",
            mend="ray start --head on one node, or leave --address out for this machine alone",
        ) from error


class _Crew:
    """The workers and who does what.

    Args:
        ray: The package, initialised.
        job: What is done.
        identity: The job's.
        size: How many workers.
    """

    def __init__(self, ray: Any, job: Job, identity: Mapping[str, Any], size: int) -> None:
        self._ray, self._job = ray, job
        self._job_ref, self._identity = ray.put(job), identity
        # The second thread says how far the first one is.
        self._kind = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=2)(Worker)
        self._idle = [self._hired() for _ in range(size)]
        self._busy: dict[Any, tuple[Any, str]] = {}
        self._seen: dict[Any, int] = {}

    def _hired(self) -> Any:
        return self._kind.remote(self._job_ref, self._identity)

    def outcomes(self, advance: Callable[[int], None]) -> Iterator[Outcome]:
        """Hands out all shards and collects what became of them."""
        waiting, deaths = deque(self._job.names), dict.fromkeys(self._job.names, 0)
        while waiting or self._busy:
            while waiting and self._idle:
                worker, name = self._idle.pop(), waiting.popleft()
                self._busy[worker.rewrite.remote(name)] = worker, name
            ready, _ = self._ray.wait(list(self._busy), timeout=SECONDS_BETWEEN_LOOKS)
            self._look(ready or list(self._busy), advance)
            for done in ready:
                worker, name = self._busy.pop(done)
                try:
                    yield self._ray.get(done)
                    self._idle.append(worker)
                except self._ray.exceptions.RayActorError as error:
                    deaths[name] += 1
                    self._idle.append(self._hired())
                    if deaths[name] < ATTEMPTS:
                        waiting.append(name)
                    else:
                        why = f"{ATTEMPTS} workers died of it, the last one so: {error}"
                        yield failed(self._job, name, why)
                except self._ray.exceptions.RayTaskError as error:
                    yield failed(self._job, name, str(error))
                    self._idle.append(worker)

    def _look(self, work: Sequence[Any], advance: Callable[[int], None]) -> None:
        """Asks how far workers are; one that dies meanwhile is noticed elsewhere."""
        for worker, _ in [self._busy[each] for each in work]:
            try:
                rows = self._ray.get(worker.rows.remote(), timeout=SECONDS_BETWEEN_LOOKS)
            except self._ray.exceptions.RayError:  # also that it did not answer in time
                continue
            advance(rows - self._seen.get(worker, 0))
            self._seen[worker] = rows
