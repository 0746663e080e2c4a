"""Training readers on a tiny encoder: whole runs, resuming, and the runtime beside torch."""

import gzip
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

import tiny_e5
from civilly.data.kept_apart import case_kept_apart, judgement_kept_apart, reading_kept_apart
from civilly.data.readings import FAULTS, Case, Reading, as_line
from civilly.detect import context
from civilly.detect.context import ContextDetector, Heads, Window
from civilly.detect.toxicity import shipped
from civilly.errors import CivillyError, DataError, ModelError, UnknownNameError
from civilly.languages import CODES
from civilly.model import e5
from civilly.model.reader_weights import head_tensors, read_encoder_change
from civilly.model.token_encoder import BEGIN, END, TokenEncoder
from civilly.score import reader
from civilly.score.reader import HUMAN, RewriteJudge, side_by_side
from civilly.train.reader.calibration import IDENTITY
from civilly.train.reader.network import (
    Batch,
    DetectorHead,
    JudgeHead,
    ReaderNetwork,
    torch_encoder,
)
from civilly.train.reader.pieces import kept_pieces
from civilly.train.reader.recipe import ReaderRecipe, ReaderSettings
from civilly.train.reader.run import train_reader
from civilly.train.reader.save import packed_tensors, write_reader
from civilly.types import Text

pytest.importorskip("peft")

COMMON = {"rank": 4, "alpha": 8, "learning_rate": 2e-2, "head_rate": 2e-2, "warmup_steps": 2,
          "batch_tokens": 60, "save_steps": 4}  # fmt: skip
RECIPE = {
    "seed": 3,
    "detector": {**COMMON, "repeats": 2, "calibration": {"clean": 10, "least_clean": 5}},
    # At the detector's rate it learnt with two threads and did not with one.
    "judge": {
        **COMMON,
        "learning_rate": 6e-3,
        "head_rate": 1e-2,
        "epochs": 4,
        "made": 30,
        "start": "detector",
    },
}
SETS = """
seed = 0
held_out_percent = 20
[pairs]
[labelled]
[authored]
weight = 1.0
held_out_percent = 0
benign_weight = 1.0
benign_copies = 1
[clean]
langs = ["en"]
sources = ["toy"]
weight = 1.0
limit = 10
[lexicon]
sources = ["toy"]
limit = 5
inserted = 5
weight = 0.3
alone_weight = 0.3
alone_limit = 5
[disguised]
share = 0.5
weight = 0.5
kinds = ["masked"]
"""
PLACES = ["bridge", "garden", "harbour", "library", "market", "museum", "school", "station"]


def _lines(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def _cases() -> list[Case]:
    rows = []
    for pair in range(80):
        place = PLACES[pair % 8]
        rude, calm = f"you idiot of the {place} {pair}", f"you are at the {place} {pair}"
        rows.append(Case("en", pair, "toy", "toxic", rude, ((4, 9),)))
        rows.append(Case("en", pair, "toy", "civil", calm, ()))
    return rows


def _readings() -> list[Reading]:
    rows = []
    for number in range(24):
        text = f"you idiot, the {PLACES[number % 8]} {number} is shut"
        rewrites = {
            f"the {PLACES[number % 8]} {number} is shut": ("good", 2),
            f"you, the {PLACES[number % 8]} {number} is shut": ("gap", 0),
            text: ("kept", 0),
        }
        for rewrite, (fault, use) in rewrites.items():
            rows.append(
                Reading(
                    f"en-{number}", "en", text, "toy", rewrite, ("toy",), fault, use, "", "en-1"
                )
            )
    return rows


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data folder, what was written, and a tiny encoder in the place of the packaged one."""
    root = tmp_path_factory.mktemp("reader")
    data, written = root / "data", root / "recipes"
    for kind, rows in (("cases", _cases()), ("pairs", _readings())):
        folder = written / "readings" / kind
        folder.mkdir(parents=True)
        (folder / "en.jsonl").write_text("".join(map(as_line, rows)), "utf-8")
    pairs = [
        {"toxic": f"the {place} idiot is very late", "neutral": f"the {place} man is very late"}
        for place in PLACES
    ]
    _lines(written / "distilled_pairs" / "first" / "en.jsonl", pairs)
    _lines(written / "authored_pairs" / "zh.jsonl", [{"toxic": "你很好我是", "neutral": "他很好"}])
    _lines(written / "benign_sentences.jsonl", [{"lang": "en", "text": "I like the cock pheasant"}])
    (written / "detector.toml").write_text(SETS)
    _lines(data / "lexicons" / "terms.jsonl.gz",
           [{"lang": "en", "term": "idiot", "sources": ["toy"]}])  # fmt: skip
    _lines(data / "parallel" / "multiparadetox_dev.jsonl.gz", [])
    clean = [{"text": f"we met {i} at {place}", "source": "toy", "lang": "en"}
             for i in range(20) for place in PLACES]  # fmt: skip
    _lines(data / "clean" / "en.jsonl.gz", clean)
    (data / "human").mkdir()
    table = ["id\tlang\tsystem\ttoxic\toutput\tSTA\tSIM\tFL"]
    for number in range(12):
        table += [f"{number}\ten\ta\tyou idiot {number}\tyou {number}\t1\t1\t0.5"]
        table += [f"{number}\ten\tb\tyou idiot {number}\tyou idiot {number}\t0\t1\t1"]
    content = gzip.compress("\n".join(table).encode())
    (data / "human" / "textdetox2024.tsv.gz").write_bytes(content)
    with pytest.MonkeyPatch.context() as patched:
        packed = tiny_e5.save(root / "tiny.bin")
        patched.setattr(e5, "packaged_path", lambda: packed)
        patched.setattr("civilly.train.reader.run.packaged_path", lambda: packed)
        patched.setenv("CIVILLY_CACHE", str(root / "cache"))
        patched.setenv("CIVILLY_THREADS", "1")
        yield data, written, root


def train(world, name, content=RECIPE, *, progress=lambda line: None, **options) -> Path:
    data, written, root = world
    return train_reader(content, data, root / name, written, progress=progress, **options)


@pytest.fixture(scope="module")
def whole(world):
    told: list[str] = []
    return train(world, "whole", progress=told.append), told


def test_a_run_makes_both_readers_and_says_what_they_are_worth(whole):
    out, _ = whole
    names = {path.name for path in out.iterdir()}
    assert names == {"config.json", "result.json", "detector.safetensors", "judge.safetensors"}
    result = json.loads((out / "result.json").read_text())
    assert result["detector"]["examples"]["cases"] == sum(not case_kept_apart(c) for c in _cases())
    kept = {r.text for r in _readings() if not reading_kept_apart(r.text)}
    assert result["judge"]["examples"]["readings"] == 3 * len(kept)
    judged = sum(not judgement_kept_apart(str(number)) for number in range(12))
    assert result["judge"]["examples"]["judgements"] == 2 * judged
    assert json.loads((out / "config.json").read_text())["detector"]["dropout"] == 0.05


def test_the_losses_fall(whole):
    _, told = whole
    for kind in ("detector", "judge"):
        losses = [float(line.rpartition(" ")[2]) for line in told if f"{kind}: step" in line]
        assert losses[-1] < 0.8 * losses[0]


def test_the_runtime_reads_the_files(world, whole):
    out, _ = whole
    path = out / "detector.safetensors"
    detector = ContextDetector(
        TokenEncoder(lambda: e5.encoder_folder(path)), head_tensors(path), shipped()
    )
    texts = ["you idiot of the market 77", "you are at the market 77"]
    rude, calm = detector.detect([Text(text, "en") for text in texts])
    assert rude.p_toxic > 0.5 > calm.p_toxic
    assert [texts[0][s.start : s.end] for s in rude.spans] == ["idiot"]
    path = out / "judge.safetensors"
    judge = RewriteJudge(TokenEncoder(lambda: e5.encoder_folder(path)), head_tensors(path))
    text = "you idiot, the park 3 is shut"
    copied, mended = judge.opinions([text] * 2, [text, "the park 3 is shut"])
    assert copied.faults["kept"] > mended.faults["kept"]
    assert mended.value > copied.value


class Stopped(Exception):
    pass


@pytest.mark.parametrize(("kind", "step"), [("detector", 20), ("judge", 40)])
def test_a_stopped_run_resumes_to_the_same_bytes(world, whole, kind, step):
    def stop(line: str) -> None:
        if line.startswith(f"{kind}: step {step} "):
            raise Stopped

    with pytest.raises(Stopped):
        train(world, f"stopped-{kind}", progress=stop)
    torch.rand(5)  # another process has another state
    resumed = train(world, f"stopped-{kind}", resume=True)
    for name in ("detector.safetensors", "judge.safetensors", "result.json"):
        assert (resumed / name).read_bytes() == (whole[0] / name).read_bytes(), name


def test_a_finished_run_is_not_trained_again(world, whole):
    told: list[str] = []
    train(world, "whole", resume=True, progress=told.append)
    assert told == []


def test_another_run_in_the_folder_is_not_overwritten(world, whole):
    with pytest.raises(CivillyError, match="already holds another run"):
        train(world, "whole")
    with pytest.raises(DataError, match="begun with another recipe; what differs: seed"):
        train(world, "whole", {**RECIPE, "seed": 4}, resume=True)


def test_a_training_without_examples_is_refused(world):
    data, written, root = world
    (root / "bare" / "readings" / "pairs").mkdir(parents=True, exist_ok=True)
    one = Reading("1", "ru", "Ты тупой", "toy", "Ты неправ", ("toy",), "good", 2, "", "ru-1")
    (root / "bare" / "readings" / "pairs" / "ru.jsonl").write_text(as_line(one), "utf-8")
    for name in ("distilled_pairs", "authored_pairs"):
        shutil.copytree(written / name, root / "bare" / name, dirs_exist_ok=True)
    content = {"seed": 0, "judge": {**COMMON, "made": 0, "human_share": 0.0}}
    with pytest.raises(DataError, match="nothing that the judge could learn from"):
        train_reader(content, data, root / "idle", root / "bare", progress=lambda line: None)


def test_a_damaged_checkpoint_is_named(world, tmp_path):
    shutil.rmtree(world[2] / "damaged", ignore_errors=True)
    (world[2] / "damaged").mkdir()
    (world[2] / "damaged" / "judge.checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"judge\.checkpoint\.pt cannot be read"):
        train(world, "damaged", {"seed": 0, "judge": {**COMMON, "made": 0}})


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"seed": 0}, DataError, "trains nothing"),
        ({"detector": {}}, DataError, "seed: field required"),
        ({"seed": 0, "judge": {"rank": 0}}, DataError, "judge.rank"),
        ({"seed": 0, "judge": {"start": "detector"}}, DataError, "no detector in it"),
        ({"seed": 0, "judge": {"rnak": 8}}, UnknownNameError, "judge.rnak.*judge.rank"),
        ({"seed": 0, "detector": {"sets": {"cores": 8}}}, UnknownNameError, "detector.sets.core"),
    ],
)
def test_a_wrong_recipe_names_the_field(content, error, message):
    with pytest.raises(error, match=message):
        ReaderRecipe.parse(content, "the recipe")


def test_the_shipped_recipe_is_understood():
    from civilly.data.recipe_table import read_recipe

    recipes = Path(__file__).parent.parent / "recipes"
    recipe = ReaderRecipe.parse(read_recipe(recipes / "reader.toml"), "reader.toml")
    names = recipe.sources
    for name in (names.cases, names.sets, *names.readings, *names.pairs, *names.authored):
        assert (recipes / name).exists(), name


# What follows compares the runtime (numpy, merged weights) with torch.


@pytest.fixture(scope="module")
def encoder(world):
    return e5.read_packed(e5.packaged_path())


def network(encoder, head, seed=0) -> ReaderNetwork:
    """One whose LoRA and heads are not zero."""
    torch.manual_seed(seed)
    made = ReaderNetwork(encoder, head(encoder.width), ReaderSettings(rank=4, alpha=12), half=False)
    for parameter in made.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn_like(parameter) * 0.15
    return made.eval()


def written(made: ReaderNetwork, path: Path, pieces) -> Path:
    factors, heads = made.arrays()
    write_reader(path, packed_tensors(factors, {**heads, "calibration": IDENTITY}, 3.0, pieces))
    return path


@pytest.mark.parametrize("lang", ["en", "tt"])
def test_the_detectors_heads_are_the_same_in_numpy(encoder, lang):
    made = network(encoder, DetectorHead)
    rng = np.random.default_rng(1)
    long, short = rng.standard_normal((2, 9, encoder.width)).astype(np.float32)
    hidden = torch.tensor(np.stack([long, short]))
    real = torch.ones(2, 9)
    real[1, 6:] = 0.0  # padding, which must not show
    scores = torch.tensor(rng.standard_normal((2, 9)), dtype=torch.float32)
    scores[:, 0] = scores[0, 8] = scores[1, 5] = 0.0
    langs = torch.full((2,), CODES.index(lang))
    with torch.no_grad():
        words, texts = made.head(
            hidden, real, scores, torch.tensor([0.7, -1.1]), torch.ones(2), langs
        )
    heads = Heads({name: t.detach().numpy() for name, t in made.head.state_dict().items()})
    for row, (vectors, size, logit) in enumerate(((long, 9, 0.7), (short, 6, -1.1))):
        inner = scores[row, 1 : size - 1].tolist()
        window = Window(row, [9] * (size - 2), [(0, 1)] * (size - 2), inner, logit)
        verdict = heads.verdict(window, vectors[:size], lang)
        np.testing.assert_allclose(verdict.texts, texts[row], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(verdict.words, words[row, 1 : size - 1], rtol=1e-4, atol=1e-5)


def test_texts_that_the_ngram_model_was_trained_on_do_not_show_its_scores(encoder):
    head = network(encoder, DetectorHead).head
    hidden, real = torch.randn(1, 5, encoder.width), torch.ones(1, 5)
    langs = torch.zeros(1, dtype=torch.long)

    def read(score: float, known: float) -> list[float]:
        scores = torch.full((1, 5), score)
        with torch.no_grad():
            words, texts = head(
                hidden, real, scores, torch.tensor([score]), torch.tensor([known]), langs
            )
        return [*words.flatten().tolist(), *texts.flatten().tolist()]

    assert read(2.0, 0.0) == read(-2.0, 0.0)
    assert read(2.0, 1.0) != read(-2.0, 1.0)


class MergedEncoder(TokenEncoder):
    """Computes in float32 by torch what CTranslate2 does in int8: merged, with fewer pieces."""

    def __init__(self, encoder, path: Path) -> None:
        super().__init__(lambda: e5.encoder_folder(path), 1)
        self.merged = e5.adapted(encoder, path)
        self._model = torch_encoder(self.merged).eval()

    def mapped(self, rows, function):
        with torch.no_grad():
            return [
                function(
                    place,
                    self._model(input_ids=torch.tensor([list(row)])).last_hidden_state[0].numpy(),
                )
                for place, row in enumerate(rows)
            ]


def test_merging_gives_the_same_vectors(encoder, world, tmp_path):
    made = network(encoder, JudgeHead)
    cutter = TokenEncoder(e5.encoder_folder, 1)
    path = written(made, tmp_path / "judge.safetensors", kept_pieces(encoder, cutter, []))
    merged = MergedEncoder(encoder, path)
    spelt = ["▁y", "o", "u", "▁[", "你"]
    old = [BEGIN, *map(encoder.pieces.index, spelt), END]
    new = [BEGIN, *map(merged.merged.pieces.index, spelt), END]
    assert old != new  # ids move when the vocabulary is cut
    with torch.no_grad():
        expected = made.vectors(Batch.of([old]))[0]
        unchanged = torch_encoder(encoder).eval()(torch.tensor([old])).last_hidden_state[0]
    np.testing.assert_allclose(merged.hidden([new])[0], expected, atol=1e-2)  # float16 in the file
    assert (unchanged - expected).abs().max() > 0.5


def test_the_judge_reads_as_torch_does(encoder, world, tmp_path):
    made = network(encoder, JudgeHead)
    cutter = TokenEncoder(e5.encoder_folder, 1)
    texts = ["you idiot, the bridge is shut", "are you the zoo", "he came"]
    rewrites = ["the bridge is shut", "are you the zoo", "he will come"]
    rows, cuts = side_by_side(cutter, texts, rewrites)
    batch = Batch.of(rows)
    with torch.no_grad():
        logits = made.head(made.vectors(batch), batch.real, torch.tensor(cuts)).numpy()
    path = written(made, tmp_path / "judge.safetensors", kept_pieces(encoder, cutter, texts))
    judge = RewriteJudge(MergedEncoder(encoder, path), head_tensors(path))
    for row, opinion in enumerate(judge.opinions(texts, rewrites)):
        odds = np.exp(logits[row, : len(FAULTS)])
        np.testing.assert_allclose(list(opinion.faults.values()), odds / odds.sum(), atol=1e-2)
        others = 1 / (1 + np.exp(-logits[row, len(FAULTS) :]))
        np.testing.assert_allclose(opinion.use, others[0], atol=1e-2)
        np.testing.assert_allclose([opinion.human[n] for n in HUMAN], others[1:], atol=1e-2)


def test_a_reader_goes_on_from_a_file(encoder, world, tmp_path):
    made = network(encoder, DetectorHead)
    path = written(made, tmp_path / "d.safetensors", np.ones(len(encoder.pieces), np.bool_))
    again = network(encoder, DetectorHead, seed=1)
    again.begin_with(path, 3.0)
    for one, other in zip(made.arrays(), again.arrays(), strict=True):
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            np.testing.assert_allclose(other[name], tensor, rtol=2e-3, atol=1e-4, err_msg=name)
    judge = network(encoder, JudgeHead)
    before = judge.arrays()[1]
    judge.begin_with(path, 3.0)  # its head is of another kind, and stays
    np.testing.assert_array_equal(judge.arrays()[1]["a.weight"], before["a.weight"])
    wider = ReaderNetwork(encoder, JudgeHead(encoder.width), ReaderSettings(rank=8), half=False)
    with pytest.raises(DataError, match="does not fit"):
        wider.begin_with(path, 3.0)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_course_ends_between_its_start_and_what_it_learnt(encoder, world, tmp_path, share):
    start = network(encoder, DetectorHead, seed=1)
    path = written(start, tmp_path / "d.safetensors", np.ones(len(encoder.pieces), np.bool_))
    begun, trained = network(encoder, DetectorHead), network(encoder, DetectorHead, seed=2)
    begun.begin_with(path, 3.0)
    learnt = [{name: a.copy() for name, a in part.items()} for part in trained.arrays()]
    trained.draw_to(path, 3.0, share)
    for first, last, made in zip(begun.arrays(), learnt, trained.arrays(), strict=True):
        for name, array in made.items():
            between = share * first[name] + (1 - share) * last[name]
            np.testing.assert_allclose(array, between, atol=1e-6, err_msg=name)


def test_a_file_that_is_written_again_is_read_again(encoder, tmp_path):
    pieces = np.ones(len(encoder.pieces), np.bool_)
    path = written(network(encoder, JudgeHead), tmp_path / "j.safetensors", pieces)
    before = head_tensors(path)
    written(network(encoder, JudgeHead, seed=1), path, pieces)
    after = head_tensors(path)
    assert before.keys() == after.keys()
    assert (before["a.weight"] != after["a.weight"]).any()


def test_a_file_of_the_other_reader_is_refused(encoder, tmp_path):
    pieces = np.ones(len(encoder.pieces), np.bool_)
    path = written(network(encoder, JudgeHead), tmp_path / "j.safetensors", pieces)
    with pytest.raises(ModelError, match=r"j\.safetensors has no tensor 't1\.weight'"):
        context.load(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"j\.safetensors cannot be read"):
        reader.load(path)
    (tmp_path / "none.safetensors").write_bytes(save({"x": np.zeros(1)}))
    with pytest.raises(ModelError, match="has no tensor 'pieces'"):
        read_encoder_change(tmp_path / "none.safetensors")


def test_frozen_layers_are_not_trained(encoder):
    settings = ReaderSettings(rank=4, frozen_layers=1)
    made = ReaderNetwork(encoder, JudgeHead(encoder.width), settings, half=False)
    trained = {name.split(".")[1] for name, p in made.factors().items() if p.requires_grad}
    assert trained == {"l1"}
    assert not any(p.requires_grad for n, p in made.encoder.named_parameters() if "lora" not in n)


def test_a_file_has_equal_bytes_and_small_numbers(encoder, tmp_path):
    made = network(encoder, DetectorHead)
    pieces = np.ones(len(encoder.pieces), np.bool_)
    first, second = (written(made, tmp_path / name, pieces) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    kinds = {name: tensor.dtype for name, tensor in load_file(first).items()}
    assert kinds["encoder.l0.q.up"] == kinds["t1.weight"] == np.float16
    assert kinds["lang"] == kinds["calibration"] == np.float32


def test_the_cut_vocabulary_cuts_the_same(encoder, world, tmp_path):
    cutter = TokenEncoder(e5.encoder_folder, 1)
    texts = ["you are the idiot", "query: жзий", "Ａﬁ 你我"]
    pieces = kept_pieces(encoder, cutter, texts)
    assert not pieces[encoder.pieces.index(tiny_e5.UNUSED)]
    path = written(network(encoder, JudgeHead), tmp_path / "j.safetensors", pieces)
    cut = TokenEncoder(lambda: e5.encoder_folder(path), 1)
    unseen = ["a zebra", random.Random(0).choice(texts)[::-1]]
    for before, after in zip(cutter.pieces(texts), cut.pieces(texts), strict=True):
        assert before.tokens == after.tokens
    assert all("<unk>" not in encoding.tokens for encoding in cut.pieces(unseen))
