"""A model's residual stream is read and edited where transformers says that it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_models  # noqa: E402
from civilly.engines.residual import Subject, open_subject  # noqa: E402

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
