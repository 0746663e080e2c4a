"""What we write for CTranslate2 computes what transformers computes from the same weights."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tiny_gemma
from civilly.engines.batches import equal_lengths
from civilly.engines.embedded import read_folder
from civilly.errors import ModelError
from civilly.model.adapter import CONFIG_FILE, WEIGHTS_FILE, load_change, shipped_adapter
from civilly.model.ctranslate2_format import write_ctranslate2
from civilly.model.source import hugging_face_name
from civilly.types import GenerationOptions, Prompt, Segment

torch = pytest.importorskip("torch")
BEGIN = Segment("<bos>", special=True)
TEXTS = ["Hello there", "a", "What is this? I do not know", "zz top", "Hello you"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    hf = tiny_gemma.save(root / "hf")
    ct2 = root / "ct2"
    write_ctranslate2(
        tiny_gemma.weights(), tiny_gemma.SHAPE, tiny_gemma.vocabulary().pieces, ct2, "float32"
    )
    (ct2 / "tokenizer.json").write_bytes((hf / "tokenizer.json").read_bytes())
    return hf, ct2


@pytest.fixture(scope="module")
def reference(folders):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folders[0], dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def loaded(folders):
    return read_folder(folders[1], threads=1, window=tiny_gemma.SHAPE.window)


def ids_of(loaded, text):
    return loaded.tokenizer.encode_prompts([Prompt((BEGIN, Segment(text)))])[0]


def test_greedy_output_equals_transformers(loaded, reference):
    prompts = [Prompt((BEGIN, Segment(text))) for text in TEXTS]
    ours = loaded.generate(prompts, GenerationOptions(max_new_tokens=12))
    for text, (generation,) in zip(TEXTS, ours, strict=True):
        ids = torch.tensor([ids_of(loaded, text)])
        with torch.inference_mode():
            whole = reference.generate(ids, max_new_tokens=12, do_sample=False)[0].tolist()
        assert generation.text == loaded.tokenizer.decode(whole[ids.shape[1] :])


def test_scores_of_given_text_equal_transformers(loaded, reference):
    prompt = Prompt((BEGIN, Segment("Say ")))
    ours = loaded.logprobs([prompt] * len(TEXTS), TEXTS)
    for text, score in zip(TEXTS, ours, strict=True):
        head = loaded.tokenizer.encode_prompts([prompt])[0]
        tail = loaded.tokenizer.encode(text)
        with torch.inference_mode():
            logits = reference(torch.tensor([head + tail])).logits[0]
        logprobs = torch.log_softmax(logits, -1)
        expected = np.mean([float(logprobs[len(head) + k - 1, t]) for k, t in enumerate(tail)])
        assert score == pytest.approx(expected, abs=1e-4)


def test_a_text_scores_the_same_alone_and_in_a_batch(loaded):
    prompt = Prompt((BEGIN,))
    together = loaded.logprobs([prompt] * len(TEXTS), TEXTS)
    alone = [loaded.logprobs([prompt], [text])[0] for text in TEXTS]
    assert together == pytest.approx(alone, abs=1e-4)


def test_text_beyond_the_window_is_scored_as_far_as_it_goes(loaded):
    begin, window = Prompt((BEGIN,)), tiny_gemma.SHAPE.window
    long, cut = "abcd" * 40, ("abcd" * 40)[: window - 1]
    assert loaded.logprobs([begin], [long]) == pytest.approx(loaded.logprobs([begin], [cut]))


def test_limits_and_candidates(loaded):
    short = Prompt((BEGIN, Segment("abc")), max_new_tokens=3)
    grown = Prompt((BEGIN, Segment("abc")), max_growth=1.0)
    results = loaded.generate([short, grown], GenerationOptions(n=2, max_new_tokens=9))
    for row, limit in zip(results, (3, 4), strict=True):
        assert 1 <= len(row) <= 2
        assert all(
            len(loaded.tokenizer.encode(g.text)) <= limit for g in row if "\ufffd" not in g.text
        )
    assert results[0][0].logprob >= results[0][-1].logprob


def test_a_merged_adapter_equals_peft(folders, reference, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folders[0], dtype=torch.float32)
    config = peft.LoraConfig(
        r=2, lora_alpha=6, target_modules="all-linear", init_lora_weights=False
    )
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    lora = load_change(tmp_path)
    ours = {k: lora.merged(k, w) for k, w in tiny_gemma.weights().items()}
    fresh = AutoModelForCausalLM.from_pretrained(folders[0], dtype=torch.float32)
    merged = peft.PeftModel.from_pretrained(fresh, tmp_path).merge_and_unload()
    changed = 0
    for name, tensor in merged.state_dict().items():
        if name in ours:
            np.testing.assert_allclose(ours[name], tensor.numpy(), atol=1e-5)
            changed += not np.array_equal(ours[name], tiny_gemma.weights()[name])
    assert changed == 7 * tiny_gemma.SHAPE.layers


def test_other_adapters_are_refused(tmp_path):
    with pytest.raises(ModelError, match="No adapter in"):
        load_change(tmp_path)
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / WEIGHTS_FILE)
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"peft_type": "IA3"}))
    with pytest.raises(ModelError, match="no LoRA"):
        load_change(tmp_path)
    with pytest.raises(ModelError, match="no adapter 'nonsense'"):
        shipped_adapter("nonsense")


def test_shipped_adapter_is_small_and_names_no_machine():
    folder = shipped_adapter("tuned")
    assert (folder / WEIGHTS_FILE).stat().st_size < 9_000_000
    assert all(v.dtype == np.float16 for v in load_file(folder / WEIGHTS_FILE).values())
    assert "/" not in json.loads((folder / CONFIG_FILE).read_text())["base_model_name_or_path"]
    assert (folder / "card.md").exists()


def test_tensor_names():
    assert hugging_face_name("blk.3.ffn_up.weight") == "model.layers.3.mlp.up_proj.weight"
    with pytest.raises(ModelError, match="Unknown tensor"):
        hugging_face_name("blk.3.surprise.weight")


def test_groups_of_one_length_cover_every_position_once():
    lengths = [5, 3, 5, 900, 3, 3, 7] * 40
    groups = list(equal_lengths(lengths, 20))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(len({lengths[i] for i in group}) == 1 for group in groups)
    assert all(len(group) == 1 or len(group) * lengths[group[0]] <= 20 for group in groups)
