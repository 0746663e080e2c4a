"""Numbers as tables show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.values import short


@pytest.mark.parametrize(
    ("number", "digits", "shown"),
    [
        (0.5124, 3, ".512"), (0.5124, 2, ".51"), (-0.05, 2, "-.05"), (0.0, 3, ".000"),
        (1.0, 3, "1.000"), (0.9996, 3, "1.000"), (10.5, 3, "10.500"), (-20.04, 2, "-20.04"),
    ],
)  # fmt: skip
def test_the_zero_before_the_point_is_left_out(number: float, digits: int, shown: str) -> None:
    assert short(number, digits) == shown


@given(st.floats(-1_000, 1_000), st.integers(1, 6))
def test_the_value_is_that_of_the_rounded_number(number: float, digits: int) -> None:
    assert float(short(number, digits)) == round(number, digits)
