"""Whatever is handed to the Python API: a right result, or an error that says what to hand over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import civilly
from civilly import Detoxifier
from civilly.errors import CivillyError, UnknownNameError
from civilly.model.adapter import shipped_adapter

pandas = pytest.importorskip("pandas")

COLUMN = pandas.Series(["this fucking day", None, "Komm her, du Idiot"], name="text")
BOTH = ["this fucking day", "Komm her, du Idiot"]


class Spelt(str):
    """A string that does not look like what it is."""

    def __str__(self) -> str:
        return "something else"


@pytest.fixture(scope="module")
def detoxifier() -> Detoxifier:
    return Detoxifier("delete")


@pytest.mark.parametrize(
    "texts",
    [
        BOTH, tuple(BOTH), dict.fromkeys(BOTH).keys(),
        COLUMN.dropna(), COLUMN.dropna().astype("string"), np.array(BOTH),
        np.array(BOTH, dtype=object), list(map(np.str_, BOTH)), list(map(Spelt, BOTH)),
    ],
    ids=lambda texts: type(texts).__name__,
)  # fmt: skip
@pytest.mark.parametrize("langs", ["auto", pandas.Series(["en", "auto"], index=[7, 3])])
def test_what_holds_strings_in_order_is_taken(
    detoxifier: Detoxifier, texts: Any, langs: Any
) -> None:
    results = detoxifier.rewrite(texts, langs)
    assert [result.text for result in results] == BOTH
    assert [result.rewritten for result in results] == ["this day", "Komm her"]
    assert {type(each) for result in results for each in (result.text, result.rewritten)} == {str}


def test_generators_are_read_once_and_in_order(detoxifier: Detoxifier) -> None:
    results = detoxifier.rewrite((text for text in BOTH), (lang for lang in ("EN", "de_AT")))
    assert [(result.text, result.lang) for result in results] == [(BOTH[0], "en"), (BOTH[1], "de")]


def test_lines_of_an_open_file_are_texts(detoxifier: Detoxifier, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("this fucking day\nfine\n", encoding="utf-8")
    with (tmp_path / "texts.txt").open(encoding="utf-8") as lines:
        assert [r.rewritten for r in detoxifier.rewrite(lines, "en")] == ["this day\n", "fine\n"]


@pytest.mark.parametrize("nothing", [[], (), iter(()), np.array([]), COLUMN[:0]])
def test_no_texts_give_no_results(detoxifier: Detoxifier, nothing: Any) -> None:
    assert detoxifier.rewrite(nothing) == []
    assert detoxifier.rewrite([], "en") == detoxifier.rewrite([], []) == []


def refusal(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CivillyError) as caught:
        function(*arguments, **named)
    assert caught.value.mend or caught.value.allowed
    return str(caught.value)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ("You idiot", ["one string", "rewrite([text])[0]", "civilly.rewrite(text)"]),
        (Path("a.txt"), ["Path"]), (b"You idiot", ["bytes"]), (None, ["None"]), (7, ["7 (int)"]),
        ({"You idiot"}, ["set", "order"]), ({"a": "You idiot"}, ["dict", ".values()"]),
        (np.array([BOTH]), ["(1, 2)", "one column"]), (np.array("x"), ["()"]),
        (pandas.DataFrame({"text": BOTH}), ["DataFrame", "table['text']"]),
        (["a", None], ["position 1", "None", '""']),
        (COLUMN[[2, 1]], ["position 1", "fillna"]),
        (pandas.Series(["a", None], dtype="string"), ["position 1", "<NA>", "fillna"]),
        (["a", "b", float("nan")], ["position 2", "nan", "leave it out"]),
        (["a", 7], ["position 1", "7 (int)", "str("]), (["a", b"b"], ["position 1", "decode"]),
        ([["a"]], ["position 0", "list"]), (np.array([0.5]), ["position 0", "0.5"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_list_of_strings_is_refused(
    detoxifier: Detoxifier, texts: Any, words: list[str]
) -> None:
    message = refusal(detoxifier.rewrite, texts)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("langs", "words"),
    [
        (None, ["None", '"auto"']), (5, ["5 (int)"]), (b"en", ["bytes"]), ("", ["'auto'"]),
        ({"en", "de"}, ["set", "order"]), ({"a": "en"}, ["dict", "in their order"]),
        (["en"], ["1 languages for 2 texts", "one per text"]), ([], ["0 languages for 2 texts"]),
        (["en", None], ["position 1", "None", '"auto"']),
        (pandas.Series(["en", float("nan")], index=[9, 4]), ["position 1", "nan", '"auto"']),
        (["en", "klingon"], ["position 1", "'klingon'", "Allowed: am, ar, auto"]),
        (["en", "jp"], ["position 1", "'ja'"]), ("jp", ["'ja'"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_are_no_languages_is_refused(
    detoxifier: Detoxifier, langs: Any, words: list[str]
) -> None:
    message = refusal(detoxifier.rewrite, BOTH, langs)
    assert [word for word in words if word not in message] == []


@given(st.lists(st.text(max_size=20) | st.just("You \udcff idiot\ud83d"), max_size=4))
def test_what_comes_back_can_be_encoded(texts: list[str]) -> None:
    results = Detoxifier("delete").rewrite(texts, "en")
    assert [result.text for result in results] == [
        text.replace("\udcff", "\ufffd").replace("\ud83d", "\ufffd") for text in texts
    ]
    assert all(result.rewritten.encode().decode() == result.rewritten for result in results)


def test_lone_surrogates_are_mended_as_on_the_command_line(detoxifier: Detoxifier) -> None:
    (result,) = detoxifier.rewrite(["\ud83d You idiot"], "en")
    assert result.text == "\ufffd You idiot"
    assert civilly.rewrite("\udcff hello", "en", "delete") == "\ufffd hello"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": None}, ["None", "tuned+infill"]), ({"method": ["tuned"]}, ["tuned+infill"]),
        ({"method": "Tuned"}, ["did you mean 'tuned'"]), ({"method": ""}, ["Allowed: delete"]),
        ({"method": "decoding"}, ["Unknown rewriting method"]), ({"method": "../a"}, ["Unknown"]),
        ({"n_candidates": 0}, ["n_candidates is 0", "1 or more"]), ({"n_candidates": "3"}, ["'3'"]),
        ({"n_candidates": 2.5}, ["2.5"]), ({"n_candidates": True}, ["True"]),
        ({"strength": float("nan")}, ["nan", "0 (the"]), ({"strength": "much"}, ["'much'"]),
        ({"strength": None}, ["None"]), ({"strength": 1.01}, ["1.01"]),
        ({"options": "a=b"}, ["'a=b'", "dictionary"]), ({"options": [1]}, ["[1]"]),
        ({"options": {1: 2}}, ["{1: 2}"]), ({"options": {"strength": 1}}, ["strength=…"]),
        ({"select": "rernk"}, ["did you mean 'rerank'"]), ({"select": 3}, ["3 (int)"]),
        ({"engine": "embeded"}, ["did you mean 'embedded'"]), ({"engine": 4}, ["4 (int)"]),
        ({"engine": "nosuch:x"}, ["Unknown engine 'nosuch'"]), ({"adapter": 3}, ["3 (int)"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_detoxifier_is_not_made_of_what_it_cannot_use(
    given: dict[str, Any], words: list[str]
) -> None:
    message = refusal(Detoxifier, **given)
    assert [word for word in words if word not in message] == []


def test_a_detoxifier_takes_what_numpy_and_pathlib_have() -> None:
    made = Detoxifier("delete", n_candidates=np.int64(2), strength=np.float32(0.5))
    assert made.n_candidates == 2
    shipped = shipped_adapter("tuned")
    assert Detoxifier(adapter=shipped).describe() == Detoxifier(adapter=str(shipped)).describe()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((None,), ["text is None"]), ((7,), ["7 (int)"]), ((b"x",), ["decode"]),
        ((BOTH,), ["list", "Detoxifier().rewrite(texts)"]), ((COLUMN,), ["Detoxifier()"]),
        (("x", None), ["lang is None", '"auto"']), (("x", ["en"]), ["lang is", "list"]),
        (("x", "jp"), ["'ja'"]), (("x", "en", None), ["method is None"]),
        (("x", "en", ["delete"]), ["method is"]), (("x", "en", "delet"), ["did you mean"]),
    ],
    ids=str,
)  # fmt: skip
def test_the_function_for_one_text_refuses_the_rest(given: Any, words: list[str]) -> None:
    message = refusal(civilly.rewrite, *given)
    assert [word for word in words if word not in message] == []


def test_the_function_for_one_text_reads_languages_as_the_class_does() -> None:
    assert civilly.rewrite(np.str_("this fucking day"), "en_US", "delete") == "this day"
    with pytest.raises(UnknownNameError):
        civilly.rewrite("You idiot", "klingon", "delete")
