"""The prompts of the fill-in-the-middle families, letter by letter, and how answers are read."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from civilly.errors import CivillyError, UnknownNameError
from civilly.methods.fim_formats import FORMATS, family_of, fim_prompt, format_of, sides_of
from civilly.methods.fim_middles import read_middle
from civilly.methods.holes import Gap

GAP = Gap("You are a ", "stupid", " person.", "en")

# The table of the design, with P = "You are a" and S = " person.". A text's first token is written
# before the prompt; the space after it in Code Llama and Codestral is the one that SentencePiece
# puts before a text.
TABLE = [
    ("starcoder", "psm", "<fim_prefix>You are a<fim_suffix> person.<fim_middle>"),
    ("starcoder", "spm", "<fim_prefix><fim_suffix> person.<fim_middle>You are a"),
    ("starcoder2", "psm", "<fim_prefix>You are a<fim_suffix> person.<fim_middle>"),
    ("starcoder2", "spm", "<fim_prefix><fim_suffix> person.<fim_middle>You are a"),
    ("codellama", "psm", "<s>\u2581<PRE> You are a\u2581<SUF> person.\u2581<MID>"),
    ("codellama", "spm", "<s>\u2581<PRE>\u2581<SUF> person.\u2581<MID> You are a"),
    (
        "deepseek-coder",
        "psm",
        "<\uff5cbegin\u2581of\u2581sentence\uff5c><\uff5cfim\u2581begin\uff5c>You are a"
        "<\uff5cfim\u2581hole\uff5c> person.<\uff5cfim\u2581end\uff5c>",
    ),
    ("codestral", "spm", "<s>[SUFFIX] person.[PREFIX] You are a"),
    ("qwen2.5-coder", "psm", "<|fim_prefix|>You are a<|fim_suffix|> person.<|fim_middle|>"),
    ("codegemma", "psm", "<bos><|fim_prefix|>You are a <|fim_suffix|> person.<|fim_middle|>"),
    ("civilly", "psm", "<bos><unused0>English\nYou are a<unused3>person.<unused4>"),
    ("civilly", "spm", "<bos><unused0>English\n<unused3>person.<unused4>You are a"),
]
SHOWN = {
    "psm": "<unused0>English\nYou are a<unused1>stupid<unused3>person.<unused4>",
    "spm": "<unused0>English\n<unused1>stupid<unused3>person.<unused4>You are a",
}
STOPS = {
    "starcoder": {"<|endoftext|>", "<filename>", "<reponame>", "<gh_stars>"},
    "starcoder2": {"<|endoftext|>", "<file_sep>", "<repo_name>"},
    "codellama": {"\u2581<EOT>"},
    "deepseek-coder": {"<\uff5cend\u2581of\u2581sentence\uff5c>"},
    "codestral": {"</s>"},
    "qwen2.5-coder": {
        "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>", "<|file_sep|>",
        "<|im_end|>", "<|fim_pad|>", "<|repo_name|>",
    },
    "codegemma": {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"},
}  # fmt: skip


@pytest.mark.parametrize(("family", "order", "wanted"), TABLE)
def test_prompts_are_those_of_the_table(family, order, wanted):
    form = FORMATS[family]
    prompt = fim_prompt(form, GAP, order)
    assert (form.begin or "") + prompt.text == wanted
    plain = {each.text.strip() for each in prompt.segments if not each.special}
    assert plain - {"English"} == {"You are a", "person."}


def test_the_table_is_whole():
    assert {(family, order) for family, order, _ in TABLE} == {
        (form.name, order) for form in FORMATS.values() for order in form.layouts
    }


@pytest.mark.parametrize(("family", "stops"), STOPS.items())
def test_stops_are_those_of_the_table(family, stops):
    assert stops <= set(FORMATS[family].stop)


def test_the_first_starcoder_has_not_the_seconds_tokens():
    first, second = (set(FORMATS[name].control) for name in ("starcoder", "starcoder2"))
    assert not first & {"<file_sep>", "<repo_name>"}
    assert not second & {"<filename>", "<reponame>", "<gh_stars>"}


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_only_the_familys_own_tokens_are_special(form):
    spelled = " ".join(each for layout in form.layouts.values() for each in map(str, layout))
    gap = Gap(f"a {spelled}", spelled, f"b{spelled}", "ru")
    for order in form.layouts:
        special = [each.text for each in fim_prompt(form, gap, order).segments if each.special]
        assert special == [each for each in form.layouts[order] if isinstance(each, str)]


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_our_own_family_can_show_what_was_cut_out(order):
    prompt = fim_prompt(FORMATS["civilly"], GAP, order, show_cut=True)
    assert prompt.text == SHOWN[order]
    special = [each.text for each in prompt.segments if each.special]
    assert special == ["<unused0>", "<unused1>", "<unused3>", "<unused4>"]


def test_what_a_family_cannot_do_is_an_error_that_says_what_it_can():
    with pytest.raises(CivillyError, match=r"no prompts in the order 'psm'.*Allowed: spm"):
        fim_prompt(FORMATS["codestral"], GAP, "psm")
    with pytest.raises(CivillyError, match="cannot show what was cut out"):
        fim_prompt(FORMATS["starcoder"], GAP, show_cut=True)
    with pytest.raises(UnknownNameError, match="did you mean 'codegemma'"):
        format_of("codegema")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("bigcode/starcoder", "starcoder"),
        ("bigcode/tiny_starcoder_py", "starcoder"),
        ("bigcode/starcoderbase-1b", "starcoder"),
        ("bigcode/starcoder2-3b", "starcoder2"),
        ("starcoder2:7b", "starcoder2"),
        ("codellama/CodeLlama-7b-hf", "codellama"),
        ("models/code-llama-13b", "codellama"),
        ("deepseek-ai/deepseek-coder-1.3b-base", "deepseek-coder"),
        ("mistralai/Codestral-22B-v0.1", "codestral"),
        ("codestral-latest", "codestral"),
        ("Qwen/Qwen2.5-Coder-0.5B", "qwen2.5-coder"),
        ("google/codegemma-2b", "codegemma"),
        ("hf:/models/codellama-python/starcoder2-3b?dtype=fp32", "starcoder2"),
        ("hf:bigcode/starcoder2-3b@main", "starcoder2"),
        ("/models/codestral/snapshots/0123", "codestral"),
        ("openai:https://codestral.mistral.ai/v1?fim=mistral#qwen2.5-coder:7b", "qwen2.5-coder"),
    ],
)
def test_a_models_name_tells_its_family(name, family):
    assert family_of(name).name == family


@pytest.mark.parametrize("name", ["gpt2", "google/gemma-2-2b", "Qwen/Qwen2.5-7B", ""])
def test_other_names_are_an_error_that_lists_the_families(name):
    with pytest.raises(CivillyError) as caught:
        family_of(name)
    assert all(family in str(caught.value) for family in FORMATS)


@pytest.mark.parametrize(
    "name",
    ["codellama/CodeLlama-34b-hf", "CodeLlama-7b-Python-hf", "mistralai/Mamba-Codestral-7B-v0.1"],
)
def test_models_that_never_saw_a_hole_are_refused(name):
    with pytest.raises(CivillyError, match="not trained to fill holes"):
        family_of(name)


SCRIPTS = (
    "You nasty people", "把粗鲁的句子", "هؤلاء الناس", "यह आदमी फिर", "Этот человек",
    "ሰላም ለእናንተ ይሁን", "האיש הזה שוב", "乱暴な文を", "Бу кеше тагын",
)  # fmt: skip
EDGES = st.sampled_from(["", " ", "  ", "\t", "\u00a0", "\u3000", "\n", " \n "])
WORDS = st.sampled_from(SCRIPTS) | st.text(max_size=12)


@given(left=WORDS, a=EDGES, b=EDGES, right=WORDS, cut=WORDS)
def test_a_prompt_leaves_out_nothing_but_blanks_at_the_hole(left, a, b, right, cut):
    gap = Gap(left + a, cut, b + right, "en")
    for form in FORMATS.values():
        sides = sides_of(form, gap)
        assert sides.prefix + sides.left == gap.before
        assert sides.right + sides.suffix == gap.after
        assert not (sides.left + sides.right).strip(" \t\u00a0\u3000")
        if form.name == "codegemma":
            assert (sides.prefix, sides.suffix) == (gap.before, gap.after)
        else:
            assert not sides.prefix.endswith((" ", "\t", "\u00a0", "\u3000"))
        if form.name == "civilly":
            assert not sides.suffix.startswith((" ", "\t", "\u00a0", "\u3000"))


@pytest.mark.parametrize(
    ("before", "cut", "after", "made", "wanted"),
    [
        # The blank before the hole stays outside; the model writes it with the word, or not.
        ("You are a ", "stupid", " person.", " nice", "nice"),
        ("You are a ", "stupid", " person.", "nice", "nice"),
        ("You are a ", "stupid", " person.", " nice ", "nice"),
        # The blanks were cut out: the filling brings them back, also where the model did not.
        ("You are a", " stupid ", "person.", " nice ", " nice "),
        ("You are a", " stupid ", "person.", "nice", " nice "),
        ("You are", " an idiot", ".", " wrong", " wrong"),
        # Nothing is put between a word and its punctuation, or at a text's or a line's edge.
        ("", "Idiot", ", go.", " Please", "Please"),
        ("Go home", ", idiot", "", ", please ", ", please"),
        ("Hey!\n", "Idiot", ", go.", " You", "You"),
        # No blanks in scripts that have none.
        ("你是", "笨蛋", "人。", "好", "好"),
        # What a model of code writes on: line breaks, control tokens, the suffix again.
        ("You are a ", "stupid", " person.", " nice\ndef f():", "nice"),
        ("You are a ", "stupid", " person.", " nice<filename>x", "nice"),
        ("You are a ", "stupid", " person.", " nice<issue_comment>x", "nice"),
        ("You are a ", "stupid", " person.", " nice person. And then", "nice"),
        ("You are a ", "stupid", " person I know.", " nice person I kn", "nice"),
        ("You are a ", "stupid", " person.", "\n", ""),
        ("So ", "damn", " I", " truly I guess", "truly"),
        ("So ", "damn", " I", " In fact", "In fact"),
        ("Ihr ", "a\nb", " da", "x\ny", "x\ny"),
        ("You ", "idiot", ".", "", ""),
        # Only a whole word is the suffix again; vowel signs are part of one.
        ("He is in", "damn", " able hands", " capable", " capable"),
        ("तू बहुत ", "मूर्ख", " है", " हैरान", "हैरान"),
        ("घर ", "मूर्ख", " ना", " पुराना", "पुराना"),
        ("तू बहुत ", "मूर्ख", " है", " नादान है", "नादान"),
        ("你是", "笨蛋", "好人", "很好好人", "很好"),
    ],
)
def test_middles_are_read_to_the_blank(before, cut, after, made, wanted):
    assert read_middle(FORMATS["starcoder"], Gap(before, cut, after, "en"), made) == wanted


@given(
    left=WORDS,
    a=EDGES,
    core=WORDS,
    b=EDGES,
    right=WORDS,
    cut=WORDS,
    form=st.sampled_from([*FORMATS.values()]),
)
@example("You", " ", "nice", "", "one", "bad", FORMATS["starcoder"])
def test_a_filling_never_doubles_a_blank(left, a, core, b, right, cut, form):
    for made in (core, f" {core}", f" {core} "):
        gap = Gap(left + a, cut, b + right, "en")
        text = read_middle(form, gap, made)
        assert text.strip(" \t\u00a0\u3000") in made
        if gap.before.endswith((" ", "\t", "\u00a0", "\u3000", "\n")) or not gap.before:
            assert text == text.lstrip(" \t\u00a0\u3000")
        if gap.after.startswith((" ", "\t", "\u00a0", "\u3000", "\n")) or not gap.after:
            assert text == text.rstrip(" \t\u00a0\u3000")
