"""A model's residual stream is read and edited where transformers says that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from civilly.errors import MissingExtraError, ModelError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_models  # noqa: E402
from civilly.engines.residual import PIECE, Subject, open_subject  # noqa: E402
from civilly.model.sparse.autoencoder import About, JumpRelu, SparseAutoencoder  # noqa: E402

KINDS = ("gemma2", "gemma", "llama", "qwen3", "gemma3_with_vision")
TEXTS = ["You fool, read it!", "", "Глупый <bos> 👩‍💻\x00 ▁▁ 文明 \ud800", " ", "שלום"]


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    """Tiny models of each family, in float32."""
    folder = tmp_path_factory.mktemp("models")
    makers = tiny_models.MODELS
    return {
        kind: open_subject(str(makers[kind](folder / kind)), precision="fp32") for kind in KINDS
    }


def by_transformers(subject: Subject, ids: Any) -> Any:
    """The streams after each layer, as transformers shows them, without the hooks under test."""
    with torch.inference_mode():
        shown = subject.model.get_decoder()(torch.tensor([ids]), output_hidden_states=True)
    return [each[0].numpy() for each in shown.hidden_states[1:]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_stream_is_what_transformers_shows(subjects: dict[str, Subject], kind: str) -> None:
    subject = subjects[kind]
    rows = [[*subject.opening, *tokens.ids] for tokens in subject.encode(TEXTS)]
    for layer in range(subject.layers):
        streams = subject.streams(TEXTS, layer)
        for row, stream in zip(rows, streams, strict=True):
            assert stream.shape == (len(row) - len(subject.opening), subject.width)
            assert stream.dtype == np.float32
            wanted = by_transformers(subject, row)[layer]
            if layer == subject.layers - 1:  # transformers shows the last one after the norm
                norm = subject.model.get_decoder().norm
                raw = torch.from_numpy(subject.read([row], layer)[0])
                assert np.allclose(norm(raw).detach().numpy(), wanted, atol=1e-4)
            else:
                assert np.allclose(stream, wanted[len(subject.opening) :], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_stand_where_they_are_in_the_text(subjects: dict[str, Subject], kind: str) -> None:
    subject = subjects[kind]
    control = set(subject.opening)
    for text, tokens in zip(TEXTS, subject.encode(TEXTS), strict=True):
        assert control.isdisjoint(tokens.ids)  # "<bos>" in a text is five characters
        covered = {place for start, end in tokens.offsets for place in range(start, end)}
        assert covered >= {place for place, sign in enumerate(text) if sign.strip()}
        starts = [start for start, _ in tokens.offsets]
        assert starts == sorted(starts)
        assert subject.decode(tokens.ids).strip() == text.replace("\ud800", "\ufffd").strip()


def test_a_text_that_is_too_long_is_read_in_pieces(subjects: dict[str, Subject]) -> None:
    subject = subjects["gemma"]
    room = subject.model.config.max_position_embeddings - len(subject.opening)
    text = "You fool! " * 400
    (tokens,), (stream,) = subject.encode([text]), subject.streams([text], 0)
    assert room < PIECE
    assert len(tokens.ids) == len(stream) > 2 * room
    second = [*subject.opening, *tokens.ids[room : 2 * room]]
    wanted = by_transformers(subject, second)[0][len(subject.opening) :]
    assert np.allclose(stream[room : 2 * room], wanted, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_reaches_the_layers_above_and_goes(subjects: dict[str, Subject], kind: str) -> None:
    subject = subjects[kind]
    rows = [[*subject.opening, *tokens.ids] for tokens in subject.encode([*TEXTS[::2], "a"])]
    before = subject.next_logits(rows)
    with torch.inference_mode():
        for row, logits in zip(rows, before, strict=True):
            wanted = subject.model(torch.tensor([row])).logits[0, -1].numpy()
            assert np.allclose(logits, wanted, atol=1e-3)
    with subject.editing(0, lambda hidden: hidden.float()):
        assert np.allclose(subject.next_logits(rows), before, atol=1e-4)
    with subject.editing(0, torch.zeros_like):
        edited = subject.next_logits(rows)
        assert np.abs(edited - before).max() > 1e-2
        assert not subject.read(rows, 0)[0].any()
    assert np.array_equal(subject.next_logits(rows), before)


@pytest.mark.parametrize("kind", ["gemma2", "gemma", "llama", "qwen3"])
def test_while_it_generates_an_edit_sees_each_new_position(
    subjects: dict[str, Subject], kind: str
) -> None:
    subject = subjects[kind]
    seen: list[int] = []

    def edit(hidden: Any) -> Any:
        seen.append(hidden.shape[1])
        return hidden * 2

    row = torch.tensor([[*subject.opening, *subject.encode(["You fool"])[0].ids]])
    options = {"do_sample": False, "max_new_tokens": 6, "eos_token_id": None}
    with subject.editing(1, edit):
        cached = subject.model.generate(row, **options)
        assert seen == [row.shape[1], 1, 1, 1, 1, 1]
        without = subject.model.generate(row, **options, use_cache=False)
    assert torch.equal(cached, without)


def test_losses_are_minus_log_p_of_each_next_token(subjects: dict[str, Subject]) -> None:
    subject = subjects["gemma2"]
    rows = [[*subject.opening, *tokens.ids] for tokens in subject.encode(TEXTS)]
    for row, losses in zip(rows, subject.losses(rows), strict=True):
        with torch.inference_mode():
            logits = subject.model(torch.tensor([row])).logits[0].log_softmax(-1)
        wanted = [-float(logits[place, row[place + 1]]) for place in range(len(row) - 1)]
        assert np.allclose(losses, wanted, atol=1e-3)


def autoencoder(width: int, about: About) -> SparseAutoencoder:
    matrix = torch.eye(width)
    zeros = torch.zeros(width)
    return SparseAutoencoder(matrix, zeros, matrix, zeros, JumpRelu(zeros), about=about)


def test_an_autoencoder_finds_its_layer(subjects: dict[str, Subject]) -> None:
    subject = subjects["gemma"]
    for hook in ("model.layers.1.output", "blocks.1.hook_resid_post"):
        assert subject.layer_of(autoencoder(32, About(hook=hook))) == 1
    assert subject.layer_of(autoencoder(32, About(layer=0))) == 0
    wrong = {
        "width 16, but the stream": autoencoder(16, About("tiny", 0)),
        "0 to 1": autoencoder(32, About(layer=2)),
        r"no hook 'model\.layers\.1\.mlp\.output'": autoencoder(
            32, About(hook="model.layers.1.mlp.output")
        ),
        "does not say which layer": autoencoder(32, About()),
    }
    for said, sae in wrong.items():
        with pytest.raises(ModelError, match=said):
            subject.layer_of(sae)


def test_what_cannot_be_read_or_edited_is_said(
    subjects: dict[str, Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subjects["llama"]
    with pytest.raises(ModelError, match="no layer 2"):
        subject.streams(["a"], 2)
    with pytest.raises(ModelError, match="no layer -1"), subject.editing(-1, torch.clone):
        pass
    with (
        pytest.raises(ModelError, match=r"gave \[1, 2, 16\]"),
        subject.editing(0, lambda hidden: hidden[..., :16]),
    ):
        subject.next_logits([[*subject.opening, 5]])
    with pytest.raises(ModelError, match="encoder-decoder"):
        open_subject(str(tiny_models.t5(tmp_path / "t5")))
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_subject(str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="not on this machine|unasked"):
        open_subject("civilly/nowhere")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[sae\]"):
        open_subject()


def test_an_adapter_is_merged_in(subjects: dict[str, Subject], tmp_path: Path) -> None:
    base = tiny_models.llama(tmp_path / "base")
    adapter = tiny_models.adapter(base, tmp_path / "adapter")
    opened = open_subject(str(base), adapter=str(adapter), precision="fp32")
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    row = [*opened.opening, *opened.encode(TEXTS[:1])[0].ids]
    with torch.inference_mode():
        wanted = adapted(torch.tensor([row])).logits[0, -1].numpy()
    assert np.allclose(opened.next_logits([row])[0], wanted, atol=1e-3)
    assert np.abs(subjects["llama"].next_logits([row])[0] - wanted).max() > 1e-2
    with pytest.raises(ModelError, match="weights that the model lacks"):
        open_subject(str(tiny_models.gemma2(tmp_path / "one", layers=1)), adapter=str(adapter))
