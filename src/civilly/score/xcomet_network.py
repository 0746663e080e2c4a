"""The network of XCOMET-lite, with the names of the published checkpoint.

An encoder; a learned mixture of all its layers, whose first token goes through a regression head;
and a tagging head on one middle layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from civilly.errors import ModelError
from civilly.score.mqm import TAGS

WORD_LAYER = 8
"""Which hidden state is tagged; 0 is the embeddings."""
HIDDEN_SIZES = (3072, 1024)
"""Widths of the regression head."""
TRAINING_ONLY = (
    "layerwise_attention.dropout_mask",
    "layerwise_attention.dropout_fill",
    "wordloss.weight",
    "encoder.model.embeddings.position_ids",
)
"""Stored with the weights, but without effect on a prediction."""
_SHOWN = 8


def build(torch: Any, config: Any) -> Any:
    """The network, with random weights.

    Args:
        torch: The module.
        config: Configuration of the encoder.

    Raises:
        ModelError: If the encoder has no layer `WORD_LAYER`.
    """
    from transformers import AutoModel

    nn = torch.nn
    if config.num_hidden_layers < WORD_LAYER:
        raise ModelError(
            f"The encoder has {config.num_hidden_layers} layers.",
            allowed=f"{WORD_LAYER} or more",
            mend="name another with --option fl_encoder=",
        )
    network = nn.Module()
    network.encoder = nn.ModuleDict({"model": AutoModel.from_config(config)})
    network.layerwise_attention = mixture = nn.Module()
    layers = config.num_hidden_layers + 1
    mixture.scalar_parameters = nn.ParameterList([torch.zeros(1) for _ in range(layers)])
    mixture.gamma = nn.Parameter(torch.ones(1))
    first, second = HIDDEN_SIZES
    network.estimator = nn.ModuleDict(
        {
            "ff": nn.Sequential(  # the places of dropout are kept: they number the weights
                *(nn.Linear(config.hidden_size, first), nn.Tanh(), nn.Identity()),
                *(nn.Linear(first, second), nn.Tanh(), nn.Identity()),
                nn.Linear(second, 1),
            )
        }
    )
    network.hidden2tag = nn.Linear(config.hidden_size, len(TAGS))
    return network


def load(torch: Any, network: Any, path: Path) -> None:
    """Puts the weights of a checkpoint into the network.

    Raises:
        ModelError: If names or shapes differ from the network's, with the names.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    wanted = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if name not in TRAINING_ONLY}
    problems = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
            for name in wanted
            if name in given and given[name].shape != wanted[name].shape
        ],
    }
    if any(problems.values()):
        found = [f"{kind}: {_listed(names)}" for kind, names in problems.items() if names]
        raise ModelError(
            f"The weights in {path.name!r} are not those of XCOMET-lite on this encoder. "
            f"{'; '.join(found)}.",
            mend="check that the checkpoint and the encoder belong together",
        )
    network.load_state_dict(given)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def predict(
    torch: Any, network: Any, sequences: Sequence[Sequence[int]], pad: int
) -> tuple[Any, Any]:
    """Runs a batch of joined sequences.

    Args:
        torch: The module.
        network: What `build` made.
        sequences: Token ids with special tokens.
        pad: Id of the padding token.

    Returns:
        Regression scores ``[batch]`` and tag probabilities ``[batch, longest, 4]``, both float32.
    """
    device = network.hidden2tag.weight.device
    rows = [torch.tensor(sequence, device=device) for sequence in sequences]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(sequence) for sequence in sequences], device=device)
    mask = torch.arange(ids.shape[1], device=device)[None, :] < lengths[:, None]
    with torch.inference_mode():
        layers = network.encoder["model"](
            input_ids=ids, attention_mask=mask.long(), output_hidden_states=True
        ).hidden_states
        mixture = network.layerwise_attention
        weights = torch.cat(list(mixture.scalar_parameters)).softmax(dim=0)
        first_tokens = torch.stack([layer[:, 0] for layer in layers])
        sentence = mixture.gamma * (weights[:, None, None] * first_tokens).sum(dim=0)
        scores = network.estimator["ff"](sentence)[:, 0]
        tags = network.hidden2tag(layers[WORD_LAYER]).float().softmax(dim=-1)
    return scores.float(), tags
