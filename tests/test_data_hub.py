"""Data sets of the hub, from a folder in the hub's layout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from civilly.data.corpus.hub import read_hub
from civilly.data.corpus.recipe import HubSource
from civilly.data.pairs import Pair
from civilly.errors import CivillyError, DataError, MissingExtraError

ROWS = [
    {"en_toxic_comment": "this damn bus 🚌", "en_neutral_comment": "this bus 🚌"},
    {"en_toxic_comment": "you fool", "en_neutral_comment": "you"},
    {"en_toxic_comment": "this damn bus 🚌", "en_neutral_comment": "this late bus 🚌"},
    {"en_toxic_comment": "you fool", "en_neutral_comment": "you"},
]
COLUMNS = {"toxic": "en_toxic_comment", "neutral": "en_neutral_comment"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Laid out as the hub does: a card that names configurations and splits, and Parquet."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    made = tmp_path / "data" / "mine"
    (made / "data").mkdir(parents=True)
    rows = [
        {"toxic": "du Idiot", "neutral": ["du", "Sie"], "lang": "de", "id": "x7"},
        {"toxic": "dummes Ding", "neutral": ["Ding"], "lang": "de", "id": "x8"},
    ]
    configs = ""
    for name, split, content in (("default", "train", ROWS), ("pairs", "test", rows)):
        path = f"data/{name}-{split}-00000-of-00001.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(content), made / path)
        configs += f"- config_name: {name}\n  data_files:\n  - split: {split}\n    path: {path}\n"
    (made / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    return made


def source(**settings: Any) -> HubSource:
    return HubSource(**{"name": "h", "kind": "hub", "dataset": "mine", **settings})


def test_rows_with_the_same_toxic_side_are_one_pair(folder: Path) -> None:
    made = read_hub(source(columns=COLUMNS, lang="en"), folder.parent)
    assert made == [
        Pair("mine-train-1", "en", "this damn bus 🚌", ("this bus 🚌", "this late bus 🚌"), "h"),
        Pair("mine-train-2", "en", "you fool", ("you",), "h"),
    ]


def test_a_split_with_usual_columns_and_an_absolute_folder(folder: Path) -> None:
    made = read_hub(source(dataset=str(folder), split="test", config="pairs"), Path("elsewhere"))
    assert made == [
        Pair("x7", "de", "du Idiot", ("du", "Sie"), "h"),
        Pair("x8", "de", "dummes Ding", ("Ding",), "h"),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": COLUMNS}, "mine, split train: no column 'lang'"),
        (
            {"columns": {**COLUMNS, "toxic": "rude"}, "lang": "en"},
            "no column 'rude'.*'en_toxic_comment'",
        ),
        ({"split": "dev"}, "'mine' cannot be loaded: .*dev"),
        ({"config": "other"}, "'mine' cannot be loaded: .*other"),
        ({"dataset": "s-nlp/paradetox"}, "without a revision"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_hub(source(**settings), folder.parent)


def test_a_data_set_that_cannot_be_reached_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CivillyError, match="'no/such-set' is not on this machine"):
        read_hub(source(dataset="no/such-set", revision="0" * 40), folder.parent)


def test_without_the_library_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[train\]"):
        read_hub(source(columns=COLUMNS, lang="en"), folder.parent)
