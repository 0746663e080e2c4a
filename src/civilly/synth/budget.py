"""What asking a model may cost in all: requests, tokens and money, set aside beforehand."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields

from civilly.errors import CivillyError

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent, or is expected to be.

    Attributes:
        requests: Requests that were answered; those that failed and were tried again count once.
        prompt_tokens: Tokens that the model read.
        answer_tokens: Tokens that it wrote.
    """

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.answer_tokens

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Spent)))

    def __sub__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Spent)))


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent in all; None: any amount.

    Attributes:
        requests: Requests.
        tokens: Tokens, read and written.
        money: In the currency of the prices.
        price_read: Of a million tokens that the model reads.
        price_written: Of a million tokens that it writes.
    """

    requests: int | None = None
    tokens: int | None = None
    money: float | None = None
    price_read: float = 0.0
    price_written: float = 0.0

    def __post_init__(self) -> None:
        if self.money is not None and not (self.price_read or self.price_written):
            raise CivillyError(
                "A budget of money needs prices.", mend="--price-read and --price-written"
            )

    def cost(self, spent: Spent) -> float:
        """What something costs, in the currency of the prices."""
        read, written = spent.prompt_tokens, spent.answer_tokens
        return (read * self.price_read + written * self.price_written) / MILLION

    def allow(self, spent: Spent) -> bool:
        """Whether so much may be spent."""
        return (
            (self.requests is None or spent.requests <= self.requests)
            and (self.tokens is None or spent.tokens <= self.tokens)
            and (self.money is None or self.cost(spent) <= self.money)
        )


class Budget:
    """Counts what is spent; may be used by many threads.

    What is under way counts as expected, so a budget is not overdrawn by many requests at a time,
    only where one takes more tokens than was expected of it.

    Args:
        limits: What may be spent.
        spent: What was spent before.
    """

    def __init__(self, limits: Limits, spent: Spent) -> None:
        self.limits = limits
        self._spent = spent
        self._under_way = Spent()
        self._lock = threading.Lock()

    @property
    def spent(self) -> Spent:
        """So far, without what is under way."""
        return self._spent

    def take(self, expected: Spent) -> bool:
        """Sets aside what a request is expected to cost, if it is still there."""
        with self._lock:
            if not self.limits.allow(self._spent + self._under_way + expected):
                return False
            self._under_way += expected
            return True

    def settle(self, expected: Spent, real: Spent) -> None:
        """Replaces what was set aside by what was spent."""
        with self._lock:
            self._under_way -= expected
            self._spent += real

    def __str__(self) -> str:
        spent = self._spent
        told = f"{spent.requests} requests, {spent.tokens:,} tokens"
        if self.limits.price_read or self.limits.price_written:
            told += f", {self.limits.cost(spent):.4f} of money"
        return told
