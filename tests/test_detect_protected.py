"""What must not be touched, what only looks like it, and that a rewrite brings it back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.detect.protected import blanked, keeps_protected, protected
from civilly.detect.toxicity import create
from civilly.languages import CODES
from civilly.types import Text


def found(text: str) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start : each.end]) for each in protected(text)]


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("link", "https://en.wikipedia.org/wiki/Cock_(bird)"),
        ("link", "http://t.co/AbC12xY"),
        ("link", "https://ru.wikipedia.org/wiki/Дурак"),
        ("link", "https://ja.wikipedia.org/wiki/馬鹿"),
        ("link", "www.example.org/ass?x=1&y=2#end"),
        ("link", "discord.gg/abc"),
        ("link", "tits.example.co.uk"),
        ("link", "magnet://cock"),
        ("address", "dick.hancock+x@sussex.example.org"),
        ("name", "@bob_42"),
        ("name", "@everyone"),
        ("name", "@ass.man@mastodon.social"),
        ("name", "@राहुल"),
        ("name", "@アニメ"),
        ("name", "u/cock_fan"),
        ("tag", "#idiot"),
        ("tag", "#RepescaHugo"),
        ("tag", "#ጠቅላላ"),
        ("tag", "#बातचीत"),
        ("tag", "#شكرا_لكم"),
        ("tag", "#通知#"),
        ("tag", "＃クソゲー"),
        ("emoji", ":joy:"),
        ("markup", "<:pepe:123456>"),
        ("markup", "<@123>"),
        ("markup", "<#123>"),
        ("markup", "<b>"),
        ("markup", '<a href="ass.html" title="cock">'),
        ("markup", "<br/>"),
        ("markup", "&nbsp;"),
        ("markup", "&#39;"),
        ("markup", "[quote=bob]"),
        ("code", "`kill -9 $PID`"),
        ("code", "``a ` b``"),
        ("code", "```py\nass = 1\n\ncock()\n```"),
        ("path", "/usr/share/class/kill.sh"),
        ("path", "~/ass/cock"),
        ("path", "src/ass/cock.py"),
        ("path", "C:\\Users\\dick\\ass.txt"),
        ("path", "cock-pit.tar.gz"),
        ("flag", "--dry-run"),
        ("flag", "--name=ass"),
        ("template", "{{first_name}}"),
        ("template", "%s"),
        ("template", "${NAME}"),
        ("template", "{user_name}"),
        ("number", "A55"),
        ("number", "XJ-900"),
        ("number", "SN-A55-45s-B00B5-9X"),
        ("number", "45s"),
        ("number", "90с"),
        ("number", "5 %"),
        ("number", "96.5"),
        ("number", "$1,299.99"),
        ("number", "1.299,99 €"),
        ("number", "10:30"),
        ("number", "2024-03-05"),
        ("number", "v1.2.3"),
        ("number", "٠٥/٠٣/٢٠٢٤"),
        ("number", "१०:३०"),
        ("number", "+49 170 1234567"),
        ("number", "978-3-16-148410-0"),
        ("number", "#1455"),
        ("number", "3D"),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "you idiot, {} now", "({}).", "«{}»!", "{}, {}"])
def test_it_is_protected_wherever_it_stands(kind: str, thing: str, frame: str) -> None:
    text = frame.replace("{}", thing)
    assert found(text) == [(kind, thing)] * frame.count("{}")


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("看#通知# 10:30开会", ["#通知#", "10:30"]),
        ("በ10:30 ተመልከት", ["10:30"]),
        ("10:30да кара, 2019да", ["10:30", "2019"]),
        ("45sまって、A55号室へ", ["45s", "A55"]),
        ("3月5日的1299.99元", ["3月", "5日", "1299.99元"]),
        ("@bob你这个傻逼", ["@bob"]),
        ("http://t.co/xをバカ", ["http://t.co/x"]),
        ("[idiot](http://example.com/a_(b)) no", ["http://example.com/a_(b)"]),
        ("<p>You <b>moron</b> &amp; I</p>", ["<p>", "<b>", "</b>", "&amp;", "</p>"]),
        ("you 2 idiots", ["2"]),
        ("10:30 $5 %6 7% $8", ["10:30", "$5", "6", "7%", "$8"]),
        ("don`t you idiot, I won`t", []),
    ],
)
def test_what_of_a_text_is_protected(text: str, things: list[str]) -> None:
    assert [thing for _, thing in found(text)] == things


DISGUISES = [
    "f**k", "sh!t", "sh|t", "a$$", "@$$hole", "5h1t", "b1tch", "B1TCH", "SH1T", "4ss", "4SS",
    "f.u.c.k", "f_u_c_k", "c_u_n_t", "fu**c**k", "@sshole", "@ss", "@rschloch", "$tupid",
    "a55hole", "A55HOLE", "пид0р", "пи3дец", "п*дор", "бл@ть", "b@stard", "1d10t", "1!d10t",
    "5_h_1_t", "S_H_I-T", "s-h-1-t", "1.d.1.0.t", "fu.ck", "sh.it", "idiot.it", "<idiot>",
    "{crap}", "[shit]", "fuck/you/moron", "#f*ck", "c0nnard", "傻*逼*", "n00b5", "SHIT99", "8itch",
    "2逼"
]  # fmt: skip


@pytest.mark.parametrize("rude", [*DISGUISES, "5 h 1 t", "1 d 1 0 t", "f u c k", "<you moron>"])
@pytest.mark.parametrize("frame", ["{}", "you {} go", "oh, {}.", "({})", "“{}!”"])
def test_no_insult_hides_behind_a_form(rude: str, frame: str) -> None:
    assert found(frame.replace("{}", rude)) == []


PARTS = [
    "a", "b1", "idiot", "傻逼", "ж", "ह", "`", "```", "#", "@", ":", "/", "\\", ".", ",", ";", "<",
    ">", "(", ")", "{", "}", "%", "&", "-", "--", "_", "*", "1", "23", "4.5", "\n", "é", "‮", "😀",
    "http://", "www.", ".com", ".py", "@x.org", "#t", "&amp;", "<b>", "{{", "}}", "$", "¥", "年",
    "5kg", "A1", "+", "~", "'", "\""
]  # fmt: skip
PIECES = st.sampled_from(PARTS) | st.sampled_from([" ", " ", "\n"])
ANYTHING = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60)


@settings(max_examples=300)
@given(ANYTHING)
def test_stretches_are_in_order_and_blanks_have_their_length(text: str) -> None:
    last, rest = 0, ""
    for each in protected(text):
        assert last <= each.start < each.end <= len(text)
        rest += text[last : each.start] + " " * (each.end - each.start)
        last = each.end
    assert blanked(text) == rest + text[last:]
    assert keeps_protected(text, text)


@settings(max_examples=150)
@given(ANYTHING, st.sampled_from(CODES))
def test_no_span_touches_what_is_protected(text: str, lang: str) -> None:
    text = f"idiot fuck сука 傻逼 {text} moron"
    taken = {i for each in protected(text) for i in range(each.start, each.end)}
    for span in create().detect([Text(text, lang)])[0].spans:
        assert not taken & set(range(span.start, span.end))


@pytest.mark.parametrize(
    ("source", "output", "kept"),
    [
        ("you idiot, see @bob and #x at 10:30", "see @bob and #x at 10:30", True),
        ("you idiot, see @bob and #x at 10:30", "see @bob at 10:30", False),
        ("see @bob and #x", "see #x and @bob", False),
        ("see @bob", "see @bob and @bob", False),
        ("see http://a.org/B", "see http://a.org/b", False),
        ("you 2 idiots", "you two", False),
        ("you idiot", "you 1", False),
        ("you idiot", "you", True),
    ],
)
def test_a_rewrite_keeps_all_in_order_and_adds_nothing(
    source: str, output: str, kept: bool
) -> None:
    assert keeps_protected(source, output) is kept


UNITS = [
    "a", "1", "`", "@a", "#a", "a.", "a@", "a-", "/a", "(", "<a", "<a=", "{{a", "1.", "1,", "A1-",
    "[x](a", "http://", "a\\", "--a-", "&a", "%s", ":a:", "傻", "#傻", "@傻", "./a", "+1", "...",
    "https://x.com/(("
]  # fmt: skip


@pytest.mark.parametrize("unit", [*UNITS, "``` ", "1 ", "a b ", '"a ', "+1 2", "#傻 "])
def test_ten_times_the_text_takes_about_ten_times_as_long(unit: str) -> None:
    """Not a hundred times, as with a quadratic step; seconds would tell of the machine."""

    def spent(characters: int) -> float:
        text = unit * (characters // len(unit))
        start = time.process_time()
        protected(text)
        return time.process_time() - start

    # The least of three: other work may hold the core.
    longer = min(spent(100_000) for _ in range(3))
    assert longer < 40 * max(min(spent(10_000) for _ in range(3)), 1e-3)
