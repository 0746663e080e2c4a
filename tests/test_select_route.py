"""A route names something else than the default only where chance is ruled out, and says why."""

import json
from pathlib import Path

import numpy as np
import pytest

from civilly.errors import CivillyError, DataError, ModelError, UnknownNameError
from civilly.languages import CODES
from civilly.model.adapter import adapter_digest, shipped_adapter
from civilly.select import route
from civilly.select.route import (
    DEFAULT,
    Route,
    Way,
    chosen,
    findings,
    read_route,
    shipped_route,
    write_route,
)

TRIALS = 1_000


def by_a_coin(rng, texts: int = 40) -> dict[str, dict[str, list[float]]]:
    """Scores of the default and of a model that a fair coin makes better or worse by text."""
    scores = {}
    for lang in CODES:
        default = rng.uniform(0.4, 0.6, texts)
        other = default + rng.choice([-1, 1], texts) * rng.uniform(0, 0.4, texts)
        scores[lang] = {DEFAULT: list(default), "coin": list(other)}
    return scores


def test_a_model_that_is_better_by_a_coin_is_hardly_ever_chosen():
    rng = np.random.default_rng(20261201)
    simulations = [chosen(findings(by_a_coin(rng), trials=TRIALS)) for _ in range(100)]
    assert sum(not each for each in simulations) >= 95


def test_what_is_better_is_chosen_where_it_is_and_nowhere_else():
    rng = np.random.default_rng(2)
    scores = by_a_coin(rng)
    for lang in ("uk", "ja"):
        base = rng.uniform(0.2, 0.4, 40)
        scores[lang] = {
            DEFAULT: list(base),
            "good": list(base + rng.uniform(0.05, 0.25, 40)),
            "best": list(base + rng.uniform(0.2, 0.4, 40)),
            "worse": list(base - rng.uniform(0.05, 0.2, 40)),
        }
    found = findings(scores, trials=4_000)
    assert chosen(found) == {"uk": ["best", "good"], "ja": ["best", "good"]}
    worse = [each for each in found if each.system == "worse"]
    assert all(each.p_corrected < 0.05 and not each.better for each in worse)
    # Holm by hand: the k-th smallest of m is multiplied by m - k + 1, and never falls.
    rows = sorted(found, key=lambda each: each.p)
    stepped, highest = [], 0.0
    for place, each in enumerate(rows):
        highest = max(highest, each.p * (len(rows) - place))
        stepped.append(min(1.0, highest))
    assert [each.p_corrected for each in rows] == pytest.approx(stepped)


def test_one_text_says_nothing():
    assert not chosen(findings({"en": {DEFAULT: [0.0], "other": [1.0]}}, trials=TRIALS))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"en": {"own": [1.0]}}, "no outputs of the system 'default'"),
        ({"en": {DEFAULT: [1.0, 0.5], "own": [1.0]}}, "'own' has 1 outputs, the default 2"),
        ({"en": {DEFAULT: [], "own": []}}, "has 0 outputs"),
    ],
)
def test_what_cannot_be_compared_is_refused(scores, message):
    with pytest.raises(DataError, match=message):
        findings(scores, trials=TRIALS)


def written(folder: Path, ways: dict, **changes) -> Path:
    path = folder / "route.json"
    path.write_text(json.dumps({"version": 1, "ways": ways, "why": [], "about": {}, **changes}))
    return path


def test_a_written_route_is_read_back(tmp_path):
    base = [0.2, 0.3] * 20
    scores = {"uk": {DEFAULT: base, "own": [x + 0.5 for x in base]}, "en": {DEFAULT: base}}
    found = findings(scores, trials=4_000)
    way = Way("tuned", adapter="tuned", digest=adapter_digest(shipped_adapter("tuned")))
    path = tmp_path / "route.json"
    path.write_text(write_route(found, {"uk": {"own": way}}, {"metric": "m"}))
    read = read_route(path)
    assert read.way("uk") == way
    assert read.adapter(way) == shipped_adapter("tuned")
    assert read.way("en") is None
    assert read.way("xx") is None  # an unknown language has the default
    (why,) = read.why
    assert (why["lang"], why["system"], why["n"], why["better"]) == ("uk", "own", 40, True)
    assert why["difference"] == pytest.approx(0.5)


def test_who_has_only_the_light_model_gets_the_best_light_way(tmp_path):
    large, light = {"method": "tuned", "model": "large"}, {"method": "delete"}
    read = read_route(written(tmp_path, {"uk": [large, light], "de": [large]}))
    assert read.way("uk") == Way("delete")
    assert read.way("de") is None
    assert read.way("uk", ("light", "large")) == Way("tuned", "large")


@pytest.mark.parametrize(
    ("ways", "changes", "kind", "message"),
    [
        ({}, {"version": 2}, DataError, r"version 2.*Allowed: version 1.*civilly route"),
        ({"klingon": []}, {}, UnknownNameError, "klingon"),
        ({"en": [{"method": "tuned", "model": "huge"}]}, {}, UnknownNameError, "huge"),
        ({"en": [{"methods": "tuned"}]}, {}, DataError, r"route\.json, en is no way to write"),
        ({"en": [{"method": 3}]}, {}, DataError, r"route\.json, en"),
        ({"en": 3}, {}, DataError, "no route file"),
        ([], {}, DataError, "no route file"),
    ],
)
def test_a_file_that_is_no_route_says_what_is_wrong(tmp_path, ways, changes, kind, message):
    with pytest.raises(kind, match=message):
        read_route(written(tmp_path, ways, **changes))
    for content in (b"", b"\xff", b"[1]", b'{"version": 1}'):
        (tmp_path / "broken.json").write_bytes(content)
        with pytest.raises(DataError, match="civilly route"):
            read_route(tmp_path / "broken.json")
    with pytest.raises(DataError, match="no route file"):
        read_route(tmp_path / "missing.json")


def test_an_adapter_that_is_missing_or_another_one(tmp_path, monkeypatch):
    missing = {"method": "tuned", "adapter": "languages/uk"}
    other = {"method": "tuned", "adapter": "tuned", "digest": "0" * 16}
    read = read_route(written(tmp_path, {"uk": [missing], "en": [other]}))
    with pytest.raises(ModelError, match="languages/uk"):
        read.way("uk")
    with pytest.raises(ModelError, match="not the one that the route was made for"):
        read.way("en")
    shipped = Route(read.ways, folder=tmp_path)  # the file that ships: the default writes instead
    assert shipped.way("uk") is shipped.way("en") is None


def test_the_route_that_ships_can_be_followed():
    read = shipped_route()
    for lang, ways in read.ways.items():
        assert lang in CODES
        assert read.way(lang, ("light", "large")) == ways[0]
    for why in read.why:
        assert why["better"] == any(why["lang"] == lang for lang in read.ways) or not why["better"]


def test_without_a_file_that_ships_all_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr(route, "files", lambda package: tmp_path)
    assert shipped_route() == Route()
    (tmp_path / "weights").mkdir()
    written(tmp_path / "weights", {}, version=7)
    assert shipped_route() == Route()


def test_a_route_and_another_choice_exclude_each_other(tmp_path):
    from civilly.pipeline import Detoxifier

    path = written(tmp_path, {})
    for other in ({"method": "delete"}, {"adapter": "x"}, {"options": {"decoding": "beam"}}):
        with pytest.raises(CivillyError, match="route"):
            Detoxifier(route=path, **other)
    Detoxifier(method="delete", route="off")
    with pytest.raises(DataError, match="version 9"):
        Detoxifier(route=written(tmp_path, {}, version=9))
