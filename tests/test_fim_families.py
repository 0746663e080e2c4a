"""Each fill-in-the-middle family on token ids, and end to end on a tiny model of its architecture.

Token ids are read back by decoders written here: GPT-2's table of bytes for byte-level tokenizers,
``▁`` and ``<0x..>`` for those like SentencePiece.
"""

from __future__ import annotations

import json
import shutil
import unicodedata
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import tiny_fim_models  # noqa: E402
from civilly.cli import app  # noqa: E402
from civilly.engines import open_engine  # noqa: E402
from civilly.engines.encoding import PromptEncoder  # noqa: E402
from civilly.methods.fillers import open_filler  # noqa: E402
from civilly.methods.fim_formats import FORMATS, fim_prompt  # noqa: E402
from civilly.methods.fim_middles import ask_middles, read_middle  # noqa: E402
from civilly.methods.holes import Gap  # noqa: E402
from civilly.types import GenerationOptions, Prompt, Segment  # noqa: E402

FAMILIES = tuple(tiny_fim_models.FAMILIES)
BYTE_LEVEL = {"starcoder", "starcoder2", "deepseek-coder", "qwen2.5-coder"}
ORDERS = [(name, order) for name in FAMILIES for order in FORMATS[name].layouts]
TEXTS = {
    "en": "You people never read the damn article, do you?",
    "es": "¡Qué gente tan maleducada hay en este foro, coño!",
    "de": "Ihr seid wirklich alle bescheuerte Vollidioten, oder?",
    "zh": "你这个笨蛋，把粗鲁的句子改写成文明的句子。",
    "ar": "أنت أحمق، أعد صياغة النص المسيء بأدب.",
    "hi": "यह मूर्ख आदमी फिर से कुछ नहीं समझा।",
    "uk": "Ця дурна людина знову нічого не зрозуміла!",
    "ru": "Этот дурак опять ничего не понял, ёлки.",
    "am": "አንተ ደደብ ሰው ጽሑፉን አላነበብክም።",
    "it": "Perché sei così stupido, cretino?",
    "fr": "Espèce d'imbécile, t'as rien compris à l'été !",
    "he": "אתה טיפש, לא קראת את המאמר!",
    "hin": "Arre bewakoof, tu kuch nahi samjha yaar.",
    "ja": "この馬鹿野郎、記事を読んでないだろう。",
    "tt": "Син җүләр, мәкаләне укымагансың бит.",
}
BLANKS = " \t\u00a0\u3000"


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return tiny_fim_models.folders(tmp_path_factory.mktemp("families"))


@pytest.fixture(scope="session")
def tokenizers(folders):
    return {
        name: transformers.AutoTokenizer.from_pretrained(folder) for name, folder in folders.items()
    }


@pytest.fixture(scope="session")
def encoders(tokenizers):
    return {
        name: PromptEncoder(tokenizer, chat="auto", closing=False)
        for name, tokenizer in tokenizers.items()
    }


@pytest.fixture(scope="session")
def engines(folders):
    return {name: open_engine(f"hf:{folder}?dtype=fp32") for name, folder in folders.items()}


def gpt2_bytes() -> dict[str, int]:
    """GPT-2's letters for bytes (``bytes_to_unicode`` of its ``encoder.py``), the other way."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {
        **{chr(byte): byte for byte in printable},
        **{chr(256 + number): byte for number, byte in enumerate(others)},
    }


def spelled(family: str, pieces: list[str]) -> str:
    """The text that pieces stand for, blanks and all."""
    if family in BYTE_LEVEL:
        table = gpt2_bytes()
        return bytes(table[letter] for piece in pieces for letter in piece).decode()
    raw = b"".join(
        bytes([int(piece[3:5], 16)])
        if piece.startswith("<0x") and len(piece) == 6
        else piece.replace("\u2581", " ").encode()
        for piece in pieces
    )
    return raw.decode()


def parts(family: str, tokenizer, ids: list[int], special: set[str]) -> list[tuple[str, str]]:
    """The prompt's control tokens in order, each with the text that follows it."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for piece in tokenizer.convert_ids_to_tokens(ids):
        if piece in special:
            found.append((piece, []))
        else:
            found[-1][1].append(piece)
    return [(token, spelled(family, pieces)) for token, pieces in found]


def expected(family: str, order: str, prefix: str, suffix: str) -> list[tuple[str, str]]:
    """What a prompt must say, written down once more, family by family."""
    lead = f" {prefix}" if prefix else ""
    return {
        ("starcoder", "psm"): [
            ("", ""), ("<fim_prefix>", prefix), ("<fim_suffix>", suffix), ("<fim_middle>", ""),
        ],
        ("starcoder", "spm"): [
            ("", ""), ("<fim_prefix>", ""), ("<fim_suffix>", suffix), ("<fim_middle>", prefix),
        ],
        ("codellama", "psm"): [
            ("", ""), ("<s>", ""), ("▁<PRE>", lead), ("▁<SUF>", suffix), ("▁<MID>", ""),
        ],
        ("codellama", "spm"): [
            ("", ""), ("<s>", ""), ("▁<PRE>", ""), ("▁<SUF>", suffix), ("▁<MID>", lead),
        ],
        ("deepseek-coder", "psm"): [
            ("", ""), ("<｜begin▁of▁sentence｜>", ""), ("<｜fim▁begin｜>", prefix),
            ("<｜fim▁hole｜>", suffix), ("<｜fim▁end｜>", ""),
        ],
        ("codestral", "spm"): [("", ""), ("<s>", ""), ("[SUFFIX]", suffix), ("[PREFIX]", lead)],
        ("qwen2.5-coder", "psm"): [
            ("", ""), ("<|fim_prefix|>", prefix), ("<|fim_suffix|>", suffix),
            ("<|fim_middle|>", ""),
        ],
        ("codegemma", "psm"): [
            ("", ""), ("<bos>", ""), ("<|fim_prefix|>", prefix), ("<|fim_suffix|>", suffix),
            ("<|fim_middle|>", ""),
        ],
    }[family.removesuffix("2"), order]  # fmt: skip


def check_ids(family: str, order: str, tokenizers, encoders, gap: Gap) -> None:
    encoder, tokenizer = encoders[family], tokenizers[family]
    ids = encoder.encode(fim_prompt(FORMATS[family], gap, order))
    prefix = gap.before if family == "codegemma" else gap.before.rstrip(BLANKS)
    suffix = gap.after
    if family == "qwen2.5-coder":  # its tokenizer composes characters
        prefix, suffix = (unicodedata.normalize("NFC", text) for text in (prefix, suffix))
    if family not in BYTE_LEVEL:  # to them, the letter for a space is a space
        prefix, suffix = (text.replace("\u2581", " ") for text in (prefix, suffix))
    wanted = expected(family, order, prefix, suffix)
    assert parts(family, tokenizer, ids, set(encoder.control)) == wanted


@pytest.mark.parametrize(("family", "order"), ORDERS)
@pytest.mark.parametrize("lang", TEXTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_ids_say_what_the_text_says(family, order, lang, tokenizers, encoders, data):
    text = TEXTS[lang]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    blank = st.sampled_from(["", " ", "  ", "\u3000", "\u00a0", "\n"])
    gap = Gap(text[:start] + data.draw(blank), text[start:end], data.draw(blank) + text[end:], lang)
    check_ids(family, order, tokenizers, encoders, gap)


@pytest.mark.parametrize(("family", "order"), ORDERS)
@settings(max_examples=60, deadline=None)
@given(before=st.text(), after=st.text())
def test_any_text_reaches_the_model_as_it_is(family, order, tokenizers, encoders, before, after):
    check_ids(family, order, tokenizers, encoders, Gap(before, "x", after, "en"))


@pytest.mark.parametrize(("family", "order"), ORDERS)
def test_text_that_spells_control_tokens_injects_none(family, order, tokenizers, encoders):
    control = [*encoders[family].control]
    assert len(control) >= 4
    for spelling in control:
        for text in (
            spelling,
            f"a{spelling}b",
            f" {spelling.lstrip('▁')} ",
            spelling.replace("▁", " "),
            spelling * 3,
            spelling[: len(spelling) // 2],
        ):
            check_ids(family, order, tokenizers, encoders, Gap(text, text, text, "en"))
    everything = "".join(control)
    check_ids(family, order, tokenizers, encoders, Gap(everything, "", everything, "en"))
    halves = Gap(control[0][:3], "", control[0][3:], "en")
    check_ids(family, order, tokenizers, encoders, halves)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_familys_tokens_are_single_ids(family, tokenizers, encoders):
    form, tokenizer = FORMATS[family], tokenizers[family]
    unknown = tokenizer.unk_token_id
    for layout in form.layouts.values():
        for token in (piece for piece in layout if isinstance(piece, str)):
            (index,) = [i for i in [tokenizer.convert_tokens_to_ids(token)] if i != unknown]
            ids = encoders[family].encode(Prompt((Segment(token, special=True),)))
            assert ids in ([index], [tokenizer.bos_token_id, index])
            assert token in encoders[family].control


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lang", TEXTS)
def test_a_middle_keeps_its_blanks(family, lang, encoders):
    """Text encoded as what goes on, and decoded after a prompt, is the same text."""
    encoder, text = encoders[family], TEXTS[lang]
    for gap in (Gap(text, "x", text, lang), Gap("", "x", text, lang), Gap(text, "x", "", lang)):
        context = encoder.encode(fim_prompt(FORMATS[family], gap))
        for middle in (f" {text[:9]}", text[:9], f" {text[:9]} ", f"  {text[:9]}"):
            ids = encoder.encode_text(middle, goes_on=True)
            assert encoder.decode(ids, context) == middle


GAPS = [
    Gap(text[:third], text[third : 2 * third], text[2 * third :], lang)
    for lang, text in TEXTS.items()
    for third in [len(text) // 3]
]


@pytest.mark.parametrize(("family", "order"), ORDERS)
def test_each_family_fills_holes_end_to_end(family, order, engines):
    form = FORMATS[family]
    options = GenerationOptions(n=2, temperature=1.0, seed=5)
    answers = ask_middles(engines[family], form, GAPS, options, order)
    assert ask_middles(engines[family], form, GAPS, options, order) == answers
    assert [len(row) for row in answers] == [2] * len(GAPS)
    controls = {*form.stop, *(p for each in form.layouts.values() for p in each if p is str(p))}
    fillings = []
    for gap, row in zip(GAPS, answers, strict=True):
        for made in row:
            assert made.logprob < 0
            assert not any(token in made.text for token in controls)
            fillings.append(read_middle(form, gap, made.text))
    assert len({*fillings}) > len(GAPS)
    other = [Gap(gap.before, gap.cut, "Something else.", gap.lang) for gap in GAPS]
    assert ask_middles(engines[family], form, other, options, order) != answers


def bare_ids(family: str, tokenizer, text: str) -> list[int]:
    """The ids of a text as it is; of a BPE over ``▁`` without the steps that put spaces."""
    if family in BYTE_LEVEL:
        return tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
    pieces = tokenizer.backend_tokenizer.model.tokenize(text.replace(" ", "▁")) if text else []
    return [piece.id for piece in pieces]


@pytest.mark.parametrize(("family", "order"), ORDERS)
def test_the_model_reads_the_prompt_it_is_given(family, order, engines, folders, tokenizers):
    """The first token is the most likely one after the ids, put together here by hand."""
    tokenizer = tokenizers[family]
    wanted = []
    for token, text in expected(family, order, "You are a", " person."):
        wanted += [tokenizer.convert_tokens_to_ids(token)] if token else []
        wanted += bare_ids(family, tokenizer, text)
    model = transformers.AutoModelForCausalLM.from_pretrained(folders[family]).eval()
    with torch.no_grad():
        distribution = model(torch.tensor([wanted])).logits[0, -1].float().log_softmax(-1)
    gap = Gap("You are a" + " " * (family != "codegemma"), "bad", " person.", "en")
    prompt = fim_prompt(FORMATS[family], gap, order)
    short = Prompt(prompt.segments, max_new_tokens=1)
    ((made,),) = engines[family].generate([short], GenerationOptions())
    assert made.logprob == pytest.approx(float(distribution.max()), abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_stop_of_the_family_ends_a_middle(family, folders, tokenizers, tmp_path):
    """The model is made to prefer a stop token wherever it liked another one best."""
    form, tokenizer = FORMATS[family], tokenizers[family]
    gap = Gap("You are a", " bad", " person.", "en")
    prompt = fim_prompt(form, gap)
    used = {segment.text for segment in prompt.segments}
    ids = PromptEncoder(tokenizer, chat="never", closing=False).encode(prompt)
    for stop in form.stop:
        if stop in used:
            continue
        model = transformers.AutoModelForCausalLM.from_pretrained(folders[family]).eval()
        weights = model.get_output_embeddings().weight
        with torch.no_grad():
            best = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            weights[tokenizer.convert_tokens_to_ids(stop)] = 2 * weights[best]
        folder = tmp_path / str(form.stop.index(stop))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        engine = open_engine(f"hf:{folder}?dtype=fp32")
        ((made,),) = ask_middles(engine, form, [gap], GenerationOptions())
        assert (made.text, made.finished) == ("", True), stop


LESSONS = [
    (Gap("You are a ", "stupid", " person.", "en"), "nice"),
    (Gap("Ты ", "дурак", ", почитай статью.", "ru"), "человек"),
    (Gap("把", "粗鲁", "的句子。", "zh"), "文明"),
    (Gap("Que gente", " tan maleducada", ".", "es"), " de verdad"),
]


def teach(family: str, order: str, folder, tokenizer, target) -> None:
    """Learns the lessons by heart, from prompts and middles put together here by hand."""
    rows = []
    for gap, word in LESSONS:
        prefix = gap.before if family == "codegemma" else gap.before.rstrip(" ")
        left = gap.before[len(prefix) :]
        prompt = []
        for token, text in expected(family, order, prefix, gap.after):
            prompt += [tokenizer.convert_tokens_to_ids(token)] if token else []
            prompt += bare_ids(family, tokenizer, text)
        end = tokenizer.convert_tokens_to_ids(FORMATS[family].stop[0])
        rows.append((prompt, [*bare_ids(family, tokenizer, left + word), end]))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    width = max(len(prompt) + len(middle) for prompt, middle in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, (prompt, middle) in enumerate(rows):
        ids[row, : len(prompt) + len(middle)] = torch.tensor(prompt + middle)
        labels[row, len(prompt) : len(prompt) + len(middle)] = torch.tensor(middle)
    for _ in range(200):
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.02:
            break
    assert loss.item() < 0.02
    model.save_pretrained(target)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / file, target / file)


@pytest.mark.parametrize(("family", "order"), ORDERS)
def test_what_a_model_learnt_comes_back_through_the_filler(
    family, order, folders, tokenizers, tmp_path
):
    """The folder's name tells the family; greedy, in one batch, to the letter and the blank."""
    target = tmp_path / family
    teach(family, order, folders[family], tokenizers[family], target)
    spec = f"hf:{target}?dtype=fp32"
    tools = SimpleNamespace(engine_spec=spec, engine=lambda: open_engine(spec), options={})
    filler = open_filler(tools, {"decoding": "greedy", "order": order})
    rows = filler.fill([gap for gap, _ in LESSONS], 1)
    assert [[each.text for each in row] for row in rows] == [[word] for _, word in LESSONS]
    assert all(-0.5 < row[0].logprob < 0 for row in rows)


def test_the_command_line_rewrites_with_a_familys_model(folders, tokenizers, tmp_path):
    family = "qwen2.5-coder"
    target = tmp_path / family
    teach(family, "psm", folders[family], tokenizers[family], target)
    arguments = ["rewrite", "You are a stupid person.", "--lang", "en", "--json"]
    chosen = ["--method", "infill", "--engine", f"hf:{target}?dtype=fp32", "-n", "2"]
    chosen += ["--select", "rerank"]  # what a tiny model says would not read well
    result = CliRunner().invoke(app, [*arguments, *chosen])
    assert result.exit_code == 0, result.stderr
    row = json.loads(result.stdout)
    assert row["rewritten"] == "You are a nice person."
    assert row["method"] == "infill"
    unknown = CliRunner().invoke(app, [*arguments, "--method", "infill", "--engine", "hf:gpt2"])
    assert "starcoder2" in str(unknown.exception) and "family=" in str(unknown.exception)
