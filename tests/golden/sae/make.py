"""Writes this folder with sae-lens 6.54.12: small autoencoders, and what it computes with them.

Run once, in an environment of its own: ``pip install sae-lens==6.54.12; python make.py``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from sae_lens import (
    SAE,
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    StandardSAE,
    StandardSAEConfig,
    TopKSAE,
    TopKSAEConfig,
)
from safetensors.torch import save_file

HERE = Path(__file__).parent
D_IN, WIDTH = 8, 24
PLAIN = {"d_in": D_IN, "d_sae": WIDTH, "dtype": "float32", "device": "cpu"}


def randomised(sae, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
            if name == "threshold":
                parameter.abs_()
    return sae


def main():
    made = {
        "jumprelu": JumpReLUSAE(JumpReLUSAEConfig(**PLAIN, apply_b_dec_to_input=False)),
        "jumprelu_centred": JumpReLUSAE(JumpReLUSAEConfig(**PLAIN, apply_b_dec_to_input=True)),
        "topk": TopKSAE(TopKSAEConfig(**PLAIN, k=5)),
        "topk_rescaled": TopKSAE(TopKSAEConfig(**PLAIN, k=5, rescale_acts_by_decoder_norm=True)),
        "standard": StandardSAE(StandardSAEConfig(**PLAIN)),
    }
    torch.manual_seed(99)
    x = torch.randn(12, D_IN)
    expected = {"x": x}
    for seed, (name, sae) in enumerate(made.items()):
        randomised(sae, seed).save_model(HERE / name)
    batch = randomised(BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**PLAIN, k=4)), 7)
    batch.topk_threshold.fill_(0.3)
    batch.save_inference_model(HERE / "batchtopk")
    batch.save_model(HERE / "batchtopk_training")
    for name in [*made, "batchtopk"]:
        sae = SAE.load_from_disk(HERE / name)
        expected[f"{name}.latents"] = sae.encode(x).to_dense().contiguous()
        expected[f"{name}.decoded"] = sae.decode(sae.encode(x)).contiguous()
    save_file(
        {name: tensor.detach() for name, tensor in expected.items()}, HERE / "expected.safetensors"
    )
    jump = SAE.load_from_disk(HERE / "jumprelu")  # the same weights as Gemma Scope lays them out
    tensors = {
        name: getattr(jump, name).detach()
        for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")
    }
    scope = HERE / "layer_3" / "width_24" / "average_l0_5"
    scope.mkdir(parents=True, exist_ok=True)
    np.savez(scope / "params.npz", **{name: t.numpy() for name, t in tensors.items()})
    print(json.dumps(sorted(expected)))


main()
