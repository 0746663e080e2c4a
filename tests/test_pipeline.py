"""The line from text to rewrite keeps its promises whatever a method proposes."""

import pytest

from civilly import pipeline
from civilly.errors import CivillyError, UnknownNameError
from civilly.pipeline import Detoxifier
from civilly.types import Candidate


class Proposes:
    """A method that proposes what a function says."""

    generates = False

    def __init__(self, function):
        self.function = function
        self.seen = []

    def rewrite(self, texts, detections, n=1):
        self.seen += [t.text for t in texts]
        return [[Candidate(self.function(t.text), "test")] for t in texts]


def detoxifier(function):
    made = Detoxifier("duplicate", select="rerank")
    made.__dict__["_rewriter"] = Proposes(function)
    return made


def test_a_civil_proposal_is_taken():
    made = detoxifier(lambda text: "This is wrong.")
    (result,) = made.rewrite(["This is fucking wrong, you idiot."], "en")
    assert result.rewritten == "This is wrong."
    assert result.changed
    assert result.after.p_toxic < result.before.p_toxic


def test_a_more_toxic_proposal_is_never_taken():
    made = detoxifier(lambda text: "You fucking idiot, go and die, you piece of shit.")
    texts = ["You are a bit stupid.", "idiot", "What a stupid idea, dumb ass"]
    for text, result in zip(texts, made.rewrite(texts, "en"), strict=True):
        assert result.after.p_toxic <= result.before.p_toxic
        if result.rewritten == text:
            assert result.method == "keep"


class LooksAgain(Proposes):
    """A method whose second look makes another proposal."""

    asked: list[str]

    def look_again(self, texts, detections):
        self.asked = [t.text for t in texts]
        return [[Candidate("You are wrong about this.", "second", -0.1)] for _ in texts]


def test_a_second_look_is_taken_only_where_the_first_was_poor():
    made = Detoxifier("duplicate", select="rerank")
    bad, good = "You are fucking wrong about this.", "That shit is quite wrong, my friend."
    method = LooksAgain(lambda text: text if text == bad else "That is quite wrong, my friend.")
    made.__dict__["_rewriter"] = method
    first, second = made.rewrite([bad, good], "en")
    assert method.asked == [bad]
    assert (first.method, first.rewritten) == ("second", "You are wrong about this.")
    assert (second.method, second.rewritten) == ("test", "That is quite wrong, my friend.")


def test_a_proposal_that_cannot_be_encoded_is_mended():
    method = LooksAgain(lambda text: "That is wrong\ud83d, my friend.")
    method.look_again = lambda texts, found: [[Candidate("No\udc80.", "second")] for _ in texts]
    made = Detoxifier("duplicate")
    made.__dict__["_rewriter"] = method
    (result,) = made.rewrite(["That shit is wrong, you idiot."], "en")
    proposals = [candidate.text for candidate, _ in result.candidates]
    assert "That is wrong\ufffd, my friend." in proposals
    assert all(text.encode() for text in [result.rewritten, *proposals])


def test_civil_text_is_not_even_tried():
    made = detoxifier(lambda text: "changed")
    (result,) = made.rewrite(["Thank you, the weather is lovely today."], "en")
    assert result.rewritten == result.text
    assert made._rewriter.seen == []


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "🤬🤬🤬", "!!! ??", "\x00", "123", "\u200f\u202e"]
)
def test_texts_without_words_are_kept(text):
    (result,) = detoxifier(lambda t: "changed").rewrite([text])
    assert result.rewritten == text


def test_space_around_a_text_stays():
    made = detoxifier(lambda text: "What an error.")
    (result,) = made.rewrite(["\t  What a fucking error, asshole. \n"], "en")
    assert result.rewritten == "\t  What an error. \n"


def test_only_toxic_parts_of_a_long_text_change():
    civil = "The report describes the history of the town and its railway in some detail. " * 12
    toxic = "You fucking stupid asshole, shut up."
    made = detoxifier(lambda text: text.replace(toxic, "Please stop."))
    (result,) = made.rewrite([f"{civil}\n{toxic}\n{civil}"], "en")
    assert result.rewritten == f"{civil}\nPlease stop.\n{civil}"


def test_order_and_length_are_kept():
    texts = [f"Message number {i}, you idiot." for i in range(30)]
    results = detoxifier(lambda text: text.replace(", you idiot", "")).rewrite(texts, "en")
    assert [r.text for r in results] == texts
    assert all(str(i) in r.rewritten for i, r in enumerate(results))


def test_languages_may_differ_per_text():
    results = detoxifier(lambda t: t).rewrite(["du Arschloch", "you asshole"], ["de", "auto"])
    assert [r.lang for r in results] == ["de", "en"]


def test_wrong_number_of_languages_is_an_error():
    with pytest.raises(CivillyError, match="2 languages for 1 texts"):
        detoxifier(lambda t: t).rewrite(["a"], ["en", "de"])


def test_unknown_language_suggests():
    with pytest.raises(UnknownNameError, match=r"Unknown language 'jp'.*'ja'"):
        detoxifier(lambda t: t).rewrite(["a"], "jp")


def test_unknown_method_suggests():
    with pytest.raises(UnknownNameError, match="did you mean 'delete'"):
        Detoxifier("delet")


def test_no_candidates_is_an_error():
    with pytest.raises(CivillyError, match="n_candidates is 0"):
        Detoxifier("delete", n_candidates=0)


def test_description_names_what_results_depend_on():
    described = Detoxifier("delete", n_candidates=3).describe()
    assert described["method"] == "delete"
    assert described["n_candidates"] == 3


def test_nothing_in_gives_nothing_out():
    assert detoxifier(lambda t: t).rewrite([]) == []


def test_rewrite_of_one_text():
    assert pipeline.rewrite("Have a nice day.", "en", method="delete") == "Have a nice day."


def test_the_reason_is_that_of_the_part_that_changed():
    """A long text whose first toxic part stays and whose second is rewritten."""
    bad = "You fucking idiot, go and die, you piece of shit, you stupid bastard. " * 8
    good = "This is fucking wrong, you moron. " * 10
    made = detoxifier(lambda text: text.replace("fucking wrong, you moron", "wrong"))
    made._fallback = None
    (result,) = made.rewrite([f"{bad}\n{good}"], "en")
    (alone,) = made.rewrite([bad], "en")
    assert not alone.changed
    assert result.method == "test"
    assert result.reason != alone.reason
