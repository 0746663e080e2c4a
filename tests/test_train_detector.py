"""Training the detector on a toy world: deterministic, and it learns what the labels say."""

import gzip
import json

import pytest

from civilly.detect.normalise import normalise
from civilly.detect.toxicity import ToxicityModel
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.train.detector import train_detector
from civilly.train.obfuscation import DISGUISES
from civilly.types import Text

pytest.importorskip("sklearn")

RECIPE = {
    "seed": 0,
    "held_out_percent": 20,
    "pairs": {},
    "labelled": {},
    "authored": {
        "weight": 1.0, "held_out_percent": 0, "benign_weight": 1.0, "benign_copies": 1,
    },
    "clean": {"langs": [], "sources": [], "weight": 1.0, "limit": 10},
    "lexicon": {
        "sources": ["toy"], "limit": 10, "inserted": 20, "weight": 1.0,
        "alone_weight": 1.0, "alone_limit": 10,
    },
    "disguised": {"share": 0.2, "weight": 0.5, "kinds": ["masked", "swapped"]},
    "fit": {
        "epochs": 6, "batch": 20, "rate": 0.3, "decay": 1e-5, "ranking": 1.0, "share": 0.3,
        "ja": {"rate": 0.5},
    },
    "calibration": {
        "judged": 20, "clean_rate": 0.1, "benign_rate": 0.1, "least_clean": 5,
        "span_score": 1.0, "least_span_score": 0.5, "most_span_score": 2.5,
    },
}  # fmt: skip


@pytest.fixture
def world(tmp_path):
    """Fifteen languages with the same two words: blorg is an insult, market is not."""
    for folder in ("data/lexicons", "data/spans", "recipes/authored_pairs"):
        (tmp_path / folder).mkdir(parents=True)
    with gzip.open(tmp_path / "data/lexicons/terms.jsonl.gz", "wt") as file:
        for code in CODES:
            print(json.dumps({"lang": code, "term": "snarf", "sources": ["toy"]}), file=file)
            banned = {"lang": code, "term": "market", "sources": ["unlicensed"]}
            print(json.dumps(banned), file=file)
    with gzip.open(tmp_path / "data/spans/multiparadetox_dev_autodiff.jsonl.gz", "wt"):
        pass
    places = ["market", "garden", "school", "bridge", "station", "harbour", "library", "museum"]
    with (tmp_path / "recipes/benign_sentences.jsonl").open("w") as benign:
        for code in CODES:
            pairs = tmp_path / "recipes/authored_pairs" / f"{code}.jsonl"
            with pairs.open("w") as file:
                for place in places:
                    row = {
                        "toxic": f"you go to the {place} blorg",
                        "neutral": f"you go to the {place}",
                    }
                    print(json.dumps(row), file=file)
                    calm = {"lang": code, "text": f"we met at the {place} today"}
                    print(json.dumps(calm), file=benign)
    return tmp_path


def train(world, name):
    return train_detector(RECIPE, world / "data", world / name, world / "recipes")


def test_learns_the_insult_and_is_deterministic(world):
    path = train(world, "one")
    assert path.read_bytes() == train(world, "two").read_bytes()
    model = ToxicityModel.load(path)
    for lang in ("en", "ru", "ja"):
        rude, calm, listed = model.detect(
            [Text(t, lang) for t in ("you blorg", "we met at the bridge", "what a snarf")]
        )
        assert rude.p_toxic > 0.5 > calm.p_toxic
        assert listed.p_toxic > calm.p_toxic
        assert any("you blorg"[s.start : s.end] in "blorg" for s in rude.spans)


def test_missing_data_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"no file .*terms\.jsonl\.gz"):
        train_detector(RECIPE, tmp_path, tmp_path / "out", tmp_path)


@pytest.mark.parametrize(
    "name", ["leet", "homoglyphs", "spaced", "dotted", "zero_width", "stretched"]
)
def test_the_normaliser_undoes_what_the_disguises_do(name):
    import random

    for word, lang in (("scumbag", "en"), ("сволота", "uk")):
        disguised = DISGUISES[name](word, random.Random(1))
        assert disguised != word
        assert normalise(f"you {disguised}!", lang).text == f"you {word}!"
