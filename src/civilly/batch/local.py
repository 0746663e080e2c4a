"""Runs a job in this process, one shard after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from civilly.batch.job import Job, Outcome
from civilly.batch.shard import rewrite_shard


def run(job: Job, identity: Mapping[str, Any], advance: Callable[[int], None]) -> Iterator[Outcome]:
    """What became of each shard, as soon as it is known.

    Args:
        job: What is done.
        identity: Its, as `civilly.batch.job.opened` gives it.
        advance: Is told of rows that are done.
    """
    for name in job.names:
        yield rewrite_shard(job, name, identity, advance)
