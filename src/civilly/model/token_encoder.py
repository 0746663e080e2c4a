"""Runs multilingual-e5-small on CTranslate2: from texts to a vector per token."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from civilly.engines.background import Background
from civilly.engines.batches import equal_lengths
from civilly.engines.hardware import default_threads
from civilly.model.cache import loaded
from civilly.model.e5 import NORMALISATION_FILE, TOKENIZER_FILE

BEGIN, PADDING, END = 0, 1, 2
"""Ids of ``<s>``, ``<pad>`` and ``</s>``."""
BATCH_TOKENS = 512
"""Tokens read together: four times as many were a quarter slower (two cores with AVX2)."""

_SPACES = re.compile(" {2,}")

Floats = NDArray[np.float32]
Made = TypeVar("Made")


class TokenEncoder:
    """An encoder of the cache, loaded when it is first asked for.

    Args:
        folder: Gives the folder of the built encoder (`civilly.model.e5.encoder_folder`).
        threads: CPU threads; default `civilly.engines.hardware.default_threads`.
    """

    def __init__(self, folder: Callable[[], Path], threads: int | None = None) -> None:
        self._folder = folder
        self._threads = threads or default_threads()

    @cached_property
    def _loading(self) -> Background:
        self._folder()  # built first and here, where it can be interrupted
        return Background(self._load)

    def _load(self) -> Any:
        import ctranslate2

        # A worker per core, each on a batch of its own: see the embedded engine.
        return loaded(
            self._folder,
            lambda folder: ctranslate2.Encoder(
                str(folder), device="cpu", inter_threads=self._threads, intra_threads=1
            ),
        )

    def prepare(self) -> None:
        """Begins to load, on a thread of its own."""
        _ = self._loading

    @cached_property
    def _tokenizer(self) -> tuple[Any, dict[int, str]]:
        from tokenizers import Tokenizer

        def load(folder: Path) -> tuple[Any, dict[int, str]]:
            replaced = json.loads((folder / NORMALISATION_FILE).read_text("utf-8"))
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            return tokenizer, {int(point): text for point, text in replaced.items()}

        return loaded(self._folder, load)

    @cached_property
    def _same_length(self) -> dict[int, str]:
        return {point: text for point, text in self._tokenizer[1].items() if len(text) == 1}

    def piece(self, spelling: str) -> int:
        """The id of a piece; a blank before it is U+2581."""
        return int(self._tokenizer[0].token_to_id(spelling))

    def pieces(self, texts: Sequence[str], *, same_length: bool = False) -> list[Any]:
        """Cuts texts into pieces (``ids`` and ``offsets``), in order.

        Args:
            texts: Any texts without lone surrogates.
            same_length: Whether to leave runs of blanks as they are, and characters whose
                compatibility form has another length, so that offsets count the text's own.
        """
        return self.cut(self.normalised(texts, same_length=same_length))

    def normalised(self, texts: Sequence[str], *, same_length: bool = False) -> list[str]:
        """Texts in compatibility forms, as the encoder was trained on them; see `pieces`."""
        table = self._same_length if same_length else self._tokenizer[1]
        read = [text.translate(table) for text in texts]
        return read if same_length else [_SPACES.sub(" ", text) for text in read]

    def cut(self, normalised: Sequence[str]) -> list[Any]:
        """The pieces (``ids`` and ``offsets``) of texts that are in compatibility forms."""
        return list(self._tokenizer[0].encode_batch(normalised, add_special_tokens=False))

    def hidden(self, rows: Sequence[Sequence[int]]) -> list[Floats]:
        """The vectors of each row's tokens: float32 [tokens, width] per row, in order.

        Args:
            rows: Ids with `BEGIN` and `END`.
        """
        return self.mapped(rows, lambda _, vectors: vectors)

    def mapped(
        self, rows: Sequence[Sequence[int]], function: Callable[[int, Floats], Made]
    ) -> list[Made]:
        """What becomes of each row's vectors, in order, so that they need not be kept.

        Padding would show in the last digits, so rows of one length are read together: a row's
        vectors do not depend on its neighbours.

        Args:
            rows: Ids with `BEGIN` and `END`.
            function: Takes the position of a row and its vectors; several threads call it.
        """
        if not rows:
            return []  # nobody need wait for the model
        model = self._loading.result()

        def run(group: list[int]) -> list[tuple[int, Made]]:
            batch = model.forward_batch([list(rows[i]) for i in group]).last_hidden_state
            vectors = zip(group, np.asarray(batch), strict=True)
            return [(i, function(i, row)) for i, row in vectors]

        with ThreadPoolExecutor(self._threads) as pool:
            groups = pool.map(run, equal_lengths([len(row) for row in rows], BATCH_TOKENS))
            made = dict(pair for group in groups for pair in group)
        return [made[i] for i in range(len(rows))]
