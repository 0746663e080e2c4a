"""Makes tiny models of the kinds that the official suites run, for tests without a network.

Weights come from NumPy's frozen legacy generator and vocabularies from the sentences below, so that
the same models, and the golden values computed from them, come out everywhere.

Run as a script, it writes all of them: ``python tests/tiny_scorers.py folder``.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

SENTENCES = (
    "You people never read the article before you comment.",
    "You damn fools never read the bloody article before you comment!",
    "Этот человек опять ничего не понял, почитай сначала статью.",
    "把粗鲁的句子改写成文明的句子，保留原意。",
    "أعد صياغة النص المسيء بأدب مع الحفاظ على المعنى.",
    "The quick brown fox jumps over the lazy dog, 0123456789 times!",
)
LAYERS = 9
WIDTH = 16


def pieces() -> list[str]:
    """Every word of the sentences with its space, and every character, sorted."""
    words = {f"▁{word}" for sentence in SENTENCES for word in sentence.split()}
    letters = {letter for sentence in SENTENCES for letter in sentence if letter != " "}
    return sorted(words) + sorted(letters | {"▁"} | set("ABCfi"))


def scored_pieces() -> list[tuple[str, float]]:
    return [(piece, -2.0 if len(piece) > 1 else -6.0) for piece in pieces()]


def fill(model, seed: int, gain: float = 1.0) -> None:
    """Deterministic weights: norms near one, matrices scaled to keep the variance."""
    import numpy as np
    import torch

    random = np.random.RandomState(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = random.standard_normal(tuple(parameter.shape))
            if name.endswith("LayerNorm.weight"):
                values = 1 + 0.1 * values
            elif parameter.dim() < 2:
                values = 0.2 * values
            elif "embeddings" not in name:
                values = gain * values / np.sqrt(parameter.shape[-1])
            parameter.copy_(torch.tensor(values, dtype=parameter.dtype))


def classifier(folder: Path, seed: int = 11) -> Path:
    """An XLM-R sequence classifier with two labels, and its tokenizer."""
    from transformers import (
        XLMRobertaConfig,
        XLMRobertaForSequenceClassification,
        XLMRobertaTokenizer,
    )

    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    tokenizer = XLMRobertaTokenizer(vocab=[*special, *scored_pieces(), ("<mask>", 0.0)])
    tokenizer.save_pretrained(folder)
    model = XLMRobertaForSequenceClassification(
        XLMRobertaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=514,
            type_vocab_size=1,
            num_labels=2,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    )
    fill(model, seed, gain=2.0)
    model.save_pretrained(folder)
    return folder


def encoder(folder: Path, seed: int = 12) -> Path:
    """A sentence encoder with LaBSE's modules: BERT, first token, dense with tanh, L2 norm."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as models
    from transformers import BertConfig, BertModel, BertTokenizer

    bert = folder / "bert"
    letters = sorted({letter for sentence in SENTENCES for letter in sentence if letter != " "})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    BertTokenizer(
        vocab={piece: number for number, piece in enumerate(vocabulary)}, do_lower_case=False
    ).save_pretrained(bert)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=WIDTH,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    )
    fill(model, seed)
    model.save_pretrained(bert)
    dense = models.Dense(WIDTH, WIDTH, activation_function=torch.nn.Tanh())
    fill(dense, seed + 1)
    modules = [
        models.Transformer(str(bert), max_seq_length=256),
        models.Pooling(WIDTH, pooling_mode="cls"),
        dense,
        models.Normalize(),
    ]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "labse"))
    return folder / "labse"


def sentencepiece_model(path: Path) -> None:
    """An ``spm.model`` with mDeBERTa's special pieces and the NFKC rules of SentencePiece."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=trained, vocab_size=100,
        hard_vocab_limit=False, normalization_rule_name="nmt_nfkc", minloglevel=2,
    )  # fmt: skip
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(trained.getvalue())
    del proto.pieces[:]  # only the rules of the trained model are kept
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    for name in ("[PAD]", "[CLS]", "[SEP]"):
        proto.pieces.add(piece=name, score=0.0, type=kinds.CONTROL)
    proto.pieces.add(piece="[UNK]", score=0.0, type=kinds.UNKNOWN)
    for name, score in scored_pieces():
        proto.pieces.add(piece=name, score=score)
    ids = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    for name, number in ids.items():
        setattr(proto.trainer_spec, name, number)
    names = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    for name, piece in names.items():
        setattr(proto.trainer_spec, name, piece)
    path.write_bytes(proto.SerializeToString())


def deberta(folder: Path) -> Path:
    """Configuration and ``spm.model`` of a tiny mDeBERTa-v3, laid out as on the hub."""
    from transformers import DebertaV2Config

    folder.mkdir(parents=True, exist_ok=True)
    DebertaV2Config(
        vocab_size=len(pieces()) + 5,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        max_position_embeddings=512,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=256,
        max_relative_positions=-1,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type="p2c|c2p",
        position_biased_input=False,
        layer_norm_eps=1e-7,
        pad_token_id=0,
    ).save_pretrained(folder)
    sentencepiece_model(folder / "spm.model")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    return folder


def xcomet(folder: Path, encoder: Path, seed: int = 13) -> Path:
    """A checkpoint named as the published one, with what training left in it."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModel

    model = AutoModel.from_config(AutoConfig.from_pretrained(encoder))
    network = torch.nn.Module()
    network.encoder = torch.nn.ModuleDict({"model": model})
    network.layerwise_attention = torch.nn.Module()
    network.layerwise_attention.scalar_parameters = torch.nn.ParameterList(
        [torch.zeros(1) for _ in range(LAYERS + 1)]
    )
    network.layerwise_attention.gamma = torch.nn.Parameter(torch.ones(1))
    network.estimator = torch.nn.Module()
    sizes = [(WIDTH, 3072), (3072, 1024), (1024, 1)]
    network.estimator.ff = torch.nn.ModuleDict(
        {str(3 * place): torch.nn.Linear(*size) for place, size in enumerate(sizes)}
    )
    network.hidden2tag = torch.nn.Linear(WIDTH, 4)
    fill(network, seed)
    fill(network.encoder, seed, gain=0.5)  # so that neighbours differ and get different tags
    with torch.no_grad():
        network.layerwise_attention.gamma.fill_(0.8)
        network.estimator.ff["6"].weight.mul_(3)
        network.estimator.ff["6"].bias.fill_(-0.1)
        network.hidden2tag.weight.mul_(3)
        network.hidden2tag.bias.copy_(torch.tensor([1.5, 0.0, 1.5, 0.0]))
    state = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
    state["layerwise_attention.dropout_mask"] = torch.zeros(LAYERS + 1)
    state["layerwise_attention.dropout_fill"] = torch.full((LAYERS + 1,), -1e20)
    state["wordloss.weight"] = torch.tensor([0.08, 0.486, 0.505, 0.533])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "model.safetensors")
    return folder


def make_all(root: Path) -> dict[str, str]:
    """All models below a folder, as options of the suites."""
    made = deberta(root / "mdeberta")
    return {
        "sta": str(classifier(root / "classifier")),
        "sim": str(encoder(root / "encoder")),
        "fl": str(xcomet(root / "xcomet", made)),
        "fl_encoder": str(made),
    }


if __name__ == "__main__":
    for option, where in make_all(Path(sys.argv[1])).items():
        print(f"{option}={where}")
