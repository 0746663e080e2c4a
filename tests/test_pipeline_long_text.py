"""Long and odd texts: parts by what they cost, equal ones once, and never a bloated output."""

import pytest

from civilly.detect.parts import LONGEST_PART, parts
from civilly.detect.toxicity import create
from civilly.methods.tuned import MOST_TOKENS, UNKNOWN_LOGPROB, TunedRewriter
from civilly.pipeline import Detoxifier
from civilly.pipeline.find import Batch
from civilly.pipeline.sentences import parts_of
from civilly.pipeline.write import LEAST_ASKED, LOOKED, TOO_LONG, Effort, efforts
from civilly.types import Candidate, Detection, Generation, Span, Text

ZALGO = "".join(c + "\u0336\u0321\u034d" * 13 for c in "you fucking idiot")


def batch_of(text, lang, p_toxic):
    """A text with its parts, each as toxic as a function of its number says."""
    texts = [Text(text, lang)]
    parts = parts_of(texts)
    found = [Detection(p_toxic(i)) for i in range(len(parts))]
    return Batch(texts, parts, [Text(part.core, lang) for part in parts], found)


class Counts:
    """A method that proposes the same for every part, and remembers what it was asked."""

    generates = False

    def __init__(self, answer):
        self.answer, self.asked, self.again = answer, [], []

    def rewrite(self, texts, detections, n=1):
        self.asked += [t.text for t in texts]
        return [[Candidate(self.answer, "test", -0.1)] for _ in texts]

    def look_again(self, texts, detections):
        self.again += [t.text for t in texts]
        return [[] for _ in texts]


def detoxifier(answer):
    made = Detoxifier("duplicate")
    made.__dict__["_rewriter"] = method = Counts(answer)
    return made, method


@pytest.mark.parametrize(
    ("text", "most"), [("idiot\n" * 200, 1), ("傻逼" * 250, 3), ("傻逼" * 1_000, 3)]
)
def test_equal_parts_of_a_text_are_rewritten_once(text, most):
    made, method = detoxifier("ok")
    (result,) = made.rewrite([text], "zh" if text[0] == "傻" else "en")
    assert 1 <= len(method.asked) <= most
    assert result.rewritten.count("ok") in (0, text.count("\n") or len(parts(text, "zh")))


def test_equal_texts_of_a_call_are_rewritten_once_and_alike():
    made, method = detoxifier("That is wrong.")
    texts = ["You fucking idiot.", "Shut up, you moron.", "You fucking idiot."]
    results = made.rewrite(texts, "en")
    assert sorted(method.asked) == sorted(set(texts))
    assert results[0] == results[2]
    assert results[0].rewritten == "That is wrong."


def test_a_text_of_many_parts_gets_a_second_look_at_the_first_only_whoever_comes_with_it():
    lines = [f"You fucking idiot number {i}." for i in range(9)]
    text = "\n".join(lines)
    made, method = detoxifier("You fucking moron.")
    made.rewrite([text], "en")
    assert method.again == lines[:LOOKED]
    method.again.clear()
    made.rewrite([text, lines[-1]], "en")
    assert sorted(method.again) == sorted([*lines[:LOOKED], lines[-1]])


def test_of_a_text_with_more_tokens_than_letters_the_model_is_asked_for_the_rudest_parts():
    sentence = "番のクソ野郎は馬鹿だから二度とここに来るな。"
    text = "".join(a + b + sentence for a in "甲乙丙丁戊己庚辛壬癸" for b in "一二三四五")
    batch = batch_of(text, "ja", lambda i: 0.5 + i / 1000)
    made = efforts(batch, range(len(batch.parts)))
    asked = [i for i, effort in made.items() if effort > Effort.CUT]
    worth = 3 * sum(len(batch.parts[i].core) for i in asked)
    assert LEAST_ASKED // 2 < worth <= LEAST_ASKED < 3 * len(text)
    assert min(asked) > max(set(made) - set(asked))  # the rudest, here the last ones
    again = [i for i, effort in made.items() if effort is Effort.LOOK_AGAIN]
    assert again == sorted(asked)[:LOOKED]
    (result,) = detoxifier("ok")[0].rewrite([text], "ja")
    assert result.reason.endswith(TOO_LONG)


def test_of_a_text_of_letters_the_model_is_asked_for_every_part():
    text = "".join(f"You fucking idiot number {i}, go away. " for i in range(200))
    batch = batch_of(text, "en", lambda i: 0.9)
    made = efforts(batch, range(len(batch.parts)))
    assert len(made) > 10
    assert min(made.values()) is Effort.ASK


def test_an_output_is_never_three_times_as_long_as_its_text():
    made, _ = detoxifier("You are not a very clever person, I would say.")
    text = "".join(f"idiot {'!' * i}\n" for i in range(1, 40))
    (result,) = made.rewrite([text], "en")
    assert len(result.rewritten) < 3 * len(text)
    (short,) = made.rewrite(["Shut up, you fucking idiot."], "en")
    assert short.rewritten == "You are not a very clever person, I would say."


class Steps:
    """An engine with a token per character, which counts what it is made to read."""

    def __init__(self):
        self.read = 0

    def count_tokens(self, texts, adapter=None):
        return [len(text) for text in texts]

    def generate(self, prompts, options):
        self.read += sum(len(prompt.text) for prompt in prompts)
        return [[Generation("ok", -0.1, True)] for _ in prompts]

    def logprobs(self, prompts, texts, adapter=None):
        self.read += sum(len(p.text) + len(t) for p, t in zip(prompts, texts, strict=True))
        return [-0.1] * len(texts)

    def branch(self, prompts, n, max_new_tokens, adapter=None):
        self.read += sum(len(prompt.text) for prompt in prompts)
        return [[Generation("ok", -0.1, True)] for _ in prompts]


def test_a_text_of_too_many_tokens_never_reaches_the_model():
    engine = Steps()
    method = TunedRewriter(engine, "", create())
    texts = [Text("q" * (MOST_TOKENS + 1), "en"), Text("you idiot", "en")]
    found = [Detection(0.9, (Span(0, 3, 0.9),))] * 2
    assert method.rewrite(texts[:1], found[:1]) == [[]]
    assert method.score(texts[:1], ["q"]) == [UNKNOWN_LOGPROB]
    assert method.look_again(texts[:1], found[:1]) == [[]]
    assert engine.read == 0
    assert [len(row) for row in method.rewrite(texts, found)] == [0, 1]
    assert method.score(texts, ["q", "you"]) == [UNKNOWN_LOGPROB, -0.1]


SPAM = {
    "two characters": ("傻逼" * 1_000, "zh"),
    "no punctuation": ("你这个傻逼根本没看过这部电影还在这里装什么懂行的人" * 80, "zh"),
    "zalgo": (ZALGO * 3, "en"),
    "lines": ("".join(f"idiot {i}\n" for i in range(180)), "en"),
    "one line often": ("idiot\n" * 333, "en"),
    "emoji": ("you idiot " + "💩" * 1_990, "en"),
    "random letters": ("you idiot " + "qzxkvj" * 331, "en"),
}


@pytest.mark.parametrize("name", SPAM)
def test_what_a_model_reads_of_two_thousand_characters_is_bounded(name):
    text, lang = SPAM[name]
    engine = Steps()
    made = Detoxifier("tuned")
    made.__dict__["_rewriter"] = TunedRewriter(engine, "", made._tools.detector)
    (result,) = made.rewrite([text[:2_000]], lang)
    # Each part is read to be rewritten and to judge its deletion, a few of them again at two spans.
    frames = 25 * 3 * len(parts(text[:2_000], lang))
    assert engine.read <= 4 * 2_000 + 4 * LOOKED * LONGEST_PART + frames
    assert len(result.rewritten) <= 3 * 2_000
