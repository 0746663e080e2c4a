"""Settings of recipes: every one is listed where there is no such setting."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable, checked, settings_of
from civilly.errors import DataError, UnknownNameError


class Leaf(RecipeTable):
    size: Count = 1
    names: list[str] = Field(default_factory=list)


class Branch(RecipeTable):
    leaf: Leaf = Leaf()
    share: float = 0.5


class Tree(RecipeTable):
    seed: int
    branch: Branch | None = None
    leaf: Leaf = Leaf()
    named: Annotated[dict[str, Leaf], Field(max_length=2)] = Field(default_factory=dict)
    free: dict[str, Any] = Field(default_factory=dict)


def test_settings_are_those_of_all_tables() -> None:
    assert settings_of(Tree) == [
        "seed",
        *("branch.leaf.names", "branch.leaf.size", "branch.share"),
        *("leaf.size", "leaf.names"),
        *("named", "named.*.size", "named.*.names"),
        "free",
    ]


def test_a_wrong_setting_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(UnknownNameError, match=r"branch\.leaf\.sise.*branch\.leaf\.size"):
        checked(Tree, {"seed": 1, "branch": {"leaf": {"sise": 2}}}, "the recipe")
    with pytest.raises(DataError, match=r"the recipe, named\.a\.size"):
        checked(Tree, {"seed": 1, "named": {"a": {"size": 0}}}, "the recipe")
    with pytest.raises(DataError, match=r"the recipe, seed: field required"):
        checked(Tree, {}, "the recipe")
