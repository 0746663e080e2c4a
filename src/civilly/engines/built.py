"""An engine over a model that is built in the user cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from civilly.engines.hardware import default_threads
from civilly.engines.loaded_model import LoadedModel
from civilly.engines.pacing import TOKENS_PER_THREAD
from civilly.errors import CivillyError
from civilly.types import Generation, GenerationOptions, Prompt

MOST_LOADED = 3
"""Models with different adapters that stay in memory, those used last: 0.3 GB each."""


class BuiltEngine(ABC):
    """Runs one model; adapters are merged when first asked for, then cached.

    At most `MOST_LOADED` of them stay in memory. Whoever is at work with another one keeps it until
    that is done.

    Args:
        threads: CPU threads; default `default_threads`.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or default_threads()
        self._models: dict[str | None, LoadedModel] = {}
        self._prepared: str | None = None
        self.tokens_at_once = TOKENS_PER_THREAD * self._threads

    @abstractmethod
    def _built(self, adapter: Path | None) -> Path:
        """The folder of the model with an adapter merged in, built once."""

    @abstractmethod
    def _if_built(self, adapter: Path | None) -> Path | None:
        """The same, or None if it would have to be built first."""

    @abstractmethod
    def _load(self, folder: Path) -> LoadedModel:
        """Reads such a folder."""

    def model(self, adapter: str | None = None) -> LoadedModel:
        """The model with an adapter merged in, loaded once.

        Raises:
            ModelError: If the adapter is missing or does not fit.
        """
        model = self._models.pop(adapter, None)
        if model is None:
            model = self._load(self._built(Path(adapter) if adapter else None))
        self._keep(adapter, model)
        return model

    def _keep(self, adapter: str | None, model: LoadedModel) -> None:
        """Notes a model as the one used last, and lets go of those not used for longest."""
        self._models[adapter] = model
        for other in list(self._models)[:-MOST_LOADED]:
            self._models.pop(other, None)

    def prepare(self, adapter: str | None = None) -> None:
        """Begins to load a model that is built already; see `civilly.types.Preparable`."""
        self._prepared = adapter
        with suppress(CivillyError):  # whoever uses the model will hear of it
            folder = self._if_built(Path(adapter) if adapter else None)
            if folder is not None and adapter not in self._models:
                self._keep(adapter, self._load(folder))

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        """Continues each prompt; see `civilly.types.Engine`."""
        return self.model(options.adapter).generate(prompts, options)

    def logprobs(
        self, prompts: Sequence[Prompt], texts: Sequence[str], adapter: str | None = None
    ) -> list[float]:
        """Scores given texts; see `civilly.types.TextScorer`."""
        return self.model(adapter).logprobs(prompts, texts)

    def count_tokens(self, texts: Sequence[str], adapter: str | None = None) -> list[int]:
        """Tokens of each text; all adapters share a tokenizer, so that of what is prepared will do.

        See `civilly.engines.limits.TokenCounter`.
        """
        model = self.model(adapter or self._prepared)
        return [len(ids) for ids in model.tokenizer.encode_batch(texts)]

    def branch(
        self, prompts: Sequence[Prompt], n: int, max_new_tokens: int, adapter: str | None = None
    ) -> list[list[Generation]]:
        """Other turns at the end of each prompt; see `civilly.types.Brancher`."""
        return self.model(adapter).branch(prompts, n, max_new_tokens)
