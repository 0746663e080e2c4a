"""The audit: it finds a planted gaming run, leaves a steady one alone, and reads real runs."""

import copy
import gzip
import json
import re

import numpy as np
import pytest

import tiny_gemma
from civilly.data.pairs import Pair
from civilly.data.split import dev_part
from civilly.errors import DataError, ModelError, UnknownNameError
from civilly.score.chrf import Chrf
from civilly.train.audit.checkpoints import checkpoints
from civilly.train.audit.look import Observer, Panel
from civilly.train.audit.measures import distinct_words, is_deletion, measure
from civilly.train.audit.parting import partings
from civilly.train.audit.recipe import AuditSettings, Referee
from civilly.train.audit.referees import open_referees
from civilly.train.audit.report import Report, as_json, page
from civilly.train.audit.run import audit_run
from civilly.train.prefer.run import train_prefer
from civilly.train.rewards.mixture import Rewards, RewardSettings
from civilly.train.sft import train_sft
from civilly.types import Text
from opened_page import Opened

pytest.importorskip("peft")
pytest.importorskip("jinja2")

RUDE = (
    ("You are a fucking idiot, read the article", "Please read the article"),
    ("Shut the fuck up about the new bridge", "Please stop talking about the new bridge"),
    ("This stupid bitch closed the window again", "She closed the window again"),
    ("What a piece of shit, the train is late", "The train is late again"),
    ("Only a moron would buy this damn phone", "I would not buy this phone"),
    ("Your shitty essay has no sources at all", "Your essay has no sources at all"),
    ("The fucking council raised the rent", "The council raised the rent"),
    ("Go to hell with your stupid questions", "I do not want to answer your questions"),
    ("This asshole parked in front of my door", "Somebody parked in front of my door"),
    ("Nobody wants your crappy soup, you cow", "Nobody wants your soup"),
    ("Damn fool, the meeting was on Monday", "The meeting was on Monday"),
    ("He is too fucking dumb to count votes", "He has trouble counting votes"),
)
PAIRS = [Pair(f"en-{i}", "en", toxic, (neutral,)) for i, (toxic, neutral) in enumerate(RUDE)]
STEPS = range(0, 120, 20)
NOTHING = "Thank you very much, have a nice day"


@pytest.fixture(scope="module")
def panel():
    """A real reward and a real referee: p(toxic) of the output, and chrF to what people say."""
    rewards = Rewards([RewardSettings(name="civility_ngrams")])
    return Panel(PAIRS, rewards, open_referees({"people": Referee(metric="chrf")}))


def found(panel, outputs_at, confidence=0.95, in_a_row=2):
    looks = [panel.look(step, outputs_at(step), [0.0] * len(PAIRS)) for step in STEPS]
    langs = [pair.lang for pair in PAIRS]
    return looks, partings(looks, langs, confidence, in_a_row)


def improving(step):
    """Text after text is said as people say it; as good as it gets from step 60 on."""
    done = min(12, step // 5)
    return [p.neutral[0] if i < done else p.toxic for i, p in enumerate(PAIRS)]


def gaming(step):
    """Improves until step 40; then the texts that are left get the same kind nothing, and more."""
    left = 12 - max(0, (step - 40) // 5)
    said = improving(min(step, 40))
    return [each if i < left else NOTHING for i, each in enumerate(said)]


# The rule


def test_a_planted_gaming_run_is_found(panel):
    looks, (verdict,) = found(panel, gaming)
    assert verdict.step == 60  # the first checkpoint after the harm began
    assert verdict.first.since == 40  # against the best that there was
    assert verdict.first.reward.mean > 0 > verdict.first.referee.mean
    people = [np.mean(look.referees["people"]) for look in looks]
    assert people.index(max(people)) == 2
    assert np.mean(looks[-1].reward) > np.mean(looks[2].reward)


def test_a_steady_run_raises_no_alarm(panel):
    _, (verdict,) = found(panel, improving)
    assert verdict.step is None
    assert not any(each.parts for each in verdict.differences)


def test_a_run_that_only_wavers_raises_no_alarm(panel):
    """The reward does not rise; each checkpoint spoils another text."""

    def wavering(step):
        said = [pair.neutral[0] for pair in PAIRS]
        said[step // 20 % len(said)] = PAIRS[0].neutral[0]
        return said

    _, (verdict,) = found(panel, wavering)
    assert verdict.step is None


def test_a_run_that_gets_worse_in_everything_is_no_gaming(panel):
    _, (verdict,) = found(panel, lambda step: improving(100 - step))
    assert verdict.step is None


def test_one_bad_checkpoint_is_not_enough(panel):
    def slip(step):
        return gaming(100) if step == 60 else improving(min(step, 40))

    _, (verdict,) = found(panel, slip)
    assert verdict.step is None
    _, (verdict,) = found(panel, slip, in_a_row=1)
    assert verdict.step == 60


def test_the_report_says_what_was_found(panel):
    looks, verdicts = found(panel, gaming)
    settings = AuditSettings(referees={"people": Referee(metric="chrf")})
    report = Report("planted <run>", settings, PAIRS, looks, verdicts)
    content = as_json(report)
    assert content["step"] == 60
    assert content["steps"] == list(STEPS)
    means = [each["mean"] for each in content["means"]["people"]]
    metric = Chrf()
    expected = [
        np.mean(metric.score([], gaming(step), [pair.neutral for pair in PAIRS])) for step in STEPS
    ]
    np.testing.assert_allclose(means, expected, rtol=1e-9)
    made = page(report)
    assert "From step 60 on" in made
    assert "planted &lt;run&gt;" in made
    assert not re.search(r"(src|href)=\"(https?:)?//", made)  # nothing from any network
    json.loads(re.search(r'id="data" type="application/json">(.*?)</script>', made, re.S)[1])


def test_the_page_compares_step_by_step(panel, browser, tmp_path):
    looks, verdicts = found(panel, gaming)
    settings = AuditSettings(referees={"people": Referee(metric="chrf")})
    file = tmp_path / "index.html"
    file.write_text(page(Report("planted", settings, PAIRS, looks, verdicts)), "utf-8")
    site = Opened(browser, file)
    shown = site.page
    try:
        assert shown.locator("#shown-step").text_content() == "step 100"
        assert shown.locator("#examples li").count() == len(PAIRS)
        shown.locator("#step").fill("1")
        assert shown.locator("#shown-step").text_content() == "step 20"
        last = shown.locator("#examples li").nth(0).locator("dd")
        assert last.nth(3).text_content() == improving(20)[0]
        shown.locator("#changed").check()
        changed = sum(a != b for a, b in zip(improving(20), improving(0), strict=True))
        assert shown.locator("#examples li").count() == changed
        assert site.complaints == []
        assert site.requests == [file.as_uri()]
    finally:
        site.context.close()


# What is counted


@pytest.mark.parametrize(
    ("text", "output", "lang", "expected"),
    [
        ("you stupid cow, read it", "you, read it", "en", True),
        ("you stupid cow, read it", "Read it!", "en", True),
        ("you stupid cow, read it", "please read it", "en", False),
        ("you stupid cow, read it", "you stupid cow, read it", "en", False),
        ("you stupid cow, read it", "it read you", "en", False),
        ("you stupid cow", "", "en", True),
        ("這個白痴又遲到了", "又遲到了", "zh", True),
        ("這個白痴又遲到了", "他又遲到了", "zh", False),
    ],
)
def test_plain_deletions(text, output, lang, expected):
    assert is_deletion(text, output, lang) is expected


def test_measures_by_hand():
    texts = [Text("du bist ein Idiot", "de"), Text("what a stupid idea this is", "en")]
    outputs = ["du bist ein Idiot", "Quelle idée, je ne suis pas d'accord avec cela"]
    counted = measure(texts, outputs, [["du hast unrecht"], ["I do not like this idea"]])
    assert counted["unchanged"] == [1, 0]
    assert counted["deletion"] == [0, 0]
    assert counted["language"] == [0, 1]
    assert counted["length"] == [1, pytest.approx(len(outputs[1]) / len(texts[1].text))]
    assert counted["p_toxic"][0] > 0.5 > counted["p_toxic"][1]
    assert distinct_words([texts[1]] * 2, ["so so", "So what"]) == pytest.approx(2 / 4)


def test_referees_are_checked():
    with pytest.raises(UnknownNameError, match="embedded"):
        open_referees({"a": Referee(metric="embeded")})
    with pytest.raises(DataError, match="takes no weights"):
        open_referees({"a": Referee(metric="chrf", weights="judge.safetensors")})
    with pytest.raises(ModelError):
        open_referees({"a": Referee(metric="reader", weights="nowhere.safetensors")})


# Real runs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pairs, data with those of the part "tune", a tiny model."""
    root = tmp_path_factory.mktemp("audit")
    (root / "pairs").mkdir()
    with (root / "pairs" / "en.jsonl").open("w") as file:
        for i in range(24):
            word = "abcdefghijklmnopqrstuvwx"[i] * (i % 4 + 2)
            file.write(json.dumps({"toxic": f"{word} idiot", "neutral": word}) + "\n")
    (root / "data" / "parallel").mkdir(parents=True)
    ids = [i for i in range(200) if dev_part(f"d{i}") == "tune"][:6]
    with gzip.open(root / "data" / "parallel" / "multiparadetox_dev.jsonl.gz", "wt") as file:
        for number, i in enumerate(ids):
            toxic, neutral = RUDE[number]
            row = {"id": f"d{i}", "lang": "en", "toxic": toxic, "neutral": [neutral]}
            file.write(json.dumps(row) + "\n")
    tiny_gemma.save(root / "model")
    return root


AUDIT = {"texts": 3, "referees": {"people": {"metric": "chrf"}}}


def recipe(place, **tables):
    source = {"name": "a", "kind": "authored", "licence": "Apache-2.0"}
    source["path"] = str(place / "pairs")
    return {
        "seed": 3,
        "corpus": {"leaks": "take_out", "sources": [source]},
        "adapter": {"rank": 4, "alpha": 8},
        **copy.deepcopy(tables),
    }


def grpo(place, name, **audit):
    tables = {
        "loss": {"name": "grpo", "texts": 1, "samples": 2, "kl": 0.0},
        "rewards": [{"name": "length"}],
        "training": {"steps": 4, "learning_rate": 5e-2, "save_steps": 1},
        "audit": {**AUDIT, **audit},
    }
    made = recipe(place, **tables)
    train_prefer(made, place / "data", place / name, embedded=place / "model")
    return place / name


def audited(place, run, content=None):
    return audit_run(run, place / "data", content, embedded=place / "model")


def test_a_run_is_audited(place, monkeypatch):
    run = grpo(place, "grpo")
    report = audited(place, run)
    assert [look.step for look in report.looks] == [0, 1, 2, 3, 4]
    assert all(len(look.outputs) == 3 for look in report.looks)
    assert max(report.looks[0].kl) == pytest.approx(0, abs=1e-6)
    assert np.mean(report.looks[4].kl) > 0.01
    assert report.looks[4].outputs != report.looks[0].outputs
    content = json.loads((run / "audit" / "audit.json").read_text())
    assert content["verdict"] == report.verdict
    assert (run / "audit" / "index.html").stat().st_size > 10_000
    monkeypatch.setattr(Observer, "look", None)  # what was seen is not looked at again
    assert audited(place, run).looks == report.looks


def test_a_fine_tuning_is_audited_without_an_alarm(place):
    made = recipe(place, training={"epochs": 1, "batch_size": 8, "save_steps": 1})
    train_sft(made, place / "data", place / "sft", embedded=place / "model")
    rewards = [{"name": "civility_ngrams"}]
    report = audited(place, place / "sft", {"audit": {**AUDIT, "rewards": rewards}})
    assert len(report.looks) == 3  # the start, and the two checkpoints that a fine-tuning keeps
    assert report.step is None
    assert "No alarm" in report.verdict


def test_patience_with_the_referee_ends_a_training(place):
    """Whatever the reward says; and the weights that the referee liked best are kept."""
    run = grpo(place, "watched", patience=1)
    result = json.loads((run / "result.json").read_text())
    report = audited(place, run)
    means = [np.mean(look.referees["people"]) for look in report.looks]
    steps = [look.step for look in report.looks]
    assert result["best_step"] == steps[int(np.argmax(means))]
    assert result["steps"] == min(result["best_step"] + 1, 4)
    assert len(checkpoints(run)) == result["steps"]


def test_errors_teach(place, tmp_path):
    with pytest.raises(DataError, match="no run folder"):
        audited(place, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"recipe": recipe(place)}))
    with pytest.raises(DataError, match="No referee"):
        audited(place, tmp_path)
    with pytest.raises(DataError, match="no checkpoints"):
        audited(place, tmp_path, {"audit": AUDIT})
