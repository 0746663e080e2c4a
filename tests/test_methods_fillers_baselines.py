"""T5's sentinels and masked language models as fillers, on tiny models taught a few lines."""

from __future__ import annotations

import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tiny_infill_models  # noqa: E402
from civilly.errors import CivillyError, MissingExtraError, ModelError  # noqa: E402
from civilly.methods.fillers import masked, sentinel  # noqa: E402
from civilly.methods.fillers.sentinel import between  # noqa: E402
from civilly.methods.holes import Broken, Filling, Gap, JointFiller  # noqa: E402
from civilly.methods.infill import InfillRewriter  # noqa: E402
from civilly.types import Detection, Span, Text  # noqa: E402

# Texts with the words that a hole's surroundings ask for.
LESSONS = (
    (("You ", " never read the ", "."), ("people", "article"), "en"),
    (("Que gente tan ", " hay."), ("maleducada",), "es"),
    (("Этот человек опять ничего не ", ", почитай ", "."), ("понял", "статью"), "ru"),
    (("把粗鲁的", "改写成", "的句子。"), ("句子", "文明"), "zh"),
)
CUT = "idiot"


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("infill")
    made = {name: make(root / name) for name, make in tiny_infill_models.MODELS.items()}
    for name in ("t5", "mt5"):
        teach_sentinels(made[name], made[name])
    for name in ("bert", "xlm_roberta"):
        teach_masks(made[name])
    return made


def sentinel_ids(tokenizer) -> list[int]:
    words = tokenizer.get_vocab()
    return [
        words.get(f"<extra_id_{number}>", words.get(f"▁<extra_id_{number}>")) for number in range(4)
    ]


def plain_ids(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def going_on(tokenizer, text: str) -> list[int]:
    """The ids of a text inside another: those after the ids of a letter before it."""
    letter, whole = plain_ids(tokenizer, "a"), plain_ids(tokenizer, f"a{text}")
    assert whole[: len(letter)] == letter, text
    return whole[len(letter) :]


def word_ids(tokenizer, before: str, word: str) -> list[int]:
    return going_on(tokenizer, (" " if before[-1:] == " " else "") + word)


def teach_sentinels(source, target) -> None:
    """A few steps of span corruption on the lessons, all holes of a line at once."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(source)
    marks = sentinel_ids(tokenizer)
    rows = []
    for task in LESSONS:
        kept, words, _ = task
        asked, answer = plain_ids(tokenizer, kept[0]), []
        for number, (word, after) in enumerate(zip(words, kept[1:], strict=True)):
            asked += [marks[number], *going_on(tokenizer, after)]
            answer += [marks[number], *word_ids(tokenizer, kept[number], word)]
        rows.append(([*asked, 1], [*answer, marks[len(words)], 1]))
        for gap, word in gaps_of(task):
            left, right = plain_ids(tokenizer, gap.before), going_on(tokenizer, gap.after)
            answer = [marks[0], *word_ids(tokenizer, gap.before, word), marks[1], 1]
            rows.append(([*left, marks[0], *right, 1], answer))
    learn(model, tokenizer.pad_token_id, rows)
    model.save_pretrained(target)


def learn(model, pad: int, rows) -> None:
    torch.manual_seed(0)
    widest = max(len(asked) for asked, _ in rows)
    longest = max(len(answer) for _, answer in rows)
    ids = torch.tensor([asked + [pad] * (widest - len(asked)) for asked, _ in rows])
    labels = torch.tensor([answer + [-100] * (longest - len(answer)) for _, answer in rows])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.eval()  # no dropout: they are to learn it by heart
    for _ in range(800):
        loss = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.01:
            return
    raise AssertionError(f"the loss is still {loss.item()}")


def teach_masks(folder) -> None:
    """Each word behind masks that are filled one by one; and every token masked by itself."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    frame = tokenizer("")["input_ids"]
    rows = []
    for task in LESSONS:
        for gap, word in gaps_of(task):
            left, right = plain_ids(tokenizer, gap.before), going_on(tokenizer, gap.after)
            middle = word_ids(tokenizer, gap.before, word)
            ids = [frame[0], *left, *middle, *right, *frame[1:]]
            start, end = 1 + len(left), 1 + len(left) + len(middle)
            spans = [(number, end) for number in range(start, end)]
            spans += [(number, number + 1) for number in range(1, len(ids) - 1)]
            for first, last in spans:
                asked, answer = list(ids), [-100] * len(ids)
                asked[first:last] = [tokenizer.mask_token_id] * (last - first)
                answer[first:last] = ids[first:last]
                rows.append((asked, answer))
    learn(model, tokenizer.pad_token_id, rows)
    model.save_pretrained(folder)


def gaps_of(task) -> list[tuple[Gap, str]]:
    """Each hole of a task by itself, the others filled."""
    kept, words, lang = task
    pairs = []
    for hole, word in enumerate(words):
        before = kept[0] + "".join(a + b for a, b in zip(words[:hole], kept[1:], strict=False))
        after = kept[hole + 1] + "".join(
            a + b for a, b in zip(words[hole + 1 :], kept[hole + 2 :], strict=True)
        )
        pairs.append((Gap(before, CUT, after, lang), word))
    return pairs


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_sentinels_fill_what_was_learnt(name, folders):
    filler = sentinel.create(None, {"model": f"{folders[name]}?dtype=fp32"})
    pairs = [pair for task in LESSONS for pair in gaps_of(task)]
    rows = filler.fill([gap for gap, _ in pairs], 3)
    for (_, word), row in zip(pairs, rows, strict=True):
        assert row[0].text == word
        assert 1 <= len(row) <= 3
        assert len({filling.text for filling in row}) == len(row)
        logprobs = [filling.logprob for filling in row]
        assert logprobs == sorted(logprobs, reverse=True)
    # In another order and batch, the same.
    (alone,) = filler.fill([pairs[2][0]], 3)
    assert [each.text for each in alone] == [each.text for each in rows[2]]


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_sentinels_fill_all_holes_of_a_text_in_one_call(name, folders):
    filler = sentinel.create(None, {"model": f"{folders[name]}?dtype=fp32"})
    assert isinstance(filler, JointFiller)
    texts = [Broken(kept, (CUT,) * len(words), lang) for kept, words, lang in LESSONS]
    calls = []
    generate = filler._checkpoint.model.generate
    filler._checkpoint.model.generate = lambda **more: calls.append(1) or generate(**more)
    ways = filler.fill_texts(texts, 2)
    assert len(calls) == 2  # one for the texts of one hole, one for those of two
    for (kept, words, _), found in zip(LESSONS, ways, strict=True):
        assert tuple(filling.text for filling in found[0]) == words
        assert len(found[0]) == len(kept) - 1


class Calm:
    """A detector that finds nothing toxic."""

    def detect(self, texts):
        return [Detection(0.0) for _ in texts]


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_the_method_asks_once_for_all_holes_of_a_text(name, folders):
    filler = sentinel.create(None, {"model": f"{folders[name]}?dtype=fp32"})
    (left, middle, right), words, lang = LESSONS[0]
    text = f"{left}{CUT}{middle}{CUT}{right}"
    spans = tuple(
        Span(start, start + len(CUT)) for start in range(len(text)) if text.startswith(CUT, start)
    )
    calls = []
    generate = filler._checkpoint.model.generate
    filler._checkpoint.model.generate = lambda **more: calls.append(1) or generate(**more)
    rewriter = InfillRewriter(filler, Calm())
    (row,) = rewriter.rewrite([Text(text, lang)], [Detection(0.9, spans)], 3)
    assert row[0].text == f"{left}{words[0]}{middle}{words[1]}{right}"
    assert len(calls) == 1
    # Toxic: the word that was cut out, and so the way that brings it back.
    stubborn = InfillRewriter(Stubborn(), Calm())
    (row,) = stubborn.rewrite([Text(text, lang)], [Detection(0.9, spans)], 3)
    assert all(CUT not in candidate.text for candidate in row)
    assert f"{left}kind{middle}idea{right}" in {candidate.text for candidate in row}


class Stubborn:
    """Brings back what was cut out, in one of its two ways."""

    def fill(self, gaps, n):
        raise AssertionError("holes are filled together")

    def fill_texts(self, texts, n):
        ways = [(CUT, "idea"), ("kind", "idea")]
        return [[tuple(Filling(text, -0.1) for text in way) for way in ways] for _ in texts]


def test_the_score_of_an_answer_is_its_mean_log_probability(folders):
    filler = sentinel.create(None, {"model": f"{folders['t5']}?dtype=fp32"})
    ((gap, word),) = gaps_of(LESSONS[1])
    ((best, *_),) = filler.fill([gap], 1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["t5"])
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folders["t5"]).eval()
    marks = sentinel_ids(tokenizer)
    asked = [*plain_ids(tokenizer, gap.before), marks[0], *going_on(tokenizer, gap.after), 1]
    answer = [marks[0], *plain_ids(tokenizer, word), marks[1]]
    with torch.no_grad():
        logits = model(
            input_ids=torch.tensor([asked]), decoder_input_ids=torch.tensor([[0, *answer[:-1]]])
        ).logits
    logits[..., [marks[0], marks[2], marks[3], tokenizer.unk_token_id, marks[3] + 1]] = -torch.inf
    steps = logits[0].log_softmax(-1)[range(1, len(answer)), answer[1:]]
    assert best.logprob == pytest.approx(float(steps.mean()), abs=2e-3)


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_text_that_spells_a_sentinel_is_no_sentinel(name, folders):
    filler = sentinel.create(None, {"model": f"{folders[name]}?dtype=fp32"})
    marks = sentinel_ids(filler._checkpoint.tokenizer)
    for spelling in ("<extra_id_1>", "▁<extra_id_1>", " <extra_id_1>", "</s>"):
        text = Broken((f"You {spelling} people", f"{spelling} never"), (CUT,), "en")
        ids = filler._encoder.encode(filler._prompt(text))
        assert [index for index in ids if index in marks] == [marks[0]]
        assert ids.count(1) == 1


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        ([7, 8, 91, 9, 92], [[7, 8], [9]]),
        ([7, 91, 9, 1, 0], [[7], [9]]),
        ([91, 92], [[], []]),
        ([7, 91, 9, 92, 5], [[7], [9]]),
        ([7, 1], None),  # an answer for one hole only
        ([7, 92, 9], None),  # out of order
        ([7, 91, 91, 92], None),
        ([7, 91, 9, 9], None),  # broken off
        ([], None),
    ],
)
def test_answers_are_read_between_the_sentinels(ids, wanted):
    assert between(ids, [91, 92], {0, 1}) == wanted


@pytest.mark.parametrize("name", ["bert", "xlm_roberta"])
def test_masks_fill_what_was_learnt(name, folders):
    filler = masked.create(None, {"model": f"{folders[name]}?dtype=fp32", "masks": "6"})
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[name])
    pairs = [pair for task in LESSONS for pair in gaps_of(task)]
    rows = filler.fill([gap for gap, _ in pairs], 4)
    found = 0
    for (gap, word), row in zip(pairs, rows, strict=True):
        texts = [filling.text for filling in row]
        assert 1 <= len(texts) <= 4
        assert len({*texts}) == len(texts)
        assert texts == [text.strip() for text in texts]
        assert CUT not in texts
        logprobs = [filling.logprob for filling in row]
        assert logprobs == sorted(logprobs, reverse=True)
        assert all(logprob < 0 for logprob in logprobs)
        pieces = word_ids(tokenizer, gap.before, word)
        if len(pieces) <= 6 and tokenizer.unk_token_id not in pieces:
            found += 1
            assert word in texts[:2], (word, texts)
    assert found >= 3


@pytest.mark.parametrize("name", ["bert", "xlm_roberta"])
def test_what_was_cut_out_is_no_filling(name, folders):
    filler = masked.create(None, {"model": f"{folders[name]}?dtype=fp32", "masks": "5"})
    for task in LESSONS:
        for gap, word in gaps_of(task):
            same = Gap(gap.before, word.upper(), gap.after, gap.lang)
            (row,) = filler.fill([same], 8)
            assert word.casefold() not in {filling.text.casefold() for filling in row}


@pytest.mark.parametrize("name", ["bert", "xlm_roberta"])
def test_a_masks_likelihood_is_the_models_own(name, folders):
    """One mask between words: log p of the token and of each neighbour, masked one at a time."""
    filler = masked.create(None, {"model": f"{folders[name]}?dtype=fp32", "masks": "1"})
    gap = Gap("You people ", "idiot", " read", "en")
    (row,) = filler.fill([gap], 50)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[name])
    model = transformers.AutoModelForMaskedLM.from_pretrained(folders[name]).eval()
    framed = tokenizer("")["input_ids"]
    opening, closing = framed[:1], framed[1:]
    left, right = plain_ids(tokenizer, "You people"), going_on(tokenizer, " read")
    pieces = {
        tokenizer.decode([index]).strip(): index
        for index in range(len(tokenizer))
        if not tokenizer.convert_ids_to_tokens(index).startswith("##")
        and (name == "bert" or tokenizer.convert_ids_to_tokens(index).startswith("▁"))
    }
    for filling in row:
        ids = [*opening, *left, pieces[filling.text], *right, *closing]
        place = len(opening) + len(left)
        values = []
        for number in (place - 1, place, place + 1):
            asked = [*ids[:number], tokenizer.mask_token_id, *ids[number + 1 :]]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([asked])).logits[0, number]
            values.append(float(logits.log_softmax(-1)[ids[number]]))
        assert filling.logprob == pytest.approx(sum(values) / 3, abs=1e-3)


@pytest.mark.parametrize("name", ["t5", "mt5", "bert", "xlm_roberta"])
def test_odd_gaps_are_no_trouble(name, folders):
    room = sentinel if "t5" in name else masked
    filler = room.create(None, {"model": f"{folders[name]}?dtype=fp32"})
    gaps = [
        Gap("", "x", "", "en"),
        Gap("\ud800 a", "x", "b\0", "ru"),
        Gap("long " * 50, "x", " long" * 50, "en"),
        Gap("<mask> [MASK] <extra_id_0> ", "x", " <mask></s>[SEP]", "de"),
    ]
    assert len(filler.fill(gaps, 2)) == len(gaps)
    assert filler.fill([], 2) == []


def test_a_hole_after_a_letter_goes_on_with_its_word(folders):
    """A vowel sign is part of a letter."""
    filler = masked.create(None, {"model": f"{folders['bert']}?dtype=fp32"})
    draft = masked._Draft(0, 1)
    for before, lang, inside in (("You", "en", True), ("यही", "hi", True), ("You (", "en", False)):
        allowed = filler._allowed(Gap(before, "x", "", lang), draft)
        assert allowed is (filler._inside if inside else filler._begins), before


@pytest.mark.parametrize("room", [sentinel, masked])
def test_what_is_missing_is_said(room, folders, monkeypatch, tmp_path):
    with pytest.raises(CivillyError, match="--option model="):
        room.create(None, {})
    with pytest.raises(ModelError, match="cannot load"):
        room.create(None, {"model": str(tmp_path)})
    with pytest.raises(CivillyError, match="No adapter in"):
        room.create(None, {"model": f"org/name?adapter={tmp_path}"})
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "org/name"}')
    with pytest.raises(CivillyError, match=r"loads no adapter.*Try: merge"):
        room.create(None, {"model": f"org/name?adapter={adapter}"})
    with pytest.raises(CivillyError, match="loads no adapter"):
        room.create(None, {"model": str(adapter)})
    other = folders["bert"] if room is sentinel else folders["t5"]
    with pytest.raises(ModelError):
        room.create(None, {"model": str(other)})
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "civilly\[hf\]"'):
        room.create(None, {"model": str(folders["t5"])})


@pytest.mark.parametrize("masks", ["0", "9", "two"])
def test_the_number_of_masks_is_checked(masks):
    with pytest.raises(CivillyError, match="'masks'"):
        masked.create(None, {"model": "any", "masks": masks})
